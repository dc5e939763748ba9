#include <volley/spikes.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include <volley/error.hpp>

#include "kernels/bits.hpp"
#include "layers/spike_words.hpp"

namespace volley {
namespace {

std::size_t words_for(std::size_t bits) { return (bits + 63) / 64; }

void check_rank(const Shape& shape) {
  if (shape.rank() < 3) {
    throw Error(fmt::format("[spikes] shape must be (samples, steps, features...), got {}", shape.text()));
  }
}

}  // namespace

std::uint64_t* SpikeWords::make_steps(Spikes& spikes, const Shape& shape) {
  check_rank(shape);
  spikes.features_ = shape.from(2).size();
  spikes.order_ = Spikes::Order::step;
  spikes.row_words_ = words_for(spikes.features_);
  spikes.words_.resize(Shape{shape[0], shape[1], spikes.row_words_}.size());
  spikes.shape_ = shape;
  return spikes.words_.data();
}

void SpikeWords::make_trains(Spikes& spikes, const Shape& shape) {
  check_rank(shape);
  spikes.features_ = shape.from(2).size();
  spikes.order_ = Spikes::Order::train;
  spikes.row_words_ = words_for(shape[1]);
  spikes.words_.resize(Shape{shape[0], spikes.features_, spikes.row_words_}.size());
  spikes.active_.resize(Shape{shape[0], spikes.features_}.size());
  spikes.active_count_.resize(shape[0]);
  spikes.shape_ = shape;
}

void SpikeWords::to_trains(Spikes& out, const Spikes& in, ThreadPool& threads) {
  make_trains(out, in.shape());
  parallel_for(threads, in.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const std::size_t count =
          kernels::steps_to_trains(trains(out, n), active(out, n), steps(in, n), in.steps(), in.features());
      active_count(out, n) = static_cast<std::uint32_t>(count);
    }
  });
}

void SpikeWords::to_steps(Spikes& out, const Spikes& in, ThreadPool& threads) {
  std::uint64_t* words = make_steps(out, in.shape());
  parallel_for(threads, in.samples(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      const auto list = active(in, n);
      kernels::trains_to_steps(words + n * in.steps() * out.row_words_, trains(in, n), list.data(),
                               list.size(), in.steps(), in.features());
    }
  });
}

Spikes::Spikes(const Shape& shape) {
  SpikeWords::make_steps(*this, shape);
  words_.zero();
}

Spikes Spikes::from_bytes(const Shape& shape, std::span<const std::uint8_t> bytes) {
  Spikes spikes(shape);
  if (bytes.size() != shape.size()) {
    throw Error(
        fmt::format("[spikes] shape {} needs {} bytes, got {}", shape.text(), shape.size(), bytes.size()));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t row = i / spikes.features_;
    const std::size_t f = i % spikes.features_;
    if (bytes[i] != 0) spikes.words_[row * spikes.row_words_ + f / 64] |= std::uint64_t{1} << f % 64;
  }
  return spikes;
}

bool Spikes::fired(std::size_t sample, std::size_t step, std::size_t feature) const {
  if (order_ == Order::step) {
    return words_[(sample * steps() + step) * row_words_ + feature / 64] >> feature % 64 & 1;
  }
  const auto list = SpikeWords::active(*this, sample);
  const auto at = std::ranges::lower_bound(list, feature);
  if (at == list.end() || *at != feature) return false;
  const std::size_t row = static_cast<std::size_t>(at - list.begin());
  return SpikeWords::trains(*this, sample)[row * row_words_ + step / 64] >> step % 64 & 1;
}

std::size_t Spikes::count(std::size_t sample, std::size_t feature) const {
  std::size_t count = 0;
  for (std::size_t t = 0; t < steps(); ++t) count += fired(sample, t, feature);
  return count;
}

std::size_t Spikes::count() const {
  const auto bits = [](const std::uint64_t* words, std::size_t size) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < size; ++i) count += static_cast<std::size_t>(std::popcount(words[i]));
    return count;
  };
  if (order_ == Order::step) return bits(words_.data(), words_.size());
  std::size_t count = 0;
  for (std::size_t n = 0; n < samples(); ++n) {
    count += bits(SpikeWords::trains(*this, n), SpikeWords::active(*this, n).size() * row_words_);
  }
  return count;
}

void Spikes::count_by_feature(std::size_t sample, std::span<std::uint32_t> counts) const {
  std::ranges::fill(counts, 0u);
  if (order_ == Order::train) {
    const std::uint64_t* train = SpikeWords::trains(*this, sample);
    for (const std::uint32_t feature : SpikeWords::active(*this, sample)) {
      for (std::size_t w = 0; w < row_words_; ++w) {
        counts[feature] += static_cast<std::uint32_t>(std::popcount(*train++));
      }
    }
    return;
  }
  const std::uint64_t* row = SpikeWords::steps(*this, sample);
  for (std::size_t t = 0; t < steps(); ++t, row += row_words_) {
    for (std::size_t w = 0; w < row_words_; ++w) {
      for (std::uint64_t word = row[w]; word != 0; word &= word - 1) {
        ++counts[w * 64 + static_cast<std::size_t>(std::countr_zero(word))];
      }
    }
  }
}

void Spikes::to_bytes(std::span<std::uint8_t> bytes) const {
  std::size_t i = 0;
  for (std::size_t n = 0; n < samples(); ++n) {
    for (std::size_t t = 0; t < steps(); ++t) {
      for (std::size_t f = 0; f < features_; ++f) bytes[i++] = fired(n, t, f);
    }
  }
}

}  // namespace volley
