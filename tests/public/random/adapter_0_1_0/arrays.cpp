#include "scenes.hpp"

namespace volley::test {

// There were neither arrays nor sources.
void check_arrays(Program&) {}

}  // namespace volley::test
