// A convolutional network as a user puts it together, channels-last and constant in time where it can be,
// against the double reference of each operation, row-major and step by step.

#include <gtest/gtest.h>

#include <volley/volley.hpp>

#include "layers/picture_layers.hpp"
#include "spec/batch_norm.hpp"
#include "spec/conv.hpp"
#include "spec/lif.hpp"
#include "spec/linear.hpp"
#include "spec/pool.hpp"
#include "support/gradient_check.hpp"

namespace volley {
namespace {

using V = std::vector<double>;

constexpr std::size_t kN = 3, kT = 4, kSide = 6, kChannels = 66, kOutputs = 5;
constexpr std::size_t kPositions = kSide * kSide, kPooled = kPositions / 4;
constexpr std::size_t kPictures = kN * kT;
constexpr double kEps = 1e-5;

/// conv, batch norm, IF, max pool, flatten, linear, IF, on the same picture at every step.
struct Reference {
  const IFOptions& options;
  V x, w1, gamma, beta, w2;  // x (N, 1, H, W)

  const spec::Conv2dShape conv{
      1, kChannels, 1, {kSide, kSide}, {.kernel_size = 3, .stride = 1, .padding = 1, .dilation = 1}};
  std::vector<spec::ChannelStatistics> statistics{kChannels};
  spec::Windows windows;
  V xs, y1, n1, s1, h1, p1, y2, s2, h2;
  V dw1, dgamma, dbeta, dw2;
  double margin = 1;  // of all potentials from the threshold

  /// (pictures, C, P) as rows of channels, and back.
  static V rows_of(const V& v) {
    V rows(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) {
      const std::size_t p = i % kPositions, c = i / kPositions % kChannels, n = i / kPositions / kChannels;
      rows[(n * kPositions + p) * kChannels + c] = v[i];
    }
    return rows;
  }
  static V pictures_of(const V& rows) {
    V v(rows.size());
    for (std::size_t i = 0; i < v.size(); ++i) {
      const std::size_t p = i % kPositions, c = i / kPositions % kChannels, n = i / kPositions / kChannels;
      v[i] = rows[(n * kPositions + p) * kChannels + c];
    }
    return v;
  }

  void fire(V& s, V& h, const V& current) {
    const std::size_t F = current.size() / kPictures;
    s.resize(current.size());
    h.resize(current.size());
    const auto neuron = spec::everywhere(spec::IFNeuron<double>(options));
    for (std::size_t n = 0; n < kN; ++n) {
      const std::size_t i = n * kT * F;
      spec::neuron_forward(&s[i], &h[i], &current[i], neuron, options.surrogate, spec::Fire::hard, kT, F);
    }
    for (const double v : h)
      margin = std::min(margin, std::abs(v - static_cast<double>(options.v_threshold)));
  }
  V fire_back(const V& ds, const V& s, const V& h, const V& current) const {
    const std::size_t F = current.size() / kPictures;
    V dx(current.size());
    const auto neuron = spec::everywhere(spec::IFNeuron<double>(options));
    for (std::size_t n = 0; n < kN; ++n) {
      const std::size_t i = n * kT * F;
      spec::neuron_backward<double>(&dx[i], nullptr, &ds[i], &s[i], &h[i], &current[i], neuron,
                                    options.surrogate, kT, F);
    }
    return dx;
  }

  void forward() {
    for (std::size_t p = 0; p < kPooled; ++p) {
      const std::size_t corner = p / (kSide / 2) * 2 * kSide + p % (kSide / 2) * 2;
      windows.push_back({corner, corner + 1, corner + kSide, corner + kSide + 1});
    }
    xs.resize(kPictures * kPositions);
    for (std::size_t i = 0; i < xs.size(); ++i) xs[i] = x[i / kPositions / kT * kPositions + i % kPositions];
    y1.resize(kPictures * kChannels * kPositions);
    for (std::size_t n = 0; n < kPictures; ++n) {
      spec::conv2d_forward<double>(&y1[n * kChannels * kPositions], &xs[n * kPositions], w1.data(), nullptr,
                                   conv);
    }
    const V rows = rows_of(y1);
    V sum(kChannels), dot(kChannels), normal(rows.size());
    spec::channel_sums(sum.data(), dot.data(), rows.data(), rows.data(), kPictures * kPositions, kChannels);
    std::vector<spec::BatchNormForward<double>> k;
    for (std::size_t c = 0; c < kChannels; ++c) {
      statistics[c] = spec::batch_statistics(sum[c], dot[c], kPictures * kPositions, kEps);
      k.push_back(spec::batch_norm_forward_coefficients(statistics[c], gamma[c], beta[c]));
    }
    spec::batch_norm_forward(normal.data(), rows.data(), k.data(), kPictures * kPositions, kChannels);
    n1 = pictures_of(normal);
    fire(s1, h1, n1);
    p1.resize(kPictures * kChannels * kPooled);
    for (std::size_t n = 0; n < kPictures; ++n) {
      spec::max_pool_forward(&p1[n * kChannels * kPooled], &s1[n * kChannels * kPositions], windows,
                             kChannels, kPositions);
    }
    y2.resize(kPictures * kOutputs);
    spec::linear_forward<double>(y2.data(), p1.data(), w2.data(), nullptr, kPictures, kChannels * kPooled,
                                 kOutputs);
    fire(s2, h2, y2);
  }

