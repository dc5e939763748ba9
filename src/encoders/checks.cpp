#include "encoders/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <volley/error.hpp>

namespace volley {
namespace {

constexpr std::uint32_t kMaxEpoch = (1u << 24) - 1;  // the key has 24 bits for it

}  // namespace

void check_steps(std::string_view kind, std::size_t steps) {
  if (steps == 0) throw Error(fmt::format("[{}] steps must be >= 1, got 0", kind));
}

void check_rows(std::string_view kind, const Shape& picture) {
  if (picture.rank() != 3) {
    throw Error(
        fmt::format("[{}] a picture must be (channels, height, width), got {}", kind, picture.text()));
  }
}

void check_row_steps(std::string_view kind, const Shape& picture, std::size_t steps) {
  check_rows(kind, picture);
  if (steps != picture[1]) {
    throw Error(
        fmt::format("[{}] steps must be {}, the height of a picture, whose rows are the steps, got {}", kind,
                    picture[1], steps));
  }
}

void check_draw(std::string_view kind, const Draw& draw, std::span<const std::uint32_t> samples) {
  check_range(kind, "epoch", draw.epoch, between(0, kMaxEpoch));
  const std::uint32_t last = samples.empty() ? 0 : *std::ranges::max_element(samples);
  check_range(kind, "first_sample", draw.first_sample,
              between(0, std::numeric_limits<std::uint32_t>::max() - last));
}

PhiloxKey key_of(const Draw& draw) {
  const Purpose purpose = draw.purpose == Draw::Purpose::train ? Purpose::encode_train : Purpose::encode_test;
  return philox_key(draw.seed, purpose, draw.epoch);
}

}  // namespace volley
