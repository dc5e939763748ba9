#pragma once

#include <cassert>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace volley {

namespace detail {
/// The memory of a Buffer on a device that has its own (src/ops/executor.hpp); `bytes` of it are used.
struct Mirror;
struct BufferAccess;
/// Before the host reads, or reads and writes, the Buffer's own memory.
void host_reads(Mirror& mirror, std::size_t bytes);
void host_writes(Mirror& mirror, std::size_t bytes);
void drop(Mirror* mirror) noexcept;
}  // namespace detail

/// Memory aligned to a cache line for `size` plain values. `resize` keeps the memory it has when that is
/// enough, so that a training that has seen its largest batch asks for no more; contents are then
/// unspecified. It throws std::bad_alloc, also for a size whose bytes exceed a size_t, and changes nothing
/// then. Where asserts are on, indices are checked.
///
/// An operation of a Device may have written or read it in memory of the device: data() and what is made of
/// it then bring the values here first, so that a pointer holds until the next operation alone.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  static constexpr std::size_t kAlignment = 64;

  Buffer() = default;
  explicit Buffer(std::size_t size) { resize(size); }
  Buffer(const Buffer& other) { assign(other); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(const Buffer& other) {
    if (this != &other) assign(other);
    return *this;
  }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() { release(); }

  void resize(std::size_t size) {
    if (size > capacity_) {
      T* fresh = static_cast<T*>(::operator new (checked_bytes(size), std::align_val_t{kAlignment}));
      release();
      data_ = fresh;
      capacity_ = size;
    }
    size_ = size;
  }
  void zero() {
    if (size_ > 0) std::memset(static_cast<void*>(data()), 0, size_ * sizeof(T));
  }

  T* data() {
    if (detail::Mirror* known = mirror(); known != nullptr) detail::host_writes(*known, size_ * sizeof(T));
    return data_;
  }
  const T* data() const {
    if (detail::Mirror* known = mirror(); known != nullptr) detail::host_reads(*known, size_ * sizeof(T));
    return data_;
  }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) {
    assert(i < size_);
    return data()[i];
  }
  const T& operator[](std::size_t i) const {
    assert(i < size_);
    return data()[i];
  }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }

 private:
  friend struct detail::BufferAccess;

  /// It may be made by one thread while another reads. (<atomic> takes as long to compile as all of this.)
  detail::Mirror* mirror() const { return __atomic_load_n(&mirror_, __ATOMIC_ACQUIRE); }

  static std::size_t checked_bytes(std::size_t size) {
    if (size > (static_cast<std::size_t>(-1) - kAlignment) / sizeof(T)) throw std::bad_array_new_length();
    const std::size_t bytes = size * sizeof(T);
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  void assign(const Buffer& other) {
    resize(other.size_);
    if (size_ > 0) std::memcpy(static_cast<void*>(data()), other.data(), size_ * sizeof(T));
  }
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(mirror_, other.mirror_);
  }
  void release() {
    if (mirror_ != nullptr) detail::drop(std::exchange(mirror_, nullptr));
    if (data_ != nullptr) ::operator delete (data_, std::align_val_t{kAlignment});
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  mutable detail::Mirror* mirror_ = nullptr;  // none: the values are here alone
};

}  // namespace volley
