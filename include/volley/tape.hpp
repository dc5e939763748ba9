#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <typeinfo>

#include <volley/threads.hpp>

namespace volley {

/// What a pass keeps: each layer's output and whatever its backward needs. A tape belongs to whoever runs the
/// pass and is used again for the next one, with the memory it has; layers themselves hold parameters only,
/// so there is no state to reset, and one network can serve several tapes at once.
///
/// A container gives its i-th child `tape.child(i)`; a layer keeps one struct of its own in
/// `tape.saved<T>()`.
class Tape {
 public:
  explicit Tape(ThreadPool& threads = ThreadPool::shared()) : threads_(&threads) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  ThreadPool& threads() const { return *threads_; }

  /// Whether backward must return dx here. The trainer clears it for a network whose input needs no gradient.
  bool needs_input_gradient() const { return needs_input_gradient_; }
  void set_needs_input_gradient(bool needed) { needs_input_gradient_ = needed; }

  /// The tape of a container's child; made at its first use. Stays where it is.
  Tape& child(std::size_t index) {
    while (children_.size() <= index) children_.emplace_back(*threads_);
    return children_[index];
  }

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
  bool needs_input_gradient_ = true;
  std::deque<Tape> children_;  // a deque, so that a child stays where it is when another is added
  std::unique_ptr<void, void (*)(void*)> saved_{nullptr, [](void*) {}};
  const std::type_info* type_ = nullptr;
};

}  // namespace volley
