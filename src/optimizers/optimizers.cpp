#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <volley/error.hpp>
#include <volley/optimizer.hpp>
#include <volley/text.hpp>

#include "ops/executor.hpp"
#include "optimizers/gradient_norm.hpp"

namespace volley {
namespace {

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

/// body(i, c) for the i-th parameter, where c are the coefficients that make(setting) gives for its setting.
template <class Make, class Body>
void for_parameters_by(const std::vector<ParameterSetting>& settings, const Make& make, const Body& body) {
  if (settings.empty()) return;
  auto c = make(settings[0]);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    if (i > 0 && !(settings[i] == settings[i - 1])) c = make(settings[i]);
    body(i, c);
  }
}

double group_lr(float lr, const ParameterSetting& setting) {  // (O10)
  return static_cast<double>(lr) * static_cast<double>(setting.lr_factor);
}

/// (O4) to (O6): Adam's step k, with the weight decay in the gradient.
ops::AdamCoefficients adam_coefficients(const auto& o, double lr, float decay, double k) {
  const double beta1 = static_cast<double>(o.beta1), beta2 = static_cast<double>(o.beta2);
  return {.beta1 = o.beta1,
          .beta2 = o.beta2,
          .eps = o.eps,
          .weight_decay = decay,
          .step_size = static_cast<float>(lr / (1 - std::pow(beta1, k))),
          .inverse_sqrt_bias2 = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, k)))};
}
ops::AdamCoefficients coefficients(const AdamOptions& o, double lr, float decay, double k) {
  return adam_coefficients(o, lr, decay, k);
}
/// (O7) AdamW takes it from the weights.
ops::AdamCoefficients coefficients(const AdamWOptions& o, double lr, float decay, double k) {
  ops::AdamCoefficients c = adam_coefficients(o, lr, 0, k);
  c.keep = static_cast<float>(1 - lr * static_cast<double>(decay));
  return c;
}

/// Whether `pattern` is for all of `name`: * is for any letters, ? for one.
bool fits(std::string_view pattern, std::string_view name) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t p = 0, n = 0, star = kNone, behind = 0;  // the last *, and what of `name` it leaves
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      behind = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p, ++n;
    } else if (star != kNone) {
      p = star + 1;
      n = ++behind;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == kNone;
}

bool matches(const std::string& match, const NamedParameter& parameter) {
  static constexpr std::array<std::string_view, 4> kKinds{"weight", "bias", "norm", "neuron"};
  const auto kind = std::find(kKinds.begin(), kKinds.end(), match);
  if (kind == kKinds.end()) return fits(match, parameter.name);
  return static_cast<std::size_t>(kind - kKinds.begin()) == static_cast<std::size_t>(kind_of(parameter));
}

void check_groups(std::string_view kind, const std::vector<ParameterGroup>& groups) {
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto check = [&](std::string_view name, double value) {
      check_range(kind, fmt::format("groups.{}.{}", g, name), value, at_least(0));
    };
    check("lr_factor", static_cast<double>(groups[g].lr_factor));
    if (groups[g].weight_decay.has_value())
      check("weight_decay", static_cast<double>(*groups[g].weight_decay));
  }
}

/// The names of the first parameters, as far as a line has room.
std::string names_text(const std::vector<NamedParameter>& parameters) {
  constexpr std::size_t kMostNamed = 12;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(parameters.size(), kMostNamed); ++i)
    names.push_back(parameters[i].name);
  const std::size_t more = parameters.size() - names.size();
  return quoted_list(names) + (more > 0 ? fmt::format(" and {} more", more) : "");
}

