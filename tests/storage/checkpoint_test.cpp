#include "storage/checkpoint.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include <volley/volley.hpp>

#include "support/counting_layer.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

/// A checkpoint of a small network after one step of Adam.
class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    epoch_.epoch = 3;
    epoch_.test_acc = 0.1;  // no float has this value
    for (const NamedParameter& p : net_.parameters()) std::ranges::fill(p.parameter->gradient.values(), 0.5f);
    adam_.step(net_.parameters(), ThreadPool::shared());
    save_checkpoint(path_, "epochs = 3\n", epoch_, net_, adam_);
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
  Adam adam_;
  EpochRecord epoch_;
};

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
  EXPECT_EQ(checkpoint.recipe_toml(), "epochs = 3\n");
  EXPECT_EQ(checkpoint.epoch().epoch, 3u);
  EXPECT_EQ(checkpoint.epoch().test_acc, 0.1);
}

TEST_F(CheckpointTest, HoldsBuffersBesideTheParameters) {
  Sequential net{test::CountingLayer{}, Linear{3, 2}}, other{test::CountingLayer{}, Linear{3, 2}};
  net.buffers()[0].tensor->data()[0] = 4;
  save_checkpoint(path_, "epochs = 3\n", epoch_, net, adam_);
  EXPECT_EQ(read_safetensors(path_).tensors.at("0.count").data()[0], 4);
  Checkpoint(path_).load_into(other);
  EXPECT_EQ(other.buffers()[0].tensor->data()[0], 4);
}

TEST_F(CheckpointTest, HoldsTheOptimizersState) {
  const SafetensorsFile file = read_safetensors(path_);
  EXPECT_EQ(file.metadata.at("optimizer_steps"), "1");
  const std::vector<NamedTensor> state = adam_.state();
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
  metadata["format_version"] = "2";
  EXPECT_EQ(error(metadata), "expected format_version '1', found '2'");
  metadata = read_safetensors(path_).metadata;
  metadata["test_acc"] = "much";
  EXPECT_EQ(error(metadata), "expected a number as 'test_acc', found 'much'");
  metadata.erase("test_acc");
  EXPECT_EQ(error(metadata), "expected a Volley checkpoint with 'test_acc', found none");
}

}  // namespace
}  // namespace volley
