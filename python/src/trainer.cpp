#include <fmt/format.h>
#include <nanobind/stl/shared_ptr.h>

#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include <volley/error.hpp>
#include <volley/trainer.hpp>

#include "layers.hpp"
#include "module.hpp"
#include "sources.hpp"

namespace volley::python {
namespace {

/// Calls what a user gave of begin, iteration, epoch; lets Ctrl-C through.
class CallbackRecorder final : public Recorder {
 public:
  /// Each may be None.
  CallbackRecorder(nb::object begin, nb::object iteration, nb::object epoch, nb::object stop)
      : begin_(std::move(begin)),
        iteration_(std::move(iteration)),
        epoch_(std::move(epoch)),
        stop_(std::move(stop)) {}

  void begin(std::size_t epochs, std::size_t iterations, std::size_t) override {
    const nb::gil_scoped_acquire locked;
    if (!begin_.is_none()) begin_(epochs, iterations);
  }
  void iteration(const IterationRecord& record, Trainer&) override {
    if (iteration_.is_none()) return;
    const nb::gil_scoped_acquire locked;
    iteration_(record);
  }
  void epoch(const EpochRecord& record, Trainer&) override {
    const nb::gil_scoped_acquire locked;
    if (!epoch_.is_none()) epoch_(record);
  }
  /// A signal is looked for often enough for a person, and seldom enough for a step of half a millisecond.
  bool stop() override {
    const auto now = std::chrono::steady_clock::now();
    if (iteration_.is_none() && now - looked_ < std::chrono::milliseconds(50)) return false;
    looked_ = now;
    const nb::gil_scoped_acquire locked;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    return !stop_.is_none() && nb::cast<bool>(stop_());
  }

 private:
  nb::object begin_, iteration_, epoch_, stop_;
  std::chrono::steady_clock::time_point looked_{};
};

/// A trainer and what it looks at.
class PyTrainer {
 public:
  PyTrainer(std::shared_ptr<Layer> net, TrainerParts parts, const TrainerOptions& options)
      : net_(std::move(net)), trainer_(*net_, std::move(parts), options) {}

  History fit(const Sources& data, std::size_t epochs, CallbackRecorder& recorder) {
    const nb::gil_scoped_release unlocked;
    return trainer_.fit(data, epochs, &recorder);
  }
  Evaluation evaluate(const Source& data, std::size_t epoch) {
    const nb::gil_scoped_release unlocked;
    return trainer_.evaluate(data, epoch);
  }
  Trainer& trainer() { return trainer_; }
  const std::shared_ptr<Layer>& net() const { return net_; }

