#pragma once

#include <span>
#include <string_view>

#include <volley/loss.hpp>

#include "core/workspace.hpp"
#include "reference/loss.hpp"

namespace volley {

// What several losses are made of.

/// body(n) for every sample, shared out.
template <class Body>
void for_samples(std::size_t N, ThreadPool& threads, const Body& body) {
  constexpr std::size_t kSamples = 8;  // of one piece of work
  parallel_for(threads, N, kSamples, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) body(n);
  });
}

/// Throws unless the targets are a label for each sample of y, or also, `per_step`, for each of its steps;
/// those of steps that samples have are below the number of outputs.
void check_labels(std::string_view kind, const Signal& y, const Targets& targets, bool per_step);

/// z (K) = the sum over the first `steps` of sample n of y (N, T, K), divided by `divisor`.
void sum_over_time(float* z, const Signal& y, std::size_t n, std::size_t steps, float divisor);

/// The outputs (T, K) of sample n, spikes as 0 and 1, which are then in `values` (T, K).
const float* outputs_of(const Signal& y, std::size_t n, Scratch<float>& values);

/// row = outputs `first` to first + count of sample n at step t, packed from bit 0 on; the row's other bits
/// of these words are 0.
void copy_spikes(std::uint64_t* row, const Spikes& y, std::size_t n, std::size_t t, std::size_t first,
                 std::size_t count);

/// How much the samples of a batch, of one label each or none, count in `loss`.
reference::SampleWeights weights_of(const Loss& loss, const Targets& targets, std::size_t samples);

/// How much sample n counts: s_n times the mean over its labels of their class weights, one label or one for
/// each of its steps.
double weight_of(const Loss& loss, const Targets& targets, std::size_t n, std::size_t samples);

/// The mean over the batch of the losses of its samples.
double mean_of_samples(const Loss& loss, const Targets& targets, std::span<const float> losses);

}  // namespace volley
