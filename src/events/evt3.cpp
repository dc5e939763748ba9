#include <bit>

#include "events/decoder.hpp"
#include "events/event_bytes.hpp"
#include "events/evt_header.hpp"

// EVT 3.0: 16-bit little-endian words, each of which changes a part of the state. Bits 15..12 are the type:
//
//     0  ADDR_Y       y (10..0)
//     2  ADDR_X       polarity (11), x (10..0): an event
//     3  VECT_BASE_X  polarity (11), x (10..0)
//     4  VECT_12      which of x..x+11 have an event; then x += 12
//     5  VECT_8       which of x..x+7; then x += 8
//     6  TIME_LOW     bits 11..0 of the time
//     8  TIME_HIGH    bits 23..12, which wrap
//
// Others are of triggers and of the camera.

namespace volley {
namespace {

constexpr int kAddrY = 0, kAddrX = 2, kVectBaseX = 3, kVect12 = 4, kVect8 = 5, kTimeLow = 6, kTimeHigh = 8;

class Evt3Decoder final : public EventDecoder {
 public:
  Evt3Decoder(EventBytes bytes, const EventFileOptions& options, const EvtHeader& header)
      : EventDecoder(std::move(bytes), options, header.info),
        at_(this->bytes().all().data() + header.bytes),
        end_(at_ + (this->bytes().size() - header.bytes)) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    Event* to = events.data();
    Event* const last = to + events.size() - 12;  // where a vector still fits
    for (; to <= last && at_ != end_; at_ += 2) {
      const unsigned word = load<std::uint16_t>(at_), bits = word & 0xfff;
      switch (word >> 12) {
        case kAddrX:
          *to = {.t = time_,
                 .x = static_cast<std::uint16_t>(bits & 0x7ff),
                 .y = y_,
                 .channel = static_cast<std::uint16_t>(bits >> 11)};
          to += begun_;
          break;
        case kVect12: to = vector(to, bits, 12); break;
        case kVect8: to = vector(to, bits & 0xff, 8); break;
        case kAddrY: y_ = static_cast<std::uint16_t>(bits & 0x7ff); break;
        case kVectBaseX:
          base_x_ = bits & 0x7ff;
          polarity_ = static_cast<std::uint16_t>(bits >> 11);
          break;
        case kTimeLow: time_ = (time_ & ~std::uint64_t{0xfff}) | bits; break;
        case kTimeHigh: set_high(bits); break;
        default: break;
      }
    }
    return static_cast<std::size_t>(to - events.data());
  }

  /// Appends the events of `mask`; returns their end.
  Event* vector(Event* to, unsigned mask, unsigned width) {
    if (!begun_) mask = 0;
    for (; mask != 0; mask &= mask - 1) {
      const unsigned x = base_x_ + static_cast<unsigned>(std::countr_zero(mask));
      *to++ = {.t = time_, .x = static_cast<std::uint16_t>(x), .y = y_, .channel = polarity_};
    }
    base_x_ = (base_x_ + width) & 0xffff;
    return to;
  }

  void set_high(unsigned high) {
    const std::uint64_t time = counter_.rising(high) << 12;
    // The low bits count from 0 again, whether their word follows or not.
    if (!begun_ || time != (time_ & ~std::uint64_t{0xfff})) time_ = time;
    begun_ = true;
  }

  const char* at_;
  const char* end_;
  std::uint64_t time_ = 0;
  WrappingCounter<12> counter_;
  unsigned base_x_ = 0;
  std::uint16_t y_ = 0;
  std::uint16_t polarity_ = 0;
  bool begun_ = false;  // before the first TIME_HIGH no time is known
};

class Evt3Encoder final : public EventEncoder {
 public:
  explicit Evt3Encoder(const EventFileInfo& info) : info_(info) {}

  void begin(std::string& bytes) override { bytes += evt_header_text(EventFormat::evt3, info_); }
  void encode(std::span<const Event> events, std::string& bytes) override {
    const EventLimits limits{.t = (std::uint64_t{1} << 34) - 1, .x = 0x7ff, .y = 0x7ff, .by_time = true};
    check_limits(EventFormat::evt3, limits, events, last_);
    for (const Event& event : events) {
      if (!begun_ || event.t != time_) put_time(event.t, bytes);
      if (!begun_ || event.y != y_) put(kAddrY, event.y, bytes);
      put(kAddrX, event.x | event.channel << 11, bytes);
      y_ = event.y;
      begun_ = true;
    }
  }

 private:
  static void put(int type, std::uint64_t bits, std::string& bytes) {
    append(bytes, static_cast<std::uint16_t>(static_cast<std::uint64_t>(type) << 12 | (bits & 0xfff)));
  }

  void put_time(std::uint64_t time, std::string& bytes) {
    constexpr std::uint64_t kMostStep = 0x7ff;  // a larger one would not be seen as a wrap
    const std::uint64_t high = time >> 12;
    if (!begun_ || high != time_ >> 12) {
      std::uint64_t step = time_ >> 12;
      while (high - step > kMostStep) put(kTimeHigh, step += kMostStep, bytes);
      put(kTimeHigh, high, bytes);
    }
    put(kTimeLow, time, bytes);
    time_ = time;
  }

  EventFileInfo info_;
  std::uint64_t last_ = 0;
  std::uint64_t time_ = 0;
  std::uint16_t y_ = 0;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<EventDecoder> open_evt3(EventBytes bytes, const EventFileOptions& options) {
  const EvtHeader header = read_evt_header(bytes, EventFormat::evt3);
  check_records(bytes, header.bytes, sizeof(std::uint16_t));
  return std::make_unique<Evt3Decoder>(std::move(bytes), options, header);
}

std::unique_ptr<EventEncoder> make_evt3_encoder(const EventFileInfo& info) {
  return std::make_unique<Evt3Encoder>(info);
}

}  // namespace volley
