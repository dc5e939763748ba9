#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "program.hpp"

namespace volley::test {

/// What comes into the next layer of a random network.
struct Place {
  Shape features;
  bool spikes = false;    // the signal there is spikes
  std::size_t steps = 1;  // T
  std::size_t depth = 0;  // of containers
  double invalid = 0;     // probability of an option out of its range, and of sizes that do not fit
};

/// A layer, how it is written, and what it gives.
struct Made {
  std::unique_ptr<Layer> layer;
  std::string text;
  Shape features;
  bool spikes = false;
  bool fits = true;  // whether options and shapes are valid: then nothing may throw
};

/// A random layer that takes what is at `at`; null where its constructor threw.
Made draw_layer(Program& p, const Place& at);
/// A random Sequential of `layers` layers, moved into `Made::layer`.
Made draw_network(Program& p, const Place& at, std::size_t layers);
/// The same as an object, printed as `name`; the text and the sizes are in the other members.
struct Network {
  Sequential net;
  Made made;
};
Network draw_net(Program& p, const std::string& name, const Place& at, std::size_t layers);

// Kinds of layers, in the files of their names.
Made draw_neuron(Program& p, const Place& at);
/// One with numbers for each channel of `at`.
Made draw_channel_neuron(Program& p, const Place& at);
Made draw_picture_layer(Program& p, const Place& at);
/// One that takes (C, L).
Made draw_line_layer(Program& p, const Place& at);
Made draw_synapse(Program& p, const Place& at);

}  // namespace volley::test
