// The contract of Layer, Tape and the containers, beyond what tests/public shows of it.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>

#include <volley/volley.hpp>

#include "layers/layer_access.hpp"
#include "support/error_text.hpp"
#include "support/random.hpp"
#include "support/random_tensor.hpp"

namespace volley {
namespace {

using test::error_text;
using test::random_tensor;

std::vector<float> bits_of(const Tensor& t) { return {t.values().begin(), t.values().end()}; }

/// y = 2 x, as a newcomer writes it. It notes the form of what comes.
class Twice final : public Layer {
 public:
  std::string_view kind() const override { return "twice"; }
  Shape output_shape(const Shape& features) const override { return features; }

 private:
  struct Saved {
    Tensor y, dx;
  };
  static void twice(Tensor& to, const Signal& from) {
    to.resize(from.stored_shape());
    for (std::size_t i = 0; i < to.size(); ++i) to.data()[i] = 2 * from.values()[i];
  }
  Signal do_forward(const Signal& x, Tape& tape) const override {
    EXPECT_EQ(x.layout(), Layout::row_major);
    EXPECT_EQ(x.stored_steps(), x.steps());
    Tensor& y = tape.saved<Saved>().y;
    twice(y, x);
    return y;
  }
  Signal do_backward(Tape& tape, const Signal& dy) override {
    EXPECT_EQ(dy.stored_steps(), dy.steps());
    Tensor& dx = tape.saved<Saved>().dx;
    twice(dx, dy);
    return dx;
  }
};

TEST(Contract, ANewLayerGetsThePlainFormAndItsGradientGoesBackInTheFormOfX) {
  const Shape shape{2, 3, 4, 5, 6};
  const Tensor stored = random_tensor({2, 1, 5, 6, 4}, 1);  // one step, channels last
  const Signal x(stored, shape, Layout::channels_last);
  Twice layer;
  Tape tape;
  const Tensor y = to_tensor(layer.forward(x, tape));
  const Tensor plain = to_tensor(x);
  ASSERT_EQ(plain.shape(), shape);
  for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y.data()[i], 2 * plain.data()[i]);
  // dy in y's form, and the same channels-last.
  const Tensor dy = random_tensor(shape, 2);
  const Signal dx = layer.backward(tape, dy);
  EXPECT_EQ(dx.layout(), Layout::channels_last);
  ASSERT_EQ(dx.stored_steps(), 1u);
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t c = 0; c < 4; ++c) {
      for (std::size_t p = 0; p < 30; ++p) {
        float sum = 0;
        for (std::size_t t = 0; t < 3; ++t) sum += 2 * dy.data()[((n * 3 + t) * 4 + c) * 30 + p];
        ASSERT_FLOAT_EQ(dx.values()[(n * 30 + p) * 4 + c], sum);
      }
    }
  }
}

TEST(Contract, SpikesComeToANewLayerAsZeroAndOne) {
  const std::vector<std::uint8_t> bytes{0, 1, 1, 0, 0, 1};
  const Spikes spikes = Spikes::from_bytes({1, 2, 3}, bytes);
  Tape tape;
  const Tensor y = to_tensor(Twice().forward(spikes, tape));
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(y.data()[i], 2.0f * bytes[i]);
}

