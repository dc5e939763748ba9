#include "sources.hpp"

#include <fmt/format.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/shared_ptr.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include <volley/array.hpp>
#include <volley/error.hpp>

#include "arrays.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

constexpr std::array<const char*, 5> kKinds{"bytes", "values", "sequences", "spikes", "events"};

const char* word_of(SampleKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

SampleKind kind_from(const std::string& word) {
  const auto at = std::ranges::find(kKinds, word);
  if (at != kKinds.end()) return static_cast<SampleKind>(at - kKinds.begin());
  throw ArgumentError("source", "kind must be one of 'bytes', 'values', 'sequences', 'spikes', 'events'",
                      "'" + word + "'");
}

using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

std::optional<ElementType> element_type_of(const nb::dlpack::dtype& dtype) {
  using Code = nb::dlpack::dtype_code;
  const auto pick = [&](ElementType a, ElementType b, ElementType c,
                        ElementType d) -> std::optional<ElementType> {
    switch (dtype.bits) {
      case 8: return a;
      case 16: return b;
      case 32: return c;
      case 64: return d;
      default: return {};
    }
  };
  if (dtype.lanes != 1) return {};
  switch (static_cast<Code>(dtype.code)) {
    case Code::Bool: return ElementType::boolean;
    case Code::UInt: return pick(ElementType::u8, ElementType::u16, ElementType::u32, ElementType::u64);
    case Code::Int: return pick(ElementType::i8, ElementType::i16, ElementType::i32, ElementType::i64);
    case Code::Float:
      if (dtype.bits == 16) return ElementType::f16;
      if (dtype.bits == 32) return ElementType::f32;
      if (dtype.bits == 64) return ElementType::f64;
      return {};
    default: return {};
  }
}

/// `object`, looked at in place where its memory is in order, as an array of the library; empty for None.
volley::Array array_from(std::string_view what, nb::handle object) {
  if (object.is_none()) return {};
  nb::object ordered = nb::module_::import_("numpy").attr("ascontiguousarray")(object);
  AnyArray array;
  if (!nb::try_cast(ordered, array)) {
    throw nb::type_error(fmt::format("{} must be an array of numbers, got dtype {}", what,
                                     nb::cast<std::string>(nb::str(ordered.attr("dtype"))))
                             .c_str());
  }
  const std::optional<ElementType> type = element_type_of(array.dtype());
  if (!type.has_value()) {
    throw nb::type_error(fmt::format("{} must be an array of integers, bools or floats, got dtype {}", what,
                                     nb::cast<std::string>(nb::str(ordered.attr("dtype"))))
                             .c_str());
  }
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < array.ndim(); ++i) sizes.push_back(array.shape(i));
  return {Shape(sizes), *type, array.data(), keep(std::move(ordered))};
}

/// The same elements, at an address that numpy can compute with.
volley::Array aligned(const volley::Array& array) {
  const std::size_t size = array.shape().size() * size_of(array.type());
  if (reinterpret_cast<std::uintptr_t>(array.bytes()) % size_of(array.type()) == 0) return array;
  auto copy = std::make_shared<std::vector<std::byte>>(array.bytes(), array.bytes() + size);
  return {array.shape(), array.type(), copy->data(), copy};
}

