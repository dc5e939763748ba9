#include "support/program.hpp"

#include <algorithm>

namespace volley::test {

ProgramResult run_volley(const std::vector<std::string>& arguments, ProgramOptions options) {
  std::vector<std::string> all{VOLLEY_BINARY_DIR "/volley"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  if (options.time_limit.count() == 0) options.time_limit = std::chrono::minutes(2);
  options.kept_bytes = std::max<std::size_t>(options.kept_bytes, 1 << 20);
  return run_program(all, options);
}

}  // namespace volley::test
