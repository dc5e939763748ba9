#include <algorithm>
#include <cmath>

#include "options.hpp"
#include "scenes.hpp"

namespace volley::test {
namespace {

/// Steps [first, last) of values (N, T, features).
std::vector<float> steps_of(const std::vector<float>& values, std::size_t N, std::size_t T, std::size_t first,
                            std::size_t last) {
  const std::size_t F = values.size() / (N * T);
  std::vector<float> part;
  for (std::size_t n = 0; n < N; ++n) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>((n * T + first) * F);
    part.insert(part.end(), begin, begin + static_cast<std::ptrdiff_t>((last - first) * F));
  }
  return part;
}

}  // namespace

void check_chunks(Program& p, Layer& net, const Input& x, const PassCall& call, const PassResult& whole,
                  bool parallel) {
  const std::size_t N = x.shape()[0], T = x.shape()[1];
  if (T < 2 || N == 0 || x.shape().size() == 0) return;
  for (const char* name : {"State::at_rest", "State::reset", "State::named_tensors", "State::named_gradients",
                           "State::set", "State::find", "Layer::state_names", "Tape::state", "carried_by"}) {
    p.count(name);
  }
  const AnyNeuron neuron = draw_variant<AnyNeuron>(p, 0);
  p.check(carried_by(neuron).size() == NeuronLayer(neuron).state_names().size(), "what a neuron carries");
  p.check(Tape().state() == nullptr, "outside a pass a Tape has no state");
  State state;
  p.check(state.at_rest(), "a new State is at rest");
  initialize(net, call.seed);
  const std::size_t cut = p.random.between(1, T - 1);
  Form form = x.form();
  form.constant = false;
  const Shape features = x.shape().from(2);
  std::vector<Input> parts;
  parts.emplace_back(features.after({N, cut}), steps_of(x.plain(), N, T, 0, cut), form);
  parts.emplace_back(features.after({N, T - cut}), steps_of(x.plain(), N, T, cut, T), form);
  std::size_t first = 0;
  for (const Input& part : parts) {
    const std::size_t steps = part.shape()[1];
    Tape tape(pool_of(call.threads));
    tape.set_context(call.context);
    Signal y;
    const std::string text = cat("y = net.forward(steps ", first, " to ", first + steps, ", tape, &state);");
    const auto forward = [&] { y = net.forward(part.x(), tape, &state); };
    if (parallel) {
      p.must_throw("Layer::forward", text, forward);
      return;
    }
    if (!call.valid) {
      if (!p.may("Layer::forward", text, forward)) return;
    } else {
      p.must("Layer::forward", text, forward);
      if (y.empty()) return;
    }
    const std::vector<float> expected = steps_of(whole.y, N, T, first, first + steps);
    const std::vector<float> got = plain_values(p, y);
    p.check(same_values(got, expected), "chunks with a State are one pass", difference(got, expected));
    first += steps;
    p.count("membranes");
    p.count("Layer::membrane");
    for (const NamedMembrane& layer : membranes(net, tape)) {
      p.check(layer.membrane.h.size() == layer.membrane.v.size() &&
                  layer.membrane.h.size() == layer.membrane.current.size(),
              "a membrane has the shape of its layer", layer.name);
    }
    State read;  // what a file would bring
    p.may("State::set", "read.set(net, state's tensors);", [&] {
      NamedTensors tensors;
      for (const NamedTensor& named : state.named_tensors(net)) tensors[named.name] = *named.tensor;
      read.set(net, tensors);
      p.check(read.named_tensors(net).size() == tensors.size(), "State::set takes all");
      static_cast<void>(read.named_gradients(net));
      for (const NamedLayer& child : net.children()) static_cast<void>(child.layer->state_names());
    });
    if (p.random.chance(0.5)) state = read;
  }
  p.may("State::at", "state.at(\"v\", {N, 3}, 0);", [&] {
    state.at("own", Shape{N, 3}, 0.5f);
    p.check(!state.at_rest(), "a State that has an array is not at rest");
    p.check(state.find("own") != nullptr && state.find("absent") == nullptr, "State::find");
  });
  p.may("State::at", "state.at(\"v\", {N, 4}, 0);", [&] { state.at("own", Shape{N, 4}, 0); });
  p.may("State::child", "state.child(0);", [&] { static_cast<void>(state.child(0).at_rest()); });
  state.reset();
  p.check(state.at_rest(), "State::reset");
}

