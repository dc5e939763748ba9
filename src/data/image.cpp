#include "data/image.hpp"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "data/packed_file.hpp"

namespace volley {
namespace {

constexpr std::size_t kMostFileBytes = 256 << 20;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& problem) {
  throw FileError(path.string(), problem);
}

void check_size(const std::filesystem::path& path, std::size_t width, std::size_t height, std::size_t most) {
  if (width == 0 || height == 0 || width > most || height > most) {
    fail(path, fmt::format("width and height must be 1 to {} pixels, got {} x {}", most, width, height));
  }
}

Dataset one_picture(const std::filesystem::path& path, const Shape& shape, std::vector<std::uint8_t> pixels) {
  return {path.filename().string(), shape, std::move(pixels), {0}, {"unlabelled"}};
}

/// libpng's own handle for its simplified interface, which keeps its longjmp to itself.
struct PngImage {
  png_image image{};

  PngImage() { image.version = PNG_IMAGE_VERSION; }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
  ~PngImage() { png_image_free(&image); }
};

/// Without the chunks of gamma and colour spaces, by which libpng would change the stored numbers. What is no
/// chunk is left for libpng to refuse.
std::string without_colour_spaces(std::string_view bytes) {
  constexpr std::size_t kSignature = 8, kFrame = 12;  // a chunk's length, type and CRC
  constexpr std::string_view kDropped[] = {"gAMA", "cHRM", "sRGB", "iCCP"};
  std::string kept(bytes.substr(0, kSignature));
  bytes.remove_prefix(std::min(kSignature, bytes.size()));
  while (bytes.size() >= kFrame) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<std::uint8_t>(bytes[i]);
    if (length > bytes.size() - kFrame) break;
    if (std::ranges::find(kDropped, bytes.substr(4, 4)) == std::end(kDropped))
      kept += bytes.substr(0, kFrame + length);
    bytes.remove_prefix(kFrame + length);
  }
  return kept.append(bytes);
}

/// On white paper: a / 255 of the value, and the rest white.
std::uint8_t on_white(std::uint8_t value, std::uint8_t alpha) {
  return static_cast<std::uint8_t>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

/// ITU-R 601, to the nearest in 16 bits, as Pillow's convert("L").
std::uint8_t grey_of(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  return static_cast<std::uint8_t>((red * 19595u + green * 38470u + blue * 7471u + 0x8000u) >> 16);
}

/// Pixels of `channels` (1 to 4: grey, red green blue; the last of 2 and 4 is alpha) to planes.
std::vector<std::uint8_t> planes_of(const std::vector<std::uint8_t>& pixels, std::size_t channels,
                                    bool in_colour) {
  const std::size_t size = pixels.size() / channels, colours = channels < 3 ? 1 : 3;
  std::vector<std::uint8_t> planes(in_colour ? 3 * size : size);
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint8_t* from = pixels.data() + i * channels;
    std::array<std::uint8_t, 3> seen{};
    for (std::size_t c = 0; c < 3; ++c) {
      const std::uint8_t value = from[c % colours];
      seen[c] = channels % 2 == 0 ? on_white(value, from[colours]) : value;
    }
    if (in_colour) {
      for (std::size_t c = 0; c < 3; ++c) planes[c * size + i] = seen[c];
    } else {
      planes[i] = colours == 1 ? seen[0] : grey_of(seen[0], seen[1], seen[2]);
    }
  }
  return planes;
}

