#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/csv_text.hpp"
#include "events/aedat_camera.hpp"
#include "events/decoder.hpp"
#include "events/event_bytes.hpp"
#include "events/text_header.hpp"

// AEDAT 1 and 2, of jAER: lines that begin with '#', then records, big-endian: an address, of 16 bits in
// version 1 and of 32 in version 2, and the time, of 32 bits, which wraps. An address is
//
//                bits   31       30..22  21..12  11        10
//     DAVIS             not DVS  y       x       polarity  external
//                bits   15        14..8  7..1  0
//     DVS128            external  y      x     0 for ON

namespace volley {
namespace {

struct RecordLayout {
  std::size_t address_bytes;  // 2 or 4
  std::size_t record_bytes() const { return address_bytes + 4; }
};

std::uint32_t load_address(const char* record, RecordLayout layout) {
  return layout.address_bytes == 2 ? load_big16(record) : load_big32(record);
}

class Aedat2Decoder final : public EventDecoder {
 public:
  Aedat2Decoder(EventBytes bytes, const EventFileOptions& options, const EventFileInfo& info,
                std::size_t begin, RecordLayout layout, EventSensor sensor)
      : EventDecoder(std::move(bytes), options, info),
        records_(this->bytes().all().substr(begin)),
        layout_(layout),
        sensor_(sensor) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    if (layout_.address_bytes == 2) return decode_records<2, EventSensor::dvs128>(events);
    if (sensor_ == EventSensor::dvs128) return decode_records<4, EventSensor::dvs128>(events);
    return decode_records<4, EventSensor::davis>(events);
  }

  template <std::size_t kAddressBytes, EventSensor kSensor>
  std::size_t decode_records(std::span<Event> events) {
    constexpr std::size_t kBytes = kAddressBytes + 4;
    std::size_t n = 0;
    const char* at = records_.data();
    const char* const end = at + records_.size();
    for (; n < events.size() && at != end; at += kBytes) {
      const std::uint32_t address = load_address(at, {kAddressBytes});
      const std::uint64_t t = time_.nearest(load_big32(at + kAddressBytes));
      if (kSensor == EventSensor::davis) {
        if ((address & 0x80000400) != 0) continue;
        events[n++] = {.t = t,
                       .x = static_cast<std::uint16_t>(address >> 12 & 0x3ff),
                       .y = static_cast<std::uint16_t>(address >> 22 & 0x1ff),
                       .channel = static_cast<std::uint16_t>(address >> 11 & 1)};
      } else {
        if ((address & 0x80008000) != 0) continue;
        if (address > 0xffff) fail_wide(address);
        events[n++] = {.t = t,
                       .x = static_cast<std::uint16_t>(address >> 1 & 0x7f),
                       .y = static_cast<std::uint16_t>(address >> 8 & 0x7f),
                       .channel = static_cast<std::uint16_t>(~address & 1)};
      }
    }
    records_.remove_prefix(static_cast<std::size_t>(at - records_.data()));
    return n;
  }

  [[noreturn]] void fail_wide(std::uint32_t address) const {
    bytes().fail("addresses of a DVS128, below 65536",
                 fmt::format("{}: another sensor, such as a davis, has these", address));
  }

  std::string_view records_;
  RecordLayout layout_;
  EventSensor sensor_;
  WrappingCounter<32> time_;
};

/// Where the header names no sensor: a DVS128 has addresses of 16 bits.
EventSensor sensor_by_records(std::string_view records, RecordLayout layout) {
  constexpr std::size_t kLooked = 4096;
  records = records.substr(0, kLooked * layout.record_bytes());
  for (std::size_t at = 0; at < records.size(); at += layout.record_bytes()) {
    if (load_address(records.data() + at, layout) > 0xffff) return EventSensor::davis;
  }
  return EventSensor::dvs128;
}

class Dvs128Encoder final : public EventEncoder {
 public:
  void begin(std::string& bytes) override {
    bytes +=
        "#!AER-DAT2.0\r\n# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each "
        "event\r\n# Timestamps tick is 1 us\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
        "#End Of ASCII Header\r\n";
  }
  void encode(std::span<const Event> events, std::string& bytes) override {
    check_limits(EventFormat::aedat2, {.t = 0xffffffff, .x = 127, .y = 127}, events, last_);
    for (const Event& event : events) {
      append(bytes, __builtin_bswap32(
                        static_cast<std::uint32_t>(event.y << 8 | event.x << 1 | (event.channel ^ 1))));
      append(bytes, __builtin_bswap32(static_cast<std::uint32_t>(event.t)));
    }
  }

 private:
  std::uint64_t last_ = 0;
};

}  // namespace

std::unique_ptr<EventDecoder> open_aedat2(EventBytes bytes, const EventFileOptions& options,
                                          EventFormat format) {
  const TextHeader header = read_text_header(bytes.all(), "#", "End Of ASCII Header");
  const RecordLayout layout{format == EventFormat::aedat1 ? 2u : 4u};
  check_records(bytes, header.bytes, layout.record_bytes());
  const std::string_view chip = header_value(header, "AEChip:");
  AedatCamera camera = aedat_camera(chip);
  if (options.sensor && options.sensor != camera.sensor) camera = {options.sensor};
  if (!camera.sensor && !chip.empty())
    bytes.fail("a DVS128 or a DAVIS for AEChip in the header, or the option sensor", quoted_text(chip));
  if (!camera.sensor) camera.sensor = sensor_by_records(bytes.all().substr(header.bytes), layout);
  if (camera.sensor == EventSensor::dvs128) camera = aedat_camera("DVS128");
  if (format == EventFormat::aedat1 && camera.sensor != EventSensor::dvs128)
    bytes.fail("a DVS128, whose addresses have 16 bits", "a davis");
  const EventFileInfo info{.format = format, .width = camera.width, .height = camera.height, .channels = 2};
  const std::size_t begin = header.bytes;
  return std::make_unique<Aedat2Decoder>(std::move(bytes), options, info, begin, layout, *camera.sensor);
}

std::unique_ptr<EventEncoder> make_aedat2_encoder() { return std::make_unique<Dvs128Encoder>(); }

}  // namespace volley
