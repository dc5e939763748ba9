#include <volley/checkpoint.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include <volley/volley.hpp>

#include "storage/metrics.hpp"
#include "storage/safetensors.hpp"
#include "support/counting_layer.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

/// A checkpoint of a small network after one step of Adam, the first of the fourth epoch.
class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    run_.recipe_toml = "epochs = 3\n";
    run_.data_sha256 = "5eed";
    // No float has the value 0.1.
    for (std::size_t e = 1; e <= 3; ++e) run_.epochs.push_back({.epoch = e, .test_acc = 0.1});
    for (const NamedParameter& p : net_.parameters()) std::ranges::fill(p.parameter->gradient.values(), 0.5f);
    trainer_.optimizer().step(net_.parameters(), ThreadPool::shared());
    trainer_.set_position(position_);
    save_checkpoint(path_, run_, trainer_);
  }

  std::string error_of(const std::filesystem::path& path, Sequential& net) {
    try {
      Checkpoint(path).load_into(net);
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_TRUE(text.starts_with(path.string() + ": ")) << text;
      return text.substr(path.string().size() + 2);
    }
    return "(no error)";
  }

  test::TempFolder folder_;
  std::filesystem::path path_ = folder_ / "c.safetensors";
  Sequential net_{Flatten{}, Linear{3, 2}, LIF{}};
  Trainer trainer_{net_, Adam{}, RateMse{}, Poisson{}};
  TrainerPosition position_{.epoch = 4,
                            .iteration = 1,
                            .iterations = 31,
                            .loss_sum = 0.1,
                            .right = 5,
                            .seen = 64,
                            .max_test_acc = 0.1,
                            .seconds = 0.25};
  RunState run_;
};

TEST_F(CheckpointTest, ARecipeThatAsksForMoreThanItHoldsIsRefusedBeforeItIsBuilt) {
  const Checkpoint checkpoint(path_);
  Recipe recipe;
  recipe.network = {FlattenOptions{}, LinearRecipe{{}, 3, 2}, LIFOptions{}};
  EXPECT_NO_THROW(checkpoint.check_sizes(recipe));
  recipe.network[1] = LinearRecipe{{}, 1 << 24, 1 << 24};
  test::expect_has(
      test::error_text([&] { checkpoint.check_sizes(recipe); }),
      path_.string() + ": expected the parameter '1.weight' of shape (16777216, 16777216), found (2, 3)");
}

TEST_F(CheckpointTest, GivesBackParametersAndWhatTheEpochShowed) {
  Sequential other{Flatten{}, Linear{3, 2}, LIF{}};
  other.initialize(99);
  const Checkpoint checkpoint(path_);
  checkpoint.load_into(other);
  const auto saved = net_.parameters();
  const auto loaded = other.parameters();
  for (std::size_t i = 0; i < saved.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(saved[i].parameter->value.values(), loaded[i].parameter->value.values()));
  }
  EXPECT_EQ(checkpoint.run().recipe_toml, "epochs = 3\n");
  EXPECT_EQ(checkpoint.run().data_sha256, "5eed");
  EXPECT_EQ(checkpoint.epoch().epoch, 3u);
  EXPECT_EQ(checkpoint.epoch().test_acc, 0.1);
}

TEST_F(CheckpointTest, HoldsBuffersBesideTheParameters) {
  Sequential net{test::CountingLayer{}, Linear{3, 2}}, other{test::CountingLayer{}, Linear{3, 2}};
  net.buffers()[0].tensor->data()[0] = 4;
  Trainer trainer{net, Adam{}, RateMse{}, Poisson{}};
  trainer.set_position(position_);
  save_checkpoint(path_, run_, trainer);
  EXPECT_EQ(read_safetensors(path_).tensors.at("0.count").data()[0], 4);
  Checkpoint(path_).load_into(other);
  EXPECT_EQ(other.buffers()[0].tensor->data()[0], 4);
}

TEST_F(CheckpointTest, GivesATrainerAllThatDecidesHowItGoesOn) {
  Sequential other{Flatten{}, Linear{3, 2}, LIF{}};
  Trainer trainer{other, Adam{}, RateMse{}, Poisson{}};
  Checkpoint(path_).load_into(trainer);
  EXPECT_EQ(trainer.optimizer().steps_taken(), 1u);
  const auto saved = trainer_.optimizer().state();
  const auto loaded = trainer.optimizer().state();
  ASSERT_EQ(saved.size(), loaded.size());
  for (std::size_t i = 0; i < saved.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(saved[i].tensor->values(), loaded[i].tensor->values())) << saved[i].name;
  }
  std::vector<double> a, b;
  const auto into = [](std::vector<double>& all) {
    return [&all](std::string_view, auto value, const Range&) { all.push_back(static_cast<double>(value)); };
  };
  TrainerPosition::fields(position_, into(a));
  TrainerPosition::fields(trainer.position(), into(b));
  EXPECT_EQ(a, b);
}