TEST(Contract, PicturesOfSpikesThatAreReshapedKeepTheirFeatures) {
  std::vector<std::uint8_t> bytes(2 * 3 * 4 * 2 * 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i % 3 == 0 || i % 5 == 1;
  const Spikes spikes = Spikes::from_bytes({2, 3, 4, 2, 2}, bytes);
  const Spikes same = Spikes::from_bytes({2, 3, 2, 4, 2}, bytes);
  Conv2d conv(2, 3, 3, {.padding = 1});
  Tape a, b;
  const Tensor y = to_tensor(conv.forward(Signal(spikes).reshaped({2, 3, 2, 4, 2}), a));
  EXPECT_EQ(bits_of(y), bits_of(to_tensor(conv.forward(same, b))));
}

TEST(Contract, EveryParameterIsDrawnByItsOwnPath) {
  Sequential net{Sequential{Linear{8, 8}, Linear{8, 8}},
                 Residual{Sequential{Linear{8, 8}}, Sequential{Linear{8, 8}}}, Linear{8, 8}};
  for (const int initialized : {0, 1}) {
    if (initialized == 1) net.initialize(3);
    std::set<std::vector<float>> seen;
    std::vector<std::string> names;
    for (const NamedParameter& p : net.parameters()) {
      EXPECT_TRUE(seen.insert(bits_of(p.parameter->value)).second)
          << p.name << ", initialized: " << initialized;
      names.push_back(p.name);
    }
    EXPECT_EQ(names.size(), 10u);
    EXPECT_EQ(names[2], "0.1.weight");
    EXPECT_EQ(names[6], "1.shortcut.0.weight");
  }
  // A flat network's draws are those of its layers by number; a part draws by its path in the whole.
  Sequential flat{Linear{8, 8}, Linear{8, 8}};
  flat.initialize(5);
  Linear second(8, 8);
  second.initialize(5, "1");
  EXPECT_EQ(bits_of(second.weight().value), bits_of(flat.parameters()[2].parameter->value));
}

TEST(Contract, WeightsThatAUserHasSetStayWhenAContainerTakesThem) {
  Linear a(4, 4), b(4, 4);
  std::ranges::fill(a.weight().value.values(), 0.5f);
  b.initialize(9);
  const std::vector<float> drawn = bits_of(b.weight().value);
  Sequential net{a, b};
  EXPECT_EQ(net.parameters()[0].parameter->value.data()[0], 0.5f);
  EXPECT_EQ(bits_of(net.parameters()[2].parameter->value), drawn);
}

TEST(Contract, ACopyHasLayersOfItsOwn) {
  Sequential net{Linear{3, 3}, Residual{Sequential{BatchNorm{3}, LIF{}}}};
  net.initialize(1);
  Sequential copy = net;
  std::ranges::fill(copy.parameters()[0].parameter->value.values(), 0.0f);
  EXPECT_NE(net.parameters()[0].parameter->value.data()[0], 0.0f);
  const std::unique_ptr<Layer> clone = net.clone();
  const auto a = net.named_tensors(), b = clone->named_tensors();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_NE(a[i].tensor, b[i].tensor);
    EXPECT_EQ(bits_of(*a[i].tensor), bits_of(*b[i].tensor));
  }
  EXPECT_EQ(error_text([] { static_cast<void>(Twice().clone()); }),
            "[twice] a layer that is copied must override do_clone, with its own class");
}

TEST(Contract, APassBelongsToOneLayerAndOneTape) {
  const Tensor x = random_tensor({2, 3, 4}, 1), dy = random_tensor({2, 3, 4}, 2);
  Linear a(4, 4), b(4, 4);
  Tape tape;
  EXPECT_EQ(error_text([&] { a.backward(tape, dy); }),
            "[linear] backward must follow a forward of this layer on the same tape, got a tape without one");
  a.forward(x, tape);
  EXPECT_EQ(error_text([&] { b.backward(tape, dy); }),
            "[linear] backward must follow a forward of this layer on the same tape, got the tape of another "
            "layer");
  const Linear copy = a;
  a = copy;  // another layer now, with the same weights
  EXPECT_EQ(error_text([&] { a.backward(tape, dy); }),
            "[linear] backward must follow a forward of this layer on the same tape, got the tape of another "
            "layer");
  a.forward(x, tape);
  const Tensor wrong({2, 3, 5});
  EXPECT_EQ(error_text([&] { a.backward(tape, wrong); }),
            "[linear] dy must have the shape (2, 3, 4), got (2, 3, 5)");
  const Spikes spikes(Shape{2, 3, 4});
  EXPECT_EQ(error_text([&] { a.backward(tape, spikes); }), "[linear] dy must be real values, got spikes");
  const Tensor one({2, 1, 4});
  EXPECT_EQ(error_text([&] {
              a.backward(tape, Signal(one, Shape{2, 3, 4}));
            }),
            "[linear] dy must store all 3 steps, as its signal does, got (2, 1, 4)");
}

