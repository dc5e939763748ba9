#pragma once

#include <string>

#include "figures/figure.hpp"

namespace volley::gnuplot {

// Of the layout, in pixels.
inline constexpr double kTitle = 46;    // of the figure
inline constexpr double kHeading = 30;  // of a plot
inline constexpr double kScale = 96;    // of colours, beside a plot
inline constexpr double kEdge = 14;

/// What gnuplot is given: a script, and the numbers that it reads from the file "data".
struct Job {
  std::string script;  // writes the file "picture"
  std::string data;
};

/// The script holds no text but what is written here: titles and the like stand in it between single quotes,
/// where gnuplot reads nothing into them.
Job job(const Figure& figure, PictureFormat format, Theme theme);

/// `text` between single quotes, on one line, in valid UTF-8; a quote in it becomes an apostrophe, for
/// gnuplot knows no way to write it that it always reads.
std::string literal(const std::string& text);

/// "5.4 patchlevel 4"; empty where no gnuplot is found in PATH.
std::string version();

/// What to do where there is none.
inline constexpr const char* kInstall =
    "gnuplot was not found in PATH; install it (apt-get install gnuplot-nox)";

}  // namespace volley::gnuplot
