#include "trained_run.hpp"

#include <fmt/format.h>

#include <utility>

#include <volley/error.hpp>
#include <volley/run_folder.hpp>

#include "common.hpp"

namespace volley::cli {
namespace {

std::shared_ptr<const Source> load_part(const std::filesystem::path& folder, const Recipe& recipe,
                                        const TrainedRunOptions& options) {
  // The training set is read only where it is wanted: its pictures take longer than the test.
  std::shared_ptr<const Source> part;
  if (options.split == "test") {
    part = load_test_data(recipe, options.data_dir);
  } else {
    const Sources sources = load_data(recipe, options.data_dir);
    part = options.split == "train" ? sources.train : sources.validation;
  }
  if (part == nullptr || part->size() == 0) {
    throw FileError(folder.string(), "its recipe holds out nothing for validation");
  }
  return part;
}

Dataset names_of(const Source& source) {
  const SourceInfo& info = source.info();
  if (source.pictures() != nullptr) return {};
  Dataset names{.name = info.name,
                .shape = info.shape,
                .pixels = {},
                .labels = labels_of(source),
                .classes = info.classes};
  if (names.labels.empty() || !names.classes.empty()) return names;
  for (std::size_t k = 0; k < info.outputs; ++k) names.classes.push_back(fmt::format("{}", k));
  return names;
}

std::shared_ptr<const Source> given_or(std::optional<Dataset> data, const std::filesystem::path& folder,
                                       const Recipe& recipe, const TrainedRunOptions& options) {
  if (!data.has_value()) return load_part(folder, recipe, options);
  return std::make_shared<PictureSource>(std::make_shared<const Dataset>(*std::move(data)));
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
                                            {"--device", "training.device", options.device},
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
      source_(given_or(std::move(data), folder, recipe(), options)),
      names_(names_of(*source_)),
      net_(trained_network(loaded_, source_->info().shape)),
      parts_(recipe().build_parts()),
      trainer_(net_, recipe().build_parts(), recipe().training) {}

Evaluation TrainedRun::evaluate(const Source& source, Recorder* recorder) {
  return trainer_.evaluate(source, checkpoint().epoch().epoch, recorder, purpose_);
}

SampleLife TrainedRun::inspect(std::size_t sample) const {
  const Draw draw{recipe().training.seed, static_cast<std::uint32_t>(checkpoint().epoch().epoch), purpose_};
  if (source_->pictures() == nullptr)
    throw Error(fmt::format("the samples of {} are no pictures", source_->info().name));
  return volley::inspect(net_, parts_, data(), sample, recipe().training.steps, draw, trainer_.device());
}

}  // namespace volley::cli
