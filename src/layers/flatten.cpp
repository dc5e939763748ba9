#include <volley/layers.hpp>

#include "layers/signal_forms.hpp"

namespace volley {
namespace {

struct Saved {
  Signal x;
  SignalMemory y;
  SignalMemory dx;
};

}  // namespace

Signal Flatten::forward(const Signal& x, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  return in_layout(x, Layout::row_major, saved.y, tape.threads())
      .reshaped({x.samples(), x.steps(), x.features()});
}

Signal Flatten::backward(Tape& tape, const Signal& dy) {
  Saved& saved = tape.saved<Saved>();
  if (!tape.needs_input_gradient()) return {};
  return in_layout(dy.reshaped(saved.x.shape()), saved.x.layout(), saved.dx, tape.threads());
}

}  // namespace volley
