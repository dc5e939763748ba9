#include <fmt/format.h>

#include <string>

#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/rule.hpp>

#include "encoders/pictures.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

/// What the article's rule keeps.
struct Saved {
  PicturesMemory pictures;
  Buffer<std::uint32_t> labels;
};

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
  Executor& device = executor_of(tape);
  Saved& saved = batch.loss_tape.child(1).saved<Saved>();  // the loss's own is child 0
  device.run(ops::ArticleGradient{.pictures = pictures_of(batch.data, batch.samples, saved.pictures, tape),
                                  .scores = device.read(batch.scores),
                                  .labels = put(saved.labels, batch.labels, device),
                                  .v_last = device.read(v_last),
                                  .K = K,
                                  .gradient = device.update(linear.weight().gradient)});
}

}  // namespace volley
