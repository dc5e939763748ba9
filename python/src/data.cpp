#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>

#include <algorithm>
#include <exception>
#include <numeric>

#include <volley/dataset.hpp>
#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "arrays.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

/// Poisson, with the seed that a training takes from its recipe.
struct PoissonEncoder {
  std::uint32_t seed;
};

Draw::Purpose purpose_from(const std::string& word) {
  if (word == "train") return Draw::Purpose::train;
  if (word == "test") return Draw::Purpose::test;
  throw Error(fmt::format("[poisson] purpose must be one of 'train', 'test', got '{}'", word));
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

nb::object encode(const PoissonEncoder& self, nb::handle images, std::int64_t steps, std::int64_t epoch,
                  std::int64_t first_sample, const std::string& purpose) {
  check_range("poisson", "steps", static_cast<double>(steps), between(1, 65536));
  const Draw draw{.seed = self.seed,
                  .epoch = number_from("poisson", "epoch", epoch),
                  .purpose = purpose_from(purpose),
                  .first_sample = number_from("poisson", "first_sample", first_sample)};
  const Dataset data = dataset_from("[poisson] images", images);
  std::vector<std::uint32_t> samples(data.size());
  std::iota(samples.begin(), samples.end(), 0u);
  const std::shared_ptr<ThreadPool> pool = threads();
  Tape tape(*pool);
  const Signal spikes =
      alone([&] { return Poisson().encode(data, samples, static_cast<std::size_t>(steps), draw, tape); });
  return to_array(spikes);
}

void bind_poisson(nb::module_& m) {
  nb::class_<PoissonEncoder>(
      m, "Poisson",
      "Rate coding: a pixel k fires at each step with probability k / 255, independently and exactly.\n\n"
      "seed: 0 to 2^32 - 1. Each spike is a function of (seed, purpose, epoch, sample, pixel, step) alone: "
      "the same "
      "for\nany batch, any order and any number of threads, and the one that a training with this seed sees.")
      .def(
          "__init__",
          [](PoissonEncoder* self, std::int64_t seed) {
            new (self) PoissonEncoder{number_from("poisson", "seed", seed)};
          },
          nb::arg("seed") = 0)
      .def_ro("seed", &PoissonEncoder::seed)
      .def(
          "encode", encode, nb::arg("images"), nb::arg("steps") = 100, nb::arg("epoch") = 0,
          nb::arg("first_sample") = 0, nb::arg("purpose") = "train",
          nb::sig(
              "def encode(self, images: numpy.typing.NDArray[numpy.uint8], steps: int = 100, epoch: int = 0, "
              "first_sample: int = 0, purpose: str = 'train') -> numpy.typing.NDArray[numpy.uint8]"),
          "images: uint8 (N, H, W) or (N, features...), 0 to 255 -> spikes uint8 (T, N, H, W), 0 or 1.\n\n"
          "steps: T, 1 to 65536. epoch: a training counts its epochs from 1. first_sample: where in the data "
          "set "
          "images[0]\nis, so that images[i] is sample first_sample + i. purpose: \"train\" or \"test\".\n"
          "Raises TypeError for another dtype, ValueError for another shape or a number out of range.")
      .def("__repr__", [](const PoissonEncoder& self) { return fmt::format("Poisson(seed={})", self.seed); });
}

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

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

void make_dataset(Dataset* self, nb::handle pixels, nb::handle labels,
                  const std::optional<std::vector<std::string>>& classes, const std::string& name) {
  Dataset data = dataset_from("[dataset] pixels", pixels);
  std::vector<std::uint8_t> values = labels_from("[dataset] labels", labels);
  if (values.size() != data.size()) {
    throw Error(
        fmt::format("[dataset] needs one label for each of {} samples, got {}", data.size(), values.size()));
  }
  const std::size_t highest = *std::ranges::max_element(values);
  data.classes = classes.has_value() ? *classes : numbered(highest + 1);
  if (highest >= data.classes.size()) {
    throw Error(fmt::format("[dataset] labels must be < {}, the number of classes, got {}",
                            data.classes.size(), highest));
  }
  data.labels = std::move(values);
  data.name = name;
  new (self) Dataset(std::move(data));
}

void bind_dataset(nb::module_& m) {
  nb::class_<Dataset>(
      m, "Dataset",
      "Labelled pictures of one shape.\n\n"
      "pixels: uint8 (N, features...), 0 black to 255 white. labels: integers (N,), from 0. classes: "
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
            return bytes_view(data.pixels, data.shape.after({data.size()}), self);
          },
          nb::sig("def pixels(self) -> numpy.typing.NDArray[numpy.uint8]"),
          "uint8 (N, features...), looked at in place: not writable.")
      .def_prop_ro(
          "labels",
          [](nb::handle_t<Dataset> self) {
            const Dataset& data = nb::cast<const Dataset&>(self);
            return bytes_view(data.labels, {data.size()}, self);
          },
          nb::sig("def labels(self) -> numpy.typing.NDArray[numpy.uint8]"),
          "uint8 (N,), looked at in place: not writable.")
      .def("__len__", &Dataset::size)
      .def("first", &Dataset::first, nb::arg("samples"),
           "A copy of the first `samples`, or of all where there are fewer.")
      .def("__repr__", [](const Dataset& self) {
        return fmt::format("<Dataset '{}': {} pictures of {}, {} classes>", self.name, self.size(),
                           self.shape.text(), self.classes.size());
      });
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
      "network.\nRaises ValueError when a file is missing or wrong.");
  m.def("fetch_dataset", fetch, nb::arg("name"), nb::arg("folder") = nb::none(),
        nb::arg("report") = nb::none(),
        nb::sig("def fetch_dataset(name: str, folder: str | os.PathLike[str] | None = None, report: "
                "collections.abc.Callable[[str], object] | None = None) -> pathlib.Path"),
        "Makes sure that `folder` has the set, and returns the folder its files are in. Downloads it when it "
        "is not "
        "there;\n`report` is called with one line for each source tried. Raises ValueError when no source "
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
  bind_poisson(m);
  bind_dataset(m);
  bind_datasets(m);
}

}  // namespace volley::python
