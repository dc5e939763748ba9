#pragma once

#include <string_view>

#include <volley/fields.hpp>
#include <volley/layer.hpp>

namespace volley {

/// Fields of dropout.
struct DropoutOptions {
  static constexpr const char* kKind = "dropout";

  float p = 0.5f;  // the part of the features that is silenced, 0 <= p < 1

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("p", self.p, from_below(0, 1));
  }
};

/// In a training (PassContext::training) silences each feature of a sample with probability p for all of its
/// T steps, and multiplies the others by 1 / (1 - p); otherwise the identity. SpikingJelly's Dropout.
///
/// x (N, T, features...), spikes or real values -> y of the same shape, real-valued in a training. Which
/// features are silenced is a function of (seed, epoch, sample, feature, place of the layer in the network)
/// alone; forward and backward both look it up (docs/math/dropout.md).
class Dropout final : public Layer {
 public:
  using Options = DropoutOptions;

  explicit Dropout(const DropoutOptions& options = {});

  const DropoutOptions& options() const { return options_; }
  std::string_view kind() const override { return DropoutOptions::kKind; }
  Shape output_shape(const Shape& features) const override { return features; }

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  DropoutOptions options_;
};

}  // namespace volley
