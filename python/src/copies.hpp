#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <volley/choices.hpp>
#include <volley/error.hpp>
#include <volley/fields.hpp>
#include <volley/loss.hpp>
#include <volley/optimizer.hpp>

#include "module.hpp"
#include "surrogate_caster.hpp"

namespace volley::python {

// copy and pickle, for every class alike. A copy, shallow or deep, is an object of its own that shares
// nothing with the first, as a copy in C++; a pickle holds the values of `fields` by name, and what was
// learned.

/// `surrogate` as a Python object. Throws ArgumentError for a function that pickle cannot find by its name.
nb::object pickled_surrogate(std::string_view kind, const Surrogate& surrogate);

namespace detail {

/// A value of a field in terms that pickle knows, and back. `kind` is how messages name the object.
template <class T>
nb::object plain_from(std::string_view kind, const T& value);
template <class T>
void read_plain(std::string_view kind, std::string_view name, nb::handle from, T& value);

[[noreturn]] void refuse_plain(std::string_view kind, std::string_view name, nb::handle found);

}  // namespace detail

/// {"tau": 2.0, ...}
template <class Options>
nb::dict fields_of(std::string_view kind, const Options& options) {
  nb::dict state;
  Options::fields(options, [&](std::string_view name, const auto& value, const Range&) {
    state[nb::str(name.data(), name.size())] = detail::plain_from(kind, value);
  });
  return state;
}

/// What fields_of wrote; a field that is not there has its default.
template <class Options>
Options fields_from(std::string_view kind, nb::handle state) {
  if (!nb::isinstance<nb::dict>(state)) detail::refuse_plain(kind, "options", state);
  Options options;
  Options::fields(options, [&](std::string_view name, auto& value, const Range&) {
    const nb::dict fields = nb::borrow<nb::dict>(state);
    const nb::str key(name.data(), name.size());
    if (fields.contains(key)) detail::read_plain(kind, name, fields[key], value);
  });
  check_fields(kind, options);
  return options;
}

namespace detail {

template <class T>
nb::object plain_from(std::string_view kind, const T& value) {
  if constexpr (std::is_same_v<T, Surrogate>) {
    return pickled_surrogate(kind, value);
  } else if constexpr (std::is_enum_v<T>) {
    return nb::cast(std::string(choices(value)[static_cast<std::size_t>(value)]));
  } else if constexpr (std::is_same_v<T, Size2>) {
    return nb::make_tuple(value.h, value.w);
  } else if constexpr (std::is_same_v<T, ClassWeights>) {
    return nb::cast(value.values);
  } else if constexpr (is_variant<T>) {
    return std::visit(
        [&](const auto& own) { return nb::object(nb::make_tuple(own.kKind, fields_of(kind, own))); }, value);
  } else if constexpr (is_optional<T>) {
    return value.has_value() ? plain_from(kind, *value) : nb::object(nb::none());
  } else if constexpr (is_vector<T>) {
    nb::list items;
    for (const auto& item : value) items.append(plain_from(kind, item));
    return nb::object(std::move(items));
  } else if constexpr (is_options<T>) {
    return fields_of(kind, value);
  } else {
    return nb::cast(value);
  }
}

template <class T>
void read_plain(std::string_view kind, std::string_view name, nb::handle from, T& value) {
  if constexpr (std::is_enum_v<T>) {
    std::string word;
    read_plain(kind, name, from, word);
    value = choice_from<T>(kind, name, word);
  } else if constexpr (std::is_same_v<T, Size2>) {
    std::vector<std::size_t> sizes;
    read_plain(kind, name, from, sizes);
    if (sizes.size() != 2) refuse_plain(kind, name, from);
    value = {sizes[0], sizes[1]};
  } else if constexpr (std::is_same_v<T, ClassWeights>) {
    read_plain(kind, name, from, value.values);
  } else if constexpr (is_variant<T> && !std::is_same_v<T, Surrogate>) {
    if (!nb::isinstance<nb::tuple>(from) || nb::len(from) != 2) refuse_plain(kind, name, from);
    std::string word;
    read_plain(kind, name, from[0], word);
    if (!set_kind(value, word)) refuse_plain(kind, name, from);
    std::visit([&]<class Own>(Own& own) { own = fields_from<Own>(kind, from[1]); }, value);
  } else if constexpr (is_optional<T>) {
    value.reset();
    if (!from.is_none()) read_plain(kind, name, from, value.emplace());
  } else if constexpr (is_vector<T>) {
    if (!nb::isinstance<nb::sequence>(from)) refuse_plain(kind, name, from);
    value.clear();
    for (const nb::handle item : nb::borrow<nb::sequence>(from)) {
      typename T::value_type read{};
      read_plain(kind, name, item, read);
      value.push_back(std::move(read));
    }
  } else if constexpr (is_options<T> && !std::is_same_v<T, Surrogate>) {
    value = fields_from<T>(kind, from);
  } else {
    if (!nb::try_cast(from, value)) refuse_plain(kind, name, from);
  }
}

/// obj.__dict__ of a class that Python derived from one of these; none of others.
std::optional<nb::dict> attributes_of(nb::handle object);
/// A state without what set_attributes takes.
void add_attributes(nb::dict& state, nb::handle object);
void set_attributes(nb::handle object, const nb::dict& state);
void copy_attributes(nb::handle to, nb::handle from, const nb::dict& memo);
/// A new object of `object`'s own class, not made yet, which `memo` knows.
nb::object new_copy(nb::handle object, const nb::dict& memo);
void check_new(nb::handle object);

}  // namespace detail

/// Gives the class of T copy and pickle. get_state(const T&, self) is a dict; set_state(T* place, dict)
/// constructs a T; copy(T* place, const T&, memo) constructs one that is like the other.
template <class T, class Get, class Set, class Copy>
void def_copies(const Get& get_state, const Set& set_state, const Copy& copy) {
  const nb::object type = nb::borrow(nb::type<T>());
  const std::string name = nb::cast<std::string>(type.attr("__name__"));
  const auto def = [&](const char* method, auto function, const auto&... extra) {
    nb::cpp_function_def(function, nb::scope(type), nb::name(method), nb::is_method(), extra...);
  };
  def(
      "__getstate__",
      [get_state](nb::handle_t<T> self) {
        nb::dict state = get_state(nb::cast<T&>(self));
        detail::add_attributes(state, self);
        return state;
      },
      nb::sig("def __getstate__(self) -> dict[str, typing.Any]"));
  nb::cpp_function_def<T>(
      [set_state](nb::pointer_and_handle<T> self, const nb::dict& state) {
        detail::check_new(self.h);
        set_state(self.p, state);
        detail::set_attributes(self.h, state);
      },
      nb::scope(type), nb::name("__setstate__"), nb::is_method(), nb::arg("state"),
      nb::sig("def __setstate__(self, state: dict[str, typing.Any]) -> None"));
  const auto copied = [copy](nb::handle_t<T> self, const nb::dict& memo) {
    nb::object made = detail::new_copy(self, memo);
    copy(nb::inst_ptr<T>(made), nb::cast<T&>(self), memo);
    nb::inst_mark_ready(made);
    detail::copy_attributes(made, self, memo);
    return made;
  };
  def("__deepcopy__", copied, nb::arg("memo"),
      nb::sig(("def __deepcopy__(self, memo: dict[int, typing.Any]) -> " + name).c_str()));
  def(
      "__copy__", [copied](nb::handle_t<T> self) { return copied(self, nb::dict()); },
      nb::sig(("def __copy__(self) -> " + name).c_str()));
}

/// The same of what is its fields alone.
template <class Options>
void def_copies_of_options(std::string_view kind) {
  def_copies<Options>(
      [kind](const Options& self) { return fields_of(kind, self); },
      [kind](Options* place, const nb::dict& state) {
        new (place) Options(fields_from<Options>(kind, state));
      },
      [](Options* place, const Options& other, const nb::dict&) { new (place) Options(other); });
}

/// "options" and the like of a state, or an ArgumentError that names what is missing.
nb::object part_of(const nb::dict& state, std::string_view kind, const char* name);

}  // namespace volley::python
