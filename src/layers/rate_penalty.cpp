#include <volley/rate_penalty.hpp>

#include <algorithm>

#include "kernels/block_tree.hpp"
#include "reference/rate_penalty.hpp"

namespace volley {
namespace {

constexpr std::size_t kSamples = 16;    // whose counts are kept at once
constexpr std::size_t kFeatures = 256;  // of one piece of work

struct Saved {
  Signal x;
  std::vector<std::uint32_t> lengths;  // the steps of each sample; none: all that are stored
  Tensor rates;                        // (F), as the features lie in memory
  Buffer<std::uint32_t> counts;        // (samples, F), as they are numbered
  Buffer<std::uint64_t> totals;        // (F), as they are numbered
  Tensor dr;                           // (F)
  Tensor dx;

  std::size_t steps_of(std::size_t n) const { return lengths.empty() ? x.stored_steps() : lengths[n]; }
  /// Over which a rate is the mean.
  std::size_t rows() const {
    std::size_t sum = 0;
    for (std::size_t n = 0; n < x.samples(); ++n) sum += steps_of(n);
    return sum;
  }
};

/// Where feature f lies in a step of x.
std::size_t place_of(std::size_t f, const Signal& x) {
  if (x.layout() == Layout::row_major) return f;
  const std::size_t C = x.shape()[2];
  const std::size_t P = x.features() / C;
  return f % P * C + f / P;
}

void count_spikes(Saved& saved, ThreadPool& threads) {
  const Signal& x = saved.x;
  const std::size_t N = x.samples();
  const std::size_t F = x.features();
  saved.counts.resize(std::min(N, kSamples) * F);
  saved.totals.resize(F);
  saved.totals.zero();
  for (std::size_t first = 0; first < N; first += kSamples) {
    const std::size_t size = std::min(kSamples, N - first);
    parallel_for(threads, size, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t n = first + i;
        x.spikes().count_by_feature(n, saved.counts.span().subspan(i * F, F), saved.steps_of(n));
      }
    });
    auto* const totals = saved.totals.data();
    const auto* const counts = saved.counts.data();
    parallel_for(threads, F, kFeatures, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t f = begin; f < end; ++f) totals[f] += counts[i * F + f];
      }
    });
  }
}

/// (G1) The mean of every feature over the batch and T.
void compute_rates(Saved& saved, ThreadPool& threads) {
  const Signal& x = saved.x;
  const std::size_t F = x.features();
  const std::size_t rows = saved.rows();
  saved.rates.resize({F});
  float* rates = saved.rates.data();
  if (x.is_spikes()) {
    count_spikes(saved, threads);
    for (std::size_t f = 0; f < F; ++f) {
      const double rate = static_cast<double>(saved.totals[f]) / static_cast<double>(rows);
      rates[place_of(f, x)] = static_cast<float>(rate);
    }
    return;
  }
  parallel_for(threads, F, kFeatures, [&](std::size_t begin, std::size_t end) {
    std::fill(rates + begin, rates + end, 0.0f);
    kernels::add_samples(rates + begin, x.values() + begin, x.samples(), x.stored_steps(), end - begin, F,
                         saved.lengths.empty() ? nullptr : saved.lengths.data());
    for (std::size_t i = begin; i < end; ++i) rates[i] /= static_cast<float>(rows);
  });
}

}  // namespace

RatePenalty::RatePenalty(const RatePenaltyOptions& options) : options_(options) {
  check_fields(RatePenaltyOptions::kKind, options);
}

Form RatePenalty::reads(const Shape&) const {
  return {.values = Form::Values::any, .layout = {}, .constant = true};
}

Signal RatePenalty::do_forward(const Signal& x, Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  saved.x = x;
  const std::span<const std::uint32_t> lengths = tape.context().lengths;
  saved.lengths.assign(lengths.begin(), x.constant() ? lengths.begin() : lengths.end());
  return x;
}

Signal RatePenalty::do_backward(Tape& tape, const Signal& dy) {
  if (!tape.needs_input_gradient()) return {};
  Saved& saved = tape.saved<Saved>();
  compute_rates(saved, tape.threads());
  const std::size_t F = dy.features();
  saved.dr.resize({F});
  // A rate is a mean over the rows: each has that share of its gradient, (G4).
  reference::rate_penalty_backward(saved.dr.data(), saved.rates.data(),
                                   options_.weight / static_cast<float>(saved.rows()), options_.target,
                                   options_.norm == Norm::l2, F);
  saved.dx.resize(dy.stored_shape());
  const std::size_t steps = dy.stored_steps();
  const float* const dr = saved.dr.data();
  parallel_for(tape.threads(), dy.samples(), std::max<std::size_t>(1, 4096 / (F * steps)),
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t n = begin; n < end; ++n) {
                   const float* from = dy.values() + n * steps * F;
                   float* to = saved.dx.data() + n * steps * F;
                   const std::size_t counted = saved.steps_of(n);
                   for (std::size_t t = 0; t < counted; ++t) {
                     for (std::size_t i = 0; i < F; ++i) to[t * F + i] = from[t * F + i] + dr[i];
                   }
                   std::copy(from + counted * F, from + steps * F, to + counted * F);
                 }
               });
  return dy.with_values(saved.dx);
}

double RatePenalty::penalty(Tape& tape) const {
  Saved& saved = tape.saved<Saved>();
  if (saved.x.empty()) return 0;
  compute_rates(saved, tape.threads());
  return static_cast<double>(reference::rate_penalty_forward(
      saved.rates.data(), options_.weight, options_.target, options_.norm == Norm::l2, saved.x.features()));
}

}  // namespace volley
