#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <volley/tensor.hpp>

namespace volley {

/// Labelled pictures of one shape with byte pixels, 0 black to 255 white. The parts must fit, as check()
/// says; whatever takes a set checks it. Several threads may read one set at once.
struct Dataset {
  std::string name;                   // "mnist train"
  Shape shape;                        // of one picture: (channels, height, width)
  std::vector<std::uint8_t> pixels;   // (samples, channels, height, width)
  std::vector<std::uint32_t> labels;  // (samples), each below classes.size()
  std::vector<std::string> classes;   // what each label is called; none: labels without names, any number

  std::size_t size() const { return labels.size(); }
  /// The pixels of one picture, which live as long as the set. Throws ArgumentError where there is no such
  /// picture.
  std::span<const std::uint8_t> picture(std::size_t sample) const;
  /// The first `samples` of this set, or all where there are fewer. Throws as check() does.
  Dataset first(std::size_t samples) const;

  /// Throws ArgumentError, naming the set, the rule and what was found, unless the shape has 1 to 6
  /// dimensions, none of them 0, each label has a picture of that shape in `pixels`, and each label is below
  /// classes.size() where there are classes. Reads every label.
  void check() const;
  /// The same for a batch: `samples` must be indices in the set. Reads the labels of these alone.
  void check(std::span<const std::uint32_t> samples) const;
};

/// A data set in its parts.
struct Split {
  Dataset train;
  Dataset test;
  Dataset validation{};  // held out of the training set; empty unless hold_out was asked for
};

/// Takes `samples` pictures out of `split.train` and makes them `split.validation`. Which, is drawn from
/// `seed`; then, where it can be, pictures are exchanged so that each class of two or more has one in both
/// parts. Both keep their order. Throws Error unless each part gets at least one picture, and where the
/// training set does not pass its check.
void hold_out(Split& split, std::size_t samples, std::uint32_t seed);

namespace datasets {

/// The sets that Volley knows by name: "mnist", "fashion_mnist", ...
std::vector<std::string> names();

/// Whether `name` is the path of a folder of pictures: it has a slash, "./flowers".
bool is_picture_folder(const std::string& name);

/// Loads a set from `folder` (default: default_folder() of known_sets.hpp), where it lies as `fetch` leaves
/// it or as other tools do (raw or .gz, in NAME/, as torchvision or the set's own archive has it, or in the
/// folder itself; then where the distribution's package puts it). Every unpacked file is checked by its
/// SHA-256 where that is known, and always by its length. `name` can also be a folder of pictures by class
/// (PNG, JPEG, BMP or PGM) of one shape: NAME/CLASS/*, or NAME/train/CLASS/* and NAME/test/CLASS/*; without
/// these two, one picture in five is for the test, and at least one of each class that has two. Throws Error
/// when a file is missing or wrong; never touches the network.
Split load(const std::string& name, const std::string& folder = {});
/// The same, but only one part of it: the files of the other must be there, and are not read.
enum class Part { train, test };
Dataset load_part(const std::string& name, Part part, const std::string& folder = {});
Split mnist(const std::string& folder = {});
Split fashion_mnist(const std::string& folder = {});

}  // namespace datasets
}  // namespace volley
