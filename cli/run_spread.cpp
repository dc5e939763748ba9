#include "run_spread.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "statistics.hpp"

namespace volley {

std::vector<EpochNumber> epoch_numbers(const std::vector<RunRecord>& runs) {
  std::vector<EpochNumber> numbers{{"train loss", [](const EpochRecord& e) { return e.train_loss; }},
                                   {"train acc", [](const EpochRecord& e) { return e.train_acc; }},
                                   {"test loss", [](const EpochRecord& e) { return e.test_loss; }},
                                   {"test acc", [](const EpochRecord& e) { return e.test_acc; }}};
  const bool validated = std::ranges::any_of(
      runs, [](const RunRecord& r) { return !r.epochs.empty() && r.epochs.back().validation.has_value(); });
  if (validated) {
    numbers.push_back({"validation acc", [](const EpochRecord& e) {
                         return e.validation.has_value() ? e.validation->acc : NAN;
                       }});
  }
  return numbers;
}

MeanAndSpread mean_and_spread(std::span<const EpochRecord> epochs, double (*value)(const EpochRecord&)) {
  std::vector<double> values;
  for (const EpochRecord& epoch : epochs) values.push_back(value(epoch));
  return {mean(values), standard_deviation(values)};
}

std::size_t common_epochs(const std::vector<RunRecord>& runs) {
  if (runs.empty()) return 0;
  return std::ranges::min(runs, {}, [](const RunRecord& run) { return run.epochs.size(); }).epochs.size();
}

std::vector<EpochRecord> epoch_of_each(const std::vector<RunRecord>& runs, std::size_t epoch) {
  std::vector<EpochRecord> all;
  for (const RunRecord& run : runs) all.push_back(run.epochs.at(epoch));
  return all;
}

std::vector<EpochRecord> best_of_each(const std::vector<RunRecord>& runs) {
  std::vector<EpochRecord> all;
  for (const RunRecord& run : runs) {
    if (!run.epochs.empty()) all.push_back(*std::ranges::max_element(run.epochs, {}, &EpochRecord::score));
  }
  return all;
}

std::vector<EpochRecord> last_of_each(const std::vector<RunRecord>& runs) {
  std::vector<EpochRecord> all;
  for (const RunRecord& run : runs) {
    if (!run.epochs.empty()) all.push_back(run.epochs.back());
  }
  return all;
}

std::string seeds_text(const std::vector<RunRecord>& runs) {
  constexpr std::size_t kMostNamed = 8;
  std::string text;
  for (const RunRecord& run : runs)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", run.recipe.training.seed);
  if (runs.size() <= kMostNamed) return text;
  return fmt::format("{} to {}", runs.front().recipe.training.seed, runs.back().recipe.training.seed);
}

}  // namespace volley
