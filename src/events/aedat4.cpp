#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/csv_text.hpp"
#include "events/decoder.hpp"
#include "events/dv_info.hpp"
#include "events/event_bytes.hpp"
#include "events/flatbuffer.hpp"
#include "events/unpack.hpp"

// AEDAT 4, of DV: a line of text; a size and a flatbuffer "IOHE" with the compression, the place of a table
// of packets at the end, and XML about the streams; then packets to that table:
//
//     int32 stream, size   body, packed: a size and a flatbuffer "EVTS" with a vector of events
//
// An event is int64 time, int16 x, int16 y, uint8 polarity, 3 bytes without a meaning.

namespace volley {
namespace {

constexpr std::string_view kMark = "#!AER-DAT4.0\r\n";
constexpr std::string_view kEvents = "EVTS";
constexpr std::size_t kSizeBytes = 4, kPacketHeader = 8, kEventBytes = 16;

class Aedat4Decoder final : public EventDecoder {
 public:
  Aedat4Decoder(EventBytes bytes, const EventFileOptions& options, const EventFileInfo& info,
                std::string_view packets, std::int32_t stream, EventPacking packing)
      : EventDecoder(std::move(bytes), options, info),
        packets_(packets),
        stream_(stream),
        unpacker_(packing) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    while (n < events.size() && (!events_.empty() || next_packet())) {
      const std::size_t count = std::min(events.size() - n, events_.size() / kEventBytes);
      bool negative = false;
      for (std::size_t i = 0; i < count; ++i) {
        const char* const from = events_.data() + i * kEventBytes;
        const auto t = load<std::int64_t>(from);
        const auto x = load<std::int16_t>(from + 8), y = load<std::int16_t>(from + 10);
        negative |= t < 0 || (x | y) < 0;
        events[n + i] = {.t = static_cast<std::uint64_t>(t),
                         .x = static_cast<std::uint16_t>(x),
                         .y = static_cast<std::uint16_t>(y),
                         .channel = static_cast<std::uint16_t>(from[12] != 0)};
      }
      if (negative) bytes().fail("t, x and y from 0 on", "a negative one");
      events_.remove_prefix(count * kEventBytes);
      n += count;
    }
    return n;
  }

  /// Unpacks the next packet of the stream that has events; false at the end.
  bool next_packet() {
    while (!packets_.empty()) {
      if (packets_.size() < kPacketHeader) fail_cut(kPacketHeader, packets_.size());
      const auto stream = load<std::int32_t>(packets_.data());
      const auto size = load<std::int32_t>(packets_.data() + 4);
      packets_.remove_prefix(kPacketHeader);
      if (size < 0) bytes().fail("a packet of 0 bytes or more", fmt::format("{}", size));
      const auto body = static_cast<std::size_t>(size);
      if (body > packets_.size()) fail_cut(body, packets_.size());
      const std::string_view packed = packets_.substr(0, body);
      packets_.remove_prefix(body);
      if (stream != stream_) continue;
      events_ = FlatBuffer(bytes(), unpacker_.unpack(bytes(), packed), kEvents).vector(0, kEventBytes);
      if (!events_.empty()) return true;
    }
    return false;
  }

  [[noreturn]] void fail_cut(std::size_t expected, std::size_t found) const {
    bytes().fail(fmt::format("a packet of {} bytes or more", expected),
                 fmt::format("{}: the file is cut off", found));
  }

  std::string_view packets_;
  std::int32_t stream_;
  PacketUnpacker unpacker_;
  std::string_view events_;  // of a packet
};

EventPacking packing_of(const EventBytes& bytes, std::int32_t compression) {
  switch (compression) {
    case 0: return EventPacking::none;
    case 1:
    case 2: return EventPacking::lz4;
    case 3:
    case 4: return EventPacking::zstd;
    default: bytes.fail("a compression from 0 to 4", fmt::format("{}", compression));
  }
}

/// The stream to be read.
const EventStream& choose_stream(const EventBytes& bytes, const std::vector<EventStream>& streams,
                                 std::optional<std::int32_t> wanted) {
  std::string found;
  for (const EventStream& stream : streams) {
    if (stream.type == kEvents && (!wanted || *wanted == stream.id)) return stream;
    if (found.size() < 100)
      found += fmt::format("{}{} {}", found.empty() ? "" : ", ", stream.id, quoted_text(stream.type));
  }
  bytes.fail(wanted ? fmt::format("a stream {} of events (EVTS)", *wanted) : "a stream of events (EVTS)",
             found.empty() ? "no stream" : found);
}

class Aedat4Encoder final : public EventEncoder {
 public:
  explicit Aedat4Encoder(const EventFileInfo& info) : info_(info) {}

