#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string_view>

#include <volley/error.hpp>

#include "figures/gnuplot.hpp"

namespace volley::gnuplot {
namespace {

// Pixels; a letter's width is that of most.
constexpr double kLetter = 8.6;
constexpr double kKeyLetter = 9.8;  // as gnuplot counts, for a legend
constexpr double kLine = 22;
constexpr double kNumber = 56;          // the numbers at an axis
constexpr std::size_t kMostWords = 24;  // letters of a word at an axis
constexpr std::size_t kMostNamed = 60;  // letters of a name in a legend

constexpr std::size_t kMarkedPoints = 40;  // a line of more points has a mark at some of them only

struct Colors {
  const char* paper;
  const char* ink;
  const char* grid;
  const char* pale;               // of what is faint
  std::array<const char*, 7> of;  // Okabe and Ito's, those first that stand out from the paper
};

constexpr Colors kLight{"#ffffff",
                        "#1f2328",
                        "#d8dce0",
                        "#b4bac2",
                        {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}};
constexpr Colors kDark{"#0d1117",
                       "#e6edf3",
                       "#2d343d",
                       "#59636e",
                       {"#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#ffffff"}};

struct Box {
  double left, right, top, bottom;  // pixels from the left, from the top
};

struct Span {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool any() const { return low <= high; }
};

double spread_at(const Series& series, std::size_t i) {
  const double spread = i < series.spread.size() ? series.spread[i] : 0;
  return std::isfinite(spread) ? spread : 0;
}

bool can_stand(double value, const Axis& axis) { return std::isfinite(value) && (!axis.log || value > 0); }

/// How far a plot's data reach.
struct Extent {
  Span x, y;

  explicit Extent(const Plot& plot) {
    for (const Series& series : plot.series) add(plot, series);
    for (const HeatMap& map : plot.maps) {
      x.add(map.x - map.dx / 2), x.add(map.x + (static_cast<double>(map.columns) - 0.5) * map.dx);
      y.add(map.y - map.dy / 2), y.add(map.y + (static_cast<double>(map.rows) - 0.5) * map.dy);
    }
  }

 private:
  void add(const Plot& plot, const Series& series) {
    const bool bars = series.kind == Series::Kind::bars;
    const double beside = bars ? series.width / 2 : 0;
    const double above = series.kind == Series::Kind::ticks ? 0.5 : 0;
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!can_stand(series.x[i], plot.x) || !can_stand(series.y[i], plot.y)) continue;
      x.add(series.x[i] - beside), x.add(series.x[i] + beside);
      y.add(series.y[i] - spread_at(series, i) - above), y.add(series.y[i] + spread_at(series, i) + above);
      if (bars) y.add(0);
    }
  }
};

/// What an axis shows: its own bounds, or the data with some room.
Span range_of(const Axis& axis, Span data, double room, bool from_zero = false) {
  if (from_zero && data.low == 0 && data.high == 0) data.high = 1;
  if (!data.any()) data = axis.log ? Span{1, 10} : Span{0, 1};
  if (axis.log) {
    const double factor = data.high > data.low ? std::pow(data.high / data.low, room) : 2;
    data = {data.low / factor, data.high * factor};
  } else {
    const double size = data.high - data.low;
    const double least = std::max(std::abs(data.low), std::abs(data.high));
    const double add = size > 0 ? size * room : axis.whole ? 0.5 : std::max(least * 0.1, 1e-3);
    data = {from_zero && data.low == 0 ? 0 : data.low - add, data.high + add};
  }
  Span range{axis.low.value_or(data.low), axis.high.value_or(data.high)};
  if (!(range.high > range.low)) range.high = range.low + 1;
  return range;
}

/// Of at most `most` letters, and not in the middle of one.
std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most - 3;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::size_t longest(const std::vector<Mark>& marks) {
  std::size_t most = 0;
  for (const Mark& mark : marks) most = std::max(most, std::min(mark.text.size(), kMostWords));
  return most;
}

