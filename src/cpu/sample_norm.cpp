#include <algorithm>

#include <volley/buffer.hpp>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/norm_coefficients.hpp"
#include "kernels/batch_norm.hpp"
#include "kernels/block_tree.hpp"

namespace volley::cpu {
namespace {

struct SampleNormWorkspace final : ops::Workspace {
  Buffer<double> sample_sums;  // (N, 2, C): of dweight and of dbias
};

/// (B9) the statistics of each group, from the sums (C) of x and of x^2 over the rows.
void group_statistics(ops::ChannelStatistics* of, const double* sum, const double* squares,
                      const ops::SampleNormShape& s, double eps) {
  const std::size_t size = s.C / s.groups;
  for (std::size_t g = 0; g < s.groups; ++g) {
    double all = 0, all_squares = 0;
    for (std::size_t c = g * size; c < (g + 1) * size; ++c) {
      all += sum[c];
      all_squares += squares[c];
    }
    of[g] = batch_statistics(all, all_squares, static_cast<double>(s.rows * size), eps);
  }
}

/// (B13) dx = scale dy + slope x + offset, from the sums (C) of dy and of x dy over the rows. Adds (B11) to
/// dbias and dweight.
struct GroupGradient {
  float *scale, *slope, *offset;  // (C)
  double *dweight, *dbias;        // (C)

  void make(const double* sum, const double* dot, const ops::ChannelStatistics* of, const float* weight,
            const ops::SampleNormShape& s) const {
    const std::size_t size = s.C / s.groups;
    const double m = static_cast<double>(s.rows * size);
    for (std::size_t g = 0; g < s.groups; ++g) {
      const double r = of[g].inv_std;
      double all = 0, all_normalised = 0;  // (B12)
      for (std::size_t c = g * size; c < (g + 1) * size; ++c) {
        const double w = weight != nullptr ? static_cast<double>(weight[c]) : 1;
        const double dot_normalised = (dot[c] - of[g].mean * sum[c]) * r;
        dbias[c] += sum[c];
        dweight[c] += dot_normalised;
        all += w * sum[c];
        all_normalised += w * dot_normalised;
        scale[c] = static_cast<float>(w * r);
      }
      const double p = -r * r * all_normalised / m;
      const double q = -r * all / m - p * of[g].mean;
      std::fill(slope + g * size, slope + (g + 1) * size, static_cast<float>(p));
      std::fill(offset + g * size, offset + (g + 1) * size, static_cast<float>(q));
    }
  }
};

/// sums (size) += the sum of sample_sums (N, size) over the samples: those of a block in double, rounded,
/// then the tree of docs/decisions/order.md. The sums of a sample are `row` numbers behind those of the one
/// before.
void add_over_samples(float* sums, const double* sample_sums, std::size_t N, std::size_t row,
                      std::size_t size) {
  Scratch<double> block(size);
  Scratch<float> memory(kernels::BlockTree<float>::memory(size, N));
  kernels::BlockTree<float> tree(memory.data(), size, N);
  kernels::for_each_block(N, [&](std::size_t first, std::size_t count) {
    std::fill_n(block.data(), size, 0.0);
    for (std::size_t n = first; n < first + count; ++n)
      kernels::add_to(block.data(), sample_sums + n * row, size);
    std::transform(block.data(), block.data() + size, tree.sums(),
                   [](double sum) { return static_cast<float>(sum); });
    tree.close_block();
  });
  kernels::add_to(sums, tree.root(), size);
}

}  // namespace

void run(ThreadPool& threads, const ops::SampleNormForward& op) {
  const ops::SampleNormShape& s = op.shape;
  parallel_for(threads, s.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<double> sums(2 * s.C);
    Scratch<float> numbers(2 * s.C);
    double *sum = sums.data(), *squares = sum + s.C;
    float *scale = numbers.data(), *offset = scale + s.C;
    for (std::size_t part = begin * s.parts; part < end * s.parts; ++part) {
      const float* from = op.x + part * s.part_size();
      ops::ChannelStatistics* statistics = op.statistics + part * s.groups;
      kernels::channel_sums(sum, squares, from, from, s.rows, s.C);
      group_statistics(statistics, sum, squares, s, op.eps);
      for (std::size_t c = 0; c < s.C; ++c) {  // (B10)
        const NormForward k(statistics[c / (s.C / s.groups)], op.weight != nullptr ? op.weight[c] : 1.0f,
                            op.bias != nullptr ? op.bias[c] : 0.0f);
        scale[c] = k.scale;
        offset[c] = k.offset;
      }
      kernels::batch_norm_forward(op.y + part * s.part_size(), from, scale, offset, s.rows, s.C);
    }
  });
}

void run(ThreadPool& threads, const ops::SampleNormBackward& op) {
  const ops::SampleNormShape& s = op.shape;
  if (s.N == 0) return;
  Buffer<double>& sample_sums = ops::workspace<SampleNormWorkspace>(*op.slot).sample_sums;
  sample_sums.resize(s.N * 2 * s.C);
  sample_sums.zero();
  double* const all = sample_sums.data();
  parallel_for(threads, s.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<double> sums(2 * s.C);
    Scratch<float> numbers(3 * s.C);
    double *sum = sums.data(), *dot = sum + s.C;
    float *scale = numbers.data(), *slope = scale + s.C, *offset = slope + s.C;
    for (std::size_t part = begin * s.parts; part < end * s.parts; ++part) {
      const std::size_t first = part * s.part_size();
      const float *x = op.x + first, *dy = op.dy + first;
      double* dweight = all + part / s.parts * 2 * s.C;
      kernels::channel_sums(sum, dot, x, dy, s.rows, s.C);
      GroupGradient{scale, slope, offset, dweight, dweight + s.C}.make(
          sum, dot, op.statistics + part * s.groups, op.weight, s);
      if (op.dx != nullptr)
        kernels::batch_norm_backward(op.dx + first, dy, x, scale, slope, offset, s.rows, s.C);
    }
  });
  if (op.dweight != nullptr) add_over_samples(op.dweight, all, s.N, 2 * s.C, s.C);
  if (op.dbias != nullptr) add_over_samples(op.dbias, all + s.C, s.N, 2 * s.C, s.C);
}

}  // namespace volley::cpu
