#include <volley/neuron.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <volley/error.hpp>

#include "core/workspace.hpp"
#include "kernels/neuron.hpp"
#include "layers/carry.hpp"
#include "layers/layer_access.hpp"
#include "layers/neuron_membrane.hpp"
#include "layers/neuron_pass.hpp"
#include "layers/signal_forms.hpp"
#include "reference/neurons.hpp"

namespace volley {
namespace {

struct Saved;

/// dx, from dy and x.
struct Gradient final : SampleSource {
  Saved* saved = nullptr;
  Signal dy;

  void read(float* to, std::size_t n) const override;
  const Signal& made_from() const override { return dy; }
};

struct Saved {
  Signal x;
  Tensor x_memory;
  Spikes s;
  kernels::NeuronShape shape;
  kernels::NeuronParameters parameters;
  const AnyNeuron* options = nullptr;
  Carry carry;
  std::vector<Buffer<float>> partial;  // for each parameter that is learned, its gradient by neuron
  Gradient dx;

  std::size_t neurons() const { return shape.P * shape.F; }
  /// Samples that one piece of work covers: as many as fill the kernel's slices when a layer has few neurons,
  /// and but one where what is made as it is read is not to leave the cache.
  std::size_t piece(bool by_sample) const { return by_sample && neurons() >= 64 ? 1 : 8; }

  void forward(std::uint64_t* words, std::size_t begin, std::size_t end) {
    SampleValues x_values(x, begin, end);
    kernels::NeuronCarry states = states_before(begin);
    for (std::size_t k = 0; k < carry.count(); ++k) {
      states.after[k] = carry.after(k) + place_of(begin, shape).neuron;
    }
    std::visit(
        [&](const auto& o) {
          kernels::neuron_forward(words + place_of(begin, shape).words, x_values.data(), o, parameters,
                                  part_of(shape, begin, end), states);
        },
        *options);
  }

  /// dx of samples [begin, end).
  void backward(float* to, const Signal& dy, std::size_t begin, std::size_t end) {
    SampleValues x_values(x, begin, end), ds(dy, begin, end);
    kernels::NeuronGradients gradients{to};
    for (std::size_t k = 0; k < partial.size(); ++k) {
      if (partial[k].size() > 0) gradients.parameter[k] = partial[k].data() + place_of(begin, shape).neuron;
    }
    for (std::size_t k = 0; k < carry.count(); ++k) {
      gradients.state[k] = at(carry.gradient(k), place_of(begin, shape).neuron);
    }
    std::visit(
        [&](const auto& o) {
          Scratch<float> scratch(kernels::neuron_scratch_size(shape.T, o.refractory));
          kernels::neuron_backward(gradients, ds.data(), x_values.data(), o, parameters,
                                   part_of(shape, begin, end), scratch.data(), states_before(begin));
        },
        *options);
  }

  kernels::NeuronCarry states_before(std::size_t begin) const {
    kernels::NeuronCarry states;
    for (std::size_t k = 0; k < carry.count(); ++k) {
      states.before[k] = carry.before(k) + place_of(begin, shape).neuron;
    }
    return states;
  }
};

void Gradient::read(float* to, std::size_t n) const { saved->backward(to, dy, n, n + 1); }

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

kernels::NeuronParameters lower(const std::vector<Parameter>& numbers, bool per_feature) {
  kernels::NeuronParameters lowered{.per_feature = per_feature};
  for (std::size_t k = 0; k < numbers.size(); ++k) lowered.value[k] = numbers[k].value.data();
  return lowered;
}

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
        reference::with_neuron_of<float>(o, [&]<class Neuron>(const Neuron& neuron) {
          constexpr std::size_t kNamed =
              1 + (requires { o.kSecondState; } ? 1 : 0) + (requires { neuron.steps; } ? 1 : 0);
          static_assert(Neuron::kStates == kNamed,
                        "the options of a neuron name its second state: kSecondState");
          std::array<float, Neuron::kStates> start{};
          neuron.start(start.data());
          all.push_back({"v", start[0]});
          if constexpr (requires { o.kSecondState; }) all.push_back({o.kSecondState, start[1]});
          if (o.refractory > 0) all.push_back({"refractory", start.back()});
        });
      },
      options);
  return all;
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
  Saved& saved = tape.saved<Saved>();
  Taken taken{x};
  if (source_of(x) != nullptr && !source_of(x)->repeatable()) taken = take(x, saved.x_memory);
  saved.x = taken.values;
  std::uint64_t* words = SpikeWords::make_steps(saved.s, x.shape(), saved.x.layout());
  saved.shape = shape_of(saved.x, saved.s);
  saved.parameters = lower(numbers_, channels_of(options_) != 0);
  saved.options = &options_;
  saved.carry.begin_forward(tape, saved.x, [&] { return carried_by(options_); });
  parallel_for(tape.threads(), x.samples(), saved.piece(source_of(x) != nullptr),
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t n = begin; n < end; ++n) taken.read(n);
                 saved.forward(words, begin, end);
               });
  saved.carry.end_forward(tape);
  return saved.s;
}

Signal NeuronLayer::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Saved& saved = tape.saved<Saved>();
  bool learns = false;
  saved.partial.resize(numbers_.size());
  for (std::size_t k = 0; k < numbers_.size(); ++k) {
    const bool learned = numbers_[k].gradient.size() > 0;
    saved.partial[k].resize(learned ? saved.shape.N * saved.neurons() : 0);
    learns = learns || learned;
  }
  const bool by_sample =
      TapeAccess::dx_by_sample(tape) && TapeAccess::given(tape).layout() == saved.x.layout();
  saved.carry.begin_backward(tape);
  if (by_sample && !learns && tape.state() == nullptr) {
    saved.dx.saved = &saved;
    saved.dx.dy = dy;
    return with_source(saved.x, saved.dx);
  }
  Tensor& dx = tape.dx_memory();
  dx.resize(saved.x.stored_shape());
  parallel_for(tape.threads(), saved.shape.N,
               saved.piece(source_of(dy) != nullptr || source_of(saved.x) != nullptr),
               [&](std::size_t begin, std::size_t end) {
                 saved.backward(dx.data() + place_of(begin, saved.shape).current, dy, begin, end);
               });
  saved.carry.end_backward(tape);
  if (learns) add_gradients(saved.partial, saved.shape.N, saved.shape.P, saved.shape.F);
  return saved.x.with_values(dx);
}

std::optional<Membrane> NeuronLayer::do_membrane(const Tape& tape) const {
  const Saved& saved = tape.saved<Saved>();
  SignalMemory x_memory, s_memory;
  const Signal x = in_form(saved.x, {.values = Form::Values::any, .layout = {}, .constant = true}, x_memory,
                           tape.threads());
  return neuron_membrane(*this, x, real_values(saved.s, s_memory, tape.threads()), saved.carry);
}

void NeuronLayer::add_gradients(const std::vector<Buffer<float>>& partial, std::size_t samples,
                                std::size_t rows, std::size_t F) {
  for (std::size_t k = 0; k < numbers_.size(); ++k) {
    Tensor& gradient = numbers_[k].gradient;
    if (gradient.size() == 0) continue;  // not learned
    kernels::add_neuron_gradient(gradient.data(), partial[k].data(), samples, rows, F,
                                 channels_of(options_) != 0);
  }
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

}  // namespace volley
