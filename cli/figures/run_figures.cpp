#include "figures/run_figures.hpp"

#include <array>

namespace volley {

std::span<const RunFigure> run_figures() {
  using Needs = RunFigure::Needs;
  static constexpr std::array<RunFigure, 14> kFigures{{
      {"loss", "loss on the training and the test set, by epoch", Needs::record, loss_figure},
      {"accuracy", "accuracy on both, and the best", Needs::record, accuracy_figure},
      {"gradient", "norm of the gradient, by iteration", Needs::record, gradient_figure},
      {"activity", "firing rate, dead and saturated neurons of each layer", Needs::record, activity_figure},
      {"sparsity", "how silent each layer is, by epoch", Needs::record, sparsity_figure},
      {"network", "the layers, and what each of them reads", Needs::network, network_figure},
      {"samples", "pictures of the test set with their labels", Needs::network, samples_figure},
      {"weights", "the first weights, as pictures", Needs::network, weights_figure},
      {"encoding", "a picture, its spike trains and their mean", Needs::life, encoding_figure},
      {"raster", "the spikes of each layer for a picture", Needs::life, raster_figure},
      {"membrane", "current, potential, threshold and spikes of two outputs", Needs::life, membrane_figure},
      {"heatmap", "the potentials of each layer over time", Needs::life, heatmap_figure},
      {"rates", "firing rate of each class's output, for its own pictures and others", Needs::classes,
       rates_figure},
      {"confusion", "what each class is taken for", Needs::classes, confusion_figure},
  }};
  return kFigures;
}

}  // namespace volley
