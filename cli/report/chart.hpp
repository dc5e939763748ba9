#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "report/html.hpp"

namespace volley::report {

/// A curve through (x[i], y[i]), x ascending. A y that is not finite, or not positive where the axis is
/// logarithmic, is a gap.
struct Series {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> low, high;      // a band about the curve; empty: none
  std::optional<std::size_t> marked;  // a point with a ring about it
};

/// Curves over one axis, each with a colour and dashes of its own.
struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool logarithmic = false;
  std::vector<Series> series;
};

/// So many points at most, each the mean of as many neighbours; the band is from their least to their
/// greatest.
Series thinned(Series series, std::size_t most);

/// A number as a person reads it: "0.0123", "92.07", "1.2e-05".
std::string shown(double value);

/// A figure: the chart as SVG, a legend, and what a script needs to read values from it. Where no curve has a
/// point it says so.
void draw(Html& page, const Chart& chart);

}  // namespace volley::report
