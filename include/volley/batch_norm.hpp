#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include <volley/fields.hpp>
#include <volley/layer.hpp>

namespace volley {

/// Fields of batch normalisation. Names and defaults are PyTorch's.
struct BatchNormOptions {
  static constexpr const char* kKind = "batch_norm";

  float eps = 1e-5f;                     // added to the variance
  std::optional<float> momentum = 0.1f;  // the part a batch has in the running statistics; none: their mean
  bool affine = true;                    // whether weight and bias are learned; otherwise they stay 1 and 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("eps", self.eps, above(0));
    visit("momentum", self.momentum, between(0, 1));
    visit("affine", self.affine, any());
  }
};

/// Batch normalisation of each channel over samples, steps and positions: PyTorch's BatchNorm1d for features
/// (C) or (C, L), its BatchNorm2d for (C, H, W), with the steps as more samples.
///
///     y = (x - mean) / sqrt(variance + eps) weight + bias
///
/// In a training (PassContext::training) mean and variance are those of the batch, n = N T H W values a
/// channel; a signal that is constant in time counts T times. Otherwise they are the running ones.
///
/// `weight` and `bias` (C) are parameters, 1 and 0 at first; the buffers are `running_mean` and `running_var`
/// (C), 0 and 1 at first, and `num_batches_tracked`. The running statistics are updated by backward, not by
/// forward, which changes no layer: in a training loop that is the same (docs/math/batch_norm.md).
class BatchNorm : public Layer {
 public:
  using Options = BatchNormOptions;

  explicit BatchNorm(std::size_t channels, const BatchNormOptions& options = {});

  std::size_t channels() const { return channels_; }
  const BatchNormOptions& options() const { return options_; }
  Parameter& weight() {
    touch();
    return weight_;
  }
  Parameter& bias() {
    touch();
    return bias_;
  }
  Tensor& running_mean() { return running_mean_; }
  Tensor& running_var() { return running_var_; }

  std::string_view kind() const override { return BatchNormOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 protected:
  /// `weight` is what the weights are at first.
  BatchNorm(std::string_view kind, std::size_t channels, const BatchNormOptions& options, float weight);

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::vector<NamedParameter> own_parameters() override;
  std::vector<NamedTensor> own_buffers() override;
  void draw_parameters(std::uint32_t seed, std::uint32_t place) override;
  std::unique_ptr<Layer> do_clone() const override;
  void check_state() const;
  bool reads_input_by_sample() const override { return true; }
  bool reads_gradient_by_sample() const override { return true; }

  std::size_t channels_;
  BatchNormOptions options_;
  float first_weight_;
  Parameter weight_;
  Parameter bias_;
  Tensor running_mean_;
  Tensor running_var_;
  Tensor num_batches_tracked_{Shape{}};
  Buffer<std::uint64_t> batches_;  // (1) the same, exactly, beyond the 2^24 that a float counts
};

/// Fields of threshold-dependent batch normalisation.
struct ThresholdDependentBatchNormOptions {
  static constexpr const char* kKind = "threshold_dependent_batch_norm";

  float alpha = 1.0f;        // 1 in a chain of layers; 1 / sqrt(2) on each of two branches that are added
  float v_threshold = 1.0f;  // of the neurons that follow
  float eps = 1e-5f;
  std::optional<float> momentum = 0.1f;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, any());
    visit("v_threshold", self.v_threshold, any());
    visit("eps", self.eps, above(0));
    visit("momentum", self.momentum, between(0, 1));
  }
};

/// tdBN (Zheng et al., "Going deeper with directly-trained larger spiking neural networks", AAAI 2021): batch
/// normalisation whose weights are alpha v_threshold at first, so that currents spread as far as the
/// threshold. Like SpikingJelly's ThresholdDependentBatchNorm in all else.
class ThresholdDependentBatchNorm final : public BatchNorm {
 public:
  using Options = ThresholdDependentBatchNormOptions;

  explicit ThresholdDependentBatchNorm(std::size_t channels, const Options& options = {});

  const Options& options() const { return options_; }
  std::string_view kind() const override { return Options::kKind; }

 private:
  std::unique_ptr<Layer> do_clone() const override;

  Options options_;
};

}  // namespace volley
