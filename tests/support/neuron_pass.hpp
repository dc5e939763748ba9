#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <volley/buffer.hpp>

#include "kernels/neuron.hpp"
#include "spec/neurons.hpp"
#include "support/neurons.hpp"

namespace volley::test {

// A pass of neurons by the kernel, and by the reference.

struct Pass {
  std::size_t N, T, P, F;
  bool constant = false;

  std::size_t neurons() const { return P * F; }
  std::size_t values() const { return N * T * P * F; }
  std::size_t currents() const { return constant ? N * P * F : values(); }
  kernels::NeuronShape shape() const { return {N, T, P, F, (F + 63) / 64, constant}; }
};

inline constexpr std::size_t kMost = kernels::kMaxNeuronParameters;

struct Result {
  std::vector<float> s, dx, dp[kMost];
  std::vector<std::uint64_t> words;
};

template <class Options>
Result run_kernel(const Options& o, const std::vector<float>& x, const std::vector<float>& ds,
                  const Pass& p) {
  const kernels::NeuronShape shape = p.shape();
  std::vector<float> numbers;
  for (const NeuronParameter& parameter : parameters_of(o)) numbers.push_back(parameter.initial);
  kernels::NeuronParameters parameters;
  Result r;
  r.words.assign(p.N * p.T * p.P * shape.row_words, 0xAAAAAAAAAAAAAAAA);
  r.dx.assign(p.currents(), NAN);
  kernels::NeuronGradients gradients{r.dx.data()};
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    parameters.value[k] = &numbers[k];
    r.dp[k].assign(p.N * p.neurons(), NAN);
    gradients.parameter[k] = r.dp[k].data();
  }
  Buffer<float> scratch(kernels::neuron_scratch_size(p.T, o.refractory));
  kernels::neuron_forward(r.words.data(), x.data(), ops::lower(o), parameters, shape);
  kernels::neuron_backward(gradients, ds.data(), x.data(), ops::lower(o), ops::lower(o.surrogate), parameters,
                           shape, scratch.data());
  for (std::size_t row = 0; row < p.N * p.T * p.P; ++row) {
    for (std::size_t f = 0; f < p.F; ++f) {
      r.s.push_back(static_cast<float>(r.words[row * shape.row_words + f / 64] >> f % 64 & 1));
    }
  }
  return r;
}

/// The reference; u is how far from the threshold.
template <class Real>
struct Expected {
  std::vector<Real> s, u, dx, dp[kMost];
};

template <class Real, class Neuron>
Expected<Real> run_neuron(const Neuron& neuron, const Surrogate& surrogate, const std::vector<float>& x,
                          const std::vector<float>& ds, const Pass& p) {
  constexpr std::size_t K = Neuron::kStates;
  constexpr std::size_t kParameters = Neuron::kParameters;
  const std::size_t size = p.T * p.neurons();
  Expected<Real> e;
  for (std::size_t n = 0; n < p.N; ++n) {
    std::vector<Real> x_n(size), ds_n(ds.begin() + static_cast<std::ptrdiff_t>(n * size),
                                      ds.begin() + static_cast<std::ptrdiff_t>((n + 1) * size));
    for (std::size_t i = 0; i < size; ++i) {
      x_n[i] = static_cast<Real>(p.constant ? x[n * p.neurons() + i % p.neurons()] : x[n * size + i]);
    }
    std::vector<Real> s(size), z(size * K), dx(size), dp(p.neurons() * (kParameters + 1));
    spec::neuron_forward(s.data(), z.data(), x_n.data(), spec::everywhere(neuron), surrogate,
                         spec::Fire::hard, p.T, p.neurons());
    spec::neuron_backward(dx.data(), dp.data(), ds_n.data(), s.data(), z.data(), x_n.data(),
                          spec::everywhere(neuron), surrogate, p.T, p.neurons());
    for (std::size_t i = 0; i < size; ++i) e.u.push_back(neuron.above(&z[i * K]));
    e.s.insert(e.s.end(), s.begin(), s.end());
    e.dx.insert(e.dx.end(), dx.begin(), dx.end());
    for (std::size_t i = 0; i < p.neurons(); ++i) {
      for (std::size_t k = 0; k < kParameters; ++k) e.dp[k].push_back(dp[i * kParameters + k]);
    }
  }
  return e;
}
template <class Real, class Options>
Expected<Real> run_reference(const Options& o, const std::vector<float>& x, const std::vector<float>& ds,
                             const Pass& p) {
  Expected<Real> e;
  spec::with_neuron_of<Real>(
      o, [&](const auto& neuron) { e = run_neuron<Real>(neuron, o.surrogate, x, ds, p); });
  return e;
}

}  // namespace volley::test
