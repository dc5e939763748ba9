#pragma once

#include <cstdint>
#include <span>

#include <volley/fields.hpp>
#include <volley/signal.hpp>
#include <volley/tensor.hpp>
#include <volley/threads.hpp>

namespace volley {

/// Scores the output of a network and differentiates that. The mean over the batch; `labels` has N entries
/// below K, the number of output features. y is row-major and has every step stored; who runs the network
/// sees to that (src/layers/signal_forms.hpp).
class Loss {
 public:
  virtual ~Loss() = default;
  /// The name a recipe knows it by: "rate_mse".
  virtual std::string_view kind() const = 0;

  /// The loss of y (N, T, K). `scores` (N, K) receives what the prediction is made from: the class of the
  /// highest.
  virtual double forward(const Signal& y, std::span<const std::uint8_t> labels, Tensor& scores,
                         ThreadPool& threads = ThreadPool::shared()) const = 0;
  /// dy (N, T, K), given the scores that forward returned.
  virtual void backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor& scores,
                        Tensor& dy, ThreadPool& threads = ThreadPool::shared()) const = 0;
};

struct RateMseOptions {
  static constexpr const char* kKind = "rate_mse";

  float scale = 1.0f;  // factor in front of the mean; the article's rule uses 1/2

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("scale", self.scale, above(0));
  }
};

/// scale times the mean over batch and classes of (r - y)^2, with r the firing rate, the mean over T, and y
/// the one-hot label. Scores are the rates.
class RateMse final : public Loss {
 public:
  using Options = RateMseOptions;

  explicit RateMse(const RateMseOptions& options = {});
  const RateMseOptions& options() const { return options_; }
  std::string_view kind() const override { return RateMseOptions::kKind; }
  double forward(const Signal& y, std::span<const std::uint8_t> labels, Tensor& scores,
                 ThreadPool& threads = ThreadPool::shared()) const override;
  void backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor& scores, Tensor& dy,
                ThreadPool& threads = ThreadPool::shared()) const override;

 private:
  RateMseOptions options_;
};

struct RateCrossEntropyOptions {
  static constexpr const char* kKind = "rate_cross_entropy";
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

/// Mean over the batch of -log softmax(r)[label], with r the firing rate as the logit. Scores are the rates.
class RateCrossEntropy final : public Loss {
 public:
  using Options = RateCrossEntropyOptions;

  explicit RateCrossEntropy(const RateCrossEntropyOptions& = {}) {}
  RateCrossEntropyOptions options() const { return {}; }
  std::string_view kind() const override { return RateCrossEntropyOptions::kKind; }
  double forward(const Signal& y, std::span<const std::uint8_t> labels, Tensor& scores,
                 ThreadPool& threads = ThreadPool::shared()) const override;
  void backward(const Signal& y, std::span<const std::uint8_t> labels, const Tensor& scores, Tensor& dy,
                ThreadPool& threads = ThreadPool::shared()) const override;
};

/// The index of the highest score, the lowest index on a tie.
std::size_t predict(std::span<const float> scores);

}  // namespace volley
