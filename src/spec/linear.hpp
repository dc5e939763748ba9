#pragma once

#include <algorithm>
#include <cstddef>

namespace volley::spec {

// y[t] = W x[t] + b over rows, a row being one step of one sample: what kernels/linear.cpp and
// kernels/groups.cpp must compute. x is 0 or 1 where it is spikes. Gradients of parameters are sums over the
// rows of one block of samples; core/tree_sum.hpp joins the blocks. Equation numbers are those of
// docs/math/linear.md.

/// y (rows, out) from x (rows, in), weight (out, in), bias (out) or null. Sums run over `in`, ascending.
template <class Real>
void linear_forward(Real* y, const Real* x, const Real* weight, const Real* bias, std::size_t rows,
                    std::size_t in, std::size_t out) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      Real sum = bias != nullptr ? bias[o] : Real(0);
      for (std::size_t i = 0; i < in; ++i) {
        if (x[r * in + i] != Real(0)) sum += weight[o * in + i] * x[r * in + i];
      }
      y[r * out + o] = sum;
    }
  }
}

/// The same for spikes x to many outputs: four inputs at a time, each group of four summed by itself.
template <class Real>
void linear_forward_by_fours(Real* y, const Real* x, const Real* weight, const Real* bias, std::size_t rows,
                             std::size_t in, std::size_t out) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      Real sum = bias != nullptr ? bias[o] : Real(0);
      for (std::size_t i = 0; i < in; i += 4) {
        Real four = 0;
        for (std::size_t k = i; k < std::min(i + 4, in); ++k) {
          if (x[r * in + k] != Real(0)) four += weight[o * in + k];
        }
        sum += four;
      }
      y[r * out + o] = sum;
    }
  }
}

/// dx (rows, in) from dy (rows, out). Sums run over `out`, ascending.
template <class Real>
void linear_input_gradient(Real* dx, const Real* dy, const Real* weight, std::size_t rows, std::size_t in,
                           std::size_t out) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < in; ++i) {
      Real sum = 0;
      for (std::size_t o = 0; o < out; ++o) sum += dy[r * out + o] * weight[o * in + i];
      dx[r * in + i] = sum;
    }
  }
}

/// dweight (out, in) += dy^T x. Sums run over the rows, ascending.
template <class Real>
void linear_weight_gradient(Real* dweight, const Real* dy, const Real* x, std::size_t rows, std::size_t in,
                            std::size_t out) {
  for (std::size_t o = 0; o < out; ++o) {
    for (std::size_t i = 0; i < in; ++i) {
      Real sum = 0;
      for (std::size_t r = 0; r < rows; ++r) sum += dy[r * out + o] * x[r * in + i];
      dweight[o * in + i] += sum;
    }
  }
}

/// The same for spikes x (samples, steps, in), in the order of the fast kernel: within a sample four steps at
/// a time, each group of four summed by itself, as a table of the 16 subset sums gives it.
template <class Real>
void linear_weight_gradient_by_fours(Real* dweight, const Real* dy, const Real* x, std::size_t samples,
                                     std::size_t steps, std::size_t in, std::size_t out) {
  for (std::size_t o = 0; o < out; ++o) {
    for (std::size_t i = 0; i < in; ++i) {
      Real sum = 0;
      for (std::size_t n = 0; n < samples; ++n) {
        for (std::size_t t = 0; t < steps; t += 4) {
          Real group = 0;
          for (std::size_t k = t; k < std::min(t + 4, steps); ++k) {
            const std::size_t r = n * steps + k;
            if (x[r * in + i] != Real(0)) group += dy[r * out + o];
          }
          sum += group;
        }
      }
      dweight[o * in + i] += sum;
    }
  }
}

/// dbias (out) += the sum of dy over the rows of one sample, ascending.
template <class Real>
void linear_bias_gradient(Real* dbias, const Real* dy, std::size_t rows, std::size_t out) {
  for (std::size_t o = 0; o < out; ++o) {
    Real sum = 0;
    for (std::size_t r = 0; r < rows; ++r) sum += dy[r * out + o];
    dbias[o] += sum;
  }
}

}  // namespace volley::spec
