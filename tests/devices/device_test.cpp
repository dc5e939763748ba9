#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <volley/volley.hpp>

#include "support/deferred_device.hpp"
#include "support/error_text.hpp"
#include "support/random_tensor.hpp"
#include "support/stripes.hpp"

namespace volley {
namespace {

using test::error_text;
using test::random_tensor;

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.values(), b.values());
}

TEST(Device, IsKnownByItsName) {
  EXPECT_EQ(Device("cpu", 1).name(), "cpu");
  EXPECT_EQ(Device("auto", 1).name(), "cpu");  // this build has no other
  EXPECT_EQ(Device("cpu", 3).threads().size(), 3u);
  ASSERT_FALSE(devices().empty());
  EXPECT_EQ(devices().front().name, "cpu");
  EXPECT_NE(devices().front().description.find("usable processors"), std::string::npos);
  for (const char* name : {"", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:1 ", "cuda:1000", "cpu:1"}) {
    EXPECT_EQ(error_text([&] { Device device(name); }),
              "[device] name must be 'cpu', 'cuda', 'cuda:N' or 'auto', got '" + std::string(name) + "'");
  }
  for (const char* name : {"cuda", "cuda:0", "cuda:12"}) {
    check_device_name(name);
    EXPECT_THROW(
        {
          try {
            Device device(name);
          } catch (const DeviceError& error) {
            EXPECT_EQ(error.device(), name);
            EXPECT_EQ(std::string(error.what()),
                      "device " + std::string(name) +
                          ": this build of Volley runs on CPUs alone; volley info lists its devices");
            throw;
          }
        },
        DeviceError);
  }
}

TEST(Device, OfATapeIsThatOfItsChildren) {
  const Device device("cpu", 2);
  Tape tape(device);
  EXPECT_EQ(&tape.device(), &device);
  EXPECT_EQ(&tape.child(1).device(), &device);
  EXPECT_EQ(&tape.threads(), &device.threads());
  ThreadPool pool(1);
  EXPECT_EQ(&Tape(pool).threads(), &pool);
}

/// What a pass of a layer gives.
struct PassResult {
  Tensor y, dx;
  std::vector<Tensor> gradients;
};

PassResult pass(Layer& layer, const Signal& x, const Tensor& dy, const Device& device) {
  Tape tape(device);
  PassResult result;
  zero_gradients(layer.parameters());
  result.y = to_tensor(layer.forward(x, tape));
  result.dx = to_tensor(layer.backward(tape, dy));
  for (const NamedParameter& p : layer.parameters()) result.gradients.push_back(p.parameter->gradient);
  return result;
}

Tensor spikes_from(const Shape& shape, std::uint32_t seed) {
  Tensor values = random_tensor(shape, seed);
  for (float& v : values.values()) v = v > 0.4f ? 1.0f : 0.0f;
  return values;
}

/// A device whose operations run later, on memory that no other code can reach, gives the CPU's bits.
TEST(DeferredDevice, LinearHasTheBitsOfTheCpu) {
  for (const std::size_t out : {3, 40}) {
    for (const bool spikes : {false, true}) {
      Linear layer(21, out);
      const Tensor values = spikes ? spikes_from({5, 6, 21}, 1) : random_tensor({5, 6, 21}, 1);
      const std::vector<std::uint8_t> bytes(values.values().begin(), values.values().end());
      const Spikes packed = Spikes::from_bytes(values.shape(), bytes);
      const Signal x = spikes ? Signal(packed) : Signal(values);
      const Tensor dy = random_tensor({5, 6, out}, 2);
      const PassResult expected = pass(layer, x, dy, Device("cpu", 2));
      const test::UseDeferredDevices use;
      const Device device("cpu", 2);
      const PassResult result = pass(layer, x, dy, device);
      EXPECT_TRUE(same(result.y, expected.y));
      EXPECT_TRUE(same(result.dx, expected.dx));
      ASSERT_EQ(result.gradients.size(), expected.gradients.size());
      for (std::size_t i = 0; i < result.gradients.size(); ++i)
        EXPECT_TRUE(same(result.gradients[i], expected.gradients[i]));
      EXPECT_EQ(test::deferred(device).operations(), 3u);  // forward, gradients, dx
    }
  }
}

/// What lies on the device is copied when the host asks for it, or has changed it, and else not.
TEST(DeferredDevice, CopiesWhatTheOtherSideHasWritten) {
  const test::UseDeferredDevices use;
  const Device device("cpu", 1);
  Linear layer(8, 4);
  Tensor x = random_tensor({2, 3, 8}, 1);
  const Tensor dy = random_tensor({2, 3, 4}, 2);
  zero_gradients(layer.parameters());
  const std::vector<NamedParameter> parameters = layer.parameters();
  Tape tape(device);
  tape.set_needs_input_gradient(false);
  const auto run = [&] {
    const Signal y = layer.forward(x, tape);
    static_cast<void>(layer.backward(tape, dy));
    return y;
  };
  auto copied = [&, before = std::uint64_t{0}]() mutable {
    const std::uint64_t now = device.copied_bytes(), since = now - before;
    before = now;
    return since / sizeof(float);
  };
  run();
  EXPECT_EQ(copied(), x.size() + dy.size() + 2 * (8 * 4 + 4));  // also the weights and their gradients
  const Signal y = run();
  EXPECT_EQ(copied(), 0u);  // all of it is there
  static_cast<void>(y.values());
  EXPECT_EQ(copied(), 2u * 3 * 4);
  static_cast<void>(y.values());
  EXPECT_EQ(copied(), 0u);
  x.data()[0] = 7;  // now the host's is newer
  run();
  EXPECT_EQ(copied(), x.size());
  parameters[0].parameter->value.values()[3] += 1;
  run();
  EXPECT_EQ(copied(), 8u * 4);
}

/// Notes what a device has copied by the end of each step.
struct Copies final : Recorder {
  std::vector<std::uint64_t> after;
  void iteration(const IterationRecord&, Trainer& trainer) override {
    after.push_back(trainer.device().copied_bytes());
  }
};

/// The tutorial's network, smaller: encoder, Linear, LIF, the mean square of the rate, Adam.
std::vector<Tensor> train(const AugmentOptions& augment, Copies& copies) {
  const Dataset data = test::stripes(64, 1);
  Sequential net(Flatten(), Linear(36, 3), LIF());
  Trainer trainer(net,
                  {.optimizer = std::make_shared<Adam>(0.01f),
                   .loss = std::make_shared<RateMse>(),
                   .encoder = std::make_shared<Poisson>(),
                   .augment = Augment(augment)},
                  {.steps = 12, .batch = 16, .threads = 2});
  static_cast<void>(trainer.fit({.train = data, .test = data}, 3, &copies));
  std::vector<Tensor> parameters;
  for (const NamedParameter& p : net.parameters()) parameters.push_back(p.parameter->value);
  return parameters;
}

void expect_the_bits_of_the_cpu(const AugmentOptions& augment) {
  Copies none, copies;
  const std::vector<Tensor> expected = train(augment, none);
  EXPECT_EQ(none.after.back(), 0u);
  const test::UseDeferredDevices use;
  const std::vector<Tensor> result = train(augment, copies);
  ASSERT_EQ(result.size(), expected.size());
  for (std::size_t i = 0; i < result.size(); ++i) EXPECT_TRUE(same(result[i], expected[i]));
  // Of a step no more is copied than its record: scores, loss and gradients' norms.
  const std::size_t scores = 16 * 3 * 4, figures = 3 * 8;
  ASSERT_EQ(copies.after.size(), 12u);
  for (const std::size_t i : {2, 6, 10}) EXPECT_EQ(copies.after[i] - copies.after[i - 1], scores + figures);
}

TEST(DeferredDevice, TrainsToTheBitsOfTheCpu) { expect_the_bits_of_the_cpu({}); }

/// The changed pictures are written and read there.
TEST(DeferredDevice, AugmentsToTheBitsOfTheCpu) {
  expect_the_bits_of_the_cpu({.crop_padding = 1, .flip = true});
}

TEST(DeferredDevice, RunsWhatWasBegunWhenAResultIsAskedFor) {
  const test::UseDeferredDevices use;
  const Device device("cpu", 1);
  Executor& executor = DeviceAccess::executor(device);
  Buffer<float> values(3);
  std::ranges::fill(values.span(), 1.0f);
  float* const there = executor.update(values);
  executor.run(ops::Fill{.values = there, .size = 2, .value = 5});
  executor.run(ops::Fill{.values = there + 1, .size = 1, .value = 6});
  EXPECT_EQ(test::deferred(device).waiting(), 2u);
  const Buffer<float> copy = values;
  EXPECT_EQ(test::deferred(device).waiting(), 0u);
  EXPECT_EQ(copy[0], 5);
  EXPECT_EQ(copy[1], 6);
  EXPECT_EQ(copy[2], 1);
  EXPECT_EQ(values[2], 1);
}

#ifndef __SANITIZE_THREAD__
TEST(DeferredDeviceDeathTest, ItsMemoryCannotBeReadByTheHost) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const test::UseDeferredDevices use;
  const Device device("cpu", 1);
  Buffer<float> values(3);
  values.zero();
  const volatile float* const there = DeviceAccess::executor(device).read(values);
  EXPECT_DEATH(static_cast<void>(there[0]), "");
}
#endif

