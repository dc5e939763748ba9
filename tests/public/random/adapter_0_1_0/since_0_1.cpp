#include "scenes.hpp"

namespace volley::test {

// There were neither states nor metrics.
void check_chunks(Program&, Layer&, const Input&, const PassCall&, const PassResult&, bool) {}

void check_metrics(Program&, std::size_t, std::size_t) {}

}  // namespace volley::test
