#include "arrays.hpp"

#include <fmt/format.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include <volley/buffer.hpp>
#include <volley/error.hpp>
#include <volley/fields.hpp>

namespace volley::python {
namespace {

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;

/// str(object), or the Python error of one that is no Unicode text.
std::string str_of(nb::handle object) {
  const nb::str text(object);
  const char* utf8 = PyUnicode_AsUTF8(text.ptr());
  if (utf8 == nullptr) throw nb::python_error();
  return utf8;
}

/// What a message calls the type of `object`: "float64", or "a list".
std::string type_text(nb::handle object) {
  if (nb::isinstance<PackedSpikes>(object)) return "volley.Spikes";
  if (nb::hasattr(object, "dtype")) return str_of(object.attr("dtype"));
  return fmt::format("a {}", str_of(object.type().attr("__name__")));
}

[[noreturn]] void wrong_type(std::string_view what, std::string_view expected, nb::handle got) {
  throw nb::type_error(fmt::format("{} must be {}, got {}", what, expected, type_text(got)).c_str());
}

/// `what` is "[operation] argument", and `rule` follows the argument. Otherwise it is "PATH: 'name'".
[[noreturn]] void refuse(std::string_view what, const std::string& rule, const std::string& found) {
  const std::size_t end = what.find("] ");
  if (what.starts_with("[") && end != std::string_view::npos) {
    throw ArgumentError(what.substr(1, end - 1), std::string(what.substr(end + 2)) + rule, found);
  }
  const std::size_t name = std::min(what.rfind(": "), what.size());
  throw FileError(what.substr(0, name),
                  fmt::format("{}{}, got {}", what.substr(std::min(name + 2, what.size())), rule, found));
}

[[noreturn]] void refuse_shape(std::string_view what, const std::string& rule,
                               const std::vector<std::size_t>& shape) {
  const std::size_t end = what.find("] ");
  if (shape.size() > Shape::kMaxRank || end == std::string_view::npos) refuse(what, rule, text_of(shape));
  throw ShapeError(what.substr(1, end - 1), std::string(what.substr(end + 2)) + rule, Shape(shape));
}

bool is_dtype(const AnyArray& array, nb::dlpack::dtype_code code, int bits) {
  return array.dtype() ==
         nb::dlpack::dtype{static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(bits), 1};
}

char kind_of(const AnyArray& array) {
  if (is_dtype(array, nb::dlpack::dtype_code::Float, 32)) return 'f';
  if (is_dtype(array, nb::dlpack::dtype_code::UInt, 8)) return 'u';
  if (is_dtype(array, nb::dlpack::dtype_code::Bool, 8)) return 'u';
  return 0;
}

bool in_c_order(const AnyArray& array) {
  std::int64_t expected = 1;
  for (std::size_t i = array.ndim(); i-- > 0;) {
    if (array.shape(i) != 1 && array.stride(i) != expected) return false;
    expected *= static_cast<std::int64_t>(array.shape(i));
  }
  return true;
}

/// Any array of one of `kinds`, copied only where it is not in C order.
Array array_from(std::string_view what, std::string_view expected, std::string_view kinds,
                 nb::handle object) {
  AnyArray array;
  if (!nb::try_cast(object, array, false)) wrong_type(what, expected, object);
  const char kind = kind_of(array);
  if (kind == 0 || kinds.find(kind) == std::string_view::npos) wrong_type(what, expected, object);
  nb::object owner = nb::borrow(object);
  if (array.size() > 0 && !in_c_order(array)) {
    owner = nb::module_::import_("numpy").attr("ascontiguousarray")(object);
    array = nb::cast<AnyArray>(owner);
  }
  Array result{std::move(owner), array.data(), kind, {}};
  for (std::size_t i = 0; i < array.ndim(); ++i) result.shape.push_back(array.shape(i));
  return result;
}

/// (T, N, features...) to (N, T, features...), and back: the first two dimensions change places.
Shape turned(std::span<const std::size_t> sizes) {
  std::vector<std::size_t> other(sizes.begin(), sizes.end());
  std::swap(other[0], other[1]);
  return Shape(other);
}

/// Copies rows of `row` values, A times B of them, to where [a][b] becomes [b][a].
template <class T>
void turn_rows(T* to, const T* from, std::size_t A, std::size_t B, std::size_t row) {
  for (std::size_t a = 0; a < A; ++a) {
    for (std::size_t b = 0; b < B; ++b) std::copy_n(from + (a * B + b) * row, row, to + (b * A + a) * row);
  }
}

void check_signal_shape(std::string_view what, const Array& array) {
  const auto& shape = array.shape;
  if (shape.size() < 3 || shape.size() > Shape::kMaxRank || std::ranges::count(shape, 0u) > 0) {
    refuse_shape(
        what,
        fmt::format(" must have the shape (T, N, features...), of 3 to {} dimensions, none of them 0",
                    Shape::kMaxRank),
        shape);
  }
}

Tensor turned_values(const Array& array) {
  Tensor values(turned(array.shape));
  const nb::gil_scoped_release unlocked;
  turn_rows(values.data(), static_cast<const float*>(array.data), array.shape[0], array.shape[1],
            values.shape().from(2).size());
  return values;
}

PackedSpikes turned_spikes(std::string_view what, const Array& array) {
  check_signal_shape(what, array);
  const nb::gil_scoped_release unlocked;
  const Shape shape = turned(array.shape);
  const std::uint8_t* bytes = static_cast<const std::uint8_t*>(array.data);
  const std::size_t size = shape.size();
  std::uint8_t bits = 0;  // of all bytes together: a loop that vectorises
  for (std::size_t i = 0; i < size; ++i) bits |= bytes[i];
  if (bits > 1) {
    refuse(what, ": spikes must be 0 or 1",
           fmt::format("{}; pictures become spikes by an encoder", *std::max_element(bytes, bytes + size)));
  }
  Buffer<std::uint8_t> turned_bytes(size);
  turn_rows(turned_bytes.data(), bytes, array.shape[0], array.shape[1], shape.from(2).size());
  return {std::make_shared<const Spikes>(Spikes::from_bytes(shape, turned_bytes.span()))};
}

template <class T>
nb::object new_array(std::unique_ptr<T[]> values, std::span<const std::size_t> shape) {
  T* data = values.get();
  const nb::capsule owner(values.release(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner));
}

template <class T>
std::unique_ptr<T[]> new_values(std::size_t size) {
  return std::unique_ptr<T[]>(new T[size]);
}

template <class T>
nb::object view_of(std::span<const T> values, const Shape& shape, nb::handle owner) {
  return nb::cast(nb::ndarray<nb::numpy, const T>(values.data(), shape.rank(), shape.sizes().data(), owner));
}

/// numpy.asarray(object), for what may be a list.
nb::object as_numpy(nb::handle object) { return nb::module_::import_("numpy").attr("asarray")(object); }

}  // namespace

Signal view(const OwnedSignal& signal) {
  if (const auto* packed = std::get_if<PackedSpikes>(&signal)) return Signal(*packed->spikes);
  return Signal(std::get<Tensor>(signal));
}

OwnedSignal signal_from(std::string_view what, nb::handle object) {
  if (nb::isinstance<PackedSpikes>(object)) return nb::cast<PackedSpikes>(object);
  const Array array =
      array_from(what, "a NumPy array of float32 values, or of uint8 or bool spikes", "fu", object);
  if (array.kind == 'u') return turned_spikes(what, array);
  check_signal_shape(what, array);
  return turned_values(array);
}

PackedSpikes spikes_from(std::string_view what, nb::handle object) {
  if (nb::isinstance<PackedSpikes>(object)) return nb::cast<PackedSpikes>(object);
  return turned_spikes(what, array_from(what, "a NumPy array of uint8 or bool spikes", "u", object));
}

Tensor gradient_from(std::string_view what, nb::handle object, const Shape& like) {
  const Array array = array_from(what, "a NumPy array of float32", "f", object);
  const Shape expected = turned(like.sizes());
  if (!std::ranges::equal(array.shape, expected.sizes())) {
    refuse_shape(what, fmt::format(" must have the shape of what forward returned, {}", expected.text()),
                 array.shape);
  }
  return turned_values(array);
}

Array pictures_from(std::string_view what, nb::handle object) {
  Array array = array_from(what, "a NumPy array of uint8 pixels", "u", object);
  const auto& shape = array.shape;
  if (shape.size() < 2 || shape.size() > Shape::kMaxRank - 1 || std::ranges::count(shape, 0u) > 0) {
    refuse_shape(what, " must have the shape (N, features...), such as (N, H, W), none of them 0", shape);
  }
  return array;
}

Dataset dataset_from(std::string_view what, nb::handle pixels) {
  const Array array = pictures_from(what, pixels);
  Dataset data;
  data.shape = Shape(std::span(array.shape).subspan(1));
  const std::uint8_t* bytes = static_cast<const std::uint8_t*>(array.data);
  data.pixels.assign(bytes, bytes + data.shape.size() * array.shape[0]);
  data.labels.resize(array.shape[0]);
  return data;
}

namespace {

/// Copies a one-dimensional array of T, every element of which is >= 0 and < 2^32; false for another.
template <class T>
bool copy_labels(const AnyArray& array, std::vector<std::uint32_t>& labels) {
  const T* values = static_cast<const T*>(array.data());
  for (std::size_t i = 0; i < array.shape(0); ++i) {
    const auto value = static_cast<std::int64_t>(values[static_cast<std::ptrdiff_t>(i) * array.stride(0)]);
    if (value < 0 || value > 4294967295) return false;
    labels[i] = static_cast<std::uint32_t>(value);
  }
  return true;
}

/// The labels of an array of the usual widths; false where there is something to refuse, or another dtype.
bool fits_in_place(nb::handle object, std::vector<std::uint32_t>& labels) {
  AnyArray array;
  if (!nb::try_cast(object, array, false) || array.ndim() != 1) return false;
  labels.resize(array.shape(0));
  bool fits = false;
  if (is_dtype(array, nb::dlpack::dtype_code::UInt, 8)) fits = copy_labels<std::uint8_t>(array, labels);
  if (is_dtype(array, nb::dlpack::dtype_code::UInt, 32)) fits = copy_labels<std::uint32_t>(array, labels);
  if (is_dtype(array, nb::dlpack::dtype_code::Int, 64)) fits = copy_labels<std::int64_t>(array, labels);
  if (!fits) labels.clear();
  return fits;
}

}  // namespace

std::vector<std::uint32_t> labels_from(std::string_view what, nb::handle object) {
  const nb::object array = as_numpy(object);
  const std::string kind = str_of(array.attr("dtype").attr("kind"));
  if (kind != "i" && kind != "u") wrong_type(what, "an array of integers", array);
  if (nb::cast<int>(array.attr("ndim")) != 1) {
    refuse(what, " must have the shape (N,)", str_of(array.attr("shape")));
  }
  constexpr std::int64_t kHighest = 4294967295;
  std::vector<std::uint32_t> labels;
  if (fits_in_place(array, labels)) return labels;
  for (const nb::handle label : nb::list(array.attr("tolist")())) {
    std::int64_t value = -1;
    if (!nb::try_cast(label, value) || value < 0 || value > kHighest) {
      refuse(what, fmt::format(" must be >= 0 and <= {}", kHighest), str_of(label));
    }
    labels.push_back(static_cast<std::uint32_t>(value));
  }
  return labels;
}

Tensor tensor_from(std::string_view what, nb::handle object) {
  if (nb::hasattr(object, "items")) {
    refuse(what, " must be an array; a state_dict one level down is passed by itself, as in source['net']",
           type_text(object));
  }
  // NumPy knows no bfloat16: PyTorch makes it float32, which holds all of it.
  const bool bfloat = nb::hasattr(object, "float") && str_of(object.attr("dtype")) == "torch.bfloat16";
  nb::object array = as_numpy(bfloat ? nb::object(object.attr("float")()) : nb::borrow(object));
  const std::string kind = str_of(array.attr("dtype").attr("kind"));
  const bool counter = kind == "i" && nb::cast<int>(array.attr("ndim")) == 0;  // num_batches_tracked
  if (kind != "f" && !counter) wrong_type(what, "an array of floats", array);
  array = nb::module_::import_("numpy").attr("asarray")(array, "float32", "C");
  const Array values = array_from(what, "an array of floats", "f", array);
  if (values.shape.size() > Shape::kMaxRank) {
    refuse(what, fmt::format(" must have at most {} dimensions", Shape::kMaxRank),
           std::to_string(values.shape.size()));
  }
  Tensor tensor{Shape(values.shape)};
  if (tensor.size() > 0) std::memcpy(tensor.data(), values.data, tensor.size() * sizeof(float));
  return tensor;
}

NamedTensors tensors_from(std::string_view what, nb::handle mapping) {
  if (!nb::hasattr(mapping, "items")) wrong_type(what, "a mapping of names to arrays", mapping);
  NamedTensors tensors;
  for (const nb::handle item : mapping.attr("items")()) {
    const nb::tuple pair = nb::cast<nb::tuple>(item);
    if (!nb::isinstance<nb::str>(pair[0])) wrong_type(what, "a mapping of names (str) to arrays", pair[0]);
    const std::string name = str_of(pair[0]);
    tensors.emplace(name, tensor_from(fmt::format("{}: '{}'", what, name), pair[1]));
  }
  return tensors;
}

nb::object to_array(const Signal& signal) {
  const std::size_t N = signal.samples();
  const std::size_t T = signal.steps();
  const std::size_t F = signal.features();
  const Shape shape = turned(signal.shape().sizes());
  const std::size_t size = shape.size();
  if (!signal.is_spikes()) {
    std::unique_ptr<float[]> values = new_values<float>(size);
    {
      const nb::gil_scoped_release unlocked;
      turn_rows(values.get(), signal.values(), N, T, F);
    }
    return new_array(std::move(values), shape.sizes());
  }
  std::unique_ptr<std::uint8_t[]> bytes = new_values<std::uint8_t>(size);
  {
    const nb::gil_scoped_release unlocked;
    Buffer<std::uint8_t> samples_first(size);
    signal.spikes().to_bytes(samples_first.span());
    turn_rows(bytes.get(), samples_first.data(), N, T, F);
  }
  return new_array(std::move(bytes), shape.sizes());
}

nb::object counts_of(const Spikes& spikes) {
  const std::size_t N = spikes.samples();
  const std::size_t F = spikes.features();
  std::unique_ptr<std::uint32_t[]> counts = new_values<std::uint32_t>(N * F);
  {
    const nb::gil_scoped_release unlocked;
    for (std::size_t n = 0; n < N; ++n) spikes.count_by_feature(n, {counts.get() + n * F, F});
  }
  return new_array(std::move(counts), spikes.shape().from(2).after({N}).sizes());
}

nb::object to_array(const Tensor& tensor) {
  std::unique_ptr<float[]> values = new_values<float>(tensor.size());
  std::ranges::copy(tensor.values(), values.get());
  return new_array(std::move(values), tensor.shape().sizes());
}

nb::dict arrays_of(const std::vector<NamedTensor>& tensors) {
  nb::dict arrays;
  for (const auto& [name, tensor] : tensors) arrays[name.c_str()] = to_array(*tensor);
  return arrays;
}

nb::object array_view(std::span<const std::uint8_t> values, const Shape& shape, nb::handle owner) {
  return view_of(values, shape, owner);
}

nb::object array_view(std::span<const std::uint32_t> values, const Shape& shape, nb::handle owner) {
  return view_of(values, shape, owner);
}

std::uint32_t number_from(std::string_view op, std::string_view name, std::int64_t value) {
  check_range(op, name, static_cast<double>(value), between(0, 4294967295.0));
  return static_cast<std::uint32_t>(value);
}

std::vector<std::size_t> turned_sizes(const Shape& shape) {
  const Shape other = turned(shape.sizes());
  return {other.sizes().begin(), other.sizes().end()};
}

nb::tuple tuple_of(std::span<const std::size_t> sizes) {
  nb::list list;
  for (const std::size_t size : sizes) list.append(size);
  return nb::tuple(list);
}

std::string text_of(std::span<const std::size_t> sizes) {
  return fmt::format("({})", fmt::join(sizes, ", "));
}

}  // namespace volley::python
