// Layers on a device whose operations run later, on memory that no other code can reach: the CPU's bits, and
// no copies between the passes of one tape.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <ostream>
#include <utility>
#include <vector>

#include <volley/volley.hpp>

#include "support/deferred_device.hpp"
#include "support/random_tensor.hpp"

namespace volley {
namespace {

const LIFOptions kLow{.v_threshold = 0.2f};

struct Case {
  const char* name;
  Shape features;
  std::function<Sequential()> build;
  bool currents = false;  // whether the first layer takes no spikes
  bool states = true;     // whether passes may go on from a state

  friend void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }
};

const Shape kPicture{2, 6, 5};

std::vector<Case> cases() {
  return {
      {"Linear",
       {19},
       [] {
         return Sequential{Linear(19, 9), LIF{kLow}, Linear(9, 4)};
       }},
      {"Li", {7}, [] { return Sequential{LI{{.tau = 3}}}; }, true},
      {"SoftLif", {7}, [] { return Sequential{SoftLIF{}}; }, true},
      {"Plif",
       {7},
       [] {
         return Sequential{PLIF{{.channels = 7}}, Linear(7, 3)};
       },
       true},
      {"Izhikevich",
       {7},
       [] {
         return Sequential{Izhikevich{{.refractory = 2}}, Linear(7, 3)};
       },
       true},
      {"Psn",
       {7},
       [] {
         return Sequential{SlidingPSN{{.k = 2}}, Linear(7, 3)};
       },
       true,
       false},
      {"MaskedPsn",
       {7},
       [] {
         return Sequential{MaskedPSN{{.k = 2, .steps = 5}}, Linear(7, 3)};
       },
       true,
       false},
      {"Recurrent",
       {7},
       [] { return Sequential{Recurrent(7, {.neuron = PLIFOptions{.v_threshold = 0.2f}})}; },
       true},
      {"ElementWise",
       {7},
       [] {
         return Sequential{
             Recurrent(7, {.feedback = Feedback::element_wise, .neuron = ALIFOptions{.refractory = 1}})};
       },
       true},
      {"Conv", kPicture,
       [] {
         return Sequential{Conv2d(2, 6, 3, {.padding = 1}), LIF{kLow}, Conv2d(6, 4, 3, {.groups = 2}),
                           ConvTranspose2d(4, 2, 3, {.stride = Size2(2)})};
       }},
      {"Winograd", kPicture,
       [] {
         return Sequential{Conv2d(2, 32, 3, {.padding = 1}), LIF{kLow}, Conv2d(32, 32, 3, {.padding = 1})};
       }},
      {"Pools", kPicture,
       [] {
         return Sequential{MaxPool2d(2, {.stride = Size2(1)}), Conv2d(2, 3, 1), LIF{kLow}, MaxPool2d(2),
                           AvgPool2d(2, {.stride = Size2(1)})};
       }},
      {"Adaptive", kPicture,
       [] {
         return Sequential{AdaptiveAvgPool2d(Size2(3, 2)), Flatten()};
       }},
      {"Upsample", kPicture,
       [] {
         return Sequential{
             Upsample{{.scale_factor = Size2(2)}}, Conv2d(2, 2, 1), LIF{kLow},
             Upsample{{.scale_factor = Size2(2)}},
             Upsample{{.size = Size2(7, 9), .mode = UpsampleMode::bilinear, .align_corners = true}}};
       }},
      {"BatchNorm", kPicture,
       [] {
         return Sequential{Conv2d(2, 5, 3), BatchNorm(5),    LIF{kLow},
                           MaxPool2d(2),    Conv2d(5, 3, 1), BatchNorm(3, {.momentum = {}})};
       }},
      {"GroupNorm", kPicture,
       [] {
         return Sequential{GroupNorm(2, 2), Flatten(), LayerNorm({60}), Linear(60, 3)};
       }},
      {"Dropout", kPicture,
       [] {
         return Sequential{Conv2d(2, 4, 3), Dropout{{.p = 0.4f}}, LIF{kLow}, Dropout{}};
       }},
      {"Voting",
       {12},
       [] {
         return Sequential{LIF{kLow}, Voting{{.voting_size = 3}}};
       },
       true},
      {"RatePenalty", kPicture,
       [] {
         return Sequential{RatePenalty{}, Conv2d(2, 2, 1), LIF{kLow}, RatePenalty{{.weight = 2}}};
       }},
      {"ResidualAdd",
       {9},
       [] {
         return Sequential{Residual(Sequential{Linear(9, 9), LIF{kLow}}, {.connect = Connect::ADD})};
       }},
      {"ResidualAnd", kPicture,
       [] {
         return Sequential{
             LIF{kLow},
             Residual(Sequential{Conv2d(2, 2, 3, {.padding = 1}), LIF{kLow}}, {.connect = Connect::IAND}),
             Residual(Sequential{Flatten(), Linear(60, 60), LIF{kLow}}, Sequential{Flatten()},
                      {.connect = Connect::AND})};
       },
       true},
      {"Graph", kPicture,
       [] {
         Graph net;
         net.add(std::make_shared<Conv2d>(2, 3, 3, Conv2dOptions{.padding = 1}), {.name = "a"});
         net.add(std::make_shared<LIF>(kLow), {.name = "lif"});
         net.add(std::make_shared<Conv2d>(2, 3, 1), {.name = "b", .inputs = {"input@1"}});
         net.add(std::make_shared<Identity>(),
                 {.name = "c", .inputs = {"lif", "lif@2"}, .join = Connect::AND});
         net.add(std::make_shared<Identity>(),
                 {.name = "d", .inputs = {"a", "b", "c"}, .join = Connect::MEAN});
         net.add(std::make_shared<MaxPool2d>(2), {.inputs = {"c", "lif"}, .join = Connect::CONCATENATE});
         net.add(std::make_shared<Flatten>(), {.name = "e"});
         net.add(std::make_shared<Linear>(36, 4));
         net.add(std::make_shared<Slice>(SliceOptions{.first = 3, .shape = {4}}),
                 {.name = "s", .inputs = {"d"}});
         net.add(std::make_shared<Identity>(), {.inputs = {"7", "s"}, .join = Connect::PRODUCT});
         return net;
       }},
      {"Loop",
       {9},
       [] {
         Graph net;
         net.add(std::make_shared<Linear>(9, 7));
         net.add(std::make_shared<Linear>(70, 7), {.name = "back", .inputs = {"second@1"}});
         net.add(std::make_shared<LIF>(kLow), {.name = "first", .inputs = {"0", "back"}});
         net.add(std::make_shared<Linear>(7, 70));
         net.add(std::make_shared<LIF>(kLow), {.name = "second"});
         net.add(std::make_shared<Linear>(77, 3),
                 {.inputs = {"first", "second"}, .join = Connect::CONCATENATE});
         return net;
       }},
      {"Unflatten",
       {12},
       [] {
         return Sequential{LIF{kLow}, Unflatten{{.unflattened_size = {3, 2, 2}}}, Conv2d(3, 2, 2)};
       },
       true},
  };
}

/// What several passes on one tape give, and what they leave.
struct Result {
  std::vector<Tensor> tensors;
  std::vector<std::uint64_t> copied;  // by each of the passes
};

enum class Kind { plain, lengths, states, spikes };

Result passes(const Case& of, Kind kind) {
  const Device device("cpu", 2);
  Tape tape(device);
  State state;
  Sequential net = of.build();
  net.initialize(3);
  const std::size_t N = 5, T = 5;
  Tensor x = test::random_tensor(of.features.after({N, T}), 1);
  for (float& v : x.values()) v = kind == Kind::spikes ? static_cast<float>(v > 0.4f) : 2 * v;
  const std::vector<std::uint8_t> bytes(x.values().begin(), x.values().end());
  const Spikes packed = kind == Kind::spikes ? Spikes::from_bytes(x.shape(), bytes) : Spikes{};
  const Signal given = kind == Kind::spikes ? Signal(packed) : Signal(x);
  const Tensor dy = test::random_tensor(net.output_shape(of.features).after({N, T}), 2);
  const std::vector<std::uint32_t> lengths{5, 2, 4, 1, 3};
  State* const carried = kind == Kind::states ? &state : nullptr;
  Result result;
  Signal y, dx;
  for (int pass = 0; pass < 3; ++pass) {
    tape.set_context({.training = pass > 0,
                      .lengths = kind == Kind::lengths ? lengths : std::span<const std::uint32_t>{}});
    const std::uint64_t before = device.copied_bytes();
    y = net.forward(given, tape, carried);
    dx = net.backward(tape, dy, carried);
    device.finish();
    result.copied.push_back(device.copied_bytes() - before);
  }
  result.tensors.push_back(to_tensor(y));
  result.tensors.push_back(to_tensor(dx));
  for (const NamedParameter& p : net.parameters()) result.tensors.push_back(p.parameter->gradient);
  for (const NamedTensor& t : net.buffers()) result.tensors.push_back(*t.tensor);
  for (const NamedTensor& t : state.named_tensors(net)) result.tensors.push_back(*t.tensor);
  for (const NamedTensor& t : state.named_gradients(net)) result.tensors.push_back(*t.tensor);
  for (const NamedMembrane& m : membranes(net, tape)) {
    for (const Tensor& t : {m.membrane.current, m.membrane.h, m.membrane.v, m.membrane.threshold})
      result.tensors.push_back(t);
  }
  return result;
}

class LayersOnDevices : public testing::TestWithParam<Case> {};

TEST_P(LayersOnDevices, HaveTheBitsOfTheCpuAndStayThere) {
  const Case& of = GetParam();
  for (const Kind kind : {Kind::plain, Kind::lengths, Kind::states, Kind::spikes}) {
    if (kind == Kind::states && !of.states) continue;
    if (kind == Kind::spikes && of.currents) continue;
    const Result expected = passes(of, kind);
    const test::UseDeferredDevices use;
    const Result result = passes(of, kind);
    ASSERT_EQ(result.tensors.size(), expected.tensors.size());
    for (std::size_t i = 0; i < result.tensors.size(); ++i) {
      EXPECT_EQ(result.tensors[i].shape(), expected.tensors[i].shape());
      EXPECT_TRUE(std::ranges::equal(result.tensors[i].values(), expected.tensors[i].values(),
                                     [](float a, float b) { return a == b || (a != a && b != b); }))
          << "tensor " << i << ", kind " << static_cast<int>(kind);
    }
    EXPECT_EQ(result.copied.back(), 0u) << "kind " << static_cast<int>(kind);
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, LayersOnDevices, testing::ValuesIn(cases()),
                         [](const testing::TestParamInfo<Case>& of) { return of.param.name; });

}  // namespace
}  // namespace volley
