#include <volley/tape.hpp>

#include <gtest/gtest.h>

#include <set>

namespace volley {
namespace {

TEST(Tape, SaysEvaluationUnlessTold) {
  const Tape tape;
  EXPECT_FALSE(tape.context().training);
  EXPECT_EQ(tape.context().address(3), 3u);
}

TEST(Tape, AChildShowsItsRootsContext) {
  Tape tape;
  Tape& early = tape.child(0).child(2);
  const std::vector<std::uint32_t> samples{7, 5};
  tape.set_context({.training = true, .draw = {.seed = 3, .first_sample = 10}, .samples = samples});
  for (Tape* child : {&tape, &early, &tape.child(0), &tape.child(0).child(3)}) {
    EXPECT_TRUE(child->context().training);
    EXPECT_EQ(child->context().draw.seed, 3u);
    EXPECT_EQ(child->context().address(1), 15u);
  }
}

TEST(Tape, EveryTapeOfAPassHasAPlaceOfItsOwn) {
  Tape tape;
  std::set<std::uint64_t> places{tape.place()};
  for (std::size_t i : {0, 1, 2, 1022}) {
    EXPECT_TRUE(places.insert(tape.child(i).place()).second);
    for (std::size_t j : {0, 1, 1022}) EXPECT_TRUE(places.insert(tape.child(i).child(j).place()).second);
  }
  Tape other;
  EXPECT_EQ(other.child(2).child(1).place(), tape.child(2).child(1).place());
}

}  // namespace
}  // namespace volley
