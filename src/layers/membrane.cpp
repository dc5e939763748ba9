#include <volley/membrane.hpp>

#include <optional>
#include <utility>

#include "layers/neuron_pass.hpp"
#include "signal/views.hpp"

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

}  // namespace

std::vector<NamedMembrane> membranes(Layer& net, const Tape& tape) {
  std::vector<NamedMembrane> all;
  add_membranes(all, net, tape, "");
  return all;
}

Membrane neuron_membrane(const NeuronLayer& layer, const Signal& x, const ops::NeuronShape& shape,
                         const Carry& carry, Executor& device) {
  const Shape stored = stored_shape(x.shape(), x.layout(), x.steps());
  Tensor h(stored), v(stored), threshold(stored);
  device.run(ops::NeuronTrace{.neuron = ops::lower(layer.any_options()),
                              .parameters = numbers_of(layer, device),
                              .shape = shape,
                              .x = values_of(x, device),
                              .carry = carry.before(device),
                              .h = device.write(h),
                              .v = device.write(v),
                              .threshold = device.write(threshold)});
  const auto plain_of = [&](const Tensor& values) {
    return to_tensor(Signal(values, x.shape(), x.layout()));
  };
  return {.current = to_tensor(x), .h = plain_of(h), .v = plain_of(v), .threshold = plain_of(threshold)};
}

}  // namespace volley
