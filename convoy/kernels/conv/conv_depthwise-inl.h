// What the depthwise kernels share: the correlation over a plane, and how its rows are read.
#if defined(CONVOY_KERNELS_CONV_DEPTHWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_DEPTHWISE_INL_H_
#undef CONVOY_KERNELS_CONV_DEPTHWISE_INL_H_
#else
#define CONVOY_KERNELS_CONV_DEPTHWISE_INL_H_
#endif

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "convoy/kernels/conv/conv_kernel.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_CORRELATION
#define CONVOY_KERNELS_CONV_DEPTHWISE_CORRELATION
namespace convoy::kernels::depthwise {

constexpr int kRows = 7;                // output rows of a tile: 7, 14, 28, 56 and 112 divide by it
constexpr int kWide = 8;                // vectors of a row that go abreast where rows go alone
constexpr int64_t kLanes = 16;          // the most lanes of any target
constexpr int64_t kMaxTapColumns = 64;  // of a tile
constexpr int64_t kChain = 256;         // a longer chain of sums is cut, since it drifts

// Over every plane: out[o] = sum over k of w[k] in[o step + k dilation - pad].
struct Correlation {
  shape::Spatial input{1, 1, 1};
  shape::Spatial output{1, 1, 1};
  shape::Spatial kernel{1, 1, 1};
  shape::Spatial step{1, 1, 1};
  shape::Spatial dilation{1, 1, 1};
  shape::Spatial pad{0, 0, 0};
  int64_t sources = 1;   // input planes that an output plane sums over
  bool flipped = false;  // w is read backwards
  bool sort = false;     // columns of stride 2 are sorted, too

  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t input_positions() const { return input[0] * input[1] * input[2]; }
  int64_t output_positions() const { return output[0] * output[1] * output[2]; }

  // Rows of a tile share input rows that lie `row_spacing` apart.
  bool tiled() const {
    return output[1] > 2 && kernel[2] <= kMaxTapColumns &&
           (step[1] == 1 || (step[1] == 2 && dilation[1] == 1 && (sort || step[2] == 2)));
  }
  int64_t row_spacing() const { return tiled() && step[1] == 1 ? dilation[1] : 1; }
  int64_t tile_rows() const { return tiled() ? kRows : 1; }
  // Tiles of one row class (rows a row_spacing apart) and of a plane.
  int64_t class_tiles() const {
    const int64_t rows = (output[1] + row_spacing() - 1) / row_spacing();
    return (rows + tile_rows() - 1) / tile_rows();
  }
  int64_t plane_tiles() const { return output[0] * row_spacing() * class_tiles(); }

  // Sorted rows: one for each input row under a tile, its phases one after the other.
  bool sorted() const { return step[2] > 1 && (sort || !tiled() || step[1] == 1); }
  int64_t sorted_rows() const { return tiled() ? (kRows - 1) * step[1] + kernel[1] : kernel[1]; }
  int64_t phase_floats() const {
    const int64_t columns = (output[2] + kLanes - 1) / kLanes * kLanes;
    return (columns + (kernel[2] - 1) * dilation[2] / step[2] + kLanes) / kLanes * kLanes;
  }
  int64_t sorted_row_floats() const { return std::min(step[2], (kernel[2] - 1) * dilation[2] + 1) * phase_floats(); }
  int64_t scratch_floats() const { return sorted() ? sources * kernel[0] * sorted_rows() * sorted_row_floats() : 0; }
};

// Beyond this reach offsets and the sizes of sorted rows might overflow.
inline bool reaches_too_far(const ConvShape& s) {
  constexpr int64_t kReach = 1 << 20;
  for (const shape::Axis& axis : s.axes) {
    if (axis.kernel_size > kReach || axis.stride > kReach || axis.dilation > kReach || std::abs(axis.pad_begin) > kReach)
      return true;
  }
  return s.taps() > kReach;
}

inline Correlation forward(const ConvShape& s) {
  Correlation c;
  c.sources = s.in_channels_per_group();
  c.input = s.input;
  c.output = s.output;
  for (int a = 0; a < 3; ++a) {
    c.kernel[a] = s.axes[a].kernel_size;
    c.step[a] = s.axes[a].stride;
    c.dilation[a] = s.axes[a].dilation;
    c.pad[a] = s.axes[a].pad_begin;
  }
  return c;
}

// Whether the sorted rows of a thread stay in the cache. In double: the counts themselves might overflow.
inline bool sorted_rows_fit(const Correlation& c) {
  constexpr double kMostFloats = 1 << 18;
  const double reach = static_cast<double>(c.kernel[2] - 1) * static_cast<double>(c.dilation[2]) + 1;
  const double step = static_cast<double>(c.step[2]);
  const double row = std::min(step, reach) * (static_cast<double>(c.output[2]) + reach / step + 2 * kLanes);
  return !c.sorted() || static_cast<double>(c.sources * c.kernel[0] * c.sorted_rows()) * row < kMostFloats;
}

inline Correlation sorted_forward(const ConvShape& s) {
  Correlation c = forward(s);
  c.sources = 1;
  c.sort = true;
  return c;
}

// Of stride 1.
inline Correlation grad_input(const ConvShape& s) {
  Correlation c;
  c.sources = s.out_channels_per_group();
  c.input = s.output;
  c.output = s.input;
  c.flipped = true;
  for (int a = 0; a < 3; ++a) {
    c.kernel[a] = s.axes[a].kernel_size;
    c.dilation[a] = s.axes[a].dilation;
    c.pad[a] = s.axes[a].dilation * (s.axes[a].kernel_size - 1) - s.axes[a].pad_begin;
  }
  return c;
}

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_CORRELATION

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using depthwise::Correlation;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using Mask = hn::Mask<D>;

// f(0), ..., f(kCount - 1) with constants, so that arrays of vectors indexed by them stay in registers: GCC 12 unrolls nested loops
// only after it has decided about that.
template <class F, int... kIndex>
HWY_INLINE void UnrollIndices(F&& f, std::integer_sequence<int, kIndex...>) {
  (f(std::integral_constant<int, kIndex>()), ...);
}
template <int kCount, class F>
HWY_INLINE void Unroll(F&& f) {
  UnrollIndices(f, std::make_integer_sequence<int, kCount>());
}
#define CONVOY_UNROLLED HWY_ATTR __attribute__((always_inline))

// GCC would fold the load into each of the multiply-adds that use it, and unaligned loads are what limits us.
template <class Vector>
HWY_INLINE void KeepInRegister(Vector& v) {
#if HWY_TARGET == HWY_AVX3
  asm volatile("" : "+v"(v.raw));
#elif HWY_TARGET == HWY_AVX2
  asm volatile("" : "+x"(v.raw));
#else
  (void)v;
#endif
}

// Lanes whose column, `first` for lane 0, is in [0, width).
HWY_INLINE Mask InsideLanes(int64_t first, int64_t width) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto below = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(-first, 0, lanes)));
  const auto inside = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(width - first, 0, lanes)));
  return hn::AndNot(below, inside);
}

