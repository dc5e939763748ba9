#pragma once

#include <cstddef>
#include <span>

namespace volley {

double mean(std::span<const double> values);
/// Of a sample: divided by n - 1. NaN for fewer than two values.
double standard_deviation(std::span<const double> values);
/// The middle one, or the mean of the two in the middle.
double median(std::span<const double> values);

/// The t beyond which, on either side, a Student distribution of `degrees` >= 1 has 1 - `confidence`.
double student_t(std::size_t degrees, double confidence);

/// A mean and how far from it the true one may lie.
struct Interval {
  double mean = 0;
  double half_width = 0;  // NaN where one value says nothing about its spread

  double low() const { return mean - half_width; }
  double high() const { return mean + half_width; }
};

/// The confidence interval of the mean of a[i] - b[i] by Student's t with n - 1 degrees: mean +- t s /
/// sqrt(n). a and b are equally long and not empty.
Interval paired_difference(std::span<const double> a, std::span<const double> b, double confidence = 0.95);

}  // namespace volley
