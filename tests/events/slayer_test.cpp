#include "events/recordings.hpp"

namespace volley::test {
namespace {

TEST(NmnistFile, HasXYPolarityAndTimeInFiveBytes) {
  const Recording recording(bytes_of({7, 15, 0x80, 0x02, 0x8e, 33, 0, 0x7f, 0xff, 0xff}), "one.bin");
  EXPECT_EQ(recording.events(), (Events{{654, 7, 15, 1}, {0x7fffff, 33, 0, 0}}));
  EXPECT_EQ(recording.info().format, EventFormat::nmnist);
  EXPECT_EQ(recording.info().width, 0u);
  EXPECT_EQ(recording.info().channels, 2u);
}

TEST(NmnistFile, ARecordWithYOf240IsAWrapOfTheTime) {
  const Recording recording(bytes_of({1, 2,   0, 0, 5, 0, 240, 0,    0, 0, 3, 4, 0x80, 0, 7,
                                      0, 240, 0, 0, 0, 9, 240, 0x80, 0, 1, 5, 6, 0,    0, 8}),
                            "one.bs2");
  EXPECT_EQ(recording.events(), (Events{{5, 1, 2, 0}, {8192 + 7, 3, 4, 1}, {3 * 8192 + 8, 5, 6, 0}}));
}

TEST(NmnistFile, OfWrapsAloneHasNoEvents) {
  EXPECT_TRUE(Recording(bytes_of({0, 240, 0, 0, 0}), "one.bin").events().empty());
  EXPECT_TRUE(Recording("", "one.bin").events().empty());
}

TEST(NmnistFile, ACutOffFileIsRefused) {
  EXPECT_EQ(refusal(bytes_of({1, 2, 0, 0, 5, 1, 2}), {}, "one.bin"),
            " expected events of 5 bytes after the header of 0, found 7 bytes, 2 too many: the file is cut "
            "off, or of "
            "another format");
}

TEST(NmnistFile, EventsOutsideOfAGivenSensorAreRefused) {
  EXPECT_EQ(refusal(bytes_of({1, 2, 0, 0, 5, 34, 2, 0, 0, 6}), {.width = 34, .height = 34}, "one.bin"),
            " expected events within 34 x 34 pixels, found x 34, y 2 in event 1");
}

TEST(Bs1File, HasTheNumberOfANeuron) {
  const Recording recording(bytes_of({0x01, 0x3f, 0x80, 0, 4, 0, 6, 0x05, 0xc8, 0}), "one.bs1");
  EXPECT_EQ(recording.events(), (Events{{4, 0x13f, 0, 1}, {0x5c800, 6, 0, 0}}));
}

TEST(Bs3File, HasTwelveBitsOfXAndYAndAChannel) {
  const Recording recording(bytes_of({0xab, 0xcd, 0xef, 200, 0xff, 0, 1}), "one.bs3");
  EXPECT_EQ(recording.events(), (Events{{0xff0001, 0xabc, 0xdef, 200}}));
  EXPECT_EQ(recording.info().channels, 0u);
  EXPECT_NE(refusal("12345", {}, "one.bs3").find("events of 7 bytes"), std::string::npos);
}

}  // namespace
}  // namespace volley::test
