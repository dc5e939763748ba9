#include <limits>
#include <utility>

#include "options.hpp"
#include "scenes.hpp"
#include "user_layers.hpp"

namespace volley::test {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

void use_indices(Program& p, Network& network) {
  const std::size_t size = network.net.size();
  p.count("Graph::size");
  const Sequential& constant = network.net;
  for (std::size_t i = 0; i < size; ++i) {
    p.must("Graph::operator[]", cat("net[", i, "].kind();"), [&] {
      p.count("Layer::kind");
      p.check(!network.net[i].kind().empty(), "a layer has a kind");
    });
  }
  const std::size_t beyond = p.random.one_of<std::size_t>({size, size + 1, size + 4, kNone});
  p.must_throw("Graph::operator[]", cat("net[", beyond, "].kind();  // of ", size), [&] {
    p.check(!constant[beyond].kind().empty(), "an index out of range is refused");
    p.check(!network.net[beyond].kind().empty(), "an index out of range is refused");
  });
}

void add_null(Program& p, Sequential& net) {
  const std::size_t size = net.size();
  p.must_throw("Graph::add", "net.add(nullptr);", [&] { net.add(nullptr); });
  p.check(net.size() == size, "add(nullptr) changes nothing");
}

void null_branch(Program& p) {
  const bool shortcut = p.random.chance(0.5);
  p.must_throw("Residual::Residual", cat("Residual(nullptr, ", shortcut ? "Sequential{}" : "nullptr", ");"),
               [&] {
                 std::unique_ptr<Sequential> side = shortcut ? std::make_unique<Sequential>() : nullptr;
                 Residual residual(std::unique_ptr<Sequential>{}, std::move(side));
                 residual.output_shape({4});
               });
}

void null_parts(Program& p) {
  const std::size_t missing = p.random.below(4);
  static constexpr const char* kParts[] = {"optimizer", "loss", "encoder", "rule"};
  Sequential net{Flatten{}, Linear{4, 2}, LIF{}};
  p.must_throw("Trainer::Trainer", cat("Trainer(net, parts);  // without ", kParts[missing]), [&] {
    TrainerParts parts{.optimizer = std::make_unique<Sgd>(),
                       .loss = std::make_unique<RateMse>(),
                       .encoder = std::make_unique<Poisson>()};
    if (missing == 0) parts.optimizer = nullptr;
    if (missing == 1) parts.loss = nullptr;
    if (missing == 2) parts.encoder = nullptr;
    if (missing == 3) parts.rule = nullptr;
    Trainer trainer(net, std::move(parts), {.steps = 2, .batch = 2, .threads = 1});
    const Dataset data = draw_dataset(p, "data", {1, 2, 2}, 4, 2);
    trainer.fit(data, data, 1);
  });
}

/// One network moved or copied onto another, and onto itself.
void move_networks(Program& p, Network& a, const Place& at) {
  Network b = draw_net(p, "other", at, p.random.between(0, 3));
  const std::size_t size = b.net.size();
  p.count("Graph::operator=");
  p.say("net = std::move(other);");
  a.net = std::move(b.net);
  p.check(a.net.size() == size, "a moved network has its layers");
  Tape tape;
  const Input x =
      draw_input(p, "x", signal_shape(2, at.steps, at.features), at.spikes ? Want::spikes : Want::real);
  p.may("Layer::forward", "net.forward(x, tape);", [&] { a.net.forward(x.x(), tape); });
  p.may("Layer::forward", "other.forward(x, tape);  // moved from", [&] { b.net.forward(x.x(), tape); });
  p.may("Graph::add", "other.add(Flatten{});  // moved from",
        [&] { b.net.add(std::make_unique<Flatten>()); });
  p.say("net = std::move(net);");
  Sequential& self = a.net;
  a.net = std::move(self);
  p.may("Layer::output_shape", "net.output_shape(features);", [&] { a.net.output_shape(at.features); });
}

/// A layer moved or copied away, then used.
void move_layer(Program& p) {
  Linear from(4, 3);
  p.say("Linear from(4, 3); Linear to = std::move(from);");
  Linear to = std::move(from);
  const Input x = draw_input(p, "x", {2, 3, 4}, Want::either);
  Tape tape;
  p.must("Layer::forward", "to.forward(x, tape);", [&] { to.forward(x.x(), tape); });
  p.may("Layer::forward", "from.forward(x, tape);  // moved from", [&] { from.forward(x.x(), tape); });
  p.may("Layer::initialize", "from.initialize(1);  // moved from", [&] { initialize(from, 1); });
  p.say("from = to;");
  from = to;
  Tape again;
  p.must("Layer::forward", "from.forward(x, again);", [&] { from.forward(x.x(), again); });
  const Linear& self = from;
  p.say("from = from;");
  from = self;
  p.must("Layer::forward", "from.forward(x, again);", [&] { from.forward(x.x(), again); });
}

void use_accessors(Program& p, Layer& net, const Shape& features) {
  p.may("Layer::macs", "net.macs(features);", [&] { static_cast<void>(net.macs(features)); });
  p.count("Layer::named_tensors");
  for (const NamedTensor& named : named_tensors(net)) {
    p.check(named.tensor != nullptr && !named.name.empty(), "named tensors have names");
  }
  p.count("values_of");
  static_cast<void>(values_of(net.parameters()));
}

void use_residual(Program& p) {
  const std::size_t F = p.random.between(1, 9);
  p.must("Residual::Residual", cat("Residual{Sequential{Linear{", F, ", ", F, "}, LIF{}}, Sequential{}};"),
         [&] {
           Residual residual(Sequential{Linear{F, F}, LIF{}}, Sequential{Linear{F, F}},
                             {.connect = static_cast<Connect>(p.random.below(3))});
           p.count("Residual::branch");
           p.count("Residual::shortcut");
           p.count("Residual::options");
           p.check(branch_of(residual).kind() == "sequential" && residual.shortcut() != nullptr,
                   "sides of a Residual");
           p.check(residual.options().connect <= Connect::IAND, "options of a Residual");
           const Input x = draw_input(p, "x", {2, 2, F}, Want::real);
           Tape tape;
           residual.forward(x.x(), tape);
         });
  // A branch that changes the shape.
  Residual changes(Sequential{Linear{F, F + 1}});
  const Input x = draw_input(p, "x", {2, 2, F}, Want::either);
  Tape tape;
  p.must_throw("Layer::forward", "Residual{Sequential{Linear{F, F + 1}}}.forward(x, tape);",
               [&] { changes.forward(x.x(), tape); });
}

/// A user's layer that breaks the contract, in a network.
void use_faulty(Program& p) {
  using Fault = Faulty::Fault;
  const Fault fault =
      p.random.one_of({Fault::empty, Fault::other_shape, Fault::wrong_dx, Fault::error, Fault::exception});
  Sequential net;
  net.add(std::make_unique<Linear>(3, 4));
  net.add(std::make_unique<Faulty>(fault));
  net.add(std::make_unique<LIF>());
  const Input x = draw_input(p, "x", {2, 3, 3}, Want::either);
  const std::string text = cat("Sequential{Linear{3, 4}, Faulty{", fault, "}, LIF{}}.forward(x, tape);");
  Tape tape;
  bool ran = false;
  const auto run = [&] {
    try {
      net.forward(x.x(), tape);
      ran = true;
    } catch (const Error&) {
      throw;
    } catch (const std::runtime_error& error) {  // the user's own exception comes through
      p.check(fault == Fault::exception, "an exception of a user's layer comes through", error.what());
    }
  };
  if (kHasContract && fault != Fault::wrong_dx && fault != Fault::exception) {
    p.must_throw("Layer::forward", text, run);
  } else {
    p.may("Layer::forward", text, run);
  }
  if (!ran || !kHasContract) return;
  const Input dy = draw_input(p, "dy", {2, 3, 4}, Form{});
  p.may("Layer::backward", "net.backward(tape, dy);  // whose dx is of another shape",
        [&] { net.backward(tape, dy.x()); });
}

}  // namespace

