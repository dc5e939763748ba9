#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

#include "core/numerics.hpp"
#include "core/workspace.hpp"
#include "kernels/reduce.hpp"

namespace volley::kernels {

/// Sums over the samples of a batch, in the order that all of them have: a sum inside each block of
/// numerics::kBlockSamples samples, and the blocks' sums joined by the tree that halves [0, blocks) at the
/// largest power of two below it. So the order depends on the number of samples alone, and whole subtrees can
/// be summed by other threads, devices or ranks. core/tree_sum.hpp is the same tree, of one number.
///
/// For `size` sums side by side:
///
///     BlockTree<float> tree(memory, size, samples);
///     for (each block) {
///       add the block's terms to tree.sums();
///       tree.close_block();
///     }
///     tree.root()
template <class Real>
class BlockTree {
 public:
  /// Numbers of memory that it needs; a multiple of a cache line.
  static constexpr std::size_t memory(std::size_t size, std::size_t samples) {
    return padded(size) * (levels(samples) + 1);
  }
  static constexpr std::size_t blocks(std::size_t samples) {
    return (samples + numerics::kBlockSamples - 1) / numerics::kBlockSamples;
  }

  BlockTree() = default;
  BlockTree(Real* memory, std::size_t size, std::size_t samples) : size_(size), blocks_(blocks(samples)) {
    for (std::size_t level = 0; level < levels(samples); ++level, memory += padded(size)) {
      trees_[level] = memory;
    }
    sums_ = memory;
    zero();
  }

  /// The sums of the block that is open, zeros at its beginning.
  Real* sums() { return sums_; }

  void close_block() {
    std::size_t level = 0;  // of the trees so far, whose sizes are the bits of closed_
    for (; (closed_ >> level & 1) != 0; ++level) add_to(sums_, trees_[level], size_);
    std::swap(sums_, trees_[level]);
    if (++closed_ < blocks_) zero();
  }

  /// The sums of all blocks, when all are closed; zeros where there are none.
  const Real* root() {
    if (closed_ == 0) return sums_;
    std::size_t level = static_cast<std::size_t>(std::countr_zero(closed_));
    Real* root = trees_[level];
    for (++level; closed_ >> level != 0; ++level) {
      if ((closed_ >> level & 1) != 0) add_to(root, trees_[level], size_);
    }
    closed_ = 0;
    return root;
  }

 private:
  static constexpr std::size_t padded(std::size_t size) { return (size + 15) / 16 * 16; }
  /// Trees of different sizes that there are at once, beside the block that is open.
  static constexpr std::size_t levels(std::size_t samples) {
    const std::size_t n = blocks(samples);
    return n <= 1 ? 0 : static_cast<std::size_t>(std::bit_width(n - 1));
  }
  void zero() { std::fill_n(sums_, padded(size_), Real{0}); }

  std::size_t size_ = 0, blocks_ = 0, closed_ = 0;
  Real* sums_ = nullptr;
  std::array<Real*, 64> trees_{};
};

/// Calls body(first, count) for each block of samples, in order.
template <class Body>
void for_each_block(std::size_t samples, const Body& body) {
  for (std::size_t first = 0; first < samples; first += numerics::kBlockSamples) {
    body(first, std::min(numerics::kBlockSamples, samples - first));
  }
}

/// Sums over samples of their rows: the rows of a sample by themselves, ascending, then the samples of a
/// block, then the blocks. A row begins `row` numbers after the one before.
class RowSums {
 public:
  RowSums(std::size_t columns, std::size_t samples)
      : columns_(columns),
        memory_(BlockTree<float>::memory(columns, samples)),
        tree_(memory_.data(), columns, samples) {}

  /// The next block: x begins at its first sample. Of each sample all rows, or the first `lengths`.
  void add_block(const float* x, std::size_t samples, std::size_t sample_rows, std::size_t row,
                 const std::uint32_t* lengths = nullptr) {
    for (std::size_t n = 0; n < samples; ++n) {
      const std::size_t count = lengths != nullptr ? lengths[n] : sample_rows;
      add_rows(tree_.sums(), x + n * sample_rows * row, count, columns_, row);
    }
    tree_.close_block();
  }
  /// sums (columns) += the sums of all blocks.
  void add_root_to(float* sums) { add_to(sums, tree_.root(), columns_); }

 private:
  std::size_t columns_;
  Scratch<float> memory_;
  BlockTree<float> tree_;
};

/// sums (columns) += RowSums of all samples.
inline void add_samples(float* sums, const float* x, std::size_t samples, std::size_t sample_rows,
                        std::size_t columns, std::size_t row, const std::uint32_t* lengths = nullptr) {
  RowSums rows(columns, samples);
  for_each_block(samples, [&](std::size_t first, std::size_t count) {
    rows.add_block(x + first * sample_rows * row, count, sample_rows, row,
                   lengths != nullptr ? lengths + first : nullptr);
  });
  rows.add_root_to(sums);
}

}  // namespace volley::kernels
