#include "copies.hpp"

#include <nanobind/stl/shared_ptr.h>

#include <memory>

#include <volley/recipe.hpp>

#include "arrays.hpp"
#include "layers.hpp"

namespace volley::python {

nb::object pickled_surrogate(std::string_view kind, const Surrogate& surrogate) {
  nb::object object = surrogate_object(surrogate);
  if (!std::holds_alternative<CustomSurrogate>(surrogate)) return object;
  try {
    nb::module_::import_("pickle").attr("dumps")(object);
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_Exception)) throw;
    throw ArgumentError(
        kind,
        "surrogate must be a function that pickle finds by its name, such as one that a module "
        "defines, for the layer to be pickled",
        nb::cast<std::string>(nb::repr(object)));
  }
  return object;
}

nb::object part_of(const nb::dict& state, std::string_view kind, const char* name) {
  if (state.contains(name)) return state[name];
  throw ArgumentError(kind, fmt::format("the state of a pickle must have '{}'", name));
}

namespace detail {

constexpr const char* kAttributes = "attributes";

void refuse_plain(std::string_view kind, std::string_view name, nb::handle found) {
  throw ArgumentError(kind, fmt::format("{} of a pickle must be of the type that it was saved with", name),
                      nb::cast<std::string>(nb::repr(found)));
}

std::optional<nb::dict> attributes_of(nb::handle object) {
  if (!nb::hasattr(object, "__dict__")) return std::nullopt;
  return nb::cast<nb::dict>(object.attr("__dict__"));
}

void add_attributes(nb::dict& state, nb::handle object) {
  const std::optional<nb::dict> own = attributes_of(object);
  if (own.has_value() && nb::len(*own) > 0) state[kAttributes] = own->attr("copy")();
}

void set_attributes(nb::handle object, const nb::dict& state) {
  if (state.contains(kAttributes)) object.attr("__dict__").attr("update")(state[kAttributes]);
}

void copy_attributes(nb::handle to, nb::handle from, const nb::dict& memo) {
  const std::optional<nb::dict> own = attributes_of(from);
  if (!own.has_value() || nb::len(*own) == 0) return;
  to.attr("__dict__").attr("update")(nb::module_::import_("copy").attr("deepcopy")(*own, memo));
}

nb::object new_copy(nb::handle object, const nb::dict& memo) {
  nb::object made = nb::inst_alloc(object.type());
  memo[nb::int_(reinterpret_cast<std::uintptr_t>(object.ptr()))] = made;
  return made;
}

void check_new(nb::handle object) {
  if (nb::inst_ready(object)) {
    throw nb::type_error(fmt::format("__setstate__() is for pickle alone, got {}, which is made already",
                                     nb::repr(object).c_str())
                             .c_str());
  }
}

}  // namespace detail

