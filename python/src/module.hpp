#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <mutex>
#include <string>

#include <volley/choices.hpp>
#include <volley/error.hpp>
#include <volley/fields.hpp>
#include <volley/text.hpp>
#include <volley/threads.hpp>

#include "surrogate_caster.hpp"

namespace volley {
class Encoder;
class Optimizer;
}  // namespace volley

namespace volley::python {

namespace nb = nanobind;

// Each area of the module adds its classes and functions; module.cpp calls them in order.
void bind_spikes(nb::module_& m);
void bind_state(nb::module_& m);
void bind_layers(nb::module_& m);
void bind_conv_and_pools(nb::module_& m);
void bind_norm(nb::module_& m);
void bind_neurons(nb::module_& m);
void bind_recurrent(nb::module_& m);
void bind_residual(nb::module_& m);
void bind_sequential(nb::module_& m);
void bind_data(nb::module_& m);
void bind_encoders(nb::module_& m);
void bind_losses(nb::module_& m);
void bind_metrics(nb::module_& m);
void bind_optimizers(nb::module_& m);
void bind_training(nb::module_& m);
void bind_sources(nb::module_& m);
void bind_trainer(nb::module_& m);

/// The encoder, and the optimizer, that an object of Python holds. Throws TypeError for another object.
std::shared_ptr<const Encoder> encoder_from(nb::handle object);
std::shared_ptr<Optimizer> optimizer_from(nb::handle object);
void bind_copies(nb::module_& m);
void bind_views(nb::module_& m);

/// The pool that passes share out their work to; volley.set_threads makes another.
std::shared_ptr<ThreadPool> threads();
void set_threads(std::size_t count);

/// SAFETY: one for all that alone() runs, whatever the type of what it runs.
inline std::mutex alone_mutex;

/// Runs `compute` without Python's lock, and alone.
/// SAFETY: two Python threads may use the same network, tape or optimizer at once; none of these has a lock
/// of its own, and the pool does one job at a time anyway.
template <class Compute>
auto alone(Compute&& compute) {
  const nb::gil_scoped_release unlocked;
  const std::lock_guard lock(alone_mutex);
  return compute();
}

/// The value of an enumeration that `word` stands for, in recipes as here.
template <class Enum>
Enum choice_from(std::string_view kind, std::string_view name, const std::string& word) {
  const auto words = choices(Enum{});
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (word == words[i]) return static_cast<Enum>(i);
  }
  const std::vector<std::string> names(words.begin(), words.end());
  throw ArgumentError(kind, std::string(name) + " must be one of " + quoted_list(names), "'" + word + "'");
}

/// "LIF(tau=2.0, v_threshold=1.0, ...)": the options of something, as Python writes them.
template <class Options>
std::string repr_of(std::string_view name, const Options& options, std::string text = "");

namespace detail {
std::string float_repr(double value);

struct ReprField {
  std::string& text;

  template <class T>
  static std::string value_repr(const T& value) {
    if constexpr (std::is_same_v<T, Size2>) {
      return value.h == value.w ? std::to_string(value.h) : value.text();
    } else if constexpr (std::is_same_v<T, bool>) {
      return value ? "True" : "False";
    } else if constexpr (std::is_floating_point_v<T>) {
      return float_repr(value);
    } else if constexpr (std::is_integral_v<T>) {
      return std::to_string(value);
    } else if constexpr (std::is_enum_v<T>) {
      return "'" + std::string(choices(value)[static_cast<std::size_t>(value)]) + "'";
    } else if constexpr (std::is_same_v<T, ClassWeights>) {
      return value.values.empty() ? "None" : value_repr(value.values);
    } else if constexpr (is_vector<T>) {
      std::string items;
      for (const auto& item : value) items += (items.empty() ? "" : ", ") + value_repr(item);
      return "[" + items + "]";
    } else if constexpr (requires { value.has_value(); }) {
      return value.has_value() ? value_repr(*value) : "None";
    } else {
      return nb::cast<std::string>(nb::repr(nb::cast(value)));
    }
  }

  template <class T>
  void operator()(std::string_view name, const T& value, const Range&) const {
    if (!text.empty()) text += ", ";
    text.append(name).append("=").append(value_repr(value));
  }
};
}  // namespace detail

template <class Options>
std::string repr_of(std::string_view name, const Options& options, std::string text) {
  Options::fields(options, detail::ReprField{text});
  return std::string(name) + "(" + text + ")";
}

/// A read-only property for a field of `options()`.
template <auto member, class Class>
void option(Class& bound, const char* name) {
  using Type = typename Class::Type;
  bound.def_prop_ro(name, [](const Type& self) { return self.options().*member; });
}

}  // namespace volley::python
