#pragma once

#include <cstddef>

namespace volley::kernels {

// What a core can do at most, for `volley bench` to set its figures against.

/// a (n) = b (n) + scale c (n): two arrays read, one written, as in McCalpin's STREAM.
void triad(float* a, const float* b, const float* c, float scale, std::size_t n);

/// Multiply-adds on registers alone, `rounds` times the number that keeps every unit busy. Returns how many
/// floating-point operations these were (a multiply-add is two); `sum` receives a value that depends on all
/// of them.
double multiply_adds(float* sum, std::size_t rounds);

}  // namespace volley::kernels
