#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <volley/known_sets.hpp>

namespace volley {

/// One of the files of a set.
struct KnownFile {
  std::string name;       // "train-images-idx3-ubyte"
  std::size_t rank = 0;   // of an IDX file: 3: pictures, 1: labels
  std::size_t bytes = 0;  // unpacked; 0: not known here, the file's own header is held to its length
  std::string sha256;     // of the unpacked bytes; empty: not known here
};

struct SetPlace;

/// A set that Volley knows by name: what its files must be, and where they come from.
struct KnownSet {
  std::string name;                     // as in recipes and on the command line
  std::string title;                    // as people write it
  std::vector<std::string> folders;     // where else than in <name> its files may lie: "MNIST/raw"
  std::filesystem::path system_folder;  // where the distribution's package puts it; may be empty
  std::size_t train_samples = 0;
  std::size_t test_samples = 0;
  Shape shape;
  std::vector<std::string> classes;
  std::vector<KnownFile> files;  // in the order that `read` wants them
  Dataset (*read)(const KnownSet&, const SetPlace&, datasets::Part) = nullptr;  // of its format, below
  std::size_t first_label = 0;  // labels in the files count from here
  bool transposed = false;      // pictures lie column by column, as EMNIST's do

  std::string home;                  // the page that it is from
  std::vector<std::string> mirrors;  // each followed by NAME.gz is an address
  std::string npm_package;           // with package/data/NAME; may be empty
  std::string debian_package;        // with `system_folder`/NAME.gz; may be empty

  /// Whether every file's SHA-256 is known, so that what a source gives can be checked.
  bool hashed() const;
};

/// The table.
const std::vector<KnownSet>& known_sets();
/// Throws an ArgumentError with the known names when there is none of this name.
const KnownSet& known_set(const std::string& name);

/// A folder that has all files of a set, by their names; what is in them has not been looked at.
struct SetPlace {
  std::filesystem::path folder;
  std::vector<std::filesystem::path> files;
};
/// Every place where `load` looks, in its order.
std::vector<std::filesystem::path> set_folders(const KnownSet& set, const std::filesystem::path& folder);
std::optional<SetPlace> find_set(const KnownSet& set, const std::filesystem::path& folder);
/// The file's path in `folder` under any of its usual names, or an empty path.
std::filesystem::path find_set_file(const KnownFile& file, const std::filesystem::path& folder);
/// Where to get the set by hand, and which files to put into `folder`.
std::string by_hand(const KnownSet& set, const std::filesystem::path& folder);

// The readers of whole sets, one for each format: every file's length, hash and labels are checked.

/// MNIST's format; files: training pictures, training labels, test pictures, test labels.
Dataset read_idx_set(const KnownSet& set, const SetPlace& place, datasets::Part part);
/// CIFAR's binary versions; the last file has the test pictures.
Dataset read_cifar10_set(const KnownSet& set, const SetPlace& place, datasets::Part part);
Dataset read_cifar100_set(const KnownSet& set, const SetPlace& place, datasets::Part part);

Split load_set(const KnownSet& set, const std::filesystem::path& folder);
Dataset load_set_part(const KnownSet& set, datasets::Part part, const std::filesystem::path& folder);
/// Where the set is. Throws a FileError, with the folders that were looked in and how to get it, when it is
/// not there.
SetPlace require_set(const KnownSet& set, const std::filesystem::path& folder);
datasets::Info look_up_set(const KnownSet& set, const std::filesystem::path& folder);
std::filesystem::path fetch_set(const KnownSet& set, const std::filesystem::path& folder,
                                const datasets::FetchHooks& hooks);

}  // namespace volley
