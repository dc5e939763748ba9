#pragma once

#include <cstddef>
#include <vector>

#include <volley/fields.hpp>
#include <volley/layer.hpp>

namespace volley {

/// Fields of group normalisation. Names and defaults are PyTorch's.
struct GroupNormOptions {
  static constexpr const char* kKind = "group_norm";

  std::size_t num_groups = 0;  // divides num_channels
  std::size_t num_channels = 0;
  float eps = 1e-5f;   // added to the variance
  bool affine = true;  // whether weight and bias are learned; otherwise they stay 1 and 0

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("num_groups", self.num_groups, between(1, 1 << 24));
    visit("num_channels", self.num_channels, between(1, 1 << 24));
    visit("eps", self.eps, above(0));
    visit("affine", self.affine, any());
  }
};

/// Fields of layer normalisation. Names and defaults are PyTorch's.
struct LayerNormOptions {
  static constexpr const char* kKind = "layer_norm";

  std::vector<std::size_t> normalized_shape;  // the last dimensions of the features
  float eps = 1e-5f;                          // added to the variance
  bool elementwise_affine = true;             // whether weight and bias are learned
  bool bias = true;                           // whether there is a bias beside the weight

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("normalized_shape", self.normalized_shape, between(1, 1 << 24));
    visit("eps", self.eps, above(0));
    visit("elementwise_affine", self.elementwise_affine, any());
    visit("bias", self.bias, any());
  }
};

/// A normalisation whose mean and variance are those of one sample at one step:
///
///     y = (x - mean) / sqrt(variance + eps) weight + bias
///
/// It is the same in training and in evaluation, and has no buffers. Spikes are read as 0 and 1. The
/// mathematics is in docs/math/group_norm.md.
class SampleNorm : public Layer {
 public:
  /// 1 at first; empty where nothing is learned.
  Parameter& weight() {
    touch();
    return weight_;
  }
  /// 0 at first; empty where there is none.
  Parameter& bias() {
    touch();
    return bias_;
  }

 protected:
  /// `shape` is that of the parameters. `groups` groups of channels, each with all its positions, are
  /// normalised by themselves; 0: the features of `shape`, for each place in the dimensions before these.
  SampleNorm(const Shape& shape, std::size_t groups, float eps, bool has_weight, bool has_bias);

 private:
  Signal do_forward(const Signal& x, Tape& tape) const final;
  Signal do_backward(Tape& tape, const Signal& dy) final;
  std::vector<NamedParameter> own_parameters() final;
  void draw_parameters(std::uint32_t seed, std::uint32_t place) final;
  void check_parameters() const;

  Shape shape_;
  std::size_t groups_;
  float eps_;
  bool has_weight_;
  bool has_bias_;
  Parameter weight_;
  Parameter bias_;
};

/// PyTorch's GroupNorm: features (C) or (C, positions...); num_groups groups of neighbouring channels, each
/// with all its positions, are normalised by themselves. `weight` and `bias` are (C). One group a channel is
/// PyTorch's InstanceNorm.
class GroupNorm final : public SampleNorm {
 public:
  using Options = GroupNormOptions;

  explicit GroupNorm(const GroupNormOptions& options);
  /// The first two fields apart, as PyTorch has them: GroupNorm{4, 32, {.affine = false}}.
  GroupNorm(std::size_t num_groups, std::size_t num_channels, GroupNormOptions options = {});

  const GroupNormOptions& options() const { return options_; }
  std::string_view kind() const override { return GroupNormOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  std::unique_ptr<Layer> do_clone() const override;

  GroupNormOptions options_;
};

/// PyTorch's LayerNorm: normalises the last dimensions of the features, which must be normalized_shape, for
/// each place in those before. `weight` and `bias` have normalized_shape.
class LayerNorm final : public SampleNorm {
 public:
  using Options = LayerNormOptions;

  explicit LayerNorm(const LayerNormOptions& options);
  /// The first field apart, as PyTorch has it: LayerNorm{{100}, {.bias = false}}.
  explicit LayerNorm(std::vector<std::size_t> normalized_shape, LayerNormOptions options = {});

  const LayerNormOptions& options() const { return options_; }
  std::string_view kind() const override { return LayerNormOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  std::unique_ptr<Layer> do_clone() const override;

  LayerNormOptions options_;
};

}  // namespace volley
