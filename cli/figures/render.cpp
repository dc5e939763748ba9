#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>

#include <volley/error.hpp>
#include <volley/files.hpp>
#include <volley/process.hpp>

#include "figures/gnuplot.hpp"

namespace volley {
namespace {

constexpr std::size_t kMostSide = 16384;
constexpr std::size_t kMostPictureBytes = std::size_t{1} << 28;
constexpr std::chrono::seconds kTimeLimit{120};

/// The pixels of a map stay squares when a viewer enlarges them.
std::string with_crisp_images(std::string svg) {
  constexpr std::string_view kImage = "<image ";
  for (std::size_t at = svg.find(kImage); at != std::string::npos;
       at = svg.find(kImage, at + kImage.size())) {
    svg.insert(at + kImage.size(), "style='image-rendering:pixelated' ");
  }
  return svg;
}

void check(const Figure& figure) {
  const auto shows = [](const Plot& plot) { return !plot.series.empty() || !plot.maps.empty(); };
  if (std::ranges::none_of(figure.plots, shows) || figure.columns.empty()) {
    throw ArgumentError("figures", fmt::format("'{}' must have something to draw", figure.title), "nothing");
  }
  if (figure.width > kMostSide || figure.height > kMostSide) {
    throw ArgumentError("figures", fmt::format("a picture must have at most {} pixels a side", kMostSide),
                        fmt::format("{} x {}", figure.width, figure.height));
  }
}

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  if (!file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) {
    throw FileError(path.string(), "cannot write");
  }
}

/// The last line that says something.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == std::string::npos) return "no reason given";
  const std::size_t begin = text.rfind('\n', end);
  return text.substr(begin + 1, end - begin);  // npos + 1 is 0
}

}  // namespace

PictureFormat format_of(const std::filesystem::path& path) {
  if (path.extension() == ".png") return PictureFormat::png;
  if (path.extension() == ".svg") return PictureFormat::svg;
  throw FileError(path.string(), "the name of a picture must end in .png or .svg");
}

std::string gnuplot::version() {
  const ProgramResult result = run_program({"gnuplot", "--version"}, {.time_limit = kTimeLimit});
  if (!result.ok()) return {};
  const std::string text = last_line(result.out);
  return text.substr(text.starts_with("gnuplot ") ? 8 : 0);
}

std::string render(const Figure& figure, PictureFormat format, Theme theme,
                   const std::function<bool()>& cancelled) {
  check(figure);
  if (cancelled && cancelled()) throw Error("interrupted");
  const gnuplot::Job job = gnuplot::job(figure, format, theme);
  const ScratchFolder scratch("figure");
  write(scratch.path() / "script", job.script);
  write(scratch.path() / "data", job.data);
  // -d: not what a user's own start-up file says.
  const ProgramResult result =
      run_program({"gnuplot", "-d", "script"},
                  {.folder = scratch.path(), .time_limit = kTimeLimit, .cancelled = cancelled});
  if (result.end == ProgramResult::End::not_started && result.code == ENOENT) {
    throw Error(fmt::format("[figures] {}", gnuplot::kInstall));
  }
  if (result.end == ProgramResult::End::cancelled) throw Error("interrupted");
  std::error_code ignored;
  if (!result.ok() || !std::filesystem::exists(scratch.path() / "picture", ignored)) {
    throw Error(fmt::format("[figures] gnuplot could not draw '{}': {}: {}", figure.title, result.reason(),
                            last_line(result.err)));
  }
  std::string picture = read_file(scratch.path() / "picture", kMostPictureBytes);
  return format == PictureFormat::svg ? with_crisp_images(std::move(picture)) : picture;
}

void write_figure(const Figure& figure, const std::filesystem::path& path, Theme theme) {
  const PictureFormat format = format_of(path);
  write_file_whole(path, render(figure, format, theme));
}

Plot panel_plot(const std::vector<Panel>& panels, std::size_t width, std::size_t columns, std::size_t side) {
  constexpr double kGap = 14, kCaption = 22;
  if (panels.empty() || width == 0) {
    throw ArgumentError("figures", "a sheet must show 1 or more pictures", std::to_string(panels.size()));
  }
  const std::size_t height = panels.front().values.size() / width;
  const double scale = static_cast<double>(std::max<std::size_t>(1, side / std::max(width, height)));
  const bool words = std::ranges::any_of(panels, [](const Panel& panel) { return !panel.caption.empty(); });
  const double across = static_cast<double>(width) * scale + kGap;
  const double down = static_cast<double>(height) * scale + kGap + (words ? kCaption : 0);
  Plot plot{.colors = ColorScale::gray, .low = 0, .high = 255, .bare = true, .square = true};
  const std::size_t shown = std::min(columns, panels.size());
  plot.x = {.low = 0, .high = static_cast<double>(shown) * across};
  plot.y = {.low = 0,
            .high = std::ceil(static_cast<double>(panels.size()) / static_cast<double>(shown)) * down,
            .downward = true};
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const std::size_t row = i / shown;
    const double left = static_cast<double>(i % shown) * across + kGap / 2;
    const double top = static_cast<double>(row) * down + kGap / 2;
    plot.maps.push_back({.columns = width,
                         .rows = height,
                         .values = panels[i].values,
                         .x = left + scale / 2,
                         .y = top + scale / 2,
                         .dx = scale,
                         .dy = scale});
    if (words) {
      plot.notes.push_back({.x = left + (across - kGap) / 2,
                            .y = top + static_cast<double>(height) * scale + kCaption / 2 + 1,
                            .text = panels[i].caption});
    }
  }
  return plot;
}

Figure panel_figure(const std::string& title, const std::vector<Panel>& panels, std::size_t width,
                    std::size_t columns, std::size_t side) {
  Plot plot = panel_plot(panels, width, columns, side);
  constexpr double kLeastWidth = 420;  // a title needs room
  const auto pixels = [](double size) { return static_cast<std::size_t>(size); };
  return {.title = title,
          .width = pixels(std::max(*plot.x.high, kLeastWidth) + gnuplot::kEdge),
          .height = pixels(*plot.y.high + gnuplot::kTitle + gnuplot::kEdge / 2),
          .plots = {std::move(plot)}};
}

}  // namespace volley
