// Result i takes from gradient (i + pad - k) / 2 where that is whole: results 2 t and 2 t + 1 of an axis share (K + 1) / 2
// gradients, the one through the even taps, the other through the odd ones. So a vector of t and two rows of results need (K + 1)^2
// / 4 vectors of gradients and K^2 multiply-adds for 4 vectors of results, which are interleaved when they are stored.
//
// 96 channels on 112x112 take 0.06 ms on two Zen 4 cores, by phases one after the other (conv_depthwise) 0.30.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_depthwise_stride2.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise_rows-inl.h"
#include "convoy/kernels/conv/conv_depthwise_stride2.h"
#include "convoy/kernels/dispatch-inl.h"

#include <algorithm>
#include <array>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_STRIDE2_PLANE
#define CONVOY_KERNELS_CONV_DEPTHWISE_STRIDE2_PLANE
namespace convoy::kernels::stride2 {

constexpr int64_t kPlaneGrain = 8000;  // results of a task, at least: some microseconds

struct Axis {
  int64_t gradients, results;
  int64_t half;  // of the padding: pair t's last gradient is t + half + odd
  bool odd;      // padding
};

struct Plane {
  Axis h, w;
  const float* gradient;
  const float* weight;
  float bias;
  float* result;
};

}  // namespace convoy::kernels::stride2
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_STRIDE2_PLANE

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
using stride2::Plane;

// Tap k of an axis meets gradient number `last` - i of a pair, for its first (which = 0) or second result; -1: none of them.
constexpr int GradientOf(int k, int which, bool odd) {
  const int parity = odd ? 1 - which : which;  // of the taps
  if (k % 2 != parity) return -1;
  return k / 2 + (odd && which == 0 ? 1 : 0);
}

// Two rows of results, the first through the even tap rows. Null: it lies outside the plane.
template <int kK, bool kOddW>
HWY_INLINE void TwoRows(const Plane& p, const float* const* rows, const float* weights, float* first, float* second) {
  constexpr int kShared = (kK + 1) / 2;
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto bias = hn::Set(d, p.bias);
  const int64_t pairs = (p.w.results + 1) / 2, last = p.w.half + (kOddW ? 1 : 0);
  for (int64_t t = 0; t < pairs; t += lanes) {
    V sum[2][2] = {{bias, bias}, {bias, bias}};
    const int64_t at = t + last - (kShared - 1);
    const bool inside = at >= 0 && t + last + lanes <= p.w.gradients;
    HWY_UNROLL(4)
    for (int i = 0; i < kShared; ++i) {
      if (rows[i] == nullptr) continue;
      V g[kShared];
      HWY_UNROLL(4)
      for (int j = 0; j < kShared; ++j) {
        const int64_t column = t + last - j;
        if (inside) {
          g[j] = hn::LoadU(d, rows[i] + column);
        } else {
          g[j] = LoadInside(InsideLanes(column, p.w.gradients), rows[i] + column);
        }
      }
      HWY_UNROLL(8)
      for (int kh = 0; kh < kK; ++kh) {
        HWY_UNROLL(2)
        for (int row = 0; row < 2; ++row) {
          if (GradientOf(kh, row, false) != i) continue;
          HWY_UNROLL(8)
          for (int kw = 0; kw < kK; ++kw) {
            HWY_UNROLL(2)
            for (int column = 0; column < 2; ++column) {
              const int j = GradientOf(kw, column, kOddW);
              if (j >= 0) sum[row][column] = hn::MulAdd(g[j], hn::Set(d, weights[kh * kK + kw]), sum[row][column]);
            }
          }
        }
      }
    }
    const int64_t count = p.w.results - 2 * t;
    const auto store = [&](const V* values, float* to) HWY_ATTR {
      if (count >= 2 * lanes) {
        hn::StoreInterleaved2(values[0], values[1], d, to);
      } else {
        HWY_ALIGN float both[2 * hn::MaxLanes(D())];
        hn::StoreInterleaved2(values[0], values[1], d, both);
        StoreMasked(hn::Load(d, both), InsideLanes(0, count), d, to);
        if (count > lanes) StoreMasked(hn::Load(d, both + lanes), InsideLanes(0, count - lanes), d, to + lanes);
      }
    };
    if (second != nullptr) store(sum[1], second + 2 * t);
    if (first != nullptr) store(sum[0], first + 2 * t);
  }
}

