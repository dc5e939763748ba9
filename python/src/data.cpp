#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>

#include <algorithm>
#include <exception>
#include <numeric>

#include <volley/dataset.hpp>
#include <volley/error.hpp>
#include <volley/known_sets.hpp>

#include "arrays.hpp"
#include "copies.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

/// What may interrupt a fetch: Ctrl-C, or an exception in the caller's report. The fetch itself takes any
/// exception of a source for that source's failure, so it is kept here until the fetch has ended.
class FetchInterrupt {
 public:
  template <class Call>
  void guard(Call&& call) {
    const nb::gil_scoped_acquire locked;
    if (raised_) return;
    try {
      call();
    } catch (...) {
      raised_ = std::current_exception();
    }
  }
  bool raised() const { return static_cast<bool>(raised_); }
  void rethrow() const {
    if (raised_) std::rethrow_exception(raised_);
  }

 private:
  std::exception_ptr raised_;
};

std::filesystem::path fetch(const std::string& name, const std::optional<std::filesystem::path>& folder,
                            const nb::object& report) {
  FetchInterrupt interrupt;
  datasets::FetchHooks hooks;
  hooks.report = [&](const std::string& line) {
    interrupt.guard([&] {
      if (!report.is_none()) report(line);
    });
  };
  hooks.cancelled = [&] {
    interrupt.guard([] {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    });
    return interrupt.raised();
  };
  try {
    const nb::gil_scoped_release unlocked;
    return datasets::fetch(name, folder.value_or(""), hooks);
  } catch (const Error&) {
    interrupt.rethrow();
    throw;
  }
}

constexpr std::size_t kMostNumbered = std::size_t{1} << 20;  // classes that are named by their numbers

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

void make_dataset(Dataset* self, nb::handle pixels, nb::handle labels,
                  const std::optional<std::vector<std::string>>& classes, const std::string& name) {
  Dataset data = dataset_from("[dataset] pixels", pixels);
  std::vector<std::uint32_t> values = labels_from("[dataset] labels", labels);
  if (values.size() != data.size()) {
    throw ArgumentError("dataset", fmt::format("needs one label for each of {} samples", data.size()),
                        std::to_string(values.size()));
  }
  const std::size_t highest = *std::ranges::max_element(values);
  if (!classes.has_value() && highest >= kMostNumbered) {
    throw ArgumentError("dataset", fmt::format("labels must be < {} unless classes are given", kMostNumbered),
                        std::to_string(highest));
  }
  data.classes = classes.has_value() ? *classes : numbered(highest + 1);
  if (highest >= data.classes.size()) {
    throw ArgumentError("dataset",
                        fmt::format("labels must be < {}, the number of classes", data.classes.size()),
                        std::to_string(highest));
  }
  data.labels = std::move(values);
  data.name = name;
  new (self) Dataset(std::move(data));
}

void bind_dataset(nb::module_& m) {
  nb::class_<Dataset>(m, "Dataset",
                      "Labelled pictures of one shape.\n\n"
                      "pixels: uint8 (N, features...), 0 black to 255 white. labels: integers (N,) of any "
                      "width, from 0. classes: "
                      "what each\nlabel is called; unless given, the numbers up to the highest label.")
      .def(
          "__init__", make_dataset, nb::arg("pixels"), nb::arg("labels"),
          nb::arg("classes").none() = nb::none(), nb::arg("name") = "dataset",
          nb::sig(
              "def __init__(self, pixels: numpy.typing.NDArray[numpy.uint8], labels: numpy.typing.ArrayLike, "
              "classes: collections.abc.Sequence[str] | None = None, name: str = 'dataset') -> None"))
      .def_ro("name", &Dataset::name)
      .def_ro("classes", &Dataset::classes)
      .def_prop_ro(
          "pixels",
          [](nb::handle_t<Dataset> self) {
            const Dataset& data = nb::cast<const Dataset&>(self);
            return array_view(std::span(data.pixels), data.shape.after({data.size()}), self);
          },
          nb::sig("def pixels(self) -> numpy.typing.NDArray[numpy.uint8]"),
          "uint8 (N, features...), looked at in place: not writable.")
      .def_prop_ro(
          "labels",
          [](nb::handle_t<Dataset> self) {
            const Dataset& data = nb::cast<const Dataset&>(self);
            return array_view(std::span(data.labels), {data.size()}, self);
          },
          nb::sig("def labels(self) -> numpy.typing.NDArray[numpy.uint32]"),
          "uint32 (N,), looked at in place: not writable. labels.astype(numpy.int64) is what PyTorch takes.")
      .def("__len__", &Dataset::size)
      .def("first", &Dataset::first, nb::arg("samples"),
           "A copy of the first `samples`, or of all where there are fewer.")
      .def("__repr__", [](const Dataset& self) {
        return fmt::format("<Dataset '{}': {} pictures of {}, {} classes>", self.name, self.size(),
                           self.shape.text(), self.classes.size());
      });
  constexpr std::string_view kind = "dataset";
  def_copies<Dataset>(
      [](const Dataset& self) {
        nb::dict state;
        state["name"] = self.name;
        state["classes"] = self.classes;
        state["shape"] = std::vector<std::size_t>(self.shape.sizes().begin(), self.shape.sizes().end());
        state["pixels"] = nb::bytes(self.pixels.data(), self.pixels.size());
        state["labels"] = self.labels;
        return state;
      },
      [kind](Dataset* place, const nb::dict& state) {
        Dataset data;
        const auto read = [&](const char* name, auto& value) {
          detail::read_plain(kind, name, part_of(state, kind, name), value);
        };
        std::vector<std::size_t> shape;
        read("name", data.name);
        read("classes", data.classes);
        read("shape", shape);
        read("labels", data.labels);
        data.shape = Shape(shape);
        const nb::object given = part_of(state, kind, "pixels");
        if (!nb::isinstance<nb::bytes>(given)) detail::refuse_plain(kind, "pixels", given);
        const nb::bytes pixels = nb::cast<nb::bytes>(given);
        const auto* first = static_cast<const std::uint8_t*>(pixels.data());
        data.pixels.assign(first, first + pixels.size());
        data.check();
        new (place) Dataset(std::move(data));
      },
      [](Dataset* place, const Dataset& other, const nb::dict&) { new (place) Dataset(other); });
}

