#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "scenes.hpp"
#include "user_layers.hpp"

namespace volley::test {
namespace {

/// Sequential{...} of Linear layers of one size, nested at random.
Sequential nested(Program& p, std::size_t size, std::size_t depth, std::string& text) {
  Sequential net;
  text += "Sequential{";
  for (std::size_t i = 0, layers = p.random.between(1, 3); i < layers; ++i) {
    if (i > 0) text += ", ";
    if (depth > 0 && p.random.chance(0.4)) {
      net.add(std::make_unique<Sequential>(nested(p, size, depth - 1, text)));
    } else {
      net.add(std::make_unique<Linear>(size, size));
      text += cat("Linear{", size, ", ", size, "}");
    }
  }
  text += "}";
  return net;
}

Made any_layer(Program& p, const Place& at) {
  if (p.random.chance(0.25)) return draw_channel_neuron(p, at);
  if (p.random.chance(0.4)) return draw_neuron(p, at);
  return draw_layer(p, at);
}

}  // namespace

void check_draws(Program& p, Layer& net) {
  p.count("Layer::parameters");
  constexpr std::size_t kCompared = 6;
  std::map<std::vector<float>, std::string> seen;
  for (const NamedParameter& named : net.parameters()) {
    const Tensor& value = named.parameter->value;
    if (value.size() < kCompared) continue;
    std::vector<float> first(value.data(), value.data() + kCompared);
    const float scale = first[0];
    if (std::ranges::all_of(first, [&](float w) { return w == scale; })) continue;  // not drawn
    const bool halves = first[1] == 2 * first[0] && first[2] == 2 * first[1];       // SlidingPSN's exp_init
    if (halves) continue;
    for (float& w : first) w = std::trunc(w / scale * 1000);
    const auto [place, fresh] = seen.emplace(first, named.name);
    p.check(fresh, "every parameter is drawn by its own path",
            cat(place->second, " and ", named.name, " begin with the same draws"));
  }
}

void draws_scene(Program& p) {
  std::string text;
  const std::size_t size = p.random.between(3, 9);
  Sequential net = nested(p, size, 3, text);
  p.count("Graph::Graph");
  p.count("Graph::add");
  p.say(cat("Sequential net = ", text, ";"));
  if (p.random.chance(0.5)) check_draws(p, net);
  const auto seed = static_cast<std::uint32_t>(p.random.bits());
  p.must("Layer::initialize", cat("net.initialize(", seed, ");"), [&] { initialize(net, seed); });
  check_draws(p, net);
}

/// One layer with features, and then with gradients, that it may not fit: output_shape and forward agree.
void layer_scene(Program& p) {
  Place at{.features = draw_features(p), .spikes = p.random.chance(0.2), .steps = p.random.between(1, 4)};
  Made made = any_layer(p, at);
  if (made.layer == nullptr) return;
  Layer& layer = *made.layer;
  p.about(layer.kind());
  const Shape features = p.random.chance(0.3) ? at.features : draw_features(p);
  const std::size_t N = p.random.between(1, 3);
  const Input x = draw_input(p, "x", signal_shape(N, at.steps, features), Want::real);
  Shape out;
  const bool described = p.may("Layer::output_shape", cat("layer.output_shape(", features, ");"),
                               [&] { out = layer.output_shape(features); });
  Tape tape(pool_of(1));
  Signal y;
  const bool worked =
      p.may("Layer::forward", "Signal y = layer.forward(x, tape);", [&] { y = layer.forward(x.x(), tape); });
  if (worked) {
    p.check(!kHasContract || described, "forward takes what output_shape refuses", made.text);
    p.check(y.shape() == signal_shape(N, at.steps, out), "forward gives what output_shape describes",
            cat(made.text, ": ", y.shape(), ", not ", out));
    plain_values(p, y);
  }
  const Input dy = draw_input(
      p, "dy", p.random.chance(0.5) && worked ? y.shape() : signal_shape(N, at.steps, draw_features(p)),
      Want::real);
  const bool fits = worked && dy.shape() == y.shape() && dy.x().stored_steps() == y.stored_steps();
  const auto backward = [&] { plain_values(p, layer.backward(tape, dy.x())); };
  if (fits) {
    p.must("Layer::backward", "layer.backward(tape, dy);", backward);
  } else if (kHasContract && !(worked && dy.shape() == y.shape())) {
    p.must_throw("Layer::backward", "layer.backward(tape, dy);", backward);
  } else {
    p.may("Layer::backward", "layer.backward(tape, dy);", backward);
  }
}

}  // namespace volley::test
