// Separable: a block of input columns is first combined down the rows that an output row is made of, in double, then along the row.
// Rows wider than a block are combined tap by tap, on machines without vectors all. Where there are more output rows than input
// rows it goes the other way round: along each input row once, the slower part, then down.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/resize/resize.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/narrow-inl.h"
#include "convoy/kernels/resize/resize.h"
#include "convoy/kernels/resize/resize_reference.h"

#ifndef CONVOY_KERNELS_RESIZE_CUT
#define CONVOY_KERNELS_RESIZE_CUT
namespace convoy::kernels::resize_cut {

constexpr int64_t kMostDown = 4;
constexpr int64_t kWidest = 1024;  // columns of an output row; 8 KiB

// The number of taps that every output has, 0 if they differ or are more than 4.
inline int64_t uniform_taps(const ResizeTaps& taps) {
  if (taps.output == 0) return 0;
  const int64_t count = taps.begin[1];
  for (int64_t o = 0; o < taps.output; ++o) {
    if (taps.begin[static_cast<size_t>(o) + 1] != (o + 1) * count) return 0;
  }
  return count <= 4 ? count : 0;
}

// Taps down an output row if rows go along first; else 0. An output row's input rows lie within kMostDown of each other.
inline int64_t growing(const ResizeAxes& axes) {
  const ResizeTaps &d = axes[0], &h = axes[1], &w = axes[2];
  const bool one = d.input == 1 && d.output == 1 && d.index.size() == 1 && d.weight[0] == 1.0;
  if (!one || w.output > kWidest || 4 * h.output < 5 * h.input) return 0;
  const int64_t taps = uniform_taps(h);
  for (size_t e = 1; taps > 0 && e < h.index.size(); ++e) {
    const bool same_output = e % static_cast<size_t>(taps) != 0;
    if (same_output && h.index[e] != h.index[e - 1] && h.index[e] != h.index[e - 1] + 1) return 0;
  }
  return taps;
}

}  // namespace convoy::kernels::resize_cut
#endif  // CONVOY_KERNELS_RESIZE_CUT

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kBlock = 2048;  // columns, 16 KiB

HWY_INLINE hn::Vec<hn::ScalableTag<double>> LoadWide(const float* from) {
  const hn::ScalableTag<double> d;
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, decltype(d)>(), from));
}

HWY_INLINE hn::Vec<hn::ScalableTag<double>> LoadWide(const double* from) { return hn::LoadU(hn::ScalableTag<double>(), from); }

// sums += weight * row, or sums = weight * row for the first.
template <class T>
HWY_INLINE void AddRow(const T* row, double weight, int64_t count, bool first, double* sums) {
  const hn::ScalableTag<double> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const auto w = hn::Set(d, weight);
  int64_t i = 0;
  for (; i + n <= count; i += n) {
    const auto product = hn::Mul(w, LoadWide(row + i));
    hn::StoreU(first ? product : hn::Add(hn::LoadU(d, sums + i), product), d, sums + i);
  }
  for (; i < count; ++i) {
    const double product = weight * static_cast<double>(row[i]);
    sums[i] = first ? product : sums[i] + product;
  }
}

// Outputs of one row from its columns; every output has `kTaps` taps, or any number if that is 0.
template <int kTaps, class S, class T>
HWY_INLINE void ResizeAlong(const ResizeTaps& w, const S* sums, T* output) {
  const int64_t* begin = w.begin.data();
  const int64_t* index = w.index.data();
  const double* weight = w.weight.data();
  for (int64_t o = 0; o < w.output; ++o) {
    double sum = 0;
    if constexpr (kTaps > 0) {
      sum = weight[0] * static_cast<double>(sums[index[0]]);
      for (int k = 1; k < kTaps; ++k) sum += weight[k] * static_cast<double>(sums[index[k]]);
      index += kTaps;
      weight += kTaps;
    } else {
      for (int64_t e = begin[o]; e < begin[o + 1]; ++e) sum += weight[e] * static_cast<double>(sums[index[e]]);
    }
    output[o] = static_cast<T>(sum);
  }
}

template <class S, class T>
HWY_INLINE void ResizeAlong(const ResizeTaps& w, int taps, const S* sums, T* output) {
  switch (taps) {
    case 1:
      return ResizeAlong<1>(w, sums, output);
    case 2:
      return ResizeAlong<2>(w, sums, output);
    case 4:
      return ResizeAlong<4>(w, sums, output);
    default:
      return ResizeAlong<0>(w, sums, output);
  }
}

