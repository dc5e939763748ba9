#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace volley {

/// Workers that share out the outputs of one operation after another. Results never depend on how many there
/// are. A thread that would wait does a piece of the work that is to be done ahead, if there is any; else it
/// spins for a few microseconds, then sleeps (docs/decisions/threads.md).
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

  /// Begins a job of the same kind and returns at once: threads take its pieces while they would wait for
  /// something else. `context` must live until finish_ahead or drop_ahead; there is one such job at a time.
  void run_ahead(std::size_t items, std::size_t grain, Body body, void* context);
  /// Returns when the job begun by run_ahead, if any, is done. The first exception a piece threw is rethrown.
  void finish_ahead();
  /// Returns when no thread works on that job any more; what nobody has begun is left undone.
  void drop_ahead() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

namespace detail {
template <class Function>
void call_piece(void* function, std::size_t begin, std::size_t end) {
  (*static_cast<Function*>(function))(begin, end);
}
}  // namespace detail

/// `body(begin, end)` over [0, items) in pieces of at most `grain`, shared out among the pool's threads.
template <class Function>
void parallel_for(ThreadPool& pool, std::size_t items, std::size_t grain, Function&& body) {
  pool.run(items, grain, detail::call_piece<std::remove_reference_t<Function>>,
           const_cast<void*>(static_cast<const void*>(&body)));
}

/// The same, done ahead: see ThreadPool::run_ahead. `body` must live until that is finished.
template <class Function>
void parallel_for_ahead(ThreadPool& pool, std::size_t items, std::size_t grain, Function& body) {
  pool.run_ahead(items, grain, detail::call_piece<Function>, &body);
}

}  // namespace volley
