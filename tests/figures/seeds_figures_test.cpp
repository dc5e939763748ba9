#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "figures/run_figures.hpp"
#include "support/error_text.hpp"
#include "support/picture_file.hpp"
#include "support/toy_run.hpp"

namespace volley {
namespace {

/// Runs of seeds 0, 1, ... with these test accuracies.
std::vector<RunRecord> runs_with(const std::vector<std::vector<double>>& test_accs) {
  std::vector<RunRecord> runs;
  for (const std::vector<double>& accs : test_accs) {
    RunRecord& run = runs.emplace_back();
    run.recipe = test::toy_recipe();
    for (const double acc : accs) {
      run.epochs.push_back({.epoch = run.epochs.size() + 1,
                            .train_loss = 1 - acc,
                            .train_acc = acc / 2,
                            .test_loss = 2 - acc,
                            .test_acc = acc});
    }
  }
  return runs;
}

TEST(SeedsFigures, AreTheMeanInABandOfTheSpread) {
  const std::vector<RunRecord> runs = runs_with({{0.1, 0.4, 0.5}, {0.2, 0.6}, {0.3, 0.5, 0.9}});
  for (const SeedsFigure& one : seeds_figures()) {
    SCOPED_TRACE(one.name);
    const Figure figure = one.draw(runs);
    test::expect_has(figure.title, "mean and standard deviation of 3 seeds");
    ASSERT_EQ(figure.plots.at(0).series.size(), 4u);
    test::expect_picture(render(figure, PictureFormat::png), figure.width, figure.height);
    test::expect_well_formed(render(figure, PictureFormat::svg, Theme::dark));
  }
  const Plot plot = seeds_accuracy_figure(runs).plots.at(0);
  const Series &band = plot.series[2], &line = plot.series[3];
  EXPECT_EQ(band.kind, Series::Kind::band);
  EXPECT_TRUE(band.name.empty());
  EXPECT_EQ(line.name, "test");
  EXPECT_EQ(line.color, band.color);
  EXPECT_EQ(line.x, (std::vector<double>{1, 2})) << "one run has no third epoch";
  EXPECT_NEAR(line.y[0], 20, 1e-9);
  EXPECT_NEAR(line.y[1], 50, 1e-9);
  EXPECT_NEAR(band.spread[0], 10, 1e-9);
  EXPECT_NEAR(band.spread[1], 10, 1e-9);
  const std::string svg = render(seeds_accuracy_figure(runs), PictureFormat::svg);
  EXPECT_NE(render(seeds_accuracy_figure(runs_with({{0.2, 0.5}, {0.2, 0.5}})), PictureFormat::svg), svg);
}

TEST(SeedsFigures, OfOneEpochHaveBarsAndOfNoneAReason) {
  const Figure figure = seeds_loss_figure(runs_with({{0.1}, {0.3, 0.5}}));
  ASSERT_EQ(figure.plots.at(0).series.size(), 2u);
  EXPECT_NEAR(figure.plots[0].series[0].spread.at(0), 0.1 * std::sqrt(2), 1e-9);
  test::expect_picture(render(figure, PictureFormat::png), figure.width, figure.height);
  EXPECT_EQ(test::error_text([] {
              seeds_loss_figure(runs_with({{}, {0.3}}));
            }),
            "no epoch is finished by the run of every seed");
  std::vector<RunRecord> validated = runs_with({{0.1, 0.2}, {0.3, 0.5}});
  for (RunRecord& run : validated) {
    for (EpochRecord& epoch : run.epochs) epoch.validation = ValidationRecord{.loss = 3, .acc = 0.25};
  }
  EXPECT_EQ(seeds_loss_figure(validated).plots[0].series.at(5).y[0], 3);
  EXPECT_EQ(seeds_accuracy_figure(validated).plots[0].series.at(5).name, "validation");
}

}  // namespace
}  // namespace volley
