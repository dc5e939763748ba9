// Cases of scripts/test-peers with the right values: tests/golden/differential.*, written by
// peers/differential/golden.py. A tensor X of a case has the bounds X.bound, or is exact; infinity is no
// bound.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include <volley/volley.hpp>

#include "parity/golden.hpp"
#include "support/every_target.hpp"

namespace volley::test {
namespace {

/// Whether `got` is `want`, or NaN where that is, within `bound`.
bool is_right(float got, float want, float bound) {
  if (std::isinf(bound) || got == want) return true;
  if (std::isnan(want)) return std::isnan(got);
  return std::abs(static_cast<double>(got) - static_cast<double>(want)) <= static_cast<double>(bound);
}

/// One case: its table in the manifest, and its tensors, which are counted as they are read.
class Case {
 public:
  Case(const Golden& golden, const nlohmann::json& described, std::size_t index)
      : table(described),
        recipe(parse_recipe(described.at("recipe").get<std::string>(), "golden")),
        golden_(golden),
        at_(std::to_string(index) + ".") {}

  bool has(const std::string& name) const { return golden_.has(at_ + name); }
  const Tensor& operator[](const std::string& name) {
    read_.insert(name);
    return golden_.tensor(at_ + name);
  }
  void expect(const std::string& name, std::span<const float> got) {
    const std::span<const float> want = (*this)[name].values();
    const bool exact = !has(name + ".bound");
    ASSERT_EQ(got.size(), want.size()) << name;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const float bound = exact ? 0 : (*this)[name + ".bound"].values()[i];
      EXPECT_TRUE(is_right(got[i], want[i], bound))
          << name << "[" << i << "] is " << got[i] << ", should be " << want[i] << " within " << bound;
    }
  }
  void expect(const std::string& name, const Signal& got) { expect(name, to_tensor(got).values()); }
  void expect(const std::string& name, double got) {
    const float value = static_cast<float>(got);
    expect(name, {&value, 1});
  }
  Draw draw() const {
    const nlohmann::json& draw = table.at("draw");
    return {.seed = draw.value("seed", 0u), .epoch = draw.value("epoch", 0u)};
  }
  std::size_t tensors_read() const { return read_.size(); }

  const nlohmann::json& table;
  const Recipe recipe;

 private:
  const Golden& golden_;
  std::string at_;
  std::set<std::string> read_;
};

/// A tensor of a case as the signal that it is, spikes or real values.
struct Input {
  Input(Case& c, const std::string& name) : values(c[name]) {
    if (!c.table.at("spikes").get<bool>()) return;
    const std::vector<std::uint8_t> bytes(values.values().begin(), values.values().end());
    spikes = Spikes::from_bytes(values.shape(), bytes);
  }
  Signal signal() const { return spikes.samples() > 0 ? Signal(spikes) : Signal(values); }

