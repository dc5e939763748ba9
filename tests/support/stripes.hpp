#pragma once

#include <cstdint>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/layers.hpp>
#include <volley/neuron.hpp>

#include "support/random.hpp"

namespace volley::test {

/// Three classes of 6 x 6 pictures: a bright row, a bright column, a bright diagonal, with noise.
inline Dataset stripes(std::size_t samples, std::uint32_t seed) {
  Dataset data{.name = "stripes",
               .shape = {1, 6, 6},
               .pixels = {},
               .labels = {},
               .classes = {"row", "column", "diagonal"}};
  Random random(seed);
  for (std::size_t n = 0; n < samples; ++n) {
    const std::uint32_t label = random.below(3);
    const std::uint32_t place = 1 + random.below(4);
    for (std::uint32_t y = 0; y < 6; ++y) {
      for (std::uint32_t x = 0; x < 6; ++x) {
        const bool bright = label == 0 ? y == place : label == 1 ? x == place : x == y;
        data.pixels.push_back(static_cast<std::uint8_t>(bright ? 155 + random.below(101) : random.below(60)));
      }
    }
    data.labels.push_back(static_cast<std::uint8_t>(label));
  }
  return data;
}

inline Sequential small_network(std::uint32_t seed = 0) {
  Sequential net{Flatten{}, Linear{36, 24}, LIF{}, Linear{24, 3}, LIF{}};
  net.initialize(seed);
  return net;
}

inline std::vector<float> all_weights(Sequential& net) {
  std::vector<float> all;
  for (const NamedParameter& p : net.parameters()) {
    all.insert(all.end(), p.parameter->value.values().begin(), p.parameter->value.values().end());
  }
  return all;
}

}  // namespace volley::test
