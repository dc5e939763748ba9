#include "kernels/psn.hpp"

#include <volley/buffer.hpp>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/neuron_place.hpp"
#include "kernels/block_tree.hpp"

namespace volley::cpu {
namespace {

struct PsnWorkspace final : ops::Workspace {
  Buffer<float> partial;  // (N, T T + T)
  Buffer<float> dmatrix;  // (T T + T), of a block of samples
};

using Kind = ops::PsnWeights::Kind;

/// Whether step t sees step `from`, of masked and sliding neurons.
bool sees(const ops::PsnWeights& of, std::size_t t, std::size_t from) { return from <= t && t - from < of.k; }
/// (Y3) The factor of W[t, from].
float factor(const ops::PsnWeights& of, std::size_t t, std::size_t from) {
  return of.kind == Kind::full || sees(of, t, from) ? 1.0f : of.unseen;
}

/// The matrix and the bias of T steps from the parameters: (Y3), (Y4).
void expand(float* matrix, const ops::PsnForward& op) {
  const std::size_t T = op.shape.T;
  const bool sliding = op.of.kind == Kind::sliding;
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t from = 0; from < T; ++from) {
      float& to = matrix[t * T + from];
      if (sliding) {
        to = sees(op.of, t, from) ? op.weight[op.of.k - 1 - (t - from)] : 0.0f;
      } else {
        to = factor(op.of, t, from) * op.weight[t * T + from];
      }
    }
    matrix[T * T + t] = op.bias[sliding ? 0 : t];
  }
}

/// Its backward: adds to the gradients of the parameters.
void fold(float* dweight, float* dbias, const float* dmatrix, const ops::PsnWeights& of, std::size_t T) {
  const bool sliding = of.kind == Kind::sliding;
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t from = 0; from < T; ++from) {
      const float d = dmatrix[t * T + from];
      if (!sliding) {
        dweight[t * T + from] += factor(of, t, from) * d;
      } else if (sees(of, t, from)) {
        dweight[of.k - 1 - (t - from)] += d;
      }
    }
    dbias[sliding ? 0 : t] += dmatrix[T * T + t];
  }
}

/// body(n, place, scratch) for every sample.
template <class Body>
void for_each_sample(ThreadPool& threads, const ops::NeuronShape& shape, const Body& body) {
  parallel_for(threads, shape.N, 1, [&](std::size_t begin, std::size_t end) {
    Scratch<float> scratch(kernels::psn_scratch_size(shape));
    for (std::size_t n = begin; n < end; ++n) body(n, place_of(n, shape), scratch.data());
  });
}

}  // namespace

void run(ThreadPool& threads, const ops::PsnForward& op) {
  expand(op.matrix, op);
  for_each_sample(threads, op.shape, [&](std::size_t, const NeuronPlace& place, float* scratch) {
    kernels::psn_forward(op.s + place.words, op.x + place.current, op.matrix,
                         op.matrix + op.shape.T * op.shape.T, op.shape, scratch);
  });
}

void run(ThreadPool& threads, const ops::PsnBackward& op) {
  const std::size_t T = op.shape.T, numbers = T * T + T, N = op.shape.N;
  PsnWorkspace& own = ops::workspace<PsnWorkspace>(*op.slot);
  own.partial.resize(N * numbers);
  own.dmatrix.resize(numbers);
  float *const of_samples = own.partial.data(), *const of_block = own.dmatrix.data();
  for_each_sample(threads, op.shape, [&](std::size_t n, const NeuronPlace& place, float* scratch) {
    kernels::psn_backward(op.dx + place.current, of_samples + n * numbers, op.ds + place.values,
                          op.x + place.current, op.matrix, op.matrix + T * T, op.surrogate, op.shape,
                          scratch);
  });
  const std::size_t weights = op.of.weights, size = weights + op.of.biases;
  Scratch<float> memory(kernels::BlockTree<float>::memory(size, N));
  kernels::BlockTree<float> tree(memory.data(), size, N);
  kernels::for_each_block(N, [&](std::size_t first, std::size_t count) {
    own.dmatrix.zero();
    kernels::add_neuron_gradient(of_block, of_samples + first * numbers, count, 1, numbers, true);
    fold(tree.sums(), tree.sums() + weights, of_block, op.of, T);
    tree.close_block();
  });
  const float* const root = tree.root();
  kernels::add_to(op.dweight, root, weights);
  kernels::add_to(op.dbias, root + weights, op.of.biases);
}

}  // namespace volley::cpu