void check_metrics(Program& p, std::size_t N, std::size_t K) {
  for (const char* name : {"macro_accuracy", "macro_f1", "top_k_accuracy", "mean_absolute_error",
                           "root_mean_squared_error", "r_squared"}) {
    p.count(name);
  }
  Tensor scores(Shape{N, K});
  std::ranges::copy(draw_values(p, N * K), scores.data());
  const std::vector<std::uint32_t> labels = draw_labels(p, N, K);
  std::vector<std::uint32_t> predictions;
  for (std::size_t n = 0; n < N; ++n) {
    predictions.push_back(static_cast<std::uint32_t>(predict({scores.data() + n * K, K})));
  }
  const auto share = [](double x) { return x >= 0 && x <= 1; };
  p.check(share(macro_accuracy(predictions, labels, K)) && share(macro_f1(predictions, labels, K)),
          "macro accuracy and F1 are shares");
  p.check(macro_accuracy(labels, labels, K) == 1 && macro_f1(labels, labels, K) == 1, "all right is 1");
  p.check(top_k_accuracy(scores, labels, K) == 1, "the K highest of K have the label");
  double before = 0;
  for (std::size_t k = 1; k <= K; ++k) {
    const double now = top_k_accuracy(scores, labels, k);
    p.check(now >= before, "top k does not fall with k");
    before = now;
  }
  p.check(!is_finite(scores) ||
              (mean_absolute_error(scores, scores) == 0 && root_mean_squared_error(scores, scores) == 0),
          "no error of itself");
  p.may("r_squared", "r_squared(scores, scores);", [&] {
    const double r = r_squared(scores, scores);
    p.check(r == 1 || std::isnan(r), "R^2 of itself is 1");
  });
}

void check_devices(Program& p) {
  for (const char* name :
       {"Device::Device", "Device::name", "Device::threads", "Device::finish", "Device::copied_bytes",
        "DeviceError::DeviceError", "DeviceError::device", "Tape::device", "check_device_name", "devices"}) {
    p.count(name);
  }
  const std::vector<DeviceInfo> all = devices();
  p.check(!all.empty() && all.front().name == "cpu", "there is a CPU");
  const std::string name =
      p.random.one_of<std::string>({"cpu", "auto", "cuda", "cuda:3", "cuda:x", "gpu", ""});
  const bool known = name != "cuda:x" && name != "gpu" && !name.empty();
  const std::string text = cat("Device device(\"", name, "\", 2);");
  const auto make = [&] {
    const Device device(name, 2);
    Tape tape(device);
    p.check(&tape.device() == &device && &tape.threads() == &device.threads(), "the device of a tape");
    const Tensor x(Shape{1, 2, 4});
    Linear layer(4, 3);
    const Signal y = layer.forward(x, tape);
    device.finish();
    p.check(y.shape() == Shape{1, 2, 3}, "a layer on a device");
    p.check(device.name() != "cpu" || device.copied_bytes() == 0, "on a CPU nothing is copied");
  };
  if (!known) {
    p.must_throw("check_device_name", cat("check_device_name(\"", name, "\");"),
                 [&] { check_device_name(name); });
    p.must_throw("Device::Device", text, make);
  } else if (name.starts_with("cuda")) {
    try {
      make();
    } catch (const DeviceError& error) {
      p.check(error.device() == name && std::string(error.what()).starts_with("device " + name + ": "),
              "a DeviceError names its device", error.what());
    }
  } else {
    p.must("Device::Device", text, make);
  }
}

}  // namespace volley::test
