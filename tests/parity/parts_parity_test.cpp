#include <gtest/gtest.h>

#include <volley/volley.hpp>

#include "core/files.hpp"
#include "parity/agreement.hpp"
#include "parity/golden.hpp"

// Losses, optimizers, clipping and schedules against torch and snnTorch, encoders against SpikingJelly:
// tests/golden/parts.json, written by peers/golden_parts.py.

namespace volley::test {
namespace {

constexpr double kRounding = 1e-6;  // of float32

nlohmann::json golden() {
  return nlohmann::json::parse(read_file(Golden::folder() / "parts.json", std::size_t{1} << 20));
}

std::vector<float> floats(const nlohmann::json& list) { return list.get<std::vector<float>>(); }

struct LossCase {
  std::string name;
  bool spikes;
  std::unique_ptr<Loss> loss;
};

std::vector<LossCase> loss_cases(float T) {
  std::vector<LossCase> cases;
  const auto add = [&](std::string name, bool spikes, auto loss) {
    cases.push_back({std::move(name), spikes, std::make_unique<decltype(loss)>(std::move(loss))});
  };
  add("rate_mse", true, RateMse{});
  add("rate_cross_entropy", true, RateCrossEntropy{{.label_smoothing = 0.1f}});
  add("count_mse", true, CountMse{{.scale = 1 / T, .correct_rate = 0.9f, .incorrect_rate = 0.1f}});
  add("count_cross_entropy", true, CountCrossEntropy{});
  add("tet", true, Tet{});
  add("membrane_mse", false, MembraneMse{});
  add("membrane_mse mean", false, MembraneMse{{.readout = Readout::mean}});
  add("membrane_cross_entropy", false, MembraneCrossEntropy{{.label_smoothing = 0.2f}});
  add("membrane_cross_entropy mean", false, MembraneCrossEntropy{{.readout = Readout::mean}});
  add("tet membrane", false, Tet{{.lamb = 0.05f, .means = 0.5f, .label_smoothing = 0.1f}});
  const ClassWeights weights{0.5f, 2.0f, 1.0f, 3.0f, 0.25f};
  add("rate_mse weighted", true, RateMse{{.class_weights = weights}});
  add("rate_cross_entropy weighted", true, RateCrossEntropy{{.class_weights = weights}});
  add("count_mse weighted", true,
      CountMse{{.scale = 1 / T, .correct_rate = 0.9f, .incorrect_rate = 0.1f, .class_weights = weights}});
  add("count_cross_entropy weighted", true, CountCrossEntropy{{.class_weights = weights}});
  add("tet weighted", true,
      Tet{{.lamb = 0.05f, .means = 0.5f, .label_smoothing = 0.1f, .class_weights = weights}});
  add("membrane_mse weighted", false, MembraneMse{{.class_weights = weights}});
  add("membrane_cross_entropy weighted", false, MembraneCrossEntropy{{.class_weights = weights}});
  return cases;
}

TEST(PartsParity, LossesAndTheirGradientsAgreeWithTorch) {
  const nlohmann::json g = golden().at("losses");
  const auto sizes = g.at("shape").get<std::vector<std::size_t>>();
  const Shape shape{std::span<const std::size_t>(sizes)};
  const auto labels = g.at("labels").get<std::vector<std::uint32_t>>();
  Tensor y(shape);
  std::ranges::copy(floats(g.at("y")), y.data());
  std::vector<std::uint8_t> bytes;
  for (const float s : floats(g.at("s"))) bytes.push_back(static_cast<std::uint8_t>(s));
  const Spikes spikes = Spikes::from_bytes(shape, bytes);
  const std::vector<LossCase> cases = loss_cases(static_cast<float>(shape[1]));
  ASSERT_EQ(cases.size(), g.at("cases").size());
  for (const LossCase& c : cases) {
    SCOPED_TRACE(c.name);
    const nlohmann::json& expected = g.at("cases").at(c.name);
    const Signal in = c.spikes ? Signal(spikes) : Signal(y);
    Tape tape;
    Tensor scores;
    const double loss = c.loss->forward(in, labels, scores, tape);
    EXPECT_NEAR(loss, expected.at("loss").get<double>(), kRounding * std::abs(loss));
    const Signal dy = c.loss->backward(tape);
    EXPECT_LE(scaled_error({dy.values(), y.size()}, floats(expected.at("dy"))), kRounding);
  }
}

/// Regression, labels of steps, and the steps of first spikes, of snnTorch.
TEST(PartsParity, LossesOfTargetsAgreeWithTorchAndSnnTorch) {
  const nlohmann::json g = golden().at("target_losses");
  const auto sizes = g.at("shape").get<std::vector<std::size_t>>();
  const Shape shape{std::span<const std::size_t>(sizes)};
  const auto tensor = [&](const char* name, const Shape& of) {
    Tensor values(of);
    std::ranges::copy(floats(g.at(name)), values.data());
    return values;
  };
  const Tensor y = tensor("y", shape), s = tensor("s", shape);
  const Targets values{.values = tensor("values", {shape[0], shape[2]})};
  const Targets step_values{.values = tensor("step_values", shape)};
  const Targets labels{.labels = g.at("labels").get<std::vector<std::uint32_t>>()};
  const Targets step_labels{.labels = g.at("step_labels").get<std::vector<std::uint32_t>>()};
  std::size_t cases = 0;
  const auto expect = [&](const std::string& name, const Loss& loss, const Tensor& in,
                          const Targets& targets) {
    SCOPED_TRACE(name);
    const nlohmann::json& expected = g.at("cases").at(name);
    Tape tape;
    Tensor scores;
    const double value = loss.forward(in, targets, scores, tape);
    EXPECT_NEAR(value, expected.at("loss").get<double>(), kRounding * std::abs(value));
    const Signal dy = loss.backward(tape);
    EXPECT_LE(scaled_error({dy.values(), in.size()}, floats(expected.at("dy"))), kRounding);
    ++cases;
  };
  L1Options l1;
  l1.readout = ValueReadout::last;
  StepCrossEntropyOptions smoothed;
  smoothed.label_smoothing = 0.1f;
  expect("mse", Mse{}, y, values);
  expect("mse each_step", Mse{{.readout = ValueReadout::each_step}}, y, step_values);
  expect("l1 last", L1{l1}, y, values);
  expect("huber sum", Huber{{.readout = ValueReadout::sum, .delta = 0.7f}}, y, values);
  expect("step_cross_entropy", StepCrossEntropy{smoothed}, y, step_labels);
  expect("first_spike_cross_entropy", FirstSpikeCrossEntropy{}, s, labels);
  const float T = static_cast<float>(shape[1]);  // its steps are shares of T
  expect("first_spike_mse", FirstSpikeMse{{.scale = 1 / (T * T), .on_step = 1}}, s, labels);
  EXPECT_EQ(cases, g.at("cases").size());
}

/// Six steps of `optimizer` under CosineAnnealingLR(4, 0.001), a step counting as an epoch.
void expect_path(const nlohmann::json& g, const std::string& name, Optimizer&& optimizer, float clip_norm = 0,
                 float clip_value = 0) {
  SCOPED_TRACE(name);
  Parameter p(Shape{6});
  std::ranges::copy(floats(g.at("weights")), p.value.data());
  const std::vector<float> gradients = floats(g.at("gradients"));
  const std::vector<NamedParameter> parameters{{"w", &p}};
  const Schedule schedule = CosineSchedule{{}, 4, 0.001};
  const auto& path = g.at("cases").at(name).at("path");
  for (std::size_t step = 0; step < path.size(); ++step) {
    std::copy_n(gradients.data() + step * 6, 6, p.gradient.data());
    double squares = 0;
    for (const float x : p.gradient.values()) squares += static_cast<double>(x) * static_cast<double>(x);
    if (clip_norm > 0) clip_gradient_norm(parameters, clip_norm, std::sqrt(squares), ThreadPool::shared());
    if (clip_value > 0) clip_gradient_value(parameters, clip_value, ThreadPool::shared());
    const double lr = scheduled_lr(schedule, static_cast<double>(optimizer.base_lr()), step, 0);
    optimizer.set_lr(static_cast<float>(lr));
    optimizer.step(parameters, ThreadPool::shared());
    EXPECT_LE(scaled_error(p.value.values(), floats(path[step])), kRounding) << "step " << step + 1;
  }
}

TEST(PartsParity, OptimizersAndClippingUnderAScheduleAgreeWithTorch) {
  const nlohmann::json g = golden().at("optimizers");
  expect_path(g, "adamw", AdamW{0.05f, {.weight_decay = 0.1f}});
  expect_path(g, "adam", Adam{0.05f, {.weight_decay = 0.1f}});
  expect_path(g, "sgd", Sgd{0.05f, {.momentum = 0.9f, .weight_decay = 0.1f, .nesterov = true}});
  expect_path(g, "clip_norm", Sgd{0.05f}, 3.0f);
  expect_path(g, "clip_value", Sgd{0.05f}, 0, 0.7f);
}

/// Six steps of a weight, a bias and a norm of two numbers each, under StepLR(2, 0.5).
void expect_group_path(const nlohmann::json& g, const std::string& name, Optimizer&& optimizer) {
  SCOPED_TRACE(name);
  Parameter weight(Shape{2}), bias(Shape{2}), norm(Shape{2}, ParameterKind::norm);
  const std::vector<NamedParameter> parameters{{"0.weight", &weight}, {"0.bias", &bias}, {"1.weight", &norm}};
  const std::vector<float> weights = floats(g.at("weights")), gradients = floats(g.at("gradients"));
  for (std::size_t i = 0; i < 3; ++i) std::copy_n(&weights[2 * i], 2, parameters[i].parameter->value.data());
  const auto& path = g.at("cases").at(name).at("path");
  for (std::size_t step = 0; step < path.size(); ++step) {
    std::vector<float> values;
    for (std::size_t i = 0; i < 3; ++i)
      std::copy_n(&gradients[step * 6 + 2 * i], 2, parameters[i].parameter->gradient.data());
    const double lr =
        scheduled_lr(StepSchedule{{}, 2, 0.5}, static_cast<double>(optimizer.base_lr()), step, 0);
    optimizer.set_lr(static_cast<float>(lr));
    optimizer.step(parameters, ThreadPool::shared());
    for (const NamedParameter& p : parameters)
      values.insert(values.end(), p.parameter->value.data(), p.parameter->value.data() + 2);
    EXPECT_LE(scaled_error(values, floats(path[step])), kRounding) << "step " << step + 1;
  }
}

TEST(PartsParity, GroupsOfParametersAgreeWithTorchsParamGroups) {
  const nlohmann::json g = golden().at("optimizers");
  const std::vector<ParameterGroup> groups{{.match = "bias", .weight_decay = 0.0f},
                                           {.match = "1.*", .weight_decay = 0.0f, .lr_factor = 0.5f}};
  expect_group_path(g, "adamw groups", AdamW{0.05f, {.weight_decay = 0.1f, .groups = groups}});
  expect_group_path(g, "adam groups", Adam{0.05f, {.weight_decay = 0.1f, .groups = groups}});
  expect_group_path(g, "sgd groups", Sgd{0.05f, {.momentum = 0.9f, .weight_decay = 0.1f, .groups = groups}});
  // The short form decides of the decay; the rate is the group's.
  expect_group_path(g, "adam groups",
                    Adam{0.05f,
                         {.weight_decay = 0.1f,
                          .decay_only_weights = true,
                          .groups = {{.match = "norm", .weight_decay = 0.0f, .lr_factor = 0.5f}}}});
}

TEST(PartsParity, SchedulesAgreeWithTorchToTheDigit) {
  const nlohmann::json g = golden().at("schedules");
  const std::vector<std::pair<std::string, Schedule>> cases{
      {"step", StepSchedule{{}, 4, 0.5}},
      {"multi_step", MultiStepSchedule{{}, {3, 8, 8, 15}, 0.1}},
      {"exponential", ExponentialSchedule{{}, 0.9}},
      {"cosine", CosineSchedule{{}, 10, 0.01}},
      {"warmup", ConstantSchedule{{.warmup = 5}}},
      {"warmup cosine", CosineSchedule{{.warmup = 5, .warmup_start = 0.1}, 10, 0.01}},
      {"warmup step", StepSchedule{{.warmup = 3, .warmup_start = 0.25}, 4, 0.5}}};
  ASSERT_EQ(cases.size(), g.size());
  for (const auto& [name, schedule] : cases) {
    for (std::size_t epoch = 0; epoch < 25; ++epoch) {
      const double expected = g.at(name).at(epoch).get<double>();
      EXPECT_NEAR(scheduled_lr(schedule, 0.25, epoch, 1000 + epoch), expected, 1e-14)
          << name << ", epoch " << epoch;
    }
  }
}

/// The trains of all 256 bytes, T <= 64: bit t is step t. (256 neurons, of one pixel each in turn).
std::vector<std::uint64_t> trains_of(const Encoder& encoder, std::size_t T) {
  Dataset data{.name = "bytes", .shape = {1}, .labels = std::vector<std::uint32_t>(256)};
  std::vector<std::uint32_t> samples;
  for (std::uint32_t k = 0; k < 256; ++k) {
    data.pixels.push_back(static_cast<std::uint8_t>(k));
    samples.push_back(k);
  }
  Tape tape;
  const Signal x = encoder.encode(data, samples, T, {}, tape);
  std::vector<std::uint64_t> trains;
  for (std::size_t n = 0; n < 256; ++n) {
    for (std::size_t f = 0; f < x.features(); ++f) {
      std::uint64_t train = 0;
      for (std::size_t t = 0; t < T; ++t) train |= std::uint64_t{x.spikes().fired(n, t, f)} << t;
      trains.push_back(train);
    }
  }
  return trains;
}

TEST(PartsParity, LatencyAgreesWithSpikingJelly) {
  const nlohmann::json g = golden().at("encoders").at("latency");
  for (const auto& [name, steps] : g.items()) {
    const bool log = name.starts_with("log");
    const std::size_t T = std::stoul(name.substr(name.find(' ')));
    const Latency encoder{{.function = log ? LatencyFunction::log : LatencyFunction::linear}};
    Dataset data{.name = "bytes", .shape = {256}, .labels = {0}};
    for (int k = 0; k < 256; ++k) data.pixels.push_back(static_cast<std::uint8_t>(k));
    Tape tape;
    const Signal x = encoder.encode(data, std::vector<std::uint32_t>{0}, T, {}, tape);
    for (std::size_t k = 0; k < 256; ++k) {
      EXPECT_EQ(x.spikes().count(0, k), 1u) << name << ", pixel " << k;
      EXPECT_TRUE(x.spikes().fired(0, steps.at(k).get<std::size_t>(), k)) << name << ", pixel " << k;
    }
  }
}

TEST(PartsParity, WeightedPhaseAgreesWithSpikingJelly) {
  const auto expected = golden().at("encoders").at("weighted_phase").get<std::vector<std::uint64_t>>();
  EXPECT_EQ(trains_of(WeightedPhase{}, 19), expected);
}

TEST(PartsParity, PopulationAgreesWithSpikingJelly) {
  const nlohmann::json g = golden().at("encoders").at("population");
  std::vector<std::uint64_t> expected;
  for (const auto& pixel : g.at("trains")) {
    for (const auto& train : pixel) expected.push_back(train.get<std::uint64_t>());
  }
  const Population encoder{{.neurons = 5, .low = g.at("low"), .high = g.at("high"), .width = g.at("std")}};
  EXPECT_EQ(trains_of(encoder, g.at("steps")), expected);
}

}  // namespace
}  // namespace volley::test
