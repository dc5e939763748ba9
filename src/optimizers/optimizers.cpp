#include <fmt/format.h>

#include <array>
#include <cmath>

#include <volley/error.hpp>
#include <volley/optimizer.hpp>

#include "core/numerics.hpp"
#include "core/tree_sum.hpp"
#include "core/workspace.hpp"
#include "kernels/reduce.hpp"
#include "kernels/update.hpp"
#include "reference/optimizer.hpp"

namespace volley {
namespace {

constexpr std::size_t kGrain = 4096;  // weights of one piece of work

/// Throws unless every parameter is there, with a gradient of its shape.
void check_parameters(std::string_view kind, const std::vector<NamedParameter>& parameters) {
  for (const auto& [name, parameter] : parameters) {
    if (parameter == nullptr) throw ArgumentError(kind, fmt::format("parameter '{}' must not be null", name));
    const Shape& shape = parameter->value.shape();
    if (parameter->gradient.shape() != shape) {
      throw ShapeError(kind, fmt::format("the gradient of '{}' must be {}", name, shape.text()),
                       parameter->gradient.shape());
    }
  }
}

/// Zeros for each of `parameters`.
std::vector<Tensor> zeros_for(const std::vector<NamedParameter>& parameters) {
  std::vector<Tensor> zeros;
  for (const NamedParameter& p : parameters) zeros.emplace_back(p.parameter->value.shape());
  return zeros;
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

Optimizer::Optimizer(float lr, std::string_view kind) : base_lr_(lr), lr_(lr) {
  check_range(kind, "lr", static_cast<double>(lr), at_least(0));
}

void Optimizer::set_lr(float lr) {
  check_range(kind(), "lr", static_cast<double>(lr), at_least(0));
  lr_ = lr;
}

void Optimizer::prepare(const std::vector<NamedParameter>& parameters) {
  check(parameters);
  if (prepared_) return;
  do_prepare(parameters);
  for (const NamedParameter& p : parameters) {
    names_.push_back(p.name);
    shapes_.push_back(p.parameter->value.shape());
  }
  prepared_ = true;
}

void Optimizer::step(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  prepare(parameters);
  do_step(parameters, threads);
  ++steps_;
}

/// Throws unless these are parameters, and those that the state is for.
void Optimizer::check(const std::vector<NamedParameter>& parameters) const {
  check_parameters(kind(), parameters);
  if (!prepared_) return;
  if (names_.size() != parameters.size()) {
    throw ArgumentError(
        kind(), fmt::format("every step must be given the same parameters: {} at first", names_.size()),
        fmt::format("{}", parameters.size()));
  }
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const Shape& shape = parameters[i].parameter->value.shape();
    if (parameters[i].name == names_[i] && shape == shapes_[i]) continue;
    throw ArgumentError(kind(),
                        fmt::format("every step must be given the same parameters: '{}' {} at first",
                                    names_[i], shapes_[i].text()),
                        fmt::format("'{}' {}", parameters[i].name, shape.text()));
  }
}

Sgd::Sgd(const SgdOptions& options) : Optimizer(options.lr, SgdOptions::kKind), options_(options) {
  check_fields(SgdOptions::kKind, options);
  if (options.nesterov && options.momentum == 0)
    throw ArgumentError("sgd", "momentum must be > 0 with nesterov", "0");
}
Sgd::Sgd(float lr, SgdOptions options) : Sgd(with_lr(lr, options)) {}

void Sgd::do_prepare(const std::vector<NamedParameter>& parameters) { momentum_ = zeros_for(parameters); }

void Sgd::do_step(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  const reference::SgdCoefficients<float> c{.lr = lr(),
                                            .momentum = options_.momentum,
                                            .weight_decay = options_.weight_decay,
                                            .nesterov = options_.nesterov,
                                            .first = steps_taken() == 0};
  for_pieces(parameters, threads, [&](std::size_t i, std::size_t begin, std::size_t end) {
    Parameter& p = *parameters[i].parameter;
    kernels::sgd_step(p.value.data() + begin, momentum_[i].data() + begin, p.gradient.data() + begin, c,
                      end - begin);
  });
}

std::vector<NamedTensor> Sgd::state() {
  std::vector<NamedTensor> all;
  append(all, "momentum", names(), momentum_);
  return all;
}

template <class Options>
AdamBy<Options>::AdamBy(const Options& options) : Optimizer(options.lr, Options::kKind), options_(options) {
  check_fields(Options::kKind, options);
}
template <class Options>
AdamBy<Options>::AdamBy(float lr, Options options) : AdamBy(with_lr(lr, options)) {}

template <class Options>
void AdamBy<Options>::do_prepare(const std::vector<NamedParameter>& parameters) {
  m_ = zeros_for(parameters);
  v_ = zeros_for(parameters);
}

template <class Options>
void AdamBy<Options>::do_step(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  const auto c = coefficients(options_, lr(), static_cast<double>(steps_taken() + 1));
  for_pieces(parameters, threads, [&](std::size_t i, std::size_t begin, std::size_t end) {
    Parameter& p = *parameters[i].parameter;
    kernels::adam_step(p.value.data() + begin, m_[i].data() + begin, v_[i].data() + begin,
                       p.gradient.data() + begin, c, end - begin);
  });
}

template <class Options>
std::vector<NamedTensor> AdamBy<Options>::state() {
  std::vector<NamedTensor> all;
  append(all, "m", names(), m_);
  append(all, "v", names(), v_);
  return all;
}

template class AdamBy<AdamOptions>;
template class AdamBy<AdamWOptions>;

double gradient_norm(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  check_parameters("gradient_norm", parameters);
  double sum = 0;
  for (const NamedParameter& p : parameters) {
    const std::span<const float> g = p.parameter->gradient.values();
    constexpr std::size_t kPiece = numerics::kNormPiece;
    Scratch<double> sums((g.size() + kPiece - 1) / kPiece);
    parallel_for(threads, g.size(), kPiece, [&](std::size_t begin, std::size_t end) {
      sums[begin / kPiece] = kernels::sum_of_squares(g.data() + begin, end - begin);
    });
    sum += tree_sum(sums.size(), [&](std::size_t i) { return sums[i]; });
  }
  return std::sqrt(sum);
}

void clip_gradient_norm(const std::vector<NamedParameter>& parameters, float max_norm, double norm,
                        ThreadPool& threads) {
  check_parameters("clip_gradient_norm", parameters);
  check_range("clip_gradient_norm", "max_norm", static_cast<double>(max_norm), above(0));
  const float factor = reference::clip_norm_factor<float>(max_norm, norm);
  if (factor == 1) return;
  for_pieces(parameters, threads, [&](std::size_t i, std::size_t begin, std::size_t end) {
    for (float& g : parameters[i].parameter->gradient.values().subspan(begin, end - begin)) g *= factor;
  });
}

void clip_gradient_value(const std::vector<NamedParameter>& parameters, float most, ThreadPool& threads) {
  check_parameters("clip_gradient_value", parameters);
  check_range("clip_gradient_value", "most", static_cast<double>(most), above(0));
  for_pieces(parameters, threads, [&](std::size_t i, std::size_t begin, std::size_t end) {
    for (float& g : parameters[i].parameter->gradient.values().subspan(begin, end - begin)) {
      g = reference::clip_value(g, most);
    }
  });
}

}  // namespace volley
