#include <volley/neuron.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>

#include "layers/carry.hpp"
#include "layers/layer_access.hpp"
#include "layers/neuron_pass.hpp"
#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor x_memory;
  Spikes s;
  ops::NeuronShape shape;
  Carry carry;
  std::vector<Buffer<float>> partial;  // for each parameter that is learned, its gradient by neuron
  ops::Slot slot;
};

/// Throws where two options say what h takes of the current.
template <class Options>
void check_charge(const Options& o) {
  if constexpr (requires { o.tau_charge; }) {
    if (!o.tau_charge.has_value() || o.decay_input) return;
    throw ArgumentError(o.kKind, "tau_charge must be none where decay_input is false",
                        fmt::format("{}", *o.tau_charge));
  }
}

/// How many numbers each parameter has; 0: one for all.
std::size_t channels_of(const AnyNeuron& options) {
  return std::visit(
      [](const auto& o) -> std::size_t {
        if constexpr (requires { o.channels; }) return o.channels;
        return 0;
      },
      options);
}

Shape parameter_shape(const AnyNeuron& options) { return {std::max<std::size_t>(1, channels_of(options))}; }

}  // namespace

void check_surrogate(const Surrogate& surrogate) {
  std::visit([](const auto& f) { check_fields(f.kKind, f); }, surrogate);
  const CustomSurrogate* custom = std::get_if<CustomSurrogate>(&surrogate);
  if (custom != nullptr && custom->derivative == nullptr) {
    throw ArgumentError("custom surrogate", "derivative must not be null");
  }
}

// Raw values are computed in double: 1 - value and init_tau - 1 are exact there, and keep their digits
// near 1.
std::vector<NeuronParameter> PLIFOptions::parameters() const {
  const double w = -std::log(static_cast<double>(init_tau) - 1);
  std::vector<NeuronParameter> all{{"w", static_cast<float>(w), learn_tau}};
  if (learn_threshold || channels != 0) all.push_back({"v_threshold", v_threshold, learn_threshold});
  return all;
}

std::vector<NeuronParameter> GLIFOptions::parameters() const {
  std::vector<NeuronParameter> all;
  visit_values(*this, [&](const char* name, double value) {
    all.push_back({name, static_cast<float>(std::log(value / (1 - value)))});
  });
  return all;
}

std::vector<NeuronParameter> parameters_of(const AnyNeuron& options) {
  return std::visit(
      [](const auto& o) -> std::vector<NeuronParameter> {
        if constexpr (requires { o.parameters(); }) return o.parameters();
        return {};
      },
      options);
}

std::vector<Carried> carried_by(const AnyNeuron& options) {
  std::vector<Carried> all;
  std::visit(
      [&](const auto& o) {
        float v = 0;
        if constexpr (requires { o.v_reset; }) v = o.v_reset.value_or(0.0f);
        all.push_back({"v", o.v_init.value_or(v)});
        if constexpr (requires { o.second_start(); }) {
          all.push_back({o.kSecondState, o.second_start()});
        } else if constexpr (requires { o.kSecondState; }) {
          all.push_back({o.kSecondState, 0});
        }
        if (o.refractory > 0) all.push_back({"refractory", 0});
      },
      options);
  return all;
}

ops::Surrogate surrogate_of(const AnyNeuron& options) {
  return std::visit([](const auto& o) { return ops::lower(o.surrogate); }, options);
}

ops::NeuronParameters numbers_of(const NeuronLayer& layer, Executor& device) {
  ops::NeuronParameters lowered{.per_feature = channels_of(layer.any_options()) != 0};
  for (std::size_t k = 0; k < layer.numbers().size(); ++k)
    lowered.value[k] = device.read(layer.numbers()[k].value);
  return lowered;
}

NeuronLayer::NeuronLayer(const AnyNeuron& options) : options_(options) {
  std::visit(
      [](const auto& o) {
        check_fields(o.kKind, o);
        check_charge(o);
        check_surrogate(o.surrogate);
      },
      options);
  for (const NeuronParameter& known : parameters_of(options)) {
    Parameter& number = numbers_.emplace_back(parameter_shape(options), ParameterKind::neuron);
    if (!known.learned) number.gradient = Tensor{};
  }
  NeuronLayer::draw_parameters(0, 0);
}

std::string_view NeuronLayer::kind() const {
  return std::visit([](const auto& o) { return o.kKind; }, options_);
}

std::vector<std::string> NeuronLayer::state_names() const { return names_of(carried_by(options_)); }

Shape NeuronLayer::output_shape(const Shape& features) const {
  const std::size_t channels = channels_of(options_);
  const bool fits =
      channels == 0 || features.size() == channels || (features.rank() > 0 && features[0] == channels);
  if (!fits) {
    throw ShapeError(kind(), fmt::format("input must have {} channels or neurons", channels), features);
  }
  return features;
}

/// With the currents of neurons that have parameters of their own side by side.
Form NeuronLayer::reads(const Shape& features) const {
  Form form{.values = Form::Values::currents, .layout = {}, .constant = true};
  const std::size_t channels = channels_of(options_);
  if (channels == 0 || features.rank() <= 1) return form;
  form.layout = channels == features[0] ? Layout::channels_last : Layout::row_major;
  return form;
}

