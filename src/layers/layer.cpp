#include <volley/layer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <typeinfo>
#include <utility>

#include <volley/error.hpp>

#include "layers/layer_access.hpp"
#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

constexpr std::size_t kDepth = 64;  // of layers in layers

/// Claims a tape for one call. SAFETY: `busy` is the only thing that two threads touch.
class TapeInUse {
 public:
  TapeInUse(Tape& tape, std::string_view kind) : tape_(tape), pass_(TapeAccess::pass(tape)) {
    if (pass_.busy.exchange(true)) {
      throw ArgumentError(kind,
                          "a tape must serve one pass at a time, and a container must run its children on "
                          "tape.child(i)");
    }
  }
  ~TapeInUse() {
    pass_.y_by_sample = pass_.dx_by_sample = false;
    pass_.lent_dx = nullptr;
    TapeAccess::end_state(tape_);
    pass_.busy = false;
  }
  TapeInUse(const TapeInUse&) = delete;
  TapeInUse& operator=(const TapeInUse&) = delete;

 private:
  Tape& tape_;
  TapeAccess::Pass& pass_;
};

/// Counts a forward among the users of a layer, or claims it for a backward.
class LayerInUse {
 public:
  LayerInUse(int& users, bool alone, std::string_view kind) : users_(users), alone_(alone) {
    int now = users_.load();
    do {
      if (now < 0 || (alone && now > 0)) {
        throw ArgumentError(kind, "backward must be alone with the layer: another pass uses it now");
      }
    } while (!users_.compare_exchange_weak(now, alone ? -1 : now + 1));
  }
  ~LayerInUse() { users_.fetch_add(alone_ ? 1 : -1); }
  LayerInUse(const LayerInUse&) = delete;
  LayerInUse& operator=(const LayerInUse&) = delete;

 private:
  std::atomic_ref<int> users_;
  bool alone_;
};

void check_memory(std::string_view kind, const char* what, const Signal& signal) {
  if (SignalAccess::memory_fits(signal)) return;
  throw ArgumentError(kind, fmt::format("the memory of {} {} must keep its shape until the pass is done",
                                        what, signal.shape().text()));
}

void check_input(std::string_view kind, const Signal& x) {
  if (x.empty()) throw ArgumentError(kind, "x must be a signal", "an empty one");
  if (x.shape().rank() < 3 || x.steps() == 0 || x.features() == 0) {
    throw ShapeError(kind, "x must be (N, T, features...) with T and features >= 1", x.shape());
  }
  check_memory(kind, "x", x);
}

/// Spikes that come to a layer of currents, most often for want of a linear layer between.
void check_values(std::string_view kind, const Signal& x, const Form& form) {
  if (form.values != Form::Values::currents || !x.is_spikes()) return;
  throw ArgumentError(kind, "input must be real-valued currents",
                      fmt::format("spikes of shape {}; put a linear layer before it", x.shape().text()));
}

void check_output(std::string_view kind, const Signal& y, const Shape& expected) {
  if (y.empty()) throw ArgumentError(kind, "do_forward must return y", "an empty signal");
  if (y.shape() != expected) {
    throw ShapeError(kind, fmt::format("do_forward must return y of shape {}", expected.text()), y.shape());
  }
}

/// `layer`: whose forward ended on the tape.
void check_own_tape(std::string_view kind, const char* call, std::uint64_t layer, std::uint64_t own) {
  if (layer == own) return;
  throw ArgumentError(kind, fmt::format("{} must follow a forward of this layer on the same tape", call),
                      layer == 0 ? "a tape without one" : "the tape of another layer");
}

void check_gradient(std::string_view kind, const char* name, const Signal& gradient, const Signal& of) {
  if (gradient.empty()) {
    throw ArgumentError(kind, fmt::format("{} must be a signal", name), "an empty one");
  }
  if (gradient.is_spikes()) {
    throw ArgumentError(kind, fmt::format("{} must be real values", name), "spikes");
  }
  if (gradient.shape() != of.shape()) {
    throw ShapeError(kind, fmt::format("{} must have the shape {}", name, of.shape().text()),
                     gradient.shape());
  }
  if (gradient.stored_steps() < of.stored_steps()) {
    throw ShapeError(kind, fmt::format("{} must store all {} steps, as its signal does", name, of.steps()),
                     gradient.stored_shape());
  }
  check_memory(kind, name, gradient);
}

