#pragma once

#include <string_view>
#include <vector>

namespace volley {

/// A file that is compiled in (cmake/embed.cmake).
struct EmbeddedFile {
  std::string_view name;  // "style.css"
  std::string_view text;
};

}  // namespace volley
