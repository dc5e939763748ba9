#include <limits>

#include "kernels/common.hpp"
#include "kernels/neuron.hpp"
#include "spec/lif.hpp"

namespace volley::bench {
namespace {

constexpr std::size_t kSamples = 64;
constexpr std::size_t kVerified = 2;

const LIFOptions kOptions;  // tau 2, threshold 1, hard reset to 0, decayed input
const spec::LIFNeuron<double> kNeuron(kOptions);

/// A layer of F neurons over T steps, with currents under which they fire at about one step in five.
struct Pass {
  std::size_t T, F, words;
  Buffer<float> x, ds, dx, scratch;
  Buffer<std::uint64_t> s;

  explicit Pass(const benchmark::State& state)
      : T(static_cast<std::size_t>(state.range(1))),
        F(static_cast<std::size_t>(state.range(0))),
        words((F + 63) / 64),
        x(random_values(kSamples * T * F, 1, -1, 3)),
        ds(random_values(kSamples * T * F, 2)),
        dx(kSamples * T * F),
        scratch(kernels::neuron_scratch_size(T)),
        s(kSamples * T * words) {}

  void forward() { kernels::neuron_forward(s.data(), x.data(), ops::lower(kOptions), {}, shape()); }
  void backward() {
    kernels::neuron_backward({dx.data()}, ds.data(), x.data(), ops::lower(kOptions),
                             ops::lower(kOptions.surrogate), {}, shape(), scratch.data());
  }
  kernels::NeuronShape shape() const { return {kSamples, T, 1, F, words}; }
  bool fired(std::size_t row, std::size_t f) const { return (s[row * words + f / 64] >> f % 64 & 1) != 0; }
  double values() const { return static_cast<double>(x.size()); }

  /// The largest error of dx. A train whose potential comes so close to the threshold that rounding may
  /// decide is left out; any other spike that differs makes it infinite.
  double error() {
    forward();
    backward();
    const std::size_t size = kVerified * T * F;
    const std::vector<double> xd(x.data(), x.data() + size), dsd(ds.data(), ds.data() + size);
    std::vector<double> sd(size), h(size), expected(size);
    double worst = 0;
    for (std::size_t n = 0; n < kVerified; ++n) {
      const std::size_t first = n * T * F;
      const auto neuron = spec::everywhere(kNeuron);
      spec::neuron_forward(&sd[first], &h[first], &xd[first], neuron, ATan{}, spec::Fire::hard, T, F);
      spec::neuron_backward<double>(&expected[first], nullptr, &dsd[first], &sd[first], &h[first], &xd[first],
                                    neuron, ATan{}, T, F);
      for (std::size_t f = 0; f < F; ++f) worst = std::max(worst, train_error(n, f, sd, h, expected));
    }
    return worst;
  }
  double train_error(std::size_t n, std::size_t f, const std::vector<double>& sd,
                     const std::vector<double>& h, const std::vector<double>& expected) const {
    double worst = 0;
    for (std::size_t t = 0; t < T; ++t) {
      const std::size_t i = (n * T + t) * F + f;
      if (std::abs(h[i] - kNeuron.v_threshold) < 1e-5) return 0;
      if (fired(n * T + t, f) != (sd[i] != 0)) return std::numeric_limits<double>::infinity();
      worst = std::max(worst, std::abs(static_cast<double>(dx[i]) - expected[i]));
    }
    return worst;
  }
};

void lif_forward(benchmark::State& state) {
  Pass pass(state);
  if (!agrees(state, pass.error(), 1e-4)) return;
  // A current is read, a bit is written.
  const Work work{.item = "neuron-step", .items = pass.values(), .bytes = pass.values() * (4 + 0.125)};
  time_runs(state, work, [&] { pass.forward(); });
}

void lif_backward(benchmark::State& state) {
  Pass pass(state);
  if (!agrees(state, pass.error(), 1e-4)) return;
  // A current and a gradient are read, a gradient is written.
  const Work work{.item = "neuron-step", .items = pass.values(), .bytes = pass.values() * 12};
  time_runs(state, work, [&] { pass.backward(); });
}

void layers(benchmark::internal::Benchmark* b) { b->ArgNames({"F", "T"})->Args({10, 100})->Args({800, 25}); }
BENCHMARK(lif_forward)->Apply(usual)->Apply(layers);
BENCHMARK(lif_backward)->Apply(usual)->Apply(layers);

}  // namespace
}  // namespace volley::bench
