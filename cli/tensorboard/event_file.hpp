#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace volley {

/// Castagnoli's CRC-32, as iSCSI has it: 0xe3069283 for "123456789".
std::uint32_t crc32c(std::string_view bytes);

/// How the values of a tensor are spread: equally wide buckets from the least to the greatest.
struct Histogram {
  double min = 0;
  double max = 0;
  double sum = 0;
  double sum_of_squares = 0;
  std::vector<double> limits;  // the upper end of each bucket, the last one being max
  std::vector<double> counts;

  /// Of those of `values` that are finite.
  static Histogram of(std::span<const float> values, std::size_t buckets = 30);
};

/// What a training showed at one step, for an event file: named numbers, pictures, histograms.
class Summary {
 public:
  void scalar(std::string_view tag, double value);
  /// A PNG file's bytes.
  void image(std::string_view tag, std::size_t width, std::size_t height, std::string_view png);
  void histogram(std::string_view tag, const Histogram& histogram);

 private:
  friend class TfEventFile;
  std::string message_;  // Summary of TensorBoard's summary.proto
};

/// An event file that TensorBoard reads: TFRecords, each an Event of TensorBoard's event.proto. Records go to
/// the file whole and at once, in flush; one that cannot be written leaves none of its bytes behind. Throws
/// FileError with the reason.
class TfEventFile {
 public:
  /// A new file of this name. Steps from `first_step` on are its own: whatever files of the same folder,
  /// earlier by name, have of them is void.
  TfEventFile(const std::filesystem::path& path, std::size_t first_step, double wall_time);
  ~TfEventFile();
  TfEventFile(const TfEventFile&) = delete;
  TfEventFile& operator=(const TfEventFile&) = delete;

  /// `wall_time` is in seconds since 1970.
  void add(std::size_t step, double wall_time, const Summary& summary);
  void flush();
  /// Bytes that wait for flush.
  std::size_t pending() const { return records_.size(); }

 private:
  void add_record(std::string_view event);

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::size_t written_ = 0;
  std::string records_;
};

}  // namespace volley
