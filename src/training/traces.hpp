#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include <volley/layer.hpp>
#include <volley/tape.hpp>

namespace volley {

/// Calls body(name, tape of it) for every layer that a network's pass on `tape` ran, in order; a container's
/// layers stand for it. The name is the layer's place: "2", or "3.0" in a container.
template <class Body>
void for_each_trace(const Tape& tape, const Body& body, const std::string& container = "") {
  const auto traced = [](const Tape& child) {
    return child.trace().layer != nullptr && child.trace().layer->kind() != "identity";  // which does nothing
  };
  for (std::size_t i = 0; i < tape.children().size(); ++i) {
    const Tape& child = tape.children()[i];
    const std::string name = container.empty() ? fmt::format("{}", i) : fmt::format("{}.{}", container, i);
    if (std::ranges::any_of(child.children(), traced)) {
      for_each_trace(child, body, name);
    } else if (traced(child)) {
      body(name, child);
    }
  }
}

}  // namespace volley
