// Transcendental functions on vectors of float, with NaN and infinities as in the C library: "any" argument. Included once per SIMD
// target.
#if defined(CONVOY_KERNELS_ELEMENTWISE_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_ELEMENTWISE_MATH_INL_H_
#undef CONVOY_KERNELS_ELEMENTWISE_MATH_INL_H_
#else
#define CONVOY_KERNELS_ELEMENTWISE_MATH_INL_H_
#endif

#include <cstdint>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kWholeMagic = 12582912.0f;  // 1.5 * 2^23: added, it leaves a whole number in the lowest bits

// p 2^n for p between 0.5 and 2, and n + kWholeMagic with whole n in [-160, 160], rounded once where the result is subnormal.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ScaleByPowerOfTwo(D d, V p, V n_and_magic) {
  const hn::RebindToSigned<D> di;
  const auto whole = hn::Sub(hn::BitCast(di, n_and_magic), hn::BitCast(di, hn::Set(d, kWholeMagic)));
  const auto half = hn::ShiftRight<1>(whole), bias = hn::Set(di, 127);
  const V first = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  return hn::Mul(hn::Mul(p, first), hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(whole, half), bias))));
}

// max(limit, x) and min(limit, x) that keep a NaN and a zero's sign: x86 and WebAssembly take the second operand, Arm a number.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V NotBelow(D d, float limit, V x) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_WASM
  return hn::Max(hn::Set(d, limit), x);
#else
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, limit)), hn::Set(d, limit), x);
#endif
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V NotAbove(D d, float limit, V x) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_WASM
  return hn::Min(hn::Set(d, limit), x);
#else
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, limit)), hn::Set(d, limit), x);
#endif
}

#if HWY_TARGET == HWY_AVX3
constexpr float kSixteenthsMagic = 786432.0f;  // 1.5 * 2^19: added, it leaves sixteenths, whose number lies in the lowest bits

// 2^(k/16) for the number k of sixteenths, of those beyond a whole.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sixteenths(D d, V k) {
  alignas(64) static constexpr float kPowers[16] = {1.0f,        1.04427378f, 1.09050773f, 1.13878863f, 1.18920712f, 1.24185781f,
                                                    1.29683955f, 1.35425555f, 1.41421356f, 1.47682615f, 1.54221083f, 1.61049033f,
                                                    1.68179283f, 1.75625216f, 1.83400809f, 1.91520656f};
  return V{_mm512_permutexvar_ps(_mm512_castps_si512(k.raw), hn::Load(d, kPowers).raw)};
}
#endif

// scale exp(r) for |r| <= log(2) / 2, scale being a power of two: degree 6 (4e-9).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOfRest(D d, V r, float scale) {
  V p = hn::Set(d, 0.00138144672f * scale);
  p = hn::MulAdd(p, r, hn::Set(d, 0.00836878084f * scale));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0416683927f * scale));
  p = hn::MulAdd(p, r, hn::Set(d, 0.166665196f * scale));
  p = hn::MulAdd(p, r, hn::Set(d, 0.49999994f * scale));
  return hn::MulAdd(hn::MulAdd(p, r, hn::Set(d, scale)), r, hn::Set(d, scale));
}

// exp(x) for x <= 105 (or NaN), half as many instructions as Highway's Exp, which has to be kept from large arguments and NaN. With
// sixteen lanes 2^(k/16) is looked up, so that a relative minimax polynomial of degree 3 is enough for |r| <= log(2) / 32 (2e-9);
// elsewhere ExpOfRest does. What bounds these functions is the number of multiplications.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpBelow(D d, V x) {
  const V z = NotBelow(d, -105.0f, x);
#if HWY_TARGET == HWY_AVX3
  const float magic_value = kSixteenthsMagic;
#else
  const float magic_value = kWholeMagic;
#endif
  const V magic = hn::Set(d, magic_value), rounded = hn::MulAdd(z, hn::Set(d, 1.44269504f), magic), n = hn::Sub(rounded, magic);
  const V r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), z));
