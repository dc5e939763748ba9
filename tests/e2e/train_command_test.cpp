#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include <volley/checkpoint.hpp>
#include <volley/kernels.hpp>
#include <volley/recipe.hpp>
#include <volley/run_folder.hpp>

#include "core/files.hpp"
#include "storage/safetensors.hpp"
#include "support/event_reader.hpp"
#include "support/needs_data.hpp"
#include "support/program.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

using test::run_volley;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> file_lines(const fs::path& path) { return lines_of(read_file(path, 1 << 20)); }

std::string column(const std::string& row, std::size_t index) {
  std::istringstream stream(row);
  std::string value;
  for (std::size_t i = 0; i <= index; ++i) std::getline(stream, value, ',');
  return value;
}

/// Trains on a slice of MNIST that takes a moment.
std::vector<std::string> small_training(const std::string& recipe, const fs::path& out) {
  return {"train",       recipe,
          "--epochs",    "2",
          "--set",       "train_samples=1000",
          "--set",       "test_samples=300",
          "-T",          "20",
          "--out",       out.string(),
          "--data-dir",  test::data_folder().string(),
          "--no-figures"};
}

class TrainCommand : public ::testing::Test {
 protected:
  ProgramResult train(std::vector<std::string> arguments, const std::vector<std::string>& more = {}) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    ProgramResult result = run_volley(arguments, {.folder = folder_.path()});
    EXPECT_TRUE(result.ok()) << result.reason() << "\n" << result.err;
    return result;
  }
  test::TempFolder folder_;
};

TEST_F(TrainCommand, LeavesAWholeRunFolder) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  const ProgramResult result = train(small_training("lif_fc_mnist", run));

  const std::vector<std::string> metrics = file_lines(run / "metrics.csv");
  ASSERT_EQ(metrics.size(), 3u);
  EXPECT_EQ(metrics[0],
            "epoch,train_loss,train_acc,test_loss,test_acc,max_test_acc,train_samples_per_second,"
            "test_samples_per_second,seconds");
  EXPECT_EQ(column(metrics[2], 0), "2");
  const std::vector<std::string> iterations = file_lines(run / "iterations.csv");
  EXPECT_EQ(iterations.size(), 1 + 2 * (1000 / 64));
  EXPECT_EQ(iterations[0], "iteration,loss,batch_acc,grad_norm");
  EXPECT_EQ(column(iterations.back(), 0), "30");
  const auto environment = nlohmann::json::parse(read_file(run / "environment.json", 10000));
  for (const char* key :
       {"date", "version", "numerics", "compiler", "cpu", "simd_target", "threads", "seed"}) {
    EXPECT_TRUE(environment.contains(key)) << key;
  }
  const Recipe recipe = load_recipe((run / "recipe.toml").string());
  EXPECT_EQ(recipe.training.steps, 20u);
  EXPECT_EQ(recipe.train_samples, 1000u);
  EXPECT_EQ(Checkpoint(run / "checkpoint_latest.safetensors").epoch().epoch, 2u);
  EXPECT_TRUE(fs::exists(run / "checkpoint_best.safetensors"));
  EXPECT_EQ(std::distance(fs::directory_iterator(run), fs::directory_iterator()),
            7);  // and no temporary file

  // The network has learnt: ten classes guessed would be 0.1.
  EXPECT_GT(std::stod(column(metrics[2], 4)), 0.4);

  // Into a pipe: one line per epoch, and no bar.
  std::size_t epoch_lines = 0;
  for (const std::string& line : lines_of(result.out)) epoch_lines += line.starts_with("epoch ");
  EXPECT_EQ(epoch_lines, 2u);
  EXPECT_EQ(result.out.find('\r'), std::string::npos);
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
  EXPECT_NE(result.out.find("volley eval " + run.string()), std::string::npos);
}

TEST_F(TrainCommand, WritesEventFilesWhereItIsAskedTo) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  train(small_training("lif_fc_mnist", run), {"--tensorboard"});
  const auto events = test::read_events(run / "tensorboard" / "events.out.tfevents.000001.volley");
  ASSERT_EQ(events.size(), 2 + 1 + 30 + 2u);  // the head, the pictures, the steps, the epochs
  EXPECT_EQ(events[2].images.size(), 8u);
  EXPECT_EQ(events.back().step, 30u);
  const float last = std::stof(column(file_lines(run / "metrics.csv").back(), 4));
  EXPECT_EQ(events.back().scalars.at("epoch/test_acc"), last);
}

