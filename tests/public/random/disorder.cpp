#include <deque>
#include <utility>

#include "scenes.hpp"
#include "user_layers.hpp"

namespace volley::test {
namespace {

/// Networks, tapes and signals that live to the end; calls take any of them. Each call works or throws.
struct World {
  explicit World(Program& program) : p(program) {}

  Program& p;
  Place at{};
  std::vector<std::unique_ptr<Network>> nets;
  std::deque<Tape> tapes;
  std::vector<Input> signals;
  std::vector<Input> gradients;

  std::string name(const char* kind, std::size_t i) const { return cat(kind, i); }
};

void fill(World& world) {
  Program& p = world.p;
  world.at = {.features = draw_features(p), .steps = p.random.between(1, 4)};
  world.at.spikes = p.random.chance(0.3);
  for (std::size_t i = 0, count = p.random.between(1, 3); i < count; ++i) {
    Place at = world.at;
    if (p.random.chance(0.2)) at.features = draw_features(p);
    auto network = std::make_unique<Network>();
    *network = draw_net(p, cat("net", i), at, p.random.between(0, 3));
    world.nets.push_back(std::move(network));
  }
  for (std::size_t i = 0, count = p.random.between(1, 3); i < count; ++i) {
    world.tapes.emplace_back(pool_of(p.random.between(1, p.threads())));
    p.say(cat("Tape tape", i, ";"));
  }
  p.count("Tape::Tape", world.tapes.size());
  const auto shape = [&](const Shape& features) {
    const std::size_t N = p.random.one_of<std::size_t>({2, 2, 2, 1, 0, 3});
    const std::size_t T = p.random.chance(0.8) ? world.at.steps : p.random.below(6);
    return signal_shape(N, T, p.random.chance(0.85) ? features : draw_features(p));
  };
  for (std::size_t i = 0; i < 3; ++i) {
    world.signals.push_back(draw_input(p, cat("x", i), shape(world.at.features), Want::either));
    const Network& any = *p.random.one_of(world.nets);
    world.gradients.push_back(draw_input(p, cat("dy", i), shape(any.made.features),
                                         p.random.chance(0.9) ? Want::real : Want::either));
  }
}

void call_forward(World& world) {
  Program& p = world.p;
  const std::size_t n = p.random.below(world.nets.size()), t = p.random.below(world.tapes.size()),
                    s = p.random.below(world.signals.size());
  p.may("Layer::forward", cat("net", n, ".forward(x", s, ", tape", t, ");"), [&] {
    const Signal y = world.nets[n]->net.forward(world.signals[s].x(), world.tapes[t]);
    plain_values(p, y);
  });
}

void call_backward(World& world) {
  Program& p = world.p;
  const std::size_t n = p.random.below(world.nets.size()), t = p.random.below(world.tapes.size()),
                    g = p.random.below(world.gradients.size());
  p.may("Layer::backward", cat("net", n, ".backward(tape", t, ", dy", g, ");"), [&] {
    const Signal dx = world.nets[n]->net.backward(world.tapes[t], world.gradients[g].x());
    p.count("Signal::empty");
    if (!dx.empty()) plain_values(p, dx);
  });
}

void call_child(World& world) {
  Program& p = world.p;
  const std::size_t n = p.random.below(world.nets.size()), t = p.random.below(world.tapes.size());
  Sequential& net = world.nets[n]->net;
  if (net.size() == 0) return;
  const std::size_t i = p.random.below(net.size());
  p.count("Tape::child");
  if (p.random.chance(0.5)) {
    p.may("Layer::forward", cat("net", n, "[", i, "].forward(x0, tape", t, ".child(", i, "));"),
          [&] { net[i].forward(world.signals[0].x(), world.tapes[t].child(i)); });
  } else {
    p.may("Layer::backward", cat("net", n, "[", i, "].backward(tape", t, ", dy0);"),
          [&] { net[i].backward(world.tapes[t], world.gradients[0].x()); });
  }
}

void change_tape(World& world) {
  Program& p = world.p;
  const std::size_t t = p.random.below(world.tapes.size());
  if (p.random.chance(0.5)) {
    const bool needed = p.random.chance(0.5);
    p.say(cat("tape", t, ".set_needs_input_gradient(", needed, ");"));
    p.count("Tape::set_needs_input_gradient");
    world.tapes[t].set_needs_input_gradient(needed);
    p.count("Tape::needs_input_gradient");
    p.check(world.tapes[t].needs_input_gradient() == needed, "Tape::needs_input_gradient");
    return;
  }
  static constexpr std::uint32_t kSamples[] = {7, 0, 0xFFFFFFFF};
  PassContext context{.training = p.random.chance(0.5)};
  if (p.random.chance(0.5)) context.samples = {kSamples, p.random.below(4)};
  context.draw.epoch = static_cast<std::uint32_t>(p.random.bits());
  p.may("Tape::set_context",
        cat("tape", t, ".set_context({training ", context.training, ", ", context.samples.size(),
            " samples});"),
        [&] { world.tapes[t].set_context(context); });
  p.count("Tape::context");
  static_cast<void>(world.tapes[t].context());
}

void change_net(World& world) {
  Program& p = world.p;
  const std::size_t n = p.random.below(world.nets.size());
  Network& network = *world.nets[n];
  switch (p.random.below(6)) {
    case 4:
      p.may("initialize_fluctuations", cat("initialize_fluctuations(net", n, ", 5);"),
            [&] { fluctuations(network.net, 5); });
      break;
    case 5:
      p.may("initialize_rates", cat("initialize_rates(net", n, ", x0, {}, threads);"),
            [&] { rates(network.net, world.signals[0].x(), pool_of(1)); });
      break;
    case 0:
      p.may("Layer::initialize", cat("net", n, ".initialize(5);"), [&] { initialize(network.net, 5); });
      break;
    case 1:
      p.may("Graph::add", cat("net", n, ".add(Double{});"),
            [&] { network.net.add(std::make_unique<Double>()); });
      break;
    case 2: {
      auto moved = std::make_unique<Network>();
      p.say(cat("move net", n, " to another address;"));
      moved->made = std::move(network.made);
      moved->net = std::move(network.net);
      world.nets[n] = std::move(moved);
      break;
    }
    default: {
      std::string text;
      const std::unique_ptr<Optimizer> optimizer = draw_optimizer(p, 0, text);
      p.may("Optimizer::step", cat(text, ".step(net", n, ".parameters(), threads);"),
            [&] { optimizer->step(network.net.parameters(), pool_of(1)); });
    }
  }
}

}  // namespace

void disorder_scene(Program& p) {
  World world(p);
  fill(world);
  const std::size_t calls = p.random.between(3, 14);
  for (std::size_t i = 0; i < calls; ++i) {
    switch (p.random.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: call_forward(world); break;
      case 4:
      case 5:
      case 6: call_backward(world); break;
      case 7: call_child(world); break;
      case 8:
      case 9: change_tape(world); break;
      default: change_net(world);
    }
  }
}

}  // namespace volley::test
