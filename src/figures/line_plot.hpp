#pragma once

#include <string>
#include <vector>

#include "figures/picture.hpp"

namespace volley {

/// A curve through (x[i], y[i]), x ascending. With a `spread`, a bar of y - spread to y + spread stands at
/// every point.
struct Curve {
  std::string name;
  Color color;
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> spread;  // empty, or one for each point; NaN: no bar
};

/// Curves in one frame with axes, a grid at round numbers, and a legend.
struct LinePlot {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool whole_x = false;  // x counts something: marks at whole numbers only
  std::vector<Curve> curves;
};

/// Round numbers 1, 2 or 5 times a power of ten apart, at most `most` + 1, the first at or below `low`, the
/// last at or above `high`.
std::vector<double> axis_marks(double low, double high, std::size_t most, bool whole = false);

/// Throws Error when there is nothing to draw, or a point is not finite.
Picture draw(const LinePlot& plot, std::size_t width = 960, std::size_t height = 600);

}  // namespace volley
