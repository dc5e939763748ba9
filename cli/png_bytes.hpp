#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <volley/tensor.hpp>

namespace volley {

/// A picture of `shape` (channels, height, width), as a Dataset has it, as a PNG file's bytes: in colour
/// where it has three channels, else its first as grey.
std::string png_bytes(std::span<const std::uint8_t> pixels, const Shape& shape);

}  // namespace volley
