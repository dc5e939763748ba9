#include <volley/metrics.hpp>

#include "arrays.hpp"
#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

using OfClasses = double (*)(std::span<const std::uint32_t>, std::span<const std::uint32_t>, std::size_t);
using OfValues = double (*)(const Tensor&, const Tensor&);

void bind_of_classes(nb::module_& m, const char* name, OfClasses metric, const char* doc) {
  const std::string signature = fmt::format(
      "def {}(predictions: numpy.typing.NDArray[numpy.integer], labels: "
      "numpy.typing.NDArray[numpy.integer], classes: int) -> float",
      name);
  m.def(
      name,
      [metric](nb::handle predictions, nb::handle labels, std::size_t classes) {
        return metric(labels_from("[metrics] predictions", predictions),
                      labels_from("[metrics] labels", labels), classes);
      },
      nb::arg("predictions"), nb::arg("labels"), nb::arg("classes"), nb::sig(signature.c_str()), doc);
}

void bind_of_values(nb::module_& m, const char* name, OfValues metric, const char* doc) {
  const std::string signature = fmt::format(
      "def {}(values: numpy.typing.NDArray[numpy.floating], targets: "
      "numpy.typing.NDArray[numpy.floating]) -> float",
      name);
  m.def(
      name,
      [metric](nb::handle values, nb::handle targets) {
        return metric(tensor_from("[metrics] values", values), tensor_from("[metrics] targets", targets));
      },
      nb::arg("values"), nb::arg("targets"), nb::sig(signature.c_str()), doc);
}

}  // namespace

void bind_metrics(nb::module_& m) {
  bind_of_classes(m, "macro_accuracy", macro_accuracy,
                  "The mean over the classes that have samples of the share of each that was right: balanced "
                  "accuracy.");
  bind_of_classes(
      m, "macro_f1", macro_f1,
      "The mean of F1 = 2 TP / (2 TP + FP + FN) over the classes that have samples or predictions.");
  m.def(
      "top_k_accuracy",
      [](nb::handle scores, nb::handle labels, std::size_t k) {
        return top_k_accuracy(tensor_from("[metrics] scores", scores),
                              labels_from("[metrics] labels", labels), k);
      },
      nb::arg("scores"), nb::arg("labels"), nb::arg("k"),
      nb::sig("def top_k_accuracy(scores: numpy.typing.NDArray[numpy.floating], labels: "
              "numpy.typing.NDArray[numpy.integer], k: int) -> float"),
      "The share of samples whose label is among the k highest of their scores (N, K). Of equal scores the "
      "first "
      "counts as higher,\nas in a prediction.");
  bind_of_values(m, "mean_absolute_error", mean_absolute_error,
                 "Over all elements of two arrays of one shape.");
  bind_of_values(m, "root_mean_squared_error", root_mean_squared_error,
                 "Over all elements of two arrays of one shape.");
  bind_of_values(
      m, "r_squared", r_squared,
      "1 - sum (y - t)^2 / sum (t - mean t)^2: 1 where all are right, 0 for the mean of the targets; NaN "
      "where all targets are equal.");
}

}  // namespace volley::python
