#include "kernels/update.hpp"

#include "kernels/common.hpp"

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
  for (int k = 1; k <= 3; ++k) {
    kernels::adam_step(w.data(), m.data(), v.data(), gradient.data(),
                       reference::adam_coefficients<float>(1e-3, 0.9, 0.999, 1e-8, 0, k), n);
    reference::adam_step<double>(wd.data(), md.data(), vd.data(), gd.data(),
                                 reference::adam_coefficients<double>(1e-3, 0.9, 0.999, 1e-8, 0, k), n);
  }
  if (!agrees(state, relative_error(w, wd), 1e-5)) return;
  const auto c = reference::adam_coefficients<float>(1e-3, 0.9, 0.999, 1e-8, 0, 100);
  // Four arrays are read, three are written.
  const Work work{.item = "weight", .items = static_cast<double>(n), .bytes = 28.0 * static_cast<double>(n)};
  time_runs(state, work, [&] { kernels::adam_step(w.data(), m.data(), v.data(), gradient.data(), c, n); });
}
BENCHMARK(adam_step)->ArgName("weights")->Arg(784 * 10)->Arg(784 * 800)->Apply(usual);

}  // namespace
}  // namespace volley::bench
