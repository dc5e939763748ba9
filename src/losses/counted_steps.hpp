#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <volley/signal.hpp>
#include <volley/targets.hpp>
#include <volley/tensor.hpp>

#include "ops/executor.hpp"

namespace volley {

/// A batch as a mask leaves it: the steps of each sample that count, one after another, as a shorter sequence
/// with a length. So no loss has to know of masks.
class CountedSteps {
 public:
  /// Of a plain y (N, T, K), and of targets with a mask, which have been checked.
  void take(const Signal& y, const Targets& targets, Executor& device);

  const Signal& y() const { return y_; }               // (N, U, K), U the most steps that count
  const Targets& targets() const { return targets_; }  // without a mask
  /// to (N, T, K) = from (N, U, K), each step at its place, and 0 where a step does not count.
  void put_back(Tensor& to, const Tensor& from, Executor& device) const;

 private:
  Targets of_steps(const Targets& all) const;

  std::size_t T_ = 0, U_ = 0;
  std::vector<std::vector<std::uint32_t>> steps_;  // of each sample, those that count
  Buffer<std::uint32_t> rows_;                     // (N, U) the same, T behind the last
  Tensor values_;
  Spikes spikes_;
  Signal y_;
  Targets targets_;
};

}  // namespace volley
