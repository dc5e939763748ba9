#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <volley/source.hpp>

namespace volley {

/// What voxel_grid has before it is rounded to float: (n_time_bins, height, width).
std::vector<double> compute_voxel_grid(std::span<const Event> events, const Shape& sensor,
                                       std::size_t n_time_bins);

}  // namespace volley