class Writer {
 public:
  Writer(const Figure& figure, PictureFormat format, Theme theme)
      : figure_(figure), colors_(theme == Theme::light ? kLight : kDark) {
    // A point is 4/3 pixels in a PNG file and one in an SVG file.
    const std::string_view terminal = format == PictureFormat::png ? "pngcairo" : "svg dynamic";
    say("set terminal {} noenhanced size {},{} font 'sans-serif,{}' background rgb '{}'\n", terminal,
        figure.width, figure.height, format == PictureFormat::png ? 12 : 16, colors_.paper);
    say("set output 'picture'\nset encoding utf8\nset border linecolor rgb '{}'\n", colors_.ink);
    say("set multiplot\n");
    const double top = figure.title.empty() ? kEdge / 2 : kTitle;
    if (!figure.title.empty()) {
      const double width = static_cast<double>(figure.width);
      say("set label {} at screen 0.5,{} center front textcolor rgb '{}' font ',{}'\n",
          literal(fitted(figure.title, width - 2 * kEdge, 1.15 * kLetter)), from_top(kTitle / 2 + 4),
          colors_.ink, format == PictureFormat::png ? "14" : "18.7");
    }
    small_ = format == PictureFormat::png ? "9" : "12";
    for (std::size_t i = 0; i < figure.plots.size(); ++i)
      plot(figure.plots[i], cell(i, top), column_sides(i));
    say("unset multiplot\nset output\n");
  }

  Job done() && { return std::move(job_); }

