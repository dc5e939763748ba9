#include <volley/recurrent.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>

#include "core/philox.hpp"
#include "core/workspace.hpp"
#include "kernels/bits.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/linear.hpp"
#include "kernels/neuron.hpp"
#include "layers/carry.hpp"
#include "layers/layer_access.hpp"
#include "layers/neuron_membrane.hpp"
#include "layers/neuron_pass.hpp"
#include "layers/spike_words.hpp"
#include "layers/views.hpp"
#include "reference/neurons.hpp"
#include "reference/recurrent.hpp"

namespace volley {
namespace {

constexpr std::size_t kSamples = 8;   // samples that go through time together in backward
constexpr std::size_t kOutputs = 16;  // rows of the weights' gradient in one piece of work

struct Saved {
  Signal x;
  Spikes spikes;
  Tensor s;         // (N, T, F), the same as floats
  Tensor i;         // (N, T, F), x and what comes back
  Buffer<float> z;  // (N, T, F, states), after charge
  Tensor weight_t;
  Tensor dx;
  Carry carry;                         // the neuron's, and the spikes of the last step
  std::vector<Buffer<float>> partial;  // for each of the neuron's parameters, its gradient (N, F)
};

/// Calls body(at, surrogate): at(f) is the neuron of feature f in its compile-time form, with the numbers it
/// has in the layer.
template <class Body>
void with_neuron(const NeuronLayer& layer, const Body& body) {
  const std::vector<Parameter>& numbers = layer.numbers();
  std::visit(
      [&](const auto& o) {
        reference::with_neuron_of<float>(o, [&]<class Neuron>(Neuron neuron) {
          for (std::size_t k = 0; k < numbers.size(); ++k) neuron.parameter(k) = numbers[k].value.data()[0];
          if (numbers.empty() || numbers[0].value.size() == 1) {
            return body([&](std::size_t) -> const Neuron& { return neuron; }, o.surrogate);
          }
          if constexpr (Neuron::kParameters > 0) {
            body(
                [&](std::size_t f) {
                  Neuron own = neuron;
                  for (std::size_t k = 0; k < numbers.size(); ++k) {
                    own.parameter(k) = numbers[k].value.data()[f];
                  }
                  return own;
                },
                o.surrogate);
          }
        });
      },
      layer.any_options());
}

void product(const kernels::MatrixProduct& p) {
  Scratch<float> panel(kernels::product_panel_size(p.k));
  kernels::matrix_product(p, panel.data());
}

/// z (F, states) of sample n before the first step.
template <class NeuronOf>
void start(float* z, const Carry& carry, const NeuronOf& neuron, std::size_t n, std::size_t F) {
  constexpr std::size_t kStates = reference::NeuronAt<NeuronOf>::kStates;
  if (carry.count() == 0) return reference::recurrent_start(z, neuron, F);
  for (std::size_t k = 0; k < kStates; ++k) {
    const float* before = carry.before(k) + n * F;
    for (std::size_t f = 0; f < F; ++f) z[f * kStates + k] = before[f];
  }
}

/// back (count, F) = what the gradients of the currents of a step, (F) each and `row` apart, give to the
/// spikes of the step before. (Z3)
void feed_back_adjoint(float* back, const float* di, std::size_t row, const Parameter& weight,
                       Feedback feedback, std::size_t count, std::size_t F) {
  if (feedback == Feedback::linear) {
    product({.a = di,
             .a_row = row,
             .a_column = 1,
             .b = weight.value.data(),
             .b_row = F,
             .c = back,
             .c_row = F,
             .m = count,
             .n = F,
             .k = F});
    return;
  }
  for (std::size_t n = 0; n < count; ++n) {
    reference::feed_back_adjoint(back + n * F, di + n * row, weight.value.data(), feedback, F);
  }
}

/// Time backward for the samples [begin, end): dx is what comes to the currents, partial to the parameters.
template <class NeuronOf>
void backward_in_time(Saved& saved, const Signal& dy, const Parameter& weight, Feedback feedback,
                      const NeuronOf& neuron, const Surrogate& surrogate, std::size_t begin,
                      std::size_t end) {
  using Neuron = reference::NeuronAt<NeuronOf>;
  constexpr std::size_t kStates = Neuron::kStates;
  const std::size_t T = saved.x.steps();
  const std::size_t F = saved.x.features();
  const std::size_t count = end - begin;
  Scratch<float> ds(F), back(count * F), before(count * F * kStates), dz(count * F * kStates),
      dp(count * F * Neuron::kParameters);
  const float* later = at(saved.carry.gradient(kStates), begin * F);  // what comes back after the pass
  back.zero();
  if (later != nullptr) std::copy_n(later, count * F, back.data());
  dz.zero();
  dp.zero();
  for (std::size_t n = 0; n < count; ++n) {
    start(before.data() + n * F * kStates, saved.carry, neuron, begin + n, F);
    for (std::size_t k = 0; later != nullptr && k < kStates; ++k) {
      const float* gradient = saved.carry.gradient(k) + (begin + n) * F;
      for (std::size_t f = 0; f < F; ++f) dz[(n * F + f) * kStates + k] = gradient[f];
    }
  }
  for (std::size_t t = T; t-- > 0;) {
    for (std::size_t n = 0; n < count; ++n) {
      const std::size_t first = (begin + n) * T * F;
      const float* given = dy.values() + first + t * F;
      for (std::size_t f = 0; f < F; ++f) ds[f] = back[n * F + f] + given[f];
      reference::recurrent_step_adjoint(saved.dx.data() + first + t * F, dz.data() + n * F * kStates,
                                        dp.data() + n * F * Neuron::kParameters, ds.data(),
                                        saved.s.data() + first, saved.z.data() + first * kStates,
                                        saved.i.data() + first, before.data() + n * F * kStates, neuron,
                                        surrogate, t, F);
    }
    if (t > 0 || later != nullptr) {
      back.zero();
      feed_back_adjoint(back.data(), saved.dx.data() + (begin * T + t) * F, T * F, weight, feedback, count,
                        F);
    }
  }
  for (std::size_t n = 0; later != nullptr && n < count; ++n) {
    for (std::size_t k = 0; k < kStates; ++k) {
      float* gradient = saved.carry.gradient(k) + (begin + n) * F;
      for (std::size_t f = 0; f < F; ++f) gradient[f] = dz[(n * F + f) * kStates + k];
    }
  }
  if (later != nullptr) std::copy_n(back.data(), count * F, saved.carry.gradient(kStates) + begin * F);
  for (std::size_t k = 0; k < saved.partial.size(); ++k) {
    float* partial = saved.partial[k].data() + begin * F;
    for (std::size_t f = 0; f < count * F; ++f) partial[f] = dp[f * Neuron::kParameters + k];
  }
}

/// Over all samples, and their steps; the first where a state has spikes of the one before it.
void add_weight_gradient(Saved& saved, Parameter& weight, Feedback feedback, ThreadPool& threads) {
  const std::size_t N = saved.x.samples(), T = saved.x.steps(), F = saved.x.features();
  float* gradient = weight.gradient.data();
  const bool linear = feedback == Feedback::linear;
  parallel_for(threads, linear ? F : 1, kOutputs, [&](std::size_t begin, std::size_t end) {
    const std::size_t size = (end - begin) * F;
    Scratch<float> memory(kernels::BlockTree<float>::memory(size, N));
    kernels::BlockTree<float> tree(memory.data(), size, N);
    kernels::for_each_block(N, [&](std::size_t first, std::size_t count) {
      const auto add = [&](const float* later, const float* fired, std::size_t steps) {
        for (std::size_t t = 0; !linear && t < steps; ++t) {
          reference::feed_back_gradient(tree.sums(), later + t * F, fired + t * F, feedback, F);
        }
        if (!linear) return;
        product({.a = later + begin,
                 .a_row = 1,
                 .a_column = F,
                 .b = fired,
                 .b_row = F,
                 .c = tree.sums(),
                 .c_row = F,
                 .m = end - begin,
                 .n = F,
                 .k = steps,
                 .accumulate = true});
      };
      for (std::size_t n = first; n < first + count; ++n) {
        const float* di = saved.dx.data() + n * T * F;
        const float* before = saved.carry.count() > 0 ? saved.carry.before(saved.carry.count() - 1) : nullptr;
        if (before != nullptr) add(di, before + n * F, 1);
        add(di + F, saved.s.data() + n * T * F, T - 1);
      }
      tree.close_block();
    });
    kernels::add_to(gradient + begin * F, tree.root(), size);
  });
}

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
  const Saved& saved = tape.saved<Saved>();
  return neuron_membrane(neuron_, saved.i, saved.s, saved.carry);
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
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  const std::size_t T = x.steps();
  const std::size_t F = features_;
  for (Tensor* t : {&saved.s, &saved.i}) t->resize(x.shape());
  std::uint64_t* words = SpikeWords::make_steps(saved.spikes, x.shape());
  const std::size_t row_words = SpikeWords::row_words(saved.spikes);
  const float* weight_t = weight_.value.data();
  if (options_.feedback == Feedback::linear) {
    saved.weight_t.resize({F, F});
    kernels::transpose(saved.weight_t.data(), weight_t, F, F);
    weight_t = saved.weight_t.data();
  }
  saved.carry.begin_forward(tape, x, [&] { return carried(); });
  with_neuron(neuron_, [&](const auto& neuron, const Surrogate& surrogate) {
    using Neuron = reference::NeuronAt<decltype(neuron)>;
    saved.z.resize(x.shape().size() * Neuron::kStates);
    parallel_for(tape.threads(), x.samples(), 1, [&](std::size_t begin, std::size_t end) {
      Scratch<float> now(F * Neuron::kStates);
      for (std::size_t n = begin; n < end; ++n) {
        const std::size_t first = n * T * F;
        start(now.data(), saved.carry, neuron, n, F);
        reference::recurrent_forward(saved.s.data() + first, saved.z.data() + first * Neuron::kStates,
                                     saved.i.data() + first, saved.x.values() + first, weight_t,
                                     options_.feedback, neuron, surrogate, reference::Fire::hard, T, F,
                                     now.data(), at(saved.carry.before(Neuron::kStates), n * F));
        for (std::size_t t = 0; t < T; ++t) {
          kernels::values_to_bits(words + (n * T + t) * row_words, saved.s.data() + first + t * F, F);
        }
        if (saved.carry.count() == 0) continue;
        for (std::size_t k = 0; k < Neuron::kStates; ++k) {
          float* after = saved.carry.after(k) + n * F;
          for (std::size_t f = 0; f < F; ++f) after[f] = now[f * Neuron::kStates + k];
        }
        std::copy_n(saved.s.data() + first + (T - 1) * F, F, saved.carry.after(Neuron::kStates) + n * F);
      }
    });
  });
  saved.carry.end_forward(tape);
  return saved.spikes;
}

Signal Recurrent::do_backward(Tape& tape, const Signal& dy) {
  check_parameter(kind(), "weight", weight_, weight_shape());
  neuron_.check_parameters();
  Saved& saved = tape.saved<Saved>();
  saved.dx.resize(saved.x.shape());
  saved.partial.resize(neuron_.numbers().size());
  for (Buffer<float>& partial : saved.partial) partial.resize(saved.x.samples() * features_);
  saved.carry.begin_backward(tape);
  with_neuron(neuron_, [&](const auto& neuron, const Surrogate& surrogate) {
    parallel_for(tape.threads(), saved.x.samples(), kSamples, [&](std::size_t begin, std::size_t end) {
      backward_in_time(saved, dy, weight_, options_.feedback, neuron, surrogate, begin, end);
    });
  });
  saved.carry.end_backward(tape);
  add_weight_gradient(saved, weight_, options_.feedback, tape.threads());
  add_parameter_gradients(neuron_.numbers_, saved.partial, saved.x.samples(), 1, features_,
                          executor_of(tape));
  return saved.dx;
}

}  // namespace volley
