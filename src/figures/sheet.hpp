#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <volley/dataset.hpp>

#include "figures/picture.hpp"

namespace volley {

/// A gray picture and the line below it.
struct Panel {
  std::vector<std::uint8_t> pixels;
  std::string caption;
};

/// Panels, all `width` pixels wide and equally high, in rows of `columns` under a title. Small pictures are
/// enlarged by a whole number, so that they stay crisp, to about `side` pixels.
Picture panel_sheet(const std::string& title, std::span<const Panel> panels, std::size_t width,
                    std::size_t columns, std::size_t side);

/// `count` pictures of a set from the `first` on, with what they show: volley data show.
Picture dataset_sheet(const Dataset& data, std::size_t first, std::size_t count);

}  // namespace volley