/// What the groups make of each parameter. Throws where one has none.
template <class Options>
std::vector<ParameterSetting> settings_of(const Options& options,
                                          const std::vector<NamedParameter>& parameters) {
  std::vector<ParameterSetting> settings;
  std::vector<bool> used(options.groups.size());
  for (const NamedParameter& parameter : parameters) {
    const auto group = std::ranges::find_if(
        options.groups, [&](const ParameterGroup& g) { return matches(g.match, parameter); });
    ParameterSetting& setting = settings.emplace_back();
    setting.weight_decay = options.weight_decay;
    if (group != options.groups.end()) {
      used[static_cast<std::size_t>(group - options.groups.begin())] = true;
      setting = {group->lr_factor, group->weight_decay.value_or(options.weight_decay)};
    } else if (options.decay_only_weights && kind_of(parameter) != ParameterKind::weight) {
      setting.weight_decay = 0;
    }
  }
  const auto unused = std::find(used.begin(), used.end(), false);
  if (unused == used.end()) return settings;
  const auto g = static_cast<std::size_t>(unused - used.begin());
  throw ArgumentError(Options::kKind,
                      fmt::format("groups.{}: match '{}' must be for a parameter that no group before it "
                                  "has, of {}",
                                  g, options.groups[g].match, names_text(parameters)),
                      "none");
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

void Optimizer::step(const std::vector<NamedParameter>& parameters, const Device& device) {
  prepare(parameters);
  do_step(parameters, device);
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
  check_groups(SgdOptions::kKind, options.groups);
  if (options.nesterov && options.momentum == 0)
    throw ArgumentError("sgd", "momentum must be > 0 with nesterov", "0");
}
Sgd::Sgd(float lr, SgdOptions options) : Sgd(with_lr(lr, options)) {}

void Sgd::do_prepare(const std::vector<NamedParameter>& parameters) {
  settings_ = settings_of(options_, parameters);
  momentum_ = zeros_for(parameters);
}

void Sgd::do_step(const std::vector<NamedParameter>& parameters, const Device& device) {
  Executor& executor = DeviceAccess::executor(device);
  const auto make = [&](const ParameterSetting& setting) {
    return ops::SgdCoefficients{.lr = static_cast<float>(group_lr(lr(), setting)),
                                .momentum = options_.momentum,
                                .weight_decay = setting.weight_decay,
                                .nesterov = options_.nesterov,
                                .first = steps_taken() == 0};
  };
  for_parameters_by(settings_, make, [&](std::size_t i, const ops::SgdCoefficients& c) {
    Parameter& p = *parameters[i].parameter;
    executor.run(ops::SgdStep{.weight = executor.update(p.value),
                              .momentum = c.momentum != 0 ? executor.update(momentum_[i]) : nullptr,
                              .gradient = executor.read(p.gradient),
                              .size = p.value.size(),
                              .c = c});
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
  check_groups(Options::kKind, options.groups);
}
template <class Options>
AdamBy<Options>::AdamBy(float lr, Options options) : AdamBy(with_lr(lr, options)) {}

template <class Options>
void AdamBy<Options>::do_prepare(const std::vector<NamedParameter>& parameters) {
  settings_ = settings_of(options_, parameters);
  m_ = zeros_for(parameters);
  v_ = zeros_for(parameters);
}

template <class Options>
void AdamBy<Options>::do_step(const std::vector<NamedParameter>& parameters, const Device& device) {
  Executor& executor = DeviceAccess::executor(device);
  const auto make = [&](const ParameterSetting& setting) {
    return coefficients(options_, group_lr(lr(), setting), setting.weight_decay,
                        static_cast<double>(steps_taken() + 1));
  };
  for_parameters_by(settings_, make, [&](std::size_t i, const ops::AdamCoefficients& c) {
    Parameter& p = *parameters[i].parameter;
    executor.run(ops::AdamStep{.weight = executor.update(p.value),
                               .m = executor.update(m_[i]),
                               .v = executor.update(v_[i]),
                               .gradient = executor.read(p.gradient),
                               .size = p.value.size(),
                               .c = c});
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

double gradient_norm(const std::vector<NamedParameter>& parameters, const Device& device,
                     Buffer<double>& sums) {
  check_parameters("gradient_norm", parameters);
  Executor& executor = DeviceAccess::executor(device);
  sums.resize(parameters.size());
  double* const to = executor.write(sums);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Tensor& gradient = parameters[i].parameter->gradient;
    executor.run(
        ops::SumOfSquares{.values = executor.read(gradient), .size = gradient.size(), .sum = to + i});
  }
  double sum = 0;
  for (const double of_parameter : std::as_const(sums).span()) sum += of_parameter;
  return std::sqrt(sum);
}
double gradient_norm(const std::vector<NamedParameter>& parameters, const Device& device) {
  Buffer<double> sums;
  return gradient_norm(parameters, device, sums);
}
double gradient_norm(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  return gradient_norm(parameters, Device(threads));
}

void clip_gradient_norm(const std::vector<NamedParameter>& parameters, float max_norm, double norm,
                        const Device& device) {
  check_parameters("clip_gradient_norm", parameters);
  check_range("clip_gradient_norm", "max_norm", static_cast<double>(max_norm), above(0));
  const auto factor = static_cast<float>(
      std::min(static_cast<double>(max_norm) / (norm + 1e-6), 1.0));  // (O8), NaN stays NaN
  if (factor == 1) return;
  Executor& executor = DeviceAccess::executor(device);
  for (const NamedParameter& p : parameters) {
    Tensor& gradient = p.parameter->gradient;
    executor.run(ops::Scale{.values = executor.update(gradient), .size = gradient.size(), .factor = factor});
  }
}
void clip_gradient_norm(const std::vector<NamedParameter>& parameters, float max_norm, double norm,
                        ThreadPool& threads) {
  clip_gradient_norm(parameters, max_norm, norm, Device(threads));
}

void clip_gradient_value(const std::vector<NamedParameter>& parameters, float most, const Device& device) {
  check_parameters("clip_gradient_value", parameters);
  check_range("clip_gradient_value", "most", static_cast<double>(most), above(0));
  Executor& executor = DeviceAccess::executor(device);
  for (const NamedParameter& p : parameters) {
    Tensor& gradient = p.parameter->gradient;
    executor.run(ops::Clip{.values = executor.update(gradient), .size = gradient.size(), .most = most});
  }
}
void clip_gradient_value(const std::vector<NamedParameter>& parameters, float most, ThreadPool& threads) {
  clip_gradient_value(parameters, most, Device(threads));
}

}  // namespace volley
