#include <fmt/format.h>

#include <cstring>

#include <volley/error.hpp>
#include <volley/loss.hpp>

#include "arrays.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

OwnedSignal output_from(const Loss& loss, nb::handle y) {
  OwnedSignal signal = signal_from(fmt::format("[{}] y", loss.kind()), y);
  const Shape shape = view(signal).shape();
  if (shape.rank() != 3) {
    throw ArgumentError(loss.kind(), "y must have the shape (T, N, K)",
                        fmt::format("{} dimensions", shape.rank()));
  }
  return signal;
}

nb::tuple loss_forward(const Loss& self, nb::handle y, nb::handle labels) {
  const OwnedSignal signal = output_from(self, y);
  const std::vector<std::uint32_t> values = labels_from(fmt::format("[{}] labels", self.kind()), labels);
  const std::shared_ptr<ThreadPool> pool = threads();
  Tape tape(*pool);
  Tensor scores;
  const double loss = alone([&] { return self.forward(view(signal), values, scores, tape); });
  return nb::make_tuple(loss, to_array(scores));
}

nb::object loss_backward(const Loss& self, nb::handle y, nb::handle labels, nb::handle scores) {
  const OwnedSignal signal = output_from(self, y);
  const std::vector<std::uint32_t> values = labels_from(fmt::format("[{}] labels", self.kind()), labels);
  const Tensor given = tensor_from(fmt::format("[{}] scores", self.kind()), scores);
  const Shape expected{view(signal).samples(), view(signal).features()};
  if (!(given.shape() == expected)) {
    throw ShapeError(self.kind(),
                     fmt::format("scores must be those that forward returned, of shape {}", expected.text()),
                     given.shape());
  }
  const std::shared_ptr<ThreadPool> pool = threads();
  Tape tape(*pool);
  const Signal dy = alone([&] {
    Tensor scores_of_y;
    self.forward(view(signal), values, scores_of_y, tape);
    if (std::memcmp(scores_of_y.data(), given.data(), given.size() * sizeof(float)) != 0) {
      throw ArgumentError(self.kind(), "scores must be those that forward returned for y and labels");
    }
    return self.backward(tape);
  });
  return to_array(dy);
}

/// None: every class has the weight 1.
using Weights = std::optional<std::vector<float>>;

ClassWeights class_weights(const Weights& weights) { return weights.value_or(std::vector<float>{}); }

std::vector<float> balanced(nb::handle labels, std::size_t classes) {
  return balanced_class_weights(labels_from("[balanced_class_weights] labels", labels), classes);
}

void bind_loss(nb::module_& m) {
  nb::class_<Loss>(m, "Loss",
                   "Scores the output of a network: the mean over the batch.\n\n"
                   "class_weights, which every loss takes: one for each output, > 0. The mean is then "
                   "sum_n w[label_n] l_n / sum_n w[label_n],\nas of torch.nn.CrossEntropyLoss(weight).")
      .def_prop_ro(
          "class_weights", [](const Loss& self) { return self.class_weights(); },
          "One for each output; empty: every class has the weight 1.")
      .def(
          "forward", loss_forward, nb::arg("y"), nb::arg("labels"),
          nb::sig(
              "def forward(self, y: numpy.typing.NDArray[numpy.float32 | numpy.uint8 | numpy.bool_], labels: "
              "numpy.typing.ArrayLike) -> tuple[float, numpy.typing.NDArray[numpy.float32]]"),
          "y: (T, N, K), spikes or float32; labels: integers (N,), 0 to K - 1.\n\n"
          "Returns the loss and the scores, float32 (N, K): the class of the highest is the prediction. "
          "Raises "
          "ArgumentError\nfor labels that do not fit.")
      .def("backward", loss_backward, nb::arg("y"), nb::arg("labels"), nb::arg("scores"),
           nb::sig("def backward(self, y: numpy.typing.NDArray[numpy.float32 | numpy.uint8 | numpy.bool_], "
                   "labels: "
                   "numpy.typing.ArrayLike, scores: numpy.typing.NDArray[numpy.float32]) -> "
                   "numpy.typing.NDArray[numpy.float32]"),
           "dy, float32 (T, N, K): the gradient of the loss with respect to y, given the scores of forward.");
}

template <class L>
std::string repr_of_loss(const L& loss) {
  return repr_of(nb::cast<std::string>(nb::type<L>().attr("__name__")), loss.options());
}

