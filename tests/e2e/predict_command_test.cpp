#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include <volley/image.hpp>

#include "support/error_text.hpp"
#include "support/picture_file.hpp"
#include "support/toy_set_program.hpp"

namespace volley {
namespace {

using test::expect_has;
namespace fs = std::filesystem;

using PredictCommand = test::ToySetProgram;

TEST_F(PredictCommand, SaysWhatItSeesInAPicture) {
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

TEST_F(PredictCommand, ScalesAndInvertsAPicture) {
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

TEST_F(PredictCommand, SaysThatNoOutputFiredAndThatAPictureLooksInverted) {
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

TEST_F(PredictCommand, AndItsFigureInventNoLabel) {
  train();
  const std::string picture = "set/diagonal/" + first_of("set/diagonal");
  const ProgramResult result = volley({"predict", "run", picture, "--plot", "p.svg"});
  const std::string svg = read_file(folder_ / "p.svg", 1 << 24);
  expect_has(svg, ": taken for ");
  EXPECT_EQ(svg.find(", taken for "), std::string::npos);
  EXPECT_EQ(result.out.find("labelled"), std::string::npos);
}

TEST_F(PredictCommand, ASilentNetworkIsSaid) {
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

TEST_F(PredictCommand, AClassWithoutTestPicturesHasADash) {
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

TEST_F(PredictCommand, RefusesWrongPictures) {
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
  for (const char* index : {"-1", "1.5", "x"}) {
    expect_has(refused({"--index", index}, 2),
               fmt::format("--index: must be a whole number >= 0, got '{}'", index));
  }
  expect_has(refused({}, 2), "one of IMAGE and --index must be given");
  expect_has(refused({"large.pgm", "--index", "1"}, 2), "one of IMAGE and --index must be given");
  expect_has(refused({"--index", "1", "--plot", "a.jpg"}, 2),
             "a.jpg: the name of a picture must end in .png or .svg");
}

TEST_F(PredictCommand, NamesOfClassesStayInTheirLines) {
  fs::rename(folder_ / "set/row", folder_ / "set/\x1b[31mr\no\xffw");
  train();
  const std::string name = "\\x1b[31mr\\x0ao\\xffw";
  expect_has(volley({"eval", "run"}).out, "\n" + name + "  ");
  expect_has(volley({"predict", "run", "--index", "0"}).out, "\n" + name + " ");
  const ProgramResult json = volley({"eval", "run", "--json"});
  ASSERT_TRUE(json.ok()) << json.err;
  EXPECT_EQ(nlohmann::json::parse(json.out)["classes"].size(), 3u);
}

/// The lines of a text.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST_F(PredictCommand, OfAFolderGivesARowForEachPicture) {
  train();
  fs::create_directories(folder_ / "mine/more");
  const std::string row = read_file(folder_ / "set/row" / first_of("set/row"), 1 << 16);
  write_file_whole(folder_ / "mine/a, \"b\".pgm", row);
  write_file_whole(folder_ / "mine/black.pgm", "P5 6 6 255\n" + std::string(36, '\0'));
  write_file_whole(folder_ / "mine/more/paper.pgm", "P5 6 6 255\n" + std::string(36, '\xff'));
  write_file_whole(folder_ / "mine/.hidden", "no picture");
  const ProgramResult result = volley({"predict", "run", "mine"});
  ASSERT_TRUE(result.ok()) << result.err;
  const std::vector<std::string> lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 4u) << result.out;
  EXPECT_EQ(lines[0], "file,prediction,class,score,tied,score of column,score of diagonal,score of row");
  EXPECT_TRUE(lines[1].starts_with("\"a, \"\"b\"\".pgm\",")) << lines[1];
  EXPECT_EQ(lines[2], "black.pgm,,,0,0,0,0,0");
  EXPECT_TRUE(lines[3].starts_with("more/paper.pgm,")) << lines[3];
  expect_has(result.err, "3 pictures\nno output fired for 1 of them");
  expect_has(result.err, "1 of them look inverted; --invert turns them over");

  // A row is what the picture alone has, whatever else is in the folder.
  const auto json = nlohmann::json::parse(volley({"predict", "run", "mine", "--json"}).out);
  for (const auto& picture : json["pictures"]) {
    const std::string name = "mine/" + picture["file"].get<std::string>();
    const auto alone = nlohmann::json::parse(volley({"predict", "run", name, "--json"}).out);
    for (const char* key : {"prediction", "class", "silent", "scores"}) {
      EXPECT_EQ(picture[key], alone[key]) << name << " " << key;
    }
  }
  ASSERT_TRUE(volley({"predict", "run", "mine", "--out", "p.csv"}).ok());
  EXPECT_EQ(read_file(folder_ / "p.csv", 1 << 16), result.out);
}

TEST_F(PredictCommand, OfAFolderRefusesAllOfItOrNothing) {
  train();
  const auto refused = [&](std::vector<std::string> words, int code) {
    words.insert(words.begin(), {"predict", "run", "mine", "--out", "p.csv"});
    const ProgramResult result = volley(words);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_FALSE(has("p.csv"));
    return result.err;
  };
  fs::create_directories(folder_ / "mine");
  expect_has(refused({}, 1), "mine: expected a folder with pictures in it, found none");
  write_file_whole(folder_ / "mine/1.pgm", "P5 6 6 255\n" + std::string(36, 'x'));
  write_file_whole(folder_ / "mine/2.txt", "no picture");
  write_file_whole(folder_ / "mine/3.pgm", "P5 7 6 255\n" + std::string(42, 'x'));
  const std::string text = refused({}, 1);
  expect_has(text,
             "mine: must hold pictures alone, got\n    mine/2.txt: must be a PNG, JPEG, BMP or PGM file");
  expect_has(text, "mine/3.pgm: must be a picture of 6 x 6 pixels");
  expect_has(refused({"--plot", "p.png"}, 2), "--plot is for one picture, not for a folder");
  EXPECT_EQ(volley({"predict", "run", "mine/1.pgm", "--out", "p.csv"}).code, 2);
}

}  // namespace
}  // namespace volley
