#pragma once

#include <string>
#include <vector>

#include <volley/layer.hpp>

namespace volley {

/// A layer and what its neurons did in a pass.
struct NamedMembrane {
  std::string name;  // the layer's, in the network: "1", "2.branch.0"
  Membrane membrane;
};

/// Of every layer of neurons in the last forward of `net` on `tape`, in order: computed again, since layers
/// do not keep it. Throws ArgumentError where the last forward on the tape was another layer's.
std::vector<NamedMembrane> membranes(Layer& net, const Tape& tape);

}  // namespace volley
