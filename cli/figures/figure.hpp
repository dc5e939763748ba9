#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace volley {

// Figures as plain descriptions, and what makes pictures of them: the program gnuplot (gnuplot.hpp).

/// A place on an axis and what stands there.
struct Mark {
  double at;
  std::string text;
};

/// Of every axis of steps: the first is 0, as in arrays and in the CSV of `volley neuron`.
inline constexpr const char* kTimeLabel = "time step t (the first is 0)";

struct Axis {
  std::string label;                // with its unit: "time (ms)"
  std::optional<double> low, high;  // not given: as the data have it
  bool log = false;
  bool whole = false;       // it counts something: marks at whole numbers only
  bool downward = false;    // grows downward or to the left, as the rows of a picture
  std::vector<Mark> marks;  // in place of numbers
};

/// Points (x[i], y[i]); those that are not finite are left out.
struct Series {
  enum class Kind {
    line,
    steps,   // a line that keeps each value until the next
    points,  // a mark each
    rings,   // a ring around each, for one that stands out
    bars,    // from 0 to y, `width` wide
    ticks,   // a short upright stroke each: spikes
    level,   // a dashed line: a threshold
    band,    // filled from y - spread to y + spread, pale, below what follows it
  };

  std::string name;  // for the legend; empty: not in it
  Kind kind = Kind::line;
  std::vector<double> x, y;
  std::vector<double> spread;        // a bar, or the band, y - spread to y + spread; empty, or one a point
  std::optional<std::size_t> color;  // its place in the palette; not given: its place among the series
  bool faint = false;                // thin and pale, for what another series sums up
  bool marked = true;                // a line has marks at its points, where these are few
  double width = 0.8;                // of bars
};

/// How numbers become colours.
enum class ColorScale {
  gray,        // black to white
  sequential,  // dark blue to yellow, even in lightness
  diverging,   // blue, through the paper's colour, to orange: for what has a sign
};

/// Cells of one size. The first is at (x, y), counted by its middle; the next columns and rows follow dx and
/// dy apart.
struct HeatMap {
  std::size_t columns = 0, rows = 0;
  std::vector<float> values;  // (rows, columns); NaN: a cell of no colour
  double x = 0, y = 0, dx = 1, dy = 1;
};

/// Words in a plot, in its coordinates.
struct Note {
  double x, y;
  std::string text;
  enum class Color { ink, white, black } color = Color::ink;
  enum class Align { left, center, right } align = Align::center;
  bool small = false;
};

/// One frame with all that is in it.
struct Plot {
  std::string title;
  Axis x, y;
  std::vector<Series> series;
  std::vector<HeatMap> maps;
  ColorScale colors = ColorScale::sequential;
  double low = 0, high = 1;  // the values that the ends of `colors` stand for
  std::string scale;         // what they mean; empty: no scale is drawn
  std::vector<Note> notes;
  bool bare = false;    // no frame and no axes
  bool square = false;  // as many pixels for a unit of x as of y
};

/// Plots in rows under a title.
struct Figure {
  std::string title;
  std::size_t width = 960, height = 600;  // pixels
  std::vector<Plot> plots;
  std::vector<double> columns{1};  // their widths, in parts of the whole
  std::vector<double> rows{};      // their heights; empty: all the same
};

enum class Theme { light, dark };
enum class PictureFormat { png, svg };

/// The format that the name of a file asks for. Throws a FileError unless it ends in .png or .svg.
PictureFormat format_of(const std::filesystem::path& path);

/// The picture's bytes. `cancelled` is asked now and then; true ends the drawing with an Error. Throws Error
/// when there is nothing to draw, and says what to install where there is no gnuplot.
std::string render(const Figure& figure, PictureFormat format, Theme theme = Theme::light,
                   const std::function<bool()>& cancelled = {});

/// Renders to a file, in the format that its name asks for, which is written whole or not at all.
void write_figure(const Figure& figure, const std::filesystem::path& path, Theme theme = Theme::light);

/// A picture and the line below it.
struct Panel {
  std::vector<float> values;  // (height, width)
  std::string caption;
};

/// Panels, all `width` wide and equally high, in rows of `columns`. Small ones are enlarged by a whole
/// number, so that they stay crisp, to about `side`. Units are pixels; the highest x and y are the size of it
/// all.
Plot panel_plot(const std::vector<Panel>& panels, std::size_t width, std::size_t columns, std::size_t side);

/// The figure of a panel_plot alone.
Figure panel_figure(const std::string& title, const std::vector<Panel>& panels, std::size_t width,
                    std::size_t columns, std::size_t side);

}  // namespace volley
