#pragma once

#include <memory>
#include <vector>

#include <volley/loss.hpp>

namespace volley {

/// One of the tasks of a network.
struct Head {
  std::shared_ptr<const Loss> loss;
  std::size_t outputs = 1;  // of the network, after those of the heads before
  float weight = 1.0f;      // of this loss in the sum
};

/// Several losses, each of its own part of the outputs: the sum of weight times loss. Targets::heads has the
/// labels or values of each; weights and lengths are those of the targets as a whole, for all. The scores are
/// those of the heads side by side, which must all be (N, outputs); hits() are those of all heads together.
class Heads final : public Loss {
 public:
  /// Throws ArgumentError for no heads, a null loss, no outputs, a weight that is not > 0, or a loss whose
  /// scores are not (N, outputs).
  explicit Heads(std::vector<Head> heads);
  const std::vector<Head>& heads() const { return heads_; }
  std::string_view kind() const override { return "heads"; }
  bool reads_spikes() const override { return true; }
  /// Throws ArgumentError unless `outputs` is the sum of those of the heads.
  void check_outputs(std::size_t outputs) const override;
  Hits hits(const Tensor& scores, const Targets& targets) const override;

 private:
  void check_targets(const Signal& y, const Targets& targets) const override;
  double do_forward(const Signal& y, const Targets& targets, Tensor& scores, Tape& tape) const override;
  void do_backward(const Signal& y, const Targets& targets, const Tensor& scores, Tensor& dy,
                   Tape& tape) const override;

  std::vector<Head> heads_;
};

}  // namespace volley
