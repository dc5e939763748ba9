#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace volley {

/// What, beside the thing itself, addresses a random draw: the same draw gives the same bits, whatever the
/// batch, the threads or the order.
struct Draw {
  /// Which set is drawn for; each has addresses of its own.
  enum class Purpose : std::uint8_t { train = 0, test = 1, validation = 2 };

  std::uint32_t seed = 0;
  std::uint32_t epoch = 0;  // below 2^24
  Purpose purpose = Purpose::train;
  std::uint32_t first_sample = 0;  // added to a picture's index: where in a larger set the given one begins
  /// The indices that address the pictures of a batch, where these are copies that lie at other indices;
  /// empty: the pictures' own. The memory must outlive the draw.
  std::span<const std::uint32_t> known_as{};

  /// The address of the n-th picture of the batch `samples`.
  std::uint32_t address(std::span<const std::uint32_t> samples, std::size_t n) const {
    return first_sample + (known_as.empty() ? samples[n] : known_as[n]);
  }
};

}  // namespace volley
