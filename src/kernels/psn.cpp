#include "kernels/psn.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/numerics.hpp"
#include "kernels/surrogate.hpp"

// Plain loops over features: each output stands alone, and the compiler takes vectors for them.

namespace volley::kernels {
namespace {

/// y += a x, element by element.
void add_scaled(float* __restrict y, float a, const float* __restrict x, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) y[i] += a * x[i];
}

/// The sum of a[i] b[i] in parts that are then added up: one order, whatever the vectors' width.
float dot(const float* a, const float* b, std::size_t size) {
  constexpr std::size_t kParts = numerics::kSumLanes;
  std::array<float, kParts> parts{};
  std::size_t i = 0;
  for (; i + kParts <= size; i += kParts) {
    for (std::size_t k = 0; k < kParts; ++k) parts[k] += a[i + k] * b[i + k];
  }
  for (; i < size; ++i) parts[i % kParts] += a[i] * b[i];
  float sum = 0;
  for (const float part : parts) sum += part;
  return sum;
}

/// (Y1): h (T, P F) of one sample.
void potentials(float* h, const float* x, const float* matrix, const float* bias, const NeuronShape& shape) {
  const std::size_t size = shape.P * shape.F;
  for (std::size_t t = 0; t < shape.T; ++t) {
    std::fill_n(h + t * size, size, bias[t]);
    for (std::size_t from = 0; from < shape.T; ++from) {
      const float* current = x + (shape.constant ? 0 : from * size);
      add_scaled(h + t * size, matrix[t * shape.T + from], current, size);
    }
  }
}

}  // namespace

void psn_forward(std::uint64_t* s, const float* x, const float* matrix, const float* bias,
                 const NeuronShape& shape, float* scratch) {
  std::memset(s, 0, shape.T * shape.P * shape.row_words * sizeof *s);
  potentials(scratch, x, matrix, bias, shape);
  const float* h = scratch;
  for (std::size_t row = 0; row < shape.T * shape.P; ++row, s += shape.row_words) {
    for (std::size_t f = 0; f < shape.F; ++f, ++h) {
      s[f / 64] |= static_cast<std::uint64_t>(*h >= 0) << f % 64;  // (Y2)
    }
  }
}

void psn_backward(float* dx, float* partial, const float* ds, const float* x, const float* matrix,
                  const float* bias, const ops::Surrogate& surrogate, const NeuronShape& shape,
                  float* scratch) {
  const std::size_t T = shape.T;
  const std::size_t size = shape.P * shape.F;
  float* h = scratch;
  float* g = h + T * size;
  float* ones = g + T * size;
  std::fill_n(ones, size, 1.0f);
  potentials(h, x, matrix, bias, shape);
  surrogate_derivatives(g, h, T * size, surrogate);
  for (std::size_t i = 0; i < T * size; ++i) h[i] = ds[i] * g[i];  // (Y5)
  std::fill_n(dx, shape.current_steps() * size, 0.0f);
  for (std::size_t from = 0; from < T; ++from) {
    const std::size_t at = shape.constant ? 0 : from * size;
    for (std::size_t t = 0; t < T; ++t) {
      add_scaled(dx + at, matrix[t * T + from], h + t * size, size);  // (Y6)
      partial[t * T + from] = dot(h + t * size, x + at, size);        // (Y7)
    }
  }
  for (std::size_t t = 0; t < T; ++t) partial[T * T + t] = dot(h + t * size, ones, size);
}

}  // namespace volley::kernels
