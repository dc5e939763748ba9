#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/encode.hpp"

namespace volley::ops {

/// The numbers of one step of SGD: (O1) to (O3) of docs/math/optimizers.md.
struct SgdCoefficients {
  float lr;
  float momentum;
  float weight_decay;
  bool nesterov;
  bool first;  // the first step, at which the momentum is the gradient itself
};
/// One step of `size` weights. `momentum` is not touched where the coefficient is 0, and may then be null.
struct SgdStep {
  float* weight;
  float* momentum;
  const float* gradient;
  std::size_t size;
  SgdCoefficients c;
};

/// The numbers of step k = 1, 2, ... of Adam and AdamW: (O4) to (O7).
struct AdamCoefficients {
  float beta1;
  float beta2;
  float eps;
  float weight_decay;
  float step_size;           // lr / (1 - beta1^k)
  float inverse_sqrt_bias2;  // 1 / sqrt(1 - beta2^k)
  float keep = 1;            // the weight's factor before the step: 1, but for AdamW
};
struct AdamStep {
  float* weight;
  float *m, *v;
  const float* gradient;
  std::size_t size;
  AdamCoefficients c;
};

/// sum (1) = the sum of the squares of values (size), in the order of docs/decisions/order.md.
struct SumOfSquares {
  const float* values;
  std::size_t size;
  double* sum;
};

/// values (size) *= factor: (O8)
struct Scale {
  float* values;
  std::size_t size;
  float factor;
};

/// values (size) into [-most, most], most > 0; NaN stays NaN: (O9)
struct Clip {
  float* values;
  std::size_t size;
  float most;
};

/// values (size) = value
struct Fill {
  float* values;
  std::size_t size;
  float value;
};

/// gradient (K, F) += sum over n of (scores[n, k] - (labels[n] == k)) sigmoid'(v_last[n, k]) pixel / 255, n
/// ascending: docs/math/article_rule.md.
struct ArticleGradient {
  Pictures pictures;
  const float* scores;  // (N, K)
  const std::uint32_t* labels;
  const float* v_last;  // (N, K)
  std::size_t K;
  float* gradient;
};

}  // namespace volley::ops

#define VOLLEY_FOR_EACH_UPDATE_OPERATION(X) \
  X(SgdStep)                                \
  X(AdamStep)                               \
  X(SumOfSquares)                           \
  X(Scale)                                  \
  X(Clip)                                   \
  X(Fill)                                   \
  X(ArticleGradient)
