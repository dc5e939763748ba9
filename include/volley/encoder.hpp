#pragma once

#include <cstdint>
#include <span>

#include <volley/dataset.hpp>
#include <volley/draw.hpp>
#include <volley/fields.hpp>
#include <volley/signal.hpp>
#include <volley/tape.hpp>

namespace volley {

/// Turns pictures into a signal over T steps.
class Encoder {
 public:
  virtual ~Encoder() = default;
  /// The name a recipe knows it by: "poisson".
  virtual std::string_view kind() const = 0;

  /// The pictures `samples` (indices) of `data` over `steps` steps: (N, T, channels, height, width), kept in
  /// `tape` until its next use.
  virtual Signal encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                        const Draw& draw, Tape& tape) const = 0;
  /// The same, but may return before the signal is complete: tape.threads() works on it whenever a thread
  /// would wait, and it is complete after finish_ahead(). `data` and `samples` must live until then.
  virtual Signal encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                              const Draw& draw, Tape& tape) const {
    return encode(data, samples, steps, draw, tape);
  }
};

struct PoissonOptions {
  static constexpr const char* kKind = "poisson";
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

/// Rate coding: a pixel k fires at each step with probability k / 255, independently; exactly so, down to
/// 2^-64. Each bit is a function of (seed, purpose, epoch, sample index, pixel, step) alone, through
/// Philox4x32-10 (Salmon et al., SC 2011); docs/math/poisson.md.
class Poisson final : public Encoder {
 public:
  using Options = PoissonOptions;

  explicit Poisson(const PoissonOptions& = {}) {}
  PoissonOptions options() const { return {}; }
  std::string_view kind() const override { return PoissonOptions::kKind; }
  Signal encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                const Draw& draw, Tape& tape) const override;
  Signal encode_ahead(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                      const Draw& draw, Tape& tape) const override;
};

}  // namespace volley
