#include <fmt/format.h>

#include <volley/error.hpp>
#include <volley/layers.hpp>

namespace volley {
namespace {

struct Saved {
  Tensor dx[2];  // the one that a layer reads, and the one that it writes
};

}  // namespace

void Sequential::add(std::unique_ptr<Layer> layer) {
  const bool fixed = layer->parameters().empty() && layer->buffers().empty();
  if (fixed && first_trainable_ == layers_.size()) ++first_trainable_;
  layers_.push_back(std::move(layer));
}

Shape Sequential::output_shape(const Shape& features) const {
  Shape shape = features;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    try {
      shape = layers_[i]->output_shape(shape);
    } catch (const Error& error) {
      throw Error(fmt::format("layer {}: {}", i, error.what()));
    }
  }
  return shape;
}

Signal Sequential::forward(const Signal& x, Tape& tape) const {
  Signal y = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Tape& child = tape.child(i);
    child.set_needs_input_gradient(i > 0 || tape.needs_input_gradient());
    child.set_y_by_sample(i + 1 < layers_.size() && layers_[i + 1]->reads_input_by_sample());
    y = run_child(*layers_[i], y, child);
  }
  return y;
}

Signal Sequential::backward(Tape& tape, const Signal& dy) {
  Signal dx = dy;
  Saved& saved = tape.saved<Saved>();
  // Below the first layer that has something to learn no gradient is wanted, unless the input's is.
  const std::size_t first = tape.needs_input_gradient() ? 0 : first_trainable_;
  for (std::size_t i = layers_.size(); i-- > first;) {
    Tape& child = tape.child(i);
    child.set_needs_input_gradient(i > first || tape.needs_input_gradient());
    child.lend_dx_memory(dx.lies_in(saved.dx[0]) ? saved.dx[1] : saved.dx[0]);
    child.set_dx_by_sample(i > first && layers_[i - 1]->reads_gradient_by_sample());
    dx = layers_[i]->backward(child, dx);
  }
  return tape.needs_input_gradient() ? dx : Signal{};
}

std::vector<NamedParameter> Sequential::parameters() {
  std::vector<NamedParameter> all;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    for (const NamedParameter& p : layers_[i]->parameters()) {
      all.push_back({fmt::format("{}.{}", i, p.name), p.parameter});
    }
  }
  return all;
}

std::vector<NamedTensor> Sequential::buffers() {
  std::vector<NamedTensor> all;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    for (const NamedTensor& b : layers_[i]->buffers()) {
      all.push_back({fmt::format("{}.{}", i, b.name), b.tensor});
    }
  }
  return all;
}

void Sequential::initialize(std::uint32_t seed, std::uint32_t layer) {
  for (const std::unique_ptr<Layer>& child : layers_) child->initialize(seed, layer++);
}

}  // namespace volley
