#include "own_pictures.hpp"

#include <fmt/format.h>

#include <cmath>

#include <volley/error.hpp>
#include <volley/image.hpp>
#include <volley/known_sets.hpp>

#include "common.hpp"

namespace volley::cli {
namespace {

/// The mean of all pixels at the edges of grey pictures.
double border_of(const Dataset& data) {
  const std::size_t H = data.shape[1], W = data.shape[2];
  double sum = 0, count = 0;
  for (std::size_t i = 0; i < data.pixels.size(); ++i) {
    const std::size_t y = i / W % H, x = i % W;
    if (y != 0 && y != H - 1 && x != 0 && x != W - 1) continue;
    sum += data.pixels[i];
    ++count;
  }
  return sum / count;
}

}  // namespace

Dataset known_pictures(const std::string& name) {
  const datasets::Info set = datasets::info(name);
  return {.name = set.name, .shape = set.shape, .pixels = {}, .labels = {}, .classes = set.classes};
}

OwnPictures::OwnPictures(const Recipe& recipe, const std::string& data_dir, const Options& options)
    : options_(options) {
  if (datasets::is_picture_folder(recipe.data)) {
    const Dataset data = load_test_pictures(recipe, data_dir);
    if (data.shape[0] == 1) background_ = border_of(data);
    like_ = data.first(1);
    return;
  }
  like_ = known_pictures(recipe.data);
  if (like_.shape[0] == 1) background_ = 0;  // all of them are white on black
}

OwnPictures::Read OwnPictures::read(const std::filesystem::path& path) const {
  const bool colours = like_.shape[0] == 3;
  Read read{.picture = read_image(path, kMostImagePixels, colours ? Colours::as_stored : Colours::grey)};
  Dataset& picture = read.picture;
  const bool same_colours = picture.shape[0] == like_.shape[0];
  if (options_.resize && same_colours) picture = resized(picture, like_.shape[1], like_.shape[2]);
  if (picture.shape != like_.shape) {
    throw FileError(path.string(),
                    fmt::format("must be a picture of {} x {} pixels{}, as those of {}, got {} x {}{}{}",
                                like_.shape[2], like_.shape[1], colours ? " in colour" : "", like_.name,
                                picture.shape[2], picture.shape[1], same_colours ? "" : " in grey",
                                same_colours ? "; --resize scales it" : ""));
  }
  if (options_.invert) {
    for (std::uint8_t& pixel : picture.pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
  }
  if (background_.has_value()) {
    const double border = border_of(picture);
    read.odd = std::abs(border - *background_) > 128;
    if (read.odd) {
      read.note = fmt::format(
          "the picture looks inverted: its border has a mean of {:.0f}, those of {} of {:.0f}; {}", border,
          like_.name, *background_, options_.invert ? "leave out --invert" : "--invert turns it over");
    }
  }
  picture.name = path.string();
  picture.classes = like_.classes;
  return read;
}

}  // namespace volley::cli
