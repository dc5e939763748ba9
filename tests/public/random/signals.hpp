#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "program.hpp"

namespace volley::test {

/// How a signal is stored.
struct Form {
  bool spikes = false;
  bool constant = false;       // real values only: one step stored
  bool channels_last = false;  // real values (N, T, C, positions...) only
};

/// A signal and the memory that it looks at.
class Input {
 public:
  /// `plain` has every step, row-major, in `shape`.
  Input(const Shape& shape, const std::vector<float>& plain, const Form& form);

  const Signal& x() const { return x_; }
  const Shape& shape() const { return x_.shape(); }
  const std::vector<float>& plain() const { return plain_; }
  const Form& form() const { return form_; }
  /// Sample n alone, in the same form.
  Input sample(std::size_t n) const;
  /// The same values, every step stored, row-major.
  Input repeated() const;

 private:
  std::vector<float> plain_;
  Form form_;
  std::unique_ptr<Tensor> tensor_ = std::make_unique<Tensor>();
  std::unique_ptr<Spikes> spikes_ = std::make_unique<Spikes>();
  Signal x_;
};

/// Random values of (N, T, features...), in a random form that `features` allow; `name` is the signal's in
/// the printed program. Spikes only, real values only, or either.
enum class Want { spikes, real, either };
Input draw_input(Program& p, const std::string& name, const Shape& shape, Want want);
Input draw_input(Program& p, const std::string& name, const Shape& shape, const Form& form);

/// The values of a signal, read by its public accessors: row-major, every step, 0 and 1 for spikes. Counts
/// the accessors.
std::vector<float> plain_values(Program& p, const Signal& x);

/// The stored values of a tensor.
std::vector<float> values_of_tensor(const Tensor& tensor);

/// dy, row-major with every step, in the form of y: the sum over steps where y stores one.
Input gradient_like(const Signal& y, const std::vector<float>& plain);
std::vector<float> draw_values(Program& p, std::size_t size);

/// Whether two results are the same bits; NaNs are equal to each other, and 0 to -0.
bool same_values(const std::vector<float>& a, const std::vector<float>& b);
/// "[7] is 0.5, not 1": where they first differ.
std::string difference(const std::vector<float>& got, const std::vector<float>& expected);
/// Whether |a - b| <= tolerance times the largest size in b; where b is not finite anything goes.
bool close_values(const std::vector<float>& a, const std::vector<float>& b, double tolerance);

/// A shape (N, T, features...).
Shape signal_shape(std::size_t N, std::size_t T, const Shape& features);
Shape draw_features(Program& p);

}  // namespace volley::test
