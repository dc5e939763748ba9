#include <volley/array.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <volley/error.hpp>

#include "signal/spike_words.hpp"

namespace volley {
namespace {

constexpr std::size_t kMostFeatureRank = 6;

std::string_view name_of(SampleKind kind) {
  switch (kind) {
    case SampleKind::bytes: return "bytes";
    case SampleKind::values: return "values";
    case SampleKind::sequences: return "sequences";
    case SampleKind::spikes: return "spikes";
    case SampleKind::events: return "events";
  }
  return "";
}

SampleKind kind_of(const ArrayParts& parts) {
  if (parts.kind) return *parts.kind;
  if (!parts.lengths.empty()) return SampleKind::sequences;
  return parts.x.type() == ElementType::u8 ? SampleKind::bytes : SampleKind::values;
}

bool holds_spikes(ElementType type) { return type == ElementType::u8 || type == ElementType::boolean; }

}  // namespace

/// What the constructor reads of the arrays, checked.
struct ArraySource::Contents {
  explicit Contents(const ArrayParts& parts);

  SourceInfo info;
  std::vector<std::uint32_t> lengths;
  std::vector<std::size_t> first;
  std::vector<std::uint8_t> mask;
  std::vector<std::uint32_t> labels;
  bool targets_have_steps = false;

 private:
  [[noreturn]] void fail(std::string_view rule, std::string_view found) const {
    throw ArgumentError(parts.name, rule, found);
  }
  /// array.whole(), whose errors then name `what`.
  void whole(std::string_view what, const Array& array, std::span<std::uint32_t> to, std::size_t from) const;
  void check_kind() const;
  void read_lengths();
  void find_steps();
  void read_shape();
  void read_mask();
  void read_targets();
  void read_labels();
  void read_values();
  void check_weights() const;

  const ArrayParts& parts;
  /// The steps of a sample; the row of its first, where steps have rows, or would have.
  std::size_t steps_of(std::size_t n) const { return lengths.empty() ? x_steps : lengths[n]; }
  std::size_t first_step_of(std::size_t n) const { return joined ? first[n] : n * x_steps; }

