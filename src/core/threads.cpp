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

/// Waits until `value` is no longer `old`: spins briefly, then sleeps.
std::uint32_t wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    const std::uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

std::size_t usable_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::size_t>(CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

struct ThreadPool::State {
  static constexpr std::uint32_t kOpen = 1u << 31;

  // One job at a time. The caller opens `gate`, works, closes it, and waits until those who entered have
  // left; a worker that wakes too late finds the gate shut, and nobody has waited for it. SAFETY: body,
  // context, items and grain are written while the gate is shut and empty, published by the release store
  // that opens it, and read only by threads that entered, after their acquire.
  Body body = nullptr;
  void* context = nullptr;
  std::size_t items = 0;
  std::size_t grain = 1;
  std::atomic<std::size_t> next{0};          // first item that nobody has claimed
  std::atomic<std::uint32_t> gate{0};        // kOpen, plus the number of workers inside
  std::atomic<std::uint32_t> generation{0};  // raised once a job: what idle workers wait on
  std::atomic<bool> quit{false};
  std::mutex error_mutex;  // SAFETY: guards `error`
  std::exception_ptr error;
  std::mutex run_mutex;  // SAFETY: held for a whole job, should two callers share the pool
  std::vector<std::thread> workers;

  void claim_pieces() {
    try {
      for (;;) {
        const std::size_t begin = next.fetch_add(grain, std::memory_order_relaxed);
        if (begin >= items) return;
        body(context, begin, std::min(begin + grain, items));
      }
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
      next.store(items, std::memory_order_relaxed);
    }
  }

  bool enter() {
    std::uint32_t state = gate.load(std::memory_order_acquire);
    while ((state & kOpen) != 0) {
      if (gate.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }

  void leave() {
    if (gate.fetch_sub(1, std::memory_order_acq_rel) == 1) gate.notify_one();
  }

  void work() {
    std::uint32_t seen = 0;
    for (;;) {
      seen = wait_for_change(generation, seen);
      if (quit.load(std::memory_order_acquire)) return;
      if (enter()) {
        claim_pieces();
        leave();
      }
    }
  }
};

ThreadPool::ThreadPool(std::size_t threads) : state_(std::make_unique<State>()) {
  if (threads == 0) threads = usable_processors();
  for (std::size_t i = 1; i < threads; ++i) state_->workers.emplace_back([this] { state_->work(); });
}

ThreadPool::~ThreadPool() {
  state_->quit.store(true, std::memory_order_release);
  state_->generation.fetch_add(1, std::memory_order_release);
  state_->generation.notify_all();
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
  State& job = *state_;
  const std::lock_guard lock(job.run_mutex);
  job.body = body;
  job.context = context;
  job.items = items;
  job.grain = grain;
  job.next.store(0, std::memory_order_relaxed);
  job.gate.store(State::kOpen, std::memory_order_release);
  job.generation.fetch_add(1, std::memory_order_release);
  job.generation.notify_all();
  job.claim_pieces();
  std::uint32_t inside = job.gate.fetch_and(~State::kOpen, std::memory_order_acq_rel) & ~State::kOpen;
  while (inside != 0) inside = wait_for_change(job.gate, inside);
  if (job.error) std::rethrow_exception(std::exchange(job.error, nullptr));
}

}  // namespace volley
