#include <fmt/format.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <memory>

#include <volley/error.hpp>
#include <volley/neuron.hpp>
#include <volley/parallel_neuron.hpp>

#include "arrays.hpp"
#include "fields.hpp"
#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

/// SAFETY: a Python object is let go of under Python's lock, whichever thread is the last to hold it.
struct Callable {
  explicit Callable(nb::object f) : function(std::move(f)) {}
  Callable(const Callable&) = delete;
  Callable& operator=(const Callable&) = delete;
  ~Callable() {
    const nb::gil_scoped_acquire locked;
    function.reset();
  }
  nb::object function;
};

/// The derivatives of a user's own surrogate. Kernels call it, from any thread.
void call_python(const void* context, float* g, const float* x, std::size_t count) {
  const nb::gil_scoped_acquire locked;
  Tensor values{Shape{count}};
  std::copy_n(x, count, values.data());
  const nb::object result = static_cast<const Callable*>(context)->function(to_array(values));
  const Tensor derivatives = tensor_from("[surrogate] what it returns", result);
  if (!(derivatives.shape() == values.shape())) {
    throw ShapeError("surrogate",
                     fmt::format("what it returns must have the shape of x, {}", values.shape().text()),
                     derivatives.shape());
  }
  std::copy_n(derivatives.data(), count, g);
}

/// Calls body(static_cast<const T*>(nullptr)) for every surrogate that has a class in Python.
template <class Body>
void for_every_surrogate(const Body& body) {
  const auto one = [&]<class T>(const T* type) {
    if constexpr (!std::is_same_v<T, CustomSurrogate>) body(type);
  };
  [&]<class... T>(const std::variant<T...>*) {
    (one(static_cast<const T*>(nullptr)), ...);
  }(static_cast<const Surrogate*>(nullptr));
}

template <class T>
void bind_surrogate(nb::module_& m, const char* name, const char* doc) {
  auto bound = nb::class_<T>(m, name, doc);
  bind_fields<T, T>(bound, name, [](const T& self) -> const T& { return self; });
}

void bind_surrogates(nb::module_& m) {
  bind_surrogate<ATan>(
      m, "ATan",
      "Surrogate derivative g(x) = (alpha / 2) / (1 + (pi alpha x / 2)^2) with x = h - v_threshold.\n\n"
      "alpha: steepness, > 0; 2.0 unless given. SpikingJelly's ATan.");
  bind_surrogate<Sigmoid>(
      m, "Sigmoid",
      "Surrogate derivative g(x) = alpha s (1 - s) with s = 1 / (1 + exp(-alpha x)) and x = h - "
      "v_threshold.\n\n"
      "alpha: steepness, > 0; 4.0 unless given. SpikingJelly's Sigmoid.");
  bind_surrogate<PiecewiseQuadratic>(
      m, "PiecewiseQuadratic",
      "Surrogate derivative g(x) = alpha - alpha^2 |x| where |x| <= 1 / alpha, else 0.");
  bind_surrogate<PiecewiseExp>(m, "PiecewiseExp", "Surrogate derivative g(x) = (alpha / 2) exp(-alpha |x|).");
  bind_surrogate<SoftSign>(m, "SoftSign", "Surrogate derivative g(x) = (alpha / 2) / (1 + alpha |x|)^2.");
  bind_surrogate<SuperSpike>(m, "SuperSpike",
                             "Surrogate derivative g(x) = alpha / (1 + |x|)^2, the fast sigmoid.");
  bind_surrogate<Erf>(m, "Erf", "Surrogate derivative g(x) = (alpha / sqrt(pi)) exp(-(alpha x)^2).");
  bind_surrogate<Rect>(m, "Rect", "Surrogate derivative g(x) = alpha where |x| < 1 / (2 alpha), else 0.");
  bind_surrogate<PiecewiseLeakyReLU>(m, "PiecewiseLeakyReLU",
                                     "Surrogate derivative g(x) = 1 / (2 w) where |x| < w, else c.");
  bind_surrogate<LeakyKReLU>(m, "LeakyKReLU", "Surrogate derivative g(x) = k where x >= 0, else leak.");
  bind_surrogate<LogTailedReLU>(
      m, "LogTailedReLU",
      "Surrogate derivative g(x) = alpha where x <= 0, 1 where 0 < x <= 1, 1 / x beyond.");
  bind_surrogate<S2NN>(
      m, "S2NN", "Surrogate derivative g(x) = that of Sigmoid(alpha) where x < 0, else beta / (x + 1).");
  bind_surrogate<QPseudoSpike>(m, "QPseudoSpike",
                               "Surrogate derivative g(x) = (1 + 2 |x| / (alpha - 1))^-alpha; alpha > 1.");
  bind_surrogate<NonzeroSignLogAbs>(m, "NonzeroSignLogAbs",
                                    "Surrogate derivative g(x) = alpha / (1 + alpha |x|).");
  bind_surrogate<StraightThrough>(m, "StraightThrough", "Surrogate derivative g(x) = 1.");
}

