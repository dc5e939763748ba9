#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "data/image_formats.hpp"

namespace volley {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// The numbers of a PGM file: decimal, with white space and, up to the pixels, # comments between them.
class PgmNumbers {
 public:
  explicit PgmNumbers(std::string_view text) : rest_(text) {}

  std::optional<std::size_t> next() {
    skip_space();
    std::size_t value = 0;
    std::size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      if (digits == 9) return std::nullopt;
      value = value * 10 + static_cast<std::size_t>(rest_[digits] - '0');
    }
    if (digits == 0) return std::nullopt;
    rest_.remove_prefix(digits);
    return value;
  }
  void skip_space() {
    while (!rest_.empty()) {
      if (rest_[0] == '#') {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      } else if (is_space(rest_[0])) {
        rest_.remove_prefix(1);
      } else {
        return;
      }
    }
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

struct PgmHeader {
  std::size_t width = 0;
  std::size_t height = 0;
  std::size_t most_value = 0;

  std::size_t pixels() const { return width * height; }
  std::uint8_t to_byte(std::size_t value) const {
    return static_cast<std::uint8_t>((value * 255 + most_value / 2) / most_value);
  }
};

PgmHeader read_pgm_header(const std::filesystem::path& path, PgmNumbers& numbers, std::size_t most) {
  const auto width = numbers.next();
  const auto height = numbers.next();
  const auto most_value = numbers.next();
  if (!width || !height || !most_value)
    fail_image(path, "the PGM header must have a width, a height and a maxval");
  check_image_size(path, *width, *height, most);
  if (*most_value < 1 || *most_value > 65535) {
    fail_image(path, fmt::format("the PGM maxval must be 1 to 65535, got {}", *most_value));
  }
  return {*width, *height, *most_value};
}

[[noreturn]] void fail_value(const std::filesystem::path& path, std::size_t value, const PgmHeader& header) {
  fail_image(path, fmt::format("a PGM pixel must be 0 to the maxval {}, got {}", header.most_value, value));
}

std::vector<std::uint8_t> read_text_pixels(const std::filesystem::path& path, PgmNumbers& numbers,
                                           const PgmHeader& header) {
  // A pixel takes at least a digit and a space: a promise of more than that is not believed.
  if (numbers.rest().size() / 2 < header.pixels()) {
    fail_image(path, fmt::format("truncated: must hold {} pixels, got {} bytes", header.pixels(),
                                 numbers.rest().size()));
  }
  std::vector<std::uint8_t> pixels(header.pixels());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const auto value = numbers.next();
    if (!value) fail_image(path, fmt::format("must hold {} pixels, got {}", pixels.size(), i));
    if (*value > header.most_value) fail_value(path, *value, header);
    pixels[i] = header.to_byte(*value);
  }
  numbers.skip_space();
  if (!numbers.rest().empty())
    fail_image(path, fmt::format("must end after its {} pixels, got more", pixels.size()));
  return pixels;
}

std::vector<std::uint8_t> read_binary_pixels(const std::filesystem::path& path, std::string_view bytes,
                                             const PgmHeader& header) {
  const std::size_t wide = header.most_value > 255 ? 2 : 1;
  if (bytes.empty() || !is_space(bytes[0])) fail_image(path, "one white space must end the PGM header");
  bytes.remove_prefix(1);
  if (bytes.size() != header.pixels() * wide) {
    fail_image(path,
               fmt::format("must hold {} bytes of pixels, got {}", header.pixels() * wide, bytes.size()));
  }
  std::vector<std::uint8_t> pixels(header.pixels());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    std::size_t value = static_cast<std::uint8_t>(bytes[i * wide]);
    if (wide == 2) value = value << 8 | static_cast<std::uint8_t>(bytes[i * wide + 1]);
    if (value > header.most_value) fail_value(path, value, header);
    pixels[i] = header.to_byte(value);
  }
  return pixels;
}

}  // namespace

Pixels read_pgm(const std::filesystem::path& path, std::string_view bytes, std::size_t most) {
  PgmNumbers numbers(bytes.substr(2));
  const PgmHeader header = read_pgm_header(path, numbers, most);
  return {header.width, header.height, 1,
          bytes[1] == '2' ? read_text_pixels(path, numbers, header)
                          : read_binary_pixels(path, numbers.rest(), header)};
}

}  // namespace volley
