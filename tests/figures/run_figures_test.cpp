#include "figures/run_figures.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include <volley/volley.hpp>

#include "support/error_text.hpp"
#include "support/picture_file.hpp"
#include "support/temp_folder.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

using test::expect_has;

/// All that figures can be made of, from a training of a moment.
struct Made {
  test::TempFolder folder;
  test::ToyRun run;
  RunRecord record;
  SampleLife life;
  ClassReport classes;

  explicit Made(const Recipe& recipe, std::size_t sample = 1) : run(folder / "run", recipe) {
    run.train();
    record = read_run(folder / "run");
    test::ToyTraining& toy = run.training();
    const std::size_t T = recipe.training.steps;
    life = inspect(toy.net, recipe.build_parts(), toy.data.test, sample, T, {.purpose = Draw::Purpose::test});
    classes = class_report(toy.trainer.evaluate(toy.data.test, 3), toy.data.test);
  }
  FigureSource source() { return {&record, &run.training().net, &run.training().data.test, &life, &classes}; }
  Figure figure(const std::string& name) {
    for (const RunFigure& one : run_figures()) {
      if (one.name == name) return one.draw(source());
    }
    throw Error("no figure of this name");
  }
};

TEST(RunFigures, EachOfARunIsAPicture) {
  Made made(test::toy_recipe());
  for (const RunFigure& one : run_figures()) {
    SCOPED_TRACE(one.name);
    const Figure figure = one.draw(made.source());
    EXPECT_FALSE(figure.title.empty());
    for (const Plot& plot : figure.plots) {
      EXPECT_TRUE(plot.bare || !plot.y.label.empty() || !plot.y.marks.empty()) << "an axis without a label";
    }
    test::expect_picture(render(figure, PictureFormat::png), figure.width, figure.height);
    test::expect_well_formed(render(figure, PictureFormat::svg, Theme::dark));
  }
  const Figure predicted = predict_figure(made.source());
  test::expect_picture(render(predicted, PictureFormat::png), predicted.width, predicted.height);
}

TEST(RunFigures, ShowWhatTheRecordSays) {
  Made made(test::toy_recipe());
  for (EpochRecord& epoch : made.record.epochs) {
    epoch.validation = {.loss = 0.1, .acc = 0.5 + 0.1 * static_cast<double>(epoch.epoch % 3)};  // 2 is best
  }
  const Figure loss = made.figure("loss");
  ASSERT_EQ(loss.plots[0].series.size(), 3u);
  EXPECT_EQ(loss.plots[0].series[2].name, "validation");
  EXPECT_EQ(loss.plots[0].series[0].y[2], made.record.epochs[2].train_loss);
  const Figure accuracy = made.figure("accuracy");
  const Series& best = accuracy.plots[0].series.back();
  ASSERT_EQ(best.x.size(), 1u);
  const auto epoch = static_cast<std::size_t>(best.x[0]);
  EXPECT_EQ(epoch, 2u);
  EXPECT_EQ(best.y[0], 100 * made.record.epochs[epoch - 1].test_acc);
  EXPECT_TRUE(made.figure("gradient").plots[0].y.log);
  // Every spike of the layer is a stroke of the raster, and every pixel of the picture a value of its panel.
  const Figure raster = made.figure("raster");
  ASSERT_EQ(raster.plots.size(), 3u);
  std::size_t fired = 0;
  for (const std::uint8_t s : made.life.layers[0].spikes) fired += s;
  EXPECT_EQ(raster.plots[1].series[0].x.size(), fired);
  EXPECT_EQ(raster.plots[2].y.marks[2].text, "diagonal");
  EXPECT_EQ(made.figure("weights").plots[0].maps.size(), 8u);
  const Figure confusion = made.figure("confusion");
  const std::vector<float>& shares = confusion.plots[0].maps[0].values;
  for (std::size_t label = 0; label < 3; ++label) {
    EXPECT_TRUE(std::isnan(shares[4 * label])) << "the diagonal has no colour";
    double mistakes = 0;
    for (std::size_t k = 0; k < 3; ++k)
      mistakes += k == label ? 0 : static_cast<double>(shares[3 * label + k]);
    EXPECT_NEAR(mistakes, 100 * (1 - made.classes.accuracy[label]), 1e-3);
  }
}

/// A row for each layer, a line to the next, an arc to each that reads over others, a dashed one of an
/// earlier step.
TEST(RunFigures, TheNetworkHasWhatEachLayerReads) {
  Made made(test::toy_recipe());
  Sequential& net = made.run.training().net;
  const std::size_t layers = net.size();
  const Figure chain = made.figure("network");
  EXPECT_EQ(chain.plots[0].notes.size(), layers + 1);
  EXPECT_EQ(chain.plots[0].series.size(), layers + 1);  // and the places
  EXPECT_EQ(chain.plots[0].notes[0].text.substr(0, 5), "input");
  const std::size_t features = net.output_shape(made.run.training().data.test.shape)[0];
  net.add(std::make_shared<Linear>(features, features), {.name = "again", .inputs = {"last@2"}});
  net.add(std::make_shared<Identity>(), {.name = "last", .inputs = {fmt::format("{}", layers - 1), "again"}});
  const Figure graph = made.figure("network");
  const std::vector<Series>& series = graph.plots[0].series;
  EXPECT_EQ(series.size(), layers + 1 + 3);
  EXPECT_EQ(std::ranges::count(series, Series::Kind::level, &Series::kind), 1);
  const auto has = [&](const std::string& text) {
    return std::ranges::any_of(graph.plots[0].notes, [&](const Note& note) { return note.text == text; });
  };
  EXPECT_TRUE(has("@2"));
  EXPECT_TRUE(has(fmt::format("last  identity  ({})  ADD of 2", features)));
}

