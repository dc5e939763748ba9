#pragma once

#include "ops/encode.hpp"
#include "ops/feature.hpp"
#include "ops/join.hpp"
#include "ops/linear.hpp"
#include "ops/loss.hpp"
#include "ops/neuron.hpp"
#include "ops/norm.hpp"
#include "ops/picture.hpp"
#include "ops/signal.hpp"
#include "ops/update.hpp"

namespace volley {

/// The operations that a device implements, as plain structs of views and numbers: what is computed, and not
/// how. Pointers are the device's. N samples, T steps, S of them stored: T, or 1 where all are the same.
/// Each header of this folder has a topic, and lists its operations at its end.
namespace ops {}

/// Calls X(Operation) for each.
#define VOLLEY_FOR_EACH_OPERATION(X)   \
  VOLLEY_FOR_EACH_ENCODE_OPERATION(X)  \
  VOLLEY_FOR_EACH_LINEAR_OPERATION(X)  \
  VOLLEY_FOR_EACH_NEURON_OPERATION(X)  \
  VOLLEY_FOR_EACH_PICTURE_OPERATION(X) \
  VOLLEY_FOR_EACH_NORM_OPERATION(X)    \
  VOLLEY_FOR_EACH_FEATURE_OPERATION(X) \
  VOLLEY_FOR_EACH_JOIN_OPERATION(X)    \
  VOLLEY_FOR_EACH_SIGNAL_OPERATION(X)  \
  VOLLEY_FOR_EACH_LOSS_OPERATION(X)    \
  VOLLEY_FOR_EACH_UPDATE_OPERATION(X)

/// Of those, the ones whose values may be computed as they are read.
#define VOLLEY_FOR_EACH_DEFERRED_OPERATION(X) \
  X(LinearInputGradient)                      \
  X(NeuronBackward)                           \
  X(ConvForward)                              \
  X(MaxPoolBackward)                          \
  X(BatchNormForward)                         \
  X(BatchNormBackward)

}  // namespace volley
