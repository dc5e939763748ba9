#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <volley/dataset.hpp>
#include <volley/recipe.hpp>

namespace volley::cli {

/// Name, shape and classes of a set that Volley knows; its pictures are not read.
Dataset known_pictures(const std::string& name);

/// Reads pictures of a user's in the shape that a run was trained on.
class OwnPictures {
 public:
  struct Options {
    bool resize = false;  // to the size of the run's pictures
    bool invert = false;  // 255 - value
  };
  struct Read {
    Dataset picture;   // a set of one, with the run's classes
    bool odd = false;  // whether it looks inverted
    std::string note;  // why, and what to do
  };

  OwnPictures(const Recipe& recipe, const std::string& data_dir, const Options& options);

  /// Throws a FileError for what is no picture, or one of another shape.
  Read read(const std::filesystem::path& path) const;

 private:
  Options options_;
  Dataset like_;                      // the run's pictures: their name, shape and classes
  std::optional<double> background_;  // the mean of their borders, where they are grey
};

}  // namespace volley::cli
