#include <volley/dataset.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

namespace volley {
namespace {

constexpr std::size_t kMostDimensions = Shape::kMaxRank - 2;  // a signal has samples and steps beside them

/// Throws unless `rule`, of which `subject` is the part of the set that it is about.
void require(bool holds, const Dataset& data, const std::string& rule, const std::string& found) {
  if (!holds) throw ArgumentError("dataset", fmt::format("{}: {}", data.name, rule), found);
}

/// Whether `pixels` holds exactly `samples` pictures of `shape`.
void check_pictures(const Dataset& data) {
  const std::span<const std::size_t> sizes = data.shape.sizes();
  if (sizes.empty() || sizes.size() > kMostDimensions || std::ranges::count(sizes, 0u) > 0) {
    require(false, data, fmt::format("shape must have 1 to {} dimensions, none of them 0", kMostDimensions),
            data.shape.text());
  }
  std::size_t expected = 0;
  if (__builtin_mul_overflow(data.shape.size(), data.size(), &expected) || expected != data.pixels.size()) {
    require(false, data,
            fmt::format("pixels must be those of {} labelled pictures of {}", data.size(), data.shape.text()),
            fmt::format("{} bytes", data.pixels.size()));
  }
}

void check_label(const Dataset& data, std::size_t sample) {
  if (data.labels[sample] < data.classes.size() || data.classes.empty()) return;
  require(false, data, fmt::format("labels must be < {}, the number of classes", data.classes.size()),
          fmt::format("{} for picture {}", data.labels[sample], sample));
}

}  // namespace

std::span<const std::uint8_t> Dataset::picture(std::size_t sample) const {
  const std::size_t features = shape.size();
  if (sample >= size() || pixels.size() / (sample + 1) < features) {
    throw ArgumentError("dataset", fmt::format("{}: sample must be < {}", name, size()),
                        fmt::format("{}", sample));
  }
  return {pixels.data() + sample * features, features};
}

Dataset Dataset::first(std::size_t samples) const {
  check();
  const std::size_t count = std::min(samples, size());
  Dataset part{name, shape, {}, {}, classes};
  part.pixels.assign(pixels.begin(), pixels.begin() + static_cast<std::ptrdiff_t>(count * shape.size()));
  part.labels.assign(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(count));
  return part;
}

void Dataset::check() const {
  check_pictures(*this);
  for (std::size_t n = 0; n < size(); ++n) check_label(*this, n);
}

void Dataset::check(std::span<const std::uint32_t> samples) const {
  check_pictures(*this);
  for (const std::uint32_t sample : samples) {
    if (sample >= size()) {
      require(false, *this, fmt::format("samples must be < {}", size()), fmt::format("{}", sample));
    }
    check_label(*this, sample);
  }
}

}  // namespace volley
