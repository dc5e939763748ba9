#include <volley/layer.hpp>

#include <fmt/format.h>

#include <utility>

#include <volley/error.hpp>

namespace volley {

Signal run_child(const Layer& layer, const Signal& x, Tape& tape) {
  const Signal y = layer.forward(x, tape);
  tape.set_trace({&layer, x, y});
  return y;
}

void check_real_input(std::string_view kind, const Signal& x) {
  if (x.is_spikes()) {
    throw Error(fmt::format(
        "[{}] input must be real-valued currents, got spikes of shape {}; put a linear layer before it", kind,
        x.shape().text()));
  }
}

std::vector<NamedTensor> values_of(const std::vector<NamedParameter>& parameters) {
  std::vector<NamedTensor> values;
  for (const auto& [name, parameter] : parameters) values.push_back({name, &parameter->value});
  return values;
}

std::vector<NamedTensor> state_of(Layer& layer) {
  std::vector<NamedTensor> state = values_of(layer.parameters());
  for (NamedTensor& buffer : layer.buffers()) state.push_back(std::move(buffer));
  return state;
}

void zero_gradients(const std::vector<NamedParameter>& parameters) {
  for (const NamedParameter& p : parameters) p.parameter->gradient.zero();
}

}  // namespace volley
