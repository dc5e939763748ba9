#include "training/augment_on_device.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "encoders/checks.hpp"

namespace volley {
namespace {

/// Makes `out` the set of the pictures `samples` of `data`, but for the pixels.
void begin(const Augment& augment, Dataset& out, const Dataset& data, std::span<const std::uint32_t> samples,
           const Draw& draw) {
  if (&out == &data) throw ArgumentError("augment", "out must be another set than data");
  data.check(samples);
  augment.check(data.shape);
  check_draw("augment", draw, samples.size(), samples.empty() ? 0 : *std::ranges::max_element(samples));
  out.name = data.name;
  out.shape = data.shape;
  out.classes = data.classes;
  out.pixels.resize(samples.size() * data.shape.size());
  out.labels.resize(samples.size());
  std::ranges::transform(samples, out.labels.begin(),
                         [&](std::uint32_t sample) { return data.labels[sample]; });
}

ops::Augment operation_of(const Augment& augment, const Shape& picture, const Draw& draw) {
  const Shape shape = augment.active() ? picture : Shape{1, 1, picture.size()};
  return {.pictures = {},
          .C = shape[0],
          .H = shape[1],
          .W = shape[2],
          .padding = static_cast<std::uint32_t>(augment.options().crop_padding),
          .flip = augment.options().flip,
          .addresses = nullptr,
          .key = philox_key(draw.seed, Purpose::augment, draw.epoch),
          .out = nullptr};
}

}  // namespace

Augment::Augment(const AugmentOptions& options) : options_(options) { check_fields("augment", options); }

void Augment::check(const Shape& shape) const {
  if (!active()) return;
  if (shape.rank() != 3) {
    throw ShapeError("augment", "pictures must be (channels, height, width)", shape);
  }
  const std::size_t side = std::min(shape[1], shape[2]);
  if (options_.crop_padding >= side) {
    throw ArgumentError("augment", fmt::format("crop_padding must be < {}, the pictures' shorter side", side),
                        fmt::format("{}", options_.crop_padding));
  }
}

void Augment::apply(Dataset& out, const Dataset& data, std::span<const std::uint32_t> samples,
                    const Draw& draw, ThreadPool& threads) const {
  begin(*this, out, data, samples, draw);
  Scratch<std::uint32_t> addresses(samples.size());
  for (std::size_t n = 0; n < samples.size(); ++n) addresses[n] = draw.address(samples, n);
  ops::Augment op = operation_of(*this, data.shape, draw);
  op.pictures = {
      .pixels = data.pixels.data(), .numbers = samples.data(), .N = samples.size(), .F = data.shape.size()};
  op.addresses = addresses.data();
  op.out = out.pixels.data();
  cpu::run(threads, op);
}

void augment_on_device(const Augment& augment, Dataset& out, DevicePictures& there, const Dataset& data,
                       std::span<const std::uint32_t> samples, DevicePictures* known, const Draw& draw,
                       PicturesMemory& memory, Executor& device) {
  begin(augment, out, data, samples, draw);
  ops::Augment op = operation_of(augment, data.shape, draw);
  op.pictures = pictures_of(data, samples, known, memory, device);
  op.addresses = addresses_of(op.pictures, samples, draw, memory, device);
  op.out = there.write(out, device);
  device.run(op);
}

}  // namespace volley
