#include <volley/spikes.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <utility>

#include <volley/error.hpp>

#include "cpu/spikes.hpp"
#include "kernels/reduce.hpp"
#include "signal/spike_words.hpp"

namespace volley {
namespace {

static_assert(std::endian::native == std::endian::little, "bytes are packed eight at a time");

std::size_t words_for(std::size_t bits) { return bits / 64 + (bits % 64 != 0); }

/// One bit for each of `count` <= 64 bytes, 1 where the byte is not 0.
std::uint64_t pack_bytes(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < count; i += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, bytes + i, std::min<std::size_t>(8, count - i));
    constexpr std::uint64_t kLow = 0x7f7f7f7f7f7f7f7f;
    eight = (((eight & kLow) + kLow) | eight) >> 7 & 0x0101010101010101;  // 1 where the byte was not 0
    word |= (eight * 0x0102040810204080 >> 56) << i;  // the product brings bit 8 k to 56 + k
  }
  return word;
}

void check_rank(const Shape& shape) {
  if (shape.rank() < 3) {
    throw ShapeError("spikes", "shape must be (N, T, features...)", shape);
  }
}

void check_index(const char* name, std::size_t index, std::size_t size) {
  if (index < size) return;
  throw ArgumentError("spikes", fmt::format("{} must be < {}", name, size), fmt::format("{}", index));
}

void check_size(const char* name, std::size_t size, std::size_t expected) {
  if (size == expected) return;
  throw ArgumentError("spikes", fmt::format("{} must have {} elements", name, expected),
                      fmt::format("{}", size));
}

/// The product of `words`, those of spikes of `shape`.
std::size_t checked_words(const Shape& shape, std::initializer_list<std::size_t> words) {
  const std::size_t size = Shape(words).size();
  if (size > PTRDIFF_MAX / sizeof(std::uint64_t)) {
    throw ArgumentError("spikes", shape.text() + " has more elements than memory can hold");
  }
  return size;
}

}  // namespace

std::uint64_t* SpikeWords::make_steps(Spikes& spikes, Shape shape, Layout layout) {
  shape_steps(spikes, shape, layout);
  return spikes.words_.data();
}

void SpikeWords::shape_steps(Spikes& spikes, Shape shape, Layout layout) {
  check_rank(shape);
  const std::size_t features = shape.from(2).size();
  const std::size_t positions = layout == Layout::channels_last ? shape.from(3).size() : 1;
  const std::size_t row = positions * words_for(layout == Layout::channels_last ? shape[2] : features);
  const std::size_t words = checked_words(shape, {shape[0], shape[1], row});
  spikes.words_.resize(words);  // throws before it changes anything
  spikes.features_ = features;
  spikes.order_ = Spikes::Order::step;
  spikes.layout_ = layout;
  spikes.positions_ = positions;
  spikes.row_words_ = row;
  spikes.shape_ = shape;
}

void SpikeWords::make_trains(Spikes& spikes, Shape shape) {
  check_rank(shape);
  const std::size_t features = shape.from(2).size(), row = words_for(shape[1]);
  const std::size_t words = checked_words(shape, {shape[0], features, row});
  spikes.active_.resize(Shape{shape[0], features}.size());
  spikes.active_count_.resize(shape[0]);
  spikes.words_.resize(words);  // last: what a step order needs is what it was if memory is refused
  spikes.features_ = features;
  spikes.order_ = Spikes::Order::train;
  spikes.layout_ = Layout::row_major;
  spikes.positions_ = 1;
  spikes.row_words_ = row;
  spikes.shape_ = shape;
}

void SpikeWords::pack_row(std::uint64_t* row, std::span<const std::uint8_t> bytes) {
  for (std::size_t f = 0; f < bytes.size(); f += 64) {
    row[f / 64] = pack_bytes(bytes.data() + f, std::min<std::size_t>(64, bytes.size() - f));
  }
}

void SpikeWords::to_steps(Spikes& out, const Spikes& in, Executor& device) {
  shape_steps(out, in.shape());
  device.run(ops::SpikesToSteps{.s = view(in, device), .steps = write(out, device)});
}

