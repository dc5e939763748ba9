#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/signal.hpp>
#include <volley/spikes.hpp>
#include <volley/tensor.hpp>
#include <volley/weights.hpp>

namespace volley::python {

namespace nb = nanobind;

// Arrays come in and go out here, and nowhere else. At this door time is first, (T, N, features...); inside,
// samples are, (N, T, features...): this is the one place that turns them. What a user got wrong is said by
// type (TypeError), or by shape and value (ShapeError, ArgumentError), with what was expected and what came.

/// An array in C order whose dtype has been checked; holds the Python object that owns the memory.
struct Array {
  nb::object owner;
  const void* data = nullptr;
  char kind = 0;  // 'f': float32; 'u': uint8 or bool
  std::vector<std::size_t> shape;
};

/// Spikes as Python holds them, volley.Spikes: never changed, so that passes share them.
struct PackedSpikes {
  std::shared_ptr<const Spikes> spikes;
};

/// A signal that came in, in the library's order.
using OwnedSignal = std::variant<Tensor, PackedSpikes>;
Signal view(const OwnedSignal& signal);

/// `array` (T, N, features...) of float32, or of spikes (uint8 0 or 1, or bool), or a volley.Spikes, which is
/// shared. `what` is how messages name it: "[lif] x".
OwnedSignal signal_from(std::string_view what, nb::handle array);
/// `array` (T, N, features...) of float32, of the shape of `like`, a signal of (N, T, features...).
Tensor gradient_from(std::string_view what, nb::handle array, const Shape& like);
/// `array` of bytes of any rank >= 2, samples first: pictures.
Array pictures_from(std::string_view what, nb::handle array);
/// The same as a data set without names, every label 0.
Dataset dataset_from(std::string_view what, nb::handle pixels);
/// One dimension of integers of any width, 0 to 2^32 - 1.
std::vector<std::uint32_t> labels_from(std::string_view what, nb::handle array);
/// `array` of floats of any rank and precision, or a single integer, as float32.
Tensor tensor_from(std::string_view what, nb::handle array);
/// A mapping of names to arrays.
NamedTensors tensors_from(std::string_view what, nb::handle mapping);

/// `array` (T, N, features...) of uint8 or bool.
PackedSpikes spikes_from(std::string_view what, nb::handle array);

/// A plain signal (N, T, features...) as an array (T, N, features...), float32 or uint8.
nb::object to_array(const Signal& signal);
/// Counts (N, features...) of the spikes of each feature over T, uint32.
nb::object counts_of(const Spikes& spikes);
/// A copy of a tensor in its own shape.
nb::object to_array(const Tensor& tensor);
/// Copies by name.
nb::dict arrays_of(const std::vector<NamedTensor>& tensors);
/// Values in the shape given, looked at in place and kept by `owner`; not writable.
nb::object array_view(std::span<const std::uint8_t> values, const Shape& shape, nb::handle owner);
nb::object array_view(std::span<const std::uint32_t> values, const Shape& shape, nb::handle owner);

/// `value` as an unsigned number, or an ArgumentError "[op] name must be >= 0 and <= 4294967295, got -1".
std::uint32_t number_from(std::string_view op, std::string_view name, std::int64_t value);
/// The sizes as Python shows them at the door: (T, N, features...) of (N, T, features...).
std::vector<std::size_t> turned_sizes(const Shape& shape);
nb::tuple tuple_of(std::span<const std::size_t> sizes);
/// "(64, 100, 10)"
std::string text_of(std::span<const std::size_t> sizes);

}  // namespace volley::python
