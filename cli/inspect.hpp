#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/device.hpp>
#include <volley/layers.hpp>
#include <volley/tensor.hpp>
#include <volley/threads.hpp>
#include <volley/trainer.hpp>

namespace volley {

/// What a layer of neurons did while one sample passed. F are its neurons, row-major in `features`.
struct LayerLife {
  std::string name;  // its place in the network: "2", "3.0"
  std::string kind;  // "lif"
  Shape features;
  Tensor current;                    // x (T, F), with what comes back where the layer is recurrent
  Tensor potential;                  // h (T, F), after charge
  Tensor threshold;                  // (T, F), what h must reach; empty where nothing fires
  std::vector<std::uint8_t> spikes;  // (T, F), 0 or 1; empty where nothing fires

  std::size_t steps() const { return current.shape()[0]; }
  std::size_t neurons() const { return current.shape()[1]; }
};

/// One sample's way through a network.
struct SampleLife {
  std::size_t sample = 0;  // its number in the set
  std::size_t steps = 0;   // T
  Shape input;             // the features that the encoder makes of a picture
  Tensor input_values;     // (T, F), as the network was given them: 0 and 1 where `input_spikes`
  bool input_spikes = false;
  std::vector<LayerLife> layers;  // of neurons
  std::vector<float> scores;      // (K)
  std::size_t prediction = 0;
};

/// Runs picture `sample` of `data` through `net`, encoded by `draw`, and looks at every layer of neurons.
/// Spikes are those that the layers gave, potentials those of Layer::membrane.
SampleLife inspect(const Sequential& net, const TrainerParts& parts, const Dataset& data, std::size_t sample,
                   std::size_t steps, const Draw& draw, const Device& device = Device(ThreadPool::shared()));

/// The share of the steps at which each of F neurons fired.
std::vector<double> firing_rates(const LayerLife& layer);

}  // namespace volley
