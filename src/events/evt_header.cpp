#include "events/evt_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/csv_text.hpp"
#include "events/text_header.hpp"

namespace volley {
namespace {

constexpr std::pair<std::string_view, EventFormat> kFormats[] = {
    {"2.0", EventFormat::evt2},  {"2.1", EventFormat::evt21},   {"3.0", EventFormat::evt3},
    {"EVT2", EventFormat::evt2}, {"EVT21", EventFormat::evt21}, {"EVT3", EventFormat::evt3},
};

/// Cameras whose old recordings do not say their size, by their plugin.
struct Camera {
  std::string_view plugin;
  std::size_t width, height;
};
constexpr Camera kCameras[] = {
    {"hal_plugin_gen3", 640, 480}, {"hal_plugin_gen4", 1280, 720}, {"hal_plugin_imx636", 1280, 720}};

TextHeader header_of(std::string_view bytes) { return read_text_header(bytes, "% ", "end"); }

/// The value of `key` in "EVT3;height=720;width=1280".
std::string_view option_of(std::string_view format, std::string_view key) {
  while (!format.empty()) {
    const std::size_t end = std::min(format.find(';'), format.size());
    const std::string_view option = format.substr(0, end);
    if (option.starts_with(key) && option.substr(key.size()).starts_with('='))
      return option.substr(key.size() + 1);
    format.remove_prefix(std::min(end + 1, format.size()));
  }
  return {};
}

/// "EVT3" or "3.0"
std::string_view name_in(const TextHeader& header) {
  const std::string_view format = header_value(header, "format");
  return format.empty() ? header_value(header, "evt") : format.substr(0, format.find(';'));
}

std::optional<EventFormat> format_in(const TextHeader& header) {
  const auto found =
      std::ranges::find(kFormats, name_in(header), &std::pair<std::string_view, EventFormat>::first);
  if (found == std::end(kFormats)) return std::nullopt;
  return found->second;
}

void find_size(const EventBytes& bytes, const TextHeader& header, EventFileInfo& info) {
  const std::string_view geometry = header_value(header, "geometry");
  if (!geometry.empty() && !parse_size(geometry, info.width, info.height))
    bytes.fail("a geometry as 640x480 in the header", quoted_text(geometry));
  const std::string_view format = header_value(header, "format");
  for (const auto& [key, size] : {std::pair{"width", &info.width}, std::pair{"height", &info.height}}) {
    const std::string_view value = option_of(format, key);
    std::string_view rest = value;
    if (!value.empty() && (!take_size(rest, *size) || !rest.empty()))
      bytes.fail(fmt::format("a number below 65536 for {} in the header", key), quoted_text(value));
  }
  if (info.width > 0 || info.height > 0) return;
  const std::string_view plugin = header_value(header, "plugin_name");
  for (const Camera& camera : kCameras) {
    if (plugin.starts_with(camera.plugin)) {
      info.width = camera.width;
      info.height = camera.height;
    }
  }
}

}  // namespace

std::optional<EventFormat> evt_format(std::string_view bytes) { return format_in(header_of(bytes)); }

EvtHeader read_evt_header(const EventBytes& bytes, EventFormat format) {
  const TextHeader header = header_of(bytes.all());
  const std::string_view named = name_in(header);
  if (!named.empty() && format_in(header) != format)
    bytes.fail(fmt::format("a header of {}", name_of(format)), quoted_text(named));
  EvtHeader found{.info = {.format = format, .channels = 2}, .bytes = header.bytes};
  found.legacy = header_value(header, "endianness") == "legacy" ||
                 option_of(header_value(header, "format"), "endianness") == "legacy";
  find_size(bytes, header, found.info);
  return found;
}

std::string evt_header_text(EventFormat format, const EventFileInfo& info) {
  const bool is_evt2 = format == EventFormat::evt2;
  std::string text = fmt::format("% evt {}\n% format {}", is_evt2 ? "2.0" : "3.0", is_evt2 ? "EVT2" : "EVT3");
  if (info.width > 0 && info.height > 0) {
    text += fmt::format(";height={1};width={0}\n% geometry {0}x{1}", info.width, info.height);
  }
  return text + "\n% end\n";
}

}  // namespace volley
