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
  explicit Pass(std::shared_ptr<Layer> layer) : owner(std::move(layer)) {}

  std::shared_ptr<Layer> owner;
  std::vector<std::unique_ptr<const OwnedSignal>> x;  // one; after a pass that failed, those before it too
  std::vector<std::uint32_t> samples;
  std::shared_ptr<ThreadPool> threads;
  std::optional<Tape> tape;
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

/// y and its tape: `tape` where one is given, not None. y is packed where x is.
nb::tuple forward(const std::shared_ptr<Layer>& self, nb::handle x, const PassArguments& pass,
                  nb::object tape);
extern const char* const kForwardDoc;
extern const char* const kCallDoc;

namespace detail {

/// `bound`'s functions that run a pass: `name`, with `arguments` behind x. The second overload is for type
/// checkers alone: the first one takes Spikes too.
template <class Class, class Run, class... Extra>
void def_pass(Class& bound, const char* name, const std::string& arguments, std::string_view x,
              std::string_view y, std::string_view result, const char* doc, const Run& run,
              const Extra&... extra) {
  const auto define = [&](const std::string& in, const std::string& out) {
    const std::string returned = fmt::format(fmt::runtime(result), out);
    bound.def(name, run, nb::arg("x"), nb::kw_only(), extra...,
              nb::sig(fmt::format("def {}(self, x: {}, *, {}) -> {}", name, in, arguments, returned).c_str()),
              doc);
  };
  const std::string spikes = y.find("uint8") == y.npos ? "" : " | Spikes";
  const std::string real = y == "numpy.uint8" ? "Spikes" : "numpy.typing.NDArray[numpy.float32]" + spikes;
  define(fmt::format("numpy.typing.NDArray[{}]", x), fmt::format("numpy.typing.NDArray[{}]", y));
  if (x.find("uint8") != x.npos) define("Spikes", real);
}

}  // namespace detail

/// Gives a class of layers its `forward` and its call. `x` and `y` are the types of the arrays that go in and
/// come out, as its signature shows them: "numpy.float32 | numpy.uint8".
template <class Class>
void def_forward(Class& bound, std::string_view x, std::string_view y) {
  detail::def_pass(
      bound, "forward",
      "training: bool = False, seed: int = 0, epoch: int = 0, samples: collections.abc.Sequence[int] | None "
      "= "
      "None, state: State | None = None, tape: Tape | None = None",
      x, y, "tuple[{}, Tape]", kForwardDoc,
      [](const std::shared_ptr<Layer>& self, nb::handle in, bool training, std::int64_t seed,
         std::int64_t epoch, std::optional<std::vector<std::int64_t>> samples, State* state,
         nb::object tape) {
        return forward(self, in, {training, seed, epoch, std::move(samples), state}, std::move(tape));
      },
      nb::arg("training") = false, nb::arg("seed") = 0, nb::arg("epoch") = 0, nb::arg("samples") = nb::none(),
      nb::arg("state") = nb::none(), nb::arg("tape") = nb::none());
  detail::def_pass(
      bound, "__call__", "state: State | None = None, tape: Tape | None = None", x, y, "{}", kCallDoc,
      [](const std::shared_ptr<Layer>& self, nb::handle in, State* state, nb::object tape) {
        const PassArguments evaluation{
            .training = false, .seed = 0, .epoch = 0, .samples = {}, .state = state};
        return nb::object(forward(self, in, evaluation, std::move(tape))[0]);
      },
      nb::arg("state") = nb::none(), nb::arg("tape") = nb::none());
}
inline constexpr std::string_view kReal = "numpy.float32";
inline constexpr std::string_view kSpikes = "numpy.uint8";
inline constexpr std::string_view kEither = "numpy.float32 | numpy.uint8";
inline constexpr std::string_view kAnyInput = "numpy.float32 | numpy.uint8 | numpy.bool_";

}  // namespace volley::python
