#include "parity/golden.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/files.hpp"
#include "core/sha256.hpp"

namespace volley::test {

std::filesystem::path Golden::folder() {
  return std::filesystem::path(VOLLEY_SOURCE_DIR) / "tests" / "golden";
}

Golden::Golden(const std::string& file, const std::string& manifest)
    : manifest_(nlohmann::json::parse(read_file(folder() / manifest, std::size_t{1} << 20))),
      file_(read_safetensors(folder() / file)) {
  EXPECT_EQ(sha256_hex_of_file(folder() / file), manifest_.at("sha256").at(file).get<std::string>()) << file;
}

const Tensor& Golden::tensor(const std::string& name) const { return file_.tensors.at(name); }

std::vector<std::uint8_t> Golden::bytes(const std::string& name) const {
  std::vector<std::uint8_t> bytes;
  for (const float x : values(name)) bytes.push_back(static_cast<std::uint8_t>(x));
  return bytes;
}

std::vector<std::uint32_t> Golden::labels(const std::string& name) const {
  const std::vector<std::uint8_t> values = bytes(name);
  return {values.begin(), values.end()};
}

Dataset Golden::dataset(const std::string& prefix) const {
  Dataset data{prefix,
               {tensor(prefix + "pixels").shape()[1]},
               bytes(prefix + "pixels"),
               labels(prefix + "labels"),
               {}};
  for (int k = 0; k < 10; ++k) data.classes.push_back(std::to_string(k));
  return data;
}

void Golden::load_weights(Sequential& net, const std::string& prefix) const {
  for (const NamedParameter& p : net.parameters()) {
    const Tensor& value = tensor(prefix + p.name);
    ASSERT_EQ(value.shape(), p.parameter->value.shape()) << p.name;
    p.parameter->value = value;
  }
}

LIFOptions lif_options(const nlohmann::json& table) {
  LIFOptions options;
  options.tau = table.at("tau");
  options.v_threshold = table.at("v_threshold");
  if (table.at("v_reset").is_string()) {
    options.v_reset.reset();
  } else {
    options.v_reset = table.at("v_reset").get<float>();
  }
  options.decay_input = table.at("decay_input");
  options.detach_reset = table.at("detach_reset");
  const auto& surrogate = table.at("surrogate");  // ["atan", 2], or {"kind": "atan", "alpha": 2}
  const bool is_list = surrogate.is_array();
  const std::string kind = is_list ? surrogate[0] : surrogate.at("kind");
  const float alpha = is_list ? surrogate[1] : surrogate.at("alpha");
  options.surrogate = kind == "atan" ? Surrogate(ATan{alpha}) : Surrogate(Sigmoid{alpha});
  return options;
}

Sequential build_network(const nlohmann::json& recipe) {
  Sequential net;
  for (const nlohmann::json& table : recipe.at("network")) {
    const std::string kind = table.at("kind");
    if (kind == "flatten") net.add(std::make_unique<Flatten>());
    if (kind == "lif") net.add(std::make_unique<LIF>(lif_options(table)));
    if (kind == "linear") {
      net.add(std::make_unique<Linear>(table.at("in").get<std::size_t>(), table.at("out").get<std::size_t>(),
                                       LinearOptions{.bias = table.at("bias").get<bool>()}));
    }
  }
  return net;
}

}  // namespace volley::test
