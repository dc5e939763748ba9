#include "statistics.hpp"

#include <fmt/format.h>

#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <volley/error.hpp>

namespace volley {

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double m = mean(values);
  double sum = 0;
  for (const double x : values) sum += (x - m) * (x - m);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double median(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double student_t(std::size_t degrees, double confidence) {
  if (degrees < 1) throw ArgumentError("statistics", "degrees must be >= 1", fmt::format("{}", degrees));
  if (!(confidence > 0 && confidence < 1)) {
    throw ArgumentError("statistics", "confidence must be > 0 and < 1", fmt::format("{}", confidence));
  }
  const boost::math::students_t distribution(static_cast<double>(degrees));
  return boost::math::quantile(distribution, (1 + confidence) / 2);
}

Interval paired_difference(std::span<const double> a, std::span<const double> b, double confidence) {
  if (a.empty() || a.size() != b.size()) {
    throw ArgumentError("statistics", "pairs must be complete and not none",
                        fmt::format("{} and {} values", a.size(), b.size()));
  }
  std::vector<double> differences(a.size());
  std::ranges::transform(a, b, differences.begin(), std::minus<>());
  Interval result{mean(differences), standard_deviation(differences)};
  if (a.size() > 1) {
    result.half_width *=
        student_t(a.size() - 1, confidence) / std::sqrt(static_cast<double>(differences.size()));
  }
  return result;
}

}  // namespace volley
