#pragma once

#include <variant>

#include <volley/fields.hpp>

namespace volley {

// Surrogates: the derivative that stands in for that of the Heaviside step in backward, as a function of
// x = h - v_threshold. Definitions and defaults are SpikingJelly's; derivations in docs/math/surrogates.md.

/// g(x) = (alpha / 2) / (1 + (pi alpha x / 2)^2), the derivative of atan(pi alpha x / 2) / pi + 1 / 2.
struct ATan {
  static constexpr const char* kKind = "atan";
  float alpha = 2.0f;  // steepness, > 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

/// g(x) = alpha s (1 - s) with s = 1 / (1 + exp(-alpha x)), the derivative of s.
struct Sigmoid {
  static constexpr const char* kKind = "sigmoid";
  float alpha = 4.0f;  // steepness, > 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

using Surrogate = std::variant<ATan, Sigmoid>;

}  // namespace volley
