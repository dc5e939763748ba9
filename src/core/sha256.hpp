#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace volley {

/// SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  void add(std::span<const std::uint8_t> bytes);
  /// 64 lower-case hexadecimal digits. Ends the sum: nothing can be added afterwards.
  std::string hex();

 private:
  std::unique_ptr<void, void (*)(void*)> context_;
};

std::string sha256_hex(std::string_view bytes);
/// Of a file's bytes, read in pieces. Throws a FileError.
std::string sha256_hex_of_file(const std::filesystem::path& path);

}  // namespace volley
