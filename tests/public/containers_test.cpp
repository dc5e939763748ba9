// Networks that are built, copied, moved and taken apart.

#include "support.hpp"

namespace volley::test {
namespace {

TEST(PublicContainers, AnEmptySequentialIsTheIdentity) {
  Sequential net;
  const Tensor x = some_values({2, 3, 4});
  const Spikes spikes = some_spikes({2, 3, 4});
  Tape tape;
  EXPECT_EQ(values_of(net.forward(x, tape)), values_of(x));
  EXPECT_EQ(values_of(net.backward(tape, x)), values_of(x));
  EXPECT_EQ(values_of(net.forward(spikes, tape)), values_of(Signal(spikes)));
  EXPECT_EQ(net.size(), 0u);
  EXPECT_TRUE(net.parameters().empty());
  expect_throws<ArgumentError>([&] { static_cast<void>(net[0].kind()); }, {"[sequential]", "0"});
}

TEST(PublicContainers, ACopySharesNothing) {
  Sequential net{Linear{4, 5}, Sequential{BatchNorm{5}, LIF{}}, Residual{Sequential{Linear{5, 5}}},
                 Recurrent{5}};
  net.initialize(3);
  Sequential copy = net;
  EXPECT_EQ(tensors_of(copy), tensors_of(net));
  const std::vector<float> before = tensors_of(net);
  copy.initialize(4);
  EXPECT_NE(tensors_of(copy), before);
  EXPECT_EQ(tensors_of(net), before);
  const std::unique_ptr<Layer> clone = net.clone();
  EXPECT_EQ(clone->kind(), "sequential");
  EXPECT_EQ(tensors_of(*clone), before);
  net = copy;
  EXPECT_EQ(tensors_of(net), tensors_of(copy));
  const Sequential& self = net;
  net = self;
  EXPECT_EQ(tensors_of(net), tensors_of(copy));
  EXPECT_EQ(net.size(), 4u);
}

TEST(PublicContainers, ALayerThatHasNoCopyIsNamed) {
  Sequential net{Linear{4, 4}, Double{}};
  expect_throws<ArgumentError>([&] { Sequential copy = net; }, {"[double]", "do_clone"});
  expect_throws<ArgumentError>([&] { net.clone(); }, {"[double]"});
  EXPECT_EQ(net.size(), 2u);
}

TEST(PublicContainers, AMovedSequentialIsWhole) {
  Sequential net{Linear{4, 5}, LIF{}};
  Sequential to = std::move(net);
  EXPECT_EQ(to.size(), 2u);
  EXPECT_EQ(net.size(), 0u);
  net.add(std::make_unique<Flatten>());
  EXPECT_EQ(net.size(), 1u);
  net = std::move(to);
  EXPECT_EQ(net.size(), 2u);
  Sequential& self = net;
  net = std::move(self);
  const Tensor x = some_values({2, 3, 4});
  Tape tape;
  works_or_throws([&] { net.forward(x, tape); }, "[");
}

TEST(PublicContainers, ALayerIsInANetworkOnce) {
  Sequential net;
  const auto linear = std::make_shared<Linear>(4, 4);
  net.add(linear);
  expect_throws<ArgumentError>([&] { net.add(linear); }, {"[sequential]", "linear"});
  expect_throws<ArgumentError>(
      [&] {
        net.add(std::make_shared<Sequential>(Sequential{}));
        net.add(net.at(0));
      },
      {"[sequential]"});
  expect_throws<ArgumentError>([&] { static_cast<void>(net.at(9)); }, {"[sequential]", "9"});
  const auto inner = std::make_shared<Sequential>();
  expect_throws<ArgumentError>([&] { inner->add(inner); }, {"[sequential]", "itself"});
  const auto side = std::make_shared<Sequential>(Linear{4, 4});
  expect_throws<ArgumentError>([&] { Residual(side, side); }, {"[residual]", "two"});
}

TEST(PublicContainers, ACycleOfContainersIsRefusedWhereItIsUsed) {
  const auto outer = std::make_shared<Sequential>(), inner = std::make_shared<Sequential>();
  outer->add(inner);
  works_or_throws(
      [&] {
        inner->add(outer);
        const Tensor x = some_values({2, 3, 4});
        Tape tape;
        works_or_throws([&] { static_cast<void>(outer->parameters()); }, "[sequential]");
        works_or_throws([&] { static_cast<void>(outer->clone()); }, "[sequential]");
        works_or_throws([&] { static_cast<void>(outer->output_shape({4})); }, "[sequential]");
        works_or_throws([&] { outer->forward(x, tape); }, "[sequential]");
      },
      "[sequential]");
}

TEST(PublicContainers, DeepNestingWorksOrIsRefused) {
  Sequential net{Linear{3, 3}};
  works_or_throws(
      [&] {
        for (int depth = 0; depth < 100; ++depth) {
          Sequential outer;
          outer.add(std::make_unique<Sequential>(std::move(net)));
          net = std::move(outer);
        }
        EXPECT_EQ(net.parameters().size(), 2u);
      },
      "nest");
  const Tensor x = some_values({2, 3, 3});
  Tape tape;
  works_or_throws([&] { net.forward(x, tape); }, "[");
}

TEST(PublicContainers, NamesAreThoseOfThePlaces) {
  Sequential net{Flatten{}, Sequential{Linear{4, 4}, BatchNorm{4}},
                 Residual{Sequential{Linear{4, 4, {.bias = false}}}},
                 Recurrent{4, {.neuron = PLIFOptions{}}}};
  std::vector<std::string> names;
  for (const NamedTensor& named : net.named_tensors()) names.push_back(named.name);
  EXPECT_EQ(names, (std::vector<std::string>{
                       "1.0.weight", "1.0.bias", "1.1.weight", "1.1.bias", "2.branch.0.weight", "3.weight",
                       "3.neuron.w", "1.1.running_mean", "1.1.running_var", "1.1.num_batches_tracked"}));
}

/// A container of the user, with a parameter of its own and a child.
class Gain final : public Layer {
 public:
  std::string_view kind() const override { return "gain"; }
  Shape output_shape(const Shape& features) const override { return inner_.output_shape(features); }

