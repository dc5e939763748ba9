#include <volley/upsample.hpp>

#include <algorithm>

#include <volley/error.hpp>

#include "kernels/pool.hpp"
#include "layers/layer_access.hpp"
#include "layers/pictures.hpp"
#include "layers/signal_forms.hpp"
#include "layers/taps.hpp"
#include "reference/upsample.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;  // channels-last
  SignalMemory y;
  TapTable taps;  // one for each output, or four
  Buffer<float> shares;
};

Signal nearest_forward(Saved& saved, const Shape& shape, ThreadPool& threads) {
  const Signal& x = saved.x;
  const kernels::Taps taps = saved.taps.view();
  if (x.is_spikes()) {
    std::uint64_t* s = SpikeWords::make_steps(saved.y.spikes, shape, Layout::channels_last);
    const std::size_t row_words = SpikeWords::row_words(saved.y.spikes);
    for_pictures(x, threads, [&](std::size_t n) {
      kernels::max_pool_forward(s + n * row_words, words_of(x.spikes(), n), taps, row_words / taps.positions);
    });
    return saved.y.spikes;
  }
  const std::size_t C = shape[2];
  saved.y.values.resize(stored_shape(shape, Layout::channels_last, x.stored_steps()));
  for_pictures(x, threads, [&](std::size_t n) {
    kernels::max_pool_forward(saved.y.values.data() + n * taps.positions * C, x.values() + n * x.features(),
                              taps, C);
  });
  return {saved.y.values, shape, Layout::channels_last};
}

Signal bilinear_forward(Saved& saved, const Shape& shape, ThreadPool& threads) {
  const Signal& x = saved.x;
  const kernels::Taps taps = saved.taps.view();
  const std::size_t C = shape[2];
  saved.y.values.resize(stored_shape(shape, Layout::channels_last, x.stored_steps()));
  for_pictures(x, threads, [&](std::size_t n) {
    kernels::share_forward(saved.y.values.data() + n * taps.positions * C, x.values() + n * x.features(),
                           saved.shares.data(), taps, C);
  });
  return {saved.y.values, shape, Layout::channels_last};
}

}  // namespace

Upsample::Upsample(const UpsampleOptions& options) : options_(options) {
  check_fields(UpsampleOptions::kKind, options);
  if (options.size.has_value() == options.scale_factor.has_value()) {
    throw ArgumentError(UpsampleOptions::kKind, "exactly one of size and scale_factor must be given",
                        options.size.has_value() ? "both" : "neither");
  }
  if (options.align_corners && options.mode == UpsampleMode::nearest) {
    throw ArgumentError(UpsampleOptions::kKind, "align_corners must be false where mode is nearest", "true");
  }
}

Shape Upsample::output_shape(const Shape& features) const {
  check_picture(kind(), features);
  const Size2 factor = options_.scale_factor.value_or(1);
  const Size2 outputs = options_.size.value_or(Size2{features[1] * factor.h, features[2] * factor.w});
  return {features[0], outputs.h, outputs.w};
}

Form Upsample::reads(const Shape&) const {
  const bool nearest = options_.mode == UpsampleMode::nearest;
  return {.values = nearest ? Form::Values::any : Form::Values::real,
          .layout = Layout::channels_last,
          .constant = true};
}

Signal Upsample::do_forward(const Signal& x, Tape& tape) const {
  const Shape features = output_shape(x.shape().from(2));
  const Size2 picture = picture_of(x), outputs{features[1], features[2]};
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  const Shape shape = features.after({x.samples(), x.steps()});
  if (options_.mode == UpsampleMode::bilinear) {
    saved.shares.resize(outputs.area() * 4);
    TapTable::of(saved.taps, outputs.area(), 4, picture, [&](std::size_t q, std::int32_t* index) {
      const reference::FourPlaces four = reference::four_places(q, picture, outputs, options_.align_corners);
      std::ranges::copy(four.share, saved.shares.data() + q * 4);
      std::ranges::transform(four.place, index, [](std::size_t p) { return static_cast<std::int32_t>(p); });
    });
    return bilinear_forward(saved, shape, tape.threads());
  }
  saved.shares.resize(outputs.area());
  std::ranges::fill(saved.shares.span(), 1.0f);
  TapTable::of(saved.taps, outputs.area(), 1, picture, [&](std::size_t q, std::int32_t* index) {
    *index =
        static_cast<std::int32_t>(reference::nearest_place(q / outputs.w, picture.h, outputs.h) * picture.w +
                                  reference::nearest_place(q % outputs.w, picture.w, outputs.w));
  });
  return nearest_forward(saved, shape, tape.threads());
}

Signal Upsample::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  Tensor& memory = tape.dx_memory();
  memory.resize(x.stored_shape());
  const auto backward =
      options_.mode == UpsampleMode::nearest ? kernels::avg_pool_backward : kernels::share_backward;
  for_pictures(x, tape.threads(), [&](std::size_t n) {
    backward(memory.data() + n * x.features(), dy.values() + n * dy.features(), saved.shares.data(),
             saved.taps.view(), picture_of(x).area(), x.shape()[2]);
  });
  return {memory, x.shape(), Layout::channels_last};
}

}  // namespace volley
