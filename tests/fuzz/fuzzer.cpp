// One program for each target: libFuzzer calls this with what it thinks of.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const volley::test::FuzzTarget& target : volley::test::fuzz_targets()) {
    if (target.name == VOLLEY_FUZZ_TARGET) target.read({reinterpret_cast<const char*>(data), size});
  }
  return 0;
}
