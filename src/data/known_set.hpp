#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <volley/dataset.hpp>

namespace volley {

/// One of the four files of a set in MNIST's format.
struct KnownFile {
  std::string name;       // "train-images-idx3-ubyte"
  std::size_t rank = 0;   // 3: pictures, 1: labels
  std::size_t bytes = 0;  // unpacked
  std::string sha256;     // of the unpacked bytes
};

/// A set that Volley knows by name: what its files must be, and where they come from.
struct KnownSet {
  std::string name;                     // as in recipes and on the command line
  std::string title;                    // as people write it
  std::string torchvision;              // torchvision keeps it in <this>/raw
  std::filesystem::path system_folder;  // where the distribution's package puts it; may be empty
  std::size_t train_samples = 0;
  std::size_t test_samples = 0;
  Shape shape;
  std::vector<std::string> classes;
  std::array<KnownFile, 4> files;    // train pictures, train labels, test pictures, test labels
  std::vector<std::string> mirrors;  // each followed by NAME.gz is an address
  std::string npm_package;           // with package/data/NAME; may be empty
  std::string debian_package;        // with `system_folder`/NAME.gz; may be empty
};

/// The table.
const std::vector<KnownSet>& known_sets();
/// Throws Error with the known names when there is none of this name.
const KnownSet& known_set(const std::string& name);

/// A folder that has all four files of a set, by their names; what is in them has not been looked at.
struct SetPlace {
  std::filesystem::path folder;
  std::array<std::filesystem::path, 4> files;
};
/// Every place where `load` looks, in its order.
std::vector<std::filesystem::path> set_folders(const KnownSet& set, const std::filesystem::path& folder);
std::optional<SetPlace> find_set(const KnownSet& set, const std::filesystem::path& folder);
/// The file's path in `folder` under any of its usual names, or an empty path.
std::filesystem::path find_set_file(const KnownFile& file, const std::filesystem::path& folder);

Split load_set(const KnownSet& set, const std::filesystem::path& folder);
Dataset load_set_part(const KnownSet& set, datasets::Part part, const std::filesystem::path& folder);
/// Where the set lies. Throws Error, saying where was looked and how to get it, when it does not.
SetPlace require_set(const KnownSet& set, const std::filesystem::path& folder);
datasets::Info look_up_set(const KnownSet& set, const std::filesystem::path& folder);
std::filesystem::path fetch_set(const KnownSet& set, const std::filesystem::path& folder,
                                const datasets::FetchHooks& hooks);

}  // namespace volley
