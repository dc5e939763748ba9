#include <fmt/format.h>

#include <algorithm>

#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "encoders/checks.hpp"
#include "layers/signal_forms.hpp"
#include "reference/encoders.hpp"

namespace volley {
namespace {

void check_options(std::string_view kind, const CurrentOptions& options) {
  for (const float mean : options.mean) check_range(kind, "mean", mean, any());
  for (const float deviation : options.deviation) check_range(kind, "std", deviation, above(0));
}

/// Throws unless `options` has its numbers for as many channels as a picture has.
void check_channels(std::string_view kind, const CurrentOptions& options, const Shape& picture) {
  const std::size_t channels = picture[0];
  const auto check = [&](std::string_view name, std::size_t count) {
    if (count <= 1 || count == channels) return;
    throw ArgumentError(kind,
                        fmt::format("{} must have one value, or one for each of {} channels", name, channels),
                        fmt::format("{}", count));
  };
  check("mean", options.mean.size());
  check("std", options.deviation.size());
}

/// The number of a channel; `otherwise` where there is none.
float value_of(const std::vector<float>& values, std::size_t channel, float otherwise) {
  return values.empty() ? otherwise : values[values.size() == 1 ? 0 : channel];
}

/// `to` = the currents of `rows` samples, or steps of samples, of `features`.
void scale_values(float* to, const float* values, const CurrentOptions& options, std::size_t rows,
                  const Shape& features, ThreadPool& threads) {
  const std::size_t F = features.size(), C = features[0], P = F / C;
  parallel_for(threads, rows, 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin * F; i < end * F; ++i) {
      const std::size_t c = i % F / P;
      to[i] = reference::current_of(values[i], value_of(options.mean, c, 0),
                                    value_of(options.deviation, c, 1));  // (E1)
    }
  });
}

/// What a tape keeps: the current that each byte becomes, by channel, and a batch of these.
struct Saved {
  Buffer<float> table;  // (channels, 256)
  Tensor currents;
  SignalMemory given;

  void fill_table(const CurrentOptions& options, std::size_t channels) {
    table.resize(channels * 256);
    for (std::size_t c = 0; c < channels; ++c) {
      const float mean = value_of(options.mean, c, 0);
      const float deviation = value_of(options.deviation, c, 1);
      for (std::size_t k = 0; k < 256; ++k) {
        table[c * 256 + k] = reference::current_of(static_cast<std::uint8_t>(k), mean, deviation);  // (E1)
      }
    }
  }

  /// The currents of `count` pixels of a channel.
  void look_up(float* to, const std::uint8_t* pixels, std::size_t count, std::size_t channel) const {
    const float* currents_of = table.data() + channel * 256;
    for (std::size_t i = 0; i < count; ++i) to[i] = currents_of[pixels[i]];
  }
};

}  // namespace

Direct::Direct(const DirectOptions& options) : options_(options) { check_options(kind(), options); }

Shape Direct::output_shape(const Shape& picture) const {
  check_channels(kind(), options_, picture);
  return picture;
}

Signal Direct::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                         const Draw&, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  saved.fill_table(options_, data.shape[0]);
  const std::size_t F = data.shape.size();
  const std::size_t C = data.shape[0];
  Tensor& out = saved.currents;
  out.resize(data.shape.after({samples.size(), 1}));
  parallel_for(tape.threads(), samples.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::uint8_t* pixels = data.picture(samples[n]).data();
      for (std::size_t c = 0; c < C; ++c) {
        saved.look_up(out.data() + n * F + c * (F / C), pixels + c * (F / C), F / C, c);
      }
    }
  });
  return {out, data.shape.after({samples.size(), steps})};
}

Signal Direct::do_encode_values(const Tensor& values, std::size_t steps, const Draw&, Tape& tape) const {
  const std::size_t N = values.shape()[0];
  const Shape features = values.shape().from(1);
  Tensor& out = tape.saved<Saved>().currents;
  out.resize(features.after({N, 1}));
  scale_values(out.data(), values.data(), options_, N, features, tape.threads());
  return {out, features.after({N, steps})};
}

Signal Direct::do_encode_steps(const Signal& x, Tape& tape) const {
  const bool as_they_are = options_.mean.empty() && options_.deviation.empty();
  if (as_they_are) return x;
  if (x.is_spikes()) throw ArgumentError(kind(), "mean and std are for real values", "spikes");
  Saved& saved = tape.saved<Saved>();
  const Signal values = plain(x, saved.given, tape.threads());
  saved.currents.resize(x.shape());
  scale_values(saved.currents.data(), values.values(), options_, x.samples() * x.steps(), x.shape().from(2),
               tape.threads());
  return saved.currents;
}

Rows::Rows(const RowsOptions& options) : options_(options) { check_options(kind(), options); }

Shape Rows::output_shape(const Shape& picture) const {
  check_rows(kind(), picture);
  check_channels(kind(), options_, picture);
  return {picture[0], picture[2]};
}

Signal Rows::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                       const Draw&, Tape& tape) const {
  check_row_steps(kind(), data.shape, steps);
  Saved& saved = tape.saved<Saved>();
  saved.fill_table(options_, data.shape[0]);
  const std::size_t C = data.shape[0];
  const std::size_t W = data.shape[2];
  Tensor& out = saved.currents;
  out.resize({samples.size(), steps, C, W});
  parallel_for(tape.threads(), samples.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::uint8_t* pixels = data.picture(samples[n]).data();
      for (std::size_t t = 0; t < steps; ++t) {
        for (std::size_t c = 0; c < C; ++c) {
          saved.look_up(out.data() + ((n * steps + t) * C + c) * W, pixels + (c * steps + t) * W, W, c);
        }
      }
    }
  });
  return out;
}

}  // namespace volley