TEST_F(TrainCommand, EvalGivesTheRunsOwnFigures) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  train(small_training("lif_fc_mnist", run));
  const std::string last = file_lines(run / "metrics.csv").back();
  const std::string data = test::data_folder().string();
  const auto evaluated = nlohmann::json::parse(
      train({"eval", run.string(), "--checkpoint", "latest", "--json", "--data-dir", data}).out);
  EXPECT_EQ(evaluated["loss"], std::stod(column(last, 3)));
  EXPECT_EQ(evaluated["accuracy"], std::stod(column(last, 4)));
  EXPECT_EQ(evaluated["samples"], 300);

  std::size_t total = 0;
  std::size_t right = 0;
  for (std::size_t k = 0; k < 10; ++k) {
    for (std::size_t j = 0; j < 10; ++j) total += evaluated["confusion"][k][j].get<std::size_t>();
    right += evaluated["confusion"][k][k].get<std::size_t>();
  }
  EXPECT_EQ(total, 300u);
  EXPECT_DOUBLE_EQ(static_cast<double>(right) / 300, evaluated["accuracy"].get<double>());

  const std::string text =
      train({"eval", run.string(), "--split", "train", "-T", "5", "--data-dir", data}).out;
  EXPECT_NE(text.find("mnist train: 1000 pictures, T 5"), std::string::npos) << text;
}

// One after the other on 1, 2, 3 and 8 threads, and with each instruction set that has fused multiply-adds.
TEST_F(TrainCommand, GivesTheSameBitsForAnyNumberOfThreadsAndAnyTarget) {
  VOLLEY_NEEDS_DATA("mnist");
  const std::vector<std::string> supported = kernels::supported_targets();
  std::vector<std::pair<std::string, std::string>> ways;  // threads, target
  for (const char* threads : {"1", "2", "3", "8"}) ways.emplace_back(threads, supported.front());
  for (const char* target : {"avx512", "avx2"}) {
    if (std::ranges::find(supported, target) != supported.end()) {
      ways.emplace_back("2", target);
    } else {
      std::cout << "this machine has no " << target << ": its bits are not compared\n";
    }
  }
  for (const std::string recipe : {"lif_fc_mnist", "mlp_mnist", "article_mnist"}) {
    std::vector<SafetensorsFile> files;
    std::vector<std::string> metrics;
    for (const auto& [threads, target] : ways) {
      const std::string way = fmt::format("{}-{}-{}", recipe, threads, target);
      const fs::path run = folder_ / (way + fmt::format("-{}", files.size()));
      std::vector<std::string> arguments = small_training(recipe, run);
      arguments.insert(arguments.end(), {"--threads", threads});
      const ProgramResult result =
          run_volley(arguments, {.folder = folder_.path(), .environment = {{"VOLLEY_TARGET", target}}});
      ASSERT_TRUE(result.ok()) << result.err;
      const auto environment = nlohmann::json::parse(read_file(run / "environment.json", 10000));
      EXPECT_EQ(environment["simd_target"], target);
      EXPECT_EQ(environment["threads"], std::stoi(threads));
      files.push_back(read_safetensors(run / "checkpoint_latest.safetensors"));
      EXPECT_EQ(files.back().tensors.size(), files.front().tensors.size());
      for (const auto& [name, tensor] : files.front().tensors) {
        const Tensor& other = files.back().tensors.at(name);
        ASSERT_EQ(other.shape(), tensor.shape());
        EXPECT_EQ(std::memcmp(other.data(), tensor.data(), tensor.size() * sizeof(float)), 0)
            << way << " " << name;
      }
      metrics.push_back(test::without_times(read_file(run / "metrics.csv", 1 << 20)));
      EXPECT_EQ(metrics.back(), metrics.front()) << way;
    }
  }
}

TEST_F(TrainCommand, AnotherSeedGivesAnotherNetwork) {
  VOLLEY_NEEDS_DATA("mnist");
  train(small_training("lif_fc_mnist", folder_ / "a"), {"--seed", "1"});
  train(small_training("lif_fc_mnist", folder_ / "b"), {"--seed", "2"});
  const auto weight = [&](const char* run) {
    return read_safetensors(folder_ / run / "checkpoint_latest.safetensors").tensors.at("1.weight").data()[0];
  };
  EXPECT_NE(weight("a"), weight("b"));
}

TEST_F(TrainCommand, OptionsReachTheRecipe) {
  VOLLEY_NEEDS_DATA("mnist");
  const fs::path run = folder_ / "run";
  train(small_training("lif_fc_mnist", run),
        {"-b", "50", "--lr", "0.5", "--optimizer", "sgd", "--tau", "3", "--set", "network.2.v_reset=none"});
  const Recipe recipe = load_recipe((run / "recipe.toml").string());
  EXPECT_EQ(recipe.training.batch, 50u);
  EXPECT_EQ(std::get<SgdOptions>(recipe.optimizer).lr, 0.5f);
  EXPECT_EQ(std::get<LIFOptions>(recipe.network.at(2)).tau, 3.0f);
  EXPECT_FALSE(std::get<LIFOptions>(recipe.network.at(2)).v_reset.has_value());
}

struct Refusal {
  std::vector<std::string> arguments;
  int code;
  std::string error;  // all of stderr, or its begin where it ends in "..."
};

