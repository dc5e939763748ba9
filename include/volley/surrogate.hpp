#pragma once

#include <cstddef>
#include <memory>
#include <utility>
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

/// g(x) = alpha - alpha^2 |x| where |x| <= 1 / alpha, else 0: a triangle.
struct PiecewiseQuadratic {
  static constexpr const char* kKind = "piecewise_quadratic";
  float alpha = 1.0f;  // height, > 0; the base is from -1 / alpha to 1 / alpha

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

/// g(x) = (alpha / 2) exp(-alpha |x|)
struct PiecewiseExp {
  static constexpr const char* kKind = "piecewise_exp";
  float alpha = 1.0f;  // steepness, > 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

/// g(x) = (alpha / 2) / (1 + alpha |x|)^2
struct SoftSign {
  static constexpr const char* kKind = "soft_sign";
  float alpha = 2.0f;  // steepness, > 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

/// g(x) = alpha / (1 + |x|)^2, the fast sigmoid; alpha is a factor here, not a steepness.
struct SuperSpike {
  static constexpr const char* kKind = "super_spike";
  float alpha = 1.0f;  // height, > 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

/// g(x) = (alpha / sqrt(pi)) exp(-(alpha x)^2)
struct Erf {
  static constexpr const char* kKind = "erf";
  float alpha = 2.0f;  // steepness, > 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

/// g(x) = alpha where |x| < 1 / (2 alpha), else 0: a rectangle.
struct Rect {
  static constexpr const char* kKind = "rect";
  float alpha = 1.0f;  // height, > 0; the width is 1 / alpha

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

/// g(x) = 1 / (2 w) where |x| < w, else c.
struct PiecewiseLeakyReLU {
  static constexpr const char* kKind = "piecewise_leaky_relu";
  float w = 1.0f;   // half the width of the middle, > 0
  float c = 0.01f;  // outside it

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("w", self.w, above(0));
    visit("c", self.c, any());
  }
};

/// g(x) = k where x >= 0, else leak.
struct LeakyKReLU {
  static constexpr const char* kKind = "leaky_k_relu";
  float leak = 0.0f;
  float k = 1.0f;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("leak", self.leak, any());
    visit("k", self.k, any());
  }
};

/// g(x) = alpha where x <= 0, 1 where 0 < x <= 1, 1 / x beyond.
struct LogTailedReLU {
  static constexpr const char* kKind = "log_tailed_relu";
  float alpha = 0.0f;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, any());
  }
};

/// g(x) = alpha s (1 - s) with s = 1 / (1 + exp(-alpha x)) where x < 0, else beta / (x + 1).
struct S2NN {
  static constexpr const char* kKind = "s2nn";
  float alpha = 4.0f;  // steepness below the threshold, > 0
  float beta = 1.0f;   // height above it, > 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
    visit("beta", self.beta, above(0));
  }
};

/// g(x) = (1 + 2 |x| / (alpha - 1))^-alpha
struct QPseudoSpike {
  static constexpr const char* kKind = "q_pseudo_spike";
  float alpha = 2.0f;  // how fast the tails fall, > 1

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(1));
  }
};

/// g(x) = alpha / (1 + alpha |x|)
struct NonzeroSignLogAbs {
  static constexpr const char* kKind = "nonzero_sign_log_abs";
  float alpha = 1.0f;  // height, > 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, above(0));
  }
};

/// g(x) = 1: the gradient passes as if there were no step.
struct StraightThrough {
  static constexpr const char* kKind = "straight_through";

  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

/// A user's own: a function that writes the derivatives for many values of x at once.
///
///     auto triangle = volley::CustomSurrogate::of([](float* g, const float* x, std::size_t count) {
///       for (std::size_t i = 0; i < count; ++i) g[i] = std::max(0.0f, 1 - std::abs(x[i]));
///     });
///     volley::LIF lif{{.surrogate = triangle}};
///
/// Each g must depend on its own x alone. Several threads call it at once, and where a layer is not as wide
/// as a vector some of the x are of no neuron. A recipe cannot hold one.
struct CustomSurrogate {
  static constexpr const char* kKind = "custom";
  using Derivative = void (*)(const void* context, float* g, const float* x, std::size_t count);

  Derivative derivative = nullptr;
  std::shared_ptr<const void> context;  // what `derivative` is called with

  template <class Function>
  static CustomSurrogate of(Function function) {
    return {[](const void* called, float* g, const float* x, std::size_t count) {
              (*static_cast<const Function*>(called))(g, x, count);
            },
            std::make_shared<const Function>(std::move(function))};
  }

  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

using Surrogate = std::variant<ATan, Sigmoid, PiecewiseQuadratic, PiecewiseExp, SoftSign, SuperSpike, Erf,
                               Rect, PiecewiseLeakyReLU, LeakyKReLU, LogTailedReLU, S2NN, QPseudoSpike,
                               NonzeroSignLogAbs, StraightThrough, CustomSurrogate>;

/// Throws Error where a parameter of the surrogate is out of range, or a custom one has no derivative.
void check_surrogate(const Surrogate& surrogate);

}  // namespace volley
