#pragma once

#include <fmt/format.h>
#include <nanobind/nanobind.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <volley/error.hpp>
#include <volley/fields.hpp>

#include "module.hpp"
#include "surrogate_caster.hpp"

namespace volley::python {

// A Python class from a struct of options: its constructor, its properties and its signature follow from
// `fields`.

namespace detail {

template <class T>
std::string type_text() {
  if constexpr (std::is_same_v<T, bool>) return "bool";
  if constexpr (std::is_same_v<T, std::optional<float>>) return "float | None";
  if constexpr (std::is_floating_point_v<T>) return "float";
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) return "int";
  if constexpr (std::is_same_v<T, Surrogate>) return surrogate_types();
  return "object";
}

/// Signatures are looked at for as long as the module lives.
inline const char* kept(std::string text) {
  static std::deque<std::string> all;
  return all.emplace_back(std::move(text)).c_str();
}

/// "def __init__(self, tau: float = 2.0, ...) -> None"
template <class Options>
const char* signature_of() {
  std::string text = "def __init__(self";
  Options options;
  Options::fields(options, [&]<class T>(std::string_view name, const T& value, const Range&) {
    const std::string shown = std::is_same_v<T, Surrogate> ? "..." : ReprField::value_repr(value);
    text += fmt::format(", {}: {} = {}", name, type_text<T>(), shown);
  });
  return kept(text + ") -> None");
}

/// Reads positional and named arguments into the fields of options.
template <class Options>
Options options_from(std::string_view type, const nb::args& args, const nb::kwargs& named) {
  Options options;
  std::size_t place = 0, used = 0;
  Options::fields(options, [&]<class T>(std::string_view name, T& value, const Range&) {
    const nb::str key(name.data(), name.size());
    nb::object given;
    if (place < args.size()) given = args[place];
    ++place;
    if (named.contains(key)) {
      if (given.is_valid()) {
        throw nb::type_error(fmt::format("{}() got {} twice", type, name).c_str());
      }
      given = named[key];
      ++used;
    }
    if (given.is_valid() && !nb::try_cast(given, value)) {
      const std::string got = nb::cast<std::string>(nb::str(given.type().attr("__name__")));
      throw nb::type_error(
          fmt::format("{}(): incompatible argument: {} must be {}, got {}", type, name, type_text<T>(), got)
              .c_str());
    }
  });
  if (args.size() > place) {
    throw nb::type_error(fmt::format("{}() takes {} arguments, got {}", type, place, args.size()).c_str());
  }
  if (used < named.size()) {
    std::vector<std::string> known;
    Options::fields(options,
                    [&](std::string_view name, const auto&, const Range&) { known.emplace_back(name); });
    for (const auto& [key, value] : named) {
      const std::string name = nb::cast<std::string>(nb::str(key));
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        throw nb::type_error(fmt::format("{}() has no argument '{}'", type, name).c_str());
      }
    }
  }
  return options;
}

}  // namespace detail

/// Adds to `bound`, of a Type made from Options, the constructor, a property for each field, and the repr.
/// `options(self)` are those of an object; `type` is the class's name in Python.
template <class Options, class Type, class Bound, class OptionsOf>
void bind_fields(Bound& bound, const char* type, const OptionsOf& options_of) {
  const std::string name = type;
  bound.def(
      "__init__",
      [name](Type* self, const nb::args& args, const nb::kwargs& named) {
        const Options options = detail::options_from<Options>(name, args, named);
        check_fields(Options::kKind, options);
        new (self) Type(options);
      },
      nb::sig(detail::signature_of<Options>()));
  Options defaults;
  Options::fields(defaults, [&]<class T>(std::string_view field, const T&, const Range&) {
    const std::string key(field);
    const auto get = [key, options_of](const Type& self) {
      std::optional<T> found;
      Options::fields(options_of(self), [&]<class U>(std::string_view other, const U& value, const Range&) {
        if constexpr (std::is_same_v<T, U>) {
          if (other == key) found = value;
        }
      });
      return *found;
    };
    const char* kept = detail::kept(key);
    bound.def_prop_ro(kept, get,
                      nb::for_getter(nb::sig(
                          detail::kept(fmt::format("def {}(self, /) -> {}", key, detail::type_text<T>())))));
  });
  bound.def("__repr__", [name, options_of](const Type& self) { return repr_of(name, options_of(self)); });
}

}  // namespace volley::python
