#include <fmt/format.h>

#include <limits>
#include <numeric>

#include <volley/array.hpp>

#include "data/array_bytes.hpp"
#include "events/recordings.hpp"
#include "support/error_text.hpp"

namespace volley::test {
namespace {

std::string es_header(int type = 1, int version = 2) {
  return "Event Stream" + bytes_of({version, 0, 0, type}) + little<std::uint16_t>({320, 240});
}
std::string es_event(int first, std::uint16_t x, std::uint16_t y) {
  return bytes_of({first}) + little<std::uint16_t>({x, y});
}

TEST(EsFile, TimesAreDifferences) {
  const Recording recording(es_header() + es_event(5 << 1 | 1, 319, 239) + bytes_of({0xff, 0xfe, 0xff}) +
                            es_event(126 << 1, 1, 2) + es_event(0, 3, 4));
  EXPECT_EQ(recording.events(),
            (Events{{5, 319, 239, 1}, {5 + 3 * 127 - 1, 1, 2, 0}, {5 + 3 * 127 - 1, 3, 4, 0}}));
  EXPECT_EQ(recording.info().format, EventFormat::es);
  EXPECT_EQ(recording.info().width, 320u);
  EXPECT_EQ(recording.info().height, 240u);
}

TEST(EsFile, OtherTypesAndDamageAreRefused) {
  EXPECT_EQ(refusal(es_header(0)), " expected an Event Stream of a DVS, found type 0, generic");
  EXPECT_EQ(refusal(es_header(2)), " expected an Event Stream of a DVS, found type 2, ATIS");
  EXPECT_EQ(refusal(es_header(9)), " expected an Event Stream of a DVS, found type 9");
  EXPECT_EQ(refusal(es_header(1, 1)), " expected Event Stream of version 2, found version 1");
  EXPECT_EQ(refusal("Event Stream"), " expected a version and a type, found the end of the file");
  EXPECT_EQ(refusal(es_header().substr(0, 18)), " expected a width and a height, found the end of the file");
  EXPECT_EQ(refusal(es_header() + "\1abc"), " expected x and y of the last event, found the end of the file");
  EXPECT_EQ(refusal("other", as(EventFormat::es)), " expected a begin 'Event Stream', found another");
  expect_has(refusal(es_header() + es_event(0, 320, 0)), "within 320 x 240 pixels");
}

Events csv(const std::string& text, EventFileOptions options = {}) {
  return Recording(text, "one.csv").events(options);
}
std::string csv_refusal(const std::string& text, EventFileOptions options = {}) {
  return refusal(text, options, "one.csv");
}

TEST(EventCsvFile, ColumnsAreFoundByTheirNames) {
  EXPECT_EQ(csv("x,y,p,ts\n1,2,1,30\n3,4,0,31\n"), (Events{{30, 1, 2, 1}, {31, 3, 4, 0}}));
  EXPECT_EQ(csv("\xEF\xBB\xBFTimestamp; other; X; Y; Polarity\r\n\r\n7;abc;1;2;-1\r\n"),
            (Events{{7, 1, 2, 0}}));
  EXPECT_EQ(csv("\"t\",\"x\",\"y\",\"channel\"\n1,2,3,65535"), (Events{{1, 2, 3, 65535}}));
  EXPECT_TRUE(csv("t,x,y,p\n").empty());
  EXPECT_TRUE(csv("").empty());
}

TEST(EventCsvFile, WithoutNamesTheyAreTXYAndChannel) {
  EXPECT_EQ(csv("# a comment\n% another\n10 1 2 1\n11\t3  4\t0 \n"), (Events{{10, 1, 2, 1}, {11, 3, 4, 0}}));
  EXPECT_EQ(csv("1.2e1,1.0,2e0,1\n"), (Events{{12, 1, 2, 1}}));
  EXPECT_EQ(Recording("1 2 3 4", "one.txt").info().format, EventFormat::csv);
}

TEST(EventCsvFile, UnitsAndIndicesAreAsTheOptionsSay) {
  EXPECT_EQ(csv("0.003811 96 133 0\n", {.time_unit = 1e6}), (Events{{3811, 96, 133, 0}}));
  EXPECT_EQ(csv("x,y,p,ts\n19,17,2,893\n", {.one_based = true}), (Events{{893, 18, 16, 1}}));
  expect_has(csv_refusal("x,y,p,ts\n19,17,2,893\n"), "2: expected a whole number from 0 to 1, found '2'");
  expect_has(csv_refusal("t,x,y,p\n1,0,1,1\n", {.one_based = true}),
             "2: expected a whole number from 1 to 65536, found '0'");
  for (const double unit : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    expect_has(error_text([&] { csv("1,2,3,0\n", {.time_unit = unit}); }),
               "[event file] time_unit must be > 0 and < 1e18");
  }
}

TEST(EventCsvFile, WrongLinesAreNamed) {
  expect_has(csv_refusal("t,x,y\n1,2,3\n"), "1: expected columns t, x, y and p, found 't,x,y'");
  expect_has(csv_refusal("t,t,x,y,p\n"), "1: expected each column once, found 't'");
  expect_has(csv_refusal("#\n1,2,3\n"),
             "2: expected four columns t, x, y and p, or their names in the first line");
  expect_has(csv_refusal("1,2,3,0\n\n1,2,3\n"), "3: expected a whole number from 0 to 65535, found ''");
  expect_has(csv_refusal("1,2,3,0\n1,2,3,0,5\n"), "2: expected 4 columns, found '5'");
  expect_has(csv_refusal("-1,2,3,0\n"), "1: expected a time from 0 on, found '-1'");
  expect_has(csv_refusal("nan,2,3,0\n"), "expected columns");
  expect_has(csv_refusal("1,65536,3,0\n"), "found '65536'");
  expect_has(csv_refusal("1,2.5,3,0\n"), "found '2.5'");
  expect_has(csv_refusal("1,2,3,99999999999999999999\n"), "found '99999999999999999999'");
}

template <class T>
std::string column(std::string_view descr, const std::vector<T>& values) {
  return npy_bytes(descr, fmt::format("({},)", values.size()), bytes_of(values));
}

std::vector<ZipEntry> npz_entries(bool deflated) {
  return {{"t.npy", column<std::int64_t>("<i8", {5, 6, 7}), deflated},
          {"x.npy", column<std::uint8_t>("|u1", {1, 2, 3}), deflated},
          {"y.npy", column<double>("<f8", {4, 5, 65535}), deflated},
          {"p.npy", column<std::int8_t>("|i1", {-1, 0, 1}), deflated}};
}

std::string npz_with(std::size_t member, const std::string& content, bool deflated = false) {
  std::vector<ZipEntry> entries = npz_entries(deflated);
  entries[member].content = content;
  return zip_bytes(entries);
}

TEST(EventNpzFile, ColumnsAreOfAnyType) {
  const Events expected{{5, 1, 4, 0}, {6, 2, 5, 0}, {7, 3, 65535, 1}};
  for (const bool deflated : {false, true}) {
    const Recording recording(zip_bytes(npz_entries(deflated)));
    EXPECT_EQ(recording.events(), expected);
    EXPECT_EQ(recording.info().format, EventFormat::npz);
    const std::string halves = column<std::uint16_t>("<f2", {0x3c00, 0x4000, 0x3800});  // 1, 2, 0.5
    const Events scaled = Recording(npz_with(0, halves, deflated)).events({.time_unit = 1000});
    EXPECT_EQ(scaled, (Events{{1000, 1, 4, 0}, {2000, 2, 5, 0}, {500, 3, 65535, 1}}));
  }
}

TEST(EventNpzFile, LargeColumnsAreReadPieceByPiece) {
  constexpr std::size_t kEvents = 10000;
  std::vector<std::int64_t> t(kEvents);
  std::iota(t.begin(), t.end(), 0);
  const std::vector<std::int32_t> x(kEvents, 7);
  const std::string data = zip_bytes({{"t.npy", column("<i8", t), true},
                                      {"x.npy", column("<i4", x), true},
                                      {"y.npy", column("<i4", x), false},
                                      {"p.npy", column("<i4", std::vector<std::int32_t>(kEvents, 1)), true}});
  const Events events = Recording(data).events();
  ASSERT_EQ(events.size(), kEvents);
  for (std::size_t i = 0; i < kEvents; ++i) ASSERT_EQ(events[i], (Event{i, 7, 7, 1}));
}

TEST(EventNpzFile, WrongArraysAreRefused) {
  using T = std::vector<std::int64_t>;
  const auto wrong = [](std::size_t member, const T& values) {
    return refusal(npz_with(member, column("<i8", values)));
  };
  EXPECT_EQ(wrong(0, {1, 2, -3}),
            " member 't.npy': expected whole numbers from 0 to 4611686018427387904, found others");
  EXPECT_EQ(wrong(1, {1, 2, 65536}), " member 'x.npy': expected whole numbers from 0 to 65535, found others");
  EXPECT_EQ(wrong(3, {1, 2, -2}), " member 'p.npy': expected whole numbers from -1 to 65535, found others");
  EXPECT_EQ(wrong(2, {1, 2}), " expected 3 elements in y, as in t, found 2");
  expect_has(refusal(npz_with(2, column<double>("<f8", {1, 2.5, 3}))),
             "member 'y.npy': expected whole numbers");
  expect_has(refusal(npz_with(0, column<double>("<f8", {1, std::numeric_limits<double>::quiet_NaN(), 3}))),
             "member 't.npy': expected whole numbers");
  expect_has(refusal(npz_with(0, column<std::uint64_t>("<u8", {1, ~0ull, 3}))),
             "member 't.npy': expected whole");
  expect_has(refusal(npz_with(0, npy_bytes("<i8", "(3, 1)", std::string(24, '\0')))),
             "expected an array of shape (N), found (3, 1)");
  expect_has(refusal(npz_with(0, npy_bytes("<i8", "()", std::string(8, '\0')))),
             "expected an array of shape (N), found ()");
  expect_has(refusal(npz_with(0, "no array")), "member 't.npy': expected a .npy");
  EXPECT_EQ(refusal(zip_bytes({npz_entries(false)[0]})),
            " expected arrays t, x, y and p, found none named x");
  expect_has(refusal("PK"), "expected a zip archive, which ends with its directory");
}

TEST(EventNpzFile, EveryCutAndChangedByteIsReadOrRefused) {
  for (const bool deflated : {false, true}) {
    const std::string bytes = zip_bytes(npz_entries(deflated));
    std::size_t refused = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ 0xff);
      for (const std::string& wrong : {bytes.substr(0, i), changed}) {
        try {
          const Recording recording(wrong, "one.npz");
          recording.events(as(EventFormat::npz));
        } catch (const FileError&) {
          ++refused;
        }
      }
    }
    EXPECT_GT(refused, bytes.size());
  }
}

}  // namespace
}  // namespace volley::test
