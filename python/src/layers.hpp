#pragma once

// A type is cast in the same way in every unit only where its caster is included in every unit.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/layers.hpp>
#include <volley/state.hpp>
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
};

/// The layers that recipes describe, with the values given.
std::shared_ptr<Sequential> network_from(const std::vector<LayerRecipe>& recipes, const NamedTensors& values,
                                         std::string_view origin);

/// What a user says of the kind of pass that forward runs.
struct PassArguments {
  bool training;
  std::int64_t seed;
  std::int64_t epoch;
  std::optional<std::vector<std::int64_t>> samples;
  State* state = nullptr;
};

nb::tuple forward(const std::shared_ptr<Layer>& self, nb::handle x, const PassArguments& pass);
extern const char* const kForwardDoc;

/// Gives a class of layers its `forward`. `x` and `y` are the types of the arrays that go in and come out, as
/// its signature shows them: "numpy.float32 | numpy.uint8".
template <class Class>
void def_forward(Class& bound, std::string_view x, std::string_view y) {
  const std::string signature = fmt::format(
      "def forward(self, x: numpy.typing.NDArray[{}], *, training: bool = False, seed: int = 0, epoch: int = "
      "0, samples: collections.abc.Sequence[int] | None = None, state: State | None = None) -> "
      "tuple[numpy.typing.NDArray[{}], Tape]",
      x, y);
  bound.def(
      "forward",
      [](const std::shared_ptr<Layer>& self, nb::handle in, bool training, std::int64_t seed,
         std::int64_t epoch, std::optional<std::vector<std::int64_t>> samples, State* state) {
        return forward(self, in, {training, seed, epoch, std::move(samples), state});
      },
      nb::arg("x"), nb::kw_only(), nb::arg("training") = false, nb::arg("seed") = 0, nb::arg("epoch") = 0,
      nb::arg("samples") = nb::none(), nb::arg("state") = nb::none(), nb::sig(signature.c_str()),
      kForwardDoc);
}
inline constexpr std::string_view kReal = "numpy.float32";
inline constexpr std::string_view kSpikes = "numpy.uint8";
inline constexpr std::string_view kEither = "numpy.float32 | numpy.uint8";
inline constexpr std::string_view kAnyInput = "numpy.float32 | numpy.uint8 | numpy.bool_";

}  // namespace volley::python
