#include <volley/image.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <volley/error.hpp>
#include <volley/fields.hpp>

namespace volley {
namespace {

/// The old pixels, from `first` on, that a new one is made of.
struct Taps {
  std::size_t first = 0;
  std::vector<double> weights;  // their sum is 1
};

std::vector<Taps> taps_of(std::size_t from, std::size_t to) {
  std::vector<Taps> all(to);
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  for (std::size_t i = 0; i < to; ++i) {
    const auto place = static_cast<double>(i);
    if (to > from) {
      const double middle = std::clamp((place + 0.5) * scale - 0.5, 0.0, static_cast<double>(from - 1));
      const auto first = static_cast<std::size_t>(middle);
      const double beyond = middle - static_cast<double>(first);
      all[i] = {first, beyond > 0 ? std::vector{1 - beyond, beyond} : std::vector{1.0}};
      continue;
    }
    const double begin = place * scale, end = (place + 1) * scale;
    all[i].first = static_cast<std::size_t>(begin);
    for (std::size_t k = all[i].first; k < from && static_cast<double>(k) < end; ++k) {
      const double low = std::max(begin, static_cast<double>(k));
      const double high = std::min(end, static_cast<double>(k + 1));
      all[i].weights.push_back((high - low) / scale);
    }
  }
  return all;
}

}  // namespace

Dataset resized(const Dataset& data, std::size_t height, std::size_t width) {
  data.check();
  if (data.shape.rank() != 3)
    throw ShapeError("resized", "pictures must be (channels, height, width)", data.shape);
  check_range("resized", "height", static_cast<double>(height), between(1, kMostImagePixels));
  check_range("resized", "width", static_cast<double>(width), between(1, kMostImagePixels));
  const std::size_t H = data.shape[1], W = data.shape[2];
  const std::vector<Taps> rows = taps_of(H, height), columns = taps_of(W, width);
  Dataset result{data.name, {data.shape[0], height, width}, {}, data.labels, data.classes};
  result.pixels.reserve(data.size() * result.shape.size());
  std::vector<double> narrowed(H * width);
  for (std::size_t plane = 0; plane < data.size() * data.shape[0]; ++plane) {
    const std::uint8_t* pixels = data.pixels.data() + plane * H * W;
    for (std::size_t i = 0; i < H * width; ++i) {
      const Taps& taps = columns[i % width];
      narrowed[i] = 0;
      for (std::size_t k = 0; k < taps.weights.size(); ++k)
        narrowed[i] += taps.weights[k] * pixels[i / width * W + taps.first + k];
    }
    for (std::size_t i = 0; i < height * width; ++i) {
      const Taps& taps = rows[i / width];
      double value = 0;
      for (std::size_t k = 0; k < taps.weights.size(); ++k)
        value += taps.weights[k] * narrowed[(taps.first + k) * width + i % width];
      result.pixels.push_back(static_cast<std::uint8_t>(std::clamp(value + 0.5, 0.0, 255.0)));
    }
  }
  return result;
}

}  // namespace volley
