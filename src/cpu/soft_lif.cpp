#include "cpu/cpu_executor.hpp"
#include "cpu/sigmoid.hpp"

namespace volley::cpu {
namespace {

/// body(n, f) for every neuron of every sample.
template <class Body>
void for_neurons(const ops::SoftLIF& q, ThreadPool& threads, const Body& body) {
  parallel_for(threads, q.N, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t f = 0; f < q.F; ++f) body(n, f);
    }
  });
}

}  // namespace

void run(ThreadPool& threads, const ops::SoftLIFForward& op) {
  const ops::SoftLIF& q = op.neuron;
  for_neurons(q, threads, [&](std::size_t n, std::size_t f) {
    float v = op.before != nullptr ? op.before[n * q.F + f] : q.v_reset;
    for (std::size_t t = 0; t < q.T; ++t) {
      const std::size_t i = (n * q.T + t) * q.F + f;
      op.h[i] = v + (op.x[i] - (v - q.v_reset)) / q.tau;
      const SigmoidAt fires(op.h[i] - q.v_threshold);
      op.p[i] = fires.value;
      v = fires.complement * op.h[i] + op.p[i] * q.v_reset;
    }
    op.v_last[n * q.F + f] = v;
    if (op.after != nullptr) op.after[n * q.F + f] = v;
  });
}

void run(ThreadPool& threads, const ops::SoftLIFBackward& op) {
  const ops::SoftLIF& q = op.neuron;
  const auto leak = static_cast<float>(1 - 1 / static_cast<double>(q.tau));
  for_neurons(q, threads, [&](std::size_t n, std::size_t f) {
    float dv = op.carry != nullptr ? op.carry[n * q.F + f] : 0.0f;
    for (std::size_t t = q.T; t-- > 0;) {
      const std::size_t i = (n * q.T + t) * q.F + f;
      const SigmoidAt fires(op.h[i] - q.v_threshold);
      const float dh = op.dp[i] * fires.slope + dv * (fires.complement + (q.v_reset - op.h[i]) * fires.slope);
      op.dx[i] = dh / q.tau;
      dv = dh * leak;
    }
    if (op.carry != nullptr) op.carry[n * q.F + f] = dv;
  });
}

void run(ThreadPool& threads, const ops::SoftLIFTrace& op) {
  const ops::SoftLIF& q = op.neuron;
  for_neurons(q, threads, [&](std::size_t n, std::size_t f) {
    for (std::size_t t = 0; t < q.T; ++t) {
      const std::size_t i = (n * q.T + t) * q.F + f;
      op.v[i] = SigmoidAt(op.h[i] - q.v_threshold).complement * op.h[i] + op.p[i] * q.v_reset;
    }
  });
}

}  // namespace volley::cpu
