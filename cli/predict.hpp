#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "own_pictures.hpp"
#include "trained_run.hpp"

namespace volley::cli {

struct PredictOptions {
  std::string run;
  std::string image;  // or a folder
  std::optional<std::size_t> index;
  std::string plot, theme;
  std::string out;
  std::string checkpoint = "best";
  std::string steps, device;
  std::string data_dir;
  bool json = false;
  OwnPictures::Options own;

  TrainedRunOptions loaded() const {
    return {.checkpoint = checkpoint, .data_dir = data_dir, .steps = steps, .device = device};
  }
};

/// What a network calls its outputs: the classes, and "output 10" for each beyond them.
std::vector<std::string> output_names(const Dataset& data, std::size_t outputs);

/// All pictures in the folder `options.image` and those in it, as CSV or JSON.
void predict_folder(const PredictOptions& options);

}  // namespace volley::cli
