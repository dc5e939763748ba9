#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>

#include <volley/device.hpp>
#include <volley/draw.hpp>
#include <volley/signal.hpp>

namespace volley {

class DevicePictures;  // src/signal/device_pictures.hpp

/// What kind of pass this is. The caller of forward sets it on the tape; layers that behave differently in
/// training, or that draw random numbers, read it. The default is an evaluation.
struct PassContext {
  bool training = false;
  Draw draw;
  std::span<const std::uint32_t>
      samples;  // indices in the data set; none: 0, 1, 2, ... Lives until forward is done
  /// The steps that each sample has, 1 to T; none: all T. What lies beyond is nothing's input: no layer
  /// counts it in a mean over the batch. Lives until forward is done.
  std::span<const std::uint32_t> lengths{};
  /// The trainer's: the pixels of a set of pictures that a device with its own memory has; null: none.
  DevicePictures* pictures = nullptr;

  /// The number that addresses the random draws of the n-th sample of the batch. Throws ArgumentError where
  /// `samples` has fewer.
  std::uint32_t address(std::size_t n) const;
};

class Layer;
class State;
class ThreadPool;

/// What went into a layer and what came out of it. Valid as long as these and the layer are.
struct Trace {
  const Layer* layer = nullptr;  // null where none ran
  Signal x;
  Signal y;
};

/// The memory of a pass: each layer's output and what its backward needs. The caller of forward owns it and
/// uses it again for the next pass, which then asks for no new memory. Layers hold parameters and buffers
/// only, so there is no state to reset, and one network can serve several tapes at once.
///
/// A container runs its i-th child on `tape.child(i)`; a layer keeps one struct of its own in
/// `tape.saved<T>()`.
///
/// Threads: a tape serves one forward or backward at a time; a second one throws. The device, or the pool,
/// that it is made with must outlive it.
class Tape {
 public:
  /// The operations of its passes run on `device`, and its memory lies there.
  explicit Tape(const Device& device);
  /// On the CPU, with these threads, or with ThreadPool::shared().
  explicit Tape(ThreadPool& threads);
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  const Device& device() const { return *device_; }
  /// Those of the host.
  ThreadPool& threads() const { return device_->threads(); }

  /// One for all tapes of a pass: a child shows its root's.
  const PassContext& context() const { return root_->context_; }
  void set_context(const PassContext& context) { root_->context_ = context; }

  /// The position of this tape's layer in the network: 0 at the root, and another number for every other tape
  /// of the pass, to within the collisions of a 64-bit hash beyond six levels or 1023 children.
  std::uint64_t place() const { return place_; }

  /// Whether backward must return dx here. The trainer clears it for a network whose input needs no gradient.
  bool needs_input_gradient() const { return needs_input_gradient_; }
  void set_needs_input_gradient(bool needed) { needs_input_gradient_ = needed; }

  /// Memory to which do_backward may write dx, instead of memory of its own: two pieces serve all children of
  /// a Sequential. Its contents are valid until the layer before has gone backward.
  Tensor& dx_memory();

  /// What the layer of this tape carries from pass to pass, in the pass under way; null where that begins and
  /// ends at rest. A child's is a part of its container's.
  State* state() const { return state_; }

  /// The tape of a container's child; made at its first use. Its address stays the same. Throws ArgumentError
  /// for an index of 2^20 or more.
  Tape& child(std::size_t index);

  const std::deque<Tape>& children() const { return children_; }

  /// The last forward on this tape. Spikes can be read from it, values only where they are in memory.
  const Trace& trace() const { return trace_; }

  /// What the layer of this tape keeps; made at its first use.
  template <class Saved>
  Saved& saved() {
    return *static_cast<Saved*>(saved(
        &kType<Saved>, []() -> void* { return new Saved; },
        [](void* kept) { delete static_cast<Saved*>(kept); }));
  }
  /// The same, to be looked at. Throws ArgumentError where the layer keeps no such thing.
  template <class Saved>
  const Saved& saved() const {
    return *static_cast<const Saved*>(saved(&kType<Saved>));
  }

 private:
  friend struct TapeAccess;  // src/layers/layer_access.hpp
  struct Pass;

  /// Its address identifies a type. typeid does not: types of one name in the unnamed namespaces of two files
  /// compare equal where a compiler gives them the same mangled name (Clang).
  template <class Saved>
  inline static char kType = 0;

  void* saved(const char* type, void* (*make)(), void (*drop)(void*));
  const void* saved(const char* type) const;
  /// When no operation needs it any more.
  void drop_saved() noexcept;

  std::unique_ptr<Pass> pass_;
  const Device* device_;
  Tape* root_ = this;
  Tape* parent_ = nullptr;
  std::size_t index_ = 0;   // among the parent's children
  State* state_ = nullptr;  // of the pass under way
  PassContext context_;     // the root's is the one that counts
  std::uint64_t place_ = 0;
  bool needs_input_gradient_ = true;
  Trace trace_;
  std::deque<Tape> children_;  // a deque, so that a child stays where it is when another is added
};

}  // namespace volley
