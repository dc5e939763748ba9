#include "frame_reader.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include <volley/error.hpp>
#include <volley/text.hpp>

namespace volley::cli {
namespace {

static_assert(std::endian::native == std::endian::little, "frames are read as they lie in memory");

constexpr std::size_t kBlock = 1 << 16;
constexpr std::size_t kMostLine = std::size_t{1} << 28;

}  // namespace

FrameReader::FrameReader(int file, FrameFormat format, std::size_t size, std::string name)
    : file_(file), format_(format), size_(size), name_(std::move(name)) {}

/// Reads on. False at the end, and where a signal came.
bool FrameReader::fill() {
  buffer_.erase(0, std::exchange(used_, 0));
  if (buffer_.size() > kMostLine)
    throw FileError(name_, count_ + 1, "a line must have fewer than 2^28 bytes");
  const std::size_t before = buffer_.size();
  buffer_.resize(before + kBlock);
  const ssize_t got = ::read(file_, buffer_.data() + before, kBlock);
  const int error = errno;
  interrupted_ = got < 0 && error == EINTR;
  buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0 && !interrupted_)
    throw FileError(name_, "cannot be read: " + std::generic_category().message(error));
  return got > 0;
}

bool FrameReader::next_line(std::string_view& line) {
  std::size_t searched = 0;  // of what follows used_
  for (;;) {
    const std::size_t end = buffer_.find('\n', used_ + searched);
    if (end != std::string::npos) {
      line = std::string_view(buffer_).substr(used_, end - used_);
      used_ = end + 1;
      return true;
    }
    searched = buffer_.size() - used_;
    if (fill()) continue;
    if (buffer_.empty() || interrupted_) return false;
    line = buffer_;
    used_ = buffer_.size();
    return true;
  }
}

bool FrameReader::next_bytes(std::size_t count, std::string_view& bytes) {
  while (buffer_.size() - used_ < count) {
    if (fill()) continue;
    if (buffer_.empty() || interrupted_) return false;
    throw FileError(name_,
                    fmt::format("frame {} must have {} bytes, got {}", count_ + 1, count, buffer_.size()));
  }
  bytes = std::string_view(buffer_).substr(used_, count);
  used_ += count;
  return true;
}

void FrameReader::parse(std::string_view line, std::span<float> frame) const {
  std::size_t found = 0;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(',', begin), line.size());
    const std::string_view cell = line.substr(begin, end - begin);
    double value = 0;
    if (!parse_number(cell, value) || std::abs(value) > std::numeric_limits<float>::max()) {
      throw FileError(
          name_, count_,
          fmt::format("expected a finite number, got '{}'", readable_line(std::string(cell.substr(0, 40)))));
    }
    if (found < frame.size()) frame[found] = static_cast<float>(value);
    ++found;
    begin = end + 1;
  }
  if (found != size_)
    throw FileError(name_, count_, fmt::format("a frame must have {} numbers, got {}", size_, found));
}

bool FrameReader::next(std::span<float> frame) {
  std::string_view text;
  if (format_ == FrameFormat::csv) {
    do {
      if (!next_line(text)) return false;
      ++count_;
    } while (text.find_first_not_of(" \t\r") == std::string_view::npos);
    parse(text, frame);
    return true;
  }
  const std::size_t width = format_ == FrameFormat::u8 ? 1 : sizeof(float);
  if (!next_bytes(size_ * width, text)) return false;
  ++count_;
  if (format_ == FrameFormat::u8) {
    std::ranges::transform(text, frame.begin(),
                           [](char c) { return static_cast<float>(static_cast<std::uint8_t>(c)); });
    return true;
  }
  std::memcpy(frame.data(), text.data(), text.size());
  for (const float value : frame) {
    if (std::isfinite(value)) continue;
    throw FileError(name_, fmt::format("frame {} must be of finite numbers, got {}", count_, value));
  }
  return true;
}

}  // namespace volley::cli
