#pragma once

#include <cstddef>
#include <vector>

#include <volley/dataset.hpp>
#include <volley/recorder.hpp>

namespace volley {

/// What an evaluation says of each class. Shares and means of a class without pictures are NaN.
struct ClassReport {
  std::vector<std::vector<std::size_t>> confusion;  // [label][prediction]
  std::vector<double> accuracy;                     // share of its pictures that were right
  std::vector<double> rate;                         // mean score of the class on its own pictures
  std::vector<std::vector<double>> rates;           // [label][output]: mean scores on the label's pictures
};

/// `evaluation` is of all of `data`.
ClassReport class_report(const Evaluation& evaluation, const Dataset& data);

}  // namespace volley
