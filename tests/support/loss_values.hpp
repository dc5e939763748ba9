#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <volley/loss.hpp>

#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace volley::test {

/// loss.forward on a tape of its own; `scores` receives the scores, where it is given.
inline double value_of(const Loss& loss, const Signal& y, const std::vector<std::uint32_t>& labels,
                       Tensor* scores = nullptr) {
  Tape tape;
  Tensor own;
  return loss.forward(y, labels, scores != nullptr ? *scores : own, tape);
}

/// The outputs y (N, T, K) as real values, the loss as the library gives it, against central differences.
inline double library_gradient_error(const Loss& loss) {
  const Shape shape{3, 4, 5};
  const std::vector<std::uint32_t> labels{4, 0, 2};
  Tensor y(shape), scores;
  Tape tape;
  std::ranges::copy(Random(4).values<float>(60, -1, 1), y.data());
  loss.forward(y, labels, scores, tape);
  const Signal dy = loss.backward(tape);
  const auto at = [&](const std::vector<double>& values) {
    Tensor moved(shape);
    std::ranges::transform(values, moved.data(), [](double x) { return static_cast<float>(x); });
    return value_of(loss, moved, labels);
  };
  const std::vector<double> x(y.values().begin(), y.values().end());
  return gradient_error(at, x, {dy.values(), dy.values() + y.size()}, 1e-2);
}

}  // namespace volley::test
