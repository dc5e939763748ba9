#include "encoders/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <volley/error.hpp>

namespace volley {
void check_steps(std::string_view kind, std::size_t steps) {
  if (steps == 0) throw ArgumentError(kind, "steps must be >= 1", "0");
}

void check_rows(std::string_view kind, const Shape& picture) {
  if (picture.rank() != 3) {
    throw ShapeError(kind, "a picture must be (channels, height, width)", picture);
  }
}

void check_row_steps(std::string_view kind, const Shape& picture, std::size_t steps) {
  check_rows(kind, picture);
  if (steps != picture[1]) {
    throw ArgumentError(
        kind, fmt::format("steps must be {}, the height of a picture, whose rows are the steps", picture[1]),
        fmt::format("{}", steps));
  }
}

void check_draw(std::string_view kind, const Draw& draw, std::size_t samples, std::uint32_t last) {
  check_range(kind, "epoch", draw.epoch, between(0, kMaxEpoch));
  if (!draw.known_as.empty()) {
    if (draw.known_as.size() != samples) {
      throw ArgumentError(kind, fmt::format("known_as must have one index for each of {} samples", samples),
                          fmt::format("{}", draw.known_as.size()));
    }
    last = *std::ranges::max_element(draw.known_as);
  }
  check_range(kind, "first_sample", draw.first_sample,
              between(0, std::numeric_limits<std::uint32_t>::max() - last));
}

PhiloxKey key_of(const Draw& draw) {
  switch (draw.purpose) {
    case Draw::Purpose::train: return philox_key(draw.seed, Purpose::encode_train, draw.epoch);
    case Draw::Purpose::test: return philox_key(draw.seed, Purpose::encode_test, draw.epoch);
    case Draw::Purpose::validation: return philox_key(draw.seed, Purpose::encode_validation, draw.epoch);
  }
  throw ArgumentError("encoder", "draw.purpose must be train, test or validation",
                      fmt::format("{}", static_cast<int>(draw.purpose)));
}

}  // namespace volley
