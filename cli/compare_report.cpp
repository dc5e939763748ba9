#include "compare_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>

#include "common.hpp"
#include "core/files.hpp"
#include "core/statistics.hpp"
#include "figures/figure.hpp"

namespace volley::cli {
namespace {

/// `field` of an epoch of every training.
std::vector<double> per_seed(const std::vector<Outcome>& outcomes, std::size_t epoch,
                             double EpochRecord::*field, double scale = 1) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) values.push_back(scale * (outcome.epochs[epoch].*field));
  return values;
}

double median_speed(const std::vector<Outcome>& outcomes, double EpochRecord::*field) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) {
    for (const EpochRecord& epoch : outcome.epochs) values.push_back(epoch.*field);
  }
  return median(values);
}

double peak_mib(const std::vector<Outcome>& outcomes) {
  double peak = 0;
  for (const Outcome& outcome : outcomes) peak = std::max(peak, outcome.peak_bytes);
  return peak / (1024 * 1024);
}

/// "91.53 +- 0.12", in percent; "91.53" for a single seed.
std::string accuracy_text(const std::vector<double>& points) {
  if (points.size() < 2) return fmt::format("{:.2f}", points.front());
  return fmt::format("{:.2f} +- {:.2f}", mean(points), standard_deviation(points));
}

struct EpochDifference {
  Interval interval;

  bool mean_within() const { return std::abs(interval.mean) <= kSamePoints; }
  bool known() const { return std::isfinite(interval.half_width); }
  bool all_within() const { return interval.low() >= -kSamePoints && interval.high() <= kSamePoints; }
};

EpochDifference difference_at(const Comparison& c, std::size_t epoch) {
  return {paired_difference(per_seed(c.ours, epoch, &EpochRecord::test_acc, 100),
                            per_seed(c.theirs, epoch, &EpochRecord::test_acc, 100))};
}

std::size_t epochs_of(const Comparison& c) { return c.ours.front().epochs.size(); }

std::string accuracy_table(const Comparison& c) {
  std::string text = fmt::format(
      "| epoch | volley, % | {}, % | difference, points | 95 % interval | mean within +-{} | interval within "
      "+-{} |\n|---|---|---|---|---|---|---|\n",
      c.peer, kSamePoints, kSamePoints);
  for (std::size_t e = 0; e < epochs_of(c); ++e) {
    const EpochDifference d = difference_at(c, e);
    text += fmt::format("| {} | {} | {} | {:+.2f} | {} | {} | {} |\n", e + 1,
                        accuracy_text(per_seed(c.ours, e, &EpochRecord::test_acc, 100)),
                        accuracy_text(per_seed(c.theirs, e, &EpochRecord::test_acc, 100)), d.interval.mean,
                        d.known() ? fmt::format("{:+.2f} to {:+.2f}", d.interval.low(), d.interval.high())
                                  : "needs two seeds",
                        d.mean_within() ? "yes" : "no",
                        !d.known()       ? "-"
                        : d.all_within() ? "yes"
                                         : "no");
  }
  return text;
}

std::string verdict(const Comparison& c) {
  const std::size_t first = std::min<std::size_t>(1, epochs_of(c) - 1);  // the first epoch is still moving
  double most = 0;
  bool within = true;
  bool intervals = true;
  bool known = true;
  for (std::size_t e = first; e < epochs_of(c); ++e) {
    const EpochDifference d = difference_at(c, e);
    most = std::max(most, std::abs(d.interval.mean));
    within = within && d.mean_within();
    known = known && d.known();
    intervals = intervals && d.known() && d.all_within();
  }
  std::string text = fmt::format("From epoch {} on, the mean difference is {} +-{} points (largest {:.2f})",
                                 first + 1, within ? "within" : "NOT always within", kSamePoints, most);
  if (known) text += fmt::format("; its 95 % interval is {}", intervals ? "too" : "not always");
  return text + ".\n";
}

