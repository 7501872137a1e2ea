// B^T and A^T of winograd_scheme.h on vectors, compiled once per instruction set. Points come in pairs +-p, so even and odd powers
// are summed once for both.

// Per-target include guard, as Highway asks for.
#if defined(CONVOY_KERNELS_WINOGRAD_TRANSFORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_WINOGRAD_TRANSFORM_INL_H_
#undef CONVOY_KERNELS_WINOGRAD_TRANSFORM_INL_H_
#else
#define CONVOY_KERNELS_WINOGRAD_TRANSFORM_INL_H_
#endif

#include "convoy/kernels/conv/winograd_scheme.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace winograd_transform {
namespace hn = hwy::HWY_NAMESPACE;
using Full = hn::ScalableTag<float>;
using Floats = hn::Vec<Full>;

HWY_INLINE Floats Constant(double value) { return hn::Set(Full(), static_cast<float>(value)); }

// An axis that is left alone.
struct None {
  static constexpr const winograd::Scheme& kScheme = winograd::kNone;
  static HWY_INLINE void Input(const Floats* x, Floats* v) { v[0] = x[0]; }
  static HWY_INLINE void Output(const Floats* m, Floats* y) { y[0] = m[0]; }
};

struct F23 {
  static constexpr const winograd::Scheme& kScheme = winograd::kF23;
  static HWY_INLINE void Input(const Floats* x, Floats* v) {
    v[0] = hn::Sub(x[2], x[0]);
    v[1] = hn::Add(x[2], x[1]);
    v[2] = hn::Sub(x[2], x[1]);
    v[3] = hn::Sub(x[3], x[1]);
  }
  static HWY_INLINE void Output(const Floats* m, Floats* y) {
    y[0] = hn::Add(m[0], hn::Add(m[1], m[2]));
    y[1] = hn::Add(m[3], hn::Sub(m[1], m[2]));
  }
};

// B^T for 0, +-a, +-b, infinity, shared by F(4,3) and F(2,5).
struct SixPoints {
  static constexpr double kA = winograd::kPoints6[1], kB = winograd::kPoints6[3];
  static HWY_INLINE void Input(const Floats* x, Floats* v) {
    const Floats a2 = Constant(kA * kA), b2 = Constant(kB * kB), sum = Constant(kA * kA + kB * kB),
                 product = Constant(kA * kA * kB * kB);
    const Floats even_a = hn::NegMulAdd(b2, x[2], x[4]), odd_a = hn::NegMulAdd(b2, x[1], x[3]);
    const Floats even_b = hn::NegMulAdd(a2, x[2], x[4]), odd_b = hn::NegMulAdd(a2, x[1], x[3]);
    v[0] = hn::MulAdd(product, x[0], hn::NegMulAdd(sum, x[2], x[4]));
    v[1] = hn::MulAdd(Constant(kA), odd_a, even_a);
    v[2] = hn::NegMulAdd(Constant(kA), odd_a, even_a);
    v[3] = hn::MulAdd(Constant(kB), odd_b, even_b);
    v[4] = hn::NegMulAdd(Constant(kB), odd_b, even_b);
    v[5] = hn::MulAdd(product, x[1], hn::NegMulAdd(sum, x[3], x[5]));
  }
};

struct F43 : SixPoints {
  static constexpr const winograd::Scheme& kScheme = winograd::kF43;
  static HWY_INLINE void Output(const Floats* m, Floats* y) {
    const Floats even_a = hn::Add(m[1], m[2]), odd_a = hn::Sub(m[1], m[2]);
    const Floats even_b = hn::Add(m[3], m[4]), odd_b = hn::Sub(m[3], m[4]);
    y[0] = hn::Add(m[0], hn::Add(even_a, even_b));
    y[1] = hn::MulAdd(Constant(kA), odd_a, hn::Mul(Constant(kB), odd_b));
    y[2] = hn::MulAdd(Constant(kA * kA), even_a, hn::Mul(Constant(kB * kB), even_b));
    y[3] = hn::MulAdd(Constant(kA * kA * kA), odd_a, hn::MulAdd(Constant(kB * kB * kB), odd_b, m[5]));
  }
};

struct F25 : SixPoints {
  static constexpr const winograd::Scheme& kScheme = winograd::kF25;
  static HWY_INLINE void Output(const Floats* m, Floats* y) {
    y[0] = hn::Add(m[0], hn::Add(hn::Add(m[1], m[2]), hn::Add(m[3], m[4])));
    y[1] = hn::MulAdd(Constant(kA), hn::Sub(m[1], m[2]), hn::MulAdd(Constant(kB), hn::Sub(m[3], m[4]), m[5]));
  }
};

struct F63 {
  static constexpr const winograd::Scheme& kScheme = winograd::kF63;
  // The pair +-p with the squares of the other two pairs.
  static HWY_INLINE void Pair(double p, double s, double t, const Floats* x, Floats* v) {
    const Floats sum = Constant(s + t), product = Constant(s * t);
    const Floats even = hn::MulAdd(product, x[2], hn::NegMulAdd(sum, x[4], x[6]));
    const Floats odd = hn::MulAdd(product, x[1], hn::NegMulAdd(sum, x[3], x[5]));
    v[0] = hn::MulAdd(Constant(p), odd, even);
    v[1] = hn::NegMulAdd(Constant(p), odd, even);
  }
  static HWY_INLINE void Input(const Floats* x, Floats* v) {
    // z^6 - 5.25 z^4 + 5.25 z^2 - 1 = (z^2 - 1) (z^2 - 4) (z^2 - 1/4)
    const Floats c = Constant(5.25);
    v[0] = hn::Sub(hn::MulAdd(c, hn::Sub(x[2], x[4]), x[6]), x[0]);
    Pair(1, 4, 0.25, x, v + 1);
    Pair(2, 1, 0.25, x, v + 3);
    Pair(0.5, 1, 4, x, v + 5);
    v[7] = hn::Sub(hn::MulAdd(c, hn::Sub(x[3], x[5]), x[7]), x[1]);
  }
  static HWY_INLINE Floats Weighted(Floats first, double p, Floats second, Floats third) {
    return hn::MulAdd(Constant(p), second, hn::MulAdd(Constant(1 / p), third, first));
  }
  static HWY_INLINE void Output(const Floats* m, Floats* y) {
    const Floats even1 = hn::Add(m[1], m[2]), even2 = hn::Add(m[3], m[4]), even3 = hn::Add(m[5], m[6]);
    const Floats odd1 = hn::Sub(m[1], m[2]), odd2 = hn::Sub(m[3], m[4]), odd3 = hn::Sub(m[5], m[6]);
    y[0] = hn::Add(hn::Add(m[0], even1), hn::Add(even2, even3));
    y[1] = Weighted(odd1, 2, odd2, odd3);
    y[2] = Weighted(even1, 4, even2, even3);
    y[3] = Weighted(odd1, 8, odd2, odd3);
    y[4] = Weighted(even1, 16, even2, even3);
    y[5] = Weighted(hn::Add(odd1, m[7]), 32, odd2, odd3);
  }
};

}  // namespace winograd_transform
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
