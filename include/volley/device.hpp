#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace volley {

class Executor;
class ThreadPool;

/// Where the operations of a pass run, and where what they read and write lies. A layer says what is
/// computed; the device computes it. No result depends on which it is.
///
/// Tensors and spikes follow by themselves: an operation brings what it reads to its device, and the host's
/// code finds what it reads on the host, at the cost of a copy where that is another memory. copied_bytes()
/// counts these. On a CPU there is one memory, and none is copied.
///
/// Threads: a device may serve several tapes in several threads at once. It outlives them.
class Device {
 public:
  /// "cpu"; "cuda" or "cuda:N", the N-th GPU from 0; "auto", a GPU where there is one, else the CPU.
  /// `threads` of the host, 0: one for each usable processor. Throws ArgumentError for another name, and
  /// DeviceError where there is no such device, or this build cannot use it.
  explicit Device(std::string_view name = "cpu", std::size_t threads = 0);
  /// The CPU with the threads of a pool, which must outlive the device.
  explicit Device(ThreadPool& threads);
  /// When its operations are done.
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// "cpu", "cuda:0"
  const std::string& name() const { return name_; }
  /// Those of the host.
  ThreadPool& threads() const { return *threads_; }
  /// Returns when all operations that were begun are done. What one of them threw is thrown here, or by the
  /// next use of what it should have written.
  void finish() const;
  /// Bytes that were copied between the host's memory and the device's, both ways, since the device was made.
  std::uint64_t copied_bytes() const;

 private:
  friend struct DeviceAccess;  // src/ops/executor.hpp

  std::string name_;
  std::unique_ptr<ThreadPool> own_threads_;
  ThreadPool* threads_;
  std::shared_ptr<Executor> executor_;
};

/// A device of this machine.
struct DeviceInfo {
  std::string name;         // as Device takes it
  std::string description;  // "AMD EPYC 7763, 8 usable processors"
};

/// The devices that this build can use here, the CPU first.
std::vector<DeviceInfo> devices();

/// Throws ArgumentError for what is never a device's name. Whether there is such a device, only Device knows.
void check_device_name(std::string_view name);

}  // namespace volley