void bind_losses_of_spikes(nb::module_& m) {
  nb::class_<RateMse, Loss>(
      m, "RateMse",
      "scale times the mean over batch and classes of (r - onehot)^2, r being the firing rate, the "
      "mean over T.\n\nscale: > 0; 1.0 unless given.")
      .def(
          "__init__",
          [](RateMse* self, float scale, const Weights& w) {
            new (self) RateMse({.scale = scale, .class_weights = class_weights(w)});
          },
          nb::arg("scale") = 1.0f, nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<RateMse>);
  nb::class_<CountMse, Loss>(
      m, "CountMse",
      "scale times the mean over batch and classes of (c - target)^2, c being the spike count, the sum over "
      "T.\n\n"
      "The target is correct_rate T for the label, incorrect_rate T for the others; both 0 to 1.")
      .def(
          "__init__",
          [](CountMse* self, float scale, float correct_rate, float incorrect_rate, const Weights& w) {
            new (self) CountMse({.scale = scale,
                                 .correct_rate = correct_rate,
                                 .incorrect_rate = incorrect_rate,
                                 .class_weights = class_weights(w)});
          },
          nb::arg("scale") = 1.0f, nb::arg("correct_rate") = 1.0f, nb::arg("incorrect_rate") = 0.0f,
          nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<CountMse>);
  nb::class_<RateCrossEntropy, Loss>(
      m, "RateCrossEntropy",
      "Mean over the batch of -log softmax(r)[label], with r the firing rate as the logit.\n\n"
      "label_smoothing: 0 to 1, PyTorch's.")
      .def(
          "__init__",
          [](RateCrossEntropy* self, float label_smoothing, const Weights& w) {
            new (self)
                RateCrossEntropy({.label_smoothing = label_smoothing, .class_weights = class_weights(w)});
          },
          nb::arg("label_smoothing") = 0.0f, nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<RateCrossEntropy>);
  nb::class_<CountCrossEntropy, Loss>(
      m, "CountCrossEntropy",
      "Mean over the batch of -log softmax(c)[label], with c the spike count as the logit.\n\n"
      "label_smoothing: 0 to 1, PyTorch's.")
      .def(
          "__init__",
          [](CountCrossEntropy* self, float label_smoothing, const Weights& w) {
            new (self)
                CountCrossEntropy({.label_smoothing = label_smoothing, .class_weights = class_weights(w)});
          },
          nb::arg("label_smoothing") = 0.0f, nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<CountCrossEntropy>);
}

void bind_losses_of_membranes(nb::module_& m) {
  nb::class_<MembraneMse, Loss>(
      m, "MembraneMse",
      "scale times the mean over batch and classes of (v - onehot)^2, v being a real-valued output.\n\n"
      "readout: which v, \"last\" (of the last step) or \"mean\" (over T).")
      .def(
          "__init__",
          [](MembraneMse* self, float scale, const std::string& readout, const Weights& w) {
            new (self) MembraneMse({.scale = scale,
                                    .readout = choice_from<Readout>("membrane_mse", "readout", readout),
                                    .class_weights = class_weights(w)});
          },
          nb::arg("scale") = 1.0f, nb::arg("readout") = "last", nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<MembraneMse>);
  nb::class_<MembraneCrossEntropy, Loss>(
      m, "MembraneCrossEntropy",
      "Mean over the batch of -log softmax(v)[label], with v a real-valued output as the logit.\n\n"
      "label_smoothing: 0 to 1, PyTorch's. readout: which v, \"last\" (of the last step) or \"mean\" (over "
      "T).")
      .def(
          "__init__",
          [](MembraneCrossEntropy* self, float label_smoothing, const std::string& readout,
             const Weights& w) {
            new (self) MembraneCrossEntropy(
                {.label_smoothing = label_smoothing,
                 .readout = choice_from<Readout>("membrane_cross_entropy", "readout", readout),
                 .class_weights = class_weights(w)});
          },
          nb::arg("label_smoothing") = 0.0f, nb::arg("readout") = "last",
          nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<MembraneCrossEntropy>);
  nb::class_<Tet, Loss>(
      m, "Tet",
      "Temporal efficient training: (1 - lamb) mean over t of CE(y[t], label) + lamb mean of (y - "
      "means)^2.\n\n"
      "lamb, label_smoothing: 0 to 1. For spikes or real values; scores are the means over T.")
      .def(
          "__init__",
          [](Tet* self, float lamb, float means, float label_smoothing, const Weights& w) {
            new (self) Tet({.lamb = lamb,
                            .means = means,
                            .label_smoothing = label_smoothing,
                            .class_weights = class_weights(w)});
          },
          nb::arg("lamb") = 1e-3f, nb::arg("means") = 1.0f, nb::arg("label_smoothing") = 0.0f,
          nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<Tet>);
}

}  // namespace

void bind_losses(nb::module_& m) {
  bind_loss(m);
  bind_losses_of_spikes(m);
  bind_losses_of_membranes(m);
  m.def("balanced_class_weights", balanced, nb::arg("labels"), nb::arg("classes"),
        nb::sig("def balanced_class_weights(labels: numpy.typing.ArrayLike, classes: int) -> list[float]"),
        "Class weights N / (K count[k]) of N labels of K classes: scikit-learn's class_weight=\"balanced\". "
        "Raises ArgumentError\nfor a class without a label.");
}

}  // namespace volley::python
