#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>

#include "signal/views.hpp"

namespace volley {

/// The stored steps of each sample of a pass that count in a mean over the batch: those up to its length.
class Lengths {
 public:
  /// For a forward over x on `tape`.
  void take(const Signal& x, const Tape& tape) {
    const std::span<const std::uint32_t> lengths = tape.context().lengths;
    all_ = lengths.empty() || x.constant();
    steps_ = all_ ? x.samples() * x.stored_steps()
                  : std::accumulate(lengths.begin(), lengths.end(), std::size_t{0});
    if (!all_) static_cast<void>(put(of_samples_, lengths, executor_of(tape)));
  }
  bool all() const { return all_; }
  /// Of all samples.
  std::size_t steps() const { return steps_; }
  /// (N) for an operation; null: all stored steps count.
  const std::uint32_t* read(Executor& device) const { return all_ ? nullptr : device.read(of_samples_); }

 private:
  bool all_ = true;
  std::size_t steps_ = 0;
  Buffer<std::uint32_t> of_samples_;
};

}  // namespace volley
