#pragma once

#include <volley/augment.hpp>

#include "encoders/pictures.hpp"

namespace volley {

/// Augment::apply for pictures that a device has, or is given here: their pixels are written to `there`, and
/// `out` has room for them alone. `known` and `memory` as for pictures_of.
void augment_on_device(const Augment& augment, Dataset& out, DevicePictures& there, const Dataset& data,
                       std::span<const std::uint32_t> samples, DevicePictures* known, const Draw& draw,
                       PicturesMemory& memory, Executor& device);

}  // namespace volley
