#include "core/workspace.hpp"

#include <algorithm>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define VOLLEY_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VOLLEY_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(VOLLEY_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace volley {
namespace {

constexpr std::size_t kLine = Buffer<std::byte>::kAlignment;
constexpr std::size_t kSmallestBlock = std::size_t{1} << 16;

thread_local Workspace* current_workspace = nullptr;

// Under AddressSanitizer, memory that is not taken is poisoned, and a line of it follows whatever is taken.
#if defined(VOLLEY_ADDRESS_SANITIZER)
constexpr std::size_t kRedZone = kLine;
void poison(const std::byte* memory, std::size_t bytes) { __asan_poison_memory_region(memory, bytes); }
void unpoison(const std::byte* memory, std::size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }
#else
constexpr std::size_t kRedZone = 0;
void poison(const std::byte*, std::size_t) {}
void unpoison(const std::byte*, std::size_t) {}
#endif

}  // namespace

std::byte* Workspace::take(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(-1) / 2) throw std::bad_alloc();
  const std::size_t lines = std::max<std::size_t>(1, (bytes + kLine - 1) / kLine);
  std::byte* memory = bump(lines * kLine + kRedZone);
  unpoison(memory, lines * kLine);
  return memory;
}

std::byte* Workspace::bump(std::size_t bytes) {
  const auto fits = [&](std::size_t block, std::size_t used) {
    return bytes <= blocks_[block].size() - used;
  };
  if (block_ == blocks_.size() || !fits(block_, used_)) {
    std::size_t next = std::min(block_ + (used_ > 0 ? 1 : 0), blocks_.size());
    const std::size_t first_empty = next;
    while (next < blocks_.size() && !fits(next, 0)) ++next;
    if (next == blocks_.size()) {  // empty blocks are all too small: one takes their place
      blocks_.resize(first_empty);
      Buffer<std::byte> block(std::max(kSmallestBlock, bytes + bytes / 4));
      poison(block.data(), block.size());
      blocks_.push_back(std::move(block));
      next = first_empty;
    }
    block_ = next;
    used_ = 0;
  }
  std::byte* memory = blocks_[block_].data() + used_;
  used_ += bytes;
  return memory;
}

void Workspace::release(Mark mark) noexcept {
  for (std::size_t block = mark.block; block <= block_ && block < blocks_.size(); ++block) {
    const std::size_t from = block == mark.block ? mark.used : 0;
    poison(blocks_[block].data() + from, blocks_[block].size() - from);
  }
  block_ = mark.block;
  used_ = mark.used;
}

std::size_t Workspace::bytes() const {
  std::size_t sum = 0;
  for (const Buffer<std::byte>& block : blocks_) sum += block.size();
  return sum;
}

Workspace& Workspace::current() {
  if (current_workspace != nullptr) return *current_workspace;
  static thread_local Workspace of_thread;
  return of_thread;
}

Workspace::Use::Use(Workspace* workspace) : before_(current_workspace) {
  if (workspace != nullptr) current_workspace = workspace;
}
Workspace::Use::~Use() { current_workspace = before_; }

}  // namespace volley
