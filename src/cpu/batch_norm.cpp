#include "kernels/batch_norm.hpp"

#include <algorithm>

#include <volley/buffer.hpp>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/norm_coefficients.hpp"
#include "kernels/block_tree.hpp"
#include "ops/sample_source.hpp"

namespace volley::cpu {
namespace {

constexpr std::size_t kRows = 256;  // that one piece of work covers; a sample is never cut

std::size_t rows_of(const ops::BatchNormShape& s, std::size_t n) {
  return s.lengths == nullptr ? s.sample_rows() : s.P * s.lengths[n];
}

/// y, from x.
struct Normalised final : SampleSource {
  ops::BatchNormShape shape;
  const float* x = nullptr;
  Buffer<float> scale, offset;  // (C)
  Signal from;

  void read(float* to, std::size_t n) const override {
    kernels::batch_norm_forward(to, x + n * shape.sample_size(), scale.data(), offset.data(),
                                shape.sample_rows(), shape.C);
  }
  const Signal& made_from() const override { return from; }
};

/// dx, from dy and x.
struct Gradient final : SampleSource {
  ops::BatchNormShape shape;
  const float *x = nullptr, *dy = nullptr;
  Buffer<float> scale, slope, offset;  // (C)
  Buffer<float> zeros;                 // (C), where there are lengths
  Signal from;

  void read(float* to, std::size_t n) const override {
    const std::size_t first = n * shape.sample_size(), C = shape.C;
    const std::size_t rows = rows_of(shape, n), beyond = rows * C;
    kernels::batch_norm_backward(to, dy + first, x + first, scale.data(), slope.data(), offset.data(), rows,
                                 C);
    if (rows == shape.sample_rows()) return;
    // What lies beyond a sample's length has no part in the statistics.
    const float* none = zeros.data();
    kernels::batch_norm_backward(to + beyond, dy + first + beyond, x + first + beyond, scale.data(), none,
                                 none, shape.sample_rows() - rows, C);
  }
  const Signal& made_from() const override { return from; }
};

struct BatchNormWorkspace final : ops::Workspace {
  Normalised y;
  Gradient dx;
  Buffer<double> sample_sums;  // (N, 2, C)
  Buffer<double> sums;         // (2, C), of all samples
};

/// body(n, where sample n begins in memory), for every sample.
template <class Body>
void for_each_sample(const ops::BatchNormShape& s, ThreadPool& threads, const Body& body) {
  const std::size_t grain = std::max<std::size_t>(1, kRows / std::max<std::size_t>(1, s.sample_rows()));
  parallel_for(threads, s.N, grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) body(n, n * s.sample_size());
  });
}

/// The sums of y and x y over the rows of sample n.
void sum_sample(double* sums, const float* x, const float* y, const ops::BatchNormShape& s, std::size_t n) {
  double* to = sums + n * 2 * s.C;
  kernels::channel_sums(to, to + s.C, x, y, rows_of(s, n), s.C);
}

/// The sums (2, C) of all samples.
void sum_samples(BatchNormWorkspace& own, const ops::BatchNormShape& s) {
  const std::size_t size = 2 * s.C;
  own.sums.resize(size);
  own.sums.zero();
  Scratch<double> memory(kernels::BlockTree<double>::memory(size, s.N));
  kernels::BlockTree<double> tree(memory.data(), size, s.N);
  kernels::for_each_block(s.N, [&](std::size_t first, std::size_t count) {
    for (std::size_t n = first; n < first + count; ++n)
      kernels::add_to(tree.sums(), own.sample_sums.data() + n * size, size);
    tree.close_block();
  });
  kernels::add_to(own.sums.data(), tree.root(), size);
}

/// The values of all samples in memory, where a source is copied to `kept`.
const float* memory_of(const ops::Values& values, float* kept) {
  return values.source != nullptr ? kept : values.memory;
}

/// The statistics, and what y is made by.
Normalised& prepare(const ops::BatchNormForward& op, BatchNormWorkspace& own, ThreadPool& threads) {
  const ops::BatchNormShape& s = op.shape;
  const float* x = memory_of(op.x, op.kept_x);
  own.sample_sums.resize(s.N * 2 * s.C);
  double* const sums = own.sample_sums.data();
  for_each_sample(s, threads, [&](std::size_t n, std::size_t first) {
    if (op.x.source != nullptr) op.x.source->read(op.kept_x + first, n);
    if (op.batch) sum_sample(sums, x + first, x + first, s, n);
  });
  if (op.batch) sum_samples(own, s);
  Normalised& y = own.y;
  y.shape = s;
  y.x = x;
  y.scale.resize(s.C);
  y.offset.resize(s.C);
  for (std::size_t c = 0; c < s.C; ++c) {
    op.statistics[c] = op.batch ? batch_statistics(own.sums[c], own.sums[s.C + c], s.rows, op.eps)
                                : channel_statistics(static_cast<double>(op.running_mean[c]),
                                                     static_cast<double>(op.running_var[c]), op.eps);
    const NormForward k(op.statistics[c], op.weight[c], op.bias[c]);
    y.scale[c] = k.scale;
    y.offset[c] = k.offset;
  }
  return y;
}

