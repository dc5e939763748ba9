#include "layers/carry.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>
#include <volley/state.hpp>

#include "kernels/linear.hpp"

namespace volley {
namespace {

/// Arrays (N, C, positions) turned to (N, positions, C), or the other way; copied where the layout is plain.
void turn(float* to, const float* from, const Shape& shape, Layout layout, bool into_pass) {
  const std::size_t size = shape.size();
  if (layout == Layout::row_major || size == 0) {
    std::copy_n(from, size, to);
    return;
  }
  const std::size_t N = shape[0], C = shape[1], P = size / (N * C);
  const std::size_t rows = into_pass ? C : P, columns = into_pass ? P : C;
  for (std::size_t n = 0; n < N; ++n) kernels::transpose(to + n * C * P, from + n * C * P, rows, columns);
}

}  // namespace

void Carry::take(const Tape& tape, const Signal& x, const std::vector<Carried>& all) {
  shape_ = x.shape().from(2).after({x.samples()});
  layout_ = x.layout();
  all_ = all;
  before_.resize(all.size());
  after_.resize(all.size());
  for (std::size_t k = 0; k < all.size(); ++k) {
    before_[k].resize(shape_.size());
    after_[k].resize(shape_.size());
    turn(before_[k].data(), tape.state()->at(all[k].name, shape_, all[k].start).value.data(), shape_, layout_,
         true);
  }
}

void Carry::end_forward(const Tape& tape) {
  for (std::size_t k = 0; used_ && k < all_.size(); ++k) {
    float* value = tape.state()->at(all_[k].name, shape_, all_[k].start).value.data();
    turn(value, after_[k].data(), shape_, layout_, false);
  }
}

void Carry::begin_backward(const Tape& tape) {
  graded_ = tape.state() != nullptr;
  for (std::size_t k = 0; graded_ && k < all_.size(); ++k) {
    const Tensor& gradient = tape.state()->at(all_[k].name, shape_, all_[k].start).gradient;
    if (gradient.size() == 0) {
      after_[k].zero();
      continue;
    }
    if (gradient.shape() != shape_) {
      throw ShapeError("state",
                       fmt::format("the gradient of {} must have the shape {}", all_[k].name, shape_.text()),
                       gradient.shape());
    }
    turn(after_[k].data(), gradient.data(), shape_, layout_, true);
  }
}

void Carry::end_backward(const Tape& tape) {
  for (std::size_t k = 0; graded_ && k < all_.size(); ++k) {
    Tensor& gradient = tape.state()->at(all_[k].name, shape_, all_[k].start).gradient;
    gradient.resize(shape_);
    turn(gradient.data(), after_[k].data(), shape_, layout_, false);
  }
}

}  // namespace volley
