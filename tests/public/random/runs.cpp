#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <volley/files.hpp>
#include <volley/kernels.hpp>
#include <volley/run_recorder.hpp>
#include <volley/seeds_folder.hpp>

#include "scenes.hpp"

namespace volley::test {
namespace {

namespace fs = std::filesystem;

/// A recipe for pictures of (1, 2, 2) and two classes.
Recipe draw_run_recipe(Program& p) {
  Recipe recipe;
  recipe.name = "random";
  recipe.epochs = p.random.between(1, 3);
  recipe.training = {.steps = 2,
                     .batch = 2,
                     .seed = static_cast<std::uint32_t>(p.random.below(100)),
                     .threads = 1,
                     .monitors = p.random.chance(0.5)};
  LinearRecipe linear;
  linear.in = 4;
  linear.out = 2;
  recipe.network = {FlattenOptions{}, linear, LIFOptions{}};
  return parse_recipe(to_toml(recipe), "recipe");
}

/// A training and its network.
struct ShortTraining {
  explicit ShortTraining(const Recipe& recipe)
      : net(recipe.build_network(Shape{1, 2, 2})), trainer(net, recipe.build_parts(), recipe.training) {}

  std::vector<float> values() {
    std::vector<float> all;
    for (const NamedTensor& named : net.named_tensors())
      all.insert(all.end(), named.tensor->values().begin(), named.tensor->values().end());
    return all;
  }

