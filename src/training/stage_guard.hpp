#pragma once

#include <volley/trainer.hpp>

namespace volley {

/// Sets the stage of a trainer, and at its end the one before.
class Trainer::StageGuard {
 public:
  StageGuard(Stage& stage, Stage now) : stage_(stage), before_(std::exchange(stage, now)) {}
  ~StageGuard() { stage_ = before_; }
  StageGuard(const StageGuard&) = delete;
  StageGuard& operator=(const StageGuard&) = delete;

 private:
  Stage& stage_;
  Stage before_;
};

/// Calls a recorder between two steps: it may ask for an evaluation.
template <class Call>
auto Trainer::tell(const Call& call) {
  const StageGuard guard(stage_, Stage::listening);
  return call();
}

}  // namespace volley
