#include <fmt/format.h>

#include <set>
#include <utility>

#include <volley/error.hpp>
#include <volley/layers.hpp>

#include "layers/layer_access.hpp"
#include "ops/sample_source.hpp"

namespace volley {
namespace {

struct Saved {
  Tensor dx[2];  // the one that a layer reads, and the one that it writes
};

}  // namespace

Sequential::Sequential(const Sequential& other) : Layer(other), first_trainable_(other.first_trainable_) {
  for (const std::shared_ptr<Layer>& layer : other.layers_) layers_.push_back(layer->clone());
}

Sequential& Sequential::operator=(const Sequential& other) {
  if (this != &other) *this = Sequential(other);
  return *this;
}

Sequential::Sequential(Sequential&& other) noexcept
    : Layer(std::move(other)),
      layers_(std::exchange(other.layers_, {})),
      first_trainable_(std::exchange(other.first_trainable_, 0)) {}

Sequential& Sequential::operator=(Sequential&& other) noexcept {
  Layer::operator=(std::move(other));
  std::swap(layers_, other.layers_);
  std::swap(first_trainable_, other.first_trainable_);
  return *this;
}

void Sequential::add(std::shared_ptr<Layer> layer) {
  if (layer == nullptr) throw ArgumentError(kKind, "a layer must not be null");
  std::set<const Layer*> here;
  walk([&](const std::string&, Layer& l) { here.insert(&l); });
  layer->walk([&](const std::string& path, Layer& l) {
    if (&l == this) throw ArgumentError(kKind, "a Sequential must not be a layer of itself");
    if (here.contains(&l) && LayerAccess::has_parameters(l)) {
      throw ArgumentError(kKind, "a layer with parameters must be in a network once",
                          fmt::format("the {} '{}' a second time", l.kind(), path));
    }
  });
  if (first_trainable_ == layers_.size() && LayerAccess::is_fixed(*layer)) ++first_trainable_;
  layers_.push_back(std::move(layer));
  draw_untouched();
}

const std::shared_ptr<Layer>& Sequential::at(std::size_t i) const {
  if (i >= layers_.size()) {
    throw ArgumentError(kKind, fmt::format("index must be < {}", layers_.size()), fmt::format("{}", i));
  }
  return layers_[i];
}

Shape Sequential::output_shape(const Shape& features) const {
  Shape shape = features;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    try {
      shape = layers_[i]->output_shape(shape);
    } catch (const ShapeError& error) {
      throw error.at(fmt::format("layer {}", i));
    }
  }
  return shape;
}

Form Sequential::reads(const Shape&) const {
  return {.values = Form::Values::any, .layout = {}, .constant = true};
}

Signal Sequential::do_forward(const Signal& x, Tape& tape) const {
  Signal y = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Tape& child = tape.child(i);
    child.set_needs_input_gradient(i > 0 || tape.needs_input_gradient());
    const bool more = i + 1 < layers_.size();
    TapeAccess::offer_y_by_sample(child, more && LayerAccess::reads_input_by_sample(*layers_[i + 1]));
    y = layers_[i]->forward(y, child);
  }
  return y;
}

Signal Sequential::do_backward(Tape& tape, const Signal& dy) {
  Signal dx = dy;
  Saved& saved = tape.saved<Saved>();
  // Below the first layer that has something to learn no gradient is wanted, unless the input's is.
  const std::size_t first = tape.needs_input_gradient() ? 0 : first_trainable_;
  for (std::size_t i = layers_.size(); i-- > first;) {
    Tape& child = tape.child(i);
    child.set_needs_input_gradient(i > first || tape.needs_input_gradient());
    TapeAccess::lend_dx_memory(child, lies_in(dx, saved.dx[0]) ? saved.dx[1] : saved.dx[0]);
    TapeAccess::offer_dx_by_sample(child,
                                   i > first && LayerAccess::reads_gradient_by_sample(*layers_[i - 1]));
    dx = layers_[i]->backward(child, dx);
  }
  return tape.needs_input_gradient() ? dx : Signal{};
}

std::vector<NamedLayer> Sequential::do_children() {
  std::vector<NamedLayer> all;
  for (std::size_t i = 0; i < layers_.size(); ++i) all.push_back({fmt::format("{}", i), layers_[i].get()});
  return all;
}

std::unique_ptr<Layer> Sequential::do_clone() const { return std::make_unique<Sequential>(*this); }

}  // namespace volley
