#pragma once

#include <cstdint>
#include <span>

#include <volley/dataset.hpp>
#include <volley/draw.hpp>
#include <volley/tape.hpp>

#include "signal/views.hpp"

namespace volley {

/// The pixels of one data set in the memory of a device that has its own. They are brought there once, when
/// an operation first asks for them.
class DevicePixels {
 public:
  /// From now on those of `data`, which must not change; null: of no set.
  void keep(const Dataset* data);
  bool are_of(const Dataset& data) const { return data_ == &data; }
  /// Of a set that an operation makes: where it writes them. data.pixels has their number, and not them.
  std::uint8_t* write(const Dataset& data, Executor& device);
  const std::uint8_t* read(Executor& device);

 private:
  const Dataset* data_ = nullptr;
  bool there_ = false;
  Buffer<std::uint8_t> pixels_;
};

/// What is kept of a batch of pictures for the operations that read them.
struct PicturesMemory {
  Buffer<std::uint32_t> numbers, addresses;
  Buffer<std::uint8_t> pixels;  // those of the batch, where the device does not have the set's
};

/// The pictures `samples` of `data` where a device finds them: at `known`, if these are of `data`.
ops::Pictures pictures_of(const Dataset& data, std::span<const std::uint32_t> samples, DevicePixels* known,
                          PicturesMemory& memory, Executor& device);
/// The same for a pass on `tape`, whose context says what the device has.
ops::Pictures pictures_of(const Dataset& data, std::span<const std::uint32_t> samples, PicturesMemory& memory,
                          const Tape& tape);

/// The addresses of the random numbers of the pictures `samples`; `pictures` are these.
const std::uint32_t* addresses_of(const ops::Pictures& pictures, std::span<const std::uint32_t> samples,
                                  const Draw& draw, PicturesMemory& memory, Executor& device);

}  // namespace volley
