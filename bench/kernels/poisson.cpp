#include "kernels/poisson.hpp"

#include "kernels/common.hpp"
#include "spec/poisson.hpp"

namespace volley::bench {
namespace {

constexpr std::size_t kSamples = 64;
const PhiloxKey kKey = philox_key(0, Purpose::encode_test, 1);

void poisson_encode(benchmark::State& state) {
  const std::size_t T = static_cast<std::size_t>(state.range(0));
  const Dataset& data = pictures(kSamples);
  const std::size_t F = data.shape.size();
  const std::size_t W = (T + 63) / 64;
  Buffer<std::uint64_t> trains(F * W);
  Buffer<std::uint32_t> active(F);
  const auto encode = [&](std::uint32_t sample) {
    return kernels::poisson_encode(trains.data(), active.data(), data.picture(sample).data(), F, T, sample,
                                   kKey);
  };

  std::size_t wrong = 0;
  for (std::uint32_t sample = 0; sample < kSamples; ++sample) {
    const std::size_t count = encode(sample);
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t t = 0; t < T; ++t) {
        const bool fired = spec::poisson_fires(spec::poisson_digits(data.picture(sample)[active[a]]), t,
                                               active[a], sample, kKey);
        wrong += (trains[a * W + t / 64] >> t % 64 & 1) != fired;
      }
    }
  }
  if (!agrees(state, static_cast<double>(wrong), 0)) return;

  time_runs(state, {.item = "image", .items = kSamples}, [&] {
    for (std::uint32_t sample = 0; sample < kSamples; ++sample) benchmark::DoNotOptimize(encode(sample));
  });
}
BENCHMARK(poisson_encode)->ArgName("T")->Arg(25)->Arg(100)->Apply(usual);

}  // namespace
}  // namespace volley::bench
