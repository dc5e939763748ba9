#include <fmt/format.h>
#include <lz4frame.h>
#include <zstd.h>

#include "events/recordings.hpp"
#include "support/error_text.hpp"

namespace volley::test {
namespace {

const std::string kMark = "#!AER-DAT4.0\r\n";

std::string stream_xml(int id, const std::string& type, const std::string& info) {
  return fmt::format(
      R"(<node name="{}"><attr key="typeIdentifier" type="string">{}</attr><node name="info">{}</node></node>)",
      id, type, info);
}
std::string xml_of(const std::string& streams) {
  return R"(<dv version="2.0"><node name="outInfo" path="/">)" + streams + "</node></dv>";
}
const std::string kInfo =
    R"(<attr key="sizeX" type="int">320</attr><attr key="sizeY" type="int">240</attr><attr key="source">DVX</attr>)";
const std::string kXml = xml_of(stream_xml(0, "EVTS", kInfo) + stream_xml(2, "IMUS", ""));

/// The line and the header: a flatbuffer with compression, place of the table, XML.
std::string header4(std::int32_t compression, const std::string& xml = kXml, std::int64_t table = -1) {
  const std::string buffer = little<std::uint32_t>({20}) + "IOHE" +
                             little<std::uint16_t>({10, 20, 4, 12, 8, 0}) +
                             little<std::int32_t>({12, compression, 12}) + little<std::int64_t>({table}) +
                             little<std::uint32_t>({static_cast<std::uint32_t>(xml.size())}) + xml;
  return kMark + little<std::uint32_t>({static_cast<std::uint32_t>(buffer.size())}) + buffer;
}

std::string event4(std::int64_t t, std::int16_t x, std::int16_t y, int on) {
  return little<std::int64_t>({t}) + little<std::int16_t>({x, y}) + bytes_of({on, 9, 9, 9});
}

/// A packet's body: a size and a flatbuffer with a vector of events.
std::string body4(const std::string& events) {
  const std::string buffer = little<std::uint32_t>({16}) + "EVTS" + little<std::uint16_t>({6, 8, 4, 0}) +
                             little<std::uint32_t>({8, 4, static_cast<std::uint32_t>(events.size() / 16)}) +
                             events;
  return little<std::uint32_t>({static_cast<std::uint32_t>(buffer.size())}) + buffer;
}
/// One whose vector is absent.
std::string empty_body4() {
  const std::string buffer =
      little<std::uint32_t>({12}) + "EVTS" + little<std::uint16_t>({4, 4}) + little<std::int32_t>({4});
  return little<std::uint32_t>({static_cast<std::uint32_t>(buffer.size())}) + buffer;
}
std::string packet4(std::int32_t stream, const std::string& body) {
  return little<std::int32_t>({stream, static_cast<std::int32_t>(body.size())}) + body;
}

std::string lz4(const std::string& bytes) {
  std::string packed(LZ4F_compressFrameBound(bytes.size(), nullptr), '\0');
  packed.resize(LZ4F_compressFrame(packed.data(), packed.size(), bytes.data(), bytes.size(), nullptr));
  return packed;
}
std::string zstd(const std::string& bytes) {
  std::string packed(ZSTD_compressBound(bytes.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
  return packed;
}
std::string as_it_is(const std::string& bytes) { return bytes; }

struct Packing {
  int compression;
  std::string (*pack)(const std::string&);
};
constexpr Packing kPackings[] = {{0, as_it_is}, {1, lz4}, {2, lz4}, {3, zstd}, {4, zstd}};

TEST(Aedat4File, PacketsOfTheStreamAreUnpacked) {
  const std::string first = event4(1605537493718345, 319, 239, 1) + event4(1605537493718346, 0, 1, 0);
  for (const Packing& packing : kPackings) {
    const Recording recording(header4(packing.compression) + packet4(0, packing.pack(body4(first))) +
                              packet4(2, "not an event") + packet4(0, packing.pack(empty_body4())) +
                              packet4(0, packing.pack(body4(event4(1605537493718347, 2, 3, 1)))));
    EXPECT_EQ(
        recording.events(),
        (Events{{1605537493718345, 319, 239, 1}, {1605537493718346, 0, 1, 0}, {1605537493718347, 2, 3, 1}}));
    const EventFileInfo info = recording.info();
    EXPECT_EQ(info.format, EventFormat::aedat4);
    EXPECT_EQ(info.width, 320u);
    EXPECT_EQ(info.height, 240u);
    EXPECT_EQ(info.streams, (std::vector<EventStream>{{0, "EVTS", "DVX", 320, 240}, {2, "IMUS", "", 0, 0}}));
  }
}

TEST(Aedat4File, LargePacketsAreUnpackedAsTheyCome) {
  std::string events;
  Events expected;
  for (int i = 0; i < 20000; ++i) {
    events += event4(i, static_cast<std::int16_t>(i % 320), static_cast<std::int16_t>(i * 7 % 240), i % 2);
    expected.push_back({static_cast<std::uint64_t>(i), static_cast<std::uint16_t>(i % 320),
                        static_cast<std::uint16_t>(i * 7 % 240), static_cast<std::uint16_t>(i % 2)});
  }
  for (const Packing& packing : kPackings) {
    EXPECT_EQ(Recording(header4(packing.compression) + packet4(0, packing.pack(body4(events)))).events(),
              expected);
  }
}

TEST(Aedat4File, OfSeveralStreamsOneIsChosen) {
  const std::string xml =
      xml_of(stream_xml(1, "FRME", "") + stream_xml(3, "EVTS", "") + stream_xml(7, "EVTS", kInfo));
  const std::string bytes =
      header4(0, xml) + packet4(7, body4(event4(7, 7, 7, 1))) + packet4(3, body4(event4(3, 3, 3, 0)));
  EXPECT_EQ(Recording(bytes).events(), (Events{{3, 3, 3, 0}}));
  EXPECT_EQ(Recording(bytes).events({.stream = 7}), (Events{{7, 7, 7, 1}}));
  EXPECT_EQ(Recording(bytes).info({.stream = 7}).width, 320u);
  EXPECT_EQ(refusal(bytes, {.stream = 1}),
            " expected a stream 1 of events (EVTS), found 1 'FRME', 3 'EVTS', 7 'EVTS'");
  EXPECT_EQ(refusal(header4(0, "<dv>")), " expected a stream of events (EVTS), found no stream");
}

TEST(Aedat4File, TheTableOfPacketsIsNotRead) {
  const std::string packets = packet4(0, body4(event4(1, 2, 3, 1)));
  const auto begin = static_cast<std::int64_t>(header4(0).size() + packets.size());
  EXPECT_EQ(Recording(header4(0, kXml, begin) + packets + "a table").events().size(), 1u);
  // Of a recording that was cut off it is beyond the end.
  EXPECT_EQ(Recording(header4(0, kXml, begin + 100) + packets).events().size(), 1u);
}

TEST(Aedat4File, DamageIsRefused) {
  const std::string body = body4(event4(1, 2, 3, 1)), bytes = header4(0) + packet4(0, body);
  expect_has(refusal(bytes.substr(0, bytes.size() - 1)),
             "expected a packet of 48 bytes or more, found 47: the file is cut off");
  expect_has(refusal(bytes + "1234567"),
             "expected a packet of 8 bytes or more, found 7: the file is cut off");
  expect_has(refusal(header4(0) + little<std::int32_t>({0, -1})),
             "expected a packet of 0 bytes or more, found -1");
  expect_has(refusal(header4(5)), "expected a compression from 0 to 4, found 5");
  expect_has(refusal(kMark), "expected a header, found the end of the file");
  expect_has(refusal(kMark + little<std::uint32_t>({100})),
             "expected a header of 100 bytes, found 0: the file is cut off");
  expect_has(refusal(kMark + little<std::uint32_t>({8, 4}) + "WHAT"),
             "expected a flatbuffer with the identifier IOHE, found another");
  expect_has(refusal(header4(0) + packet4(0, body.substr(0, 30))), "expected a packet of 48 bytes, found 30");
  expect_has(refusal(header4(0) + packet4(0, "abc")), "expected a packet of 4 bytes, found 3");
  expect_has(refusal(header4(0) + packet4(0, body4(event4(-1, 2, 3, 1)))), "expected t, x and y from 0 on");
  expect_has(refusal(header4(0) + packet4(0, body4(event4(1, -2, 3, 1)))), "expected t, x and y from 0 on");
  expect_has(refusal(header4(0) + packet4(0, body4(event4(1, 320, 3, 1)))), "within 320 x 240 pixels");
  for (const Packing& packing : kPackings) {
    if (packing.compression == 0) continue;
    const std::string packed = packing.pack(body);
    const auto refused = [&](const std::string& p) {
      return refusal(header4(packing.compression) + packet4(0, p));
    };
    expect_has(refused("no such frame, at all"),
               "expected a packet that can be unpacked, found a damaged one");
    expect_has(refused(packed.substr(0, packed.size() - 1)),
               "expected the end of a packed packet, found none");
    // A size that does not fit what comes, with more than the first memory takes.
    expect_has(refused(packing.pack(little<std::uint32_t>({100}) + std::string(70000, '\0'))),
               "expected a packet of 104 unpacked bytes, found more");
    expect_has(refused(packing.pack(little<std::uint32_t>({0xffffffff}) + std::string(70000, '\0'))),
               "expected packets of at most 33554432 unpacked bytes, found 4294967299");
  }
}

TEST(Aedat4File, EveryCutAndChangedByteIsReadOrRefused) {
  for (const Packing& packing : {kPackings[0], kPackings[1], kPackings[3]}) {
    const std::string bytes = header4(packing.compression, xml_of(stream_xml(0, "EVTS", ""))) +
                              packet4(0, packing.pack(body4(event4(1, 2, 3, 1) + event4(4, 5, 6, 0))));
    const Recording whole(bytes);
    EXPECT_EQ(whole.events().size(), 2u);
    std::size_t refused = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (const int bits : {0x01, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ bits);
        for (const std::string& wrong : {bytes.substr(0, i), changed}) {
          try {
            const Recording recording(wrong);
            recording.events(as(EventFormat::aedat4));
          } catch (const FileError&) {
            ++refused;
          }
        }
      }
    }
    EXPECT_GT(refused, bytes.size());
  }
}

}  // namespace
}  // namespace volley::test
