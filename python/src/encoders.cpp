#include <fmt/format.h>
#include <nanobind/stl/shared_ptr.h>

#include <numeric>

#include <volley/encoder.hpp>
#include <volley/error.hpp>

#include "arrays.hpp"
#include "layers/signal_forms.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

/// An encoder, with the seed that a training takes from its recipe.
struct EncoderWithSeed {
  EncoderWithSeed(const EncoderOptions& options_, std::int64_t seed_)
      : options(options_),
        encoder(make_encoder(options_)),
        seed(number_from(encoder->kind(), "seed", seed_)) {}
  virtual ~EncoderWithSeed() = default;

  EncoderOptions options;
  std::unique_ptr<Encoder> encoder;
  std::uint32_t seed;
};

template <class E>
struct EncoderOf final : EncoderWithSeed {
  explicit EncoderOf(const typename E::Options& own, std::int64_t seed_ = 0) : EncoderWithSeed(own, seed_) {}
  const typename E::Options& own() const { return std::get<typename E::Options>(options); }
};

Draw::Purpose purpose_from(std::string_view kind, const std::string& word) {
  if (word == "train") return Draw::Purpose::train;
  if (word == "test") return Draw::Purpose::test;
  if (word == "validation") return Draw::Purpose::validation;
  throw ArgumentError(kind, "purpose must be one of 'train', 'test', 'validation'", "'" + word + "'");
}

Draw draw_from(const EncoderWithSeed& self, std::int64_t epoch, std::int64_t first_sample,
               const std::string& purpose) {
  const std::string_view kind = self.encoder->kind();
  return {.seed = self.seed,
          .epoch = number_from(kind, "epoch", epoch),
          .purpose = purpose_from(kind, purpose),
          .first_sample = number_from(kind, "first_sample", first_sample)};
}

nb::object encode(const EncoderWithSeed& self, nb::handle images, std::int64_t steps, std::int64_t epoch,
                  std::int64_t first_sample, const std::string& purpose) {
  const std::string kind(self.encoder->kind());
  check_range(kind, "steps", static_cast<double>(steps), between(1, 65536));
  const Draw draw = draw_from(self, epoch, first_sample, purpose);
  const Dataset data = dataset_from(fmt::format("[{}] images", kind), images);
  std::vector<std::uint32_t> samples(data.size());
  std::iota(samples.begin(), samples.end(), 0u);
  const std::shared_ptr<ThreadPool> pool = threads();
  Tape tape(*pool);
  SignalMemory memory;
  const Signal encoded = alone([&] {
    const Signal x = self.encoder->encode(data, samples, static_cast<std::size_t>(steps), draw, tape);
    return plain(x, memory, *pool);
  });
  return to_array(encoded);
}

nb::object encode_probabilities(const EncoderOf<Poisson>& self, nb::handle array, std::int64_t steps,
                                std::int64_t epoch, std::int64_t first_sample, const std::string& purpose) {
  check_range(PoissonOptions::kKind, "steps", static_cast<double>(steps), between(1, 65536));
  const Draw draw = draw_from(self, epoch, first_sample, purpose);
  const Tensor probabilities = tensor_from("[poisson] probabilities", array);
  const std::shared_ptr<ThreadPool> pool = threads();
  Tape tape(*pool);
  const Signal encoded =
      alone([&] { return Poisson().encode(probabilities, static_cast<std::size_t>(steps), draw, tape); });
  return to_array(encoded);
}

constexpr const char* kEncodeDoc =
    "images: uint8 (N, H, W) or (N, features...), 0 to 255 -> (T, N, features...).\n\n"
    "steps: T, 1 to 65536. epoch: a training counts its epochs from 1. first_sample: where in the data set "
    "images[0]\nis, so that images[i] is sample first_sample + i. purpose: \"train\", \"test\" or "
    "\"validation\".\nThe last "
    "three address the draws of encoders that draw.\n"
    "Raises TypeError for another dtype, ArgumentError for another shape or a number out of range.";
constexpr const char* kSpikesSig =
    "def encode(self, images: numpy.typing.NDArray[numpy.uint8], steps: int = 100, epoch: int = 0, "
    "first_sample: int = 0, purpose: str = 'train') -> numpy.typing.NDArray[numpy.uint8]";
constexpr const char* kCurrentsSig =
    "def encode(self, images: numpy.typing.NDArray[numpy.uint8], steps: int = 100, epoch: int = 0, "
    "first_sample: int = 0, purpose: str = 'train') -> numpy.typing.NDArray[numpy.float32]";