/// (B6) dx = scale dy + slope x + offset; adds (B4) and (B5).
Gradient& prepare(const ops::BatchNormBackward& op, BatchNormWorkspace& own, ThreadPool& threads) {
  const ops::BatchNormShape& s = op.shape;
  const float* dy = memory_of(op.dy, op.kept_dy);
  double* const sums = own.sample_sums.data();
  for_each_sample(s, threads, [&](std::size_t n, std::size_t first) {
    if (op.dy.source != nullptr) op.dy.source->read(op.kept_dy + first, n);
    sum_sample(sums, op.x + first, dy + first, s, n);
  });
  sum_samples(own, s);
  Gradient& dx = own.dx;
  dx.shape = s;
  dx.x = op.x;
  dx.dy = dy;
  for (Buffer<float>* numbers : {&dx.scale, &dx.slope, &dx.offset}) numbers->resize(s.C);
  if (s.lengths != nullptr) {
    dx.zeros.resize(s.C);
    dx.zeros.zero();
  }
  for (std::size_t c = 0; c < s.C; ++c) {
    const double sum = own.sums[c], dot = own.sums[s.C + c];
    const ops::ChannelStatistics& of = op.statistics[c];
    const double dot_normalised = (dot - of.mean * sum) * of.inv_std;
    op.dweight[c] += static_cast<float>(dot_normalised);
    op.dbias[c] += static_cast<float>(sum);
    const double scale = static_cast<double>(op.weight[c]) * of.inv_std;
    // In evaluation the statistics do not depend on x.
    const double slope = op.batch ? -scale * of.inv_std * dot_normalised / s.rows : 0;
    dx.scale[c] = static_cast<float>(scale);
    dx.slope[c] = static_cast<float>(slope);
    dx.offset[c] = op.batch ? static_cast<float>(-scale * sum / s.rows - slope * of.mean) : 0;
  }
  return dx;
}

}  // namespace

void run(ThreadPool& threads, const ops::BatchNormForward& op) {
  const Normalised& y = prepare(op, ops::workspace<BatchNormWorkspace>(*op.slot), threads);
  for_each_sample(op.shape, threads, [&](std::size_t n, std::size_t first) { y.read(op.y + first, n); });
}

const SampleSource* defer(ThreadPool& threads, const ops::BatchNormForward& op, const Signal& x,
                          ops::Slot& slot) {
  Normalised& y = prepare(op, ops::workspace<BatchNormWorkspace>(slot), threads);
  y.from = x;
  return &y;
}

void run(ThreadPool& threads, const ops::BatchNormBackward& op) {
  const Gradient& dx = prepare(op, ops::workspace<BatchNormWorkspace>(*op.slot), threads);
  if (op.dx == nullptr) return;
  for_each_sample(op.shape, threads, [&](std::size_t n, std::size_t first) { dx.read(op.dx + first, n); });
}

const SampleSource* defer(ThreadPool& threads, const ops::BatchNormBackward& op, const Signal& dy,
                          ops::Slot& slot) {
  Gradient& dx = prepare(op, ops::workspace<BatchNormWorkspace>(slot), threads);
  dx.from = dy;
  return &dx;
}

void run(ThreadPool&, const ops::BatchNormUpdate& op) {
  if (static_cast<float>(*op.batches) != *op.tracked) {  // set by a user or a file since the last one
    *op.batches = *op.tracked >= 0 && *op.tracked < 0x1p63f ? static_cast<std::uint64_t>(*op.tracked) : 0;
  }
  *op.tracked = static_cast<float>(++*op.batches);
  const double momentum = static_cast<double>(op.cumulative ? 1 / *op.tracked : op.momentum);
  const auto towards = [momentum](float& running, double value) {
    running = static_cast<float>((1 - momentum) * static_cast<double>(running) + momentum * value);
  };
  for (std::size_t c = 0; c < op.C; ++c) {
    towards(op.running_mean[c], op.statistics[c].mean);
    towards(op.running_var[c], op.statistics[c].variance * op.values / (op.values - 1));
  }
}

}  // namespace volley::cpu
