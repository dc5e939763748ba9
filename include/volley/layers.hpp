#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <volley/fields.hpp>
#include <volley/graph.hpp>
#include <volley/layer.hpp>

namespace volley {

/// Flatten has no fields.
struct FlattenOptions {
  static constexpr const char* kKind = "flatten";
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

/// All feature dimensions into one, in row-major order: (N, T, C, H, W) -> (N, T, C H W). Moves nothing that
/// lies so already.
class Flatten final : public Layer {
 public:
  using Options = FlattenOptions;

  explicit Flatten(const FlattenOptions& = {}) {}
  FlattenOptions options() const { return {}; }
  std::string_view kind() const override { return FlattenOptions::kKind; }
  Shape output_shape(const Shape& features) const override { return {features.size()}; }

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;
};

/// Fields of Unflatten. Names are PyTorch's.
struct UnflattenOptions {
  static constexpr const char* kKind = "unflatten";

  std::size_t dim = 1;                        // counted as PyTorch counts: 1 is the first feature dimension
  std::vector<std::size_t> unflattened_size;  // into which that dimension is divided

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("dim", self.dim, between(1, Shape::kMaxRank));
    visit("unflattened_size", self.unflattened_size, between(1, 1 << 24));
  }
};

/// One feature dimension into several, in row-major order, the inverse of Flatten: (N, T, C H W) ->
/// (N, T, C, H, W). Moves nothing that lies so already.
class Unflatten final : public Layer {
 public:
  using Options = UnflattenOptions;

  explicit Unflatten(const UnflattenOptions& options);

  const UnflattenOptions& options() const { return options_; }
  std::string_view kind() const override { return UnflattenOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  UnflattenOptions options_;
};

/// Identity has no fields.
struct IdentityOptions {
  static constexpr const char* kKind = "identity";
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

/// What comes to it, as it is. In a Graph: a place where signals are joined, or that has a name.
class Identity final : public Layer {
 public:
  using Options = IdentityOptions;

  explicit Identity(const IdentityOptions& = {}) {}
  IdentityOptions options() const { return {}; }
  std::string_view kind() const override { return IdentityOptions::kKind; }
  Shape output_shape(const Shape& features) const override { return features; }

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;
};

/// Fields of Slice.
struct SliceOptions {
  static constexpr const char* kKind = "slice";

  std::size_t first = 0;           // of the features in row-major order
  std::vector<std::size_t> shape;  // of the output, such as {1, 28, 28}

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("first", self.first, between(0, 4294967295.0));
    visit("shape", self.shape, between(1, 1 << 24));
  }
};

/// Some of the features, from `first` on: (N, T, F) -> (N, T, shape...), spikes of spikes. How a Graph has
/// several inputs: they come as one signal, one behind another, and each is a Slice of it.
class Slice final : public Layer {
 public:
  using Options = SliceOptions;

  /// Throws ArgumentError for a shape of no or too many dimensions.
  explicit Slice(const SliceOptions& options);

  const SliceOptions& options() const { return options_; }
  std::string_view kind() const override { return SliceOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  SliceOptions options_;
};

/// How weights are first drawn.
enum class Init {
  uniform,  // U(-1/sqrt(in), 1/sqrt(in)), PyTorch's default
  normal,   // N(0, 1)
};

/// Fields of Linear, beside its sizes.
struct LinearOptions {
  static constexpr const char* kKind = "linear";

  bool bias = true;
  Init init = Init::uniform;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("bias", self.bias, any());
    visit("init", self.init, any());
  }
};

/// y[t] = W x[t] + b on the last of exactly one feature dimension: (N, T, in) -> (N, T, out), real-valued.
/// `weight` (out, in) and `bias` (out). x may be spikes or real values. Weights are drawn from seed 0 on
/// construction; initialize() of a network draws all its weights from one seed.
class Linear final : public Layer {
 public:
  using Options = LinearOptions;

  Linear(std::size_t in, std::size_t out, const LinearOptions& options = {});

  std::size_t in() const { return in_; }
  std::size_t out() const { return out_; }
  const LinearOptions& options() const { return options_; }
  Parameter& weight() {
    touch();
    return weight_;
  }
  /// Empty without the option `bias`.
  Parameter& bias() {
    touch();
    return bias_;
  }

  std::string_view kind() const override { return LinearOptions::kKind; }
  Shape output_shape(const Shape& features) const override;
  std::size_t macs(const Shape&) const override { return in_ * out_; }

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::vector<NamedParameter> own_parameters() override;
  void draw_parameters(std::uint32_t seed, std::uint32_t place) override;
  std::unique_ptr<Layer> do_clone() const override;
  void check_parameters() const;

  std::size_t in_;
  std::size_t out_;
  LinearOptions options_;
  Parameter weight_;
  Parameter bias_;
};

}  // namespace volley
