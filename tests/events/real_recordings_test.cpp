// Recordings that cameras and other programs made, in $VOLLEY_TEST_FILES, and what other decoders find in
// them.

#include <volley/process.hpp>

#include <algorithm>

#include "data/packed_file.hpp"
#include "events/recordings.hpp"
#include "support/error_text.hpp"
#include "support/test_file.hpp"

namespace volley::test {
namespace {

namespace fs = std::filesystem;

struct Expected {
  std::size_t events, on;
  std::uint64_t first, last;
};

void expect_events(const Events& events, const Expected& expected) {
  ASSERT_EQ(events.size(), expected.events);
  EXPECT_EQ(std::ranges::count(events, 1, &Event::channel), expected.on);
  EXPECT_EQ(events.front().t, expected.first);
  EXPECT_EQ(events.back().t, expected.last);
  EXPECT_TRUE(std::ranges::is_sorted(events, {}, &Event::t));
}

struct Extent {
  std::uint16_t x0, x1, y0, y1;
  friend bool operator==(const Extent&, const Extent&) = default;
};
Extent extent_of(const Events& events) {
  const auto [x0, x1] = std::ranges::minmax(events, {}, &Event::x);
  const auto [y0, y1] = std::ranges::minmax(events, {}, &Event::y);
  return {x0.x, x1.x, y0.y, y1.y};
}

/// A gzip file of the tests, unpacked.
std::string unpacked(const std::string& name, std::size_t size) {
  return read_unpacked(test_file(name), size);
}

TEST(RealRecordings, NMNIST) {
  VOLLEY_NEEDS_FILE("nmnist/sample_nmnist.bin");
  const Events events = read_events(test_file("nmnist/sample_nmnist.bin"));
  expect_events(events, {4325, 2145, 654, 311175});
  EXPECT_EQ(events[0], (Event{654, 7, 15, 1}));
}

TEST(RealRecordings, ElevenHundredOfNMNIST) {
  VOLLEY_NEEDS_FILE("nmnist/small/test100.tar.xz");
  const TempFolder folder;
  std::size_t files = 0, events = 0, fewest = ~std::size_t{0}, most = 0;
  for (const fs::directory_entry& archive : fs::directory_iterator(test_file("nmnist/small"))) {
    if (archive.path().extension() != ".xz") continue;
    const ProgramResult result =
        run_program({"tar", "xf", archive.path().string(), "-C", folder.path().string()});
    if (!result.ok()) GTEST_SKIP() << "tar cannot unpack .xz here: " << result.err;
  }
  for (const fs::directory_entry& file : fs::recursive_directory_iterator(folder.path())) {
    if (file.path().extension() != ".bs2") continue;
    const Events of_file = read_events(file.path(), {.width = 34, .height = 34});
    EXPECT_TRUE(std::ranges::is_sorted(of_file, {}, &Event::t)) << file.path();
    EXPECT_GE(of_file.back().t, 296841u);
    EXPECT_LE(of_file.back().t, 336040u);
    EXPECT_LE(of_file.front().t, 25812u);
    ++files;
    events += of_file.size();
    fewest = std::min(fewest, of_file.size());
    most = std::max(most, of_file.size());
  }
  EXPECT_EQ(files, 1100u);
  EXPECT_EQ(fewest, 1069u);
  EXPECT_EQ(most, 7152u);
  EXPECT_EQ(events / files, 4108u);
  const Events one = read_events(folder / "1.bs2");
  ASSERT_EQ(one.size(), 4681u);
  EXPECT_EQ(one.front(), (Event{893, 18, 16, 1}));
  EXPECT_EQ(one.back(), (Event{305924, 10, 10, 0}));
  const Events other = read_events(folder / "60001.bs2");
  ASSERT_EQ(other.size(), 3330u);
  EXPECT_EQ(other.front(), (Event{5087, 7, 7, 1}));
  EXPECT_EQ(other.back(), (Event{307827, 26, 8, 1}));
  // The same recording as text, counted from 1.
  EXPECT_EQ(read_events(test_file("slayer/1_raw_spikes.csv"), {.one_based = true}), one);
}

TEST(RealRecordings, SLAYERsOneDimensionalSpikes) {
  VOLLEY_NEEDS_FILE("slayer/NTIDIGITS_1.bs1");
  const Events events = read_events(test_file("slayer/NTIDIGITS_1.bs1"));
  expect_events(events, {898, 898, 0, 1079040});
  EXPECT_EQ(events[0], (Event{0, 63, 0, 1}));
}

TEST(RealRecordings, AEDAT2OfADavis) {
  VOLLEY_NEEDS_FILE("aedat2/IMU_translBoxes.aedat.gz");
  const Recording recording(unpacked("aedat2/IMU_translBoxes.aedat.gz", 1748132));
  const Events events = recording.events();
  expect_events(events, {162771, 82944, 294976755, 297049406});
  EXPECT_EQ(extent_of(events), (Extent{0, 239, 0, 179}));
  EXPECT_EQ(recording.info().width, 240u);
  const EventFile empty(test_file("aedat2/sample_aedat_header.aedat"));
  EXPECT_EQ(empty.info().width, 346u);
  EXPECT_TRUE(read_events(test_file("aedat2/sample_aedat_header.aedat")).empty());
  expect_events(read_events(test_file("aedat2/TranslatingSquare.aedat")), {16000, 8000, 50000, 5000000});
}

TEST(RealRecordings, AEDAT4) {
  VOLLEY_NEEDS_FILE("aedat4/sample.aedat4");
  const Events events = read_events(test_file("aedat4/sample.aedat4"));
  expect_events(events, {111954, 55023, 1605537493718345, 1605537494308262});
  EXPECT_EQ(events[0], (Event{1605537493718345, 154, 204, 0}));
  const EventFile file(test_file("aedat4/sample.aedat4"));
  EXPECT_EQ(file.info().width, 320u);
  EXPECT_EQ(file.info().height, 240u);
  EXPECT_EQ(file.info().streams.size(), 3u);
}

TEST(RealRecordings, EVT2) {
  VOLLEY_NEEDS_FILE("prophesee_evt/evt2_sample.raw.gz");
  const Recording recording(unpacked("prophesee_evt/evt2_sample.raw.gz", 2170592));
  const Events events = recording.events();
  expect_events(events, {539481, 367855, 1317888, 1367888});
  EXPECT_EQ(extent_of(events), (Extent{60, 599, 18, 475}));
  EXPECT_EQ(recording.info().width, 640u);
}

TEST(RealRecordings, EVT3) {
  VOLLEY_NEEDS_FILE("prophesee_evt/evt3_sample.raw");
  const Events events = read_events(test_file("prophesee_evt/evt3_sample.raw"));
  expect_events(events, {219596, 115532, 11718656, 11727457});
  EXPECT_EQ(events.front(), (Event{11718656, 874, 200, 0}));
  EXPECT_EQ(events.back(), (Event{11727457, 1218, 572, 1}));
}

TEST(RealRecordings, DAT) {
  VOLLEY_NEEDS_FILE("prophesee_dat/sample_ncars.dat");
  const Events events = read_events(test_file("prophesee_dat/sample_ncars.dat"));
  expect_events(events, {2009, 1350, 0, 99952});
  EXPECT_EQ(extent_of(events).x1, 77);
  EXPECT_EQ(extent_of(events).y1, 41);
}

TEST(RealRecordings, AGenericEventStreamIsRefused) {
  VOLLEY_NEEDS_FILE("es/generic.es");
  expect_has(error_text([] { read_events(test_file("es/generic.es")); }),
             "expected an Event Stream of a DVS, found type 0, generic");
}

}  // namespace
}  // namespace volley::test