 private:
  std::shared_ptr<Layer> net_;
  Trainer trainer_;
};

std::size_t size_from(std::string_view name, std::int64_t value, double least) {
  check_range("trainer", name, static_cast<double>(value), at_least(least));
  return static_cast<std::size_t>(value);
}

std::shared_ptr<PyTrainer> make_trainer(const std::shared_ptr<Layer>& net, const std::shared_ptr<Loss>& loss,
                                        nb::handle optimizer, nb::handle encoder, std::int64_t steps,
                                        std::int64_t batch, std::int64_t seed, std::int64_t threads,
                                        const std::string& device, bool drop_last,
                                        std::optional<float> clip_norm, std::optional<float> clip_value,
                                        const std::string& on_non_finite, bool monitors,
                                        std::int64_t early_stopping, std::int64_t crop_padding, bool flip) {
  TrainerParts parts{
      .optimizer = optimizer_from(optimizer),
      .loss = loss,
      .augment = Augment({.crop_padding = size_from("crop_padding", crop_padding, 0), .flip = flip})};
  if (!encoder.is_none()) parts.encoder = encoder_from(encoder);
  const TrainerOptions options{
      .steps = size_from("steps", steps, 1),
      .batch = size_from("batch", batch, 1),
      .seed = number_from("trainer", "seed", seed),
      .threads = size_from("threads", threads, 0),
      .device = device,
      .drop_last = drop_last,
      .clip_norm = clip_norm,
      .clip_value = clip_value,
      .on_non_finite = choice_from<OnNonFinite>("trainer", "on_non_finite", on_non_finite),
      .monitors = monitors,
      .early_stopping = size_from("early_stopping", early_stopping, 0)};
  return std::make_shared<PyTrainer>(net, std::move(parts), options);
}

std::shared_ptr<const Source> source_or_none(nb::handle source) {
  return source.is_none() ? nullptr : source_from(source);
}

nb::tuple fit(PyTrainer& self, nb::handle train, nb::handle test, nb::handle validation, std::int64_t epochs,
              nb::object begin, nb::object iteration, nb::object epoch, nb::object stop) {
  const Sources data{
      .train = source_from(train), .test = source_or_none(test), .validation = source_or_none(validation)};
  CallbackRecorder recorder(std::move(begin), std::move(iteration), std::move(epoch), std::move(stop));
  History history = self.fit(data, size_from("epochs", epochs, 0), recorder);
  return nb::make_tuple(nb::cast(history.epochs), history.stopped, history.stopped_early);
}

std::optional<double> share(double accuracy) {
  return std::isnan(accuracy) ? std::nullopt : std::optional(accuracy);
}

}  // namespace

void bind_trainer(nb::module_& m) {
  nb::class_<IterationRecord>(m, "IterationRecord", "What one training step showed.")
      .def_ro("epoch", &IterationRecord::epoch, "From 1.")
      .def_ro("iteration", &IterationRecord::iteration, "From 1, counted through all epochs.")
      .def_ro("loss", &IterationRecord::loss)
      .def_ro("batch_acc", &IterationRecord::batch_acc,
              "Share of the batch that was right; NaN in a regression.")
      .def_ro("grad_norm", &IterationRecord::grad_norm, "Of all parameters together, before any clipping.");
  nb::class_<Evaluation>(m, "Evaluation", "What an evaluation found.")
      .def_ro("loss", &Evaluation::loss)
      .def_prop_ro(
          "accuracy", [](const Evaluation& self) { return share(self.accuracy); },
          "Share, 0 to 1; None where nothing is predicted, as in a regression.")
      .def_prop_ro(
          "scores", [](const Evaluation& self) { return to_array(self.scores); },
          nb::sig("def scores(self) -> numpy.typing.NDArray[numpy.float32]"),
          "(N, outputs), or (N, T, outputs) where the loss scores every step.")
      .def_prop_ro(
          "predictions",
          [](const Evaluation& self) {
            return nb::module_::import_("numpy").attr("array")(nb::cast(self.predictions), "uint32");
          },
          nb::sig("def predictions(self) -> numpy.typing.NDArray[numpy.uint32]"),
          "The class of the highest score of each row of scores; empty in a regression.")
      .def_ro("silent", &Evaluation::silent, "Rows of scores that are all 0: no output fired.")
      .def_ro("tied", &Evaluation::tied, "Others whose highest score several outputs have.")
      .def_ro("activity", &Evaluation::activity, "What each layer did.")
      .def_ro("seconds", &Evaluation::seconds)
      .def("__repr__", [](const Evaluation& self) {
        const std::string accuracy =
            std::isnan(self.accuracy) ? "" : fmt::format(", accuracy {:.4f}", self.accuracy);
        return fmt::format("<Evaluation: loss {:.6g}{}>", self.loss, accuracy);
      });
  nb::class_<PyTrainer>(m, "_Trainer")
      .def(nb::new_(&make_trainer), nb::arg("net"), nb::arg("loss"), nb::arg("optimizer"),
           nb::arg("encoder").none(), nb::arg("steps"), nb::arg("batch"), nb::arg("seed"), nb::arg("threads"),
           nb::arg("device"), nb::arg("drop_last"), nb::arg("clip_norm").none(), nb::arg("clip_value").none(),
           nb::arg("on_non_finite"), nb::arg("monitors"), nb::arg("early_stopping"), nb::arg("crop_padding"),
           nb::arg("flip"))
      .def("fit", fit, nb::arg("train"), nb::arg("test").none(), nb::arg("validation").none(),
           nb::arg("epochs"), nb::arg("begin").none(), nb::arg("iteration").none(), nb::arg("epoch").none(),
           nb::arg("stop").none())
      .def(
          "evaluate",
          [](PyTrainer& self, nb::handle source, std::int64_t epoch) {
            const std::shared_ptr<const Source> data = source_from(source);
            return self.evaluate(*data, number_from("trainer", "epoch", epoch));
          },
          nb::arg("source"), nb::arg("epoch"))
      .def_prop_ro("epoch", [](PyTrainer& self) { return self.trainer().position().epoch; })
      .def_prop_ro("threads", [](PyTrainer& self) { return self.trainer().threads(); })
      .def_prop_ro("device", [](PyTrainer& self) { return self.trainer().device().name(); });
  m.def(
      "devices",
      [] {
        nb::dict all;
        for (const DeviceInfo& device : devices()) all[nb::cast(device.name)] = device.description;
        return all;
      },
      nb::sig("def devices() -> dict[str, str]"),
      "The devices that this build can use here, by name, with what they are.");
}

}  // namespace volley::python
