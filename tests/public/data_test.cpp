// Data sets, encoders and augmentation with what they cannot take.

#include <limits>

#include <volley/known_sets.hpp>

#include "support.hpp"

namespace volley::test {
namespace {

struct Named {
  std::unique_ptr<Encoder> encoder;
  std::size_t steps;
};

/// One of every encoder, and a T that it takes for pictures of 5 rows.
std::vector<Named> all_encoders() {
  std::vector<Named> all;
  all.push_back({std::make_unique<Poisson>(), 4});
  all.push_back({std::make_unique<Direct>(), 4});
  all.push_back({std::make_unique<Rows>(), 5});
  all.push_back({std::make_unique<Delta>(), 5});
  all.push_back({std::make_unique<Latency>(), 4});
  all.push_back({std::make_unique<WeightedPhase>(), 4});
  all.push_back({std::make_unique<Population>(), 4});
  all.push_back({std::make_unique<Population>(PopulationOptions{.mode = PopulationMode::random}), 4});
  all.push_back({std::make_unique<Periodic>(PeriodicOptions{.period = 3}), 7});
  return all;
}

const Dataset kData = pictures({2, 5, 3}, 4, 2);
const std::vector<std::uint32_t> kSamples{3, 0, 3};

TEST(PublicEncoders, EncodeABatchAsItsSamples) {
  for (const auto& [encoder, steps] : all_encoders()) {
    SCOPED_TRACE(encoder->kind());
    Tape tape, ahead;
    const Signal x = encoder->encode(kData, kSamples, steps, {.seed = 1}, tape);
    EXPECT_EQ(x.shape(), encoder->output_shape(kData.shape).after({3, steps}));
    const std::vector<float> whole = values_of(x);
    for (std::size_t n = 0; n < 3; ++n) {
      Tape alone;
      const std::vector<float> one =
          values_of(encoder->encode(kData, {&kSamples[n], 1}, steps, {.seed = 1}, alone));
      EXPECT_TRUE(
          std::equal(one.begin(), one.end(), whole.begin() + static_cast<std::ptrdiff_t>(n * one.size())));
    }
    const Signal later = encoder->encode_ahead(kData, kSamples, steps, {.seed = 1}, ahead);
    ahead.threads().finish_ahead();
    EXPECT_EQ(values_of(later), whole);
  }
}

TEST(PublicEncoders, RefuseWhatTheyCannotEncode) {
  for (const auto& [encoder, steps] : all_encoders()) {
    SCOPED_TRACE(encoder->kind());
    Tape tape;
    const auto refuses = [&, &encoder = encoder](const Dataset& data,
                                                 const std::vector<std::uint32_t>& samples, std::size_t T,
                                                 Draw draw) {
      EXPECT_THROW(encoder->encode(data, samples, T, draw, tape), Error);
      EXPECT_THROW(encoder->encode_ahead(data, samples, T, draw, tape), Error);
      tape.threads().finish_ahead();
    };
    refuses(kData, {0xFFFFFFFFu}, steps, {});
    refuses(kData, kSamples, std::numeric_limits<std::size_t>::max(), {});
    refuses(kData, kSamples, steps, {.first_sample = 0xFFFFFFFFu});
    refuses(Dataset{}, {0}, steps, {});
    Dataset flat = kData;
    flat.shape = Shape{};
    refuses(flat, kSamples, steps, {});
    Dataset huge = kData;
    huge.shape = {std::size_t{1} << 40, std::size_t{1} << 40};
    refuses(huge, kSamples, steps, {});
  }
}

TEST(PublicEncoders, RowsMustBeSteps) {
  Tape tape;
  EXPECT_FALSE(works_or_throws([&] { Rows{}.encode(kData, kSamples, 4, {}, tape); }, "[rows]"));
  EXPECT_FALSE(works_or_throws([&] { Delta{}.encode(kData, kSamples, 6, {}, tape); }, "[delta]"));
}

TEST(PublicEncoders, RefuseOptionsOutOfRange) {
  DirectOptions direct;
  direct.deviation = {0.0f};
  expect_throws<ArgumentError>([&] { Direct{direct}; }, {"[direct]", "std"});
  direct.deviation = {1, 1, 1};
  Tape tape;
  EXPECT_FALSE(works_or_throws([&] { Direct{direct}.encode(kData, kSamples, 4, {}, tape); }, "[direct]"));
  expect_throws<ArgumentError>([] { Delta{{.threshold = 0}}; }, {"[delta]", "threshold"});
  expect_throws<ArgumentError>([] { WeightedPhase{{.phases = 0}}; }, {"[weighted_phase]", "phases"});
  expect_throws<ArgumentError>([] { WeightedPhase{{.phases = 65}}; }, {"[weighted_phase]", "phases"});
  expect_throws<ArgumentError>([] { Population{{.neurons = 1}}; }, {"[population]", "neurons"});
  expect_throws<ArgumentError>([] { Periodic{PeriodicOptions{}}; }, {"[periodic]", "period"});
}

TEST(PublicEncoders, ProbabilitiesOfAnyKindFireAsTheyShould) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const std::vector<float> rates{nan, -1, 0, 1, 2, inf, -inf, 0.5f};
  Tensor probabilities(Shape{1, 8});
  std::copy(rates.begin(), rates.end(), probabilities.data());
  Tape tape;
  const Signal x = Poisson{}.encode(probabilities, 200, {.seed = 1}, tape);
  const std::vector<std::size_t> expected{0, 0, 0, 200, 200, 200, 0};
  for (std::size_t f = 0; f < expected.size(); ++f) EXPECT_EQ(x.spikes().count(0, f), expected[f]) << f;
  EXPECT_NEAR(static_cast<double>(x.spikes().count(0, 7)), 100, 40);
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{0, 3}, Shape{3, 0}}) {
    const Tensor odd(shape);
    EXPECT_FALSE(works_or_throws([&] { Poisson{}.encode(odd, 4, {}, tape); }, "[poisson]")) << shape.text();
  }
  EXPECT_FALSE(works_or_throws([&] { Poisson{}.encode(probabilities, 0, {}, tape); }, "[poisson]"));
}

