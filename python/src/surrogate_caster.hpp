#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include <volley/surrogate.hpp>

namespace volley::python {

namespace nb = nanobind;

/// The surrogate that a Python object is; false where it is none. A callable is one of the user's own: called
/// with an array x, one dimension of float32, it returns g(x).
bool surrogate_from(nb::handle object, Surrogate& surrogate);
nb::object surrogate_object(const Surrogate& surrogate);
/// "ATan | Sigmoid | ...": what Python may give for one.
std::string surrogate_types();

}  // namespace volley::python

namespace nanobind::detail {

// Where Python has a class for each surrogate, and takes any callable for one of the user's own.
template <>
struct type_caster<volley::Surrogate> {
  NB_TYPE_CASTER(volley::Surrogate, const_name("volley.Surrogate"))

  bool from_python(handle source, std::uint8_t, cleanup_list*) noexcept {
    return volley::python::surrogate_from(source, value);
  }
  static handle from_cpp(const volley::Surrogate& surrogate, rv_policy, cleanup_list*) noexcept {
    return volley::python::surrogate_object(surrogate).release();
  }
};

}  // namespace nanobind::detail
