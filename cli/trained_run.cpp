#include "trained_run.hpp"

#include <fmt/format.h>

#include <utility>

#include <volley/error.hpp>

#include "common.hpp"
#include "storage/run_folder.hpp"

namespace volley::cli {
namespace {

Dataset load_part(const std::filesystem::path& folder, const Recipe& recipe,
                  const TrainedRunOptions& options) {
  // The training set is read only where it is wanted: its pictures take longer than the test.
  Dataset data;
  if (options.split == "test") {
    data = load_test_data(recipe, options.data_dir);
  } else {
    Split split = load_data(recipe, options.data_dir);
    data = options.split == "train" ? std::move(split.train) : std::move(split.validation);
  }
  if (data.size() == 0) {
    throw FileError(folder.string(), "its recipe holds out nothing for validation");
  }
  return data;
}

}  // namespace

LoadedRun load_run(const std::filesystem::path& folder, const TrainedRunOptions& options) {
  const char* name = options.checkpoint == "best" ? run_folder::kBest : run_folder::kLatest;
  Recipe recipe = run_folder::load_recipe(folder);
  const std::filesystem::path path = folder / name;
  if (!std::filesystem::exists(path)) {
    throw FileError(folder.string(), fmt::format("a {}", name), "none: no epoch of this run was finished");
  }
  recipe = with_options(std::move(recipe), {{"-T", "training.steps", options.steps},
                                            {"--threads", "training.threads", options.threads},
                                            {"--data", "data", options.data}});
  if (!options.data.empty()) {  // of its own set
    recipe.train_samples = recipe.test_samples = 0;
    recipe.validation = 0;
  }
  recipe.training.monitors = true;
  return {std::move(recipe), Checkpoint(path)};
}

Sequential trained_network(const LoadedRun& run, const Shape& picture) {
  run.checkpoint.check_sizes(run.recipe);
  Sequential net = run.recipe.build_network(picture);
  run.checkpoint.load_into(net);
  return net;
}

TrainedRun::TrainedRun(const std::filesystem::path& folder, const TrainedRunOptions& options,
                       std::optional<Dataset> data)
    : loaded_(load_run(folder, options)),
      purpose_(options.split == "validation" ? Draw::Purpose::validation : Draw::Purpose::test),
      data_(data.has_value() ? *std::move(data) : load_part(folder, recipe(), options)),
      net_(trained_network(loaded_, data_.shape)),
      parts_(recipe().build_parts()),
      trainer_(net_, recipe().build_parts(), recipe().training) {}

Evaluation TrainedRun::evaluate(const Dataset& data, Recorder* recorder) {
  return trainer_.evaluate(data, checkpoint().epoch().epoch, recorder, purpose_);
}

SampleLife TrainedRun::inspect(std::size_t sample) const {
  const Draw draw{recipe().training.seed, static_cast<std::uint32_t>(checkpoint().epoch().epoch), purpose_};
  return volley::inspect(net_, parts_, data_, sample, recipe().training.steps, draw);
}

}  // namespace volley::cli
