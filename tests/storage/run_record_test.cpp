#include <volley/run_folder.hpp>

#include <gtest/gtest.h>

#include <fstream>

#include "support/error_text.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;

class RunRecordTest : public testing::Test {
 protected:
  void SetUp() override { history_ = test::ToyRun(run(), test::toy_recipe()).train(); }

  std::filesystem::path run() const { return folder_ / "run"; }
  /// What read_run says once `file` has this text.
  std::string error_with(const char* file, const std::string& text) const {
    std::ofstream(run() / file) << text;
    return error_text([&] { read_run(run()); });
  }

  test::TempFolder folder_;
  History history_;
};

TEST_F(RunRecordTest, ReadsBackWhatTheTrainingSaid) {
  const RunRecord record = read_run(run());
  EXPECT_EQ(to_toml(record.recipe), to_toml(test::toy_recipe()));
  EXPECT_EQ(record.environment.seed, 3u);
  EXPECT_EQ(record.environment.threads, 2u);
  EXPECT_FALSE(record.environment.cpu.empty());
  ASSERT_EQ(record.epochs.size(), history_.epochs.size());
  for (std::size_t i = 0; i < record.epochs.size(); ++i) {
    const EpochRecord& was = history_.epochs[i];
    EXPECT_EQ(record.epochs[i].train_loss, was.train_loss);
    EXPECT_EQ(record.epochs[i].max_test_acc, was.max_test_acc);
    ASSERT_EQ(record.epochs[i].activity.size(), was.activity.size());
    for (std::size_t k = 0; k < was.activity.size(); ++k) {
      EXPECT_EQ(record.epochs[i].activity[k].layer, was.activity[k].layer);
      EXPECT_EQ(record.epochs[i].activity[k].kind, was.activity[k].kind);
      EXPECT_EQ(record.epochs[i].activity[k].rate, was.activity[k].rate);
      EXPECT_EQ(record.epochs[i].activity[k].dead, was.activity[k].dead);
      EXPECT_EQ(record.epochs[i].activity[k].energy(), was.activity[k].energy());
    }
  }
  ASSERT_EQ(record.iterations.size(), test::kToySteps);
  EXPECT_EQ(record.iterations.front().iteration, 1u);
  EXPECT_EQ(record.iterations.back().iteration, test::kToySteps);
  EXPECT_GT(record.iterations.back().grad_norm, 0);
}

TEST_F(RunRecordTest, LeavesOutARowThatIsNotWhole) {
  std::ofstream(run() / "iterations.csv", std::ios::app) << "16,0.2";
  std::ofstream(run() / "metrics.csv", std::ios::app) << "4,0.";
  std::ofstream(run() / "monitors.csv", std::ios::app) << "4,input,spikes,36,0.5,0,0,1,0,0,1,0\n";
  const RunRecord record = read_run(run());
  EXPECT_EQ(record.iterations.size(), test::kToySteps);
  EXPECT_EQ(record.epochs.size(), 3u);
}

TEST_F(RunRecordTest, ReadsARunWithoutAFinishedEpochAndOneWithoutMonitors) {
  std::filesystem::remove(run() / "monitors.csv");
  EXPECT_TRUE(read_run(run()).epochs.front().activity.empty());
  std::ofstream(run() / "metrics.csv") << "epoch,train_loss,train_acc,test_loss,test_acc,max_test_acc,"
                                          "train_samples_per_second,test_samples_per_second,seconds\n";
  std::ofstream(run() / "iterations.csv") << "iteration,loss,batch_acc,grad_norm\n";
  EXPECT_TRUE(read_run(run()).epochs.empty());
  EXPECT_TRUE(read_run(run()).iterations.empty());
}

TEST_F(RunRecordTest, NamesTheFileThatIsNotATrainings) {
  expect_has(error_with("monitors.csv", "epoch\n"), "monitors.csv: expected the header epoch,layer");
  expect_has(error_with("iterations.csv", std::string(run_folder::kIterationsHeader) + "\n1,x,0,0\n"),
             "iterations.csv: line 2: expected a number as loss, found 'x'");
  expect_has(error_with("iterations.csv", std::string(run_folder::kIterationsHeader) + "\n1,0,0,0,9\n"),
             "iterations.csv: line 2: found more columns");
  expect_has(error_with("metrics.csv", ""), "metrics.csv: metrics: expected the header");
  for (const char* text : {"", "{", "[]", "{\"date\": 1}", "{\"date\": \"\", \"version\": {}}"}) {
    expect_has(error_with("environment.json", text),
               "environment.json: expected what a training writes into it, found something else");
  }
  std::filesystem::remove(run() / "environment.json");
  expect_has(error_text([&] { read_run(run()); }), "environment.json");
  expect_has(error_text([&] { read_run(folder_ / "none"); }), "expected a run folder with a recipe.toml");
}

}  // namespace
}  // namespace volley
