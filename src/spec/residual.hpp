#pragma once

#include <cstddef>

#include <volley/residual.hpp>

namespace volley::spec {

// How a branch b and the shortcut s around it are joined, element by element, as functions of real values.
// Equation numbers are those of docs/math/residual.md.

/// y (n) from b (n) and s (n). (J1)
template <class Real>
void connect_forward(Real* y, const Real* b, const Real* s, Connect connect, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    switch (connect) {
      case Connect::ADD: y[i] = b[i] + s[i]; break;
      case Connect::AND:
      case Connect::PRODUCT: y[i] = b[i] * s[i]; break;
      case Connect::IAND: y[i] = (1 - b[i]) * s[i]; break;
      case Connect::MEAN: y[i] = (b[i] + s[i]) / 2; break;
      case Connect::CONCATENATE: break;  // no function of elements
    }
  }
}

/// db (n) and ds (n) from dy (n). (J2)
template <class Real>
void connect_backward(Real* db, Real* ds, const Real* dy, const Real* b, const Real* s, Connect connect,
                      std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    switch (connect) {
      case Connect::ADD:
        db[i] = dy[i];
        ds[i] = dy[i];
        break;
      case Connect::AND:
      case Connect::PRODUCT:
        db[i] = dy[i] * s[i];
        ds[i] = dy[i] * b[i];
        break;
      case Connect::IAND:
        db[i] = -dy[i] * s[i];
        ds[i] = dy[i] * (1 - b[i]);
        break;
      case Connect::MEAN:
        db[i] = dy[i] / 2;
        ds[i] = dy[i] / 2;
        break;
      case Connect::CONCATENATE: break;
    }
  }
}

}  // namespace volley::spec
