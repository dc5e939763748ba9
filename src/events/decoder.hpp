#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <volley/error.hpp>
#include <volley/event_file.hpp>

#include "core/files.hpp"

namespace volley {

/// The bytes of a recording, mapped, with its path for messages.
class EventBytes {
 public:
  explicit EventBytes(const std::filesystem::path& path)
      : file_(std::make_unique<MappedFile>(path)), path_(path.string()) {}

  const std::string& path() const { return path_; }
  std::string_view all() const { return file_->bytes(); }
  std::size_t size() const { return all().size(); }
  /// Throws FileError: "PATH: expected EXPECTED, found FOUND".
  [[noreturn]] void fail(std::string_view expected, std::string_view found) const {
    throw FileError(path_, expected, found);
  }

 private:
  std::unique_ptr<MappedFile> file_;
  std::string path_;
};

/// Decodes one format, block by block.
class EventDecoder {
 public:
  /// The events that one step of any decoder gives at most: decode() stops where less room is left.
  static constexpr std::size_t kLeast = 64;

  virtual ~EventDecoder() = default;
  EventDecoder& operator=(const EventDecoder&) = delete;

  const EventFileInfo& info() const { return info_; }
  const EventBytes& bytes() const { return bytes_; }
  /// Events that were decoded.
  std::size_t count() const { return count_; }

  /// Writes the next events into `events`, kLeast or more; returns how many. 0: the end. Throws FileError for
  /// an event outside of the sensor, and whenever it has thrown before.
  std::size_t decode(std::span<Event> events);

 protected:
  EventDecoder(EventBytes bytes, const EventFileOptions& options, EventFileInfo info);

  virtual std::size_t do_decode(std::span<Event> events) = 0;

 private:
  EventBytes bytes_;
  EventFileInfo info_;
  std::size_t count_ = 0;
  bool failed_ = false;  // what is left of the state of a decoder that has thrown is not to be used
};

/// Encodes one format: appends to `bytes` what comes next in the file.
class EventEncoder {
 public:
  virtual ~EventEncoder() = default;

  /// Before the first event.
  virtual void begin(std::string& bytes) { static_cast<void>(bytes); }
  virtual void encode(std::span<const Event> events, std::string& bytes) = 0;
  /// After the last event.
  virtual void end(std::string& bytes) { static_cast<void>(bytes); }
};

/// The least and the largest value that the fields of an event may have in a format that is written.
struct EventLimits {
  std::uint64_t t = ~std::uint64_t{0};
  std::size_t x = 0xffff, y = 0xffff, channel = 1;
  bool by_time = false;
};
/// Throws ArgumentError for an event beyond the limits. `last` is the time of the event before.
void check_limits(EventFormat format, const EventLimits& limits, std::span<const Event> events,
                  std::uint64_t& last);

std::string_view name_of(EventFormat format);
/// How a path ends, in small letters: ".aedat".
std::string small_ending(const std::filesystem::path& path);

/// Throws FileError unless whole records of `size` bytes follow the header.
void check_records(const EventBytes& bytes, std::size_t header, std::size_t size);

// The begin of a recording is read here, and FileError thrown for what it must not have.
std::unique_ptr<EventDecoder> open_slayer(EventBytes bytes, const EventFileOptions& options,
                                          EventFormat format);
std::unique_ptr<EventDecoder> open_dat(EventBytes bytes, const EventFileOptions& options);
std::unique_ptr<EventDecoder> open_evt2(EventBytes bytes, const EventFileOptions& options,
                                        EventFormat format);
std::unique_ptr<EventDecoder> open_evt3(EventBytes bytes, const EventFileOptions& options);
std::unique_ptr<EventDecoder> open_aedat2(EventBytes bytes, const EventFileOptions& options,
                                          EventFormat format);
std::unique_ptr<EventDecoder> open_aedat3(EventBytes bytes, const EventFileOptions& options);
std::unique_ptr<EventDecoder> open_aedat4(EventBytes bytes, const EventFileOptions& options);
std::unique_ptr<EventDecoder> open_es(EventBytes bytes, const EventFileOptions& options);
std::unique_ptr<EventDecoder> open_event_csv(EventBytes bytes, const EventFileOptions& options);
std::unique_ptr<EventDecoder> open_event_npz(EventBytes bytes, const EventFileOptions& options);

std::unique_ptr<EventEncoder> make_nmnist_encoder();
std::unique_ptr<EventEncoder> make_dat_encoder(const EventFileInfo& info);
std::unique_ptr<EventEncoder> make_evt2_encoder(const EventFileInfo& info);
std::unique_ptr<EventEncoder> make_evt3_encoder(const EventFileInfo& info);
std::unique_ptr<EventEncoder> make_aedat2_encoder();
std::unique_ptr<EventEncoder> make_aedat4_encoder(const EventFileInfo& info);
std::unique_ptr<EventEncoder> make_es_encoder(const EventFileInfo& info);
std::unique_ptr<EventEncoder> make_event_csv_encoder();
std::unique_ptr<EventEncoder> make_event_npz_encoder();

}  // namespace volley
