#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>

#include <volley/error.hpp>
#include <volley/recipe.hpp>
#include <volley/run_recorder.hpp>

#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

using Folder = std::optional<std::filesystem::path>;

/// What a training gives back.
struct TrainHistory {
  std::vector<EpochRecord> epochs;
  std::shared_ptr<Sequential> net;
  Folder folder;
  bool stopped_early = false;
};

NamedTensors values_of(Sequential& net) {
  NamedTensors values;
  for (const auto& [name, tensor] : net.named_tensors()) values.emplace(name, *tensor);
  return values;
}

Recipe recipe_from(nb::handle recipe) {
  if (nb::isinstance<Recipe>(recipe)) return nb::cast<Recipe>(recipe);
  return load_recipe(nb::cast<std::filesystem::path>(recipe).string());
}

/// How to train, beside the recipe.
struct Request {
  Folder out;
  std::optional<run_folder::Paused> paused;  // the run to go on with
  CheckpointEvery every;
  nb::object on_epoch;
};

CheckpointEvery checkpoint_every(const std::string& text) {
  try {
    return CheckpointEvery::parse(text);
  } catch (const Error& error) {
    throw RecipeError(fmt::format("checkpoint_every: {}", error.what()));
  }
}

/// Writes the run folder where one is wanted, calls on_epoch, and lets Ctrl-C through.
class PythonRecorder final : public Recorder {
 public:
  PythonRecorder(Request& request, const Recipe& recipe, RunState state, Trainer& trainer)
      : request_(request), recipe_(recipe), state_(std::move(state)), trainer_(trainer) {}

  void begin(std::size_t, std::size_t, std::size_t) override {
    if (request_.paused.has_value()) {
      run_.emplace(std::move(request_.paused->lock), state_, trainer_, request_.every);
    } else if (request_.out.has_value()) {
      run_.emplace(run_folder::create(recipe_.name, *request_.out), state_, trainer_, request_.every);
    }
  }
  void iteration(const IterationRecord& record, Trainer& trainer) override {
    if (run_.has_value()) run_->iteration(record, trainer);
  }
  void epoch(const EpochRecord& record, Trainer& trainer) override {
    if (run_.has_value()) run_->epoch(record, trainer);
    const nb::gil_scoped_acquire locked;
    if (!request_.on_epoch.is_none()) request_.on_epoch(record);
  }
  /// A signal is looked for often enough for a person, and seldom enough for a step of half a millisecond.
  bool stop() override {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ < std::chrono::milliseconds(50)) return false;
    looked_ = now;
    const nb::gil_scoped_acquire locked;
    if (PyErr_CheckSignals() != 0) interrupt_.emplace();
    return interrupt_.has_value();
  }
  /// After training: the last checkpoint, and then the KeyboardInterrupt that ended it.
  void end() {
    if (run_.has_value()) run_->end(trainer_);
    const nb::gil_scoped_acquire locked;
    if (interrupt_.has_value()) throw nb::python_error(std::move(*interrupt_));
  }

 private:
  Request& request_;
  const Recipe& recipe_;
  RunState state_;
  Trainer& trainer_;
  std::optional<RunRecorder> run_;
  std::optional<nb::python_error> interrupt_;  // as raised by a signal handler
  std::chrono::steady_clock::time_point looked_{};
};

using DataPair = std::optional<std::pair<nb::object, nb::object>>;

Recipe with_given(Recipe recipe, const std::vector<std::string>& settings, std::optional<std::int64_t> epochs,
                  std::optional<std::int64_t> threads, std::optional<std::int64_t> early_stopping) {
  recipe = with_settings(recipe, settings);
  if (early_stopping.has_value())
    recipe = with_settings(recipe, {fmt::format("training.early_stopping={}", *early_stopping)});
  if (epochs.has_value()) recipe = with_settings(recipe, {fmt::format("epochs={}", *epochs)});
  if (threads.has_value()) recipe = with_settings(recipe, {fmt::format("training.threads={}", *threads)});
  return recipe;
}

Split split_of(const Recipe& recipe, const DataPair& data, const Folder& data_dir) {
  Split split = data.has_value() ? Split{nb::cast<Dataset>(data->first), nb::cast<Dataset>(data->second)}
                                 : datasets::load(recipe.data, data_dir.value_or(""));
  return recipe.take(std::move(split));
}