#if HWY_TARGET == HWY_AVX3
  const V t = Sixteenths(d, rounded);
  const V p = hn::MulAdd(hn::MulAdd(r, hn::Set(d, 0.166666667f), hn::Set(d, 0.5f)), r, hn::Set(d, 1.0f));
  return V{_mm512_scalef_ps(hn::MulAdd(hn::Mul(p, r), t, t).raw, n.raw)};  // by n rounded down
#else
  return ScaleByPowerOfTwo(d, ExpOfRest(d, r, 1.0f), rounded);
#endif
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V AnyExp(D d, V x) {
  return ExpBelow(d, NotAbove(d, 105.0f, x));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V AnyExpm1(D d, V x) {
  const V most = hn::Set(d, 104.0f), least = hn::Set(d, -105.0f);
  V z = hn::IfThenElse(hn::Lt(x, most), x, most);
  z = hn::IfThenElse(hn::Lt(z, least), least, z);
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Expm1(d, z));
}

// Limits, not a selected CopySign: clang 14 takes the wrong bits of that for AVX-512 (tanh(inf) was 0.124).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AnyTanh(D d, V x) {
  const V z = NotAbove(d, 20.0f, NotBelow(d, -20.0f, x));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Tanh(d, z));
}

// log(1 + x) = 2 atanh(z), z = x / (2 + x), for x in [0, 1] or NaN. The polynomial is a relative minimax fit of 2 atanh(z) / z in
// z^2 (4e-9): one division, and no logarithm, which would cost two more and lose small x.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AnyLog1p(D d, V x) {
  const V z = hn::Div(x, hn::Add(x, hn::Set(d, 2.0f))), w = hn::Mul(z, z);
  V p = hn::Set(d, 0.281783329f);
  p = hn::MulAdd(p, w, hn::Set(d, 0.279606032f));
  p = hn::MulAdd(p, w, hn::Set(d, 0.400249103f));
  p = hn::MulAdd(p, w, hn::Set(d, 0.666663147f));
  p = hn::MulAdd(p, w, hn::Set(d, 2.0f));
  return hn::Mul(p, z);
}

// log(x) for x > 0, 0 (gives -inf), +inf or NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AnyLog(D d, V x) {
  const V infinity = hn::Div(hn::Set(d, 1.0f), hn::Zero(d));
  V y = hn::Log(d, x);
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(infinity), y);
  return hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::Eq(x, infinity)), x, y);
}

// 1 / w for w in [1, 2]: an estimate and Newton steps, where a division takes as long as everything else. The estimate is the
// instruction's (14 bits, one step) or a polynomial (1 %, two steps). Eight lanes are divided in less time than that.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ReciprocalOfOneToTwo(D d, V w) {
  const V one = hn::Set(d, 1.0f);
#if HWY_TARGET == HWY_AVX2
  return hn::Div(one, w);
#else
#if HWY_TARGET == HWY_AVX3
  V y = hn::ApproximateReciprocal(w);
#else
  V y = hn::MulAdd(hn::MulAdd(w, hn::Set(d, 0.323232502f), hn::Set(d, -1.45454633f)), w, hn::Set(d, 2.12121296f));
  y = hn::MulAdd(y, hn::NegMulAdd(w, y, one), y);
#endif
  return hn::MulAdd(y, hn::NegMulAdd(w, y, one), y);
#endif
}

// 1 / (1 + exp(-x)) by e = exp(-|x|), which cannot overflow: 1 / (1 + e) is at least a half, and its other side e / (1 + e).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sigmoid(D d, V x) {
  const V e = ExpBelow(d, hn::Or(x, hn::SignBit(d))), y = ReciprocalOfOneToTwo(d, hn::Add(hn::Set(d, 1.0f), e));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(e, y), y);
}