std::string cost_table(const Comparison& c) {
  std::string text = fmt::format("| | volley | {} | ratio |\n|---|---|---|---|\n", c.peer);
  const auto speed = [&](const char* what, double EpochRecord::*field) {
    const double ours = median_speed(c.ours, field);
    const double theirs = median_speed(c.theirs, field);
    text += fmt::format("| {} | {} | {} | {:.1f} times as many |\n", what, grouped(ours), grouped(theirs),
                        ours / theirs);
  };
  speed("training samples per second", &EpochRecord::train_samples_per_second);
  speed("test samples per second", &EpochRecord::test_samples_per_second);
  const double ours = peak_mib(c.ours);
  const double theirs = peak_mib(c.theirs);
  text += fmt::format("| peak memory, MiB | {:.0f} | {:.0f} | {:.2f} of it |\n", ours, theirs, ours / theirs);
  text += fmt::format("| threads | {} | {} | |\n", c.ours.front().threads, c.theirs.front().threads);
  return text;
}

std::string csv(const Comparison& c) {
  std::string text =
      "program,seed,epoch,train_loss,train_acc,test_loss,test_acc,train_samples_per_second,"
      "test_samples_per_second,peak_bytes,threads\n";
  const auto rows = [&](const std::string& program, const std::vector<Outcome>& outcomes) {
    for (std::size_t s = 0; s < outcomes.size(); ++s) {
      for (const EpochRecord& e : outcomes[s].epochs) {
        text += fmt::format("{},{},{},{},{},{},{},{:.1f},{:.1f},{:.0f},{}\n", program, c.seeds[s], e.epoch,
                            e.train_loss, e.train_acc, e.test_loss, e.test_acc, e.train_samples_per_second,
                            e.test_samples_per_second, outcomes[s].peak_bytes, outcomes[s].threads);
      }
    }
  };
  rows("volley", c.ours);
  rows(c.peer, c.theirs);
  return text;
}

Series accuracy_curve(const std::string& name, const std::vector<Outcome>& outcomes) {
  Series curve{.name = name};
  for (std::size_t e = 0; e < outcomes.front().epochs.size(); ++e) {
    const std::vector<double> points = per_seed(outcomes, e, &EpochRecord::test_acc, 100);
    curve.x.push_back(static_cast<double>(e + 1));
    curve.y.push_back(mean(points));
    curve.spread.push_back(standard_deviation(points));
  }
  return curve;
}

Figure figure(const Comparison& c) {
  const std::size_t seeds = c.seeds.size();
  return {.title = c.recipe + ": test accuracy",
          .plots = {{.x = {.label = "epoch", .whole = true},
                     .y = {.label = fmt::format("accuracy (%, mean of {} seed{})", seeds,
                                                seeds == 1 ? "" : "s, +- standard deviation")},
                     .series = {accuracy_curve("volley", c.ours), accuracy_curve(c.peer, c.theirs)}}}};
}

}  // namespace

std::string report_markdown(const Comparison& c) {
  std::string text = fmt::format("# {}: volley and {}\n\nTest accuracy, mean{} over {} seed{}:\n\n", c.recipe,
                                 c.peer, c.seeds.size() > 1 ? " +- standard deviation" : "", c.seeds.size(),
                                 c.seeds.size() == 1 ? "" : "s");
  text += accuracy_table(c) + "\n" + verdict(c);
  if (c.seeds.size() > 1) {
    text += fmt::format(
        "The interval is Student's t with {} degree{} of freedom for the mean of the differences, volley "
        "minus "
        "{}, paired by seed.\n",
        c.seeds.size() - 1, c.seeds.size() == 2 ? "" : "s", c.peer);
  }
  text += "\n" + cost_table(c) +
          "\nSpeeds are medians over epochs and seeds; memory is the largest.\n\n| | |\n|---|---|\n";
  for (const auto& [what, value] : c.notes) text += fmt::format("| {} | {} |\n", what, value);
  return text;
}

std::string write_report(const Comparison& comparison, const std::filesystem::path& folder) {
  write_file_whole(folder / "compare.md", report_markdown(comparison));
  write_file_whole(folder / "compare.csv", csv(comparison));
  try {
    const std::filesystem::path picture = folder / "accuracy.png";
    write_figure(figure(comparison), picture);
    return picture.string();
  } catch (const Error& error) {
    return fmt::format("none: {}", error.what());
  }
}

}  // namespace volley::cli
