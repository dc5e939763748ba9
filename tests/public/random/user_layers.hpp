#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "api.hpp"

namespace volley::test {

// Layers as a user writes them, who has read no more than layer.hpp: plain row-major floats come in and go
// out.

/// y = 2 x
class Double final : public Layer {
 public:
  std::string_view kind() const override { return "double"; }
  Shape output_shape(const Shape& features) const override { return features; }
  VOLLEY_DO_FORWARD(x, tape) {
    Tensor& y = tape.saved<Saved>().y;
    y.resize(x.shape());
    for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] = 2 * x.values()[i];
    return y;
  }
  VOLLEY_DO_BACKWARD(tape, dy) {
    Tensor& dx = tape.saved<Saved>().dx;
    dx.resize(dy.shape());
    for (std::size_t i = 0; i < dx.size(); ++i) dx.data()[i] = 2 * dy.values()[i];
    return dx;
  }

 private:
  struct Saved {
    Tensor y, dx;
  };
};

/// y = w x for each feature, of one dimension, with a parameter of its own.
class Scale final : public Layer {
 public:
  explicit Scale(std::size_t features) : weight_(Shape{features}) {
    for (float& w : weight_.value.values()) w = 0.5f;
  }
  std::string_view kind() const override { return "scale"; }
  Shape output_shape(const Shape& features) const override {
    if (features != weight_.value.shape())
      throw Error("[scale] input features must be " + weight_.value.shape().text() + ", got " +
                  features.text());
    return features;
  }
  VOLLEY_DO_FORWARD(x, tape) {
    output_shape(x.shape().from(2));
    Saved& saved = tape.saved<Saved>();
    saved.x.assign(x.values(), x.values() + x.shape().size());
    saved.y.resize(x.shape());
    const std::size_t F = weight_.value.size();
    for (std::size_t i = 0; i < saved.y.size(); ++i)
      saved.y.data()[i] = weight_.value.data()[i % F] * saved.x[i];
    return saved.y;
  }
  VOLLEY_DO_BACKWARD(tape, dy) {
    Saved& saved = tape.saved<Saved>();
    saved.dx.resize(dy.shape());
    const std::size_t F = weight_.value.size();
    for (std::size_t i = 0; i < saved.dx.size(); ++i) {
      weight_.gradient.data()[i % F] += dy.values()[i] * saved.x[i];
      saved.dx.data()[i] = dy.values()[i] * weight_.value.data()[i % F];
    }
    return saved.dx;
  }
  VOLLEY_OWN_PARAMETERS() { return {{"weight", &weight_}}; }

 private:
  struct Saved {
    std::vector<float> x;
    Tensor y, dx;
  };
  Parameter weight_;
};

/// s = 1 where x > 0, as spikes; the gradient passes.
class Sign final : public Layer {
 public:
  std::string_view kind() const override { return "sign"; }
  Shape output_shape(const Shape& features) const override { return features; }
  VOLLEY_DO_FORWARD(x, tape) {
    std::vector<std::uint8_t> bytes(x.shape().size());
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = x.values()[i] > 0 ? 1 : 0;
    Spikes& spikes = tape.saved<Saved>().spikes;
    spikes = Spikes::from_bytes(x.shape(), bytes);
    return spikes;
  }
  VOLLEY_DO_BACKWARD(tape, dy) {
    Tensor& dx = tape.saved<Saved>().dx;
    dx.resize(dy.shape());
    std::copy_n(dy.values(), dx.size(), dx.data());
    return dx;
  }

 private:
  struct Saved {
    Spikes spikes;
    Tensor dx;
  };
};

/// A layer with a fault: what it returns has not the shape that it stated, is nothing, or is an exception.
class Faulty final : public Layer {
 public:
  enum class Fault { empty, other_shape, wrong_dx, error, exception };

  explicit Faulty(Fault fault) : fault_(fault) {}
  std::string_view kind() const override { return "faulty"; }
  Shape output_shape(const Shape& features) const override { return features; }
  VOLLEY_DO_FORWARD(x, tape) {
    if (fault_ == Fault::error) throw Error("[faulty] forward always throws");
    if (fault_ == Fault::exception) throw std::runtime_error("[faulty] forward always throws");
    if (fault_ == Fault::empty) return {};
    Tensor& y = tape.saved<Saved>().y;
    const std::size_t more = fault_ == Fault::other_shape ? 1 : 0;
    y = Tensor(x.shape().from(1).after({x.samples() + more}));
    return y;
  }
  VOLLEY_DO_BACKWARD(tape, dy) {
    Tensor& dx = tape.saved<Saved>().dx;
    dx = Tensor(dy.shape().from(1).after({dy.samples() + 1}));
    return dx;
  }

 private:
  struct Saved {
    Tensor y, dx;
  };
  Fault fault_;
};

}  // namespace volley::test
