#include <volley/encoder.hpp>

#include "encoders/checks.hpp"
#include "encoders/pictures.hpp"
#include "signal/views.hpp"

namespace volley {
namespace {

struct Saved {
  PicturesMemory pictures;
  Spikes spikes;
};

/// (E7) The smallest difference of two bytes that `threshold` lets fire: d / 255 >= threshold in float.
int least_difference(float threshold) {
  int least = 1;
  while (least < 256 && !(static_cast<float>(least) / 255.0f >= threshold)) ++least;
  return least;
}

}  // namespace

Delta::Delta(const DeltaOptions& options) : options_(options) { check_fields(kind(), options); }

Shape Delta::output_shape(const Shape& picture) const {
  check_rows(kind(), picture);
  return {picture[0] * (options_.off_spikes ? 2 : 1), picture[2]};
}

Signal Delta::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                        const Draw&, Tape& tape) const {
  check_row_steps(kind(), data.shape, steps);
  Saved& saved = tape.saved<Saved>();
  Executor& device = executor_of(tape);
  SpikeWords::shape_steps(saved.spikes, output_shape(data.shape).after({samples.size(), steps}));
  device.run(ops::DeltaEncode{.pictures = pictures_of(data, samples, saved.pictures, tape),
                              .C = data.shape[0],
                              .T = steps,
                              .W = data.shape[2],
                              .least = least_difference(options_.threshold),
                              .padding = options_.padding,
                              .off_spikes = options_.off_spikes,
                              .words = SpikeWords::write(saved.spikes, device)});
  return saved.spikes;
}

}  // namespace volley
