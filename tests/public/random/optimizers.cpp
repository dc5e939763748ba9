#include <algorithm>
#include <cmath>

#include "options.hpp"
#include "scenes.hpp"
#include "user_layers.hpp"

namespace volley::test {
namespace {

template <class O>
std::unique_ptr<Optimizer> make_optimizer(Program& p, const char* name, double invalid, std::string& text) {
  typename O::Options options;
  draw_fields(p, options, invalid);
  bool valid = in_ranges(options);
  if constexpr (requires { options.nesterov; }) {
    if (invalid == 0) options.nesterov = options.nesterov && options.momentum > 0;
    valid = valid && (!options.nesterov || options.momentum > 0);
  }
  text = cat(name, "{", fields_text(options), "}");
  p.count(cat("optimizer ", name));
  const std::string of = std::is_same_v<O, Sgd> ? "Sgd" : "AdamBy";
  return construct<O>(p, of, text, valid ? Expect::works : Expect::throws, options, options);
}

void set_gradients(Program& p, const std::vector<NamedParameter>& parameters) {
  for (const NamedParameter& named : parameters) {
    for (float& g : named.parameter->gradient.values()) g = static_cast<float>(p.random.real(-1, 1));
  }
}

/// An optimizer as a user writes it: w -= lr sign(g).
class Signs final : public Optimizer {
 public:
  Signs() : Optimizer(0.5f) {}
  std::string_view kind() const override { return "signs"; }
  std::vector<NamedTensor> state() override { return {}; }
  VOLLEY_OPTIMIZER_STEP(parameters) {
    for (const NamedParameter& named : parameters) {
      for (std::size_t i = 0; i < named.parameter->value.size(); ++i)
        named.parameter->value.data()[i] -= lr() * (named.parameter->gradient.data()[i] > 0 ? 1.0f : -1.0f);
    }
  }
};

void use_signs(Program& p) {
  Linear layer(4, 3), other(5, 3);
  Signs signs;
  p.count("Optimizer::Optimizer");
  set_gradients(p, layer.parameters());
  std::vector<float> expected;
  for (std::size_t i = 0; i < layer.weight().value.size(); ++i)
    expected.push_back(layer.weight().value.data()[i] -
                       0.5f * (layer.weight().gradient.data()[i] > 0 ? 1.0f : -1.0f));
  p.must("Optimizer::step", "signs.step(layer.parameters(), threads);",
         [&] { signs.step(layer.parameters(), pool_of(1)); });
  const std::vector<float> got = values_of_tensor(layer.weight().value);
  p.check(same_values(got, expected), "an optimizer of the user computes its formula",
          difference(got, expected));
  const auto step = [&] { signs.step(other.parameters(), pool_of(1)); };
  const char* text = "signs.step(other.parameters(), threads);  // of another shape";
  kHasContract ? p.must_throw("Optimizer::step", text, step) : p.must("Optimizer::step", text, step);
}

/// Sgd in double, beside the optimizer's own.
void check_sgd(Program& p) {
  SgdOptions o;
  draw_fields(p, o, 0);
  o.nesterov = o.nesterov && o.momentum > 0;
  if (!(o.lr < 2) || !(o.weight_decay < 2)) return;
  Linear layer(3, 2);
  Sgd sgd(o);
  p.say(cat("Linear layer(3, 2);  Sgd sgd(", fields_text(o), ");"));
  Tensor& value = layer.weight().value;
  std::vector<double> w(value.data(), value.data() + value.size()), b(w.size());
  for (int step = 0; step < 3; ++step) {
    set_gradients(p, layer.parameters());
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double g =
          static_cast<double>(layer.weight().gradient.data()[i]) + static_cast<double>(o.weight_decay) * w[i];
      const auto momentum = static_cast<double>(o.momentum);
      b[i] = step == 0 ? g : momentum * b[i] + g;
      w[i] -= static_cast<double>(o.lr) * (o.nesterov ? g + momentum * b[i] : b[i]);
    }
    p.must("Optimizer::step", "sgd.step(layer.parameters(), threads);",
           [&] { sgd.step(layer.parameters(), pool_of(1)); });
  }
  std::vector<float> expected(w.begin(), w.end());
  const std::vector<float> got(value.data(), value.data() + value.size());
  p.check(close_values(got, expected, 1e-4), "Sgd computes its formula", difference(got, expected));
}

/// A group without a learning rate keeps its parameters; decay_only_weights spares the bias.
template <class O>
void check_groups(Program& p, const char* name) {
  typename O::Options options;
  if constexpr (requires { options.groups; }) {
    Sequential net{Linear{3, 2}, Linear{2, 2}};
    options.groups.push_back({.match = p.random.one_of({"0.*", "0.?e*", "*0.weight"}), .lr_factor = 0});
    p.say(cat(name, " optimizer{", fields_text(options), "};  Sequential net{Linear{3, 2}, Linear{2, 2}};"));
    O optimizer(options);
    set_gradients(p, net.parameters());
    const Tensor kept = net.parameters()[0].parameter->value, moved = net.parameters()[2].parameter->value;
    p.must("Optimizer::step", "optimizer.step(net.parameters(), threads);",
           [&] { optimizer.step(net.parameters(), pool_of(1)); });
    p.check(std::ranges::equal(net.parameters()[0].parameter->value.values(), kept.values()),
            "a group without a learning rate stays as it is");
    p.check(!std::ranges::equal(net.parameters()[2].parameter->value.values(), moved.values()),
            "what is in no group moves");
    p.count("kind_of");
    p.check(is_bias(net.parameters()[1]), "a bias is one by its name");
    options.groups = {{.match = p.random.one_of({"norm", "neuron", "2.*", ""})}};
    O none(options);
    p.must_throw("Optimizer::prepare", "none.prepare(net.parameters());  // a group of no parameter",
                 [&] { none.prepare(net.parameters()); });
    options.groups[0].lr_factor = p.random.one_of({-1.0f, std::nanf("")});
    const std::string made = std::is_same_v<O, Sgd> ? "Sgd::Sgd" : "AdamBy::AdamBy";
    p.must_throw(made, cat(name, "{", fields_text(options), "}"), [&] { O{options}; });
  }
}

template <class S>
double expected_lr(const S& schedule, double base, double at) {
  if constexpr (std::is_same_v<S, StepSchedule>) {
    return base * std::pow(schedule.gamma, std::floor(at / static_cast<double>(schedule.step_size)));
  } else if constexpr (std::is_same_v<S, MultiStepSchedule>) {
    double lr = base;
    for (const std::size_t milestone : schedule.milestones)
      lr *= at >= static_cast<double>(milestone) ? schedule.gamma : 1;
    return lr;
  } else if constexpr (std::is_same_v<S, ExponentialSchedule>) {
    return base * std::pow(schedule.gamma, at);
  } else {
    return base;
  }
}

void use_schedules(Program& p) {
  Schedule schedule = draw_variant<Schedule>(p, 0.05);
  std::visit(
      [&](const auto& one) {
        using S = std::remove_cvref_t<decltype(one)>;
        const std::string text = cat(S::kKind, fields_text(one));
        p.count(cat("schedule ", S::kKind));
        const bool valid = in_ranges(one);
        const auto check = [&] { check_schedule(schedule); };
        if constexpr (std::is_same_v<S, MultiStepSchedule>) {
          if (!p.may("check_schedule", cat("check_schedule(", text, ");"), check)) return;
        } else {
          valid ? p.must("check_schedule", cat("check_schedule(", text, ");"), check)
                : p.must_throw("check_schedule", cat("check_schedule(", text, ");"), check);
        }
        if (!valid) return;
        const std::uint64_t epochs = p.random.below(40), steps = p.random.below(400);
        double lr = 0;
        p.must("scheduled_lr", cat("scheduled_lr(", text, ", 0.1, ", epochs, ", ", steps, ");"),
               [&] { lr = scheduled_lr(schedule, 0.1, epochs, steps); });
        if (one.warmup != 0 || std::is_same_v<S, CosineSchedule>) return;
        const auto at = static_cast<double>(one.unit == ScheduleUnit::epoch ? epochs : steps);
        const double expected = expected_lr(one, 0.1, at);
        p.check(std::abs(lr - expected) <= 1e-9 + 1e-9 * std::abs(expected) || !std::isfinite(expected),
                "the value of a schedule", cat(text, ": ", lr, ", not ", expected));
      },
      schedule);
  p.may("scheduled_lr", "scheduled_lr(schedule, NaN, 2^64 - 1, 2^64 - 1);  // not checked", [&] {
    static_cast<void>(scheduled_lr(schedule, std::nan(""), ~std::uint64_t{0}, ~std::uint64_t{0}));
  });
}

void use_clipping(Program& p, Layer& layer) {
  set_gradients(p, layer.parameters());
  double norm = 0;
  p.must("gradient_norm", "gradient_norm(parameters);", [&] { norm = gradient_norm(layer.parameters()); });
  double squares = 0;
  for (const NamedParameter& named : layer.parameters()) {
    for (const float g : named.parameter->gradient.values())
      squares += static_cast<double>(g) * static_cast<double>(g);
  }
  p.check(std::abs(norm - std::sqrt(squares)) <= 1e-5 * norm + 1e-9, "gradient_norm");
  const auto most = static_cast<float>(p.random.real(0.01, 1));
  p.must("clip_gradient_norm", "clip_gradient_norm(parameters, most, norm, threads);",
         [&] { clip_gradient_norm(layer.parameters(), most, norm, pool_of(1)); });
  p.check(gradient_norm(layer.parameters()) <= static_cast<double>(most) * 1.001, "clip_gradient_norm");
  p.must("clip_gradient_value", "clip_gradient_value(parameters, 0.001f, threads);",
         [&] { clip_gradient_value(layer.parameters(), 0.001f, pool_of(2)); });
  for (const NamedParameter& named : layer.parameters()) {
    for (const float g : named.parameter->gradient.values())
      p.check(std::abs(g) <= 0.001f, "clip_gradient_value");
  }
  const float odd = p.random.one_of({0.0f, -1.0f, std::nanf(""), 1e30f});
  p.may("clip_gradient_value", cat("clip_gradient_value(parameters, ", odd, ", threads);"),
        [&] { clip_gradient_value(layer.parameters(), odd, pool_of(1)); });
  p.may("clip_gradient_norm", cat("clip_gradient_norm(parameters, ", odd, ", 1, threads);"),
        [&] { clip_gradient_norm(layer.parameters(), odd, 1, pool_of(1)); });
}

}  // namespace

