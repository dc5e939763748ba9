#include <fmt/format.h>
#include <nanobind/ndarray.h>

#include <volley/error.hpp>
#include <volley/layers.hpp>
#include <volley/residual.hpp>

#include "arrays.hpp"
#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

using LayerPtr = std::shared_ptr<Layer>;

/// A parameter of a layer, which it keeps alive, by its name there.
struct ParameterView {
  LayerPtr layer;    // the innermost that can be shared
  std::string own;   // the name in it: "weight"
  std::string name;  // the name in the network that was asked: "1.weight"

  /// Looked for at each use: the layer says where its parameters are.
  NamedParameter found() const {
    for (const NamedParameter& p : layer->parameters()) {
      if (p.name == own) return p;
    }
    throw ArgumentError(layer->kind(), "a view must be of a parameter that the layer has",
                        fmt::format("'{}'", own));
  }
};

/// The layer that `path` begins with in `layer`; takes its name from `path`. Null where it is not shared.
LayerPtr child_of(Layer& layer, std::string& path) {
  const std::size_t dot = path.find('.');
  if (dot == path.npos) return nullptr;
  const std::string first = path.substr(0, dot);
  LayerPtr child;
  if (auto* net = dynamic_cast<Sequential*>(&layer)) {
    for (std::size_t i = 0; i < net->size() && child == nullptr; ++i) {
      if (first == std::to_string(i)) child = net->at(i);
    }
  } else if (auto* block = dynamic_cast<Residual*>(&layer)) {
    if (first == "branch") child = block->branch();
    if (first == "shortcut") child = block->shortcut();
  }
  if (child != nullptr) path = path.substr(dot + 1);
  return child;
}

ParameterView view_of(LayerPtr layer, const std::string& name) {
  std::string path = name;
  while (const LayerPtr child = child_of(*layer, path)) layer = child;
  return {std::move(layer), std::move(path), name};
}

nb::dict views_of(const LayerPtr& self) {
  nb::dict views;
  for (const auto& [name, parameter] : self->parameters()) views[name.c_str()] = view_of(self, name);
  return views;
}

/// `tensor` in place; `owner` keeps it.
nb::object array_in_place(Tensor& tensor, nb::handle owner) {
  const auto sizes = tensor.shape().sizes();
  return nb::cast(nb::ndarray<nb::numpy, float>(tensor.data(), sizes.size(), sizes.data(), owner));
}

template <Tensor Parameter::*tensor>
nb::object array_of(nb::handle_t<ParameterView> self) {
  return array_in_place(nb::cast<ParameterView&>(self).found().parameter->*tensor, self);
}

/// Numbers for the array; the memory stays. `view.value -= x` ends here, with the array itself.
template <Tensor Parameter::*tensor>
void set_array(nb::handle_t<ParameterView> self, nb::handle array) {
  const ParameterView& view = nb::cast<ParameterView&>(self);
  constexpr const char* kName = tensor == &Parameter::value ? "value" : "gradient";
  const Tensor given = tensor_from(fmt::format("[parameter] {}", kName), array);
  Tensor& own = view.found().parameter->*tensor;
  if (!(given.shape() == own.shape())) {
    throw ShapeError("parameter", fmt::format("{} of '{}' must be {}", kName, view.name, own.shape().text()),
                     given.shape());
  }
  alone([&] { std::ranges::copy(given.values(), own.data()); });
}

const char* word_of(ParameterKind kind) {
  constexpr const char* kWords[] = {"weight", "bias", "norm", "neuron"};
  return kWords[static_cast<std::size_t>(kind)];
}

constexpr const char* kArraySig = "def {}(self) -> numpy.typing.NDArray[numpy.float32]";
constexpr const char* kSetSig = "def {}(self, array: numpy.typing.NDArray[numpy.floating], /) -> None";

template <Tensor Parameter::*tensor, class Bound>
void def_array(Bound& bound, const char* name, const char* doc) {
  bound.def_prop_rw(name, array_of<tensor>, set_array<tensor>,
                    nb::for_getter(nb::sig(fmt::format(fmt::runtime(kArraySig), name).c_str())),
                    nb::for_setter(nb::sig(fmt::format(fmt::runtime(kSetSig), name).c_str())), doc);
}

}  // namespace

void bind_views(nb::module_& m) {
  nb::class_<ParameterView> bound(
      m, "Parameter",
      "A parameter of a layer, in the layer's own memory: what is written to its arrays, the layer computes "
      "with.\n\n"
      "parameter_views() gives them. An array, and a tensor made of it by numpy.from_dlpack or "
      "torch.from_dlpack, keeps the\nlayer alive; its memory stays where it is for as long as the layer "
      "lives. "
      "Do not write while another thread runs a\npass of the layer.");
  def_array<&Parameter::value>(bound, "value",
                               "The numbers, a writable array. To assign copies into it: the shape stays.");
  def_array<&Parameter::gradient>(
      bound, "gradient",
      "What the backward passes since the last zero_gradients() added up, a writable array.");
  bound.def_ro("name", &ParameterView::name, "\"1.weight\"")
      .def_prop_ro(
          "kind", [](const ParameterView& self) { return word_of(kind_of(self.found())); },
          "\"weight\", \"bias\", \"norm\" or \"neuron\": what ParameterGroup matches.")
      .def_prop_ro(
          "shape",
          [](const ParameterView& self) { return tuple_of(self.found().parameter->value.shape().sizes()); },
          nb::sig("def shape(self) -> tuple[int, ...]"))
      .def(
          "__array__",
          [](nb::handle_t<ParameterView> self, const nb::object& dtype, const nb::object& copy) {
            return array_of<&Parameter::value>(self).attr("__array__")(dtype, nb::arg("copy") = copy);
          },
          nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none(),
          nb::sig("def __array__(self, dtype: typing.Any = None, copy: bool | None = None) -> "
                  "numpy.typing.NDArray[typing.Any]"))
      .def(
          "__dlpack__",
          [](nb::handle_t<ParameterView> self, const nb::kwargs& named) {
            return array_of<&Parameter::value>(self).attr("__dlpack__")(**named);
          },
          nb::arg("named"), nb::sig("def __dlpack__(self, **named: typing.Any) -> typing.Any"))
      .def(
          "__dlpack_device__", [](const ParameterView&) { return nb::make_tuple(1, 0); },
          nb::sig("def __dlpack_device__(self) -> tuple[int, int]"))
      .def("__repr__", [](const ParameterView& self) {
        return fmt::format("<Parameter '{}' {}>", self.name, self.found().parameter->value.shape().text());
      });

  const nb::object layer = nb::borrow(nb::type<Layer>());
  nb::cpp_function_def(views_of, nb::scope(layer), nb::name("parameter_views"), nb::is_method(),
                       nb::sig("def parameter_views(self) -> dict[str, Parameter]"),
                       "The parameters by name, in the layer's own memory: "
                       "net.parameter_views()[\"1.weight\"].value[0] = 0 changes "
                       "the layer.");
}

}  // namespace volley::python
