#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace volley::test {

/// The largest difference between `gradient` and central differences of `loss` at `x`, relative to the
/// gradient's scale. Everything in double, for a loss that is smooth.
inline double gradient_error(const std::function<double(const std::vector<double>&)>& loss,
                             std::vector<double> x, const std::vector<double>& gradient, double step = 1e-5) {
  double scale = 1e-6;
  double error = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    x[i] = at + step;
    const double above = loss(x);
    x[i] = at - step;
    const double below = loss(x);
    x[i] = at;
    const double numeric = (above - below) / (2 * step);
    scale = std::max(scale, std::abs(numeric));
    error = std::max(error, std::abs(numeric - gradient[i]));
  }
  return error / scale;
}

/// The dot product with a fixed random cotangent: the loss whose gradient a backward is asked for.
template <class Real>
double dot(const std::vector<Real>& a, const std::vector<Real>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// The largest |a - b|, relative to the largest |b|.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  double scale = 1e-12;
  double error = 0;
  for (std::size_t i = 0; i < std::size(b); ++i) {
    scale = std::max(scale, std::abs(static_cast<double>(b[i])));
    error = std::max(error, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return error / scale;
}

}  // namespace volley::test
