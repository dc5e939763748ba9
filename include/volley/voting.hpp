#pragma once

#include <cstdint>
#include <string_view>

#include <volley/fields.hpp>
#include <volley/layer.hpp>

namespace volley {

/// Fields of the voting layer.
struct VotingOptions {
  static constexpr const char* kKind = "voting";

  std::uint32_t voting_size = 10;  // neighbouring features that vote for one output

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("voting_size", self.voting_size, between(1, 1 << 24));
  }
};

/// The mean of each group of `voting_size` neighbouring features: (N, T, K voting_size) -> (N, T, K),
/// real-valued. SpikingJelly's VotingLayer; x may be spikes or real values.
class Voting final : public Layer {
 public:
  using Options = VotingOptions;

  explicit Voting(const VotingOptions& options = {});

  const VotingOptions& options() const { return options_; }
  std::string_view kind() const override { return VotingOptions::kKind; }
  Shape output_shape(const Shape& features) const override;

 private:
  Form reads(const Shape& features) const override;
  Signal do_forward(const Signal& x, Tape& tape) const override;
  Signal do_backward(Tape& tape, const Signal& dy) override;
  std::unique_ptr<Layer> do_clone() const override;

  VotingOptions options_;
};

}  // namespace volley
