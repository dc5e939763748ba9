#pragma once

#include <vector>

#include <volley/buffer.hpp>
#include <volley/device.hpp>
#include <volley/layer.hpp>

namespace volley {

/// gradient_norm with memory that serves one step after another.
double gradient_norm(const std::vector<NamedParameter>& parameters, const Device& device,
                     Buffer<double>& memory);

}  // namespace volley
