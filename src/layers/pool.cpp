#include <volley/pool.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>

#include "kernels/pool.hpp"
#include "layers/layer_access.hpp"
#include "layers/pictures.hpp"
#include "layers/signal_forms.hpp"
#include "layers/taps.hpp"

namespace volley {
namespace {

struct Saved;

/// dx of a maximum pool is large and mostly 0: it is made as it is read.
struct MaxPoolGradient final : SampleSource {
  const Saved* saved = nullptr;
  Signal dy;

  void read(float* to, std::size_t n) const override;
  const Signal& made_from() const override { return dy; }
};

struct Saved {
  Signal x;  // channels-last
  SignalMemory y;
  TapTable taps;
  MaxPoolGradient gradient;
  Buffer<float> shares;  // one over what each window's sum is divided by
};

template <class Options>
Window window_of(const Options& o) {
  return {.kernel_size = o.kernel_size, .stride = o.stride.value_or(o.kernel_size), .padding = o.padding};
}

template <class Options>
void check_pool(const Options& o) {
  check_fields(Options::kKind, o);
  if (2 * o.padding.h > o.kernel_size.h || 2 * o.padding.w > o.kernel_size.w) {
    throw ArgumentError(Options::kKind,
                        fmt::format("padding must be at most half of kernel_size {}", o.kernel_size.text()),
                        o.padding.text());
  }
}

Shape pooled_shape(std::string_view kind, const Window& window, const Shape& features) {
  const Size2 outputs = window.check_outputs(kind, features);
  return {features[0], outputs.h, outputs.w};
}

template <class Options>
Options with_kernel(const Size2& kernel_size, Options options) {
  options.kernel_size = kernel_size;
  return options;
}

const Form kPictures{.values = Form::Values::any, .layout = Layout::channels_last, .constant = true};

Saved& begin_pass(const Signal& x, Tape& tape) {
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  return saved;
}

/// The mean of each window of saved.taps, times saved.shares.
Signal mean_forward(Saved& saved, const Shape& features, ThreadPool& threads) {
  const Signal& x = saved.x;
  const std::size_t C = features[0];
  const Shape shape = features.after({x.samples(), x.steps()});
  saved.y.values.resize(stored_shape(shape, Layout::channels_last, x.stored_steps()));
  for_pictures(x, threads, [&](std::size_t n) {
    float* y = saved.y.values.data() + n * features.size();
    if (x.is_spikes()) {
      kernels::avg_pool_forward(y, words_of(x.spikes(), n), saved.shares.data(), saved.taps.view(), C);
    } else {
      kernels::avg_pool_forward(y, x.values() + n * x.features(), saved.shares.data(), saved.taps.view(), C);
    }
  });
  return {saved.y.values, shape, Layout::channels_last};
}

/// Calls body(dx, dy, n) for every stored picture and returns dx.
template <class Body>
Signal backward_pictures(Saved& saved, const Signal& dy, Tape& tape, const Body& body) {
  const Signal& x = saved.x;
  Tensor& memory = tape.dx_memory();
  memory.resize(x.stored_shape());
  for_pictures(x, tape.threads(), [&](std::size_t n) {
    body(memory.data() + n * x.features(), dy.values() + n * dy.features(), n);
  });
  return {memory, x.shape(), Layout::channels_last};
}

/// dx of one picture of a maximum pool.
void max_backward(float* dx, const float* dy, const Saved& saved, std::size_t n) {
  const Signal& x = saved.x;
  const std::size_t positions = picture_of(x).area(), C = x.shape()[2];
  if (x.is_spikes()) {
    kernels::max_pool_backward(dx, dy, words_of(x.spikes(), n), saved.taps.view(), positions, C);
  } else {
    kernels::max_pool_backward(dx, dy, x.values() + n * x.features(), saved.taps.view(), positions, C);
  }
}

void MaxPoolGradient::read(float* to, std::size_t n) const {
  const std::size_t steps = saved->x.stored_steps();
  for (std::size_t t = n * steps; t < (n + 1) * steps; ++t, to += saved->x.features()) {
    max_backward(to, dy.values() + t * dy.features(), *saved, t);
  }
}

Signal mean_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  Saved& saved = tape.saved<Saved>();
  return backward_pictures(saved, dy, tape, [&](float* dx, const float* dout, std::size_t) {
    kernels::avg_pool_backward(dx, dout, saved.shares.data(), saved.taps.view(), picture_of(saved.x).area(),
                               saved.x.shape()[2]);
  });
}

}  // namespace

