#pragma once

#include <array>
#include <cstddef>

namespace volley {

/// A sum whose order depends on the number of its terms alone: the tree that halves
/// [0, n) at the largest power of two below n. So the terms [k 2^j, (k + 1) 2^j) are one subtree whatever n
/// is, and can be summed elsewhere. `Value` has + and a default value, which is the sum of no terms.
template <class Value>
class TreeSum {
 public:
  /// Adds the next term.
  void add(Value term) {
    std::size_t level = 0;  // of the trees so far, whose sizes are the bits of count_
    for (; (count_ >> level & 1) != 0; ++level) term = trees_[level] + term;
    trees_[level] = term;
    ++count_;
  }

  Value total() const {
    bool any = false;
    Value sum{};
    for (std::size_t level = 0; level < trees_.size(); ++level) {
      if ((count_ >> level & 1) == 0) continue;
      sum = any ? trees_[level] + sum : trees_[level];
      any = true;
    }
    return sum;
  }

 private:
  std::size_t count_ = 0;
  std::array<Value, 64> trees_{};
};

/// The tree's sum of term(i) for i in [0, n).
template <class Term>
auto tree_sum(std::size_t n, const Term& term) {
  TreeSum<decltype(term(std::size_t{}))> sum;
  for (std::size_t i = 0; i < n; ++i) sum.add(term(i));
  return sum.total();
}

}  // namespace volley
