#pragma once

#include <cstdint>

namespace volley {

/// What, beside the thing itself, addresses a random draw: the same draw gives the same bits, whatever the
/// batch, the threads or the order.
struct Draw {
  enum class Purpose : std::uint8_t { train = 0, test = 1 };

  std::uint32_t seed = 0;
  std::uint32_t epoch = 0;  // below 2^24
  Purpose purpose = Purpose::train;
  std::uint32_t first_sample = 0;  // added to a picture's index: where in a larger set the given one begins
};

}  // namespace volley
