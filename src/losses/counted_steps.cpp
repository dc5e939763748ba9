#include "losses/counted_steps.hpp"

#include <algorithm>

#include "signal/views.hpp"

namespace volley {

void CountedSteps::take(const Signal& y, const Targets& targets, Executor& device) {
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

  rows_.resize(N * U_);
  std::uint32_t* const rows = rows_.data();
  for (std::size_t n = 0; n < N; ++n) {
    std::uint32_t* const behind = std::ranges::copy(steps_[n], rows + n * U_).out;
    std::fill(behind, rows + (n + 1) * U_, static_cast<std::uint32_t>(T_));
  }
  ops::PickOutputs pick{.y = view_of(y, device), .count = K, .steps = device.read(rows_), .U = U_};
  if (y.is_spikes()) {
    SpikeWords::shape_steps(spikes_, {N, U_, K});
    pick.words = SpikeWords::write(spikes_, device);
    y_ = spikes_;
  } else {
    values_.resize({N, U_, K});
    pick.values = device.write(values_);
    y_ = values_;
  }
  device.run(pick);
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

void CountedSteps::put_back(Tensor& to, const Tensor& from, Executor& device) const {
  const std::size_t N = steps_.size(), K = from.shape()[2];
  to.resize({N, T_, K});
  device.run(ops::PutOutputs{.from = device.read(from),
                             .N = N,
                             .U = U_,
                             .count = K,
                             .steps = device.read(rows_),
                             .to = device.write(to),
                             .T = T_,
                             .K = K});
}

}  // namespace volley
