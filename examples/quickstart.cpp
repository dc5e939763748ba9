#include <cstdio>
#include <volley/volley.hpp>

int main() {
  auto mnist = volley::datasets::mnist();  // got before by: volley data fetch mnist
  volley::Sequential net{volley::Flatten{}, volley::Linear{784, 10, {.bias = false}},
                         volley::LIF{{.tau = 2.0f}}};
  volley::Trainer trainer{
      net, volley::Adam{1e-3f}, volley::RateMse{}, volley::Poisson{}, {.steps = 100, .batch = 64, .seed = 0}};
  auto history = trainer.fit(mnist.train, mnist.test, /*epochs=*/5);
  for (const auto& epoch : history.epochs) {
    std::printf("epoch %zu: test accuracy %.4f\n", epoch.epoch, epoch.test_acc);
  }
}
