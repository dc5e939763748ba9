#pragma once

#include <cstdint>
#include <span>

#include <volley/dataset.hpp>
#include <volley/draw.hpp>
#include <volley/tape.hpp>

#include "signal/device_pictures.hpp"
#include "signal/views.hpp"

namespace volley {

/// What is kept of a batch of pictures for the operations that read them.
struct PicturesMemory {
  Buffer<std::uint32_t> numbers, addresses;
  Buffer<std::uint8_t> pixels;  // those of the batch, where the device does not have the set's
};

/// The pictures `samples` of `data` where a device finds them: at `known`, if these are of `data`.
ops::Pictures pictures_of(const Dataset& data, std::span<const std::uint32_t> samples, DevicePictures* known,
                          PicturesMemory& memory, Executor& device);
/// The same for a pass on `tape`, whose context says what the device has.
ops::Pictures pictures_of(const Dataset& data, std::span<const std::uint32_t> samples, PicturesMemory& memory,
                          const Tape& tape);

/// The addresses of the random numbers of the pictures `samples`; `pictures` are these.
const std::uint32_t* addresses_of(const ops::Pictures& pictures, std::span<const std::uint32_t> samples,
                                  const Draw& draw, PicturesMemory& memory, Executor& device);

}  // namespace volley
