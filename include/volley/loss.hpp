#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/fields.hpp>
#include <volley/signal.hpp>
#include <volley/tape.hpp>
#include <volley/targets.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// Weights of the classes in a loss, one for each output, each > 0. None: every class has the weight 1.
struct ClassWeights {
  std::vector<float> values;
  /// Only in a recipe: the balanced_class_weights of its training set, which Recipe::balanced_by puts here.
  bool balanced = false;

  ClassWeights() = default;
  ClassWeights(std::vector<float> weights) : values(std::move(weights)) {}
  ClassWeights(std::initializer_list<float> weights) : values(weights) {}
};

/// N / (K count[k]) for N labels of K classes, count[k] of them k: scikit-learn's class_weight="balanced".
/// Throws ArgumentError for a label that is not below `classes`, and for a class without a label.
std::vector<float> balanced_class_weights(std::span<const std::uint32_t> labels, std::size_t classes);

/// How many predictions were right, of how many.
struct Hits {
  std::size_t right = 0;
  std::size_t of = 0;  // 0 where nothing is predicted, as in a regression
};

/// right / of; NaN where nothing is predicted.
double share_of(const Hits& hits);

/// Scores the output of a network against its targets, and differentiates that: a scalar, the mean over the
/// batch of the losses l_n of its samples. With weights of the samples s and of the classes w, the mean is
/// sum_n s_n w[label_n] l_n / sum_n s_n w[label_n]; 0 where all weights are 0. A sample's loss looks at the
/// steps up to its length alone.
///
/// forward and backward check what they are given and bring y into the plain form; a new loss overrides
/// kind(), do_forward and do_backward, and check_targets where these are no labels. A loss holds its options
/// alone: several threads may use one at once, each with a tape of its own.
class Loss {
 public:
  virtual ~Loss() = default;
  /// The name a recipe knows it by: "rate_mse".
  virtual std::string_view kind() const = 0;
  /// Whether the scores are firing rates: means over T of spikes, or of what stands for them.
  virtual bool scores_are_rates() const { return false; }
  /// Whether do_forward and do_backward take an y of spikes as spikes; otherwise they get 0 and 1 as real
  /// values.
  virtual bool reads_spikes() const { return false; }
  /// Of the y of shape `y`, (N, T, K): what a prediction is made from, or what is compared with real targets.
  virtual Shape scores_shape(const Shape& y) const { return {y[0], y[2]}; }

  /// One for each output, or none.
  const std::vector<float>& class_weights() const { return class_weights_; }
  /// Throws ArgumentError where there are class weights, and not `outputs` of them.
  virtual void check_outputs(std::size_t outputs) const;
  /// The sum of s_n w[label_n] over a batch of `samples`: how much it counts in a mean over batches. Where
  /// steps have labels, w is the mean over a sample's. Labels are below the number of outputs. Without
  /// weights the number of samples.
  double total_weight(const Targets& targets, std::size_t samples) const;
  double total_weight(std::span<const std::uint32_t> labels) const;
  /// How many labels have the highest score of their sample, or of their step.
  virtual Hits hits(const Tensor& scores, const Targets& targets) const;

  /// The loss of y (N, T, K), in any form, with N, T and K >= 1. `scores`, of scores_shape(), receives what
  /// the prediction is made from: the class of the highest.
  ///
  /// `tape` keeps what backward needs; it must be the loss's, not that of a network. y must live until
  /// backward is done; `targets` and `scores` need not. Throws ShapeError or ArgumentError for what does not
  /// fit. A loss that is not finite is returned as it is.
  double forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const;
  /// The same for one label a sample, below K.
  double forward(const Signal& y, std::span<const std::uint32_t> labels, Tensor& scores, Tape& tape) const;
  /// dy, the gradient of the loss that the last forward on `tape` returned, in the form of its y: where y
  /// stores one step, the sum over the T steps. Lives in `tape` until the next forward or backward on it.
  /// Throws ArgumentError unless this loss ran that forward.
  Signal backward(Tape& tape) const;

 protected:
  Loss() = default;
  Loss(const Loss&) = default;
  Loss& operator=(const Loss&) = default;

  /// For the constructor of a loss whose do_forward and do_backward weigh by class_weights(). Throws
  /// ArgumentError for a weight that is not > 0, and for the word "balanced".
  void set_class_weights(const ClassWeights& weights);

