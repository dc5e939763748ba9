#include <volley/membrane.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "layers/neuron_membrane.hpp"
#include "reference/neurons.hpp"

namespace volley {
namespace {

void add_membranes(std::vector<NamedMembrane>& all, Layer& layer, const Tape& tape, const std::string& path) {
  if (std::optional<Membrane> membrane = layer.membrane(tape)) all.push_back({path, *std::move(membrane)});
  const std::vector<NamedLayer> children = layer.children();
  for (std::size_t i = 0; i < children.size() && i < tape.children().size(); ++i) {
    const Tape& child = tape.children()[i];
    if (child.trace().layer != children[i].layer) continue;
    add_membranes(all, *children[i].layer, child,
                  path.empty() ? children[i].name : path + '.' + children[i].name);
  }
}

/// One neuron through time, by the spikes that it gave. Arrays have a step every `step` numbers.
template <class Neuron>
void follow(float* h, float* v, float* threshold, const Neuron& neuron, float* z, const float* x,
            std::size_t x_step, const float* s, std::size_t T, std::size_t step) {
  for (std::size_t t = 0; t < T; ++t) {
    neuron.charge(z, x[t * x_step]);
    h[t * step] = z[0];
    threshold[t * step] = z[0] - neuron.above(z);
    neuron.reset(z, s[t * step], s[t * step]);
    v[t * step] = z[0];
  }
}

}  // namespace

std::vector<NamedMembrane> membranes(Layer& net, const Tape& tape) {
  std::vector<NamedMembrane> all;
  add_membranes(all, net, tape, "");
  return all;
}

Membrane neuron_membrane(const NeuronLayer& layer, const Signal& x, const Signal& s, const Carry& carry) {
  const std::size_t T = s.steps(), size = s.features();
  const std::size_t x_step = x.constant() ? 0 : size;
  const Shape stored = stored_shape(s.shape(), x.layout(), T);
  Tensor h(stored), v(stored), threshold(stored);
  const std::vector<Parameter>& numbers = layer.numbers();
  std::visit(
      [&](const auto& o) {
        reference::with_neuron_of<float>(o, [&]<class Neuron>(Neuron neuron) {
          std::array<float, Neuron::kStates> z{};
          for (std::size_t i = 0; i < s.samples() * size; ++i) {
            const std::size_t n = i / size, f = i % size;
            for (std::size_t k = 0; k < numbers.size();
                 ++k) {  // of all, of a channel, which is last, or its own
              const Tensor& value = numbers[k].value;
              neuron.parameter(k) = value.data()[f % value.size()];
            }
            neuron.start(z.data());
            // A recurrent layer carries its spikes too, after what the neuron carries.
            for (std::size_t k = 0; k < z.size() && k < carry.count(); ++k) z[k] = carry.before(k)[i];
            const std::size_t first = n * T * size + f;
            follow(h.data() + first, v.data() + first, threshold.data() + first, neuron, z.data(),
                   x.values() + n * x.stored_steps() * size + f, x_step, s.values() + first, T, size);
          }
        });
      },
      layer.any_options());
  const auto plain_of = [&](const Tensor& values) {
    return to_tensor(Signal(values, s.shape(), x.layout()));
  };
  return {.current = to_tensor(x), .h = plain_of(h), .v = plain_of(v), .threshold = plain_of(threshold)};
}

}  // namespace volley
