#include <fmt/format.h>

#include <algorithm>

#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "encoders/checks.hpp"
#include "reference/encoders.hpp"

namespace volley {
namespace {

struct Saved {
  Tensor currents;
};

void check_options(std::string_view kind, const CurrentOptions& options) {
  for (const float mean : options.mean) check_range(kind, "mean", mean, any());
  for (const float deviation : options.deviation) check_range(kind, "std", deviation, above(0));
}

/// The current that each byte becomes, by channel.
class Currents {
 public:
  Currents(std::string_view kind, const CurrentOptions& options, const Shape& picture) {
    const std::size_t channels = picture[0];
    const auto value = [&](std::string_view name, const std::vector<float>& values, std::size_t c,
                           float otherwise) {
      if (values.size() > 1 && values.size() != channels) {
        throw Error(fmt::format("[{}] {} must have one value, or one for each of {} channels, got {}", kind,
                                name, channels, values.size()));
      }
      return values.empty() ? otherwise : values[values.size() == 1 ? 0 : c];
    };
    table_.resize(channels * 256);
    for (std::size_t c = 0; c < channels; ++c) {
      const float mean = value("mean", options.mean, c, 0);
      const float deviation = value("std", options.deviation, c, 1);
      for (std::size_t k = 0; k < 256; ++k) {
        table_[c * 256 + k] = reference::current_of(static_cast<std::uint8_t>(k), mean, deviation);  // (E1)
      }
    }
  }

  /// The currents of `count` pixels of a channel.
  void look_up(float* currents, const std::uint8_t* pixels, std::size_t count, std::size_t channel) const {
    const float* table = table_.data() + channel * 256;
    for (std::size_t i = 0; i < count; ++i) currents[i] = table[pixels[i]];
  }

 private:
  std::vector<float> table_;  // (channels, 256)
};

}  // namespace

Direct::Direct(const DirectOptions& options) : options_(options) { check_options(kind(), options); }

Shape Direct::output_shape(const Shape& picture) const {
  static_cast<void>(Currents(kind(), options_, picture));  // throws where a mean or std does not fit
  return picture;
}

Signal Direct::encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                      const Draw&, Tape& tape) const {
  check_steps(kind(), steps);
  const Currents currents(kind(), options_, data.shape);
  const std::size_t F = data.shape.size();
  const std::size_t C = data.shape[0];
  Tensor& out = tape.saved<Saved>().currents;
  out.resize(data.shape.after({samples.size(), 1}));
  parallel_for(tape.threads(), samples.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::uint8_t* pixels = data.picture(samples[n]).data();
      for (std::size_t c = 0; c < C; ++c) {
        currents.look_up(out.data() + n * F + c * (F / C), pixels + c * (F / C), F / C, c);
      }
    }
  });
  return {out, data.shape.after({samples.size(), steps})};
}

Rows::Rows(const RowsOptions& options) : options_(options) { check_options(kind(), options); }

Shape Rows::output_shape(const Shape& picture) const {
  check_rows(kind(), picture);
  static_cast<void>(Currents(kind(), options_, picture));
  return {picture[0], picture[2]};
}

Signal Rows::encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                    const Draw&, Tape& tape) const {
  check_row_steps(kind(), data.shape, steps);
  const Currents currents(kind(), options_, data.shape);
  const std::size_t C = data.shape[0];
  const std::size_t W = data.shape[2];
  Tensor& out = tape.saved<Saved>().currents;
  out.resize({samples.size(), steps, C, W});
  parallel_for(tape.threads(), samples.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::uint8_t* pixels = data.picture(samples[n]).data();
      for (std::size_t t = 0; t < steps; ++t) {
        for (std::size_t c = 0; c < C; ++c) {
          currents.look_up(out.data() + ((n * steps + t) * C + c) * W, pixels + (c * steps + t) * W, W, c);
        }
      }
    }
  });
  return out;
}

}  // namespace volley