TrainHistory run(Recipe recipe, const Split& data, Request request, bool force) {
  const nb::gil_scoped_release unlocked;
  recipe = recipe.balanced_by(data.train);
  const bool writes = request.out.has_value() || request.paused.has_value();
  RunState state{.recipe_toml = to_toml(recipe), .data_sha256 = writes ? sha256_of(data) : ""};
  Sequential net = recipe.build_network(data.train);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  if (request.paused.has_value()) {
    request.out = request.paused->lock.folder();
    if (!force) run_folder::check_unchanged(*request.paused, recipe, state.data_sha256);
    if (const auto& checkpoint = request.paused->checkpoint; checkpoint.has_value()) {
      checkpoint->load_into(trainer);
      state.epochs = checkpoint->run().epochs;
    }
  }
  const std::size_t done = trainer.position().epoch - 1;
  if (recipe.epochs < done) {
    throw RecipeError(
        fmt::format("epochs: expected at least {}, which are done, got {}", done, recipe.epochs));
  }
  TrainHistory result{.epochs = state.epochs, .net = nullptr, .folder = request.out};
  PythonRecorder recorder(request, recipe, std::move(state), trainer);
  const History history = trainer.fit(data, recipe.epochs - done, &recorder);
  recorder.end();
  result.epochs.insert(result.epochs.end(), history.epochs.begin(), history.epochs.end());
  result.stopped_early = history.stopped_early;
  result.net = network_from(recipe.network, values_of(net), recipe.name);
  return result;
}

TrainHistory train(nb::handle source, std::optional<std::int64_t> epochs, const Folder& out,
                   const Folder& data_dir, const std::vector<std::string>& settings,
                   std::optional<std::int64_t> num_threads, const nb::object& on_epoch, const DataPair& data,
                   const std::string& every, std::optional<std::int64_t> early_stopping) {
  const Recipe recipe = with_given(recipe_from(source), settings, epochs, num_threads, early_stopping);
  Request request{.out = out, .paused = std::nullopt, .every = checkpoint_every(every), .on_epoch = on_epoch};
  return run(recipe, split_of(recipe, data, data_dir), std::move(request), false);
}

TrainHistory resume(const std::filesystem::path& folder, std::optional<std::int64_t> epochs,
                    const Folder& data_dir, const std::vector<std::string>& settings,
                    std::optional<std::int64_t> num_threads, const nb::object& on_epoch, const DataPair& data,
                    const std::string& every, bool force, std::optional<std::int64_t> early_stopping) {
  Request request{.out = std::nullopt,
                  .paused = run_folder::open(folder),
                  .every = checkpoint_every(every),
                  .on_epoch = on_epoch};
  const Recipe recipe = with_given(request.paused->recipe, settings, epochs, num_threads, early_stopping);
  return run(recipe, split_of(recipe, data, data_dir), std::move(request), force);
}