// x / (1 + exp(-x)), which may overflow: then the quotient is 0, as in PyTorch. The division takes its time beside the other
// instructions: a fifth less than by the sigmoid (EfficientNet-B0, which computes six million: 4 % less).
//
// With sixteen lanes in base 2, and with what waits for nobody apart: 9.0 cycles a vector on Zen 4, of which six multiplications
// take six and the store two; by ExpBelow 11.7. log2(e) is one float, whose error times x is left: with what the rest rounds, of a
// result below zero 6 * 2^-24 for x > -10, 23 * 2^-24 at -86, of one above zero 2 * 2^-24.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Silu(D d, V x) {
  const V one = hn::Set(d, 1.0f);
#if HWY_TARGET == HWY_AVX3
  const V log2_e = hn::Set(d, 1.44269504f), magic = hn::Set(d, kSixteenthsMagic);
  const V z{_mm512_range_ps(x.raw, hn::Set(d, 105.0f).raw, 2)};  // whichever is smaller, with the sign of x
  const V rounded = hn::NegMulAdd(z, log2_e, magic), n = hn::Sub(rounded, magic), r = hn::NegMulSub(z, log2_e, n);
  V p = hn::MulAdd(r, hn::Set(d, 0.0555041087f), hn::Set(d, 0.240226507f));
  p = hn::MulAdd(hn::MulAdd(p, r, hn::Set(d, 0.693147181f)), r, one);
  const V power{_mm512_scalef_ps(Sixteenths(d, rounded).raw, n.raw)};  // by n rounded down
  return hn::Div(x, hn::MulAdd(p, power, one));
#else
  // p is a fit of degree 6 to 2^(r - 32) for |r| <= 1/2, so that its exponent may grow by n, which lies in the lowest bits of
  // `rounded`: for x <= 60, beyond which 1 + exp(-x) is 1, and up to 2^151, where the quotient is 0.
  const hn::RebindToSigned<D> di;
  const V log2_e = hn::Set(d, 1.44269504f), magic = hn::Set(d, kWholeMagic);
  const V z = NotAbove(d, 60.0f, NotBelow(d, -105.0f, x));
  const V rounded = hn::NegMulAdd(z, log2_e, magic), r = hn::NegMulSub(z, log2_e, hn::Sub(rounded, magic));
  V p = hn::Set(d, 0.000153209927f * 0x1p-32f);
  p = hn::MulAdd(p, r, hn::Set(d, 0.00133902754f * 0x1p-32f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.00961852726f * 0x1p-32f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.055503618f * 0x1p-32f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.240226477f * 0x1p-32f));
  p = hn::MulAdd(hn::MulAdd(p, r, hn::Set(d, 0.693147182f * 0x1p-32f)), r, hn::Set(d, 0x1p-32f));
  const V power = hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, rounded))));
  return hn::Div(x, hn::MulAdd(power, hn::Set(d, 0x1p32f), one));
#endif
}

// log(1 + exp(x)) without overflow.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1pExp(D d, V x) {
  const V positive = hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  return hn::Add(positive, AnyLog1p(d, AnyExp(d, hn::Neg(hn::Abs(x)))));
}

// tanh(log(1 + exp(x))) = e (e + 2) / (e (e + 2) + 2) with e = exp(min(x, 20)): from 20 on it is 1 to the last bit, as is e / (e +
// 1).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V TanhLog1pExp(D d, V x, V& e) {
  const V two = hn::Set(d, 2.0f), most = hn::Set(d, 20.0f);
  e = AnyExp(d, hn::IfThenElse(hn::Gt(x, most), most, x));
  const V n = hn::Mul(e, hn::Add(e, two));
  return hn::Div(n, hn::Add(n, two));
}

// The standard normal distribution function, and exp(-x^2 / 2). For a = |x|, 1 - cdf(a) = exp(-a^2 / 2) t P(t), t = 1 / (1 + 0.21
// a): P is a relative minimax fit on [0, 14.5] (2e-8), t being the variable in which erfcx is nearly a polynomial.
//
// Without sixteen lanes the exponential is made 2^32 times as large, and P as much smaller: so its exponent may shrink in place,
// and what is subnormal is rounded once, by the last product.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V NormalCdf(D d, V x, V& exponential) {
  const V one = hn::Set(d, 1.0f), a = hn::Abs(x), y = hn::Mul(hn::Mul(a, a), hn::Set(d, -0.5f));
