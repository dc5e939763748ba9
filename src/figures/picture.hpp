#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace volley {

struct Color {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;

  friend bool operator==(const Color&, const Color&) = default;
};
constexpr Color gray(std::uint8_t value) { return {value, value, value}; }

/// Pixels to draw on. Whatever is drawn beyond an edge is cut off there.
class Picture {
 public:
  static constexpr std::size_t kGlyphWidth = 6;   // of a letter at scale 1, with the gap behind it
  static constexpr std::size_t kGlyphHeight = 7;  // of a capital at scale 1; "g" hangs 2 below

  Picture(std::size_t width, std::size_t height, Color paper = gray(255));

  std::size_t width() const { return width_; }
  std::size_t height() const { return height_; }
  Color at(std::size_t x, std::size_t y) const { return pixels_[y * width_ + x]; }

  void fill(std::size_t x, std::size_t y, std::size_t width, std::size_t height, Color color);
  /// From one point to another, as a chain of squares of `thickness`.
  void line(std::size_t from_x, std::size_t from_y, std::size_t to_x, std::size_t to_y, std::size_t thickness,
            Color color);
  /// Gray `pixels` (height, width), each as a square of `scale` x `scale`, in a frame of one pixel outside of
  /// it.
  void image(std::size_t x, std::size_t y, std::span<const std::uint8_t> pixels, std::size_t width,
             std::size_t scale);
  /// Printable ASCII in letters of 5 x 7; any other byte is drawn as '?'.
  void text(std::size_t x, std::size_t y, std::string_view text, std::size_t scale, Color color = gray(0));
  static std::size_t text_width(std::string_view text, std::size_t scale);

  /// The picture as a PNG file's bytes; gray where no pixel has a colour.
  std::string png() const;
  /// Writes it whole or not at all.
  void write_png(const std::filesystem::path& path) const;

 private:
  std::size_t width_;
  std::size_t height_;
  std::vector<Color> pixels_;
};

}  // namespace volley
