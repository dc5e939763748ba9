#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace volley {

/// The bytes of a file. Throws a FileError when it is missing, not a regular file, unreadable, or
/// larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::size_t max_bytes);

/// Writes a file whole or not at all: a temporary file in the same folder, flushed to the disk, takes the
/// name `path` only when every byte is there. On failure throws a FileError; an older file of that name is
/// then as it was.
void write_file_whole(const std::filesystem::path& path, std::string_view bytes);
/// The same of bytes that lie in pieces, one after another.
void write_file_whole(const std::filesystem::path& path, std::span<const std::string_view> pieces);

}  // namespace volley