void bind_records(nb::module_& m) {
  nb::class_<LayerActivity>(m, "LayerActivity",
                            "What one layer did: its neurons' spikes, its synapses' operations a sample.")
      .def_ro("layer", &LayerActivity::layer, "Its place in the network, or \"input\".")
      .def_ro("kind", &LayerActivity::kind)
      .def_ro("neurons", &LayerActivity::neurons, "0 for a layer that makes no spikes.")
      .def_ro("rate", &LayerActivity::rate, "Spikes per neuron and step.")
      .def_ro("dead", &LayerActivity::dead, "Neurons that never fired.")
      .def_ro("saturated", &LayerActivity::saturated, "Neurons that fired at every step.")
      .def_ro("synops", &LayerActivity::synops, "Synaptic operations a sample.")
      .def_ro("macs", &LayerActivity::macs, "Multiply-accumulates a sample, where the input was real-valued.")
      .def_ro("dense_macs", &LayerActivity::dense_macs, "Those of one step without spikes.")
      .def_prop_ro("energy", &LayerActivity::energy,
                   "An estimate, picojoules a sample: 0.9 a synaptic operation, 4.6 a multiply-accumulate.")
      .def("__repr__", [](const LayerActivity& a) {
        return fmt::format("<LayerActivity {} {}: {} neurons, rate {:.4g}, {:.6g} SynOps, {:.6g} MACs>",
                           a.layer, a.kind, a.neurons, a.rate, a.synops, a.macs);
      });

  nb::class_<EpochRecord>(m, "EpochRecord", "What one epoch showed. Accuracies are shares, 0 to 1.")
      .def_ro("epoch", &EpochRecord::epoch, "From 1.")
      .def_ro("train_loss", &EpochRecord::train_loss)
      .def_ro("train_acc", &EpochRecord::train_acc)
      .def_ro("test_loss", &EpochRecord::test_loss)
      .def_ro("test_acc", &EpochRecord::test_acc)
      .def_ro(
          "test_silent", &EpochRecord::test_silent,
          "Test samples for which no output fired: their scores are all 0, and they count as class 0. 0 in "
          "epochs before a resume.")
      .def_ro("max_test_acc", &EpochRecord::max_test_acc, "Of this epoch and all before it.")
      .def_ro("train_samples_per_second", &EpochRecord::train_samples_per_second)
      .def_ro("test_samples_per_second", &EpochRecord::test_samples_per_second)
      .def_ro("seconds", &EpochRecord::seconds, "Of the whole epoch, training and test.")
      .def_prop_ro(
          "validation_loss",
          [](const EpochRecord& r) {
            return r.validation.has_value() ? std::optional(r.validation->loss) : std::nullopt;
          },
          "On what the recipe holds out of the training set; None where it holds out nothing.")
      .def_prop_ro("validation_acc",
                   [](const EpochRecord& r) {
                     return r.validation.has_value() ? std::optional(r.validation->acc) : std::nullopt;
                   })
      .def_prop_ro(
          "test_acc_at_best_validation",
          [](const EpochRecord& r) {
            return r.validation.has_value() ? std::optional(r.validation->test_acc_at_best) : std::nullopt;
          },
          "Test accuracy of the epoch, up to this one, with the highest validation accuracy.")
      .def_ro("activity", &EpochRecord::activity, "What each layer did on the test set.")
      .def("__repr__", [](const EpochRecord& r) {
        return fmt::format(
            "EpochRecord(epoch={}, train_loss={:.6g}, train_acc={:.6g}, test_loss={:.6g}, test_acc={:.6g}, "
            "max_test_acc={:.6g}, seconds={:.3g})",
            r.epoch, r.train_loss, r.train_acc, r.test_loss, r.test_acc, r.max_test_acc, r.seconds);
      });
  nb::class_<TrainHistory>(m, "History",
                           "What a training showed and made: a sequence of its epochs, and the network.")
      .def_ro("epochs", &TrainHistory::epochs)
      .def_ro("net", &TrainHistory::net, "The network after the last epoch.")
      .def_ro("folder", &TrainHistory::folder, "The run folder; None unless `out` was given.")
      .def_ro("stopped_early", &TrainHistory::stopped_early,
              "Whether early_stopping ended the training before its last epoch.")
      .def("__len__", [](const TrainHistory& self) { return self.epochs.size(); })
      .def(
          "__getitem__",
          [](const TrainHistory& self, nb::handle index) { return nb::object(nb::cast(self.epochs)[index]); },
          nb::arg("index"), nb::sig("def __getitem__(self, index: int) -> EpochRecord"))
      .def(
          "__iter__", [](const TrainHistory& self) { return nb::iter(nb::cast(self.epochs)); },
          nb::sig("def __iter__(self) -> collections.abc.Iterator[EpochRecord]"))
      .def("__repr__", [](const TrainHistory& self) {
        return fmt::format("<History of {} epochs>", self.epochs.size());
      });
}

void bind_recipe(nb::module_& m) {
  nb::class_<Recipe>(m, "Recipe",
                     "A whole training run: network, data, encoder, loss, optimizer and their numbers.")
      .def_ro("name", &Recipe::name)
      .def_ro("description", &Recipe::description)
      .def_ro("data", &Recipe::data)
      .def_ro("epochs", &Recipe::epochs)
      .def("to_toml", &to_toml, "Complete TOML, every default written out.")
      .def("with_settings", &with_settings, nb::arg("settings"),
           "The recipe with each \"key=value\" in its place, in order: \"optimizer.lr=0.01\", "
           "\"network.2.tau=3\" (third "
           "layer).\nThe value is TOML; a bare word counts as a string. Raises RecipeError naming the one "
           "that is wrong.")
      .def(
          "build_network",
          [](const Recipe& self, const std::vector<std::size_t>& picture) {
            Sequential net = self.build_network(Shape(picture));
            return network_from(self.network, values_of(net), self.name);
          },
          nb::arg("picture") = std::vector<std::size_t>{1, 28, 28},
          nb::sig(
              "def build_network(self, picture: collections.abc.Sequence[int] = (1, 28, 28)) -> Sequential"),
          "The network with the weights that its training begins with. `picture`: the shape of one picture.")
      .def("__repr__", [](const Recipe& self) { return fmt::format("<Recipe '{}'>", self.name); });

  m.def("builtin_recipes", &builtin_recipes, "Names of the recipes that are built in.");
  m.def(
      "load_recipe", [](nb::handle name_or_path) { return recipe_from(name_or_path); },
      nb::arg("name_or_path"), nb::sig("def load_recipe(name_or_path: str | os.PathLike[str]) -> Recipe"),
      "A built-in recipe by its name, or a TOML file by its path. Raises RecipeError with file, line, key "
      "and "
      "the nearest\n"
      "right name.");
}

}  // namespace