// The lanes of `mask`, zero elsewhere. Memory behind other lanes is not touched: Highway promises that on x86 only.
HWY_INLINE V LoadInside(Mask mask, const float* p) {
  const D d;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  return hn::MaskedLoad(mask, d, p);
#else
  if (hn::AllTrue(d, mask)) return hn::LoadU(d, p);
  HWY_ALIGN float values[depthwise::kLanes] = {};
  uint8_t bits[8] = {};
  hn::StoreMaskBits(d, mask, bits);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if ((bits[i / 8] >> (i % 8) & 1) != 0) values[i] = p[i];
  }
  return hn::Load(d, values);
#endif
}

// Sorts rows into phases: to[phase][j] = row[j step + phase - pad]. Vectors without a column of the row are left alone: zero.
class RowSorter {
 public:
  explicit RowSorter(const Correlation& c)
      : step_(c.step[2]),
        pad_(c.pad[2]),
        width_(c.input[2]),
        phase_floats_(c.sorted() ? c.phase_floats() : 0),
        phases_(c.sorted() ? c.sorted_row_floats() / phase_floats_ : 0) {
    const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
    filled_ = std::clamp<int64_t>((shape::ceil_div(width_ + pad_, step_) + lanes - 1) / lanes * lanes, 0, phase_floats_);
  }

  HWY_INLINE void Sort(const float* row, float* to) const {
#if HWY_TARGET != HWY_SCALAR
    if (step_ == 2) {
      const D d;
      const auto lanes = static_cast<int64_t>(hn::Lanes(d));
      for (int64_t j = 0; j < filled_; j += lanes) {
        const int64_t at = 2 * j - pad_;
        V low, high;
        if (at >= 0 && at + 2 * lanes <= width_) {
          low = hn::LoadU(d, row + at);
          high = hn::LoadU(d, row + at + lanes);
        } else {
          low = LoadInside(InsideLanes(at, width_), row + at);
          high = LoadInside(InsideLanes(at + lanes, width_), row + at + lanes);
        }
        hn::Store(hn::ConcatEven(d, high, low), d, to + j);
        if (phases_ == 2) hn::Store(hn::ConcatOdd(d, high, low), d, to + phase_floats_ + j);
      }
      return;
    }
    if (step_ == 3) {
      const D d;
      const auto lanes = static_cast<int64_t>(hn::Lanes(d));
      HWY_ALIGN float copy[3 * hn::MaxLanes(D())];  // of what reaches beyond the row, with zeros
      for (int64_t j = 0; j < filled_; j += lanes) {
        const int64_t at = 3 * j - pad_;
        const float* from = row + at;
        if (at < 0 || at + 3 * lanes > width_) {
          for (int64_t i = 0; i < 3 * lanes; i += lanes)
            hn::Store(LoadInside(InsideLanes(at + i, width_), row + at + i), d, copy + i);
          from = copy;
        }
        V v[3];
        hn::LoadInterleaved3(d, from, v[0], v[1], v[2]);
        for (int64_t phase = 0; phase < phases_; ++phase) hn::Store(v[phase], d, to + phase * phase_floats_ + j);
      }
      return;
    }
#endif
    for (int64_t phase = 0; phase < phases_; ++phase) {
      for (int64_t j = 0; j < filled_; ++j) {
        const int64_t at = j * step_ + phase - pad_;
        to[phase * phase_floats_ + j] = at >= 0 && at < width_ ? row[at] : 0.0f;
      }
    }
  }

 private:
  int64_t step_, pad_, width_, phase_floats_, phases_, filled_;
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
