#include "encoders/pictures.hpp"

#include "core/workspace.hpp"

namespace volley {

namespace {

/// Whether they are 0, 1, 2, ...
bool count_up(std::span<const std::uint32_t> numbers) {
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    if (numbers[n] != n) return false;
  }
  return true;
}

}  // namespace

ops::Pictures pictures_of(const Dataset& data, std::span<const std::uint32_t> samples, DevicePictures* known,
                          PicturesMemory& memory, Executor& device) {
  const std::size_t N = samples.size(), F = data.shape.size();
  ops::Pictures pictures{.N = N, .F = F};
  if (device.is_host()) {
    pictures.pixels = data.pixels.data();
    pictures.numbers = samples.data();
  } else if (known != nullptr && known->are_of(data)) {
    pictures.pixels = known->pixels(device);
    if (!count_up(samples)) pictures.numbers = put(memory.numbers, samples, device);
  } else {
    memory.pixels.resize(N * F);
    std::uint8_t* const to = memory.pixels.data();
    for (std::size_t n = 0; n < N; ++n) std::ranges::copy(data.picture(samples[n]), to + n * F);
    pictures.pixels = device.read(memory.pixels);
  }
  return pictures;
}

ops::Pictures pictures_of(const Dataset& data, std::span<const std::uint32_t> samples, PicturesMemory& memory,
                          const Tape& tape) {
  return pictures_of(data, samples, tape.context().pictures, memory, DeviceAccess::executor(tape.device()));
}

const std::uint32_t* addresses_of(const ops::Pictures& pictures, std::span<const std::uint32_t> samples,
                                  const Draw& draw, PicturesMemory& memory, Executor& device) {
  if (draw.first_sample == 0 && draw.known_as.empty() && pictures.numbers != nullptr) return pictures.numbers;
  if (draw.first_sample == 0) {
    return put(memory.addresses, draw.known_as.empty() ? samples : draw.known_as.first(samples.size()),
               device);
  }
  Scratch<std::uint32_t> addresses(samples.size());
  for (std::size_t n = 0; n < samples.size(); ++n) addresses[n] = draw.address(samples, n);
  return put(memory.addresses, addresses.span(), device);
}

}  // namespace volley
