#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace volley {

/// Workers that share out the outputs of one operation after another. Results never depend on how many there
/// are. A worker without work spins for a few microseconds, then sleeps (docs/decisions/threads.md).
class ThreadPool {
 public:
  /// `threads` counts the caller; 0 means one per processor that this process may use.
  explicit ThreadPool(std::size_t threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t size() const;
  /// One pool with a thread per processor, for callers that bring none.
  static ThreadPool& shared();

  using Body = void (*)(void* context, std::size_t begin, std::size_t end);
  /// Calls body on consecutive pieces [begin, end) of [0, items), each of `grain` items or fewer, each once,
  /// and returns when all are done. The first exception a piece throws is rethrown here. One caller at a
  /// time.
  void run(std::size_t items, std::size_t grain, Body body, void* context);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// `body(begin, end)` over [0, items) in pieces of at most `grain`, shared out among the pool's threads.
template <class Function>
void parallel_for(ThreadPool& pool, std::size_t items, std::size_t grain, Function&& body) {
  pool.run(
      items, grain,
      [](void* context, std::size_t begin, std::size_t end) {
        (*static_cast<std::remove_reference_t<Function>*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace volley
