#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <volley/error.hpp>
#include <volley/event_file.hpp>

#include "support/temp_folder.hpp"

namespace volley {

inline void PrintTo(const Event& event, std::ostream* to) {
  *to << "{" << event.t << ", " << event.x << ", " << event.y << ", " << event.channel << "}";
}

namespace test {

using Events = std::vector<Event>;

inline std::string bytes_of(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes += static_cast<char>(value);
  return bytes;
}

/// Events of channel 0 at (t, x, y).
struct Place {
  std::uint64_t t;
  std::uint16_t x, y;
};
inline Events off(std::initializer_list<Place> places) {
  Events events;
  for (const Place& place : places) events.push_back({place.t, place.x, place.y, 0});
  return events;
}

/// Numbers, little-endian, one after another: little<std::uint16_t>({1, 2}).
template <class T>
std::string little(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes.append(raw, sizeof value);
  }
  return bytes;
}

template <class T>
std::string big(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) {
    for (std::size_t i = sizeof value; i-- > 0;) bytes += static_cast<char>(value >> (8 * i));
  }
  return bytes;
}

/// A recording in a file of its own.
class Recording {
 public:
  explicit Recording(std::string_view bytes, const std::string& name = "recording") : path_(folder_ / name) {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  const std::filesystem::path& path() const { return path_; }
  Events events(const EventFileOptions& options = {}) const { return read_events(path_, options); }
  EventFileInfo info(const EventFileOptions& options = {}) const { return EventFile(path_, options).info(); }

 private:
  TempFolder folder_;
  std::filesystem::path path_;
};

inline EventFileOptions as(EventFormat format) { return {.format = format}; }

/// The text of the error that reading all of `bytes` ends with; without the path.
inline std::string refusal(std::string_view bytes, const EventFileOptions& options = {},
                           const std::string& name = "recording") {
  const Recording recording(bytes, name);
  try {
    recording.events(options);
  } catch (const FileError& error) {
    EXPECT_EQ(error.path(), recording.path().string());
    const std::string text = error.what();
    EXPECT_TRUE(text.starts_with(recording.path().string() + ":")) << text;
    return text.substr(recording.path().string().size() + 1);
  }
  ADD_FAILURE() << "no FileError was thrown";
  return {};
}

}  // namespace test
}  // namespace volley
