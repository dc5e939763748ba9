#pragma once

#include <array>
#include <bit>
#include <cstddef>

namespace volley {

/// A sum whose order depends on the number of its terms alone: the tree that halves
/// [0, n) at the largest power of two below n. So the terms [k 2^j, (k + 1) 2^j) are one subtree whatever n
/// is, and can be summed elsewhere. `Value` has + and a default value, which is the sum of no terms.
template <class Value>
class TreeSum {
 public:
  /// Adds the next term, or the next 2^level terms as the sum of their subtree. That many must divide the
  /// number of terms before.
  void add(Value term, std::size_t level = 0) {
    const std::size_t terms = std::size_t{1} << level;
    for (; (count_ >> level & 1) != 0; ++level) term = trees_[level] + term;
    trees_[level] = term;
    count_ += terms;
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

/// The largest subtree of whole 2^level terms that begins at `first` and ends at `last` or before; first <
/// last. What computes the terms [first, last) of a sum gives it as these subtrees, one after another.
constexpr std::size_t subtree_level(std::size_t first, std::size_t last) {
  const auto most = static_cast<std::size_t>(std::bit_width(last - first)) - 1;
  const auto aligned = first == 0 ? most : static_cast<std::size_t>(std::countr_zero(first));
  return aligned < most ? aligned : most;
}

/// The tree's sum of term(i) for i in [0, n).
template <class Term>
auto tree_sum(std::size_t n, const Term& term) {
  TreeSum<decltype(term(std::size_t{}))> sum;
  for (std::size_t i = 0; i < n; ++i) sum.add(term(i));
  return sum.total();
}

}  // namespace volley
