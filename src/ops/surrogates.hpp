#pragma once

#include <variant>

#include <volley/surrogate.hpp>

namespace volley::ops {

// The numbers of surrogates as devices compute with them: the parameters, lowered once for every device, so
// that all have the same constants. docs/math/surrogates.md derives them.

struct ATan {
  float half_alpha, slope;
};
struct Sigmoid {
  float alpha;
};
struct PiecewiseQuadratic {
  float alpha;
};
struct PiecewiseExp {
  float half_alpha, minus_alpha;
};
struct SoftSign {
  float half_alpha, alpha;
};
struct SuperSpike {
  float alpha;
};
struct Erf {
  float height, alpha;
};
struct Rect {
  float alpha, half_width;
};
struct PiecewiseLeakyReLU {
  float w, inside, outside;
};
struct LeakyKReLU {
  float leak, k;
};
struct LogTailedReLU {
  float alpha;
};
struct S2NN {
  float alpha, beta;
};
struct QPseudoSpike {
  float minus_alpha, slope;
};
struct NonzeroSignLogAbs {
  float alpha;
};
struct StraightThrough {};
/// A function of the host. `context` is the layer's, which lives until the operation is done.
struct CustomSurrogate {
  volley::CustomSurrogate::Derivative derivative;
  const void* context;
};

using Surrogate = std::variant<ATan, Sigmoid, PiecewiseQuadratic, PiecewiseExp, SoftSign, SuperSpike, Erf,
                               Rect, PiecewiseLeakyReLU, LeakyKReLU, LogTailedReLU, S2NN, QPseudoSpike,
                               NonzeroSignLogAbs, StraightThrough, CustomSurrogate>;

Surrogate lower(const volley::Surrogate& surrogate);

}  // namespace volley::ops
