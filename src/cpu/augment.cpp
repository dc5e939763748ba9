#include <algorithm>

#include "core/philox.hpp"
#include "cpu/cpu_executor.hpp"

namespace volley::cpu {
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

void run(ThreadPool& threads, const ops::Augment& op) {
  const auto H = static_cast<std::ptrdiff_t>(op.H), W = static_cast<std::ptrdiff_t>(op.W);
  const std::size_t plane = op.H * op.W;
  parallel_for(threads, op.pictures.N, kSamples, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      PhiloxSequence random(op.key, op.addresses[n]);
      const std::ptrdiff_t down = std::ptrdiff_t{random.below(2 * op.padding + 1)} - op.padding;
      const std::ptrdiff_t right = std::ptrdiff_t{random.below(2 * op.padding + 1)} - op.padding;
      const bool flip = op.flip && random.below(2) == 1;
      const std::uint8_t* const from = op.pictures.of(n);
      std::uint8_t* const to = op.out + n * op.pictures.F;
      for (std::size_t c = 0; c < op.C; ++c)
        move_plane(to + c * plane, from + c * plane, H, W, down, right, flip);
    }
  });
}

}  // namespace volley::cpu