void bind_training(nb::module_& m) {
  bind_records(m);
  bind_recipe(m);
  m.def("train", train, nb::arg("recipe"), nb::arg("epochs") = nb::none(), nb::arg("out") = nb::none(),
        nb::arg("data_dir") = nb::none(), nb::arg("settings") = std::vector<std::string>{},
        nb::arg("threads") = nb::none(), nb::arg("on_epoch") = nb::none(), nb::arg("data") = nb::none(),
        nb::arg("checkpoint_every") = "1e", nb::arg("early_stopping") = nb::none(),
        nb::sig("def train(recipe: str | os.PathLike[str] | Recipe, epochs: int | None = None, out: str | "
                "os.PathLike[str] | None = None, data_dir: str | os.PathLike[str] | None = None, settings: "
                "collections.abc.Sequence[str] = (), threads: int | None = None, on_epoch: "
                "collections.abc.Callable[[EpochRecord], object] | None = None, data: tuple[Dataset, "
                "Dataset] | None = None, checkpoint_every: str = '1e', early_stopping: int | None = None) -> "
                "History"),
        "Trains by a recipe: a built-in name (\"lif_fc_mnist\"), a TOML file, or a Recipe.\n\n"
        "epochs: how many; the recipe's unless given. out: a run folder to write, new or empty; nothing is "
        "written "
        "unless given.\ndata_dir: the folder of the data sets (default: as datasets.load). settings: changes "
        "to the "
        "recipe, \"key=value\".\nthreads: 0: one per processor; the result is the same bits for any number. "
        "on_epoch: "
        "called with the record of each\nepoch; an exception in it ends the training there. Ctrl-C ends it "
        "after the step under way; with `out`, a\ncheckpoint of that is written first. "
        "data: training "
        "and test set, in place of the recipe's. checkpoint_every: \"2e\"\n"
        "(epochs) or \"10m\" (minutes). early_stopping: ends after this number of epochs without a better "
        "accuracy, "
        "on "
        "what is held out for\nvalidation or else on the test set; 0: never; the recipe's unless given. "
        "Raises an Error with the library's text.");
  m.def(
      "resume", resume, nb::arg("folder"), nb::arg("epochs") = nb::none(), nb::arg("data_dir") = nb::none(),
      nb::arg("settings") = std::vector<std::string>{}, nb::arg("threads") = nb::none(),
      nb::arg("on_epoch") = nb::none(), nb::arg("data") = nb::none(), nb::arg("checkpoint_every") = "1e",
      nb::arg("force") = false, nb::arg("early_stopping") = nb::none(),
      nb::sig("def resume(folder: str | os.PathLike[str], epochs: int | None = None, data_dir: str | "
              "os.PathLike[str] | None = None, settings: collections.abc.Sequence[str] = (), threads: int | "
              "None = None, on_epoch: collections.abc.Callable[[EpochRecord], object] | None = None, data: "
              "tuple[Dataset, Dataset] | None = None, checkpoint_every: str = '1e', force: bool = False, "
              "early_stopping: int | None = None) -> History"),
      "Goes on with the training in a run folder from its latest checkpoint, and ends with the same bits as "
      "one that was\nnever interrupted. The history is that of the whole run.\n\n"
      "epochs: how many in all, for more than the recipe has. data: must be given again where the training "
      "was given it.\nThe other arguments are those of `train`. Raises FileError, naming what differs, when "
      "recipe, data or version have\nchanged so that the end would be another; force=True goes on all the "
      "same.");
}

}  // namespace volley::python
