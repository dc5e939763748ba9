#include "losses/counted_steps.hpp"

#include <algorithm>

#include "layers/spike_words.hpp"
#include "losses/loss_parts.hpp"

namespace volley {

void CountedSteps::take(const Signal& y, const Targets& targets, ThreadPool& threads) {
  const std::size_t N = y.samples(), K = y.features();
  T_ = y.steps();
  U_ = 0;
  steps_.resize(N);
  for (std::size_t n = 0; n < N; ++n) {
    steps_[n].clear();
    for (std::uint32_t t = 0; t < T_; ++t) {
      if (targets.counts(n, t, T_)) steps_[n].push_back(t);
    }
    U_ = std::max(U_, steps_[n].size());
  }
  targets_ = of_steps(targets);
  targets_.weights = targets.weights;
  for (const std::vector<std::uint32_t>& steps : steps_)
    targets_.lengths.push_back(static_cast<std::uint32_t>(steps.size()));

  const Shape shape{N, U_, K};
  if (y.is_spikes()) {
    std::uint64_t* words = SpikeWords::make_steps(spikes_, shape);
    const std::size_t row_words = SpikeWords::row_words(spikes_);
    std::fill_n(words, N * U_ * row_words, std::uint64_t{0});
    for_samples(N, threads, [&](std::size_t n) {
      for (std::size_t u = 0; u < steps_[n].size(); ++u)
        copy_spikes(words + (n * U_ + u) * row_words, y.spikes(), n, steps_[n][u], 0, K);
    });
    y_ = spikes_;
    return;
  }
  values_.resize(shape);
  values_.zero();
  for_samples(N, threads, [&](std::size_t n) {
    for (std::size_t u = 0; u < steps_[n].size(); ++u)
      std::copy_n(y.values() + (n * T_ + steps_[n][u]) * K, K, values_.data() + (n * U_ + u) * K);
  });
  y_ = values_;
}

/// The labels or values, of steps where they are those of steps.
Targets CountedSteps::of_steps(const Targets& all) const {
  const std::size_t N = steps_.size();
  Targets picked;
  picked.labels = all.labels;
  if (all.labels.size() != N && !all.labels.empty()) {
    picked.labels.assign(N * U_, 0);
    for (std::size_t n = 0; n < N; ++n) {
      for (std::size_t u = 0; u < steps_[n].size(); ++u)
        picked.labels[n * U_ + u] = all.labels[n * T_ + steps_[n][u]];
    }
  }
  if (all.values.shape().rank() == 3) {
    const std::size_t K = all.values.shape()[2];
    picked.values = Tensor(Shape{N, U_, K});
    for (std::size_t n = 0; n < N; ++n) {
      for (std::size_t u = 0; u < steps_[n].size(); ++u) {
        std::copy_n(all.values.data() + (n * T_ + steps_[n][u]) * K, K,
                    picked.values.data() + (n * U_ + u) * K);
      }
    }
  } else {
    picked.values = all.values;
  }
  for (const Targets& head : all.heads) picked.heads.push_back(of_steps(head));
  return picked;
}

void CountedSteps::put_back(Tensor& to, const Tensor& from, ThreadPool& threads) const {
  const std::size_t N = steps_.size(), K = from.shape()[2];
  to.resize(Shape{N, T_, K});
  to.zero();
  for_samples(N, threads, [&](std::size_t n) {
    for (std::size_t u = 0; u < steps_[n].size(); ++u)
      std::copy_n(from.data() + (n * U_ + u) * K, K, to.data() + (n * T_ + steps_[n][u]) * K);
  });
}

}  // namespace volley
