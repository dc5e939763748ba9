#include "tensorboard/event_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <limits>
#include <system_error>

#include <volley/error.hpp>

namespace volley {
namespace {

// The wire format of Protocol Buffers. A field is a key, which is its number and the type of what follows,
// and its value; a message inside a message is text that happens to be fields. Numbers are little-endian.
enum class Wire : std::uint32_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

template <class Unsigned>
void put_fixed(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof(value); ++i) out += static_cast<char>(value >> 8 * i & 0xff);
}

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_key(std::string& out, std::uint32_t field, Wire type) {
  put_varint(out, field << 3 | static_cast<std::uint32_t>(type));
}

void put_uint(std::string& out, std::uint32_t field, std::uint64_t value) {
  put_key(out, field, Wire::varint);
  put_varint(out, value);
}

void put_float(std::string& out, std::uint32_t field, float value) {
  put_key(out, field, Wire::fixed32);
  put_fixed(out, std::bit_cast<std::uint32_t>(value));
}

void put_double(std::string& out, std::uint32_t field, double value) {
  put_key(out, field, Wire::fixed64);
  put_fixed(out, std::bit_cast<std::uint64_t>(value));
}

void put_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  put_key(out, field, Wire::bytes);
  put_varint(out, bytes.size());
  out += bytes;
}

void put_doubles(std::string& out, std::uint32_t field, std::span<const double> values) {
  put_key(out, field, Wire::bytes);
  put_varint(out, values.size() * sizeof(double));
  for (const double value : values) put_fixed(out, std::bit_cast<std::uint64_t>(value));
}

// The numbers of the fields, by message of event.proto and summary.proto.
namespace event {
constexpr std::uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
}
namespace session_log {
constexpr std::uint32_t kStatus = 1;
constexpr std::uint64_t kStart = 1;  // its value, SessionLog.START
}  // namespace session_log
namespace summary {
constexpr std::uint32_t kValue = 1;
}
namespace value {
constexpr std::uint32_t kTag = 1, kSimpleValue = 2, kImage = 4, kHisto = 5;
}
namespace image {
constexpr std::uint32_t kHeight = 1, kWidth = 2, kColorspace = 3, kEncodedImageString = 4;
constexpr std::uint64_t kRgb = 3;  // a colorspace
}  // namespace image
namespace histo {
constexpr std::uint32_t kMin = 1, kMax = 2, kNum = 3, kSum = 4, kSumSquares = 5, kBucketLimit = 6,
                        kBucket = 7;
}

/// The Event of a step, but for what it tells.
std::string event_at(std::size_t step, double wall_time) {
  std::string message;
  put_double(message, event::kWallTime, wall_time);
  if (step > 0) put_uint(message, event::kStep, step);  // 0 goes without saying
  return message;
}

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ ((table[i] & 1) != 0 ? 0x82f63b78u : 0);
  }
  return table;
}();

/// As a record has it: the sum of bytes that hold sums would be weak.
std::uint32_t masked_crc32c(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) crc = crc >> 8 ^ kCrcTable[(crc ^ static_cast<std::uint8_t>(byte)) & 0xff];
  return ~crc;
}

Histogram Histogram::of(std::span<const float> values, std::size_t buckets) {
  Histogram h{.min = std::numeric_limits<double>::infinity(),
              .max = -std::numeric_limits<double>::infinity()};
  for (const float x : values) {
    if (!std::isfinite(x)) continue;
    const auto wide = static_cast<double>(x);
    h.min = std::min(h.min, wide);
    h.max = std::max(h.max, wide);
    h.sum += wide;
    h.sum_of_squares += wide * wide;
  }
  if (h.min > h.max) return {};
  if (h.min == h.max) buckets = 1;
  const double width = (h.max - h.min) / static_cast<double>(buckets);
  h.counts.assign(buckets, 0);
  for (const float x : values) {
    if (!std::isfinite(x)) continue;
    const double place = width > 0 ? (static_cast<double>(x) - h.min) / width : 0;
    ++h.counts[std::min(static_cast<std::size_t>(place), buckets - 1)];
  }
  for (std::size_t i = 1; i < buckets; ++i) h.limits.push_back(h.min + width * static_cast<double>(i));
  h.limits.push_back(h.max);
  return h;
}

void Summary::scalar(std::string_view tag, double number) {
  std::string message;
  put_bytes(message, value::kTag, tag);
  put_float(message, value::kSimpleValue, static_cast<float>(number));
  put_bytes(message_, summary::kValue, message);
}

void Summary::image(std::string_view tag, std::size_t width, std::size_t height, std::string_view png) {
  std::string picture;
  put_uint(picture, image::kHeight, height);
  put_uint(picture, image::kWidth, width);
  put_uint(picture, image::kColorspace, image::kRgb);
  put_bytes(picture, image::kEncodedImageString, png);
  std::string message;
  put_bytes(message, value::kTag, tag);
  put_bytes(message, value::kImage, picture);
  put_bytes(message_, summary::kValue, message);
}

void Summary::histogram(std::string_view tag, const Histogram& histogram) {
  double count = 0;
  for (const double c : histogram.counts) count += c;
  std::string spread;
  put_double(spread, histo::kMin, histogram.min);
  put_double(spread, histo::kMax, histogram.max);
  put_double(spread, histo::kNum, count);
  put_double(spread, histo::kSum, histogram.sum);
  put_double(spread, histo::kSumSquares, histogram.sum_of_squares);
  put_doubles(spread, histo::kBucketLimit, histogram.limits);
  put_doubles(spread, histo::kBucket, histogram.counts);
  std::string message;
  put_bytes(message, value::kTag, tag);
  put_bytes(message, value::kHisto, spread);
  put_bytes(message_, summary::kValue, message);
}

TfEventFile::TfEventFile(const std::filesystem::path& path, std::size_t first_step, double wall_time)
    : path_(path),
      descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) {
    throw FileError(path_.string(), "cannot write: " + std::generic_category().message(errno));
  }
  std::string version = event_at(0, wall_time);
  put_bytes(version, event::kFileVersion, "brain.Event:2");
  add_record(version);
  std::string log;
  put_uint(log, session_log::kStatus, session_log::kStart);
  std::string start = event_at(first_step, wall_time);
  put_bytes(start, event::kSessionLog, log);
  add_record(start);
}

TfEventFile::~TfEventFile() { ::close(descriptor_); }

void TfEventFile::add(std::size_t step, double wall_time, const Summary& summary) {
  if (summary.message_.empty()) return;
  std::string message = event_at(step, wall_time);
  put_bytes(message, event::kSummary, summary.message_);
  add_record(message);
}

/// length (8 bytes), sum of the length (4), event, sum of the event (4)
void TfEventFile::add_record(std::string_view event) {
  std::string length;
  put_fixed(length, static_cast<std::uint64_t>(event.size()));
  records_ += length;
  put_fixed(records_, masked_crc32c(length));
  records_ += event;
  put_fixed(records_, masked_crc32c(event));
}

void TfEventFile::flush() {
  std::string_view rest = records_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int code = errno;
      static_cast<void>(::ftruncate(descriptor_, static_cast<off_t>(written_)) == 0);
      throw FileError(path_.string(), "cannot write: " + std::generic_category().message(code));
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  written_ += records_.size();
  records_.clear();
}

}  // namespace volley
