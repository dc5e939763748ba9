#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <volley/dataset.hpp>

namespace volley {
namespace datasets {

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
