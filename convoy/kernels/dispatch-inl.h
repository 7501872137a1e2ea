// Which of a function's copies, one for each SIMD target, runs: CONVOY_EXPORT(F) behind the copies, CONVOY_DISPATCH(F) to call one.
// Include it after hwy/foreach_target.h.
//
// Highway's own tables have an entry for each target that it knows, and each function one more that asks the processor first: 25 KB
// for all of them. Here a table has three entries; who asks is chosen_copy. A file that has no code for AVX-512 takes AVX2's.
#pragma once

#include <cstddef>

#include "hwy/highway.h"

namespace convoy::kernels {

/// 0 with AVX-512, 1 with AVX2, 2 in plain C++.
size_t chosen_copy() noexcept;

}  // namespace convoy::kernels

#if (HWY_TARGETS & HWY_AVX2) && (HWY_TARGETS & ~(HWY_AVX3 | HWY_AVX2 | HWY_STATIC_TARGET)) == 0 && HWY_STATIC_TARGET > HWY_AVX2
#if HWY_TARGETS & HWY_AVX3
#define CONVOY_WIDEST(F) N_AVX3::F
#else
#define CONVOY_WIDEST(F) N_AVX2::F
#endif
#define CONVOY_EXPORT(F) \
  static decltype(&HWY_STATIC_DISPATCH(F)) const kCopiesOf##F[] = {&CONVOY_WIDEST(F), &N_AVX2::F, &HWY_STATIC_DISPATCH(F)}
#define CONVOY_DISPATCH(F) (*kCopiesOf##F[::convoy::kernels::chosen_copy()])
#else  // a single target, or others: Highway knows
#define CONVOY_EXPORT(F) HWY_EXPORT(F)
#define CONVOY_DISPATCH(F) HWY_DYNAMIC_DISPATCH(F)
#endif
