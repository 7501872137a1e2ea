#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/elementwise/unary.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/elementwise/unary.h"

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/elementwise/math-inl.h"
#include "convoy/kernels/elementwise/unary_reference.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
void UnaryFloats(Unary kind, const float* x, float* y, int64_t count) { reference::unary(kind, x, y, count); }
#else
void UnaryFloats(Unary kind, const float* x, float* y, int64_t count) {
  const auto map = [&](const auto& f) { Map(f, x, y, count); };
  switch (kind) {
    case Unary::kErf:
      return map([](auto d, auto v) HWY_ATTR { return Erf(d, v); });
    case Unary::kExp:
      return map([](auto d, auto v) HWY_ATTR { return AnyExp(d, v); });
    case Unary::kLog:
      return map([](auto d, auto v) HWY_ATTR {
        const auto log = AnyLog(d, hn::Abs(v));
        return hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Sqrt(v), log);  // the root of a negative number is NaN
      });
#if HWY_TARGET == HWY_AVX3 && (HWY_TARGETS & HWY_AVX2)
    default:  // a few operations a value
      return N_AVX2::UnaryFloats(kind, x, y, count);
#else
    case Unary::kAbs:
      return map([](auto, auto v) HWY_ATTR { return hn::Abs(v); });
    case Unary::kNeg:
      return map([](auto, auto v) HWY_ATTR { return hn::Neg(v); });
    case Unary::kFloor:
      return map([](auto, auto v) HWY_ATTR { return hn::Floor(v); });
    case Unary::kCeil:
      return map([](auto, auto v) HWY_ATTR { return hn::Ceil(v); });
    case Unary::kRound:
      return map([](auto, auto v) HWY_ATTR { return hn::Round(v); });
    case Unary::kReciprocal:
      return map([](auto d, auto v) HWY_ATTR { return hn::Div(hn::Set(d, 1.0f), v); });
    case Unary::kSqrt:
      return map([](auto, auto v) HWY_ATTR { return hn::Sqrt(v); });
    case Unary::kRsqrt:
      return map([](auto d, auto v) HWY_ATTR { return hn::Div(hn::Set(d, 1.0f), hn::Sqrt(v)); });
    default:  // calls of the C library
      return reference::unary(kind, x, y, count);
#endif
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(UnaryFloats);

template <class T>
void unary(Unary kind, const T* input, T* output, int64_t count) noexcept {
  constexpr int64_t kGrain = 16384;  // values per task
  auto f = reference::unary<T>;
  if constexpr (std::is_same_v<T, float>) f = CONVOY_DISPATCH(UnaryFloats);
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) { f(kind, input + begin, output + begin, end - begin); });
}
template void unary(Unary, const float*, float*, int64_t) noexcept;
template void unary(Unary, const double*, double*, int64_t) noexcept;
template void unary(Unary, const int64_t*, int64_t*, int64_t) noexcept;
template void unary(Unary, const uint64_t*, uint64_t*, int64_t) noexcept;

}  // namespace convoy::kernels
#endif  // HWY_ONCE
