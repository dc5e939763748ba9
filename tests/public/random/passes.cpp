#include <algorithm>
#include <map>

#include "scenes.hpp"
#include "user_layers.hpp"

namespace volley::test {
namespace {

bool has(const Made& made, const char* word) { return made.text.find(word) != std::string::npos; }

void expect_same(Program& p, const PassResult& got, const PassResult& expected, const std::string& key) {
  p.check(same_values(got.y, expected.y), key + ": y", difference(got.y, expected.y));
  p.check(same_values(got.dx, expected.dx), key + ": dx", difference(got.dx, expected.dx));
  p.check(got.tensors.size() == expected.tensors.size(), key + ": parameters");
  for (std::size_t i = 0; i < got.tensors.size(); ++i) {
    p.check(same_values(got.tensors[i], expected.tensors[i]), key + ": gradients and buffers",
            difference(got.tensors[i], expected.tensors[i]));
  }
}

/// A batch is its samples one by one.
void check_samples(Program& p, Layer& net, const Input& x, PassCall call, const PassResult& whole) {
  call.dy.clear();
  const std::size_t N = x.shape()[0];
  for (std::size_t n = 0; n < N; ++n) {
    const Input one = x.sample(n);
    const auto index = static_cast<std::uint32_t>(n);
    call.context.samples = {&index, 1};
    PassResult result;
    run_pass(p, result, net, one.x(), call);
    const auto size = static_cast<std::ptrdiff_t>(whole.y.size() / N);
    const auto begin = whole.y.begin() + static_cast<std::ptrdiff_t>(n) * size;
    const std::vector<float> expected(begin, begin + size);
    p.check(same_values(result.y, expected), "a batch is its samples one by one",
            cat("sample ", n, ": ", difference(result.y, expected)));
  }
}

/// A signal that is constant in time is T equal steps.
void check_constant(Program& p, Layer& net, const Input& x, const PassCall& call, const PassResult& whole) {
  const Input repeated = x.repeated();
  p.say("// the same with every step stored");
  PassResult result;
  run_pass(p, result, net, repeated.x(), call);
  p.check(same_values(result.y, whole.y), "a signal constant in time is T equal steps: y",
          difference(whole.y, result.y));
}

/// y = 2 x of a user's layer behind any network.
void check_double(Program& p, Network& network, const Input& x, const PassCall& call,
                  const PassResult& whole) {
  if constexpr (!kHasContract) {  // a network cannot be copied: the layer is added to this one
    network.net.add(std::make_unique<Double>());
    p.say("net.add(Double{});");
    PassResult result;
    PassCall forward = call;
    forward.dy.clear();
    run_pass(p, result, network.net, x.x(), forward);
    std::vector<float> expected = whole.y;
    for (float& value : expected) value *= 2;
    p.check(same_values(result.y, expected), "a user's layer y = 2 x doubles what comes in",
            difference(result.y, expected));
    return;
  }
  network.net.add(std::make_unique<Double>());
  p.say("net.add(Double{});");
  PassResult result;
  PassCall halved = call;
  for (float& value : halved.dy) value /= 2;
  run_pass(p, result, network.net, x.x(), halved);
  std::vector<float> expected = whole.y;
  for (float& value : expected) value *= 2;
  p.check(same_values(result.y, expected), "a user's layer y = 2 x doubles what comes in: y",
          difference(result.y, expected));
  p.check(same_values(result.dx, whole.dx), "a user's layer y = 2 x doubles the gradient: dx",
          difference(result.dx, whole.dx));
}

void check_copy(Program& p, Sequential& net, const Input& x, const PassCall& call, const PassResult& whole) {
  Sequential copy;
  // A layer of the user need have no copy.
  const bool worked =
      p.may("Graph::operator=", "copy = net;", [&] { copy_network(copy, net); }) && copy.size() == net.size();
  if (!worked) return;
  PassResult result;
  run_pass(p, result, copy, x.x(), call);
  expect_same(p, result, whole, "a copy of a network is the network");
  for (const NamedParameter& named : copy.parameters()) {
    for (float& w : named.parameter->value.values()) w = 77;
  }
  PassResult again;
  run_pass(p, again, net, x.x(), call);
  expect_same(p, again, whole, "a copy of a network shares nothing with it");
}

void check_monitor(Program& p, const Layer& net, const Input& x, const Place& at) {
  Tape tape(pool_of(1));
  Monitor monitor;
  p.may("Layer::forward", "net.forward(x, tape);", [&] { net.forward(x.x(), tape); });
  p.may("Monitor::look", "monitor.look(tape);", [&] { monitor.look(tape); });
  p.may("Monitor::activity", "monitor.activity();", [&] {
    const std::vector<LayerActivity> activity = monitor.activity();
    p.count("total_of");
    const LayerActivity total = total_of(activity);
    p.count("LayerActivity::energy");
    p.count("LayerActivity::dense_energy");
    p.check(!(total.energy() < 0) && !(total.dense_energy() < 0), "Monitor: energies are not negative");
    for (const LayerActivity& layer : activity) {
      p.check(!(layer.rate < 0) && !(layer.rate > 1), "Monitor: rates are shares",
              cat(layer.layer, " has ", layer.rate));
      p.check(layer.dead + layer.saturated <= layer.neurons || at.steps == 0 || x.shape()[0] == 0,
              "Monitor: no neuron is dead and saturated");
    }
  });
  p.count("Monitor::clear");
  monitor.clear();
}

void check_loss_of(Program& p, const Network& network, const Input& x) {
  Tape tape(pool_of(1));
  Signal y;
  if (!p.may("Layer::forward", "y = net.forward(x, tape);", [&] { y = network.net.forward(x.x(), tape); }))
    return;
  check_loss(p, draw_loss(p, 0), y, plain_values(p, y));
}

}  // namespace

ThreadPool& pool_of(std::size_t threads) {
  static std::map<std::size_t, ThreadPool> pools;
  return pools.try_emplace(threads, threads).first->second;
}

bool run_pass(Program& p, PassResult& result, Layer& net, const Signal& x, const PassCall& call) {
  p.count("Tape::Tape");
  p.count("Tape::set_context");
  p.count("zero_gradients");
  Tape tape(pool_of(call.threads));
  tape.set_context(call.context);
  initialize(net, call.seed);
  zero_gradients(net.parameters());
  const auto run = [&](const char* function, const std::string& text, auto&& body) {
    if (!call.valid) return p.may(function, text, body);
    p.must(function, text, body);
    return true;
  };
  Signal y;
  const std::string on = cat("  // ", call.threads, " threads", call.context.training ? ", training" : "");
  if (!run("Layer::forward", "Signal y = net.forward(x, tape);" + on, [&] { y = net.forward(x, tape); }))
    return false;
  result.y = plain_values(p, y);
  if (call.dy.empty() || call.dy.size() != result.y.size()) return true;
  const Input dy = gradient_like(y, call.dy);
  const Input plain_dy(y.shape(), call.dy, {});
  const Signal& given = call.plain_dy ? plain_dy.x() : dy.x();
  Signal dx;
  if (!run("Layer::backward", "Signal dx = net.backward(tape, dy);", [&] { dx = net.backward(tape, given); }))
    return false;
  p.check(dx.shape() == x.shape(), "dx has the shape of x", cat(dx.shape(), " for ", x.shape()));
  result.dx = plain_values(p, dx);
  for (const NamedParameter& named : net.parameters())
    result.tensors.push_back(values_of_tensor(named.parameter->gradient));
  p.count("Layer::buffers");
  for (const NamedTensor& named : net.buffers()) result.tensors.push_back(values_of_tensor(*named.tensor));
  return true;
}

void pass_scene(Program& p) {
  Place at{.features = draw_features(p), .steps = p.random.one_of<std::size_t>({1, 2, 3, 4, 4, 5, 8, 17})};
  const std::size_t N = p.random.one_of<std::size_t>({1, 2, 2, 3, 5});
  const Input x = draw_input(p, "x", signal_shape(N, at.steps, at.features), Want::either);
  at.spikes = x.form().spikes;
  Network network = draw_net(p, "net", at, p.random.between(1, 5));
  const bool fits = network.made.fits;
  const bool described = p.may("Layer::output_shape", cat("net.output_shape(", at.features, ");"), [&] {
    const Shape out = network.net.output_shape(at.features);
    p.check(out == network.made.features, "output_shape", cat(out, " for ", network.made.features));
  });
  p.check(described || !fits, "Layer::output_shape refuses what is valid", p.last_error());
  const bool norm = has(network.made, "BatchNorm");
  PassCall call{.seed = static_cast<std::uint32_t>(p.random.bits())};
  call.context.training = p.random.chance(0.4) && (!norm || N * at.steps > 1);
  call.context.draw.seed = 3;
  call.dy = draw_values(p, signal_shape(N, at.steps, network.made.features).size());
  call.valid = fits && (!norm || !call.context.training);  // a batch of one value cannot be normalised
  PassResult one;
  if (!run_pass(p, one, network.net, x.x(), call)) return;
  call.threads = p.random.between(2, p.threads());
  PassResult several;
  run_pass(p, several, network.net, x.x(), call);
  expect_same(p, several, one, "1 thread and several give the same bits");
  if (kHasContract && p.random.chance(0.3)) {
    PassCall plain = call;
    plain.plain_dy = true;
    PassResult result;
    run_pass(p, result, network.net, x.x(), plain);
    p.check(close_values(result.dx, one.dx, 1e-3), "dy in any form", difference(result.dx, one.dx));
  }
  const bool batch_counts = norm && call.context.training;
  if (!batch_counts && p.random.chance(0.5)) check_samples(p, network.net, x, call, one);
  if (!batch_counts && x.form().constant) check_constant(p, network.net, x, call, one);
  if (!batch_counts && p.random.chance(0.5)) {
    check_chunks(p, network.net, x, call, one, has(network.made, "PSN"));
  }
  if (p.random.chance(0.3)) check_copy(p, network.net, x, call, one);
  if (p.random.chance(0.5)) check_draws(p, network.net);
  if (p.random.chance(0.3)) check_monitor(p, network.net, x, at);
  if (network.made.features.rank() == 1) check_loss_of(p, network, x);
  if (!batch_counts) check_double(p, network, x, call, one);
}

}  // namespace volley::test
