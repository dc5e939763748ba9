#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>

#include <volley/choices.hpp>
#include <volley/error.hpp>
#include <volley/initialization.hpp>
#include <volley/text.hpp>

#include "arrays.hpp"
#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

/// A state_dict, and the names in the order in which it has them.
struct State {
  NamedTensors values;
  std::vector<std::string> names;
};

State state_from(std::string_view origin, nb::handle mapping) {
  State state{.values = tensors_from(origin, mapping), .names = {}};
  for (const nb::handle name : mapping) state.names.push_back(nb::cast<std::string>(name));
  return state;
}

/// The arrays of a .npz file, or of a .safetensors file. Names of the latter have no order of their own.
State state_from_file(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".safetensors") {
    const nb::gil_scoped_release unlocked;
    return {.values = read_state_dict(path), .names = {}};
  }
  if (ending != ".npz") {
    throw FileError(path.string(), "a .safetensors or .npz file of parameters", fmt::format("'{}'", ending));
  }
  const nb::object file =
      nb::module_::import_("numpy").attr("load")(nb::cast(path), nb::arg("allow_pickle") = false);
  State state = state_from(path.string(), file);
  file.attr("close")();
  return state;
}

using Names = std::optional<NameMap>;

std::pair<std::vector<std::string>, std::vector<std::string>> load_state(Sequential& net, nb::handle source,
                                                                         const Names& names, bool by_order,
                                                                         bool strict) {
  if (names.has_value() && by_order)
    throw ArgumentError("load_state_dict", "at most one of names and by_order may be given", "both");
  const bool is_path = nb::isinstance<nb::str>(source) || nb::hasattr(source, "__fspath__");
  const std::string origin =
      is_path ? nb::cast<std::filesystem::path>(source).string() : std::string("[sequential] state_dict");
  const State state =
      is_path ? state_from_file(nb::cast<std::filesystem::path>(source)) : state_from(origin, source);
  StateDictReport report;
  alone([&] {
    const std::vector<NamedTensor> tensors = net.named_tensors();
    StateDictOptions options{.names = names.value_or(NameMap{}), .strict = strict};
    if (by_order) {
      options.names =
          state.names.empty() ? names_by_order(tensors, state.values) : names_by_order(tensors, state.names);
    }
    report = load_state_dict(tensors, state.values, origin, options);
  });
  return {std::move(report.missing), std::move(report.unexpected)};
}

nb::dict state_dict(Sequential& net) { return arrays_of(net.named_tensors()); }

std::shared_ptr<Layer> layer_at(const Sequential& net, std::int64_t index) {
  const auto size = static_cast<std::int64_t>(net.size());
  const std::int64_t place = index < 0 ? index + size : index;
  if (place < 0 || place >= size) {
    throw nb::index_error(fmt::format("[sequential] index must be < {}, got {}", size, index).c_str());
  }
  return net.at(static_cast<std::size_t>(place));
}

std::vector<std::shared_ptr<Layer>> layers_of(const Sequential& net) {
  std::vector<std::shared_ptr<Layer>> layers;
  for (std::size_t i = 0; i < net.size(); ++i) layers.push_back(net.at(i));
  return layers;
}

/// As it is written: Sequential(...), or what each add was given.
std::string repr(const Sequential& net) {
  std::string text;
  bool chain = true;
  for (std::size_t i = 0; i < net.size(); ++i) chain = chain && net.node(i) == NodeOptions{};
  for (std::size_t i = 0; i < net.size(); ++i) {
    if (!text.empty()) text += ", ";
    if (!chain) text += net.name_of(i) + ": ";
    text += nb::repr(nb::cast(net.at(i))).c_str();
    if (net.node(i).inputs.empty()) continue;
    text += " of " + quoted_list(net.node(i).inputs);
    if (net.node(i).inputs.size() > 1)
      text += fmt::format(" by {}", choices(Connect{})[static_cast<std::size_t>(net.node(i).join)]);
  }
  return (chain ? "Sequential(" : "Graph(") + text + ")";
}

