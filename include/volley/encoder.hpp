#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/draw.hpp>
#include <volley/fields.hpp>
#include <volley/signal.hpp>
#include <volley/tape.hpp>

namespace volley {

/// Turns samples into a signal over T steps: pictures of bytes and, where an encoder can, real values; what
/// has steps of its own, Direct takes.
///
/// encode and encode_ahead check what they are given and what comes out; a new encoder overrides kind(),
/// do_encode and, where the shape changes, output_shape(). An encoder holds its options alone: several
/// threads may use one at once, each with a tape of its own.
class Encoder {
 public:
  virtual ~Encoder() = default;
  /// The name a recipe knows it by: "poisson".
  virtual std::string_view kind() const = 0;

  /// The feature shape that a picture of shape `picture` becomes. Throws Error when it cannot be taken.
  virtual Shape output_shape(const Shape& picture) const { return picture; }

  /// The pictures `samples` (indices, at least one) of `data` over `steps` >= 1 steps: (N, T, features...),
  /// the features being output_shape() of a picture. It lives in `tape` until its next use. `draw` addresses
  /// the random numbers of an encoder that draws: epoch < 2^24, known_as empty or one for each sample, and no
  /// address beyond 2^32 - 1. Throws Error for what does not fit, and where do_encode gives another shape.
  Signal encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                const Draw& draw, Tape& tape) const;
  /// The same, but may return before the signal is complete: tape.threads() works on it whenever a thread
  /// would wait, and it is complete after finish_ahead(). `data`, `samples` and draw.known_as must live,
  /// unchanged, until then; one such signal at a time for each pool.
  Signal encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                      const Draw& draw, Tape& tape) const;
  /// Real values (N, features...) of 1 to 6 feature dimensions, N >= 1, over `steps` steps. The address of
  /// row n is draw.known_as[n], or n where that is empty, plus draw.first_sample. Throws ArgumentError for an
  /// encoder that takes bytes alone.
  Signal encode(const Tensor& values, std::size_t steps, const Draw& draw, Tape& tape) const;
  /// Samples that have steps, x (N, T, features...): real values or spikes. The signal may look at the memory
  /// of x. Throws ArgumentError for an encoder that gives samples their steps.
  Signal encode(const Signal& x, Tape& tape) const;

 protected:
  Encoder() = default;
  Encoder(const Encoder&) = default;
  Encoder(Encoder&&) = default;
  Encoder& operator=(const Encoder&) = default;
  Encoder& operator=(Encoder&&) = default;

  /// encode() of what has passed its checks: `data` and `samples` fit, and output_shape(data.shape) does not
  /// throw. The n-th picture's random numbers are at draw.address(samples, n). tape.saved<T>() is free for
  /// the signal's memory.
  virtual Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                           const Draw& draw, Tape& tape) const = 0;
  virtual Signal do_encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples,
                                 std::size_t steps, const Draw& draw, Tape& tape) const {
    return do_encode(data, samples, steps, draw, tape);
  }
  /// encode() of real values, and of samples with steps; these throw.
  virtual Signal do_encode_values(const Tensor& values, std::size_t steps, const Draw& draw,
                                  Tape& tape) const;
  virtual Signal do_encode_steps(const Signal& x, Tape& tape) const;

 private:
  friend class Trainer;
  /// Whether do_encode itself looks at data.pixels. Those of the library do not: operations do, on the
  /// device.
  virtual bool reads_pixels() const { return true; }
};

/// Poisson has no fields.
struct PoissonOptions {
  static constexpr const char* kKind = "poisson";
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

/// Rate coding: a pixel k fires at each step with probability k / 255, independently; exactly so, down to
/// 2^-64. Real values are probabilities as they are: one of at most 0 (or NaN) never fires, one of at least 1
/// always does, all others with their probability to within 2^-40. Each bit is a function of (seed, purpose,
/// epoch, sample index, pixel, step) alone, through Philox4x32 of 7 rounds (Salmon et al., SC 2011);
/// docs/math/poisson.md.
class Poisson final : public Encoder {
 public:
  using Options = PoissonOptions;

  explicit Poisson(const PoissonOptions& = {}) {}
  PoissonOptions options() const { return {}; }
  std::string_view kind() const override { return PoissonOptions::kKind; }

