#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace volley::ops {

/// Poisson spike trains (N, T, F), as docs/math/poisson.md has them: of pictures whose pixels k fire with
/// probability k / 255, or of probabilities. Writes the active features, and trains of these alone.
struct PoissonEncode {
  const std::uint8_t* pixels = nullptr;     // (any number, F), of which
  const std::uint32_t* pictures = nullptr;  // (N) are encoded; or
  const float* probabilities = nullptr;     // (N, F)
  const std::uint32_t* addresses;           // (N), of the random numbers of each sample
  std::array<std::uint32_t, 2> key;
  std::size_t N, T, F;
  std::uint64_t* trains;
  std::uint32_t *active, *active_count;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_ENCODE_OPERATION(X) X(PoissonEncode)
