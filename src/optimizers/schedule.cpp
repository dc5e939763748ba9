#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <volley/error.hpp>
#include <volley/schedule.hpp>

namespace volley {
namespace {

/// The learning rate k epochs or steps after the warm-up, in the closed forms of torch.optim.lr_scheduler.
/// Equation numbers are those of docs/math/schedules.md.
struct LrAfter {
  double base;
  std::uint64_t k;

  double operator()(const ConstantSchedule&) const { return base; }
  double operator()(const StepSchedule& s) const { return decayed(s.gamma, k / s.step_size); }  // (H1)
  double operator()(const MultiStepSchedule& s) const {                                         // (H2)
    const auto passed = std::ranges::upper_bound(s.milestones, k) - s.milestones.begin();
    return decayed(s.gamma, static_cast<std::uint64_t>(passed));
  }
  double operator()(const ExponentialSchedule& s) const { return decayed(s.gamma, k); }  // (H3)
  double operator()(const CosineSchedule& s) const {                                     // (H4)
    const double angle = std::numbers::pi * static_cast<double>(k) / static_cast<double>(s.T_max);
    return s.eta_min + (base - s.eta_min) * (1 + std::cos(angle)) / 2;
  }

 private:
  double decayed(double gamma, std::uint64_t times) const {
    return base * std::pow(gamma, static_cast<double>(times));
  }
};

/// (H5) while k < warmup
double warmup_lr(double base, std::uint64_t k, std::uint64_t warmup, double start) {
  return base * (start + (1 - start) * static_cast<double>(k) / static_cast<double>(warmup));
}

}  // namespace

void check_schedule(const Schedule& schedule) {
  std::visit([]<class S>(const S& s) { check_fields(S::kKind, s); }, schedule);
  const MultiStepSchedule* steps = std::get_if<MultiStepSchedule>(&schedule);
  if (steps == nullptr) return;
  if (!std::ranges::is_sorted(steps->milestones)) {
    throw ArgumentError("multi_step", "milestones must be ascending",
                        fmt::format("{}", fmt::join(steps->milestones, ", ")));
  }
}

double scheduled_lr(const Schedule& schedule, double base_lr, std::uint64_t epochs, std::uint64_t steps) {
  check_schedule(schedule);
  const ScheduleOptions& common =
      std::visit([](const ScheduleOptions& s) -> const ScheduleOptions& { return s; }, schedule);
  const std::uint64_t k = common.unit == ScheduleUnit::epoch ? epochs : steps;
  if (k < common.warmup) return warmup_lr(base_lr, k, common.warmup, common.warmup_start);
  return std::visit(LrAfter{base_lr, k - common.warmup}, schedule);
}

}  // namespace volley
