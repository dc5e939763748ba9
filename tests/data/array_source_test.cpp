#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <volley/array.hpp>
#include <volley/error.hpp>

#include "support/error_text.hpp"
#include "support/test_file.hpp"

namespace volley {
namespace {

using test::error_text;

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;
using Ids = std::vector<std::uint32_t>;

/// An array in memory.
template <class T>
Array make(const Shape& shape, ElementType type, std::vector<T> numbers) {
  EXPECT_EQ(shape.size(), numbers.size());
  auto owner = std::make_shared<const std::vector<T>>(std::move(numbers));
  return {shape, type, owner->data(), owner};
}
Array bytes(const Shape& shape, std::vector<std::uint8_t> numbers) {
  return make(shape, ElementType::u8, std::move(numbers));
}
Array floats(const Shape& shape, std::vector<float> numbers) {
  return make(shape, ElementType::f32, std::move(numbers));
}
Array whole(const Shape& shape, std::vector<std::int64_t> numbers) {
  return make(shape, ElementType::i64, std::move(numbers));
}
/// 0, 1, 2, ...
Array counted(const Shape& shape) {
  std::vector<float> numbers(shape.size());
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  return floats(shape, numbers);
}

Samples read(const Source& source, const Ids& ids) {
  Samples samples;
  source.read(ids, samples);
  return samples;
}
Floats values_of(const Tensor& tensor) { return {tensor.values().begin(), tensor.values().end()}; }
Bytes bytes_of(const Spikes& spikes) {
  Bytes all(spikes.shape().size());
  spikes.to_bytes(all);
  return all;
}
std::string refused(const ArrayParts& parts) {
  return error_text([&] { const ArraySource source(parts); });
}

TEST(ArraySource, BytesArePictures) {
  const ArraySource source({.name = "digits",
                            .x = bytes({3, 1, 2}, {1, 2, 3, 4, 5, 6}),
                            .targets = whole({3}, {0, 4, 2}),
                            .weights = floats({3}, {1, 0.5f, 2})});
  EXPECT_EQ(source.info().name, "digits");
  EXPECT_EQ(source.size(), 3u);
  EXPECT_EQ(source.info().kind, SampleKind::bytes);
  EXPECT_EQ(source.info().shape, (Shape{1, 2}));
  EXPECT_EQ(source.info().steps, 0u);
  EXPECT_EQ(source.info().outputs, 5u);
  const Samples samples = read(source, {2, 0, 2});
  EXPECT_EQ(samples.bytes, (Bytes{5, 6, 1, 2, 5, 6}));
  EXPECT_EQ(samples.targets.labels, (Ids{2, 0, 2}));
  EXPECT_EQ(samples.targets.weights, (Floats{2, 1, 2}));
  EXPECT_TRUE(samples.targets.lengths.empty());
  EXPECT_EQ(samples.targets.values.size(), 0u);
}

TEST(ArraySource, ValuesOfAnyType) {
  const ArraySource source({.x = make<std::int16_t>({2, 3}, ElementType::i16, {-1, 2, 3, 4, 5, 6}),
                            .targets = floats({2}, {0.25f, -1})});
  EXPECT_EQ(source.info().name, "arrays");
  EXPECT_EQ(source.info().kind, SampleKind::values);
  EXPECT_EQ(source.info().outputs, 1u);
  const Samples samples = read(source, {1, 0});
  EXPECT_EQ(samples.values.shape(), (Shape{2, 3}));
  EXPECT_EQ(values_of(samples.values), (Floats{4, 5, 6, -1, 2, 3}));
  EXPECT_EQ(samples.targets.values.shape(), (Shape{2, 1}));
  EXPECT_EQ(values_of(samples.targets.values), (Floats{-1, 0.25f}));
  EXPECT_TRUE(samples.targets.labels.empty());
  const ArraySource as_values({.x = bytes({1, 2}, {7, 255}), .kind = SampleKind::values});
  EXPECT_EQ(values_of(read(as_values, {0}).values), (Floats{7, 255}));
  EXPECT_EQ(as_values.info().outputs, 0u);
}

TEST(ArraySource, SequencesOfOneLength) {
  const ArraySource source(
      {.x = counted({2, 3, 2}), .targets = counted({2, 3, 1}), .kind = SampleKind::sequences});
  EXPECT_EQ(source.info().steps, 3u);
  EXPECT_EQ(source.info().shape, Shape{2});
  const Samples samples = read(source, {1});
  EXPECT_EQ(samples.values.shape(), (Shape{1, 3, 2}));
  EXPECT_EQ(values_of(samples.values), (Floats{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(samples.targets.values.shape(), (Shape{1, 3, 1}));
  EXPECT_EQ(values_of(samples.targets.values), (Floats{3, 4, 5}));
  EXPECT_TRUE(samples.targets.lengths.empty());
  // (N, T) of real numbers are T values for each sample.
  const ArraySource of_samples(
      {.x = counted({2, 3, 2}), .targets = counted({2, 3}), .kind = SampleKind::sequences});
  EXPECT_EQ(of_samples.info().outputs, 3u);
  EXPECT_EQ(read(of_samples, {1}).targets.values.shape(), (Shape{1, 3}));
}

TEST(ArraySource, SequencesThatArePadded) {
  const ArraySource source({.x = counted({3, 4, 1}),
                            .targets = whole({3, 4}, {1, 2, -1, -1, 3, 3, 3, -1, 1, -1, -1, -1}),
                            .lengths = whole({3}, {2, 3, 1})});
  EXPECT_EQ(source.info().kind, SampleKind::sequences);
  EXPECT_EQ(source.info().steps, 3u);
  EXPECT_EQ(source.info().outputs, 4u);
  const Samples samples = read(source, {0, 2});
  EXPECT_EQ(samples.values.shape(), (Shape{2, 2, 1}));
  EXPECT_EQ(values_of(samples.values), (Floats{0, 1, 8, 0}));
  EXPECT_EQ(samples.targets.lengths, (Ids{2, 1}));
  EXPECT_EQ(samples.targets.labels, (Ids{1, 2, 1, 0}));
  EXPECT_TRUE(read(source, {1, 1}).targets.lengths.empty());  // all have all steps
}

TEST(ArraySource, SequencesOneAfterAnother) {
  const ArrayParts parts{
      .x = counted({6, 2}), .targets = whole({6}, {0, 1, 2, 3, 4, 5}), .lengths = whole({3}, {2, 3, 1})};
  const ArraySource source(parts);
  EXPECT_EQ(source.size(), 3u);
  EXPECT_EQ(source.info().steps, 3u);
  EXPECT_EQ(source.info().shape, Shape{2});
  const Samples samples = read(source, {1, 2});
  EXPECT_EQ(samples.values.shape(), (Shape{2, 3, 2}));
  EXPECT_EQ(values_of(samples.values), (Floats{4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 0, 0}));
  EXPECT_EQ(samples.targets.labels, (Ids{2, 3, 4, 5, 0, 0}));
  EXPECT_EQ(samples.targets.lengths, (Ids{3, 1}));

  ArrayParts of_samples = parts;
  of_samples.targets = whole({3}, {7, 8, 9});
  EXPECT_EQ(read(ArraySource(of_samples), {2, 0}).targets.labels, (Ids{9, 7}));

  ArrayParts real = parts;
  real.targets = counted({6, 2});
  const Samples of_steps = read(ArraySource(real), {2, 0});
  EXPECT_EQ(of_steps.targets.values.shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(values_of(of_steps.targets.values), (Floats{10, 11, 0, 0, 0, 1, 2, 3}));
  real.targets = counted({6});
  EXPECT_EQ(read(ArraySource(real), {0}).targets.values.shape(), (Shape{1, 2, 1}));
  real.targets = counted({3, 4});
  EXPECT_EQ(values_of(read(ArraySource(real), {1}).targets.values), (Floats{4, 5, 6, 7}));
  real.targets = counted({3});
  EXPECT_EQ(read(ArraySource(real), {1, 2}).targets.values.shape(), (Shape{2, 1}));
}

TEST(ArraySource, AMaskSaysWhichStepsCount) {
  ArrayParts parts{.x = counted({6, 1}),
                   .targets = whole({6}, {0, -1, 2, 3, -100, 1}),
                   .lengths = whole({3}, {2, 3, 1}),
                   .mask = whole({6}, {1, 0, 1, 1, 0, 1})};
  const ArraySource joined(parts);
  EXPECT_EQ(joined.info().outputs, 4u);  // labels of what does not count are not read
  Samples samples = read(joined, {1, 2});
  EXPECT_EQ(samples.targets.mask, (Bytes{1, 1, 0, 1, 0, 0}));
  EXPECT_EQ(samples.targets.labels, (Ids{2, 3, 0, 1, 0, 0}));
  joined.read(Ids{2}, samples);
  EXPECT_EQ(samples.targets.mask, (Bytes{1}));

  const ArraySource padded({.x = counted({2, 3, 1}),
                            .targets = whole({2, 3}, {1, -1, 7, 0, 2, -1}),
                            .lengths = whole({2}, {2, 3}),
                            .mask = bytes({2, 3}, {1, 0, 9, 1, 1, 0})});  // 7 and 9 are padding
  EXPECT_EQ(padded.info().outputs, 3u);
  padded.read(Ids{1, 0}, samples);
  EXPECT_EQ(samples.targets.mask, (Bytes{1, 1, 0, 1, 0, 0}));
  ArraySource({.x = counted({2, 1})}).read(Ids{0}, samples);
  EXPECT_TRUE(samples.targets.mask.empty());

  parts.mask = whole({6}, {1, 0, 1, 1, 0, 0});
  EXPECT_EQ(refused(parts), "[arrays] the mask must leave each sample a step, got none of sample 2");
  parts.mask = whole({6}, {1, 0, 1, 2, 0, 1});
  EXPECT_EQ(refused(parts), "[arrays] the mask of sample 1 at step 1 must be 0 or 1, got 2");
  parts.mask = whole({3}, {1, 1, 1});
  EXPECT_EQ(refused(parts), "[arrays] mask must be (6), got (3)");
  EXPECT_EQ(refused({.x = counted({2, 3}), .mask = whole({2, 3}, {1, 1, 1, 1, 1, 1})}),
            "[arrays] with a mask, kind must be sequences or spikes, got values");
  EXPECT_EQ(refused({.x = counted({2, 3, 1}), .mask = whole({2}, {1, 1}), .kind = SampleKind::sequences}),
            "[arrays] mask must be (2, 3), got (2)");
}

TEST(ArraySource, SpikesArePacked) {
  for (const ElementType type : {ElementType::u8, ElementType::boolean}) {
    const ArraySource source({.x = make<std::uint8_t>({3, 1, 3}, type, {1, 0, 1, 0, 1, 0, 1, 1, 1}),
                              .lengths = whole({2}, {1, 2}),
                              .kind = SampleKind::spikes});
    Samples samples = read(source, {1, 0});
    EXPECT_EQ(samples.spikes.shape(), (Shape{2, 2, 1, 3}));
    EXPECT_EQ(bytes_of(samples.spikes), (Bytes{0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0}));
    EXPECT_EQ(samples.targets.lengths, (Ids{2, 1}));
    source.read(Ids{0}, samples);
    EXPECT_EQ(bytes_of(samples.spikes), (Bytes{1, 0, 1}));
    EXPECT_TRUE(samples.targets.lengths.empty());
  }
  const ArraySource wrong({.name = "letters",
                           .x = bytes({2, 2, 3}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 0}),
                           .kind = SampleKind::spikes});
  EXPECT_EQ(read(wrong, {0}).spikes.count(), 0u);
  EXPECT_EQ(error_text([&] {
              read(wrong, {0, 1});
            }),
            "[letters] spikes of sample 1 at step 1 must be 0 or 1, got 255");
}

TEST(ArraySource, WideSpikesFillTheirWords) {
  std::vector<std::uint8_t> x(2 * 3 * 130);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 0 || i % 7 == 0;
  const ArraySource source({.x = bytes({2, 3, 130}, x), .kind = SampleKind::spikes});
  EXPECT_EQ(bytes_of(read(source, {0, 1}).spikes), x);
}

TEST(ArraySource, MemoryServesOneReadAfterAnother) {
  const ArraySource source({.x = counted({4, 3, 2}),
                            .targets = counted({4, 2}),
                            .lengths = whole({4}, {3, 1, 2, 1}),
                            .weights = counted({4})});
  Samples samples = read(source, {0, 1, 2, 3});
  const float* const x = samples.values.data();
  const float* const y = samples.targets.values.data();
  const std::uint32_t* const lengths = samples.targets.lengths.data();
  samples.targets.labels = {7};  // of another source
  samples.targets.heads.resize(2);
  source.read(Ids{2, 3}, samples);
  EXPECT_EQ(samples.values.shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(values_of(samples.values), (Floats{12, 13, 14, 15, 18, 19, 0, 0}));
  EXPECT_EQ(values_of(samples.targets.values), (Floats{4, 5, 6, 7}));
  EXPECT_EQ(samples.targets.weights, (Floats{2, 3}));
  EXPECT_EQ(samples.targets.lengths, (Ids{2, 1}));
  EXPECT_TRUE(samples.targets.labels.empty());
  EXPECT_TRUE(samples.targets.heads.empty());
  source.read(Ids{3, 1, 2, 0}, samples);
  EXPECT_EQ(samples.values.data(), x);
  EXPECT_EQ(samples.targets.values.data(), y);
  EXPECT_EQ(samples.targets.lengths.data(), lengths);
}

TEST(ArraySource, ClassesHaveNames) {
  ArrayParts parts{.x = counted({2, 1}), .targets = whole({2}, {0, 2}), .classes = {"a", "b", "c", "d"}};
  EXPECT_EQ(ArraySource(parts).info().outputs, 4u);
  EXPECT_EQ(ArraySource(parts).info().classes.size(), 4u);
  parts.classes = {"a", "b"};
  EXPECT_EQ(refused(parts), "[arrays] labels of sample 1 must be below 2, the number of classes, got 2");
  parts.targets = counted({2, 3});
  EXPECT_EQ(refused(parts), "[arrays] classes must be 3, as many as the values of a target, got 2");
  parts.targets = {};
  EXPECT_EQ(ArraySource(parts).info().outputs, 2u);
}

TEST(ArraySource, KindsThatDoNotFitAreRefused) {
  EXPECT_EQ(refused({.name = "mine"}), "[mine] x must be given");
  EXPECT_EQ(refused({.x = counted({2, 3}), .kind = SampleKind::bytes}),
            "[arrays] x must be uint8, got float32");
  EXPECT_EQ(refused({.x = counted({2, 3, 4}), .kind = SampleKind::spikes}),
            "[arrays] x must be uint8 or bool, got float32");
  EXPECT_EQ(refused({.x = counted({2, 3}), .kind = SampleKind::events}),
            "[arrays] kind must not be events, which are in no array, got events");
  EXPECT_EQ(refused({.x = counted({2, 3}), .lengths = whole({2}, {1, 1}), .kind = SampleKind::values}),
            "[arrays] with lengths, kind must be sequences or spikes, got values");
}

TEST(ArraySource, ShapesThatDoNotFitAreRefused) {
  const Array two = whole({2}, {1, 2});
  EXPECT_EQ(refused({.x = counted({2})}),
            "[arrays] x must be (N, features...) with 1 to 6 dimensions of features, got (2)");
  EXPECT_EQ(refused({.x = counted({2, 3}), .kind = SampleKind::sequences}),
            "[arrays] x must be (N, T, features...) with 1 to 6 dimensions of features, got (2, 3)");
  EXPECT_EQ(
      refused({.x = counted({3}), .lengths = two}),
      "[arrays] x must be (sum of the lengths, features...) with 1 to 6 dimensions of features, got (3)");
  EXPECT_EQ(
      refused({.x = counted({1, 1, 1, 1, 1, 1, 1, 1})}),
      "[arrays] x must be (N, features...) with 1 to 6 dimensions of features, got (1, 1, 1, 1, 1, 1, 1, 1)");
  EXPECT_EQ(refused({.x = counted({4, 1}), .lengths = two}),
            "[arrays] x must have 2 rows, one for each of the lengths, or 3, the sum of the lengths, got 4");
  EXPECT_EQ(refused({.x = counted({2, 1, 1}), .lengths = two}),
            "[arrays] the length of sample 1 must be 1 to 1, got 2");
  EXPECT_EQ(refused({.x = counted({2, 1, 1}), .lengths = whole({2}, {0, 1})}),
            "[arrays] the length of sample 0 must be 1 to 1, got 0");
  EXPECT_EQ(refused({.x = counted({2, 1, 1}), .lengths = whole({2, 1}, {1, 1})}),
            "[arrays] lengths must be (N), got (2, 1)");
  EXPECT_EQ(refused({.x = counted({2, 1, 1}), .lengths = floats({2}, {1, 0.5f})}),
            "[arrays] lengths: element 1 must be a whole number below 2^32, got 0.5");
}

TEST(ArraySource, TargetsThatDoNotFitAreRefused) {
  const Array x = counted({2, 1}), steps = counted({2, 3, 1}), joined = counted({3, 1}),
              two = whole({2}, {1, 2});
  EXPECT_EQ(refused({.x = x, .targets = whole({3}, {1, 1, 1})}),
            "[arrays] int64 targets must be (2), got (3)");
  EXPECT_EQ(refused({.x = x, .targets = whole({2, 1}, {1, 1})}),
            "[arrays] int64 targets must be (2), got (2, 1)");
  EXPECT_EQ(refused({.x = x, .targets = whole({2}, {0, -1})}),
            "[arrays] targets: element 1 must be a whole number below 2^32, got -1");
  EXPECT_EQ(refused({.x = steps, .targets = whole({2, 2}, {1, 1, 1, 1}), .kind = SampleKind::sequences}),
            "[arrays] int64 targets must be (2) or (2, 3), got (2, 2)");
  EXPECT_EQ(refused({.x = joined, .targets = whole({4}, {1, 1, 1, 1}), .lengths = two}),
            "[arrays] int64 targets must be (2) or (3), got (4)");
  EXPECT_EQ(refused({.x = x, .targets = counted({2, 1, 1})}),
            "[arrays] float32 targets must be (2) or (2, K), got (2, 1, 1)");
  EXPECT_EQ(refused({.x = steps, .targets = counted({2, 2, 5}), .kind = SampleKind::sequences}),
            "[arrays] float32 targets must be (2) or (2, K), or (2, 3, K), got (2, 2, 5)");
  EXPECT_EQ(refused({.x = joined, .targets = counted({4, 1}), .lengths = two}),
            "[arrays] float32 targets must be (2) or (2, K), or (3, K), got (4, 1)");
  EXPECT_EQ(refused({.x = x, .targets = Array::of(Tensor(Shape{2, 0}))}),
            "[arrays] targets must have values, got (2, 0)");
}

TEST(ArraySource, WeightsThatDoNotFitAreRefused) {
  EXPECT_EQ(refused({.x = counted({2, 1}), .weights = counted({3})}),
            "[arrays] weights must be (2), got (3)");
  EXPECT_EQ(refused({.x = counted({2, 1}), .weights = floats({2}, {1, -0.5f})}),
            "[arrays] the weight of sample 1 must be >= 0, got -0.5");
  EXPECT_EQ(
      refused({.x = counted({2, 1}), .weights = floats({2}, {std::numeric_limits<float>::quiet_NaN(), 1})}),
      "[arrays] the weight of sample 0 must be >= 0, got nan");
  EXPECT_EQ(
      refused({.x = counted({2, 1}), .weights = floats({2}, {1, std::numeric_limits<float>::infinity()})}),
      "[arrays] the weight of sample 1 must be >= 0, got inf");
}

TEST(ArraySource, LettersOfAnArchive) {
  VOLLEY_NEEDS_FILE("derived/braille_letters.npz");
  auto arrays = read_arrays(test::test_file("derived/braille_letters.npz"));
  const ArraySource source({.x = arrays.at("x"), .targets = arrays.at("y"), .lengths = arrays.at("length")});
  EXPECT_EQ(source.size(), 1350u);
  EXPECT_EQ(source.info().kind, SampleKind::sequences);
  EXPECT_EQ(source.info().shape, Shape{12});
  EXPECT_EQ(source.info().steps, 77u);
  EXPECT_EQ(source.info().outputs, 27u);
  const Samples samples = read(source, {7, 0});
  EXPECT_EQ(samples.targets.lengths, (Ids{77, 76}));
  EXPECT_EQ(samples.values.data()[3 * 12 + 1], 229.0f);
  EXPECT_EQ(samples.values.data()[(2 * 77 - 1) * 12], 0.0f);
  EXPECT_EQ(samples.targets.labels, (Ids{0, 0}));
}

}  // namespace
}  // namespace volley