void NeuronLayer::check_parameters() const {
  const std::vector<NeuronParameter> known = parameters_of(options_);
  if (numbers_.size() != known.size()) {
    throw ArgumentError(kind(), "layer must have its parameters", "one that was moved from");
  }
  for (std::size_t k = 0; k < known.size(); ++k) {
    check_tensor(kind(), known[k].name, numbers_[k].value, parameter_shape(options_));
    if (known[k].learned) check_parameter(kind(), known[k].name, numbers_[k], parameter_shape(options_));
  }
}

Signal NeuronLayer::do_forward(const Signal& x, Tape& tape) const {
  check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const SampleSource* source = source_of(x);
  const bool keep = source != nullptr && !source->repeatable();
  if (keep) saved.x_memory.resize(x.stored_shape());
  saved.x = keep ? x.with_values(saved.x_memory) : x;
  SpikeWords::shape_steps(saved.s, x.shape(), x.layout());
  saved.shape = shape_of(x, saved.s);
  saved.carry.begin_forward(tape, x, [&] { return carried_by(options_); });
  device.run(ops::NeuronForward{.neuron = ops::lower(options_),
                                .parameters = numbers_of(*this, device),
                                .shape = saved.shape,
                                .x = operand_of(x, device),
                                .kept_x = keep ? device.write(saved.x_memory) : nullptr,
                                .s = SpikeWords::write(saved.s, device),
                                .carry = saved.carry.arrays(device)});
  saved.carry.end_forward(tape);
  return saved.s;
}

Signal NeuronLayer::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const ops::NeuronShape& shape = saved.shape;
  saved.carry.begin_backward(tape);
  ops::NeuronBackward op{.neuron = ops::lower(options_),
                         .surrogate = surrogate_of(options_),
                         .parameters = numbers_of(*this, device),
                         .shape = shape,
                         .x = operand_of(saved.x, device),
                         .ds = operand_of(dy, device),
                         .carry = saved.carry.before(device),
                         .gradients = {.state = saved.carry.gradients(device)}};
  bool learns = false;
  saved.partial.resize(numbers_.size());
  for (std::size_t k = 0; k < numbers_.size(); ++k) {
    if (numbers_[k].gradient.size() == 0) continue;  // not learned
    learns = true;
    saved.partial[k].resize(shape.N * shape.P * shape.F);
    op.gradients.parameter[k] = device.write(saved.partial[k]);
  }
  const bool by_sample =
      TapeAccess::dx_by_sample(tape) && TapeAccess::given(tape).layout() == saved.x.layout();
  if (by_sample && !learns && tape.state() == nullptr) {
    if (const SampleSource* dx = device.defer(op, dy, saved.slot); dx != nullptr)
      return with_source(saved.x, *dx);
  }
  Tensor& dx = tape.dx_memory();
  dx.resize(saved.x.stored_shape());
  op.gradients.dx = device.write(dx);
  device.run(op);
  saved.carry.end_backward(tape);
  add_parameter_gradients(numbers_, saved.partial, shape.N, shape.P, shape.F, device);
  return saved.x.with_values(dx);
}

std::optional<Membrane> NeuronLayer::do_membrane(const Tape& tape) const {
  check_parameters();
  const Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  SignalMemory memory;
  const Signal x =
      in_form(saved.x, {.values = Form::Values::any, .layout = {}, .constant = true}, memory, device);
  return neuron_membrane(*this, x, saved.shape, saved.carry, device);
}

std::vector<NamedParameter> NeuronLayer::own_parameters() {
  const std::vector<NeuronParameter> known = parameters_of(options_);
  std::vector<NamedParameter> all;
  for (std::size_t k = 0; k < numbers_.size(); ++k) {  // none where it was moved from
    if (known[k].learned) all.push_back({known[k].name, &numbers_[k]});
  }
  return all;
}

std::vector<NamedTensor> NeuronLayer::own_buffers() {
  const std::vector<NeuronParameter> known = parameters_of(options_);
  std::vector<NamedTensor> all;
  for (std::size_t k = 0; k < numbers_.size(); ++k) {  // none where it was moved from
    if (!known[k].learned) all.push_back({known[k].name, &numbers_[k].value});
  }
  return all;
}

void NeuronLayer::draw_parameters(std::uint32_t, std::uint32_t) {
  const std::vector<NeuronParameter> known = parameters_of(options_);
  for (std::size_t k = 0; k < numbers_.size(); ++k) {  // none where it was moved from
    std::ranges::fill(numbers_[k].value.values(), known[k].initial);
  }
}

std::unique_ptr<Layer> NeuronLayer::do_clone() const {
  return std::visit(
      [this]<class Options>(const Options&) -> std::unique_ptr<Layer> {
        const auto* own = dynamic_cast<const Neuron<Options>*>(this);
        if (own != nullptr) return std::make_unique<Neuron<Options>>(*own);
        return std::make_unique<NeuronLayer>(*this);
      },
      options_);
}

}  // namespace volley
