#pragma once

#include <cstddef>
#include <cstring>

#include "core/workspace.hpp"
#include "kernels/block_tree.hpp"

namespace volley {

/// sums (size) = the sum of sample_sums (N, size) over the samples, in the order of docs/decisions/order.md.
inline void sum_over_samples(double* sums, const double* sample_sums, std::size_t N, std::size_t size) {
  std::memset(sums, 0, size * sizeof *sums);
  Scratch<double> memory(kernels::BlockTree<double>::memory(size, N));
  kernels::BlockTree<double> tree(memory.data(), size, N);
  kernels::for_each_block(N, [&](std::size_t first, std::size_t count) {
    for (std::size_t n = first; n < first + count; ++n) {
      kernels::add_to(tree.sums(), sample_sums + n * size, size);
    }
    tree.close_block();
  });
  kernels::add_to(sums, tree.root(), size);
}

}  // namespace volley
