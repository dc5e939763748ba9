#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include <volley/error.hpp>
#include <volley/event_file.hpp>
#include <volley/text.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "interrupt.hpp"

namespace {

using namespace volley;
using cli::say;

constexpr std::size_t kBlock = 16384;  // events that are read and written at a time

struct EventsOptions {
  std::string file;
  std::string format, sensor, size;
  std::optional<std::int32_t> stream;
  double time_unit = 1;
  bool one_based = false;
  bool as_json = false;
  std::uint64_t count = 10;
  std::string out, out_format;
  bool from_zero = false;
};

/// The value of the enumeration that has this word; none for no word.
template <class Choice>
std::optional<Choice> chosen(const std::string& word) {
  if (word.empty()) return std::nullopt;
  const auto words = choices(Choice{});
  return static_cast<Choice>(std::ranges::find(words, word) - words.begin());
}

template <class Choice>
CLI::IsMember is_choice() {
  const auto words = choices(Choice{});
  return CLI::IsMember(std::vector<std::string>(words.begin(), words.end()));
}

/// "WIDTHxHEIGHT", of which neither is 0.
bool parse_sensor_size(const std::string& text, std::size_t& width, std::size_t& height) {
  const std::size_t x = text.find('x');
  double w = 0, h = 0;
  if (x == std::string::npos || !parse_number(text.substr(0, x), w) || !parse_number(text.substr(x + 1), h))
    return false;
  const auto is_size = [](double v) {
    return v >= 1 && v <= 65536 && v == static_cast<double>(static_cast<int>(v));
  };
  if (!is_size(w) || !is_size(h)) return false;
  width = static_cast<std::size_t>(w);
  height = static_cast<std::size_t>(h);
  return true;
}

EventFile open(const EventsOptions& options) {
  EventFileOptions file{.format = chosen<EventFormat>(options.format),
                        .sensor = chosen<EventSensor>(options.sensor),
                        .stream = options.stream,
                        .time_unit = options.time_unit,
                        .one_based = options.one_based};
  if (!options.size.empty()) parse_sensor_size(options.size, file.width, file.height);
  return EventFile(options.file, file);
}

/// What a whole recording has.
struct Totals {
  std::uint64_t events = 0, on = 0;
  std::uint64_t first = 0, last = 0;  // the least and the largest time
  bool by_time = true;

  void add(std::span<const Event> block) {
    std::uint64_t before = events == 0 ? 0 : latest_;
    if (events == 0 && !block.empty()) first = block[0].t;
    for (const Event& event : block) {
      on += event.channel == 1;
      by_time = by_time && event.t >= before;
      before = event.t;
      first = std::min(first, event.t);
      last = std::max(last, event.t);
    }
    events += block.size();
    latest_ = before;
  }