nb::object dtype_array(const volley::Array& given) {
  const volley::Array array = aligned(given);
  // numpy looks at the memory in place, and keeps the owner.
  const auto wrap = [&](nb::dlpack::dtype dtype) {
    const std::span<const std::size_t> sizes = array.shape().sizes();
    auto* held = new volley::Array(array);
    nb::capsule owner(held, [](void* p) noexcept { delete static_cast<volley::Array*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, nb::ro>(const_cast<std::byte*>(array.bytes()), sizes.size(),
                                                   sizes.data(), owner, nullptr, dtype));
  };
  using Code = nb::dlpack::dtype_code;
  const auto of = [](Code code, std::size_t bytes) {
    return nb::dlpack::dtype{static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(8 * bytes), 1};
  };
  const std::size_t bytes = size_of(array.type());
  if (array.type() == ElementType::boolean) return wrap(of(Code::Bool, 1));
  const std::string_view name = name_of(array.type());
  if (name.starts_with("u")) return wrap(of(Code::UInt, bytes));
  if (name.starts_with("i")) return wrap(of(Code::Int, bytes));
  return wrap(of(Code::Float, bytes));
}

/// Reads samples by a Python callable. Any thread may call it.
class PythonSource final : public Source {
 public:
  PythonSource(SourceInfo info, nb::object read) : Source(std::move(info)), read_(keep(read)), call_(read) {}

 private:
  void do_read(std::span<const std::uint32_t> ids, Samples& samples) const override {
    const nb::gil_scoped_acquire locked;
    nb::list numbers;
    for (const std::uint32_t id : ids) numbers.append(id);
    const nb::object batch = call_(numbers);
    if (!nb::isinstance<nb::dict>(batch)) {
      throw nb::type_error(
          fmt::format("read of the source '{}' must return a dict of arrays", this->info().name).c_str());
    }
    const nb::dict parts = nb::cast<nb::dict>(batch);
    const auto part = [&](const char* name) -> nb::object {
      return parts.contains(name) ? nb::object(parts[name]) : nb::none();
    };
    fill_x(samples, array_from("x", part("x")));
    samples.targets = {};
    fill_targets(samples.targets, array_from("targets", part("targets")), ids.size());
    const volley::Array lengths = array_from("lengths", part("lengths"));
    if (!lengths.empty()) {
      samples.targets.lengths.resize(lengths.shape().size());
      lengths.whole(samples.targets.lengths, 0);
    }
    const volley::Array mask = array_from("mask", part("mask"));
    if (!mask.empty()) {
      std::vector<std::uint32_t> counts(mask.shape().size());
      mask.whole(counts, 0);
      for (const std::uint32_t count : counts)
        samples.targets.mask.push_back(static_cast<std::uint8_t>(std::min(count, 255u)));
    }
    const volley::Array weights = array_from("weights", part("weights"));
    if (!weights.empty()) {
      samples.targets.weights.resize(weights.shape().size());
      weights.floats(samples.targets.weights, 0);
    }
    const nb::object heads = part("heads");
    if (heads.is_none()) return;
    for (const nb::handle head : heads) {
      samples.targets.heads.emplace_back();
      fill_targets(samples.targets.heads.back(), array_from("targets of a head", head), ids.size());
    }
  }

  void fill_x(Samples& samples, const volley::Array& x) const {
    if (x.empty()) throw ArgumentError("source", fmt::format("{}: read must return 'x'", info().name));
    switch (info().kind) {
      case SampleKind::bytes:
        samples.bytes.assign(
            reinterpret_cast<const std::uint8_t*>(x.bytes()),
            reinterpret_cast<const std::uint8_t*>(x.bytes()) + x.shape().size() * size_of(x.type()));
        break;
      case SampleKind::values:
      case SampleKind::sequences:
        samples.values.resize(x.shape());
        x.floats(samples.values.values(), 0);
        break;
      case SampleKind::spikes: {
        std::vector<std::uint32_t> numbers(x.shape().size());
        x.whole(numbers, 0);
        const std::vector<std::uint8_t> bytes(numbers.begin(), numbers.end());
        samples.spikes = Spikes::from_bytes(x.shape(), bytes);
        break;
      }
      case SampleKind::events: throw ArgumentError("source", "a source of Python cannot have events yet");
    }
  }

  static void fill_targets(Targets& targets, const volley::Array& given, std::size_t samples) {
    if (given.empty()) return;
    if (is_integer(given.type())) {
      targets.labels.resize(given.shape().size());
      given.whole(targets.labels, 0);
      return;
    }
    Shape shape = given.shape();
    if (shape.rank() == 1) shape = Shape{samples, 1};
    targets.values.resize(shape);
    given.floats(targets.values.values(), 0);
  }

  std::shared_ptr<const void> read_;
  nb::handle call_;
};

nb::object values_array(const Tensor& tensor) { return tensor.size() == 0 ? nb::none() : to_array(tensor); }

nb::object numbers_array(const std::vector<std::uint32_t>& numbers) {
  if (numbers.empty()) return nb::none();
  return nb::module_::import_("numpy").attr("array")(nb::cast(numbers), "uint32");
}

/// What a read of these samples gives, for a look.
nb::dict read(const Source& self, const std::vector<std::uint32_t>& ids) {
  Samples samples;
  {
    const nb::gil_scoped_release unlocked;
    self.read(ids, samples);
  }
  nb::dict result;
  const SourceInfo& info = self.info();
  const nb::object numpy = nb::module_::import_("numpy");
  switch (info.kind) {
    case SampleKind::bytes: {
      nb::object bytes = nb::bytes(reinterpret_cast<const char*>(samples.bytes.data()), samples.bytes.size());
      nb::list shape;
      for (const std::size_t size : info.shape.after({ids.size()}).sizes()) shape.append(size);
      result["x"] = numpy.attr("frombuffer")(bytes, "uint8").attr("reshape")(nb::tuple(shape));
      break;
    }
    case SampleKind::values:
    case SampleKind::sequences: result["x"] = to_array(samples.values); break;
    case SampleKind::spikes: {
      Tensor values(samples.spikes.shape());
      std::vector<std::uint8_t> bytes(values.size());
      samples.spikes.to_bytes(bytes);
      std::ranges::copy(bytes, values.data());
      result["x"] = to_array(values).attr("astype")("uint8");
      break;
    }
    case SampleKind::events: break;
  }
  if (!samples.targets.labels.empty()) result["targets"] = numbers_array(samples.targets.labels);
  if (samples.targets.values.size() > 0) result["targets"] = values_array(samples.targets.values);
  if (!samples.targets.lengths.empty()) result["lengths"] = numbers_array(samples.targets.lengths);
  if (!samples.targets.mask.empty()) {
    result["mask"] =
        numpy.attr("array")(nb::cast(samples.targets.mask), "uint8").attr("reshape")(ids.size(), -1);
  }
  if (!samples.targets.weights.empty())
    result["weights"] = numpy.attr("array")(nb::cast(samples.targets.weights), "float32");
  return result;
}

std::shared_ptr<ArraySource> make_array_source(nb::handle x, nb::handle targets, nb::handle lengths,
                                               nb::handle weights, nb::handle mask,
                                               const std::optional<std::string>& kind,
                                               const std::optional<std::vector<std::string>>& classes,
                                               const std::string& name) {
  ArrayParts parts{.name = name,
                   .x = array_from("x", x),
                   .targets = array_from("targets", targets),
                   .lengths = array_from("lengths", lengths),
                   .mask = array_from("mask", mask),
                   .weights = array_from("weights", weights),
                   .kind = {},
                   .classes = classes.value_or(std::vector<std::string>{})};
  if (kind.has_value()) parts.kind = kind_from(*kind);
  return std::make_shared<ArraySource>(parts);
}

std::shared_ptr<PythonSource> make_python_source(nb::object read, std::size_t size, const std::string& kind,
                                                 const std::vector<std::size_t>& shape, std::size_t steps,
                                                 std::size_t outputs,
                                                 const std::optional<std::vector<std::string>>& classes,
                                                 const std::string& name) {
  return std::make_shared<PythonSource>(SourceInfo{.name = name,
                                                   .size = size,
                                                   .kind = kind_from(kind),
                                                   .shape = Shape(shape),
                                                   .steps = steps,
                                                   .outputs = outputs,
                                                   .classes = classes.value_or(std::vector<std::string>{})},
                                        std::move(read));
}

}  // namespace

