#pragma once

#include <array>
#include <string>
#include <vector>

#include <volley/buffer.hpp>
#include <volley/neuron.hpp>
#include <volley/signal.hpp>
#include <volley/tape.hpp>

#include "ops/executor.hpp"

namespace volley {

inline std::vector<std::string> names_of(const std::vector<Carried>& all) {
  std::vector<std::string> names;
  for (const Carried& c : all) names.push_back(c.name);
  return names;
}

/// The arrays that a layer keeps in a State, as they lie in a pass: (N, features), in the layout of its x. A
/// layer has one in what it saves on its tape.
class Carry {
 public:
  /// At the beginning of a forward of the layer that carries all(), which is not asked without a state.
  template <class All>
  void begin_forward(const Tape& tape, const Signal& x, const All& all) {
    used_ = tape.state() != nullptr;
    if (used_) take(tape, x, all());
  }
  /// For the operations of a device: the arrays before the pass, kept for backward, and those that it leaves;
  /// null where there is no state.
  ops::NeuronCarry arrays(Executor& device) {
    ops::NeuronCarry arrays = before(device);
    for (std::size_t k = 0; k < count(); ++k) arrays.after[k] = device.write(after_[k]);
    return arrays;
  }
  ops::NeuronCarry before(Executor& device) const {
    ops::NeuronCarry arrays;
    for (std::size_t k = 0; k < count(); ++k) arrays.before[k] = device.read(before_[k]);
    return arrays;
  }
  /// Arrays; 0 where there is no state.
  std::size_t count() const { return used_ ? all_.size() : 0; }
  /// Writes what the pass has left to the state.
  void end_forward(const Tape& tape);

  /// At the beginning of a backward.
  void begin_backward(const Tape& tape);
  /// The gradients of the arrays after the pass, to be replaced by those of the arrays before it; null where
  /// the backward has no state.
  std::array<float*, ops::kMaxCarried> gradients(Executor& device) {
    std::array<float*, ops::kMaxCarried> arrays{};
    for (std::size_t k = 0; graded_ && k < after_.size(); ++k) arrays[k] = device.update(after_[k]);
    return arrays;
  }
  void end_backward(const Tape& tape);

 private:
  void take(const Tape& tape, const Signal& x, const std::vector<Carried>& all);

  bool used_ = false, graded_ = false;
  Shape shape_;  // of an array in the state
  Layout layout_ = Layout::row_major;
  std::vector<Carried> all_;
  std::vector<Buffer<float>> before_, after_;
};

}  // namespace volley
