#include <volley/error.hpp>
#include <volley/state.hpp>

#include "arrays.hpp"
#include "layers.hpp"
#include "module.hpp"

namespace volley::python {

void bind_state(nb::module_& m) {
  nb::class_<State>(
      m, "State",
      "What a network carries from one pass to the next, so that a sequence can go through it step by step "
      "or "
      "in chunks:\npotentials and what else neurons have, and the spikes of the last step where they come "
      "back.\n\n"
      "    state = volley.State()\n"
      "    for x in chunks:                             # (T, N, features...); T may be 1\n"
      "        y, tape = net.forward(x, state=state)    # the bits of one pass over all of them\n\n"
      "A new one is at rest, and the first pass gives it its N. As many as there are streams can go through "
      "one network.\nFor gradients, net.backward(tape, dy, state=state) from the last chunk to the first; "
      "without the state it is\ntruncated BPTT.")
      .def(nb::init<>())
      .def_prop_ro("at_rest", &State::at_rest, "Whether no pass has used it since it was made or reset.")
      .def(
          "reset", [](State& self) { alone([&] { self.reset(); }); }, "Puts it at rest again.")
      .def(
          "values", [](State& self, Layer& net) { return arrays_of(self.named_tensors(net)); },
          nb::arg("net"),
          nb::sig("def values(self, net: Layer) -> dict[str, numpy.typing.NDArray[numpy.float32]]"),
          "Copies of its arrays, (N, features...), by the names of the layers of `net`: \"1.v\".")
      .def(
          "set_values",
          [](State& self, Layer& net, nb::handle values) {
            const NamedTensors tensors = tensors_from("[state] values", values);
            alone([&] { self.set(net, tensors); });
          },
          nb::arg("net"), nb::arg("values"),
          nb::sig("def set_values(self, net: Layer, values: collections.abc.Mapping[str, "
                  "numpy.typing.NDArray[numpy.float32]]) -> None"),
          "Takes these arrays in the place of all that is there, such as values(net) gave. Raises "
          "ArgumentError "
          "for a name\nthat no layer of `net` has.")
      .def(
          "gradients",
          [](State& self, Layer& net) {
            std::vector<NamedTensor> known = self.named_gradients(net);
            std::erase_if(known, [](const NamedTensor& t) { return t.tensor->size() == 0; });
            return arrays_of(known);
          },
          nb::arg("net"),
          nb::sig("def gradients(self, net: Layer) -> dict[str, numpy.typing.NDArray[numpy.float32]]"),
          "Copies of the gradients of its arrays; empty before a backward.")
      .def(
          "__getstate__",
          [](const State&) {
            throw ArgumentError(
                "state",
                "a State is pickled by its values: values(net), and set_values(net, values) of "
                "a new one");
          },
          nb::sig("def __getstate__(self) -> typing.NoReturn"))
      .def("__copy__", [](const State& self) { return State(self); })
      .def(
          "__deepcopy__", [](const State& self, const nb::dict&) { return State(self); }, nb::arg("memo"));
}

}  // namespace volley::python
