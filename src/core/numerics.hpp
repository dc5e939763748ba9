#pragma once

#include <cstddef>

namespace volley::numerics {

// The constants that choose the order of a sum or the bits of a draw. With another value the same recipe
// gives other results, so a change here is a new version. docs/decisions/order.md states each order.

/// Named in checkpoints and runs; 0.1 had 1.
inline constexpr int kVersion = 2;

/// Consecutive samples of a batch in one block. Sums over samples are in order of sample and step inside a
/// block; core/block_tree.hpp joins the blocks.
inline constexpr std::size_t kBlockSamples = 16;

/// Spikes whose terms are summed by themselves: inputs of one output forward, steps of one weight backward.
inline constexpr std::size_t kGroup = 4;

/// A linear layer over spikes with at most this many outputs adds its inputs one by one, not in groups.
inline constexpr std::size_t kUngroupedOutputs = 32;

/// A 3 x 3 convolution with at least this many input and output channels has its dx by Winograd's algorithm.
inline constexpr std::size_t kWinogradChannels = 16;

/// Parts of a sum inside one sample or one piece of a tensor: part k has the terms k, k + 16, k + 32, ...;
/// then the parts, ascending.
inline constexpr std::size_t kSumLanes = 16;

/// Numbers of a parameter's gradient in one term of its norm; a tree joins the terms.
inline constexpr std::size_t kNormPiece = 4096;

/// Rounds of Philox4x32.
inline constexpr int kPhiloxRounds = 7;

}  // namespace volley::numerics
