#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/elementwise/channel_affine.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/channel_affine.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "hwy/highway.h"

#include <algorithm>

#include "convoy/core/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_ATTR void AffineAndClamp(const float* input, float scale, float shift, float low, float high, float* output, int64_t count) {
  // A NaN fails both comparisons and stays.
  Map(
      [=](auto d, auto v) HWY_ATTR {
        const auto lowest = hn::Set(d, low), highest = hn::Set(d, high);
        const auto y = hn::MulAdd(v, hn::Set(d, scale), hn::Set(d, shift));
        const auto z = hn::IfThenElse(hn::Lt(y, lowest), lowest, y);
        return hn::IfThenElse(hn::Gt(z, highest), highest, z);
      },
      input, output, count);
}

HWY_ATTR void AffineRows(const float* input, int64_t input_stride, int64_t channels, int64_t count, const float* scale,
                         const float* shift, float low, float high, float* output, int64_t output_stride) {
  for (int64_t c = 0; c < channels; ++c)
    AffineAndClamp(input + c * input_stride, scale[c], shift[c], low, high, output + c * output_stride, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(AffineAndClamp);
CONVOY_EXPORT(AffineRows);

namespace {
constexpr int64_t kGrain = 16384;  // values per task
}

void channel_affine(const ChannelPlanes& planes, const float* input, const float* scale, const float* shift,
                    const Epilogue<float>& epilogue, float* output) noexcept {
  const auto f = CONVOY_DISPATCH(AffineAndClamp);
  const SplitEpilogue split(epilogue);
  const int64_t n = planes.positions;
  if (n <= 0) return;
  const int64_t pieces = (n + kGrain - 1) / kGrain;  // per plane
  parallel_ranges(planes.batch * planes.channels * pieces, std::max<int64_t>(1, kGrain / n), [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t plane = piece / pieces, c = plane % planes.channels, from = piece % pieces * kGrain;
      const int64_t at = plane * n + from, count = std::min(kGrain, n - from);
      f(input + at, scale[c], shift[c], split.low, split.high, output + at, count);
      split.finish(output + at, count);
    }
  });
}

void channel_affine_rows(const float* input, int64_t input_stride, int64_t channels, int64_t count, const float* scale,
                         const float* shift, const SplitEpilogue& epilogue, float* output, int64_t output_stride) noexcept {
  CONVOY_DISPATCH(AffineRows)
  (input, input_stride, channels, count, scale, shift, epilogue.low, epilogue.high, output, output_stride);
  epilogue.finish(output, count, channels, output_stride);
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