 private:
  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    job_.script += fmt::format(format, std::forward<Args>(args)...);
  }

  double across(double pixels) const { return pixels / static_cast<double>(figure_.width); }
  double from_top(double pixels) const { return 1 - pixels / static_cast<double>(figure_.height); }

  static std::string fitted(const std::string& text, double width, double letter) {
    return shortened(text, static_cast<std::size_t>(std::max(width / letter, 8.0)));
  }

  /// The part of the figure that is the i-th plot's.
  Box cell(std::size_t i, double top) const {
    const std::vector<double>& columns = figure_.columns;
    const std::size_t count = (figure_.plots.size() + columns.size() - 1) / columns.size();
    std::vector<double> rows = figure_.rows;
    rows.resize(count, 1);
    const auto part = [](const std::vector<double>& sizes, std::size_t end) {
      return std::accumulate(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(end), 0.0);
    };
    const double width = static_cast<double>(figure_.width) / part(columns, columns.size());
    const double height = (static_cast<double>(figure_.height) - top - kEdge / 2) / part(rows, count);
    const std::size_t column = i % columns.size();
    const std::size_t row = i / columns.size();
    return {part(columns, column) * width, part(columns, column + 1) * width, top + part(rows, row) * height,
            top + part(rows, row + 1) * height};
  }

  struct Legend {
    std::size_t columns = 1, rows = 0;
  };
  static Legend legend_of(const Plot& plot, double width) {
    std::size_t names = 0, letters = 0;
    for (const Series& series : plot.series) {
      names += series.name.empty() ? 0 : 1;
      letters = std::max(letters, std::min(series.name.size(), kMostNamed));
    }
    if (names == 0) return {};
    const double one = static_cast<double>(letters + 6) * kKeyLetter;
    const double fit = std::clamp(width / one, 1.0, static_cast<double>(names));
    const auto columns = static_cast<std::size_t>(fit);
    return {columns, (names + columns - 1) / columns};
  }

  /// Room for what stands left and right of the plots of a column, so that these lie in line.
  struct Sides {
    double left = 0, right = 0;
  };
  static Sides sides_of(const Plot& plot) {
    if (plot.bare) return {kEdge / 2, kEdge / 2 + (plot.scale.empty() ? 0 : kScale)};
    const double numbers =
        plot.y.marks.empty() ? kNumber : static_cast<double>(longest(plot.y.marks)) * kKeyLetter + 16;
    return {kEdge + (plot.y.label.empty() ? 0 : 26) + numbers,
            plot.scale.empty() ? kEdge + 10 : kEdge + kScale};
  }
  Sides column_sides(std::size_t i) const {
    Sides most;
    for (std::size_t k = i % figure_.columns.size(); k < figure_.plots.size(); k += figure_.columns.size()) {
      const Sides sides = sides_of(figure_.plots[k]);
      most = {std::max(most.left, sides.left), std::max(most.right, sides.right)};
    }
    return most;
  }

  /// The frame of a plot within its cell, and by how many degrees the marks below it are turned to have room.
  struct Frame {
    Box box;
    int turned = 0;
  };
  static Frame frame_of(const Plot& plot, const Box& cell, const Sides& sides) {
    Frame frame{cell};
    Box& box = frame.box;
    box.left += sides.left;
    box.right -= sides.right;
    box.top += plot.title.empty() ? (plot.bare ? 0 : 8) : kHeading;
    if (plot.bare) return frame;
    const double word = static_cast<double>(longest(plot.x.marks)) * kLetter;
    const double room =
        (box.right - box.left) / static_cast<double>(std::max<std::size_t>(plot.x.marks.size(), 1));
    frame.turned = word < room ? 0 : room > 28 ? 35 : 90;
    const double below = frame.turned == 0 ? kLine : word * std::sin(frame.turned * 0.01745) + 16;
    box.bottom -= 20 + (plot.x.label.empty() ? 0 : 26) + below;
    const std::size_t named = legend_of(plot, box.right - box.left).rows;
    box.top += named == 0 ? 0 : static_cast<double>(named) * kLine + 4;
    return frame;
  }

  void plot(const Plot& plot, const Box& cell, const Sides& sides) {
    Frame frame = frame_of(plot, cell, sides);
    Box& box = frame.box;
    const Extent extent(plot);
    const bool filled = !plot.maps.empty();
    const Span x = range_of(plot.x, extent.x, filled ? 0 : 0.02);
    const bool bars =
        std::ranges::any_of(plot.series, [](const Series& s) { return s.kind == Series::Kind::bars; });
    const Span y = range_of(plot.y, extent.y, filled ? 0 : 0.06, bars);
    if (plot.square) box = squared(box, x.high - x.low, y.high - y.low);
    if (!(box.right > box.left + 10 && box.bottom > box.top + 10)) {
      throw ArgumentError("figures", fmt::format("{} x {} pixels are too few for '{}'", figure_.width,
                                                 figure_.height, figure_.title));
    }
    say("set lmargin at screen {}\nset rmargin at screen {}\n", across(box.left), across(box.right));
    say("set tmargin at screen {}\nset bmargin at screen {}\n", from_top(box.top), from_top(box.bottom));
    title(plot, box, cell);
    axis('x', plot, plot.x, x);
    axis('y', plot, plot.y, y);
    if (!plot.bare) {
      say("set xtics {}\n", frame.turned == 0 ? "norotate" : fmt::format("rotate by {} right", frame.turned));
    }
    say("set border {}\n", plot.bare ? 0 : 3);
    if (plot.bare || filled) say("unset grid\n");
    if (!plot.bare && !filled) say("set grid linecolor rgb '{}' linetype 1 linewidth 1\n", colors_.grid);
    legend(plot, box);
    scale(plot, box);
    notes(plot);
    elements(plot);
  }

  void title(const Plot& plot, const Box& box, const Box& cell) {
    if (plot.title.empty()) return;
    const double left = plot.bare ? (box.left + box.right) / 2 : box.left;
    say("set label {} at screen {},{} {} front textcolor rgb '{}'\n",
        literal(fitted(plot.title, cell.right - left - kEdge, kLetter)), across(left),
        from_top(cell.top + 18), plot.bare ? "center" : "left", colors_.ink);
  }

  /// The largest part of the middle of `box` in which units of x and of y are equally long.
  static Box squared(const Box& box, double width, double height) {
    const double unit = std::min((box.right - box.left) / width, (box.bottom - box.top) / height);
    const double beside = (box.right - box.left - unit * width) / 2;
    const double below = box.bottom - box.top - unit * height;
    return {box.left + beside, box.right - beside, box.top, box.bottom - below};
  }

  void axis(char name, const Plot& plot, const Axis& axis, const Span& range) {
    say("{} logscale {}\n", axis.log ? "set" : "unset", name);
    say("set {}range [{}:{}]\n", name, axis.downward ? range.high : range.low,
        axis.downward ? range.low : range.high);
    say("set {}label {} textcolor rgb '{}'\n", name, literal(plot.bare ? "" : axis.label), colors_.ink);
    if (plot.bare) return say("unset {}tics\n", name);
    say("unset {0}tics\nset {0}tics nomirror out scale 0.6 textcolor rgb '{1}' ", name, colors_.ink);
    const std::vector<Mark> marks = axis.log ? log_marks(range) : axis.marks;
    if (!marks.empty()) {
      std::string text;
      for (const Mark& mark : marks) {
        std::string words;
        for (const char c : shortened(mark.text, kMostWords))
          words += c == '%' ? "%%" : std::string(1, c);  // gnuplot formats them
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", literal(words), mark.at);
      }
      say("({})", text);
    } else if (axis.whole && range.high - range.low <= 10) {
      say("1");
    }
    say("\nset format {} '%g'\n", name);
  }

  /// 1, 2 and 5 of each power of ten, or where these are many only 1.
  static std::vector<Mark> log_marks(const Span& range) {
    std::vector<Mark> marks;
    const double first = std::floor(std::log10(range.low)), last = std::ceil(std::log10(range.high));
    const double every = std::max(1.0, std::ceil((last - first) / 8));
    for (double power = first; power <= last; power += every) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        const double at = digit * std::pow(10.0, power);
        const bool shown = digit == 1 || last - first <= 3;
        if (shown && at >= range.low && at <= range.high) marks.push_back({at, fmt::format("{:.3g}", at)});
      }
    }
    return marks;
  }

  void legend(const Plot& plot, const Box& box) {
    const Legend legend = legend_of(plot, box.right - box.left);
    if (legend.rows == 0) return say("unset key\n");
    say("set key at screen {},{} left bottom Left reverse horizontal maxcols {} samplen 2.4 textcolor rgb "
        "'{}'\n",
        across(box.left), from_top(box.top - 5), legend.columns, colors_.ink);
  }

  void scale(const Plot& plot, const Box& box) {
    if (plot.maps.empty()) return say("unset colorbox\n");
    switch (plot.colors) {
      case ColorScale::gray: say("set palette defined (0 '#000000', 1 '#ffffff')\n"); break;
      case ColorScale::sequential:  // cividis
        say("set palette defined (0 '#00224e', 1 '#123570', 2 '#3b496c', 3 '#575d6d', 4 '#707173', 5 "
            "'#8a8678', 6 '#a59c74', 7 '#c3b369', 8 '#e1cc55', 9 '#fee838')\n");
        break;
      case ColorScale::diverging:
        say("set palette defined (0 '#0072b2', 1 '{}', 2 '#d55e00')\n", colors_.paper);
        break;
    }
    say("set cbrange [{}:{}]\n", plot.low, plot.high > plot.low ? plot.high : plot.low + 1);
    if (plot.scale.empty()) return say("unset colorbox\n");
    say("set colorbox user origin screen {},{} size screen {},{}\n", across(box.right + 12),
        from_top(box.bottom), across(14), from_top(box.top) - from_top(box.bottom));
    say("set cblabel {0} offset 1.2,0 textcolor rgb '{1}'\nset cbtics textcolor rgb '{1}'\nset format cb "
        "'%g'\n",
        literal(plot.scale), colors_.ink);
  }

  void notes(const Plot& plot) {
    static constexpr std::array kAlign{"left", "center", "right"};
    const std::array<const char*, 3> color{colors_.ink, "#ffffff", "#000000"};
    for (const Note& note : plot.notes) {
      say("set label {} at {},{} {} front textcolor rgb '{}'", literal(note.text), note.x, note.y,
          kAlign[static_cast<std::size_t>(note.align)], color[static_cast<std::size_t>(note.color)]);
      say("{}\n", note.small ? fmt::format(" font ',{}'", small_) : "");
    }
  }

  /// Lays values into the data file; what stands in the script for the place where they begin.
  template <class T>
  std::string add_data(const std::vector<T>& values) {
    std::string place = fmt::format("skip={}", job_.data.size());
    job_.data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    return place;
  }

  void elements(const Plot& plot) {
    std::string text;
    for (const HeatMap& map : plot.maps) text += (text.empty() ? "" : ", ") + element(plot, map);
    for (std::size_t i = 0; i < plot.series.size(); ++i) {
      const std::string one = element(plot, plot.series[i], i);
      if (!one.empty()) text += (text.empty() ? "" : ", ") + one;
    }
    // A plot without data still has its axes and its words.
    say("plot {}\nunset label\nunset object\n", text.empty() ? "NaN notitle" : text);
  }

  std::string element(const Plot& plot, const HeatMap& map) {
    if (map.columns == 0 || map.values.size() != map.columns * map.rows) {
      throw ArgumentError("figures", fmt::format("a map must have {} x {} values", map.rows, map.columns),
                          std::to_string(map.values.size()));
    }
    if (plot.bare) {
      say("set object rectangle from {},{} to {},{} fillstyle empty border linecolor rgb '{}' front\n",
          map.x - map.dx / 2, map.y - map.dy / 2, map.x + (static_cast<double>(map.columns) - 0.5) * map.dx,
          map.y + (static_cast<double>(map.rows) - 0.5) * map.dy, colors_.pale);
    }
    // gnuplot draws no picture of a single row or column: such a one is given twice, half as wide.
    const std::size_t down = map.rows == 1 ? 2 : 1;
    const std::size_t beside = map.columns == 1 ? 2 : 1;
    std::vector<float> values;
    values.reserve(map.values.size() * down * beside);
    for (std::size_t row = 0; row < map.rows * down; ++row) {
      for (std::size_t column = 0; column < map.columns * beside; ++column) {
        const auto value = static_cast<double>(map.values[row / down * map.columns + column / beside]);
        const double shown = std::isnan(value) ? value : std::clamp(value, plot.low, plot.high);
        values.push_back(static_cast<float>(shown));
      }
    }
    const double dx = map.dx / static_cast<double>(beside);
    const double dy = map.dy / static_cast<double>(down);
    return fmt::format(
        "'data' binary array=({},{}) {} format='%float32' origin=({},{}) dx={} dy={} using 1 with image "
        "notitle",
        map.columns * beside, map.rows * down, add_data(values), map.x - (map.dx - dx) / 2,
        map.y - (map.dy - dy) / 2, dx, dy);
  }

  std::string element(const Plot& plot, const Series& series, std::size_t place) {
    using Kind = Series::Kind;
    if (series.x.size() != series.y.size()) {
      throw ArgumentError("figures", fmt::format("curve '{}' must have as many x as y", series.name),
                          fmt::format("{} and {}", series.x.size(), series.y.size()));
    }
    std::vector<double> values;  // x, y, spread
    bool spread = false;
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!can_stand(series.x[i], plot.x) || !can_stand(series.y[i], plot.y)) continue;
      values.insert(values.end(), {series.x[i], series.y[i], spread_at(series, i)});
      spread = spread || spread_at(series, i) > 0;
    }
    const std::size_t points = values.size() / 3;
    if (points == 0) return {};
    const std::size_t look = series.color.value_or(place);
    const char* color = series.faint                 ? colors_.pale
                        : series.kind == Kind::level ? colors_.ink
                                                     : colors_.of[look % colors_.of.size()];
    const std::string source = fmt::format("'data' binary record=({}) {} format='%float64%float64%float64'",
                                           points, add_data(values));
    std::string text =
        fmt::format("{} {} {}", source, style_of(series, points, look, color, plot),
                    series.name.empty() ? "notitle" : "title " + literal(shortened(series.name, kMostNamed)));
    if (spread && series.kind != Kind::band) {
      text +=
          fmt::format(", {} using 1:2:3 with yerrorbars pointtype 0 linewidth 1 linecolor rgb '{}' notitle",
                      source, color);
    }
    return text;
  }

  /// Series differ by their marks and dashes too, for those who cannot tell the colours.
  static std::string style_of(const Series& series, std::size_t points, std::size_t look, const char* color,
                              const Plot& plot) {
    static constexpr std::array kMarks{7, 5, 9, 13, 11, 15, 3};
    static constexpr std::array kDashes{1, 2, 4, 5, 3, 1, 2};
    const int mark = kMarks[look % kMarks.size()];
    const int dash = kDashes[look % kDashes.size()];
    const auto with = [&](std::string_view style) {
      return fmt::format("using 1:2 with {} linecolor rgb '{}'", style, color);
    };
    switch (series.kind) {
      case Series::Kind::line:
        if (series.faint) return with("lines") + " linewidth 1";
        if (!series.marked) return with("lines") + fmt::format(" linewidth 2 dashtype {}", dash);
        return with("linespoints") +
               fmt::format(" linewidth 2 dashtype {} pointtype {} pointsize 0.9 pointinterval {}", dash, mark,
                           points <= kMarkedPoints ? 1 : points / 12);
      case Series::Kind::steps: return with("steps") + " linewidth 2";
      case Series::Kind::points: return with("points") + fmt::format(" pointtype {} pointsize 1.1", mark);
      case Series::Kind::rings: return with("points") + " pointtype 6 pointsize 2.4 linewidth 2";
      case Series::Kind::bars:
        return fmt::format("using 1:2:({}) with boxes linecolor rgb '{}' fillstyle solid {} noborder",
                           series.width, color, look % 2 == 0 ? 0.9 : 0.55);
      case Series::Kind::ticks:
        return fmt::format(
            "using 1:($2-0.4):(0):(0.8) with vectors nohead linecolor rgb '{}' linewidth {:.3g}", color,
            std::clamp(300 / (plot.x.high.value_or(0) - plot.x.low.value_or(0)), 1.5, 8.0));
      case Series::Kind::level: return with("lines") + " linewidth 1.5 dashtype 2";
      case Series::Kind::band:
        return fmt::format(
            "using 1:($2-$3):($2+$3) with filledcurves fillcolor rgb '{}' fillstyle "
            "transparent solid 0.22 noborder",
            color);
    }
    return {};
  }

  const Figure& figure_;
  const Colors& colors_;
  std::string small_;
  Job job_;
};

}  // namespace

Job job(const Figure& figure, PictureFormat format, Theme theme) {
  return Writer(figure, format, theme).done();
}

}  // namespace volley::gnuplot
