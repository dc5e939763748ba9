#pragma once

#include <cstddef>
#include <string>

#include <volley/signal.hpp>
#include <volley/state.hpp>
#include <volley/tape.hpp>

#include "ops/executor.hpp"

namespace volley {

/// A signal of T steps and those before them that are still read, put together in pieces and read in pieces;
/// in plain form. Time is counted from the first of the steps before: step t of the pass is at past() + t.
class Timeline {
 public:
  /// Of (N, past + T, features...), zeros before the pass.
  void begin(const Shape& features, std::size_t N, std::size_t past, std::size_t T, Executor& device);
  std::size_t past() const { return past_; }
  std::size_t steps() const { return shape_[1] - past_; }

  /// The steps of y from `at` on. What was real values becomes spikes where y is: then they were no other
  /// than 0 and 1.
  void put(const Signal& y, std::size_t at, Executor& device);
  /// `count` steps from `at` on, (N, count, features...), in `memory`. Before a first put they are real
  /// values.
  Signal take(std::size_t at, std::size_t count, SignalMemory& memory, Executor& device) const;

  /// The steps before the pass, from a state or to it.
  void load(State& state, const std::string& name, Executor& device);
  void store(State& state, const std::string& name, Executor& device) const;

  /// The same for gradients, which are real values: 0 at first, added to, and read.
  void begin_gradient(Executor& device);
  void add_gradient(const Signal& dy, std::size_t at, Executor& device);
  Signal gradient(std::size_t at, std::size_t count, Tensor& memory, Executor& device) const;
  /// That of the steps before the pass, as it comes with the state after it, and leaves with that before it.
  void load_gradient(State& state, const std::string& name, Executor& device);
  void store_gradient(State& state, const std::string& name, Executor& device) const;

 private:
  Shape shape_{0, 0, 0};
  std::size_t past_ = 0;
  bool spikes_ = false;
  Tensor values_, gradients_;
  Spikes words_;
  SignalMemory plain_, in_steps_, real_;
};

}  // namespace volley
