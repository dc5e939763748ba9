#include <fmt/format.h>
#include <nanobind/stl/shared_ptr.h>

#include <cstring>

#include <volley/error.hpp>
#include <volley/heads.hpp>
#include <volley/loss.hpp>
#include <volley/regression_loss.hpp>
#include <volley/step_loss.hpp>

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

bool takes_values(const Loss& loss) {
  return dynamic_cast<const RegressionLoss*>(&loss) != nullptr ||
         dynamic_cast<const FirstSpikeMse*>(&loss) != nullptr;
}

/// (T, N, ...) as (N, T, ...), or the other way.
nb::object turned(const nb::object& array) {
  return nb::module_::import_("numpy").attr("ascontiguousarray")(array.attr("swapaxes")(0, 1));
}

/// What y (N, T, K) is compared with: `targets` are integers (N,) or (T, N), real values (N, K) or (T, N, K),
/// or a tuple of those of the heads of a loss.
Targets targets_of(const Loss& loss, const Signal& y, nb::handle targets) {
  Targets result;
  if (const auto* heads = dynamic_cast<const Heads*>(&loss); heads != nullptr) {
    if (!nb::isinstance<nb::tuple>(targets) || nb::len(targets) != heads->heads().size()) {
      throw ArgumentError(loss.kind(),
                          fmt::format("targets must be a tuple of those of {} heads", heads->heads().size()));
    }
    for (std::size_t h = 0; h < heads->heads().size(); ++h)
      result.heads.push_back(targets_of(*heads->heads()[h].loss, y, nb::cast<nb::tuple>(targets)[h]));
    return result;
  }
  const nb::object array = nb::module_::import_("numpy").attr("asarray")(targets);
  const auto shape = nb::cast<std::vector<std::size_t>>(array.attr("shape"));
  const bool real = nb::cast<std::string>(array.attr("dtype").attr("kind")) == "f";
  if (real && takes_values(loss)) {
    const nb::object values = shape.size() == 1   ? nb::object(array.attr("reshape")(-1, 1))
                              : shape.size() == 3 ? turned(array)
                                                  : array;
    result.values = tensor_from(fmt::format("[{}] targets", loss.kind()), values);
    return result;
  }
  const bool of_steps = shape == std::vector{y.steps(), y.samples()};
  const nb::object labels = of_steps ? nb::object(turned(array).attr("reshape")(-1)) : nb::borrow(targets);
  result.labels = labels_from(fmt::format("[{}] labels", loss.kind()), labels);
  return result;
}

Targets targets_from(const Loss& loss, const Signal& y, nb::handle targets, nb::handle lengths,
                     nb::handle weights, nb::handle mask) {
  Targets result = targets_of(loss, y, targets);
  if (!mask.is_none()) {
    const nb::object numpy = nb::module_::import_("numpy");
    const Tensor bits = tensor_from(fmt::format("[{}] mask", loss.kind()),
                                    numpy.attr("asarray")(mask, numpy.attr("float32")));
    const Shape expected{y.steps(), y.samples()};
    if (bits.shape() != expected)
      throw ShapeError(loss.kind(), fmt::format("mask must be {}", expected.text()), bits.shape());
    result.mask.resize(expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const float bit = bits.data()[i];
      if (bit != 0 && bit != 1)
        throw ArgumentError(loss.kind(), "mask must be 0 or 1", fmt::format("{}", bit));
      result.mask[i % y.samples() * y.steps() + i / y.samples()] = bit == 1;
    }
  }
  if (!lengths.is_none()) result.lengths = labels_from(fmt::format("[{}] lengths", loss.kind()), lengths);
  if (!weights.is_none()) {
    const nb::object numpy = nb::module_::import_("numpy");
    const Tensor values = tensor_from(fmt::format("[{}] weights", loss.kind()),
                                      numpy.attr("asarray")(weights, numpy.attr("float32")));
    result.weights.assign(values.values().begin(), values.values().end());
  }
  return result;
}

/// Scores as Python has them, time first where they have steps.
nb::object scores_array(const Tensor& scores) {
  nb::object array = to_array(scores);
  return scores.shape().rank() == 3 ? array.attr("swapaxes")(0, 1) : array;
}

nb::tuple loss_forward(const Loss& self, nb::handle y, nb::handle targets, nb::handle lengths,
                       nb::handle weights, nb::handle mask) {
  const OwnedSignal signal = output_from(self, y);
  const Targets of = targets_from(self, view(signal), targets, lengths, weights, mask);
  const std::shared_ptr<ThreadPool> pool = threads();
  Tape tape(*pool);
  Tensor scores;
  const double loss = alone([&] { return self.forward(view(signal), of, scores, tape); });
  return nb::make_tuple(loss, scores_array(scores));
}

