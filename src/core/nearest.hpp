#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace volley {

/// The candidate with the fewest insertions, deletions, replacements and swaps of neighbours away from
/// `word`, or empty when none is close enough to have been meant.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// "'lif', 'linear'"
std::string quoted_list(std::span<const std::string> words);

/// How an error about an unknown word goes on: "; did you mean 'tau'?", or where nothing is near
/// "; expected one of 'lif', 'linear'".
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

}  // namespace volley
