#include <fmt/format.h>
#include <nanobind/stl/shared_ptr.h>

#include <algorithm>
#include <mutex>
#include <numeric>

#include <volley/encoder.hpp>
#include <volley/error.hpp>
#include <volley/signal_forms.hpp>

#include "arrays.hpp"
#include "copies.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

/// The memory of a signal that an encoder made, for the next one when nothing looks at it any more.
struct Encoded {
  explicit Encoded(std::shared_ptr<ThreadPool> pool) : threads(std::move(pool)), tape(*threads) {}
  std::shared_ptr<ThreadPool> threads;
  Tape tape;
  std::size_t spikes = 0;  // how many it has room for, about
};

/// What is free of them. SAFETY: Spikes may be let go of by any thread.
class FreeMemory : public std::enable_shared_from_this<FreeMemory> {
 public:
  /// For passes on `pool`; comes back here when the last owner lets go of it.
  std::shared_ptr<Encoded> take(const std::shared_ptr<ThreadPool>& pool) {
    std::unique_ptr<Encoded> taken;
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(free_, [&](const auto& memory) { return memory->threads != pool; });
      if (!free_.empty()) {
        taken = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (taken == nullptr) taken = std::make_unique<Encoded>(pool);
    return {taken.release(), [home = weak_from_this()](Encoded* memory) {
              std::unique_ptr<Encoded> owned(memory);
              if (const auto all = home.lock()) all->give_back(std::move(owned));
            }};
  }

 private:
  static constexpr std::size_t kMost = 2;  // of a loop: the batch under way, and the next one
  static constexpr std::size_t kMostSpikes = std::size_t{1} << 28;  // 32 MiB: a batch, not a data set

  void give_back(std::unique_ptr<Encoded> memory) {
    if (memory->spikes > kMostSpikes) return;
    const std::lock_guard lock(mutex_);
    if (free_.size() < kMost) free_.push_back(std::move(memory));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Encoded>> free_;
};

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
  std::shared_ptr<FreeMemory> memory = std::make_shared<FreeMemory>();
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

/// What `run` makes of its tape as an array, or as Spikes that keep the tape.
template <class Run>
nb::object encoded(const EncoderWithSeed& self, bool packed, const Run& run) {
  const std::shared_ptr<ThreadPool> pool = threads();
  const std::shared_ptr<Encoded> memory = self.memory->take(pool);
  SignalMemory plain_memory;
  const Signal signal = alone([&] {
    const Signal x = run(memory->tape);
    memory->spikes = std::max(memory->spikes, x.shape().size());
    return packed && x.is_spikes() ? x : plain(x, plain_memory, *pool);
  });
  if (!packed || !signal.is_spikes()) return to_array(signal);
  return nb::cast(PackedSpikes{std::shared_ptr<const Spikes>(memory, &signal.spikes())});
}

nb::object encode(const EncoderWithSeed& self, nb::handle images, std::int64_t steps, std::int64_t epoch,
                  std::int64_t first_sample, const std::string& purpose, bool packed) {
  const std::string kind(self.encoder->kind());
  check_range(kind, "steps", static_cast<double>(steps), between(1, 65536));
  const Draw draw = draw_from(self, epoch, first_sample, purpose);
  const Dataset data = dataset_from(fmt::format("[{}] images", kind), images);
  std::vector<std::uint32_t> samples(data.size());
  std::iota(samples.begin(), samples.end(), 0u);
  return encoded(self, packed, [&](Tape& tape) {
    return self.encoder->encode(data, samples, static_cast<std::size_t>(steps), draw, tape);
  });
}

nb::object encode_probabilities(const EncoderOf<Poisson>& self, nb::handle array, std::int64_t steps,
                                std::int64_t epoch, std::int64_t first_sample, const std::string& purpose,
                                bool packed) {
  check_range(PoissonOptions::kKind, "steps", static_cast<double>(steps), between(1, 65536));
  const Draw draw = draw_from(self, epoch, first_sample, purpose);
  const Tensor probabilities = tensor_from("[poisson] probabilities", array);
  return encoded(self, packed, [&](Tape& tape) {
    return Poisson().encode(probabilities, static_cast<std::size_t>(steps), draw, tape);
  });
}

constexpr const char* kEncodeDoc =
    "images: uint8 (N, H, W) or (N, features...), 0 to 255 -> (T, N, features...).\n\n"
    "steps: T, 1 to 65536. epoch: a training counts its epochs from 1. first_sample: where in the data set "
    "images[0]\nis, so that images[i] is sample first_sample + i. purpose: \"train\", \"test\" or "
    "\"validation\".\nThe last "
    "three address the draws of encoders that draw. packed: whether spikes are returned as Spikes, bits, "
    "in place of\na uint8 array; float32 stays an array.\n"
    "Raises TypeError for another dtype, ArgumentError for another shape or a number out of range.";
constexpr const char* kSpikes = "numpy.uint8";
constexpr const char* kCurrents = "numpy.float32";

/// `name` for `first`, images or probabilities of `type`, to arrays of `out`. The overloads behind the first
/// are for type checkers alone.
template <class Class, class Encode>
void bind_encode(Class& bound, const char* name, const char* first, const char* type, const std::string& out,
                 const Encode& run, const char* doc) {
  const auto define = [&](const char* packed, const std::string& result) {
    const std::string text = fmt::format(
        "def {}(self, {}: numpy.typing.NDArray[{}], steps: int = 100, epoch: int = 0, first_sample: int = 0, "
        "purpose: str = 'train', *, packed: {}) -> {}",
        name, first, type, packed, result);
    bound.def(name, run, nb::arg(first), nb::arg("steps") = 100, nb::arg("epoch") = 0,
              nb::arg("first_sample") = 0, nb::arg("purpose") = "train", nb::kw_only(),
              nb::arg("packed") = false, nb::sig(text.c_str()), doc);
  };
  const std::string array = "numpy.typing.NDArray[" + out + "]";
  if (out != kSpikes) {
    define("bool = False", array);
    return;
  }
  define("typing.Literal[False] = False", array);
  define("typing.Literal[True]", "Spikes");
  define("bool", array + " | Spikes");
}

template <class E>
nb::class_<EncoderOf<E>, EncoderWithSeed> bind(nb::module_& m, const char* name, const char* out,
                                               const char* doc) {
  nb::class_<EncoderOf<E>, EncoderWithSeed> bound(m, name, doc);
  bind_encode(bound, "encode", "images", "numpy.uint8", out, encode, kEncodeDoc);
  using Bound = EncoderOf<E>;
  constexpr const char* kKind = E::Options::kKind;
  def_copies<Bound>(
      [](const Bound& self) {
        nb::dict state;
        state["options"] = fields_of(kKind, self.own());
        state["seed"] = self.seed;
        return state;
      },
      [](Bound* place, const nb::dict& state) {
        std::int64_t seed = 0;
        detail::read_plain(kKind, "seed", part_of(state, kKind, "seed"), seed);
        new (place) Bound(fields_from<typename E::Options>(kKind, part_of(state, kKind, "options")), seed);
      },
      [](Bound* place, const Bound& other, const nb::dict&) { new (place) Bound(other.own(), other.seed); });
  if constexpr (!std::is_same_v<E, Poisson> && !std::is_same_v<E, Periodic>) {
    bound.def("__repr__", [name](const EncoderOf<E>& self) { return repr_of(name, self.own()); });
  }
  return bound;
}

void bind_random_encoders(nb::module_& m) {
  auto poisson = bind<Poisson>(
      m, "Poisson", kSpikes,
      "Rate coding: a pixel k fires at each step with probability k / 255, independently and exactly.\n\n"
      "seed: 0 to 2^32 - 1. Each spike is a function of (seed, purpose, epoch, sample, pixel, step) alone: "
      "the same "
      "for\nany batch, any order and any number of threads, and the one that a training with this seed "
      "sees.");
  poisson
      .def(
          "__init__",
          [](EncoderOf<Poisson>* self, std::int64_t seed) { new (self) EncoderOf<Poisson>({}, seed); },
          nb::arg("seed") = 0)
      .def("__repr__",
           [](const EncoderOf<Poisson>& self) { return fmt::format("Poisson(seed={})", self.seed); });
  bind_encode(
      poisson, "encode_probabilities", "probabilities", "numpy.floating", kSpikes, encode_probabilities,
      "probabilities: floats (N, features...) -> (T, N, features...). At most 0 never fires, at least 1 "
      "always does.\nThe rest is as for encode().");
  bind<Population>(m, "Population", kSpikes,
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
  bind<Direct>(m, "Direct", kCurrents,
               "The image as a constant current, (k / 255 - mean) / std at every step.\n\n"
               "mean, std: no value (0 and 1), one, or one for each channel.")
      .def(
          "__init__",
          [](EncoderOf<Direct>* self, const std::vector<float>& mean, const std::vector<float>& deviation) {
            new (self) EncoderOf<Direct>(DirectOptions{{.mean = mean, .deviation = deviation}});
          },
          nb::arg("mean") = std::vector<float>{}, nb::arg("std") = std::vector<float>{});
  bind<Rows>(
      m, "Rows", kCurrents,
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
      m, "Latency", kSpikes,
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
      m, "WeightedPhase", kSpikes,
      "The binary digits of k / 256, the highest first, one a step, and again after `phases` steps.")
      .def(
          "__init__",
          [](EncoderOf<WeightedPhase>* self, std::size_t phases) {
            new (self) EncoderOf<WeightedPhase>({.phases = phases});
          },
          nb::arg("phases") = 8);
  bind<Delta>(
      m, "Delta", kSpikes,
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
      m, "Periodic", kSpikes,
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
