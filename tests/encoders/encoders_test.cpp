// What encoders make of pictures: shapes, steps, spikes worked out by hand, the same bits for any threads.

#include <gtest/gtest.h>

#include <cmath>

#include <volley/volley.hpp>

#include "spec/encoders.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"

namespace volley {
namespace {

using test::error_text;

Dataset pictures(const Shape& shape, std::size_t samples, std::uint32_t seed) {
  Dataset data{.name = "random", .shape = shape, .labels = std::vector<std::uint32_t>(samples)};
  test::Random random(seed);
  for (std::size_t i = 0; i < samples * shape.size(); ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(3) == 0 ? 0 : random.below(256)));
  }
  return data;
}

std::vector<std::uint8_t> bytes_of(const Signal& x) {
  std::vector<std::uint8_t> bytes(x.shape().size());
  x.spikes().to_bytes(bytes);
  return bytes;
}

std::vector<std::uint8_t> encode(const Encoder& encoder, const Dataset& data,
                                 const std::vector<std::uint32_t>& samples, std::size_t steps,
                                 const Draw& draw = {}, std::size_t threads = 1) {
  ThreadPool pool(threads);
  Tape tape(pool);
  return bytes_of(encoder.encode(data, samples, steps, draw, tape));
}

TEST(Direct, ShowsTheSameCurrentAtEveryStepAndStoresItOnce) {
  const Dataset data = pictures({2, 3, 5}, 4, 1);
  Tape tape;
  const std::vector<std::uint32_t> samples{3, 1};
  const Direct encoder{{{.mean = {0.5f, 0.25f}, .deviation = {2.0f}}}};
  const Signal x = encoder.encode(data, samples, 7, {}, tape);
  EXPECT_EQ(x.shape(), (Shape{2, 7, 2, 3, 5}));
  EXPECT_EQ(x.stored_steps(), 1u);
  ASSERT_FALSE(x.is_spikes());
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t f = 0; f < 30; ++f) {
      const float mean = f < 15 ? 0.5f : 0.25f;
      const float expected = (static_cast<float>(data.picture(samples[n])[f]) / 255 - mean) / 2;
      EXPECT_EQ(x.values()[n * 30 + f], expected);
    }
  }
}

TEST(Direct, TrainsTheTutorialNetworkOnePassAStep) {
  const Dataset data = pictures({1, 6, 6}, 8, 2);
  Sequential net{Flatten{}, Linear{36, 4}, LIF{}};
  Tape encoder_tape, tape;
  const Signal x = Direct{}.encode(data, std::vector<std::uint32_t>{0, 1, 2}, 5, {}, encoder_tape);
  EXPECT_EQ(net.forward(x, tape).shape(), (Shape{3, 5, 4}));
}

TEST(Rows, TakeTheHeightForTime) {
  const Dataset data = pictures({2, 3, 4}, 2, 3);
  Tape tape;
  EXPECT_EQ(Rows{}.output_shape(data.shape), (Shape{2, 4}));
  const Signal x = Rows{}.encode(data, std::vector<std::uint32_t>{1}, 3, {}, tape);
  ASSERT_EQ(x.shape(), (Shape{1, 3, 2, 4}));
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint8_t k = data.picture(1)[(i / 4 * 3 + t) * 4 + i % 4];
      EXPECT_EQ(x.values()[t * 8 + i], static_cast<float>(k) / 255);
    }
  }
}

