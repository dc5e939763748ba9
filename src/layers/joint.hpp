#pragma once

#include <deque>
#include <span>
#include <vector>

#include <volley/graph.hpp>
#include <volley/signal.hpp>

#include "ops/executor.hpp"

namespace volley {

/// Signals joined into one, and the gradients of each: (J5) of docs/math/graph.md. A node of a Graph has one
/// in what it saves.
class Joint {
 public:
  /// Valid as long as the inputs, and until the next call.
  Signal forward(std::span<const Signal> inputs, Connect how, Executor& device);
  /// The gradient of input k, in the form that it had when it was joined: dy has that of what forward has
  /// returned. Valid until the next call, and as long as dy.
  std::span<const Signal> backward(const Signal& dy, Executor& device);

 private:
  struct Part {
    Signal joined;                       // the input, in the form that all have
    Signal until;                        // this one and those before it, joined
    SignalMemory memory, joined_memory;  // of the forms
    SignalMemory real_memory, until_memory;
    Tensor values, gradient, rest;
    Spikes spikes;
  };

  void bring_to_one_form(std::span<const Signal> inputs, Executor& device);
  Signal fold(Executor& device);
  Signal concatenate(Executor& device);
  void split(const Signal& dy, Executor& device);
  void unfold(const Signal& dy, Executor& device);

  Connect how_ = Connect::ADD;
  std::deque<Part> parts_;
  std::size_t count_ = 0;
  Tensor values_;
  Spikes spikes_;
  std::vector<Signal> gradients_;
};

}  // namespace volley
