// How long one image takes, from its pixels to the firing rates, on one core: the tutorial network at T =
// 100.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <vector>

#include <volley/volley.hpp>

namespace {

using namespace volley;
using Clock = std::chrono::steady_clock;

void measure() {
  constexpr std::size_t kSteps = 100, kImages = 5000;
  const Split mnist = datasets::mnist();
  Sequential net{Flatten{}, Linear{784, 10, {.bias = false}}, LIF{}};
  Trainer trainer{net, Adam{1e-3f}, RateMse{}, Poisson{}, {.steps = kSteps}};
  trainer.fit(mnist.train, mnist.test, 1);  // a trained network fires otherwise than a new one

  ThreadPool one(1);
  Tape encoder_tape(one), tape(one);
  const Poisson poisson;
  std::vector<std::uint32_t> counts(10);
  std::vector<double> microseconds;
  std::size_t right = 0;
  for (std::uint32_t i = 0; i < kImages; ++i) {
    const Clock::time_point start = Clock::now();
    const Signal x =
        poisson.encode(mnist.test, {&i, 1}, kSteps, {.purpose = Draw::Purpose::test}, encoder_tape);
    const Signal y = net.forward(x, tape);
    y.spikes().count_by_feature(0, counts);
    const auto answer = std::ranges::max_element(counts) - counts.begin();
    microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    right += answer == mnist.test.labels[i];
  }
  std::ranges::sort(microseconds);
  const auto at = [&](double share) {
    return microseconds[static_cast<std::size_t>(share * static_cast<double>(kImages))];
  };
  std::printf("one image, T %zu, one core: median %.1f us, 99 %% below %.1f us; %.1f %% of %zu right\n",
              kSteps, at(0.5), at(0.99), 100.0 * static_cast<double>(right) / static_cast<double>(kImages),
              kImages);
}

}  // namespace

int main() {
  try {
    measure();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "latency: %s\n", error.what());
    return 1;
  }
}
