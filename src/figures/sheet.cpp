#include "figures/sheet.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

namespace volley {
namespace {

constexpr std::size_t kMargin = 24;  // around the sheet, and between cells
constexpr std::size_t kTitleScale = 3;
constexpr std::size_t kTextScale = 2;
constexpr std::size_t kTextGap = 8;  // between a picture and its caption
constexpr std::size_t kMostPixels = std::size_t{1} << 26;

/// A picture as a sheet shows it: the luminance of its red, green and blue (Rec. 601), or its one channel.
std::vector<std::uint8_t> grey_of(std::span<const std::uint8_t> pixels, std::size_t channels) {
  if (channels != 3) return {pixels.begin(), pixels.end()};
  const std::size_t size = pixels.size() / 3;
  std::vector<std::uint8_t> grey(size);
  for (std::size_t i = 0; i < size; ++i) {
    const unsigned luma = 299u * pixels[i] + 587u * pixels[size + i] + 114u * pixels[2 * size + i];
    grey[i] = static_cast<std::uint8_t>((luma + 500) / 1000);
  }
  return grey;
}

}  // namespace

Picture panel_sheet(const std::string& title, std::span<const Panel> panels, std::size_t width,
                    std::size_t columns, std::size_t side) {
  if (panels.empty()) throw Error("[figures] a sheet must have 1 or more pictures, got 0");
  const std::size_t height = panels[0].pixels.size() / width;
  const std::size_t scale = std::max<std::size_t>(1, side / std::max(width, height));
  std::size_t cell_width = width * scale;
  for (const Panel& panel : panels) {
    cell_width = std::max(cell_width, Picture::text_width(panel.caption, kTextScale));
  }
  const std::size_t cell_height = height * scale + kTextGap + Picture::kGlyphHeight * kTextScale;
  const std::size_t title_height = Picture::kGlyphHeight * kTitleScale + kMargin;
  columns = std::min(columns, panels.size());
  const std::size_t rows = (panels.size() + columns - 1) / columns;
  const std::size_t sheet_width =
      kMargin + std::max(columns * (cell_width + kMargin), Picture::text_width(title, kTitleScale) + kMargin);
  const std::size_t sheet_height = kMargin + title_height + rows * (cell_height + kMargin);
  if (sheet_width * sheet_height > kMostPixels) {
    throw Error(fmt::format("[figures] a sheet must have at most {} pixels, got {} x {}: show fewer pictures",
                            kMostPixels, sheet_width, sheet_height));
  }
  Picture sheet(sheet_width, sheet_height);
  sheet.text(kMargin, kMargin, title, kTitleScale);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const std::size_t x = kMargin + i % columns * (cell_width + kMargin);
    const std::size_t y = kMargin + title_height + i / columns * (cell_height + kMargin);
    const std::size_t caption_width = Picture::text_width(panels[i].caption, kTextScale);
    sheet.image(x + (cell_width - width * scale) / 2, y, panels[i].pixels, width, scale);
    sheet.text(x + (cell_width - caption_width) / 2, y + height * scale + kTextGap, panels[i].caption,
               kTextScale);
  }
  return sheet;
}

Picture dataset_sheet(const Dataset& data, std::size_t first, std::size_t count) {
  if (first >= data.size()) {
    throw Error(fmt::format("[figures] the first picture of {} must be 0 to {}, got {}", data.name,
                            data.size() - 1, first));
  }
  const std::size_t last = first + std::min(count, data.size() - first);
  std::vector<Panel> panels;
  for (std::size_t i = first; i < last; ++i) {
    panels.push_back({grey_of(data.picture(i), data.shape[0]), data.classes[data.labels[i]]});
  }
  const std::string title = fmt::format("{}, pictures {} to {}", data.name, first, last - 1);
  return panel_sheet(title, panels, data.shape[2], 10, 112);
}

}  // namespace volley
