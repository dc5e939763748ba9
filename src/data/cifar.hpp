#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include <volley/dataset.hpp>

namespace volley {

/// A record of CIFAR's binary versions: 1 label (CIFAR-10), or 2, coarse and fine (CIFAR-100), and a picture
///
///     label [, fine label]  |  1024 red  |  1024 green  |  1024 blue, each 32 x 32, row-major
inline constexpr std::size_t kCifarPixels = 3 * 32 * 32;

/// Adds the records that `bytes`, the contents of the file at `path`, consists of to `data`; the last of the
/// `labels` of each counts. Throws a FileError when it does not end with a record, or a label has
/// no class.
void append_cifar(Dataset& data, const std::filesystem::path& path, std::string_view bytes,
                  std::size_t labels);

}  // namespace volley