  /// Throws ArgumentError unless the labels, values and heads of `targets` are what this loss compares y
  /// (N, T, K) with; as it stands here, a label for each sample. Weights and lengths have been checked.
  virtual void check_targets(const Signal& y, const Targets& targets) const;
  /// The loss of a plain y, row-major with every step stored: real values, or spikes where reads_spikes().
  /// `scores` has its shape and must be filled. tape.saved<T>() is free for what the loss keeps.
  virtual double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const = 0;
  /// Fills dy (N, T, K) after a do_forward of the same y, targets and scores on the same tape; 0 beyond a
  /// sample's length.
  virtual void do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                           Tape& tape) const = 0;

 private:
  void check_forward(const Signal& y, const Targets& targets, const Tape& tape) const;
  double run_forward(const Signal& y, Tensor& scores, Tape& tape) const;

  std::vector<float> class_weights_;
};

/// A loss that looks at one score a class only: a readout of the T steps, and a criterion that compares the
/// scores with the labels.
class ScoreLoss : public Loss {
 public:
  bool scores_are_rates() const final { return over_ == Over::mean && !of_membranes_; }
  bool reads_spikes() const final { return true; }

 protected:
  enum class Over { mean, sum, last };  // of a sample's steps
  struct Comparison;                    // src/losses/score_losses.cpp

  ScoreLoss(Over over, bool of_membranes) : over_(over), of_membranes_(of_membranes) {}

 private:
  double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const final;
  void do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                   Tape& tape) const final;
  /// The operation that computes the mean over the batch of scores z (N, K), or its gradient, as `what` asks.
  virtual void compare(const Comparison& what) const = 0;

  Over over_;
  bool of_membranes_;  // y must be real-valued
};

/// scale times the mean over batch and classes of (score - target)^2, the target being one for the label, and
/// another for all other classes.
class ScoreMse : public ScoreLoss {
 protected:
  /// What the scores should be.
  struct Goals {
    float on = 1;
    float off = 0;
    bool per_step = false;  // as many times as a sample has steps
  };

  ScoreMse(Over over, bool of_membranes, float scale, const Goals& goals)
      : ScoreLoss(over, of_membranes), scale_(scale), goals_(goals) {}

 private:
  void compare(const Comparison& what) const final;

  float scale_;
  Goals goals_;
};

/// Mean over the batch of -log softmax(scores)[label]. With label smoothing e, the target is 1 - e for the
/// label, and e / K for every class beside: PyTorch's label_smoothing.
class ScoreCrossEntropy : public ScoreLoss {
 protected:
  ScoreCrossEntropy(Over over, bool of_membranes, float label_smoothing)
      : ScoreLoss(over, of_membranes), label_smoothing_(label_smoothing) {}

 private:
  void compare(const Comparison& what) const final;

  float label_smoothing_;
};

/// Fields of RateMse.
struct RateMseOptions {
  static constexpr const char* kKind = "rate_mse";

  float scale = 1.0f;  // factor in front of the mean; the article's rule uses 1/2
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("scale", self.scale, above(0));
    visit("class_weights", self.class_weights, above(0));
  }
};

/// ScoreMse of the firing rate, the mean over T: 1 for the label, 0 for the others.
class RateMse final : public ScoreMse {
 public:
  using Options = RateMseOptions;

  explicit RateMse(const RateMseOptions& options = {});
  const RateMseOptions& options() const { return options_; }
  std::string_view kind() const override { return RateMseOptions::kKind; }

 private:
  RateMseOptions options_;
};

/// Fields of CountMse.
struct CountMseOptions {
  static constexpr const char* kKind = "count_mse";

  float scale = 1.0f;           // factor in front of the mean; snnTorch's is 1 / T
  float correct_rate = 1.0f;    // the label should fire this share of the T steps
  float incorrect_rate = 0.0f;  // and the other classes this
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("scale", self.scale, above(0));
    visit("correct_rate", self.correct_rate, between(0, 1));
    visit("incorrect_rate", self.incorrect_rate, between(0, 1));
    visit("class_weights", self.class_weights, above(0));
  }
};

/// ScoreMse of the spike count, the sum over T: correct_rate T for the label, incorrect_rate T for the
/// others.
class CountMse final : public ScoreMse {
 public:
  using Options = CountMseOptions;

  explicit CountMse(const CountMseOptions& options = {});
  const CountMseOptions& options() const { return options_; }
  std::string_view kind() const override { return CountMseOptions::kKind; }

 private:
  CountMseOptions options_;
};

/// Which potential of a real-valued output a loss of membranes looks at.
enum class Readout {
  last,  // that of the last step
  mean,  // the mean over T
};

