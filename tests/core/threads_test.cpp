#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <limits>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <volley/error.hpp>
#include <volley/threads.hpp>

#include "support/error_text.hpp"

namespace volley {
namespace {

using test::error_text;
using namespace std::chrono_literals;

TEST(ThreadPool, RunsEveryItemOnceWhateverTheSizes) {
  for (const std::size_t threads : {1u, 2u, 3u, 8u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const std::size_t items : {0u, 1u, 2u, 7u, 64u, 1000u}) {
      for (const std::size_t grain : {1u, 3u, 64u, 5000u}) {
        std::vector<std::atomic<int>> seen(items);
        parallel_for(pool, items, grain, [&](std::size_t begin, std::size_t end) {
          EXPECT_LE(end - begin, grain);
          for (std::size_t i = begin; i < end; ++i) ++seen[i];
        });
        for (const std::atomic<int>& count : seen) EXPECT_EQ(count, 1);
      }
    }
  }
}

TEST(ThreadPool, ManyShortJobsOneAfterAnother) {
  ThreadPool pool(4);
  std::vector<std::size_t> sums(16);
  for (std::size_t round = 0; round < 20000; ++round) {
    parallel_for(pool, sums.size(), 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) sums[i] += i;
    });
  }
  for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i], i * 20000);
}

TEST(ThreadPool, HandsOnTheFirstExceptionAndStillWorks) {
  ThreadPool pool(3);
  EXPECT_THROW(parallel_for(pool, 100, 1,
                            [](std::size_t begin, std::size_t) {
                              if (begin == 50) throw Error("fifty");
                            }),
               Error);
  std::atomic<int> count{0};
  parallel_for(pool, 100, 1,
               [&](std::size_t begin, std::size_t end) { count += static_cast<int>(end - begin); });
  EXPECT_EQ(count, 100);
}

TEST(ThreadPool, CountsPiecesWhereASumOfItemsWouldOverflow) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  ThreadPool pool(4);
  for (int round = 0; round < 50; ++round) {
    std::atomic<std::size_t> items{0}, pieces{0};
    parallel_for(pool, kMost, kMost / 2 + 1, [&](std::size_t begin, std::size_t end) {
      items += end - begin;
      ++pieces;
    });
    EXPECT_EQ(items, kMost);
    EXPECT_EQ(pieces, 2u);
  }
}

TEST(ThreadPool, RefusesANullBodyAndMoreThanTheMostThreads) {
  ThreadPool pool(2);
  EXPECT_EQ(error_text([&] { pool.run(0, 1, nullptr, nullptr); }), "[thread pool] body must not be null");
  EXPECT_EQ(error_text([&] { pool.run_ahead(3, 1, nullptr, nullptr); }),
            "[thread pool] body must not be null");
  EXPECT_EQ(error_text([] { ThreadPool{1025}; }), "[thread pool] threads must be <= 1024, got 1025");
  EXPECT_THROW(ThreadPool{std::numeric_limits<std::size_t>::max()}, ArgumentError);
}

std::size_t status_number(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stoul(line.substr(key.size() + 1));
  return 0;
}

/// In a process with too little address space for the stacks of 512 threads: 0 when the pool has some of
/// them, works, and leaves none behind.
int exit_code_of_a_pool_that_is_refused_threads() {
  const rlim_t bytes = status_number("VmSize") * 1024 + (rlim_t{256} << 20);
  const rlimit limit{bytes, bytes};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  const std::size_t before = status_number("Threads");
  {
    ThreadPool pool(512);
    if (pool.size() < 2 || pool.size() >= 512) return 3;
    std::atomic<std::size_t> sum{0};
    parallel_for(pool, 1000, 1, [&](std::size_t begin, std::size_t) { sum += begin; });
    if (sum != 1000 * 999 / 2) return 4;
  }
  // A thread that was joined may still be counted for a moment.
  for (int i = 0; i < 1000 && status_number("Threads") != before; ++i) std::this_thread::sleep_for(1ms);
  return status_number("Threads") == before ? 0 : 5;
}

