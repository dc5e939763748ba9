#pragma once

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <volley/threads.hpp>

#include "ops/executor.hpp"

namespace volley::test {

/// A device that shows what only a CPU forgives. Its memory cannot be read or written by the host's code at
/// all; operations run when a result is asked for, all that have been begun, one after another in another
/// thread, by the CPU's kernels. It counts what runs.
///
/// With VOLLEY_TEST_DEVICE=deferred in the environment every CPU device of a test program is one.
class DeferredExecutor final : public Executor {
 public:
  explicit DeferredExecutor(ThreadPool& threads);
  ~DeferredExecutor() override;

  bool is_host() const override { return false; }
  std::byte* allocate(std::size_t bytes) override;
  void free(std::byte* memory) noexcept override;
  void copy_in(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void copy_out(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void finish() override;

#define VOLLEY_RUN_OPERATION(Operation) void run(const ops::Operation& op) override;
  VOLLEY_FOR_EACH_OPERATION(VOLLEY_RUN_OPERATION)
#undef VOLLEY_RUN_OPERATION

  /// Operations that have run or will.
  std::size_t operations() const { return operations_; }
  /// Of these, how many have not run.
  std::size_t waiting();

 private:
  void begin(std::function<void()> work);
  void protect(bool on);

  ThreadPool& threads_;
  std::recursive_mutex mutex_;
  std::byte* arena_ = nullptr;                   // one piece, whose protection is one call
  std::size_t used_ = 0;                         // bytes of it that have been given out
  std::map<std::byte*, std::size_t> blocks_;     // given out now
  std::multimap<std::size_t, std::byte*> free_;  // by size
  std::vector<std::function<void()>> queue_;
  std::size_t operations_ = 0;
};

/// The executor of a device that is one.
DeferredExecutor& deferred(const Device& device);

/// Every CPU device that is made while it lives is a DeferredExecutor.
class UseDeferredDevices {
 public:
  UseDeferredDevices();
  ~UseDeferredDevices();
  UseDeferredDevices(const UseDeferredDevices&) = delete;
  UseDeferredDevices& operator=(const UseDeferredDevices&) = delete;

 private:
  DeviceAccess::Factory before_;
};

}  // namespace volley::test