// With odd padding the pairs of rows begin one row before the plane.
template <int kK, bool kOddW>
HWY_ATTR void RunPlane(const Plane& p) {
  constexpr int kShared = (kK + 1) / 2;
  const int64_t odd = p.h.odd ? 1 : 0;
  for (int64_t s = 0; 2 * s - odd < p.h.results; ++s) {
    const float* rows[kShared];
    for (int i = 0; i < kShared; ++i) {
      const int64_t row = s + p.h.half - i;
      rows[i] = row >= 0 && row < p.h.gradients ? p.gradient + row * p.w.gradients : nullptr;
    }
    const int64_t first = 2 * s - odd;
    float* const to = p.result + first * p.w.results;
    TwoRows<kK, kOddW>(p, rows, p.weight, first >= 0 ? to : nullptr, first + 1 < p.h.results ? to + p.w.results : nullptr);
  }
}

HWY_ATTR void GradInputPlane(int64_t kernel_size, const Plane& p) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  if (kernel_size == 3) return p.w.odd ? RunPlane<3, true>(p) : RunPlane<3, false>(p);
  if (kernel_size == 5) return p.w.odd ? RunPlane<5, true>(p) : RunPlane<5, false>(p);
  p.w.odd ? RunPlane<7, true>(p) : RunPlane<7, false>(p);
}

size_t Stride2Lanes() { return hn::Lanes(D()); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(GradInputPlane);
CONVOY_EXPORT(Stride2Lanes);

namespace {

const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (s.in_channels_per_group() != 1 || s.out_channels_per_group() != 1) return "needs one channel per group";
  if (s.output_positions() == 0 || s.input_positions() == 0) return "nothing to compute";
  if (s.axes[0].kernel_size != 1 || s.input[0] != 1 || s.output[0] != 1) return "needs one or two axes";
  const shape::Axis &h = s.axes[1], &w = s.axes[2];
  if (h.kernel_size != w.kernel_size || (h.kernel_size != 3 && h.kernel_size != 5 && h.kernel_size != 7))
    return "needs a kernel of 3x3, 5x5 or 7x7";
  if (h.stride != 2 || w.stride != 2 || h.dilation != 1 || w.dilation != 1) return "needs stride 2 and dilation 1";
  if (h.pad_begin < 0 || w.pad_begin < 0) return "needs no crop";
  constexpr int64_t kMost = 1 << 30;
  if (h.pad_begin > kMost || w.pad_begin > kMost || s.input[2] > kMost) return "the plane is too wide";
  return nullptr;
}

// Per pair of rows and vector of pairs: the multiply-adds, 4 stores and what leads to them, or the planes' way from and to memory.
double seconds(const ConvShape& s, const Machine& m) {
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const auto lanes = static_cast<int64_t>(CONVOY_DISPATCH(Stride2Lanes)());
  const double vectors = number(s.batch * s.in_channels * ((s.input[1] + 1) / 2) * (((s.input[2] + 1) / 2 + lanes - 1) / lanes));
  const double begins = number(s.batch * s.in_channels) * (40 + 20 * number((s.input[1] + 1) / 2));  // of planes and rows
  const double cycles = m.with_eight_lanes(0.65) * vectors * (1.1 * number(s.taps()) + 20) + m.with_eight_lanes(2) * begins,
               bytes = 4 * number(s.input_count() + s.output_count());
  return 1e-6 + std::max(cycles / 3e9, bytes / m.bytes_per_second) / m.threads;
}

void grad_input(const ConvShape& s, const ConvGradInput<float>& io, Workspace&) {
  const SplitEpilogue epilogue(io.epilogue);
  const auto axis = [&](size_t a) {
    return stride2::Axis{s.output[a], s.input[a], s.axes[a].pad_begin / 2, s.axes[a].pad_begin % 2 == 1};
  };
  const stride2::Axis h = axis(1), w = axis(2);
  const int64_t results = h.results * w.results;
  parallel_ranges(s.batch * s.in_channels, std::max<int64_t>(stride2::kPlaneGrain / results, 1), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t channel = plane % s.in_channels;
      const stride2::Plane p{h,
                             w,
                             io.grad_output + plane * h.gradients * w.gradients,
                             io.weight + channel * s.taps(),
                             io.bias != nullptr ? io.bias[channel] : 0.0f,
                             io.grad_input + plane * results};
      CONVOY_DISPATCH(GradInputPlane)(s.axes[2].kernel_size, p);
      epilogue.apply(p.result, results, plane * results);
    }
  });
}

}  // namespace

const ConvKernel kConvDepthwiseStride2GradInput{.name = "conv_depthwise_stride2",
                                                .direction = Direction::kGradInput,
                                                .refuse = refuse,
                                                .seconds = seconds,
                                                .workspace_bytes = [](const ConvShape&, int) { return size_t{0}; },
                                                .grad_input = grad_input};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
