#include "ops/surrogates.hpp"

#include <numbers>

#include "ops/neurons.hpp"

namespace volley::ops {
namespace {

ATan of(const volley::ATan& f) {
  return {f.alpha / 2, number(std::numbers::pi / 2 * static_cast<double>(f.alpha))};
}
Sigmoid of(const volley::Sigmoid& f) { return {f.alpha}; }
PiecewiseQuadratic of(const volley::PiecewiseQuadratic& f) { return {f.alpha}; }
PiecewiseExp of(const volley::PiecewiseExp& f) { return {f.alpha / 2, -f.alpha}; }
SoftSign of(const volley::SoftSign& f) { return {f.alpha / 2, f.alpha}; }
SuperSpike of(const volley::SuperSpike& f) { return {f.alpha}; }
Erf of(const volley::Erf& f) {
  return {number(static_cast<double>(f.alpha) * std::numbers::inv_sqrtpi), f.alpha};
}
Rect of(const volley::Rect& f) { return {f.alpha, 1 / (2 * f.alpha)}; }
PiecewiseLeakyReLU of(const volley::PiecewiseLeakyReLU& f) { return {f.w, 1 / (2 * f.w), f.c}; }
LeakyKReLU of(const volley::LeakyKReLU& f) { return {f.leak, f.k}; }
LogTailedReLU of(const volley::LogTailedReLU& f) { return {f.alpha}; }
S2NN of(const volley::S2NN& f) { return {f.alpha, f.beta}; }
QPseudoSpike of(const volley::QPseudoSpike& f) {
  return {-f.alpha, number(2 / (static_cast<double>(f.alpha) - 1))};
}
NonzeroSignLogAbs of(const volley::NonzeroSignLogAbs& f) { return {f.alpha}; }
StraightThrough of(const volley::StraightThrough&) { return {}; }
CustomSurrogate of(const volley::CustomSurrogate& f) { return {f.derivative, f.context.get()}; }

}  // namespace

Surrogate lower(const volley::Surrogate& surrogate) {
  return std::visit([](const auto& f) -> Surrogate { return of(f); }, surrogate);
}

}  // namespace volley::ops
