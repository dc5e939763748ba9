#include <algorithm>

#include "core/numerics.hpp"
#include "core/tree_sum.hpp"
#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "kernels/reduce.hpp"
#include "kernels/update.hpp"

namespace volley::cpu {
namespace {

constexpr std::size_t kGrain = 4096;  // weights of one piece of work

}  // namespace

void run(ThreadPool& threads, const ops::SgdStep& op) {
  parallel_for(threads, op.size, kGrain, [&](std::size_t begin, std::size_t end) {
    kernels::sgd_step(op.weight + begin, op.momentum != nullptr ? op.momentum + begin : nullptr,
                      op.gradient + begin, op.c, end - begin);
  });
}

void run(ThreadPool& threads, const ops::AdamStep& op) {
  parallel_for(threads, op.size, kGrain, [&](std::size_t begin, std::size_t end) {
    kernels::adam_step(op.weight + begin, op.m + begin, op.v + begin, op.gradient + begin, op.c, end - begin);
  });
}

void run(ThreadPool& threads, const ops::SumOfSquares& op) {
  constexpr std::size_t kPiece = numerics::kNormPiece;
  Scratch<double> sums((op.size + kPiece - 1) / kPiece);
  parallel_for(threads, op.size, kPiece, [&](std::size_t begin, std::size_t end) {
    sums[begin / kPiece] = kernels::sum_of_squares(op.values + begin, end - begin);
  });
  *op.sum = tree_sum(sums.size(), [&](std::size_t i) { return sums[i]; });
}

void run(ThreadPool& threads, const ops::Scale& op) {
  parallel_for(threads, op.size, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) op.values[i] *= op.factor;
  });
}

void run(ThreadPool& threads, const ops::Clip& op) {
  parallel_for(threads, op.size, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      op.values[i] = std::min(std::max(op.values[i], -op.most), op.most);  // NaN stays NaN
  });
}

void run(ThreadPool& threads, const ops::Fill& op) {
  constexpr std::size_t kPiece = 1u << 16;
  parallel_for(threads, op.size, kPiece, [&](std::size_t begin, std::size_t end) {
    std::fill(op.values + begin, op.values + end, op.value);
  });
}

}  // namespace volley::cpu