template <class T>
HWY_INLINE void ResizeRow(const ResizeAxes& axes, int64_t od, int64_t oh, int taps, const T* plane, T* output) {
  const ResizeTaps &d = axes[0], &h = axes[1], &w = axes[2];
  if (HWY_TARGET != HWY_SCALAR && w.input <= kBlock) {
    HWY_ALIGN double sums[kBlock];
    bool first = true;
    for_each_resize_tap(d, od, [&](int64_t id, double wd) HWY_ATTR {
      for_each_resize_tap(h, oh, [&](int64_t ih, double wh) HWY_ATTR {
        AddRow(plane + (id * h.input + ih) * w.input, wd * wh, w.input, first, sums);
        first = false;
      });
    });
    if (first) std::fill_n(sums, w.input, 0.0);
    return ResizeAlong(w, taps, sums, output);
  }
  for (int64_t ow = 0; ow < w.output; ++ow) {
    double sum = 0;
    for_each_resize_tap(d, od, [&](int64_t id, double wd) {
      for_each_resize_tap(h, oh, [&](int64_t ih, double wh) {
        const T* row = plane + (id * h.input + ih) * w.input;
        for_each_resize_tap(w, ow, [&](int64_t iw, double ww) { sum += wd * wh * ww * static_cast<double>(row[iw]); });
      });
    });
    output[ow] = static_cast<T>(sum);
  }
}

HWY_INLINE void StoreNarrow(hn::Vec<hn::ScalableTag<double>> v, float* to) {
  const hn::Rebind<float, hn::ScalableTag<double>> d;
  hn::StoreU(Narrow(d, v), d, to);
}
HWY_INLINE void StoreNarrow(hn::Vec<hn::ScalableTag<double>> v, double* to) { hn::StoreU(v, hn::ScalableTag<double>(), to); }

// output = sum of weight[k] rows[k], k < taps.
template <class T>
HWY_INLINE void AddRows(const double* const* rows, const double* weight, int64_t taps, int64_t count, T* output) {
  const hn::ScalableTag<double> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + n <= count; i += n) {
    auto sum = hn::Mul(hn::Set(d, weight[0]), hn::LoadU(d, rows[0] + i));
    for (int64_t k = 1; k < taps; ++k) sum = hn::Add(sum, hn::Mul(hn::Set(d, weight[k]), hn::LoadU(d, rows[k] + i)));
    StoreNarrow(sum, output + i);
  }
  for (; i < count; ++i) {
    double sum = weight[0] * rows[0][i];
    for (int64_t k = 1; k < taps; ++k) sum += weight[k] * rows[k][i];
    output[i] = static_cast<T>(sum);
  }
}

// Rows of planes that grow downwards, each of `taps_down` input rows that follow each other: these are kept.
template <class T>
HWY_INLINE void ResizeGrowing(const ResizeAxes& axes, int taps, int64_t taps_down, const T* input, T* output, int64_t begin,
                              int64_t end) {
  const ResizeTaps &h = axes[1], &w = axes[2];
  HWY_ALIGN double kept[resize_cut::kMostDown][resize_cut::kWidest];
  int64_t which[resize_cut::kMostDown] = {-1, -1, -1, -1};
  for (int64_t r = begin; r < end; ++r) {
    const int64_t* const index = h.index.data() + r % h.output * taps_down;
    const double* rows[resize_cut::kMostDown];
    for (int64_t k = 0; k < taps_down; ++k) {
      const int64_t row = r / h.output * h.input + index[k];
      const int64_t slot = row % resize_cut::kMostDown;
      if (which[slot] != row) {
        ResizeAlong(w, taps, input + row * w.input, kept[slot]);
        which[slot] = row;
      }
      rows[k] = kept[slot];
    }
    AddRows(rows, h.weight.data() + r % h.output * taps_down, taps_down, w.output, output + r * w.output);
  }
}

template <class T>
HWY_INLINE void ResizeRows(const ResizeAxes& axes, int taps, int64_t growing, const T* input, T* output, int64_t begin,
                           int64_t end) {
  if (HWY_TARGET != HWY_SCALAR && growing > 0) return ResizeGrowing(axes, taps, growing, input, output, begin, end);
  const int64_t rows = axes[0].output * axes[1].output, positions = axes[0].input * axes[1].input * axes[2].input;
  for (int64_t r = begin; r < end; ++r) {
    ResizeRow(axes, r % rows / axes[1].output, r % axes[1].output, taps, input + r / rows * positions, output + r * axes[2].output);
  }
}

