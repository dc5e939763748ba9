#pragma once

#include <cstdint>
#include <span>

#include <volley/dataset.hpp>

#include "ops/executor.hpp"

namespace volley {

/// One data set in the memory of a device that has its own. What an operation asks for is brought there once.
class DevicePictures {
 public:
  /// From now on that of `data`, which must not change; null: none.
  void keep(const Dataset* data);
  bool are_of(const Dataset& data) const { return data_ == &data; }
  /// Of a set that an operation makes: where it writes the pixels. data.pixels has their number, and not
  /// them.
  std::uint8_t* write(const Dataset& data, Executor& device);
  const std::uint8_t* pixels(Executor& device);

  /// Whether `labels` are those of the pictures `samples`.
  bool have_labels(std::span<const std::uint32_t> samples, std::span<const std::uint32_t> labels) const;
  const std::uint32_t* labels(Executor& device);

 private:
  const Dataset* data_ = nullptr;
  bool has_pixels_ = false, has_labels_ = false;
  Buffer<std::uint8_t> pixels_;
  Buffer<std::uint32_t> labels_;
};

}  // namespace volley
