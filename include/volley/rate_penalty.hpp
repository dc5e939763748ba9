#pragma once

#include <volley/fields.hpp>
#include <volley/layer.hpp>

namespace volley {

enum class Norm { l1, l2 };

/// Fields of RatePenalty.
struct RatePenaltyOptions {
  static constexpr const char* kKind = "rate_penalty";

  Norm norm = Norm::l2;
  float target = 0.0f;   // the rate to be drawn to
  float weight = 0.01f;  // of the penalty beside the loss

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("norm", self.norm, any());
    visit("target", self.target, any());
    visit("weight", self.weight, at_least(0));
  }
};

/// Draws the firing rates of the layer before it to a target. Passes its input on as it is; in backward it
/// adds the gradient of
///
///     weight mean over features of |r - target| (l1) or (r - target)^2 (l2)
///
/// with r the rate of a feature, its mean over the batch and T. The loss that a training reports is without
/// it (docs/math/rate_penalty.md).
class RatePenalty final : public Layer {
 public:
  using Options = RatePenaltyOptions;

  explicit RatePenalty(const RatePenaltyOptions& options = {});

  const RatePenaltyOptions& options() const { return options_; }
  std::string_view kind() const override { return RatePenaltyOptions::kKind; }
  Shape output_shape(const Shape& features) const override { return features; }

  /// The penalty of the last forward on `tape`.
  double penalty(Tape& tape) const;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  RatePenaltyOptions options_;
};

}  // namespace volley
