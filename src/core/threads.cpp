#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <volley/threads.hpp>

namespace volley {
namespace {

// How long a thread that waits spins before it sleeps. Waking a sleeper costs some 5 to 50 microseconds; spinning
// longer than that takes the core from a neighbour (docs/decisions/threads.md).
constexpr int kSpins = 400;

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
  // One job at a time. A job is published by raising `generation`; pieces are claimed from `next`; the job is over
  // when no worker is inside it. SAFETY: body, context, items and grain are written before the release store of
  // `generation` and read after its acquire load; the caller does not return, and so cannot write them again,
  // until `busy` has fallen to 0.
  Body body = nullptr;
  void* context = nullptr;
  std::size_t items = 0;
  std::size_t grain = 1;
  std::atomic<std::uint32_t> generation{0};
  std::atomic<std::uint32_t> busy{0};  // workers that have not finished the current job
  std::atomic<std::size_t> next{0};
  std::atomic<bool> quit{false};
  std::mutex error_mutex;  // SAFETY: guards `error`
  std::exception_ptr error;
  std::mutex run_mutex;  // SAFETY: one job at a time, should two callers share the pool
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

  void work() {
    std::uint32_t seen = 0;
    for (;;) {
      seen = wait_for_change(generation, seen);
      if (quit.load(std::memory_order_acquire)) return;
      claim_pieces();
      if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_one();
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
    for (std::size_t begin = 0; begin < items; begin += grain) body(context, begin, std::min(begin + grain, items));
    return;
  }
  State& job = *state_;
  const std::lock_guard lock(job.run_mutex);
  job.body = body;
  job.context = context;
  job.items = items;
  job.grain = grain;
  job.next.store(0, std::memory_order_relaxed);
  job.busy.store(static_cast<std::uint32_t>(job.workers.size()), std::memory_order_relaxed);
  job.generation.fetch_add(1, std::memory_order_release);
  job.generation.notify_all();
  job.claim_pieces();
  for (std::uint32_t left = job.busy.load(std::memory_order_acquire); left != 0;) {
    left = wait_for_change(job.busy, left);
  }
  if (job.error) std::rethrow_exception(std::exchange(job.error, nullptr));
}

}  // namespace volley