TEST(Contract, MemoryThatChangedUnderASignalIsSeen) {
  Tensor x = random_tensor({2, 3, 4}, 1);
  const Tensor dy = random_tensor({2, 3, 2}, 2);
  Linear layer(4, 2);
  Tape tape;
  const Signal given = x;
  layer.forward(given, tape);
  x.resize({1, 1, 4});
  EXPECT_EQ(error_text([&] { layer.backward(tape, dy); }),
            "[linear] the memory of x (2, 3, 4) must keep its shape until the pass is done");
  EXPECT_EQ(error_text([&] { layer.forward(given, tape); }),
            "[linear] the memory of x (2, 3, 4) must keep its shape until the pass is done");
}

TEST(Contract, AParameterOfAnotherShapeIsRefused) {
  const Tensor x = random_tensor({1, 1, 4}, 1);
  Tape tape;
  Linear layer(4, 2);
  layer.weight().value = Tensor({2, 3});
  EXPECT_EQ(error_text([&] { layer.forward(x, tape); }),
            "[linear] weight must have the shape (2, 4), got (2, 3)");
  Linear moved = std::move(layer);
  EXPECT_EQ(error_text([&] { layer.forward(x, tape); }),
            "[linear] weight must have the shape (2, 4), got (0)");
  PLIF plif;
  plif.parameters()[0].parameter->gradient = Tensor({3});
  EXPECT_EQ(error_text([&] { plif.forward(x, tape); }),
            "[plif] the gradient of w must have the shape (1), got (3)");
}

TEST(Contract, ContainersRefuseWhatTheyCannotHold) {
  Sequential net{Linear{2, 2}};
  EXPECT_EQ(error_text([&] { net.add(nullptr); }), "[sequential] a layer must not be null");
  EXPECT_EQ(error_text([&] { static_cast<void>(net[1]); }), "[sequential] index must be < 1, got 1");
  EXPECT_EQ(
      error_text([&] { net.add(net.at(0)); }),
      "[sequential] a layer with parameters must be in a network once, got the linear '' a second time");
  const auto inner = std::make_shared<Sequential>();
  inner->add(std::make_shared<Flatten>());
  EXPECT_EQ(error_text([&] { inner->add(inner); }),
            "[sequential] a Sequential must not be a layer of itself");
  EXPECT_EQ(error_text([] { Residual(std::shared_ptr<Sequential>(), nullptr); }),
            "[residual] branch must not be null");
  EXPECT_EQ(error_text([&] { Residual(inner, inner, {}); }),
            "[residual] branch and shortcut must be two layers");
}

TEST(Contract, AContainerInAContainerComesBackFromAFile) {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "volley_contract.safetensors";
  Sequential net{Sequential{Linear{6, 5}, Sequential{BatchNorm{5}, LIF{}}}, Linear{5, 2}};
  net.initialize(4);
  save_network(path, net);
  Sequential back = load_network(path);
  const auto a = net.named_tensors(), b = back.named_tensors();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(bits_of(*a[i].tensor), bits_of(*b[i].tensor));
  }
  std::filesystem::remove(path);
  const Sequential own{LIF{{.surrogate = CustomSurrogate::of(
                                [](float* g, const float*, std::size_t n) { std::fill_n(g, n, 1.0f); })}}};
  EXPECT_EQ(error_text([&] { static_cast<void>(recipes_of(own)); }),
            "[lif] surrogate must be a built-in one in a file or a recipe, got a function");
}

TEST(Contract, TensorsOfOneNameAreRefused) {
  class Two final : public Layer {
   public:
    std::string_view kind() const override { return "two"; }
    Shape output_shape(const Shape& features) const override { return features; }

   private:
    Signal do_forward(const Signal& x, Tape&) const override { return x; }
    Signal do_backward(Tape&, const Signal& dy) override { return dy; }
    std::vector<NamedParameter> own_parameters() override { return {{"w", &a_}, {"w", &b_}}; }
    Parameter a_{Shape{1}}, b_{Shape{1}};
  };
  Two two;
  EXPECT_EQ(error_text([&] { static_cast<void>(two.named_tensors()); }),
            "[two] parameters and buffers must have different names, got 'w' twice");
}

