#include <volley/event_file.hpp>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include <volley/files.hpp>

#include "events/recordings.hpp"
#include "support/error_text.hpp"

namespace volley::test {
namespace {

namespace fs = std::filesystem;

constexpr EventFormat kWritten[] = {EventFormat::nmnist, EventFormat::aedat2, EventFormat::aedat4,
                                    EventFormat::evt2,   EventFormat::evt3,   EventFormat::dat,
                                    EventFormat::es,     EventFormat::npz,    EventFormat::csv};

/// Events by time that every format can hold.
Events some_events(std::size_t count) {
  Events events;
  std::uint64_t t = 3, state = 1;
  for (std::size_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto bits = static_cast<std::uint32_t>(state >> 32);
    t += bits % 7 == 0 ? bits % 1000 : bits % 3;
    events.push_back({t, static_cast<std::uint16_t>(bits >> 3 & 127),
                      static_cast<std::uint16_t>(bits >> 10 & 127), static_cast<std::uint16_t>(bits >> 31)});
  }
  return events;
}

TEST(EventFileWriter, WhatIsWrittenIsReadAgain) {
  const TempFolder folder;
  for (const EventFormat format : kWritten) {
    for (const std::size_t count : {0u, 1u, 63u, 5000u, 20000u}) {
      SCOPED_TRACE(choices(format)[static_cast<std::size_t>(format)]);
      const Events events = some_events(count);
      const fs::path path = folder / "recording";
      write_events(path, format, events, {.width = 128, .height = 128});
      EXPECT_EQ(read_events(path, {.format = format}), events);
      const EventFile file(path, {.format = format});
      EXPECT_EQ(file.info().format, format);
      const bool has_size =
          format != EventFormat::nmnist && format != EventFormat::npz && format != EventFormat::csv;
      EXPECT_EQ(file.info().width, has_size ? 128u : 0u);
      EXPECT_EQ(file.info().height, has_size ? 128u : 0u);
      if (format == EventFormat::nmnist || format == EventFormat::csv) continue;  // without a mark
      EXPECT_EQ(EventFile(path).info().format, format);
    }
  }
}

TEST(EventFileWriter, LongGapsOfTimeAreKept) {
  const std::uint64_t end = (std::uint64_t{1} << 34) - 1;
  const Events events{
      {0, 1, 1, 0}, {5, 1, 1, 0}, {1 << 24, 1, 1, 0}, {(1 << 24) + (1 << 23), 1, 1, 1}, {end, 2, 2, 1}};
  const TempFolder folder;
  for (const EventFormat format :
       {EventFormat::evt2, EventFormat::evt3, EventFormat::aedat4, EventFormat::npz}) {
    write_events(folder / "one", format, events);
    EXPECT_EQ(read_events(folder / "one"), events);
    // The first time as well.
    write_events(folder / "one", format, std::span(events).subspan(4));
    EXPECT_EQ(read_events(folder / "one"), (Events{events[4]}));
  }
}

TEST(EventFileWriter, WhatAFormatCannotHoldIsRefused) {
  const TempFolder folder;
  const auto refused = [&](EventFormat format, const Events& events, EventFileInfo info = {}) {
    info.width = info.width == 0 && format == EventFormat::es ? 0xffff : info.width;
    info.height = info.height == 0 && format == EventFormat::es ? 0xffff : info.height;
    const std::string text = error_text([&] { write_events(folder / "one", format, events, info); });
    EXPECT_TRUE(fs::is_empty(folder.path()));
    return text;
  };
  using F = EventFormat;
  EXPECT_EQ(refused(F::nmnist, {{1 << 23, 0, 0, 0}}),
            "[write_events] t must be at most 8388607 in nmnist, got 8388608");
  EXPECT_EQ(refused(F::nmnist, {{0, 256, 0, 0}}), "[write_events] x must be at most 255 in nmnist, got 256");
  EXPECT_EQ(refused(F::nmnist, {{0, 0, 240, 0}}), "[write_events] y must not be 240 in nmnist, got 240");
  EXPECT_EQ(refused(F::nmnist, {{0, 0, 0, 2}}), "[write_events] channel must be at most 1 in nmnist, got 2");
  EXPECT_EQ(refused(F::aedat2, {{0, 128, 0, 0}}), "[write_events] x must be at most 127 in aedat2, got 128");
  EXPECT_EQ(refused(F::aedat4, {{0, 0, 0x8000, 0}}),
            "[write_events] y must be at most 32767 in aedat4, got 32768");
  EXPECT_EQ(refused(F::evt2, {{5, 0, 0, 0}, {4, 0, 0, 0}}),
            "[write_events] t must not fall in evt2, got 4 after 5");
  EXPECT_EQ(refused(F::evt3, {{0, 2048, 0, 0}}), "[write_events] x must be at most 2047 in evt3, got 2048");
  EXPECT_EQ(refused(F::dat, {{std::uint64_t{1} << 32, 0, 0, 0}}),
            "[write_events] t must be at most 4294967295 in dat, got 4294967296");
  EXPECT_EQ(refused(F::es, {{5, 0, 0, 0}, {4, 0, 0, 0}}),
            "[write_events] t must not fall in es, got 4 after 5");
  EXPECT_EQ(refused(F::npz, {{0, 0, 0, 256}}), "[write_events] channel must be at most 255 in npz, got 256");
  EXPECT_EQ(refused(F::csv, {{0, 34, 0, 0}}, {.width = 34}),
            "[write_events] x must be at most 33 in this width, got 34");
  EXPECT_EQ(refused(F::csv, {}, {.width = 65537}),
            "[write_events] width and height must be at most 65536, got 65537 x 0");
  EXPECT_EQ(
      refused(F::aedat3, {}),
      "[write_events] format must be nmnist, aedat2, aedat4, evt2, evt3, dat, es, npz or csv, got aedat3");
  expect_has(error_text([&] { write_events(folder / "one", F::es, {}); }),
             "[write_events] width and height must be 1 to 65535 in es, got 0 x 0");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(EventFileWriter, AFileIsWholeOrNotThere) {
  const TempFolder folder;
  const fs::path path = folder / "one.csv";
  write_file_whole(path, "before");
  {
    EventFileWriter writer(path, EventFormat::csv);
    writer.write(some_events(10));
  }
  EXPECT_EQ(read_file(path, 100), "before");
  EventFileWriter writer(path, EventFormat::csv, {.width = 128});
  EXPECT_THROW(writer.write(Events{{0, 128, 0, 0}}), ArgumentError);
  EXPECT_EQ(error_text([&] { writer.finish(); }),
            "[write_events] nothing must be written after finish() or a failure");
  EventFileWriter other(path, EventFormat::csv);
  other.finish();
  EXPECT_EQ(read_file(path, 100), "t,x,y,channel\n");
  EXPECT_THROW(other.write(some_events(1)), ArgumentError);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
  EXPECT_THROW(EventFileWriter(folder / "no/such", EventFormat::csv), FileError);
}

TEST(EventFile, BlocksOfAnySizeGiveTheSameEvents) {
  const TempFolder folder;
  const Events events = some_events(3000);
  for (const EventFormat format : kWritten) {
    write_events(folder / "one", format, events, {.width = 128, .height = 128});
    for (const std::size_t size : {1u, 5u, 63u, 64u, 65u, 1000u, 3000u, 4000u}) {
      EventFile file(folder / "one", {.format = format});
      Events read;
      Events block(size);
      for (std::size_t n = size; n == size;) {
        n = file.read(block);
        read.insert(read.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n));
      }
      EXPECT_EQ(read, events) << size;
      EXPECT_EQ(file.read(block), 0u);
      EXPECT_EQ(file.read({}), 0u);
    }
  }
}

TEST(EventFile, ThrowsAgainAfterAnError) {
  const Recording recording("1,2,3,0\nwrong\n1,2,3,0\n", "one.csv");
  EventFile file(recording.path());
  Events block(100);
  expect_has(error_text([&] { file.read(block); }), ":2: expected a time from 0 on, found 'wrong'");
  expect_has(error_text([&] { file.read(block); }), ": expected no read after a failure, found one");
}

TEST(EventFile, CanBeMoved) {
  const Recording recording("1,2,3,0\n2,2,3,0\n", "one.csv");
  EventFile file(recording.path());
  Events block(1);
  EXPECT_EQ(file.read(block), 1u);
  EventFile other = std::move(file);
  EXPECT_EQ(other.read(block), 1u);
  EXPECT_EQ(block[0].t, 2u);
  file = std::move(other);
  EXPECT_EQ(file.read(block), 0u);
}

TEST(EventFile, AFormatIsSeenByTheNameOrTheContent) {
  const std::string dat = "% Version 2\n" + bytes_of({12, 8});
  EXPECT_EQ(Recording(dat, "one.csv").info().format, EventFormat::dat);
  // A name of a format without a mark counts more than bytes that look like one.
  EXPECT_EQ(Recording("% Ver", "ONE.BIN").info().format, EventFormat::nmnist);
  EXPECT_EQ(refusal("\x1f\x8b\x08 packed", {}, "one.raw"),
            " expected a recording of events, found gzip, which must be unpacked");
  EXPECT_EQ(refusal("\x89HDF\r\n", {}, "one.h5"),
            " expected a recording of events of another format, found HDF5");
  expect_has(refusal("what", {}, "one.what"), ".csv or .txt, found 'what'");
  expect_has(refusal("", {}, "one"), "found no bytes");
  EXPECT_THROW(EventFile("/no/such/file"), FileError);
  EXPECT_THROW(EventFile("/tmp"), FileError);
}

TEST(EventFile, NamesForWritingHaveAFormat) {
  EXPECT_EQ(event_format_of_name("a/b.AEDAT4"), EventFormat::aedat4);
  EXPECT_EQ(event_format_of_name("b.raw"), EventFormat::evt3);
  EXPECT_EQ(event_format_of_name("b.txt"), EventFormat::csv);
  EXPECT_EQ(event_format_of_name("b.bs1"), std::nullopt);
  EXPECT_EQ(event_format_of_name("raw"), std::nullopt);
}

}  // namespace
}  // namespace volley::test
