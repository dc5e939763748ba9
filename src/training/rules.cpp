#include <fmt/format.h>

#include <string>

#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/rule.hpp>

#include "reference/soft_lif.hpp"

namespace volley {

namespace {

/// The network that the article's rule is for.
bool is_article_network(const Sequential& net) {
  const auto* linear = net.size() == 3 ? dynamic_cast<const Linear*>(&net[1]) : nullptr;
  return linear != nullptr && !linear->options().bias && dynamic_cast<const Flatten*>(&net[0]) != nullptr &&
         dynamic_cast<const SoftLIF*>(&net[2]) != nullptr;
}

std::string kinds_in(const Layer& net) {
  const auto* sequential = dynamic_cast<const Sequential*>(&net);
  if (sequential == nullptr) return std::string(net.kind());
  std::string kinds;
  for (std::size_t i = 0; i < sequential->size(); ++i) {
    kinds += fmt::format("{}{}", i > 0 ? ", " : "", (*sequential)[i].kind());
  }
  return kinds;
}

/// Throws unless `batch` has N samples of K scores, and pictures of F pixels.
void check_batch(const BatchResult& batch, const Tensor& v_last, std::size_t K, std::size_t F) {
  const std::size_t N = batch.samples.size();
  if (batch.data.size() == 0) throw ArgumentError("article", "samples must be pictures", "others");
  if (batch.labels.size() != N) {
    throw ArgumentError("article", fmt::format("needs one label for each of {} samples", N),
                        fmt::format("{}", batch.labels.size()));
  }
  const Shape expected{N, K};
  if (batch.scores.shape() != expected) {
    throw ShapeError("article", fmt::format("scores must be {}", expected.text()), batch.scores.shape());
  }
  if (v_last.size() != N * K) {
    throw ShapeError("article", fmt::format("the forward on the tape must be of {}", expected.text()),
                     v_last.shape());
  }
  batch.data.check(batch.samples);
  if (batch.data.shape.size() != F) {
    throw ShapeError("article", fmt::format("pictures must have {} pixels", F), batch.data.shape);
  }
}

}  // namespace

void Bptt::gradients(Layer& net, const Loss& loss, const BatchResult& batch, Tape& tape) {
  net.backward(tape, loss.backward(batch.loss_tape));
}

void ArticleRule::check(const Layer& net, const Loss& loss) const {
  if (!loss.scores_are_rates()) {
    throw ArgumentError(kind(), "loss must be one of firing rates, such as rate_mse", loss.kind());
  }
  if (!loss.class_weights().empty())
    throw ArgumentError(kind(), "loss must have no class_weights, which the rule knows nothing of");
  const auto* sequential = dynamic_cast<const Sequential*>(&net);
  if (sequential != nullptr && is_article_network(*sequential)) return;
  throw ArgumentError(
      kind(), fmt::format("network must be flatten, linear without bias, soft_lif; got {}", kinds_in(net)));
}

void ArticleRule::gradients(Layer& net, const Loss& loss, const BatchResult& batch, Tape& tape) {
  check(net, loss);
  Linear& linear = static_cast<Linear&>(static_cast<Sequential&>(net)[1]);
  const Tensor& v_last = SoftLIF::last_potential(tape.child(2));
  const std::size_t K = linear.out();
  const std::size_t F = linear.in();
  check_batch(batch, v_last, K, F);
  for (std::size_t n = 0; n < batch.samples.size(); ++n) {
    const std::span<const std::uint8_t> image = batch.data.picture(batch.samples[n]);
    for (std::size_t k = 0; k < K; ++k) {
      const std::size_t i = n * K + k;
      const float error = batch.scores.data()[i] - static_cast<float>(batch.labels[n] == k);
      const float delta = error * reference::sigmoid_derivative(v_last.data()[i]);
      float* row = linear.weight().gradient.data() + k * F;
      for (std::size_t f = 0; f < F; ++f) row[f] += delta * (static_cast<float>(image[f]) * (1.0f / 255.0f));
    }
  }
}

}  // namespace volley