#if HWY_TARGET == HWY_AVX3
  constexpr float kUp = 1.0f;
  const V e = AnyExp(d, y);
  exponential = e;
#else
  constexpr float kUp = 0x1p32f;
  const hn::RebindToSigned<D> di;
  const V z = NotBelow(d, -105.0f, y), magic = hn::Set(d, kWholeMagic);
  const V rounded = hn::MulAdd(z, hn::Set(d, 1.44269504f), magic), n = hn::Sub(rounded, magic);
  const V r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), z));
  const V e = hn::BitCast(d, hn::Add(hn::BitCast(di, ExpOfRest(d, r, kUp)), hn::ShiftLeft<23>(hn::BitCast(di, rounded))));
  exponential = hn::Mul(e, hn::Set(d, 1.0f / kUp));
#endif
  const V t = hn::Div(one, hn::MulAdd(a, hn::Set(d, 0.21f), one));
  V p = hn::Set(d, -0.071295291f / kUp);
  p = hn::MulAdd(p, t, hn::Set(d, 0.28180674f / kUp));
  p = hn::MulAdd(p, t, hn::Set(d, -0.32649741f / kUp));
  p = hn::MulAdd(p, t, hn::Set(d, 0.34499106f / kUp));
  p = hn::MulAdd(p, t, hn::Set(d, -0.09077543f / kUp));
  p = hn::MulAdd(p, t, hn::Set(d, 0.12347323f / kUp));
  p = hn::MulAdd(p, t, hn::Set(d, 0.069569483f / kUp));
  p = hn::MulAdd(p, t, hn::Set(d, 0.085012473f / kUp));
  p = hn::MulAdd(p, t, hn::Set(d, 0.083715148f / kUp));
  const V tail = hn::Mul(hn::Mul(p, t), e);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
}

// x / 6, rounded correctly: a product, its error, and the correction, a fifth of a division's time. The error of an infinity, a
// NaN, becomes a number; zeros keep their sign.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sixth(D d, V x) {
  const V sixth = hn::Set(d, 1.0f / 6), q = hn::Mul(x, sixth), error = hn::MulSub(q, hn::Set(d, 6.0f), x);
#if HWY_TARGET == HWY_AVX3
  const V finite{_mm512_range_ps(error.raw, hn::Set(d, 3.4e38f).raw, 2)};  // the limit for a NaN
  return hn::NegMulAdd(finite, sixth, q);
#else
  return hn::IfThenElse(hn::Eq(q, x), x, hn::NegMulAdd(error, sixth, q));
#endif
}

// erf(x): a relative minimax fit of erf(x) / x in x^2 (4e-8) up to 1, from there by the normal distribution's tail.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Erf(D d, V x) {
  const V one = hn::Set(d, 1.0f), a = hn::Abs(x), w = hn::Mul(x, x);
  V p = hn::Set(d, -0.000563140004f);
  p = hn::MulAdd(p, w, hn::Set(d, 0.00491754215f));
  p = hn::MulAdd(p, w, hn::Set(d, -0.0267112988f));
  p = hn::MulAdd(p, w, hn::Set(d, 0.112801794f));
  p = hn::MulAdd(p, w, hn::Set(d, -0.37612326f));
  p = hn::MulAdd(p, w, hn::Set(d, 1.12837912f));
  V exponential;
  const V tail = NormalCdf(d, hn::Mul(a, hn::Set(d, -1.41421356f)), exponential);
  const V far = hn::CopySign(hn::Sub(one, hn::Add(tail, tail)), x);
  return hn::IfThenElse(hn::Gt(a, one), far, hn::Mul(p, x));
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per target
