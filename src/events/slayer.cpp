#include <fmt/format.h>

#include <algorithm>

#include "events/decoder.hpp"
#include "events/event_bytes.hpp"

// The formats of SLAYER: records without a header, big-endian.
//
//     nmnist, 5 bytes   x 8        y 8        p 1  t 23    also N-MNIST's and N-Caltech101's
//     bs1,    5 bytes   x 16                  p 1  t 23
//     bs3,    7 bytes   x 12  y 12  channel 8      t 24

namespace volley {
namespace {

/// A record of N-MNIST with this y is no event: the 13 bits of the camera's counter have wrapped.
constexpr std::uint16_t kWrapY = 240;
constexpr std::uint64_t kWrapTime = 1 << 13;

/// The records of `kBytes` bytes as numbers.
template <std::size_t kBytes>
class Records {
 public:
  explicit Records(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool empty() const { return at_ == end_; }
  std::uint64_t take() {
    const char* const from = at_;
    at_ += kBytes;
    if (static_cast<std::size_t>(end_ - from) >= sizeof(std::uint64_t))
      return __builtin_bswap64(load<std::uint64_t>(from)) >> (64 - 8 * kBytes);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < kBytes; ++i) value = value << 8 | static_cast<unsigned char>(from[i]);
    return value;
  }

 private:
  const char* at_;
  const char* end_;
};

class NmnistDecoder final : public EventDecoder {
 public:
  NmnistDecoder(EventBytes bytes, const EventFileOptions& options)
      : EventDecoder(std::move(bytes), options, {.format = EventFormat::nmnist, .channels = 2}),
        records_(this->bytes().all()) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    while (n < events.size() && !records_.empty()) {
      const std::uint64_t record = records_.take();
      const auto y = static_cast<std::uint16_t>(record >> 24 & 0xff);
      if (y == kWrapY) {
        wrapped_ += kWrapTime;
        continue;
      }
      events[n++] = {.t = (record & 0x7fffff) + wrapped_,
                     .x = static_cast<std::uint16_t>(record >> 32),
                     .y = y,
                     .channel = static_cast<std::uint16_t>(record >> 23 & 1)};
    }
    return n;
  }

  Records<5> records_;
  std::uint64_t wrapped_ = 0;
};

class Bs1Decoder final : public EventDecoder {
 public:
  Bs1Decoder(EventBytes bytes, const EventFileOptions& options)
      : EventDecoder(std::move(bytes), options, {.format = EventFormat::bs1, .height = 1, .channels = 2}),
        records_(this->bytes().all()) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    for (; n < events.size() && !records_.empty(); ++n) {
      const std::uint64_t record = records_.take();
      events[n] = {.t = record & 0x7fffff,
                   .x = static_cast<std::uint16_t>(record >> 24),
                   .y = 0,
                   .channel = static_cast<std::uint16_t>(record >> 23 & 1)};
    }
    return n;
  }

  Records<5> records_;
};

class Bs3Decoder final : public EventDecoder {
 public:
  Bs3Decoder(EventBytes bytes, const EventFileOptions& options)
      : EventDecoder(std::move(bytes), options, {.format = EventFormat::bs3}),
        records_(this->bytes().all()) {}

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    for (; n < events.size() && !records_.empty(); ++n) {
      const std::uint64_t record = records_.take();
      events[n] = {.t = record & 0xffffff,
                   .x = static_cast<std::uint16_t>(record >> 44),
                   .y = static_cast<std::uint16_t>(record >> 32 & 0xfff),
                   .channel = static_cast<std::uint16_t>(record >> 24 & 0xff)};
    }
    return n;
  }

  Records<7> records_;
};

class NmnistEncoder final : public EventEncoder {
 public:
  void encode(std::span<const Event> events, std::string& bytes) override {
    check_limits(EventFormat::nmnist, {.t = 0x7fffff, .x = 0xff, .y = 0xff}, events, last_);
    for (const Event& event : events) {
      if (event.y == kWrapY) throw ArgumentError("write_events", "y must not be 240 in nmnist", "240");
      const std::uint64_t t = event.t | static_cast<std::uint64_t>(event.channel) << 23;
      const char record[] = {static_cast<char>(event.x), static_cast<char>(event.y),
                             static_cast<char>(t >> 16), static_cast<char>(t >> 8), static_cast<char>(t)};
      bytes.append(record, sizeof record);
    }
  }

 private:
  std::uint64_t last_ = 0;
};

}  // namespace

std::unique_ptr<EventDecoder> open_slayer(EventBytes bytes, const EventFileOptions& options,
                                          EventFormat format) {
  check_records(bytes, 0, format == EventFormat::bs3 ? 7 : 5);
  if (format == EventFormat::bs1) return std::make_unique<Bs1Decoder>(std::move(bytes), options);
  if (format == EventFormat::bs3) return std::make_unique<Bs3Decoder>(std::move(bytes), options);
  return std::make_unique<NmnistDecoder>(std::move(bytes), options);
}

std::unique_ptr<EventEncoder> make_nmnist_encoder() { return std::make_unique<NmnistEncoder>(); }

}  // namespace volley
