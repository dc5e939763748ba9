#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace volley {

/// Workers that share out the outputs of one operation after another. No result depends on their number. A
/// thread that waits first takes pieces of the job that is done ahead, then spins for a few microseconds,
/// then sleeps (docs/decisions/threads.md).
///
/// Rules for threads:
/// - `run` may be called at any time, from any thread. A second caller beside the first, and a call from
///   inside a body, run their pieces one after another on the calling thread.
/// - Pieces of one job must not wait for each other: one thread may have them all.
/// - The job that is done ahead belongs to the thread that began it. Only that thread may finish it or begin
///   another, and not from inside the job's own body: otherwise an ArgumentError.
/// - The pool outlives each call. Its destructor must not run in one of its bodies.
/// - A forked child process inherits no worker. There the pool may only be destroyed.
class ThreadPool {
 public:
  static constexpr std::size_t kMostThreads = 1024;

  /// `threads` counts the caller; 0: one per usable processor; more than kMostThreads: an ArgumentError.
  /// Where the system refuses a thread, the pool has fewer: size(). An x86-64 without AVX2 and FMA is an
  /// Error.
  explicit ThreadPool(std::size_t threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// The threads that there are, the caller among them.
  std::size_t size() const;
  /// One pool with a thread per processor, for callers that bring none.
  static ThreadPool& shared();

  using Body = void (*)(void* context, std::size_t begin, std::size_t end);
  /// Calls body on consecutive pieces [begin, end) of [0, items), each of `grain` items or fewer, each once,
  /// and returns when all are done. After the first exception that a piece throws no other piece begins, and
  /// it is rethrown here. A null body is an ArgumentError.
  void run(std::size_t items, std::size_t grain, Body body, void* context);

  /// Begins a job of the same kind and returns at once: threads take its pieces while they would wait for
  /// something else. `context` must live until finish_ahead or drop_ahead. There is one such job at a time:
  /// an earlier one of this thread is finished first.
  void run_ahead(std::size_t items, std::size_t grain, Body body, void* context);
  /// Returns when the job begun by run_ahead, if any, is done. The first exception that a piece threw is
  /// rethrown. A job that another thread dropped is an ArgumentError.
  void finish_ahead();
  /// Returns when no thread works on that job any more; pieces that have not begun are left undone. Inside
  /// the job's own body it returns at once, and no other piece begins.
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
  pool.run_ahead(items, grain, detail::call_piece<Function>,
                 const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace volley
