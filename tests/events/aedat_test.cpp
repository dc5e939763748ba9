#include <fmt/format.h>

#include "events/recordings.hpp"
#include "support/error_text.hpp"

namespace volley::test {
namespace {

const std::string kAedat2 = "#!AER-DAT2.0\r\n# This is a raw AE data file\r\n";
const std::string kDvs128 = "# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n";
const std::string kDavis = "# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n";

constexpr std::uint32_t dvs128(std::uint32_t x, std::uint32_t y, std::uint32_t on) {
  return y << 8 | x << 1 | (1 - on);
}
constexpr std::uint32_t davis(std::uint32_t x, std::uint32_t y, std::uint32_t on) {
  return y << 22 | x << 12 | on << 11;
}

TEST(Aedat2File, OfADavisLeavesOutWhatIsNoPixel) {
  const Recording recording(std::string(kAedat2) + kDavis +
                            big<std::uint32_t>({davis(239, 179, 1), 10, 0x80000000, 11,
                                                davis(1, 2, 0) | 0x400, 12, davis(3, 4, 0), 13}));
  EXPECT_EQ(recording.events(), (Events{{10, 239, 179, 1}, {13, 3, 4, 0}}));
  EXPECT_EQ(recording.info().format, EventFormat::aedat2);
  EXPECT_EQ(recording.info().width, 240u);
  EXPECT_EQ(recording.info().height, 180u);
}

TEST(Aedat2File, OfADVS128HasSevenBitsOfXAndY) {
  const Recording recording(
      std::string(kAedat2) + kDvs128 +
      big<std::uint32_t>({dvs128(127, 1, 1), 10, dvs128(1, 2, 0) | 0x8000, 11, dvs128(0, 126, 0), 12}));
  EXPECT_EQ(recording.events(), (Events{{10, 127, 1, 1}, {12, 0, 126, 0}}));
  EXPECT_EQ(recording.info().width, 128u);
}

TEST(Aedat2File, WithoutACameraIsSeenByItsAddresses) {
  const std::string narrow = big<std::uint32_t>({dvs128(5, 2, 1), 1}),
                    wide = big<std::uint32_t>({davis(5, 6, 1), 1});
  EXPECT_EQ(Recording(kAedat2 + narrow).events(), (Events{{1, 5, 2, 1}}));
  EXPECT_EQ(Recording(kAedat2 + wide).events(), (Events{{1, 5, 6, 1}}));
  EXPECT_EQ(Recording(kAedat2 + narrow).events({.sensor = EventSensor::davis}), (Events{{1, 0, 0, 0}}));
  expect_has(refusal(kAedat2 + wide, {.sensor = EventSensor::dvs128}),
             "expected addresses of a DVS128, below 65536, found");
  expect_has(refusal(std::string(kAedat2) + "# AEChip: Cochlea\r\n" + wide),
             "expected a DVS128 or a DAVIS for AEChip in the header, or the option sensor, found 'Cochlea'");
}

TEST(Aedat2File, RecordsThatBeginAsALineDoAreNoHeader) {
  // '#' and bytes that are no text; or text without an end of the line.
  const Recording recording(kAedat2 + big<std::uint32_t>({0x23000000, 1}));
  EXPECT_EQ(recording.events().size(), 1u);
  EXPECT_EQ(Recording(std::string(kAedat2) + "#End Of ASCII Header\r\n" + "#abcd!\r\n").events({}).size(),
            1u);
}

TEST(Aedat2File, TimesRiseWhereTheCounterWraps) {
  const Recording recording(std::string(kAedat2) + kDvs128 +
                            big<std::uint32_t>({dvs128(0, 0, 0), 0xffffffff, dvs128(0, 0, 0), 1}));
  EXPECT_EQ(recording.events(), (Events{{0xffffffff, 0, 0, 0}, {(std::uint64_t{1} << 32) + 1, 0, 0, 0}}));
}

TEST(Aedat2File, ACutOffFileIsRefused) {
  expect_has(refusal(std::string(kAedat2) + "1234567"), "expected events of 8 bytes");
  expect_has(refusal("#!AER-DAT9.0\r\n"), "expected AEDAT of version 1 to 4, found '#!AER-DAT9.0'");
  EXPECT_TRUE(Recording(kAedat2).events().empty());
}

TEST(Aedat1File, HasAddressesOfSixteenBits) {
  const std::string records =
      big<std::uint16_t>({static_cast<std::uint16_t>(dvs128(9, 8, 1))}) + big<std::uint32_t>({77});
  EXPECT_EQ(Recording("#!AER-DAT1.0\r\n" + records).events(), (Events{{77, 9, 8, 1}}));
  EXPECT_EQ(Recording("# no version\r\n" + records, "old.aedat").events(), (Events{{77, 9, 8, 1}}));
  EXPECT_EQ(Recording(records).events(as(EventFormat::aedat1)), (Events{{77, 9, 8, 1}}));
  expect_has(refusal("#!AER-DAT1.0\r\n1234567"), "expected events of 6 bytes");
  expect_has(refusal("#!AER-DAT1.0\r\n", {.sensor = EventSensor::davis}), "found a davis");
}

const std::string kAedat3 =
    "#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2016-11-11\r\n#!END-HEADER\r\n";

struct Packet {
  int type = 1, source = 1, size = 8, overflow = 0, capacity = 0, number = 0;
  std::string body;

