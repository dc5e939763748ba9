#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include <volley/checkpoint.hpp>
#include <volley/image.hpp>

#include "figures/run_figures.hpp"
#include "support/error_text.hpp"
#include "support/picture_file.hpp"
#include "support/program.hpp"
#include "support/running_program.hpp"
#include "support/toy_set_program.hpp"

namespace volley {
namespace {

using test::expect_has;
using test::run_volley;
namespace fs = std::filesystem;

using PlotCommand = test::ToySetProgram;

TEST_F(PlotCommand, DrawsAllThatARunAllows) {
  train();
  const ProgramResult result = volley({"plot", "run"});
  ASSERT_TRUE(result.ok()) << result.err;
  for (const RunFigure& figure : run_figures()) {
    EXPECT_TRUE(has(std::string("run/figures/") + figure.name + ".png")) << figure.name;
    expect_has(result.out, std::string("run/figures/") + figure.name + ".png");
  }
  EXPECT_EQ(result.out.find("not drawn"), std::string::npos);
}

TEST_F(PlotCommand, DrawsWhatItIsAskedForWhereItIsTold) {
  train();
  const ProgramResult result = volley({"plot", "run", "loss", "raster", "--format", "svg", "--theme", "dark",
                                       "--out", "a 'b'", "--index", "3"});
  ASSERT_TRUE(result.ok()) << result.err;
  EXPECT_FALSE(has("run/figures"));
  test::expect_well_formed(read_file(folder_ / "a 'b'/loss.svg", 1 << 20));
  expect_has(read_file(folder_ / "a 'b'/raster.svg", 1 << 20), "picture 3 of ");
  const auto files = std::distance(fs::directory_iterator(folder_ / "a 'b'"), fs::directory_iterator());
  EXPECT_EQ(files, 2);
}

TEST_F(PlotCommand, NamesWhatItCouldNotDrawAndWhy) {
  train();
  fs::remove(folder_ / "run/monitors.csv");
  fs::remove_all(folder_ / "set");
  const ProgramResult some = volley({"plot", "run"});
  ASSERT_TRUE(some.ok()) << some.err;
  expect_has(some.out, "not drawn:\nactivity    this run has no monitors.csv");
  expect_has(some.out, "confusion   ");
  EXPECT_TRUE(has("run/figures/loss.png"));
  EXPECT_FALSE(has("run/figures/confusion.png"));
  const ProgramResult asked = volley({"plot", "run", "sparsity"});
  EXPECT_EQ(asked.code, 1);
  EXPECT_EQ(asked.err, "volley plot: sparsity: this run has no monitors.csv (training.monitors)\n");
}

TEST_F(PlotCommand, WrongUseIsRefused) {
  train();
  const ProgramResult unknown = volley({"plot", "run", "acuracy"});
  EXPECT_EQ(unknown.code, 2);
  expect_has(unknown.err, "unknown figure 'acuracy'; did you mean 'accuracy'?");
  EXPECT_EQ(volley({"plot", "run", "--format", "gif"}).code, 2);
  EXPECT_EQ(volley({"plot", "run", "--index", "-1"}).code, 2);
  EXPECT_EQ(volley({"plot"}).code, 2);
  const ProgramResult none = volley({"plot", "set"});
  EXPECT_EQ(none.code, 1);
  expect_has(none.err, "set: expected a run folder with a recipe.toml, found none");
  expect_has(volley({"plot", "run", "raster", "--index", "99"}).err, "must be 0 to 11, got 99");
}

TEST_F(PlotCommand, WithoutGnuplotEverythingElseWorks) {
  const ProgramResult trained = volley({"train", "toy.toml", "--out", "run"}, false);
  ASSERT_TRUE(trained.ok()) << trained.err;
  expect_has(trained.out,
             "figures     none: gnuplot was not found in PATH; install it (apt-get install gnuplot-nox)\n");
  EXPECT_TRUE(has("run/checkpoint_best.safetensors"));
  const std::string missing =
      "[figures] gnuplot was not found in PATH; install it (apt-get install gnuplot-nox)\n";
  for (const std::vector<std::string>& words : {std::vector<std::string>{"plot", "run"},
                                                {"encode", "set/row/" + first_of("set/row")},
                                                {"data", "show", "./set"}}) {
    const ProgramResult result = volley(words, false);
    EXPECT_EQ(result.code, 1) << words[0];
    expect_has(result.err, missing);
  }
  EXPECT_TRUE(volley({"predict", "run", "--index", "0"}, false).ok());
  const ProgramResult info = volley({"info"}, false);
  EXPECT_TRUE(info.ok());
  expect_has(info.out, "gnuplot was not found");
}

TEST_F(PlotCommand, ATrainingDrawsItsFiguresAtTheEnd) {
  const ProgramResult result = volley({"train", "toy.toml", "--out", "run"});
  ASSERT_TRUE(result.ok()) << result.err;
  expect_has(result.out, "figures     run/figures\n");
  EXPECT_TRUE(has("run/figures/confusion.png"));
}

TEST_F(PlotCommand, AnInterruptedTrainingDrawsWhatItHas) {
  Recipe recipe = load_recipe((folder_ / "toy.toml").string());
  recipe.data = (folder_ / "set").string();
  write_file_whole(folder_ / "toy.toml", to_toml(recipe));
  const std::string run = (folder_ / "run").string();
  test::RunningProgram program({"train", (folder_ / "toy.toml").string(), "--epochs", "100000", "--out", run},
                               folder_ / "out");
  ASSERT_TRUE(program.wait_until([&] { return has("run/checkpoint_best.safetensors"); }));
  program.signal(SIGINT);
  ASSERT_TRUE(program.ends_within(std::chrono::minutes(1)));
  EXPECT_EQ(program.code(), 130);
  const std::string out = read_file(folder_ / "out", 1 << 24);
  expect_has(out, "the checkpoint is written");
  expect_has(out, "resume      volley train --resume " + run);
  EXPECT_TRUE(has("run/figures/loss.png"));
  EXPECT_TRUE(has("run/figures/raster.png"));
  EXPECT_FALSE(has("run/figures/confusion.png")) << "a whole evaluation is not what one waits for";
  Checkpoint(folder_ / "run/checkpoint_latest.safetensors");
}

TEST_F(PlotCommand, NeuronDrawsItsTrace) {
  for (const std::string model : {"lif", "alif", "izhikevich"}) {
    const ProgramResult result =
        volley({"neuron", model, "--current", "step:2@10-60", "--plot", "n.png", "--out", "n.csv"});
    ASSERT_TRUE(result.ok()) << result.err;
    test::expect_picture(read_file(folder_ / "n.png", 1 << 24), 960, 680);
  }
  EXPECT_EQ(volley({"neuron", "lif", "--current", "constant:2", "--plot", "n.gif"}).code, 2);
}

}  // namespace
}  // namespace volley
