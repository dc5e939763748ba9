#include <volley/encoder.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <volley/error.hpp>
#include <volley/threads.hpp>

#include "encoders/checks.hpp"

namespace volley {
namespace {

/// Checks all that an encoder is given; returns the shape of the signal.
Shape check_input(const Encoder& encoder, const Dataset& data, std::span<const std::uint32_t> samples,
                  std::size_t steps, const Draw& draw) {
  const std::string_view kind = encoder.kind();
  if (samples.empty()) throw ArgumentError(kind, "needs at least one sample", "none");
  check_steps(kind, steps);
  data.check(samples);
  check_draw(kind, draw, samples.size(), *std::ranges::max_element(samples));
  const Shape shape = encoder.output_shape(data.shape).after({samples.size(), steps});
  static_cast<void>(shape.size());  // throws where nothing can be of that shape
  return shape;
}

Signal checked(const Encoder& encoder, const Signal& x, const Shape& expected) {
  if (x.empty() || x.shape() != expected) {
    throw ShapeError(encoder.kind(), fmt::format("the signal of do_encode must be {}", expected.text()),
                     x.shape());
  }
  return x;
}

}  // namespace

Signal Encoder::encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                       const Draw& draw, Tape& tape) const {
  const Shape shape = check_input(*this, data, samples, steps, draw);
  return checked(*this, do_encode(data, samples, steps, draw, tape), shape);
}

Signal Encoder::encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                             const Draw& draw, Tape& tape) const {
  const Shape shape = check_input(*this, data, samples, steps, draw);
  try {
    return checked(*this, do_encode_ahead(data, samples, steps, draw, tape), shape);
  } catch (...) {
    tape.threads().drop_ahead();  // `data` and `samples` may die with the error
    throw;
  }
}

Signal Encoder::encode(const Tensor& values, std::size_t steps, const Draw& draw, Tape& tape) const {
  check_steps(kind(), steps);
  const Shape& shape = values.shape();
  if (shape.rank() < 2 || shape.rank() > Shape::kMaxRank - 1 || shape.size() == 0)
    throw ShapeError(kind(), "values must be (N, features...)", shape);
  check_draw(kind(), draw, shape[0], static_cast<std::uint32_t>(shape[0] - 1));
  const Shape expected = output_shape(shape.from(1)).after({shape[0], steps});
  static_cast<void>(expected.size());  // throws where nothing can be of that shape
  return checked(*this, do_encode_values(values, steps, draw, tape), expected);
}

Signal Encoder::encode(const Signal& x, Tape& tape) const {
  const Shape& shape = x.shape();
  if (shape.rank() < 3 || shape.size() == 0 || x.empty())
    throw ShapeError(kind(), "samples must be (N, T, features...)", shape);
  const Shape expected = output_shape(shape.from(2)).after({x.samples(), x.steps()});
  return checked(*this, do_encode_steps(x, tape), expected);
}

Signal Encoder::do_encode_values(const Tensor&, std::size_t, const Draw&, Tape&) const {
  throw ArgumentError(kind(), "takes pictures of bytes", "real values");
}

Signal Encoder::do_encode_steps(const Signal&, Tape&) const {
  throw ArgumentError(kind(), "takes samples without steps, to which it gives theirs", "samples with steps");
}

}  // namespace volley
