#include "report/chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

namespace volley::report {
namespace {

// In units of the drawing, which is scaled to the width that it is given.
constexpr double kWidth = 480, kHeight = 290;
constexpr double kLeft = 62, kRight = 14, kTop = 26, kBottom = 44;
constexpr std::size_t kMostMarks = 6;
constexpr std::size_t kStyles = 7;  // colours and dashes in style.css

/// From a value to its place between the ends of an axis, 0 to 1.
struct Scale {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<double> marks;

  double share(double value) const {
    if (logarithmic) return std::log(value / low) / std::log(high / low);
    return (value - low) / (high - low);
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

bool drawable(double value, bool logarithmic) { return std::isfinite(value) && (!logarithmic || value > 0); }

/// Round numbers 1, 2 or 5 times a power of ten apart, kMostMarks + 1 at most, the first at or below the
/// range, the last at or above it.
std::vector<double> round_marks(Range range, bool whole) {
  if (!(range.high > range.low)) {
    const double room = whole ? 1 : std::max(std::abs(range.low) * 0.1, 1e-3);
    range = {range.low - room, range.high + room};
  }
  const double gap = (range.high - range.low) / static_cast<double>(kMostMarks - 1);
  const double power = std::pow(10, std::floor(std::log10(gap)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= gap) step = factor * power;
  }
  if (whole) step = std::max(step, 1.0);
  std::vector<double> marks;
  for (double k = std::floor(range.low / step); marks.size() < 3 * kMostMarks; ++k) {
    marks.push_back(k * step);
    if (marks.back() >= range.high) break;
  }
  return marks;
}

/// From the least to the greatest, and no further: the axis of steps.
Scale tight_scale(const Range& range) {
  Scale scale{range.low, range.high, false, {}};
  if (range.low == range.high) scale = {range.low - 1, range.high + 1, false, {}};
  for (const double mark : round_marks({scale.low, scale.high}, true)) {
    if (mark >= scale.low && mark <= scale.high) scale.marks.push_back(mark);
  }
  return scale;
}

Scale round_scale(const Range& range) {
  std::vector<double> marks = round_marks(range, false);
  return {marks.front(), marks.back(), false, marks};
}

/// Powers of ten, or where these are few, 2 and 5 times such too.
Scale log_scale(const Range& range) {
  Scale scale{range.low, range.high, true, {}};
  const double first = std::floor(std::log10(range.low));
  const double last = std::ceil(std::log10(range.high));
  const bool few = last - first < 3;
  const double step = std::max(1.0, std::ceil((last - first) / static_cast<double>(kMostMarks)));
  std::vector<double> candidates;
  for (double power = first; power <= last; power += few ? 1 : step) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor == 1 || few) candidates.push_back(factor * std::pow(10, power));
    }
  }
  const auto above = std::ranges::upper_bound(candidates, range.low);
  scale.low = above == candidates.begin() ? range.low : *(above - 1);
  const auto behind = std::ranges::lower_bound(candidates, range.high);
  scale.high = behind == candidates.end() ? range.high : *behind;
  if (scale.low == scale.high) scale.high = 10 * scale.low;
  for (const double mark : candidates) {
    if (mark >= scale.low && mark <= scale.high) scale.marks.push_back(mark);
  }
  return scale;
}

struct Axes {
  Scale x, y;

