#include <algorithm>
#include <cmath>
#include <numeric>

#include "options.hpp"
#include "scenes.hpp"

namespace volley::test {
namespace {

template <class E>
std::unique_ptr<Encoder> make_encoder_of(Program& p, const char* name, double invalid, std::string& text,
                                         const Shape& picture) {
  typename E::Options options;
  draw_fields(p, options, invalid);
  bool unsure = invalid > 0;
  if constexpr (std::is_base_of_v<CurrentOptions, typename E::Options>) {
    const auto fit = [&](std::vector<float>& values, double low) {
      if (unsure) return;
      values.clear();
      if (p.random.chance(0.5)) return;
      values.resize(p.random.chance(0.5) ? 1 : picture[0]);
      for (float& value : values) value = static_cast<float>(p.random.real(low, 1));
    };
    fit(options.mean, -1);
    fit(options.deviation, 0.1);
  }
  if constexpr (std::is_same_v<E, Population>) unsure = unsure || !(options.low < options.high);
  text = cat(name, "{", fields_text(options), "}");
  const Expect expect = unsure ? Expect::either : in_ranges(options) ? Expect::works : Expect::throws;
  return construct<E>(p, name, text, expect, options, options);
}

/// What a spike or current is, where that is a function of the pixel alone; NaN where it is not.
float expected_value(const std::string& text, std::uint8_t pixel, float got) {
  if (text.starts_with("Poisson")) return pixel == 0 ? 0.0f : pixel == 255 ? 1.0f : got;
  if (text == "Direct{{.mean = {}, .std = {}}}") return static_cast<float>(pixel) / 255;
  return got;
}

void check_values(Program& p, const std::string& text, const Dataset& data,
                  const std::vector<std::uint32_t>& samples, std::size_t steps, const std::vector<float>& x) {
  const std::size_t F = data.shape.size();
  if (x.size() != samples.size() * steps * F) return;  // another shape than the picture's
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint8_t pixel = data.picture(samples[i / (steps * F)])[i % F];
    const float expected = expected_value(text, pixel, x[i]);
    p.check(std::abs(x[i] - expected) < 1e-6f, "the values of an encoder",
            cat(text, " of ", pixel, " is ", x[i], ", not ", expected));
  }
}

void check_alone(Program& p, const Encoder& encoder, const Dataset& data,
                 const std::vector<std::uint32_t>& samples, std::size_t steps, const Draw& draw,
                 const std::vector<float>& whole) {
  const std::size_t size = whole.size() / samples.size();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Tape tape(pool_of(1));
    std::vector<float> one;
    p.must("Encoder::encode", cat("encoder.encode(data, {", samples[i], "}, ", steps, ", draw, tape);"), [&] {
      one = plain_values(p, encoder.encode(data, {&samples[i], 1}, steps, draw, tape));
    });
    const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(i * size);
    p.check(std::equal(one.begin(), one.end(), begin, begin + static_cast<std::ptrdiff_t>(size)),
            "a sample is encoded alone as in a batch");
  }
}

/// A network behind an encoder: the bits of 1 thread and several, and the loss.
void run_network(Program& p, const Signal& x, std::size_t steps) {
  Place at{.features = x.shape().from(2), .spikes = x.is_spikes(), .steps = steps};
  Network network = draw_net(p, "net", at, p.random.between(1, 4));
  PassCall call{.seed = 5};
  call.dy = draw_values(p, signal_shape(x.samples(), steps, network.made.features).size());
  PassResult one, several;
  run_pass(p, one, network.net, x, call);
  call.threads = p.threads();
  run_pass(p, several, network.net, x, call);
  p.check(same_values(one.y, several.y), "1 thread and several give the same bits: y");
  p.check(same_values(one.dx, several.dx), "1 thread and several give the same bits: dx");
  if (network.made.features.rank() != 1) return;
  Tape tape(pool_of(1));
  Signal y;
  p.must("Layer::forward", "y = net.forward(x, tape);", [&] { y = network.net.forward(x, tape); });
  check_loss(p, draw_loss(p, 0), y, one.y);
}

