#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <volley/device.hpp>
#include <volley/fields.hpp>
#include <volley/layer.hpp>
#include <volley/threads.hpp>

namespace volley {

/// Changes parameters by their gradients. Formulas and defaults are PyTorch's.
///
/// prepare and step check what they are given; a new optimizer overrides kind(), do_prepare, do_step and
/// state(). One thread at a time.
class Optimizer {
 public:
  /// Throws ArgumentError, naming `kind`, unless lr >= 0.
  explicit Optimizer(float lr, std::string_view kind = "optimizer");
  virtual ~Optimizer() = default;
  /// The name a recipe knows it by: "adam".
  virtual std::string_view kind() const = 0;

  /// One update of every parameter. The parameters must have the names and shapes, in the order, of the first
  /// prepare or step, and gradients of these shapes: otherwise ArgumentError, and nothing changes. Where they
  /// live may differ from step to step.
  void step(const std::vector<NamedParameter>& parameters, const Device& device);
  /// On the CPU, with these threads.
  void step(const std::vector<NamedParameter>& parameters, ThreadPool& threads) {
    step(parameters, Device(threads));
  }
  /// Makes room for the state of these parameters, all zeros, at the first call; checks them at every other.
  /// step calls it.
  void prepare(const std::vector<NamedParameter>& parameters);
  /// What a resumed training must bring back, beside the number of steps taken: "momentum.1.weight";
  /// none before `prepare`. The tensors live as long as the optimizer; their shapes must not change.
  virtual std::vector<NamedTensor> state() = 0;
  std::uint64_t steps_taken() const { return steps_; }
  void set_steps_taken(std::uint64_t steps) { steps_ = steps; }

  /// The learning rate it was made with, and the one that steps use: the same, unless set_lr or a schedule
  /// sets another. Throws ArgumentError unless lr >= 0.
  float base_lr() const { return base_lr_; }
  float lr() const { return lr_; }
  void set_lr(float lr);

 protected:
  Optimizer(const Optimizer&) = default;
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(const Optimizer&) = default;
  Optimizer& operator=(Optimizer&&) = default;

  /// Makes the state of parameters that have passed the checks; called once.
  virtual void do_prepare(const std::vector<NamedParameter>& parameters) = 0;
  /// One update, after steps_taken() others.
  virtual void do_step(const std::vector<NamedParameter>& parameters, const Device& device) = 0;
  /// Of the parameters, in their order.
  const std::vector<std::string>& names() const { return names_; }

 private:
  void check(const std::vector<NamedParameter>& parameters) const;

  float base_lr_;
  float lr_;
  std::uint64_t steps_ = 0;
  bool prepared_ = false;
  std::vector<std::string> names_;
  std::vector<Shape> shapes_;
};

/// Parameters for which an optimizer has another weight decay, or another learning rate.
struct ParameterGroup {
  /// "weight", "bias", "norm" or "neuron": the parameters of this ParameterKind. Anything else is a pattern
  /// of names: * stands for any letters, ? for one: "3.*", "*.branch.?.weight".
  std::string match;
  std::optional<float> weight_decay{};  // not given: the optimizer's
  float lr_factor = 1;                  // of the learning rate, whatever a schedule makes of that

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("match", self.match, any());
    visit("weight_decay", self.weight_decay, at_least(0));
    visit("lr_factor", self.lr_factor, at_least(0));
  }
};

/// What an optimizer's groups make of one parameter.
struct ParameterSetting {
  float lr_factor = 1;
  float weight_decay = 0;

  friend bool operator==(const ParameterSetting&, const ParameterSetting&) = default;
};

/// Fields of Sgd. A parameter belongs to the first of the groups that it matches. prepare throws
/// ArgumentError for a group that no parameter belongs to.
struct SgdOptions {
  static constexpr const char* kKind = "sgd";

  float lr = 0.01f;
  float momentum = 0.0f;
  float weight_decay = 0.0f;
  bool nesterov = false;            // needs momentum
  bool decay_only_weights = false;  // a parameter in no group decays only where it is a weight
  std::vector<ParameterGroup> groups{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("lr", self.lr, at_least(0));
    visit("momentum", self.momentum, from_below(0, 1));
    visit("weight_decay", self.weight_decay, at_least(0));
    visit("nesterov", self.nesterov, any());
    visit("decay_only_weights", self.decay_only_weights, any());
    visit("groups", self.groups, any());
  }
};

