#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numeric>

#include <volley/error.hpp>
#include <volley/optimizer.hpp>

#include "kernels/reduce.hpp"
#include "kernels/update.hpp"
#include "reference/optimizer.hpp"

namespace volley {
namespace {

constexpr std::size_t kGrain = 4096;  // weights of one piece of work

/// Makes room for the state of every parameter at the first call, and refuses other parameters at a later
/// one.
void make_room(std::string_view kind, const std::vector<NamedParameter>& parameters,
               std::vector<std::string>& names, std::initializer_list<std::vector<Tensor>*> states) {
  if (names.empty()) {
    for (const NamedParameter& p : parameters) {
      names.push_back(p.name);
      for (std::vector<Tensor>* state : states) state->emplace_back(p.parameter->value.shape());
    }
  }
  if (names.size() != parameters.size()) {
    throw Error(fmt::format("[{}] every step must be given the same parameters: {} at first, now {}", kind,
                            names.size(), parameters.size()));
  }
}

void append(std::vector<NamedTensor>& all, std::string_view prefix, const std::vector<std::string>& names,
            std::vector<Tensor>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i)
    all.push_back({fmt::format("{}.{}", prefix, names[i]), &tensors[i]});
}

template <class Options>
Options with_lr(float lr, Options options) {
  options.lr = lr;
  return options;
}

/// body(i, begin, end): pieces [begin, end) of the i-th parameter, all of them.
template <class Body>
void for_pieces(const std::vector<NamedParameter>& parameters, ThreadPool& threads, const Body& body) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parallel_for(threads, parameters[i].parameter->value.size(), kGrain,
                 [&](std::size_t begin, std::size_t end) { body(i, begin, end); });
  }
}

// Where the weight decay goes: into the gradient, or to the weights beside it.
reference::AdamCoefficients<float> coefficients(const AdamOptions& o, float lr, double step) {
  return reference::adam_coefficients<float>(lr, o.beta1, o.beta2, o.eps, o.weight_decay, step);
}
reference::AdamCoefficients<float> coefficients(const AdamWOptions& o, float lr, double step) {
  auto c = reference::adam_coefficients<float>(lr, o.beta1, o.beta2, o.eps, 0, step);
  c.keep = reference::decoupled_keep<float>(lr, o.weight_decay);
  return c;
}

}  // namespace

Sgd::Sgd(const SgdOptions& options) : Optimizer(options.lr), options_(options) {
  check_fields(SgdOptions::kKind, options);
  if (options.nesterov && options.momentum == 0)
    throw Error("[sgd] momentum must be > 0 with nesterov, got 0");
}
Sgd::Sgd(float lr, SgdOptions options) : Sgd(with_lr(lr, options)) {}

void Sgd::prepare(const std::vector<NamedParameter>& parameters) {
  make_room(kind(), parameters, names_, {&momentum_});
}

void Sgd::step(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  prepare(parameters);
  const reference::SgdCoefficients<float> c{.lr = lr(),
                                            .momentum = options_.momentum,
                                            .weight_decay = options_.weight_decay,
                                            .nesterov = options_.nesterov,
                                            .first = steps_ == 0};
  for_pieces(parameters, threads, [&](std::size_t i, std::size_t begin, std::size_t end) {
    Parameter& p = *parameters[i].parameter;
    kernels::sgd_step(p.value.data() + begin, momentum_[i].data() + begin, p.gradient.data() + begin, c,
                      end - begin);
  });
  ++steps_;
}

std::vector<NamedTensor> Sgd::state() {
  std::vector<NamedTensor> all;
  append(all, "momentum", names_, momentum_);
  return all;
}

template <class Options>
AdamBy<Options>::AdamBy(const Options& options) : Optimizer(options.lr), options_(options) {
  check_fields(Options::kKind, options);
}
template <class Options>
AdamBy<Options>::AdamBy(float lr, Options options) : AdamBy(with_lr(lr, options)) {}

template <class Options>
void AdamBy<Options>::prepare(const std::vector<NamedParameter>& parameters) {
  make_room(kind(), parameters, names_, {&m_, &v_});
}

template <class Options>
void AdamBy<Options>::step(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  prepare(parameters);
  ++steps_;
  const auto c = coefficients(options_, lr(), static_cast<double>(steps_));
  for_pieces(parameters, threads, [&](std::size_t i, std::size_t begin, std::size_t end) {
    Parameter& p = *parameters[i].parameter;
    kernels::adam_step(p.value.data() + begin, m_[i].data() + begin, v_[i].data() + begin,
                       p.gradient.data() + begin, c, end - begin);
  });
}

template <class Options>
std::vector<NamedTensor> AdamBy<Options>::state() {
  std::vector<NamedTensor> all;
  append(all, "m", names_, m_);
  append(all, "v", names_, v_);
  return all;
}

template class AdamBy<AdamOptions>;
template class AdamBy<AdamWOptions>;

double gradient_norm(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  static thread_local std::vector<double> sums;  // of each piece, in their order
  double sum = 0;
  for (const NamedParameter& p : parameters) {
    const std::span<const float> g = p.parameter->gradient.values();
    sums.resize((g.size() + kGrain - 1) / kGrain);
    parallel_for(threads, g.size(), kGrain, [&sums = sums, g](std::size_t begin, std::size_t end) {
      sums[begin / kGrain] = kernels::sum_of_squares(g.data() + begin, end - begin);
    });
    sum = std::accumulate(sums.begin(), sums.end(), sum);
  }
  return std::sqrt(sum);
}

void clip_gradient_norm(const std::vector<NamedParameter>& parameters, float max_norm, double norm,
                        ThreadPool& threads) {
  const float factor = reference::clip_norm_factor<float>(max_norm, norm);
  if (factor == 1) return;
  for_pieces(parameters, threads, [&](std::size_t i, std::size_t begin, std::size_t end) {
    for (float& g : parameters[i].parameter->gradient.values().subspan(begin, end - begin)) g *= factor;
  });
}

void clip_gradient_value(const std::vector<NamedParameter>& parameters, float most, ThreadPool& threads) {
  for_pieces(parameters, threads, [&](std::size_t i, std::size_t begin, std::size_t end) {
    for (float& g : parameters[i].parameter->gradient.values().subspan(begin, end - begin)) {
      g = reference::clip_value(g, most);
    }
  });
}

}  // namespace volley
