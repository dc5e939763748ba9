#include "data/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/load.hpp"

namespace volley {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeaderBytes = 1 << 20;

struct Descr {
  std::string_view text;
  ElementType type;
};
constexpr Descr kDescrs[] = {
    {"|b1", ElementType::boolean}, {"|u1", ElementType::u8},  {"|i1", ElementType::i8},
    {"<u2", ElementType::u16},     {"<i2", ElementType::i16}, {"<u4", ElementType::u32},
    {"<i4", ElementType::i32},     {"<u8", ElementType::u64}, {"<i8", ElementType::i64},
    {"<f2", ElementType::f16},     {"<f4", ElementType::f32}, {"<f8", ElementType::f64},
};

/// What was found, for a message: what a hostile file says can be of any length.
std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  text = text.substr(0, text.find_last_not_of(" \n") + 1);  // the padding
  return fmt::format("{}{}", text.substr(0, kLongest), text.size() > kLongest ? "..." : "");
}

/// Reads the text of the dict.
class DictReader {
 public:
  DictReader(const ReadPlace& place, std::string_view text) : place_(place), text_(text), rest_(text) {}

  NpyHeader read() {
    take('{');
    while (!next_is('}')) {
      read_entry();
      if (next_is(',')) {
        take(',');
      } else if (!next_is('}')) {
        fail("a ',' or '}'");
      }
    }
    take('}');
    skip_space();
    if (!rest_.empty()) fail("the end of the header");
    if (!descr_ || !fortran_order_ || !shape_) {
      place_.fail("a .npy header of 'descr', 'fortran_order' and 'shape'", shown(text_));
    }
    return {*shape_, type_of_elements(), 0};
  }
  bool fortran_order() const { return *fortran_order_; }

 private:
  [[noreturn]] void fail(std::string_view expected) const {
    place_.fail(fmt::format("{} in the .npy header", expected),
                rest_.empty() ? "its end" : fmt::format("'{}'", shown(rest_)));
  }

  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool next_is(char c) {
    skip_space();
    return rest_.starts_with(c);
  }
  void take(char c) {
    if (!next_is(c)) fail(fmt::format("a '{}'", c));
    rest_.remove_prefix(1);
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::string_view take_quoted() {
    const char quote = next_is('"') ? '"' : '\'';
    take(quote);
    const std::size_t end = rest_.find(quote);
    if (end == std::string_view::npos) fail("a closing quote");
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }

  void read_entry() {
    const std::string_view key = take_quoted();
    take(':');
    if (key == "descr" && !descr_) {
      if (next_is('[')) place_.fail(expected_elements(), "a structured array");
      descr_ = take_quoted();
    } else if (key == "fortran_order" && !fortran_order_) {
      fortran_order_ = take_word("True");
      if (!*fortran_order_ && !take_word("False")) fail("True or False");
    } else if (key == "shape" && !shape_) {
      shape_ = take_shape();
    } else {
      place_.fail("a .npy header of 'descr', 'fortran_order' and 'shape', each once",
                  fmt::format("'{}'", shown(key)));
    }
  }

  Shape take_shape() {
    std::vector<std::size_t> sizes;
    take('(');
    while (!next_is(')')) {
      std::size_t size = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
      if (error != std::errc()) fail("a size of the shape below 2^64");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      if (rest_.starts_with('L')) rest_.remove_prefix(1);  // as Python 2 writes it
      sizes.push_back(size);
      if (!next_is(')')) take(',');
    }
    take(')');
    if (sizes.size() > Shape::kMaxRank) {
      place_.fail(fmt::format("a shape of at most {} dimensions", Shape::kMaxRank),
                  fmt::format("{}", sizes.size()));
    }
    return Shape(sizes);
  }

  static std::string expected_elements() {
    std::string known;
    for (const Descr& descr : kDescrs) known += fmt::format("{}{}", known.empty() ? "" : ", ", descr.text);
    return "elements of " + known;
  }

  ElementType type_of_elements() const {
    const auto descr = std::ranges::find(kDescrs, *descr_, &Descr::text);
    if (descr != std::end(kDescrs)) return descr->type;
    std::string found = fmt::format("'{}'", shown(*descr_));
    if (descr_->starts_with('>')) found += ", which is big-endian: save x.astype(x.dtype.newbyteorder('<'))";
    if (descr_->starts_with("|O")) found += ", an array of Python objects";
    place_.fail(expected_elements(), found);
  }

  const ReadPlace& place_;
  std::string_view text_;
  std::string_view rest_;
  std::optional<std::string_view> descr_;
  std::optional<bool> fortran_order_;
  std::optional<Shape> shape_;
};

/// Bytes of the elements.
std::size_t bytes_of(const ReadPlace& place, const NpyHeader& header) {
  std::size_t bytes = size_of(header.type);
  for (const std::size_t size : header.shape.sizes()) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) {
      place.fail("a shape that fits in memory", header.shape.text());
    }
  }
  return bytes;
}

/// The bytes before the header's text.
std::size_t text_begin(std::string_view begin) { return begin[kMagic.size()] == 1 ? 10 : 12; }

}  // namespace

std::size_t npy_data_begin(const ReadPlace& place, std::string_view begin, std::size_t size) {
  if (begin.size() < kNpyBeginBytes) {
    place.fail(fmt::format("a .npy of {} bytes or more", kNpyBeginBytes), fmt::format("{}", size));
  }
  if (!begin.starts_with(kMagic)) place.fail("a .npy, which begins with \\x93NUMPY", "another begin");
  const int major = static_cast<unsigned char>(begin[kMagic.size()]);
  const int minor = static_cast<unsigned char>(begin[kMagic.size() + 1]);
  if (major < 1 || major > 3 || minor != 0) {
    place.fail("a .npy of version 1.0, 2.0 or 3.0", fmt::format("{}.{}", major, minor));
  }
  const char* const length = begin.data() + kMagic.size() + 2;
  const std::size_t text = major == 1 ? load<std::uint16_t>(length) : load<std::uint32_t>(length);
  const std::size_t limit = std::min(size - text_begin(begin), kMaxHeaderBytes);
  if (text > limit) {
    place.fail(fmt::format("a .npy header of at most {} bytes", limit), fmt::format("{}", text));
  }
  return text_begin(begin) + text;
}

NpyHeader read_npy_header(const ReadPlace& place, std::string_view header, std::size_t size) {
  DictReader reader(place, header.substr(text_begin(header)));
  NpyHeader found = reader.read();
  if (reader.fortran_order() && found.shape.rank() > 1) {
    place.fail("an array in C order", "Fortran order: save numpy.ascontiguousarray(x)");
  }
  found.data_bytes = bytes_of(place, found);
  if (found.data_bytes != size - header.size()) {
    place.fail(fmt::format("{} bytes of elements for the {} {} of its header", found.data_bytes,
                           name_of(found.type), found.shape.text()),
               fmt::format("{}", size - header.size()));
  }
  return found;
}

}  // namespace volley
