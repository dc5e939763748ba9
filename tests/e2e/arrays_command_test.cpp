#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include <volley/recipe.hpp>
#include <volley/source.hpp>

#include "core/files.hpp"
#include "data/array_bytes.hpp"
#include "support/error_text.hpp"
#include "support/program.hpp"
#include "support/random.hpp"
#include "support/temp_folder.hpp"
#include "support/test_file.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

namespace fs = std::filesystem;

using test::expect_has;

/// Recipes of arrays, trained by the program.
class ArraysCommand : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& bytes) { write_file_whole(folder_ / name, bytes); }
  ProgramResult volley(const std::vector<std::string>& arguments) {
    return test::run_volley(arguments, {.folder = folder_.path()});
  }
  /// Of both checkpoints.
  auto tensors_of(const std::string& run) { return test::result_of(folder_ / run).tensors; }

  /// Sequences of unequal length: the class says in which half of its life a sample is strong.
  void write_waves(bool zip) {
    test::Random random(5);
    std::vector<float> x;
    std::vector<std::uint8_t> y, lengths;
    for (std::uint32_t n = 0; n < 120; ++n) {
      const std::uint32_t length = 4 + random.below(5);
      for (std::uint32_t t = 0; t < length; ++t) {
        for (int i = 0; i < 3; ++i) {
          const bool early = t < length / 2;
          x.push_back(static_cast<float>(random.uniform(0, 1) + (early == (n % 2 == 0) ? 1.5 : 0)));
        }
      }
      y.push_back(static_cast<std::uint8_t>(n % 2));
      lengths.push_back(static_cast<std::uint8_t>(length));
    }
    const std::string steps = fmt::format("({}, 3)", x.size() / 3);
    const std::string of_x = test::npy_bytes("<f4", steps, test::bytes_of(x));
    const std::string of_y = test::npy_bytes("|u1", "(120,)", test::bytes_of(y));
    const std::string of_lengths = test::npy_bytes("|u1", "(120,)", test::bytes_of(lengths));
    if (zip) {
      write("waves.npz",
            test::zip_bytes({{"x.npy", of_x}, {"y.npy", of_y}, {"lengths.npy", of_lengths, true}}));
      return;
    }
    fs::create_directories(folder_ / "waves");
    write("waves/x.npy", of_x);
    write("waves/y.npy", of_y);
    write("waves/lengths.npy", of_lengths);
    write("waves/classes.txt", "early\nlate\n");
  }
  void write_recipe(const std::string& data, const std::string& loss, std::size_t in, std::size_t out) {
    write("own.toml", fmt::format(R"(
name = "own"
data = "{}"
epochs = 3
[training]
steps = 8
batch = 16
threads = 2
[encoder]
kind = "direct"
[loss]
{}
[optimizer]
kind = "adam"
lr = 0.02
[[network]]
kind = "linear"
in = {}
out = 16
[[network]]
kind = "recurrent"
features = 16
[[network]]
kind = "linear"
in = 16
out = {}
[[network]]
kind = "li"
)",
                                  data, loss, in, out));
  }

  test::TempFolder folder_;
};

constexpr const char* kClasses = "kind = \"membrane_cross_entropy\"\nreadout = \"mean\"";

TEST_F(ArraysCommand, SequencesTrainEvaluateResumeAndReport) {
  for (const bool zip : {true, false}) {
    SCOPED_TRACE(zip);
    write_waves(zip);
    write_recipe(zip ? "./waves.npz" : "./waves/", kClasses, 3, 2);
    const std::string run = zip ? "a" : "b";
    const ProgramResult trained = volley({"train", "own.toml", "--out", run, "--epochs", "6"});
    ASSERT_TRUE(trained.ok()) << trained.err;
    expect_has(trained.out, "96 training and 24 test samples, direct");
    expect_has(trained.out, "T <= 8");
    const ProgramResult evaluated = volley({"eval", run});
    ASSERT_TRUE(evaluated.ok()) << evaluated.err;
    expect_has(evaluated.out, "24 samples, T <= 8");
    expect_has(evaluated.out, zip ? "\n1      " : "\nlate ");
    const std::size_t at = evaluated.out.find("accuracy  ");
    EXPECT_GT(std::stod(evaluated.out.substr(at + 10)), 0.7);
    ASSERT_TRUE(volley({"eval", run, "--json", "--split", "train"}).ok());
    const ProgramResult reported = volley({"report", run});
    ASSERT_TRUE(reported.ok()) << reported.err;
    // Half of the epochs, and on: the same weights.
    const std::string half = run + "2";
    ASSERT_TRUE(volley({"train", "own.toml", "--out", half, "--epochs", "3", "--no-figures"}).ok());
    ASSERT_TRUE(volley({"train", "--resume", half, "--epochs", "6", "--no-figures"}).ok());
    EXPECT_EQ(tensors_of(run), tensors_of(half));
  }
  // The same samples from another kind of file.
  EXPECT_EQ(tensors_of("a"), tensors_of("b"));
}