 private:
  struct Saved {
    Tensor y, dx;
  };
  Signal do_forward(const Signal& x, Tape& tape) const override {
    const Tensor inner = to_tensor(inner_.forward(x, tape.child(0)));
    Tensor& y = tape.saved<Saved>().y;
    y.resize(inner.shape());
    for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] = gain_.value.data()[0] * inner.data()[i];
    return y;
  }
  Signal do_backward(Tape& tape, const Signal& dy) override {
    Tensor& scaled = tape.saved<Saved>().dx;
    scaled.resize(dy.shape());
    for (std::size_t i = 0; i < scaled.size(); ++i) scaled.data()[i] = gain_.value.data()[0] * dy.values()[i];
    return inner_.backward(tape.child(0), scaled);
  }
  std::vector<NamedParameter> own_parameters() override { return {{"gain", &gain_}}; }
  std::vector<NamedLayer> do_children() override { return {{"inner", &inner_}}; }
  void draw_parameters(std::uint32_t, std::uint32_t) override { gain_.value.data()[0] = 3; }

  Parameter gain_{Shape{1}};
  Linear inner_{4, 4};
};

TEST(PublicContainers, AContainerOfTheUserIsWalked) {
  Sequential net{Linear{4, 4}};
  net.add(std::make_unique<Gain>());
  net.initialize(2);
  std::vector<std::string> names;
  for (const NamedParameter& named : net.parameters()) names.push_back(named.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"0.weight", "0.bias", "1.gain", "1.inner.weight", "1.inner.bias"}));
  EXPECT_EQ(net.parameters()[2].parameter->value.data()[0], 3);
  EXPECT_NE(values_of(net.parameters()[0].parameter->value), values_of(net.parameters()[3].parameter->value));
  const Tensor x = some_values({2, 3, 4}), dy = some_values({2, 3, 4});
  Tape tape;
  net.forward(x, tape);
  EXPECT_EQ(net.backward(tape, dy).shape(), x.shape());
  EXPECT_NE(values_of(net.parameters()[3].parameter->gradient), std::vector<float>(16, 0.0f));
}

TEST(PublicContainers, ANullChildOrParameterIsNamed) {
  class Broken final : public Layer {
   public:
    explicit Broken(bool child) : child_(child) {}
    std::string_view kind() const override { return "broken"; }
    Shape output_shape(const Shape& features) const override { return features; }

   private:
    Signal do_forward(const Signal& x, Tape&) const override { return x; }
    Signal do_backward(Tape&, const Signal& dy) override { return dy; }
    std::vector<NamedParameter> own_parameters() override {
      return child_ ? std::vector<NamedParameter>{} : std::vector<NamedParameter>{{"weight", nullptr}};
    }
    std::vector<NamedLayer> do_children() override {
      return child_ ? std::vector<NamedLayer>{{"inner", nullptr}} : std::vector<NamedLayer>{};
    }
    bool child_;
  };
  for (const bool child : {true, false}) {
    Broken broken(child);
    expect_throws<ArgumentError>([&] { static_cast<void>(broken.parameters()); },
                                 {"[broken]", child ? "inner" : "weight", "null"});
    Sequential net;
    works_or_throws(
        [&] {
          net.add(std::make_unique<Broken>(child));
          static_cast<void>(net.named_tensors());
        },
        "[broken]");
    works_or_throws([&] { net.initialize(1); }, "[broken]");
  }
}

}  // namespace
}  // namespace volley::test