void SpikeWords::to_layout(Spikes& out, const Spikes& in, const Shape& shape, Layout layout,
                           Executor& device) {
  shape_steps(out, shape, layout);
  device.run(ops::SpikesToLayout{.s = view(in, device),
                                 .C = shape[2],
                                 .channels_last = layout == Layout::channels_last,
                                 .steps = write(out, device),
                                 .row_words = out.row_words_});
}

Spikes::Spikes(const Shape& shape) {
  SpikeWords::make_steps(*this, shape);
  words_.zero();
}

Spikes::Spikes(Spikes&& other) noexcept { swap(other); }

Spikes& Spikes::operator=(Spikes&& other) noexcept {
  swap(other);
  return *this;
}

void Spikes::swap(Spikes& other) noexcept {
  std::swap(shape_, other.shape_);
  std::swap(features_, other.features_);
  std::swap(order_, other.order_);
  std::swap(layout_, other.layout_);
  std::swap(positions_, other.positions_);
  std::swap(row_words_, other.row_words_);
  std::swap(words_, other.words_);
  std::swap(active_, other.active_);
  std::swap(active_count_, other.active_count_);
}

Spikes Spikes::from_bytes(const Shape& shape, std::span<const std::uint8_t> bytes) {
  Spikes spikes(shape);
  if (bytes.size() != shape.size()) {
    throw ArgumentError("spikes", fmt::format("shape {} needs {} bytes", shape.text(), shape.size()),
                        fmt::format("{}", bytes.size()));
  }
  const std::uint8_t* row = bytes.data();
  std::uint64_t* words = spikes.words_.data();
  for (std::size_t r = 0; r < shape[0] * shape[1]; ++r, row += spikes.features_, words += spikes.row_words_) {
    SpikeWords::pack_row(words, {row, spikes.features_});
  }
  return spikes;
}

bool Spikes::fired(std::size_t sample, std::size_t step, std::size_t feature) const {
  check_index("sample", sample, samples());
  check_index("step", step, steps());
  check_index("feature", feature, features_);
  return cpu::fired(SpikeWords::view(*this), sample, step, feature);
}

std::size_t Spikes::count(std::size_t sample, std::size_t feature) const {
  check_index("sample", sample, samples());
  check_index("feature", feature, features_);
  std::size_t count = 0;
  for (std::size_t t = 0; t < steps(); ++t) count += fired(sample, t, feature);
  return count;
}

std::size_t Spikes::count() const {
  if (order_ == Order::step) return kernels::count_bits(words_.data(), words_.size());
  const ops::SpikesView trains = SpikeWords::view(*this);
  std::size_t count = 0;
  for (std::size_t n = 0; n < samples(); ++n)
    count += kernels::count_bits(trains.sample(n), trains.active_count[n] * row_words_);
  return count;
}

void Spikes::count_by_feature(std::size_t sample, std::span<std::uint32_t> counts) const {
  count_by_feature(sample, counts, steps());
}

void Spikes::count_by_feature(std::size_t sample, std::span<std::uint32_t> counts, std::size_t steps) const {
  check_index("sample", sample, samples());
  check_size("counts", counts.size(), features_);
  if (steps > this->steps()) {
    throw ArgumentError("spikes", fmt::format("steps must be at most {}", this->steps()),
                        fmt::format("{}", steps));
  }
  cpu::count_by_feature(counts.data(), SpikeWords::view(*this), sample, steps);
}

void Spikes::to_bytes(std::span<std::uint8_t> bytes) const {
  check_size("bytes", bytes.size(), shape_.size());
  std::ranges::fill(bytes, std::uint8_t{0});
  const ops::SpikesView spikes = SpikeWords::view(*this);
  for (std::size_t n = 0; n < samples(); ++n) {
    std::uint8_t* of = bytes.data() + n * steps() * features_;
    cpu::for_each_spike(spikes, n, steps(),
                        [&](std::size_t t, std::size_t feature) { of[t * features_ + feature] = 1; });
  }
}

}  // namespace volley
