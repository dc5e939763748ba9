#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include <volley/array.hpp>

#include "core/half.hpp"
#include "data/npy.hpp"
#include "data/zip.hpp"
#include "events/decoder.hpp"
#include "events/event_bytes.hpp"

// A zip archive of t.npy, x.npy, y.npy and p.npy, each of shape (N): what SpikingJelly keeps of an event
// recording. The columns are read side by side, stored ones where they are, deflated ones piece by piece.

namespace volley {
namespace {

constexpr std::array<std::string_view, 4> kColumns{"t", "x", "y", "p"};
constexpr std::size_t kPiece = 4096;  // elements

/// float16
struct Half {
  std::uint16_t bits;
  explicit operator double() const { return static_cast<double>(half_value(bits)); }
};

/// Elements of a type as whole numbers of `unit`; false for one that is none below 2^62.
template <class T>
bool to_whole(const char* from, std::span<std::int64_t> to, double unit) {
  constexpr double kMost = 4.6e18;
  bool right = true;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const T value = load<T>(from + i * sizeof(T));
    if constexpr (std::is_integral_v<T>) {
      if (unit == 1) {
        to[i] = static_cast<std::int64_t>(value);  // NOLINT(bugprone-signed-char-misuse): int8 is a number
        // What does not fit changes its sign.
        if (std::is_unsigned_v<T>) right = right && to[i] >= 0;
        continue;
      }
    }
    const double scaled = static_cast<double>(value) * unit;
    const double rounded = std::round(scaled);
    const bool fits = std::abs(rounded) < kMost && (unit != 1 || rounded == scaled);
    right = right && fits;
    to[i] = fits ? static_cast<std::int64_t>(rounded) : 0;
  }
  return right;
}

bool to_whole(ElementType type, const char* from, std::span<std::int64_t> to, double unit) {
  switch (type) {
    case ElementType::boolean:
    case ElementType::u8: return to_whole<std::uint8_t>(from, to, unit);
    case ElementType::i8: return to_whole<std::int8_t>(from, to, unit);
    case ElementType::u16: return to_whole<std::uint16_t>(from, to, unit);
    case ElementType::i16: return to_whole<std::int16_t>(from, to, unit);
    case ElementType::u32: return to_whole<std::uint32_t>(from, to, unit);
    case ElementType::i32: return to_whole<std::int32_t>(from, to, unit);
    case ElementType::u64: return to_whole<std::uint64_t>(from, to, unit);
    case ElementType::i64: return to_whole<std::int64_t>(from, to, unit);
    case ElementType::f16: return to_whole<Half>(from, to, unit);
    case ElementType::f32: return to_whole<float>(from, to, unit);
    case ElementType::f64: return to_whole<double>(from, to, unit);
  }
  return false;
}

/// One array of the archive, read forward.
class Column {
 public:
  Column(const EventBytes& bytes, const ZipMember& member) : place_{bytes.path(), member.name} {
    const std::string_view archive = bytes.all();
    if (member.deflated) {
      inflater_.emplace(place_, member, archive);
      read_header(member.size, [&](std::span<char> to) { inflater_->read(std::as_writable_bytes(to)); });
      return;
    }
    stored_ = archive.substr(member.begin, member.size);
    check_crc(place_, member, stored_);
    read_header(member.size, [&](std::span<char> to) {
      if (to.size() > stored_.size()) place_.fail("a .npy header", "its end");
      std::ranges::copy(stored_.substr(0, to.size()), to.begin());
      stored_.remove_prefix(to.size());
    });
  }

  std::size_t rows() const { return header_.shape[0]; }
  ElementType type() const { return header_.type; }

  /// The next to.size() elements, kPiece or fewer. Throws FileError for one below `least` or above `most`.
  void read(std::span<std::int64_t> to, double unit, std::int64_t least, std::int64_t most) {
    const std::size_t bytes = to.size() * size_of(header_.type);
    const char* from = stored_.data();
    if (inflater_) {
      piece_.resize(bytes);
      inflater_->read(std::as_writable_bytes(std::span(piece_)));
      from = piece_.data();
    } else {
      stored_.remove_prefix(bytes);
    }
    bool right = to_whole(header_.type, from, to, unit);
    for (const std::int64_t value : to) right = right && value >= least && value <= most;
    if (!right) place_.fail(fmt::format("whole numbers from {} to {}", least, most), "others");
  }
  void finish() {
    if (inflater_) inflater_->finish();
  }

 private:
  template <class Read>
  void read_header(std::size_t size, const Read& read) {
    std::string text(std::min(kNpyBeginBytes, size), '\0');
    read(text);
    const std::size_t begin = npy_data_begin(place_, text, size), begun = text.size();
    // A header that is shorter than the bytes that tell its length is none.
    if (begin < begun) place_.fail("a .npy header", "a shorter one");
    text.resize(begin);
    read(std::span(text).subspan(begun));
    header_ = read_npy_header(place_, text, size);
    if (header_.shape.rank() != 1) place_.fail("an array of shape (N)", header_.shape.text());
  }

  ReadPlace place_;
  NpyHeader header_;
  std::string_view stored_;
  std::optional<Inflater> inflater_;
  std::string piece_;
};

class EventNpzDecoder final : public EventDecoder {
 public:
  EventNpzDecoder(EventBytes bytes, const EventFileOptions& options)
      : EventDecoder(std::move(bytes), options, {.format = EventFormat::npz}), unit_(options.time_unit) {
    const std::vector<ZipMember> members = read_zip_directory(this->bytes().path(), this->bytes().all());
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      const auto member = std::ranges::find(members, fmt::format("{}.npy", kColumns[i]), &ZipMember::name);
      if (member == members.end())
        this->bytes().fail("arrays t, x, y and p", fmt::format("none named {}", kColumns[i]));
      columns_[i] = std::make_unique<Column>(this->bytes(), *member);
      if (columns_[i]->rows() != columns_[0]->rows()) {
        this->bytes().fail(fmt::format("{} elements in {}, as in t", columns_[0]->rows(), kColumns[i]),
                           fmt::format("{}", columns_[i]->rows()));
      }
    }
    left_ = columns_[0]->rows();
    if (left_ == 0) finish();
  }

