// What keeps the operands and the sums of a register tile in registers, where GCC 12 would not.

// Per-target include guard, as Highway asks for.
#if defined(CONVOY_KERNELS_REGISTERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_REGISTERS_INL_H_
#undef CONVOY_KERNELS_REGISTERS_INL_H_
#else
#define CONVOY_KERNELS_REGISTERS_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {

// Keeps loads from moving across: GCC 12 would share pixels between taps, and spill them.
HWY_INLINE void KeepOrder() { asm volatile("" ::: "memory"); }

// sum += a * b, where the sum lies. With the 16 registers of AVX2 the compiler would write results over an operand: sums wander
// from turn to turn and some are spilled (pointwise layers take 5 to 9 % longer, the strided 7x7 stem 4 %).
template <class Vector>
HWY_INLINE void Accumulate(Vector a, Vector b, Vector& sum) {
#if HWY_TARGET == HWY_AVX2
  auto raw = sum.raw;  // an element of an array as an operand would keep the whole array in memory
  asm("vfmadd231ps %2, %1, %0" : "+x"(raw) : "x"(a.raw), "x"(b.raw));
  sum.raw = raw;
#else
  sum = hwy::HWY_NAMESPACE::MulAdd(a, b, sum);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
