#include "core/workspace.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include <volley/threads.hpp>

namespace volley {
namespace {

TEST(Workspace, GivesAlignedMemoryInAStack) {
  Workspace workspace;
  const Workspace::Use use(&workspace);
  Scratch<float> a(3);
  a[2] = 1.0f;
  float* second = nullptr;
  {
    Scratch<float> b(100);
    second = b.data();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % 64, 0u);
    EXPECT_GE(second, a.data() + 3);
  }
  Scratch<double> c(1);
  EXPECT_EQ(static_cast<void*>(c.data()), second);
  EXPECT_EQ(a[2], 1.0f);
  EXPECT_NE(Scratch<int>(0).data(), nullptr);
  EXPECT_THROW(Scratch<double>{static_cast<std::size_t>(-1)}, std::bad_alloc);
  EXPECT_THROW(Scratch<char>{static_cast<std::size_t>(-1)}, std::bad_alloc);
}

/// Fills `sizes` scratches inside each other and looks whether any of them was overwritten.
void fill(const std::vector<std::size_t>& sizes, std::size_t depth = 0) {
  if (depth == sizes.size()) return;
  Scratch<std::uint32_t> mine(sizes[depth]);
  std::iota(mine.span().begin(), mine.span().end(), static_cast<std::uint32_t>(depth));
  fill(sizes, depth + 1);
  for (std::size_t i = 0; i < mine.size(); ++i) ASSERT_EQ(mine[i], static_cast<std::uint32_t>(depth + i));
}

TEST(Workspace, KeepsItsBlocksAndAsksForNoMoreWhenWorkRepeats) {
  Workspace workspace;
  const Workspace::Use use(&workspace);
  const std::vector<std::vector<std::size_t>> works = {
      {10, 100000, 5}, {200000, 10}, {1, 2, 3}, {50000, 50000, 50000}, {300000, 300000, 1}};
  const auto all = [&] {
    for (const std::vector<std::size_t>& work : works) fill(work);
  };
  for (int round = 0; round < 4; ++round) all();
  const std::size_t held = workspace.bytes();
  EXPECT_LE(held, 4 * (600000 * 5 / 4) + 3 * 65536u) << "of the largest work and a few small blocks";
  for (int round = 0; round < 10; ++round) all();
  EXPECT_EQ(workspace.bytes(), held);
}

TEST(Workspace, ALargerBlockTakesThePlaceOfEmptyOnes) {
  Workspace workspace;
  const Workspace::Use use(&workspace);
  for (std::size_t size = 100000; size < 1000000; size += 100000) Scratch<char>{size};
  EXPECT_LE(workspace.bytes(), 900000 * 5 / 4 + 128u);
}

TEST(Workspace, BodiesHaveThePoolsAndNestedOnesShareIt) {
  Workspace* outside = &Workspace::current();
  for (const std::size_t threads : {1u, 3u}) {
    ThreadPool pool(threads);
    std::atomic<int> wrong{0};
    const auto body = [&](std::size_t outer, std::size_t) {
      if (&Workspace::current() == outside) ++wrong;
      Scratch<std::size_t> sums(1000);
      for (std::size_t& sum : sums.span()) sum = outer;
      parallel_for(pool, 4, 1, [&](std::size_t, std::size_t) {
        Scratch<std::size_t> inner(500);
        for (std::size_t& value : inner.span()) value = 99;
      });
      for (const std::size_t sum : sums.span()) wrong += sum != outer;
    };
    parallel_for_ahead(pool, 200, 1, body);
    parallel_for(pool, 200, 1, body);
    pool.finish_ahead();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(&Workspace::current(), outside);
  }
}

TEST(Workspace, EachThreadHasOneOutsideOfPools) {
  Workspace* other = nullptr;
  std::thread([&] { other = &Workspace::current(); }).join();
  EXPECT_NE(other, &Workspace::current());
}

}  // namespace
}  // namespace volley
