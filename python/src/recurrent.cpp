#include <nanobind/stl/shared_ptr.h>

#include <volley/recurrent.hpp>

#include <volley/error.hpp>
#include <volley/neuron.hpp>

#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

Feedback feedback_from(const std::string& word) {
  if (word == "linear") return Feedback::linear;
  if (word == "element_wise") return Feedback::element_wise;
  throw ArgumentError("recurrent", "feedback must be one of 'linear', 'element_wise'", "'" + word + "'");
}

const char* word_of(Feedback feedback) { return feedback == Feedback::linear ? "linear" : "element_wise"; }

/// The options of a neuron that Python holds as a layer.
const AnyNeuron& neuron_from(const Layer& layer) {
  const auto* neuron = dynamic_cast<const NeuronLayer*>(&layer);
  if (neuron != nullptr) return neuron->any_options();
  std::string kinds;
  for_each_type(Neurons{}, [&]<class Options>() {
    kinds += fmt::format("{}{}", kinds.empty() ? "" : ", ", Options::kKind);
  });
  throw nb::type_error(
      fmt::format("[recurrent] neuron must be one of {}, got {}", kinds, layer.kind()).c_str());
}

std::shared_ptr<Layer> neuron_of(const Recurrent& self) {
  return std::visit(
      []<class Options>(const Options& options) -> std::shared_ptr<Layer> {
        return std::make_shared<Neuron<Options>>(options);
      },
      self.options().neuron);
}

}  // namespace

void bind_recurrent(nb::module_& m) {
  auto recurrent = nb::class_<Recurrent, Layer>(
      m, "Recurrent",
      "Neurons whose own spikes of the step before are added to their currents: x (T, N, features) float32 "
      "-> "
      "spikes uint8.\n\n"
      "    i[t] = x[t] + W s[t - 1]        feedback \"linear\": weight (features, features)\n"
      "    i[t] = x[t] + w s[t - 1]        feedback \"element_wise\": weight (features,), 1 at first\n\n"
      "neuron: LIF() unless given; any neuron that fires and is reset, whose options it takes. What it "
      "learns are\n"
      "parameters of this layer, as \"neuron.w\".");
  def_forward(recurrent, kReal, kSpikes);
  recurrent
      .def(
          "__init__",
          [](Recurrent* self, std::size_t features, const std::string& feedback,
             const std::shared_ptr<Layer>& neuron) {
            RecurrentOptions options{.feedback = feedback_from(feedback)};
            if (neuron != nullptr) options.neuron = neuron_from(*neuron);
            new (self) Recurrent(features, options);
          },
          nb::arg("features"), nb::kw_only(), nb::arg("feedback") = "linear",
          nb::arg("neuron").none() = nb::none())
      .def_prop_ro("features", &Recurrent::features)
      .def_prop_ro("feedback", [](const Recurrent& self) { return word_of(self.options().feedback); })
      .def_prop_ro("neuron", neuron_of, "The neurons alone, as a layer of their own.")
      .def("__repr__", [](const Recurrent& self) {
        return fmt::format("Recurrent({}, feedback='{}', neuron={})", self.features(),
                           word_of(self.options().feedback),
                           nb::cast<std::string>(nb::repr(nb::cast(neuron_of(self)))));
      });
}

}  // namespace volley::python
