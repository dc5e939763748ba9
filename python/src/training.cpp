#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>

#include <chrono>
#include <filesystem>

#include <volley/error.hpp>
#include <volley/recipe.hpp>

#include "layers.hpp"
#include "module.hpp"
#include "storage/run_folder.hpp"

namespace volley::python {
namespace {

using Folder = std::optional<std::filesystem::path>;

/// What a training gives back.
struct TrainHistory {
  std::vector<EpochRecord> epochs;
  std::shared_ptr<Network> net;
  Folder folder;
};

NamedTensors values_of(Sequential& net) {
  NamedTensors values;
  for (const auto& [name, tensor] : state_of(net)) values.emplace(name, *tensor);
  return values;
}

Recipe recipe_from(nb::handle recipe) {
  if (nb::isinstance<Recipe>(recipe)) return nb::cast<Recipe>(recipe);
  return load_recipe(nb::cast<std::filesystem::path>(recipe).string());
}

/// Writes the run folder where one is wanted, calls on_epoch, and lets Ctrl-C through.
class PythonRecorder final : public Recorder {
 public:
  PythonRecorder(const Recipe& recipe, const Trainer& trainer, const Folder& out, const nb::object& on_epoch)
      : recipe_(recipe), trainer_(trainer), out_(out), on_epoch_(on_epoch) {}

  void begin(std::size_t, std::size_t, std::size_t) override {
    if (!out_.has_value()) return;
    const std::filesystem::path folder = run_folder::create(recipe_.name, *out_);
    run_ = std::make_unique<RunRecorder>(folder, recipe_, environment_of(trainer_));
  }
  void iteration(const IterationRecord& record) override {
    if (run_ != nullptr) run_->iteration(record);
  }
  void epoch(const EpochRecord& record, Trainer& trainer) override {
    if (run_ != nullptr) run_->epoch(record, trainer);
    const nb::gil_scoped_acquire locked;
    if (!on_epoch_.is_none()) on_epoch_(record);
  }
  /// A signal is looked for often enough for a person, and seldom enough for a step of half a millisecond.
  bool stop() override {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ < std::chrono::milliseconds(50)) return false;
    looked_ = now;
    const nb::gil_scoped_acquire locked;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    return false;
  }

 private:
  const Recipe& recipe_;
  const Trainer& trainer_;
  const Folder& out_;
  const nb::object& on_epoch_;
  std::unique_ptr<RunRecorder> run_;
  std::chrono::steady_clock::time_point looked_{};
};

TrainHistory train(nb::handle source, std::optional<std::int64_t> epochs, const Folder& out,
                   const Folder& data_dir, const std::vector<std::string>& settings,
                   std::optional<std::int64_t> num_threads, const nb::object& on_epoch,
                   const std::optional<std::pair<nb::object, nb::object>>& data) {
  Recipe recipe = with_settings(recipe_from(source), settings);
  if (epochs.has_value()) recipe = with_settings(recipe, {fmt::format("epochs={}", *epochs)});
  if (num_threads.has_value())
    recipe = with_settings(recipe, {fmt::format("training.threads={}", *num_threads)});
  Split split;
  if (data.has_value()) split = {nb::cast<Dataset>(data->first), nb::cast<Dataset>(data->second)};

  const nb::gil_scoped_release unlocked;
  if (!data.has_value()) split = datasets::load(recipe.data, data_dir.value_or(""));
  if (recipe.train_samples > 0) split.train = split.train.first(recipe.train_samples);
  if (recipe.test_samples > 0) split.test = split.test.first(recipe.test_samples);
  Sequential net = recipe.build_network(split.train.shape);
  Trainer trainer(net, recipe.build_parts(), recipe.training);
  PythonRecorder recorder(recipe, trainer, out, on_epoch);
  History history = trainer.fit(split.train, split.test, recipe.epochs, &recorder);
  return {std::move(history.epochs), network_from(recipe.network, values_of(net), recipe.name), out};
}

void bind_records(nb::module_& m) {
  nb::class_<EpochRecord>(m, "EpochRecord", "What one epoch showed. Accuracies are shares, 0 to 1.")
      .def_ro("epoch", &EpochRecord::epoch, "From 1.")
      .def_ro("train_loss", &EpochRecord::train_loss)
      .def_ro("train_acc", &EpochRecord::train_acc)
      .def_ro("test_loss", &EpochRecord::test_loss)
      .def_ro("test_acc", &EpochRecord::test_acc)
      .def_ro("max_test_acc", &EpochRecord::max_test_acc, "Of this epoch and all before it.")
      .def_ro("train_samples_per_second", &EpochRecord::train_samples_per_second)
      .def_ro("test_samples_per_second", &EpochRecord::test_samples_per_second)
      .def_ro("seconds", &EpochRecord::seconds, "Of the whole epoch, training and test.")
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
           "layer).\nThe value is TOML; a bare word counts as a string. Raises ValueError naming the one "
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
      "A built-in recipe by its name, or a TOML file by its path. Raises ValueError with file, line, key and "
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
        nb::sig("def train(recipe: str | os.PathLike[str] | Recipe, epochs: int | None = None, out: str | "
                "os.PathLike[str] | None = None, data_dir: str | os.PathLike[str] | None = None, settings: "
                "collections.abc.Sequence[str] = (), threads: int | None = None, on_epoch: "
                "collections.abc.Callable[[EpochRecord], object] | None = None, data: tuple[Dataset, "
                "Dataset] | None = "
                "None) -> History"),
        "Trains by a recipe: a built-in name (\"lif_fc_mnist\"), a TOML file, or a Recipe.\n\n"
        "epochs: how many; the recipe's unless given. out: a run folder to write, new or empty; nothing is "
        "written "
        "unless given.\ndata_dir: the folder of the data sets (default: as datasets.load). settings: changes "
        "to the "
        "recipe, \"key=value\".\nthreads: 0: one per processor; the result is the same bits for any number. "
        "on_epoch: "
        "called with the record of each\nepoch; an exception in it, and Ctrl-C, end the training there. "
        "data: training "
        "and test set, in place of the recipe's.\nRaises ValueError with the library's text.");
}

}  // namespace volley::python
