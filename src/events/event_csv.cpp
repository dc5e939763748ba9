#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "data/csv_text.hpp"
#include "events/decoder.hpp"
#include "events/event_columns.hpp"

// Lines of numbers with commas, semicolons or spaces between them. The first may have the names of the
// columns; without names they are t, x, y and the channel. Lines that begin with '#' or '%' are comments.

namespace volley {
namespace {

constexpr std::size_t kMostColumns = 64;

/// Takes the next cell off `line`.
std::string_view take_cell(std::string_view& line, char separator) {
  if (separator == ' ') {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    const std::string_view cell = line.substr(0, end);
    line.remove_prefix(end);
    return cell;
  }
  const std::size_t end = std::min(line.find(separator), line.size());
  const std::string_view cell = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return cell;
}

bool has_name(std::string_view line) {
  // "1e5", "nan" and "inf" are numbers, right or wrong; a name begins with another letter.
  const char first = trimmed(line).empty() ? '0' : trimmed(line).front();
  return (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '"';
}

class EventCsvDecoder final : public EventDecoder {
 public:
  EventCsvDecoder(EventBytes bytes, const EventFileOptions& options)
      : EventDecoder(std::move(bytes), options, {.format = EventFormat::csv}),
        rest_(this->bytes().all()),
        unit_(options.time_unit),
        first_(options.one_based ? 1 : 0) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
    std::string_view after = rest_;
    const std::size_t before = line_;
    const std::string_view line = next_line();
    separator_ = line.find(',') != std::string_view::npos   ? ','
                 : line.find(';') != std::string_view::npos ? ';'
                                                            : ' ';
    if (has_name(line)) {
      name_columns(line);
    } else {
      count_columns(line);
      rest_ = after;
      line_ = before;
    }
  }

 private:
  std::size_t do_decode(std::span<Event> events) override {
    std::size_t n = 0;
    while (n < events.size()) {
      const std::string_view line = next_line();
      if (line.empty()) break;
      read_line(line, events[n++]);
    }
    return n;
  }

  [[noreturn]] void fail(const std::string& expected, std::string_view found) const {
    throw FileError(bytes().path(), line_,
                    fmt::format("expected {}, found {}", expected, quoted_text(trimmed(found))));
  }

  /// The next line that is neither blank nor a comment; empty at the end.
  std::string_view next_line() {
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      std::string_view line = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++line_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      const std::size_t first = line.find_first_not_of(" \t");
      if (first != std::string_view::npos && line[first] != '#' && line[first] != '%') return line;
    }
    return {};
  }

  void name_columns(std::string_view line) {
    std::array<bool, 4> has{};
    for (std::string_view rest = line; !trimmed(rest).empty();) {
      std::string_view name = trimmed(take_cell(rest, separator_));
      if (name.size() > 1 && name.front() == '"' && name.back() == '"')
        name = name.substr(1, name.size() - 2);
      const std::optional<EventColumn> column = event_column_named(name);
      if (column) {
        bool& is_there = has[std::min<std::size_t>(static_cast<std::size_t>(*column), 3)];
        if (is_there) fail("each column once", name);
        is_there = true;
      }
      if (columns_.size() == kMostColumns) fail("at most 64 columns", line);
      columns_.push_back(column);
    }
    if (std::ranges::count(has, true) != 4) fail("columns t, x, y and p", line);
  }

  void count_columns(std::string_view line) {
    columns_ = {EventColumn::t, EventColumn::x, EventColumn::y, EventColumn::channel};
    if (line.empty()) return;
    std::size_t cells = 0;
    for (std::string_view rest = line; !trimmed(rest).empty(); ++cells) take_cell(rest, separator_);
    if (cells != columns_.size()) {
      fail("four columns t, x, y and p, or their names in the first line", line);
    }
  }