/// A tensor goes from one device to another by way of the host, and outlives both.
/// A stream may go on with a tape of another device.
TEST(DeferredDevice, AStateFollowsTheTape) {
  const Sequential net(Linear(6, 5), LIF(), Linear(5, 4), Recurrent(4), Linear(4, 3), LI());
  const Tensor x = random_tensor({2, 4, 6}, 1);
  const Device cpu("cpu", 1);
  const test::UseDeferredDevices use;
  const Device first("cpu", 1), second("cpu", 1);
  Tape on_cpu(cpu), on_first(first), on_second(second);
  State moved, stays;
  for (Tape* const tape : {&on_first, &on_cpu, &on_second, &on_first}) {
    const Tensor y = to_tensor(net.forward(x, *tape, &moved));
    EXPECT_TRUE(same(y, to_tensor(net.forward(x, on_cpu, &stays))));
  }
  EXPECT_GT(first.copied_bytes(), 0u);
}

TEST(DeferredDevice, TensorsGoFromOneToAnother) {
  const test::UseDeferredDevices use;
  Buffer<float> values(2);
  std::ranges::fill(values.span(), 3.0f);
  auto first = std::make_unique<Device>("cpu", 1);
  DeviceAccess::executor(*first).run(
      ops::Fill{.values = DeviceAccess::executor(*first).update(values), .size = 1, .value = 4});
  const Device second("cpu", 1);
  DeviceAccess::executor(second).run(
      ops::Fill{.values = DeviceAccess::executor(second).update(values) + 1, .size = 1, .value = 5});
  EXPECT_EQ(first->copied_bytes(), 2 * 2 * sizeof(float));
  first.reset();
  EXPECT_EQ(values[0], 4);
  EXPECT_EQ(values[1], 5);
}

}  // namespace
}  // namespace volley
