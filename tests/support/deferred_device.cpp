#include "support/deferred_device.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <thread>
#include <utility>

#include "cpu/cpu_executor.hpp"

namespace volley::test {
namespace {

constexpr std::size_t kArena = std::size_t{1} << 36;  // addresses, and not memory

std::size_t in_pages(std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

std::shared_ptr<Executor> make(ThreadPool& threads) { return std::make_shared<DeferredExecutor>(threads); }

const bool asked_for = [] {
  const char* wanted = std::getenv("VOLLEY_TEST_DEVICE");
  if (wanted == nullptr || std::string_view(wanted) != "deferred") return false;
  DeviceAccess::make_cpu = make;
  return true;
}();

}  // namespace

DeferredExecutor::DeferredExecutor(ThreadPool& threads) : threads_(threads) {
  void* memory = ::mmap(nullptr, kArena, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  arena_ = static_cast<std::byte*>(memory);
}

DeferredExecutor::~DeferredExecutor() { ::munmap(arena_, kArena); }

std::byte* DeferredExecutor::allocate(std::size_t bytes) {
  const std::scoped_lock lock(mutex_);
  const std::size_t size = in_pages(bytes);
  std::byte* memory = nullptr;
  if (const auto free = free_.find(size); free != free_.end()) {
    memory = free->second;
    free_.erase(free);
  } else {
    if (size > kArena - used_) throw std::bad_alloc();
    memory = arena_ + used_;
    used_ += size;
  }
  blocks_[memory] = size;
  return memory;
}

void DeferredExecutor::free(std::byte* memory) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto drop = [this, memory] {
    const auto block = blocks_.find(memory);
    free_.emplace(block->second, memory);
    blocks_.erase(block);
  };
  if (queue_.empty()) {
    drop();
  } else {
    queue_.emplace_back(drop);  // operations that have been begun may need it
  }
}

void DeferredExecutor::begin(std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  queue_.push_back(std::move(work));
  ++operations_;
}

std::size_t DeferredExecutor::waiting() {
  const std::scoped_lock lock(mutex_);
  return queue_.size();
}

void DeferredExecutor::protect(bool on) {
  if (used_ > 0) ::mprotect(arena_, used_, on ? PROT_NONE : PROT_READ | PROT_WRITE);
}

void DeferredExecutor::finish() {
  const std::scoped_lock lock(mutex_);
  if (queue_.empty()) return;
  std::exception_ptr failure;
  std::thread([&] {
    protect(false);
    for (const std::function<void()>& work : std::exchange(queue_, {})) {
      try {
        work();
      } catch (...) {
        if (failure == nullptr) failure = std::current_exception();
      }
    }
    protect(true);
  }).join();
  if (failure != nullptr) std::rethrow_exception(failure);
}

void DeferredExecutor::copy_in(std::byte* to, const std::byte* from, std::size_t bytes) {
  const std::scoped_lock lock(mutex_);
  finish();
  protect(false);
  std::memcpy(to, from, bytes);
  protect(true);
}

void DeferredExecutor::copy_out(std::byte* to, const std::byte* from, std::size_t bytes) {
  const std::scoped_lock lock(mutex_);
  finish();
  protect(false);
  std::memcpy(to, from, bytes);
  protect(true);
}

#define VOLLEY_RUN_OPERATION(Operation)                  \
  void DeferredExecutor::run(const ops::Operation& op) { \
    begin([this, op] { cpu::run(threads_, op); });       \
  }
VOLLEY_FOR_EACH_OPERATION(VOLLEY_RUN_OPERATION)
#undef VOLLEY_RUN_OPERATION

DeferredExecutor& deferred(const Device& device) {
  return dynamic_cast<DeferredExecutor&>(DeviceAccess::executor(device));
}

UseDeferredDevices::UseDeferredDevices() : before_(std::exchange(DeviceAccess::make_cpu, make)) {}
UseDeferredDevices::~UseDeferredDevices() { DeviceAccess::make_cpu = before_; }

}  // namespace volley::test
