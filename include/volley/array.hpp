#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <volley/source.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// What the elements of an array are, little-endian.
enum class ElementType { boolean, u8, i8, u16, i16, u32, i32, u64, i64, f16, f32, f64 };

/// Bytes of one element.
std::size_t size_of(ElementType type);
/// "uint8"
std::string_view name_of(ElementType type);
/// Whether it holds whole numbers; a boolean does.
bool is_integer(ElementType type);

/// An array of any element type, row-major, that is only read: in memory, or in a file that is mapped, of
/// which the pages come as they are read. Copies share the memory. Any number of threads may read one.
class Array {
 public:
  Array() = default;
  /// `data` has shape.size() elements, and lives as long as `owner`.
  Array(const Shape& shape, ElementType type, const void* data, std::shared_ptr<const void> owner);
  /// A copy of these values.
  static Array of(const Tensor& values);

  const Shape& shape() const { return shape_; }
  ElementType type() const { return type_; }
  const std::byte* bytes() const { return data_; }
  bool empty() const { return data_ == nullptr; }
  /// The number of rows: the first dimension.
  std::size_t rows() const { return shape_.rank() == 0 ? 0 : shape_[0]; }
  /// Elements of a row.
  std::size_t row_size() const { return shape_.from(1).size(); }

  /// The elements from `first` on, as float32; as whole numbers below 2^32. Throws ArgumentError for elements
  /// beyond the end, and whole() for a number that is none of these.
  void floats(std::span<float> to, std::size_t first) const;
  void whole(std::span<std::uint32_t> to, std::size_t first) const;

 private:
  Shape shape_;
  ElementType type_ = ElementType::f32;
  const std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

/// The arrays of a file, by name.
///
/// | file             | arrays                                                                          |
/// |------------------|---------------------------------------------------------------------------------|
/// | .npy             | one, named ""                                                                   |
/// | .npz             | all; each is read once, for its checksum                                        |
/// | .safetensors     | all; BF16 as float32                                                            |
/// | .csv with names  | one per column: int64 where no number has a point or an exponent, else float64  |
/// | .csv without     | one, named "", (lines, columns), float64                                        |
///
/// Elements that the file has uncompressed are mapped, and may lie at any address. Throws FileError for a
/// file that is missing, damaged, or of a kind or an element type that is not known.
std::map<std::string, Array> read_arrays(const std::string& path);

/// The parts of an ArraySource.
struct ArrayParts {
  std::string name = "arrays";
  /// One row a sample: (N, shape...), and (N, T, shape...) where samples have steps. Or, with lengths, the
  /// steps of all samples one after another: (sum of the lengths, shape...).
  Array x;
  /// Whole numbers: a class for each sample (N), or for each step (N, T). Real: (N), (N, K), (N, T, K). Where
  /// x has the steps of all samples one after another, those for steps have too: (sum), and (sum, K). None:
  /// no targets. What padding has is not read.
  Array targets;
  Array lengths;  // (N): the steps of each sample
  /// 1 for a step that counts, 0 for one that a loss passes over: (N, T), or (sum) where x has the steps of
  /// all samples. Labels of what does not count are not read.
  Array mask{};
  Array weights;  // (N): how much each counts
  /// Not given: bytes where x has uint8, else values; with lengths, sequences.
  std::optional<SampleKind> kind{};
  std::vector<std::string> classes{};  // what each label is called
};

/// Samples in arrays.
class ArraySource final : public Source {
 public:
  /// Throws ArgumentError for arrays that do not fit together. Reads all labels, lengths and the mask.
  explicit ArraySource(const ArrayParts& parts);

 private:
  struct Contents;
  ArraySource(const ArrayParts& parts, Contents&& contents);
  void do_read(std::span<const std::uint32_t> ids, Samples& samples) const override;
  void read_x(std::span<const std::uint32_t> ids, std::size_t T, Samples& samples) const;
  void read_spikes(std::span<const std::uint32_t> ids, std::size_t T, Spikes& spikes) const;
  void read_targets(std::span<const std::uint32_t> ids, std::size_t T, Targets& targets) const;
  std::size_t length_of(std::size_t id) const { return lengths_.empty() ? info().steps : lengths_[id]; }
  std::size_t first_step_of(std::size_t id) const;

  ArrayParts parts_;
  std::vector<std::uint32_t> lengths_;  // none: all have info().steps
  std::vector<std::size_t> first_;      // the first row of each sample, where x has the steps of all
  std::vector<std::uint8_t> mask_;      // as parts_.mask
  std::vector<std::uint32_t> labels_;   // as parts_.targets
  bool targets_have_steps_ = false;
};

}  // namespace volley
