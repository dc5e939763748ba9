// A program of its own, since it takes the place of the C library's malloc: once a training runs, a batch
// asks for no memory.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <numeric>

#include <volley/volley.hpp>

#include "support/random.hpp"

namespace {
std::atomic<std::size_t> asked{0};
}

// The C library's own, under the names it keeps for those who replace them. Everything else that gives memory
// (operator new, posix_memalign of other libraries) comes down to these.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++asked;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++asked;
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  ++asked;
  return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  ++asked;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++asked;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  ++asked;
  *memory = __libc_memalign(alignment, size);
  return *memory != nullptr ? 0 : ENOMEM;
}
}

namespace volley {
namespace {

/// Pictures of which some are emptier than others, so that no batch needs just what the one before did.
Dataset some_pictures(std::size_t samples) {
  constexpr std::size_t kPixels = 100;
  Dataset data{.name = "some", .shape = {1, 10, 10}, .labels = std::vector<std::uint32_t>(samples)};
  data.classes.assign(3, "");
  test::Random random(1);
  for (std::size_t n = 0; n < samples; ++n) {
    const std::uint32_t emptiness = random.below(5);
    for (std::size_t i = 0; i < kPixels; ++i)
      data.pixels.push_back(static_cast<std::uint8_t>(random.below(5) < emptiness ? 0 : random.below(256)));
    data.labels[n] = static_cast<std::uint8_t>(n % 3);
  }
  return data;
}

/// Counts what is asked for from the end of one batch to the end of the next, within an epoch.
class Counter final : public Recorder {
 public:
  void iteration(const IterationRecord& record, Trainer&) override {
    if (record.epoch != epoch_) {
      epoch_ = record.epoch;
      of_epoch_.push_back(0);
    } else {
      of_epoch_.back() += asked - before_;
    }
    before_ = asked;
  }
  void test_batch(std::size_t done, std::size_t) override {
    if (done > 1) of_epoch_.back() += asked - before_;
    before_ = asked;
  }
  const std::vector<std::size_t>& of_epoch() const { return of_epoch_; }

 private:
  std::size_t epoch_ = 0;
  std::size_t before_ = 0;
  std::vector<std::size_t> of_epoch_;
};

/// What is trained, beside its data.
struct Case {
  Sequential (*net)();
  EncoderOptions encoder = PoissonOptions{};
  LossRecipe loss = RateMseOptions{};
  AugmentOptions augment{};
  std::size_t steps = 70;
};

std::vector<std::size_t> count(const Case& of, std::size_t threads, std::size_t epochs) {
  Recipe recipe;
  recipe.encoder = of.encoder, recipe.loss = of.loss, recipe.augment = of.augment;
  recipe.schedule = StepSchedule{{}, 2, 0.5};
  Sequential net = of.net();
  Trainer trainer(net, recipe.build_parts(), {.steps = of.steps, .batch = 8, .threads = threads});
  const Dataset train = some_pictures(160), test = some_pictures(48);
  Counter counter;
  trainer.fit(train, test, epochs, &counter);
  return counter.of_epoch();
}

Sequential small_net() { return Sequential{Flatten{}, Linear{100, 3, {.bias = false}}, LIF{}}; }
Sequential two_inputs_net() { return Sequential{Flatten{}, Linear{200, 3}, LIF{}}; }
Sequential deep_net() {
  return Sequential{
      Flatten{}, Linear{100, 40}, LIF{}, Linear{40, 12}, LIF{{.surrogate = Sigmoid{}}}, Linear{12, 3}, LIF{}};
}

Sequential conv_net() {
  return Sequential{Conv2d{1, 4, 3}, BatchNorm{4}, LIF{},     Conv2d{4, 4, 3},  BatchNorm{4},
                    LIF{},           MaxPool2d{2}, Flatten{}, Linear{4 * 9, 3}, LIF{}};
}
Sequential potential_net() { return Sequential{Flatten{}, Linear{100, 12}, LIF{}, Linear{12, 3}, LI{}}; }

const Case kCases[] = {{small_net},
                       {deep_net},
                       {small_net, PoissonOptions{}, CountCrossEntropyOptions{}},
                       {small_net, PoissonOptions{}, TetOptions{}, {.crop_padding = 2, .flip = true}},
                       {two_inputs_net, PopulationOptions{.neurons = 2, .mode = PopulationMode::random}},
                       {potential_net, DirectOptions{}, MembraneMseOptions{}},
                       {potential_net, LatencyOptions{}, MembraneCrossEntropyOptions{}},
                       {conv_net, DirectOptions{}, RateMseOptions{}, {.flip = true}, 4}};

TEST(Allocations, AreCounted) {
  const std::size_t before = asked;
  void* volatile memory = ::operator new(4);  // volatile: nobody may find out that it is not used
  ::operator delete(memory);
  memory = std::calloc(1, 8);
  std::free(memory);
  const Buffer<float> aligned(100);
  EXPECT_EQ(asked - before, 3u);
}

TEST(Allocations, ARunningTrainingAsksForNone) {
  for (const Case& of : kCases) {
    const std::vector<std::size_t> counts = count(of, 1, 4);
    for (std::size_t epoch = 1; epoch < counts.size(); ++epoch)
      EXPECT_EQ(counts[epoch], 0u) << "case " << &of - kCases << ", epoch " << epoch + 1;
  }
}

// Which thread does what is not the same in every epoch: one that never had a certain piece of work before
// asks for its memory then. It does so once, and that comes to an end; what is asked for by each batch does
// not.
TEST(Allocations, NorDoesOneOnSeveralThreads) {
  for (const Case& of : kCases) {
    const std::vector<std::size_t> counts = count(of, 2, 30);
    EXPECT_EQ(*std::min_element(counts.begin() + 1, counts.end()), 0u);
    const std::size_t all = std::accumulate(counts.begin() + 1, counts.end(), std::size_t{0});
    EXPECT_LT(all, 200u) << "a few by each thread, not some by each of 780 batches";
  }
}

}  // namespace
}  // namespace volley
