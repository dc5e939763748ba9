// Pools and several threads: what one network, one pool, one tape may be used for at once.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <exception>
#include <stdexcept>
#include <thread>

#include "support.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VOLLEY_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VOLLEY_TEST_SANITIZED 1
#endif
#endif

namespace volley::test {
namespace {

/// body(i) in `count` threads at once.
template <class Body>
void at_once(std::size_t count, const Body& body) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

// A10
TEST(PublicThreads, APoolTakesAsManyThreadsAsTheSystemGives) {
#ifdef VOLLEY_TEST_SANITIZED
  GTEST_SKIP() << "a sanitizer needs the address space that the test takes away";
#else
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = std::size_t{600} << 20;  // some seventy stacks of 8 MiB
    ::setrlimit(RLIMIT_AS, &limit);
    int status = 1;
    try {
      ThreadPool pool(512);
      std::atomic<std::size_t> sum{0};
      parallel_for(pool, 1000, 1, [&](std::size_t begin, std::size_t end) { sum += end - begin; });
      status = sum == 1000 && pool.size() >= 1 && pool.size() < 512 ? 0 : 2;
    } catch (const Error&) {
      status = 0;
    } catch (const std::exception&) {
      status = 3;
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
#endif
}

// A11
TEST(PublicThreads, OneNetworkServesForwardsOfSeveralThreads) {
  Sequential net{Conv2d{2, 3, 3, {.padding = 1}}, BatchNorm{3}, LIF{}, Flatten{}, Linear{60, 4}};
  const Tensor x = some_values({3, 4, 2, 5, 4});
  Tape alone;
  const std::vector<float> expected = values_of(net.forward(x, alone));
  std::array<std::vector<float>, 4> got;
  at_once(got.size(), [&](std::size_t i) {
    Tape tape;  // of the shared pool
    for (int pass = 0; pass < 5; ++pass) got[i] = values_of(net.forward(x, tape));
  });
  for (const std::vector<float>& y : got) EXPECT_EQ(y, expected);
}

TEST(PublicThreads, BackwardsOfOneNetworkInTwoThreadsWorkOrThrow) {
  Sequential net{Linear{5, 7}, BatchNorm{7}, LIF{}, Linear{7, 3}};
  const Tensor x = some_values({3, 4, 5}), dy = some_values({3, 4, 3});
  std::atomic<std::size_t> worked{0};
  std::atomic<std::size_t> refused{0};
  at_once(2, [&](std::size_t) {
    Tape tape;
    tape.set_context({.training = true});
    for (int pass = 0; pass < 50; ++pass) {
      try {
        net.forward(x, tape);
        net.backward(tape, dy);
        ++worked;
      } catch (const ArgumentError& error) {
        EXPECT_NE(std::string(error.what()).find("another pass"), std::string::npos) << error.what();
        ++refused;
      }
    }
  });
  EXPECT_EQ(worked + refused, 100u);
  EXPECT_GT(worked, 0u);
}

TEST(PublicThreads, ATapeServesOnePassAtATime) {
  // A user's container that runs a child on its own tape.
  class Careless final : public Layer {
   public:
    std::string_view kind() const override { return "careless"; }
    Shape output_shape(const Shape& features) const override { return features; }

   private:
    Signal do_forward(const Signal& x, Tape& tape) const override { return inner_.forward(x, tape); }
    Signal do_backward(Tape& tape, const Signal&) override { return tape.trace().x; }
    Double inner_;
  };
  const Tensor x = some_values({2, 2, 3});
  Tape tape;
  expect_throws<ArgumentError>([&] { Careless{}.forward(x, tape); }, {"[double]", "tape.child"});
}

// A12
TEST(PublicThreads, WorkInsideWorkIsDone) {
  ThreadPool pool(3);
  std::atomic<std::size_t> sum{0};
  parallel_for(pool, 6, 1, [&](std::size_t, std::size_t) {
    parallel_for(pool, 5, 1, [&](std::size_t begin, std::size_t end) { sum += end - begin; });
  });
  EXPECT_EQ(sum, 30u);
}

TEST(PublicThreads, WorkFromSeveralThreadsIsDone) {
  ThreadPool pool(2);
  std::atomic<std::size_t> sum{0};
  at_once(4, [&](std::size_t) {
    for (int i = 0; i < 20; ++i)
      parallel_for(pool, 30, 4, [&](std::size_t begin, std::size_t end) { sum += end - begin; });
  });
  EXPECT_EQ(sum, 4u * 20 * 30);
}

TEST(PublicThreads, WorkAheadFromSeveralThreadsIsDoneOrRefused) {
  ThreadPool pool(2);
  at_once(3, [&](std::size_t) {
    for (int i = 0; i < 20; ++i) {
      std::atomic<std::size_t> sum{0};
      auto body = [&](std::size_t begin, std::size_t end) { sum += end - begin; };
      try {
        parallel_for_ahead(pool, 10, 1, body);
      } catch (const ArgumentError&) {  // another thread's job is not finished yet
        EXPECT_EQ(sum, 0u);
        continue;
      }
      pool.finish_ahead();
      EXPECT_EQ(sum, 10u);
    }
  });
  std::atomic<std::size_t> sum{0};
  auto body = [&](std::size_t begin, std::size_t end) { sum += end - begin; };
  parallel_for_ahead(pool, 10, 1, body);
  pool.finish_ahead();
  EXPECT_EQ(sum, 10u);
}

TEST(PublicThreads, TheExceptionOfAPieceComesThrough) {
  for (const std::size_t threads : {1u, 3u}) {
    ThreadPool pool(threads);
    const auto fails = [](std::size_t begin, std::size_t) {
      if (begin == 5) throw std::runtime_error("five");
    };
    EXPECT_THROW(parallel_for(pool, 20, 1, fails), std::runtime_error);
    auto ahead = fails;
    EXPECT_THROW(
        {
          parallel_for_ahead(pool, 20, 1, ahead);
          pool.finish_ahead();
        },
        std::runtime_error);
    pool.finish_ahead();
    std::atomic<std::size_t> sum{0};
    parallel_for(pool, 20, 0, [&](std::size_t begin, std::size_t end) { sum += end - begin; });
    EXPECT_EQ(sum, 20u);
  }
}

TEST(PublicThreads, AnyNumberOfThreadsGivesTheSameBits) {
  const Tensor x = some_values({5, 4, 2, 6, 5});
  const Tensor dy = some_values({5, 4, 10});
  std::vector<std::vector<float>> results;
  for (const std::size_t threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    Sequential net{Conv2d{2, 8, 3}, BatchNorm{8}, LIF{}, MaxPool2d{2}, Flatten{}, Linear{16, 10}, Dropout{}};
    net.initialize(2);
    Tape tape(pool);
    tape.set_context({.training = true});
    std::vector<float> all = values_of(net.forward(x, tape));
    const std::vector<float> dx = values_of(net.backward(tape, dy));
    all.insert(all.end(), dx.begin(), dx.end());
    for (const NamedParameter& named : net.parameters()) {
      const std::vector<float> gradient = values_of(named.parameter->gradient);
      all.insert(all.end(), gradient.begin(), gradient.end());
    }
    results.push_back(std::move(all));
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

}  // namespace
}  // namespace volley::test
