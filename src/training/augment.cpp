#include <volley/augment.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "encoders/checks.hpp"

namespace volley {
namespace {

constexpr std::size_t kSamples = 8;  // that one piece of work covers

/// Copies a plane (H, W), moved by (down, right) with black where nothing comes from, then flipped or not.
void move_plane(std::uint8_t* out, const std::uint8_t* in, std::ptrdiff_t H, std::ptrdiff_t W,
                std::ptrdiff_t down, std::ptrdiff_t right, bool flip) {
  for (std::ptrdiff_t y = 0; y < H; ++y, out += W) {
    std::fill_n(out, W, std::uint8_t{0});
    if (y < down || y >= H + down) continue;
    const std::uint8_t* row = in + (y - down) * W;
    const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(0, -right);
    const std::ptrdiff_t end = std::min(W, W - right);
    std::copy(row + begin, row + end, out + begin + right);
    if (flip) std::reverse(out, out + W);
  }
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
  if (&out == &data) throw ArgumentError("augment", "out must be another set than data");
  data.check(samples);
  check(data.shape);
  check_draw("augment", draw, samples.size(), samples.empty() ? 0 : *std::ranges::max_element(samples));
  const std::size_t features = data.shape.size();
  out.name = data.name;
  out.shape = data.shape;
  out.classes = data.classes;
  out.pixels.resize(samples.size() * features);
  out.labels.resize(samples.size());
  const Shape shape = active() ? data.shape : Shape{1, 1, features};
  const auto C = static_cast<std::ptrdiff_t>(shape[0]);
  const auto H = static_cast<std::ptrdiff_t>(shape[1]);
  const auto W = static_cast<std::ptrdiff_t>(shape[2]);
  const auto padding = static_cast<std::uint32_t>(options_.crop_padding);
  const PhiloxKey key = philox_key(draw.seed, Purpose::augment, draw.epoch);
  parallel_for(threads, samples.size(), kSamples, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      PhiloxSequence random(key, draw.address(samples, n));
      const std::ptrdiff_t down = std::ptrdiff_t{random.below(2 * padding + 1)} - padding;
      const std::ptrdiff_t right = std::ptrdiff_t{random.below(2 * padding + 1)} - padding;
      const bool flip = options_.flip && random.below(2) == 1;
      out.labels[n] = data.labels[samples[n]];
      const std::uint8_t* from = data.picture(samples[n]).data();
      std::uint8_t* to = out.pixels.data() + n * features;
      for (std::ptrdiff_t c = 0; c < C; ++c)
        move_plane(to + c * H * W, from + c * H * W, H, W, down, right, flip);
    }
  });
}

}  // namespace volley