 private:
  std::size_t do_decode(std::span<Event> events) override {
    const std::size_t n = std::min({events.size(), left_, kPiece});
    if (n == 0) return 0;
    constexpr std::int64_t kMostTime = std::int64_t{1} << 62;
    const std::span<std::int64_t> values(values_.data(), n);
    columns_[0]->read(values, unit_, 0, kMostTime);
    for (std::size_t i = 0; i < n; ++i) events[i].t = static_cast<std::uint64_t>(values[i]);
    columns_[1]->read(values, 1, 0, 0xffff);
    for (std::size_t i = 0; i < n; ++i) events[i].x = static_cast<std::uint16_t>(values[i]);
    columns_[2]->read(values, 1, 0, 0xffff);
    for (std::size_t i = 0; i < n; ++i) events[i].y = static_cast<std::uint16_t>(values[i]);
    columns_[3]->read(values, 1, -1, 0xffff);  // -1: the 0 of files that have -1 and 1
    for (std::size_t i = 0; i < n; ++i) {
      events[i].channel = static_cast<std::uint16_t>(std::max<std::int64_t>(values[i], 0));
    }
    left_ -= n;
    if (left_ == 0) finish();
    return n;
  }

  void finish() {
    for (const std::unique_ptr<Column>& column : columns_) column->finish();
  }

  std::array<std::unique_ptr<Column>, kColumns.size()> columns_;
  std::array<std::int64_t, kPiece> values_{};
  std::size_t left_ = 0;
  double unit_;
};

/// As numpy.savez writes it: stored.
class EventNpzEncoder final : public EventEncoder {
 public:
  void encode(std::span<const Event> events, std::string& bytes) override {
    static_cast<void>(bytes);
    constexpr std::size_t kMostEvents = 250'000'000;  // without zip64, 4 GiB
    check_limits(EventFormat::npz, {.t = ~std::uint64_t{0} >> 1, .channel = 0xff}, events, last_);
    if (events.size() > kMostEvents - count_)
      throw ArgumentError("write_events", "events must be at most 250000000 in npz",
                          fmt::format("{}", count_ + events.size()));
    count_ += events.size();
    for (const Event& event : events) {
      append(columns_[0], event.t);
      append(columns_[1], std::int32_t{event.x});
      append(columns_[2], std::int32_t{event.y});
      columns_[3] += static_cast<char>(event.channel);
    }
  }

  void end(std::string& bytes) override {
    std::string directory;
    constexpr std::string_view kTypes[] = {"<i8", "<i4", "<i4", "|u1"};
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      const std::string name = fmt::format("{}.npy", kColumns[i]);
      const std::string header = npy_header(kTypes[i]);
      const std::size_t begin = bytes.size();
      const std::string about = about_member(header, columns_[i], name);
      for (const std::string_view part : {std::string_view("PK\x03\x04"), std::string_view(about),
                                          std::string_view(name), std::string_view(header)}) {
        bytes += part;
      }
      bytes += columns_[i];
      columns_[i] = {};
      append_entry(directory, about, begin, name);
    }
    const auto begin = static_cast<std::uint32_t>(bytes.size());
    bytes += directory + std::string("PK\x05\x06\0\0\0\0", 8);
    for (int i = 0; i < 2; ++i) append(bytes, static_cast<std::uint16_t>(kColumns.size()));
    append(bytes, static_cast<std::uint32_t>(directory.size()));
    append(bytes, begin);
    append(bytes, std::uint16_t{0});
  }

 private:
  std::string npy_header(std::string_view type) const {
    std::string text =
        fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}", type, count_);
    constexpr std::size_t kBefore = 10;
    text.append(63 - (kBefore + text.size()) % 64, ' ');
    text += '\n';
    std::string header("\x93NUMPY\x01\0", 8);
    append(header, static_cast<std::uint16_t>(text.size()));
    return header + text;
  }

  /// What a member's header and its entry in the directory have in common.
  static std::string about_member(std::string_view header, std::string_view column, std::string_view name) {
    auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(column.data()), column.size());
    const auto size = static_cast<std::uint32_t>(header.size() + column.size());
    std::string about("\x14\0\0\0\0\0\0\0\x21\0", 10);  // version 2.0, stored, 1 January 1980
    append(about, static_cast<std::uint32_t>(crc));
    append(about, size);
    append(about, size);
    append(about, static_cast<std::uint16_t>(name.size()));
    append(about, std::uint16_t{0});
    return about;
  }

  static void append_entry(std::string& directory, std::string_view about, std::size_t begin,
                           std::string_view name) {
    directory += "PK\x01\x02";
    append(directory, std::uint16_t{20});
    directory += about;
    directory.append(10, '\0');  // no comment, one disk, no attributes
    append(directory, static_cast<std::uint32_t>(begin));
    directory += name;
  }

  std::array<std::string, kColumns.size()> columns_;
  std::size_t count_ = 0;
  std::uint64_t last_ = 0;
};

}  // namespace

std::unique_ptr<EventDecoder> open_event_npz(EventBytes bytes, const EventFileOptions& options) {
  return std::make_unique<EventNpzDecoder>(std::move(bytes), options);
}

std::unique_ptr<EventEncoder> make_event_npz_encoder() { return std::make_unique<EventNpzEncoder>(); }

}  // namespace volley
