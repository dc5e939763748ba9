#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/image.hpp"
#include "data/resize.hpp"
#include "figures/run_figures.hpp"
#include "storage/checkpoint.hpp"
#include "support/error_text.hpp"
#include "support/picture_file.hpp"
#include "support/program.hpp"
#include "support/running_program.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

using test::expect_has;
using test::run_volley;
namespace fs = std::filesystem;

/// A folder of pictures by class, and a recipe that trains on it in a moment.
class PlotCommand : public testing::Test {
 protected:
  PlotCommand() {
    const Dataset data = test::stripes(60, 1);
    for (std::size_t n = 0; n < data.size(); ++n) {
      const fs::path folder = folder_ / "set" / data.classes[data.labels[n]];
      fs::create_directories(folder);
      const std::span<const std::uint8_t> picture = data.picture(n);
      write_file_whole(folder / (std::to_string(n) + ".pgm"),
                       "P5 6 6 255\n" + std::string(picture.begin(), picture.end()));
    }
    // Without biases a black picture is silent; with low thresholds hardly another is.
    Recipe recipe = test::toy_recipe({"epochs=2", "data='./set'", "name='toy'", "network.1.bias=false",
                                      "network.3.bias=false", "network.2.v_threshold=0.05",
                                      "network.4.v_threshold=0.05"});
    write_file_whole(folder_ / "toy.toml", to_toml(recipe));
  }

  ProgramResult volley(std::vector<std::string> arguments, bool gnuplot = true) const {
    ProgramOptions options{.folder = folder_.path()};
    if (!gnuplot) options.environment = {{"PATH", folder_.path().string()}};
    return run_volley(arguments, options);
  }
  /// A run without figures.
  void train() const {
    const ProgramResult result = volley({"train", "toy.toml", "--out", "run", "--no-figures"});
    ASSERT_TRUE(result.ok()) << result.err;
    ASSERT_FALSE(fs::exists(folder_ / "run/figures"));
  }
  std::string first_of(const std::string& folder) const {
    return fs::directory_iterator(folder_ / folder)->path().filename().string();
  }
  bool has(const std::string& path) const { return fs::exists(folder_ / path); }

  test::TempFolder folder_;
};

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

TEST_F(PlotCommand, PredictSaysWhatItSeesInAPicture) {
  train();
  const std::string picture = "set/diagonal/" + first_of("set/diagonal");
  const ProgramResult result = volley({"predict", "run", picture, "--plot", "p.png"});
  ASSERT_TRUE(result.ok()) << result.err;
  expect_has(result.out, "class    ");
  expect_has(result.out, "firing rate");
  test::expect_picture(read_file(folder_ / "p.png", 1 << 24), 960, 760);
  const auto json = nlohmann::json::parse(volley({"predict", "run", picture, "--json"}).out);
  EXPECT_EQ(json["classes"], (std::vector<std::string>{"column", "diagonal", "row"}));
  EXPECT_EQ(json["scores"].size(), 3u);
  EXPECT_EQ(json["rates"].size(), 3u);
  EXPECT_EQ(json["class"], json["classes"][json["prediction"].get<std::size_t>()]);
  const auto test_picture = nlohmann::json::parse(volley({"predict", "run", "--index", "2", "--json"}).out);
  EXPECT_EQ(test_picture["index"], 2);
  EXPECT_LT(test_picture["label"], 3);
}

TEST_F(PlotCommand, PredictScalesAndInvertsAPicture) {
  train();
  const std::string name = "set/row/" + first_of("set/row");
  const Dataset picture = read_image(folder_ / name);
  const Dataset large = resized(picture, 18, 18);
  const auto pgm = [](const Dataset& data, int invert) {
    std::string text = fmt::format("P5 {} {} 255\n", data.shape[2], data.shape[1]);
    for (const std::uint8_t pixel : data.pixels) text += static_cast<char>(pixel ^ invert);
    return text;
  };
  write_file_whole(folder_ / "large.pgm", pgm(large, 0));
  write_file_whole(folder_ / "small.pgm", pgm(resized(large, 6, 6), 0));
  write_file_whole(folder_ / "inverted.pgm", pgm(picture, 255));
  const auto scores = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"predict", "run", "--json"});
    const ProgramResult result = volley(words);
    EXPECT_TRUE(result.ok()) << result.err;
    return nlohmann::json::parse(result.out)["scores"];
  };
  EXPECT_EQ(scores({"large.pgm", "--resize"}), scores({"small.pgm"}));
  EXPECT_EQ(scores({name, "--resize"}), scores({name}));
  EXPECT_EQ(scores({"inverted.pgm", "--invert"}), scores({name}));
  expect_has(volley({"predict", "run", "large.pgm"}).err, "got 18 x 18; --resize scales it");
  EXPECT_EQ(volley({"predict", "run", "--index", "0", "--invert"}).code, 2);
}

