#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <typeinfo>

#include <volley/draw.hpp>
#include <volley/signal.hpp>
#include <volley/threads.hpp>

namespace volley {

/// What kind of pass this is. Whoever runs it says so, on the tape; layers that behave differently in
/// training, or that draw random numbers, look here. Evaluation unless said otherwise.
struct PassContext {
  bool training = false;
  Draw draw;
  std::span<const std::uint32_t> samples;  // indices in the data set; none: 0, 1, 2, ... Lives until backward

  /// By which the n-th sample of the batch is known, whatever the batch.
  std::uint32_t address(std::size_t n) const {
    return draw.first_sample + (samples.empty() ? static_cast<std::uint32_t>(n) : samples[n]);
  }
};

class Layer;

/// What went into a layer and what came out, in a container's forward. Either may be a SampleSource.
struct Trace {
  const Layer* layer = nullptr;  // null where no container ran one
  Signal x;
  Signal y;
};

/// What a pass keeps: each layer's output and whatever its backward needs. A tape belongs to whoever runs the
/// pass and is used again for the next one, with the memory it has; layers themselves hold parameters and
/// buffers only, so there is no state to reset, and one network can serve several tapes at once.
///
/// A container gives its i-th child `tape.child(i)` and runs it with run_child (layer.hpp), which leaves a
/// trace; a layer keeps one struct of its own in `tape.saved<T>()`.
class Tape {
 public:
  explicit Tape(ThreadPool& threads = ThreadPool::shared()) : threads_(&threads) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  ThreadPool& threads() const { return *threads_; }

  /// One for all tapes of a pass: a child shows its root's.
  const PassContext& context() const { return root_->context_; }
  void set_context(const PassContext& context) { root_->context_ = context; }

  /// Where in the network this tape's layer is: 0 at the root, and another number for every other tape of
  /// the pass, as long as no container is deeper than six or has more than 1023 children.
  std::uint64_t place() const { return place_; }

  /// Whether backward must return dx here. The trainer clears it for a network whose input needs no gradient.
  bool needs_input_gradient() const { return needs_input_gradient_; }
  void set_needs_input_gradient(bool needed) { needs_input_gradient_ = needed; }

  /// Where a layer of one input may write dx, instead of to memory of its own. What is there lives until the
  /// layer before has gone backward: a container that runs its children one after another lends two pieces of
  /// memory to all.
  Tensor& dx_memory() { return lent_dx_ != nullptr ? *lent_dx_ : dx_; }
  void lend_dx_memory(Tensor& memory) { lent_dx_ = &memory; }

  /// Whether forward may return y, and backward dx, as a SampleSource: whoever gets it reads it so.
  bool y_by_sample() const { return y_by_sample_; }
  void set_y_by_sample(bool allowed) { y_by_sample_ = allowed; }
  bool dx_by_sample() const { return dx_by_sample_; }
  void set_dx_by_sample(bool allowed) { dx_by_sample_ = allowed; }

  /// The tape of a container's child; made at its first use. Stays where it is.
  Tape& child(std::size_t index) {
    while (children_.size() <= index) {
      Tape& made = children_.emplace_back(*threads_);
      made.root_ = root_;
      made.place_ = place_ << 10 | children_.size();
    }
    return children_[index];
  }

  const std::deque<Tape>& children() const { return children_; }

  /// What the last forward of this tape's layer took in and gave out; as long-lived as these are. For those
  /// who watch a network (monitor.hpp).
  const Trace& trace() const { return trace_; }
  void set_trace(const Trace& trace) { trace_ = trace; }

  /// What the layer of this tape keeps; made at its first use.
  template <class Saved>
  Saved& saved() {
    if (saved_ == nullptr || *type_ != typeid(Saved)) {
      saved_ = {new Saved, [](void* p) { delete static_cast<Saved*>(p); }};
      type_ = &typeid(Saved);
    }
    return *static_cast<Saved*>(saved_.get());
  }

 private:
  ThreadPool* threads_;
  Tape* root_ = this;
  PassContext context_;  // the root's is the one that counts
  std::uint64_t place_ = 0;
  bool needs_input_gradient_ = true;
  bool y_by_sample_ = false;
  bool dx_by_sample_ = false;
  Tensor dx_;
  Tensor* lent_dx_ = nullptr;
  Trace trace_;
  std::deque<Tape> children_;  // a deque, so that a child stays where it is when another is added
  std::unique_ptr<void, void (*)(void*)> saved_{nullptr, [](void*) {}};
  const std::type_info* type_ = nullptr;
};

}  // namespace volley
