#include "data/picture_folder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include <volley/error.hpp>
#include <volley/image.hpp>

namespace volley {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostClasses = std::size_t{1} << 15;  // beyond that it is another kind of folder
constexpr std::size_t kMostValues = std::size_t{1} << 32;
constexpr std::size_t kMostProblems = 10;
constexpr std::size_t kTestShare = 5;  // one picture in so many, where no test set is marked out

/// What is wrong in a folder, gathered for one FileError.
class Problems {
 public:
  explicit Problems(fs::path folder) : folder_(std::move(folder)) {}

  void add(const fs::path& path, const std::string& problem) {
    add(fmt::format("{}: {}", path.string(), problem));
  }
  void add(std::string line) {
    lines_.push_back(std::move(line));
    if (lines_.size() == kMostProblems) lines_.emplace_back("(there may be more)"), check();
  }
  void check() const {
    if (lines_.empty()) return;
    throw FileError(
        folder_.string(),
        fmt::format("must hold one folder of pictures (PNG, JPEG, BMP or PGM) for each class, got\n    {}",
                    fmt::join(lines_, "\n    ")));
  }

 private:
  fs::path folder_;
  std::vector<std::string> lines_;
};

/// What is in a folder, by name.
std::vector<fs::path> entries_of(const fs::path& folder, Problems& problems) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (!entry->path().filename().string().starts_with(".")) entries.push_back(entry->path());
  }
  if (error) problems.add(folder, error.message());
  std::ranges::sort(entries);
  return entries;
}

/// The entries of a folder that are of one type, links followed; any other is a problem.
std::vector<fs::path> entries_of_type(const fs::path& folder, fs::file_type type, const char* expected,
                                      Problems& problems) {
  std::vector<fs::path> entries;
  for (const fs::path& path : entries_of(folder, problems)) {
    std::error_code error;
    if (const fs::file_type found = fs::status(path, error).type(); found == type) {
      entries.push_back(path);
    } else if (found == fs::file_type::none || found == fs::file_type::not_found) {
      problems.add(path, error ? error.message() : "a link that leads nowhere");
    } else {
      problems.add(path, expected);
    }
  }
  return entries;
}

/// The folders of the classes; there is at least one.
std::vector<fs::path> class_folders(const fs::path& folder, Problems& problems) {
  auto folders = entries_of_type(folder, fs::file_type::directory, "no folder of a class", problems);
  if (folders.empty() || folders.size() > kMostClasses) {
    problems.add(folder,
                 fmt::format("must have 1 to {} folders of classes, got {}", kMostClasses, folders.size()));
    problems.check();
  }
  return folders;
}

std::vector<std::string> names_of(const std::vector<fs::path>& folders) {
  std::vector<std::string> names;
  for (const fs::path& folder : folders) names.push_back(folder.filename().string());
  return names;
}

void add_picture(Dataset& data, const Dataset& picture, const fs::path& path, Problems& problems) {
  if (data.size() == 0) data.shape = picture.shape;
  if (picture.shape != data.shape) {
    problems.add(path, fmt::format("its shape must be {}, as that of the first, got {}", data.shape.text(),
                                   picture.shape.text()));
    return;
  }
  if (data.pixels.size() + data.shape.size() > kMostValues) {
    throw ArgumentError("data", fmt::format("{} must hold at most {} pixels", data.name, kMostValues),
                        "more");
  }
  data.pixels.insert(data.pixels.end(), picture.pixels.begin(), picture.pixels.end());
}

/// The pictures in `folders`. Labels are places in `classes`.
Dataset read_part(std::string name, std::vector<std::string> classes, const std::vector<fs::path>& folders,
                  Problems& problems) {
  Dataset data{std::move(name), {}, {}, {}, std::move(classes)};
  for (const fs::path& of_class : folders) {
    const auto found = std::ranges::find(data.classes, of_class.filename().string());
    if (found == data.classes.end()) {
      problems.add(of_class, "there is no such class in the training set");
      continue;
    }
    const auto files = entries_of_type(of_class, fs::file_type::regular, "no picture", problems);
    if (files.empty()) problems.add(of_class, "no pictures in it");
    for (const fs::path& path : files) {
      try {
        const Dataset picture = read_image(path, kMostImagePixels, Colours::as_stored);
        add_picture(data, picture, path, problems);
        data.labels.push_back(static_cast<std::uint32_t>(found - data.classes.begin()));
      } catch (const Error& error) {
        problems.add(error.what());
      }
    }
  }
  return data;
}

/// How many classes have two pictures or more.
std::size_t classes_of_two(const Dataset& data) {
  std::vector<std::size_t> counts(data.classes.size());
  for (const std::uint32_t label : data.labels) ++counts[label];
  return static_cast<std::size_t>(std::ranges::count_if(counts, [](std::size_t n) { return n > 1; }));
}

}  // namespace

Split read_picture_folder(const fs::path& folder) {
  Problems problems(folder);
  const std::string name = (folder / "").parent_path().filename().string();
  const std::vector<fs::path> parts = entries_of(folder, problems);
  problems.check();
  Split split;
  if (parts == std::vector{folder / "test", folder / "train"}) {
    const std::vector<fs::path> folders = class_folders(folder / "train", problems);
    split.train = read_part(name + " train", names_of(folders), folders, problems);
    split.test =
        read_part(name + " test", names_of(folders), class_folders(folder / "test", problems), problems);
    if (split.test.shape != split.train.shape) {
      problems.add(folder / "test", fmt::format("its pictures must be of the training set's shape {}, got {}",
                                                split.train.shape.text(), split.test.shape.text()));
    }
    problems.check();
    return split;
  }
  const std::vector<fs::path> folders = class_folders(folder, problems);
  split.train = read_part(name + " train", names_of(folders), folders, problems);
  problems.check();
  hold_out(split, std::max({std::size_t{1}, split.train.size() / kTestShare, classes_of_two(split.train)}),
           0);
  split.test = std::exchange(split.validation, {});
  split.test.name = name + " test";
  return split;
}

}  // namespace volley
