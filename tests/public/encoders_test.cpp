#include <algorithm>
#include <memory>

#include "pictures.hpp"

namespace volley {
namespace {

using test::refusal;
using Samples = std::vector<std::uint32_t>;

std::vector<std::unique_ptr<Encoder>> every_encoder() {
  std::vector<std::unique_ptr<Encoder>> encoders;
  for (const EncoderOptions& options : std::vector<EncoderOptions>{
           PoissonOptions{}, DirectOptions{}, RowsOptions{}, LatencyOptions{}, WeightedPhaseOptions{},
           PopulationOptions{}, PopulationOptions{.mode = PopulationMode::random}, DeltaOptions{},
           PeriodicOptions{.period = 2}}) {
    encoders.push_back(make_encoder(options));
  }
  return encoders;
}

std::vector<float> values_of(const Signal& x) {
  std::vector<float> values;
  if (!x.is_spikes()) return {x.values(), x.values() + x.stored_shape().size()};
  for (std::size_t n = 0; n < x.samples(); ++n) {
    for (std::size_t t = 0; t < x.steps(); ++t) {
      for (std::size_t f = 0; f < x.features(); ++f) values.push_back(x.spikes().fired(n, t, f));
    }
  }
  return values;
}

std::vector<float> encoded(const Encoder& encoder, const Dataset& data, const Samples& samples,
                           const Draw& draw) {
  Tape tape;
  return values_of(encoder.encode(data, samples, 4, draw, tape));
}

TEST(PublicEncoder, RefusesWhatDoesNotFit) {
  const Dataset good = test::shades(5, 3);
  for (const auto& encoder : every_encoder()) {
    const std::string kind = "[" + std::string(encoder->kind()) + "] ";
    SCOPED_TRACE(kind);
    Tape tape;
    const auto encode = [&](const Dataset& data, const Samples& samples, std::size_t steps = 4,
                            const Draw& draw = {}) {
      const std::string now = refusal([&] { encoder->encode(data, samples, steps, draw, tape); });
      EXPECT_EQ(refusal([&] {
                  encoder->encode_ahead(data, samples, steps, draw, tape);
                  tape.threads().finish_ahead();
                }),
                now);
      return now;
    };
    EXPECT_EQ(encode(good, {0, 4}), "no exception");
    EXPECT_EQ(encode(good, {}), kind + "needs at least one sample, got none");
    EXPECT_EQ(encode(good, {0}, 0), kind + "steps must be >= 1, got 0");
    EXPECT_EQ(encode(good, {0, 5}), "[dataset] shades: samples must be < 5, got 5");
    EXPECT_EQ(encode(good, {0}, 4, {.epoch = 1u << 24}),
              kind + "epoch must be >= 0 and <= 16777215, got 16777216");
    const Samples names{1, 2};
    EXPECT_EQ(encode(good, {0}, 4, {.known_as = names}),
              kind + "known_as must have one index for each of 1 samples, got 2");
    Dataset bad = good;
    bad.pixels.pop_back();
    EXPECT_EQ(encode(bad, {0}),
              "[dataset] shades: pixels must be those of 5 labelled pictures of (1, 4, 4), got 79 bytes");
    bad = good;
    bad.labels[3] = 3;
    EXPECT_EQ(encode(bad, {3}),
              "[dataset] shades: labels must be < 3, the number of classes, got 3 for picture 3");
    bad.shape = {1, 0, 4};
    EXPECT_EQ(encode(bad, {0}),
              "[dataset] shades: shape must have 1 to 6 dimensions, none of them 0, got (1, 0, 4)");
  }
}

TEST(PublicEncoder, CopiesHaveTheDrawsOfTheirOriginals) {
  const Dataset data = test::shades(6, 3);
  const Samples originals{4, 1, 5};
  Dataset copies = data.first(0);
  for (const std::uint32_t n : originals) {
    copies.pixels.insert(copies.pixels.end(), data.picture(n).begin(), data.picture(n).end());
    copies.labels.push_back(data.labels[n]);
  }
  for (const auto& encoder : every_encoder()) {
    SCOPED_TRACE(encoder->kind());
    EXPECT_EQ(encoded(*encoder, copies, {0, 1, 2}, {.seed = 3, .first_sample = 7, .known_as = originals}),
              encoded(*encoder, data, originals, {.seed = 3, .first_sample = 7}));
  }
}

TEST(PublicEncoder, EachSetHasDrawsOfItsOwn) {
  const Dataset data = test::shades(6, 3);
  const auto drawn = [&](Draw::Purpose purpose) {
    return encoded(Poisson{}, data, {0, 1, 2, 3, 4, 5}, {.seed = 3, .epoch = 2, .purpose = purpose});
  };
  EXPECT_NE(drawn(Draw::Purpose::validation), drawn(Draw::Purpose::test));
  EXPECT_NE(drawn(Draw::Purpose::validation), drawn(Draw::Purpose::train));
  EXPECT_EQ(drawn(Draw::Purpose::validation), drawn(Draw::Purpose::validation));
  EXPECT_NE(refusal([&] { drawn(static_cast<Draw::Purpose>(9)); }), "no exception");
}

/// Each pixel's difference from the first.
class FromFirst final : public Encoder {
 public:
  std::string_view kind() const override { return "from_first"; }
  bool wrong = false;