TEST_F(TrainCommand, RefusesWhatItCannotObey) {
  VOLLEY_NEEDS_DATA("mnist");
  const std::string data = test::data_folder().string();
  std::ofstream(folder_ / "taken") << "x";
  fs::create_directory(folder_ / "broken");
  std::ofstream(folder_ / "broken/recipe.toml") << "epochs = 0\n";
  fs::create_directory(folder_ / "young");
  std::ofstream(folder_ / "young/recipe.toml") << to_toml(load_recipe("lif_fc_mnist"));
  const auto train_with = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"train", "lif_fc_mnist", "--data-dir", data};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const Refusal cases[] = {
      {{"train"}, 2, "volley train: RECIPE is required\n"},
      {{"trian"}, 2, "volley: unknown command 'trian'; did you mean 'train'?\n"},
      {{"train", "lif_fc_mnits"},
       2,
       "volley train: 'lif_fc_mnits' is neither a built-in recipe nor a file; did you mean "
       "'lif_fc_mnist'?\n"},
      {train_with({"--epoch", "3"}), 2,
       "volley train: unknown argument '--epoch'; did you mean '--epochs'?\n"},
      {train_with({"-T", "0"}), 2,
       "volley train: -T: training.steps=0: expected an integer >= 1 and <= 65536, got 0\n"},
      {train_with({"-T"}), 2, "volley train: --steps: 1 required INT missing\n"},
      {train_with({"--optimizer", "adm"}), 2,
       "volley train: --optimizer: optimizer.kind=adm: 'adm' is unknown; did you mean 'adam'?\n"},
      {train_with({"--tau", "1"}), 2, "volley train: --tau: network.2.tau=1: expected a number > 1, got 1\n"},
      {train_with({"--set", "network.2.tua=3"}), 2,
       "volley train: --set: network.2.tua=3: key 'tua' is unknown; did you mean 'tau'?\n"},
      {train_with({"--set", "optimizer=sgd", "--set", "optimizer.nesterov=true"}), 1,
       "volley train: [sgd] ..."},
      {train_with({"--set", "network.1.in=783"}), 1, "volley train: layer 1: [linear] ..."},
      {train_with({"--set", "train_samples=10"}), 1,
       "volley train: [trainer] mnist train: 10 samples do not fill one batch of 64\n"},
      {train_with({"--out", "taken"}), 1, "volley train: taken: cannot make the run folder: ..."},
      {train_with({"--out", "."}), 1,
       "volley train: .: expected a new or empty run folder, found one with files in it\n"},
      {{"train", "lif_fc_mnist", "--data-dir", "nowhere"},
       1,
       "volley train: nowhere: MNIST is not there: ..."},
      {train_with({"--checkpoint-every", "often"}), 2,
       "volley train: --checkpoint-every: expected a number of epochs > 0 (2, 2e) or of minutes > 0 (10m), "
       "got 'often'\n"},
      {train_with({"--resume", "young"}), 2,
       "volley train: --resume takes the recipe from its run folder, got RECIPE 'lif_fc_mnist' too\n"},
      {train_with({"--force"}), 2, "volley train: --force is for --resume\n"},
      {{"train", "--resume", "young", "--out", "x"},
       2,
       "volley train: --resume goes on in its run folder, got --out too\n"},
      {{"train", "--resume", "nowhere"},
       1,
       "volley train: nowhere: expected a run folder with a recipe.toml, found none\n"},
      {{"train", "--resume", "broken"},
       1,
       "volley train: broken/recipe.toml:1: key 'epochs': expected an integer >= 1 and <= 16777215, got 0\n"},
      {{"eval"}, 2, "volley eval: RUN is required\n"},
      {{"eval", "nowhere"},
       1,
       "volley eval: nowhere: expected a run folder with a recipe.toml, found none\n"},
      {{"eval", "broken"},
       1,
       "volley eval: broken/recipe.toml:1: key 'epochs': expected an integer >= 1 and <= 16777215, got 0\n"},
      {{"eval", "young"},
       1,
       "volley eval: young: expected a checkpoint_best.safetensors, found none: no epoch of this run was "
       "finished\n"},
      {{"eval", "young", "--checkpoint", "worst"}, 2, "volley eval: --checkpoint: worst not in {...}\n"},
  };
  for (const Refusal& refusal : cases) {
    const ProgramResult result = run_volley(refusal.arguments, {.folder = folder_.path()});
    EXPECT_EQ(result.end, ProgramResult::End::exited);
    EXPECT_EQ(result.code, refusal.code) << refusal.error;
    const std::size_t dots = refusal.error.find("...");
    if (dots == std::string::npos) {
      EXPECT_EQ(result.err, refusal.error);
    } else {
      EXPECT_EQ(result.err.substr(0, dots), refusal.error.substr(0, dots));
    }
    EXPECT_EQ(result.out, "");
  }
  EXPECT_FALSE(fs::exists(folder_ / "runs")) << "what is refused leaves no run folder";
}

TEST_F(TrainCommand, TauNeedsANeuron) {
  std::ofstream(folder_ / "bare.toml") << "[[network]]\nkind = \"flatten\"\n";
  const ProgramResult result = run_volley({"train", "bare.toml", "--tau", "3"}, {.folder = folder_.path()});
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(result.err, "volley train: --tau: no layer of this network has a tau\n");
}

}  // namespace
}  // namespace volley
