#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/spikes.hpp>
#include <volley/targets.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// One change that an event camera, or another sensor, saw.
struct Event {
  std::uint64_t t = 0;  // microseconds
  std::uint16_t x = 0;
  std::uint16_t y = 0;
  std::uint16_t channel = 0;  // of a camera the polarity: 0 darker, 1 brighter

  friend bool operator==(const Event&, const Event&) = default;
};

/// What the samples of a source are.
enum class SampleKind {
  bytes,      // 0 to 255, without time: pictures
  values,     // real values, without time
  sequences,  // real values, step by step
  spikes,     // spike trains, step by step
  events,     // of a sensor, each at a time of its own
};

/// Whether samples of this kind have steps of their own, which no encoder gives them.
inline bool has_steps(SampleKind kind) { return kind == SampleKind::sequences || kind == SampleKind::spikes; }

/// A batch of N samples, as a source reads it. Its memory serves one read after another.
struct Samples {
  // What there is of these, the kind of the source says:
  std::vector<std::uint8_t> bytes;         // (N, shape...)
  Tensor values;                           // values (N, shape...), sequences (N, T, shape...)
  Spikes spikes;                           // (N, T, shape...)
  std::vector<std::vector<Event>> events;  // of each sample, by time
  /// With the lengths of sequences and spikes, where these differ, and their mask, where they have one.
  Targets targets;
};

/// What is known of a source without reading it.
struct SourceInfo {
  std::string name;      // "digits train"
  std::size_t size = 0;  // samples, below 2^32
  SampleKind kind = SampleKind::values;
  Shape shape;            // of a sample, at one step: 1 to 6 dimensions; of events (channels, height, width)
  std::size_t steps = 0;  // the most that a sample has, where samples have steps
  std::size_t outputs = 0;           // of a network for the targets: classes, or real values; 0: not known
  std::vector<std::string> classes;  // what each label is called; none: labels without names
};

/// Samples and what should come of them, in memory, in a file, or made as they are asked for. A new source
/// overrides do_read.
///
/// Threads: several may read one source at once; the trainer reads a batch in a thread of its own while it
/// works on another.
class Source {
 public:
  virtual ~Source() = default;
  Source& operator=(const Source&) = delete;

  const SourceInfo& info() const { return info_; }
  std::size_t size() const { return info_.size; }

  /// The samples `ids`, each below size(), at least one, in this order. T is the longest of their lengths at
  /// least; what lies beyond a sample's length is 0. Throws ArgumentError, which names the source, for ids
  /// that it has not, and where do_read has left what does not fit info().
  void read(std::span<const std::uint32_t> ids, Samples& samples) const;

  /// The pictures in memory that the samples are, by their index, where that is so: then nothing is read.
  virtual const Dataset* pictures() const { return nullptr; }

 protected:
  /// Throws ArgumentError for a shape or numbers that no source may have.
  explicit Source(SourceInfo info);
  Source(const Source&) = default;

  /// Fills `samples`, which may have what an earlier read has left. What lies beyond a sample's length is
  /// zeroed later, but for spikes.
  virtual void do_read(std::span<const std::uint32_t> ids, Samples& samples) const = 0;

 private:
  SourceInfo info_;
};

/// Labelled pictures in memory.
class PictureSource final : public Source {
 public:
  /// Of pictures that must outlive the source. Throws where the set does not pass its check.
  explicit PictureSource(const Dataset& pictures);
  /// Of pictures that it keeps.
  explicit PictureSource(std::shared_ptr<const Dataset> pictures) : PictureSource(*pictures) {
    owner_ = std::move(pictures);
  }
  const Dataset* pictures() const override { return &pictures_; }

 private:
  void do_read(std::span<const std::uint32_t> ids, Samples& samples) const override;

  const Dataset& pictures_;
  std::shared_ptr<const Dataset> owner_;
};

/// Some samples of another source.
class Subset final : public Source {
 public:
  /// Throws ArgumentError for a null source, and for ids that it has not.
  Subset(std::shared_ptr<const Source> of, std::vector<std::uint32_t> ids, std::string name);

 private:
  void do_read(std::span<const std::uint32_t> ids, Samples& samples) const override;

  std::shared_ptr<const Source> of_;
  std::vector<std::uint32_t> ids_;
};

/// Sources in their parts; any but `train` may be null.
struct Sources {
  std::shared_ptr<const Source> train;
  std::shared_ptr<const Source> test;
  std::shared_ptr<const Source> validation;  // held out of the training set
};

/// The label of every sample; none where samples have other targets. Reads all of the source, but for
/// pictures in memory.
std::vector<std::uint32_t> labels_of(const Source& source);

/// The sources that pictures are; an empty part becomes null.
Sources sources_of(Split&& pictures);

/// What Recipe::data names: a set that is known by name, or a folder of pictures, as datasets::load has it;
/// or a path, with a slash, of a file of arrays (read_arrays), or of a folder of .npy files by their names:
///
///     x, y, lengths, mask, weights         the parts of an ArraySource (also X, labels, targets, length)
///     x_train, y_train, ..., x_test, ...   of the two sets
///     test                                 (N) without these: 1 for a sample of the test, 0 for the others
///     classes                              one line each in a file of that name, classes.txt, in a folder
///
/// In a .csv with names, y is the column "y", "label" or "target", and all other columns are x. Where nothing
/// says which samples are for the test, every fifth of each class is, or every fifth where there are no
/// labels. Throws Error when a file is missing or wrong, and never touches the network.
Sources load_sources(const std::string& data, const std::string& folder = {});
/// Whether `data` is the path of arrays.
bool is_array_path(const std::string& data);

}  // namespace volley
