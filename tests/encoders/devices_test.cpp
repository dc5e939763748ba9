// A device whose operations run later, on memory that no other code can reach, encodes to the CPU's bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <vector>

#include <volley/volley.hpp>

#include "encoders/pictures.hpp"
#include "support/deferred_device.hpp"
#include "support/random.hpp"
#include "support/random_tensor.hpp"

namespace volley {
namespace {

constexpr std::size_t kSteps = 9;

Dataset pictures(std::size_t samples, std::uint32_t seed) {
  Dataset data{.name = "random", .shape = {2, kSteps, 7}, .labels = std::vector<std::uint32_t>(samples)};
  test::Random random(seed);
  for (std::size_t i = 0; i < samples * data.shape.size(); ++i)
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(3) == 0 ? 0 : random.below(256)));
  return data;
}

struct Case {
  const char* name;
  EncoderOptions options;

  friend void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }
};

const CurrentOptions kScaled{.mean = {0.5f, 0.25f}, .deviation = {2.0f}};

const Case kCases[] = {
    {"poisson", PoissonOptions{}},
    {"direct", DirectOptions{}},
    {"scaled", DirectOptions{kScaled}},
    {"rows", RowsOptions{kScaled}},
    {"latency", LatencyOptions{}},
    {"clipped", LatencyOptions{.function = LatencyFunction::log, .clip = true}},
    {"phase", WeightedPhaseOptions{.phases = 3}},
    {"population", PopulationOptions{.neurons = 3}},
    {"random_population", PopulationOptions{.neurons = 3, .mode = PopulationMode::random}},
    {"delta", DeltaOptions{}},
    {"falls", DeltaOptions{.threshold = 0.3f, .padding = true, .off_spikes = true}},
    {"periodic_trains", PeriodicOptions{.period = 4, .of = PoissonOptions{}}},
    {"periodic_steps", PeriodicOptions{.period = 4, .of = WeightedPhaseOptions{}}},
};

class EncodersOnDevices : public testing::TestWithParam<Case> {};

using Encode = std::function<Signal(const Encoder&, Tape&)>;

/// What several passes of one tape give.
std::vector<Tensor> passes(const EncoderOptions& options, const std::vector<Encode>& encodings) {
  const Device device("cpu", 2);
  Tape tape(device);
  std::vector<Tensor> results;
  const std::unique_ptr<Encoder> encoder = make_encoder(options);
  for (const Encode& encode : encodings) results.push_back(to_tensor(encode(*encoder, tape)));
  return results;
}

void expect_the_same(const EncoderOptions& options, const std::vector<Encode>& encodings) {
  const std::vector<Tensor> expected = passes(options, encodings);
  const test::UseDeferredDevices use;
  const std::vector<Tensor> results = passes(options, encodings);
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].shape(), expected[i].shape());
    EXPECT_TRUE(std::ranges::equal(results[i].values(), expected[i].values())) << "pass " << i;
  }
}

TEST_P(EncodersOnDevices, HaveTheBitsOfTheCpu) {
  const Dataset data = pictures(6, 1), others = pictures(9, 2);
  const std::vector<std::uint32_t> some{5, 0, 3}, three{0, 1, 2}, known{7, 8, 9}, many{8, 1, 1, 4, 0};
  const auto of = [](const Dataset& set, const std::vector<std::uint32_t>& samples, const Draw& draw) {
    return [&set, &samples, draw](const Encoder& encoder, Tape& tape) {
      return encoder.encode(set, samples, kSteps, draw, tape);
    };
  };
  const auto ahead = [&](const Encoder& encoder, Tape& tape) {
    const Signal x = encoder.encode_ahead(data, some, kSteps, {.seed = 3}, tape);
    tape.threads().finish_ahead();
    return x;
  };
  expect_the_same(GetParam().options, {of(data, some, {}), of(others, many, {.seed = 2, .first_sample = 4}),
                                       of(data, three, {}), of(data, three, {.known_as = known}), ahead});
}

/// Pictures that the device has are not copied again.
TEST_P(EncodersOnDevices, ReadPicturesThatTheDeviceHas) {
  const Dataset data = pictures(20, 3);
  const std::vector<std::uint32_t> samples{5, 0, 19};
  const auto encoder = make_encoder(GetParam().options);
  Tape host;
  const Tensor expected = to_tensor(encoder->encode(data, samples, kSteps, {}, host));
  const test::UseDeferredDevices use;
  const Device device("cpu", 1);
  Tape tape(device);
  DevicePictures pixels;
  pixels.keep(&data);
  tape.set_context({.draw = {}, .samples = {}, .pictures = &pixels});
  encoder->encode(data, samples, kSteps, {}, tape);
  const std::uint64_t first = device.copied_bytes();
  EXPECT_GE(first, data.pixels.size() + samples.size() * sizeof(std::uint32_t));
  const std::vector<std::uint32_t> reversed{19, 0, 5};
  encoder->encode(data, reversed, kSteps, {}, tape);
  EXPECT_EQ(device.copied_bytes() - first, samples.size() * sizeof(std::uint32_t));
  const Tensor result = to_tensor(encoder->encode(data, samples, kSteps, {}, tape));
  EXPECT_TRUE(std::ranges::equal(result.values(), expected.values()));
}

INSTANTIATE_TEST_SUITE_P(All, EncodersOnDevices, testing::ValuesIn(kCases),
                         [](const auto& of) { return std::string(of.param.name); });

TEST(EncodersOnDevicesOf, ValuesHaveTheBitsOfTheCpu) {
  const Tensor values = test::random_tensor({3, 2, 5}, 1, -0.2, 1.2);
  for (const EncoderOptions& options : {EncoderOptions(PoissonOptions{}), EncoderOptions(DirectOptions{}),
                                        EncoderOptions(DirectOptions{kScaled})}) {
    const auto encode = [&](const Encoder& encoder, Tape& tape) {
      return encoder.encode(values, kSteps, {.seed = 1, .first_sample = 2}, tape);
    };
    expect_the_same(options, {encode, encode});
  }
}

TEST(EncodersOnDevicesOf, StepsHaveTheBitsOfTheCpu) {
  const Tensor values = test::random_tensor({3, kSteps, 2, 5}, 1);
  const auto encode = [&](const Encoder& encoder, Tape& tape) {
    return encoder.encode(Signal(values), tape);
  };
  expect_the_same(DirectOptions{}, {encode});
  expect_the_same(DirectOptions{kScaled}, {encode, encode});
}

}  // namespace
}  // namespace volley