MaxPool2d::MaxPool2d(const MaxPool2dOptions& options) : options_(options) { check_pool(options); }
MaxPool2d::MaxPool2d(const Size2& kernel_size, MaxPool2dOptions options)
    : MaxPool2d(with_kernel(kernel_size, options)) {}

Shape MaxPool2d::output_shape(const Shape& features) const {
  return pooled_shape(kind(), window_of(options_), features);
}

Form MaxPool2d::reads(const Shape&) const { return kPictures; }

Signal MaxPool2d::do_forward(const Signal& x, Tape& tape) const {
  const Shape features = output_shape(x.shape().from(2));
  Saved& saved = begin_pass(x, tape);
  TapTable::window(saved.taps, window_of(options_), picture_of(x));
  const kernels::Taps taps = saved.taps.view();
  const Shape shape = features.after({x.samples(), x.steps()});
  if (x.is_spikes()) {
    std::uint64_t* s = SpikeWords::make_steps(saved.y.spikes, shape, Layout::channels_last);
    const std::size_t row_words = SpikeWords::row_words(saved.y.spikes);
    for_pictures(x, tape.threads(), [&](std::size_t n) {
      kernels::max_pool_forward(s + n * row_words, words_of(x.spikes(), n), taps, row_words / taps.positions);
    });
    return saved.y.spikes;
  }
  saved.y.values.resize(stored_shape(shape, Layout::channels_last, x.stored_steps()));
  for_pictures(x, tape.threads(), [&](std::size_t n) {
    kernels::max_pool_forward(saved.y.values.data() + n * features.size(), x.values() + n * x.features(),
                              taps, features[0]);
  });
  return {saved.y.values, shape, Layout::channels_last};
}

Signal MaxPool2d::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  Saved& saved = tape.saved<Saved>();
  const bool by_sample =
      TapeAccess::dx_by_sample(tape) && TapeAccess::given(tape).layout() == saved.x.layout();
  if (by_sample && !saved.x.constant()) {
    saved.gradient.saved = &saved;
    saved.gradient.dy = dy;
    return with_source(saved.x, saved.gradient);
  }
  return backward_pictures(saved, dy, tape, [&](float* dx, const float* dout, std::size_t n) {
    max_backward(dx, dout, saved, n);
  });
}

AvgPool2d::AvgPool2d(const AvgPool2dOptions& options) : options_(options) { check_pool(options); }
AvgPool2d::AvgPool2d(const Size2& kernel_size, AvgPool2dOptions options)
    : AvgPool2d(with_kernel(kernel_size, options)) {}

Shape AvgPool2d::output_shape(const Shape& features) const {
  return pooled_shape(kind(), window_of(options_), features);
}

Form AvgPool2d::reads(const Shape&) const { return kPictures; }

Signal AvgPool2d::do_forward(const Signal& x, Tape& tape) const {
  const Shape features = output_shape(x.shape().from(2));
  Saved& saved = begin_pass(x, tape);
  TapTable::window(saved.taps, window_of(options_), picture_of(x));
  saved.shares.resize(saved.taps.positions());
  std::ranges::fill(saved.shares.span(), 1 / static_cast<float>(options_.kernel_size.area()));
  return mean_forward(saved, features, tape.threads());
}

Signal AvgPool2d::do_backward(Tape& tape, const Signal& dy) { return mean_backward(tape, dy); }

AdaptiveAvgPool2d::AdaptiveAvgPool2d(const AdaptiveAvgPool2dOptions& options) : options_(options) {
  check_fields(AdaptiveAvgPool2dOptions::kKind, options);
}

AdaptiveAvgPool2d::AdaptiveAvgPool2d(const Size2& output_size)
    : AdaptiveAvgPool2d(AdaptiveAvgPool2dOptions{output_size}) {}

Shape AdaptiveAvgPool2d::output_shape(const Shape& features) const {
  check_picture(kind(), features);
  return {features[0], options_.output_size.h, options_.output_size.w};
}

Form AdaptiveAvgPool2d::reads(const Shape&) const { return kPictures; }

Signal AdaptiveAvgPool2d::do_forward(const Signal& x, Tape& tape) const {
  const Shape features = output_shape(x.shape().from(2));
  Saved& saved = begin_pass(x, tape);
  TapTable::adaptive(saved.taps, saved.shares, picture_of(x), options_.output_size);
  return mean_forward(saved, features, tape.threads());
}

Signal AdaptiveAvgPool2d::do_backward(Tape& tape, const Signal& dy) { return mean_backward(tape, dy); }

}  // namespace volley
