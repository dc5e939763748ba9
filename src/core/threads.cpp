#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <volley/threads.hpp>

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

}  // namespace

namespace {

/// Pieces [begin, end) of [0, items), each of `grain` items or fewer, that threads claim from a counter. The
/// owner opens the gate and closes it; whoever finds it shut has come too late, and nobody has waited for
/// him. SAFETY: body, context and grain are written while the gate is shut and empty, published by the
/// release store that opens it, and read only by threads that entered, after their acquire; items is atomic,
/// for has_pieces looks at it from outside, where a new job may just be opened.
class Job {
 public:
  void open(std::size_t items, std::size_t grain, ThreadPool::Body body, void* context) {
    body_ = body;
    context_ = context;
    items_.store(items, std::memory_order_relaxed);
    grain_ = grain;
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
    const std::size_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    const std::size_t items = items_.load(std::memory_order_relaxed);
    if (begin >= items) return false;
    try {
      body_(context_, begin, std::min(begin + grain_, items));
      return true;
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
      give_up();
      return false;
    }
  }
  /// Whether a thread that looks in now would find a piece; a hint.
  bool has_pieces() const {
    return (gate_.load(std::memory_order_acquire) & kOpen) != 0 &&
           next_.load(std::memory_order_relaxed) < items_.load(std::memory_order_relaxed);
  }
  /// Nobody begins another piece.
  void give_up() { next_.store(items_.load(std::memory_order_relaxed), std::memory_order_relaxed); }
  /// After all have left.
  std::exception_ptr take_error() { return std::exchange(error_, nullptr); }

 private:
  static constexpr std::uint32_t kOpen = 1u << 31;

  ThreadPool::Body body_ = nullptr;
  void* context_ = nullptr;
  std::atomic<std::size_t> items_{0};
  std::size_t grain_ = 1;
  std::atomic<std::size_t> next_{0};    // first item that nobody has claimed
  std::atomic<std::uint32_t> gate_{0};  // kOpen, plus the number of threads inside
  std::mutex error_mutex_;              // SAFETY: guards error_
  std::exception_ptr error_;
};

}  // namespace

struct ThreadPool::State {
  Job job;
  Job ahead;
  bool ahead_begun = false;                  // the owner's: between run_ahead and finish_ahead or drop_ahead
  std::atomic<std::uint32_t> generation{0};  // raised at every new job: what idle workers wait on
  std::atomic<bool> quit{false};
  std::mutex run_mutex;  // SAFETY: held for a whole job, should two callers share the pool
  std::vector<std::thread> workers;

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
};

ThreadPool::ThreadPool(std::size_t threads) : state_(std::make_unique<State>()) {
  if (threads == 0) threads = usable_processors();
  for (std::size_t i = 1; i < threads; ++i) state_->workers.emplace_back([this] { state_->work(); });
}

ThreadPool::~ThreadPool() {
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
  if (items == 0) return;
  grain = std::max<std::size_t>(grain, 1);
  if (state_->workers.empty() || items <= grain) {
    for (std::size_t begin = 0; begin < items; begin += grain)
      body(context, begin, std::min(begin + grain, items));
    return;
  }
  State& state = *state_;
  const std::lock_guard lock(state.run_mutex);
  state.job.open(items, grain, body, context);
  state.announce();
  while (state.job.work_piece()) {
  }
  state.close(state.job);
  if (const std::exception_ptr error = state.job.take_error()) std::rethrow_exception(error);
}

void ThreadPool::run_ahead(std::size_t items, std::size_t grain, Body body, void* context) {
  finish_ahead();
  state_->ahead.open(items, std::max<std::size_t>(grain, 1), body, context);
  state_->ahead_begun = true;
  if (!state_->workers.empty()) state_->announce();
}

void ThreadPool::finish_ahead() {
  State& state = *state_;
  if (!state.ahead_begun) return;
  while (state.ahead.work_piece()) {
  }
  state.close(state.ahead);
  state.ahead_begun = false;
  if (const std::exception_ptr error = state.ahead.take_error()) std::rethrow_exception(error);
}

void ThreadPool::drop_ahead() noexcept {
  State& state = *state_;
  if (!state.ahead_begun) return;
  state.ahead.give_up();
  state.close(state.ahead);
  state.ahead_begun = false;
  state.ahead.take_error();
}

}  // namespace volley
