#include <fmt/format.h>

#include <algorithm>

#include "data/csv_text.hpp"
#include "events/decoder.hpp"
#include "events/event_bytes.hpp"
#include "events/text_header.hpp"

// Prophesee DAT: lines that begin with '%', the type of the events (1 byte), their size (1 byte), then
// little-endian
//
//     time 32, wraps   x 14, y 14, polarity 1 from bit 0 on    version 2
//                      x 9,  y 8,  polarity 1                  version 1, of the ATIS

namespace volley {
namespace {

constexpr int kEvent2d = 0, kContrast = 12;
constexpr std::size_t kEventBytes = 8;

class DatDecoder final : public EventDecoder {
 public:
  DatDecoder(EventBytes bytes, const EventFileOptions& options, const EventFileInfo& info, std::size_t begin,
             bool atis)
      : EventDecoder(std::move(bytes), options, info),
        records_(this->bytes().all().substr(begin)),
        x_bits_(atis ? 9 : 14),
        y_bits_(atis ? 8 : 14) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    const std::size_t n = std::min(events.size(), records_.size() / kEventBytes);
    const std::uint32_t x_mask = (1u << x_bits_) - 1, y_mask = (1u << y_bits_) - 1;
    for (std::size_t i = 0; i < n; ++i) {
      const char* const record = records_.data() + i * kEventBytes;
      const auto address = load<std::uint32_t>(record + 4);
      events[i] = {.t = time_.nearest(load<std::uint32_t>(record)),
                   .x = static_cast<std::uint16_t>(address & x_mask),
                   .y = static_cast<std::uint16_t>(address >> x_bits_ & y_mask),
                   .channel = static_cast<std::uint16_t>(address >> (x_bits_ + y_bits_) & 1)};
    }
    records_.remove_prefix(n * kEventBytes);
    return n;
  }

  std::string_view records_;
  int x_bits_, y_bits_;
  WrappingCounter<32> time_;
};

/// The number of a line of the header; 0 where there is none.
std::size_t number_of(const EventBytes& bytes, const TextHeader& header, std::string_view key) {
  std::string_view text = header_value(header, key);
  std::size_t number = 0;
  if (!text.empty() && (!take_size(text, number) || !text.empty()))
    bytes.fail(fmt::format("a number below 65536 for {} in the header", key),
               quoted_text(header_value(header, key)));
  return number;
}

class DatEncoder final : public EventEncoder {
 public:
  explicit DatEncoder(const EventFileInfo& info) : info_(info) {}

  void begin(std::string& bytes) override {
    bytes += "% Data file containing CD events.\n% Version 2\n";
    if (info_.height > 0) bytes += fmt::format("% Height {}\n% Width {}\n", info_.height, info_.width);
    bytes += static_cast<char>(kContrast);
    bytes += static_cast<char>(kEventBytes);
  }
  void encode(std::span<const Event> events, std::string& bytes) override {
    check_limits(EventFormat::dat, {.t = 0xffffffff, .x = 0x3fff, .y = 0x3fff}, events, last_);
    for (const Event& event : events) {
      append(bytes, static_cast<std::uint32_t>(event.t));
      append(bytes, static_cast<std::uint32_t>(event.x | event.y << 14 | event.channel << 28));
    }
  }

 private:
  EventFileInfo info_;
  std::uint64_t last_ = 0;
};

}  // namespace

std::unique_ptr<EventDecoder> open_dat(EventBytes bytes, const EventFileOptions& options) {
  const TextHeader header = read_text_header(bytes.all(), "%", "end");
  const EventFileInfo info{.format = EventFormat::dat,
                           .width = number_of(bytes, header, "Width"),
                           .height = number_of(bytes, header, "Height"),
                           .channels = 2};
  const std::string_view rest = bytes.all().substr(header.bytes);
  if (rest.size() < 2) bytes.fail("a type and a size of events after the header", "the end of the file");
  const int type = static_cast<unsigned char>(rest[0]), size = static_cast<unsigned char>(rest[1]);
  if (type != kEvent2d && type != kContrast)
    bytes.fail("events of type 0 or 12, of pixels", fmt::format("type {}", type));
  if (size != kEventBytes) bytes.fail("events of 8 bytes", fmt::format("{}", size));
  check_records(bytes, header.bytes + 2, kEventBytes);
  // A file without a version is of version 2, as all that is written today.
  const bool atis = !header_value(header, "Version").empty() && number_of(bytes, header, "Version") < 2;
  const std::size_t begin = header.bytes + 2;
  return std::make_unique<DatDecoder>(std::move(bytes), options, info, begin, atis);
}

std::unique_ptr<EventEncoder> make_dat_encoder(const EventFileInfo& info) {
  return std::make_unique<DatEncoder>(info);
}

}  // namespace volley