void bind_datasets(nb::module_& m) {
  using datasets::Info;
  nb::class_<Info>(m, "DatasetInfo",
                   "What is known of a data set, and what a look into a folder found of it.")
      .def_ro("name", &Info::name)
      .def_ro("title", &Info::title)
      .def_ro("train_samples", &Info::train_samples)
      .def_ro("test_samples", &Info::test_samples)
      .def_ro("classes", &Info::classes)
      .def_ro("hashed", &Info::hashed,
              "Whether the SHA-256 of its files is known; if not, it cannot be fetched.")
      .def_prop_ro(
          "state",
          [](const Info& self) {
            constexpr const char* kWords[] = {"missing", "ready", "wrong"};
            return std::string(kWords[static_cast<int>(self.state)]);
          },
          "\"missing\", \"ready\" or \"wrong\".")
      .def_ro("place", &Info::place, "The folder that its files are in, unless missing.")
      .def_ro("problem", &Info::problem, "Which file is wrong, and why.")
      .def("__repr__", [](const Info& self) { return fmt::format("<DatasetInfo '{}'>", self.name); });

  m.def(
      "load_dataset",
      [](const std::string& name, const std::optional<std::filesystem::path>& folder) {
        Split split = [&] {
          const nb::gil_scoped_release unlocked;
          return datasets::load(name, folder.value_or(""));
        }();
        return nb::make_tuple(nb::cast(std::move(split.train)), nb::cast(std::move(split.test)));
      },
      nb::arg("name"), nb::arg("folder") = nb::none(),
      nb::sig("def load_dataset(name: str, folder: str | os.PathLike[str] | None = None) -> tuple[Dataset, "
              "Dataset]"),
      "The training and the test set that `list` names, from `folder` (default: $XDG_CACHE_HOME/volley, or\n"
      "~/.cache/volley); or `name` is a folder of pictures by class, a path with a slash. Never touches the "
      "network.\nRaises FileError when a file is missing or wrong.");
  m.def("fetch_dataset", fetch, nb::arg("name"), nb::arg("folder") = nb::none(),
        nb::arg("report") = nb::none(),
        nb::sig("def fetch_dataset(name: str, folder: str | os.PathLike[str] | None = None, report: "
                "collections.abc.Callable[[str], object] | None = None) -> pathlib.Path"),
        "Makes sure that `folder` has the set, and returns the folder its files are in. Downloads it when it "
        "is not "
        "there;\n`report` is called with one line for each source tried. Raises Error when no source "
        "had it.");
  m.def(
      "list_datasets",
      [](const std::optional<std::filesystem::path>& folder) {
        const nb::gil_scoped_release unlocked;
        return datasets::list(folder.value_or(""));
      },
      nb::arg("folder") = nb::none(),
      "Every set that Volley knows, and whether `folder` has it; its files are checked.");
}

}  // namespace

void bind_data(nb::module_& m) {
  bind_dataset(m);
  bind_datasets(m);
}

}  // namespace volley::python
