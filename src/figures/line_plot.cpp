#include "figures/line_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <volley/error.hpp>

namespace volley {
namespace {

constexpr std::size_t kMargin = 24;
constexpr std::size_t kTitleScale = 3;
constexpr std::size_t kTextScale = 2;
constexpr std::size_t kTextHeight = Picture::kGlyphHeight * kTextScale;
constexpr std::size_t kGap = 10;  // between a text and what it belongs to

struct Axis {
  std::vector<double> marks;
  std::vector<std::string> labels;
  std::size_t from = 0, to = 0;  // the pixels of the first and of the last mark

  std::size_t pixel(double value) const {
    const double share = (value - marks.front()) / (marks.back() - marks.front());
    const double first = static_cast<double>(from);
    return static_cast<std::size_t>(std::lround(first + share * (static_cast<double>(to) - first)));
  }
};

struct Bounds {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    if (!std::isfinite(value)) {
      throw Error(fmt::format("[figures] a point of a curve must be a finite number, got {}", value));
    }
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

Axis make_axis(const Bounds& bounds, std::size_t most, bool whole) {
  Axis axis;
  axis.marks = axis_marks(bounds.low, bounds.high, most, whole);
  // As many digits behind the point as tell two marks apart.
  const double gap = axis.marks[1] - axis.marks[0];
  const int digits = std::max(0, static_cast<int>(std::ceil(-std::log10(gap) - 1e-9)));
  for (const double mark : axis.marks) axis.labels.push_back(fmt::format("{:.{}f}", mark + 0.0, digits));
  return axis;
}

double spread_at(const Curve& curve, std::size_t i) {
  const double spread = i < curve.spread.size() ? curve.spread[i] : 0;
  return std::isfinite(spread) ? spread : 0;
}

void draw_frame(Picture& picture, const LinePlot& plot, const Axis& x, const Axis& y) {
  for (std::size_t i = 0; i < y.marks.size(); ++i) {
    const std::size_t row = y.pixel(y.marks[i]);
    picture.fill(x.from, row, x.to - x.from + 1, 1, gray(i == 0 ? 0 : 220));
    picture.text(x.from - kGap - Picture::text_width(y.labels[i], kTextScale), row - kTextHeight / 2,
                 y.labels[i], kTextScale);
  }
  for (std::size_t i = 0; i < x.marks.size(); ++i) {
    const std::size_t column = x.pixel(x.marks[i]);
    picture.fill(column, y.to, 1, y.from - y.to + 1, gray(i == 0 ? 0 : 220));
    picture.text(column - Picture::text_width(x.labels[i], kTextScale) / 2, y.from + kGap, x.labels[i],
                 kTextScale);
  }
  picture.text(kMargin, kMargin, plot.title, kTitleScale);
  picture.text(kMargin, y.to - 2 * kGap - kTextHeight, plot.y_label, kTextScale);
  picture.text((x.from + x.to - Picture::text_width(plot.x_label, kTextScale)) / 2,
               y.from + 2 * kGap + kTextHeight, plot.x_label, kTextScale);
}

/// `thickness`: the first curves are the thicker ones, so that one does not hide another of the same values.
void draw_curve(Picture& picture, const Curve& curve, const Axis& x, const Axis& y, std::size_t thickness) {
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    const std::size_t column = x.pixel(curve.x[i]);
    const std::size_t row = y.pixel(curve.y[i]);
    const std::size_t half = thickness / 2;
    if (i > 0) {
      picture.line(x.pixel(curve.x[i - 1]) - half, y.pixel(curve.y[i - 1]) - half, column - half, row - half,
                   thickness, curve.color);
    }
    const std::size_t reach = thickness + 1;  // of the mark, to each side
    picture.fill(column - reach, row - reach, 2 * reach + 1, 2 * reach + 1, curve.color);
    const double spread = spread_at(curve, i);
    if (spread <= 0) continue;
    const std::size_t top = y.pixel(curve.y[i] + spread);
    const std::size_t bottom = y.pixel(curve.y[i] - spread);
    picture.fill(column, top, 1, bottom - top + 1, curve.color);
    picture.fill(column - 4, top, 9, 1, curve.color);
    picture.fill(column - 4, bottom, 9, 1, curve.color);
  }
}

/// In the lower right corner, where curves that rise leave room.
void draw_legend(Picture& picture, const LinePlot& plot, const Axis& x, const Axis& y) {
  std::size_t widest = 0;
  for (const Curve& curve : plot.curves) {
    widest = std::max(widest, Picture::text_width(curve.name, kTextScale));
  }
  constexpr std::size_t kSample = 30;
  const std::size_t line = kTextHeight + kGap;
  const std::size_t width = widest + kSample + 3 * kGap;
  const std::size_t height = plot.curves.size() * line + kGap;
  if (x.from + width + kGap > x.to || y.to + height + kGap > y.from) return;
  const std::size_t left = x.to - width - kGap;
  const std::size_t top = y.from - height - kGap;
  picture.fill(left - 1, top - 1, width + 2, height + 2, gray(160));
  picture.fill(left, top, width, height, gray(255));
  for (std::size_t i = 0; i < plot.curves.size(); ++i) {
    const std::size_t row = top + kGap + i * line;
    picture.fill(left + kGap, row + kTextHeight / 2 - 1, kSample, 3, plot.curves[i].color);
    picture.text(left + 2 * kGap + kSample, row, plot.curves[i].name, kTextScale);
  }
}

}  // namespace

std::vector<double> axis_marks(double low, double high, std::size_t most, bool whole) {
  if (!(high > low)) {
    const double room = whole ? 1 : std::max(std::abs(low) * 0.1, 1e-3);
    low -= whole ? 0 : room;
    high += room;
  }
  const double least = (high - low) / static_cast<double>(std::max<std::size_t>(most, 1));
  double unit = std::pow(10.0, std::floor(std::log10(least)));
  if (whole) unit = std::max(unit, 1.0);
  for (;; unit *= 10) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double gap = factor * unit;
      const double first = std::floor(low / gap + 1e-9);
      const double last = std::ceil(high / gap - 1e-9);
      if (last - first > static_cast<double>(std::max<std::size_t>(most, 1))) continue;
      std::vector<double> marks;
      for (double k = first; k <= last; ++k) marks.push_back(k * gap);
      return marks;
    }
  }
}