TEST(Contract, BatchesAreCountedBeyondWhatAFloatCounts) {
  BatchNorm norm(2, {.momentum = std::nullopt});
  Tensor& count = *norm.buffers()[2].tensor;
  count.data()[0] = 0x1p24f;
  const Tensor x = random_tensor({3, 1, 2}, 1);
  Tape tape;
  tape.set_context({.training = true});
  for (int i = 0; i < 3; ++i) {
    norm.forward(x, tape);
    norm.backward(tape, x);
  }
  EXPECT_EQ(count.data()[0], 0x1p24f + 4);  // 2^24 + 3, rounded
  count.data()[0] = std::numeric_limits<float>::quiet_NaN();
  norm.forward(x, tape);
  norm.backward(tape, x);
  EXPECT_EQ(count.data()[0], 1.0f);
}

TEST(Contract, TapesOfDeepAndWideNetworksHaveDifferentPlaces) {
  Tape root;
  std::set<std::uint64_t> places{root.place()};
  Tape* tape = &root;
  for (int depth = 0; depth < 20; ++depth) {
    tape->child(2);
    for (const Tape& child : tape->children()) EXPECT_TRUE(places.insert(child.place()).second) << depth;
    tape = &tape->child(depth % 3);
  }
  for (std::size_t i = 0; i < 3000; ++i) root.child(i);
  for (const Tape& child : root.children()) places.insert(child.place());
  EXPECT_EQ(places.size(), 1u + 20 * 3 + 3000 - 3);
  EXPECT_EQ(root.child(0).place(), 1u);
  EXPECT_EQ(error_text([&] { root.child(1 << 20); }),
            "[tape] the index of a child must be < 1048576, got 1048576");
}

/// Runs another pass from inside its own.
class Nested final : public Layer {
 public:
  enum class What { same_tape, backward_beside, backward_of_itself };
  explicit Nested(What what) : what_(what) {}
  std::string_view kind() const override { return "nested"; }
  Shape output_shape(const Shape& features) const override { return features; }

 private:
  Signal do_forward(const Signal& x, Tape& tape) const override {
    if (what_ == What::same_tape) return LIF().forward(x, tape);
    return x;
  }
  Signal do_backward(Tape& tape, const Signal& dy) override {
    if (what_ == What::backward_of_itself) backward(tape, dy);
    if (what_ == What::backward_beside) {
      Tape other;
      forward(dy, other);
    }
    return dy;
  }
  What what_;
};

TEST(Contract, PassesThatMeetAreRefused) {
  const Tensor x = random_tensor({1, 1, 4}, 1);
  const std::string one_pass =
      "a tape must serve one pass at a time, and a container must run its children on tape.child(i)";
  Tape tape;
  EXPECT_EQ(error_text([&] { Nested(Nested::What::same_tape).forward(x, tape); }), "[lif] " + one_pass);
  Nested itself(Nested::What::backward_of_itself);
  itself.forward(x, tape);  // the tape is free again after an error
  EXPECT_EQ(error_text([&] { itself.backward(tape, x); }), "[nested] " + one_pass);
  Nested beside(Nested::What::backward_beside);
  beside.forward(x, tape);
  EXPECT_EQ(error_text([&] { beside.backward(tape, x); }),
            "[nested] backward must be alone with the layer: another pass uses it now");
}

TEST(Contract, ALentPieceOfMemoryIsLentForOneCall) {
  const Tensor x = random_tensor({2, 2, 4}, 1);
  Tape tape;
  {
    Sequential net{Linear{4, 4}, Linear{4, 4}};
    net.forward(x, tape);
    net.backward(tape, x);
  }
  // The same tapes under a container of another kind, whose memory is elsewhere.
  Residual block(Sequential{Linear{4, 4}});
  block.forward(x, tape);
  EXPECT_EQ(block.backward(tape, x).shape(), x.shape());
}

TEST(Contract, SampleNumbersMustBeAsManyAsSamples) {
  const Tensor x = random_tensor({3, 1, 4}, 1);
  const std::vector<std::uint32_t> two{5, 6};
  Tape tape;
  tape.set_context({.training = true, .samples = two});
  EXPECT_EQ(error_text([&] { Dropout().forward(x, tape); }),
            "[tape] samples must have one number for each sample of the batch, got 2");
}

}  // namespace
}  // namespace volley