TEST(ThreadPool, HasFewerThreadsWhereTheSystemRefusesThem) {
  if (!std::string(VOLLEY_SANITIZE).empty()) GTEST_SKIP() << "sanitizers need the address space themselves";
  EXPECT_EXIT(::_exit(exit_code_of_a_pool_that_is_refused_threads()), testing::ExitedWithCode(0), "");
}

TEST(ThreadPool, AChildProcessCanDestroyThePoolItInherited) {
  auto pool = std::make_unique<ThreadPool>(3);
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    pool.reset();
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(ThreadPool, RunInsideABodyRunsItsPiecesInPlace) {
  for (const std::size_t threads : {1u, 2u, 4u}) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> seen(64 * 10);
    parallel_for(pool, 64, 1, [&](std::size_t outer, std::size_t) {
      const std::thread::id thread = std::this_thread::get_id();
      parallel_for(pool, 10, 3, [&](std::size_t begin, std::size_t end) {
        EXPECT_EQ(std::this_thread::get_id(), thread);
        for (std::size_t i = begin; i < end; ++i) {
          parallel_for(pool, 1, 1, [&](std::size_t, std::size_t) { ++seen[outer * 10 + i]; });
        }
      });
    });
    for (const std::atomic<int>& count : seen) EXPECT_EQ(count, 1);
  }
}

TEST(ThreadPool, TwoPoolsNestedInEachOtherCannotWaitForEachOther) {
  ThreadPool a(3), b(3);
  std::atomic<int> count{0};
  parallel_for(a, 8, 1, [&](std::size_t, std::size_t) {
    parallel_for(b, 8, 1, [&](std::size_t, std::size_t) {
      parallel_for(a, 8, 1, [&](std::size_t, std::size_t) { ++count; });
    });
  });
  EXPECT_EQ(count, 512);
}

TEST(ThreadPool, AnExceptionReachesTheCallerAlsoFromANestedRun) {
  ThreadPool pool(3);
  for (int round = 0; round < 100; ++round) {
    EXPECT_EQ(error_text([&] {
                parallel_for(pool, 16, 1, [&](std::size_t, std::size_t) {
                  parallel_for(pool, 4, 1, [](std::size_t begin, std::size_t) {
                    if (begin == 2) throw Error("inner");
                  });
                });
              }),
              "inner");
  }
  std::atomic<int> count{0};
  parallel_for(pool, 10, 1, [&](std::size_t, std::size_t) { ++count; });
  EXPECT_EQ(count, 10);
}

