#include <fmt/format.h>

#include <volley/error.hpp>
#include <volley/optimizer.hpp>

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

SgdOptions with_lr(float lr, SgdOptions options) {
  options.lr = lr;
  return options;
}
AdamOptions with_lr(float lr, AdamOptions options) {
  options.lr = lr;
  return options;
}

}  // namespace

Sgd::Sgd(const SgdOptions& options) : options_(options) {
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
  const reference::SgdCoefficients<float> c{.lr = options_.lr,
                                            .momentum = options_.momentum,
                                            .weight_decay = options_.weight_decay,
                                            .nesterov = options_.nesterov,
                                            .first = steps_ == 0};
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = *parameters[i].parameter;
    parallel_for(threads, p.value.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      kernels::sgd_step(p.value.data() + begin, momentum_[i].data() + begin, p.gradient.data() + begin, c,
                        end - begin);
    });
  }
  ++steps_;
}

std::vector<NamedTensor> Sgd::state() {
  std::vector<NamedTensor> all;
  append(all, "momentum", names_, momentum_);
  return all;
}

Adam::Adam(const AdamOptions& options) : options_(options) { check_fields(AdamOptions::kKind, options); }
Adam::Adam(float lr, AdamOptions options) : Adam(with_lr(lr, options)) {}

void Adam::prepare(const std::vector<NamedParameter>& parameters) {
  make_room(kind(), parameters, names_, {&m_, &v_});
}

void Adam::step(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
  prepare(parameters);
  ++steps_;
  const auto c =
      reference::adam_coefficients<float>(options_.lr, options_.beta1, options_.beta2, options_.eps,
                                          options_.weight_decay, static_cast<double>(steps_));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = *parameters[i].parameter;
    parallel_for(threads, p.value.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      kernels::adam_step(p.value.data() + begin, m_[i].data() + begin, v_[i].data() + begin,
                         p.gradient.data() + begin, c, end - begin);
    });
  }
}

std::vector<NamedTensor> Adam::state() {
  std::vector<NamedTensor> all;
  append(all, "m", names_, m_);
  append(all, "v", names_, v_);
  return all;
}

}  // namespace volley