std::unique_ptr<Optimizer> draw_optimizer(Program& p, double invalid, std::string& text) {
  switch (p.random.below(3)) {
    case 0: return make_optimizer<Sgd>(p, "Sgd", invalid, text);
    case 1: return make_optimizer<Adam>(p, "Adam", invalid, text);
    default: return make_optimizer<AdamW>(p, "AdamW", invalid, text);
  }
}

void optimizer_scene(Program& p) {
  std::string text;
  const std::unique_ptr<Optimizer> optimizer = draw_optimizer(p, 0, text);
  Linear a(4, 3), b(5, 2);
  Sequential two{Linear{4, 3}, Linear{3, 4}};
  set_gradients(p, a.parameters());
  p.count("Linear::weight");
  p.count("Linear::bias");
  p.say("Linear a(4, 3), b(5, 2);  Sequential two{Linear{4, 3}, Linear{3, 4}};");
  const auto step = [&](const char* name, Layer& layer) {
    return p.may("Optimizer::step", cat("optimizer.step(", name, ".parameters(), threads);"),
                 [&] { optimizer->step(layer.parameters(), pool_of(p.random.between(1, p.threads()))); });
  };
  if (p.random.chance(0.5))
    p.must("Optimizer::prepare", "optimizer.prepare(a.parameters());",
           [&] { optimizer->prepare(a.parameters()); });
  p.check(step("a", a), "an optimizer takes a step");
  p.count("Optimizer::state");
  for (const NamedTensor& named : optimizer->state())
    p.check(named.tensor->size() > 0, "the state of an optimizer");
  p.count("Optimizer::steps_taken");
  p.check(optimizer->steps_taken() == 1, "steps_taken");
  // Other parameters than before: more, fewer, of other shapes.
  if (p.random.chance(0.5)) step("b", b);
  if (p.random.chance(0.5)) step("two", two);
  p.may("Optimizer::step", "optimizer.step({}, threads);", [&] { optimizer->step({}, pool_of(1)); });
  if (p.random.chance(0.5))
    p.may("Optimizer::prepare", "optimizer.prepare(two.parameters());",
          [&] { optimizer->prepare(two.parameters()); });
  const std::vector<NamedParameter> null{{"weight", nullptr}};
  p.must_throw("Optimizer::step", "optimizer.step({{\"weight\", nullptr}}, threads);",
               [&] { optimizer->step(null, pool_of(1)); });
  p.count("Optimizer::set_lr");
  p.may("Optimizer::set_lr", "optimizer.set_lr(NaN);", [&] { optimizer->set_lr(std::nanf("")); });
  p.count("Optimizer::lr");
  p.count("Optimizer::base_lr");
  p.count("Optimizer::set_steps_taken");
  p.count("Optimizer::kind");
  optimizer->set_steps_taken(~std::uint64_t{0});
  step("a", a);
  check_sgd(p);
  check_groups<Sgd>(p, "Sgd");
  check_groups<AdamW>(p, "AdamW");
  use_signs(p);
  use_schedules(p);
  use_clipping(p, two);
}

}  // namespace volley::test
