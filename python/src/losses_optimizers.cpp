#include <fmt/format.h>
#include <nanobind/stl/shared_ptr.h>

#include <volley/error.hpp>
#include <volley/loss.hpp>
#include <volley/optimizer.hpp>

#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

OwnedSignal output_from(const Loss& loss, nb::handle y) {
  OwnedSignal signal = signal_from(fmt::format("[{}] y", loss.kind()), y);
  const Shape shape = view(signal).shape();
  if (shape.rank() != 3) {
    throw Error(
        fmt::format("[{}] y must have the shape (T, N, K), got {} dimensions", loss.kind(), shape.rank()));
  }
  return signal;
}

nb::tuple loss_forward(const Loss& self, nb::handle y, nb::handle labels) {
  const OwnedSignal signal = output_from(self, y);
  const std::vector<std::uint8_t> values = labels_from(fmt::format("[{}] labels", self.kind()), labels);
  Tensor scores;
  const double loss = alone([&] { return self.forward(view(signal), values, scores); });
  return nb::make_tuple(loss, to_array(scores));
}

nb::object loss_backward(const Loss& self, nb::handle y, nb::handle labels, nb::handle scores) {
  const OwnedSignal signal = output_from(self, y);
  const std::vector<std::uint8_t> values = labels_from(fmt::format("[{}] labels", self.kind()), labels);
  const std::string what = fmt::format("[{}] scores", self.kind());
  const Tensor given = tensor_from(what, scores);
  const Shape expected{view(signal).samples(), view(signal).features()};
  if (!(given.shape() == expected)) {
    throw Error(fmt::format("{} must be those that forward returned, of shape {}, got {}", what,
                            expected.text(), given.shape().text()));
  }
  Tensor dy;
  alone([&] {
    Tensor checked;
    self.forward(view(signal), values, checked);  // refuses labels that do not fit
    self.backward(view(signal), values, given, dy);
  });
  return to_array(Signal(dy));
}

void bind_losses(nb::module_& m) {
  nb::class_<Loss>(m, "Loss", "Scores the output of a network: the mean over the batch.")
      .def(
          "forward", loss_forward, nb::arg("y"), nb::arg("labels"),
          nb::sig(
              "def forward(self, y: numpy.typing.NDArray[numpy.float32 | numpy.uint8 | numpy.bool_], labels: "
              "numpy.typing.ArrayLike) -> tuple[float, numpy.typing.NDArray[numpy.float32]]"),
          "y: (T, N, K), spikes or float32; labels: integers (N,), 0 to K - 1.\n\n"
          "Returns the loss and the scores, float32 (N, K): the class of the highest is the prediction. "
          "Raises "
          "ValueError\nfor labels that do not fit.")
      .def("backward", loss_backward, nb::arg("y"), nb::arg("labels"), nb::arg("scores"),
           nb::sig("def backward(self, y: numpy.typing.NDArray[numpy.float32 | numpy.uint8 | numpy.bool_], "
                   "labels: "
                   "numpy.typing.ArrayLike, scores: numpy.typing.NDArray[numpy.float32]) -> "
                   "numpy.typing.NDArray[numpy.float32]"),
           "dy, float32 (T, N, K): the gradient of the loss with respect to y, given the scores of forward.");
  nb::class_<RateMse, Loss>(
      m, "RateMse",
      "scale times the mean over batch and classes of (r - onehot)^2, r being the firing rate, the "
      "mean over T.\n\nscale: > 0; 1.0 unless given.")
      .def(
          "__init__", [](RateMse* self, float scale) { new (self) RateMse({.scale = scale}); },
          nb::arg("scale") = 1.0f)
      .def("__repr__", [](const RateMse& self) { return repr_of("RateMse", self.options()); });
  nb::class_<RateCrossEntropy, Loss>(
      m, "RateCrossEntropy",
      "Mean over the batch of -log softmax(r)[label], with r the firing rate as the logit.")
      .def(nb::init<>())
      .def("__repr__", [](const RateCrossEntropy&) { return "RateCrossEntropy()"; });
}

/// An optimizer, and the network whose state it has.
struct Stepper {
  virtual ~Stepper() = default;
  virtual Optimizer& optimizer() = 0;

  void step(const std::shared_ptr<Layer>& layer) {
    if (net != nullptr && net.get() != layer.get()) {
      throw Error(fmt::format(
          "[{}] step must be given the same network every time, got another; make an optimizer for each",
          optimizer().kind()));
    }
    const std::shared_ptr<ThreadPool> pool = threads();
    alone([&] { optimizer().step(layer->parameters(), *pool); });
    net = layer;
  }

  std::shared_ptr<Layer> net;
};

template <class O>
struct StepperOf final : Stepper {
  explicit StepperOf(const typename O::Options& options) : own(options) {}
  Optimizer& optimizer() override { return own; }
  const typename O::Options& options() const { return own.options(); }

  O own;
};

void bind_optimizers(nb::module_& m) {
  nb::class_<Stepper>(m, "Optimizer", "Changes the parameters of a network by their gradients.")
      .def("step", &Stepper::step, nb::arg("net"),
           "One update of every parameter of `net`, which must be the same at every call. Gradients stay: "
           "clear them "
           "with\nnet.zero_gradients() before the next backward.")
      .def_prop_ro("steps_taken", [](Stepper& self) { return self.optimizer().steps_taken(); });

  auto sgd = nb::class_<StepperOf<Sgd>, Stepper>(
      m, "Sgd",
      "g += weight_decay w; b = momentum b + g (b = g at first); w -= lr (nesterov ? g + momentum b : b).\n\n"
      "PyTorch's formula. lr >= 0; momentum >= 0 and < 1; weight_decay >= 0; nesterov needs momentum.");
  sgd.def(
         "__init__",
         [](StepperOf<Sgd>* self, float lr, float momentum, float weight_decay, bool nesterov) {
           new (self) StepperOf<Sgd>(
               {.lr = lr, .momentum = momentum, .weight_decay = weight_decay, .nesterov = nesterov});
         },
         nb::arg("lr") = 0.01f, nb::arg("momentum") = 0.0f, nb::arg("weight_decay") = 0.0f,
         nb::arg("nesterov") = false)
      .def("__repr__", [](const StepperOf<Sgd>& self) { return repr_of("Sgd", self.options()); });
  option<&SgdOptions::lr>(sgd, "lr");

  auto adam = nb::class_<StepperOf<Adam>, Stepper>(
      m, "Adam",
      "Adam as PyTorch computes it; weight_decay is added to the gradient (not AdamW).\n\n"
      "lr >= 0; beta1, beta2 >= 0 and < 1; eps >= 0; weight_decay >= 0.");
  adam.def(
          "__init__",
          [](StepperOf<Adam>* self, float lr, float beta1, float beta2, float eps, float weight_decay) {
            new (self) StepperOf<Adam>(
                {.lr = lr, .beta1 = beta1, .beta2 = beta2, .eps = eps, .weight_decay = weight_decay});
          },
          nb::arg("lr") = 1e-3f, nb::arg("beta1") = 0.9f, nb::arg("beta2") = 0.999f, nb::arg("eps") = 1e-8f,
          nb::arg("weight_decay") = 0.0f)
      .def("__repr__", [](const StepperOf<Adam>& self) { return repr_of("Adam", self.options()); });
  option<&AdamOptions::lr>(adam, "lr");
}

}  // namespace

void bind_losses_and_optimizers(nb::module_& m) {
  bind_losses(m);
  bind_optimizers(m);
}

}  // namespace volley::python
