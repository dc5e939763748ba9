#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <volley/buffer.hpp>
#include <volley/tape.hpp>

namespace volley {

/// Energy of an operation on 32-bit floats in 45 nm (Horowitz, "Computing's energy problem", ISSCC 2014).
inline constexpr double kPicojoulesPerAC = 0.9;  // an accumulate: one addition
inline constexpr double kPicojoulesPerMAC =
    4.6;  // a multiply-accumulate: 3.7 for the product, 0.9 for the sum

/// The name of what comes into a network, among the names of its layers.
inline constexpr const char* kInputLayer = "input";

/// What one layer did in the passes that were looked at; docs/math/monitors.md.
struct LayerActivity {
  std::string layer;  // its place in the network, "2" or "3.0"; "input" for what came in
  std::string kind;   // "lif"; "spikes" for an input of spikes

  // A layer of neurons, one that makes spikes:
  std::size_t neurons = 0;
  double rate = 0;            // spikes per neuron and step
  std::size_t dead = 0;       // neurons that never fired
  std::size_t saturated = 0;  // neurons that fired at every step

  // A layer of synapses, one that has weights; means per sample:
  double synops = 0;      // synaptic operations: spikes that came in times the weights each one reaches
  double macs = 0;        // multiply-accumulates, where what came in was real-valued
  double dense_macs = 0;  // of one step, were everything real-valued: what a network without spikes needs

  /// Of the synaptic operations and the multiply-accumulates, per sample, in picojoules.
  double energy() const { return synops * kPicojoulesPerAC + macs * kPicojoulesPerMAC; }
  double dense_energy() const { return dense_macs * kPicojoulesPerMAC; }
};

/// The sums over all layers: synops, macs, dense_macs, and neurons with their mean rate.
LayerActivity total_of(std::span<const LayerActivity> layers);

/// Counts what the layers of a network do, pass after pass. It looks at the traces that containers leave on
/// the tape; layers know nothing of it.
class Monitor {
 public:
  /// Counts the pass that was last run on `tape`, the tape of a whole network; of samples that have lengths,
  /// which must still live, the steps up to these.
  void look(const Tape& tape);
  /// Forgets everything.
  void clear();
  /// The layers in order, after their input where that is spikes. Layers that have neither neurons nor
  /// weights are left out.
  std::vector<LayerActivity> activity() const;

 private:
  /// Of one place in the network.
  struct Counts {
    std::string layer;
    std::string kind;
    std::uint64_t sample_steps = 0;
    std::vector<std::uint64_t> fired;  // by neuron; empty where no spikes are made
    double synops = 0;
    double macs = 0;
    double dense_macs = 0;
  };

  struct Look;
  /// Of the spikes of a pass: all, and those at the last step of each sample.
  struct Sums {
    std::uint64_t all, last;
  };

  void count_layer(const std::string& name, const Trace& trace, const Look& now);
  void count_by_feature(Counts& counts, const Spikes& spikes, const Look& now);
  Sums count_all(const Spikes& spikes, const Look& now);
  const std::uint32_t* lengths_on_device(const Look& now);
  Counts& next(const std::string& name, std::string_view kind);

  std::vector<Counts> places_;
  std::size_t place_ = 0;  // of the look under way
  std::uint64_t samples_ = 0;
  Buffer<std::uint64_t> sums_, by_feature_;  // that a device has counted
  Buffer<std::uint32_t> lengths_;
};

}  // namespace volley
