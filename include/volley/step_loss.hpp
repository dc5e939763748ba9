#pragma once

#include <optional>

#include <volley/fields.hpp>
#include <volley/loss.hpp>

namespace volley {

/// Fields of StepCrossEntropy.
struct StepCrossEntropyOptions {
  static constexpr const char* kKind = "step_cross_entropy";

  float label_smoothing = 0.0f;
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("label_smoothing", self.label_smoothing, between(0, 1));
    visit("class_weights", self.class_weights, above(0));
  }
};

/// Classifies every step: the mean over a sample's steps of -log softmax(y[t])[label[t]], for spikes or real
/// values. Labels are (N, T), or (N) where a sample has one for all its steps. With class weights and labels
/// of steps, a sample's mean is weighed by those of its steps, and it counts by their mean. The scores are y
/// itself, (N, T, K).
class StepCrossEntropy final : public Loss {
 public:
  using Options = StepCrossEntropyOptions;

  explicit StepCrossEntropy(const StepCrossEntropyOptions& options = {});
  const StepCrossEntropyOptions& options() const { return options_; }
  std::string_view kind() const override { return StepCrossEntropyOptions::kKind; }
  Shape scores_shape(const Shape& y) const override { return y; }

 private:
  void check_targets(const Signal& y, const Targets& targets) const override;
  double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const override;
  void do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                   Tape& tape) const override;

  StepCrossEntropyOptions options_;
};

/// A loss of the steps at which the outputs, spikes, fire first; one that does not fire counts as if it fired
/// at its sample's last step. The slope of that step with respect to the spike there is taken to be -1, as in
/// snnTorch: docs/math/losses.md, (R16) and (R17). The scores are the steps, negated: the class that fires
/// first is the prediction.
class FirstSpikeLoss : public Loss {
 protected:
  struct Comparison;  // src/losses/step_loss.cpp

 private:
  double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const final;
  void do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                   Tape& tape) const final;
  /// The operation that computes the losses of the samples, or the gradient of their mean, as `what` asks.
  virtual void compare(const Comparison& what) const = 0;
};

/// Fields of FirstSpikeCrossEntropy.
struct FirstSpikeCrossEntropyOptions : StepCrossEntropyOptions {
  static constexpr const char* kKind = "first_spike_cross_entropy";
};

/// -log softmax(-time)[label]: snnTorch's ce_temporal_loss.
class FirstSpikeCrossEntropy final : public FirstSpikeLoss {
 public:
  using Options = FirstSpikeCrossEntropyOptions;

  explicit FirstSpikeCrossEntropy(const FirstSpikeCrossEntropyOptions& options = {});
  const FirstSpikeCrossEntropyOptions& options() const { return options_; }
  std::string_view kind() const override { return FirstSpikeCrossEntropyOptions::kKind; }

 private:
  void compare(const Comparison& what) const override;

  FirstSpikeCrossEntropyOptions options_;
};

/// Fields of FirstSpikeMse.
struct FirstSpikeMseOptions {
  static constexpr const char* kKind = "first_spike_mse";

  float scale = 1.0f;             // factor in front of the mean
  float on_step = 0.0f;           // at which the label should fire
  std::optional<float> off_step;  // and the other classes; not given: at the sample's last
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("scale", self.scale, above(0));
    visit("on_step", self.on_step, at_least(0));
    visit("off_step", self.off_step, at_least(0));
    visit("class_weights", self.class_weights, above(0));
  }
};

/// scale times the mean over the outputs of (time - target)^2, with the scale 1 / T^2 snnTorch's
/// mse_temporal_loss. The targets are the steps that the fields say for the label, or Targets::values (N, K).
class FirstSpikeMse final : public FirstSpikeLoss {
 public:
  using Options = FirstSpikeMseOptions;

  explicit FirstSpikeMse(const FirstSpikeMseOptions& options = {});
  const FirstSpikeMseOptions& options() const { return options_; }
  std::string_view kind() const override { return FirstSpikeMseOptions::kKind; }

 private:
  void check_targets(const Signal& y, const Targets& targets) const override;
  void compare(const Comparison& what) const override;

  FirstSpikeMseOptions options_;
};

}  // namespace volley