void misuse(Program& p, const Encoder& encoder, const Dataset& data) {
  Tape tape(pool_of(1));
  const auto last = static_cast<std::uint32_t>(data.size());
  const std::vector<std::uint32_t> beyond{0, p.random.one_of<std::uint32_t>({last, last + 7, 0xFFFFFFFFu})};
  p.must_throw("Encoder::encode",
               cat("encoder.encode(data, {0, ", beyond[1], "}, 4, draw, tape);  // of ", last),
               [&] { encoder.encode(data, beyond, data.shape[1], {}, tape); });
  p.may("Encoder::encode", "encoder.encode(data, {}, 4, draw, tape);",
        [&] { encoder.encode(data, {}, 4, {}, tape); });
  p.may("Encoder::encode", "encoder.encode(data, {0}, 0, draw, tape);", [&] {
    const std::uint32_t first = 0;
    plain_values(p, encoder.encode(data, {&first, 1}, 0, {}, tape));
  });
  Dataset broken = data;
  switch (p.random.below(4)) {
    case 0: broken.pixels.pop_back(); break;
    case 1: broken.shape = Shape{}; break;
    case 2: broken.shape = {2, 1u << 31, 1u << 31}; break;
    default: broken.shape = broken.shape.after({2});
  }
  std::vector<std::uint32_t> all(data.size());
  std::iota(all.begin(), all.end(), 0u);
  p.may("Encoder::encode",
        cat("encoder.encode(broken, all, 4, draw, tape);  // shape ", broken.shape, ", ",
            broken.pixels.size(), " pixels"),
        [&] { encoder.encode(broken, all, 4, {}, tape); });
}

void use_augment(Program& p, const Dataset& data) {
  AugmentOptions options;
  draw_fields(p, options, 0.05);
  const std::string text = cat("Augment{", fields_text(options), "}");
  if (!p.may("Augment::Augment", text, [&] { Augment{options}; })) return;
  const Augment augment(options);
  p.count("Augment::options");
  p.count("Augment::active");
  if (!p.may("Augment::check", "augment.check(data.shape);", [&] { augment.check(data.shape); })) return;
  std::vector<std::uint32_t> samples{0, static_cast<std::uint32_t>(data.size() - 1)};
  if (p.random.chance(0.2)) samples.push_back(static_cast<std::uint32_t>(data.size()));
  Dataset one, several;
  const auto apply = [&](Dataset& out, std::size_t threads) {
    return p.may("Augment::apply", cat("augment.apply(out, data, samples, draw, threads);  // ", threads),
                 [&] { augment.apply(out, data, samples, {.seed = 3, .epoch = 1}, pool_of(threads)); });
  };
  const bool worked = apply(one, 1);
  p.check(worked == apply(several, p.threads()), "augmentation refuses for any number of threads");
  p.check(!worked || samples.back() < data.size(), "Augment::apply refuses samples out of range");
  if (worked && augment.active())
    p.check(std::ranges::equal(one.picture(0), several.picture(0)),
            "augmentation has the same bits for any threads");
}

void use_sets(Program& p, const Dataset& data) {
  p.count("Dataset::first");
  p.count("Dataset::size");
  const std::size_t some = p.random.below(data.size() + 3);
  const Dataset first = data.first(some);
  p.check(first.size() == std::min(some, data.size()), "Dataset::first");
  Split split{.train = data, .test = data};
  const std::size_t held = p.random.below(data.size() + 2);
  const bool valid = held > 0 && held < data.size();
  const auto run = [&] { hold_out(split, held, 1); };
  const std::string text = cat("hold_out(split, ", held, ", 1);  // of ", data.size());
  valid ? p.must("hold_out", text, run) : p.must_throw("hold_out", text, run);
  if (valid) p.check(split.train.size() + held == data.size() && split.validation.size() == held, "hold_out");
}

void use_probabilities(Program& p) {
  const Poisson poisson;
  p.count("Poisson::options");
  const Input rates = draw_input(p, "rates", {2, 1, 9}, Form{});
  Tensor probabilities(Shape{2, 9});
  std::copy_n(rates.plain().data(), 18, probabilities.data());
  const std::size_t steps = p.random.between(1, 70);
  Tape tape(pool_of(p.random.between(1, p.threads())));
  p.must("Encoder::encode", cat("poisson.encode(probabilities, ", steps, ", draw, tape);"), [&] {
    const Signal x = poisson.encode(probabilities, steps, {.seed = 1}, tape);
    const std::vector<float> spikes = plain_values(p, x);
    for (std::size_t i = 0; i < spikes.size(); ++i) {
      const float rate = rates.plain()[i / (steps * 9) * 9 + i % 9];
      const bool right = rate >= 1 ? spikes[i] == 1 : rate > 0 || spikes[i] == 0;
      p.check(right, "Poisson fires never at 0 and always at 1");
    }
  });
  Tensor none;
  p.may("Encoder::encode", "poisson.encode(Tensor{}, 4, draw, tape);",
        [&] { plain_values(p, poisson.encode(none, 4, {}, tape)); });
}

}  // namespace

