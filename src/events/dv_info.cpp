#include "events/dv_info.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace volley {
namespace {

/// The value of an attribute in a tag: of key in 'attr key="sizeX" type="int"'.
std::string_view quoted_value(std::string_view tag, std::string_view name) {
  const std::string begin = fmt::format(" {}=\"", name);
  const std::size_t at = tag.find(begin);
  if (at == std::string_view::npos) return {};
  tag.remove_prefix(at + begin.size());
  return tag.substr(0, tag.find('"'));
}

template <class T>
bool parse(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

class DvInfoReader {
 public:
  std::vector<EventStream> read(std::string_view xml) {
    while (true) {
      const std::size_t begin = xml.find('<');
      if (begin == std::string_view::npos) break;
      const std::size_t end = xml.find('>', begin);
      if (end == std::string_view::npos) break;
      const std::string_view tag = xml.substr(begin + 1, end - begin - 1);
      xml.remove_prefix(end + 1);
      if (tag.starts_with("node ")) {
        open(tag);
      } else if (tag == "/node") {
        if (!nodes_.empty()) nodes_.pop_back();
      } else if (tag.starts_with("attr ") && !tag.ends_with('/')) {
        take(quoted_value(tag, "key"), xml.substr(0, xml.find('<')));
      }
    }
    return std::move(streams_);
  }

 private:
  void open(std::string_view tag) {
    if (tag.ends_with('/')) return;  // without contents
    nodes_.push_back(quoted_value(tag, "name"));
    std::int32_t id = 0;
    if (nodes_.size() == 2 && nodes_[0] == "outInfo" && parse(nodes_[1], id)) streams_.push_back({.id = id});
  }

  void take(std::string_view key, std::string_view text) {
    if (nodes_.size() < 2 || nodes_[0] != "outInfo" || streams_.empty()) return;
    EventStream& stream = streams_.back();
    std::uint16_t size = 0;
    if (nodes_.size() == 2 && key == "typeIdentifier") stream.type = text;
    if (nodes_.size() != 3 || nodes_[2] != "info") return;
    if (key == "source") stream.source = text;
    if (key == "sizeX" && parse(text, size)) stream.width = size;
    if (key == "sizeY" && parse(text, size)) stream.height = size;
  }

  std::vector<std::string_view> nodes_;  // that are open, from the outside in
  std::vector<EventStream> streams_;
};

}  // namespace

std::vector<EventStream> read_dv_streams(std::string_view xml) { return DvInfoReader().read(xml); }

std::string dv_info_text(const EventFileInfo& info) {
  std::string size;
  if (info.width > 0 && info.height > 0) {
    size = fmt::format(R"(<attr key="sizeX" type="int">{}</attr><attr key="sizeY" type="int">{}</attr>)",
                       info.width, info.height);
  }
  return fmt::format(
      R"(<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">)"
      R"(<node name="0" path="/mainloop/Recorder/outInfo/0/"><attr key="compression" type="string">NONE</attr>)"
      R"(<attr key="originalModuleName" type="string">volley</attr>)"
      R"(<attr key="originalOutputName" type="string">events</attr>)"
      R"(<attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>)"
      R"(<attr key="typeIdentifier" type="string">EVTS</attr>)"
      R"(<node name="info" path="/mainloop/Recorder/outInfo/0/info/">{}<attr key="source" type="string">volley)"
      R"(</attr></node></node></node></dv>)",
      size);
}

}  // namespace volley
