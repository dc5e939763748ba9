#include "layers.hpp"

#include <fmt/format.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/unique_ptr.h>

#include <volley/error.hpp>
#include <volley/membrane.hpp>
#include <volley/monitor.hpp>
#include <volley/neuron.hpp>
#include <volley/rate_penalty.hpp>
#include <volley/signal_forms.hpp>

#include "module.hpp"

namespace volley::python {
namespace {

using LayerPtr = std::shared_ptr<Layer>;

std::string named(const Layer& layer, std::string_view argument) {
  return fmt::format("[{}] {}", layer.kind(), argument);
}

nb::object backward(const LayerPtr& self, Pass& pass, nb::handle dy, bool needs_input_gradient,
                    State* state) {
  if (pass.owner.get() != self.get()) {
    throw ArgumentError(self->kind(), "tape must be one that this object's forward returned",
                        fmt::format("one of a different {}", pass.owner->kind()));
  }
  const Shape shape = alone([&] { return pass.y.shape(); });
  const Tensor gradient = gradient_from(named(*self, "dy"), dy, shape);
  const Signal dx = alone([&] {
    pass.tape->set_needs_input_gradient(needs_input_gradient);
    return self->backward(*pass.tape, gradient, state);
  });
  if (!needs_input_gradient || dx.empty()) return nb::none();
  return to_array(dx);
}

nb::dict gradients_of(const LayerPtr& self) {
  nb::dict arrays;
  for (const auto& [name, parameter] : self->parameters())
    arrays[name.c_str()] = to_array(parameter->gradient);
  return arrays;
}

/// Gives all of `state` new values, or changes nothing.
void set_arrays(const LayerPtr& self, const char* argument, const std::vector<NamedTensor>& state,
                nb::handle arrays) {
  const std::string what = named(*self, argument);
  const NamedTensors values = tensors_from(what, arrays);
  alone([&] { volley::set_tensors(state, values, what); });
}

nb::tuple output_shape(const LayerPtr& self, const std::vector<std::size_t>& features) {
  const Shape shape = self->output_shape(Shape(features));
  return tuple_of(shape.sizes());
}

nb::dict membranes_of(const Pass& pass) {
  const std::vector<NamedMembrane> all = alone([&] { return membranes(*pass.owner, *pass.tape); });
  nb::dict layers;
  for (const auto& [name, membrane] : all) {
    nb::dict arrays;
    const auto add = [&](const char* key, const Tensor& values) {
      if (values.size() > 0) arrays[key] = to_array(Signal(values));
    };
    add("current", membrane.current);
    add("h", membrane.h);
    add("v", membrane.v);
    add("threshold", membrane.threshold);
    layers[name.c_str()] = arrays;
  }
  return layers;
}

constexpr const char* kBackwardDoc =
    "The gradient of the loss with respect to x, float32 of x's shape, given dy, float32 of the output's "
    "shape.\n\n"
    "Adds to the gradients of the parameters; zero_gradients() clears them. `tape` is from this object's "
    "forward;\n"
    "it keeps the pass, so several passes can be under way. Raises ArgumentError for the tape of another "
    "object "
    "and\n"
    "for a dy of another shape.\n"
    "state: takes its gradients as those of the state after the pass, and leaves there those of the state "
    "before it.";

void bind_layer(nb::module_& m) {
  nb::class_<Pass>(
      m, "Tape",
      "What a forward pass keeps for backward: input, potentials, spikes. Made by forward only.\n\n"
      "It keeps its layer alive. Give it to backward of the same object, as often as you like.")
      .def(
          "activity",
          [](const Pass& self) {
            Monitor monitor;
            alone([&] { monitor.look(*self.tape); });
            return monitor.activity();
          },
          nb::sig("def activity(self) -> list[LayerActivity]"),
          "What each layer of a Sequential did in this pass: firing rates, dead and saturated neurons, "
          "synaptic operations.")
      .def(
          "membranes", membranes_of,
          nb::sig("def membranes(self) -> dict[str, dict[str, numpy.typing.NDArray[numpy.float32]]]"),
          "The potentials of every layer of neurons in this pass, by name, \"1\", or \"\" of a single layer: "
          "arrays\n(T, N, features...) \"h\" after charge, \"v\" after the step, \"current\" what came in, "
          "and \"threshold\" what h had\nto reach, where it fires. They are computed again at each call.");

  auto base = nb::class_<Layer>(
      m, "Layer", "A differentiable operation on whole passes: all T steps of all N samples at once.");
  def_forward(base, kAnyInput, kEither);
  base.def_prop_ro(
          "kind", [](const Layer& self) { return std::string(self.kind()); },
          "The name that recipes know this kind of layer by: \"lif\".")
      .def(
          "backward",
          [](const LayerPtr& self, Pass& tape, nb::handle dy, State* state) {
            return backward(self, tape, dy, true, state);
          },
          nb::arg("tape"), nb::arg("dy"), nb::kw_only(), nb::arg("state") = nb::none(),
          nb::sig("def backward(self, tape: Tape, dy: numpy.typing.NDArray[numpy.float32], *, state: State | "
                  "None = None) -> numpy.typing.NDArray[numpy.float32]"),
          kBackwardDoc)
      .def("backward", backward, nb::arg("tape"), nb::arg("dy"), nb::kw_only(),
           nb::arg("needs_input_gradient"), nb::arg("state") = nb::none(),
           nb::sig("def backward(self, tape: Tape, dy: numpy.typing.NDArray[numpy.float32], *, "
                   "needs_input_gradient: bool, state: State | None = None) -> "
                   "numpy.typing.NDArray[numpy.float32] | None"),
           "The same; with needs_input_gradient=False returns None and leaves out the work for x's gradient.")
      .def("output_shape", output_shape, nb::arg("features"),
           nb::sig("def output_shape(self, features: collections.abc.Sequence[int]) -> tuple[int, ...]"),
           "The feature shape that comes out when `features` goes in, both without T and N. Raises "
           "ShapeError when "
           "the layer cannot take it.")
      .def(
          "parameters", [](const LayerPtr& self) { return arrays_of(values_of(self->parameters())); },
          nb::sig("def parameters(self) -> dict[str, numpy.typing.NDArray[numpy.float32]]"),
          "Copies of the parameters by name: changing one does not change the layer, set_parameters() does.")
      .def("gradients", gradients_of,
           nb::sig("def gradients(self) -> dict[str, numpy.typing.NDArray[numpy.float32]]"),
           "Copies of the parameters' gradients by name: what the backward passes since the last "
           "zero_gradients() "
           "added up.")
      .def(
          "zero_gradients",
          [](const LayerPtr& self) { alone([&] { volley::zero_gradients(self->parameters()); }); },
          "Sets every gradient to zero.")
      .def(
          "set_parameters",
          [](const LayerPtr& self, nb::handle parameters) {
            set_arrays(self, "parameters", values_of(self->parameters()), parameters);
          },
          nb::arg("parameters"),
          nb::sig("def set_parameters(self, parameters: collections.abc.Mapping[str, "
                  "numpy.typing.NDArray[numpy.floating]]) -> None"),
          "Gives every parameter a new value, converted to float32. All names must be there, none left over, "
          "with "
          "the\nshapes that parameters() shows; otherwise ArgumentError names the first that differs, and "
          "nothing is "
          "changed.")
      .def(
          "buffers", [](const LayerPtr& self) { return arrays_of(self->buffers()); },
          nb::sig("def buffers(self) -> dict[str, numpy.typing.NDArray[numpy.float32]]"),
          "Copies of what else the layer has learned and is saved with the parameters, such as running "
          "statistics, by\nname. A training changes them in backward.")
      .def(
          "set_buffers",
          [](const LayerPtr& self, nb::handle buffers) {
            set_arrays(self, "buffers", self->buffers(), buffers);
          },
          nb::arg("buffers"),
          nb::sig("def set_buffers(self, buffers: collections.abc.Mapping[str, "
                  "numpy.typing.NDArray[numpy.floating]]) -> None"),
          "Gives every buffer a new value, as set_parameters() does for parameters.")
      .def(
          "initialize",
          [](const LayerPtr& self, std::int64_t seed, const std::string& path) {
            const std::uint32_t s = number_from(self->kind(), "seed", seed);
            alone([&] { self->initialize(s, path); });
          },
          nb::arg("seed") = 0, nb::arg("path") = "",
          "Draws the initial parameters. `path` is that of the layer in a larger network, \"3.branch.0\": no "
          "two layers of a network share a draw.");
}

void bind_linear(nb::module_& m) {
  nb::class_<Flatten, Layer>(m, "Flatten",
                             "All feature dimensions into one: (T, N, C, H, W) -> (T, N, C H W).")
      .def(nb::init<>())
      .def("__repr__", [](const Flatten&) { return "Flatten()"; });

  nb::class_<Identity, Layer>(m, "Identity",
                              "What comes to it, as it is. In a Graph: a place where signals are joined.")
      .def(nb::init<>())
      .def("__repr__", [](const Identity&) { return "Identity()"; });

  auto slice = nb::class_<Slice, Layer>(
      m, "Slice",
      "Some of the features in row-major order, from `first` on, in `shape`; spikes of "
      "spikes. How a Graph has several\ninputs: they come as one array, one behind "
      "another.");
  slice
      .def(
          "__init__",
          [](Slice* self, std::size_t first, std::vector<std::size_t> shape) {
            new (self) Slice({.first = first, .shape = std::move(shape)});
          },
          nb::arg("first"), nb::arg("shape"))
      .def("__repr__", [](const Slice& self) { return repr_of("Slice", self.options()); });
  option<&SliceOptions::first>(slice, "first");
  option<&SliceOptions::shape>(slice, "shape");

  auto unflatten = nb::class_<Unflatten, Layer>(m, "Unflatten",
                                                "One feature dimension into several: Unflatten(1, (C, H, W)) "
                                                "makes (T, N, C H W) -> (T, N, C, H, W). dim "
                                                "counts as\nPyTorch's: 1 is the first feature dimension.");
  unflatten
      .def(
          "__init__",
          [](Unflatten* self, std::size_t dim, std::vector<std::size_t> unflattened_size) {
            new (self) Unflatten({.dim = dim, .unflattened_size = std::move(unflattened_size)});
          },
          nb::arg("dim"), nb::arg("unflattened_size"))
      .def("__repr__", [](const Unflatten& self) { return repr_of("Unflatten", self.options()); });
  option<&UnflattenOptions::dim>(unflatten, "dim");
  option<&UnflattenOptions::unflattened_size>(unflatten, "unflattened_size");

  auto linear = nb::class_<Linear, Layer>(
      m, "Linear",
      "y[t] = W x[t] + b: (T, N, in_features) -> (T, N, out_features), float32; x spikes or float32.\n\n"
      "Parameters: weight (out, in), bias (out). init: how they are drawn, \"uniform\" (U(-1/sqrt(in), "
      "1/sqrt(in)),\nPyTorch's default) or \"normal\" (N(0, 1)); from seed 0 until initialize() draws "
      "others.");
  def_forward(linear, kAnyInput, kReal);
  linear
      .def(
          "__init__",
          [](Linear* self, std::size_t in, std::size_t out, bool bias, const std::string& init) {
            if (init != "uniform" && init != "normal") {
              throw ArgumentError("linear", "init must be one of 'uniform', 'normal'",
                                  fmt::format("'{}'", init));
            }
            new (self)
                Linear(in, out, {.bias = bias, .init = init == "normal" ? Init::normal : Init::uniform});
          },
          nb::arg("in_features"), nb::arg("out_features"), nb::kw_only(), nb::arg("bias") = true,
          nb::arg("init") = "uniform")
      .def_prop_ro("in_features", &Linear::in)
      .def_prop_ro("out_features", &Linear::out)
      .def("__repr__", [](const Linear& self) {
        return fmt::format("Linear({}, {}, bias={}, init='{}')", self.in(), self.out(),
                           self.options().bias ? "True" : "False",
                           self.options().init == Init::normal ? "normal" : "uniform");
      });
}

void bind_rate_penalty(nb::module_& m) {
  nb::class_<RatePenalty, Layer>(
      m, "RatePenalty",
      "Passes its input on; in backward it adds the gradient of weight * mean over features of |r - target| "
      "(\"l1\") or\n(r - target)^2 (\"l2\"), r being the firing rate of a feature over batch and T.")
      .def(
          "__init__",
          [](RatePenalty* self, const std::string& norm, float target, float weight) {
            new (self) RatePenalty({.norm = choice_from<Norm>("rate_penalty", "norm", norm),
                                    .target = target,
                                    .weight = weight});
          },
          nb::arg("norm") = "l2", nb::arg("target") = 0.0f, nb::arg("weight") = 0.01f)
      .def(
          "penalty",
          [](const RatePenalty& self, Pass& tape) {
            if (tape.owner.get() != &self)
              throw ArgumentError("rate_penalty", "tape must be one that this object's forward returned");
            return alone([&] { return self.penalty(*tape.tape); });
          },
          nb::arg("tape"), "The penalty of the pass that `tape` keeps.")
      .def("__repr__", [](const RatePenalty& self) { return repr_of("RatePenalty", self.options()); });
}

}  // namespace

const char* const kForwardDoc =
    "Runs a whole pass of T steps, from rest.\n\n"
    "x: array (T, N, features...), float32, or spikes as uint8 (0 or 1) or bool, copied if it is not in C "
    "order; or Spikes.\n"
    "training: whether the pass belongs to a training, which is what batch normalisation and dropout ask.\n"
    "seed, epoch, samples: address what dropout draws; samples are the N samples' numbers in the data set, "
    "0, "
    "1, 2, ...\nunless given.\n"
    "state: the pass goes on from it, and leaves there what the next one goes on from; without, it begins at "
    "rest.\n"
    "tape: one that this object's forward returned, whose memory is used again; its pass is then over. It is "
    "the tape\nthat is returned.\n"
    "Returns the output, (T, N, features...), float32 or uint8 spikes, and the tape that backward needs. "
    "Spikes "
    "are\nreturned as Spikes where x is Spikes.\n"
    "Raises TypeError for another dtype, ShapeError for a shape that does not fit.";

const char* const kCallDoc =
    "The output of an evaluation, as forward(x)[0].\n\n"
    "state: the pass goes on from it, as in forward. tape: one that this object's forward returned, whose "
    "memory "
    "is used\nagain; its pass is then over.\nRaises what forward raises.";

namespace {

std::vector<std::uint32_t> samples_from(const Layer& layer, const PassArguments& arguments, std::size_t N) {
  std::vector<std::uint32_t> samples;
  if (!arguments.samples.has_value()) return samples;
  if (arguments.samples->size() != N) {
    throw ArgumentError(layer.kind(), fmt::format("samples must be one number for each of {} samples", N),
                        std::to_string(arguments.samples->size()));
  }
  for (const std::int64_t sample : *arguments.samples)
    samples.push_back(number_from(layer.kind(), "samples", sample));
  return samples;
}

Pass& pass_of(const LayerPtr& self, nb::handle tape) {
  Pass* pass = nullptr;
  if (!nb::try_cast(tape, pass) || pass == nullptr) {
    throw nb::type_error(
        fmt::format("{} must be a volley.Tape, got {}", named(*self, "tape"), nb::repr(tape.type()).c_str())
            .c_str());
  }
  if (pass->owner.get() != self.get()) {
    throw ArgumentError(self->kind(), "tape must be one that this object's forward returned",
                        fmt::format("one of a different {}", pass->owner->kind()));
  }
  return *pass;
}

/// Makes the tape ready for `x`. Threads may have changed since the pass before, or died in a fork.
const OwnedSignal& begin(Pass& pass, OwnedSignal&& x, std::vector<std::uint32_t>&& samples,
                         const std::shared_ptr<ThreadPool>& pool) {
  pass.x.push_back(std::make_unique<const OwnedSignal>(std::move(x)));
  pass.samples = std::move(samples);
  if (pass.threads != pool) {
    pass.tape.emplace(*pool);
    pass.threads = pool;
  }
  return *pass.x.back();
}

}  // namespace

nb::tuple forward(const std::shared_ptr<Layer>& self, nb::handle array, const PassArguments& arguments,
                  nb::object tape) {
  OwnedSignal x = signal_from(named(*self, "x"), array);
  const bool packed = nb::isinstance<PackedSpikes>(array);
  const Shape shape = view(x).shape();
  std::vector<std::uint32_t> samples = samples_from(*self, arguments, shape[0]);
  check_range(self->kind(), "epoch", static_cast<double>(arguments.epoch), between(0, (1 << 24) - 1));
  const Draw draw{.seed = number_from(self->kind(), "seed", arguments.seed),
                  .epoch = static_cast<std::uint32_t>(arguments.epoch)};
  if (tape.is_none()) tape = nb::cast(std::make_unique<Pass>(self));
  Pass& pass = pass_of(self, tape);
  const std::shared_ptr<ThreadPool> pool = threads();
  SignalMemory memory;
  std::shared_ptr<const Spikes> y_packed;
  const Signal y = alone([&] {
    self->output_shape(shape.from(2));  // refuses what does not fit before anything is computed
    const Signal in = view(begin(pass, std::move(x), std::move(samples), pool));
    pass.tape->set_context({.training = arguments.training, .draw = draw, .samples = pass.samples});
    pass.y = self->forward(in, *pass.tape, arguments.state);
    pass.x.erase(pass.x.begin(), pass.x.end() - 1);
    if (packed && pass.y.is_spikes()) {
      y_packed = std::make_shared<const Spikes>(pass.y.spikes());  // the tape's memory may be used again
      return Signal{};
    }
    return plain(pass.y, memory, *pool);
  });
  if (y_packed != nullptr) return nb::make_tuple(PackedSpikes{std::move(y_packed)}, tape);
  return nb::make_tuple(to_array(y), tape);
}

void bind_layers(nb::module_& m) {
  bind_layer(m);
  bind_linear(m);
  bind_rate_penalty(m);
}

}  // namespace volley::python
