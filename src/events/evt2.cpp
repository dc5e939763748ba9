#include <bit>

#include "events/decoder.hpp"
#include "events/event_bytes.hpp"
#include "events/evt_header.hpp"

// EVT 2.0, 32-bit little-endian words, and EVT 2.1, 64-bit ones with up to 32 pixels of a row:
//
//                bits     31..28  27..22    21..11  10..0
//     EVT 2.0    event    0, 1    low time  x       y
//                time     8       high time (28 bits)
//                         63..60  59..54    53..43  42..32  31..0
//     EVT 2.1    event    0, 1    low time  x       y       which of x..x+31
//                time     8       high time (28 bits)
//
// The type of an event is its polarity; time = high time << 6 | low time.

namespace volley {
namespace {

constexpr std::uint32_t kOn = 1, kTimeHigh = 8;

/// What both have: the words, of type Word, and the time.
template <class Word>
class Evt2Words {
 public:
  Evt2Words(std::string_view words, bool legacy)
      : at_(words.data()), end_(at_ + words.size()), legacy_(legacy) {
    // Before the first high time no time is known.
    while (at_ != end_ && type_of(peek()) != kTimeHigh) at_ += sizeof(Word);
  }

  bool empty() const { return at_ == end_; }
  Word take() {
    const Word word = peek();
    at_ += sizeof(Word);
    return word;
  }
  static std::uint32_t type_of(Word word) { return static_cast<std::uint32_t>(word >> (kBits - 4)); }
  /// Of a word of type kTimeHigh.
  void set_high(Word word) { high_ = counter_.rising(word >> (kBits - 32) & 0xfffffff) << 6; }
  std::uint64_t time_of(Word word) const { return high_ | (word >> (kBits - 10) & 0x3f); }

 private:
  static constexpr int kBits = 8 * sizeof(Word);

  Word peek() const {
    const Word word = load<Word>(at_);
    return legacy_ ? std::rotl(word, kBits / 2) : word;
  }

  const char* at_;
  const char* end_;
  bool legacy_;
  std::uint64_t high_ = 0;
  WrappingCounter<28> counter_;
};

class Evt2Decoder final : public EventDecoder {
 public:
  Evt2Decoder(EventBytes bytes, const EventFileOptions& options, const EvtHeader& header)
      : EventDecoder(std::move(bytes), options, header.info),
        words_(this->bytes().all().substr(header.bytes), false) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    while (n < events.size() && !words_.empty()) {
      const std::uint32_t word = words_.take();
      const std::uint32_t type = words_.type_of(word);
      if (type <= kOn) {
        events[n++] = {.t = words_.time_of(word),
                       .x = static_cast<std::uint16_t>(word >> 11 & 0x7ff),
                       .y = static_cast<std::uint16_t>(word & 0x7ff),
                       .channel = static_cast<std::uint16_t>(type)};
      } else if (type == kTimeHigh) {
        words_.set_high(word);
      }
    }
    return n;
  }

  Evt2Words<std::uint32_t> words_;
};

class Evt21Decoder final : public EventDecoder {
 public:
  Evt21Decoder(EventBytes bytes, const EventFileOptions& options, const EvtHeader& header)
      : EventDecoder(std::move(bytes), options, header.info),
        words_(this->bytes().all().substr(header.bytes), header.legacy) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    while (n + 32 <= events.size() && !words_.empty()) {
      const std::uint64_t word = words_.take();
      const std::uint32_t type = words_.type_of(word);
      if (type <= kOn) {
        Event event{.t = words_.time_of(word),
                    .y = static_cast<std::uint16_t>(word >> 32 & 0x7ff),
                    .channel = static_cast<std::uint16_t>(type)};
        const auto x = static_cast<int>(word >> 43 & 0x7ff);
        for (auto mask = static_cast<std::uint32_t>(word); mask != 0; mask &= mask - 1) {
          event.x = static_cast<std::uint16_t>(x + std::countr_zero(mask));
          events[n++] = event;
        }
      } else if (type == kTimeHigh) {
        words_.set_high(word);
      }
    }
    return n;
  }

  Evt2Words<std::uint64_t> words_;
};

class Evt2Encoder final : public EventEncoder {
 public:
  explicit Evt2Encoder(const EventFileInfo& info) : info_(info) {}

  void begin(std::string& bytes) override { bytes += evt_header_text(EventFormat::evt2, info_); }
  void encode(std::span<const Event> events, std::string& bytes) override {
    const EventLimits limits{.t = (std::uint64_t{1} << 34) - 1, .x = 0x7ff, .y = 0x7ff, .by_time = true};
    check_limits(EventFormat::evt2, limits, events, last_);
    for (const Event& event : events) {
      const auto high = static_cast<std::uint32_t>(event.t >> 6);
      if (!begun_ || high != high_) append(bytes, kTimeHigh << 28 | high);
      begun_ = true;
      high_ = high;
      append(bytes, static_cast<std::uint32_t>(event.channel << 28 | (event.t & 0x3f) << 22 | event.x << 11 |
                                               event.y));
    }
  }

 private:
  EventFileInfo info_;
  std::uint64_t last_ = 0;
  std::uint32_t high_ = 0;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<EventDecoder> open_evt2(EventBytes bytes, const EventFileOptions& options,
                                        EventFormat format) {
  const EvtHeader header = read_evt_header(bytes, format);
  const bool is_evt2 = format == EventFormat::evt2;
  check_records(bytes, header.bytes, is_evt2 ? sizeof(std::uint32_t) : sizeof(std::uint64_t));
  if (is_evt2) return std::make_unique<Evt2Decoder>(std::move(bytes), options, header);
  return std::make_unique<Evt21Decoder>(std::move(bytes), options, header);
}

std::unique_ptr<EventEncoder> make_evt2_encoder(const EventFileInfo& info) {
  return std::make_unique<Evt2Encoder>(info);
}

}  // namespace volley