/// Fields of MembraneMse.
struct MembraneMseOptions {
  static constexpr const char* kKind = "membrane_mse";

  float scale = 1.0f;
  Readout readout = Readout::last;
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("scale", self.scale, above(0));
    visit("readout", self.readout, any());
    visit("class_weights", self.class_weights, above(0));
  }
};

/// ScoreMse of a real-valued output: 1 for the label, 0 for the others.
class MembraneMse final : public ScoreMse {
 public:
  using Options = MembraneMseOptions;

  explicit MembraneMse(const MembraneMseOptions& options = {});
  const MembraneMseOptions& options() const { return options_; }
  std::string_view kind() const override { return MembraneMseOptions::kKind; }

 private:
  MembraneMseOptions options_;
};

/// Fields of RateCrossEntropy.
struct RateCrossEntropyOptions {
  static constexpr const char* kKind = "rate_cross_entropy";

  float label_smoothing = 0.0f;
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("label_smoothing", self.label_smoothing, between(0, 1));
    visit("class_weights", self.class_weights, above(0));
  }
};

/// ScoreCrossEntropy of the firing rate, the mean over T.
class RateCrossEntropy final : public ScoreCrossEntropy {
 public:
  using Options = RateCrossEntropyOptions;

  explicit RateCrossEntropy(const RateCrossEntropyOptions& options = {});
  const RateCrossEntropyOptions& options() const { return options_; }
  std::string_view kind() const override { return RateCrossEntropyOptions::kKind; }

 private:
  RateCrossEntropyOptions options_;
};

/// Fields of CountCrossEntropy.
struct CountCrossEntropyOptions {
  static constexpr const char* kKind = "count_cross_entropy";

  float label_smoothing = 0.0f;
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("label_smoothing", self.label_smoothing, between(0, 1));
    visit("class_weights", self.class_weights, above(0));
  }
};

/// ScoreCrossEntropy of the spike count, the sum over T.
class CountCrossEntropy final : public ScoreCrossEntropy {
 public:
  using Options = CountCrossEntropyOptions;

  explicit CountCrossEntropy(const CountCrossEntropyOptions& options = {});
  const CountCrossEntropyOptions& options() const { return options_; }
  std::string_view kind() const override { return CountCrossEntropyOptions::kKind; }

 private:
  CountCrossEntropyOptions options_;
};

/// Fields of MembraneCrossEntropy.
struct MembraneCrossEntropyOptions {
  static constexpr const char* kKind = "membrane_cross_entropy";

  float label_smoothing = 0.0f;
  Readout readout = Readout::last;
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("label_smoothing", self.label_smoothing, between(0, 1));
    visit("readout", self.readout, any());
    visit("class_weights", self.class_weights, above(0));
  }
};

/// ScoreCrossEntropy of a real-valued output.
class MembraneCrossEntropy final : public ScoreCrossEntropy {
 public:
  using Options = MembraneCrossEntropyOptions;

  explicit MembraneCrossEntropy(const MembraneCrossEntropyOptions& options = {});
  const MembraneCrossEntropyOptions& options() const { return options_; }
  std::string_view kind() const override { return MembraneCrossEntropyOptions::kKind; }

 private:
  MembraneCrossEntropyOptions options_;
};

/// Fields of Tet.
struct TetOptions {
  static constexpr const char* kKind = "tet";

  float lamb = 1e-3f;  // the regulariser's share, lambda in the paper
  float means = 1.0f;  // what the regulariser draws every output to
  float label_smoothing = 0.0f;
  ClassWeights class_weights{};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("lamb", self.lamb, between(0, 1));
    visit("means", self.means, any());
    visit("label_smoothing", self.label_smoothing, between(0, 1));
    visit("class_weights", self.class_weights, above(0));
  }
};

/// Temporal efficient training (Deng, Li, Zhang and Gu, ICLR 2022): the cross-entropy of every step by
/// itself,
///
///     (1 - lamb) mean over t of CE(y[t], label) + lamb mean of (y - means)^2
///
/// for spikes or, as in the paper, for real values. Scores are the means over T.
class Tet final : public Loss {
 public:
  using Options = TetOptions;

  explicit Tet(const TetOptions& options = {});
  const TetOptions& options() const { return options_; }
  std::string_view kind() const override { return TetOptions::kKind; }
  bool reads_spikes() const override { return true; }

 private:
  double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const override;
  void do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                   Tape& tape) const override;

  TetOptions options_;
};

/// The index of the highest score, the lowest index on a tie; 0 where there is none.
std::size_t predict(std::span<const float> scores);

}  // namespace volley
