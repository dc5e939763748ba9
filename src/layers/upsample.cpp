#include <volley/upsample.hpp>

#include <volley/error.hpp>

#include "layers/pictures.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;  // channels-last
  SignalMemory y;
  TapTable taps;  // one for each output, or four
};

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
  if (options_.mode == UpsampleMode::nearest) {
    TapTable::nearest(saved.taps, picture, outputs);
    return highest_forward(saved.y, x, saved.taps, shape, tape);
  }
  TapTable::bilinear(saved.taps, picture, outputs, options_.align_corners);
  return window_forward(saved.y.values, x, saved.taps, true, shape, tape);
}

Signal Upsample::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  const Saved& saved = tape.saved<Saved>();
  return window_backward(saved.x, dy, saved.taps, options_.mode == UpsampleMode::bilinear, tape);
}

std::unique_ptr<Layer> Upsample::do_clone() const { return std::make_unique<Upsample>(*this); }

}  // namespace volley
