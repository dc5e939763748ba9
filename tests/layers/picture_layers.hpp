#pragma once

#include <volley/layer.hpp>
#include <volley/signal.hpp>

#include "support/random.hpp"
#include "support/random_tensor.hpp"
#include "support/signal_forms.hpp"

// What tests of the layers on pictures share: one input in every form it can have.

namespace volley::test {

inline std::vector<float> values_of(const Signal& x) {
  return {x.values(), x.values() + x.stored_shape().size()};
}

/// Row-major values of every step, of spikes too.
inline std::vector<float> plain_values(const Signal& x) {
  ThreadPool pool(1);
  if (!x.is_spikes()) {
    SignalMemory memory;
    return values_of(plain(x, memory, pool));
  }
  std::vector<std::uint8_t> bytes(x.shape().size());
  x.spikes().to_bytes(bytes);
  return {bytes.begin(), bytes.end()};
}

/// What one pass through a layer gives, plain.
struct PassResult {
  Signal y;  // in the tape's memory: its form only
  std::vector<float> y_values, dx;
  std::vector<std::vector<float>> gradients;
};

/// A pass and its backward with the dy given, (N, T, features...), plain.
inline PassResult run_pass(Layer& layer, const Signal& x, const Tensor& dy, std::size_t threads = 2) {
  ThreadPool pool(threads);
  Tape tape(pool);
  PassResult result;
  for (int pass = 0; pass < 2; ++pass) {  // the second on a used tape
    zero_gradients(layer.parameters());
    SignalMemory memory;
    result.y = layer.forward(x, tape);
    result.y_values = plain_values(result.y);
    const Signal dx = layer.backward(tape, in_form_of(result.y, dy, memory, pool));
    EXPECT_EQ(dx.layout(), x.layout());
    EXPECT_EQ(dx.stored_shape(), x.stored_shape());
    result.dx = plain_values(dx);
  }
  for (const NamedParameter& p : layer.parameters()) {
    const auto g = p.parameter->gradient.values();
    result.gradients.emplace_back(g.begin(), g.end());
  }
  return result;
}

}  // namespace volley::test
