#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <volley/error.hpp>

#include "core/sha256.hpp"
#include "data/cifar.hpp"
#include "data/idx.hpp"
#include "data/known_set.hpp"
#include "data/packed_file.hpp"

namespace volley {
namespace {

namespace fs = std::filesystem;

/// Throws a FileError unless `sha256`, of the file at `path`, is what is known of `file`; where nothing is
/// known of it, when it is known as a file of another set.
void check_hash(const KnownSet& set, const KnownFile& file, const fs::path& path, const std::string& sha256) {
  if (sha256 == file.sha256) return;
  std::string whose;
  for (const KnownSet& other : known_sets()) {
    for (const KnownFile& known : other.files) {
      if (known.sha256 == sha256) whose = fmt::format("{}'s {}", other.title, known.name);
    }
  }
  if (file.sha256.empty() && whose.empty()) return;
  const std::string rule = file.sha256.empty()
                               ? "got " + whose
                               : fmt::format("its SHA-256 must be {}, got {}{}", file.sha256, sha256,
                                             whose.empty() ? "" : ", which is " + whose);
  throw FileError(path.string(), fmt::format("is not {}'s {}: {}", set.title, file.name, rule));
}

IdxArray read_idx_file(const KnownSet& set, const KnownFile& file, const fs::path& path) {
  IdxArray array = read_idx(path, file.rank);
  check_hash(set, file, path, array.sha256);
  return array;
}

/// Turns every picture over its diagonal: rows become columns.
void transpose_pictures(Dataset& data) {
  const std::size_t H = data.shape[1], W = data.shape[2];
  std::vector<std::uint8_t> turned(H * W);
  for (std::size_t n = 0; n < data.size(); ++n) {
    std::uint8_t* picture = data.pixels.data() + n * H * W;
    for (std::size_t i = 0; i < H * W; ++i) turned[i % W * H + i / W] = picture[i];
    std::ranges::copy(turned, picture);
  }
  data.shape = Shape{1, W, H};
}

std::string part_name(const KnownSet& set, datasets::Part part) {
  return set.name + (part == datasets::Part::train ? " train" : " test");
}

Dataset read_cifar_set(const KnownSet& set, const SetPlace& place, datasets::Part part, std::size_t labels) {
  Dataset data{part_name(set, part), set.shape, {}, {}, set.classes};
  const std::size_t last = set.files.size() - 1;  // the test's, and all others the training's
  const bool train = part == datasets::Part::train;
  for (std::size_t i = train ? 0 : last; i < (train ? last : last + 1); ++i) {
    const std::string bytes = read_unpacked(place.files[i], set.files[i].bytes);
    check_hash(set, set.files[i], place.files[i], sha256_hex(bytes));
    append_cifar(data, place.files[i], bytes, labels);
  }
  return data;
}

}  // namespace

Dataset read_idx_set(const KnownSet& set, const SetPlace& place, datasets::Part part) {
  const std::size_t first = part == datasets::Part::train ? 0 : 2;
  IdxArray pictures = read_idx_file(set, set.files[first], place.files[first]);
  IdxArray labels = read_idx_file(set, set.files[first + 1], place.files[first + 1]);
  Dataset data = make_dataset(part_name(set, part), std::move(pictures), std::move(labels), set.classes,
                              set.first_label);
  if (data.shape != set.shape) {
    throw FileError(place.files[first].string(),
                    fmt::format("must hold pictures of {}, got {}", set.shape.text(), data.shape.text()));
  }
  if (set.transposed) transpose_pictures(data);
  return data;
}

Dataset read_cifar10_set(const KnownSet& set, const SetPlace& place, datasets::Part part) {
  return read_cifar_set(set, place, part, 1);
}
Dataset read_cifar100_set(const KnownSet& set, const SetPlace& place, datasets::Part part) {
  return read_cifar_set(set, place, part, 2);
}

}  // namespace volley