/// g += weight_decay w; b = momentum b + g (b = g at the first step); w -= lr (nesterov ? g + momentum b :
/// b).
class Sgd final : public Optimizer {
 public:
  using Options = SgdOptions;

  explicit Sgd(const SgdOptions& options = {});
  explicit Sgd(float lr, SgdOptions options = {});
  const SgdOptions& options() const { return options_; }
  std::string_view kind() const override { return SgdOptions::kKind; }
  std::vector<NamedTensor> state() override;

 private:
  void do_prepare(const std::vector<NamedParameter>& parameters) override;
  void do_step(const std::vector<NamedParameter>& parameters, const Device& device) override;

  SgdOptions options_;
  std::vector<ParameterSetting> settings_;
  std::vector<Tensor> momentum_;
};

/// Fields of Adam.
struct AdamOptions {
  static constexpr const char* kKind = "adam";

  float lr = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float eps = 1e-8f;
  float weight_decay = 0.0f;        // added to the gradient, as in Adam; not AdamW
  bool decay_only_weights = false;  // as SgdOptions
  std::vector<ParameterGroup> groups{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("lr", self.lr, at_least(0));
    visit("beta1", self.beta1, from_below(0, 1));
    visit("beta2", self.beta2, from_below(0, 1));
    visit("eps", self.eps, at_least(0));
    visit("weight_decay", self.weight_decay, at_least(0));
    visit("decay_only_weights", self.decay_only_weights, any());
    visit("groups", self.groups, any());
  }
};

/// Fields of AdamW.
struct AdamWOptions {
  static constexpr const char* kKind = "adamw";

  float lr = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float eps = 1e-8f;
  float weight_decay = 0.01f;       // of the weights themselves, beside the gradient
  bool decay_only_weights = false;  // as SgdOptions
  std::vector<ParameterGroup> groups{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    AdamOptions::fields(self, visit);
  }
};

/// Adam (Kingma and Ba, ICLR 2015) as PyTorch computes it:
/// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
/// w -= lr / (1 - beta1^k) m / (sqrt(v) / sqrt(1 - beta2^k) + eps) at step k = 1, 2, ...
/// With AdamWOptions, Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019): w *= 1 - lr
/// weight_decay first, and the gradient as it is.
template <class OptionsType>
class AdamBy final : public Optimizer {
 public:
  using Options = OptionsType;

  explicit AdamBy(const Options& options = {});
  explicit AdamBy(float lr, Options options = {});
  const Options& options() const { return options_; }
  std::string_view kind() const override { return Options::kKind; }
  std::vector<NamedTensor> state() override;

 private:
  void do_prepare(const std::vector<NamedParameter>& parameters) override;
  void do_step(const std::vector<NamedParameter>& parameters, const Device& device) override;

  Options options_;
  std::vector<ParameterSetting> settings_;
  std::vector<Tensor> m_;
  std::vector<Tensor> v_;
};

using Adam = AdamBy<AdamOptions>;
using AdamW = AdamBy<AdamWOptions>;

/// The Euclidean norm of all gradients together. This and the two below throw ArgumentError for a null
/// parameter, or a gradient of another shape than its value.
double gradient_norm(const std::vector<NamedParameter>& parameters, const Device& device);
double gradient_norm(const std::vector<NamedParameter>& parameters,
                     ThreadPool& threads = ThreadPool::shared());
/// Multiplies every gradient by min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ does.
/// `norm` is gradient_norm() of them; max_norm > 0.
void clip_gradient_norm(const std::vector<NamedParameter>& parameters, float max_norm, double norm,
                        const Device& device);
void clip_gradient_norm(const std::vector<NamedParameter>& parameters, float max_norm, double norm,
                        ThreadPool& threads);
/// Brings every gradient into [-most, most], most > 0, as torch.nn.utils.clip_grad_value_ does.
void clip_gradient_value(const std::vector<NamedParameter>& parameters, float most, const Device& device);
void clip_gradient_value(const std::vector<NamedParameter>& parameters, float most, ThreadPool& threads);

}  // namespace volley
