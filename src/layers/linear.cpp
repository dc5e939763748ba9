#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include <volley/error.hpp>
#include <volley/layers.hpp>

#include "core/philox.hpp"
#include "layers/layer_access.hpp"
#include "ops/sample_source.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  Tensor y;
  ops::Slot slot;
};

}  // namespace

Linear::Linear(std::size_t in, std::size_t out, const LinearOptions& options)
    : in_(in), out_(out), options_(options), weight_(Shape{out, in}) {
  check_range(LinearOptions::kKind, "in", static_cast<double>(in), at_least(1));
  check_range(LinearOptions::kKind, "out", static_cast<double>(out), at_least(1));
  if (options.bias) bias_ = Parameter(Shape{out});
  Linear::draw_parameters(0, 0);
}

Shape Linear::output_shape(const Shape& features) const {
  if (features != Shape{in_}) {
    throw ShapeError(kind(), fmt::format("input features must be {}", Shape{in_}.text()), features);
  }
  return {out_};
}

std::vector<NamedParameter> Linear::own_parameters() {
  std::vector<NamedParameter> all{{"weight", &weight_}};
  if (options_.bias) all.push_back({"bias", &bias_});
  return all;
}

void Linear::draw_parameters(std::uint32_t seed, std::uint32_t place) {
  PhiloxSequence random(philox_key(seed, Purpose::initialize, 0), place);
  const double bound = 1 / std::sqrt(static_cast<double>(in_));
  const auto uniform = [&] { return static_cast<float>((2 * random.uniform() - 1) * bound); };
  const auto normal = [&] {  // Box and Muller, 1958; 1 - u is never 0
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random.uniform()));
  };
  for (float& w : weight_.value.values()) w = options_.init == Init::normal ? normal() : uniform();
  if (options_.bias) {
    for (float& b : bias_.value.values()) b = uniform();
  }
}

Form Linear::reads(const Shape&) const { return {.values = Form::Values::any, .constant = true}; }

void Linear::check_parameters() const {
  check_parameter(kind(), "weight", weight_, {out_, in_});
  if (options_.bias) check_parameter(kind(), "bias", bias_, {out_});
}

Signal Linear::do_forward(const Signal& x, Tape& tape) const {
  check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  saved.y.resize({x.samples(), x.stored_steps(), out_});
  device.run(ops::LinearForward{.x = view_of(x, device),
                                .weight = device.read(weight_.value),
                                .bias = options_.bias ? device.read(bias_.value) : nullptr,
                                .y = device.write(saved.y),
                                .out = out_,
                                .slot = &saved.slot});
  return {saved.y, {x.samples(), x.steps(), out_}};
}

Signal Linear::do_backward(Tape& tape, const Signal& dy) {
  check_parameters();
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  device.run(ops::LinearGradient{.x = view_of(x, device),
                                 .dy = values_of(dy, device),
                                 .weight = device.update(weight_.gradient),
                                 .bias = options_.bias ? device.update(bias_.gradient) : nullptr,
                                 .out = out_,
                                 .slot = &saved.slot});
  if (!tape.needs_input_gradient()) return {};
  ops::LinearInputGradient gradient{.dy = values_of(dy, device),
                                    .weight = device.read(weight_.value),
                                    .rows = x.samples() * x.stored_steps(),
                                    .in = in_,
                                    .out = out_};
  if (TapeAccess::dx_by_sample(tape)) {
    if (const SampleSource* dx = device.defer(gradient, dy, saved.slot); dx != nullptr)
      return with_source(x, *dx);
  }
  Tensor& dx = tape.dx_memory();
  dx.resize(x.stored_shape());
  gradient.dx = device.write(dx);
  device.run(gradient);
  return x.with_values(dx);
}

std::unique_ptr<Layer> Linear::do_clone() const { return std::make_unique<Linear>(*this); }

}  // namespace volley