std::shared_ptr<const void> keep(nb::object object) {
  return {object.release().ptr(), [](const void* p) {
            const nb::gil_scoped_acquire locked;
            Py_DECREF(static_cast<PyObject*>(const_cast<void*>(p)));
          }};
}

std::shared_ptr<const Source> source_from(nb::handle object) {
  if (nb::isinstance<Dataset>(object)) {
    const std::shared_ptr<const void> owner = keep(nb::borrow(object));
    return std::make_shared<PictureSource>(
        std::shared_ptr<const Dataset>(owner, &nb::cast<const Dataset&>(object)));
  }
  if (nb::isinstance<Source>(object)) return nb::cast<std::shared_ptr<Source>>(object);
  throw nb::type_error(fmt::format("a source must be a volley.Source or a volley.Dataset, got {}",
                                   nb::cast<std::string>(nb::str(object.type().attr("__name__"))))
                           .c_str());
}

void bind_sources(nb::module_& m) {
  nb::class_<Source>(m, "Source",
                     "Samples and what should come of them: what a Trainer trains on. Made by ArraySource, "
                     "load_sources or as_source.\n\n"
                     "Several threads may read one at once.")
      .def_prop_ro("name", [](const Source& self) { return self.info().name; })
      .def_prop_ro(
          "kind", [](const Source& self) { return word_of(self.info().kind); },
          "\"bytes\" (pictures), \"values\", \"sequences\", \"spikes\" or \"events\".")
      .def_prop_ro(
          "shape",
          [](const Source& self) {
            nb::list sizes;
            for (const std::size_t size : self.info().shape.sizes()) sizes.append(size);
            return nb::tuple(sizes);
          },
          nb::sig("def shape(self) -> tuple[int, ...]"), "Of a sample, at one step where samples have steps.")
      .def_prop_ro(
          "steps", [](const Source& self) { return self.info().steps; },
          "The most that a sample has; 0 where an encoder gives samples their steps.")
      .def_prop_ro(
          "outputs", [](const Source& self) { return self.info().outputs; },
          "That the targets ask of a network: classes, or real values; 0 where that is not known.")
      .def_prop_ro("classes", [](const Source& self) { return self.info().classes; })
      .def("__len__", &Source::size)
      .def("read", read, nb::arg("ids"),
           nb::sig("def read(self, ids: collections.abc.Sequence[int]) -> dict[str, numpy.typing.NDArray]"),
           "The samples of these numbers: \"x\" (N, ...) or (N, T, ...), and \"targets\", \"lengths\", "
           "\"mask\", \"weights\" where there are any.")
      .def("__repr__", [](const Source& self) {
        const SourceInfo& info = self.info();
        return fmt::format("<{} '{}': {} samples of {} {}>", "Source", info.name, info.size,
                           word_of(info.kind), info.shape.text());
      });
  nb::class_<ArraySource, Source>(
      m, "ArraySource",
      "Samples in arrays, which are looked at in place where they are in C order.\n\n"
      "x: a row a sample: (N, features...), or (N, T, features...) where samples have steps; or, with "
      "lengths, "
      "the steps of all\nsamples one after another: (sum of the lengths, features...). targets: integers "
      "(N), "
      "a class for each sample, or (N, T),\none for each step; floats (N), (N, K) or (N, T, K). lengths: "
      "(N), "
      "the steps of each sample. weights: (N), how much each counts. mask: (N, T), or of all steps as x, 0 "
      "for a step that a loss\npasses over, 1 for all others.\n"
      "kind: \"bytes\", \"values\", \"sequences\" or \"spikes\"; unless given, bytes for uint8, else values; "
      "with lengths, sequences.\nclasses: what each label is called.")
      .def(nb::new_(&make_array_source), nb::arg("x"), nb::arg("targets").none() = nb::none(),
           nb::arg("lengths").none() = nb::none(), nb::arg("weights").none() = nb::none(),
           nb::arg("mask").none() = nb::none(), nb::arg("kind").none() = nb::none(),
           nb::arg("classes").none() = nb::none(), nb::arg("name") = "arrays");
  nb::class_<PythonSource, Source>(m, "_PythonSource")
      .def(nb::new_(&make_python_source), nb::arg("read"), nb::arg("size"), nb::arg("kind"), nb::arg("shape"),
           nb::arg("steps"), nb::arg("outputs"), nb::arg("classes").none(), nb::arg("name"));
  m.def(
      "_source_of", [](nb::handle data) { return std::const_pointer_cast<Source>(source_from(data)); },
      nb::arg("data"));
  m.def(
      "load_sources",
      [](const std::string& data, const std::optional<std::filesystem::path>& folder) {
        const Sources sources = [&] {
          const nb::gil_scoped_release unlocked;
          return volley::load_sources(data, folder.value_or(""));
        }();
        return nb::make_tuple(nb::cast(std::const_pointer_cast<Source>(sources.train)),
                              nb::cast(std::const_pointer_cast<Source>(sources.test)));
      },
      nb::arg("data"), nb::arg("folder") = nb::none(),
      nb::sig("def load_sources(data: str, folder: str | os.PathLike[str] | None = None) -> tuple[Source, "
              "Source]"),
      "What a recipe's `data` names, as a training and a test source: a set known by name, a folder of "
      "pictures, "
      "or a path, with a\nslash, of a file of arrays (.npz, .npy, .safetensors, .csv) or a folder of .npy "
      "files "
      "with \"x\", \"y\" and, where there are any,\n\"lengths\", \"weights\" and \"test\". Raises FileError "
      "when "
      "a file is missing or wrong.");
  m.def(
      "read_arrays",
      [](const std::filesystem::path& path) {
        nb::dict result;
        for (const auto& [name, array] : volley::read_arrays(path)) result[name.c_str()] = dtype_array(array);
        return result;
      },
      nb::arg("path"),
      nb::sig("def read_arrays(path: str | os.PathLike[str]) -> dict[str, numpy.typing.NDArray]"),
      "The arrays of a file by name: .npy (one, named \"\"), .npz, .safetensors, .csv. What a file has "
      "uncompressed is mapped, not read: the\narrays may be larger than memory. They are not writable.");
}

}  // namespace volley::python
