#include <fmt/format.h>

#include <utility>

#include "events/decoder.hpp"
#include "events/event_bytes.hpp"

// Event Stream 2: "Event Stream", the version (3 bytes), the type (1 byte), width and height (16 bits each,
// little-endian). An event of a DVS (type 1) is a byte with the time since the event before, 0 to 126, << 1
// and the polarity, then x and y, of 16 bits. The byte 0xff adds 127 and is no event; 0xfe is nothing.

namespace volley {
namespace {

constexpr std::string_view kMark = "Event Stream";
constexpr std::size_t kVersionBytes = 3;
constexpr std::size_t kHeaderBytes = kMark.size() + kVersionBytes + 1 + 4;
constexpr std::uint8_t kDvs = 1;
constexpr std::uint8_t kLater = 0xff, kNothing = 0xfe;
constexpr std::uint64_t kLaterTime = 127;

class EsDecoder final : public EventDecoder {
 public:
  EsDecoder(EventBytes bytes, const EventFileOptions& options, const EventFileInfo& info)
      : EventDecoder(std::move(bytes), options, info),
        at_(this->bytes().all().data() + kHeaderBytes),
        end_(at_ + (this->bytes().size() - kHeaderBytes)) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    while (n < events.size() && at_ != end_) {
      const auto first = static_cast<std::uint8_t>(*at_++);
      if (first == kLater) {
        time_ += kLaterTime;
      } else if (first != kNothing) {
        if (end_ - at_ < 4) bytes().fail("x and y of the last event", "the end of the file");
        time_ += first >> 1;
        events[n++] = {.t = time_,
                       .x = load<std::uint16_t>(at_),
                       .y = load<std::uint16_t>(at_ + 2),
                       .channel = static_cast<std::uint16_t>(first & 1)};
        at_ += 4;
      }
    }
    return n;
  }

  const char* at_;
  const char* end_;
  std::uint64_t time_ = 0;
};

class EsEncoder final : public EventEncoder {
 public:
  explicit EsEncoder(const EventFileInfo& info) : info_(info) {
    if (info.width == 0 || info.height == 0 || info.width > 0xffff || info.height > 0xffff)
      throw ArgumentError("write_events", "width and height must be 1 to 65535 in es",
                          fmt::format("{} x {}", info.width, info.height));
  }

  void begin(std::string& bytes) override {
    bytes += kMark;
    bytes.append({2, 0, 0, static_cast<char>(kDvs)});
    append(bytes, static_cast<std::uint16_t>(info_.width));
    append(bytes, static_cast<std::uint16_t>(info_.height));
  }
  void encode(std::span<const Event> events, std::string& bytes) override {
    constexpr std::uint64_t kMost = (std::uint64_t{1} << 34) - 1;  // each 127 microseconds take a byte
    check_limits(EventFormat::es, {.t = kMost, .by_time = true}, events, last_);
    for (const Event& event : events) {
      std::uint64_t later = event.t - time_;
      for (; later >= kLaterTime; later -= kLaterTime) bytes += static_cast<char>(kLater);
      bytes += static_cast<char>(later << 1 | event.channel);
      append(bytes, event.x);
      append(bytes, event.y);
      time_ = event.t;
    }
  }

 private:
  EventFileInfo info_;
  std::uint64_t last_ = 0;
  std::uint64_t time_ = 0;
};

}  // namespace

std::unique_ptr<EventDecoder> open_es(EventBytes bytes, const EventFileOptions& options) {
  const std::string_view begin = bytes.all();
  if (!begin.starts_with(kMark)) bytes.fail("a begin 'Event Stream'", "another");
  if (begin.size() <= kMark.size() + kVersionBytes) bytes.fail("a version and a type", "the end of the file");
  const int version = static_cast<unsigned char>(begin[kMark.size()]);
  const int type = static_cast<unsigned char>(begin[kMark.size() + kVersionBytes]);
  if (version != 2) bytes.fail("Event Stream of version 2", fmt::format("version {}", version));
  if (type != kDvs) {
    constexpr std::string_view kTypes[] = {"generic", "DVS", "ATIS", "colour"};
    bytes.fail("an Event Stream of a DVS",
               fmt::format("type {}{}", type,
                           type < 4 ? fmt::format(", {}", kTypes[static_cast<std::size_t>(type)]) : ""));
  }
  if (begin.size() < kHeaderBytes) bytes.fail("a width and a height", "the end of the file");
  const EventFileInfo info{.format = EventFormat::es,
                           .width = load<std::uint16_t>(begin.data() + kHeaderBytes - 4),
                           .height = load<std::uint16_t>(begin.data() + kHeaderBytes - 2),
                           .channels = 2};
  return std::make_unique<EsDecoder>(std::move(bytes), options, info);
}

std::unique_ptr<EventEncoder> make_es_encoder(const EventFileInfo& info) {
  return std::make_unique<EsEncoder>(info);
}

}  // namespace volley