  void begin(std::string& bytes) override {
    const std::string xml = dv_info_text(info_);
    std::string header;
    append(header, std::uint32_t{20});  // the table
    header += "IOHE";
    for (const int entry : {10, 20, 4, 12, 8, 0}) append(header, static_cast<std::uint16_t>(entry));
    append(header, std::int32_t{12});                        // 20: back to the vtable, at 8
    append(header, std::int32_t{0});                         // 24: no compression
    append(header, std::uint32_t{12});                       // 28: forward to the XML, at 40
    append(header, std::int64_t{-1});                        // 32: no table of packets
    append(header, static_cast<std::uint32_t>(xml.size()));  // 40
    header += xml;
    header.append(4 - header.size() % 4, '\0');
    bytes += kMark;
    append(bytes, static_cast<std::uint32_t>(header.size()));
    bytes += header;
  }
  /// One packet.
  void encode(std::span<const Event> events, std::string& bytes) override {
    check_limits(EventFormat::aedat4, {.t = ~std::uint64_t{0} >> 1, .x = 0x7fff, .y = 0x7fff}, events, last_);
    constexpr std::size_t kBefore = 32;  // the events
    const std::size_t size = kBefore + events.size() * kEventBytes;
    append(bytes, std::int32_t{0});
    append(bytes, static_cast<std::int32_t>(kSizeBytes + size));
    append(bytes, static_cast<std::uint32_t>(size));
    append(bytes, std::uint32_t{16});  // the table
    bytes += kEvents;
    for (const int entry : {6, 8, 4, 0}) append(bytes, static_cast<std::uint16_t>(entry));
    append(bytes, std::int32_t{8});                            // 16: back to the vtable, at 8
    append(bytes, std::uint32_t{8});                           // 20: forward to the vector
    append(bytes, std::uint32_t{0});                           // 24: the events are then at a multiple of 8
    append(bytes, static_cast<std::uint32_t>(events.size()));  // 28
    for (const Event& event : events) {
      append(bytes, event.t);
      append(bytes, event.x);
      append(bytes, event.y);
      append(bytes, std::uint32_t{event.channel});
    }
  }

 private:
  EventFileInfo info_;
  std::uint64_t last_ = 0;
};

}  // namespace

std::unique_ptr<EventDecoder> open_aedat4(EventBytes bytes, const EventFileOptions& options) {
  const std::string_view all = bytes.all();
  if (!all.starts_with(kMark)) bytes.fail("a begin '#!AER-DAT4.0'", "another");
  const std::size_t begin = kMark.size() + kSizeBytes;
  if (all.size() < begin) bytes.fail("a header", "the end of the file");
  const std::size_t size = load<std::uint32_t>(all.data() + kMark.size());
  if (size > all.size() - begin)
    bytes.fail(fmt::format("a header of {} bytes", size),
               fmt::format("{}: the file is cut off", all.size() - begin));
  const FlatBuffer header(bytes, all.substr(begin, size), "IOHE");
  const EventPacking packing = packing_of(bytes, header.number<std::int32_t>(0, 0));
  // A recording that was cut off has none, or one beyond its end.
  const auto table = static_cast<std::uint64_t>(header.number<std::int64_t>(1, -1));
  const std::size_t end = table >= begin + size && table <= all.size() ? table : all.size();
  EventFileInfo info{
      .format = EventFormat::aedat4, .channels = 2, .streams = read_dv_streams(header.vector(2, 1))};
  const EventStream& stream = choose_stream(bytes, info.streams, options.stream);
  info.width = stream.width;
  info.height = stream.height;
  const std::string_view packets = all.substr(begin + size, end - begin - size);
  const std::int32_t id = stream.id;
  return std::make_unique<Aedat4Decoder>(std::move(bytes), options, info, packets, id, packing);
}

std::unique_ptr<EventEncoder> make_aedat4_encoder(const EventFileInfo& info) {
  return std::make_unique<Aedat4Encoder>(info);
}

}  // namespace volley
