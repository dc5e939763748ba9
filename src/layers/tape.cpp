#include <volley/tape.hpp>

#include <fmt/format.h>

#include "layers/layer_access.hpp"

namespace volley {
namespace {

/// A hash of (parent, index) for networks that are deeper or wider than ten bits a level can tell apart.
std::uint64_t mixed(std::uint64_t parent, std::uint64_t index) {
  std::uint64_t z = parent * 0x9E3779B97F4A7C15u + index;  // the finalizer of SplitMix64
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

}  // namespace

std::uint32_t PassContext::address(std::size_t n) const {
  if (samples.empty()) return draw.first_sample + static_cast<std::uint32_t>(n);
  if (n >= samples.size()) {
    throw ArgumentError("tape", "samples must have one number for each sample of the batch",
                        fmt::format("{}", samples.size()));
  }
  return draw.first_sample + samples[n];
}

Tape::Tape(const Device& device) : pass_(std::make_unique<Pass>()), device_(&device) {}
Tape::Tape(ThreadPool& threads) : pass_(std::make_unique<Pass>()) {
  pass_->own_device = std::make_unique<Device>(threads);
  device_ = pass_->own_device.get();
}
Tape::Tape() : Tape(ThreadPool::shared()) {}
Tape::~Tape() { drop_saved(); }

void Tape::drop_saved() noexcept {
  if (pass_->saved == nullptr) return;
  try {
    device_->finish();
  } catch (...) {  // what an operation threw belongs to a pass that is given up
  }
  pass_->saved.reset();
}

Tensor& Tape::dx_memory() { return pass_->lent_dx != nullptr ? *pass_->lent_dx : pass_->own_dx; }

void* Tape::saved(const char* type, void* (*make)(), void (*drop)(void*)) {
  if (pass_->saved == nullptr || pass_->saved_type != type) {
    drop_saved();
    pass_->saved = {make(), drop};
    pass_->saved_type = type;
  }
  return pass_->saved.get();
}

const void* Tape::saved(const char* type) const {
  if (pass_->saved != nullptr && pass_->saved_type == type) return pass_->saved.get();
  throw ArgumentError("tape", "the layer must have kept in saved<T>() what is looked at",
                      "nothing of its type");
}

Tape& Tape::child(std::size_t index) {
  constexpr std::size_t kMost = 1 << 20;
  if (index >= kMost) {
    throw ArgumentError("tape", fmt::format("the index of a child must be < {}", kMost),
                        fmt::format("{}", index));
  }
  while (children_.size() <= index) {
    Tape& made = children_.emplace_back(*device_);
    const std::uint64_t number = children_.size();
    made.root_ = root_;
    made.parent_ = this;
    made.index_ = children_.size() - 1;
    made.place_ = number < 1024 && place_ >> 50 == 0 ? place_ << 10 | number : mixed(place_, number);
  }
  return children_[index];
}

}  // namespace volley
