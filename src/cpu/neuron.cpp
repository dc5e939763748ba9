#include <variant>

#include "core/workspace.hpp"
#include "cpu/cpu_executor.hpp"
#include "cpu/neuron_place.hpp"
#include "cpu/sample_values.hpp"
#include "kernels/neuron.hpp"

namespace volley::cpu {
namespace {

std::size_t neurons_of(const ops::NeuronShape& shape) { return shape.P * shape.F; }

/// Samples that one piece of work covers: as many as fill the kernel's slices when a layer has few neurons,
/// and but one where what is made as it is read is not to leave the cache.
std::size_t piece_of(const ops::NeuronShape& shape, bool by_sample) {
  return by_sample && neurons_of(shape) >= 64 ? 1 : 8;
}

/// The arrays from sample `begin` on.
template <class Arrays>
Arrays from(const Arrays& arrays, std::size_t offset) {
  Arrays moved = arrays;
  for (auto& array : moved) array = array != nullptr ? array + offset : nullptr;
  return moved;
}

void run_part(const ops::NeuronForward& op, std::size_t begin, std::size_t end) {
  const std::size_t size = op.shape.current_steps() * neurons_of(op.shape);
  ops::Values x = op.x;
  if (op.kept_x != nullptr) {
    for (std::size_t n = begin; n < end; ++n) x.source->read(op.kept_x + n * size, n);
    x = {.memory = op.kept_x};
  }
  SampleValues values(x, size, begin, end);
  const NeuronPlace place = place_of(begin, op.shape);
  const ops::NeuronCarry carry{from(op.carry.before, place.neuron), from(op.carry.after, place.neuron)};
  std::visit(
      [&](const auto& o) {
        kernels::neuron_forward(op.s + place.words, values.data(), o, op.parameters,
                                part_of(op.shape, begin, end), carry);
      },
      op.neuron);
}

/// dx of samples [begin, end).
void run_part(const ops::NeuronBackward& op, float* dx, std::size_t begin, std::size_t end) {
  const std::size_t neurons = neurons_of(op.shape);
  SampleValues x(op.x, op.shape.current_steps() * neurons, begin, end),
      ds(op.ds, op.shape.T * neurons, begin, end);
  const std::size_t offset = place_of(begin, op.shape).neuron;
  const ops::NeuronGradients gradients{dx, from(op.gradients.parameter, offset),
                                       from(op.gradients.state, offset)};
  const ops::NeuronCarry carry{from(op.carry.before, offset), {}};
  std::visit(
      [&](const auto& o) {
        Scratch<float> scratch(kernels::neuron_scratch_size(op.shape.T, o.firing.refractory));
        kernels::neuron_backward(gradients, ds.data(), x.data(), o, op.surrogate, op.parameters,
                                 part_of(op.shape, begin, end), scratch.data(), carry);
      },
      op.neuron);
}

/// dx, from ds and x, as it is read.
struct Gradient final : SampleSource {
  ops::NeuronBackward op;
  Signal dy;

  void read(float* to, std::size_t n) const override { run_part(op, to, n, n + 1); }
  const Signal& made_from() const override { return dy; }
};

struct NeuronWorkspace final : ops::Workspace {
  Gradient dx;
};

}  // namespace

void run(ThreadPool& threads, const ops::NeuronForward& op) {
  parallel_for(threads, op.shape.N, piece_of(op.shape, op.x.source != nullptr),
               [&](std::size_t begin, std::size_t end) { run_part(op, begin, end); });
}

void run(ThreadPool& threads, const ops::NeuronBackward& op) {
  parallel_for(threads, op.shape.N, piece_of(op.shape, op.ds.source != nullptr || op.x.source != nullptr),
               [&](std::size_t begin, std::size_t end) {
                 run_part(op, op.gradients.dx + place_of(begin, op.shape).current, begin, end);
               });
}

void run(ThreadPool& threads, const ops::NeuronTrace& op) {
  parallel_for(threads, op.shape.N, 8, [&](std::size_t begin, std::size_t end) {
    const NeuronPlace place = place_of(begin, op.shape);
    const ops::NeuronCarry carry{from(op.carry.before, place.neuron), {}};
    const kernels::NeuronPotentials out{op.h + place.values, op.v + place.values,
                                        op.threshold + place.values};
    std::visit(
        [&](const auto& o) {
          kernels::neuron_trace(out, op.x + place.current, o, op.parameters, part_of(op.shape, begin, end),
                                carry);
        },
        op.neuron);
  });
}

void run(ThreadPool&, const ops::NeuronParameterGradient& op) {
  kernels::add_neuron_gradient(op.gradient, op.partial, op.samples, op.rows, op.F, op.per_feature);
}

const SampleSource* defer(ThreadPool&, const ops::NeuronBackward& op, const Signal& dy, ops::Slot& slot) {
  Gradient& dx = ops::workspace<NeuronWorkspace>(slot).dx;
  dx.op = op;
  dx.dy = dy;
  return &dx;
}

}  // namespace volley::cpu