Picture draw(const LinePlot& plot, std::size_t width, std::size_t height) {
  Bounds x_bounds, y_bounds;
  for (const Curve& curve : plot.curves) {
    if (curve.x.size() != curve.y.size()) {
      throw Error(fmt::format("[figures] curve '{}' must have as many x as y, got {} and {}", curve.name,
                              curve.x.size(), curve.y.size()));
    }
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      x_bounds.add(curve.x[i]);
      y_bounds.add(curve.y[i] - spread_at(curve, i));
      y_bounds.add(curve.y[i] + spread_at(curve, i));
    }
  }
  if (!(x_bounds.low <= x_bounds.high)) {
    throw Error(fmt::format("[figures] a plot must have one or more points, got {} empty curves",
                            plot.curves.size()));
  }
  Axis x = make_axis(x_bounds, 10, plot.whole_x);
  Axis y = make_axis(y_bounds, 8, false);
  std::size_t widest = 0;
  for (const std::string& label : y.labels) widest = std::max(widest, Picture::text_width(label, kTextScale));
  x.from = kMargin + widest + kGap;
  x.to = width - 2 * kMargin;
  y.to = 2 * kMargin + Picture::kGlyphHeight * kTitleScale + 3 * kGap + kTextHeight;
  y.from = height - kMargin - 2 * (kGap + kTextHeight);
  Picture picture(width, height);
  draw_frame(picture, plot, x, y);
  for (std::size_t i = 0; i < plot.curves.size(); ++i) {
    draw_curve(picture, plot.curves[i], x, y, 2 + 3 * (plot.curves.size() - 1 - i));
  }
  draw_legend(picture, plot, x, y);
  return picture;
}

}  // namespace volley