Dataset read_png(const std::filesystem::path& path, std::string_view given, std::size_t most,
                 Colours colours) {
  const std::string bytes = without_colour_spaces(given);
  PngImage png;
  if (png_image_begin_read_from_memory(&png.image, bytes.data(), bytes.size()) == 0) {
    fail(path, fmt::format("not a good PNG file: {}", png.image.message));
  }
  check_size(path, png.image.width, png.image.height, most);
  // A pixel has a bit or more: a promise of more than can have been packed is not believed.
  const std::size_t pixel_bytes = std::size_t{png.image.width} * png.image.height / 8;
  if (pixel_bytes / kDeflateRatio > bytes.size()) {
    fail(path, fmt::format("truncated: must hold {} x {} pixels, got {} bytes", png.image.width,
                           png.image.height, bytes.size()));
  }
  png.image.format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA;  // 8 bits of the stored scale
  png.image.flags |=
      PNG_IMAGE_FLAG_16BIT_sRGB;  // 16 bits are finer steps of the same scale, not linear light
  const bool in_colour = colours == Colours::as_stored && (png.image.format & PNG_FORMAT_FLAG_COLOR) != 0;
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(png.image));
  if (png_image_finish_read(&png.image, nullptr, pixels.data(), 0, nullptr) == 0) {
    fail(path, fmt::format("not a good PNG file: {}", png.image.message));
  }
  return one_picture(path, {in_colour ? 3u : 1u, png.image.height, png.image.width},
                     planes_of(pixels, PNG_IMAGE_SAMPLE_CHANNELS(png.image.format), in_colour));
}

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
  if (!width || !height || !most_value) fail(path, "the PGM header must have a width, a height and a maxval");
  check_size(path, *width, *height, most);
  if (*most_value < 1 || *most_value > 65535) {
    fail(path, fmt::format("the PGM maxval must be 1 to 65535, got {}", *most_value));
  }
  return {*width, *height, *most_value};
}

[[noreturn]] void fail_value(const std::filesystem::path& path, std::size_t value, const PgmHeader& header) {
  fail(path, fmt::format("a PGM pixel must be 0 to the maxval {}, got {}", header.most_value, value));
}

std::vector<std::uint8_t> read_text_pixels(const std::filesystem::path& path, PgmNumbers& numbers,
                                           const PgmHeader& header) {
  // A pixel takes at least a digit and a space: a promise of more than that is not believed.
  if (numbers.rest().size() / 2 < header.pixels()) {
    fail(path,
         fmt::format("truncated: must hold {} pixels, got {} bytes", header.pixels(), numbers.rest().size()));
  }
  std::vector<std::uint8_t> pixels(header.pixels());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const auto value = numbers.next();
    if (!value) fail(path, fmt::format("must hold {} pixels, got {}", pixels.size(), i));
    if (*value > header.most_value) fail_value(path, *value, header);
    pixels[i] = header.to_byte(*value);
  }
  numbers.skip_space();
  if (!numbers.rest().empty())
    fail(path, fmt::format("must end after its {} pixels, got more", pixels.size()));
  return pixels;
}

std::vector<std::uint8_t> read_binary_pixels(const std::filesystem::path& path, std::string_view bytes,
                                             const PgmHeader& header) {
  const std::size_t wide = header.most_value > 255 ? 2 : 1;
  if (bytes.empty() || !is_space(bytes[0])) fail(path, "one white space must end the PGM header");
  bytes.remove_prefix(1);
  if (bytes.size() != header.pixels() * wide) {
    fail(path, fmt::format("must hold {} bytes of pixels, got {}", header.pixels() * wide, bytes.size()));
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

Dataset read_pgm(const std::filesystem::path& path, std::string_view bytes, std::size_t most) {
  PgmNumbers numbers(bytes.substr(2));
  const PgmHeader header = read_pgm_header(path, numbers, most);
  return one_picture(path, {1, header.height, header.width},
                     bytes[1] == '2' ? read_text_pixels(path, numbers, header)
                                     : read_binary_pixels(path, numbers.rest(), header));
}

}  // namespace

Dataset read_image(const std::filesystem::path& path, std::size_t most_pixels, Colours colours) {
  const std::string bytes = read_file(path, kMostFileBytes);
  if (bytes.starts_with("\x89PNG")) return read_png(path, bytes, most_pixels, colours);
  if (bytes.starts_with("P2") || bytes.starts_with("P5")) return read_pgm(path, bytes, most_pixels);
  fail(path, "must be a PNG file or a PGM file (P2 or P5)");
}

}  // namespace volley