 private:
  std::uint64_t latest_ = 0;
};

nlohmann::ordered_json json_of(const EventFileInfo& info, const Totals& totals) {
  const auto known = [](std::size_t size) {
    return size == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(size);
  };
  const auto time = [&](std::uint64_t t) {
    return totals.events == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(t);
  };
  nlohmann::ordered_json streams = nlohmann::ordered_json::array();
  for (const EventStream& stream : info.streams) {
    streams.push_back({{"id", stream.id},
                       {"type", stream.type},
                       {"source", stream.source},
                       {"width", known(stream.width)},
                       {"height", known(stream.height)}});
  }
  return {{"format", choices(info.format)[static_cast<std::size_t>(info.format)]},
          {"width", known(info.width)},
          {"height", known(info.height)},
          {"channels", known(info.channels)},
          {"events", totals.events},
          {"on", totals.on},
          {"first_us", time(totals.first)},
          {"last_us", time(totals.last)},
          {"by_time", totals.by_time},
          {"streams", streams}};
}

void show_info(const EventsOptions& options) {
  EventFile file = open(options);
  Totals totals;
  std::vector<Event> block(kBlock);
  for (std::size_t n = kBlock; n == kBlock;) {
    n = file.read(block);
    totals.add(std::span(block).first(n));
  }
  const EventFileInfo& info = file.info();
  if (options.as_json) {
    say("{}", cli::json_text(json_of(info, totals)));
    return;
  }
  const auto size = [](std::size_t width, std::size_t height) {
    return width == 0 || height == 0 ? std::string("not said by the file")
                                     : fmt::format("{} x {} pixels", width, height);
  };
  say("format  {}\n", choices(info.format)[static_cast<std::size_t>(info.format)]);
  say("sensor  {}\n", size(info.width, info.height));
  say("events  {}, {} of channel 1\n", totals.events, totals.on);
  if (totals.events > 0) {
    say("time    {} to {} microseconds, {:.6f} s{}\n", totals.first, totals.last,
        static_cast<double>(totals.last - totals.first) * 1e-6, totals.by_time ? "" : ", not always rising");
  }
  for (const EventStream& stream : info.streams) {
    say("stream  {}: {} of {}{}\n", stream.id, readable_line(stream.type), readable_line(stream.source),
        stream.width == 0 ? "" : ", " + size(stream.width, stream.height));
  }
}

void show_head(const EventsOptions& options) {
  EventFile file = open(options);
  say("t,x,y,channel\n");
  std::vector<Event> block(std::min<std::uint64_t>(options.count, kBlock));
  for (std::uint64_t left = options.count; left > 0 && std::ferror(stdout) == 0;) {
    const std::span<Event> wanted = std::span(block).first(std::min<std::uint64_t>(left, block.size()));
    const std::size_t n = file.read(wanted);
    for (const Event& event : wanted.first(n)) say("{},{},{},{}\n", event.t, event.x, event.y, event.channel);
    if (n < wanted.size()) break;
    left -= n;
  }
}

EventFormat format_of_out(const EventsOptions& options) {
  if (const auto format = chosen<EventFormat>(options.out_format)) return *format;
  if (const auto format = event_format_of_name(options.out)) return *format;
  throw CLI::ValidationError(
      "OUT",
      "a name in .bin, .bs2, .aedat, .aedat4, .raw, .dat, .es, .npz, .csv or .txt, or --format, got '" +
          readable_line(options.out) + "'");
}

void convert(const EventsOptions& options) {
  const EventFormat format = format_of_out(options);
  const cli::Interrupts interrupts;
  EventFile file = open(options);
  EventFileWriter writer(options.out, format, file.info());
  std::vector<Event> block(kBlock);
  std::uint64_t written = 0, first = 0;
  for (std::size_t n = kBlock; n == kBlock;) {
    if (cli::Interrupts::asked()) throw Error("interrupted: " + options.out + " is not written");
    n = file.read(block);
    const std::span<Event> events = std::span(block).first(n);
    if (written == 0 && n > 0) first = events[0].t;
    for (Event& event : events) {
      if (!options.from_zero) break;
      if (event.t < first) throw Error("--from-zero: the first event is not the earliest");
      event.t -= first;
    }
    writer.write(events);
    written += n;
  }
  writer.finish();
  say("{}: {} events\n", options.out, written);
}

/// The option of a command that names FILE's format is --format, or --from where --format is that of OUT.
void add_file_options(CLI::App& command, EventsOptions& options, const char* format = "--format") {
  command.add_option("FILE", options.file, "The recording")->required();
  command
      .add_option(format, options.format, "The format of FILE (default: as its content says, else its name)")
      ->check(is_choice<EventFormat>());
  command.add_option("--sensor", options.sensor, "aedat2: whose addresses these are, dvs128 or davis")
      ->check(is_choice<EventSensor>());
  command.add_option("--stream", options.stream, "aedat4: the stream of events; aedat3: the source");
  command.add_option("--size", options.size, "WIDTHxHEIGHT in pixels, where FILE does not say")
      ->check([](const std::string& text) {
        std::size_t width = 0, height = 0;
        return parse_sensor_size(text, width, height) ? "" : "expected a size as 640x480, got '" + text + "'";
      });
  command.add_option("--time-unit", options.time_unit, "csv, npz: microseconds in a unit of t; 1e6: seconds")
      ->check([](const std::string& text) {
        double value = 0;
        return parse_number(text, value) && value > 0 && value < 1e18 ? ""
                                                                      : "must be > 0, got '" + text + "'";
      })
      ->capture_default_str();
  command.add_flag("--one-based", options.one_based, "csv: x, y and p count from 1, as MATLAB writes them");
}

}  // namespace

void add_events_command(CLI::App& app) {
  const auto options = std::make_shared<EventsOptions>();
  CLI::App* events = app.add_subcommand("events", "Recordings of event cameras: what is in one, converting");
  events->require_subcommand(1);
  events->footer("Example: volley events info recording.aedat4");

  CLI::App* info =
      events->add_subcommand("info", "How many events, when, and of which sensor; reads them all");
  add_file_options(*info, *options);
  info->add_flag("--json", options->as_json, "As JSON");
  info->footer("Example: volley events info recording.raw --json");
  info->callback([options] { show_info(*options); });

  CLI::App* head = events->add_subcommand("head", "The first events, as lines t,x,y,channel");
  add_file_options(*head, *options);
  head->add_option("-n,--count", options->count, "How many")
      ->check(volley::cli::from_zero())
      ->capture_default_str();
  head->footer("Example: volley events head recording.dat -n 20");
  head->callback([options] { show_head(*options); });

  CLI::App* convert_command = events->add_subcommand("convert", "Writes the events in another format");
  add_file_options(*convert_command, *options, "--from");
  convert_command
      ->add_option("OUT", options->out,
                   "The file to write; its name says the format: .aedat4, .raw, .npz, ...")
      ->required();
  convert_command->add_option("--format", options->out_format, "The format of OUT, whatever its name")
      ->check(is_choice<EventFormat>());
  convert_command->add_flag("--from-zero", options->from_zero, "The first event is at time 0");
  convert_command->footer("Example: volley events convert recording.aedat4 recording.npz");
  convert_command->callback([options] { convert(*options); });
}
