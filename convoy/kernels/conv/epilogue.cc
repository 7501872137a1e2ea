#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/epilogue.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/conv/epilogue.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "hwy/highway.h"

#include <limits>

#include "convoy/kernels/elementwise/activation_reference.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_ATTR void AddAndClamp(float* values, const float* residual, float low, float high, int64_t count) {
  // A NaN fails both comparisons and stays.
  const auto clamp = [low, high](auto d, auto v) HWY_ATTR {
    const auto lowest = hn::Set(d, low), highest = hn::Set(d, high);
    const auto y = hn::IfThenElse(hn::Lt(v, lowest), lowest, v);
    return hn::IfThenElse(hn::Gt(y, highest), highest, y);
  };
  if (residual == nullptr) {
    Map(clamp, values, values, count);
  } else {
    Map([&](auto d, auto v, auto r) HWY_ATTR { return clamp(d, hn::Add(v, r)); }, values, residual, values, count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(AddAndClamp);

namespace {
constexpr float kInfinity = std::numeric_limits<float>::infinity();
}

SplitEpilogue::SplitEpilogue(const Epilogue<float>& epilogue)
    : residual(epilogue.residual), low(-kInfinity), high(kInfinity), options(epilogue.options) {
  if (!epilogue.activation) return;
  activation = *epilogue.activation;
  switch (activation) {
    case Activation::kRelu:
      low = 0;
      break;
    case Activation::kRelu6:
      low = 0;
      high = 6;
      break;
    case Activation::kHardtanh:
      low = static_cast<float>(options.a);
      high = static_cast<float>(options.b);
      break;
    default:
      later = true;
      on_rows = activation_on_rows();
  }
}

bool SplitEpilogue::empty() const { return residual == nullptr && low == -kInfinity && high == kInfinity && !later; }

void SplitEpilogue::apply(float* values, int64_t count, int64_t residual_at) const noexcept {
  if (empty()) return;
  if (residual != nullptr || low != -kInfinity || high != kInfinity) {
    CONVOY_DISPATCH(AddAndClamp)(values, residual != nullptr ? residual + residual_at : nullptr, low, high, count);
  }
  finish(values, count);
}

template <class T>
void apply_epilogue(const Epilogue<T>& epilogue, T* values, int64_t count, int64_t residual_at) noexcept {
  if (epilogue.residual != nullptr) {
    for (int64_t i = 0; i < count; ++i) values[i] += epilogue.residual[residual_at + i];
  }
  if (epilogue.activation) reference::activation(*epilogue.activation, epilogue.options, values, values, count);
}

template void apply_epilogue(const Epilogue<float>&, float*, int64_t, int64_t) noexcept;
template void apply_epilogue(const Epilogue<double>&, double*, int64_t, int64_t) noexcept;
template void apply_epilogue(const Epilogue<std::complex<double>>&, std::complex<double>*, int64_t, int64_t) noexcept;

}  // namespace convoy::kernels
#endif  // HWY_ONCE
