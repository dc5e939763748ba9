#include "bench_measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "interrupt.hpp"
#include "statistics.hpp"

namespace volley::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The times of each phase, in the order in which a batch goes through them.
class Stopwatch {
 public:
  void next_batch() { at_ = 0; }

  template <class Body>
  void time(const std::string& name, const Body& body) {
    const Clock::time_point start = Clock::now();
    body();
    const double seconds = seconds_since(start);
    if (at_ == phases_.size()) {
      phases_.push_back({.name = name});
      times_.emplace_back();
    }
    times_[at_++].push_back(seconds);
  }
  /// What the phase just timed has to do.
  void note(double bytes, double operations = 0) {
    phases_[at_ - 1].bytes = bytes;
    phases_[at_ - 1].operations = operations;
  }
  std::vector<Phase> phases() {
    for (std::size_t i = 0; i < phases_.size(); ++i) phases_[i].seconds = median(times_[i]);
    return phases_;
  }

 private:
  std::vector<Phase> phases_;
  std::vector<std::vector<double>> times_;
  std::size_t at_ = 0;
};

double bytes_of(const Signal& signal) {
  if (signal.empty()) return 0;
  const double values = static_cast<double>(signal.stored_shape().size());
  return signal.is_spikes() ? values / 8 : values * sizeof(float);
}
double bytes_of(const std::vector<NamedParameter>& parameters) {
  double bytes = 0;
  for (const NamedParameter& p : parameters)
    bytes += static_cast<double>(p.parameter->value.size()) * sizeof(float);
  return bytes;
}

double spikes_in(const Signal& signal) {
  return signal.is_spikes() ? static_cast<double>(signal.spikes().count()) : 0;
}

/// Of a layer's weights, and so of the gradient of these: an addition for each spike and weight that it
/// reaches, two for each multiply-accumulate of real values. The gradient of the input is always of real
/// values.
struct Operations {
  double weights = 0, input_gradient = 0;
};

/// After a forward from x to y on the tape. A container's are those of the layers in it.
Operations operations_of(const Layer& layer, const Signal& x, const Signal& y, const Tape& tape) {
  Operations all;
  for (const Tape& child : tape.children()) {
    const Trace& trace = child.trace();
    if (trace.layer == nullptr) continue;
    const Operations own = operations_of(*trace.layer, trace.x, trace.y, child);
    all.weights += own.weights;
    all.input_gradient += own.input_gradient;
  }
  const auto macs = static_cast<double>(layer.macs(x.shape().from(2)));
  const Signal& taken = layer.is_recurrent() ? y : x;
  const double dense = 2 * macs * static_cast<double>(x.samples() * taken.stored_steps());
  all.weights += taken.is_spikes() ? spikes_in(taken) * macs / static_cast<double>(taken.features()) : dense;
  all.input_gradient += dense;
  return all;
}

/// A recipe's training, one layer after another through what the library shows of itself.
class LayerByLayer {
 public:
  LayerByLayer(const Recipe& recipe, const Dataset& data)
      : recipe_(recipe),
        data_(data),
        net_(recipe.build_network(data)),
        parts_(recipe.build_parts()),
        device_(recipe.training.device, recipe.training.threads),
        pool_(device_.threads()),
        encoder_tape_(device_),
        tape_(device_),
        loss_tape_(device_),
        parameters_(net_.parameters()),
        samples_(recipe.training.batch),
        labels_(recipe.training.batch) {
    while (first_ < net_.size() && net_[first_].parameters().empty()) ++first_;
    tape_.set_needs_input_gradient(false);
  }

  /// Takes batch number `b`; returns how many spikes it had.
  double step(std::size_t b, Stopwatch& watch) {
    watch.next_batch();
    for (std::size_t n = 0; n < samples_.size(); ++n) {
      samples_[n] = static_cast<std::uint32_t>((b * samples_.size() + n) % data_.size());
      labels_[n] = data_.labels[samples_[n]];
    }
    const double spikes = forward(b, watch);
    backward(watch);
    watch.time("optimizer", [&] {
      update();
      zero_gradients(parameters_);
    });
    double state = 0;
    for (const NamedTensor& s : parts_.optimizer->state())
      state += static_cast<double>(s.tensor->size()) * sizeof(float);
    const double to_clip = recipe_.training.clip_norm ? 3 : recipe_.training.clip_value ? 2 : 0;
    watch.note((4 + to_clip) * bytes_of(parameters_) + 2 * state);
    return spikes;
  }

