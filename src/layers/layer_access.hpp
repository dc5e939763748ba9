#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/error.hpp>
#include <volley/layer.hpp>
#include <volley/state.hpp>
#include <volley/tape.hpp>

#include "ops/executor.hpp"

namespace volley {

/// What a tape keeps of the last pass of its layer, and what the container has offered for the call under
/// way.
struct Tape::Pass {
  std::unique_ptr<const Device> own_device;  // where the tape was given threads alone

  std::unique_ptr<void, void (*)(void*)> saved{nullptr, nullptr};  // saved<T>()
  const char* saved_type = nullptr;

  std::uint64_t layer = 0;  // whose forward ended here; 0: none
  Signal given;             // x as it came
  Signal x;                 // in the form that the layer reads
  Signal y;
  SignalMemory x_memory, dy_memory, dx_memory;
  Tensor own_dx;

  bool carried = false;            // whether the forward had a state
  std::vector<const Tape*> steps;  // of a layer that ran step by step: the tape of each

  bool y_by_sample = false;   // whether do_forward may return y as a SampleSource
  bool dx_by_sample = false;  // whether do_backward may return dx so
  Tensor* lent_dx = nullptr;  // memory for dx
  std::atomic<bool> busy{false};
};

/// The private side of a Tape, for containers and for the layers of the CPU. An offer holds for the next call
/// on the child's tape alone.
struct TapeAccess {
  using Pass = Tape::Pass;

  static Pass& pass(Tape& tape) { return *tape.pass_; }
  static const Pass& pass(const Tape& tape) { return *tape.pass_; }
  /// Begins a pass with `given`, or with its part of the parent's state; returns whether there is one.
  static bool begin_state(Tape& tape, State* given) {
    const Tape* parent = tape.parent_;
    if (given == nullptr && parent != nullptr && parent->state_ != nullptr) {
      given = &parent->state_->child(tape.index_);
    }
    tape.state_ = given;
    return given != nullptr;
  }
  static void end_state(Tape& tape) { tape.state_ = nullptr; }
  /// Whether the last forward had a state.
  static bool carried(const Tape& tape) { return tape.pass_->carried; }
  static void set_trace(Tape& tape, const Trace& trace) { tape.trace_ = trace; }
  /// Of a layer that ran step by step, on tapes of their own.
  static void set_steps(Tape& tape, std::vector<const Tape*> steps) { tape.pass_->steps = std::move(steps); }
  /// What the layers below have run before counts no more: another network may have had more of them.
  static void clear_traces_below(Tape& tape) {
    for (Tape& child : tape.children_) {
      child.trace_ = {};
      child.pass_->steps.clear();
      clear_traces_below(child);
    }
  }

  static bool on_host(const Tape& tape) { return DeviceAccess::executor(tape.device()).is_host(); }
  static void offer_y_by_sample(Tape& child, bool offered) { child.pass_->y_by_sample = offered; }
  static void offer_dx_by_sample(Tape& child, bool offered) { child.pass_->dx_by_sample = offered; }
  static void lend_dx_memory(Tape& child, Tensor& memory) { child.pass_->lent_dx = &memory; }

  /// Gives the tape of one step of a layer the place of the layer's own, which addresses its random numbers.
  static void take_place(Tape& of_step, const Tape& own) { of_step.place_ = own.place_; }

  /// On the CPU alone: what computes values as they are read is the host's code.
  static bool y_by_sample(const Tape& tape) { return tape.pass_->y_by_sample && on_host(tape); }
  static bool dx_by_sample(const Tape& tape) { return tape.pass_->dx_by_sample && on_host(tape); }
  /// x of the last forward as it came, and in the form that the layer reads.
  static const Signal& given(const Tape& tape) { return tape.pass_->given; }
  static const Signal& x(const Tape& tape) { return tape.pass_->x; }
};

/// The number that stands for a path in a draw: "3" is 3; what is deeper is hashed (FNV-1a) to numbers of
/// 2^31 and more.
std::uint32_t place_of(std::string_view path);

/// The private side of a Layer.
struct LayerAccess {
  static bool reads_input_by_sample(const Layer& layer) { return layer.reads_input_by_sample(); }
  static bool reads_gradient_by_sample(const Layer& layer) { return layer.reads_gradient_by_sample(); }
  static bool has_parameters(Layer& layer) { return !layer.own_parameters().empty(); }
  /// Whether the layer has nothing to learn. A container counts as one that has: layers can come to it later.
  static bool is_fixed(Layer& layer) {
    return !has_parameters(layer) && layer.own_buffers().empty() && layer.do_children().empty() &&
           layer.kind() != "sequential";
  }
};

/// Throws ShapeError unless a layer's parameter and its gradient have the shape that the layer gave them:
/// both are public, and a user can replace them.
void check_parameter(std::string_view kind, std::string_view name, const Parameter& parameter,
                     const Shape& shape);
void check_tensor(std::string_view kind, std::string_view name, const Tensor& tensor, const Shape& shape);

}  // namespace volley
