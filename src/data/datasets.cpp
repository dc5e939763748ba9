#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include <volley/dataset.hpp>
#include <volley/error.hpp>

#include "data/idx.hpp"
#include "data/known_set.hpp"

namespace volley {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// "train-images.idx3-ubyte", as some unpackers name it.
std::string dotted(std::string name) {
  const std::size_t at = name.find("-idx");
  if (at != std::string::npos) name[at] = '.';
  return name;
}

IdxArray read_known_file(const KnownSet& set, const KnownFile& known, const fs::path& path) {
  IdxArray array = read_idx(path, known.rank);
  if (array.sha256 == known.sha256) return array;
  std::string whose;
  for (const KnownSet& other : known_sets()) {
    for (const KnownFile& file : other.files) {
      if (file.sha256 == array.sha256) whose = fmt::format(", which is {}'s {}", other.title, file.name);
    }
  }
  throw Error(fmt::format("[data] {} is not {}'s {}: its SHA-256 must be {}, got {}{}", path.string(),
                          set.title, known.name, known.sha256, array.sha256, whose));
}

/// Of a set's four files two are of the training part, two of the test.
Dataset load_from(const KnownSet& set, const SetPlace& place, datasets::Part part) {
  const bool train = part == datasets::Part::train;
  const std::size_t first = train ? 0 : 2;
  const auto pictures = read_known_file(set, set.files[first], place.files[first]);
  const auto labels = read_known_file(set, set.files[first + 1], place.files[first + 1]);
  return make_dataset(set.name + (train ? " train" : " test"), pictures, labels, set.classes);
}

Split load_place(const KnownSet& set, const SetPlace& place) {
  return {load_from(set, place, datasets::Part::train), load_from(set, place, datasets::Part::test)};
}

std::string missing_text(const KnownSet& set, const fs::path& folder) {
  std::string text = fmt::format("[data] {} is not there: looked for", set.title);
  for (const KnownFile& file : set.files) text += "\n    " + file.name;
  text += "\n  (raw or .gz), all four in one of";
  for (const fs::path& place : set_folders(set, folder)) {
    std::vector<std::string> found;
    for (const KnownFile& file : set.files) {
      if (!find_set_file(file, place).empty()) found.push_back(file.name);
    }
    text += "\n    " + place.string();
    if (!found.empty()) text += fmt::format("  (has only {})", fmt::join(found, ", "));
  }
  text += "\n  To get it: volley data fetch " + set.name;
  if (!folder.empty()) text += " --data-dir " + folder.string();
  return text;
}

}  // namespace

Dataset Dataset::first(std::size_t samples) const {
  const std::size_t count = std::min(samples, size());
  Dataset part{name, shape, {}, {}, classes};
  part.pixels.assign(pixels.begin(), pixels.begin() + static_cast<std::ptrdiff_t>(count * shape.size()));
  part.labels.assign(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(count));
  return part;
}

fs::path find_set_file(const KnownFile& file, const fs::path& folder) {
  for (const std::string& name : {file.name, dotted(file.name)}) {
    for (const char* suffix : {"", ".gz"}) {
      if (is_file(folder / (name + suffix))) return folder / (name + suffix);
    }
  }
  return {};
}

std::vector<fs::path> set_folders(const KnownSet& set, const fs::path& folder) {
  const fs::path root = folder.empty() ? datasets::default_folder() : folder;
  // The folder itself comes after those that bear the set's name: both sets' files are called the same.
  std::vector<fs::path> folders{root / set.name, root / set.torchvision / "raw", root};
  if (!set.system_folder.empty()) folders.push_back(set.system_folder);
  return folders;
}

std::optional<SetPlace> find_set(const KnownSet& set, const fs::path& folder) {
  for (const fs::path& place : set_folders(set, folder)) {
    SetPlace found{place, {}};
    for (std::size_t i = 0; i < found.files.size(); ++i) found.files[i] = find_set_file(set.files[i], place);
    if (std::ranges::none_of(found.files, [](const fs::path& path) { return path.empty(); })) return found;
  }
  return std::nullopt;
}

SetPlace require_set(const KnownSet& set, const fs::path& folder) {
  const std::optional<SetPlace> place = find_set(set, folder);
  if (!place.has_value()) throw Error(missing_text(set, folder));
  return *place;
}

Split load_set(const KnownSet& set, const fs::path& folder) {
  return load_place(set, require_set(set, folder));
}

Dataset load_set_part(const KnownSet& set, datasets::Part part, const fs::path& folder) {
  return load_from(set, require_set(set, folder), part);
}

datasets::Info look_up_set(const KnownSet& set, const fs::path& folder) {
  datasets::Info info;
  info.name = set.name;
  info.title = set.title;
  info.train_samples = set.train_samples;
  info.test_samples = set.test_samples;
  info.shape = set.shape;
  info.classes = set.classes;
  const std::optional<SetPlace> place = find_set(set, folder);
  if (!place.has_value()) return info;
  info.place = place->folder;
  try {
    load_place(set, *place);
    info.state = datasets::Info::State::ready;
  } catch (const Error& error) {
    info.state = datasets::Info::State::wrong;
    info.problem = error.what();
  }
  return info;
}

namespace datasets {

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const KnownSet& set : known_sets()) all.push_back(set.name);
  return all;
}

fs::path default_folder() {
  // The XDG rules have a relative path ignored.
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && cache[0] == '/') {
    return fs::path(cache) / "volley";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] != '\0') {
    return fs::path(home) / ".cache" / "volley";
  }
  throw Error(
      "[data] no folder for data: HOME or XDG_CACHE_HOME must be set, or a folder given (--data-dir)");
}

Split load(const std::string& name, const fs::path& folder) { return load_set(known_set(name), folder); }
Dataset load_part(const std::string& name, Part part, const fs::path& folder) {
  return load_set_part(known_set(name), part, folder);
}
Split mnist(const fs::path& folder) { return load("mnist", folder); }
Split fashion_mnist(const fs::path& folder) { return load("fashion_mnist", folder); }

std::vector<Info> list(const fs::path& folder) {
  std::vector<Info> all;
  for (const KnownSet& set : known_sets()) all.push_back(look_up_set(set, folder));
  return all;
}

fs::path fetch(const std::string& name, const fs::path& folder, const FetchHooks& hooks) {
  return fetch_set(known_set(name), folder, hooks);
}

}  // namespace datasets
}  // namespace volley
