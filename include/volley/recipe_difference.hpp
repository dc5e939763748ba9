#pragma once

#include <string>
#include <vector>

namespace volley {

struct Recipe;

/// A field that two recipes have different values of; "none" for a field that one of them does not have.
struct RecipeDifference {
  std::string key;  // "network.2.tau"
  std::string first;
  std::string second;
};

/// Every field in which two recipes differ, by its key in their TOML: in the order of the first one's keys,
/// then those that only the second has. None where to_toml gives the same for both.
std::vector<RecipeDifference> differences_of(const Recipe& first, const Recipe& second);

}  // namespace volley