// Rows of copies. A row like the one before is that one's copy, and columns that come twice are stored in pairs.
template <class T>
HWY_INLINE void CopyRows(const ResizeAxes& axes, bool twice, const T* input, T* output, int64_t begin, int64_t end) {
  const ResizeTaps &d = axes[0], &h = axes[1], &w = axes[2];
  const hn::CappedTag<T, 32 / sizeof(T)> v;  // 512 bits take longer to interleave, and leave more of a row
  const auto lanes = static_cast<int64_t>(hn::Lanes(v));
  const int64_t rows = d.output * h.output;
  const T* before = nullptr;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t id = d.index[static_cast<size_t>(row % rows / h.output)], ih = h.index[static_cast<size_t>(row % h.output)];
    const T* const from = input + ((row / rows * d.input + id) * h.input + ih) * w.input;
    T* const to = output + row * w.output;
    if (from == before) {
      std::memcpy(to, to - w.output, static_cast<size_t>(w.output) * sizeof(T));
      continue;
    }
    before = from;
    int64_t o = 0;
    for (; twice && o + 2 * lanes <= w.output; o += 2 * lanes) {
      const auto values = hn::LoadU(v, from + o / 2);
      hn::StoreInterleaved2(values, values, v, to + o);
    }
    for (; o < w.output; ++o) to[o] = from[w.index[static_cast<size_t>(o)]];
  }
}

HWY_ATTR void CopyRows32(const ResizeAxes& axes, bool twice, const float* input, float* output, int64_t begin, int64_t end) {
  CopyRows(axes, twice, input, output, begin, end);
}

HWY_ATTR void CopyRows64(const ResizeAxes& axes, bool twice, const double* input, double* output, int64_t begin, int64_t end) {
  CopyRows(axes, twice, input, output, begin, end);
}

HWY_ATTR void ResizeRows32(const ResizeAxes& axes, int taps, int64_t growing, const float* input, float* output, int64_t begin,
                           int64_t end) {
  ResizeRows(axes, taps, growing, input, output, begin, end);
}

HWY_ATTR void ResizeRows64(const ResizeAxes& axes, int taps, int64_t growing, const double* input, double* output, int64_t begin,
                           int64_t end) {
  ResizeRows(axes, taps, growing, input, output, begin, end);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(CopyRows32);
CONVOY_EXPORT(CopyRows64);
CONVOY_EXPORT(ResizeRows32);
CONVOY_EXPORT(ResizeRows64);

namespace {

// Every output is one input: rows are copied, so that -0 and the payload of a NaN survive.
bool copies(const ResizeTaps& taps) {
  return resize_cut::uniform_taps(taps) == 1 &&
         std::all_of(taps.weight.begin(), taps.weight.end(), [](double w) { return w == 1.0; });
}

constexpr double kTapsPerTask = 32768;

}  // namespace

template <class T>
void resize(int64_t planes, const ResizeAxes& axes, const T* input, T* output) noexcept {
  const ResizeTaps &d = axes[0], &h = axes[1], &w = axes[2];
  const int64_t rows = planes * d.output * h.output;
  if (rows == 0) return;
  const double row_taps = static_cast<double>(d.index.size()) / static_cast<double>(d.output) *
                          static_cast<double>(h.index.size()) / static_cast<double>(h.output);
  const double cost = std::max(1.0, row_taps * static_cast<double>(w.input) + static_cast<double>(w.index.size()));
  const int64_t grain = std::max<int64_t>(1, static_cast<int64_t>(kTapsPerTask / cost));
  if (copies(d) && copies(h) && copies(w)) {
    bool twice = w.output == 2 * w.input;
    for (int64_t o = 0; o < w.output; ++o) twice = twice && w.index[static_cast<size_t>(o)] == o / 2;
    parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
      if constexpr (std::is_same_v<T, float>) {
        CONVOY_DISPATCH(CopyRows32)(axes, twice, input, output, begin, end);
      } else {
        CONVOY_DISPATCH(CopyRows64)(axes, twice, input, output, begin, end);
      }
    });
    return;
  }
  const auto taps = static_cast<int>(resize_cut::uniform_taps(w));
  const int64_t growing = resize_cut::growing(axes);
  parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
    if constexpr (std::is_same_v<T, float>) {
      CONVOY_DISPATCH(ResizeRows32)(axes, taps, growing, input, output, begin, end);
    } else {
      CONVOY_DISPATCH(ResizeRows64)(axes, taps, growing, input, output, begin, end);
    }
  });
}

template void resize<float>(int64_t, const ResizeAxes&, const float*, float*) noexcept;
template void resize<double>(int64_t, const ResizeAxes&, const double*, double*) noexcept;

}  // namespace convoy::kernels
#endif  // HWY_ONCE
