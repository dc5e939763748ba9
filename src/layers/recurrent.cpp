#include <volley/recurrent.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "layers/carry.hpp"
#include "layers/layer_access.hpp"
#include "layers/neuron_pass.hpp"
#include "signal/spike_words.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Spikes s;
  Tensor i;             // (N, T, F), x and what comes back
  Buffer<float> after;  // (N, T, states, F), what the neurons carry from each step to the next
  Tensor dx;
  Carry carry;                         // the neuron's, and the spikes of the last step
  std::vector<Buffer<float>> partial;  // for each of the neuron's parameters, its gradient (N, F)
  ops::Slot slot;
};

}  // namespace

Recurrent::Recurrent(std::size_t features, const RecurrentOptions& options)
    : features_(features), options_(options), neuron_(options.neuron) {
  check_range(RecurrentOptions::kKind, "features", static_cast<double>(features), at_least(1));
  neuron_.output_shape({features});
  weight_ = Parameter(weight_shape());
  Recurrent::draw_parameters(0, 0);
}

std::vector<Carried> Recurrent::carried() const {
  std::vector<Carried> all = carried_by(neuron_.any_options());
  all.push_back({"s", 0.0f});
  return all;
}

std::vector<std::string> Recurrent::state_names() const { return names_of(carried()); }

std::optional<Membrane> Recurrent::do_membrane(const Tape& tape) const {
  neuron_.check_parameters();
  const Saved& saved = tape.saved<Saved>();
  return neuron_membrane(neuron_, saved.i, shape_of(saved.i, saved.s), saved.carry, executor_of(tape));
}

std::vector<NamedLayer> Recurrent::do_children() { return {{"neuron", &neuron_}}; }

std::vector<NamedParameter> Recurrent::own_parameters() { return {{"weight", &weight_}}; }

Shape Recurrent::output_shape(const Shape& features) const {
  if (features != Shape{features_}) {
    throw ShapeError(kind(), fmt::format("input features must be {}", Shape{features_}.text()), features);
  }
  return features;
}

void Recurrent::draw_parameters(std::uint32_t seed, std::uint32_t place) {
  if (options_.feedback == Feedback::element_wise) {
    std::ranges::fill(weight_.value.values(), 1.0f);
    return;
  }
  PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), place);
  const double bound = 1 / std::sqrt(static_cast<double>(features_));
  for (float& w : weight_.value.values()) w = static_cast<float>((2 * random.uniform() - 1) * bound);
}

Form Recurrent::reads(const Shape&) const { return {.values = Form::Values::currents}; }

Shape Recurrent::weight_shape() const {
  return options_.feedback == Feedback::linear ? Shape{features_, features_} : Shape{features_};
}

Signal Recurrent::do_forward(const Signal& x, Tape& tape) const {
  check_parameter(kind(), "weight", weight_, weight_shape());
  neuron_.check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  SpikeWords::shape_steps(saved.s, x.shape());
  saved.i.resize(x.shape());
  const std::size_t states = carried().size() - 1;
  saved.after.resize(x.shape().size() * states);
  saved.carry.begin_forward(tape, x, [&] { return carried(); });
  device.run(ops::RecurrentForward{.neuron = ops::lower(neuron_.any_options()),
                                   .parameters = numbers_of(neuron_, device),
                                   .shape = shape_of(x, saved.s),
                                   .states = states,
                                   .linear = options_.feedback == Feedback::linear,
                                   .x = values_of(x, device),
                                   .weight = device.read(weight_.value),
                                   .i = device.write(saved.i),
                                   .s = SpikeWords::write(saved.s, device),
                                   .after = device.write(saved.after),
                                   .carry = saved.carry.arrays(device),
                                   .slot = &saved.slot});
  saved.carry.end_forward(tape);
  return saved.s;
}

Signal Recurrent::do_backward(Tape& tape, const Signal& dy) {
  check_parameter(kind(), "weight", weight_, weight_shape());
  neuron_.check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const std::size_t N = saved.x.samples();
  saved.dx.resize(saved.x.shape());
  saved.carry.begin_backward(tape);
  ops::RecurrentBackward op{.neuron = ops::lower(neuron_.any_options()),
                            .surrogate = surrogate_of(neuron_.any_options()),
                            .parameters = numbers_of(neuron_, device),
                            .shape = shape_of(saved.x, saved.s),
                            .states = carried().size() - 1,
                            .linear = options_.feedback == Feedback::linear,
                            .dy = values_of(dy, device),
                            .i = device.read(saved.i),
                            .s = SpikeWords::view(saved.s, device).words,
                            .after = device.read(saved.after),
                            .weight = device.read(weight_.value),
                            .dweight = device.update(weight_.gradient),
                            .dx = device.write(saved.dx),
                            .carry = saved.carry.before(device),
                            .gradients = {.state = saved.carry.gradients(device)}};
  saved.partial.resize(neuron_.numbers().size());
  for (std::size_t k = 0; k < saved.partial.size(); ++k) {
    saved.partial[k].resize(N * features_);
    op.gradients.parameter[k] = device.write(saved.partial[k]);
  }
  device.run(op);
  saved.carry.end_backward(tape);
  add_parameter_gradients(neuron_.numbers_, saved.partial, N, 1, features_, device);
  return saved.dx;
}

std::unique_ptr<Layer> Recurrent::do_clone() const { return std::make_unique<Recurrent>(*this); }

}  // namespace volley
