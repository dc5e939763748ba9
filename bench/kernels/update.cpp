#include "kernels/update.hpp"

#include "kernels/common.hpp"
#include "spec/optimizer.hpp"

namespace volley::bench {
namespace {

void adam_step(benchmark::State& state) {
  const std::size_t n = static_cast<std::size_t>(state.range(0));
  const Buffer<float> gradient = random_values(n, 1);
  Buffer<float> w = random_values(n, 2), m(n), v(n);
  m.zero();
  v.zero();
  std::vector<double> wd(w.data(), w.data() + n), md(n), vd(n);
  const std::vector<double> gd(gradient.data(), gradient.data() + n);
  const auto coefficients = [](int k) -> ops::AdamCoefficients {
    const auto c = spec::adam_coefficients<float>(1e-3, 0.9, 0.999, 1e-8, 0, k);
    return {c.beta1, c.beta2, c.eps, c.weight_decay, c.step_size, c.inverse_sqrt_bias2, c.keep};
  };
  for (int k = 1; k <= 3; ++k) {
    kernels::adam_step(w.data(), m.data(), v.data(), gradient.data(), coefficients(k), n);
    spec::adam_step<double>(wd.data(), md.data(), vd.data(), gd.data(),
                            spec::adam_coefficients<double>(1e-3, 0.9, 0.999, 1e-8, 0, k), n);
  }
  if (!agrees(state, relative_error(w, wd), 1e-5)) return;
  const ops::AdamCoefficients c = coefficients(100);
  // Four arrays are read, three are written.
  const Work work{.item = "weight", .items = static_cast<double>(n), .bytes = 28.0 * static_cast<double>(n)};
  time_runs(state, work, [&] { kernels::adam_step(w.data(), m.data(), v.data(), gradient.data(), c, n); });
}
BENCHMARK(adam_step)->ArgName("weights")->Arg(784 * 10)->Arg(784 * 800)->Apply(usual);

}  // namespace
}  // namespace volley::bench
