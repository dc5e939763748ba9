#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/layers.hpp>
#include <volley/run_folder.hpp>

#include "class_report.hpp"
#include "figures/figure.hpp"
#include "inspect.hpp"

namespace volley {

/// What figures of a run are made from; null where it is not known.
struct FigureSource {
  const RunRecord* record = nullptr;
  Sequential* net = nullptr;
  const Dataset* data = nullptr;         // what `life` and `classes` are of
  const SampleLife* life = nullptr;      // one of its pictures
  const ClassReport* classes = nullptr;  // an evaluation on all of it
  std::size_t epoch = 0;                 // whose checkpoint `net` is; 0: not known
  bool labelled = true;                  // whether the labels of `data` are known
};

/// A figure that a run can be asked for.
struct RunFigure {
  /// What it needs of a FigureSource; each of these needs those before it, but for the record.
  enum class Needs { record, network, life, classes };

  const char* name;
  const char* shows;
  Needs needs;
  /// Throws Error with the reason when this run has no such figure.
  Figure (*draw)(const FigureSource& source);
};

/// All of them.
std::span<const RunFigure> run_figures();

// Curves, from the record.
Figure loss_figure(const FigureSource& source);
Figure accuracy_figure(const FigureSource& source);
Figure gradient_figure(const FigureSource& source);
Figure activity_figure(const FigureSource& source);  // of the best epoch, as the default checkpoint is
Figure sparsity_figure(const FigureSource& source);
// The network and its data.
Figure samples_figure(const FigureSource& source);
Figure weights_figure(const FigureSource& source);
Figure network_figure(const FigureSource& source);
Figure rates_figure(const FigureSource& source);
Figure confusion_figure(const FigureSource& source);
// One picture's way through it.
Figure encoding_figure(const FigureSource& source);
Figure raster_figure(const FigureSource& source);
Figure membrane_figure(const FigureSource& source);
Figure heatmap_figure(const FigureSource& source);
/// The picture, its spikes, those of the output, and the scores: volley predict.
Figure predict_figure(const FigureSource& source);

// Several runs of one recipe from different seeds: their mean and a band of the standard deviation of a
// sample, over the epochs that all have. Throws Error where there is no such epoch.
Figure seeds_loss_figure(const std::vector<RunRecord>& runs);
Figure seeds_accuracy_figure(const std::vector<RunRecord>& runs);
struct SeedsFigure {
  const char* name;
  Figure (*draw)(const std::vector<RunRecord>& runs);
};
std::span<const SeedsFigure> seeds_figures();

/// `count` pictures of a set from the `first` on, with what they show.
Figure dataset_figure(const Dataset& data, std::size_t first, std::size_t count);

/// A picture as numbers from 0 to 255; of three channels their mean.
Panel picture_panel(const Dataset& data, std::size_t sample, const std::string& caption);

}  // namespace volley
