#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "events/decoder.hpp"

namespace volley {
namespace {

constexpr std::size_t kBlock = 4096;  // events encoded before their bytes are written

std::unique_ptr<EventEncoder> make_encoder_of(EventFormat format, const EventFileInfo& info) {
  switch (format) {
    case EventFormat::nmnist: return make_nmnist_encoder();
    case EventFormat::dat: return make_dat_encoder(info);
    case EventFormat::evt2: return make_evt2_encoder(info);
    case EventFormat::evt3: return make_evt3_encoder(info);
    case EventFormat::aedat2: return make_aedat2_encoder();
    case EventFormat::aedat4: return make_aedat4_encoder(info);
    case EventFormat::es: return make_es_encoder(info);
    case EventFormat::csv: return make_event_csv_encoder();
    case EventFormat::npz: return make_event_npz_encoder();
    default: break;
  }
  throw ArgumentError("write_events",
                      "format must be nmnist, aedat2, aedat4, evt2, evt3, dat, es, npz or csv",
                      name_of(format));
}

/// Throws ArgumentError: "[write_events] x must be at most 127 in aedat2, got 130".
[[noreturn]] void refuse(std::string_view name, std::uint64_t most, std::string_view where,
                         std::uint64_t found) {
  throw ArgumentError("write_events", fmt::format("{} must be at most {} {}", name, most, where),
                      fmt::format("{}", found));
}

}  // namespace

void check_limits(EventFormat format, const EventLimits& limits, std::span<const Event> events,
                  std::uint64_t& last) {
  const std::string in = fmt::format("in {}", name_of(format));
  for (const Event& event : events) {
    if (event.t > limits.t) refuse("t", limits.t, in, event.t);
    if (event.x > limits.x) refuse("x", limits.x, in, event.x);
    if (event.y > limits.y) refuse("y", limits.y, in, event.y);
    if (event.channel > limits.channel) refuse("channel", limits.channel, in, event.channel);
    if (limits.by_time && event.t < last) {
      throw ArgumentError("write_events", fmt::format("t must not fall {}", in),
                          fmt::format("{} after {}", event.t, last));
    }
    last = event.t;
  }
}

EventFileWriter::EventFileWriter(const std::filesystem::path& path, EventFormat format,
                                 const EventFileInfo& info)
    : info_(info) {
  if (info.width > 0x10000 || info.height > 0x10000) {
    throw ArgumentError("write_events", "width and height must be at most 65536",
                        fmt::format("{} x {}", info.width, info.height));
  }
  encoder_ = make_encoder_of(format, info_);
  file_ = std::make_unique<WholeFile>(path);
  encoder_->begin(bytes_);
}

EventFileWriter::~EventFileWriter() = default;

void EventFileWriter::write(std::span<const Event> events) {
  // Where this throws, nothing is left to be finished.
  std::unique_ptr<WholeFile> file = take_file();
  const EventLimits sensor{.x = info_.width == 0 ? 0xffff : info_.width - 1,
                           .y = info_.height == 0 ? 0xffff : info_.height - 1};
  while (!events.empty()) {
    const std::span<const Event> block = events.first(std::min(events.size(), kBlock));
    for (const Event& event : block) {
      if (event.x > sensor.x) refuse("x", sensor.x, "in this width", event.x);
      if (event.y > sensor.y) refuse("y", sensor.y, "in this height", event.y);
    }
    encoder_->encode(block, bytes_);
    file->write(bytes_);
    bytes_.clear();
    events = events.subspan(block.size());
  }
  file_ = std::move(file);
}

void EventFileWriter::finish() {
  const std::unique_ptr<WholeFile> file = take_file();
  encoder_->end(bytes_);
  file->write(bytes_);
  file->keep();
}

std::unique_ptr<WholeFile> EventFileWriter::take_file() {
  if (file_ == nullptr)
    throw ArgumentError("write_events", "nothing must be written after finish() or a failure");
  return std::move(file_);
}

void write_events(const std::filesystem::path& path, EventFormat format, std::span<const Event> events,
                  const EventFileInfo& info) {
  EventFileWriter writer(path, format, info);
  writer.write(events);
  writer.finish();
}

std::optional<EventFormat> event_format_of_name(const std::filesystem::path& path) {
  constexpr std::pair<std::string_view, EventFormat> kEndings[] = {
      {".bin", EventFormat::nmnist},    {".bs2", EventFormat::nmnist}, {".aedat", EventFormat::aedat2},
      {".aedat4", EventFormat::aedat4}, {".raw", EventFormat::evt3},   {".dat", EventFormat::dat},
      {".es", EventFormat::es},         {".npz", EventFormat::npz},    {".csv", EventFormat::csv},
      {".txt", EventFormat::csv}};
  const std::string ending = small_ending(path);
  for (const auto& [known, format] : kEndings) {
    if (ending == known) return format;
  }
  return std::nullopt;
}

}  // namespace volley
