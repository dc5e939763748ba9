#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include <volley/layers.hpp>
#include <volley/tape.hpp>

#include "arrays.hpp"

namespace volley::python {

/// What a forward pass hands to backward. Keeps alive all that the library only looks at: the layer, its
/// input and the threads.
struct Pass {
  Pass(std::shared_ptr<Layer> layer, OwnedSignal input, std::shared_ptr<ThreadPool> pool)
      : owner(std::move(layer)), x(std::move(input)), threads(std::move(pool)), tape(*threads) {}

  std::shared_ptr<Layer> owner;
  OwnedSignal x;
  std::shared_ptr<ThreadPool> threads;
  Tape tape;
  Signal y;
  std::atomic<bool> busy{false};  // SAFETY: a second thread that comes with the same tape is refused
};

/// A Sequential whose layers are Python objects as well: net[1] is the very layer that was put in.
class Network final : public Layer {
 public:
  explicit Network(std::vector<std::shared_ptr<Layer>> layers);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const std::vector<std::shared_ptr<Layer>>& layers() const { return layers_; }

  std::string_view kind() const override { return net_.kind(); }
  Shape output_shape(const Shape& features) const override { return net_.output_shape(features); }
  Signal forward(const Signal& x, Tape& tape) const override { return net_.forward(x, tape); }
  Signal backward(Tape& tape, const Signal& dy) override { return net_.backward(tape, dy); }
  std::vector<NamedParameter> parameters() override { return net_.parameters(); }
  void initialize(std::uint32_t seed, std::uint32_t layer) override { net_.initialize(seed, layer); }

 private:
  std::vector<std::shared_ptr<Layer>> layers_;
  Sequential net_;
};

/// The layers that recipes describe, with the values given.
std::shared_ptr<Network> network_from(const std::vector<LayerRecipe>& recipes, const NamedTensors& values,
                                      std::string_view origin);

}  // namespace volley::python
