#pragma once

#include <string_view>
#include <vector>

namespace volley::test {

/// Something that reads what a stranger may have written.
struct FuzzTarget {
  std::string_view name;  // of its folders in seeds/ and regressions/, and of its program fuzz_<name>
  /// Reads `bytes` as a file of that kind, or as a command line: takes them, or refuses them with the error
  /// that users are shown. Any other exception is a finding, and so is whatever a sanitizer reports.
  void (*read)(std::string_view bytes);
};

const std::vector<FuzzTarget>& fuzz_targets();

}  // namespace volley::test
