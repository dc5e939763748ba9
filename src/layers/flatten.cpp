#include <volley/layers.hpp>

namespace volley {
namespace {

struct Saved {
  Shape shape;
};

}  // namespace

Signal Flatten::forward(const Signal& x, Tape& tape) const {
  tape.saved<Saved>().shape = x.shape();
  return x.reshaped({x.samples(), x.steps(), x.features()});
}

Signal Flatten::backward(Tape& tape, const Signal& dy) {
  return tape.needs_input_gradient() ? dy.reshaped(tape.saved<Saved>().shape) : Signal{};
}

}  // namespace volley