  bool joined = false;      // x has the steps of all samples, one after another
  std::size_t x_steps = 1;  // steps that each sample has in x, and in targets
};

ArraySource::Contents::Contents(const ArrayParts& given) : parts(given) {
  if (parts.x.empty()) throw ArgumentError(parts.name, "x must be given");
  info.name = parts.name;
  info.kind = kind_of(parts);
  info.classes = parts.classes;
  check_kind();
  read_lengths();
  find_steps();
  read_shape();
  read_mask();
  read_targets();
  check_weights();
}

void ArraySource::Contents::whole(std::string_view what, const Array& array, std::span<std::uint32_t> to,
                                  std::size_t from) const {
  try {
    array.whole(to, from);
  } catch (const ArgumentError& error) {
    fail(fmt::format("{}: {}", what, error.rule()), error.found());
  }
}

void ArraySource::Contents::check_kind() const {
  const ElementType type = parts.x.type();
  if (info.kind == SampleKind::events) fail("kind must not be events, which are in no array", "events");
  if (info.kind == SampleKind::bytes && type != ElementType::u8) fail("x must be uint8", name_of(type));
  if (info.kind == SampleKind::spikes && !holds_spikes(type)) fail("x must be uint8 or bool", name_of(type));
  if (!parts.lengths.empty() && !has_steps(info.kind)) {
    fail("with lengths, kind must be sequences or spikes", name_of(info.kind));
  }
}

void ArraySource::Contents::read_lengths() {
  if (parts.lengths.empty()) return;
  if (parts.lengths.shape().rank() != 1) {
    throw ShapeError(parts.name, "lengths must be (N)", parts.lengths.shape());
  }
  lengths.resize(parts.lengths.rows());
  whole("lengths", parts.lengths, lengths, 0);
}

void ArraySource::Contents::find_steps() {
  const std::size_t rows = parts.x.rows();
  info.size = lengths.empty() ? rows : lengths.size();
  joined = !parts.lengths.empty() && rows != lengths.size();
  if (joined) {
    std::size_t sum = 0;
    for (const std::uint32_t length : lengths) {
      first.push_back(sum);
      sum += length;
    }
    if (sum != rows) {
      fail(fmt::format("x must have {} rows, one for each of the lengths, or {}, the sum of the lengths",
                       lengths.size(), sum),
           fmt::format("{}", rows));
    }
  } else if (has_steps(info.kind) && parts.x.shape().rank() > 1) {
    x_steps = parts.x.shape()[1];
  }
  if (!has_steps(info.kind)) return;
  info.steps = x_steps;
  if (lengths.empty()) return;
  const std::size_t most = joined ? rows : x_steps;
  for (std::size_t n = 0; n < lengths.size(); ++n) {
    if (lengths[n] < 1 || lengths[n] > most) {
      fail(fmt::format("the length of sample {} must be 1 to {}", n, most), fmt::format("{}", lengths[n]));
    }
  }
  info.steps = *std::ranges::max_element(lengths);
}

void ArraySource::Contents::read_shape() {
  const std::size_t before = has_steps(info.kind) && !joined ? 2 : 1;
  const Shape& shape = parts.x.shape();
  if (shape.rank() <= before || shape.rank() > before + kMostFeatureRank) {
    const std::string_view sizes = before == 2 ? "N, T" : joined ? "sum of the lengths" : "N";
    throw ShapeError(parts.name,
                     fmt::format("x must be ({}, features...) with 1 to {} dimensions of features", sizes,
                                 kMostFeatureRank),
                     shape);
  }
  info.shape = shape.from(before);
}

void ArraySource::Contents::read_mask() {
  if (parts.mask.empty()) return;
  if (!has_steps(info.kind)) fail("with a mask, kind must be sequences or spikes", name_of(info.kind));
  const Shape expected = joined ? Shape{parts.x.rows()} : Shape{info.size, x_steps};
  if (parts.mask.shape() != expected) {
    throw ShapeError(parts.name, fmt::format("mask must be {}", expected.text()), parts.mask.shape());
  }
  mask.resize(expected.size());
  std::vector<std::uint32_t> own;
  for (std::size_t n = 0; n < info.size; ++n) {
    own.resize(steps_of(n));
    whole("mask", parts.mask, own, first_step_of(n));
    bool counts = false;
    for (std::size_t t = 0; t < own.size(); ++t) {
      if (own[t] > 1) {
        fail(fmt::format("the mask of sample {} at step {} must be 0 or 1", n, t), fmt::format("{}", own[t]));
      }
      mask[first_step_of(n) + t] = static_cast<std::uint8_t>(own[t]);
      counts |= own[t] == 1;
    }
    if (!counts) fail("the mask must leave each sample a step", fmt::format("none of sample {}", n));
  }
}

void ArraySource::Contents::read_targets() {
  info.outputs = info.classes.size();
  if (parts.targets.empty()) return;
  is_integer(parts.targets.type()) ? read_labels() : read_values();
}

void ArraySource::Contents::read_labels() {
  const Array& targets = parts.targets;
  const std::size_t N = info.size;
  const Shape of_steps = joined ? Shape{parts.x.rows()} : Shape{N, x_steps};
  targets_have_steps = has_steps(info.kind) && targets.shape() == of_steps;
  if (!targets_have_steps && targets.shape() != Shape{N}) {
    throw ShapeError(parts.name,
                     fmt::format("{} targets must be {}{}", name_of(targets.type()), Shape{N}.text(),
                                 has_steps(info.kind) ? " or " + of_steps.text() : ""),
                     targets.shape());
  }
  labels.resize(targets.shape().size());
  std::uint32_t highest = 0;
  for (std::size_t n = 0; n < N; ++n) {
    // What padding has is not read, nor what does not count: often -1.
    const std::size_t from = targets_have_steps ? first_step_of(n) : n;
    const std::size_t count = targets_have_steps ? steps_of(n) : 1;
    for (std::size_t i = from; i < from + count; ++i) {
      if (targets_have_steps && !mask.empty() && mask[i] == 0) continue;
      std::uint32_t& label = labels[i];
      whole("targets", targets, {&label, 1}, i);
      if (!info.classes.empty() && label >= info.classes.size()) {
        fail(fmt::format("labels of sample {} must be below {}, the number of classes", n,
                         info.classes.size()),
             fmt::format("{}", label));
      }
      highest = std::max(highest, label);
    }
  }
  if (info.classes.empty() && N > 0) info.outputs = std::size_t{highest} + 1;
}

void ArraySource::Contents::read_values() {
  const Shape& shape = parts.targets.shape();
  const std::size_t N = info.size, rank = shape.rank(), rows = parts.targets.rows();
  const bool of_samples = rows == N && (rank == 1 || rank == 2);
  const bool of_padded_steps =
      has_steps(info.kind) && !joined && rank == 3 && rows == N && shape[1] == x_steps;
  const bool of_joined_steps = joined && (rank == 1 || rank == 2) && rows == parts.x.rows();
  if (!of_samples && !of_padded_steps && !of_joined_steps) {
    std::string expected = fmt::format("({}) or ({}, K)", N, N);
    if (joined) expected += fmt::format(", or ({}, K)", parts.x.rows());
    if (has_steps(info.kind) && !joined) expected += fmt::format(", or ({}, {}, K)", N, x_steps);
    throw ShapeError(parts.name,
                     fmt::format("{} targets must be {}", name_of(parts.targets.type()), expected), shape);
  }
  targets_have_steps = !of_samples;
  const std::size_t K = rank == 1 ? 1 : shape[rank - 1];
  if (K == 0) throw ShapeError(parts.name, "targets must have values", shape);
  if (!info.classes.empty() && info.classes.size() != K) {
    fail(fmt::format("classes must be {}, as many as the values of a target", K),
         fmt::format("{}", info.classes.size()));
  }
  info.outputs = K;
}

void ArraySource::Contents::check_weights() const {
  if (parts.weights.empty()) return;
  if (parts.weights.shape() != Shape{info.size}) {
    throw ShapeError(parts.name, fmt::format("weights must be {}", Shape{info.size}.text()),
                     parts.weights.shape());
  }
  for (std::size_t n = 0; n < info.size; ++n) {
    float weight = 0;
    parts.weights.floats({&weight, 1}, n);
    if (weight >= 0 && std::isfinite(weight)) continue;
    fail(fmt::format("the weight of sample {} must be >= 0", n), fmt::format("{}", weight));
  }
}

ArraySource::ArraySource(const ArrayParts& parts) : ArraySource(parts, Contents(parts)) {}

ArraySource::ArraySource(const ArrayParts& parts, Contents&& contents)
    : Source(std::move(contents.info)),
      parts_(parts),
      lengths_(std::move(contents.lengths)),
      first_(std::move(contents.first)),
      mask_(std::move(contents.mask)),
      labels_(std::move(contents.labels)),
      targets_have_steps_(contents.targets_have_steps) {}

/// The row of x of its first step, where steps have rows, or would have, were the first two dimensions one.
std::size_t ArraySource::first_step_of(std::size_t id) const {
  return first_.empty() ? id * parts_.x.shape()[1] : first_[id];
}

void ArraySource::do_read(std::span<const std::uint32_t> ids, Samples& samples) const {
  std::size_t T = 0;
  for (const std::uint32_t id : ids) T = std::max(T, length_of(id));
  read_x(ids, T, samples);
  read_targets(ids, T, samples.targets);
  std::vector<std::uint32_t>& lengths = samples.targets.lengths;
  lengths.clear();
  for (const std::uint32_t id : ids) {
    if (!lengths_.empty()) lengths.push_back(lengths_[id]);
  }
  if (std::ranges::all_of(lengths, [&](std::uint32_t length) { return length == T; })) lengths.clear();
  std::vector<std::uint8_t>& mask = samples.targets.mask;
  mask.assign(mask_.empty() ? 0 : ids.size() * T, 0);
  for (std::size_t n = 0; n < ids.size() && !mask_.empty(); ++n)
    std::copy_n(mask_.data() + first_step_of(ids[n]), length_of(ids[n]), mask.data() + n * T);
}

void ArraySource::read_x(std::span<const std::uint32_t> ids, std::size_t T, Samples& samples) const {
  const Shape& shape = info().shape;
  const std::size_t N = ids.size(), F = shape.size();
  if (info().kind == SampleKind::spikes) return read_spikes(ids, T, samples.spikes);
  if (info().kind == SampleKind::bytes) {
    samples.bytes.resize(N * F);
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(parts_.x.bytes());
    for (std::size_t n = 0; n < N; ++n) std::copy_n(bytes + ids[n] * F, F, samples.bytes.data() + n * F);
    return;
  }
  if (info().kind == SampleKind::values) {
    samples.values.resize(shape.after({N}));
    for (std::size_t n = 0; n < N; ++n)
      parts_.x.floats(samples.values.values().subspan(n * F, F), ids[n] * F);
    return;
  }
  samples.values.resize(shape.after({N, T}));
  for (std::size_t n = 0; n < N; ++n) {
    const std::span<float> steps = samples.values.values().subspan(n * T * F, T * F);
    const std::size_t own = length_of(ids[n]) * F;
    parts_.x.floats(steps.first(own), first_step_of(ids[n]) * F);
    std::ranges::fill(steps.subspan(own), 0.0f);
  }
}

void ArraySource::read_spikes(std::span<const std::uint32_t> ids, std::size_t T, Spikes& spikes) const {
  const std::size_t F = info().shape.size();
  std::uint64_t* words = SpikeWords::make_steps(spikes, info().shape.after({ids.size(), T}));
  const std::size_t row_words = SpikeWords::row_words(spikes);
  for (const std::uint32_t id : ids) {
    const auto* row = reinterpret_cast<const std::uint8_t*>(parts_.x.bytes()) + first_step_of(id) * F;
    const std::size_t length = length_of(id);
    for (std::size_t t = 0; t < length; ++t, row += F, words += row_words) {
      const std::span<const std::uint8_t> bytes(row, F);
      unsigned seen = 0;
      for (const std::uint8_t byte : bytes) seen |= byte;
      if (seen > 1) {
        const auto other = std::ranges::find_if(bytes, [](std::uint8_t byte) { return byte > 1; });
        throw ArgumentError(info().name, fmt::format("spikes of sample {} at step {} must be 0 or 1", id, t),
                            fmt::format("{}", *other));
      }
      SpikeWords::pack_row(words, bytes);
    }
    words = std::fill_n(words, (T - length) * row_words, std::uint64_t{0});
  }
}

void ArraySource::read_targets(std::span<const std::uint32_t> ids, std::size_t T, Targets& targets) const {
  const std::size_t N = ids.size();
  const std::size_t steps = targets_have_steps_ ? T : 1;
  targets.heads.clear();
  targets.labels.assign(labels_.empty() ? 0 : N * steps, 0);
  for (std::size_t n = 0; n < N && !labels_.empty(); ++n) {
    const std::size_t from = targets_have_steps_ ? first_step_of(ids[n]) : ids[n];
    std::copy_n(labels_.data() + from, targets_have_steps_ ? length_of(ids[n]) : 1,
                targets.labels.data() + n * steps);
  }
  targets.weights.resize(parts_.weights.empty() ? 0 : N);
  for (std::size_t n = 0; n < targets.weights.size(); ++n)
    parts_.weights.floats({&targets.weights[n], 1}, ids[n]);
  if (parts_.targets.empty() || !labels_.empty()) return targets.values.resize(Shape{0});

  const std::size_t K = info().outputs;
  targets.values.resize(targets_have_steps_ ? Shape{N, T, K} : Shape{N, K});
  for (std::size_t n = 0; n < N; ++n) {
    const std::span<float> values = targets.values.values().subspan(n * steps * K, steps * K);
    const std::size_t from = targets_have_steps_ ? first_step_of(ids[n]) : ids[n];
    const std::size_t own = (targets_have_steps_ ? length_of(ids[n]) : 1) * K;
    parts_.targets.floats(values.first(own), from * K);
    std::ranges::fill(values.subspan(own), 0.0f);
  }
}

}  // namespace volley
