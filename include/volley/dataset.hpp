#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <volley/tensor.hpp>

namespace volley {

/// Labelled pictures of one shape with byte pixels, 0 black to 255 white.
struct Dataset {
  std::string name;                  // "mnist train"
  Shape shape;                       // of one picture: (channels, height, width)
  std::vector<std::uint8_t> pixels;  // (samples, channels, height, width)
  std::vector<std::uint8_t> labels;  // (samples), each below classes.size()
  std::vector<std::string> classes;  // what each label is called

  std::size_t size() const { return labels.size(); }
  std::span<const std::uint8_t> picture(std::size_t sample) const {
    const std::size_t features = shape.size();
    return {pixels.data() + sample * features, features};
  }
  /// The first `samples` of this set, or all where there are fewer.
  Dataset first(std::size_t samples) const;
};

struct Split {
  Dataset train;
  Dataset test;
};

namespace datasets {

/// The sets that Volley knows by name: "mnist", "fashion_mnist".
std::vector<std::string> names();

/// Where sets are kept when no folder is given: $XDG_CACHE_HOME/volley, or ~/.cache/volley.
std::filesystem::path default_folder();

/// Loads a set from `folder` (default: default_folder()), where it lies as `fetch` leaves it or as other
/// tools do (IDX files, raw or .gz, in the folder itself, in NAME/ or in torchvision's MNIST/raw). Every
/// unpacked file is checked by its SHA-256. Throws Error when a file is missing or wrong; never touches the
/// network.
Split load(const std::string& name, const std::filesystem::path& folder = {});
Split mnist(const std::filesystem::path& folder = {});
Split fashion_mnist(const std::filesystem::path& folder = {});

}  // namespace datasets
}  // namespace volley
