#include <volley/window.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>

namespace volley {

std::string Size2::text() const { return fmt::format("({}, {})", h, w); }

void check_picture(std::string_view kind, const Shape& features) {
  if (features.rank() == 3 && features.size() > 0) return;
  throw ShapeError(kind, "input features must be (C, H, W)", features);
}

Size2 Window::check_outputs(std::string_view kind, const Shape& features) const {
  check_picture(kind, features);
  const auto check_size = [&](const char* name, const Size2& size) {
    if (size.h == 0 || size.w == 0)
      throw ArgumentError(kind, fmt::format("{} must be >= 1", name), size.text());
  };
  check_size("kernel_size", kernel_size);
  check_size("stride", stride);
  check_size("dilation", dilation);
  const Size2 picture{features[1], features[2]};
  const Size2 padded{picture.h + 2 * padding.h, picture.w + 2 * padding.w};
  if (padded.h < extent().h || padded.w < extent().w) {
    throw ShapeError(kind,
                     fmt::format("input must be at least as large as the window {}, is {} with its padding",
                                 extent().text(), padded.text()),
                     features);
  }
  return outputs(picture);
}

}  // namespace volley
