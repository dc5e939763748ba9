#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <volley/volley.hpp>

namespace volley::test {

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();

/// Runs body, which must throw a `Kind` whose text has all of `words`.
template <class Kind, class Body>
void expect_throws(const Body& body, const std::vector<std::string>& words) {
  try {
    body();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(dynamic_cast<const Kind*>(&error), nullptr) << text;
    for (const std::string& word : words)
      EXPECT_NE(text.find(word), std::string::npos) << word << " in: " << text;
    return;
  } catch (const std::exception& error) {
    FAIL() << "not an Error: " << error.what();
  }
  FAIL() << "nothing was thrown";
}

/// Runs body, which must work or throw an Error that has one of `words`. Returns whether it worked.
template <class Body>
bool works_or_throws(const Body& body, const std::string& word) {
  try {
    body();
    return true;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
  }
  return false;
}

inline std::vector<float> values_of(const Signal& x) {
  const Tensor plain = to_tensor(x);
  return {plain.values().begin(), plain.values().end()};
}
inline std::vector<float> values_of(const Tensor& x) { return {x.values().begin(), x.values().end()}; }

/// A tensor whose element i is f(i).
template <class F>
Tensor tensor_of(const Shape& shape, const F& f) {
  Tensor tensor(shape);
  for (std::size_t i = 0; i < tensor.size(); ++i) tensor.data()[i] = static_cast<float>(f(i));
  return tensor;
}
/// Different values in [-0.5, 0.5), the same each time.
inline Tensor some_values(const Shape& shape) {
  return tensor_of(shape, [](std::size_t i) { return static_cast<float>(i * 37 % 101) / 101 - 0.5f; });
}
inline Spikes some_spikes(const Shape& shape) {
  std::vector<std::uint8_t> bytes(shape.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i * 37 % 101 < 40 ? 1 : 0;
  return Spikes::from_bytes(shape, bytes);
}

/// Pictures of `shape` with different pixels; labels 0, 1, 2, ... in turn.
inline Dataset pictures(const Shape& shape, std::size_t samples, std::size_t classes) {
  Dataset data{.name = "pictures", .shape = shape};
  for (std::size_t i = 0; i < samples * shape.size(); ++i)
    data.pixels.push_back(static_cast<std::uint8_t>(i * 41 % 256));
  for (std::size_t n = 0; n < samples; ++n) data.labels.push_back(static_cast<std::uint32_t>(n % classes));
  for (std::size_t k = 0; k < classes; ++k) data.classes.push_back("class " + std::to_string(k));
  return data;
}

/// All parameters and buffers of a network, one after another.
inline std::vector<float> tensors_of(Layer& net) {
  std::vector<float> all;
  for (const NamedTensor& named : net.named_tensors())
    all.insert(all.end(), named.tensor->values().begin(), named.tensor->values().end());
  return all;
}

/// y = 2 x, as a user writes it from layer.hpp alone.
class Double final : public Layer {
 public:
  std::string_view kind() const override { return "double"; }
  Shape output_shape(const Shape& features) const override { return features; }

 private:
  struct Saved {
    Tensor y, dx;
  };
  Signal do_forward(const Signal& x, Tape& tape) const override {
    Tensor& y = tape.saved<Saved>().y;
    y.resize(x.shape());
    for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] = 2 * x.values()[i];
    return y;
  }
  Signal do_backward(Tape& tape, const Signal& dy) override {
    Tensor& dx = tape.saved<Saved>().dx;
    dx.resize(dy.shape());
    for (std::size_t i = 0; i < dx.size(); ++i) dx.data()[i] = 2 * dy.values()[i];
    return dx;
  }
};

}  // namespace volley::test
