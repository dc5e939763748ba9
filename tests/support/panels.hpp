#pragma once

#include <filesystem>

#include <volley/image.hpp>

namespace volley::test {

/// The gray values of the panels of a panel_figure's picture.
class Panels {
 public:
  /// Of panels `side` wide and high, of which each pixel is enlarged to `scale` squared; at most `columns` in
  /// a row.
  Panels(const std::filesystem::path& path, std::size_t side, std::size_t scale, std::size_t columns)
      : sheet_(read_image(path)), side_(side), scale_(scale), columns_(columns) {}

  /// At the middle of what pixel (x, y) has become.
  int at(std::size_t panel, std::size_t x, std::size_t y) const {
    const std::size_t pitch = side_ * scale_ + 14;
    const std::size_t left = (width() - columns_ * pitch) / 2 + panel % columns_ * pitch + 7;
    const std::size_t top = 46 + panel / columns_ * (pitch + 22) + 7;
    return sheet_.pixels[(top + y * scale_ + scale_ / 2) * width() + left + x * scale_ + scale_ / 2];
  }
  std::size_t width() const { return sheet_.shape[2]; }
  std::size_t height() const { return sheet_.shape[1]; }

 private:
  Dataset sheet_;
  std::size_t side_, scale_, columns_;
};

/// How far a gray value may be from what was drawn: gnuplot's palette rounds.
inline constexpr int kGrayRoom = 2;

}  // namespace volley::test
