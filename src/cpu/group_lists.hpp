#pragma once

#include <volley/buffer.hpp>
#include <volley/threads.hpp>

#include "kernels/groups.hpp"
#include "ops/views.hpp"

namespace volley {

/// Whether rows are best taken one by one: few of their groups have a spike, and blocks of rows would find
/// most of what they look up empty. Both ways give the same bits (docs/decisions/kernels.md has the times).
/// `of_rows` groups of rows have a spike; `of_blocks` are looked up where blocks are taken.
constexpr bool best_taken_singly(std::size_t of_rows, std::size_t of_blocks) {
  return 2 * of_rows < of_blocks;
}

/// The groups of four inputs with a spike, of all rows of a linear layer's pass. Groups without a spike in
/// the whole pass have no slot.
class GroupLists {
 public:
  /// The spikes are in step order, row-major.
  void list(const ops::SpikesView& spikes, ThreadPool& threads);

  kernels::GroupRows rows() const;
  kernels::GroupWeights weights(const float* weight, std::size_t in) const {
    return {weight, in, groups_.data(), slots_};
  }

 private:
  void cut_into_blocks(std::size_t samples, std::size_t steps);
  void count(const ops::SpikesView& spikes, ThreadPool& threads);
  void number_slots(std::size_t in);
  void fill(const ops::SpikesView& spikes, ThreadPool& threads);

  bool single_ = false;
  std::size_t blocks_ = 0, slots_ = 0, chunks_ = 0;
  Buffer<std::uint32_t> first_row_;   // (blocks + 1)
  Buffer<std::uint32_t> row_groups_;  // (rows) groups with a spike
  Buffer<std::uint32_t> block_groups_;
  Buffer<std::uint64_t> any_;      // (words) or of all rows
  Buffer<std::uint32_t> groups_;   // (slots)
  Buffer<std::uint32_t> slot_of_;  // (groups)
  Buffer<std::size_t> start_;      // (blocks + 1)
  Buffer<std::uint32_t> end_;      // (blocks, chunks)
  Buffer<kernels::GroupEntry> entries_;
};

}  // namespace volley
