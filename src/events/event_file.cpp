#include <volley/event_file.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/csv_text.hpp"
#include "events/decoder.hpp"
#include "events/evt_header.hpp"

namespace volley {
namespace {

constexpr std::string_view kAedat = "#!AER-DAT";

using Ending = std::pair<std::string_view, EventFormat>;

/// Of formats without a mark, for which another may be taken by chance.
constexpr Ending kUnmarked[] = {{".bin", EventFormat::nmnist},
                                {".bs2", EventFormat::nmnist},
                                {".bs1", EventFormat::bs1},
                                {".bs3", EventFormat::bs3}};
constexpr Ending kText[] = {{".csv", EventFormat::csv}, {".txt", EventFormat::csv}};

std::optional<EventFormat> format_of(std::span<const Ending> endings, const std::string& ending) {
  const auto found = std::ranges::find(endings, ending, &Ending::first);
  if (found == endings.end()) return std::nullopt;
  return found->second;
}

EventFormat aedat_format(const EventBytes& bytes) {
  const std::string_view version = bytes.all().substr(kAedat.size(), 2);
  constexpr std::pair<std::string_view, EventFormat> kVersions[] = {{"1.", EventFormat::aedat1},
                                                                    {"2.", EventFormat::aedat2},
                                                                    {"3.", EventFormat::aedat3},
                                                                    {"4.", EventFormat::aedat4}};
  for (const auto& [text, format] : kVersions) {
    if (version == text) return format;
  }
  bytes.fail("AEDAT of version 1 to 4", quoted_text(bytes.all().substr(0, kAedat.size() + 3)));
}

EventFormat format_of(const EventBytes& bytes, const std::filesystem::path& path) {
  const std::string ending = small_ending(path);
  const std::string_view begin = bytes.all();
  if (const auto format = format_of(kUnmarked, ending)) return *format;
  if (begin.starts_with(kAedat)) return aedat_format(bytes);
  if (begin.starts_with("Event Stream")) return EventFormat::es;
  if (begin.starts_with("PK")) return EventFormat::npz;
  if (const auto format = evt_format(begin)) return *format;
  if (begin.starts_with("%")) return EventFormat::dat;
  if (ending == ".aedat" && begin.starts_with("#")) return EventFormat::aedat1;
  if (const auto format = format_of(kText, ending)) return *format;
  if (begin.starts_with("\x1f\x8b")) bytes.fail("a recording of events", "gzip, which must be unpacked");
  if (begin.starts_with("\x89HDF")) bytes.fail("a recording of events of another format", "HDF5");
  bytes.fail("the begin of a recording of events, or a name in .bin, .bs1, .bs2, .bs3, .csv or .txt",
             begin.empty() ? "no bytes" : quoted_text(begin.substr(0, 12)));
}

std::unique_ptr<EventDecoder> open(EventBytes bytes, const EventFileOptions& options, EventFormat format) {
  switch (format) {
    case EventFormat::nmnist:
    case EventFormat::bs1:
    case EventFormat::bs3: return open_slayer(std::move(bytes), options, format);
    case EventFormat::aedat1:
    case EventFormat::aedat2: return open_aedat2(std::move(bytes), options, format);
    case EventFormat::aedat3: return open_aedat3(std::move(bytes), options);
    case EventFormat::aedat4: return open_aedat4(std::move(bytes), options);
    case EventFormat::evt2:
    case EventFormat::evt21: return open_evt2(std::move(bytes), options, format);
    case EventFormat::evt3: return open_evt3(std::move(bytes), options);
    case EventFormat::dat: return open_dat(std::move(bytes), options);
    case EventFormat::es: return open_es(std::move(bytes), options);
    case EventFormat::npz: return open_event_npz(std::move(bytes), options);
    case EventFormat::csv: return open_event_csv(std::move(bytes), options);
  }
  throw ArgumentError("event file", "format must be one of EventFormat");
}

std::unique_ptr<EventDecoder> open(const std::filesystem::path& path, const EventFileOptions& options) {
  if (!(options.time_unit > 0 && options.time_unit < 1e18)) {
    throw ArgumentError("event file", "time_unit must be > 0 and < 1e18",
                        fmt::format("{}", options.time_unit));
  }
  EventBytes bytes(path);
  const EventFormat format = options.format ? *options.format : format_of(bytes, path);
  return open(std::move(bytes), options, format);
}

/// No more events are in the file, where an event takes some of its bytes; else 0.
std::size_t most_events(const EventDecoder& decoder) {
  const std::size_t size = decoder.bytes().size();
  switch (decoder.info().format) {
    case EventFormat::evt2: return size / 4;
    case EventFormat::nmnist:
    case EventFormat::bs1:
    case EventFormat::es: return size / 5;
    case EventFormat::aedat1: return size / 6;
    case EventFormat::bs3: return size / 7;
    case EventFormat::aedat2:
    case EventFormat::aedat3:
    case EventFormat::dat: return size / 8;
    default: return 0;
  }
}

}  // namespace

std::string small_ending(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return ending;
}

std::string_view name_of(EventFormat format) { return choices(format)[static_cast<std::size_t>(format)]; }

void check_records(const EventBytes& bytes, std::size_t header, std::size_t size) {
  const std::size_t rest = bytes.size() - header;
  if (rest % size == 0) return;
  bytes.fail(
      fmt::format("events of {} bytes after the header of {}", size, header),
      fmt::format("{} bytes, {} too many: the file is cut off, or of another format", rest, rest % size));
}

EventDecoder::EventDecoder(EventBytes bytes, const EventFileOptions& options, EventFileInfo info)
    : bytes_(std::move(bytes)), info_(std::move(info)) {
  if (info_.width == 0) info_.width = options.width;
  if (info_.height == 0) info_.height = options.height;
}

std::size_t EventDecoder::decode(std::span<Event> events) {
  if (failed_) bytes_.fail("no read after a failure", "one");
  failed_ = true;
  const std::size_t n = do_decode(events);
  constexpr std::size_t kAny = 0x10000;
  const std::size_t width = info_.width == 0 ? kAny : info_.width;
  const std::size_t height = info_.height == 0 ? kAny : info_.height;
  std::size_t x = 0, y = 0;
  for (const Event& event : events.first(n)) {
    x = std::max<std::size_t>(x, event.x);
    y = std::max<std::size_t>(y, event.y);
  }
  if (x >= width || y >= height) {
    const auto outside = [&](const Event& event) { return event.x >= width || event.y >= height; };
    const auto first = std::ranges::find_if(events.first(n), outside);
    bytes_.fail(fmt::format("events within {} x {} pixels", info_.width, info_.height),
                fmt::format("x {}, y {} in event {}", first->x, first->y,
                            count_ + static_cast<std::size_t>(first - events.begin())));
  }
  count_ += n;
  failed_ = false;
  return n;
}

EventFile::EventFile(const std::filesystem::path& path, const EventFileOptions& options)
    : decoder_(open(path, options)) {}

EventFile::EventFile(EventFile&& other) noexcept = default;
EventFile& EventFile::operator=(EventFile&& other) noexcept = default;
EventFile::~EventFile() = default;

const EventFileInfo& EventFile::info() const { return decoder_->info(); }

std::size_t EventFile::read(std::span<Event> events) {
  std::size_t filled = take_spilled(events);
  while (filled < events.size()) {
    const std::size_t n = decode(events.subspan(filled));
    if (n == 0) break;
    filled += n;
  }
  return filled;
}

/// A decoder needs room for kLeast events; the last of a block are decoded into other memory.
std::size_t EventFile::decode(std::span<Event> events) {
  if (events.size() >= EventDecoder::kLeast) return decoder_->decode(events);
  spilled_.resize(EventDecoder::kLeast);
  spilled_begin_ = 0;
  spilled_.resize(decoder_->decode(spilled_));
  return take_spilled(events);
}

std::size_t EventFile::take_spilled(std::span<Event> events) {
  const std::size_t n = std::min(events.size(), spilled_.size() - spilled_begin_);
  std::copy_n(spilled_.begin() + static_cast<std::ptrdiff_t>(spilled_begin_), n, events.begin());
  spilled_begin_ += n;
  return n;
}

std::vector<Event> read_events(const std::filesystem::path& path, const EventFileOptions& options) {
  constexpr std::size_t kBlock = 1024;
  const std::unique_ptr<EventDecoder> decoder = open(path, options);
  std::vector<Event> events, block(kBlock);
  events.reserve(most_events(*decoder));
  while (const std::size_t n = decoder->decode(block)) {
    events.insert(events.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n));
  }
  return events;
}

}  // namespace volley