TEST(ThreadPool, ManyCallersAtOnce) {
  ThreadPool pool(3);
  std::vector<std::size_t> sums(4);
  std::vector<std::thread> callers;
  for (std::size_t& sum : sums) {
    callers.emplace_back([&pool, &sum] {
      for (int round = 0; round < 500; ++round) {
        std::vector<std::size_t> of(32);
        parallel_for(pool, of.size(), 1, [&](std::size_t begin, std::size_t) { of[begin] = begin; });
        sum += std::accumulate(of.begin(), of.end(), std::size_t{0});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const std::size_t sum : sums) EXPECT_EQ(sum, 500u * 31 * 32 / 2);
}

TEST(RunAhead, IsDoneWhenItIsFinishedOrBegunAgain) {
  for (const std::size_t threads : {1u, 3u}) {
    ThreadPool pool(threads);
    std::atomic<int> first{0}, second{0}, between{0};
    const auto count_first = [&](std::size_t, std::size_t) { ++first; };
    const auto count_second = [&](std::size_t, std::size_t) {
      parallel_for(pool, 2, 1, [&](std::size_t, std::size_t) { ++second; });
    };
    parallel_for_ahead(pool, 100, 1, count_first);
    parallel_for(pool, 100, 1, [&](std::size_t, std::size_t) { ++between; });
    parallel_for_ahead(pool, 100, 1, count_second);
    EXPECT_EQ(first, 100);
    pool.finish_ahead();
    EXPECT_EQ(second, 200);
    EXPECT_EQ(between, 100);
    pool.finish_ahead();
    pool.drop_ahead();
  }
}

TEST(RunAhead, HandsOnAnException) {
  ThreadPool pool(2);
  const auto body = [](std::size_t begin, std::size_t) {
    if (begin == 3) throw Error("three");
  };
  parallel_for_ahead(pool, 10, 1, body);
  EXPECT_EQ(error_text([&] { pool.finish_ahead(); }), "three");
  pool.finish_ahead();
}

TEST(RunAhead, AnotherThreadMayNeitherBeginNorFinishOne) {
  ThreadPool pool(2);
  std::atomic<int> count{0};
  const auto body = [&](std::size_t, std::size_t) { ++count; };
  parallel_for_ahead(pool, 10, 1, body);
  std::thread([&] {
    EXPECT_EQ(error_text([&] { parallel_for_ahead(pool, 10, 1, body); }),
              "[thread pool] run_ahead must not be called while a job of another thread is done ahead");
    EXPECT_EQ(error_text([&] { pool.finish_ahead(); }),
              "[thread pool] finish_ahead must not be called while a job of another thread is done ahead");
  }).join();
  pool.finish_ahead();
  EXPECT_EQ(count, 10);
}

TEST(RunAhead, AJobThatAnotherThreadDroppedIsAnError) {
  ThreadPool pool(2);
  const auto body = [](std::size_t, std::size_t) {};
  parallel_for_ahead(pool, 10, 1, body);
  std::thread([&] { pool.drop_ahead(); }).join();
  EXPECT_EQ(error_text([&] { pool.finish_ahead(); }),
            "[thread pool] the job done ahead must not be dropped before finish_ahead");
  parallel_for_ahead(pool, 10, 1, body);
  pool.finish_ahead();
}

TEST(RunAhead, ItsOwnBodyMayNeitherBeginNorFinishOne) {
  for (const std::size_t threads : {1u, 3u}) {
    ThreadPool pool(threads);
    std::atomic<int> refused{0};
    const auto body = [&](std::size_t, std::size_t) {
      parallel_for(pool, 1, 1, [&](std::size_t, std::size_t) {
        const auto nothing = [](std::size_t, std::size_t) {};
        EXPECT_THROW(parallel_for_ahead(pool, 1, 1, nothing), ArgumentError);
        EXPECT_THROW(pool.finish_ahead(), ArgumentError);
        ++refused;
      });
    };
    parallel_for_ahead(pool, 10, 1, body);
    pool.finish_ahead();
    EXPECT_EQ(refused, 10);
    const auto dropping = [&](std::size_t, std::size_t) { pool.drop_ahead(); };
    parallel_for_ahead(pool, 1000, 1, dropping);
    EXPECT_THROW(pool.finish_ahead(), ArgumentError);
    pool.finish_ahead();
  }
}

TEST(RunAhead, InsideABodyOfRun) {
  ThreadPool pool(3);
  std::atomic<int> ahead{0}, refused{0};
  const auto body = [&](std::size_t, std::size_t) { ++ahead; };
  parallel_for(pool, 50, 1, [&](std::size_t, std::size_t) {
    try {
      parallel_for_ahead(pool, 10, 1, body);
      pool.finish_ahead();
    } catch (const ArgumentError&) {
      ++refused;
    }
  });
  EXPECT_GE(ahead, 10 * (50 - refused));
  EXPECT_LE(ahead, 500);
}

TEST(RunAhead, TwoThreadsAtOnceFinishOrAreRefused) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<int> done{0};
  for (int caller = 0; caller < 2; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        std::atomic<int> count{0};
        const auto body = [&](std::size_t, std::size_t) { ++count; };
        try {
          parallel_for_ahead(pool, 5, 1, body);
        } catch (const ArgumentError&) {
          continue;
        }
        pool.finish_ahead();
        EXPECT_EQ(count, 5);
        ++done;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_GT(done, 0);
}

}  // namespace
}  // namespace volley
