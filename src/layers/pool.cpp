#include <volley/pool.hpp>

#include <fmt/format.h>

#include <volley/error.hpp>

#include "layers/layer_access.hpp"
#include "layers/pictures.hpp"
#include "layers/taps.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;  // channels-last
  SignalMemory y;
  TapTable taps;
  ops::Slot slot;
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

Signal mean_forward(Saved& saved, const Shape& features, Tape& tape) {
  const Shape shape = features.after({saved.x.samples(), saved.x.steps()});
  return window_forward(saved.y.values, saved.x, saved.taps, false, shape, tape);
}

Signal mean_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  const Saved& saved = tape.saved<Saved>();
  return window_backward(saved.x, dy, saved.taps, false, tape);
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
  return highest_forward(saved.y, x, saved.taps, features.after({x.samples(), x.steps()}), tape);
}

Signal MaxPool2d::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  Executor& device = executor_of(tape);
  Saved& saved = tape.saved<Saved>();
  const Signal& x = saved.x;
  ops::MaxPoolBackward op{.x = view_of(x, device),
                          .taps = saved.taps.view(device),
                          .C = x.shape()[2],
                          .dy = values_of(dy, device)};
  const bool by_sample = TapeAccess::dx_by_sample(tape) && TapeAccess::given(tape).layout() == x.layout();
  if (by_sample && !x.constant()) {
    if (const SampleSource* dx = device.defer(op, dy, saved.slot); dx != nullptr) return with_source(x, *dx);
  }
  Tensor& dx = tape.dx_memory();
  dx.resize(x.stored_shape());
  op.dx = device.write(dx);
  device.run(op);
  return {dx, x.shape(), Layout::channels_last};
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
  return mean_forward(saved, features, tape);
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
  TapTable::adaptive(saved.taps, picture_of(x), options_.output_size);
  return mean_forward(saved, features, tape);
}

Signal AdaptiveAvgPool2d::do_backward(Tape& tape, const Signal& dy) { return mean_backward(tape, dy); }

std::unique_ptr<Layer> MaxPool2d::do_clone() const { return std::make_unique<MaxPool2d>(*this); }

std::unique_ptr<Layer> AvgPool2d::do_clone() const { return std::make_unique<AvgPool2d>(*this); }

std::unique_ptr<Layer> AdaptiveAvgPool2d::do_clone() const {
  return std::make_unique<AdaptiveAvgPool2d>(*this);
}

}  // namespace volley
