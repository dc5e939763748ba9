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

#include "commands.hpp"
#include "common.hpp"
#include "data/image.hpp"
#include "figures/sheet.hpp"

namespace {

constexpr std::size_t kMostSide = 1024;
constexpr std::size_t kMostBits = std::size_t{1} << 30;  // 128 MiB of spikes

struct EncodeOptions {
  std::string image;
  std::string out;
  std::size_t steps = 100;
  std::uint32_t seed = 0;
  std::vector<std::size_t> shown;  // counted from 1
};

std::vector<std::size_t> shown_steps(const EncodeOptions& options) {
  std::vector<std::size_t> shown = options.shown;
  if (shown.empty()) {
    shown.resize(std::min<std::size_t>(options.steps, 4));
    std::iota(shown.begin(), shown.end(), 1);
  }
  for (const std::size_t step : shown) {
    if (step < 1 || step > options.steps) {
      throw CLI::ValidationError("--show-steps",
                                 fmt::format("a step must be 1 to {} (-T), got {}", options.steps, step));
    }
  }
  return shown;
}

/// The picture, single steps of its spikes, and their mean over all steps.
std::vector<volley::Panel> spike_panels(const volley::Dataset& image, const volley::Spikes& spikes,
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
  for (std::size_t f = 0; f < features; ++f) {
    mean.pixels[f] = static_cast<std::uint8_t>((spikes.count(0, f) * 255 + steps / 2) / steps);
  }
  panels.push_back(std::move(mean));
  return panels;
}

void encode_image(const EncodeOptions& options) {
  const std::vector<std::size_t> shown = shown_steps(options);
  const volley::Dataset image = volley::read_image(options.image, kMostSide);
  const std::size_t features = image.shape.size();
  if (options.steps > kMostBits / features) {
    throw volley::Error(fmt::format("[encode] -T must be at most {} for {} pixels, got {}",
                                    kMostBits / features, features, options.steps));
  }
  volley::Tape tape;
  const std::array<std::uint32_t, 1> samples{0};
  const volley::Draw draw{options.seed, 0, volley::Draw::Purpose::test};
  const volley::Signal signal = volley::Poisson{}.encode(image, samples, options.steps, draw, tape);
  const volley::Spikes& spikes = signal.spikes();

  const std::string title = fmt::format("{}, T = {}", image.name, options.steps);
  const std::vector<volley::Panel> panels = spike_panels(image, spikes, shown);
  const std::string out = options.out.empty()
                              ? std::filesystem::path(options.image).stem().string() + "_spikes.png"
                              : options.out;
  volley::panel_sheet(title, panels, image.shape[2], 8, 168).write_png(out);

  const double brightness = std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) / 255.0;
  const double total = static_cast<double>(spikes.count());
  volley::cli::say("image      {} x {} pixels\n", image.shape[2], image.shape[1]);
  volley::cli::say("spikes     {} in {} steps\n", spikes.count(), options.steps);
  volley::cli::say("mean rate  {:.4f} per pixel and step (the mean of pixel / 255 is {:.4f})\n",
                   total / static_cast<double>(features * options.steps),
                   brightness / static_cast<double>(features));
  volley::cli::say("picture    {}\n", out);
}

}  // namespace

void add_encode_command(CLI::App& app) {
  const auto options = std::make_shared<EncodeOptions>();
  CLI::App* encode =
      app.add_subcommand("encode", "An image, its Poisson spike trains and their mean, side by side");
  encode->add_option("IMAGE", options->image, "A PNG or PGM file; 0 is black and silent, 255 fires always")
      ->required();
  encode->add_option("-T,--steps", options->steps, "Time steps")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
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
