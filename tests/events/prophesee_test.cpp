#include "events/recordings.hpp"
#include "support/error_text.hpp"

namespace volley::test {
namespace {

std::string dat_header(const std::string& lines, int type = 12, int size = 8) {
  return lines + bytes_of({type, size});
}

TEST(DatFile, OfVersion2HasFourteenBitsOfXAndY) {
  const Recording recording(dat_header("% Version 2\n% Height 720\n% Width 1280\n") +
                            little<std::uint32_t>({1000, 1279 | 719 << 14 | 1u << 28, 1001, 3 | 4 << 14}));
  EXPECT_EQ(recording.events(), (Events{{1000, 1279, 719, 1}, {1001, 3, 4, 0}}));
  const EventFileInfo info = recording.info();
  EXPECT_EQ(info.format, EventFormat::dat);
  EXPECT_EQ(info.width, 1280u);
  EXPECT_EQ(info.height, 720u);
}

TEST(DatFile, OfVersion1HasThoseOfTheATIS) {
  const Recording recording(dat_header("% Version 1\n", 0) +
                            little<std::uint32_t>({5, 303 | 239 << 9 | 1u << 17, 6, 1 | 2 << 9}));
  EXPECT_EQ(recording.events(), (Events{{5, 303, 239, 1}, {6, 1, 2, 0}}));
}

TEST(DatFile, TimesRiseWhereTheCounterWraps) {
  const std::uint32_t late = 0xfffffff0;
  const Recording recording(dat_header("% Version 2\n") +
                            little<std::uint32_t>({late, 0, 2, 0, late + 1, 0, 3, 0}));
  const std::uint64_t wrap = std::uint64_t{1} << 32;
  EXPECT_EQ(recording.events(), (Events{{late, 0, 0, 0},
                                        {wrap + 2, 0, 0, 0},
                                        {late + 1ull, 0, 0, 0},
                                        {wrap + 3, 0, 0, 0}}));  // the third is a little late
}

TEST(DatFile, OtherEventsAndDamageAreRefused) {
  const std::string lines = "% Version 2\n";
  EXPECT_EQ(refusal(dat_header(lines, 14)), " expected events of type 0 or 12, of pixels, found type 14");
  EXPECT_EQ(refusal(dat_header(lines, 12, 16)), " expected events of 8 bytes, found 16");
  EXPECT_EQ(refusal(lines + "\x0c"),
            " expected a type and a size of events after the header, found the end of the file");
  expect_has(refusal(dat_header(lines) + "1234567"), "found 7 bytes, 7 too many: the file is cut off");
  expect_has(refusal(dat_header("% Width 70000\n")),
             "expected a number below 65536 for Width in the header, found '70000'");
  expect_has(refusal(dat_header("% Height x\n")), "for Height in the header, found 'x'");
  expect_has(refusal(dat_header("% Height 2\n% Width 2\n") + little<std::uint32_t>({0, 2})),
             "expected events within 2 x 2 pixels, found x 2, y 0 in event 0");
}

const std::string kEvt2 = "% evt 2.0\n% geometry 640x480\n% end\n";

std::uint32_t high(std::uint32_t time) { return 8u << 28 | time; }
std::uint32_t pixel(std::uint32_t on, std::uint32_t low, std::uint32_t x, std::uint32_t y) {
  return on << 28 | low << 22 | x << 11 | y;
}

TEST(Evt2File, TimeIsOfTwoWords) {
  const Recording recording(kEvt2 +
                            little<std::uint32_t>({pixel(1, 1, 2, 3), high(10), pixel(1, 63, 639, 479),
                                                   0xa0000000, 0xe0000000, 0xf0000000, pixel(0, 0, 5, 6)}));
  // What comes before the first high time has no time.
  EXPECT_EQ(recording.events(), (Events{{10 * 64 + 63, 639, 479, 1}, {640, 5, 6, 0}}));
  EXPECT_EQ(recording.info().format, EventFormat::evt2);
  EXPECT_EQ(recording.info().width, 640u);
  EXPECT_EQ(recording.info().height, 480u);
}

TEST(Evt2File, TimesRiseWhereTheCounterWraps) {
  const Recording recording(
      kEvt2 + little<std::uint32_t>({high(0xfffffff), pixel(0, 63, 0, 0), high(0), pixel(0, 1, 0, 0)}));
  EXPECT_EQ(recording.events(),
            (Events{{(std::uint64_t{1} << 34) - 1, 0, 0, 0}, {(std::uint64_t{1} << 34) + 1, 0, 0, 0}}));
}

TEST(Evt2File, WithoutAnEndOfTheHeaderBeginsWhereItsLinesEnd) {
  // The first word begins with the bytes of "% ", and is no line.
  const std::uint32_t begin = 0x80002025;
  const Recording recording("% Date 2020-09-14\n% plugin_name hal_plugin_gen3_fx3\n% evt 2.0\n" +
                            little<std::uint32_t>({begin, pixel(1, 0, 1, 2)}));
  EXPECT_EQ(recording.events(), (Events{{0x2025 * 64, 1, 2, 1}}));
  EXPECT_EQ(recording.info().width, 640u);  // of that camera
}

TEST(Evt2File, DamageIsRefused) {
  expect_has(refusal(std::string(kEvt2) + "12345"),
             "expected events of 4 bytes after the header of 35, found 5 bytes, 1 too many");
  expect_has(refusal("% evt 2.0\n% geometry 640\n"),
             "expected a geometry as 640x480 in the header, found '640'");
  expect_has(refusal("% format EVT2;width=x;height=2\n"),
             "expected a number below 65536 for width in the header, found 'x'");
  expect_has(refusal(kEvt2, as(EventFormat::evt3)), "expected a header of evt3, found '2.0'");
  expect_has(refusal(kEvt2 + little<std::uint32_t>({high(0), pixel(0, 0, 640, 0)})),
             "expected events within 640 x 480 pixels, found x 640, y 0 in event 0");
}

std::uint64_t word21(std::uint64_t type, std::uint64_t low, std::uint64_t x, std::uint64_t y,
                     std::uint64_t mask) {
  return type << 60 | low << 54 | x << 43 | y << 32 | mask;
}

TEST(Evt21File, AWordHasThePixelsOfAMask) {
  const std::uint64_t time = std::uint64_t{8} << 60 | std::uint64_t{3} << 32;
  const std::uint64_t pixels = word21(1, 5, 64, 7, 0x80000005), rest = word21(0, 6, 0, 8, 1);
  const Events expected{
      {3 * 64 + 5, 64, 7, 1}, {3 * 64 + 5, 66, 7, 1}, {3 * 64 + 5, 95, 7, 1}, {3 * 64 + 6, 0, 8, 0}};
  const std::string header = "% evt 2.1\n% end\n";
  EXPECT_EQ(Recording(header + little<std::uint64_t>({time, pixels, rest})).events(), expected);
  // Old cameras swap the halves of a word.
  const auto swapped = [](std::uint64_t word) { return word << 32 | word >> 32; };
  EXPECT_EQ(Recording("% evt 2.1\n% endianness legacy\n% end\n" +
                      little<std::uint64_t>({swapped(time), swapped(pixels), swapped(rest)}))
                .events(),
            expected);
  EXPECT_EQ(Recording("% format EVT21;endianness=legacy\n% end\n" +
                      little<std::uint64_t>({swapped(time), swapped(pixels), swapped(rest)}))
                .events(),
            expected);
  expect_has(refusal(header + "1234"), "expected events of 8 bytes");
}

const std::string kEvt3 = "% evt 3.0\n% format EVT3;height=720;width=1280\n% end\n";

std::uint16_t word3(int type, int bits) { return static_cast<std::uint16_t>(type << 12 | bits); }

TEST(Evt3File, WordsChangeTheState) {
  const Recording recording(
      kEvt3 +
      little<std::uint16_t>({word3(0, 9), word3(2, 1), word3(8, 2), word3(6, 5), word3(2, 0x800 | 100),
                             word3(0, 10), word3(10, 0xf01), word3(2, 101), word3(6, 6), word3(2, 102)}));
  // y is of a word before the first time, the event before it has none.
  EXPECT_EQ(recording.events(),
            (Events{{2 * 4096 + 5, 100, 9, 1}, {2 * 4096 + 5, 101, 10, 0}, {2 * 4096 + 6, 102, 10, 0}}));
  EXPECT_EQ(recording.info().width, 1280u);
  EXPECT_EQ(recording.info().height, 720u);
}

TEST(Evt3File, VectorsHaveTwelveAndEightPixels) {
  const Recording recording(
      kEvt3 +
      little<std::uint16_t>({word3(8, 0), word3(6, 1), word3(0, 3), word3(3, 0x800 | 20), word3(4, 0x801),
                             word3(4, 0), word3(5, 0xf81), word3(5, 2), word3(3, 0), word3(5, 1)}));
  EXPECT_EQ(
      recording.events(),
      (Events{{1, 20, 3, 1}, {1, 31, 3, 1}, {1, 44, 3, 1}, {1, 51, 3, 1}, {1, 53, 3, 1}, {1, 0, 3, 0}}));
}

TEST(Evt3File, ANewHighTimeBeginsAtZeroAndWraps) {
  const Recording recording(
      kEvt3 +
      little<std::uint16_t>({word3(8, 0xfff), word3(6, 7), word3(2, 0), word3(8, 0xfff), word3(2, 1),
                             word3(8, 0), word3(2, 2), word3(6, 9), word3(2, 3), word3(8, 1), word3(2, 4)}));
  const std::uint64_t loop = 1 << 24;
  EXPECT_EQ(recording.events(), (Events{{0xfff007, 0, 0, 0},
                                        {0xfff007, 1, 0, 0},
                                        {loop, 2, 0, 0},
                                        {loop + 9, 3, 0, 0},
                                        {loop + 4096, 4, 0, 0}}));
}

TEST(Evt3File, AVectorThatLeavesTheSensorIsRefused) {
  expect_has(refusal(kEvt3 + little<std::uint16_t>({word3(8, 0), word3(3, 1275), word3(4, 0xfff)})),
             "expected events within 1280 x 720 pixels, found x 1280, y 0 in event 5");
  // Without a size it goes on as far as the bits of x do, and wraps there.
  std::string bytes = "% evt 3.0\n" + little<std::uint16_t>({word3(8, 0), word3(3, 0)});
  for (int i = 0; i < 6000; ++i) bytes += little<std::uint16_t>({word3(4, 1)});
  const Events events = Recording(bytes).events();
  EXPECT_EQ(events.size(), 6000u);
  EXPECT_EQ(events[5999].x, 5999 * 12 % 65536);
  expect_has(refusal(std::string(kEvt3) + "1"), "expected events of 2 bytes");
}

}  // namespace
}  // namespace volley::test
