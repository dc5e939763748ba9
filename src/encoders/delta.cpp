#include <volley/encoder.hpp>

#include "encoders/checks.hpp"
#include "layers/spike_words.hpp"
#include "reference/encoders.hpp"

namespace volley {
namespace {

struct Saved {
  Spikes spikes;
};

}  // namespace

Delta::Delta(const DeltaOptions& options) : options_(options) { check_fields(kind(), options); }

Shape Delta::output_shape(const Shape& picture) const {
  check_rows(kind(), picture);
  return {picture[0] * (options_.off_spikes ? 2 : 1), picture[2]};
}

Signal Delta::do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                        const Draw&, Tape& tape) const {
  check_row_steps(kind(), data.shape, steps);
  const std::size_t C = data.shape[0];
  const std::size_t W = data.shape[2];
  const int least = reference::delta_least(options_.threshold);
  Spikes& spikes = tape.saved<Saved>().spikes;
  std::uint64_t* all =
      SpikeWords::make_steps(spikes, output_shape(data.shape).after({samples.size(), steps}));
  const std::size_t row_words = SpikeWords::row_words(spikes);
  parallel_for(tape.threads(), samples.size(), 1, [&](std::size_t begin, std::size_t end) {
    std::fill(all + begin * steps * row_words, all + end * steps * row_words, std::uint64_t{0});
    for (std::size_t n = begin; n < end; ++n) {
      const std::uint8_t* pixels = data.picture(samples[n]).data();
      for (std::size_t t = options_.padding ? 1 : 0; t < steps; ++t) {
        std::uint64_t* row = all + (n * steps + t) * row_words;
        const auto fire = [row](std::size_t feature) {
          row[feature / 64] |= std::uint64_t{1} << feature % 64;
        };
        for (std::size_t i = 0; i < C * W; ++i) {  // (E7)
          const std::uint8_t* now = pixels + (i / W * steps + t) * W + i % W;
          const int change = *now - (t == 0 ? 0 : *(now - W));
          if (change >= least) fire(i);
          if (options_.off_spikes && change <= -least) fire(C * W + i);
        }
      }
    }
  });
  return spikes;
}

}  // namespace volley
