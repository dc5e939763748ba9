#include <fmt/format.h>

#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "core/workspace.hpp"
#include "encoders/checks.hpp"
#include "encoders/pictures.hpp"
#include "signal/signal_forms.hpp"
#include "signal/views.hpp"

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

/// What a tape keeps.
struct Saved {
  PicturesMemory pictures;
  Buffer<float> table;  // (channels, 256): the current that each byte becomes
  Buffer<float> means, deviations;
  Tensor currents;
  SignalMemory given;
};

/// Runs the encoding of pictures (channels, steps, width) into saved.currents, which has its shape.
void look_up(Saved& saved, const CurrentOptions& options, const Dataset& data,
             std::span<const std::uint32_t> samples, std::size_t steps, std::size_t width, Tape& tape) {
  const std::size_t C = data.shape[0];
  Scratch<float> table(C * 256);
  for (std::size_t c = 0; c < C; ++c) {
    const float mean = value_of(options.mean, c, 0);
    const float deviation = value_of(options.deviation, c, 1);
    for (std::size_t k = 0; k < 256; ++k)
      table[c * 256 + k] = (static_cast<float>(k) / 255 - mean) / deviation;  // (E1)
  }
  Executor& device = executor_of(tape);
  device.run(ops::LookUp{.pictures = pictures_of(data, samples, saved.pictures, tape),
                         .C = C,
                         .T = steps,
                         .W = width,
                         .M = 1,
                         .table = put(saved.table, table.span(), device),
                         .out = device.write(saved.currents)});
}

/// Runs the scaling of values (rows, features) into saved.currents, which has their shape.
void scale(Saved& saved, const CurrentOptions& options, const float* values, std::size_t rows,
           const Shape& features, Executor& device) {
  const std::size_t C = features[0];
  Scratch<float> means(C), deviations(C);
  for (std::size_t c = 0; c < C; ++c) {
    means[c] = value_of(options.mean, c, 0);
    deviations[c] = value_of(options.deviation, c, 1);
  }
  device.run(ops::Standardize{.x = values,
                              .rows = rows,
                              .C = C,
                              .P = features.size() / C,
                              .mean = put(saved.means, means.span(), device),
                              .deviation = put(saved.deviations, deviations.span(), device),
                              .out = device.write(saved.currents)});
}

}  // namespace

Direct::Direct(const DirectOptions& options) : options_(options) { check_options(kind(), options); }

Shape Direct::output_shape(const Shape& picture) const {
  check_channels(kind(), options_, picture);
  return picture;
}

Signal Direct::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                         const Draw&, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  saved.currents.resize(data.shape.after({samples.size(), 1}));
  look_up(saved, options_, data, samples, 1, data.shape.from(1).size(), tape);
  return {saved.currents, data.shape.after({samples.size(), steps})};
}

Signal Direct::do_encode_values(const Tensor& values, std::size_t steps, const Draw&, Tape& tape) const {
  const std::size_t N = values.shape()[0];
  const Shape features = values.shape().from(1);
  Saved& saved = tape.saved<Saved>();
  saved.currents.resize(features.after({N, 1}));
  Executor& device = executor_of(tape);
  scale(saved, options_, device.read(values), N, features, device);
  return {saved.currents, features.after({N, steps})};
}

Signal Direct::do_encode_steps(const Signal& x, Tape& tape) const {
  const bool as_they_are = options_.mean.empty() && options_.deviation.empty();
  if (as_they_are) return x;
  if (x.is_spikes()) throw ArgumentError(kind(), "mean and std are for real values", "spikes");
  Saved& saved = tape.saved<Saved>();
  const Signal values = plain(x, saved.given, executor_of(tape));
  saved.currents.resize(x.shape());
  Executor& device = executor_of(tape);
  scale(saved, options_, values_of(values, device), x.samples() * x.steps(), x.shape().from(2), device);
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
  saved.currents.resize(output_shape(data.shape).after({samples.size(), steps}));
  look_up(saved, options_, data, samples, steps, data.shape[2], tape);
  return saved.currents;
}

}  // namespace volley
