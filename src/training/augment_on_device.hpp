#pragma once

#include <volley/augment.hpp>

#include "encoders/pictures.hpp"

namespace volley {

/// Augment::apply for pictures that a device has, or is given here: their pixels are written to `pixels`, and
/// `out` has room for them alone. `known` and `memory` as for pictures_of.
void augment_on_device(const Augment& augment, Dataset& out, DevicePixels& pixels, const Dataset& data,
                       std::span<const std::uint32_t> samples, DevicePixels* known, const Draw& draw,
                       PicturesMemory& memory, Executor& device);

}  // namespace volley
