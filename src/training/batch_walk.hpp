#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <future>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <volley/augment.hpp>
#include <volley/encoder.hpp>
#include <volley/source.hpp>
#include <volley/threads.hpp>

#include "training/augment_on_device.hpp"

namespace volley {

/// The memory of a walk: its order, and three batches, the one in work, the one after it, which is encoded,
/// and the one after that, which is read.
struct WalkMemory {
  struct Slot {
    explicit Slot(const Device& device) : tape(device) {}
    Tape tape;
    Samples read;                       // what the source gave
    Dataset pictures, augmented;        // those of the batch, where they are read, and changed
    std::vector<std::uint32_t> places;  // 0, 1, 2, ...: their indices
    DevicePictures augmented_there;
    PicturesMemory to_augment;
  };

  explicit WalkMemory(const Device& device) : slots{Slot(device), Slot(device), Slot(device)} {}
  std::array<Slot, 3> slots;
  std::vector<std::uint32_t> order;
  bool walked = false;  // whether a walk has it now
};

/// A batch as it comes out of a walk.
struct Batch {
  std::span<const std::uint32_t> samples;  // the indices in the whole set, which address its random numbers
  const Dataset* data = nullptr;           // where its pictures are, if it has any
  std::span<const std::uint32_t> places;   // their indices in `data`
  DevicePictures* pictures = nullptr;      // `data`, if a device with its own memory has it
  DevicePictures* set = nullptr;           // the same of the whole set
  const Targets* targets = nullptr;
  Signal x;
};

/// What a walk goes over, and how.
struct WalkPlan {
  const Source& source;
  std::span<const std::uint32_t> order;  // the samples; the memory's order, or part of it
  std::size_t batch;
  std::size_t steps;
  Draw draw;
  const Encoder& encoder;
  const Augment* augment = nullptr;  // null: pictures as they are
  DevicePictures* set = nullptr;     // the source's pictures, for a device with its own memory
  bool host_pixels = true;           // whether the host reads the pixels of a batch, and not operations alone
  bool ahead = true;                 // whether the next batches are read and encoded while one is in work
};

/// One walk over samples, batch by batch. While one batch is in work, the next is encoded
/// (ThreadPool::run_ahead), so that threads have something to do where they would wait for each other, and
/// the one after that is read, in a thread of its own. There is one walk at a time that does so.
class BatchWalk {
 public:
  BatchWalk(const WalkPlan& plan, WalkMemory& memory)
      : plan_(plan),
        memory_(memory),
        order_(plan.order, DeviceAccess::executor(memory.slots[0].tape.device())),
        pictures_(plan.source.pictures()) {
    if (plan.ahead) {
      read_next();
      begin();
    }
    memory.walked = true;
  }
  ~BatchWalk() {
    if (reading_.valid()) reading_.wait();
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
      read_next();
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

  /// Takes the next batch from the order, and reads it or begins to.
  void read_next() {
    const std::span<const std::uint32_t> samples =
        plan_.order.first(std::min(plan_.batch, plan_.order.size()));
    plan_.order = plan_.order.subspan(samples.size());
    turn_ = (turn_ + 1) % memory_.slots.size();
    WalkMemory::Slot& slot = memory_.slots[turn_];
    to_read_ = {
        .samples = samples, .data = pictures_, .places = samples, .targets = &slot.read.targets, .x = {}};
    if (samples.empty()) return;
    if (pictures_ != nullptr) {
      std::vector<std::uint32_t>& labels = slot.read.targets.labels;
      labels.resize(samples.size());
      std::ranges::transform(samples, labels.begin(),
                             [&](std::uint32_t sample) { return pictures_->labels[sample]; });
    } else if (plan_.ahead) {
      reading_ =
          std::async(std::launch::async, [this, samples, &slot] { plan_.source.read(samples, slot.read); });
    } else {
      plan_.source.read(samples, slot.read);
    }
  }

  /// Encodes the batch that has been read or begins to, and goes on to read the one after it.
  void begin() {
    if (reading_.valid()) reading_.get();
    WalkMemory::Slot& slot = memory_.slots[turn_];
    next_ = to_read_;
    if (plan_.ahead) read_next();
    if (!next_.samples.empty()) next_.x = encode(slot);
  }

  /// The signal of next_, which lies in `slot`.
  Signal encode(WalkMemory::Slot& slot) {
    const SourceInfo& info = plan_.source.info();
    switch (info.kind) {
      case SampleKind::bytes: return encode_pictures(slot);
      case SampleKind::sequences: return plan_.encoder.encode(Signal(slot.read.values), slot.tape);
      case SampleKind::spikes: return plan_.encoder.encode(Signal(slot.read.spikes), slot.tape);
      case SampleKind::values:
      case SampleKind::events: break;
    }
    Draw draw = plan_.draw;
    draw.known_as = next_.samples;
    return plan_.encoder.encode(slot.read.values, plan_.steps, draw, slot.tape);
  }

  Signal encode_pictures(WalkMemory::Slot& slot) {
    Draw draw = plan_.draw;
    next_.pictures = next_.set = plan_.set;
    if (pictures_ == nullptr) {
      slot.pictures.name = plan_.source.info().name;
      slot.pictures.shape = plan_.source.info().shape;
      slot.pictures.labels.resize(next_.samples.size());
      std::swap(slot.pictures.pixels, slot.read.bytes);
      show(slot.pictures, nullptr, slot, draw);
    }
    Executor& device = DeviceAccess::executor(slot.tape.device());
    if (plan_.augment != nullptr && (plan_.host_pixels || device.is_host())) {
      plan_.augment->apply(slot.augmented, *next_.data, next_.places, draw, threads());
      show(slot.augmented, nullptr, slot, draw);
    } else if (plan_.augment != nullptr) {
      augment_on_device(*plan_.augment, slot.augmented, slot.augmented_there, *next_.data, next_.places,
                        next_.pictures, draw, slot.to_augment, device);
      show(slot.augmented, &slot.augmented_there, slot, draw);
    }
    slot.tape.set_context({.draw = {}, .samples = {}, .pictures = next_.pictures});
    return plan_.ahead ? plan_.encoder.encode_ahead(*next_.data, next_.places, plan_.steps, draw, slot.tape)
                       : plan_.encoder.encode(*next_.data, next_.places, plan_.steps, draw, slot.tape);
  }

  /// The pictures of next_ are those of `data`, which has these alone; their random numbers stay theirs.
  void show(const Dataset& data, DevicePictures* pictures, WalkMemory::Slot& slot, Draw& draw) {
    slot.places.resize(next_.samples.size());
    std::iota(slot.places.begin(), slot.places.end(), 0u);
    draw.known_as = next_.samples;
    next_.data = &data;
    next_.pictures = pictures;
    next_.places = slot.places;
  }

  WalkPlan plan_;  // its order: what no batch has taken yet
  WalkMemory& memory_;
  KeptNumbers order_;        // the batches are parts of it
  const Dataset* pictures_;  // where all samples are pictures in memory
  std::size_t turn_ = 0;
  std::future<void> reading_;
  Batch now_, next_, to_read_;
};

}  // namespace volley