  double left(double value) const { return kLeft + x.share(value) * (kWidth - kLeft - kRight); }
  double top(double value) const { return kHeight - kBottom - y.share(value) * (kHeight - kTop - kBottom); }
};

std::string style_of(std::size_t series) { return fmt::format("s{}", series % kStyles); }

void draw_axes(Html& page, const Chart& chart, const Axes& axes) {
  const auto at = [](double place) { return fmt::format("{:.1f}", place); };
  std::string grid;
  for (const double mark : axes.y.marks)
    grid += fmt::format("M{:.1f} {:.1f}H{:.1f}", kLeft, axes.top(mark), kWidth - kRight);
  page.lone("path", {{"class", "grid"}, {"d", grid}});
  page.lone("path", {{"class", "axis"},
                     {"d", fmt::format("M{} {}V{}H{}", kLeft, kTop, kHeight - kBottom, kWidth - kRight)}});
  for (const double mark : axes.y.marks) {
    page.leaf("text", shown(mark),
              {{"x", at(kLeft - 6)}, {"y", at(axes.top(mark) + 4)}, {"text-anchor", "end"}});
  }
  for (const double mark : axes.x.marks) {
    page.leaf("text", shown(mark),
              {{"x", at(axes.left(mark))}, {"y", at(kHeight - kBottom + 17)}, {"text-anchor", "middle"}});
  }
  page.leaf("text", chart.y_label, {{"x", "4"}, {"y", "14"}, {"class", "label"}});
  page.leaf("text", chart.x_label,
            {{"x", at((kLeft + kWidth - kRight) / 2)},
             {"y", at(kHeight - 8)},
             {"text-anchor", "middle"},
             {"class", "label"}});
}

void draw_band(Html& page, const Series& series, const Axes& axes, const std::string& style) {
  std::string there, back;
  for (std::size_t i = 0; i < series.low.size(); ++i) {
    if (!drawable(series.low[i], axes.y.logarithmic) || !drawable(series.high[i], axes.y.logarithmic))
      continue;
    const double x = axes.left(series.x[i]);
    there += fmt::format("{}{:.1f} {:.1f}", there.empty() ? "M" : "L", x, axes.top(series.high[i]));
    back.insert(0, fmt::format("L{:.1f} {:.1f}", x, axes.top(series.low[i])));
  }
  if (!there.empty()) page.lone("path", {{"class", "band " + style}, {"d", there + back + "Z"}});
}

void draw_line(Html& page, const Series& series, const Axes& axes, const std::string& style) {
  std::string line;
  std::size_t points = 0;
  bool gap = true;
  double x = 0, y = 0;
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    const bool there = drawable(series.y[i], axes.y.logarithmic);
    if (there) {
      x = axes.left(series.x[i]), y = axes.top(series.y[i]);
      line += fmt::format("{}{:.1f} {:.1f}", gap ? "M" : "L", x, y);
      ++points;
    }
    gap = !there;
  }
  if (points > 1) page.lone("path", {{"class", "line " + style}, {"d", line}});
  const auto circle = [&](double cx, double cy, const char* kind, const char* radius) {
    page.lone("circle", {{"class", fmt::format("{} {}", kind, style)},
                         {"cx", fmt::format("{:.1f}", cx)},
                         {"cy", fmt::format("{:.1f}", cy)},
                         {"r", radius}});
  };
  if (points == 1) circle(x, y, "point", "3");
  if (series.marked && drawable(series.y[*series.marked], axes.y.logarithmic))
    circle(axes.left(series.x[*series.marked]), axes.top(series.y[*series.marked]), "mark", "5");
}

