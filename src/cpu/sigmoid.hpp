#pragma once

#include <cmath>

#include "core/exp_log.hpp"

namespace volley::cpu {

/// The sigmoid at x, 1 minus it, and its derivative, each without cancellation and without overflow.
struct SigmoidAt {
  float value, complement, slope;

  explicit SigmoidAt(float x) {
    const float e = exp_of(-std::abs(x));
    const float large = 1 / (1 + e);
    const float small = e * large;
    value = x < 0 ? small : large;
    complement = x < 0 ? large : small;
    slope = small * large;
  }
};

}  // namespace volley::cpu
