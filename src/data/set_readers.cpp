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

/// Throws Error unless `sha256`, of the file at `path`, is what is known of `file`; where nothing is known of
/// it, when it is known as a file of another set.
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
  throw Error(fmt::format("[data] {} is not {}'s {}: {}", path.string(), set.title, file.name, rule));
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

Dataset read_idx_part(const KnownSet& set, const SetPlace& place, std::size_t first, const char* part) {
  IdxArray pictures = read_idx_file(set, set.files[first], place.files[first]);
  IdxArray labels = read_idx_file(set, set.files[first + 1], place.files[first + 1]);
  Dataset data = make_dataset(fmt::format("{} {}", set.name, part), std::move(pictures), std::move(labels),
                              set.classes, set.first_label);
  if (data.shape != set.shape) {
    throw Error(fmt::format("[data] {} must hold pictures of {}, got {}", place.files[first].string(),
                            set.shape.text(), data.shape.text()));
  }
  if (set.transposed) transpose_pictures(data);
  return data;
}

Split read_cifar_set(const KnownSet& set, const SetPlace& place, std::size_t labels) {
  Split split;
  split.train = {set.name + " train", set.shape, {}, {}, set.classes};
  split.test = {set.name + " test", set.shape, {}, {}, set.classes};
  for (std::size_t i = 0; i < set.files.size(); ++i) {
    const std::string bytes = read_unpacked(place.files[i], set.files[i].bytes);
    check_hash(set, set.files[i], place.files[i], sha256_hex(bytes));
    append_cifar(i + 1 < set.files.size() ? split.train : split.test, place.files[i], bytes, labels);
  }
  return split;
}

}  // namespace

Split read_idx_set(const KnownSet& set, const SetPlace& place) {
  Split split;
  split.train = read_idx_part(set, place, 0, "train");
  split.test = read_idx_part(set, place, 2, "test");
  return split;
}

Split read_cifar10_set(const KnownSet& set, const SetPlace& place) { return read_cifar_set(set, place, 1); }
Split read_cifar100_set(const KnownSet& set, const SetPlace& place) { return read_cifar_set(set, place, 2); }

}  // namespace volley