/// What a script needs: the ends of the axes, the curves. A value that is not finite is null.
std::string chart_json(const Chart& chart, const Axes& axes) {
  using Json = nlohmann::ordered_json;
  const auto rounded = [](std::span<const double> values) {
    Json list = Json::array();
    for (const double value : values) {
      if (std::isfinite(value)) {
        list.push_back(std::stod(fmt::format("{:.5g}", value)));
      } else {
        list.push_back(nullptr);
      }
    }
    return list;
  };
  Json series = Json::array();
  for (const Series& s : chart.series) {
    Json x = Json::array();
    for (const double place : s.x) x.push_back(place);
    series.push_back({{"name", s.name}, {"x", x}, {"y", rounded(s.y)}});
  }
  const Json json{
      {"x", {axes.x.low, axes.x.high}}, {"y", {axes.y.low, axes.y.high}},
      {"log", axes.y.logarithmic},      {"box", {kLeft, kTop, kWidth - kRight, kHeight - kBottom}},
      {"label", chart.x_label},         {"series", series}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The chart in words.
std::string description(const Chart& chart) {
  std::string text = fmt::format("{}: {} over {}.", chart.title, chart.y_label, chart.x_label);
  for (const Series& s : chart.series) {
    Range range;
    std::optional<double> first, last;
    for (const double value : s.y) {
      if (!drawable(value, chart.logarithmic)) continue;
      range.add(value);
      first = first.value_or(value);
      last = value;
    }
    if (!last) continue;
    text += fmt::format(" {}: from {} to {}, between {} and {}", s.name, shown(*first), shown(*last),
                        shown(range.low), shown(range.high));
    if (s.marked) text += fmt::format(", best {} at {}", shown(s.y[*s.marked]), shown(s.x[*s.marked]));
    text += '.';
  }
  return text;
}

void draw_legend(Html& page, const Chart& chart) {
  page.open("ul", {{"class", "legend"}});
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    page.open("li");
    page.open("svg", {{"viewBox", "0 0 34 12"}, {"width", "34"}, {"height", "12"}, {"aria-hidden", "true"}});
    page.lone("path", {{"class", "line " + style_of(i)}, {"d", "M1 6H33"}});
    page.close().text(chart.series[i].name).close();
  }
  page.close();
}

/// The range of all that can be drawn, bands included.
std::pair<Range, Range> ranges(const Chart& chart) {
  Range x, y;
  for (const Series& s : chart.series) {
    for (std::size_t i = 0; i < s.y.size(); ++i) {
      if (!drawable(s.y[i], chart.logarithmic)) continue;
      x.add(s.x[i]);
      y.add(s.y[i]);
      if (i < s.low.size() && drawable(s.low[i], chart.logarithmic)) y.add(s.low[i]);
      if (i < s.high.size() && drawable(s.high[i], chart.logarithmic)) y.add(s.high[i]);
    }
  }
  return {x, y};
}

}  // namespace

Series thinned(Series series, std::size_t most) {
  const std::size_t size = series.y.size();
  if (size <= most) return series;
  Series thin{.name = std::move(series.name)};
  for (std::size_t point = 0; point < most; ++point) {
    const std::size_t from = point * size / most, to = (point + 1) * size / most;
    Range range;
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = from; i < to; ++i) {
      if (!std::isfinite(series.y[i])) continue;
      range.add(series.y[i]);
      sum += series.y[i];
      ++count;
    }
    thin.x.push_back(series.x[(from + to) / 2]);
    thin.y.push_back(count > 0 ? sum / static_cast<double>(count) : NAN);
    thin.low.push_back(count > 0 ? range.low : NAN);
    thin.high.push_back(count > 0 ? range.high : NAN);
  }
  return thin;
}

std::string shown(double value) {
  const bool whole = std::abs(value) < 1e9 && value == std::round(value);
  return whole ? fmt::format("{:.0f}", value + 0.0) : fmt::format("{:.4g}", value);
}

void draw(Html& page, const Chart& chart) {
  page.open("figure", {{"class", "chart"}}).leaf("figcaption", chart.title);
  const auto [x, y] = ranges(chart);
  if (y.empty()) {
    page.leaf("p", "Nothing to draw: there are no values yet.").close();
    return;
  }
  const Axes axes{tight_scale(x), chart.logarithmic ? log_scale(y) : round_scale(y)};
  page.open("svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                    {"role", "img"},
                    {"tabindex", "0"},
                    {"aria-label", description(chart)},
                    {"data-chart", chart_json(chart, axes)}});
  draw_axes(page, chart, axes);
  for (std::size_t i = 0; i < chart.series.size(); ++i) draw_band(page, chart.series[i], axes, style_of(i));
  for (std::size_t i = 0; i < chart.series.size(); ++i) draw_line(page, chart.series[i], axes, style_of(i));
  page.close();
  draw_legend(page, chart);
  page.close();
}

}  // namespace volley::report
