#include "scenes.hpp"

namespace volley::test {

// None of these functions was public.
void check_tools(Program&) {}

}  // namespace volley::test
