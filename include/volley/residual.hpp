#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <volley/fields.hpp>
#include <volley/layers.hpp>

namespace volley {

/// Fields of Residual, beside its two sides.
struct ResidualOptions {
  static constexpr const char* kKind = "residual";

  Connect connect = Connect::ADD;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("connect", self.connect, any());
  }
};

/// The spike-element-wise residual block of SEW-ResNet (Fang et al., "Deep residual learning in spiking
/// neural networks", NeurIPS 2021):
///
///     y = connect(branch(x), shortcut(x))
///
/// Without a shortcut it is x itself. Branch and shortcut must give the same features, but for CONCATENATE.
/// AND and IAND of spikes give spikes; ADD, and whatever is real-valued, gives real values. Parameters and
/// buffers are named "branch.0.weight", "shortcut.0.weight". It is a Graph of its two sides.
class Residual final : public Layer {
 public:
  using Options = ResidualOptions;

  explicit Residual(Sequential branch, const ResidualOptions& options = {});
  Residual(Sequential branch, Sequential shortcut, const ResidualOptions& options = {});
  /// Shared with a caller that keeps a pointer; `shortcut` may be null. Throws ArgumentError where `branch`
  /// is, or where both are one.
  Residual(std::shared_ptr<Sequential> branch, std::shared_ptr<Sequential> shortcut,
           const ResidualOptions& options = {});
  Residual(const Residual& other);
  Residual(Residual&&) = default;
  Residual& operator=(const Residual& other);
  Residual& operator=(Residual&&) = default;

  const ResidualOptions& options() const { return options_; }
  const std::shared_ptr<Sequential>& branch() const { return branch_; }
  /// Null where the shortcut is x itself.
  const std::shared_ptr<Sequential>& shortcut() const { return shortcut_; }

  std::string_view kind() const override { return ResidualOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::vector<NamedLayer> do_children() override;
  std::unique_ptr<Layer> do_clone() const override;

  ResidualOptions options_;
  void build(std::shared_ptr<Sequential> branch, std::shared_ptr<Sequential> shortcut);

  std::shared_ptr<Sequential> branch_;
  std::shared_ptr<Sequential> shortcut_;
  Graph graph_;  // of these, and of where they are joined
};

}  // namespace volley
