#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace volley {

/// A picture as its file stores it, in bytes: row by row, the channels of a pixel side by side. 1 channel is
/// grey, 3 are red, green and blue; 2 and 4 are these with alpha, which is the last.
struct Pixels {
  std::size_t width = 0, height = 0, channels = 1;
  std::vector<std::uint8_t> bytes;
};

[[noreturn]] void fail_image(const std::filesystem::path& path, const std::string& problem);
/// Throws a FileError unless both are 1 to `most`.
void check_image_size(const std::filesystem::path& path, std::size_t width, std::size_t height,
                      std::size_t most);

// Each reads the `bytes` of a file of one format, which `path` names in errors. Throws a FileError where they
// are damaged, or the picture is wider or higher than `most`.
Pixels read_png(const std::filesystem::path& path, std::string_view bytes, std::size_t most);
Pixels read_jpeg(const std::filesystem::path& path, std::string_view bytes, std::size_t most);
Pixels read_bmp(const std::filesystem::path& path, std::string_view bytes, std::size_t most);
Pixels read_pgm(const std::filesystem::path& path, std::string_view bytes, std::size_t most);

}  // namespace volley
