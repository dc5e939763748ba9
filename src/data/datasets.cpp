#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include <volley/dataset.hpp>
#include <volley/error.hpp>
#include <volley/known_sets.hpp>

#include "data/known_set.hpp"
#include "data/picture_folder.hpp"

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

/// The names of a set's files, a line each.
std::string file_lines(const KnownSet& set) {
  std::string text;
  for (const KnownFile& file : set.files) text += "\n    " + file.name;
  return text;
}

std::string missing_text(const KnownSet& set, const fs::path& folder) {
  std::string text =
      fmt::format("{} is not there: looked for{}\n  (raw or .gz), all in one of", set.title, file_lines(set));
  for (const fs::path& place : set_folders(set, folder)) {
    std::vector<std::string> found;
    for (const KnownFile& file : set.files) {
      if (!find_set_file(file, place).empty()) found.push_back(file.name);
    }
    text += "\n    " + place.string();
    if (!found.empty()) text += fmt::format("  (has only {})", fmt::join(found, ", "));
  }
  if (!set.hashed())
    return text + "\n  " + by_hand(set, (folder.empty() ? datasets::default_folder() : folder) / set.name);
  text += "\n  To get it: volley data fetch " + set.name;
  if (!folder.empty()) text += " --data-dir " + folder.string();
  return text;
}

datasets::Info info_of(const KnownSet& set) {
  datasets::Info info;
  info.name = set.name;
  info.title = set.title;
  info.train_samples = set.train_samples;
  info.test_samples = set.test_samples;
  info.shape = set.shape;
  info.classes = set.classes;
  info.hashed = set.hashed();
  return info;
}

Split read_set(const KnownSet& set, const SetPlace& place) {
  Split both;
  both.train = set.read(set, place, datasets::Part::train);
  both.test = set.read(set, place, datasets::Part::test);
  return both;
}

}  // namespace

std::string by_hand(const KnownSet& set, const fs::path& folder) {
  return fmt::format("By hand: put these files{}, raw or .gz, into {}{}",
                     set.home.empty() ? "" : " from " + set.home, folder.string(), file_lines(set));
}

bool KnownSet::hashed() const {
  return std::ranges::none_of(files, [](const KnownFile& file) { return file.sha256.empty(); });
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
  // The folder itself comes after those that bear the set's name: many sets' files are called the same.
  std::vector<fs::path> folders{root / set.name};
  for (const std::string& name : set.folders) folders.push_back(root / name);
  folders.push_back(root);
  if (!set.system_folder.empty()) folders.push_back(set.system_folder);
  return folders;
}

std::optional<SetPlace> find_set(const KnownSet& set, const fs::path& folder) {
  for (const fs::path& place : set_folders(set, folder)) {
    SetPlace found{place, {}};
    for (const KnownFile& file : set.files) found.files.push_back(find_set_file(file, place));
    if (std::ranges::none_of(found.files, [](const fs::path& path) { return path.empty(); })) return found;
  }
  return std::nullopt;
}

SetPlace require_set(const KnownSet& set, const fs::path& folder) {
  const std::optional<SetPlace> place = find_set(set, folder);
  if (!place.has_value()) {
    throw FileError((folder.empty() ? datasets::default_folder() : folder).string(),
                    missing_text(set, folder));
  }
  return *place;
}

Split load_set(const KnownSet& set, const fs::path& folder) {
  return read_set(set, require_set(set, folder));
}

Dataset load_set_part(const KnownSet& set, datasets::Part part, const fs::path& folder) {
  return set.read(set, require_set(set, folder), part);
}

datasets::Info look_up_set(const KnownSet& set, const fs::path& folder) {
  datasets::Info info = info_of(set);
  const std::optional<SetPlace> place = find_set(set, folder);
  if (!place.has_value()) return info;
  info.place = place->folder;
  try {
    read_set(set, *place);
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
  throw ArgumentError(
      "data", "no folder for data: HOME or XDG_CACHE_HOME must be set, or a folder given (--data-dir)");
}

bool is_picture_folder(const std::string& name) { return name.find('/') != std::string::npos; }

Split load(const std::string& name, const std::string& folder) {
  return is_picture_folder(name) ? read_picture_folder(name) : load_set(known_set(name), folder);
}
Dataset load_part(const std::string& name, Part part, const std::string& folder) {
  if (!is_picture_folder(name)) return load_set_part(known_set(name), part, folder);
  Split both = read_picture_folder(name);
  return part == Part::train ? std::move(both.train) : std::move(both.test);
}
Split mnist(const std::string& folder) { return load("mnist", folder); }
Split fashion_mnist(const std::string& folder) { return load("fashion_mnist", folder); }

std::vector<Info> list(const fs::path& folder) {
  std::vector<Info> all;
  for (const KnownSet& set : known_sets()) all.push_back(look_up_set(set, folder));
  return all;
}

Info info(const std::string& name) { return info_of(known_set(name)); }

std::vector<std::string> file_names(const std::string& name) {
  std::vector<std::string> all;
  for (const KnownFile& file : known_set(name).files) all.push_back(file.name);
  return all;
}

fs::path find(const std::string& name, const fs::path& folder) {
  return require_set(known_set(name), folder).folder;
}

fs::path fetch(const std::string& name, const fs::path& folder, const FetchHooks& hooks) {
  return fetch_set(known_set(name), folder, hooks);
}

}  // namespace datasets
}  // namespace volley