Dataset draw_dataset(Program& p, const std::string& name, const Shape& picture, std::size_t samples,
                     std::size_t classes) {
  Dataset data{.name = name, .shape = picture};
  data.pixels.resize(samples * picture.size());
  for (std::uint8_t& pixel : data.pixels)
    pixel = p.random.chance(0.3) ? (p.random.chance(0.5) ? 0 : 255)
                                 : static_cast<std::uint8_t>(p.random.below(256));
  for (std::size_t i = 0; i < samples; ++i)
    data.labels.push_back(static_cast<Label>(p.random.below(classes)));
  for (std::size_t k = 0; k < classes; ++k) data.classes.push_back(cat("class", k));
  p.say(cat("Dataset ", name, ";  // ", samples, " random pictures of ", picture, ", ", classes, " classes"));
  return data;
}

std::unique_ptr<Encoder> draw_encoder(Program& p, const Shape& picture, std::size_t& steps, std::string& text,
                                      double invalid) {
  switch (p.random.below(9)) {
    case 0: return make_encoder_of<Poisson>(p, "Poisson", invalid, text, picture);
    case 1:
    case 2: return make_encoder_of<Direct>(p, "Direct", invalid, text, picture);
    case 3: steps = picture[1]; return make_encoder_of<Rows>(p, "Rows", invalid, text, picture);
    case 4: steps = picture[1]; return make_encoder_of<Delta>(p, "Delta", invalid, text, picture);
    case 5: return make_encoder_of<Latency>(p, "Latency", invalid, text, picture);
    case 6: return make_encoder_of<WeightedPhase>(p, "WeightedPhase", invalid, text, picture);
    case 7: return make_encoder_of<Population>(p, "Population", std::max(invalid, 1e-9), text, picture);
    default:
      p.count("make_encoder");
      // What Periodic repeats may have options that do not fit together.
      return make_encoder_of<Periodic>(p, "Periodic", std::max(invalid, 1e-9), text, picture);
  }
}

void encoder_scene(Program& p) {
  const Shape picture{p.random.between(1, 3), p.random.between(1, 6), p.random.between(1, 6)};
  const Dataset data = draw_dataset(p, "data", picture, p.random.between(2, 6), 3);
  std::size_t steps = p.random.one_of<std::size_t>({1, 2, 4, 4, 8, 65});
  std::string text;
  const std::unique_ptr<Encoder> encoder = draw_encoder(p, picture, steps, text, 0);
  if (encoder == nullptr) return;
  p.count("Encoder::kind");
  p.count(cat("encoder ", encoder->kind()));
  std::vector<std::uint32_t> samples;
  while (samples.empty() || p.random.chance(0.6))
    samples.push_back(static_cast<std::uint32_t>(p.random.below(data.size())));
  const Draw draw{.seed = 2, .epoch = 1};
  Tape tape(pool_of(p.random.between(1, p.threads())));
  Signal x;
  p.must("Encoder::encode",
         cat(text, ".encode(data, ", samples.size(), " samples, ", steps, ", draw, tape);"),
         [&] { x = encoder->encode(data, samples, steps, draw, tape); });
  const Shape expected = signal_shape(samples.size(), steps, encoder->output_shape(picture));
  p.count("Encoder::output_shape");
  p.check(x.shape() == expected, "the shape of an encoder's signal", cat(x.shape(), " for ", expected));
  const std::vector<float> whole = plain_values(p, x);
  check_values(p, text, data, samples, steps, whole);
  check_alone(p, *encoder, data, samples, steps, draw, whole);
  Tape other(pool_of(2));
  p.must("Encoder::encode_ahead", "encoder.encode_ahead(data, samples, steps, draw, other);", [&] {
    const Signal ahead = encoder->encode_ahead(data, samples, steps, draw, other);
    p.count("Tape::threads");
    p.count("ThreadPool::finish_ahead");
    other.threads().finish_ahead();
    p.check(same_values(plain_values(p, ahead), whole), "encode_ahead gives what encode gives");
  });
  if (p.random.chance(0.7)) run_network(p, x, steps);
  if (p.random.chance(0.3)) misuse(p, *encoder, data);
  if (p.random.chance(0.3)) use_augment(p, data);
  if (p.random.chance(0.3)) use_sets(p, data);
  if (p.random.chance(0.2)) use_probabilities(p);
}

}  // namespace volley::test
