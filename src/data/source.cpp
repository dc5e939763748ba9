#include <volley/source.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string_view>
#include <utility>

#include <volley/error.hpp>

namespace volley {
namespace {

constexpr std::size_t kMostSamples = std::numeric_limits<std::uint32_t>::max();

/// What a source says and what it has read, for messages.
[[noreturn]] void refuse(const SourceInfo& info, const std::string& rule, const std::string& got) {
  throw ArgumentError("source", fmt::format("{}: {}", info.name, rule), got);
}

void check_shape(const SourceInfo& info, const char* what, const Shape& got, const Shape& expected) {
  if (got != expected) refuse(info, fmt::format("{} must be {}", what, expected.text()), got.text());
}

/// The steps of the batch: those that its signal has, up to the most that the source says.
std::size_t steps_of_batch(const SourceInfo& info, const Shape& shape) {
  if (shape.rank() < 2 || shape[1] < 1 || shape[1] > info.steps)
    refuse(info, fmt::format("a batch must have 1 to {} steps", info.steps), shape.text());
  return shape[1];
}

void check_targets(const SourceInfo& info, const Targets& targets, std::size_t N, std::size_t T) {
  const auto check = [&](const char* what, std::size_t size, bool per_step) {
    if (size == 0 || size == N || (per_step && size == N * T)) return;
    refuse(info, fmt::format("{} must be one for each of {} samples", what, N), fmt::format("{}", size));
  };
  check("labels", targets.labels.size(), true);
  check("weights", targets.weights.size(), false);
  check("lengths", targets.lengths.size(), false);
  for (const std::uint32_t length : targets.lengths) {
    if (length < 1 || length > T)
      refuse(info, fmt::format("lengths must be 1 to {}", T), fmt::format("{}", length));
  }
  if (!targets.mask.empty() && targets.mask.size() != N * T) {
    refuse(info, fmt::format("mask must be one for each of {} steps of {} samples", T, N),
           fmt::format("{}", targets.mask.size()));
  }
  const Shape& values = targets.values.shape();
  if (targets.values.size() > 0 && (values.rank() < 2 || values[0] != N))
    refuse(info, fmt::format("real targets must be ({}, outputs) or ({}, {}, outputs)", N, N, T),
           values.text());
}

/// Zeros what lies beyond the samples' lengths.
void clear_padding(Tensor& values, std::span<const std::uint32_t> lengths) {
  const std::size_t T = values.shape()[1], F = values.shape().from(2).size();
  for (std::size_t n = 0; n < lengths.size(); ++n)
    std::fill(values.data() + (n * T + lengths[n]) * F, values.data() + (n + 1) * T * F, 0.0f);
}

}  // namespace

Source::Source(SourceInfo info) : info_(std::move(info)) {
  if (info_.name.empty()) info_.name = "source";
  if (info_.size > kMostSamples)
    refuse(info_, fmt::format("must have at most {} samples", kMostSamples), fmt::format("{}", info_.size));
  if (info_.size == 0) return;
  if (info_.shape.rank() < 1 || info_.shape.rank() > Shape::kMaxRank - 2 || info_.shape.size() == 0)
    refuse(info_, "the shape of a sample must have 1 to 6 dimensions, none of them 0", info_.shape.text());
  if (has_steps(info_.kind) && info_.steps == 0) refuse(info_, "samples must have at least one step", "0");
  if (!info_.classes.empty() && info_.outputs != info_.classes.size()) {
    refuse(info_, fmt::format("outputs must be the {} classes", info_.classes.size()),
           fmt::format("{}", info_.outputs));
  }
}

void Source::read(std::span<const std::uint32_t> ids, Samples& samples) const {
  const std::size_t N = ids.size();
  if (N == 0) refuse(info_, "a batch must have at least one sample", "none");
  for (const std::uint32_t id : ids) {
    if (id >= info_.size)
      refuse(info_, fmt::format("samples must be < {}", info_.size), fmt::format("{}", id));
  }
  do_read(ids, samples);
  const auto batch = [&](const char* what, std::size_t size, std::size_t expected) {
    if (size != expected)
      refuse(info_, fmt::format("{} must be {}", what, expected), fmt::format("{}", size));
  };
  std::size_t T = 1;
  switch (info_.kind) {
    case SampleKind::bytes: batch("bytes", samples.bytes.size(), N * info_.shape.size()); break;
    case SampleKind::values:
      check_shape(info_, "values", samples.values.shape(), info_.shape.after({N}));
      break;
    case SampleKind::sequences:
      T = steps_of_batch(info_, samples.values.shape());
      check_shape(info_, "sequences", samples.values.shape(), info_.shape.after({N, T}));
      break;
    case SampleKind::spikes:
      T = steps_of_batch(info_, samples.spikes.shape());
      check_shape(info_, "spikes", samples.spikes.shape(), info_.shape.after({N, T}));
      break;
    case SampleKind::events: batch("samples of events", samples.events.size(), N); break;
  }
  check_targets(info_, samples.targets, N, T);
  if (info_.kind == SampleKind::sequences) clear_padding(samples.values, samples.targets.lengths);
}

PictureSource::PictureSource(const Dataset& pictures)
    : Source({.name = pictures.name,
              .size = pictures.size(),
              .kind = SampleKind::bytes,
              .shape = pictures.shape,
              .outputs = pictures.classes.size(),
              .classes = pictures.classes}),
      pictures_(pictures) {
  if (pictures.size() > 0) pictures.check();
}

void PictureSource::do_read(std::span<const std::uint32_t> ids, Samples& samples) const {
  const std::size_t size = info().shape.size();
  samples.bytes.resize(ids.size() * size);
  samples.targets.labels.resize(ids.size());
  for (std::size_t n = 0; n < ids.size(); ++n) {
    std::ranges::copy(pictures_.picture(ids[n]), samples.bytes.data() + n * size);
    samples.targets.labels[n] = pictures_.labels[ids[n]];
  }
}

namespace {

SourceInfo info_of_subset(const Source* of, std::size_t size, std::string name) {
  if (of == nullptr) throw ArgumentError("source", "a subset must be of a source, got null");
  SourceInfo info = of->info();
  info.size = size;
  info.name = std::move(name);
  return info;
}

}  // namespace

Subset::Subset(std::shared_ptr<const Source> of, std::vector<std::uint32_t> ids, std::string name)
    : Source(info_of_subset(of.get(), ids.size(), std::move(name))),
      of_(std::move(of)),
      ids_(std::move(ids)) {
  for (const std::uint32_t id : ids_) {
    if (id >= of_->size())
      refuse(info(), fmt::format("samples must be < {}", of_->size()), fmt::format("{}", id));
  }
}

void Subset::do_read(std::span<const std::uint32_t> ids, Samples& samples) const {
  std::vector<std::uint32_t> of(ids.size());
  std::ranges::transform(ids, of.begin(), [&](std::uint32_t id) { return ids_[id]; });
  of_->read(of, samples);
}

std::vector<std::uint32_t> labels_of(const Source& source) {
  if (const Dataset* pictures = source.pictures(); pictures != nullptr) return pictures->labels;
  constexpr std::size_t kAtOnce = 256;
  std::vector<std::uint32_t> labels, ids;
  Samples samples;
  for (std::size_t first = 0; first < source.size(); first += kAtOnce) {
    ids.resize(std::min(kAtOnce, source.size() - first));
    std::iota(ids.begin(), ids.end(), static_cast<std::uint32_t>(first));
    source.read(ids, samples);
    const std::vector<std::uint32_t>& read = samples.targets.labels;
    if (read.size() != ids.size()) return {};
    labels.insert(labels.end(), read.begin(), read.end());
  }
  return labels;
}

}  // namespace volley
