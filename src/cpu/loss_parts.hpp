#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <volley/threads.hpp>

#include "core/exp_log.hpp"
#include "ops/loss.hpp"

namespace volley::cpu {

// What the losses of the CPU share. Every sum is in double: over the classes and steps of one sample
// ascending, over the samples by core/tree_sum.hpp.

/// body(n) for every sample, shared out.
template <class Body>
void for_samples(std::size_t N, ThreadPool& threads, const Body& body) {
  constexpr std::size_t kSamples = 8;  // of one piece of work
  parallel_for(threads, N, kSamples, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) body(n);
  });
}

inline std::size_t steps_of(const std::uint32_t* lengths, std::size_t n, std::size_t T) {
  return lengths == nullptr ? T : lengths[n];
}

/// How much sample n counts.
inline double weight_of(const ops::TargetsView& targets, std::size_t n) {
  return targets.weights == nullptr ? 1 : targets.weights[n];
}

/// (R11) How many samples there would be, did all count alike, for sample n to have the share that it has.
inline double count_of(const ops::TargetsView& targets, std::size_t n) {
  return targets.total_weight / weight_of(targets, n);
}

/// Softmax of z (K): with z[top] the largest, tail is the sum over the others of exp(z[k] - z[top]).
class Softmax {
 public:
  Softmax(const float* z, std::size_t K)
      : z_(z), top_(static_cast<std::size_t>(std::max_element(z, z + K) - z)) {
    for (std::size_t k = 0; k < K; ++k) tail_ += k == top_ ? 0.0 : exponential(k);
  }
  double probability(std::size_t k) const { return exponential(k) / (1 + tail_); }
  double below_top(std::size_t k) const { return static_cast<double>(z_[top_]) - static_cast<double>(z_[k]); }
  double log_sum() const { return static_cast<double>(log1p_of(static_cast<float>(tail_))); }

 private:
  double exponential(std::size_t k) const { return static_cast<double>(exp_of(z_[k] - z_[top_])); }

  const float* z_;
  std::size_t top_;
  double tail_ = 0;
};

/// (R4) of z (K) with the label, which has 1 - smoothing of the target while all classes share the rest.
inline double cross_entropy(const float* z, std::uint32_t label, float smoothing, std::size_t K) {
  const Softmax p(z, K);
  double shared = 0;
  for (std::size_t k = 0; k < K; ++k) shared += p.below_top(k);
  const double share = static_cast<double>(smoothing);
  return p.log_sum() + (1 - share) * p.below_top(label) + share / static_cast<double>(K) * shared;
}

/// (R5) dz (K), times `factor`
inline void cross_entropy_gradient(float* dz, const float* z, std::uint32_t label, float smoothing,
                                   float factor, std::size_t K) {
  const Softmax p(z, K);
  const double share = static_cast<double>(smoothing);
  for (std::size_t k = 0; k < K; ++k) {
    const double target = (label == k ? 1 - share : 0) + share / static_cast<double>(K);
    dz[k] = static_cast<float>((p.probability(k) - target) * static_cast<double>(factor));
  }
}

}  // namespace volley::cpu