  Sequential net;
  Trainer trainer;
};

void check_paths(Program& p, const fs::path& folder) {
  const fs::path none = folder / "none";
  p.must_throw("run_folder::load_recipe", "run_folder::load_recipe(none);",
               [&] { run_folder::load_recipe(none); });
  p.must_throw("run_folder::recipe_in", "run_folder::recipe_in(none);", [&] { run_folder::recipe_in(none); });
  p.must_throw("run_folder::open", "run_folder::open(none);", [&] { run_folder::open(none); });
  p.must_throw("run_folder::Lock::Lock", "run_folder::Lock lock(none);",
               [&] { run_folder::Lock lock(none); });
  p.must_throw("read_run", "read_run(none);", [&] { read_run(none); });
  p.must_throw("Checkpoint::Checkpoint", "Checkpoint checkpoint(none);",
               [&] { Checkpoint checkpoint(none); });
  p.must_throw("seeds_folder::seeds", "seeds_folder::seeds(none);", [&] { seeds_folder::seeds(none); });
  p.must_throw("seeds_folder::recipe", "seeds_folder::recipe(none);", [&] { seeds_folder::recipe(none); });
  p.must_throw("seeds_folder::read_runs", "seeds_folder::read_runs(none);",
               [&] { seeds_folder::read_runs(none); });
  for (const char* wrong : {"", "0", "-1", "2x", "0m", "nanm"}) {
    p.must_throw("CheckpointEvery::parse", cat("CheckpointEvery::parse(\"", wrong, "\");"),
                 [&] { CheckpointEvery::parse(wrong); });
  }
  p.must("CheckpointEvery::parse", "CheckpointEvery::parse(\"2e\");",
         [&] { p.check(CheckpointEvery::parse("2e").epochs == 2, "CheckpointEvery::parse"); });
}

void check_checkpoint(Program& p, const fs::path& path, const Recipe& recipe, ShortTraining& trained) {
  for (const char* name : {"Checkpoint::path", "Checkpoint::run", "Checkpoint::position", "Checkpoint::epoch",
                           "Checkpoint::volley_version", "Checkpoint::numerics", "numerics_version"}) {
    p.count(name);
  }
  std::optional<Checkpoint> checkpoint;
  p.must("Checkpoint::Checkpoint", "Checkpoint checkpoint(path);", [&] { checkpoint.emplace(path); });
  p.check(checkpoint->path() == path && checkpoint->volley_version() == VOLLEY_VERSION &&
              checkpoint->numerics() == numerics_version(),
          "what a checkpoint says of the library");
  p.check(checkpoint->run().recipe_toml == to_toml(recipe), "a checkpoint has the recipe");
  p.check(checkpoint->position().epoch == trained.trainer.position().epoch &&
              checkpoint->epoch().epoch == checkpoint->run().epochs.size(),
          "a checkpoint has the position");
  p.must("Checkpoint::check_resumable", "checkpoint.check_resumable();",
         [&] { checkpoint->check_resumable(); });
  p.must("Checkpoint::check_sizes", "checkpoint.check_sizes(recipe);",
         [&] { checkpoint->check_sizes(recipe); });
  ShortTraining other(recipe);
  if (p.random.chance(0.5)) {
    p.must("Checkpoint::load_into", "checkpoint.load_into(net);", [&] { checkpoint->load_into(other.net); });
  } else {
    p.must("Checkpoint::load_into", "checkpoint.load_into(trainer);",
           [&] { checkpoint->load_into(other.trainer); });
  }
  p.check(same_values(other.values(), trained.values()), "a checkpoint has the weights",
          difference(other.values(), trained.values()));
  const Recipe wider = with_settings(recipe, {"network.1.out=3", "network.1.in=4"});
  p.must_throw("Checkpoint::check_sizes", "checkpoint.check_sizes(wider);",
               [&] { checkpoint->check_sizes(wider); });
  ShortTraining wide(wider);
  p.must_throw("Checkpoint::load_into", "checkpoint.load_into(wider_net);",
               [&] { checkpoint->load_into(wide.net); });
  p.must_throw("Checkpoint::load_into", "checkpoint.load_into(wider_trainer);",
               [&] { checkpoint->load_into(wide.trainer); });
  std::string bytes = read_file(path, 1 << 20);
  bytes.resize(p.random.below(bytes.size()));
  const fs::path cut = path.parent_path() / "cut";
  write_file_whole(cut, bytes);
  p.must_throw("Checkpoint::Checkpoint", "Checkpoint checkpoint(cut);", [&] { Checkpoint damaged(cut); });
  fs::remove(cut);
  p.must_throw("save_checkpoint", "save_checkpoint(\"/nowhere/at/all\", run, trainer);",
               [&] { save_checkpoint("/nowhere/at/all", checkpoint->run(), other.trainer); });
}

void check_environment(Program& p, Trainer& trainer, const Recipe& recipe) {
  for (const char* name : {"cpu_model", "compiler"}) p.count(name);
  p.must("environment_of", "environment_of(trainer);", [&] {
    const Environment here = environment_of(trainer);
    p.check(here.cpu == cpu_model() && here.compiler == compiler() && here.version == VOLLEY_VERSION &&
                here.numerics == numerics_version() && here.simd_target == kernels::active_target() &&
                here.threads == trainer.threads() && here.seed == recipe.training.seed && !here.date.empty(),
            "environment_of");
  });
}

/// Trains into `lock`, as far as `epochs`.
void train_into(Program& p, run_folder::Lock lock, const RunState& state, ShortTraining& training,
                const Split& data, std::size_t epochs) {
  for (const char* name : {"RunRecorder::folder", "RunRecorder::epochs"}) p.count(name);
  const fs::path folder = lock.folder();
  p.must("RunRecorder::RunRecorder", "RunRecorder run(lock, state, trainer);", [&] {
    RunRecorder run(std::move(lock), state, training.trainer);
    p.must_throw("run_folder::Lock::Lock", "run_folder::Lock lock(folder);  // that a RunRecorder has",
                 [&] { run_folder::Lock second(folder); });
    training.trainer.fit(data, epochs, &run);
    p.must("RunRecorder::end", "run.end(trainer);", [&] { run.end(training.trainer); });
    p.check(run.folder() == folder && run.epochs().size() == state.epochs.size() + epochs,
            "a RunRecorder has all epochs");
  });
}

void check_run(Program& p, const fs::path& scratch) {
  p.count("run_folder::Lock::folder");
  const Recipe recipe = draw_run_recipe(p);
  const Split data{.train = draw_dataset(p, "train", {1, 2, 2}, 4, 2),
                   .test = draw_dataset(p, "test", {1, 2, 2}, 3, 2)};
  RunState state{.recipe_toml = to_toml(recipe)};
  p.must("sha256_of", "sha256_of(data);", [&] {
    state.data_sha256 = sha256_of(data);
    p.check(state.data_sha256.size() == 64 && state.data_sha256 == sha256_of(sources_of(Split(data))),
            "the SHA-256 of data, however it comes");
  });
  const fs::path folder = scratch / "run";
  ShortTraining training(recipe);
  check_environment(p, training.trainer, recipe);
  p.must_throw("RunRecorder::RunRecorder", "RunRecorder run(lock, state, trainer, {.epochs = 0});", [&] {
    const fs::path empty = scratch / "empty";
    RunRecorder run(run_folder::create(recipe.name, empty), state, training.trainer, {.epochs = 0});
  });
  p.must("run_folder::create", "run_folder::create(name, folder);",
         [&] { train_into(p, run_folder::create(recipe.name, folder), state, training, data, 1); });
  p.must_throw("run_folder::create", "run_folder::create(name, folder);  // with files in it",
               [&] { run_folder::create(recipe.name, folder); });
  p.must("run_folder::load_recipe", "run_folder::load_recipe(folder);", [&] {
    p.count("run_folder::recipe_in");
    p.check(to_toml(run_folder::load_recipe(folder)) == state.recipe_toml &&
                to_toml(run_folder::recipe_in(folder)) == state.recipe_toml,
            "a run folder has its recipe");
  });
  p.must("read_run", "read_run(folder);", [&] {
    const RunRecord record = read_run(folder);
    p.check(record.epochs.size() == 1 && record.iterations.size() == 2 && record.folder == folder,
            "read_run has what was trained");
  });
  check_checkpoint(p, folder / run_folder::kLatest, recipe, training);
  p.must("run_folder::open", "Paused paused = run_folder::open(folder);", [&] {
    run_folder::Paused paused = run_folder::open(folder);
    p.must("run_folder::check_unchanged", "run_folder::check_unchanged(paused, recipe, sha256);",
           [&] { run_folder::check_unchanged(paused, recipe, state.data_sha256); });
    p.must_throw("run_folder::check_unchanged", "run_folder::check_unchanged(paused, recipe, another);",
                 [&] { run_folder::check_unchanged(paused, recipe, "another"); });
    p.must_throw("run_folder::open", "run_folder::open(folder);  // twice",
                 [&] { run_folder::open(folder); });
    ShortTraining resumed(recipe);
    paused.checkpoint->load_into(resumed.trainer);
    state.epochs = paused.checkpoint->run().epochs;
    train_into(p, std::move(paused.lock), state, resumed, data, 1);
    training.trainer.fit(data, 1);
    p.check(same_values(resumed.values(), training.values()), "a run that goes on has the same end",
            difference(resumed.values(), training.values()));
  });
  for (NamedTensor& named : training.net.named_tensors()) named.tensor->values()[0] = kInfinity;
  p.must_throw("save_checkpoint", "save_checkpoint(path, state, trainer);  // infinite weights",
               [&] { save_checkpoint(scratch / "infinite", state, training.trainer); });
}

void check_seeds(Program& p, const fs::path& scratch) {
  for (const char* name : {"seeds_folder::is_one", "seeds_folder::run_of"}) p.count(name);
  const Recipe recipe = draw_run_recipe(p);
  const std::size_t count = p.random.between(2, 5);
  const fs::path folder = scratch / "seeds";
  std::vector<std::uint32_t> all;
  p.must("seeds_folder::seeds_from", cat("seeds_folder::seeds_from(recipe, ", count, ", \"--seeds\");"), [&] {
    all = seeds_folder::seeds_from(recipe, count, "--seeds");
    p.check(all.size() == count && all.front() == recipe.training.seed, "seeds_from");
  });
  for (const std::size_t wrong : {std::size_t{0}, std::size_t{1}, seeds_folder::kMost + 1}) {
    p.must_throw("seeds_folder::seeds_from",
                 cat("seeds_folder::seeds_from(recipe, ", wrong, ", \"--seeds\");"),
                 [&] { seeds_folder::seeds_from(recipe, wrong, "--seeds"); });
  }
  p.check(!seeds_folder::is_one(folder), "what is not there is no folder of seeds");
  p.must("seeds_folder::create", "seeds_folder::create(recipe, seeds, folder);",
         [&] { const run_folder::Lock lock = seeds_folder::create(recipe, all, folder); });
  p.must_throw("seeds_folder::create", "seeds_folder::create(recipe, seeds, folder);  // again",
               [&] { seeds_folder::create(recipe, all, folder); });
  p.check(seeds_folder::is_one(folder), "seeds_folder::is_one");
  p.must("seeds_folder::seeds", "seeds_folder::seeds(folder);",
         [&] { p.check(seeds_folder::seeds(folder) == all, "the seeds that were written"); });
  p.must("seeds_folder::recipe", "seeds_folder::recipe(folder);", [&] {
    p.check(to_toml(seeds_folder::recipe(folder)) == to_toml(recipe), "the recipe of a folder of seeds");
  });
  p.must("seeds_folder::read_runs", "seeds_folder::read_runs(folder);",
         [&] { p.check(seeds_folder::read_runs(folder).empty(), "no run has begun"); });
  p.must_throw("run_folder::load_recipe", "run_folder::load_recipe(folder of seeds);",
               [&] { run_folder::load_recipe(folder); });
  const fs::path run = seeds_folder::run_of(folder, all.front());
  fs::create_directories(run);
  ShortTraining training(recipe);
  train_into(
      p, run_folder::Lock(run), {.recipe_toml = to_toml(recipe)}, training,
      {.train = draw_dataset(p, "train", {1, 2, 2}, 4, 2), .test = draw_dataset(p, "test", {1, 2, 2}, 3, 2)},
      1);
  p.must("seeds_folder::read_runs", "seeds_folder::read_runs(folder);",
         [&] { p.check(seeds_folder::read_runs(folder).size() == 1, "one run has begun"); });
}

}  // namespace

void check_runs(Program& p) {
  const ScratchFolder folder("random");
  check_paths(p, folder.path());
  p.random.chance(0.6) ? check_run(p, folder.path()) : check_seeds(p, folder.path());
}

}  // namespace volley::test
