#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <volley/error.hpp>

#include "figures/run_figures.hpp"
#include "run_spread.hpp"

namespace volley {
namespace {

using Value = double (*)(const EpochRecord&);

/// The mean of one number over the epochs, and the band about it, of the `color`-th colour.
void add_curve(Plot& plot, const std::string& name, const std::vector<RunRecord>& runs, Value value,
               std::size_t color) {
  Series band{.kind = Series::Kind::band, .color = color};
  for (std::size_t i = 0; i < common_epochs(runs); ++i) {
    const std::vector<EpochRecord> epochs = epoch_of_each(runs, i);
    const MeanAndSpread at = mean_and_spread(epochs, value);
    band.x.push_back(static_cast<double>(epochs.front().epoch));
    band.y.push_back(at.mean);
    band.spread.push_back(at.spread);
  }
  Series line{.name = name, .x = band.x, .y = band.y, .color = color};
  if (band.x.size() == 1) {
    line.spread = band.spread;  // a band of one epoch has no width
  } else {
    plot.series.push_back(std::move(band));
  }
  plot.series.push_back(std::move(line));
}

Figure seeds_figure(const std::vector<RunRecord>& runs, const std::string& what, const std::string& y_label,
                    const std::vector<std::pair<std::string, Value>>& curves, Value validation) {
  if (common_epochs(runs) == 0) throw Error("no epoch is finished by the run of every seed");
  Plot plot{.x = {.label = "epoch", .whole = true}, .y = {.label = y_label}};
  for (std::size_t i = 0; i < curves.size(); ++i) add_curve(plot, curves[i].first, runs, curves[i].second, i);
  if (runs.front().epochs.front().validation.has_value())
    add_curve(plot, "validation", runs, validation, curves.size());
  return {.title = fmt::format("{}: {}, mean and standard deviation of {} seeds", runs.front().recipe.name,
                               what, runs.size()),
          .plots = {std::move(plot)}};
}

}  // namespace

Figure seeds_loss_figure(const std::vector<RunRecord>& runs) {
  return seeds_figure(
      runs, "loss", "loss",
      {{"training", [](const EpochRecord& e) { return e.train_loss; }},
       {"test", [](const EpochRecord& e) { return e.test_loss; }}},
      [](const EpochRecord& e) { return e.validation.has_value() ? e.validation->loss : NAN; });
}

Figure seeds_accuracy_figure(const std::vector<RunRecord>& runs) {
  return seeds_figure(
      runs, "accuracy", "accuracy (%)",
      {{"training", [](const EpochRecord& e) { return 100 * e.train_acc; }},
       {"test", [](const EpochRecord& e) { return 100 * e.test_acc; }}},
      [](const EpochRecord& e) { return e.validation.has_value() ? 100 * e.validation->acc : NAN; });
}

std::span<const SeedsFigure> seeds_figures() {
  static constexpr std::array<SeedsFigure, 2> kFigures{
      {{"loss", seeds_loss_figure}, {"accuracy", seeds_accuracy_figure}}};
  return kFigures;
}

}  // namespace volley
