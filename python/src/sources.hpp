#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include <volley/source.hpp>

namespace volley::python {

namespace nb = nanobind;

/// What keeps a Python object alive for as long as C++ uses it, from any thread.
std::shared_ptr<const void> keep(nb::object object);

/// A Source, or a Dataset as one. Throws TypeError for another object.
std::shared_ptr<const Source> source_from(nb::handle object);

}  // namespace volley::python