TEST_F(PlotCommand, PredictSaysThatNoOutputFiredAndThatAPictureLooksInverted) {
  train();
  write_file_whole(folder_ / "black.pgm", "P5 6 6 255\n" + std::string(36, '\0'));
  const ProgramResult black = volley({"predict", "run", "black.pgm", "--plot", "p.svg"});
  ASSERT_TRUE(black.ok()) << black.err;
  expect_has(black.out, "class    none: no output fired, all scores are 0\n");
  const std::string svg = read_file(folder_ / "p.svg", 1 << 24);
  expect_has(svg, "black.pgm: no output fired");
  EXPECT_EQ(svg.find("taken for"), std::string::npos);
  for (const char* power : {"e-0", "e-1"})
    EXPECT_EQ(svg.find(power), std::string::npos) << "an axis of almost nothing";
  const auto json = nlohmann::json::parse(volley({"predict", "run", "black.pgm", "--json"}).out);
  EXPECT_EQ(json["silent"], true);
  EXPECT_TRUE(json["prediction"].is_null() && json["class"].is_null());
  write_file_whole(folder_ / "paper.pgm", "P5 6 6 255\n" + std::string(36, '\xff'));
  expect_has(volley({"predict", "run", "paper.pgm"}).out,
             "note     the picture looks inverted: its border has a mean of 255, those of set test of ");
  EXPECT_EQ(volley({"predict", "run", "paper.pgm", "--invert"}).out.find("note"), std::string::npos);
}

TEST_F(PlotCommand, PredictAndItsFigureInventNoLabel) {
  train();
  const std::string picture = "set/diagonal/" + first_of("set/diagonal");
  const ProgramResult result = volley({"predict", "run", picture, "--plot", "p.svg"});
  const std::string svg = read_file(folder_ / "p.svg", 1 << 24);
  expect_has(svg, ": taken for ");
  EXPECT_EQ(svg.find(", taken for "), std::string::npos);
  EXPECT_EQ(result.out.find("labelled"), std::string::npos);
}

TEST_F(PlotCommand, ASilentNetworkIsSaid) {
  const ProgramResult trained = volley({"train", "toy.toml", "--out", "run", "--no-figures", "--set",
                                        "network.4.v_threshold=1e6", "--epochs", "1"});
  ASSERT_TRUE(trained.ok()) << trained.err;
  expect_has(trained.out, "warning: no output fired for 12 of 12 test pictures after epoch 1");
  expect_has(volley({"eval", "run"}).out, "silent    no output fired for 12 of 12 pictures");
  const auto json = nlohmann::json::parse(volley({"eval", "run", "--json"}).out);
  EXPECT_EQ(json["silent"], 12);
  EXPECT_EQ(json["tied"], 0);
  const std::string next = trained.out.substr(trained.out.find("try next"));
  EXPECT_EQ(next, "try next    volley eval run\n            volley train toy.toml --set optimizer.lr=0.01\n");
}

TEST_F(PlotCommand, AClassWithoutTestPicturesHasADash) {
  fs::create_directories(folder_ / "set/alone");  // its only picture is in the training set
  write_file_whole(folder_ / "set/alone/1.pgm", "P5 6 6 255\n" + std::string(36, 'x'));
  const ProgramResult trained = volley(
      {"train", "toy.toml", "--out", "run", "--no-figures", "--set", "network.3.out=4", "--epochs", "1"});
  ASSERT_TRUE(trained.ok()) << trained.err;
  expect_has(trained.out, "warning     no test pictures of 'alone'\n");
  expect_has(volley({"eval", "run"}).out, "\nalone          -      -     0     0     0     0\n");
  const auto json = nlohmann::json::parse(volley({"eval", "run", "--json"}).out);
  EXPECT_TRUE(json["class_accuracy"][0].is_null() && json["class_rate"][0].is_null());
  EXPECT_TRUE(json["class_accuracy"][1].is_number());
}

TEST_F(PlotCommand, PredictRefusesWrongPictures) {
  train();
  write_file_whole(folder_ / "large.pgm", "P5 7 6 255\n" + std::string(42, 'x'));
  write_file_whole(folder_ / "rubbish.png", "no picture");
  const auto refused = [&](std::vector<std::string> words, int code) {
    words.insert(words.begin(), {"predict", "run"});
    const ProgramResult result = volley(words);
    EXPECT_EQ(result.code, code);
    return result.err;
  };
  expect_has(refused({"large.pgm"}, 1), "large.pgm: must be a picture of 6 x 6 pixels, as those of ");
  expect_has(refused({"large.pgm"}, 1), "got 7 x 6");
  expect_has(refused({"rubbish.png"}, 1), "rubbish.png");
  expect_has(refused({"none.png"}, 1), "none.png");
  expect_has(refused({"--index", "12"}, 1), "must be 0 to 11, got 12");
  expect_has(refused({}, 2), "one of IMAGE and --index must be given");
  expect_has(refused({"large.pgm", "--index", "1"}, 2), "one of IMAGE and --index must be given");
  expect_has(refused({"--index", "1", "--plot", "a.jpg"}, 2),
             "a.jpg: the name of a picture must end in .png or .svg");
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
