#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <volley/layer.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// One array of a state, (N, features...): "v" of a layer of neurons.
struct StateTensor {
  std::string name;
  Tensor value;
  Tensor gradient;  // of value's shape, or empty, which is zeros
};

/// What a network carries from one pass to the next, so that a sequence can go through it step by step or in
/// chunks: potentials and what else neurons have, and the spikes of the last step where they come back.
///
///     State state;
///     for (;;) {
///       Signal y = net.forward(x, tape, &state);   // x (N, 1, features...): one step; or several
///       ...
///     }
///
/// The forward bits are those of one pass over all the steps. The caller owns it; one network serves as many
/// states as there are streams. A new one is at rest, and the first pass gives it the N of its x.
///
/// Gradients: with a tape for each chunk, `net.backward(tape, dy, &state)` from the last chunk to the first
/// takes `gradient` as that of the state after the chunk, and leaves there that of the state before it. So dx
/// has the bits of one backward over all steps; a parameter's gradient has the same terms, added chunk by
/// chunk. Without `&state` what comes after the chunk is left out: truncated BPTT.
///
/// Device: it follows that of the tape of each pass. The host's code may read and change it between passes,
/// at the cost of a copy where the device has memory of its own.
///
/// Threads: one pass at a time. A pass that throws leaves it unspecified: reset it.
///
/// It is a tree as the tapes' and the network's: child(i) is that of the network's i-th child.
class State {
 public:
  /// The array `name` of this layer. At rest it is made, every number `start`. Throws ShapeError where it has
  /// another shape: one of another N, or of another network.
  StateTensor& at(std::string_view name, const Shape& shape, float start);
  /// The same where there is one; null otherwise.
  const StateTensor* find(std::string_view name) const;

  /// The child's part; made at its first use. Its address stays the same.
  State& child(std::size_t index);

  /// Whether no pass has used it since it was made or reset.
  bool at_rest() const;
  void reset();

  /// All arrays, by the names of the layers of `net`: "1.v", "2.branch.0.v".
  std::vector<NamedTensor> named_tensors(Layer& net);
  std::vector<NamedTensor> named_gradients(Layer& net);
  /// Takes the values of named_tensors of another state, such as read_state_dict gives of a file that
  /// save_state_dict wrote, in the place of all that is there. Throws ArgumentError for a name that no layer
  /// of `net` has; *this is unchanged then. Shapes are checked by the next pass.
  void set(Layer& net, const std::map<std::string, Tensor>& tensors);

 private:
  template <class Body>
  void walk(Layer& layer, const std::string& path, const Body& body);

  std::vector<StateTensor> tensors_;
  std::deque<State> children_;
};

}  // namespace volley