 private:
  struct Saved {
    Tensor x;
  };
  Signal do_encode(const Dataset& data, std::span<const std::uint32_t> samples, std::size_t steps,
                   const Draw&, Tape& tape) const override {
    Tensor& x = tape.saved<Saved>().x;
    const std::size_t F = data.shape.size();
    x.resize(wrong ? Shape{samples.size(), F} : data.shape.after({samples.size(), steps}));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto picture = data.picture(samples[i / (wrong ? F : steps * F)]);
      x.data()[i] = static_cast<float>(picture[i % F] - picture[0]) / 64;
    }
    return x;
  }
};

TEST(PublicEncoder, OfANewKindTrainsAndItsOutputIsChecked) {
  const Dataset data = test::shades(40, 3);
  Sequential net{Flatten{}, Linear{16, 3}, LIF{}};
  const std::vector<float> before = test::weights_of(net);
  Trainer trainer{net, Adam{}, RateMse{}, FromFirst{}, {.steps = 4, .batch = 10}};
  trainer.fit(data, data, 1);
  EXPECT_NE(test::weights_of(net), before);
  FromFirst wrong;
  wrong.wrong = true;
  Tape tape;
  EXPECT_EQ(refusal([&] {
              wrong.encode(data, Samples{0, 1}, 4, {}, tape);
            }),
            "[signal] shape must be (N, T, features...), got (2, 16)");
}

TEST(PublicDataset, SaysWhatIsWrong) {
  const Dataset good = test::shades(5, 3);
  good.check();
  EXPECT_EQ(refusal([&] { static_cast<void>(good.picture(5)); }),
            "[dataset] shades: sample must be < 5, got 5");
  Dataset bad = good;
  bad.labels.push_back(0);
  EXPECT_NE(refusal([&] { static_cast<void>(bad.picture(5)); }), "no exception");
  EXPECT_NE(refusal([&] { static_cast<void>(bad.first(6)); }), "no exception");
  bad = good;
  bad.labels[4] = 300;
  EXPECT_EQ(refusal([&] { bad.check(); }),
            "[dataset] shades: labels must be < 3, the number of classes, got 300 for picture 4");
  bad.classes.clear();
  bad.check();  // labels without names
  Split split{good, good};
  split.train.pixels.pop_back();
  EXPECT_NE(refusal([&] { hold_out(split, 2, 0); }), "no exception");
  Dataset out;
  EXPECT_NE(refusal([&] { Augment({.flip = true}).apply(out, good, Samples{9}, {}, ThreadPool::shared()); }),
            "no exception");
  bad = good;
  EXPECT_NE(refusal([&] { Augment({.flip = true}).apply(bad, bad, Samples{1}, {}, ThreadPool::shared()); }),
            "no exception");
}

}  // namespace
}  // namespace volley
