#include <volley/initialization.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include <volley/conv.hpp>
#include <volley/dropout.hpp>
#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/recurrent.hpp>

#include "core/philox.hpp"
#include "layers/layer_access.hpp"
#include "training/traces.hpp"

namespace volley {
namespace {

constexpr double kScaleExponent = 12;  // weights are scaled by 2^-12 to 2^12
constexpr int kTrials = 24;            // halvings of that
constexpr double kFarthest = 10;       // from the target, as a factor: beyond is an error
constexpr double kTolerance = 0.01;    // of the target: near enough to stop

/// Weights, and the neurons that they lead to.
struct WeightsBeforeNeurons {
  std::string path;  // of the weights
  Layer* weights;
  const Layer* firing;  // a NeuronLayer, or the Recurrent that holds it
  const NeuronLayer* neurons;
};

template <class... Kinds>
bool is_any(const Layer& layer) {
  return ((dynamic_cast<const Kinds*>(&layer) != nullptr) || ...);
}

/// Whether layer i reads the one before it, and nothing else.
bool follows(const Graph& graph, std::size_t i) {
  return graph.edges(i) == std::vector<GraphEdge>{{.from = i, .delay = 0}};
}

/// Adds what is in `layer`. `last` is the path and layer of the weights that its input comes from, or null.
void find_weights(std::vector<WeightsBeforeNeurons>& found, Layer& layer, const std::string& path,
                  std::pair<std::string, Layer*>& last) {
  const auto child_path = [&](const NamedLayer& child) {
    return path.empty() ? child.name : path + '.' + child.name;
  };
  if (const auto* graph = dynamic_cast<const Graph*>(&layer)) {
    const std::vector<NamedLayer> children = layer.children();
    for (std::size_t i = 0; i < children.size(); ++i) {
      if (!follows(*graph, i)) last = {};
      find_weights(found, *children[i].layer, child_path(children[i]), last);
    }
    return;
  }
  const auto* recurrent = dynamic_cast<const Recurrent*>(&layer);
  const auto* neurons =
      recurrent != nullptr ? &recurrent->neuron() : dynamic_cast<const NeuronLayer*>(&layer);
  if (neurons != nullptr && last.second != nullptr)
    found.push_back({last.first, last.second, &layer, neurons});
  if (is_any<Linear, Conv1d, Conv2d>(layer)) {
    last = {path, &layer};
  } else if (!is_any<Flatten, Dropout>(layer)) {
    last = {};
  }
  for (const NamedLayer& child : layer.children()) {
    std::pair<std::string, Layer*> none;
    find_weights(found, *child.layer, child_path(child), none);
  }
}

std::vector<WeightsBeforeNeurons> weights_of(Sequential& net, std::string_view operation) {
  std::vector<WeightsBeforeNeurons> found;
  std::pair<std::string, Layer*> none;
  find_weights(found, net, "", none);
  if (found.empty()) {
    throw ArgumentError(
        operation, "network must have a linear, conv1d or conv2d layer before neurons that fire", "none");
  }
  return found;
}

/// The potential's response to a current of 1 at one step: its sum over the steps after, and that of its
/// squares; and how far the threshold is above rest.
struct Response {
  double sum = 0, squares = 0, distance = 0;
};

double real(float value) { return static_cast<double>(value); }

/// (W10): gain factor^k.
template <class Options>
Response leaky_response(const Options& o, double tau) {
  const double gain = o.tau_charge.has_value() ? 1 / real(*o.tau_charge) : o.decay_input ? 1 / tau : 1;
  const double factor = 1 - 1 / tau;
  return {.sum = gain * tau, .squares = gain * gain / (1 - factor * factor)};
}

Response response_of(const LIFOptions& o) { return leaky_response(o, real(o.tau)); }
Response response_of(const ALIFOptions& o) { return leaky_response(o, real(o.tau)); }
Response response_of(const PLIFOptions& o) { return leaky_response(o, real(o.init_tau)); }
/// (W11)
Response response_of(const CUBALIFOptions& o) {
  const double a = real(o.c_decay), b = real(o.v_decay);
  return {.sum = 1 / ((1 - a) * (1 - b)), .squares = (1 + a * b) / ((1 - a * a) * (1 - b * b) * (1 - a * b))};
}

/// Throws for neurons that have none.
Response response_of(const WeightsBeforeNeurons& at) {
  constexpr const char* kOperation = "initialize_fluctuations";
  Response response;
  std::visit(
      [&](const auto& o) {
        if constexpr (requires { response_of(o); }) {
          response = response_of(o);
          response.distance = real(o.v_threshold) - real(o.v_reset.value_or(0));
        } else {
          throw ArgumentError(
              kOperation, fmt::format("neurons after layer {} must be lif, plif, alif or cuba_lif", at.path),
              o.kKind);
        }
      },
      at.neurons->any_options());
  if (!std::isfinite(response.squares)) {
    throw ArgumentError(kOperation, fmt::format("neurons after layer {} must leak", at.path), "a decay of 1");
  }
  if (!(response.distance > 0)) {
    throw ArgumentError(
        kOperation, fmt::format("v_threshold after layer {} must be above the potential at rest", at.path),
        fmt::format("{} above it", response.distance));
  }
  return response;
}

/// (W14)
double deviation_of(const Response& r, std::size_t inputs, double rate, double xi) {
  const double variance = rate * (1 - rate) * r.squares + rate * rate * r.sum * r.sum;
  return r.distance / (xi * std::sqrt(static_cast<double>(inputs) * variance));
}

/// Spikes per neuron and step that the layer gives for x.
double rate_of(const Sequential& net, const Signal& x, const Layer& layer, Tape& tape) {
  net.forward(x, tape);
  std::size_t count = 0, all = 0;
  for_each_trace(tape, [&](const std::string&, const Tape& traced) {
    const Trace& trace = traced.trace();
    if (trace.layer != &layer) return;
    count = trace.y.spikes().count();
    all = trace.y.shape().size();
  });
  return all == 0 ? 0 : static_cast<double>(count) / static_cast<double>(all);
}

/// Scales the parameters of one layer; returns the rate that comes nearest to the target.
double scale_to(double target, Sequential& net, const Signal& x, const WeightsBeforeNeurons& at, Tape& tape) {
  const std::vector<NamedParameter> parameters = at.weights->parameters();
  std::vector<std::vector<float>> drawn;
  for (const NamedParameter& p : parameters)
    drawn.emplace_back(p.parameter->value.values().begin(), p.parameter->value.values().end());
  const auto scale = [&](double factor) {
    for (std::size_t k = 0; k < parameters.size(); ++k) {
      float* to = parameters[k].parameter->value.data();
      for (const float w : drawn[k]) *to++ = static_cast<float>(real(w) * factor);
    }
  };
  double low = -kScaleExponent, high = kScaleExponent, best = 0, best_factor = 1;
  for (int trial = 0; trial < kTrials; ++trial) {
    const double middle = (low + high) / 2, factor = std::exp2(middle);
    scale(factor);
    const double rate = rate_of(net, x, *at.firing, tape);
    if (trial == 0 || std::abs(rate - target) < std::abs(best - target)) best = rate, best_factor = factor;
    if (std::abs(rate - target) <= kTolerance * target) break;
    (rate < target ? low : high) = middle;
  }
  scale(best_factor);
  return best;
}

}  // namespace

void initialize_fluctuations(Sequential& net, std::uint32_t seed, const FluctuationInitialization& options) {
  constexpr const char* kOperation = "initialize_fluctuations";
  check_fields(kOperation, options);
  const std::vector<WeightsBeforeNeurons> all = weights_of(net, kOperation);
  std::vector<double> deviations;
  for (const WeightsBeforeNeurons& at : all) {
    const Tensor& weight = at.weights->parameters()[0].parameter->value;
    const float rate = deviations.empty() ? options.input_rate.value_or(options.rate) : options.rate;
    deviations.push_back(
        deviation_of(response_of(at), weight.size() / weight.shape()[0], real(rate), real(options.xi)));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), place_of(all[i].path));
    const std::vector<NamedParameter> parameters = all[i].weights->parameters();
    for (float& w : parameters[0].parameter->value.values()) {  // Box and Muller, as Linear's Init::normal
      const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
      w = static_cast<float>(deviations[i] * radius * std::cos(2 * std::numbers::pi * random.uniform()));
    }
    if (parameters.size() > 1) parameters[1].parameter->value.zero();
  }
}

void initialize_rates(Sequential& net, const Signal& x, const RateInitialization& options,
                      ThreadPool& threads) {
  constexpr const char* kOperation = "initialize_rates";
  check_fields(kOperation, options);
  Tape tape(threads);
  const auto target = real(options.rate);
  for (const WeightsBeforeNeurons& at : weights_of(net, kOperation)) {
    const double rate = scale_to(target, net, x, at, tape);
    if (rate >= target / kFarthest && rate <= target * kFarthest) continue;
    throw ArgumentError(
        kOperation,
        fmt::format("a scale of layer {} must bring its neurons within a factor of 10 of the rate {}",
                    at.path, options.rate),
        fmt::format("{:.4g}", rate));
  }
}

}  // namespace volley
