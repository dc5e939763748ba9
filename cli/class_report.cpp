#include "class_report.hpp"

#include <algorithm>

namespace volley {

ClassReport class_report(const Evaluation& evaluation, const Dataset& data) {
  const std::size_t K = evaluation.scores.shape()[1];  // a network may have outputs beyond the classes
  const std::size_t classes = data.classes.empty() ? K : data.classes.size();
  ClassReport report{.confusion = std::vector(classes, std::vector<std::size_t>(K)),
                     .accuracy = std::vector<double>(classes),
                     .rate = std::vector<double>(classes),
                     .rates = std::vector(classes, std::vector<double>(K))};
  std::vector<std::size_t> counts(classes);
  for (std::size_t n = 0; n < data.size(); ++n) {
    const std::size_t label = data.labels[n];
    ++counts[label];
    ++report.confusion[label][evaluation.predictions[n]];
    for (std::size_t k = 0; k < K; ++k) {
      report.rates[label][k] += static_cast<double>(evaluation.scores.data()[n * K + k]);
    }
  }
  for (std::size_t k = 0; k < classes; ++k) {
    const auto count = static_cast<double>(counts[k]);  // 0 / 0 is NaN
    for (double& rate : report.rates[k]) rate /= count;
    report.accuracy[k] = static_cast<double>(report.confusion[k][k]) / count;
    report.rate[k] = report.rates[k][k];
  }
  return report;
}

}  // namespace volley
