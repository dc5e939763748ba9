#include <gtest/gtest.h>

#include <cstdlib>

namespace volley::test {
namespace {

/// Where lines are counted (scripts/coverage), a program writes its counters as it ends. Of those that tests
/// start, many are killed, or may write nothing: only the tests themselves are counted.
class NoProfilesOfChildren final : public ::testing::Environment {
 public:
  void SetUp() override { ::setenv("LLVM_PROFILE_FILE", "/dev/null", 1); }
};

[[maybe_unused]] const auto* const kRegistered =
    ::testing::AddGlobalTestEnvironment(new NoProfilesOfChildren);

}  // namespace
}  // namespace volley::test
