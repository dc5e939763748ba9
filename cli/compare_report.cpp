#include "compare_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>
#include <volley/files.hpp>

#include "common.hpp"
#include "figures/figure.hpp"
#include "statistics.hpp"

namespace volley::cli {
namespace {

/// `field` of an epoch of every training.
std::vector<double> per_seed(const std::vector<Outcome>& outcomes, std::size_t epoch,
                             double EpochRecord::*field, double scale = 1) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) values.push_back(scale * (outcome.epochs[epoch].*field));
  return values;
}

/// Of the second and later epochs; of the first where there is no other.
double median_speed(const std::vector<Outcome>& outcomes, double EpochRecord::*field) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) {
    for (std::size_t e = outcome.epochs.size() > 1 ? 1 : 0; e < outcome.epochs.size(); ++e)
      values.push_back(outcome.epochs[e].*field);
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

/// One program, as its row has it.
struct Cost {
  std::string name;
  double training = 0, test = 0;       // samples per second
  double startup = 0, first_step = 0;  // seconds
  double peak = 0;                     // MiB
  std::size_t threads = 0;
};

Cost cost_of(const Comparison& c, const std::string& name, const std::vector<Outcome>& outcomes) {
  std::vector<double> startup, first_step;
  for (const Outcome& outcome : outcomes) {
    startup.push_back(outcome.startup_seconds(c.train_samples, c.test_samples));
    first_step.push_back(outcome.first_step_seconds);
  }
  return {.name = name,
          .training = median_speed(outcomes, &EpochRecord::train_samples_per_second),
          .test = median_speed(outcomes, &EpochRecord::test_samples_per_second),
          .startup = median(startup),
          .first_step = median(first_step),
          .peak = peak_mib(outcomes),
          .threads = outcomes.front().threads};
}

std::string cost_table(const Comparison& c) {
  const Cost ours = cost_of(c, c.own_version, c.ours);
  std::vector<Cost> theirs{cost_of(c, c.peer_version + ", eager", c.theirs)};
  if (c.compiled.has_value()) theirs.push_back(cost_of(c, c.peer_version + ", torch.compile", {*c.compiled}));
  std::string text =
      "| | training samples/s | test samples/s | start-up, s | compilation, s | peak memory, MiB | threads "
      "|\n"
      "|---|---|---|---|---|---|---|\n";
  const auto row = [&](const Cost& cost) {
    text +=
        fmt::format("| {} | {} | {} | {:.1f} | {:.1f} | {:.0f} | {} |\n", cost.name, grouped(cost.training),
                    grouped(cost.test), cost.startup, cost.first_step, cost.peak, cost.threads);
  };
  row(ours);
  for (const Cost& cost : theirs) row(cost);
  const auto slower = [](const Cost& a, const Cost& b) { return a.training < b.training; };
  const Cost& faster = *std::ranges::max_element(theirs, slower);
  text += fmt::format("| ratio, {} to {} | {:.1f} | {:.1f} | | | {:.2f} | |\n", ours.name, faster.name,
                      ours.training / faster.training, ours.test / faster.test, ours.peak / faster.peak);
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
  if (c.compiled.has_value()) rows(c.peer + "-compiled", {*c.compiled});
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

double Outcome::startup_seconds(std::size_t train_samples, std::size_t test_samples) const {
  double busy = 0;
  for (const EpochRecord& epoch : epochs) {
    busy += static_cast<double>(train_samples) / epoch.train_samples_per_second +
            static_cast<double>(test_samples) / epoch.test_samples_per_second;
  }
  return std::max(0.0, seconds - busy);
}

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
  text +=
      "\n" + cost_table(c) +
      "\nSpeeds are medians over the seeds and their second and later epochs, training and evaluation apart; "
      "memory is the largest. Start-up is what is neither: imports, loading, the end. Compilation is what "
      "the first step takes beyond a median one.\n\n| | |\n|---|---|\n";
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