void contents_scene(Program& p) {
  Place at{.features = draw_features(p), .steps = p.random.between(1, 4)};
  at.spikes = p.random.chance(0.3);
  Network network = draw_net(p, "net", at, p.random.between(0, 4));
  const std::size_t calls = p.random.between(2, 5);
  for (std::size_t i = 0; i < calls; ++i) {
    switch (p.random.below(9)) {
      case 0: use_indices(p, network); break;
      case 1: add_null(p, network.net); break;
      case 2: null_branch(p); break;
      case 3: null_parts(p); break;
      case 4: move_networks(p, network, at); break;
      case 5: move_layer(p); break;
      case 6: use_accessors(p, network.net, at.features); break;
      case 7: use_residual(p); break;
      default: use_faulty(p);
    }
  }
}

/// Options and sizes that are not valid, in a network that is then run: an Error, or a pass.
void invalid_scene(Program& p) {
  Place at{.features = draw_features(p),
           .steps = p.random.one_of<std::size_t>({1, 2, 4}),
           .invalid = p.random.one_of({0.05, 0.15, 0.4})};
  const Input x = draw_input(p, "x", signal_shape(2, at.steps, at.features), Want::either);
  at.spikes = x.form().spikes;
  Network network = draw_net(p, "net", at, p.random.between(1, 4));
  PassCall call{.seed = 1, .valid = false};
  if (p.may("Layer::output_shape", cat("net.output_shape(", at.features, ");"), [&] {
        call.dy = draw_values(p, signal_shape(2, at.steps, network.net.output_shape(at.features)).size());
      })) {
    PassResult result;
    run_pass(p, result, network.net, x.x(), call);
  }
  // The same network with an input that it was not made for.
  const Input other = draw_input(
      p, "other", signal_shape(p.random.below(3), p.random.below(4), draw_features(p)), Want::either);
  PassResult result;
  run_pass(p, result, network.net, other.x(), call);
  draw_loss(p, at.invalid);
  std::string text;
  draw_optimizer(p, at.invalid, text);
  std::size_t steps = 4;
  draw_encoder(p, {1, 4, 4}, steps, text, at.invalid);
}

}  // namespace volley::test