TEST_F(ArraysCommand, ATableTrainsARegression) {
  std::string table = "a,b,y\n";
  test::Random random(3);
  for (int n = 0; n < 80; ++n) {
    const double a = random.uniform(0, 1), b = random.uniform(0, 1);
    table += fmt::format("{:.4f},{:.4f},{:.4f}\n", a, b, a + 0.5 * b);
  }
  write("table.csv", table);
  write_recipe("./table.csv", "kind = \"mse\"", 2, 1);
  const ProgramResult trained = volley({"train", "own.toml", "--out", "run", "--epochs", "20"});
  ASSERT_TRUE(trained.ok()) << trained.err;
  EXPECT_EQ(trained.out.find("acc 0"), std::string::npos) << trained.out;
  EXPECT_EQ(trained.out.find("nan"), std::string::npos) << trained.out;
  const ProgramResult evaluated = volley({"eval", "run"});
  ASSERT_TRUE(evaluated.ok()) << evaluated.err;
  expect_has(evaluated.out, "errors    mean absolute ");
  EXPECT_EQ(evaluated.out.find("accuracy"), std::string::npos);
  expect_has(volley({"eval", "run", "--json"}).out, "\"accuracy\": null");
  ASSERT_TRUE(volley({"report", "run"}).ok());
  ASSERT_TRUE(volley({"train", "--resume", "run", "--epochs", "21", "--no-figures"}).ok());
}

TEST_F(ArraysCommand, WhatIsWrongIsSaid) {
  write_recipe("./none.npz", kClasses, 3, 2);
  const ProgramResult missing = volley({"train", "own.toml", "--out", "run"});
  EXPECT_EQ(missing.code, 1);
  expect_has(missing.err, "none.npz");
  write("bad.csv", "a,b\n1,2\n3,x\n");
  write_recipe("./bad.csv", kClasses, 2, 2);
  const ProgramResult bad = volley({"train", "own.toml", "--out", "run"});
  EXPECT_EQ(bad.code, 1);
  expect_has(bad.err, "bad.csv");
  write_waves(true);
  write_recipe("./waves.npz", kClasses, 4, 2);
  const ProgramResult shape = volley({"train", "own.toml", "--out", "run"});
  EXPECT_EQ(shape.code, 1);
  expect_has(shape.err, "[linear]");
  write_recipe("./waves.npz", kClasses, 3, 2);
  for (const char* setting : {"encoder.kind=poisson", "augment.flip=true"}) {
    const ProgramResult set = volley({"train", "own.toml", "--out", "run", "--set", setting});
    EXPECT_EQ(set.code, 1) << setting;
    expect_has(set.err,
               setting[0] == 'e' ? "[poisson] takes samples without steps" : "augmentation is for pictures");
  }
  const ProgramResult pictures = volley({"bench", "own.toml"});
  EXPECT_NE(pictures.code, 0);
  expect_has(pictures.err, "expected pictures");
  EXPECT_FALSE(fs::exists(folder_ / "run")) << "nothing is left behind";
}

/// Braille letters, by touch: sequences of a real sensor.
TEST_F(ArraysCommand, BrailleLettersAreLearned) {
  VOLLEY_NEEDS_FILE("derived/braille_letters.npz");
  write_recipe(test::test_file("derived/braille_letters.npz").string(), kClasses, 12, 27);
  const ProgramResult trained =
      volley({"train",
              "own.toml",
              "--out",
              "run",
              "--epochs",
              "6",
              "--no-figures",
              "--set",
              "encoder.mean=[255, 233, 255, 255, 255, 255, 90, 255, 255, 255, 248, 255]",
              "--set",
              "encoder.std=[1, 20, 1, 1, 1, 1, 13, 1, 1, 1, 1, 1]",
              "--set",
              "network.1.features=64",
              "--set",
              "network.0.out=64",
              "--set",
              "network.2.in=64",
              "--set",
              "optimizer.lr=0.004",
              "--set",
              "network.1.neuron.kind=cuba_lif",
              "--set",
              "network.3.tau=20.0"});
  ASSERT_TRUE(trained.ok()) << trained.err;
  expect_has(trained.out, "1080 training and 270 test samples");
  const std::size_t at = trained.out.rfind("test loss");
  const std::string rest = trained.out.substr(trained.out.rfind("last "));
  SCOPED_TRACE(trained.out.substr(at));
  // epoch, training loss, accuracy, test loss, accuracy: a guess has 0.037
  EXPECT_GT(std::stod(rest.substr(rest.find_last_of(' ', rest.find('\n')))), 0.6);
}

}  // namespace
}  // namespace volley
