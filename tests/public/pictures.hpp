#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <volley/volley.hpp>

// What the tests of the public headers share. They include <volley/volley.hpp> and nothing of the library
// beside.

namespace volley::test {

/// Noise in `classes` shades: a picture of class c is darker by c steps.
inline Dataset shades(std::size_t samples, std::size_t classes, const Shape& shape = {1, 4, 4}) {
  Dataset data{.name = "shades", .shape = shape, .pixels = {}, .labels = {}, .classes = {}};
  for (std::size_t k = 0; k < classes; ++k) data.classes.push_back(std::to_string(k));
  std::uint32_t noise = 1;
  for (std::size_t n = 0; n < samples; ++n) {
    const std::size_t label = (n * 7 + n / 3) % classes;
    data.labels.push_back(static_cast<std::uint32_t>(label));
    for (std::size_t i = 0; i < shape.size(); ++i) {
      noise = noise * 1664525u + 1013904223u;
      const std::size_t light = 255 - label * (200 / classes);
      data.pixels.push_back(static_cast<std::uint8_t>(light - (noise >> 24) % 50));
    }
  }
  return data;
}

inline std::vector<float> weights_of(Layer& net) {
  std::vector<float> all;
  for (const NamedParameter& p : net.parameters()) {
    const auto values = p.parameter->value.values();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

/// The text of the ArgumentError that `call` must throw.
template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const ArgumentError& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another exception: ") + error.what();
  }
  return "no exception";
}

}  // namespace volley::test
