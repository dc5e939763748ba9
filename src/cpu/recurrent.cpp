#include <algorithm>

#include <volley/buffer.hpp>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "kernels/bits.hpp"
#include "kernels/block_tree.hpp"
#include "kernels/linear.hpp"
#include "kernels/neuron.hpp"

namespace volley::cpu {
namespace {

constexpr std::size_t kSamples = 8;   // samples that go through time together in backward
constexpr std::size_t kOutputs = 16;  // rows of the weights' gradient in one piece of work

struct RecurrentWorkspace final : ops::Workspace {
  Buffer<float> weight_t;
};

void product(const kernels::MatrixProduct& p) {
  Scratch<float> panel(kernels::product_panel_size(p.k));
  kernels::matrix_product(p, panel.data());
}

/// One step of the neurons of one sample.
ops::NeuronShape step_of(const ops::NeuronShape& shape) {
  return {.N = 1, .T = 1, .P = 1, .F = shape.F, .row_words = shape.row_words};
}

/// The spikes of sample n at step t; at the step before the first, those that come from the pass before, null
/// where there are none.
struct SpikesBefore {
  Scratch<float> values;
  const float* from;

  SpikesBefore(const std::uint64_t* s, const ops::NeuronShape& shape, const float* carried, std::size_t n,
               std::size_t t)
      : values(t > 0 ? shape.F : 0), from(carried != nullptr ? carried + n * shape.F : nullptr) {
    if (t == 0) return;
    kernels::bits_to_values(values.data(), s + (n * shape.T + t - 1) * shape.row_words, shape.F);
    from = values.data();
  }
};

/// i (F) += what the spikes s (F) of the step before give, ascending. (Z1)
void feed_back(float* i, const float* s, const float* weight_t, bool linear, std::size_t F) {
  for (std::size_t j = 0; j < F; ++j) {
    if (!linear) {
      i[j] += weight_t[j] * s[j];
    } else if (s[j] != 0) {
      for (std::size_t f = 0; f < F; ++f) i[f] += weight_t[j * F + f] * s[j];
    }
  }
}

/// The states (F) each before step t of sample n, or null at rest.
ops::NeuronCarry before_step(const float* after, const ops::NeuronCarry& carry, const ops::NeuronShape& shape,
                             std::size_t states, std::size_t n, std::size_t t) {
  ops::NeuronCarry before;
  for (std::size_t k = 0; k < states; ++k) {
    if (t > 0) {
      before.before[k] = after + ((n * shape.T + t - 1) * states + k) * shape.F;
    } else if (carry.before[k] != nullptr) {
      before.before[k] = carry.before[k] + n * shape.F;
    }
  }
  return before;
}

/// back (count, F) = what the gradients di of the currents of a step, (F) each and `row` apart, give to the
/// spikes of the step before. (Z3)
void feed_back_adjoint(float* back, const float* di, std::size_t row, const float* weight, bool linear,
                       std::size_t count, std::size_t F) {
  std::fill_n(back, count * F, 0.0f);
  if (linear) {
    product({.a = di,
             .a_row = row,
             .a_column = 1,
             .b = weight,
             .b_row = F,
             .c = back,
             .c_row = F,
             .m = count,
             .n = F,
             .k = F});
    return;
  }
  for (std::size_t n = 0; n < count; ++n) {
    for (std::size_t f = 0; f < F; ++f) back[n * F + f] += weight[f] * di[n * row + f];
  }
}

/// Time backward for the samples [begin, end).
void backward_in_time(const ops::RecurrentBackward& op, std::size_t begin, std::size_t end) {
  const ops::NeuronShape& shape = op.shape;
  const std::size_t T = shape.T, F = shape.F, states = op.states, count = end - begin;
  float* later = op.gradients.state[states];  // what comes back after the pass; null without a state
  Scratch<float> ds(F), back(count * F), dz(count * states * F);
  back.zero();
  dz.zero();
  if (later != nullptr) std::copy_n(later + begin * F, count * F, back.data());
  for (std::size_t n = 0; later != nullptr && n < count; ++n) {
    for (std::size_t k = 0; k < states; ++k)
      std::copy_n(op.gradients.state[k] + (begin + n) * F, F, dz.data() + (n * states + k) * F);
  }
  for (float* partial : op.gradients.parameter) {
    if (partial != nullptr) std::fill_n(partial + begin * F, count * F, 0.0f);
  }
  std::visit(
      [&](const auto& o) {
        Scratch<float> scratch(kernels::neuron_scratch_size(1, o.firing.refractory));
        for (std::size_t t = T; t-- > 0;) {
          for (std::size_t n = 0; n < count; ++n) {
            const std::size_t step = ((begin + n) * T + t) * F;
            for (std::size_t f = 0; f < F; ++f) ds[f] = back[n * F + f] + op.dy[step + f];
            ops::NeuronGradients gradients{.dx = op.dx + step, .add_parameters = true};
            for (std::size_t k = 0; k < ops::kMaxNeuronParameters; ++k) {
              float* partial = op.gradients.parameter[k];
              gradients.parameter[k] = partial != nullptr ? partial + (begin + n) * F : nullptr;
            }
            for (std::size_t k = 0; k < states; ++k) gradients.state[k] = dz.data() + (n * states + k) * F;
            kernels::neuron_backward(gradients, ds.data(), op.i + step, o, op.surrogate, op.parameters,
                                     step_of(shape), scratch.data(),
                                     before_step(op.after, op.carry, shape, states, begin + n, t));
          }
          if (t > 0 || later != nullptr) {
            feed_back_adjoint(back.data(), op.dx + (begin * T + t) * F, T * F, op.weight, op.linear, count,
                              F);
          }
        }
      },
      op.neuron);
  if (later == nullptr) return;
  std::copy_n(back.data(), count * F, later + begin * F);
  for (std::size_t n = 0; n < count; ++n) {
    for (std::size_t k = 0; k < states; ++k)
      std::copy_n(dz.data() + (n * states + k) * F, F, op.gradients.state[k] + (begin + n) * F);
  }
}

/// Over all samples, and their steps; the first where a state has spikes of the one before it. (Z5)
void add_weight_gradient(const ops::RecurrentBackward& op, ThreadPool& threads) {
  const ops::NeuronShape& shape = op.shape;
  const std::size_t N = shape.N, T = shape.T, F = shape.F;
  parallel_for(threads, op.linear ? F : 1, kOutputs, [&](std::size_t begin, std::size_t end) {
    const std::size_t size = (end - begin) * F;
    Scratch<float> memory(kernels::BlockTree<float>::memory(size, N));
    kernels::BlockTree<float> tree(memory.data(), size, N);
    const auto add = [&](const float* di, const float* fired, std::size_t steps) {
      for (std::size_t t = 0; !op.linear && t < steps; ++t) {
        for (std::size_t f = 0; f < F; ++f) tree.sums()[f] += di[t * F + f] * fired[t * F + f];
      }
      if (!op.linear) return;
      product({.a = di + begin,
               .a_row = 1,
               .a_column = F,
               .b = fired,
               .b_row = F,
               .c = tree.sums(),
               .c_row = F,
               .m = end - begin,
               .n = F,
               .k = steps,
               .accumulate = true});
    };
    Scratch<float> s(T * F);
    const float* const carried = op.carry.before[op.states];
    kernels::for_each_block(N, [&](std::size_t first, std::size_t count) {
      for (std::size_t n = first; n < first + count; ++n) {
        const float* di = op.dx + n * T * F;
        if (carried != nullptr) add(di, carried + n * F, 1);
        for (std::size_t t = 0; t + 1 < T; ++t)
          kernels::bits_to_values(s.data() + t * F, op.s + (n * T + t) * shape.row_words, F);
        add(di + F, s.data(), T - 1);
      }
      tree.close_block();
    });
    kernels::add_to(op.dweight + begin * F, tree.root(), size);
  });
}

}  // namespace

void run(ThreadPool& threads, const ops::RecurrentForward& op) {
  const ops::NeuronShape& shape = op.shape;
  const std::size_t T = shape.T, F = shape.F, states = op.states;
  const float* weight_t = op.weight;
  if (op.linear) {
    Buffer<float>& turned = ops::workspace<RecurrentWorkspace>(*op.slot).weight_t;
    turned.resize(F * F);
    kernels::transpose(turned.data(), op.weight, F, F);
    weight_t = turned.data();
  }
  parallel_for(threads, shape.N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t t = 0; t < T; ++t) {
        const std::size_t row = n * T + t;
        float* const i = op.i + row * F;
        std::copy_n(op.x + row * F, F, i);
        const SpikesBefore fired(op.s, shape, op.carry.before[states], n, t);
        if (fired.from != nullptr) feed_back(i, fired.from, weight_t, op.linear, F);
        ops::NeuronCarry carry = before_step(op.after, op.carry, shape, states, n, t);
        for (std::size_t k = 0; k < states; ++k) carry.after[k] = op.after + (row * states + k) * F;
        std::visit(
            [&](const auto& o) {
              kernels::neuron_forward(op.s + row * shape.row_words, i, o, op.parameters, step_of(shape),
                                      carry);
            },
            op.neuron);
      }
      if (op.carry.after[0] == nullptr) continue;
      for (std::size_t k = 0; k < states; ++k)
        std::copy_n(op.after + (((n + 1) * T - 1) * states + k) * F, F, op.carry.after[k] + n * F);
      kernels::bits_to_values(op.carry.after[states] + n * F, op.s + ((n + 1) * T - 1) * shape.row_words, F);
    }
  });
}

void run(ThreadPool& threads, const ops::RecurrentBackward& op) {
  parallel_for(threads, op.shape.N, kSamples,
               [&](std::size_t begin, std::size_t end) { backward_in_time(op, begin, end); });
  add_weight_gradient(op, threads);
}

}  // namespace volley::cpu
