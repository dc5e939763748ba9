#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>

namespace volley::spec {

// Learning rates after k epochs or steps, in the closed forms of torch.optim.lr_scheduler. Equation numbers
// are those of docs/math/schedules.md.

/// (H1) StepLR
inline double step_lr(double base, std::uint64_t k, std::uint64_t step_size, double gamma) {
  const std::uint64_t passed = k / step_size;
  return base * std::pow(gamma, static_cast<double>(passed));
}

/// (H2) MultiStepLR; `milestones` ascending
inline double multi_step_lr(double base, std::uint64_t k, std::span<const std::size_t> milestones,
                            double gamma) {
  const auto passed = std::ranges::upper_bound(milestones, k) - milestones.begin();
  return base * std::pow(gamma, static_cast<double>(passed));
}

/// (H3) ExponentialLR
inline double exponential_lr(double base, std::uint64_t k, double gamma) {
  return base * std::pow(gamma, static_cast<double>(k));
}

/// (H4) CosineAnnealingLR
inline double cosine_lr(double base, std::uint64_t k, std::uint64_t T_max, double eta_min) {
  const double angle = std::numbers::pi * static_cast<double>(k) / static_cast<double>(T_max);
  return eta_min + (base - eta_min) * (1 + std::cos(angle)) / 2;
}

/// (H5) LinearLR with end_factor 1, while k < warmup
inline double warmup_lr(double base, std::uint64_t k, std::uint64_t warmup, double start) {
  return base * (start + (1 - start) * static_cast<double>(k) / static_cast<double>(warmup));
}

}  // namespace volley::spec
