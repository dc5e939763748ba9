#include <gtest/gtest.h>

#include <cstdint>

#include <volley/buffer.hpp>

namespace volley {
namespace {

TEST(Buffer, IsAlignedAndKeepsItsMemoryWhenThatIsEnough) {
  Buffer<float> buffer(100);
  const float* const memory = buffer.data();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % Buffer<float>::kAlignment, 0u);
  buffer.resize(10);
  EXPECT_EQ(buffer.size(), 10u);
  buffer.resize(100);
  EXPECT_EQ(buffer.data(), memory);
}

TEST(Buffer, AnIndexBehindItsEndEndsTheProgramWhereAssertsAreOn) {
#ifdef NDEBUG
  GTEST_SKIP() << "asserts are off";
#else
  Buffer<float> buffer(100);
  buffer.resize(10);
  const Buffer<float>& constant = buffer;
  EXPECT_DEATH(buffer[10] = 1, "i < size_");
  EXPECT_DEATH(static_cast<void>(constant[10]), "i < size_");
#endif
}

}  // namespace
}  // namespace volley
