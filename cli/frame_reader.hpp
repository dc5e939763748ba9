#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace volley::cli {

/// How frames come on a pipe: numbers of one line, bytes, or little-endian float32, of one frame after
/// another.
enum class FrameFormat { csv, u8, f32 };

/// Frames of a fixed number of values from a file descriptor, each as soon as it is whole.
class FrameReader {
 public:
  /// `size` values a frame; `name` is how messages call what is read.
  FrameReader(int file, FrameFormat format, std::size_t size, std::string name);

  /// The next frame, bytes as 0 to 255. False at the end, and where a signal came. Throws a FileError for
  /// what is no frame: with the line, or the number of the frame.
  bool next(std::span<float> frame);

 private:
  bool fill();
  bool next_line(std::string_view& line);
  bool next_bytes(std::size_t count, std::string_view& bytes);
  void parse(std::string_view line, std::span<float> frame) const;

  int file_;
  FrameFormat format_;
  std::size_t size_;
  std::string name_;
  std::string buffer_;  // what was read and not yet used begins at used_
  std::size_t used_ = 0;
  bool interrupted_ = false;  // by a signal
  std::size_t count_ = 0;     // lines, or frames, so far
};

}  // namespace volley::cli
