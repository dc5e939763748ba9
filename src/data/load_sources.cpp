#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/array.hpp>
#include <volley/error.hpp>
#include <volley/source.hpp>

#include "core/files.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

constexpr std::array<std::string_view, 4> kFiles{".npy", ".npz", ".safetensors", ".csv"};
constexpr std::size_t kMostClassText = std::size_t{1} << 24;

bool has_arrays(const fs::path& folder) {
  return fs::exists(folder / "x.npy") || fs::exists(folder / "X.npy") || fs::exists(folder / "x_train.npy");
}

/// Every array of a path, and the names of the classes where a folder has them.
struct Found {
  std::map<std::string, Array> arrays;
  std::vector<std::string> classes;
};

std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  if (!fs::exists(path)) return lines;
  const std::string text = read_file(path, kMostClassText);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

Found find_arrays(const fs::path& path) {
  if (!fs::is_directory(path)) return {.arrays = read_arrays(path), .classes = {}};
  Found found{.arrays = {}, .classes = lines_of(path / "classes.txt")};
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() != ".npy") continue;
    std::map<std::string, Array> of_file = read_arrays(entry.path());
    found.arrays.emplace(entry.path().stem().string(), std::move(of_file.begin()->second));
  }
  return found;
}

/// Columns of numbers, one array each, as one array (rows, columns), but for that of the targets.
Found join_columns(std::map<std::string, Array> columns) {
  Found found;
  std::vector<const Array*> features;
  for (auto& [name, column] : columns) {
    if (name == "y" || name == "label" || name == "target") {
      found.arrays.emplace("y", column);
    } else {
      features.push_back(&column);
    }
  }
  if (features.empty()) return found;
  const std::size_t rows = features.front()->rows();
  Tensor x(Shape{rows, features.size()});
  std::vector<float> values(rows);
  for (std::size_t c = 0; c < features.size(); ++c) {
    features[c]->floats(values, 0);
    for (std::size_t r = 0; r < rows; ++r) x.data()[r * features.size() + c] = values[r];
  }
  found.arrays.emplace("x", Array::of(x));
  return found;
}

/// The arrays of one set, by the names that end in `suffix`.
class Parts {
 public:
  Parts(const Found& found, const fs::path& path, std::string suffix)
      : found_(found), path_(path), suffix_(std::move(suffix)) {}

  /// The first array of these names; an empty one where there is none.
  Array any(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) {
      const auto at = found_.arrays.find(std::string(name) + suffix_);
      if (at != found_.arrays.end()) return at->second;
    }
    return {};
  }
  std::shared_ptr<const ArraySource> source(const std::string& name) const {
    ArrayParts parts{.name = name,
                     .x = any({"x", "X"}),
                     .targets = any({"y", "labels", "targets"}),
                     .lengths = any({"lengths", "length"}),
                     .mask = any({"mask"}),
                     .weights = any({"weights"}),
                     .kind = {},
                     .classes = found_.classes};
    if (parts.x.empty()) {
      std::string names;
      for (const auto& [found, array] : found_.arrays) names += (names.empty() ? "'" : ", '") + found + "'";
      throw FileError(path_.string(), fmt::format("an array 'x{}'", suffix_), names.empty() ? "none" : names);
    }
    return std::make_shared<ArraySource>(parts);
  }

 private:
  const Found& found_;
  const fs::path& path_;
  std::string suffix_;
};

/// Which samples are for the test: those that an array says, or every fifth of each class.
std::vector<bool> choose_test(const Array& given, const Array& targets, std::size_t size,
                              const fs::path& path) {
  std::vector<bool> test(size);
  std::vector<std::uint32_t> numbers(size);
  if (!given.empty()) {
    if (given.shape() != Shape{size})
      throw FileError(path.string(), fmt::format("'test' of shape ({})", size), given.shape().text());
    given.whole(numbers, 0);
    for (std::size_t n = 0; n < size; ++n) test[n] = numbers[n] != 0;
    return test;
  }
  std::map<std::uint32_t, std::size_t> seen;
  const bool classes = !targets.empty() && is_integer(targets.type()) && targets.shape() == Shape{size};
  if (classes) targets.whole(numbers, 0);
  for (std::size_t n = 0; n < size; ++n) test[n] = seen[classes ? numbers[n] : 0]++ % 5 == 4;
  return test;
}

Sources array_sources(const fs::path& path) {
  Found found = find_arrays(path);
  const bool named = !found.arrays.contains("");
  if (path.extension() == ".csv" && named) found = join_columns(std::move(found.arrays));
  if (!named) found.arrays.emplace("x", found.arrays.at(""));
  const std::string name = path.stem().string();
  if (found.arrays.contains("x_train") || found.arrays.contains("X_train")) {
    return {.train = Parts(found, path, "_train").source(name + " train"),
            .test = Parts(found, path, "_test").source(name + " test"),
            .validation = nullptr};
  }
  const Parts parts(found, path, "");
  const std::shared_ptr<const Source> all = parts.source(name);
  const std::vector<bool> test =
      choose_test(parts.any({"test"}), parts.any({"y", "labels", "targets"}), all->size(), path);
  std::array<std::vector<std::uint32_t>, 2> ids;
  for (std::uint32_t n = 0; n < all->size(); ++n) ids[test[n]].push_back(n);
  if (ids[0].empty() || ids[1].empty()) {
    throw FileError(path.string(), "samples for the training and for the test",
                    fmt::format("{} and {}", ids[0].size(), ids[1].size()));
  }
  return {.train = std::make_shared<Subset>(all, std::move(ids[0]), name + " train"),
          .test = std::make_shared<Subset>(all, std::move(ids[1]), name + " test"),
          .validation = nullptr};
}

}  // namespace

bool is_array_path(const std::string& data) {
  if (!datasets::is_picture_folder(data)) return false;  // no slash: a name
  const fs::path path(data);
  if (fs::is_directory(path)) return has_arrays(path);
  return std::ranges::find(kFiles, path.extension().string()) != kFiles.end();
}

Sources sources_of(Split&& pictures) {
  const auto part = [](Dataset& of) -> std::shared_ptr<const Source> {
    if (of.size() == 0) return nullptr;
    return std::make_shared<PictureSource>(std::make_shared<const Dataset>(std::move(of)));
  };
  return {
      .train = part(pictures.train), .test = part(pictures.test), .validation = part(pictures.validation)};
}

Sources load_sources(const std::string& data, const std::string& folder) {
  return is_array_path(data) ? array_sources(data) : sources_of(datasets::load(data, folder));
}

}  // namespace volley