/// Throws unless `lengths` is empty, or has the steps of each sample of x.
void check_lengths(std::string_view kind, const Signal& x, std::span<const std::uint32_t> lengths,
                   bool with_state) {
  if (lengths.empty()) return;
  if (with_state) throw ArgumentError(kind, "a pass with lengths must have no state");
  if (lengths.size() != x.samples()) {
    throw ArgumentError(kind, fmt::format("lengths must be one for each of {} samples", x.samples()),
                        fmt::format("{}", lengths.size()));
  }
  for (const std::uint32_t length : lengths) {
    if (length < 1 || length > x.steps()) {
      throw ArgumentError(kind, fmt::format("lengths must be 1 to {}", x.steps()), fmt::format("{}", length));
    }
  }
}

}  // namespace

std::uint32_t place_of(std::string_view path) {
  const bool number =
      path.size() < 10 && std::ranges::all_of(path, [](char c) { return c >= '0' && c <= '9'; });
  std::uint32_t place = 0;
  if (number) {
    for (const char c : path) place = place * 10 + static_cast<std::uint32_t>(c - '0');
    return place;
  }
  place = 2166136261u;
  for (const char c : path) place = (place ^ static_cast<unsigned char>(c)) * 16777619u;
  return place | 1u << 31;
}

std::uint64_t Layer::Use::next_id() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

Signal Layer::forward(const Signal& x, Tape& tape, State* state) const {
  check_input(kind(), x);
  check_lengths(kind(), x, tape.context().lengths, state != nullptr);
  const Shape features = x.shape().from(2);
  const Shape expected = output_shape(features).after({x.samples(), x.steps()});
  const Form form = reads(features);
  check_values(kind(), x, form);
  TapeAccess::Pass& pass = TapeAccess::pass(tape);
  const TapeInUse tape_in_use(tape, kind());
  const LayerInUse layer_in_use(use_.users(), false, kind());
  pass.layer = 0;
  TapeAccess::clear_traces_below(tape);
  pass.carried = TapeAccess::begin_state(tape, state);
  pass.given = x;
  pass.x = in_form(x, form, pass.x_memory, executor_of(tape), reads_input_by_sample());
  const Signal y = do_forward(pass.x, tape);
  check_output(kind(), y, expected);
  pass.y = y;
  pass.layer = use_.id();
  TapeAccess::set_trace(tape, {this, x, y});
  return y;
}

namespace {

/// What the neurons of a layer did that ran step by step.
std::optional<Membrane> membrane_of_steps(const Layer& layer, const std::vector<const Tape*>& steps) {
  Membrane all;
  for (std::size_t t = 0; t < steps.size(); ++t) {
    const std::optional<Membrane> step = layer.membrane(*steps[t]);
    if (!step.has_value()) return {};
    for (Tensor Membrane::*part : {&Membrane::current, &Membrane::h, &Membrane::v, &Membrane::threshold}) {
      const Tensor& from = (*step).*part;
      if (from.size() == 0) continue;
      const std::size_t N = from.shape()[0], F = from.size() / N;
      Tensor& to = all.*part;
      if (t == 0) to.resize(from.shape().from(2).after({N, steps.size()}));
      for (std::size_t n = 0; n < N; ++n)
        std::copy_n(from.data() + n * F, F, to.data() + (n * steps.size() + t) * F);
    }
  }
  return all;
}

}  // namespace

std::optional<Membrane> Layer::membrane(const Tape& tape) const {
  const TapeAccess::Pass& pass = TapeAccess::pass(tape);
  if (!pass.steps.empty() && tape.trace().layer == this) return membrane_of_steps(*this, pass.steps);
  check_own_tape(kind(), "membrane", pass.layer, use_.id());
  check_memory(kind(), "x", pass.given);
  return do_membrane(tape);
}

Signal Layer::backward(Tape& tape, const Signal& dy, State* state) {
  TapeAccess::Pass& pass = TapeAccess::pass(tape);
  const TapeInUse tape_in_use(tape, kind());
  check_own_tape(kind(), "backward", pass.layer, use_.id());
  check_gradient(kind(), "dy", dy, pass.y);
  check_memory(kind(), "x", pass.given);
  if (TapeAccess::begin_state(tape, state) && !pass.carried) {
    throw ArgumentError(kind(), "backward with a state must follow a forward with one");
  }
  const LayerInUse layer_in_use(use_.users(), true, kind());
  const bool by_sample = source_of(dy) == nullptr || reads_gradient_by_sample();
  const bool fits = by_sample && dy.layout() == pass.y.layout() && dy.stored_steps() == pass.y.stored_steps();
  Executor& device = executor_of(tape);
  const Signal dx = do_backward(tape, fits ? dy : in_form_of(pass.y, dy, pass.dy_memory, device));
  if (!tape.needs_input_gradient()) return {};
  check_gradient(kind(), "dx", dx, pass.x);
  return in_form_of(pass.given, dx, pass.dx_memory, device);
}

std::size_t Layer::macs(const Shape&) const { return 0; }
Form Layer::reads(const Shape&) const { return {}; }
void Layer::draw_parameters(std::uint32_t, std::uint32_t) {}
std::unique_ptr<Layer> Layer::do_clone() const { return nullptr; }

