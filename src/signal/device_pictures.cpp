#include "signal/device_pictures.hpp"

#include <algorithm>

namespace volley {
namespace {

/// The elements of `from` where the device finds them, copied to `memory` unless they are there.
template <class T>
const T* bring(Buffer<T>& memory, bool& there, const std::vector<T>& from, Executor& device) {
  if (!there) {
    memory.resize(from.size());
    std::ranges::copy(from, memory.data());
    there = true;
  }
  return device.read(memory);
}

}  // namespace

void DevicePictures::keep(const Dataset* data) {
  data_ = data;
  has_pixels_ = has_labels_ = false;
}

std::uint8_t* DevicePictures::write(const Dataset& data, Executor& device) {
  data_ = &data;
  has_pixels_ = true;
  has_labels_ = false;
  pixels_.resize(data.pixels.size());
  return device.write(pixels_);
}

const std::uint8_t* DevicePictures::pixels(Executor& device) {
  return bring(pixels_, has_pixels_, data_->pixels, device);
}

bool DevicePictures::have_labels(std::span<const std::uint32_t> samples,
                                 std::span<const std::uint32_t> labels) const {
  return data_ != nullptr &&
         std::ranges::equal(samples, labels, [&](std::uint32_t sample, std::uint32_t label) {
           return sample < data_->labels.size() && data_->labels[sample] == label;
         });
}

const std::uint32_t* DevicePictures::labels(Executor& device) {
  return bring(labels_, has_labels_, data_->labels, device);
}

}  // namespace volley
