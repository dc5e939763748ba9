#include "networks.hpp"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "options.hpp"
#include "user_layers.hpp"

namespace volley::test {
namespace {

Expect expected(bool valid) { return valid ? Expect::works : Expect::throws; }

template <class Options>
Made neuron_of(Program& p, const Place& at, double per_channel = 0.4) {
  Options options;
  draw_fields(p, options, at.invalid);
  bool fits = !at.spikes;
  if constexpr (requires { options.channels; }) {
    const std::size_t channels = at.features.rank() > 0 ? at.features[0] : 0;
    if (!p.random.chance(at.invalid)) options.channels = p.random.chance(per_channel) ? channels : 0;
    const std::size_t first = at.features.rank() == 3 || at.features.rank() == 1 ? channels : 0;
    fits = fits &&
           (options.channels == 0 || options.channels == first || options.channels == at.features.size());
  }
  const std::string text = cat(Options::kName, "{", fields_text(options), "}");
  const bool valid = in_ranges(options);
  p.count(cat("neuron ", Options::kName));
  return {construct<Neuron<Options>>(p, "Neuron", text, expected(valid), options, options), text, at.features,
          true, fits && valid};
}

template <class L>
Made parallel(Program& p, const Place& at, const char* name) {
  typename L::Options options;
  draw_fields(p, options, at.invalid);
  bool fits = !at.spikes;
  if constexpr (requires { options.steps; }) {
    if (!p.random.chance(at.invalid)) options.steps = std::max<std::size_t>(1, at.steps);
    fits = fits && options.steps == at.steps;
  }
  const std::string text = cat(name, "{", fields_text(options), "}");
  const bool valid = in_ranges(options);
  p.count(cat("neuron ", name));
  return {construct<L>(p, "ParallelNeuron", text, expected(valid), options, options), text, at.features, true,
          fits && valid};
}

template <class L>
Made plain_layer(Program& p, const Place& at, const char* name, bool spikes_out, bool takes) {
  typename L::Options options;
  draw_fields(p, options, at.invalid);
  const std::string text = cat(name, "{", fields_text(options), "}");
  const bool valid = in_ranges(options);
  return {construct<L>(p, name, text, expected(valid), options, options), text, at.features, spikes_out,
          takes && valid};
}

template <class L>
Made norm(Program& p, const Place& at, const char* name) {
  typename L::Options options;
  draw_fields(p, options, at.invalid);
  std::size_t channels = at.features[0];
  if (p.random.chance(at.invalid)) channels = p.random.below(12);
  const bool takes = channels == at.features[0] && !at.spikes;
  const std::string text = cat(name, "{", channels, ", ", fields_text(options), "}");
  const bool valid = in_ranges(options) && channels > 0;
  return {construct<L>(p, name, text, expected(valid), options, channels, options), text, at.features, false,
          takes && valid};
}

Made group_norm(Program& p, const Place& at) {
  GroupNormOptions o;
  draw_fields(p, o, at.invalid);
  const std::size_t channels = at.features[0];
  o.num_channels = p.random.chance(at.invalid) ? p.random.below(5) : channels;
  o.num_groups = p.random.one_of<std::size_t>({1, channels % 2 == 0 ? 2u : 1u, channels});
  if (p.random.chance(at.invalid)) o.num_groups = p.random.below(5);
  const bool valid = in_ranges(o) && o.num_channels % o.num_groups == 0;
  const std::string text = cat("GroupNorm{", fields_text(o), "}");
  return {construct<GroupNorm>(p, "GroupNorm", text, expected(valid), o, o), text, at.features, false,
          valid && o.num_channels == channels};
}

Made layer_norm(Program& p, const Place& at) {
  LayerNormOptions o;
  draw_fields(p, o, at.invalid);
  const auto sizes = at.features.sizes();
  const std::size_t first = p.random.below(sizes.size());
  o.normalized_shape.assign(sizes.begin() + static_cast<std::ptrdiff_t>(first), sizes.end());
  if (p.random.chance(at.invalid)) o.normalized_shape.push_back(p.random.below(3));
  if (p.random.chance(at.invalid)) o.normalized_shape.clear();
  const bool valid = in_ranges(o) && !o.normalized_shape.empty() && o.normalized_shape.size() <= 6;
  const std::string text = cat("LayerNorm{", fields_text(o), "}");
  const bool same = std::ranges::equal(o.normalized_shape, at.features.from(first).sizes());
  // A size of 1 that is drawn may be the last of the features too.
  return {construct<LayerNorm>(p, "LayerNorm", text, expected(valid), o, o), text, at.features, false,
          valid && same};
}

Made unflatten(Program& p, const Place& at) {
  UnflattenOptions o;
  o.dim = p.random.between(1, at.features.rank());
  const std::size_t size = at.features[o.dim - 1], two = size % 2 == 0 ? 2 : 1;
  o.unflattened_size = {two, size / two};
  if (p.random.chance(at.invalid)) o.dim = p.random.below(4);
  if (p.random.chance(at.invalid)) o.unflattened_size.push_back(p.random.below(3));
  const bool valid = in_ranges(o);
  std::size_t product = 1;
  for (const std::size_t one : o.unflattened_size) product *= one;
  const bool fits = valid && o.dim <= at.features.rank() && at.features[o.dim - 1] == product &&
                    at.features.rank() + o.unflattened_size.size() - 1 <= Shape::kMaxRank - 2;
  const std::string text = cat("Unflatten{", fields_text(o), "}");
  Made made{construct<Unflatten>(p, "Unflatten", text, expected(valid), o, o), text, at.features, at.spikes,
            fits};
  if (!fits) return made;
  std::vector<std::size_t> sizes(at.features.sizes().begin(), at.features.sizes().end());
  const auto place = sizes.erase(sizes.begin() + static_cast<std::ptrdiff_t>(o.dim - 1));
  sizes.insert(place, o.unflattened_size.begin(), o.unflattened_size.end());
  made.features = Shape(std::span<const std::size_t>(sizes));
  return made;
}

Made slice(Program& p, const Place& at) {
  const std::size_t all = at.features.size();
  SliceOptions o;
  o.first = p.random.below(all);
  o.shape = {p.random.between(1, all - o.first)};
  if (p.random.chance(at.invalid)) o.first = p.random.below(2 * all);
  if (p.random.chance(at.invalid)) o.shape.push_back(p.random.below(3));
  const bool valid = in_ranges(o) && o.shape.back() > 0;
  const std::size_t size = o.shape.size() == 1 ? o.shape[0] : o.shape[0] * o.shape[1];
  const bool fits = valid && o.first <= all && size <= all - o.first;
  const std::string text = cat("Slice{", fields_text(o), "}");
  Made made{construct<Slice>(p, "Slice", text, expected(valid), o, o), text, at.features, at.spikes, fits};
  if (fits) made.features = Shape(std::span<const std::size_t>(o.shape));
  return made;
}

Made user_layer(Program& p, const Place& at) {
  switch (p.random.below(at.features.rank() == 1 ? 4 : 3)) {
    case 0: return {std::make_unique<Sign>(), "Sign{}", at.features, true, true};
    case 3:
      return {std::make_unique<Scale>(at.features[0]), cat("Scale{", at.features[0], "}"), at.features, false,
              true};
    default: return {std::make_unique<Double>(), "Double{}", at.features, false, true};
  }
}

bool keeps_spikes(Connect connect) {
  return connect == Connect::AND || connect == Connect::IAND || connect == Connect::CONCATENATE;
}

/// Of two signals that may be joined.
Shape joined_features(Connect connect, const Shape& a, const Shape& b) {
  if (connect != Connect::CONCATENATE || a.rank() == 0 || b.rank() == 0) return a;
  return a.from(1).after({a[0] + b[0]});
}

Made residual(Program& p, const Place& at) {
  Place inside = at;
  ++inside.depth;
  ResidualOptions options;
  draw_fields(p, options, at.invalid);
  bool has_shortcut = p.random.chance(0.3);
  Network branch, shortcut;
  const auto side = [&] { return has_shortcut ? shortcut.made.features : at.features; };
  const auto agree = [&] {
    const Shape &b = branch.made.features, s = side();
    return b == s || (options.connect == Connect::CONCATENATE && b.rank() == s.rank() && b.rank() > 0 &&
                      b.from(1) == s.from(1));
  };
  for (int tries = 0; tries < 6 && (tries == 0 || !agree()); ++tries) {
    branch = draw_net(p, "branch", inside, p.random.between(1, 2));
    if (has_shortcut) shortcut = draw_net(p, "shortcut", inside, 1);
  }
  if (!agree() && at.invalid == 0) {
    has_shortcut = false;
    branch = Network{};
    branch.made = {nullptr, "Sequential{Double{}}", at.features, false, true};
    branch.net.add(std::make_unique<Double>());
  }
  auto b = std::make_unique<Sequential>(std::move(branch.net));
  auto s = has_shortcut ? std::make_unique<Sequential>(std::move(shortcut.net)) : nullptr;
  if (p.random.chance(at.invalid)) b = nullptr;
  const bool fits = branch.made.fits && (!has_shortcut || shortcut.made.fits) && agree();
  const std::string text =
      cat("Residual{", b != nullptr ? branch.made.text : "nullptr", ", ",
          has_shortcut ? shortcut.made.text : "nullptr", ", ", fields_text(options), "}");
  const bool spikes = keeps_spikes(options.connect) && branch.made.spikes &&
                      (has_shortcut ? shortcut.made.spikes : at.spikes);
  const Shape features = joined_features(options.connect, branch.made.features, side());
  std::unique_ptr<Layer> layer;
  const bool valid = b != nullptr;
  const auto body = [&] { layer = std::make_unique<Residual>(std::move(b), std::move(s), options); };
  valid ? p.must("Residual::Residual", text, body) : p.must_throw("Residual::Residual", text, body);
  return {std::move(layer), text, features, spikes, fits && valid};
}

Made flatten(Program& p, const Place& at) {
  return {construct<Flatten>(p, "Flatten", "Flatten{}", Expect::works, FlattenOptions{}),
          "Flatten{}",
          {at.features.size()},
          at.spikes,
          true};
}

Made shape_keeper(Program& p, const Place& at) {
  const bool currents = !at.spikes || p.random.chance(at.invalid);
  switch (currents ? p.random.below(8) : p.random.one_of<std::size_t>({0, 3, 6, 7})) {
    case 0: return plain_layer<Dropout>(p, at, "Dropout", at.spikes, true);
    case 1: return norm<BatchNorm>(p, at, "BatchNorm");
    case 2: return norm<ThresholdDependentBatchNorm>(p, at, "ThresholdDependentBatchNorm");
    case 3: return plain_layer<RatePenalty>(p, at, "RatePenalty", at.spikes, true);
    case 6: return group_norm(p, at);
    case 7: return layer_norm(p, at);
    case 4: return plain_layer<LI>(p, at, "LI", false, !at.spikes);
    default: return plain_layer<SoftLIF>(p, at, "SoftLIF", false, !at.spikes);
  }
}

}  // namespace

Made draw_neuron(Program& p, const Place& at) {
  if (p.random.chance(0.25)) {
    switch (p.random.below(3)) {
      case 0: return parallel<PSN>(p, at, "PSN");
      case 1: return parallel<MaskedPSN>(p, at, "MaskedPSN");
      default: return parallel<SlidingPSN>(p, at, "SlidingPSN");
    }
  }
  std::size_t left = p.random.below(std::variant_size_v<AnyNeuron>);
  Made made;
  for_each_type(Neurons{}, [&]<class Options>() {
    if (left-- == 0) made = neuron_of<Options>(p, at);
  });
  return made;
}

Made draw_channel_neuron(Program& p, const Place& at) {
  return p.random.chance(0.5) ? neuron_of<PLIFOptions>(p, at, 1) : neuron_of<GLIFOptions>(p, at, 1);
}

Made draw_synapse(Program& p, const Place& at) {
  const std::size_t in = at.features[0];
  const std::size_t choice = p.random.below(5);
  const bool currents = !at.spikes || p.random.chance(at.invalid);
  if (choice == 0) {
    VotingOptions options;
    draw_fields(p, options, at.invalid);
    if (!p.random.chance(at.invalid)) {
      options.voting_size = 1;
      for (const std::uint32_t size : {2u, 3u, 5u})
        if (in % size == 0 && p.random.chance(0.5)) options.voting_size = size;
    }
    const bool valid = in_ranges(options);
    const bool fits = valid && options.voting_size > 0 && in % options.voting_size == 0;
    const std::string text = cat("Voting{", fields_text(options), "}");
    auto layer = construct<Voting>(p, "Voting", text, expected(valid), options, options);
    return {std::move(layer), text, {fits ? in / options.voting_size : in}, false, fits};
  }
  if (choice == 1 && currents) {
    RecurrentOptions options;
    draw_fields(p, options, at.invalid);
    const std::size_t features = p.random.chance(at.invalid) ? p.random.below(9) : in;
    std::visit(
        [&](auto& neuron) {
          if constexpr (requires { neuron.channels; })
            if (!p.random.chance(at.invalid)) neuron.channels = p.random.chance(0.4) ? features : 0;
        },
        options.neuron);
    const bool valid = in_ranges(options) && features > 0;
    const bool unsure = at.invalid > 0;
    const std::string text = cat("Recurrent{", features, ", ", fields_text(options), "}");
    auto layer = construct<Recurrent>(p, "Recurrent", text, unsure ? Expect::either : expected(valid),
                                      options, features, options);
    return {std::move(layer), text, at.features, true, valid && !unsure && features == in && !at.spikes};
  }
  LinearOptions options;
  draw_fields(p, options, at.invalid);
  const bool wrong = p.random.chance(at.invalid);
  const std::size_t from = wrong ? p.random.below(12) : in;
  const std::size_t out =
      p.random.chance(at.invalid) ? 0 : p.random.one_of<std::size_t>({1, 2, 4, 8, 8, 10, 16, 31, 33, 64, 70});
  const std::string text = cat("Linear{", from, ", ", out, ", ", fields_text(options), "}");
  auto layer =
      construct<Linear>(p, "Linear", text, expected(from > 0 && out > 0), options, from, out, options);
  return {std::move(layer), text, {out}, false, from == in && out > 0};
}

Made draw_layer(Program& p, const Place& at) {
  if (at.features.rank() == 0 || at.features.size() == 0) return flatten(p, at);
  if (p.random.chance(0.12)) return user_layer(p, at);
  if (at.depth < 3 && p.random.chance(0.15)) {
    Place inside = at;
    ++inside.depth;
    if (p.random.chance(0.5)) return residual(p, at);
    return draw_network(p, inside, p.random.between(0, 3));
  }
  const bool picture = at.features.rank() == 3;
  switch (p.random.below(10)) {
    case 0:
    case 1: return shape_keeper(p, at);
    case 2:
      if (p.random.chance(0.3)) return slice(p, at);
      if (at.features.rank() < 3 && p.random.chance(0.4)) return unflatten(p, at);
      if (at.features.rank() > 1 || p.random.chance(0.2)) return flatten(p, at);
      break;
    case 3:
    case 4:
    case 5:
      if (!at.spikes || p.random.chance(at.invalid)) return draw_neuron(p, at);
      break;
    default: break;
  }
  if (picture) return draw_picture_layer(p, at);
  if (at.features.rank() == 1) return draw_synapse(p, at);
  if (at.features.rank() == 2 && p.random.chance(0.5)) return draw_line_layer(p, at);
  return p.random.chance(0.5) ? flatten(p, at) : shape_keeper(p, at);
}

/// What a node of a network that is drawn gives.
struct Drawn {
  std::string name;
  Shape features;
  bool spikes;
};

/// A node that joins the last of `nodes` with another, or with what it or they gave some steps before.
void draw_join(Program& p, Network& network, std::vector<Drawn>& nodes) {
  const Drawn last = nodes.back();
  const Drawn other = nodes[p.random.below(nodes.size())];
  NodeOptions node{.name = cat("joined", nodes.size())};
  node.join = static_cast<Connect>(p.random.below(6));
  const bool loop = p.random.chance(0.2) && node.join != Connect::CONCATENATE;
  const bool delayed = p.random.chance(0.3);
  std::string second = loop ? node.name : other.name;
  if (loop || delayed) second += cat("@", p.random.between(1, 3));
  node.inputs = {last.name, second};
  const bool fits = loop || last.features == other.features;
  if (!fits) return;
  for (const char* called : {"Identity::Identity", "Identity::options"}) p.count(called);
  p.must("Graph::add", cat("net.add(Identity{}, {", node.name, ", ", last.name, " ", second, "});"),
         [&] { network.net.add(std::make_unique<Identity>(), node); });
  p.must("Graph::node", "net.node(i);",
         [&] { p.check(network.net.node(network.net.size() - 1) == node, "the node that was added"); });
  p.must("Graph::edges", "net.edges(i);",
         [&] { p.check(network.net.edges(network.net.size() - 1).size() == 2, "what a node reads"); });
  const bool spikes = keeps_spikes(node.join) && last.spikes && (loop ? false : other.spikes);
  nodes.push_back({node.name, joined_features(node.join, last.features, other.features), spikes});
  if (loop) nodes.back().features = last.features;
  network.made.features = nodes.back().features;
  network.made.spikes = spikes;
  network.made.text += cat(", Identity{} of ", last.name, " and ", second);
}

Network draw_net(Program& p, const std::string& name, const Place& at, std::size_t layers) {
  Network network;
  Made& all = network.made;
  all.features = at.features;
  all.spikes = at.spikes;
  Place here = at;
  std::vector<Drawn> nodes{{"input", at.features, at.spikes}};
  p.count("Graph::Graph");
  for (std::size_t i = 0; i < layers; ++i) {
    here.features = all.features;
    here.spikes = all.spikes;
    Made made = draw_layer(p, here);
    if (made.layer == nullptr) {  // its constructor threw
      if (here.invalid > 0) continue;
      p.found("a valid layer was refused", made.text);
    }
    all.text += (all.text.empty() ? "" : ", ") + made.text;
    all.fits = all.fits && made.fits;
    all.features = made.features;
    all.spikes = made.spikes;
    p.must("Graph::add", cat(name, ".add(", made.text, ");"),
           [&] { network.net.add(std::move(made.layer)); });
    p.must("Graph::name_of", "net.name_of(i);", [&] {
      nodes.push_back({network.net.name_of(network.net.size() - 1), all.features, all.spikes});
    });
    if (all.features.rank() > 0 && all.fits && p.random.chance(0.15)) draw_join(p, network, nodes);
  }
  all.text = "Sequential{" + all.text + "}";
  return network;
}

Made draw_network(Program& p, const Place& at, std::size_t layers) {
  Network network = draw_net(p, cat("inner", at.depth), at, layers);
  network.made.layer = std::make_unique<Sequential>(std::move(network.net));
  return std::move(network.made);
}

}  // namespace volley::test
