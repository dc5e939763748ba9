#pragma once

#include "ops/views.hpp"

namespace volley::kernels {

using ops::kOutside, ops::Taps;

}  // namespace volley::kernels