 private:
  bool reads_pixels() const override { return false; }
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw& draw, Tape& tape) const override;
  Signal do_encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                         const Draw& draw, Tape& tape) const override;
  Signal do_encode_values(const Tensor& probabilities, std::size_t steps, const Draw& draw,
                          Tape& tape) const override;
};

/// How bytes become currents, (k / 255 - mean) / std, and real values x, (x - mean) / std.
struct CurrentOptions {
  std::vector<float> mean;       // one for all channels, or one for each; none: 0
  std::vector<float> deviation;  // "std"; the same; none: 1

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("mean", self.mean, any());
    visit("std", self.deviation, above(0));
  }
};

/// Fields of Direct.
struct DirectOptions : CurrentOptions {
  static constexpr const char* kKind = "direct";
};

/// The sample itself as a current. A picture, or real values, are the same at every step, of which one is
/// stored: the first layers compute it once. Samples that have steps give theirs, each its own; spikes stay
/// spikes, and mean and std are not for them.
class Direct final : public Encoder {
 public:
  using Options = DirectOptions;

  explicit Direct(const DirectOptions& options = {});
  const DirectOptions& options() const { return options_; }
  std::string_view kind() const override { return DirectOptions::kKind; }
  Shape output_shape(const Shape& picture) const override;

 private:
  bool reads_pixels() const override { return false; }
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw& draw, Tape& tape) const override;
  Signal do_encode_values(const Tensor& values, std::size_t steps, const Draw& draw,
                          Tape& tape) const override;
  Signal do_encode_steps(const Signal& x, Tape& tape) const override;

  DirectOptions options_;
};

/// Fields of Rows.
struct RowsOptions : CurrentOptions {
  static constexpr const char* kKind = "rows";
};

/// The rows of a picture one after another: step t gives row t as currents, (C, H, W) -> (C, W). T must be H.
class Rows final : public Encoder {
 public:
  using Options = RowsOptions;

  explicit Rows(const RowsOptions& options = {});
  const RowsOptions& options() const { return options_; }
  std::string_view kind() const override { return RowsOptions::kKind; }
  Shape output_shape(const Shape& picture) const override;

 private:
  bool reads_pixels() const override { return false; }
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw& draw, Tape& tape) const override;

  RowsOptions options_;
};

/// A picture's rows as time, and what changes between two of them as spikes.
struct DeltaOptions {
  static constexpr const char* kKind = "delta";

  float threshold = 0.1f;   // of the change of k / 255
  bool padding = false;     // whether the row before the first counts as equal to it; otherwise as black
  bool off_spikes = false;  // whether falls fire too, in channels of their own behind the others

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("threshold", self.threshold, above(0));
    visit("padding", self.padding, any());
    visit("off_spikes", self.off_spikes, any());
  }
};

/// Step t fires where row t is brighter than row t - 1 by `threshold` or more; snnTorch's rule. (C, H, W) ->
/// (C, W), or (2 C, W) with off_spikes. T must be H.
class Delta final : public Encoder {
 public:
  using Options = DeltaOptions;

  explicit Delta(const DeltaOptions& options = {});
  const DeltaOptions& options() const { return options_; }
  std::string_view kind() const override { return DeltaOptions::kKind; }
  Shape output_shape(const Shape& picture) const override;

 private:
  bool reads_pixels() const override { return false; }
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw& draw, Tape& tape) const override;

  DeltaOptions options_;
};

/// An encoder whose spikes are a function of the pixel alone, without a draw: it looks them up.
class TableEncoder : public Encoder {
 public:
  Shape output_shape(const Shape& picture) const final;

 protected:
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw& draw, Tape& tape) const override;

 private:
  bool reads_pixels() const override { return false; }
  virtual std::size_t neurons() const { return 1; }
  /// Sets the bits of the trains of a pixel k in `words` (neurons, ceil(steps / 64)), which are 0: bit t % 64
  /// of word t / 64 is step t.
  virtual void trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const = 0;
};

enum class LatencyFunction { linear, log };

/// Fields of Latency.
struct LatencyOptions {
  static constexpr const char* kKind = "latency";

  LatencyFunction function = LatencyFunction::linear;
  bool clip = false;  // whether black pixels stay silent; otherwise they fire at the last step

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("function", self.function, any());
    visit("clip", self.clip, any());
  }
};