/// An encoder of the user.
class Ones final : public Encoder {
 public:
  explicit Ones(const Shape& returned) : returned_(returned) {}
  std::string_view kind() const override { return "ones"; }

 private:
  Signal do_encode(const Dataset&, std::span<const std::uint32_t>, std::size_t, const Draw&,
                   Tape& tape) const override {
    Tensor& x = tape.saved<Tensor>();
    x = tensor_of(returned_, [](std::size_t) { return 1.0f; });
    return x;
  }
  Shape returned_;
};

TEST(PublicEncoders, AnEncoderOfTheUserIsChecked) {
  Tape tape;
  EXPECT_EQ(values_of(Ones({3, 4, 2, 5, 3}).encode(kData, kSamples, 4, {}, tape)),
            std::vector<float>(360, 1.0f));
  EXPECT_FALSE(works_or_throws(
      [&] {
        Ones({2, 4, 2, 5, 3}).encode(kData, kSamples, 4, {}, tape);
      },
      "[ones]"));
}

TEST(PublicDatasets, FirstHasAtMostAllPictures) {
  EXPECT_EQ(kData.first(0).size(), 0u);
  EXPECT_EQ(kData.first(3).size(), 3u);
  EXPECT_EQ(kData.first(100).size(), 4u);
  expect_throws<ArgumentError>([&] { static_cast<void>(Dataset{}.picture(0)); }, {"0"});
}

TEST(PublicDatasets, HoldOutNeedsAPictureInEachPart) {
  for (const std::size_t held :
       {std::size_t{0}, std::size_t{4}, std::size_t{5}, std::numeric_limits<std::size_t>::max()}) {
    Split split{.train = kData, .test = kData};
    EXPECT_THROW(hold_out(split, held, 1), Error) << held;
    EXPECT_EQ(split.train.size(), 4u);
  }
  Split split{.train = kData, .test = kData};
  hold_out(split, 3, 1);
  EXPECT_EQ(split.train.size(), 1u);
  EXPECT_EQ(split.validation.size(), 3u);
}

TEST(PublicDatasets, UnknownSetsAndFoldersAreErrors) {
  EXPECT_THROW(datasets::load("nothing", "/nowhere"), Error);
  EXPECT_THROW(datasets::load("mnist", "/nowhere"), Error);
  EXPECT_THROW(datasets::load("./nowhere"), Error);
  EXPECT_THROW(datasets::load(""), Error);
  EXPECT_THROW(datasets::load_part("mnist", datasets::Part::test, "/nowhere"), Error);
  EXPECT_THROW(datasets::fetch("nothing", "/nowhere"), Error);
  EXPECT_FALSE(datasets::list("/nowhere").empty());
}

TEST(PublicAugment, RefusesWhatItCannotChange) {
  ThreadPool& threads = ThreadPool::shared();
  const Augment augment({.crop_padding = 1, .flip = true});
  Dataset out;
  augment.apply(out, kData, kSamples, {.seed = 1}, threads);
  EXPECT_EQ(out.shape, kData.shape);
  EXPECT_THROW(augment.apply(out, Dataset{}, kSamples, {}, threads), ArgumentError);
  Dataset cut = kData;
  cut.pixels.resize(7);
  EXPECT_THROW(augment.apply(out, cut, kSamples, {}, threads), ArgumentError);
  EXPECT_THROW(augment.check({4}), ArgumentError);
  EXPECT_THROW(augment.check({2, 0, 3}), ArgumentError);
  expect_throws<ArgumentError>([] { Augment{{.crop_padding = 1025}}; }, {"crop_padding"});
}

}  // namespace
}  // namespace volley::test