constexpr const char* kFiring =
    "\n\nWhat all share, unless it is said above:\n\n"
    "fire    s = 1 if h >= v_threshold else 0              fires_at_threshold; otherwise h > "
    "v_threshold\n"
    "reset   v = v_reset where s = 1                       hard\n"
    "        v = h - v_threshold where s = 1               soft: v_reset None, which counts as 0 elsewhere\n"
    "start   v = v_init; None: v_reset, or 0\n"
    "pause   for `refractory` steps after a spike v is held and s = 0; synaptic currents, adaptations and\n"
    "        recoveries go on\n\n"
    "tau in steps. detach_reset: whether backward ignores the spike's part in the reset. surrogate: the\n"
    "derivative that stands in for the step's, or a function: given x = h - v_threshold, an\n"
    "array of one dimension, it returns g(x). x: currents (T, N, features...) float32 -> spikes uint8.";

template <class Options>
void bind_neuron(nb::module_& m) {
  auto bound = nb::class_<Neuron<Options>, Layer>(m, Options::kName,
                                                  detail::kept(std::string(Options::kDoc) + kFiring));
  bind_fields<Options, Neuron<Options>>(
      bound, Options::kName, [](const Neuron<Options>& self) -> const Options& { return self.options(); });
  def_forward(bound, kReal, kSpikes);
}

template <class Options>
void bind_parallel_neuron(nb::module_& m, const char* name, const char* doc) {
  const std::string all = fmt::format(
      "{}\n\nh[t] = sum over t' of W[t, t'] x[t'] + b[t]; s = 1 if h >= 0 else 0. x: currents (T, N, "
      "features...)\n"
      "float32 -> spikes uint8.",
      doc);
  auto bound = nb::class_<ParallelNeuron<Options>, Layer>(m, name, detail::kept(all));
  bind_fields<Options, ParallelNeuron<Options>>(
      bound, name, [](const ParallelNeuron<Options>& self) -> const Options& { return self.options(); });
  def_forward(bound, kReal, kSpikes);
}

}  // namespace

bool surrogate_from(nb::handle object, Surrogate& surrogate) {
  bool found = false;
  for_every_surrogate([&]<class T>(const T*) {
    if (found || !nb::isinstance<T>(object)) return;
    surrogate = nb::cast<T>(object);
    found = true;
  });
  if (found || PyCallable_Check(object.ptr()) == 0) return found;
  surrogate = CustomSurrogate{&call_python, std::make_shared<const Callable>(nb::borrow(object))};
  return true;
}

nb::object surrogate_object(const Surrogate& surrogate) {
  return std::visit(
      []<class T>(const T& f) {
        if constexpr (std::is_same_v<T, CustomSurrogate>) {
          if (f.derivative == &call_python) return static_cast<const Callable*>(f.context.get())->function;
          return nb::object(nb::none());
        } else {
          return nb::cast(f);
        }
      },
      surrogate);
}

std::string surrogate_types() {
  std::string text;
  for_every_surrogate(
      [&]<class T>(const T*) { text += nb::cast<std::string>(nb::type<T>().attr("__name__")) + " | "; });
  return text +
         "collections.abc.Callable[[numpy.typing.NDArray[numpy.float32]], "
         "numpy.typing.NDArray[numpy.float32]]";
}

void bind_neurons(nb::module_& m) {
  bind_surrogates(m);
  for_each_type(Neurons{}, [&]<class Options>() { bind_neuron<Options>(m); });
  bind_parallel_neuron<PSNOptions>(
      m, "PSN",
      "Parallel spiking neurons; SpikingJelly's conventions. Every step sees every other.\n\n"
      "Parameters weight (steps, steps) and bias (steps).");
  bind_parallel_neuron<MaskedPSNOptions>(
      m, "MaskedPSN",
      "PSN whose weights are multiplied by 1 - lambda_init, but for those of the last k steps.\n\n"
      "Parameters weight (steps, steps) and bias (steps).");
  bind_parallel_neuron<SlidingPSNOptions>(
      m, "SlidingPSN",
      "PSN that sees the last k steps with the same k weights at every step, for any T.\n\n"
      "Parameters weight (k) and bias (1). exp_init: whether the weights begin as ..., 1/4, 1/2, 1.");

  auto li = nb::class_<LI, Layer>(
      m, "LI",
      "Leaky integrators, for readouts: LIF neurons that never fire, and give their potential.\n\n"
      "    v = v + (x - v) / tau        decay_input; otherwise v = v - v / tau + x\n\n"
      "tau in steps, > 1. x: currents (T, N, features...) float32 -> v of the same shape, float32.");
  bind_fields<LIOptions, LI>(li, "LI", [](const LI& self) -> const LIOptions& { return self.options(); });
  def_forward(li, kReal, kReal);

  auto soft = nb::class_<SoftLIF, Layer>(
      m, "SoftLIF",
      "A LIF neuron that gives, in place of the spike, its probability p = sigmoid(h - v_threshold):\n\n"
      "    h = v + (x - (v - v_reset)) / tau        v = (1 - p) h + p v_reset\n\n"
      "tau in steps, > 1. x: currents (T, N, features...) float32 -> p of the same shape, float32.");
  bind_fields<SoftLIFOptions, SoftLIF>(
      soft, "SoftLIF", [](const SoftLIF& self) -> const SoftLIFOptions& { return self.options(); });
  def_forward(soft, kReal, kReal);
}

}  // namespace volley::python