/// Each pixel fires once, the brighter the earlier, with x = k / 255 at step
///
///     linear  round((T - 1) (1 - x))
///     log     round(T - 1 - ln(a x + 1)), a = exp(T - 1) - 1
///
/// SpikingJelly's LatencyEncoder.
class Latency final : public TableEncoder {
 public:
  using Options = LatencyOptions;

  explicit Latency(const LatencyOptions& options = {});
  const LatencyOptions& options() const { return options_; }
  std::string_view kind() const override { return LatencyOptions::kKind; }

 private:
  void trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const override;

  LatencyOptions options_;
};

/// Fields of WeightedPhase.
struct WeightedPhaseOptions {
  static constexpr const char* kKind = "weighted_phase";

  std::size_t phases = 8;  // K

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("phases", self.phases, between(1, 64));
  }
};

/// The binary digits of k / 256, the highest first, one a step, and again from the first after K steps: the
/// spike at step t weighs 2^-(1 + t mod K). (Kim, Kim, Huh, Lee and Choi, Neurocomputing 311, 2018.)
class WeightedPhase final : public TableEncoder {
 public:
  using Options = WeightedPhaseOptions;

  explicit WeightedPhase(const WeightedPhaseOptions& options = {});
  const WeightedPhaseOptions& options() const { return options_; }
  std::string_view kind() const override { return WeightedPhaseOptions::kKind; }

 private:
  void trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const override;

  WeightedPhaseOptions options_;
};

enum class PopulationMode { deterministic, random };

/// Fields of Population.
struct PopulationOptions {
  static constexpr const char* kKind = "population";

  std::size_t neurons = 8;  // of each pixel, their centres evenly from low to high
  float low = 0.0f;
  float high = 1.0f;
  float width = 0.15f;  // "std", of a receptive field
  PopulationMode mode = PopulationMode::deterministic;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("neurons", self.neurons, between(2, 256));
    visit("low", self.low, any());
    visit("high", self.high, any());
    visit("std", self.width, above(0));
    visit("mode", self.mode, any());
  }
};

/// Each pixel x = k / 255 drives a population with Gaussian receptive fields: neuron m by
/// a = exp(-((x - centre_m) / std)^2 / 2). deterministic: a current into an IF neuron with threshold 0.999
/// and soft reset; random: the probability to fire at each step. SpikingJelly's PopSpikeEncoder. (C, ...) ->
/// (C neurons, ...): neuron m of channel c is channel c * neurons + m.
class Population final : public TableEncoder {
 public:
  using Options = PopulationOptions;

  explicit Population(const PopulationOptions& options = {});
  const PopulationOptions& options() const { return options_; }
  std::string_view kind() const override { return PopulationOptions::kKind; }

 private:
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw& draw, Tape& tape) const override;
  std::size_t neurons() const override { return options_.neurons; }
  void trains_of(std::uint64_t* words, std::uint8_t k, std::size_t steps) const override;

  PopulationOptions options_;
};

/// What Periodic can repeat.
using SpikeEncoderOptions =
    std::variant<PoissonOptions, LatencyOptions, WeightedPhaseOptions, PopulationOptions>;

/// Fields of Periodic.
struct PeriodicOptions {
  static constexpr const char* kKind = "periodic";

  std::size_t period = 0;  // in steps; must be given
  SpikeEncoderOptions of = LatencyOptions{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("period", self.period, between(1, 65536));
    visit("of", self.of, any());
  }
};

/// The spikes of another encoder over `period` steps, again and again: step t is its step t mod period.
class Periodic final : public Encoder {
 public:
  using Options = PeriodicOptions;

  explicit Periodic(const PeriodicOptions& options);
  const PeriodicOptions& options() const { return options_; }
  std::string_view kind() const override { return PeriodicOptions::kKind; }
  Shape output_shape(const Shape& picture) const override { return of_->output_shape(picture); }

 private:
  bool reads_pixels() const override { return false; }
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw& draw, Tape& tape) const override;

  PeriodicOptions options_;
  std::unique_ptr<Encoder> of_;
};

using EncoderOptions = std::variant<PoissonOptions, DirectOptions, RowsOptions, LatencyOptions,
                                    WeightedPhaseOptions, PopulationOptions, DeltaOptions, PeriodicOptions>;
/// The encoder that the options describe. Throws Error when one is out of range.
std::unique_ptr<Encoder> make_encoder(const EncoderOptions& options);

}  // namespace volley