template <class Class>
Class& bind_encode(Class& bound, const char* signature) {
  bound.def("encode", encode, nb::arg("images"), nb::arg("steps") = 100, nb::arg("epoch") = 0,
            nb::arg("first_sample") = 0, nb::arg("purpose") = "train", nb::sig(signature), kEncodeDoc);
  return bound;
}

template <class E>
nb::class_<EncoderOf<E>, EncoderWithSeed> bind(nb::module_& m, const char* name, const char* signature,
                                               const char* doc) {
  nb::class_<EncoderOf<E>, EncoderWithSeed> bound(m, name, doc);
  bind_encode(bound, signature);
  if constexpr (!std::is_same_v<E, Poisson> && !std::is_same_v<E, Periodic>) {
    bound.def("__repr__", [name](const EncoderOf<E>& self) { return repr_of(name, self.own()); });
  }
  return bound;
}

void bind_random_encoders(nb::module_& m) {
  bind<Poisson>(
      m, "Poisson", kSpikesSig,
      "Rate coding: a pixel k fires at each step with probability k / 255, independently and exactly.\n\n"
      "seed: 0 to 2^32 - 1. Each spike is a function of (seed, purpose, epoch, sample, pixel, step) alone: "
      "the same "
      "for\nany batch, any order and any number of threads, and the one that a training with this seed sees.")
      .def(
          "__init__",
          [](EncoderOf<Poisson>* self, std::int64_t seed) { new (self) EncoderOf<Poisson>({}, seed); },
          nb::arg("seed") = 0)
      .def("__repr__",
           [](const EncoderOf<Poisson>& self) { return fmt::format("Poisson(seed={})", self.seed); })
      .def("encode_probabilities", encode_probabilities, nb::arg("probabilities"), nb::arg("steps") = 100,
           nb::arg("epoch") = 0, nb::arg("first_sample") = 0, nb::arg("purpose") = "train",
           nb::sig("def encode_probabilities(self, probabilities: numpy.typing.NDArray[numpy.floating], "
                   "steps: int = 100, epoch: int = 0, first_sample: int = 0, purpose: str = 'train') -> "
                   "numpy.typing.NDArray[numpy.uint8]"),
           "probabilities: floats (N, features...) -> (T, N, features...). At most 0 never fires, at least 1 "
           "always does.\nThe rest is as for encode().");
  bind<Population>(m, "Population", kSpikesSig,
                   "Each pixel x = k / 255 drives `neurons` neurons: neuron m by a = exp(-((x - centre_m) / "
                   "std)^2 / 2), the "
                   "centres evenly\nfrom low to high. (N, C, ...) -> (T, N, C neurons, ...), neuron m of "
                   "channel c being c neurons "
                   "+ m.\n\n"
                   "mode: \"deterministic\", a is a current into an IF neuron with threshold 0.999 and soft "
                   "reset; \"random\", a "
                   "is the\nprobability to fire at each step, drawn by seed, purpose, epoch and sample.")
      .def(
          "__init__",
          [](EncoderOf<Population>* self, std::size_t neurons, float low, float high, float width,
             const std::string& mode, std::int64_t seed) {
            new (self)
                EncoderOf<Population>({.neurons = neurons,
                                       .low = low,
                                       .high = high,
                                       .width = width,
                                       .mode = choice_from<PopulationMode>("population", "mode", mode)},
                                      seed);
          },
          nb::arg("neurons") = 8, nb::arg("low") = 0.0f, nb::arg("high") = 1.0f, nb::arg("std") = 0.15f,
          nb::arg("mode") = "deterministic", nb::arg("seed") = 0);
}

void bind_current_encoders(nb::module_& m) {
  bind<Direct>(m, "Direct", kCurrentsSig,
               "The image as a constant current, (k / 255 - mean) / std at every step.\n\n"
               "mean, std: no value (0 and 1), one, or one for each channel.")
      .def(
          "__init__",
          [](EncoderOf<Direct>* self, const std::vector<float>& mean, const std::vector<float>& deviation) {
            new (self) EncoderOf<Direct>(DirectOptions{{.mean = mean, .deviation = deviation}});
          },
          nb::arg("mean") = std::vector<float>{}, nb::arg("std") = std::vector<float>{});
  bind<Rows>(
      m, "Rows", kCurrentsSig,
      "The rows of an image one after another, (N, C, H, W) -> (T, N, C, W) with T = H: (k / 255 - mean) / "
      "std.\n\nmean, std: no value (0 and 1), one, or one for each channel.")
      .def(
          "__init__",
          [](EncoderOf<Rows>* self, const std::vector<float>& mean, const std::vector<float>& deviation) {
            new (self) EncoderOf<Rows>(RowsOptions{{.mean = mean, .deviation = deviation}});
          },
          nb::arg("mean") = std::vector<float>{}, nb::arg("std") = std::vector<float>{});
}