std::vector<NamedLayer> Layer::children() {
  std::vector<NamedLayer> all = do_children();
  for (const NamedLayer& child : all) {
    if (child.layer == nullptr)
      throw ArgumentError(kind(), fmt::format("child '{}' must not be null", child.name));
  }
  return all;
}

void Layer::check_depth(const std::string& path) const {
  if (static_cast<std::size_t>(std::ranges::count(path, '.')) < kDepth) return;
  throw ArgumentError(kind(), fmt::format("layers must nest at most {} deep", kDepth), path);
}

ParameterKind kind_of(const NamedParameter& named) {
  if (named.parameter != nullptr && named.parameter->kind.has_value()) return *named.parameter->kind;
  return named.name == "bias" || named.name.ends_with(".bias") ? ParameterKind::bias : ParameterKind::weight;
}

std::vector<NamedParameter> Layer::parameters() {
  std::vector<NamedParameter> all;
  walk([&](const std::string& path, Layer& layer) {
    layer.touch();
    for (NamedParameter& own : layer.own_parameters()) {
      if (own.parameter == nullptr) {
        throw ArgumentError(layer.kind(), fmt::format("parameter '{}' must not be null", own.name));
      }
      all.push_back({path.empty() ? own.name : path + '.' + own.name, own.parameter});
    }
  });
  return all;
}

std::vector<NamedTensor> Layer::buffers() {
  std::vector<NamedTensor> all;
  walk([&](const std::string& path, Layer& layer) {
    for (NamedTensor& own : layer.own_buffers()) {
      if (own.tensor == nullptr) {
        throw ArgumentError(layer.kind(), fmt::format("buffer '{}' must not be null", own.name));
      }
      all.push_back({path.empty() ? own.name : path + '.' + own.name, own.tensor});
    }
  });
  return all;
}

std::vector<NamedTensor> Layer::named_tensors() {
  std::vector<NamedTensor> all = values_of(parameters());
  for (NamedTensor& buffer : buffers()) all.push_back(std::move(buffer));
  std::set<std::string_view> names;
  for (const NamedTensor& t : all) {
    if (names.insert(t.name).second) continue;
    throw ArgumentError(kind(), "parameters and buffers must have different names",
                        fmt::format("'{}' twice", t.name));
  }
  return all;
}

void Layer::initialize(std::uint32_t seed, std::string_view path) {
  const std::string root(path);
  walk([&](const std::string& inner, Layer& layer) {
    const std::string full = root.empty() || inner.empty() ? root + inner : root + '.' + inner;
    // A root with children draws at a place of its own, which child "0" does not share.
    const bool container = full.empty() && !layer.children().empty();
    layer.draw_parameters(seed, place_of(container ? "." : full));
    layer.touch();
  });
}

void Layer::draw_untouched() {
  walk([&](const std::string& path, Layer& layer) {
    if (!path.empty() && layer.untouched_) layer.draw_parameters(0, place_of(path));
  });
}

std::unique_ptr<Layer> Layer::clone() const {
  std::unique_ptr<Layer> copy = do_clone();
  const Layer* made = copy.get();
  if (made == nullptr || typeid(*made) != typeid(*this)) {
    throw ArgumentError(kind(), "a layer that is copied must override do_clone, with its own class");
  }
  return copy;
}

void check_tensor(std::string_view kind, std::string_view name, const Tensor& tensor, const Shape& shape) {
  if (tensor.shape() == shape) return;
  throw ShapeError(kind, fmt::format("{} must have the shape {}", name, shape.text()), tensor.shape());
}

void check_parameter(std::string_view kind, std::string_view name, const Parameter& parameter,
                     const Shape& shape) {
  check_tensor(kind, name, parameter.value, shape);
  if (parameter.gradient.shape() == shape) return;
  check_tensor(kind, fmt::format("the gradient of {}", name), parameter.gradient, shape);
}

std::vector<NamedTensor> values_of(const std::vector<NamedParameter>& parameters) {
  std::vector<NamedTensor> values;
  for (const auto& [name, parameter] : parameters) values.push_back({name, &parameter->value});
  return values;
}

void zero_gradients(const std::vector<NamedParameter>& parameters) {
  for (const NamedParameter& p : parameters) p.parameter->gradient.zero();
}

void zero_gradients(const std::vector<NamedParameter>& parameters, const Device& device) {
  Executor& executor = DeviceAccess::executor(device);
  for (const NamedParameter& p : parameters) {
    Tensor& gradient = p.parameter->gradient;
    executor.run(ops::Fill{.values = executor.write(gradient), .size = gradient.size(), .value = 0});
  }
}

}  // namespace volley
