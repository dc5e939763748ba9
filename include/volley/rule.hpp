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

/// What a learning rule may look at after the forward pass of a batch. All of it lives until the rule
/// returns.
struct BatchResult {
  const Dataset& data;                     // has the pictures as the network was shown them; or is empty
  std::span<const std::uint32_t> samples;  // their indices in it
  std::span<const std::uint32_t> labels;   // of those samples; none where the targets are others
  const Signal& y;                         // (N, T, K), the network's output, in the form that it came in
  const Tensor& scores;                    // (N, K), as the loss gave them
  Tape& loss_tape;                         // of the loss's forward
};

/// Turns a batch's result into parameter gradients. One thread at a time.
class LearningRule {
 public:
  virtual ~LearningRule() = default;
  /// The name a recipe knows it by: "bptt".
  virtual std::string_view kind() const = 0;
  /// Throws Error when the rule cannot train this network, or not by the scores of this loss.
  virtual void check(const Layer& net, const Loss& loss) const {
    static_cast<void>(net);
    static_cast<void>(loss);
  }
  /// Adds to the gradients of the network's parameters, which are zero, after net.forward on `tape` and
  /// loss.forward on batch.loss_tape. Throws Error where check() does, or `batch` does not fit.
  virtual void gradients(Layer& net, const Loss& loss, const BatchResult& batch, Tape& tape) = 0;

 private:
  friend class Trainer;
  /// Whether gradients() itself looks at batch.data.pixels. Those of the library do not: operations do, on
  /// the device.
  virtual bool reads_pixels() const { return true; }
};

/// Backpropagation through time: the exact gradient of the whole T-step unrolling.
class Bptt final : public LearningRule {
 public:
  std::string_view kind() const override { return "bptt"; }
  void gradients(Layer& net, const Loss& loss, const BatchResult& batch, Tape& tape) override;

 private:
  bool reads_pixels() const override { return false; }
};

/// The hand-made rule of the tutorial that Volley began from, for a Sequential of Flatten, Linear without
/// bias, SoftLIF:
///
///     dW = sum over the batch of ((r - y) sigmoid'(v[T]))^T image
///
/// with v[T] the potential after the last step and the image, pixels / 255, in place of its spikes. r are the
/// scores, which a loss of rates must give. It is not BPTT: docs/math/article_rule.md says in which three
/// ways.
class ArticleRule final : public LearningRule {
 public:
  std::string_view kind() const override { return "article"; }
  void check(const Layer& net, const Loss& loss) const override;
  void gradients(Layer& net, const Loss& loss, const BatchResult& batch, Tape& tape) override;

 private:
  bool reads_pixels() const override { return false; }
};

}  // namespace volley
