#pragma once

#include <cassert>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <vector>

#include <volley/buffer.hpp>

namespace volley {

/// Memory of one thread for values that live as long as a C++ scope. It is a stack of a few blocks:
///
///     block 0   [ A | B |      free        ]
///     block 1   [ C   | D | free ]   <- top
///
/// `take` moves the top up, `release` moves it back down. Blocks are kept, so that a thread that repeats its
/// work asks for no more memory. A thread of a ThreadPool has the pool's workspace inside the pool's bodies,
/// and that memory is returned with the pool. Outside of them each thread has one until its end.
class Workspace {
 public:
  /// A place in the stack.
  struct Mark {
    std::size_t block = 0;
    std::size_t used = 0;
  };

  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  /// `bytes` of unspecified contents, aligned to a cache line.
  std::byte* take(std::size_t bytes);
  Mark mark() const { return {block_, used_}; }
  /// Frees all that was taken after `mark`.
  void release(Mark mark) noexcept;
  /// The size of all blocks.
  std::size_t bytes() const;

  /// That of this thread.
  static Workspace& current();

  /// Makes `workspace` that of this thread until the end of the scope. Null changes nothing.
  class Use {
   public:
    explicit Use(Workspace* workspace);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Workspace* before_;
  };

 private:
  std::byte* bump(std::size_t bytes);

  std::vector<Buffer<std::byte>> blocks_;
  std::size_t block_ = 0;  // the one with the top
  std::size_t used_ = 0;   // bytes of it that are taken
};

/// `size` values of unspecified contents in this thread's workspace, aligned to a cache line, until the end
/// of the scope. Scratches of one thread end in reverse order: each is a local variable, or a member of one.
template <class T>
class Scratch {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit Scratch(std::size_t size)
      : workspace_(Workspace::current()), mark_(workspace_.mark()), size_(size) {
    if (size > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    data_ = reinterpret_cast<T*>(workspace_.take(size * sizeof(T)));
  }
  ~Scratch() { workspace_.release(mark_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() { return data_; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) {
    assert(i < size_);
    return data_[i];
  }
  std::span<T> span() { return {data_, size_}; }
  void zero() { std::memset(static_cast<void*>(data_), 0, size_ * sizeof(T)); }

 private:
  Workspace& workspace_;
  Workspace::Mark mark_;
  std::size_t size_;
  T* data_;
};

}  // namespace volley
