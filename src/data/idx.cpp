#include "data/idx.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include <volley/error.hpp>

#include "core/sha256.hpp"
#include "data/packed_file.hpp"

namespace volley {
namespace {

constexpr std::uint8_t kUnsignedByte = 0x08;
constexpr std::size_t kMostValues = std::size_t{1} << 32;

std::string kind_of(std::size_t rank) {
  switch (rank) {
    case 1: return "labels (1 dimension)";
    case 3: return "pictures (3 dimensions)";
    default: return fmt::format("{} dimensions", rank);
  }
}

void require(bool rule, const PackedFile& file, const std::string& expected, const std::string& found) {
  if (!rule) throw FileError(file.path().string(), fmt::format("must {}, got {}", expected, found));
}

/// The header's bytes, with type and rank checked.
std::vector<std::uint8_t> read_header(PackedFile& file, std::size_t rank) {
  std::vector<std::uint8_t> header(4 + 4 * rank);
  const std::size_t count = file.read(header);
  const std::span<const std::uint8_t> magic(header.data(), std::min<std::size_t>(count, 4));
  require(magic.size() == 4, file, "begin with an IDX header", fmt::format("{} bytes in all", count));
  require(magic[0] == 0 && magic[1] == 0, file, fmt::format("begin with the IDX magic 00 00 08 {:02x}", rank),
          fmt::format("{:02x} {:02x} {:02x} {:02x}", magic[0], magic[1], magic[2], magic[3]));
  require(magic[2] == kUnsignedByte, file, "hold unsigned bytes (type 08)",
          fmt::format("type {:02x}", magic[2]));
  const bool swapped = (rank == 3 && magic[3] == 1) || (rank == 1 && magic[3] == 3);
  require(magic[3] == rank, file, "hold " + kind_of(rank),
          kind_of(magic[3]) + (swapped ? ": are the two files swapped?" : ""));
  require(count == header.size(), file, fmt::format("have a header of {} bytes", header.size()),
          fmt::format("{} bytes in all", count));
  return header;
}

std::vector<std::size_t> sizes_in(std::span<const std::uint8_t> header) {
  std::vector<std::size_t> sizes;
  for (std::size_t at = 4; at < header.size(); at += 4) {
    sizes.push_back(std::size_t{header[at]} << 24 | std::size_t{header[at + 1]} << 16 |
                    std::size_t{header[at + 2]} << 8 | std::size_t{header[at + 3]});
  }
  return sizes;
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& path, std::size_t rank) {
  PackedFile file(path);
  const std::vector<std::uint8_t> header = read_header(file, rank);
  IdxArray array{path, sizes_in(header), {}, {}};
  const std::string shape = Shape(array.sizes).text();
  require(std::ranges::count(array.sizes, std::size_t{0}) == 0, file, "have sizes of 1 or more", shape);
  // Three sizes of 32 bits can overflow 64; a product that could is more than any file holds.
  std::size_t promised = 1;
  bool counted = true;
  for (const std::size_t size : array.sizes) {
    counted = counted && !__builtin_mul_overflow(promised, size, &promised);
  }
  const std::size_t room = file.most_bytes() - std::min(file.most_bytes(), header.size());
  require(counted && promised <= room, file,
          fmt::format("hold the {} values of {} that its header promises",
                      counted ? std::to_string(promised) : "2^64 or more", shape),
          fmt::format("{}{} bytes after the header", file.packed() ? "at most " : "", room));
  require(promised <= kMostValues, file, fmt::format("hold at most {} values", kMostValues), shape);
  array.values.resize(promised);
  const std::size_t count = file.read(array.values);
  const bool ended = file.at_end();
  require(count == promised, file,
          fmt::format("hold the {} values of {} that its header promises", promised, shape),
          fmt::format("{}: truncated", count));
  require(ended, file, fmt::format("end after the {} values of {}", promised, shape),
          "more bytes behind them");
  Sha256 sum;
  sum.add(header);
  sum.add(array.values);
  array.sha256 = sum.hex();
  return array;
}

Dataset make_dataset(std::string name, IdxArray pictures, IdxArray labels, std::vector<std::string> classes,
                     std::size_t first_label) {
  if (pictures.sizes[0] != labels.sizes[0]) {
    throw FileError(labels.path.string(),
                    fmt::format("must hold one label for each of the {} pictures in {}, got {} labels",
                                pictures.sizes[0], pictures.path.string(), labels.sizes[0]));
  }
  std::vector<std::uint32_t> numbers(labels.values.size());
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    const std::size_t label = labels.values[n];
    if (label < first_label || label - first_label >= classes.size()) {
      throw FileError(labels.path.string(),
                      fmt::format("must hold labels of {} to {}, got {} for picture {}", first_label,
                                  first_label + classes.size() - 1, label, n));
    }
    numbers[n] = static_cast<std::uint32_t>(label - first_label);
  }
  return {std::move(name), Shape{1, pictures.sizes[1], pictures.sizes[2]}, std::move(pictures.values),
          std::move(numbers), std::move(classes)};
}

}  // namespace volley