 private:
  /// As the trainer does, in its first epoch.
  void update() {
    const TrainerOptions& options = recipe_.training;
    if (options.clip_norm) {
      clip_gradient_norm(parameters_, *options.clip_norm, gradient_norm(parameters_, device_), device_);
    }
    if (options.clip_value) clip_gradient_value(parameters_, *options.clip_value, device_);
    Optimizer& optimizer = *parts_.optimizer;
    const double base = static_cast<double>(optimizer.base_lr());
    optimizer.set_lr(static_cast<float>(scheduled_lr(parts_.schedule, base, 0, optimizer.steps_taken())));
    optimizer.step(parameters_, device_);
  }

  double forward(std::size_t b, Stopwatch& watch) {
    const Draw draw{recipe_.training.seed, static_cast<std::uint32_t>(b), Draw::Purpose::train};
    tape_.set_context({.training = true, .draw = draw, .samples = samples_});
    watch.time("encode", [&] {
      x_ = parts_.encoder->encode(data_, samples_, recipe_.training.steps, draw, encoder_tape_);
    });
    watch.note(static_cast<double>(samples_.size() * data_.shape.size()) + bytes_of(x_));
    double spikes = spikes_in(x_);
    inputs_.assign(1, x_);
    for (std::size_t i = 0; i < net_.size(); ++i) {
      Layer& layer = net_[i];
      const Signal x = inputs_.back();
      tape_.child(i).set_needs_input_gradient(i > first_);
      Signal y;
      watch.time(name("forward", i), [&] { y = layer.forward(x, tape_.child(i)); });
      watch.note(is_view(x, y) ? 0 : bytes_of(x) + bytes_of(y) + bytes_of(layer.parameters()),
                 operations_of(layer, x, y, tape_.child(i)).weights);
      if (!is_view(x, y)) spikes += spikes_in(y);
      inputs_.push_back(y);
    }
    const Signal& y = inputs_.back();
    watch.time("loss", [&] { parts_.loss->forward(y, labels_, scores_, loss_tape_); });
    watch.note(bytes_of(y));
    return spikes;
  }

  void backward(Stopwatch& watch) {
    const Signal& y = inputs_.back();
    if (recipe_.rule != "bptt") {
      watch.time("rule", [&] {
        parts_.rule->gradients(net_, *parts_.loss, {data_, samples_, labels_, y, scores_, loss_tape_}, tape_);
      });
      return;
    }
    Signal dy;
    watch.time("loss backward", [&] { dy = parts_.loss->backward(loss_tape_); });
    watch.note(bytes_of(dy));
    for (std::size_t i = net_.size(); i-- > first_;) {
      Layer& layer = net_[i];
      Signal dx;
      watch.time(name("backward", i), [&] { dx = layer.backward(tape_.child(i), dy); });
      const double weights = bytes_of(layer.parameters());
      const Operations operations = operations_of(layer, inputs_[i], inputs_[i + 1], tape_.child(i));
      watch.note(bytes_of(dy) + bytes_of(inputs_[i]) + bytes_of(dx) + (dx.empty() ? 2 : 3) * weights,
                 operations.weights + (dx.empty() ? 0 : operations.input_gradient));
      dy = dx;
    }
  }

  std::string name(const char* what, std::size_t i) const {
    return fmt::format("{} {} {}", what, i, net_[i].kind());
  }
  /// Whether y is x in another shape.
  static bool is_view(const Signal& x, const Signal& y) {
    if (x.is_spikes() != y.is_spikes()) return false;
    return x.is_spikes() ? &x.spikes() == &y.spikes() : x.values() == y.values();
  }

  const Recipe& recipe_;
  const Dataset& data_;
  Sequential net_;
  TrainerParts parts_;
  Device device_;
  ThreadPool& pool_;  // the device's
  Tape encoder_tape_;
  Tape tape_;
  Tape loss_tape_;
  std::vector<NamedParameter> parameters_;
  std::vector<std::uint32_t> samples_;
  std::vector<std::uint32_t> labels_;
  std::vector<Signal> inputs_;  // of each layer, and what comes out of the last
  Signal x_;
  Tensor scores_;
  std::size_t first_ = 0;  // the first layer that has parameters: nothing below it goes backward
};

}  // namespace

Profile profile_training(const Recipe& recipe, const Dataset& data, double seconds) {
  constexpr std::size_t kWarmUp = 3, kMost = 2000;
  LayerByLayer training(recipe, data);
  Stopwatch ignored;
  for (std::size_t b = 0; b < kWarmUp; ++b) training.step(b, ignored);
  Stopwatch watch;
  Profile profile;
  const Clock::time_point start = Clock::now();
  do {
    profile.spikes += training.step(kWarmUp + profile.batches++, watch);
  } while (profile.batches < kMost && seconds_since(start) < seconds && !Interrupts::asked());
  profile.spikes /= static_cast<double>(profile.batches);
  profile.phases = watch.phases();
  return profile;
}

}  // namespace volley::cli