std::shared_ptr<Sequential> load(const std::filesystem::path& path) {
  const SavedNetwork saved = [&] {
    const nb::gil_scoped_release unlocked;
    return read_network(path);
  }();
  return network_from(saved.layers, saved.tensors, path.string());
}

}  // namespace

std::shared_ptr<Sequential> network_from(const std::vector<LayerRecipe>& recipes, const NamedTensors& values,
                                         std::string_view origin) {
  auto net = std::make_shared<Sequential>(make_network(recipes));
  set_tensors(net->named_tensors(), values, origin);
  return net;
}

void bind_sequential(nb::module_& m) {
  nb::class_<Sequential, Layer>(
      m, "Sequential",
      "Layers one after another; itself a layer. Parameters are named by place, as PyTorch names them: "
      "\"1.weight\".\n\n"
      "The layers are shared, not copied: net[1] is the object that was put in. A layer with parameters can "
      "be in "
      "it once.\nWeights are those that the layers have; initialize(seed) draws all of them, as a "
      "training "
      "does.\n\n"
      "Graph is another word for it: layers that read each other by name, put in by add.")
      .def(
          "__init__",
          [](Sequential* self, const nb::args& layers) {
            Sequential net;
            for (const nb::handle layer : layers) {
              if (!nb::isinstance<Layer>(layer)) {
                throw nb::type_error(fmt::format("[sequential] layers must be of volley.Layer, got {}",
                                                 nb::repr(layer.type()).c_str())
                                         .c_str());
              }
              net.add(nb::cast<std::shared_ptr<Layer>>(layer));
            }
            new (self) Sequential(std::move(net));
          },
          nb::arg("layers"), nb::sig("def __init__(self, *layers: Layer) -> None"))
      .def(
          "add",
          [](Sequential& self, std::shared_ptr<Layer> layer, std::string name,
             std::vector<std::string> inputs, const std::string& join) {
            self.add(std::move(layer), {.name = std::move(name),
                                        .inputs = std::move(inputs),
                                        .join = choice_from<Connect>(Sequential::kKind, "join", join)});
          },
          nb::arg("layer"), nb::kw_only(), nb::arg("name") = "",
          nb::arg("inputs") = std::vector<std::string>(), nb::arg("join") = "ADD",
          "Puts a layer at the end.\n\nname: none is its index. inputs: what it reads, by name: layers, and "
          "\"input\" "
          "for x; \"lif@2\" is what lif gave two steps\nbefore, 0 before the first step, and of a layer that "
          "comes later "
          "it must be such an earlier step. None: the layer before.\njoin: how several are joined: \"ADD\", "
          "\"AND\", "
          "\"IAND\" ((1 - a) b), \"CONCATENATE\" along the first feature dimension, \"MEAN\"\nor "
          "\"PRODUCT\".")
      .def(
          "names",
          [](const Sequential& self) {
            std::vector<std::string> names;
            for (std::size_t i = 0; i < self.size(); ++i) names.push_back(self.name_of(i));
            return names;
          },
          "The names of the layers: their indices, or what add was given.")
      .def("__len__", &Sequential::size)
      .def("__getitem__", layer_at, nb::arg("index"))
      .def(
          "__iter__", [](const Sequential& self) { return nb::iter(nb::cast(layers_of(self))); },
          nb::sig("def __iter__(self) -> collections.abc.Iterator[Layer]"))
      .def("__repr__", repr)
      .def(
          "save",
          [](Sequential& self, const std::filesystem::path& path) {
            const std::vector<LayerRecipe> recipes = recipes_of(self);
            alone([&] { save_network(path, recipes, self.named_tensors()); });
          },
          nb::arg("path"),
          "Writes a safetensors file with the parameters and buffers, and the layers in its metadata; whole "
          "or not at "
          "all. "
          "load(path)\nbrings the network back.")
      .def("state_dict", state_dict,
           nb::sig("def state_dict(self) -> dict[str, numpy.typing.NDArray[numpy.float32]]"),
           "The values of all parameters and buffers by name: copies.")
      .def(
          "save_state_dict",
          [](Sequential& self, const std::filesystem::path& path) {
            alone([&] { save_state_dict(path, self.named_tensors()); });
          },
          nb::arg("path"),
          "Writes the values of state_dict() alone as a safetensors file, which load_state_dict and other "
          "tools read;\nwhole or not at all.")
      .def(
          "load_state_dict", load_state, nb::arg("source"), nb::kw_only(), nb::arg("names") = nb::none(),
          nb::arg("by_order") = false, nb::arg("strict") = true,
          nb::sig("def load_state_dict(self, source: str | os.PathLike[str] | collections.abc.Mapping[str, "
                  "numpy.typing.NDArray[numpy.floating]], *, names: collections.abc.Mapping[str, str] | None "
                  "= None, by_order: bool = False, strict: bool = True) -> tuple[list[str], list[str]]"),
          "Gives every parameter and buffer its value from a state_dict of PyTorch or SpikingJelly: a "
          "mapping of names to\narrays, or a .safetensors or .npz file. Names are those of state_dict(); all "
          "may have one prefix in common, as in\n\"layer.1.weight\". Linear weights are (out, in) there too; "
          "shapes may differ in dimensions of 1.\n\n"
          "names: what the network calls the source's names, or the modules that these begin with: "
          "{\"conv.3\": \"2\"}.\nby_order: the source's modules mean the network's layers with parameters, "
          "in order; modules of other names, such as\nsnnTorch's \"lif1.beta\", are passed over. strict: "
          "False "
          "leaves what is in one of both alone as it is.\n\n"
          "Returns the names that were passed over: the network's, and the source's. ArgumentError names "
          "the first that is\nmissing, left over or of another shape; nothing is changed then.");

  m.attr("Graph") = m.attr("Sequential");

  m.def(
      "initialize_fluctuations",
      [](Sequential& net, std::int64_t seed, float rate, std::optional<float> input_rate, float xi) {
        const std::uint32_t s = number_from("initialize_fluctuations", "seed", seed);
        alone([&] { initialize_fluctuations(net, s, {.rate = rate, .input_rate = input_rate, .xi = xi}); });
      },
      nb::arg("net"), nb::arg("seed") = 0, nb::kw_only(), nb::arg("rate") = 0.1f,
      nb::arg("input_rate") = nb::none(), nb::arg("xi") = 1.0f,
      "Draws the weights of each Linear and Conv2d before lif, plif, alif or cuba_lif neurons from N(0, "
      "sigma^2), after\nRossbroich, Gygax and Zenke (2022): the threshold is xi standard deviations of the "
      "potential above rest when the inputs\nfire at `rate` per step, those of the first weights at "
      "`input_rate`. Biases are 0. All other layers keep their weights.\n\nRaises ArgumentError that names "
      "the layer for neurons of another kind.");
  m.def(
      "initialize_rates",
      [](Sequential& net, nb::handle x, float rate) {
        const auto values = signal_from("[initialize_rates] x", x);
        const auto threads_used = threads();
        alone([&] { initialize_rates(net, view(values), {.rate = rate}, *threads_used); });
      },
      nb::arg("net"), nb::arg("x"), nb::kw_only(), nb::arg("rate") = 0.1f,
      nb::sig("def initialize_rates(net: Sequential, x: numpy.typing.NDArray[numpy.float32 | numpy.uint8 | "
              "numpy.bool], *, rate: float = 0.1) -> None"),
      "Scales the weights and biases of each Linear and Conv2d before neurons that fire, in order, until "
      "these "
      "fire at `rate`\nper step on the batch x (T, N, features...).\n\nRaises ArgumentError that names the "
      "layer where no scale brings the rate within a factor of 10 of it.");
  m.def("load", load, nb::arg("path"),
        "The network in a file that Sequential.save wrote, or in a checkpoint (checkpoint_best.safetensors) "
        "of a "
        "training.\n\nRaises FileError when it is neither or is damaged.");
}

}  // namespace volley::python