  void read_line(std::string_view line, Event& event) const {
    for (const std::optional<EventColumn>& column : columns_) {
      const std::string_view cell = take_cell(line, separator_);
      if (!column) continue;
      switch (*column) {
        case EventColumn::t: event.t = time(cell); break;
        case EventColumn::x: event.x = number(cell, 0xffff); break;
        case EventColumn::y: event.y = number(cell, 0xffff); break;
        case EventColumn::p: event.channel = polarity(cell, 1); break;
        case EventColumn::channel: event.channel = polarity(cell, 0xffff); break;
      }
    }
    if (!trimmed(line).empty()) fail(fmt::format("{} columns", columns_.size()), line);
  }

  /// Whether `cell` is digits alone that fit.
  template <class T>
  static bool is_whole(std::string_view cell, T& value) {
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    return error == std::errc() && end == cell.data() + cell.size();
  }

  std::uint64_t time(std::string_view cell) const {
    cell = trimmed(cell);
    std::uint64_t whole = 0;
    if (unit_ == 1 && is_whole(cell, whole)) return whole;
    double value = 0;
    const bool is_number = parse_number(cell, value);
    const std::optional<std::uint64_t> t = is_number ? event_time(value, unit_) : std::nullopt;
    if (!t) fail("a time from 0 on", cell);
    return *t;
  }

  std::uint16_t number(std::string_view cell, int most) const {
    cell = trimmed(cell);
    int value = -1;
    if (!is_whole(cell, value)) {
      double real = 0;
      const bool is_one =
          parse_number(cell, real) && real >= 0 && real <= 0x10000 && real == std::floor(real);
      value = is_one ? static_cast<int>(real) : -1;
    }
    if (value < first_ || value - first_ > most)
      fail(fmt::format("a whole number from {} to {}", first_, most + first_), cell);
    return static_cast<std::uint16_t>(value - first_);
  }

  /// -1 is the 0 of files that have -1 and 1.
  std::uint16_t polarity(std::string_view cell, int most) const {
    if (first_ == 0 && trimmed(cell).starts_with("-1")) {
      double value = 0;
      if (parse_number(cell, value) && value == -1) return 0;
    }
    return number(cell, most);
  }

  std::string_view rest_;
  std::size_t line_ = 0;
  char separator_ = ',';
  std::vector<std::optional<EventColumn>> columns_;  // none: not read
  double unit_;
  int first_;  // what x, y and p count from
};

class EventCsvEncoder final : public EventEncoder {
 public:
  void begin(std::string& bytes) override { bytes += "t,x,y,channel\n"; }
  void encode(std::span<const Event> events, std::string& bytes) override {
    for (const Event& event : events) {
      const auto put = [&](std::uint64_t value, char after) {
        const fmt::format_int digits(value);
        bytes.append(digits.data(), digits.size());
        bytes += after;
      };
      put(event.t, ',');
      put(event.x, ',');
      put(event.y, ',');
      put(event.channel, '\n');
    }
  }
};

}  // namespace

std::optional<EventColumn> event_column_named(std::string_view name) {
  constexpr std::pair<std::string_view, EventColumn> kNames[] = {
      {"t", EventColumn::t},         {"ts", EventColumn::t},         {"time", EventColumn::t},
      {"timestamp", EventColumn::t}, {"timestamps", EventColumn::t}, {"x", EventColumn::x},
      {"y", EventColumn::y},         {"p", EventColumn::p},          {"pol", EventColumn::p},
      {"polarity", EventColumn::p},  {"on", EventColumn::p},         {"channel", EventColumn::channel},
      {"c", EventColumn::channel}};
  std::string small(name);
  std::ranges::transform(small, small.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  for (const auto& [known, column] : kNames) {
    if (small == known) return column;
  }
  return std::nullopt;
}

std::unique_ptr<EventDecoder> open_event_csv(EventBytes bytes, const EventFileOptions& options) {
  return std::make_unique<EventCsvDecoder>(std::move(bytes), options);
}

std::unique_ptr<EventEncoder> make_event_csv_encoder() { return std::make_unique<EventCsvEncoder>(); }

}  // namespace volley
