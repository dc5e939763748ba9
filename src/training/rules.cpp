#include <fmt/format.h>

#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/rule.hpp>

#include "layers/signal_forms.hpp"
#include "reference/soft_lif.hpp"

namespace volley {

void Bptt::gradients(Sequential& net, const Loss& loss, const BatchResult& batch, Tape& tape) {
  const Signal y = plain(batch.y, y_, tape.threads());
  loss.backward(y, batch.labels, batch.scores, dy_, tape.threads());
  net.backward(tape, in_form_of(batch.y, dy_, dy_as_given_, tape.threads()));
}

void ArticleRule::check(const Sequential& net, const Loss& loss) const {
  if (!loss.scores_are_rates()) {
    throw Error(
        fmt::format("[article] loss must be one of firing rates, such as rate_mse, got {}", loss.kind()));
  }
  const bool fits = net.size() == 3 && dynamic_cast<const Flatten*>(&net[0]) != nullptr &&
                    dynamic_cast<const Linear*>(&net[1]) != nullptr &&
                    !static_cast<const Linear&>(net[1]).options().bias &&
                    dynamic_cast<const SoftLIF*>(&net[2]) != nullptr;
  if (fits) return;
  std::string kinds;
  for (std::size_t i = 0; i < net.size(); ++i) kinds += fmt::format("{}{}", i > 0 ? ", " : "", net[i].kind());
  throw Error(fmt::format("[article] network must be flatten, linear without bias, soft_lif; got {}", kinds));
}

void ArticleRule::gradients(Sequential& net, const Loss&, const BatchResult& batch, Tape& tape) {
  Linear& linear = static_cast<Linear&>(net[1]);
  const Tensor& v_last = SoftLIF::last_potential(tape.child(2));
  const std::size_t K = linear.out();
  const std::size_t F = linear.in();
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
