#include "storage/metrics.hpp"

#include <fmt/format.h>

#include <volley/error.hpp>

#include "storage/csv_cells.hpp"

namespace volley {
namespace {

/// The columns in order: name, value, and the format of those that no one computes with. Those of a
/// validation are the last, where there is one.
template <class Self, class Visit>
void columns(Self& epoch, Visit&& visit) {
  visit("epoch", epoch.epoch, "{}");
  visit("train_loss", epoch.train_loss, "{}");
  visit("train_acc", epoch.train_acc, "{}");
  visit("test_loss", epoch.test_loss, "{}");
  visit("test_acc", epoch.test_acc, "{}");
  visit("max_test_acc", epoch.max_test_acc, "{}");
  visit("train_samples_per_second", epoch.train_samples_per_second, "{:.1f}");
  visit("test_samples_per_second", epoch.test_samples_per_second, "{:.1f}");
  visit("seconds", epoch.seconds, "{:.3f}");
  if (!epoch.validation.has_value()) return;
  visit("validation_loss", epoch.validation->loss, "{}");
  visit("validation_acc", epoch.validation->acc, "{}");
  visit("test_acc_at_best_validation", epoch.validation->test_acc_at_best, "{}");
}

/// An epoch without figures, that has a validation or none.
EpochRecord blank(bool validated) {
  EpochRecord epoch;
  if (validated) epoch.validation.emplace();
  return epoch;
}

EpochRecord parse_row(std::string_view row, bool validated, std::size_t line, const std::string& path) {
  EpochRecord epoch = blank(validated);
  CsvCells cells(row, path, fmt::format("metrics, line {}", line));
  columns(epoch, [&](const char* name, auto& value, const char*) { cells.number(name, value); });
  cells.end();
  return epoch;
}

}  // namespace

std::string metrics_header(bool validated) {
  std::string text;
  const EpochRecord epoch = blank(validated);
  columns(epoch, [&](const char* name, const auto&, const char*) {
    text += fmt::format("{}{}", text.empty() ? "" : ",", name);
  });
  return text;
}

std::string metrics_row(const EpochRecord& epoch) {
  std::string text;
  columns(epoch, [&](const char*, const auto& value, const char* format) {
    if (!text.empty()) text += ',';
    text += fmt::format(fmt::runtime(format), value);
  });
  return text;
}

std::string metrics_text(const std::vector<EpochRecord>& epochs) {
  std::string text = metrics_header(!epochs.empty() && epochs.front().validation.has_value()) + "\n";
  for (const EpochRecord& epoch : epochs) text += metrics_row(epoch) + "\n";
  return text;
}

std::vector<EpochRecord> parse_metrics(std::string_view text, const std::string& path) {
  const std::string_view header = take(text, '\n');
  const bool validated = header == metrics_header(true);
  if (!validated && header != metrics_header()) {
    throw FileError(path, fmt::format("metrics: expected the header {}, found another", metrics_header()));
  }
  std::vector<EpochRecord> epochs;
  while (!text.empty()) epochs.push_back(parse_row(take(text, '\n'), validated, epochs.size() + 2, path));
  return epochs;
}

}  // namespace volley
