#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <volley/dataset.hpp>

namespace volley {

/// An IDX file of bytes, the format of MNIST: big-endian
///
///     00 00  type (08: unsigned byte)  rank  |  rank sizes of 4 bytes  |  values, row-major
struct IdxArray {
  std::filesystem::path path;
  std::vector<std::size_t> sizes;
  std::vector<std::uint8_t> values;
  std::string sha256;  // of the whole unpacked file
};

/// Reads pictures (rank 3: samples, height, width) or labels (rank 1), raw or gzip. The file is not believed:
/// throws a FileError when type, rank, sizes or length are not what they must be, before memory is asked
/// for.
IdxArray read_idx(const std::filesystem::path& path, std::size_t rank);

/// Pictures and their labels, which count from `first_label`, as a set. Throws a FileError when they do not
/// belong together, or a label has no class.
Dataset make_dataset(std::string name, IdxArray pictures, IdxArray labels, std::vector<std::string> classes,
                     std::size_t first_label = 0);

}  // namespace volley