  std::string bytes() const {
    return little<std::int16_t>({static_cast<std::int16_t>(type), static_cast<std::int16_t>(source)}) +
           little<std::int32_t>({size, 4, overflow, capacity, number, number}) + body;
  }
};

std::string polarity3(std::uint32_t t, std::uint32_t x, std::uint32_t y, std::uint32_t on,
                      std::uint32_t valid = 1) {
  return little<std::uint32_t>({x << 17 | y << 2 | on << 1 | valid, t});
}

TEST(Aedat3File, PacketsOfPixelsAreReadAndOthersSkipped) {
  const std::string one = polarity3(100, 127, 3, 1) + polarity3(101, 4, 5, 1, 0) + polarity3(102, 6, 7, 0);
  const Packet pixels{.capacity = 4, .number = 3, .body = one + std::string(8, 'x')};  // capacity > number
  const Packet frames{.type = 2, .size = 5, .capacity = 2, .number = 1, .body = std::string(10, 'f')};
  const Packet later{.overflow = 2, .capacity = 1, .number = 1, .body = polarity3(9, 1, 1, 1)};
  const Packet empty{};
  const Recording recording(kAedat3 + pixels.bytes() + frames.bytes() + empty.bytes() + later.bytes());
  // The second event is not valid.
  EXPECT_EQ(recording.events(),
            (Events{{100, 127, 3, 1}, {102, 6, 7, 0}, {(std::uint64_t{2} << 31) + 9, 1, 1, 1}}));
  EXPECT_EQ(recording.info().width, 128u);
}

TEST(Aedat3File, OfTwoSourcesOneIsChosen) {
  const Packet one{.source = 1, .capacity = 1, .number = 1, .body = polarity3(1, 1, 1, 1)};
  const Packet two{.source = 2, .capacity = 1, .number = 1, .body = polarity3(2, 2, 2, 0)};
  const std::string bytes = kAedat3 + one.bytes() + two.bytes();
  expect_has(refusal(bytes), "expected events of one source, or the option stream at byte");
  EXPECT_EQ(Recording(bytes).events({.stream = 2}), (Events{{2, 2, 2, 0}}));
  EXPECT_TRUE(Recording(bytes).events({.stream = 3}).empty());
}

TEST(Aedat3File, LyingSizesAreRefused) {
  const auto refused = [](const Packet& packet) { return refusal(kAedat3 + packet.bytes()); };
  expect_has(refused({.capacity = 1, .number = 2, .body = std::string(8, '\0')}),
             "expected at most 1 events, as its capacity at byte 86, found 2");
  expect_has(refused({.capacity = 2, .number = 1, .body = std::string(8, '\0')}),
             "expected a packet of 16 bytes at byte 86, found 8: the file is cut off");
  expect_has(refused({.size = 0x7fffffff, .capacity = 0x7fffffff, .number = 0}),
             "expected a packet of 4611686014132420609 bytes");
  expect_has(refused({.size = -8, .capacity = 1}),
             "expected a packet of events of a positive size at byte 86, found size -8");
  expect_has(refused({.size = 8, .capacity = -1}), "capacity -1");
  expect_has(refused({.overflow = -1}), "overflow -1");
  expect_has(refused({.size = 16, .capacity = 1, .body = std::string(16, '\0')}),
             "expected events of 8 bytes");
  expect_has(refused({.capacity = 1, .number = 1, .body = polarity3(0x80000000, 0, 0, 0)}),
             "expected times from 0 on, found a negative one");
  expect_has(refused({.capacity = 1, .number = 1, .body = polarity3(0, 128, 0, 0)}),
             "within 128 x 128 pixels");
  expect_has(refusal(std::string(kAedat3) + "12345"),
             "expected a packet header of 28 bytes at byte 86, found 5");
  expect_has(refusal("#!AER-DAT3.1\r\n#Format: PNGFrames\r\n#!END-HEADER\r\n"),
             "expected AEDAT 3 of format RAW, found 'PNGFrames'");
}

}  // namespace
}  // namespace volley::test
