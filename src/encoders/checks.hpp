#pragma once

#include <volley/encoder.hpp>

#include "core/philox.hpp"

namespace volley {

/// Throws unless there is at least one step.
void check_steps(std::string_view kind, std::size_t steps);
/// For encoders whose steps are the rows of a picture: throws unless it is (C, H, W).
void check_rows(std::string_view kind, const Shape& picture);
void check_row_steps(std::string_view kind, const Shape& picture, std::size_t steps);

/// Throws unless `draw` addresses `samples` pictures, of which `last` has the highest index: two pictures, or
/// two epochs, never share an address.
void check_draw(std::string_view kind, const Draw& draw, std::size_t samples, std::uint32_t last);
PhiloxKey key_of(const Draw& draw);

}  // namespace volley
