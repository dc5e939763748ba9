#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include <volley/volley.hpp>

namespace volley::test {

// The few calls that have changed between versions of the interface, in one place.

using Label = decltype(Dataset::labels)::value_type;

inline constexpr bool kHasContract = true;

/// A loss and what one pass of it keeps.
class LossPass {
 public:
  explicit LossPass(const Loss& loss, ThreadPool& threads = ThreadPool::shared())
      : loss_(loss), tape_(threads) {}

  double forward(const Signal& y, const std::vector<std::uint32_t>& labels) {
    return loss_.forward(y, labels, scores_, tape_);
  }
  Signal backward() { return loss_.backward(tape_); }
  const Tensor& scores() const { return scores_; }

 private:
  const Loss& loss_;
  Tape tape_;
  Tensor scores_;
};

inline void initialize(Layer& layer, std::uint32_t seed) { layer.initialize(seed); }
inline void fluctuations(Sequential& net, std::uint32_t seed) { initialize_fluctuations(net, seed); }
inline void rates(Sequential& net, const Signal& x, ThreadPool& threads) {
  initialize_rates(net, x, {}, threads);
}
inline std::vector<NamedTensor> named_tensors(Layer& layer) { return layer.named_tensors(); }

/// The weights alone into a file, and by order into a network.
inline void save_weights(const std::filesystem::path& path, Layer& layer) {
  save_state_dict(path, layer.named_tensors());
}
inline void load_by_order(Layer& layer, const NamedTensors& values) {
  load_state_dict(layer.named_tensors(), values, "the file",
                  {.names = names_by_order(layer.named_tensors(), values)});
}

inline void copy_network(Sequential& to, const Sequential& from) { to = from; }
inline const Layer& branch_of(const Residual& residual) { return *residual.branch(); }
/// The loss weights "balanced" of a recipe, by its training set; and how many epochs there are since the
/// best.
inline void balance(Recipe& recipe, const Dataset& train) { recipe = recipe.balanced_by(train); }
inline std::size_t epochs_behind(const std::vector<EpochRecord>& epochs) { return epochs_since_best(epochs); }
inline bool is_bias(const NamedParameter& named) { return kind_of(named) == ParameterKind::bias; }
inline std::vector<float> balanced(const std::vector<std::uint32_t>& labels, std::size_t classes) {
  return balanced_class_weights(labels, classes);
}

}  // namespace volley::test

// The virtual part of a layer, and of an optimizer, of the user.
#define VOLLEY_DO_FORWARD(x, tape) Signal do_forward(const Signal& x, Tape& tape) const override
#define VOLLEY_DO_BACKWARD(tape, dy) Signal do_backward(Tape& tape, const Signal& dy) override
#define VOLLEY_OWN_PARAMETERS() std::vector<NamedParameter> own_parameters() override
#define VOLLEY_OPTIMIZER_STEP(parameters)                         \
  void do_prepare(const std::vector<NamedParameter>&) override {} \
  void do_step(const std::vector<NamedParameter>& parameters, const Device&) override
