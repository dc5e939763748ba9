#pragma once

#include <string>

namespace volley {

/// "AMD EPYC 7763", as the system knows it; "unknown" where it does not say.
std::string processor_name();

/// Kernels for x86-64 are compiled for AVX2 with FMA and for AVX-512 (docs/decisions/order.md). Throws an
/// Error where the processor has neither. ThreadPool's constructor calls it: no kernel runs without a pool.
void require_processor();

/// The Error of require_processor, for callers that know more of the processor.
[[noreturn]] void refuse_processor();

}  // namespace volley