TEST_F(CheckpointTest, IsRefusedByAnotherOptimizerAndNothingIsChanged) {
  Sequential other{Flatten{}, Linear{3, 2}, LIF{}};
  other.initialize(99);
  const float before = other.parameters()[0].parameter->value.data()[0];
  Trainer sgd{other, Sgd{0.1f}, RateMse{}, Poisson{}};
  const std::string text = test::error_text([&] { Checkpoint(path_).load_into(sgd); });
  EXPECT_EQ(text, path_.string() + ": expected 'optimizer.momentum.1.weight' of shape (2, 3), found none");
  EXPECT_EQ(other.parameters()[0].parameter->value.data()[0], before);
  EXPECT_EQ(sgd.position().epoch, 1u);
}

TEST_F(CheckpointTest, HoldsTheOptimizersState) {
  const SafetensorsFile file = read_safetensors(path_);
  EXPECT_EQ(file.metadata.at("optimizer_steps"), "1");
  const std::vector<NamedTensor> state = trainer_.optimizer().state();
  EXPECT_EQ(state.size(), 4u);  // m and v of weight and bias
  for (const NamedTensor& tensor : state) {
    const Tensor& saved = file.tensors.at("optimizer." + tensor.name);
    EXPECT_TRUE(std::ranges::equal(saved.values(), tensor.tensor->values())) << tensor.name;
  }
}

TEST_F(CheckpointTest, IsRefusedByAnotherNetworkWhichStaysAsItWas) {
  Sequential wide{Flatten{}, Linear{3, 4}, LIF{}};
  const float before = wide.parameters()[0].parameter->value.data()[0];
  EXPECT_EQ(error_of(path_, wide), "parameter '1.weight': expected shape (4, 3), found (2, 3)");
  EXPECT_EQ(wide.parameters()[0].parameter->value.data()[0], before);
  Sequential moved{Linear{3, 2}, LIF{}};
  EXPECT_EQ(error_of(path_, moved), "expected the parameter '0.weight' of shape (2, 3), found none");
  Sequential bare{Flatten{}, Linear{3, 2, {.bias = false}}, LIF{}};
  EXPECT_EQ(error_of(path_, bare), "found a parameter '1.bias' that the network does not have");
}

TEST_F(CheckpointTest, AnotherFileIsRefused) {
  const auto path = folder_ / "other.safetensors";
  const auto error = [&](std::map<std::string, std::string> metadata) {
    write_safetensors(path, {}, metadata);
    return error_of(path, net_);
  };
  EXPECT_EQ(error({}), "expected a Volley checkpoint with 'format', found none");
  EXPECT_EQ(error({{"format", "pt"}}), "expected format 'volley checkpoint', found 'pt'");
  std::map<std::string, std::string> metadata = read_safetensors(path_).metadata;
  const auto error_with = [&](const std::string& key, const std::string& value) {
    std::map<std::string, std::string> changed = metadata;
    changed[key] = value;
    return error(changed);
  };
  EXPECT_EQ(error_with("format_version", "1"), "expected format_version '2', found '1'");
  EXPECT_EQ(error_with("position.seen", "many"), "expected a number as 'position.seen', found 'many'");
  EXPECT_EQ(error_with("position.seen", "-1"), "expected a number as 'position.seen', found '-1'");
  EXPECT_EQ(error_with("position.loss_sum", "nan"),
            "expected 'position.loss_sum' to be a finite number, found nan");
  EXPECT_EQ(error_with("position.epoch", "3"), "expected metrics of the 2 epochs that are done, found 3");
  EXPECT_EQ(error_with("optimizer_steps", "1.5"), "expected a number as 'optimizer_steps', found '1.5'");
  EXPECT_EQ(error_with("metrics", "a,b\n").substr(0, 38), "metrics: expected the header epoch,tra");
  EXPECT_EQ(error_with("metrics", metrics_header() + "\n1,2,x"),
            "metrics, line 2: expected a number as train_acc, found 'x'");
  EXPECT_EQ(error_with("metrics", metrics_header() + "\n1,2,3,4,5,6,7,8,9,10\n"),
            "metrics, line 2: found more columns");
  metadata.erase("position.right");
  EXPECT_EQ(error(metadata), "expected a Volley checkpoint with 'position.right', found none");
}

}  // namespace
}  // namespace volley
