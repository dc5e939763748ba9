#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <volley/event_file.hpp>

namespace volley {

/// A camera that jAER and cAER name in their headers.
struct AedatCamera {
  std::optional<EventSensor> sensor;  // none: not known
  std::size_t width = 0;
  std::size_t height = 0;
};

/// By a name with its model in it, in letters of any size: "eu.seebetter.ini.chips.davis.DAVIS240C".
AedatCamera aedat_camera(std::string_view name);

}  // namespace volley
