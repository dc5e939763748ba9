#pragma once

#include <string>

namespace volley {

/// "1,234,567"
std::string grouped(double count);

}  // namespace volley
