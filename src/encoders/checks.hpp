#pragma once

#include <volley/encoder.hpp>

#include "core/philox.hpp"

namespace volley {

/// Throws Error("[kind] steps ...") for no steps.
void check_steps(std::string_view kind, std::size_t steps);
/// For encoders that take the rows of a picture for time: throws unless it is (C, H, W).
void check_rows(std::string_view kind, const Shape& picture);
void check_row_steps(std::string_view kind, const Shape& picture, std::size_t steps);

/// Two pictures, or two epochs, never share an address: throws where one would wrap around.
void check_draw(std::string_view kind, const Draw& draw, std::span<const std::uint32_t> samples);
PhiloxKey key_of(const Draw& draw);

}  // namespace volley
