#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include <volley/encoder.hpp>
#include <volley/threads.hpp>

namespace volley {

/// The tapes of two batches: the one in work and the one after it.
struct EncoderTapes {
  explicit EncoderTapes(ThreadPool& threads) : tapes{Tape(threads), Tape(threads)} {}
  std::array<Tape, 2> tapes;
};

/// One walk over the pictures `order` of `data`, batch by batch. While one batch is in work, the next is
/// encoded (ThreadPool::run_ahead), so that threads have something to do where they would wait for each
/// other.
class BatchWalk {
 public:
  BatchWalk(const Dataset& data, std::span<const std::uint32_t> order, std::size_t batch, std::size_t steps,
            const Draw& draw, const Encoder& encoder, EncoderTapes& tapes)
      : data_(data),
        order_(order),
        batch_(batch),
        steps_(steps),
        draw_(draw),
        encoder_(encoder),
        tapes_(tapes) {
    begin_ahead();
  }
  ~BatchWalk() { threads().drop_ahead(); }
  BatchWalk(const BatchWalk&) = delete;
  BatchWalk& operator=(const BatchWalk&) = delete;

  /// Goes on to the next batch; false after the last. samples() and x() are those of the batch until the next
  /// call.
  bool next() {
    threads().finish_ahead();
    samples_ = ahead_samples_;
    x_ = ahead_;
    if (samples_.empty()) return false;
    begin_ahead();
    return true;
  }
  std::span<const std::uint32_t> samples() const { return samples_; }
  const Signal& x() const { return x_; }
  const Draw& draw() const { return draw_; }

 private:
  ThreadPool& threads() const { return tapes_.tapes[0].threads(); }
  void begin_ahead() {
    ahead_samples_ = order_.first(std::min(batch_, order_.size()));
    order_ = order_.subspan(ahead_samples_.size());
    turn_ = 1 - turn_;
    if (!ahead_samples_.empty()) {
      ahead_ = encoder_.encode_ahead(data_, ahead_samples_, steps_, draw_, tapes_.tapes[turn_]);
    }
  }

  const Dataset& data_;
  std::span<const std::uint32_t> order_;  // what no batch has taken yet
  std::size_t batch_;
  std::size_t steps_;
  Draw draw_;
  const Encoder& encoder_;
  EncoderTapes& tapes_;
  std::size_t turn_ = 0;
  std::span<const std::uint32_t> samples_, ahead_samples_;
  Signal x_, ahead_;
};

}  // namespace volley
