#include "layers/carry.hpp"

#include <fmt/format.h>

#include <volley/error.hpp>
#include <volley/state.hpp>

#include "signal/views.hpp"

namespace volley {
namespace {

/// Turns an array (N, C, positions) to (N, positions, C), or the other way; copies it where the layout is
/// plain.
void turn(float* to, const float* from, const Shape& shape, Layout layout, bool into_pass, Executor& device) {
  if (shape.size() == 0) return;
  const bool turned = layout == Layout::channels_last;
  const std::size_t N = shape[0], C = turned ? shape[1] : 1, P = shape.size() / (N * C);
  device.run(ops::ConvertValues{.x = {.memory = from},
                                .N = N,
                                .from = 1,
                                .to = 1,
                                .rows = into_pass ? C : P,
                                .columns = into_pass ? P : C,
                                .turn = turned,
                                .y = to});
}

}  // namespace

void Carry::take(const Tape& tape, const Signal& x, const std::vector<Carried>& all) {
  Executor& device = executor_of(tape);
  shape_ = x.shape().from(2).after({x.samples()});
  layout_ = x.layout();
  all_ = all;
  before_.resize(all.size());
  after_.resize(all.size());
  for (std::size_t k = 0; k < all.size(); ++k) {
    before_[k].resize(shape_.size());
    after_[k].resize(shape_.size());
    const bool at_rest = tape.state()->find(all[k].name) == nullptr;
    const Tensor& value = tape.state()->at(all[k].name, shape_, all[k].start).value;
    if (at_rest) {  // the device can make that itself
      device.run(ops::Fill{.values = device.write(before_[k]), .size = shape_.size(), .value = all[k].start});
    } else {
      turn(device.write(before_[k]), device.read(value), shape_, layout_, true, device);
    }
  }
}

void Carry::end_forward(const Tape& tape) {
  Executor& device = executor_of(tape);
  for (std::size_t k = 0; used_ && k < all_.size(); ++k) {
    Tensor& value = tape.state()->at(all_[k].name, shape_, all_[k].start).value;
    turn(device.write(value), device.read(after_[k]), shape_, layout_, false, device);
  }
}

void Carry::begin_backward(const Tape& tape) {
  Executor& device = executor_of(tape);
  graded_ = tape.state() != nullptr;
  for (std::size_t k = 0; graded_ && k < all_.size(); ++k) {
    const Tensor& gradient = tape.state()->at(all_[k].name, shape_, all_[k].start).gradient;
    if (gradient.size() == 0) {
      device.run(ops::Fill{.values = device.write(after_[k]), .size = shape_.size(), .value = 0});
      continue;
    }
    if (gradient.shape() != shape_) {
      throw ShapeError("state",
                       fmt::format("the gradient of {} must have the shape {}", all_[k].name, shape_.text()),
                       gradient.shape());
    }
    turn(device.write(after_[k]), device.read(gradient), shape_, layout_, true, device);
  }
}

void Carry::end_backward(const Tape& tape) {
  Executor& device = executor_of(tape);
  for (std::size_t k = 0; graded_ && k < all_.size(); ++k) {
    Tensor& gradient = tape.state()->at(all_[k].name, shape_, all_[k].start).gradient;
    gradient.resize(shape_);
    turn(device.write(gradient), device.read(after_[k]), shape_, layout_, false, device);
  }
}

}  // namespace volley