  void backward(const V& ds2) {
    const V dy2 = fire_back(ds2, s2, h2, y2);
    dw2.resize(w2.size());
    spec::linear_weight_gradient(dw2.data(), dy2.data(), p1.data(), kPictures, kChannels * kPooled, kOutputs);
    V dp1(p1.size()), ds1(s1.size());
    spec::linear_input_gradient(dp1.data(), dy2.data(), w2.data(), kPictures, kChannels * kPooled, kOutputs);
    for (std::size_t n = 0; n < kPictures; ++n) {
      spec::max_pool_backward(&ds1[n * kChannels * kPositions], &dp1[n * kChannels * kPooled],
                              &s1[n * kChannels * kPositions], windows, kChannels, kPositions);
    }
    const V dn1 = rows_of(fire_back(ds1, s1, h1, n1)), rows = rows_of(y1);
    V sum(kChannels), dot(kChannels), dy1(rows.size());
    spec::channel_sums(sum.data(), dot.data(), rows.data(), dn1.data(), kPictures * kPositions, kChannels);
    dgamma.resize(kChannels);
    dbeta.resize(kChannels);
    std::vector<spec::BatchNormBackward<double>> k;
    for (std::size_t c = 0; c < kChannels; ++c) {
      k.push_back(spec::batch_norm_backward_coefficients(dgamma[c], dbeta[c], sum[c], dot[c], statistics[c],
                                                         gamma[c],
                                                         static_cast<double>(kPictures * kPositions)));
    }
    spec::batch_norm_backward(dy1.data(), dn1.data(), rows.data(), k.data(), kPictures * kPositions,
                              kChannels);
    const V dy1_pictures = pictures_of(dy1);
    dw1.resize(w1.size());
    for (std::size_t n = 0; n < kPictures; ++n) {
      spec::conv2d_weight_gradient(dw1.data(), &dy1_pictures[n * kChannels * kPositions], &xs[n * kPositions],
                                   conv);
    }
  }
};

TEST(ConvNetwork, SpikesAndGradientsAreThoseOfTheReference) {
  for (const IFOptions& options : {IFOptions{}, IFOptions{.v_reset = std::nullopt, .surrogate = Sigmoid{}}}) {
    Sequential net{Conv2d{1, kChannels, 3, {.padding = 1, .bias = false}},
                   BatchNorm{kChannels, {.eps = static_cast<float>(kEps)}},
                   IF{options},
                   MaxPool2d{2},
                   Flatten{},
                   Linear{kChannels * kPooled, kOutputs, {.bias = false}},
                   IF{options}};
    net.initialize(3);
    for (float& w : net.parameters().back().parameter->value.values()) w *= 4;  // for spikes
    const Tensor picture = test::random_tensor({kN, 1, 1, kSide, kSide}, 1);
    const auto value = [&](std::size_t i) {
      const auto v = net.parameters()[i].parameter->value.values();
      return V(v.begin(), v.end());
    };
    Reference expected{
        options, V(picture.values().begin(), picture.values().end()), value(0), value(1), value(2), value(3)};
    expected.forward();
    ASSERT_GT(expected.margin, 3e-6);  // else either may fire
    const Tensor dy = test::random_tensor({kN, kT, kOutputs}, 2);
    expected.backward(V(dy.values().begin(), dy.values().end()));

    const Signal x(picture, {kN, kT, 1, kSide, kSide}, Layout::row_major);
    ASSERT_TRUE(x.constant());
    for (const std::size_t threads : {1u, 3u}) {
      ThreadPool pool(threads);
      Tape tape(pool);
      tape.set_context({.training = true});
      tape.set_needs_input_gradient(false);
      zero_gradients(net.parameters());
      const std::vector<float> y = test::plain_values(net.forward(x, tape));
      EXPECT_EQ(V(y.begin(), y.end()), expected.s2);
      EXPECT_GT(std::count(y.begin(), y.end(), 1.0f), 5);
      // The neurons behind the convolution read one step of currents, channel by channel.
      EXPECT_TRUE(tape.child(2).trace().x.constant());
      EXPECT_EQ(tape.child(2).trace().x.layout(), Layout::channels_last);
      net.backward(tape, dy);
      const V* gradients[] = {&expected.dw1, &expected.dgamma, &expected.dbeta, &expected.dw2};
      for (std::size_t i = 0; i < std::size(gradients); ++i) {
        EXPECT_LT(test::relative_error(net.parameters()[i].parameter->gradient.values(), *gradients[i]), 2e-5)
            << i;
      }
    }
  }
}

}  // namespace
}  // namespace volley
