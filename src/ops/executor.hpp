#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <volley/buffer.hpp>
#include <volley/device.hpp>
#include <volley/signal.hpp>
#include <volley/spikes.hpp>
#include <volley/tensor.hpp>
#include <volley/threads.hpp>

#include "ops/operations.hpp"

namespace volley {

class KeptNumbers;

/// What every kind of device implements: memory, and a function for each operation of ops/operations.hpp.
///
/// An operation may run later than run returns, and in another thread; but those of one executor run one
/// after another, as they were begun. What an operation throws is thrown by finish, which also everything
/// calls that looks at results.
class Executor : public std::enable_shared_from_this<Executor> {
 public:
  Executor() = default;
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Whether the host's memory is the device's, and operations are done when run returns.
  virtual bool is_host() const = 0;
  /// Where it is not: memory of the device, and copies that are in order with the operations and are done
  /// when they return.
  virtual std::byte* allocate(std::size_t bytes);
  virtual void free(std::byte* memory) noexcept;
  virtual void copy_in(std::byte* to, const std::byte* from, std::size_t bytes);
  virtual void copy_out(std::byte* to, const std::byte* from, std::size_t bytes);
  virtual void finish() {}

#define VOLLEY_DECLARE_OPERATION(Operation) virtual void run(const ops::Operation& operation) = 0;
  VOLLEY_FOR_EACH_OPERATION(VOLLEY_DECLARE_OPERATION)
#undef VOLLEY_DECLARE_OPERATION

  /// Where the next layer reads sample by sample, a device may compute what these write as it is read; null:
  /// run is called. `from` is the signal that they read. They live until the slot's next operation.
#define VOLLEY_DECLARE_DEFERRED(Operation) \
  virtual const SampleSource* defer(const ops::Operation& op, const Signal& from, ops::Slot& slot);
  VOLLEY_FOR_EACH_DEFERRED_OPERATION(VOLLEY_DECLARE_DEFERRED)
#undef VOLLEY_DECLARE_DEFERRED

  /// Begins an operation that need not be done before threads().finish_ahead(): the CPU's threads do it where
  /// they would wait. Its slot is used for nothing else until then.
  virtual void run_ahead(const ops::PoissonEncode& op, ops::Slot& slot);

  // Where an operation finds an array. The pointers are the device's: only operations may look there.

  /// What it reads.
  template <class T>
  const T* read(const Buffer<T>& array);
  /// What it overwrites as a whole.
  template <class T>
  T* write(Buffer<T>& array);
  /// What it adds to, or overwrites in part.
  template <class T>
  T* update(Buffer<T>& array);

  const float* read(const Tensor& array) { return read(array.data_); }
  float* write(Tensor& array) { return write(array.data_); }
  float* update(Tensor& array) { return update(array.data_); }

  /// Where it has `values`, a part of some that a KeptNumbers keeps; null: nowhere.
  const std::uint32_t* find(std::span<const std::uint32_t> values);

  std::uint64_t copied_bytes() const { return copied_bytes_; }

 private:
  friend class KeptNumbers;
  std::mutex keeping_;
  std::vector<const KeptNumbers*> kept_;
  friend struct detail::Mirror;
  std::atomic<std::uint64_t> copied_bytes_{0};
};

/// Numbers of the host that a device with its own memory has too, as long as this lives: they do not change,
/// and parts of them are not copied.
class KeptNumbers {
 public:
  KeptNumbers(std::span<const std::uint32_t> values, Executor& device);
  ~KeptNumbers();
  KeptNumbers(const KeptNumbers&) = delete;
  KeptNumbers& operator=(const KeptNumbers&) = delete;

 private:
  friend class Executor;
  std::span<const std::uint32_t> values_;
  Executor& device_;
  Buffer<std::uint32_t> there_;
};

/// The private side of a Device.
struct DeviceAccess {
  static Executor& executor(const Device& device) { return *device.executor_; }

  /// Makes what Device(ThreadPool&) and Device("cpu") run operations with; a test puts its own here.
  using Factory = std::shared_ptr<Executor> (*)(ThreadPool& threads);
  static inline Factory make_cpu = nullptr;  // null: the CPU's own
};

namespace detail {

/// A Buffer's memory on a device whose memory is not the host's. Of the two, the one that was written last is
/// right; the other becomes so when it is asked for. Several threads may ask at once.
struct Mirror {
  enum class Newest { both, host, device };

  std::shared_ptr<Executor> executor;
  std::byte* host = nullptr;
  std::byte* device = nullptr;
  std::size_t bytes = 0;  // that there are of each
  std::atomic<Newest> newest{Newest::host};

  Mirror(std::shared_ptr<Executor> of, std::byte* host_memory, std::size_t size);
  ~Mirror();
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  /// Copies what is newest there to the other side, unless another thread has done it.
  void copy(Newest from, std::size_t used);
};

/// The private side of a Buffer.
struct BufferAccess {
  /// That of `buffer` on this device; made where it has none.
  template <class T>
  static Mirror& mirror(const Buffer<T>& buffer, Executor& executor) {
    return mirror(buffer.mirror_, reinterpret_cast<std::byte*>(buffer.data_), buffer.capacity_ * sizeof(T),
                  buffer.size_ * sizeof(T), executor);
  }

 private:
  static Mirror& mirror(Mirror*& held, std::byte* host, std::size_t capacity, std::size_t used,
                        Executor& executor);
};

}  // namespace detail

template <class T>
const T* Executor::read(const Buffer<T>& array) {
  if (is_host() || array.size() == 0) return array.data();
  detail::Mirror& mirror = detail::BufferAccess::mirror(array, *this);
  constexpr auto kHost = detail::Mirror::Newest::host;
  if (mirror.newest == kHost) mirror.copy(kHost, array.size() * sizeof(T));
  return reinterpret_cast<const T*>(mirror.device);
}

template <class T>
T* Executor::update(Buffer<T>& array) {
  if (is_host() || array.size() == 0) return array.data();
  const T* memory = read(array);
  detail::BufferAccess::mirror(array, *this).newest = detail::Mirror::Newest::device;
  return const_cast<T*>(memory);
}

template <class T>
T* Executor::write(Buffer<T>& array) {
  if (is_host() || array.size() == 0) return array.data();
  detail::Mirror& mirror = detail::BufferAccess::mirror(array, *this);
  mirror.newest = detail::Mirror::Newest::device;
  return reinterpret_cast<T*>(mirror.device);
}

}  // namespace volley
