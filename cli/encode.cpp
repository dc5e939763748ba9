#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <volley/encoder.hpp>
#include <volley/error.hpp>
#include <volley/recipe.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "data/image.hpp"
#include "figures/sheet.hpp"

namespace {

constexpr std::size_t kMostSide = 1024;
constexpr std::size_t kSteps = 100;
constexpr std::size_t kMostBits = std::size_t{1} << 30;  // 128 MiB of spikes

struct EncodeOptions {
  std::string image;
  std::string encoder = "poisson";
  std::string out;
  std::size_t steps = 0;  // 0: not given
  std::uint32_t seed = 0;
  std::vector<std::size_t> shown;  // counted from 1
};

volley::EncoderOptions encoder_options(const std::string& text) {
  volley::Recipe recipe;
  recipe.network = {volley::FlattenOptions{}};  // a recipe must have one
  return volley::cli::with_options(recipe, {{"--encoder", "encoder", text}}).encoder;
}

std::vector<std::size_t> shown_steps(const EncodeOptions& options, std::size_t steps) {
  std::vector<std::size_t> shown = options.shown;
  if (shown.empty()) {
    shown.resize(std::min<std::size_t>(steps, 4));
    std::iota(shown.begin(), shown.end(), 1);
  }
  for (const std::size_t step : shown) {
    if (step < 1 || step > steps) {
      throw CLI::ValidationError("--show-steps",
                                 fmt::format("a step must be 1 to {} (-T), got {}", steps, step));
    }
  }
  return shown;
}

/// The share of the steps, 0 to 255, at which a feature fired.
std::uint8_t mean_of(const volley::Spikes& spikes, std::size_t feature) {
  const std::size_t steps = spikes.steps();
  return static_cast<std::uint8_t>((spikes.count(0, feature) * 255 + steps / 2) / steps);
}

/// The picture, and for each channel that its spikes have beside, their mean over all steps.
std::vector<volley::Panel> channel_panels(const volley::Dataset& image, const volley::Spikes& spikes) {
  const std::size_t size = image.shape.size();
  std::vector<volley::Panel> panels{{image.pixels, "image"}};
  for (std::size_t c = 0; c < spikes.features() / size; ++c) {
    volley::Panel panel{std::vector<std::uint8_t>(size), fmt::format("{}: mean", c)};
    for (std::size_t f = 0; f < size; ++f) panel.pixels[f] = mean_of(spikes, c * size + f);
    panels.push_back(std::move(panel));
  }
  return panels;
}

/// The picture, and the spikes of each channel, row t being step t.
std::vector<volley::Panel> row_panels(const volley::Dataset& image, const volley::Spikes& spikes) {
  const std::size_t size = image.shape.size();
  const std::size_t width = image.shape[2];
  std::vector<volley::Panel> panels{{image.pixels, "image"}};
  for (std::size_t c = 0; c < spikes.features() / width; ++c) {
    volley::Panel panel{std::vector<std::uint8_t>(size), c == 0 ? "brighter" : "darker"};
    for (std::size_t i = 0; i < size; ++i) {
      panel.pixels[i] = spikes.fired(0, i / width, c * width + i % width) ? 255 : 0;
    }
    panels.push_back(std::move(panel));
  }
  return panels;
}

/// The picture, single steps of its spikes, and their mean over all steps.
std::vector<volley::Panel> step_panels(const volley::Dataset& image, const volley::Spikes& spikes,
                                       const std::vector<std::size_t>& shown) {
  const std::size_t features = spikes.features();
  const std::size_t steps = spikes.steps();
  std::vector<volley::Panel> panels{{image.pixels, "image"}};
  for (const std::size_t step : shown) {
    volley::Panel panel{std::vector<std::uint8_t>(features), fmt::format("t = {}", step)};
    for (std::size_t f = 0; f < features; ++f) panel.pixels[f] = spikes.fired(0, step - 1, f) ? 255 : 0;
    panels.push_back(std::move(panel));
  }
  volley::Panel mean{std::vector<std::uint8_t>(features), fmt::format("mean of {}", steps)};
  for (std::size_t f = 0; f < features; ++f) mean.pixels[f] = mean_of(spikes, f);
  panels.push_back(std::move(mean));
  return panels;
}

void encode_image(const EncodeOptions& options) {
  const volley::EncoderOptions chosen = encoder_options(options.encoder);
  const std::unique_ptr<volley::Encoder> encoder = volley::make_encoder(chosen);
  const bool of_rows = std::holds_alternative<volley::DeltaOptions>(chosen);
  if (!of_rows) static_cast<void>(shown_steps(options, options.steps == 0 ? kSteps : options.steps));
  const volley::Dataset image = volley::read_image(options.image, kMostSide);
  const std::size_t steps = options.steps > 0 ? options.steps : of_rows ? image.shape[1] : kSteps;
  const std::size_t pixels = image.shape.size();
  const std::size_t features = encoder->output_shape(image.shape).size();
  if (steps > kMostBits / features) {
    throw volley::Error(fmt::format("[encode] -T must be at most {} for {} pixels, got {}",
                                    kMostBits / features, pixels, steps));
  }
  volley::Tape tape;
  const std::array<std::uint32_t, 1> samples{0};
  const volley::Draw draw{options.seed, 0, volley::Draw::Purpose::test};
  const volley::Signal signal = encoder->encode(image, samples, steps, draw, tape);
  if (!signal.is_spikes()) {
    throw volley::Error(fmt::format("[encode] {} gives currents, and no spikes to draw", encoder->kind()));
  }
  const volley::Spikes& spikes = signal.spikes();

  const std::string title = fmt::format("{}, T = {}", image.name, steps);
  const std::vector<volley::Panel> panels = of_rows ? row_panels(image, spikes)
                                            : features == pixels
                                                ? step_panels(image, spikes, shown_steps(options, steps))
                                                : channel_panels(image, spikes);
  const std::string out = options.out.empty()
                              ? std::filesystem::path(options.image).stem().string() + "_spikes.png"
                              : options.out;
  volley::panel_sheet(title, panels, image.shape[2], 8, 168).write_png(out);

  const double brightness = std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) / 255.0;
  const double total = static_cast<double>(spikes.count());
  volley::cli::say("image      {} x {} pixels\n", image.shape[2], image.shape[1]);
  volley::cli::say("spikes     {} in {} steps\n", spikes.count(), steps);
  volley::cli::say("mean rate  {:.4f} per pixel and step (the mean of pixel / 255 is {:.4f})\n",
                   total / static_cast<double>(features * steps), brightness / static_cast<double>(pixels));
  volley::cli::say("picture    {}\n", out);
}

}  // namespace

void add_encode_command(CLI::App& app) {
  const auto options = std::make_shared<EncodeOptions>();
  CLI::App* encode = app.add_subcommand("encode", "An image, its spike trains and their mean, side by side");
  encode->add_option("IMAGE", options->image, "A PNG or PGM file; 0 is black, 255 white")->required();
  encode
      ->add_option(
          "--encoder", options->encoder,
          "A kind of encoder, with its defaults, or as in a recipe: '{ kind = \"latency\", clip = true }'")
      ->capture_default_str();
  encode->add_option("-T,--steps", options->steps, "Time steps (default: 100; delta: the image's height)")
      ->check(CLI::Range(1, 1000000));
  encode->add_option("--seed", options->seed, "Seed of the spikes")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  encode->add_option("--show-steps", options->shown, "Steps to draw, from 1 (default: 1,2,3,4)")
      ->delimiter(',');
  encode->add_option("--out", options->out,
                     "The file to write (default: IMAGE's name with _spikes.png, here)");
  encode->footer("Example: volley encode seven.png -T 50 --show-steps 1,10,50 --out seven_spikes.png");
  encode->callback([options] { encode_image(*options); });
}
