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
#include <volley/image.hpp>
#include <volley/recipe.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "figures/run_figures.hpp"

namespace {

constexpr std::size_t kMostSide = 1024;
constexpr std::size_t kSteps = 100;
constexpr std::size_t kMostBits = std::size_t{1} << 30;  // 128 MiB of spikes

struct EncodeOptions {
  std::string image;
  std::string encoder = "poisson";
  std::string out;
  std::string theme;
  std::size_t steps = 0;  // 0: not given
  std::uint32_t seed = 0;
  std::vector<std::size_t> shown;  // the first is 0
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
    std::iota(shown.begin(), shown.end(), 0);
  }
  for (const std::size_t step : shown) {
    if (step >= steps) {
      throw CLI::ValidationError(
          "--show-steps", fmt::format("a step must be 0 to {} (of -T {}), got {}", steps - 1, steps, step));
    }
  }
  return shown;
}

using volley::Panel;

/// The share of the steps, 0 to 255, at which each of `count` features from `first` on fired.
Panel mean_panel(const volley::Spikes& spikes, std::size_t first, std::size_t count, std::string caption) {
  Panel panel{std::vector<float>(count), std::move(caption)};
  const float all = static_cast<float>(spikes.steps());
  for (std::size_t f = 0; f < count; ++f) {
    panel.values[f] = 255 * static_cast<float>(spikes.count(0, first + f)) / all;
  }
  return panel;
}

/// For each channel that the spikes of a picture of so many pixels have, their mean over all steps.
std::vector<Panel> channel_panels(const volley::Spikes& spikes, std::size_t size) {
  std::vector<Panel> panels;
  for (std::size_t c = 0; c < spikes.features() / size; ++c) {
    panels.push_back(mean_panel(spikes, c * size, size, fmt::format("{}: mean", c)));
  }
  return panels;
}

/// The spikes of each channel, row t being step t.
std::vector<Panel> row_panels(const volley::Spikes& spikes, std::size_t size, std::size_t width) {
  std::vector<Panel> panels;
  for (std::size_t c = 0; c < spikes.features() / width; ++c) {
    Panel panel{std::vector<float>(size), c == 0 ? "brighter" : "darker"};
    for (std::size_t i = 0; i < size; ++i) {
      panel.values[i] = spikes.fired(0, i / width, c * width + i % width) ? 255 : 0;
    }
    panels.push_back(std::move(panel));
  }
  return panels;
}

/// Single steps of the spikes, and their mean over all steps.
std::vector<Panel> step_panels(const volley::Spikes& spikes, const std::vector<std::size_t>& shown) {
  const std::size_t features = spikes.features();
  std::vector<Panel> panels;
  for (const std::size_t step : shown) {
    Panel panel{std::vector<float>(features), fmt::format("t = {}", step)};
    for (std::size_t f = 0; f < features; ++f) panel.values[f] = spikes.fired(0, step, f) ? 255 : 0;
    panels.push_back(std::move(panel));
  }
  panels.push_back(mean_panel(spikes, 0, features, fmt::format("mean of {}", spikes.steps())));
  return panels;
}

void encode_image(const EncodeOptions& options) {
  if (!options.out.empty()) volley::cli::check_picture_name(options.out);
  const volley::EncoderOptions chosen = encoder_options(options.encoder);
  const std::unique_ptr<volley::Encoder> encoder = volley::make_encoder(chosen);
  const bool of_rows = std::holds_alternative<volley::DeltaOptions>(chosen);
  if (!of_rows) static_cast<void>(shown_steps(options, options.steps == 0 ? kSteps : options.steps));
  const volley::Dataset image = volley::read_image(options.image, kMostSide);
  const std::size_t steps = options.steps > 0 ? options.steps : of_rows ? image.shape[1] : kSteps;
  const std::size_t pixels = image.shape.size();
  const std::size_t features = encoder->output_shape(image.shape).size();
  if (steps > kMostBits / features) {
    throw volley::ArgumentError(
        "encode", fmt::format("-T must be at most {} for {} pixels", kMostBits / features, pixels),
        fmt::format("{}", steps));
  }
  volley::Tape tape;
  const std::array<std::uint32_t, 1> samples{0};
  const volley::Draw draw{options.seed, 0, volley::Draw::Purpose::test};
  const volley::Signal signal = encoder->encode(image, samples, steps, draw, tape);
  if (!signal.is_spikes()) {
    throw volley::ArgumentError("encode",
                                fmt::format("{} gives currents, and no spikes to draw", encoder->kind()));
  }
  const volley::Spikes& spikes = signal.spikes();

  const std::string title = fmt::format("{}, T = {}", image.name, steps);
  std::vector<Panel> panels = of_rows              ? row_panels(spikes, pixels, image.shape[2])
                              : features == pixels ? step_panels(spikes, shown_steps(options, steps))
                                                   : channel_panels(spikes, pixels);
  panels.insert(panels.begin(), volley::picture_panel(image, 0, "image"));
  const std::string out = options.out.empty()
                              ? std::filesystem::path(options.image).stem().string() + "_spikes.png"
                              : options.out;
  volley::write_figure(volley::panel_figure(title, panels, image.shape[2], 8, 168), out,
                       volley::cli::theme_named(options.theme));

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
  encode->add_option("IMAGE", options->image, "A PNG, JPEG, BMP or PGM file; 0 is black, 255 white")
      ->required();
  encode
      ->add_option(
          "--encoder", options->encoder,
          "A kind of encoder, with its defaults, or as in a recipe: '{ kind = \"latency\", clip = true }'")
      ->capture_default_str();
  encode->add_option("-T,--steps", options->steps, "Time steps (default: 100; delta: the image's height)")
      ->check(CLI::Range(1, 1000000));
  encode->add_option("--seed", options->seed, "Seed of the spikes")
      ->check(volley::cli::from_zero())
      ->capture_default_str();
  encode->add_option("--show-steps", options->shown, "Steps to draw, the first being 0 (default: 0,1,2,3)")
      ->delimiter(',');
  encode->add_option("--out", options->out,
                     "The file to write, .png or .svg (default: IMAGE's name with _spikes.png, here)");
  volley::cli::add_theme_option(*encode, options->theme);
  encode->footer("Example: volley encode seven.png -T 50 --show-steps 0,9,49 --out seven_spikes.png");
  encode->callback([options] { encode_image(*options); });
}
