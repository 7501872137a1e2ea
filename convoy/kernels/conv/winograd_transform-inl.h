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
  using Points = None;
  static constexpr int kPoints = 1;
  static constexpr const winograd::Scheme& kScheme = winograd::kNone;
  static HWY_INLINE void Input(const Floats* x, Floats* v) { v[0] = x[0]; }
  static HWY_INLINE void Output(const Floats* m, Floats* y) { y[0] = m[0]; }
};

// B^T for 0, +-1, infinity, shared by F(3,2) and F(2,3).
struct FourPoints {
  using Points = FourPoints;
  static constexpr int kPoints = 4;
  static constexpr auto& kAt = winograd::kPoints4;  // the finite ones
  static HWY_INLINE void Input(const Floats* x, Floats* v) {
    v[0] = hn::Sub(x[2], x[0]);
    v[1] = hn::Add(x[2], x[1]);
    v[2] = hn::Sub(x[2], x[1]);
    v[3] = hn::Sub(x[3], x[1]);
  }
};

struct F32 : FourPoints {
  static constexpr const winograd::Scheme& kScheme = winograd::kF32;
  static HWY_INLINE void Output(const Floats* m, Floats* y) {
    const Floats even = hn::Add(m[1], m[2]);
    y[0] = hn::Add(m[0], even);
    y[1] = hn::Sub(m[1], m[2]);
    y[2] = hn::Add(m[3], even);
  }
};

struct F23 : FourPoints {
  static constexpr const winograd::Scheme& kScheme = winograd::kF23;
  static HWY_INLINE void Output(const Floats* m, Floats* y) {
    y[0] = hn::Add(m[0], hn::Add(m[1], m[2]));
    y[1] = hn::Add(m[3], hn::Sub(m[1], m[2]));
  }
};

// B^T for 0, +-a, +-b, infinity, shared by F(4,3), F(3,4) and F(2,5).
struct SixPoints {
  using Points = SixPoints;
  static constexpr int kPoints = 6;
  static constexpr auto& kAt = winograd::kPoints6;
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

  // A^T of a scheme with so many outputs: output i sums the i-th powers, the last one what infinity gives as well.
  template <int kOutputs>
  static HWY_INLINE void Outputs(const Floats* m, Floats* y) {
    const Floats even_a = hn::Add(m[1], m[2]), odd_a = hn::Sub(m[1], m[2]);
    const Floats even_b = hn::Add(m[3], m[4]), odd_b = hn::Sub(m[3], m[4]);
    y[0] = hn::Add(m[0], hn::Add(even_a, even_b));
    double power_a = kA, power_b = kB;
    HWY_UNROLL(4)
    for (int i = 1; i < kOutputs; ++i, power_a *= kA, power_b *= kB) {
      const Floats a = i % 2 == 0 ? even_a : odd_a, b = i % 2 == 0 ? even_b : odd_b, factor = Constant(power_b);
      y[i] = hn::MulAdd(Constant(power_a), a, i + 1 == kOutputs ? hn::MulAdd(factor, b, m[5]) : hn::Mul(factor, b));
    }
  }
};

struct F43 : SixPoints {
  static constexpr const winograd::Scheme& kScheme = winograd::kF43;
  static HWY_INLINE void Output(const Floats* m, Floats* y) { Outputs<kScheme.outputs>(m, y); }
};

struct F34 : SixPoints {
  static constexpr const winograd::Scheme& kScheme = winograd::kF34;
  static HWY_INLINE void Output(const Floats* m, Floats* y) { Outputs<kScheme.outputs>(m, y); }
};

struct F25 : SixPoints {
  static constexpr const winograd::Scheme& kScheme = winograd::kF25;
  static HWY_INLINE void Output(const Floats* m, Floats* y) { Outputs<kScheme.outputs>(m, y); }
};

}  // namespace winograd_transform
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