TEST(Delta, FiresWhereARowIsBrighterThanTheLast) {
  const Dataset data{.name = "rows", .shape = {1, 3, 2}, .pixels = {25, 26, 51, 26, 51, 0}, .labels = {0}};
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(encode(Delta{{.threshold = 0.1f}}, data, {0}, 3), (Bytes{0, 1, 1, 0, 0, 0}));
  EXPECT_EQ(encode(Delta{{.threshold = 0.1f, .padding = true}}, data, {0}, 3), (Bytes{0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(encode(Delta{{.threshold = 0.1f, .off_spikes = true}}, data, {0}, 3),
            (Bytes{0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(spec::delta_least(0.2f), 51) << "51 / 255 is 0.2";
  EXPECT_EQ(encode(Delta{{.threshold = 2.0f}}, data, {0}, 3), Bytes(6, 0));
}

TEST(Latency, ClipsBlackPixels) {
  const Dataset data{.name = "two", .shape = {2}, .pixels = {0, 255}, .labels = {0}};
  using Bytes = std::vector<std::uint8_t>;
  for (const LatencyFunction function : {LatencyFunction::linear, LatencyFunction::log}) {
    EXPECT_EQ(encode(Latency{{.function = function}}, data, {0}, 3), (Bytes{0, 1, 0, 0, 1, 0}));
    EXPECT_EQ(encode(Latency{{.function = function, .clip = true}}, data, {0}, 3), (Bytes{0, 1, 0, 0, 0, 0}));
    EXPECT_EQ(encode(Latency{{.function = function}}, data, {0}, 1), (Bytes{1, 1}));
  }
  EXPECT_EQ(spec::latency_log(1, 65536), 6u) << "ln 255 = 5.54";
  EXPECT_EQ(spec::latency_log(0, 65536), 65535u);
}

TEST(WeightedPhase, IsThePapersTable) {
  const auto spikes = [](std::uint8_t k, std::size_t steps, std::size_t phases) {
    const Dataset data{.name = "one", .shape = {1}, .pixels = {k}, .labels = {0}};
    return encode(WeightedPhase{{.phases = phases}}, data, {0}, steps);
  };
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(spikes(192, 8, 8), (Bytes{1, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(spikes(1, 8, 8), (Bytes{0, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(spikes(255, 8, 8), Bytes(8, 1));
  EXPECT_EQ(spikes(128, 6, 3), (Bytes{1, 0, 0, 1, 0, 0}));
  EXPECT_EQ(spikes(255, 10, 10), (Bytes{1, 1, 1, 1, 1, 1, 1, 1, 0, 0}));
}

TEST(Population, HasItsNeuronsInChannelsOfTheirOwn) {
  const Dataset data = pictures({2, 2, 3}, 2, 4);
  const Population encoder{{.neurons = 3}};
  EXPECT_EQ(encoder.output_shape(data.shape), (Shape{6, 2, 3}));
  const std::vector<std::uint8_t> all = encode(encoder, data, {1}, 20);
  for (std::size_t c = 0; c < 2; ++c) {
    for (std::size_t m = 0; m < 3; ++m) {
      for (std::size_t p = 0; p < 6; ++p) {
        const float a = spec::receptive_field(data.picture(1)[c * 6 + p], m, 3, 0.0f, 1.0f, 0.15f);
        std::vector<std::uint8_t> expected(20, 0);
        spec::population_fires(a, 20, [&](std::size_t t) { expected[t] = 1; });
        for (std::size_t t = 0; t < 20; ++t) EXPECT_EQ(all[t * 36 + (c * 3 + m) * 6 + p], expected[t]);
      }
    }
  }
}

TEST(Population, DrawsWithTheProbabilityOfTheField) {
  const Dataset data{.name = "one", .shape = {1}, .pixels = {70}, .labels = {0}};
  const Population encoder{{.neurons = 4, .width = 0.3f, .mode = PopulationMode::random}};
  constexpr std::size_t T = 40000;
  const std::vector<std::uint8_t> spikes = encode(encoder, data, {0}, T);
  for (std::size_t m = 0; m < 4; ++m) {
    double rate = 0;
    for (std::size_t t = 0; t < T; ++t) rate += spikes[t * 4 + m] / static_cast<double>(T);
    const double p = spec::receptive_field(70, m, 4, 0.0, 1.0, 0.3);
    EXPECT_NEAR(rate, p, 5 * std::sqrt(p * (1 - p) / T)) << "neuron " << m;
  }
}

TEST(Population, DrawsAreAddressed) {
  const Dataset data = pictures({1, 2, 2}, 6, 5);
  const Population encoder{{.neurons = 3, .width = 0.4f, .mode = PopulationMode::random}};
  const std::vector<std::uint8_t> both = encode(encoder, data, {4, 2}, 70, {.seed = 9, .epoch = 3});
  std::vector<std::uint8_t> apart = encode(encoder, data, {4}, 70, {.seed = 9, .epoch = 3});
  const std::vector<std::uint8_t> second = encode(encoder, data, {2}, 70, {.seed = 9, .epoch = 3});
  apart.insert(apart.end(), second.begin(), second.end());
  EXPECT_EQ(both, apart);
  for (const Draw& other : {Draw{.seed = 8, .epoch = 3}, Draw{.seed = 9, .epoch = 2},
                            Draw{.seed = 9, .epoch = 3, .purpose = Draw::Purpose::test}}) {
    EXPECT_NE(encode(encoder, data, {4, 2}, 70, other), both);
  }
}

TEST(Periodic, RepeatsAnothersSpikes) {
  const Dataset data = pictures({1, 3, 3}, 3, 6);
  const Draw draw{.seed = 5, .epoch = 2};
  for (const SpikeEncoderOptions& of :
       {SpikeEncoderOptions(PoissonOptions{}), SpikeEncoderOptions(LatencyOptions{})}) {
    const std::unique_ptr<Encoder> once = std::visit([](const auto& o) { return make_encoder(o); }, of);
    const std::vector<std::uint8_t> period = encode(*once, data, {2, 0}, 5, draw);
    const std::vector<std::uint8_t> all = encode(Periodic{{.period = 5, .of = of}}, data, {2, 0}, 13, draw);
    for (std::size_t n = 0; n < 2; ++n) {
      for (std::size_t i = 0; i < 13 * 9; ++i) {
        EXPECT_EQ(all[n * 13 * 9 + i], period[n * 5 * 9 + i / 9 % 5 * 9 + i % 9]);
      }
    }
  }
}

TEST(Encoders, GiveTheSameBitsForAnyThreads) {
  const Dataset data = pictures({2, 7, 9}, 5, 7);
  const std::vector<EncoderOptions> all{LatencyOptions{},
                                        WeightedPhaseOptions{},
                                        PopulationOptions{.neurons = 3},
                                        PopulationOptions{.neurons = 3, .mode = PopulationMode::random},
                                        DeltaOptions{.off_spikes = true},
                                        PeriodicOptions{.period = 3, .of = PoissonOptions{}}};
  for (const EncoderOptions& options : all) {
    const std::unique_ptr<Encoder> encoder = make_encoder(options);
    const auto first = encode(*encoder, data, {0, 1, 2, 3, 4}, 7, {}, 1);
    for (const std::size_t threads : {2u, 3u}) {
      EXPECT_EQ(encode(*encoder, data, {0, 1, 2, 3, 4}, 7, {}, threads), first) << encoder->kind();
    }
  }
}

TEST(Encoders, RefuseWhatTheyCannotTake) {
  const Dataset data = pictures({3, 4, 5}, 1, 8);
  Tape tape;
  const auto text = [&](const Encoder& encoder, std::size_t steps) {
    return error_text([&] { encoder.encode(data, std::vector<std::uint32_t>{0}, steps, {}, tape); });
  };
  EXPECT_EQ(text(Rows{}, 5),
            "[rows] steps must be 4, the height of a picture, whose rows are the steps, got 5");
  EXPECT_EQ(text(Delta{}, 3),
            "[delta] steps must be 4, the height of a picture, whose rows are the steps, got 3");
  EXPECT_EQ(text(Direct{}, 0), "[direct] steps must be >= 1, got 0");
  EXPECT_EQ(text(Latency{}, 0), "[latency] steps must be >= 1, got 0");
  EXPECT_EQ(text(Direct{{{.mean = {0.1f, 0.2f}}}}, 2),
            "[direct] mean must have one value, or one for each of 3 channels, got 2");
  EXPECT_EQ(error_text([] { Rows{}.output_shape({784}); }),
            "[rows] a picture must be (channels, height, width), got (784)");
  EXPECT_EQ(error_text([] { Direct{{{.deviation = {0.0f}}}}; }), "[direct] std must be > 0, got 0");
  EXPECT_EQ(error_text([] { Delta{{.threshold = 0}}; }), "[delta] threshold must be > 0, got 0");
  EXPECT_EQ(error_text([] { WeightedPhase{{.phases = 0}}; }),
            "[weighted_phase] phases must be >= 1 and <= 64, got 0");
  EXPECT_EQ(error_text([] { Population{{.low = 1, .high = 1}}; }), "[population] high must be > 1, got 1");
  EXPECT_EQ(error_text([] { Periodic{{.period = 0}}; }),
            "[periodic] period must be >= 1 and <= 65536, got 0");
}

}  // namespace
}  // namespace volley
