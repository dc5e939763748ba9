#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <volley/dataset.hpp>
#include <volley/layers.hpp>
#include <volley/loss.hpp>
#include <volley/tape.hpp>

namespace volley {

/// What a learning rule may look at after the forward pass of a batch.
struct BatchResult {
  const Dataset& data;
  std::span<const std::uint32_t> samples;  // indices into data
  std::span<const std::uint8_t> labels;    // of those samples
  const Signal& y;                         // (N, T, K), the network's output
  const Tensor& scores;                    // (N, K), as the loss gave them
};

/// Turns a batch's result into parameter gradients.
class LearningRule {
 public:
  virtual ~LearningRule() = default;
  /// The name a recipe knows it by: "bptt".
  virtual std::string_view kind() const = 0;
  /// Throws Error when the rule cannot train this network, or not by the scores of this loss.
  virtual void check(const Sequential& net, const Loss& loss) const {
    static_cast<void>(net);
    static_cast<void>(loss);
  }
  /// Adds to the gradients of the network's parameters, which are zero.
  virtual void gradients(Sequential& net, const Loss& loss, const BatchResult& batch, Tape& tape) = 0;
};

/// Backpropagation through time: the exact gradient of the whole T-step unrolling.
class Bptt final : public LearningRule {
 public:
  std::string_view kind() const override { return "bptt"; }
  void gradients(Sequential& net, const Loss& loss, const BatchResult& batch, Tape& tape) override;

 private:
  Tensor dy_;
  SignalMemory y_;
  SignalMemory dy_as_given_;
};

/// The hand-made rule of the tutorial that Volley began from, for Flatten, Linear without bias, SoftLIF:
///
///     dW = sum over the batch of ((r - y) sigmoid'(v[T]))^T image
///
/// with v[T] the potential after the last step and the image, pixels / 255, in place of its spikes. r are the
/// scores, which a loss of rates must give. It is not BPTT: docs/math/article_rule.md says in which three
/// ways.
class ArticleRule final : public LearningRule {
 public:
  std::string_view kind() const override { return "article"; }
  void check(const Sequential& net, const Loss& loss) const override;
  void gradients(Sequential& net, const Loss& loss, const BatchResult& batch, Tape& tape) override;
};

}  // namespace volley
