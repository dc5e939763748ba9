#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "ops/loss.hpp"
#include "ops/neuron.hpp"
#include "ops/views.hpp"

namespace volley {

/// The operations that a device implements, as plain structs of views and numbers: what is computed, and not
/// how. Pointers are the device's. N samples, T steps, S of them stored: T, or 1 where all are the same.
namespace ops {

/// What a device keeps for itself of a pass from one operation of a layer to the next, and from one pass to
/// the next: lists, tables, copies in another order. A layer has one beside what it saves.
class Workspace {
 public:
  virtual ~Workspace() = default;
};
using Slot = std::unique_ptr<Workspace>;

/// The workspace of type `Own` in a slot; made where there is none.
template <class Own>
Own& workspace(Slot& slot) {
  auto* own = dynamic_cast<Own*>(slot.get());
  if (own == nullptr) {
    auto made = std::make_unique<Own>();
    own = made.get();
    slot = std::move(made);
  }
  return *own;
}

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

/// y (N, S, out) = x weight^T + bias, (W1) of docs/math/linear.md.
struct LinearForward {
  SignalView x;                 // row-major
  const float* weight;          // (out, x.F)
  const float* bias = nullptr;  // (out), or none
  float* y;
  std::size_t out;
  Slot* slot;
};

/// Adds the gradients of a LinearForward of the same x and slot: (W3), (W4).
struct LinearGradient {
  SignalView x;
  const float* dy;  // (N, S, out)
  float* weight;
  float* bias = nullptr;
  std::size_t out;
  Slot* slot;
};

/// dx (rows, in) = dy weight: (W5).
struct LinearInputGradient {
  const float* dy;  // (rows, out)
  const float* weight;
  float* dx = nullptr;
  std::size_t rows, in, out;
};

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

}  // namespace ops

/// Calls X(Operation) for each.
#define VOLLEY_FOR_EACH_OPERATION(X) \
  X(PoissonEncode)                   \
  X(LinearForward)                   \
  X(LinearGradient)                  \
  X(LinearInputGradient)             \
  X(NeuronForward)                   \
  X(NeuronBackward)                  \
  X(NeuronParameterGradient)         \
  X(ReadScores)                      \
  X(SpreadScores)                    \
  X(ScoreMse)                        \
  X(ScoreCrossEntropy)               \
  X(SgdStep)                         \
  X(AdamStep)                        \
  X(SumOfSquares)                    \
  X(Scale)                           \
  X(Clip)                            \
  X(Fill)

}  // namespace volley
