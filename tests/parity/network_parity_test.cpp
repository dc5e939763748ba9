#include <gtest/gtest.h>

#include <volley/volley.hpp>

#include "core/sha256.hpp"
#include "parity/agreement.hpp"
#include "parity/golden.hpp"

// Whole networks against those of SpikingJelly: one pass, and 50 steps of a training.

namespace volley::test {
namespace {

constexpr double kMostLossError = 1e-4;    // of a training's losses, relative
constexpr double kMostWeightError = 1e-4;  // of its weights at the end

std::unique_ptr<Loss> loss_of(const nlohmann::json& recipe) {
  if (recipe.at("loss").at("kind") == "rate_mse") return std::make_unique<RateMse>();
  return std::make_unique<RateCrossEntropy>();
}

std::vector<std::uint8_t> bytes_of(const Spikes& spikes) {
  std::vector<std::uint8_t> bytes(spikes.shape().size());
  spikes.to_bytes(bytes);
  return bytes;
}

/// Everything that a pass through `name` of the manifest gives.
struct PassResult {
  double loss = 0;
  Tensor rates;
  std::string spikes_sha256;
  Sequential net;
};

PassResult run_pass(const Golden& golden, const std::string& name) {
  const nlohmann::json& recipe = golden.manifest().at("network").at(name).at("recipe");
  const Dataset data = golden.dataset(name + ".");
  PassResult r{.net = build_network(recipe)};
  golden.load_weights(r.net, name + ".weights.");
  std::vector<std::uint32_t> samples(data.size());
  for (std::uint32_t n = 0; n < samples.size(); ++n) samples[n] = n;
  Tape encoder_tape, tape, loss_tape;
  const Draw draw{golden.manifest().at("seed"), 1, Draw::Purpose::train};
  const Signal x = Poisson().encode(data, samples, recipe.at("training").at("steps"), draw, encoder_tape);
  Sha256 sum;
  sum.add(bytes_of(x.spikes()));
  r.spikes_sha256 = sum.hex();
  const Signal y = r.net.forward(x, tape);
  const std::unique_ptr<Loss> loss = loss_of(recipe);
  r.loss = loss->forward(y, data.labels, r.rates, loss_tape);
  zero_gradients(r.net.parameters());
  r.net.backward(tape, loss->backward(loss_tape));
  return r;
}

class NetworkParity : public ::testing::TestWithParam<std::string> {};

TEST_P(NetworkParity, LossRatesAndGradientsAgreeWithSpikingJelly) {
  const std::string name = GetParam();
  const Golden golden("network.safetensors");
  const nlohmann::json& expected = golden.manifest().at("network").at(name);
  PassResult r = run_pass(golden, name);
  ASSERT_EQ(r.spikes_sha256, expected.at("spikes_sha256").get<std::string>()) << "other spikes went in";
  EXPECT_NEAR(r.loss, expected.at("loss").get<double>(), 1e-6 * r.loss);
  EXPECT_LE(scaled_error(r.rates.values(), golden.values(name + ".rates")), 1e-7);
  std::size_t fired = 0;
  for (const float rate : golden.values(name + ".rates")) fired += rate > 0 && rate < 1;
  EXPECT_GT(fired, 30u) << "a network that does nothing proves nothing";
  for (const NamedParameter& p : r.net.parameters()) {
    const double error =
        scaled_error(p.parameter->gradient.values(), golden.values(name + ".gradients." + p.name));
    std::cout << name << ": gradient of " << p.name << " differs by " << error << " of its scale\n";
    EXPECT_LE(error, kMostError) << p.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, NetworkParity, ::testing::Values("tutorial", "deep"),
                         [](const auto& test) { return test.param; });

/// Notes the losses, and the spikes that went in, of the first `most` steps.
struct Notes final : Recorder {
  std::size_t most = 0;
  std::vector<float> losses;

  void iteration(const IterationRecord& record, Trainer&) override {
    losses.push_back(static_cast<float>(record.loss));
  }
  bool stop() override { return losses.size() >= most; }
};

/// The encoder, keeping the sum of the bits that it gave in the first `steps` of training; the batch after
/// them is encoded ahead, and is not trained on.
struct SummingPoisson final : Encoder {
  SummingPoisson(Sha256& sum_, std::size_t steps_) : sum(sum_), left(steps_) {}
  std::string_view kind() const override { return poisson.kind(); }
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw& draw, Tape& tape) const override {
    const Signal x = poisson.encode(data, samples, steps, draw, tape);
    if (draw.purpose == Draw::Purpose::train && left > 0) {
      sum.add(bytes_of(x.spikes()));
      --left;
    }
    return x;
  }
  Poisson poisson;
  Sha256& sum;
  mutable std::size_t left;
};

/// The largest relative difference of a step's loss, and the scaled one of the last weights.
struct TrajectoryErrors {
  double loss = 0;
  double weights = 0;
  std::string spikes_sha256;
};

TrajectoryErrors run_trajectory(const Golden& golden, const AdamOptions& adam) {
  const nlohmann::json& run = golden.manifest().at("trajectory");
  const nlohmann::json& recipe = run.at("recipe");
  const Dataset data = golden.dataset("");
  Sequential net = build_network(recipe);
  golden.load_weights(net, "weights.");
  Sha256 sum;
  TrainerParts parts{.optimizer = std::make_unique<Adam>(adam),
                     .loss = loss_of(recipe),
                     .encoder = std::make_unique<SummingPoisson>(sum, run.at("steps"))};
  Trainer trainer(net, std::move(parts),
                  {.steps = recipe.at("training").at("steps"),
                   .batch = recipe.at("training").at("batch"),
                   .seed = golden.manifest().at("seed")});
  Notes notes;
  notes.most = run.at("steps");
  trainer.fit(data, data, 100, &notes);
  TrajectoryErrors errors;
  const std::span<const float> losses = golden.values("losses");
  EXPECT_EQ(notes.losses.size(), losses.size());
  for (std::size_t i = 0; i < losses.size(); ++i) {
    errors.loss = std::max(errors.loss, std::abs(static_cast<double>(notes.losses[i] / losses[i]) - 1));
  }
  for (const NamedParameter& p : net.parameters()) {
    errors.weights =
        std::max(errors.weights, scaled_error(p.parameter->value.values(), golden.values("final." + p.name)));
  }
  errors.spikes_sha256 = sum.hex();
  return errors;
}

TEST(TrajectoryParity, FiftyStepsOfAdamAgreeWithSpikingJelly) {
  const Golden golden("trajectory.safetensors");
  const TrajectoryErrors errors = run_trajectory(golden, {});
  std::cout << "losses differ by " << errors.loss << ", weights by " << errors.weights << " of their scale\n";
  EXPECT_EQ(errors.spikes_sha256, golden.manifest().at("trajectory").at("spikes_sha256").get<std::string>());
  EXPECT_LE(errors.loss, kMostLossError);
  EXPECT_LE(errors.weights, kMostWeightError);
  EXPECT_LT(golden.values("losses").back(), 0.8f * golden.values("losses").front()) << "nothing was learnt";
}

TEST(TrajectoryParity, AnotherOptimizerIsFoundOut) {
  const Golden golden("trajectory.safetensors");
  const TrajectoryErrors errors = run_trajectory(golden, {.beta2 = 0.99f});
  EXPECT_GT(errors.loss, kMostLossError);
  EXPECT_GT(errors.weights, kMostWeightError);
}

}  // namespace
}  // namespace volley::test
