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

Tape::Tape(const Device& device) : device_(&device), pass_(std::make_unique<Pass>()) {}
Tape::Tape(ThreadPool& threads)
    : own_device_(std::make_unique<Device>(threads)),
      device_(own_device_.get()),
      pass_(std::make_unique<Pass>()) {}
Tape::~Tape() { drop_saved(); }

void Tape::drop_saved() noexcept {
  if (saved_ == nullptr) return;
  try {
    device_->finish();
  } catch (...) {  // what an operation threw belongs to a pass that is given up
  }
  saved_.reset();
}

Tensor& Tape::dx_memory() { return pass_->lent_dx != nullptr ? *pass_->lent_dx : pass_->own_dx; }

void Tape::refuse_saved() {
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
