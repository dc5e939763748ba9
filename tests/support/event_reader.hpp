#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.hpp"

namespace volley::test {

/// What an Event of an event file says.
struct ReadEvent {
  std::uint64_t step = 0;
  std::string file_version;
  bool start = false;
  std::map<std::string, float> scalars;
  std::map<std::string, std::string> images;           // PNG
  std::map<std::string, std::vector<double>> buckets;  // of histograms
};

/// CRC-32C bit by bit.
inline std::uint32_t slow_crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool odd = ((crc ^ static_cast<std::uint8_t>(byte) >> bit) & 1) != 0;
      crc = crc >> 1 ^ (odd ? 0x82f63b78 : 0);
    }
  }
  return crc ^ 0xffffffff;
}

/// Reads the front of what is left.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }
  std::string_view bytes(std::size_t count) {
    if (count > rest_.size()) throw std::runtime_error("an event file is cut short");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  template <class T>
  T fixed() {
    T value;
    std::memcpy(&value, bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(bytes(1)[0]);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    throw std::runtime_error("a varint does not end");
  }
  /// Calls visit(field number, number, bytes) for every field of a message; one of the two is 0 or empty.
  template <class Visit>
  void fields(const Visit& visit) {
    while (!done()) {
      const std::uint64_t key = varint();
      switch (key & 7) {
        case 0: visit(key >> 3, varint(), std::string_view{}); break;
        case 1: visit(key >> 3, std::uint64_t{0}, bytes(8)); break;
        case 2: visit(key >> 3, std::uint64_t{0}, bytes(varint())); break;
        case 5: visit(key >> 3, std::uint64_t{0}, bytes(4)); break;
        default: throw std::runtime_error("a field of no known type");
      }
    }
  }

 private:
  std::string_view rest_;
};

inline void read_value(std::string_view message, ReadEvent& event) {
  std::string tag;
  WireReader(message).fields([&](std::uint64_t field, std::uint64_t, std::string_view bytes) {
    if (field == 1) tag = bytes;
    if (field == 2) event.scalars[tag] = WireReader(bytes).fixed<float>();
    if (field == 4) {
      WireReader(bytes).fields([&](std::uint64_t part, std::uint64_t, std::string_view png) {
        if (part == 4) event.images[tag] = png;
      });
    }
    if (field == 5) {
      WireReader(bytes).fields([&](std::uint64_t part, std::uint64_t, std::string_view counts) {
        for (WireReader reader(counts); part == 7 && !reader.done();)
          event.buckets[tag].push_back(reader.fixed<double>());
      });
    }
  });
}

/// Every event of a file. Throws where a sum is wrong or the file does not end with a whole record.
inline std::vector<ReadEvent> read_events(const std::filesystem::path& path) {
  const std::string file = read_file(path, std::size_t{1} << 28);
  const auto check = [](std::uint32_t sum, std::string_view bytes) {
    const std::uint32_t crc = slow_crc32c(bytes);
    if (sum != (crc >> 15 | crc << 17) + 0xa282ead8) throw std::runtime_error("a sum is wrong");
  };
  std::vector<ReadEvent> events;
  for (WireReader reader(file); !reader.done();) {
    const std::string_view length = reader.bytes(8);
    check(reader.fixed<std::uint32_t>(), length);
    const std::string_view message = reader.bytes(WireReader(length).fixed<std::uint64_t>());
    check(reader.fixed<std::uint32_t>(), message);
    ReadEvent event;
    WireReader(message).fields([&](std::uint64_t field, std::uint64_t number, std::string_view bytes) {
      if (field == 2) event.step = number;
      if (field == 3) event.file_version = bytes;
      if (field == 5) {
        WireReader(bytes).fields(
            [&](std::uint64_t, std::uint64_t, std::string_view value) { read_value(value, event); });
      }
      if (field == 7) event.start = bytes == "\x08\x01";
    });
    events.push_back(std::move(event));
  }
  return events;
}

}  // namespace volley::test
