#include <fmt/format.h>

#include <volley/spikes.hpp>

#include "arrays.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

nb::object numpy_of(const PackedSpikes& self) { return to_array(Signal(*self.spikes)); }

/// numpy.asarray(spikes), and numpy.array(spikes, dtype): always new memory.
nb::object array_of(const PackedSpikes& self, const nb::object& dtype, const nb::object& copy) {
  if (!copy.is_none() && !nb::cast<bool>(copy)) {
    throw nb::value_error("[spikes] an array of spikes is always a copy, got copy=False");
  }
  const nb::object array = numpy_of(self);
  if (dtype.is_none()) return array;
  return array.attr("astype")(dtype, nb::arg("copy") = false);
}

std::size_t count_of(const PackedSpikes& self) {
  const nb::gil_scoped_release unlocked;
  return self.spikes->count();
}

double mean_of(const PackedSpikes& self) {
  return static_cast<double>(count_of(self)) / static_cast<double>(self.spikes->shape().size());
}

/// The shape (T, N, features...), and the bits in its order, eight to a byte.
nb::tuple state_of(const PackedSpikes& self) {
  const nb::object bits = nb::module_::import_("numpy").attr("packbits")(numpy_of(self));
  return nb::make_tuple(tuple_of(turned_sizes(self.spikes->shape())), bits.attr("tobytes")());
}

void set_state(PackedSpikes* self, const nb::tuple& state) {
  if (nb::len(state) != 2) throw ArgumentError("spikes", "a pickle must hold a shape and bits");
  const nb::module_ numpy = nb::module_::import_("numpy");
  std::size_t size = 1;
  for (const nb::handle n : nb::tuple(state[0])) size *= nb::cast<std::size_t>(n);
  const nb::object bytes = numpy.attr("frombuffer")(state[1], nb::arg("dtype") = "uint8");
  const nb::object bits = numpy.attr("unpackbits")(bytes, nb::arg("count") = size);
  new (self) PackedSpikes(spikes_from("[spikes] array", bits.attr("reshape")(state[0])));
}

}  // namespace

void bind_spikes(nb::module_& m) {
  nb::class_<PackedSpikes>(
      m, "Spikes",
      "Spike trains (T, N, features...), one bit for each: what encode(..., packed=True) returns, and layers "
      "that are given\nSpikes. They cannot be changed.\n\n"
      "array: (T, N, features...) of uint8, 0 or 1, or of bool. numpy() and numpy.asarray() give a uint8 "
      "array "
      "of them.")
      .def(
          "__init__",
          [](PackedSpikes* self, nb::handle array) {
            new (self) PackedSpikes(spikes_from("[spikes] array", array));
          },
          nb::arg("array"),
          nb::sig("def __init__(self, array: numpy.typing.NDArray[numpy.uint8 | numpy.bool_] | Spikes) -> "
                  "None"))
      .def("numpy", numpy_of, nb::sig("def numpy(self) -> numpy.typing.NDArray[numpy.uint8]"),
           "A new array (T, N, features...) of uint8, 0 or 1.")
      .def("__array__", array_of, nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none(),
           nb::sig("def __array__(self, dtype: typing.Any = None, copy: bool | None = None) -> "
                   "numpy.typing.NDArray[typing.Any]"))
      .def_prop_ro(
          "shape", [](const PackedSpikes& self) { return tuple_of(turned_sizes(self.spikes->shape())); },
          nb::sig("def shape(self) -> tuple[int, ...]"), "(T, N, features...)")
      .def_prop_ro("ndim", [](const PackedSpikes& self) { return self.spikes->shape().rank(); })
      .def_prop_ro(
          "size", [](const PackedSpikes& self) { return self.spikes->shape().size(); },
          "T N features, all multiplied.")
      .def_prop_ro(
          "dtype", [](const PackedSpikes&) { return nb::module_::import_("numpy").attr("dtype")("uint8"); },
          nb::sig("def dtype(self) -> numpy.dtype[numpy.uint8]"), "That of numpy(), uint8.")
      .def("__len__", [](const PackedSpikes& self) { return self.spikes->steps(); })
      .def("count", count_of, "The number of spikes.")
      .def("mean", mean_of, "The firing rate: spikes per neuron and step, over all samples.")
      .def(
          "counts", [](const PackedSpikes& self) { return counts_of(*self.spikes); },
          nb::sig("def counts(self) -> numpy.typing.NDArray[numpy.uint32]"),
          "How often each feature of each sample fired: (N, features...), the sum over T.")
      .def("__getstate__", state_of)
      .def("__setstate__", set_state, nb::arg("state"))
      .def(
          "__copy__", [](nb::handle_t<PackedSpikes> self) { return nb::borrow(self); },
          nb::sig("def __copy__(self) -> Spikes"))
      .def(
          "__deepcopy__", [](nb::handle_t<PackedSpikes> self, const nb::dict&) { return nb::borrow(self); },
          nb::arg("memo"), nb::sig("def __deepcopy__(self, memo: dict[int, typing.Any]) -> Spikes"))
      .def("__repr__", [](const PackedSpikes& self) {
        return fmt::format("<Spikes {}, mean {:.4g}>", text_of(turned_sizes(self.spikes->shape())),
                           mean_of(self));
      });
}

}  // namespace volley::python