void bind_timing_encoders(nb::module_& m) {
  bind<Latency>(
      m, "Latency", kSpikesSig,
      "Each pixel x = k / 255 fires once, the brighter the earlier.\n\n"
      "function: \"linear\", at step round((T - 1) (1 - x)), or \"log\", at round(T - 1 - ln(a x + 1)) with "
      "a = exp(T - 1) - 1.\nclip: whether black pixels stay silent; otherwise they fire at the last step.")
      .def(
          "__init__",
          [](EncoderOf<Latency>* self, const std::string& function, bool clip) {
            new (self) EncoderOf<Latency>(
                {.function = choice_from<LatencyFunction>("latency", "function", function), .clip = clip});
          },
          nb::arg("function") = "linear", nb::arg("clip") = false);
  bind<WeightedPhase>(
      m, "WeightedPhase", kSpikesSig,
      "The binary digits of k / 256, the highest first, one a step, and again after `phases` steps.")
      .def(
          "__init__",
          [](EncoderOf<WeightedPhase>* self, std::size_t phases) {
            new (self) EncoderOf<WeightedPhase>({.phases = phases});
          },
          nb::arg("phases") = 8);
  bind<Delta>(
      m, "Delta", kSpikesSig,
      "Step t fires where row t of an image is brighter than row t - 1 by `threshold` (of k / 255) or more: "
      "(N, C, H, W) ->\n(T, N, C, W) with T = H.\n\n"
      "padding: whether the row before the first counts as equal to it; otherwise as black. off_spikes: "
      "whether falls\nfire too, in C channels behind the others.")
      .def(
          "__init__",
          [](EncoderOf<Delta>* self, float threshold, bool padding, bool off_spikes) {
            new (self)
                EncoderOf<Delta>({.threshold = threshold, .padding = padding, .off_spikes = off_spikes});
          },
          nb::arg("threshold") = 0.1f, nb::arg("padding") = false, nb::arg("off_spikes") = false);
}

void bind_periodic(nb::module_& m) {
  bind<Periodic>(
      m, "Periodic", kSpikesSig,
      "The spikes of another encoder over `period` steps, again and again: step t is its step t mod "
      "period.\n\nof: a Poisson, Latency, WeightedPhase or Population.")
      .def(
          "__init__",
          [](EncoderOf<Periodic>* self, const EncoderWithSeed& of, std::size_t period) {
            const auto to_repeat = [&]<class O>(const O& o) -> SpikeEncoderOptions {
              if constexpr (std::is_constructible_v<SpikeEncoderOptions, const O&>) {
                return o;
              } else {
                throw ArgumentError("periodic",
                                    "of must be one of " + quoted_list(kinds<SpikeEncoderOptions>()),
                                    fmt::format("'{}'", O::kKind));
              }
            };
            new (self)
                EncoderOf<Periodic>({.period = period, .of = std::visit(to_repeat, of.options)}, of.seed);
          },
          nb::arg("of"), nb::arg("period"))
      .def("__repr__", [](const EncoderOf<Periodic>& self) {
        const auto kind = [](const auto& of) { return std::string(of.kKind); };
        return fmt::format("<Periodic '{}', period {}>", std::visit(kind, self.own().of), self.own().period);
      });
}

}  // namespace

std::shared_ptr<const Encoder> encoder_from(nb::handle object) {
  if (!nb::isinstance<EncoderWithSeed>(object)) {
    throw nb::type_error(fmt::format("encoder must be an encoder, such as volley.Poisson(), got {}",
                                     nb::cast<std::string>(nb::str(object.type().attr("__name__"))))
                             .c_str());
  }
  const auto held = nb::cast<std::shared_ptr<EncoderWithSeed>>(object);
  return {held, held->encoder.get()};
}

void bind_encoders(nb::module_& m) {
  nb::class_<EncoderWithSeed> base(m, "Encoder", "Turns images into a signal over T steps.");
  base.def_ro("seed", &EncoderWithSeed::seed);
  bind_random_encoders(m);
  bind_current_encoders(m);
  bind_timing_encoders(m);
  bind_periodic(m);
}

}  // namespace volley::python
