#pragma once

// Which instruction sets the kernels are compiled for, set before the SIMD library is included: on x86-64
// AVX2 with FMA and AVX-512; elsewhere what the library finds, NEON on Arm. A short list, since each costs
// build time in every unit. The two numbers are AVX3_ZEN4 and AVX3_SPR, names that older releases do not
// have. Code outside of the kernels' namespaces is compiled for plain x86-64, where core/processor.hpp
// refuses a processor without AVX2: the dispatch itself would call a kernel that the processor cannot
// execute.
#if defined(__x86_64__)
#define HWY_BASELINE_TARGETS HWY_AVX2
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | (1LL << 6) | (1LL << 4))
#endif
