#include <volley/neuron.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "kernels/neuron.hpp"
#include "layers/neuron_pass.hpp"
#include "layers/signal_forms.hpp"

namespace volley {
namespace {

// Samples that one piece of work covers: enough to fill the kernel's slices when a layer has few neurons.
constexpr std::size_t kSamples = 8;

struct Saved {
  Signal given;
  Signal x;  // the same; channels-last where the neurons of a channel share their numbers
  SignalMemory x_memory, dx_memory;
  Spikes s;
  std::vector<Buffer<float>> partial;  // for each parameter, its gradient by neuron
};

/// How many numbers each parameter has; 0: one for all.
std::size_t channels_of(const AnyNeuron& options) {
  return std::visit(
      [](const auto& o) -> std::size_t {
        if constexpr (requires { o.channels; }) return o.channels;
        return 0;
      },
      options);
}

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
    throw Error("[custom] a surrogate of one's own must have a derivative, got none");
  }
}

std::vector<NeuronParameter> parameters_of(const AnyNeuron& options) {
  return std::visit(
      [](const auto& o) -> std::vector<NeuronParameter> {
        if constexpr (requires { o.parameters(); }) return o.parameters();
        return {};
      },
      options);
}

NeuronLayer::NeuronLayer(const AnyNeuron& options) : options_(options) {
  std::visit(
      [](const auto& o) {
        check_fields(o.kKind, o);
        check_surrogate(o.surrogate);
      },
      options);
  const std::size_t size = std::max<std::size_t>(1, channels_of(options));
  for (const NeuronParameter& known : parameters_of(options)) {
    Parameter& number = numbers_.emplace_back(Shape{size});
    if (!known.learned) number.gradient = Tensor{};
  }
  NeuronLayer::initialize(0, 0);
}

std::string_view NeuronLayer::kind() const {
  return std::visit([](const auto& o) { return o.kKind; }, options_);
}

Shape NeuronLayer::output_shape(const Shape& features) const {
  const std::size_t channels = channels_of(options_);
  if (channels != 0 && features[0] != channels) {
    throw Error(
        fmt::format("[{}] input must have {} channels, got features {}", kind(), channels, features.text()));
  }
  return features;
}

Signal NeuronLayer::forward(const Signal& x, Tape& tape) const {
  check_real_input(kind(), x);
  Saved& saved = tape.saved<Saved>();
  const bool per_feature = channels_of(options_) != 0;
  saved.given = x;
  saved.x = per_feature && x.shape().rank() > 3
                ? in_layout(x, Layout::channels_last, saved.x_memory, tape.threads())
                : x;
  std::uint64_t* s = SpikeWords::make_steps(saved.s, x.shape(), saved.x.layout());
  const kernels::NeuronShape shape = shape_of(saved.x, saved.s);
  const kernels::NeuronParameters parameters = lower(numbers_, per_feature);
  parallel_for(tape.threads(), shape.N, kSamples, [&](std::size_t begin, std::size_t end) {
    const NeuronPlace place = place_of(begin, shape);
    std::visit(
        [&](const auto& options) {
          kernels::neuron_forward(s + place.words, saved.x.values() + place.current, options, parameters,
                                  part_of(shape, begin, end));
        },
        options_);
  });
  return saved.s;
}

Signal NeuronLayer::backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  const bool per_feature = channels_of(options_) != 0;
  const kernels::NeuronShape shape = shape_of(saved.x, saved.s);
  const kernels::NeuronParameters parameters = lower(numbers_, per_feature);
  Tensor& dx = tape.dx_memory();
  dx.resize(saved.x.stored_shape());
  saved.partial.resize(numbers_.size());
  for (Buffer<float>& partial : saved.partial) partial.resize(shape.N * shape.P * shape.F);
  const auto samples_backward = [&](std::size_t begin, std::size_t end, const float* ds) {
    static thread_local Buffer<float> scratch;
    scratch.resize(kernels::neuron_scratch_size(shape.T));
    const NeuronPlace place = place_of(begin, shape);
    kernels::NeuronGradients gradients{dx.data() + place.current};
    for (std::size_t k = 0; k < numbers_.size(); ++k) {
      gradients.parameter[k] = saved.partial[k].data() + place.neuron;
    }
    std::visit(
        [&](const auto& options) {
          kernels::neuron_backward(gradients, ds, saved.x.values() + place.current, options, parameters,
                                   part_of(shape, begin, end), scratch.data());
        },
        options_);
  };
  if (dy.source() == nullptr) {
    parallel_for(tape.threads(), shape.N, kSamples, [&](std::size_t begin, std::size_t end) {
      samples_backward(begin, end, dy.values() + place_of(begin, shape).values);
    });
  } else {
    parallel_for(tape.threads(), shape.N, 1, [&](std::size_t n, std::size_t) {
      static thread_local Buffer<float> ds;
      ds.resize(shape.T * shape.P * shape.F);
      dy.source()->read(ds.data(), n);
      samples_backward(n, n + 1, ds.data());
    });
  }
  add_gradients(saved.partial, shape.N * shape.P, shape.F);
  return in_layout(saved.x.with_values(dx), saved.given.layout(), saved.dx_memory, tape.threads());
}

void NeuronLayer::add_gradients(const std::vector<Buffer<float>>& partial, std::size_t rows, std::size_t F) {
  for (std::size_t k = 0; k < numbers_.size(); ++k) {
    Tensor& gradient = numbers_[k].gradient;
    if (gradient.size() == 0) continue;  // not learned
    kernels::add_neuron_gradient(gradient.data(), partial[k].data(), rows, F, channels_of(options_) != 0);
  }
}

std::vector<NamedParameter> NeuronLayer::parameters() {
  const std::vector<NeuronParameter> known = parameters_of(options_);
  std::vector<NamedParameter> all;
  for (std::size_t k = 0; k < known.size(); ++k) {
    if (known[k].learned) all.push_back({known[k].name, &numbers_[k]});
  }
  return all;
}

std::vector<NamedTensor> NeuronLayer::buffers() {
  const std::vector<NeuronParameter> known = parameters_of(options_);
  std::vector<NamedTensor> all;
  for (std::size_t k = 0; k < known.size(); ++k) {
    if (!known[k].learned) all.push_back({known[k].name, &numbers_[k].value});
  }
  return all;
}

void NeuronLayer::initialize(std::uint32_t, std::uint32_t) {
  const std::vector<NeuronParameter> known = parameters_of(options_);
  for (std::size_t k = 0; k < known.size(); ++k) {
    std::ranges::fill(numbers_[k].value.values(), known[k].initial);
  }
}

}  // namespace volley
