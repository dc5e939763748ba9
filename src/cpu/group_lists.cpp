#include "cpu/group_lists.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <numeric>

#include "core/workspace.hpp"

namespace volley {
namespace {

std::size_t groups_in(std::uint64_t word) {
  return static_cast<std::size_t>(std::popcount(kernels::groups_of(word)));
}

}  // namespace

/// Blocks of one sample, about equally long, or of several whole samples.
void GroupLists::cut_into_blocks(std::size_t samples, std::size_t steps) {
  constexpr std::size_t kRows = kernels::kGroupRows;
  const std::size_t together = std::max<std::size_t>(1, kRows / std::max<std::size_t>(1, steps));
  const std::size_t parts = (steps + kRows - 1) / kRows;  // of a sample, where it is alone
  const std::size_t pieces = together > 1 ? (samples + together - 1) / together : samples * parts;
  first_row_.resize(std::max(pieces, samples * steps) + 1);
  for (std::size_t b = 0; b < pieces; ++b) {
    first_row_[b] = static_cast<std::uint32_t>(
        together > 1 ? b * together * steps : b / parts * steps + (b % parts) * steps / parts);
  }
  first_row_[pieces] = static_cast<std::uint32_t>(samples * steps);
  blocks_ = pieces;
}

/// any_, row_groups_ and block_groups_.
void GroupLists::count(const ops::SpikesView& spikes, ThreadPool& threads) {
  const std::size_t words = spikes.row_words;
  const std::uint64_t* steps = spikes.words;
  any_.resize(words);
  any_.zero();
  row_groups_.resize(first_row_[blocks_]);
  block_groups_.resize(blocks_);
  parallel_for(threads, blocks_, 8, [&](std::size_t begin, std::size_t end) {
    Scratch<std::uint64_t> of_piece(words), of_block(words);
    of_piece.zero();
    for (std::size_t b = begin; b < end; ++b) {
      of_block.zero();
      for (std::size_t r = first_row_[b]; r < first_row_[b + 1]; ++r) {
        std::size_t count = 0;
        for (std::size_t w = 0; w < words; ++w) {
          of_block[w] |= steps[r * words + w];
          count += groups_in(steps[r * words + w]);
        }
        row_groups_[r] = static_cast<std::uint32_t>(count);
      }
      std::size_t count = 0;
      for (std::size_t w = 0; w < words; ++w) {
        of_piece[w] |= of_block[w];
        count += groups_in(of_block[w]);
      }
      block_groups_[b] = static_cast<std::uint32_t>(count);
    }
    for (std::size_t w = 0; w < words; ++w) {
      std::atomic_ref(any_[w]).fetch_or(of_piece[w], std::memory_order_relaxed);
    }
  });
}

void GroupLists::number_slots(std::size_t in) {
  const std::size_t groups = (in + 3) / 4;
  groups_.resize(groups);
  slot_of_.resize(groups);
  slots_ = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    if ((any_[g / 16] >> g % 16 * 4 & 15) == 0) continue;
    groups_[slots_] = static_cast<std::uint32_t>(g);
    slot_of_[g] = static_cast<std::uint32_t>(slots_++);
  }
  chunks_ = kernels::group_chunks(slots_);
}

/// entries_ and end_.
void GroupLists::fill(const ops::SpikesView& spikes, ThreadPool& threads) {
  const std::size_t words = spikes.row_words;
  const std::uint64_t* steps = spikes.words;
  parallel_for(threads, blocks_, single_ ? 64 : 8, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end; ++b) {
      const std::uint64_t* row = steps + first_row_[b] * words;
      const std::size_t rows = first_row_[b + 1] - first_row_[b];
      kernels::GroupEntry* to = entries_.data() + start_[b];
      std::uint64_t word[kernels::kGroupRows];
      for (std::size_t w = 0; w < words; ++w) {
        if (any_[w] == 0) continue;
        for (std::size_t r = 0; r < rows; ++r) word[r] = row[r * words + w];
        to = kernels::append_groups(to, word, rows, [&](std::size_t k) { return slot_of_[16 * w + k]; });
      }
      kernels::end_chunks(end_.data() + b * chunks_, chunks_, entries_.data() + start_[b], to);
    }
  });
}

void GroupLists::list(const ops::SpikesView& spikes, ThreadPool& threads) {
  cut_into_blocks(spikes.N, spikes.T);
  count(spikes, threads);
  number_slots(spikes.F);
  std::size_t of_rows = 0, of_blocks = 0;
  for (const std::uint32_t count : row_groups_.span()) of_rows += count;
  for (std::size_t b = 0; b < blocks_; ++b) {
    of_blocks += block_groups_[b] * (first_row_[b + 1] - first_row_[b]);
  }
  single_ = best_taken_singly(of_rows, of_blocks);
  if (single_) {
    blocks_ = row_groups_.size();
    std::iota(first_row_.data(), first_row_.data() + blocks_ + 1, 0u);
  }
  const Buffer<std::uint32_t>& counts = single_ ? row_groups_ : block_groups_;
  // Room for the most that a batch of this size can need, so that no later one asks for more.
  const std::size_t rows = row_groups_.size(), groups = slot_of_.size();
  entries_.resize(std::max(rows * groups / 2, blocks_ * groups));
  end_.resize(rows * kernels::group_chunks(groups));
  start_.resize(rows + 1);
  start_[0] = 0;
  for (std::size_t b = 0; b < blocks_; ++b) start_[b + 1] = start_[b] + counts[b];
  fill(spikes, threads);
}

kernels::GroupRows GroupLists::rows() const {
  return {entries_.data(), start_.data(), end_.data(), first_row_.data(), blocks_, chunks_, single_};
}

}  // namespace volley
