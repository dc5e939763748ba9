#pragma once

#include <cstdint>

#include <volley/dataset.hpp>

#include "support/random.hpp"

namespace volley::test {

/// Pictures of three classes by where they are bright, drawn darker or brighter by chance.
inline Dataset bars(std::size_t samples, std::uint32_t seed) {
  Dataset data{.name = "bars", .shape = {1, 4, 6}, .pixels = {}, .labels = {}, .classes = {"a", "b", "c"}};
  Random random(seed);
  for (std::size_t n = 0; n < samples; ++n) {
    const std::uint32_t label = random.below(3);
    for (std::uint32_t i = 0; i < 24; ++i) {
      data.pixels.push_back(
          static_cast<std::uint8_t>(i / 8 == label ? 90 + random.below(160) : random.below(90)));
    }
    data.labels.push_back(static_cast<std::uint8_t>(label));
  }
  return data;
}

}  // namespace volley::test
