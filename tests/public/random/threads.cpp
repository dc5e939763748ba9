#include <algorithm>
#include <atomic>
#include <exception>
#include <stdexcept>
#include <thread>

#include "scenes.hpp"

namespace volley::test {
namespace {

/// Runs body(i) in `count` threads at once; the first exception is thrown again here.
template <class Body>
void at_once(std::size_t count, const Body& body) {
  std::vector<std::exception_ptr> errors(count);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      try {
        body(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

/// One network serves several tapes at once.
void forward_at_once(Program& p, const Sequential& net, const Input& x) {
  std::vector<std::vector<float>> y(p.threads());
  const bool own = p.random.chance(0.5);
  const auto run = [&](std::size_t i) {
    Tape tape(own ? pool_of(1) : ThreadPool::shared());
    p.must("Layer::forward", "net.forward(x, tape);  // in several threads at once",
           [&] { y[i] = plain_values(p, net.forward(x.x(), tape)); });
  };
  pool_of(1);
  p.count("ThreadPool::shared");
  at_once(p.threads(), run);
  for (const std::vector<float>& one : y)
    p.check(same_values(one, y[0]), "forward in several threads at once gives the same bits",
            difference(one, y[0]));
}

/// Two networks train in two threads.
void train_at_once(Program& p, Network& a, Network& b, const Input& x, const Input& z) {
  PassCall call{.seed = 3};
  PassResult alone_a, alone_b, both_a, both_b;
  call.dy.assign(signal_shape(x.shape()[0], x.shape()[1], a.made.features).size(), 0.25f);
  PassCall other = call;
  other.dy.assign(signal_shape(z.shape()[0], z.shape()[1], b.made.features).size(), 0.5f);
  run_pass(p, alone_a, a.net, x.x(), call);
  run_pass(p, alone_b, b.net, z.x(), other);
  p.say("// the same in two threads at once, sharing a pool");
  call.threads = other.threads = 2;
  pool_of(2);
  at_once(2, [&](std::size_t i) {
    i == 0 ? run_pass(p, both_a, a.net, x.x(), call) : run_pass(p, both_b, b.net, z.x(), other);
  });
  p.check(same_values(both_a.y, alone_a.y) && same_values(both_a.dx, alone_a.dx),
          "two trainings at once do not meet");
  p.check(same_values(both_b.y, alone_b.y) && same_values(both_b.dx, alone_b.dx),
          "two trainings at once do not meet");
  p.check(std::ranges::equal(both_a.tensors, alone_a.tensors, same_values),
          "two trainings at once do not meet");
}

void use_pool(Program& p) {
  const std::size_t threads = p.random.between(0, 4), items = p.random.below(200), grain = p.random.below(20);
  p.must("ThreadPool::ThreadPool", cat("ThreadPool pool(", threads, ");"), [&] {
    ThreadPool pool(threads);
    p.count("ThreadPool::size");
    p.check(threads == 0 ? pool.size() > 0 : pool.size() <= threads, "the size of a pool");
    std::atomic<std::size_t> sum{0};
    p.must("parallel_for", cat("parallel_for(pool, ", items, ", ", grain, ", body);"), [&] {
      parallel_for(pool, items, grain, [&](std::size_t begin, std::size_t end) { sum += end - begin; });
    });
    p.check(sum == items, "parallel_for does each item once", cat(sum.load(), ", not ", items));
    p.count("ThreadPool::run");
    bool caught = false;
    try {
      parallel_for(pool, 50, 1, [](std::size_t begin, std::size_t) {
        if (begin == 7) throw std::runtime_error("seven");
      });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    p.check(caught, "an exception of a piece of work comes through");
    if (!kHasContract) return;
    // From inside a piece of work, and from two threads.
    p.may("parallel_for", "parallel_for(pool, 4, 1, [&] { parallel_for(pool, 4, 1, body); });", [&] {
      parallel_for(pool, 4, 1, [&](std::size_t, std::size_t) {
        parallel_for(pool, 4, 1, [&](std::size_t begin, std::size_t end) { sum += end - begin; });
      });
    });
    at_once(3, [&](std::size_t) {
      p.may("ThreadPool::run_ahead",
            "parallel_for_ahead(pool, 20, 1, body); pool.finish_ahead();  // in three threads", [&] {
              p.count("parallel_for_ahead");
              auto body = [&](std::size_t begin, std::size_t end) { sum += end - begin; };
              parallel_for_ahead(pool, 20, 1, body);
              pool.finish_ahead();
            });
    });
  });
}

void use_ahead(Program& p) {
  ThreadPool& pool = pool_of(p.random.between(1, p.threads()));
  std::atomic<std::size_t> sum{0};
  auto body = [&](std::size_t begin, std::size_t end) { sum += end - begin; };
  const std::size_t items = p.random.below(100);
  p.must("parallel_for_ahead", cat("parallel_for_ahead(pool, ", items, ", 3, body);"), [&] {
    p.count("ThreadPool::run_ahead");
    parallel_for_ahead(pool, items, 3, body);
  });
  if (p.random.chance(0.5)) {
    p.count("ThreadPool::drop_ahead");
    pool.drop_ahead();
    p.check(sum <= items, "drop_ahead leaves the rest undone");
  } else {
    p.must("ThreadPool::finish_ahead", "pool.finish_ahead();", [&] { pool.finish_ahead(); });
    p.check(sum == items, "finish_ahead finishes");
  }
  pool.finish_ahead();
  pool.drop_ahead();
}

}  // namespace

void threads_scene(Program& p) {
  Place at{.features = draw_features(p), .steps = p.random.between(1, 5)};
  const Input x =
      draw_input(p, "x", signal_shape(p.random.between(1, 5), at.steps, at.features), Want::either);
  const Input z = draw_input(p, "z", signal_shape(2, at.steps, at.features), Want::either);
  at.spikes = x.form().spikes;
  Network a = draw_net(p, "a", at, p.random.between(1, 3));
  at.spikes = z.form().spikes;
  Network b = draw_net(p, "b", at, p.random.between(1, 3));
  switch (p.random.below(4)) {
    case 0: forward_at_once(p, a.net, x); break;
    case 1: train_at_once(p, a, b, x, z); break;
    case 2: use_pool(p); break;
    default: use_ahead(p);
  }
}

}  // namespace volley::test
