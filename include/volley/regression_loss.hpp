#pragma once

#include <volley/fields.hpp>
#include <volley/loss.hpp>

namespace volley {

/// Which of its outputs a regression compares with a sample's targets.
enum class ValueReadout {
  mean,       // the mean over the sample's steps: of spikes, the firing rate
  last,       // that of its last step
  sum,        // the sum over its steps
  each_step,  // all of them, each with the target of its step, or with the one that the sample has
};

/// Fields of Mse.
struct MseOptions {
  static constexpr const char* kKind = "mse";

  float scale = 1.0f;  // factor in front of the mean
  ValueReadout readout = ValueReadout::mean;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("scale", self.scale, above(0));
    visit("readout", self.readout, any());
  }
};

/// Fields of L1.
struct L1Options : MseOptions {
  static constexpr const char* kKind = "l1";
};

/// Fields of Huber.
struct HuberOptions {
  static constexpr const char* kKind = "huber";

  float scale = 1.0f;  // factor in front of the mean
  ValueReadout readout = ValueReadout::mean;
  float delta = 1.0f;  // the size of an error from which its worth grows straight

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("scale", self.scale, above(0));
    visit("readout", self.readout, any());
    visit("delta", self.delta, above(0));
  }
};

/// Compares outputs with real targets: scale times the mean over the batch, and in each sample over the
/// outputs (and the steps, where each is compared), of what the errors are worth. Targets::values are (N, K),
/// or (N, T, K) for each_step. The scores are what was read from the steps. docs/math/losses.md, (R13) to
/// (R15).
class RegressionLoss : public Loss {
 public:
  Shape scores_shape(const Shape& y) const final;

 protected:
  /// What an error e is worth: e^2, |e|, or Huber's with a delta.
  enum class Worth { square, size, huber };

  RegressionLoss(float scale, ValueReadout readout, Worth worth, float delta = 1)
      : scale_(scale), readout_(readout), worth_(worth), delta_(delta) {}

 private:
  void check_targets(const Signal& y, const Targets& targets) const final;
  double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const final;
  void do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                   Tape& tape) const final;
  struct Lowered;  // src/losses/regression_loss.cpp

  float scale_;
  ValueReadout readout_;
  Worth worth_;
  float delta_;
};

/// Of the squares of the errors.
class Mse final : public RegressionLoss {
 public:
  using Options = MseOptions;

  explicit Mse(const MseOptions& options = {});
  const MseOptions& options() const { return options_; }
  std::string_view kind() const override { return MseOptions::kKind; }

 private:
  MseOptions options_;
};

/// Of the sizes of the errors. The slope at 0 is 0.
class L1 final : public RegressionLoss {
 public:
  using Options = L1Options;

  explicit L1(const L1Options& options = {});
  const L1Options& options() const { return options_; }
  std::string_view kind() const override { return L1Options::kKind; }

 private:
  L1Options options_;
};

/// e^2 / 2 for an error e of at most delta, delta (|e| - delta / 2) beyond: torch.nn.HuberLoss.
class Huber final : public RegressionLoss {
 public:
  using Options = HuberOptions;

  explicit Huber(const HuberOptions& options = {});
  const HuberOptions& options() const { return options_; }
  std::string_view kind() const override { return HuberOptions::kKind; }

 private:
  HuberOptions options_;
};

}  // namespace volley
