#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <volley/augment.hpp>
#include <volley/encoder.hpp>
#include <volley/threads.hpp>

namespace volley {

/// The memory of a walk: its order, and two batches, the one in work and the one after it.
struct WalkMemory {
  struct Slot {
    explicit Slot(ThreadPool& threads) : tape(threads) {}
    Tape tape;
    Dataset augmented;                  // the pictures of the batch, where they are changed
    std::vector<std::uint32_t> places;  // 0, 1, 2, ...: their indices
  };

  explicit WalkMemory(ThreadPool& threads) : slots{Slot(threads), Slot(threads)} {}
  std::array<Slot, 2> slots;
  std::vector<std::uint32_t> order;
  bool walked = false;  // whether a walk has it now
};

/// A batch as it comes out of a walk.
struct Batch {
  std::span<const std::uint32_t> samples;  // the indices in the whole set, which address its random numbers
  const Dataset* data = nullptr;           // where its pictures are
  std::span<const std::uint32_t> places;   // their indices in `data`
  Signal x;
};

/// What a walk goes over, and how.
struct WalkPlan {
  const Dataset& data;
  std::span<const std::uint32_t> order;  // the pictures; the memory's order, or part of it
  std::size_t batch;
  std::size_t steps;
  Draw draw;
  const Encoder& encoder;
  const Augment* augment = nullptr;  // null: pictures as they are
  bool ahead = true;                 // whether the next batch is encoded while one is in work
};

/// One walk over pictures, batch by batch. While one batch is in work, the next is encoded
/// (ThreadPool::run_ahead), so that threads have something to do where they would wait for each other. There
/// is one walk at a time that does so.
class BatchWalk {
 public:
  BatchWalk(const WalkPlan& plan, WalkMemory& memory) : plan_(plan), memory_(memory) {
    if (plan.ahead) begin();
    memory.walked = true;
  }
  ~BatchWalk() {
    if (plan_.ahead) threads().drop_ahead();
    memory_.walked = false;
  }
  BatchWalk(const BatchWalk&) = delete;
  BatchWalk& operator=(const BatchWalk&) = delete;

  /// Goes on to the next batch; false after the last. batch() is it until the next call.
  bool next() {
    if (plan_.ahead) {
      threads().finish_ahead();
    } else {
      begin();
    }
    now_ = next_;
    if (now_.samples.empty()) return false;
    if (plan_.ahead) begin();
    return true;
  }
  const Batch& batch() const { return now_; }
  const Draw& draw() const { return plan_.draw; }

 private:
  ThreadPool& threads() const { return memory_.slots[0].tape.threads(); }

  /// Takes the next batch from the order, and encodes it or begins to.
  void begin() {
    const std::span<const std::uint32_t> samples =
        plan_.order.first(std::min(plan_.batch, plan_.order.size()));
    plan_.order = plan_.order.subspan(samples.size());
    turn_ = 1 - turn_;
    WalkMemory::Slot& slot = memory_.slots[turn_];
    next_ = {samples, &plan_.data, samples, {}};
    if (samples.empty()) return;
    Draw draw = plan_.draw;
    if (plan_.augment != nullptr) {
      plan_.augment->apply(slot.augmented, plan_.data, samples, draw, threads());
      slot.places.resize(samples.size());
      std::iota(slot.places.begin(), slot.places.end(), 0u);
      draw.known_as = samples;
      next_.data = &slot.augmented;
      next_.places = slot.places;
    }
    next_.x = plan_.ahead
                  ? plan_.encoder.encode_ahead(*next_.data, next_.places, plan_.steps, draw, slot.tape)
                  : plan_.encoder.encode(*next_.data, next_.places, plan_.steps, draw, slot.tape);
  }

  WalkPlan plan_;  // its order: what no batch has taken yet
  WalkMemory& memory_;
  std::size_t turn_ = 0;
  Batch now_, next_;
};

}  // namespace volley
