#pragma once

#include <stdexcept>
#include <string>

namespace volley {

/// What the library throws on a user's mistake. The text names the operation, the rule and what arrived:
/// "[lif] tau must be > 1, got 0.5". The library never prints, aborts or exits.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace volley
