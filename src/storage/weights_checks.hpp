#pragma once

#include <string_view>
#include <vector>

#include <volley/layer.hpp>

namespace volley {

/// Throws an ArgumentError of `operation` where a tensor is null.
void check_not_null(std::string_view operation, const std::vector<NamedTensor>& tensors);

}  // namespace volley
