#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include <volley/fields.hpp>

namespace volley {

// Learning rates that change. A schedule is a pure function of how many epochs, or steps, are done; there is
// nothing to save. Names, formulas and defaults are those of torch.optim.lr_scheduler
// (docs/math/schedules.md).

enum class ScheduleUnit { epoch, step };

/// What every schedule has.
struct ScheduleOptions {
  ScheduleUnit unit = ScheduleUnit::epoch;  // what is counted: epochs done, or steps of the optimizer
  std::size_t warmup = 0;         // linear warm-up over the first so many; then the schedule, from 0
  double warmup_start = 1.0 / 3;  // the factor that warm-up begins with

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("unit", self.unit, any());
    visit("warmup", self.warmup, between(0, 1e12));
    visit("warmup_start", self.warmup_start, between(0, 1));
  }
};

/// The learning rate as it is. LinearLR, where there is a warm-up.
struct ConstantSchedule : ScheduleOptions {
  static constexpr const char* kKind = "constant";
};

/// StepLR: times gamma after every step_size.
struct StepSchedule : ScheduleOptions {
  static constexpr const char* kKind = "step";

  std::size_t step_size = 0;  // must be given
  double gamma = 0.1;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("step_size", self.step_size, between(1, 1e12));
    visit("gamma", self.gamma, at_least(0));
    ScheduleOptions::fields(self, visit);
  }
};

/// MultiStepLR: times gamma at each milestone.
struct MultiStepSchedule : ScheduleOptions {
  static constexpr const char* kKind = "multi_step";

  std::vector<std::size_t> milestones;  // ascending
  double gamma = 0.1;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("milestones", self.milestones, between(0, 1e12));
    visit("gamma", self.gamma, at_least(0));
    ScheduleOptions::fields(self, visit);
  }
};

/// ExponentialLR: times gamma at every one.
struct ExponentialSchedule : ScheduleOptions {
  static constexpr const char* kKind = "exponential";

  double gamma = 0;  // must be given

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("gamma", self.gamma, above(0));
    ScheduleOptions::fields(self, visit);
  }
};

/// CosineAnnealingLR: half a cosine from the optimizer's learning rate to eta_min over T_max.
struct CosineSchedule : ScheduleOptions {
  static constexpr const char* kKind = "cosine";

  std::size_t T_max = 0;  // must be given
  double eta_min = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("T_max", self.T_max, between(1, 1e12));
    visit("eta_min", self.eta_min, at_least(0));
    ScheduleOptions::fields(self, visit);
  }
};

using Schedule =
    std::variant<ConstantSchedule, StepSchedule, MultiStepSchedule, ExponentialSchedule, CosineSchedule>;

/// Throws Error when a field of `schedule` is out of its range.
void check_schedule(const Schedule& schedule);

/// The learning rate after `epochs` whole epochs and `steps` steps, for an optimizer that was made with
/// `base_lr`. Throws as check_schedule does.
double scheduled_lr(const Schedule& schedule, double base_lr, std::uint64_t epochs, std::uint64_t steps);

}  // namespace volley
