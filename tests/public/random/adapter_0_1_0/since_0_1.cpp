#include "scenes.hpp"

namespace volley::test {

// There were neither states nor metrics, nor devices.
void check_chunks(Program&, Layer&, const Input&, const PassCall&, const PassResult&, bool) {}

void check_metrics(Program&, std::size_t, std::size_t) {}

void check_devices(Program&) {}

}  // namespace volley::test
