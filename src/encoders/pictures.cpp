#include "encoders/pictures.hpp"

#include <numeric>

#include "core/workspace.hpp"

namespace volley {

void DevicePixels::keep(const Dataset* data) {
  data_ = data;
  there_ = false;
}

std::uint8_t* DevicePixels::write(const Dataset& data, Executor& device) {
  data_ = &data;
  there_ = true;
  pixels_.resize(data.pixels.size());
  return device.write(pixels_);
}

const std::uint8_t* DevicePixels::read(Executor& device) {
  if (!there_) {
    pixels_.resize(data_->pixels.size());
    std::ranges::copy(data_->pixels, pixels_.data());
    there_ = true;
  }
  return device.read(pixels_);
}

ops::Pictures pictures_of(const Dataset& data, std::span<const std::uint32_t> samples, DevicePixels* known,
                          PicturesMemory& memory, Executor& device) {
  const std::size_t N = samples.size(), F = data.shape.size();
  ops::Pictures pictures{.N = N, .F = F};
  if (device.is_host()) {
    pictures.pixels = data.pixels.data();
    pictures.numbers = samples.data();
  } else if (known != nullptr && known->are_of(data)) {
    pictures.pixels = known->read(device);
    pictures.numbers = put(memory.numbers, samples, device);
  } else {
    memory.pixels.resize(N * F);
    std::uint8_t* const to = memory.pixels.data();
    for (std::size_t n = 0; n < N; ++n) std::ranges::copy(data.picture(samples[n]), to + n * F);
    Scratch<std::uint32_t> numbers(N);
    std::iota(numbers.data(), numbers.data() + N, 0u);
    pictures.pixels = device.read(memory.pixels);
    pictures.numbers = put(memory.numbers, numbers.span(), device);
  }
  return pictures;
}

ops::Pictures pictures_of(const Dataset& data, std::span<const std::uint32_t> samples, PicturesMemory& memory,
                          const Tape& tape) {
  return pictures_of(data, samples, tape.context().pixels, memory, DeviceAccess::executor(tape.device()));
}

const std::uint32_t* addresses_of(const ops::Pictures& pictures, std::span<const std::uint32_t> samples,
                                  const Draw& draw, PicturesMemory& memory, Executor& device) {
  const bool own = draw.first_sample == 0 && draw.known_as.empty();
  if (own && (device.is_host() || std::ranges::equal(std::as_const(memory.numbers).span(), samples)))
    return pictures.numbers;
  Scratch<std::uint32_t> addresses(samples.size());
  for (std::size_t n = 0; n < samples.size(); ++n) addresses[n] = draw.address(samples, n);
  return put(memory.addresses, addresses.span(), device);
}

}  // namespace volley
