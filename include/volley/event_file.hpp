#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <volley/source.hpp>

namespace volley {

class EventDecoder;
class EventEncoder;
class WholeFile;

/// The formats of event recordings.
enum class EventFormat {
  nmnist,  // N-MNIST and N-Caltech101 .bin, SLAYER .bs2
  bs1,     // SLAYER: x is the number of a neuron
  bs3,     // SLAYER: up to 256 channels
  aedat1,  // jAER, addresses of 16 bits
  aedat2,  // jAER
  aedat3,  // cAER, DVS128 Gesture
  aedat4,  // DV
  evt2,    // Prophesee RAW
  evt21,   // Prophesee RAW, 32 pixels of a row in a word
  evt3,    // Prophesee RAW, with state
  dat,     // Prophesee *_td.dat
  es,      // Event Stream 2
  npz,     // t, x, y, p, as SpikingJelly writes them
  csv,     // lines of text
};
constexpr std::array<std::string_view, 14> choices(EventFormat) {
  return {"nmnist", "bs1",    "bs3",  "aedat1", "aedat2", "aedat3", "aedat4",
          "evt2",   "evt2.1", "evt3", "dat",    "es",     "npz",    "csv"};
}

/// How an address of aedat1 and aedat2 has x, y and polarity.
enum class EventSensor { dvs128, davis };
constexpr std::array<std::string_view, 2> choices(EventSensor) { return {"dvs128", "davis"}; }

/// What a file cannot say, or is not to be asked.
struct EventFileOptions {
  /// Not given: as its name says for .bin, .bs1, .bs2 and .bs3, which have no mark of their own; else as its
  /// first bytes say; else as its name says.
  std::optional<EventFormat> format{};
  /// Not given: as the header says; without that, DAVIS where an address has more than 16 bits.
  std::optional<EventSensor> sensor{};
  /// Of aedat4 the stream of events that is read, of aedat3 the source. Not given: the first stream; the only
  /// source.
  std::optional<std::int32_t> stream{};
  /// Pixels of the sensor, where the file does not say; 0: not known.
  std::size_t width = 0;
  std::size_t height = 0;
  /// csv, npz: microseconds in a unit of t. 1e6: seconds.
  double time_unit = 1;
  /// csv: x, y and p count from 1, as in files that MATLAB wrote.
  bool one_based = false;
};

/// One of several streams that a recording has.
struct EventStream {
  std::int32_t id = 0;
  std::string type;       // "EVTS", "FRME", "IMUS", "TRIG"
  std::string source;     // the camera
  std::size_t width = 0;  // pixels; 0: the file does not say
  std::size_t height = 0;

  friend bool operator==(const EventStream&, const EventStream&) = default;
};

/// What the begin of a recording says.
struct EventFileInfo {
  EventFormat format = EventFormat::csv;
  std::size_t width = 0;             // pixels; 0: the file does not say
  std::size_t height = 0;            // likewise
  std::size_t channels = 0;          // 2: polarity, 1 = ON; 0: the file does not say
  std::vector<EventStream> streams;  // of aedat4
};

/// A recording of events that is read forward, in blocks, in memory that does not depend on its length: the
/// file is mapped, and packed parts are unpacked one by one.
///
/// Events come in the order of the file, x and y as it has them. Times are in microseconds; where the file
/// has a counter that wraps they go on rising. Events that are not of pixels (APS, IMU, triggers) are
/// skipped.
///
/// Every failure is a FileError "PATH: expected EXPECTED, found FOUND": a file that is missing, damaged, cut
/// off or of another format, and an event beyond the width or the height that info() has.
///
/// Threads: one at a time.
class EventFile {
 public:
  /// Reads the begin. Throws ArgumentError for a time_unit that is not positive.
  explicit EventFile(const std::filesystem::path& path, const EventFileOptions& options = {});
  EventFile(EventFile&& other) noexcept;
  EventFile& operator=(EventFile&& other) noexcept;
  ~EventFile();

  const EventFileInfo& info() const;
  /// Fills `events` with what comes next; returns how many, fewer at the end. After an error it throws again.
  std::size_t read(std::span<Event> events);

 private:
  std::size_t decode(std::span<Event> events);
  std::size_t take_spilled(std::span<Event> events);

  std::unique_ptr<EventDecoder> decoder_;
  std::vector<Event> spilled_;  // decoded, and not yet asked for: those from spilled_begin_ on
  std::size_t spilled_begin_ = 0;
};

/// All events of a recording, in memory. Throws as EventFile does.
std::vector<Event> read_events(const std::filesystem::path& path, const EventFileOptions& options = {});

/// Writes a recording, whole or not at all, in any format but bs1, bs3, aedat1, aedat3 and evt2.1. Memory
/// does not depend on its length, but for npz, 17 bytes an event.
///
/// | format | t, microseconds                 | x, y                                 | needs         |
/// |--------|---------------------------------|--------------------------------------|---------------|
/// | nmnist | below 2^23                      | at most 255, y not 240               |               |
/// | aedat2 | below 2^32                      | below 128: the addresses of a DVS128 |               |
/// | aedat4 | below 2^63                      | below 2^15                           |               |
/// | evt2   | below 2^34, never falling       | below 2^11                           |               |
/// | evt3   | below 2^34, never falling       | below 2^11                           |               |
/// | dat    | below 2^32                      | below 2^14                           |               |
/// | es     | below 2^34, never falling       | below width and height               | width, height |
/// | npz    | below 2^63                      | any                                  |               |
/// | csv    | any                             | any                                  |               |
///
/// The channel is 0 or 1; of npz at most 255, of csv any. aedat4 is written without compression.
///
/// Threads: one at a time.
class EventFileWriter {
 public:
  /// Makes a temporary file beside `path`. Of `info`, width and height are written, where the format has
  /// them, and checked. Throws ArgumentError for a format that is not written, and without what it needs;
  /// FileError where the file cannot be made.
  EventFileWriter(const std::filesystem::path& path, EventFormat format, const EventFileInfo& info = {});
  EventFileWriter(const EventFileWriter&) = delete;
  EventFileWriter& operator=(const EventFileWriter&) = delete;
  /// Without finish() nothing is left, and an older file of that name is as it was.
  ~EventFileWriter();

  /// Throws ArgumentError for an event that the format cannot hold, FileError where it cannot be written; the
  /// writer can then only be destroyed.
  void write(std::span<const Event> events);
  /// The file takes its name. Nothing can be written afterwards.
  void finish();

 private:
  std::unique_ptr<WholeFile> take_file();

  EventFileInfo info_;
  std::unique_ptr<WholeFile> file_;
  std::unique_ptr<EventEncoder> encoder_;
  std::string bytes_;  // encoded, and not yet written
};

/// All of `events` by an EventFileWriter.
void write_events(const std::filesystem::path& path, EventFormat format, std::span<const Event> events,
                  const EventFileInfo& info = {});

/// The format that a name's ending says for writing: .bin or .bs2, .aedat (aedat2), .aedat4, .raw (evt3),
/// .dat, .es, .npz, .csv or .txt. None for any other.
std::optional<EventFormat> event_format_of_name(const std::filesystem::path& path);

}  // namespace volley