nb::object loss_backward(const Loss& self, nb::handle y, nb::handle targets, nb::handle scores,
                         nb::handle lengths, nb::handle weights, nb::handle mask) {
  const OwnedSignal signal = output_from(self, y);
  const Targets of = targets_from(self, view(signal), targets, lengths, weights, mask);
  Tensor given = tensor_from(fmt::format("[{}] scores", self.kind()), scores);
  const Shape expected = self.scores_shape(view(signal).shape());
  if (expected.rank() == 3 && given.shape().rank() == 3) {
    given = tensor_from(
        fmt::format("[{}] scores", self.kind()),
        nb::module_::import_("numpy").attr("ascontiguousarray")(nb::borrow(scores).attr("swapaxes")(0, 1)));
  }
  if (!(given.shape() == expected)) {
    throw ShapeError(self.kind(),
                     fmt::format("scores must be those that forward returned, of shape {}", expected.text()),
                     given.shape());
  }
  const std::shared_ptr<ThreadPool> pool = threads();
  Tape tape(*pool);
  const Signal dy = alone([&] {
    Tensor scores_of_y;
    self.forward(view(signal), of, scores_of_y, tape);
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
      .def("forward", loss_forward, nb::arg("y"), nb::arg("labels"), nb::arg("lengths").none() = nb::none(),
           nb::arg("weights").none() = nb::none(), nb::arg("mask").none() = nb::none(),
           nb::sig("def forward(self, y: numpy.typing.NDArray[numpy.float32 | numpy.uint8 | numpy.bool_] | "
                   "Spikes, labels: "
                   "numpy.typing.ArrayLike | tuple, lengths: numpy.typing.ArrayLike | None = None, weights: "
                   "numpy.typing.ArrayLike | None = None, mask: numpy.typing.ArrayLike | None = None) -> "
                   "tuple[float, numpy.typing.NDArray[numpy.float32]]"),
           "y: (T, N, K), spikes or float32. labels, the targets: integers (N,), 0 to K - 1, or (T, N), one "
           "for each "
           "step; for a\nregression floats (N, K) or (T, N, K); a tuple of these for Heads. lengths: (N,), "
           "the steps "
           "that each sample has, all T unless\ngiven. weights: (N,), how much each sample counts. mask: (T, "
           "N), 0 for a step that the "
           "loss passes over, 1 for all others.\n\n"
           "Returns the loss and the scores, float32 (N, K), or (T, N, K) where every step is scored: the "
           "class of "
           "the highest is the\nprediction. Raises ArgumentError for targets that do not fit.")
      .def("backward", loss_backward, nb::arg("y"), nb::arg("labels"), nb::arg("scores"),
           nb::arg("lengths").none() = nb::none(), nb::arg("weights").none() = nb::none(),
           nb::arg("mask").none() = nb::none(),
           nb::sig(
               "def backward(self, y: numpy.typing.NDArray[numpy.float32 | numpy.uint8 | numpy.bool_] | "
               "Spikes, "
               "labels: "
               "numpy.typing.ArrayLike | tuple, scores: numpy.typing.NDArray[numpy.float32], lengths: "
               "numpy.typing.ArrayLike | None = None, weights: numpy.typing.ArrayLike | None = None, mask: "
               "numpy.typing.ArrayLike | None = None) -> numpy.typing.NDArray[numpy.float32]"),
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

template <class L>
void bind_regression(nb::module_& m, const char* name, const char* doc) {
  nb::class_<L, Loss>(
      m, name,
      fmt::format("{}\n\nscale: > 0. readout: what is compared, \"mean\" over the sample's steps, "
                  "\"last\", \"sum\" or \"each_step\".",
                  doc)
          .c_str())
      .def(
          "__init__",
          [](L* self, float scale, const std::string& readout) {
            typename L::Options options;
            options.scale = scale;
            options.readout = choice_from<ValueReadout>(L::Options::kKind, "readout", readout);
            new (self) L(options);
          },
          nb::arg("scale") = 1.0f, nb::arg("readout") = "mean")
      .def("__repr__", &repr_of_loss<L>);
}

void bind_losses_of_values(nb::module_& m) {
  bind_regression<Mse>(m, "Mse",
                       "scale times the mean over batch and outputs of (y - target)^2: a regression.");
  bind_regression<L1>(m, "L1", "scale times the mean over batch and outputs of |y - target|: a regression.");
  nb::class_<Huber, Loss>(m, "Huber",
                          "scale times the mean over batch and outputs of e^2 / 2 for an error e of at most "
                          "delta, delta (|e| - delta / 2) "
                          "beyond: a\nregression, as torch.nn.HuberLoss.\n\nscale, delta: > 0. readout: what "
                          "is compared, \"mean\" over "
                          "the sample's steps, \"last\", \"sum\" or \"each_step\".")
      .def(
          "__init__",
          [](Huber* self, float scale, const std::string& readout, float delta) {
            new (self) Huber({.scale = scale,
                              .readout = choice_from<ValueReadout>("huber", "readout", readout),
                              .delta = delta});
          },
          nb::arg("scale") = 1.0f, nb::arg("readout") = "mean", nb::arg("delta") = 1.0f)
      .def("__repr__", &repr_of_loss<Huber>);
}

template <class L>
void bind_entropy(nb::module_& m, const char* name, const char* doc) {
  nb::class_<L, Loss>(m, name, doc)
      .def(
          "__init__",
          [](L* self, float label_smoothing, const Weights& w) {
            typename L::Options options;
            options.label_smoothing = label_smoothing;
            options.class_weights = class_weights(w);
            new (self) L(options);
          },
          nb::arg("label_smoothing") = 0.0f, nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<L>);
}

void bind_losses_of_steps(nb::module_& m) {
  bind_entropy<StepCrossEntropy>(
      m, "StepCrossEntropy",
      "Classifies every step: the mean over a sample's steps of -log softmax(y[t])[label[t]]. "
      "Labels are (T, N), or (N,) where a\nsample has one for all its steps.\n\n"
      "label_smoothing: 0 to 1, PyTorch's.");
  bind_entropy<FirstSpikeCrossEntropy>(
      m, "FirstSpikeCrossEntropy",
      "-log softmax(-t)[label] of the steps t at which the outputs, spikes, fire first: snnTorch's "
      "ce_temporal_loss. An output that\ndoes not fire counts as if it fired at the last step.\n\n"
      "label_smoothing: 0 to 1, PyTorch's.");
  nb::class_<FirstSpikeMse, Loss>(m, "FirstSpikeMse",
                                  "scale times the mean over the outputs of (t - target)^2, t being the step "
                                  "of the first spike; with the "
                                  "scale 1 / T^2 snnTorch's mse_temporal_loss.\nThe label should fire at "
                                  "on_step, the others at off_step (None: the last); or the "
                                  "targets are steps, floats (N, K).")
      .def(
          "__init__",
          [](FirstSpikeMse* self, float scale, float on_step, std::optional<float> off_step,
             const Weights& w) {
            new (self) FirstSpikeMse({.scale = scale,
                                      .on_step = on_step,
                                      .off_step = off_step,
                                      .class_weights = class_weights(w)});
          },
          nb::arg("scale") = 1.0f, nb::arg("on_step") = 0.0f, nb::arg("off_step") = nb::none(),
          nb::arg("class_weights") = nb::none())
      .def("__repr__", &repr_of_loss<FirstSpikeMse>);
  nb::class_<Heads, Loss>(m, "Heads",
                          "Several losses, each of its own part of the outputs: the sum of weight times "
                          "loss. Each head is a tuple "
                          "(loss, outputs) or\n(loss, outputs, weight), in the order of the outputs; its "
                          "targets come as a tuple.")
      .def(
          "__init__",
          [](Heads* self, const nb::list& given) {
            std::vector<Head> heads;
            for (const nb::handle item : given) {
              const nb::tuple head = nb::cast<nb::tuple>(item);
              if (head.size() < 2 || head.size() > 3)
                throw ArgumentError("heads", "a head must be (loss, outputs) or (loss, outputs, weight)");
              heads.push_back({nb::cast<std::shared_ptr<Loss>>(head[0]), nb::cast<std::size_t>(head[1]),
                               head.size() == 3 ? nb::cast<float>(head[2]) : 1.0f});
            }
            new (self) Heads(std::move(heads));
          },
          nb::arg("heads"), nb::sig("def __init__(self, heads: list[tuple]) -> None"))
      .def("__repr__",
           [](const Heads& self) { return fmt::format("<Heads of {} losses>", self.heads().size()); });
}

}  // namespace

void bind_losses(nb::module_& m) {
  bind_loss(m);
  bind_losses_of_spikes(m);
  bind_losses_of_membranes(m);
  bind_losses_of_values(m);
  bind_losses_of_steps(m);
  m.def("balanced_class_weights", balanced, nb::arg("labels"), nb::arg("classes"),
        nb::sig("def balanced_class_weights(labels: numpy.typing.ArrayLike, classes: int) -> list[float]"),
        "Class weights N / (K count[k]) of N labels of K classes: scikit-learn's class_weight=\"balanced\". "
        "Raises ArgumentError\nfor a class without a label.");
}

}  // namespace volley::python