namespace {

using LayerPtr = std::shared_ptr<Layer>;

/// What a layer is made from, and how.
template <class L>
RecipeOf<L> recipe_of_layer(const L& layer) {
  if constexpr (requires { layer.channels(); }) {
    return {layer.options(), layer.channels()};
  } else if constexpr (std::is_same_v<L, Linear>) {
    return {layer.options(), layer.in(), layer.out()};
  } else if constexpr (std::is_same_v<L, Recurrent>) {
    return {layer.options(), layer.features()};
  } else {
    return layer.options();
  }
}

template <class L>
void make_layer_at(L* place, const RecipeOf<L>& recipe) {
  if constexpr (requires { recipe.channels; } && !NeuronOptions<RecipeOf<L>>) {
    new (place) L(recipe.channels, recipe);
  } else if constexpr (std::is_same_v<L, Linear>) {
    new (place) L(recipe.in, recipe.out, recipe);
  } else if constexpr (std::is_same_v<L, Recurrent>) {
    new (place) L(recipe.features, recipe);
  } else {
    new (place) L(recipe);
  }
}

/// A layer that holds no others: its options and its numbers.
template <class L>
void def_layer_copies() {
  constexpr const char* kKind = RecipeOf<L>::kKind;
  def_copies<L>(
      [](L& self) {
        nb::dict state;
        state["options"] = fields_of(kKind, recipe_of_layer(self));
        state["tensors"] = arrays_of(self.named_tensors());
        return state;
      },
      [](L* place, const nb::dict& state) {
        const auto recipe = fields_from<RecipeOf<L>>(kKind, part_of(state, kKind, "options"));
        const NamedTensors values = tensors_from("[pickle] tensors", part_of(state, kKind, "tensors"));
        make_layer_at(place, recipe);
        try {
          set_tensors(place->named_tensors(), values, kKind);
        } catch (...) {
          std::destroy_at(place);
          throw;
        }
      },
      [](L* place, const L& other, const nb::dict&) { alone([&] { new (place) L(other); }); });
}

nb::object deep_copy(nb::handle object, const nb::dict& memo) {
  return nb::module_::import_("copy").attr("deepcopy")(object, memo);
}

/// A copy of `layer` that keeps its numbers in the container that takes it.
LayerPtr copied_layer(const LayerPtr& layer, const nb::dict& memo) {
  const LayerPtr copy = nb::cast<LayerPtr>(deep_copy(nb::cast(layer), memo));
  copy->parameters();  // what nothing has looked at is drawn again by a container
  return copy;
}

void def_sequential_copies() {
  def_copies<Sequential>(
      [](const Sequential& self) {
        nb::list layers;
        for (std::size_t i = 0; i < self.size(); ++i) layers.append(self.at(i));
        nb::list nodes;
        for (std::size_t i = 0; i < self.size(); ++i)
          nodes.append(fields_of(Sequential::kKind, self.node(i)));
        nb::dict state;
        state["layers"] = layers;
        state["nodes"] = nodes;
        return state;
      },
      [](Sequential* place, const nb::dict& state) {
        Sequential net;
        const nb::list nodes =
            state.contains("nodes") ? nb::list(part_of(state, Sequential::kKind, "nodes")) : nb::list();
        for (const nb::handle layer : nb::list(part_of(state, Sequential::kKind, "layers"))) {
          LayerPtr own;
          if (!nb::try_cast(layer, own)) detail::refuse_plain(Sequential::kKind, "layers", layer);
          const bool known = net.size() < nodes.size();
          net.add(std::move(own),
                  known ? fields_from<NodeOptions>(Sequential::kKind, nodes[net.size()]) : NodeOptions{});
        }
        new (place) Sequential(std::move(net));
      },
      [](Sequential* place, const Sequential& other, const nb::dict& memo) {
        Sequential net;
        for (std::size_t i = 0; i < other.size(); ++i)
          net.add(copied_layer(other.at(i), memo), other.node(i));
        new (place) Sequential(std::move(net));
      });
}

void def_residual_copies() {
  constexpr const char* kKind = ResidualOptions::kKind;
  using Side = std::shared_ptr<Sequential>;
  def_copies<Residual>(
      [](const Residual& self) {
        nb::dict state;
        state["options"] = fields_of(kKind, self.options());
        state["branch"] = nb::cast(self.branch());
        state["shortcut"] = nb::cast(self.shortcut());
        return state;
      },
      [](Residual* place, const nb::dict& state) {
        const auto side = [&](const char* name) {
          Side own;
          const nb::object given = part_of(state, kKind, name);
          if (!given.is_none() && !nb::try_cast(given, own)) detail::refuse_plain(kKind, name, given);
          return own;
        };
        const auto options = fields_from<ResidualOptions>(kKind, part_of(state, kKind, "options"));
        new (place) Residual(side("branch"), side("shortcut"), options);
      },
      [](Residual* place, const Residual& other, const nb::dict& memo) {
        const auto side = [&](const Side& own) {
          return own == nullptr ? nullptr : std::static_pointer_cast<Sequential>(copied_layer(own, memo));
        };
        new (place) Residual(side(other.branch()), side(other.shortcut()), other.options());
      });
}

/// A loss holds its options alone.
template <class L>
void def_loss_copies() {
  using Options = typename L::Options;
  def_copies<L>(
      [](const L& self) { return fields_of(Options::kKind, self.options()); },
      [](L* place, const nb::dict& state) { new (place) L(fields_from<Options>(Options::kKind, state)); },
      [](L* place, const L& other, const nb::dict&) { new (place) L(other); });
}

template <class Body, class... T>
void for_each_alternative(const std::variant<T...>*, const Body& body) {
  (body.template operator()<T>(), ...);
}

/// Recipes as their text.
void def_recipe_copies() {
  def_copies<Recipe>(
      [](const Recipe& self) {
        nb::dict state;
        state["toml"] = to_toml(self);
        return state;
      },
      [](Recipe* place, const nb::dict& state) {
        std::string toml;
        detail::read_plain("recipe", "toml", part_of(state, "recipe", "toml"), toml);
        new (place) Recipe(parse_recipe(toml, "pickle"));
      },
      [](Recipe* place, const Recipe& other, const nb::dict&) { new (place) Recipe(other); });
}

/// What a class without a way of its own says: one that Python derives from Layer, a State.
void refuse_copies(nb::handle type, const char* operation, const char* rule) {
  const auto refuse = [operation, rule](nb::handle self, const nb::args&) {
    throw ArgumentError(operation, rule, nb::cast<std::string>(nb::repr(self.type())));
  };
  for (const char* method : {"__getstate__", "__copy__", "__deepcopy__"}) {
    nb::cpp_function_def(refuse, nb::scope(type), nb::name(method), nb::is_method());
  }
}

}  // namespace

void bind_copies(nb::module_&) {
  refuse_copies(
      nb::type<Layer>(), "layer",
      "a class that Python derives from Layer must define __reduce__ and __deepcopy__ to be pickled and "
      "copied");
  for_each_type(Layers{}, [&]<class L>() {
    if constexpr (std::is_same_v<L, Sequential>) {
      def_sequential_copies();
    } else if constexpr (std::is_same_v<L, Residual>) {
      def_residual_copies();
    } else {
      def_layer_copies<L>();
    }
  });
  for_each_type(Losses{}, [&]<class L>() { def_loss_copies<L>(); });
  for_each_alternative(static_cast<const Surrogate*>(nullptr), [&]<class T>() {
    if constexpr (!std::is_same_v<T, CustomSurrogate>) def_copies_of_options<T>(T::kKind);
  });
  for_each_alternative(static_cast<const Schedule*>(nullptr),
                       [&]<class T>() { def_copies_of_options<T>(T::kKind); });
  def_copies_of_options<ParameterGroup>("parameter_group");
  def_recipe_copies();
}

}  // namespace volley::python
