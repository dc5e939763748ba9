#include <volley/text.hpp>

#include <gtest/gtest.h>

namespace volley {
namespace {

const std::vector<std::string> kWords{"tau", "v_threshold", "v_reset", "decay_input"};

TEST(Nearest, FindsTheWordThatWasMeant) {
  EXPECT_EQ(nearest("tua", kWords), "tau");  // two neighbours swapped
  EXPECT_EQ(nearest("treshold", kWords), "v_threshold");
  EXPECT_EQ(nearest("v_treshold", kWords), "v_threshold");
  EXPECT_EQ(nearest("v_rest", kWords), "v_reset");
  EXPECT_EQ(nearest("decayinput", kWords), "decay_input");
}

TEST(Nearest, SaysNothingWhereNothingIsNear) {
  EXPECT_EQ(nearest("momentum", kWords), "");
  EXPECT_EQ(nearest("", kWords), "");
  EXPECT_EQ(nearest("x", std::vector<std::string>{"y"}), "");
  EXPECT_EQ(nearest(std::string(100000, 'a'), kWords), "");
  EXPECT_EQ(nearest("tau", std::vector<std::string>{}), "");
}

TEST(Nearest, SuggestsTheListWhereNothingIsNear) {
  EXPECT_EQ(suggestion("tua", kWords), "; did you mean 'tau'?");
  EXPECT_EQ(suggestion("momentum", kWords),
            "; expected one of 'tau', 'v_threshold', 'v_reset', 'decay_input'");
  EXPECT_EQ(suggestion("momentum", std::vector<std::string>{"tau"}), "; expected 'tau'");
  EXPECT_EQ(suggestion("momentum", std::vector<std::string>{}), "");
}

}  // namespace
}  // namespace volley
