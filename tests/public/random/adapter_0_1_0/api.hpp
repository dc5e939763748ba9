#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include <volley/volley.hpp>

namespace volley::test {

// The calls of ../api.hpp in the interface of version 0.1.0: docs/decisions/random-programs.md.

using Label = decltype(Dataset::labels)::value_type;

inline constexpr bool kHasContract = false;

class LossPass {
 public:
  explicit LossPass(const Loss& loss, ThreadPool& threads = ThreadPool::shared())
      : loss_(loss), threads_(threads) {}

  double forward(const Signal& y, const std::vector<std::uint32_t>& labels) {
    labels_.assign(labels.begin(), labels.end());
    y_ = y;
    return loss_.forward(y, labels_, scores_, threads_);
  }
  Signal backward() {
    loss_.backward(y_, labels_, scores_, dy_, threads_);
    return dy_;
  }
  const Tensor& scores() const { return scores_; }

 private:
  const Loss& loss_;
  ThreadPool& threads_;
  std::vector<std::uint8_t> labels_;
  Signal y_;
  Tensor scores_, dy_;
};

inline void initialize(Layer& layer, std::uint32_t seed) { layer.initialize(seed, 0); }
inline void fluctuations(Sequential&, std::uint32_t) {}  // it has neither
inline void rates(Sequential&, const Signal&, ThreadPool&) {}
inline std::vector<NamedTensor> named_tensors(Layer& layer) { return state_of(layer); }

// It has neither weights alone nor an order.
inline void save_weights(const std::filesystem::path& path, Layer& layer) {
  save_network(path, dynamic_cast<Sequential&>(layer));
}
inline void load_by_order(Layer& layer, const NamedTensors& values) {
  load_state_dict(state_of(layer), values, "the file");
}

inline void copy_network(Sequential&, const Sequential&) {}  // it has no copy
inline const Layer& branch_of(const Residual& residual) { return residual.branch(); }
inline void balance(Recipe&, const Dataset&) {}
inline std::size_t epochs_behind(const std::vector<EpochRecord>&) { return 0; }
inline bool is_bias(const NamedParameter&) { return true; }  // it has no kinds
inline std::vector<float> balanced(const std::vector<std::uint32_t>&, std::size_t) { return {1}; }

template <class... Arguments>
void set_tensors(Arguments&&... arguments) {
  set_state(std::forward<Arguments>(arguments)...);
}
inline void set_tensors(const std::vector<NamedTensor>& tensors, const NamedTensors& values,
                        std::string_view origin) {
  set_state(tensors, values, origin);
}

}  // namespace volley::test

#define VOLLEY_DO_FORWARD(x, tape) Signal forward(const Signal& x, Tape& tape) const override
#define VOLLEY_DO_BACKWARD(tape, dy) Signal backward(Tape& tape, const Signal& dy) override
#define VOLLEY_OWN_PARAMETERS() std::vector<NamedParameter> parameters() override
#define VOLLEY_OPTIMIZER_STEP(parameters)                      \
  void prepare(const std::vector<NamedParameter>&) override {} \
  void step(const std::vector<NamedParameter>& parameters, ThreadPool&) override
