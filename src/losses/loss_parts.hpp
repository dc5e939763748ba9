#pragma once

#include <cstdint>
#include <string_view>

#include <volley/loss.hpp>

#include "signal/views.hpp"

namespace volley {

// What several losses are made of.

/// Throws unless the targets are a label for each sample of y, or also, `per_step`, for each of its steps;
/// those of steps that samples have are below the number of outputs.
void check_labels(std::string_view kind, const Signal& y, const Targets& targets, bool per_step);

/// How much sample n counts: s_n times the mean over its labels of their class weights, one label or one for
/// each of its steps.
double weight_of(const Loss& loss, const Targets& targets, std::size_t n, std::size_t samples);

/// What a loss keeps on its tape of the targets of a batch, where the device finds it.
class SavedTargets {
 public:
  /// Those of a forward; `targets.values` must live, unchanged, until its backward is done.
  ops::TargetsView take(const Loss& loss, const Targets& targets, std::size_t samples, const Tape& tape);
  const ops::TargetsView& view() const { return view_; }

 private:
  const std::uint32_t* labels_of(const Targets& targets, const Tape& tape);

  Buffer<std::uint32_t> labels_, lengths_, numbers_;
  Buffer<double> weights_;
  ops::TargetsView view_;
};

/// What a loss keeps that is a mean over samples.
struct SavedLosses {
  SavedTargets targets;
  Buffer<float> losses;  // (N)
  Buffer<double> mean;

  float* write_losses(std::size_t samples, Executor& device);
  /// scale times their mean, (R10).
  double mean_of(float scale, Executor& device);
};

}  // namespace volley
