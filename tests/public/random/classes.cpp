#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <utility>

#include "options.hpp"
#include "scenes.hpp"
#include "user_layers.hpp"

namespace volley::test {
namespace {

void use_layers(Program& p) {
  const std::size_t in = p.random.between(1, 9), out = p.random.between(1, 9);
  const std::unique_ptr<Linear> linear = construct<Linear>(p, "Linear", cat("Linear{", in, ", ", out, "}"),
                                                           Expect::works, LinearOptions{}, in, out);
  for (const char* name : {"Linear::in", "Linear::out", "Linear::weight", "Linear::bias", "Layer::macs"})
    p.count(name);
  p.check(linear->in() == in && linear->out() == out && linear->macs({in}) == in * out,
          "the sizes of a Linear");
  p.check(linear->weight().value.shape() == Shape{out, in} && linear->bias().value.shape() == Shape{out},
          "the parameters of a Linear");
  const RecurrentOptions options{.feedback =
                                     p.random.chance(0.5) ? Feedback::linear : Feedback::element_wise};
  const std::unique_ptr<Recurrent> recurrent =
      construct<Recurrent>(p, "Recurrent", cat("Recurrent{", in, ", ", fields_text(options), "}"),
                           Expect::works, options, in, options);
  for (const char* name :
       {"Recurrent::features", "Recurrent::neuron", "Recurrent::weight", "Layer::is_recurrent"})
    p.count(name);
  p.check(recurrent->features() == in && recurrent->is_recurrent() && !linear->is_recurrent(), "a Recurrent");
  p.check(recurrent->neuron().kind() == "lif", "the neuron of a Recurrent");
  const PSN psn({.steps = in});
  p.count("ParallelNeuron::weight");
  p.count("ParallelNeuron::bias");
  p.check(psn.weight().value.shape() == Shape{in, in} && psn.bias().value.shape() == Shape{in}, "a PSN");
  p.count("Parameter::Parameter");
  const Parameter parameter(Shape{in});
  p.check(parameter.value.shape() == parameter.gradient.shape(), "a Parameter");
}

/// Children, copies, recipes of a network.
void use_network(Program& p) {
  Place at{.features = draw_features(p), .steps = 2};
  Network network = draw_net(p, "net", at, p.random.between(1, 4));
  Sequential& net = network.net;
  p.must("Layer::children", "net.children();", [&] {
    p.check(net.children().size() == net.size(), "the children of a Sequential are its layers");
  });
  std::size_t parameters = 0;
  std::set<std::string> paths;
  p.must("Layer::walk", "net.walk(body);", [&] {
    net.walk([&](const std::string& path, Layer& layer) {
      p.check(paths.insert(path).second, "walk has each path once", path);
      if (layer.children().empty()) parameters += layer.parameters().size();
    });
  });
  p.must("Layer::parameters", "net.parameters();",
         [&] { p.check(net.parameters().size() >= parameters, "the parameters of a network"); });
  for (std::size_t i = 0; i < net.size(); ++i) {
    p.must("Graph::at", cat("net.at(", i, ");"), [&] { p.check(net.at(i).get() == &net[i], "Graph::at"); });
  }
  p.must_throw("Graph::at", "net.at(net.size());", [&] { static_cast<void>(net.at(net.size())); });
  p.may("Layer::clone", "net.clone();", [&] {
    const std::unique_ptr<Layer> copy = net.clone();
    const std::vector<NamedTensor> a = named_tensors(*copy), b = named_tensors(net);
    p.check(a.size() == b.size(), "a clone has the tensors of the network");
    for (std::size_t i = 0; i < a.size(); ++i) {
      p.check(a[i].name == b[i].name &&
                  same_values(values_of_tensor(*a[i].tensor), values_of_tensor(*b[i].tensor)),
              "a clone has the tensors of the network", a[i].name);
    }
  });
  p.may("recipes_of", "recipes_of(net);", [&] {
    const std::vector<LayerRecipe> recipes = recipes_of(net);
    p.count("make_network");
    p.check(make_network(recipes).size() == net.size(),
            "a network that is described and made has its layers");
  });
  Residual residual(Sequential{Double{}}), other(Sequential{Flatten{}});
  p.count("Residual::operator=");
  p.may("Residual::operator=", "residual = other;", [&] { residual = other; });
  p.may("Residual::Residual", "Residual copy = residual;", [&] { Residual copy = residual; });
}

void use_tape(Program& p) {
  const Input x = draw_input(p, "x", {2, 3, 4}, Want::real);
  Sequential net{Linear{4, 3}, IF{}};
  Tape tape(pool_of(1));
  for (const char* name : {"Tape::trace", "Tape::children", "Tape::place", "Tape::saved", "Tape::dx_memory"})
    p.count(name);
  p.check(tape.trace().layer == nullptr && tape.children().empty() && tape.place() == 0, "a new Tape");
  p.must("Layer::forward", "Sequential{Linear{4, 3}, IF{}}.forward(x, tape);",
         [&] { net.forward(x.x(), tape); });
  p.check(tape.trace().layer == &net && tape.children().size() == 2, "the trace of a forward");
  p.check(tape.child(1).trace().y.is_spikes() && tape.child(0).place() != tape.child(1).place(),
          "the traces of children");
  tape.saved<int>() = 7;
  p.check(tape.saved<int>() == 7, "Tape::saved keeps its value");
  tape.dx_memory().resize({2});
  p.count("PassContext::address");
  const std::vector<std::uint32_t> samples{9, 4};
  const PassContext context{.draw = {.first_sample = 2}, .samples = samples};
  p.check(context.address(1) == 6 && PassContext{}.address(5) == 5, "PassContext::address");
  p.must_throw("PassContext::address", "context.address(2);  // of 2",
               [&] { static_cast<void>(context.address(2)); });
}

void use_values(Program& p) {
  const Shape shape = signal_shape(p.random.below(3), p.random.between(1, 4), draw_features(p));
  const Input x = draw_input(p, "x", shape, Want::either);
  p.must("to_tensor", "to_tensor(x);", [&] {
    const std::vector<float> values = values_of_tensor(to_tensor(x.x()));
    p.check(same_values(values, x.plain()), "to_tensor gives the plain values",
            difference(values, x.plain()));
  });
  Spikes spikes, other;
  p.count("Spikes::operator=");
  spikes = Spikes(Shape{1, 2, 3});
  other = spikes;
  p.check(other.shape() == spikes.shape(), "a copy of Spikes");
  p.count("Tensor::operator=");
  Tensor tensor;
  tensor = Tensor(shape);
  Buffer<int> buffer(3);
  for (const char* name : {"Buffer::data", "Buffer::size", "Buffer::operator[]", "Buffer::operator="})
    p.count(name);
  buffer[2] = 5;
  Buffer<int> copy;
  copy = buffer;
  p.check(copy.data()[2] == 5 && copy.size() == 3, "a copy of a Buffer");
  p.count("Dataset::picture");
  p.count("Draw::address");
  p.count("Loss::reads_spikes");
  p.check(RateMse{}.reads_spikes(), "a loss of rates reads spikes");
  const Dataset data = draw_dataset(p, "data", {1, 2, 2}, 3, 2);
  p.must("Dataset::check", "data.check();", [&] { data.check(); });
  const std::vector<std::uint32_t> samples{2, 0}, known{8, 9};
  p.check(
      Draw{.first_sample = 5}.address(samples, 0) == 7 && Draw{.known_as = known}.address(samples, 1) == 9,
      "Draw::address");
  const std::size_t sample = p.random.below(5);
  const auto picture = [&] { static_cast<void>(data.picture(sample).size()); };
  sample < 3 ? p.must("Dataset::picture", "data.picture(sample);", picture)
             : p.must_throw("Dataset::picture", cat("data.picture(", sample, ");  // of 3"), picture);
}

void use_ranges(Program& p) {
  for (const char* name :
       {"any", "above", "at_least", "between", "inside", "from_below", "for_each_type", "Size2::Size2"})
    p.count(name);
  for (const Range& range : {any(), above(1), at_least(1), between(1, 2), inside(1, 2), from_below(1, 2)}) {
    p.check(
        range.contains(1.5) == (range.high > 1.5) && !range.contains(std::nan("")) && !range.text().empty(),
        "a Range", range.text());
  }
  std::size_t kinds = 0;
  for_each_type(Neurons{}, [&]<class Options>() { ++kinds; });
  p.check(kinds == std::variant_size_v<AnyNeuron>, "for_each_type");
  p.check(Size2(3) == Size2(3, 3) && Size2(2, 3).area() == 6, "Size2");
}

/// Errors carry what their text says.
void use_errors(Program& p) {
  for (const char* name : {"ArgumentError::ArgumentError", "ArgumentError::operation", "ArgumentError::rule",
                           "ArgumentError::found", "ShapeError::ShapeError", "ShapeError::shape",
                           "ShapeError::at", "FileError::FileError", "FileError::path"})
    p.count(name);
  const Tensor x(Shape{1, 2, 5});
  Tape tape;
  try {
    Linear(4, 2).forward(x, tape);
    p.found("Linear refuses other features", "");
  } catch (const ShapeError& error) {
    p.check(error.shape() == Shape{5} && error.operation() == "linear" && error.found() == "(5)",
            "a ShapeError carries its values", error.what());
    p.check(
        std::string(error.what()) == cat("[", error.operation(), "] ", error.rule(), ", got ", error.found()),
        "the text of an ArgumentError", error.what());
    p.check(std::string(error.at("layer 3").what()).starts_with("layer 3: "), "ShapeError::at");
  }
  try {
    load_network("/nowhere/at/all");
    p.found("a missing file is a FileError", "");
  } catch (const FileError& error) {
    p.check(error.path() == "/nowhere/at/all", "a FileError carries its path", error.what());
  }
}

}  // namespace

void classes_scene(Program& p) {
  switch (p.random.below(6)) {
    case 0: use_layers(p); break;
    case 1: use_network(p); break;
    case 2: use_tape(p); break;
    case 3: use_values(p); break;
    case 4: use_ranges(p); break;
    default: use_errors(p); check_devices(p);
  }
}

}  // namespace volley::test
