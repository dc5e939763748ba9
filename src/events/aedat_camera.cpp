#include "events/aedat_camera.hpp"

#include <algorithm>
#include <string>

namespace volley {

AedatCamera aedat_camera(std::string_view name) {
  struct Model {
    std::string_view name;
    AedatCamera camera;
  };
  constexpr EventSensor kDavis = EventSensor::davis;
  static constexpr Model kModels[] = {
      {"DVS128", {EventSensor::dvs128, 128, 128}},
      {"DAVIS128", {kDavis, 128, 128}},
      {"DAVIS208", {kDavis, 208, 192}},
      {"DAVIS240", {kDavis, 240, 180}},
      {"DAVIS346", {kDavis, 346, 260}},
      {"DAVIS640", {kDavis, 640, 480}},
      {"DAVIS", {kDavis, 0, 0}},
  };
  std::string large(name);
  std::ranges::transform(large, large.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
  });
  for (const Model& model : kModels) {
    if (large.find(model.name) != std::string::npos) return model.camera;
  }
  return {};
}

}  // namespace volley
