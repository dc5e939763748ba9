#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/csv_text.hpp"
#include "events/aedat_camera.hpp"
#include "events/decoder.hpp"
#include "events/event_bytes.hpp"
#include "events/text_header.hpp"

// AEDAT 3, of cAER: lines that begin with '#', the last "#!END-HEADER"; then packets, little-endian:
//
//     int16 type, source   int32 size, time offset, overflow, capacity, number, valid   capacity events of
//     size
//
// An event of pixels (type 1) is uint32 with x 31..17, y 16..2, polarity 1, valid 0; int32 time, whose higher
// bits are the packet's overflow.

namespace volley {
namespace {

constexpr std::size_t kPacketHeader = 28;
constexpr int kPolarity = 1;
constexpr std::size_t kEventBytes = 8;

class Aedat3Decoder final : public EventDecoder {
 public:
  Aedat3Decoder(EventBytes bytes, const EventFileOptions& options, const EventFileInfo& info,
                std::size_t begin)
      : EventDecoder(std::move(bytes), options, info), at_(begin), source_(options.stream) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    while (n < events.size() && (!events_.empty() || next_packet())) {
      const std::size_t count = std::min(events.size() - n, events_.size() / kEventBytes);
      std::uint32_t negative = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const auto data = load<std::uint32_t>(events_.data() + i * kEventBytes);
        const auto t = load<std::uint32_t>(events_.data() + i * kEventBytes + 4);
        negative |= t;
        events[n] = {.t = overflow_ << 31 | t,
                     .x = static_cast<std::uint16_t>(data >> 17),
                     .y = static_cast<std::uint16_t>(data >> 2 & 0x7fff),
                     .channel = static_cast<std::uint16_t>(data >> 1 & 1)};
        n += data & 1;  // valid
      }
      if (negative >> 31 != 0) bytes().fail("times from 0 on", "a negative one");
      events_.remove_prefix(count * kEventBytes);
    }
    return n;
  }

  /// Finds the next packet of pixels; false at the end.
  bool next_packet() {
    while (at_ != bytes().size()) {
      const std::string_view rest = bytes().all().substr(at_);
      if (rest.size() < kPacketHeader)
        fail("a packet header of 28 bytes", fmt::format("{}: the file is cut off", rest.size()));
      const auto type = load<std::int16_t>(rest.data());
      const auto source = load<std::int16_t>(rest.data() + 2);
      const auto number = [&](std::size_t at) {
        return static_cast<std::int64_t>(load<std::int32_t>(rest.data() + at));
      };
      const std::int64_t size = number(4), overflow = number(12), capacity = number(16), used = number(20);
      if (size <= 0 || capacity < 0 || used < 0 || overflow < 0)
        fail("a packet of events of a positive size",
             fmt::format("size {}, overflow {}, capacity {}, number {}", size, overflow, capacity, used));
      if (used > capacity)
        fail(fmt::format("at most {} events, as its capacity", capacity), fmt::format("{}", used));
      const auto body = static_cast<std::uint64_t>(size) * static_cast<std::uint64_t>(capacity);
      if (body > rest.size() - kPacketHeader)
        fail(fmt::format("a packet of {} bytes", body),
             fmt::format("{}: the file is cut off", rest.size() - kPacketHeader));
      at_ += kPacketHeader + body;
      if (type != kPolarity || !is_wanted(source)) continue;
      if (size != kEventBytes) fail("events of 8 bytes", fmt::format("{}", size));
      overflow_ = static_cast<std::uint64_t>(overflow);
      events_ = rest.substr(kPacketHeader, static_cast<std::size_t>(used) * kEventBytes);
      if (!events_.empty()) return true;
    }
    return false;
  }

  bool is_wanted(int source) {
    if (chosen_by_user_) return source == *source_;
    if (!source_) source_ = source;
    if (source != *source_)
      fail("events of one source, or the option stream", fmt::format("sources {} and {}", *source_, source));
    return true;
  }

  [[noreturn]] void fail(const std::string& expected, const std::string& found) const {
    bytes().fail(fmt::format("{} at byte {}", expected, at_), found);
  }

  std::size_t at_;
  std::string_view events_;  // of a packet
  std::uint64_t overflow_ = 0;
  std::optional<std::int32_t> source_;
  bool chosen_by_user_ = source_.has_value();
};

}  // namespace

std::unique_ptr<EventDecoder> open_aedat3(EventBytes bytes, const EventFileOptions& options) {
  const TextHeader header = read_text_header(bytes.all(), "#", "!END-HEADER");
  const std::string_view format = header_value(header, "Format:");
  if (!format.empty() && format != "RAW") bytes.fail("AEDAT 3 of format RAW", quoted_text(format));
  EventFileInfo info{.format = EventFormat::aedat3, .channels = 2};
  for (const std::string_view line : header.lines) {  // "Source 1: DVS128"
    if (!line.starts_with("Source ")) continue;
    const AedatCamera camera = aedat_camera(line);
    info.width = std::max(info.width, camera.width);
    info.height = std::max(info.height, camera.height);
  }
  const std::size_t begin = header.bytes;
  return std::make_unique<Aedat3Decoder>(std::move(bytes), options, info, begin);
}

}  // namespace volley
