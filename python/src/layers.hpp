#pragma once

// A type is cast in the same way in every unit only where its caster is included in every unit.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/layers.hpp>
#include <volley/residual.hpp>
#include <volley/tape.hpp>

#include "arrays.hpp"
#include "module.hpp"

namespace volley::python {

/// What a forward pass hands to backward. Keeps alive all that the library only looks at: the layer, its
/// input and the threads.
struct Pass {
  Pass(std::shared_ptr<Layer> layer, OwnedSignal input, std::shared_ptr<ThreadPool> pool)
      : owner(std::move(layer)), x(std::move(input)), threads(std::move(pool)), tape(*threads) {}

  std::shared_ptr<Layer> owner;
  OwnedSignal x;
  std::vector<std::uint32_t> samples;
  std::shared_ptr<ThreadPool> threads;
  Tape tape;
  Signal y;
  std::atomic<bool> busy{false};  // SAFETY: a second thread that comes with the same tape is refused
};

/// A layer of a Sequential that Python holds too.
class SharedLayer final : public Layer {
 public:
  explicit SharedLayer(std::shared_ptr<Layer> layer) : layer_(std::move(layer)) {}

  std::string_view kind() const override { return layer_->kind(); }
  Shape output_shape(const Shape& features) const override { return layer_->output_shape(features); }
  Signal forward(const Signal& x, Tape& tape) const override { return layer_->forward(x, tape); }
  Signal backward(Tape& tape, const Signal& dy) override { return layer_->backward(tape, dy); }
  std::size_t macs(const Shape& features) const override { return layer_->macs(features); }
  bool feeds_back() const override { return layer_->feeds_back(); }
  std::vector<NamedParameter> parameters() override { return layer_->parameters(); }
  std::vector<NamedTensor> buffers() override { return layer_->buffers(); }
  void initialize(std::uint32_t seed, std::uint32_t layer) override { layer_->initialize(seed, layer); }

 private:
  std::shared_ptr<Layer> layer_;
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
  std::vector<NamedTensor> buffers() override { return net_.buffers(); }
  void initialize(std::uint32_t seed, std::uint32_t layer) override { net_.initialize(seed, layer); }

 private:
  std::vector<std::shared_ptr<Layer>> layers_;
  Sequential net_;
};

/// A residual block whose sides are Python objects as well.
class ResidualBlock final : public Layer {
 public:
  ResidualBlock(std::shared_ptr<Network> branch, std::shared_ptr<Network> shortcut,
                const ResidualOptions& options);

  const ResidualOptions& options() const { return block_.options(); }
  const std::shared_ptr<Network>& branch() const { return branch_; }
  const std::shared_ptr<Network>& shortcut() const { return shortcut_; }  // null: the input itself

  std::string_view kind() const override { return block_.kind(); }
  Shape output_shape(const Shape& features) const override { return block_.output_shape(features); }
  Signal forward(const Signal& x, Tape& tape) const override { return block_.forward(x, tape); }
  Signal backward(Tape& tape, const Signal& dy) override { return block_.backward(tape, dy); }
  std::vector<NamedParameter> parameters() override { return block_.parameters(); }
  std::vector<NamedTensor> buffers() override { return block_.buffers(); }
  void initialize(std::uint32_t seed, std::uint32_t layer) override { block_.initialize(seed, layer); }

 private:
  std::shared_ptr<Network> branch_;
  std::shared_ptr<Network> shortcut_;
  Residual block_;
};

/// The layers that recipes describe, with the values given.
std::shared_ptr<Network> network_from(const std::vector<LayerRecipe>& recipes, const NamedTensors& values,
                                      std::string_view origin);

/// What a user says of the kind of pass that forward runs.
struct PassArguments {
  bool training;
  std::int64_t seed;
  std::int64_t epoch;
  std::optional<std::vector<std::int64_t>> samples;
};

nb::tuple forward(const std::shared_ptr<Layer>& self, nb::handle x, const PassArguments& pass);
extern const char* const kForwardDoc;

/// Gives a class of layers its `forward`. `x` and `y` are the types of the arrays that go in and come out, as
/// its signature shows them: "numpy.float32 | numpy.uint8".
template <class Class>
void def_forward(Class& bound, std::string_view x, std::string_view y) {
  const std::string signature = fmt::format(
      "def forward(self, x: numpy.typing.NDArray[{}], *, training: bool = False, seed: int = 0, epoch: int = "
      "0, samples: collections.abc.Sequence[int] | None = None) -> tuple[numpy.typing.NDArray[{}], Tape]",
      x, y);
  bound.def(
      "forward",
      [](const std::shared_ptr<Layer>& self, nb::handle in, bool training, std::int64_t seed,
         std::int64_t epoch, std::optional<std::vector<std::int64_t>> samples) {
        return forward(self, in, {training, seed, epoch, std::move(samples)});
      },
      nb::arg("x"), nb::kw_only(), nb::arg("training") = false, nb::arg("seed") = 0, nb::arg("epoch") = 0,
      nb::arg("samples") = nb::none(), nb::sig(signature.c_str()), kForwardDoc);
}
inline constexpr std::string_view kReal = "numpy.float32";
inline constexpr std::string_view kSpikes = "numpy.uint8";
inline constexpr std::string_view kEither = "numpy.float32 | numpy.uint8";
inline constexpr std::string_view kAnyInput = "numpy.float32 | numpy.uint8 | numpy.bool_";

}  // namespace volley::python
