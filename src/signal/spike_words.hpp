#pragma once

#include <cstdint>
#include <span>

#include <volley/spikes.hpp>

#include "ops/executor.hpp"

namespace volley {

/// The words behind Spikes, for the layers and encoders that hand them to kernels. The two orders:
///
///     step order (N, T, FW): 64 features to a word        train order (N, F, W): 64 steps to a word
///
///       step 0  | f0 f1 ... f63 | f64 ...                   active[0]  | t0 t1 ... t63 | t64 ...
///       step 1  | f0 f1 ... f63 | f64 ...                   active[1]  | t0 t1 ... t63 | t64 ...
///
/// Step order that lies channels-last packs the C channels of each of the H W positions by themselves:
///
///     (N, T, H W, CW): 64 channels to a word      step 0  | c0 ... c63 | c64 ... | c0 ... c63 | c64 ... |
///                                                         '----- position 0 -----'----- position 1 -----'
///
/// Bits beyond the last feature or step are 0. Train order lists, for each sample, the features that are not
/// silent, ascending, and has rows for these alone; what lies behind them is unspecified.
struct SpikeWords {
  /// Makes `spikes` ready to be written by a neuron: (N, T, words) in step order, contents unspecified.
  static std::uint64_t* make_steps(Spikes& spikes, Shape shape, Layout layout = Layout::row_major);
  /// The same for an operation, which finds the words by write().
  static void shape_steps(Spikes& spikes, Shape shape, Layout layout = Layout::row_major);
  static std::uint64_t* write(Spikes& spikes, Executor& device) { return device.write(spikes.words_); }
  static std::uint32_t* write_active(Spikes& spikes, Executor& device) {
    return device.write(spikes.active_);
  }
  static std::uint32_t* write_active_count(Spikes& spikes, Executor& device) {
    return device.write(spikes.active_count_);
  }
  /// Makes `spikes` ready to be written by an encoder, in train order, contents unspecified.
  static void make_trains(Spikes& spikes, Shape shape);

  static bool in_trains(const Spikes& spikes) { return spikes.order_ == Spikes::Order::train; }
  /// Words of a (sample, step) or of a (sample, feature).
  static std::size_t row_words(const Spikes& spikes) { return spikes.row_words_; }
  /// H W in step order that lies channels-last, else 1.
  static std::size_t positions(const Spikes& spikes) { return spikes.positions_; }

  static const std::uint64_t* steps(const Spikes& spikes, std::size_t sample) {
    return spikes.words_.data() + sample * spikes.steps() * spikes.row_words_;
  }

  /// As an operation reads them, and as the host's code does.
  static ops::SpikesView view(const Spikes& spikes, Executor& device) {
    const bool trains = in_trains(spikes);
    return shaped(spikes, device.read(spikes.words_), trains ? device.read(spikes.active_) : nullptr,
                  trains ? device.read(spikes.active_count_) : nullptr);
  }
  static ops::SpikesView view(const Spikes& spikes) {
    return shaped(spikes, spikes.words_.data(), spikes.active_.data(), spikes.active_count_.data());
  }

  /// Makes the row-major row of a (sample, step) from one byte per feature, anything but 0 being a spike.
  static void pack_row(std::uint64_t* row, std::span<const std::uint8_t> bytes);

  /// The same spikes, seen in `shape`, in step order and another layout, into `out`.
  static void to_layout(Spikes& out, const Spikes& in, const Shape& shape, Layout layout, Executor& device);
  /// The same spikes from train order to step order, into `out`.
  static void to_steps(Spikes& out, const Spikes& in, Executor& device);

 private:
  static ops::SpikesView shaped(const Spikes& spikes, const std::uint64_t* words, const std::uint32_t* active,
                                const std::uint32_t* active_count) {
    return {.N = spikes.samples(),
            .T = spikes.steps(),
            .F = spikes.features(),
            .trains = in_trains(spikes),
            .positions = spikes.positions_,
            .row_words = spikes.row_words_,
            .words = words,
            .active = active,
            .active_count = active_count};
  }
};

}  // namespace volley