  const Tensor& values;
  Spikes spikes;
};

/// A pass of a layer or a network, forward and backward.
void expect_pass(Case& c) {
  const std::vector<LayerRecipe>& layers = c.recipe.network;
  const bool alone = layers.size() == 1;
  const std::unique_ptr<Layer> made =
      alone ? make_layer(layers[0]) : std::make_unique<Sequential>(make_network(layers));
  Layer& net = *made;
  const Input x(c, "x");
  for (const NamedTensor& tensor : net.named_tensors()) {
    std::ranges::copy(c["given." + tensor.name].values(), tensor.tensor->data());
  }
  zero_gradients(net.parameters());
  Tape tape;
  tape.set_context({.training = c.table.at("draw").at("training").get<bool>(), .draw = c.draw()});
  c.expect("y", net.forward(x.signal(), tape));
  const Signal dx = net.backward(tape, c["dy"]);
  if (c.has("dx")) c.expect("dx", dx);
  for (const NamedParameter& p : net.parameters()) c.expect("d" + p.name, p.parameter->gradient.values());
  for (const NamedTensor& buffer : net.buffers()) {
    if (c.has(buffer.name)) c.expect(buffer.name, buffer.tensor->values());
  }
}

void expect_loss(Case& c) {
  const std::shared_ptr<const Loss> loss = c.recipe.build_parts().loss;
  const Input y(c, "y");
  const std::vector<std::uint32_t> labels(c["labels"].values().begin(), c["labels"].values().end());
  Tape tape;
  Tensor scores;
  c.expect("loss", loss->forward(y.signal(), labels, scores, tape));
  c.expect("scores", scores.values());
  c.expect("dy", loss->backward(tape));
}

/// Steps of two parameters with given gradients and rates.
void expect_optimizer(Case& c) {
  const std::shared_ptr<Optimizer> optimizer = c.recipe.build_parts().optimizer;
  Parameter w0(c["w0"].shape()), w1(c["w1"].shape());
  w0.value = c["w0"];
  w1.value = c["w1"];
  const std::vector<NamedParameter> both{{"w0", &w0}, {"w1", &w1}};
  ThreadPool& threads = ThreadPool::shared();
  for (std::string k = "1"; c.has("lr of " + k); k = std::to_string(std::stoi(k) + 1)) {
    w0.gradient = c["g0 of " + k];
    w1.gradient = c["g1 of " + k];
    if (c.table.contains("clip_norm")) {
      const double norm = gradient_norm(both);
      c.expect("norm of " + k, norm);
      clip_gradient_norm(both, c.table.at("clip_norm").get<float>(), norm, threads);
    }
    if (c.table.contains("clip_value"))
      clip_gradient_value(both, c.table.at("clip_value").get<float>(), threads);
    optimizer->set_lr(c["lr of " + k].values()[0]);
    optimizer->step(both, threads);
    c.expect("w0 after " + k, w0.value.values());
    c.expect("w1 after " + k, w1.value.values());
  }
}

void expect_schedule(Case& c) {
  std::vector<float> rates;
  for (std::uint64_t epoch = 0; epoch < c["lr"].size(); ++epoch) {
    const double lr = scheduled_lr(c.recipe.schedule, c.table.at("lr").get<double>(), epoch, 0);
    rates.push_back(static_cast<float>(lr));
  }
  c.expect("lr", rates);
}

void expect_encoder(Case& c) {
  const Tensor& pixels = c["pixels"];
  const std::size_t N = pixels.shape()[0];
  Dataset data{.name = "golden",
               .shape = pixels.shape().from(1),
               .pixels = {pixels.values().begin(), pixels.values().end()},
               .labels = std::vector<std::uint32_t>(N)};
  std::vector<std::uint32_t> samples(N);
  std::iota(samples.begin(), samples.end(), 0u);
  Draw draw = c.draw();
  draw.first_sample = 3;
  if (c.table.at("draw").at("purpose") == "test") draw.purpose = Draw::Purpose::test;
  Tape tape;
  const std::size_t steps = c["x"].shape()[1];
  c.expect("x", c.recipe.build_parts().encoder->encode(data, samples, steps, draw, tape));
}

void expect_case(Case& c) {
  const std::string& kind = c.table.at("kind").get_ref<const std::string&>();
  if (kind == "optimizer") return expect_optimizer(c);
  if (kind == "schedule") return expect_schedule(c);
  if (kind == "encoder") return expect_encoder(c);
  if (c.has("labels")) return expect_loss(c);
  expect_pass(c);
}

TEST(DifferentialParity, EveryCaseIsRightOnEveryTarget) {
  const Golden golden("differential.safetensors", "differential.json");
  std::size_t index = 0;
  for (const nlohmann::json& table : golden.manifest().at("cases")) {
    SCOPED_TRACE(table.at("case").get<std::string>());
    Case c(golden, table, index++);
    on_every_target([&] { expect_case(c); });
    EXPECT_EQ(c.tensors_read(), table.at("tensors").get<std::size_t>());
  }
  EXPECT_GE(index, 100u);
}

}  // namespace
}  // namespace volley::test
