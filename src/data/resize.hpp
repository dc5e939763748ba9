#pragma once

#include <cstddef>

#include <volley/dataset.hpp>

namespace volley {

/// The pictures of a set at another size. Height and width are scaled each by itself: by the mean over the
/// area that a new pixel covers where a side shrinks, by linear interpolation between the middles of pixels
/// where it grows (so bilinear where both do). Values are rounded once, at the end.
Dataset resized(const Dataset& data, std::size_t height, std::size_t width);

}  // namespace volley
