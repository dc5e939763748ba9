#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <volley/error.hpp>
#include <volley/threads.hpp>

#include "core/processor.hpp"
#include "core/workspace.hpp"

namespace volley {
namespace {

// How long a thread that waits spins before it sleeps. Waking a sleeper costs some 5 to 50 microseconds;
// spinning longer than that takes the core from a neighbour (docs/decisions/threads.md).
constexpr int kSpins = 1000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::size_t usable_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::size_t>(CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

constexpr const char* kPool = "thread pool";

void check_body(ThreadPool::Body body) {
  if (body == nullptr) throw ArgumentError(kPool, "body must not be null");
}

/// The job whose body this thread is in, and those around it.
struct Inside {
  const void* job;
  const Inside* outer;
};
thread_local const Inside* innermost = nullptr;

/// [0, items) in pieces of `grain`. Pieces are counted, not items: a sum of items could overflow.
struct Pieces {
  ThreadPool::Body body = nullptr;
  void* context = nullptr;
  std::size_t items = 0;
  std::size_t grain = 1;

  std::size_t count() const { return items / grain + (items % grain != 0 ? 1 : 0); }
  void call(std::size_t piece) const {
    const std::size_t begin = piece * grain;
    body(context, begin, begin + std::min(grain, items - begin));
  }
};

/// Pieces that threads claim from a counter. The owner opens the gate and shuts it, and waits only for the
/// threads that are inside.
/// SAFETY: pieces_ is written while the gate is shut and empty, published by the release store that opens it,
/// and read only by threads that entered, after their acquire. count_ is atomic because has_pieces reads it
/// from outside, where a new job may be opened at that moment.
class Job {
 public:
  void open(const Pieces& pieces) {
    pieces_ = pieces;
    count_.store(pieces.count(), std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    gate_.store(kOpen, std::memory_order_release);
  }
  bool enter() {
    std::uint32_t state = gate_.load(std::memory_order_acquire);
    while ((state & kOpen) != 0) {
      if (gate_.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }
  void leave() {
    if (gate_.fetch_sub(1, std::memory_order_acq_rel) == 1) gate_.notify_one();
  }
  /// Shuts the gate; returns how many are inside.
  std::uint32_t shut() { return gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen; }
  const std::atomic<std::uint32_t>& gate() const { return gate_; }

  /// One piece, if there is one left; inside the gate, or for the owner.
  bool work_piece() {
    const std::size_t piece = next_.fetch_add(1, std::memory_order_relaxed);
    if (piece >= count_.load(std::memory_order_relaxed)) return false;
    const Inside inside{this, innermost};
    innermost = &inside;
    try {
      pieces_.call(piece);
      innermost = inside.outer;
      return true;
    } catch (...) {
      innermost = inside.outer;
      const std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
      give_up();
      return false;
    }
  }
  /// Whether a thread that looks in now would find a piece; a hint.
  bool has_pieces() const {
    return (gate_.load(std::memory_order_acquire) & kOpen) != 0 &&
           next_.load(std::memory_order_relaxed) < count_.load(std::memory_order_relaxed);
  }
  /// No other piece begins.
  void give_up() { next_.store(count_.load(std::memory_order_relaxed), std::memory_order_relaxed); }
  /// Whether this thread is in its body.
  bool surrounds_us() const {
    for (const Inside* inside = innermost; inside != nullptr; inside = inside->outer)
      if (inside->job == this) return true;
    return false;
  }
  /// After all have left.
  std::exception_ptr take_error() { return std::exchange(error_, nullptr); }

 private:
  static constexpr std::uint32_t kOpen = 1u << 31;

  Pieces pieces_;
  std::atomic<std::size_t> count_{0};
  std::atomic<std::size_t> next_{0};    // the first piece that is not claimed
  std::atomic<std::uint32_t> gate_{0};  // kOpen, plus the number of threads inside
  std::mutex error_mutex_;              // SAFETY: guards error_
  std::exception_ptr error_;
};

}  // namespace

struct ThreadPool::State {
  Job job;
  Job ahead;
  std::atomic<std::uint32_t> generation{0};  // raised at every new job: what idle workers wait on
  std::atomic<bool> quit{false};
  std::vector<std::thread> workers;
  const ::pid_t process = ::getpid();

  std::atomic<bool> called{false};  // SAFETY: true while one caller owns `job` and `callers`
  Workspace callers;                // memory for pieces that the caller runs

  std::mutex ahead_mutex;               // SAFETY: guards the next two, and `ahead` while no piece is claimed
  bool ahead_begun = false;             // between run_ahead and finish_ahead or drop_ahead
  std::thread::id ahead_owner;          // the thread that called run_ahead
  std::atomic<bool> ahead_lost{false};  // pieces were left out that the owner knows nothing of

  /// Waits until `value` is no longer `old`: does what is to be done ahead, then spins briefly, then sleeps.
  std::uint32_t wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
    for (int i = 0; i < kSpins; ++i) {
      const std::uint32_t now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      if (ahead.has_pieces() && ahead.enter()) {
        if (ahead.work_piece()) i = 0;
        ahead.leave();
      } else {
        pause();
      }
    }
    value.wait(old, std::memory_order_acquire);
    return value.load(std::memory_order_acquire);
  }

  void work() {
    Workspace workspace;
    const Workspace::Use use(&workspace);
    std::uint32_t seen = 0;
    for (;;) {
      seen = wait_for_change(generation, seen);
      if (quit.load(std::memory_order_acquire)) return;
      if (job.enter()) {
        while (job.work_piece()) {
        }
        job.leave();
      }
    }
  }

  void announce() {
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
  }

  /// Shuts the gate and waits for those inside.
  void close(Job& closing) {
    std::uint32_t inside = closing.shut();
    while (inside != 0) inside = wait_for_change(closing.gate(), inside);
  }

  bool in_body() const { return job.surrounds_us() || ahead.surrounds_us(); }

  /// Throws unless this thread may begin or finish the job done ahead. With ahead_mutex.
  void check_ahead(const char* function) const {
    if (!ahead_begun || ahead_owner == std::this_thread::get_id()) return;
    throw ArgumentError(
        kPool, std::string(function) + " must not be called while a job of another thread is done ahead");
  }
  void check_not_in_ahead(const char* function) const {
    if (!ahead.surrounds_us()) return;
    throw ArgumentError(kPool,
                        std::string(function) + " must not be called from the body of the job done ahead");
  }
  void finish_begun();
};

namespace {

/// One caller's turn at a pool. Another caller, or one in a body, gets none.
class Turn {
 public:
  template <class State>
  explicit Turn(State& state)
      : called_(state.in_body() || state.called.exchange(true, std::memory_order_acquire) ? nullptr
                                                                                          : &state.called),
        use_(called_ != nullptr ? &state.callers : nullptr) {}
  ~Turn() {
    if (called_ != nullptr) called_->store(false, std::memory_order_release);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  explicit operator bool() const { return called_ != nullptr; }

 private:
  std::atomic<bool>* called_;
  Workspace::Use use_;
};

}  // namespace

ThreadPool::ThreadPool(std::size_t threads) : state_(std::make_unique<State>()) {
  require_processor();
  if (threads > kMostThreads) {
    throw ArgumentError(kPool, "threads must be <= " + std::to_string(kMostThreads), std::to_string(threads));
  }
  if (threads == 0) threads = std::min(usable_processors(), kMostThreads);
  state_->workers.reserve(threads - 1);
  try {
    while (state_->workers.size() + 1 < threads) state_->workers.emplace_back(&State::work, state_.get());
  } catch (const std::system_error&) {  // no more threads
  } catch (const std::bad_alloc&) {     // or no memory for one
  }
}

ThreadPool::~ThreadPool() {
  if (::getpid() != state_->process) {  // a child process has no workers to join
    static_cast<void>(state_.release());
    return;
  }
  drop_ahead();
  state_->quit.store(true, std::memory_order_release);
  state_->announce();
  for (std::thread& worker : state_->workers) worker.join();
}

std::size_t ThreadPool::size() const { return state_->workers.size() + 1; }

ThreadPool& ThreadPool::shared() {
  static ThreadPool pool;
  return pool;
}

void ThreadPool::run(std::size_t items, std::size_t grain, Body body, void* context) {
  check_body(body);
  State& state = *state_;
  const Pieces pieces{body, context, items, std::max<std::size_t>(grain, 1)};
  const std::size_t count = pieces.count();
  if (count == 0) return;
  const Turn turn(state);
  if (!turn || state.workers.empty() || count == 1) {
    for (std::size_t piece = 0; piece < count; ++piece) pieces.call(piece);
    return;
  }
  state.job.open(pieces);
  state.announce();
  while (state.job.work_piece()) {
  }
  state.close(state.job);
  if (const std::exception_ptr error = state.job.take_error()) std::rethrow_exception(error);
}

void ThreadPool::run_ahead(std::size_t items, std::size_t grain, Body body, void* context) {
  check_body(body);
  State& state = *state_;
  state.check_not_in_ahead("run_ahead");
  const std::lock_guard lock(state.ahead_mutex);
  state.check_ahead("run_ahead");
  state.finish_begun();
  state.ahead.open({body, context, items, std::max<std::size_t>(grain, 1)});
  state.ahead_begun = true;
  state.ahead_owner = std::this_thread::get_id();
  if (!state.workers.empty()) state.announce();
}

void ThreadPool::finish_ahead() {
  State& state = *state_;
  state.check_not_in_ahead("finish_ahead");
  const std::lock_guard lock(state.ahead_mutex);
  state.check_ahead("finish_ahead");
  state.finish_begun();
}

void ThreadPool::State::finish_begun() {
  if (!ahead_begun) return;
  {
    const Turn turn(*this);
    while (ahead.work_piece()) {
    }
  }
  close(ahead);
  ahead_begun = false;
  const bool lost = ahead_lost.exchange(false, std::memory_order_relaxed);
  if (const std::exception_ptr error = ahead.take_error()) std::rethrow_exception(error);
  if (lost) throw ArgumentError(kPool, "the job done ahead must not be dropped before finish_ahead");
}

void ThreadPool::drop_ahead() noexcept {
  State& state = *state_;
  if (state.ahead.surrounds_us()) {
    state.ahead_lost.store(true, std::memory_order_relaxed);
    return state.ahead.give_up();
  }
  const std::lock_guard lock(state.ahead_mutex);
  if (!state.ahead_begun) return;
  state.ahead.give_up();
  state.close(state.ahead);
  state.ahead.take_error();
  const bool ours = state.ahead_owner == std::this_thread::get_id();
  state.ahead_begun = !ours;  // the owner is told in finish_ahead
  state.ahead_lost.store(!ours, std::memory_order_relaxed);
}

}  // namespace volley
