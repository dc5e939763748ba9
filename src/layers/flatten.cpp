#include <volley/layers.hpp>

#include "layers/layer_access.hpp"

namespace volley {

Form Flatten::reads(const Shape&) const { return {.values = Form::Values::any, .constant = true}; }

Signal Flatten::do_forward(const Signal& x, Tape&) const {
  return x.reshaped({x.samples(), x.steps(), x.features()});
}

Signal Flatten::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  return dy.reshaped(TapeAccess::x(tape).shape());
}

std::unique_ptr<Layer> Flatten::do_clone() const { return std::make_unique<Flatten>(*this); }

}  // namespace volley