TEST(RunFigures, AFewMistakesOfManyHaveTheStrongestColour) {  // 3 of 1000: not seen beside the diagonal
  Made made(test::toy_recipe());
  made.classes.confusion = {{1000, 0, 0}, {0, 997, 3}, {1, 0, 999}};
  const Figure figure = made.figure("confusion");
  EXPECT_NEAR(figure.plots[0].high, 0.3, 1e-9);
  made.classes.confusion = {{5, 0, 0}, {0, 5, 0}, {0, 0, 0}};
  EXPECT_EQ(made.figure("confusion").plots[0].high, 1);
}

TEST(RunFigures, NameTheEpochThatTheyAreOf) {
  Made made(test::toy_recipe());
  for (EpochRecord& epoch : made.record.epochs) epoch.test_acc = epoch.epoch == 2 ? 0.9 : 0.1;
  expect_has(made.figure("activity").title, "after epoch 2, the best");
  FigureSource source = made.source();
  source.epoch = 2;
  expect_has(confusion_figure(source).title, ", after epoch 2");
  expect_has(rates_figure(source).title, ", after epoch 2");
  made.record.iterations.resize(10000);
  EXPECT_EQ(made.figure("gradient").plots[0].series[0].name, "mean of 6 iterations");
}

TEST(RunFigures, StepsAreCountedFromZero) {
  Made made(test::toy_recipe());
  for (const char* name : {"encoding", "raster", "membrane", "heatmap"}) {
    const Figure figure = made.figure(name);
    const Axis& time = figure.plots.back().x;
    EXPECT_EQ(time.label, kTimeLabel) << name;
    EXPECT_EQ(time.low, -0.5) << name;
    EXPECT_EQ(time.high, 5.5) << name;
  }
  const Series h = made.figure("membrane").plots[1].series[0];
  EXPECT_EQ(h.x.front(), 0);
  EXPECT_EQ(h.x.back(), 5);
}

TEST(RunFigures, APictureWithoutALabelHasNone) {
  Made made(test::toy_recipe());
  FigureSource source = made.source();
  expect_has(predict_figure(source).title, "picture 1 of stripes: ");
  source.labelled = false;
  made.life.scores = {0.5f, 0.25f, 0};
  made.life.prediction = 0;
  const std::string prediction = source.data->classes[made.life.prediction];
  EXPECT_EQ(predict_figure(source).title, "picture 1 of stripes: taken for " + prediction);
  std::ranges::fill(made.life.scores, 0.0f);
  const Figure silent = predict_figure(source);
  EXPECT_EQ(silent.title, "picture 1 of stripes: no output fired");
  test::expect_picture(render(silent, PictureFormat::png), silent.width, silent.height);
}

TEST(RunFigures, SayWhyThereIsNone) {
  using test::error_text;
  Made made(test::toy_recipe());
  const auto why = [&](const std::string& name) { return error_text([&] { made.figure(name); }); };
  for (EpochRecord& epoch : made.record.epochs) epoch.activity.clear();
  EXPECT_EQ(why("sparsity"), "this run has no monitors.csv (training.monitors)");
  EXPECT_EQ(why("activity"), "this run has no monitors.csv (training.monitors)");
  made.record.epochs.clear();
  made.record.iterations.clear();
  EXPECT_EQ(why("loss"), "no epoch of this run is finished");
  EXPECT_EQ(why("gradient"), "no iteration of this run is recorded");
  EXPECT_EQ(error_text([&] { dataset_figure(made.run.training().data.test, 45, 1); }),
            "[data] first picture of stripes must be 0 to 44, got 45");
  made.life.layers.clear();
  EXPECT_EQ(why("membrane"), "this network has no neurons");
  EXPECT_EQ(why("heatmap"), "this network has no neurons");
}

TEST(RunFigures, NetworksOfOtherKindsHaveThemToo) {
  // Currents in place of spikes, convolutions, and a neuron that does not fire at the end.
  Recipe recipe = test::toy_recipe();
  recipe.encoder = DirectOptions{};
  recipe.network = {Conv2dOptions{.in_channels = 1, .out_channels = 4, .kernel_size = {3, 3}}, LIFOptions{},
                    FlattenOptions{}, LinearRecipe{{}, 64, 3}, LIOptions{}};
  recipe.loss = MembraneMseOptions{};
  Made made(recipe);
  for (const RunFigure& one : run_figures()) {
    SCOPED_TRACE(one.name);
    const Figure figure = one.draw(made.source());
    test::expect_picture(render(figure, PictureFormat::png), figure.width, figure.height);
  }
  EXPECT_EQ(made.figure("weights").plots[0].maps.size(), 4u);
  EXPECT_EQ(made.figure("encoding").plots[1].title, "its currents");
  const Figure predicted = predict_figure(made.source());
  test::expect_picture(render(predicted, PictureFormat::png), predicted.width, predicted.height);
}

}  // namespace
}  // namespace volley
