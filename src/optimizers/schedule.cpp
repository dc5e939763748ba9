#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>
#include <volley/schedule.hpp>

#include "reference/schedule.hpp"

namespace volley {
namespace {

/// The learning rate k epochs or steps after the warm-up.
struct LrAfter {
  double base;
  std::uint64_t k;

  double operator()(const ConstantSchedule&) const { return base; }
  double operator()(const StepSchedule& s) const { return reference::step_lr(base, k, s.step_size, s.gamma); }
  double operator()(const MultiStepSchedule& s) const {
    return reference::multi_step_lr(base, k, s.milestones, s.gamma);
  }
  double operator()(const ExponentialSchedule& s) const {
    return reference::exponential_lr(base, k, s.gamma);
  }
  double operator()(const CosineSchedule& s) const {
    return reference::cosine_lr(base, k, s.T_max, s.eta_min);
  }
};

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
  if (k < common.warmup) return reference::warmup_lr(base_lr, k, common.warmup, common.warmup_start);
  return std::visit(LrAfter{base_lr, k - common.warmup}, schedule);
}

}  // namespace volley
