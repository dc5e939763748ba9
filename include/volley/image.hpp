#pragma once

#include <cstddef>
#include <filesystem>

#include <volley/dataset.hpp>

namespace volley {

// Pictures of a user's, as a network gets them.

/// What becomes of colours: grey, 0.299 red + 0.587 green + 0.114 blue of the stored bytes (ITU-R 601, as
/// Pillow, OpenCV and torchvision have it), or for a file that has them three channels, red, green, blue.
enum class Colours { grey, as_stored };

inline constexpr std::size_t kMostImagePixels = 4096;

/// Reads a picture as a set of one, of shape (1, height, width) or (3, height, width), with one class
/// "unlabelled". What it is, its first bytes say: PNG, JPEG, BMP, or PGM (P2 and P5, any maxval). As in MNIST
/// 0 is black and 255 white. Other depths are scaled to 0..255, and what is transparent shows white paper, as
/// a viewer would show it. Numbers are those that the file stores: gamma and colour spaces that it names
/// change nothing. Throws a FileError when it is none of these, is damaged, or is wider or higher than
/// `most_pixels`.
Dataset read_image(const std::filesystem::path& path, std::size_t most_pixels = kMostImagePixels,
                   Colours colours = Colours::grey);

/// The pictures of a set at another size, in pixels. Height and width are scaled each by itself: by the mean
/// over the area that a new pixel covers where a side shrinks, by linear interpolation between the middles of
/// pixels where it grows (so bilinear where both do). Values are rounded once, at the end. Throws
/// ArgumentError unless both are 1 to kMostImagePixels and the set passes its check, and ShapeError for
/// pictures that are not (channels, height, width).
Dataset resized(const Dataset& data, std::size_t height, std::size_t width);

}  // namespace volley
