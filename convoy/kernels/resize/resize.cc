// Separable: a block of input columns is first combined down the rows that an output row is made of, in double, then along the row.
// Rows wider than a block are combined tap by tap.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/resize/resize.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/resize/resize.h"
#include "convoy/kernels/resize/resize_reference.h"

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

// Outputs of one row from its combined columns; every output has `kTaps` taps, or any number if that is 0.
template <int kTaps, class T>
HWY_INLINE void ResizeAlong(const ResizeTaps& w, const double* sums, T* output) {
  const int64_t* begin = w.begin.data();
  const int64_t* index = w.index.data();
  const double* weight = w.weight.data();
  for (int64_t o = 0; o < w.output; ++o) {
    double sum = 0;
    if constexpr (kTaps > 0) {
      sum = weight[0] * sums[index[0]];
      for (int k = 1; k < kTaps; ++k) sum += weight[k] * sums[index[k]];
      index += kTaps;
      weight += kTaps;
    } else {
      for (int64_t e = begin[o]; e < begin[o + 1]; ++e) sum += weight[e] * sums[index[e]];
    }
    output[o] = static_cast<T>(sum);
  }
}

template <class T>
HWY_INLINE void ResizeRow(const ResizeAxes& axes, int64_t od, int64_t oh, int taps, const T* plane, T* output) {
  const ResizeTaps &d = axes[0], &h = axes[1], &w = axes[2];
  if (w.input <= kBlock) {
    HWY_ALIGN double sums[kBlock];
    bool first = true;
    for_each_resize_tap(d, od, [&](int64_t id, double wd) HWY_ATTR {
      for_each_resize_tap(h, oh, [&](int64_t ih, double wh) HWY_ATTR {
        AddRow(plane + (id * h.input + ih) * w.input, wd * wh, w.input, first, sums);
        first = false;
      });
    });
    if (first) std::fill_n(sums, w.input, 0.0);
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

template <class T>
HWY_INLINE void ResizeRows(const ResizeAxes& axes, int taps, const T* input, T* output, int64_t begin, int64_t end) {
  const int64_t rows = axes[0].output * axes[1].output, positions = axes[0].input * axes[1].input * axes[2].input;
  for (int64_t r = begin; r < end; ++r) {
    ResizeRow(axes, r % rows / axes[1].output, r % axes[1].output, taps, input + r / rows * positions, output + r * axes[2].output);
  }
}

HWY_ATTR void ResizeRows32(const ResizeAxes& axes, int taps, const float* input, float* output, int64_t begin, int64_t end) {
  ResizeRows(axes, taps, input, output, begin, end);
}

HWY_ATTR void ResizeRows64(const ResizeAxes& axes, int taps, const double* input, double* output, int64_t begin, int64_t end) {
  ResizeRows(axes, taps, input, output, begin, end);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(ResizeRows32);
HWY_EXPORT(ResizeRows64);

namespace {

// The number of taps that every output has, 0 if they differ.
int uniform_taps(const ResizeTaps& taps) {
  if (taps.output == 0) return 0;
  const int64_t count = taps.begin[1];
  for (int64_t o = 0; o < taps.output; ++o) {
    if (taps.begin[static_cast<size_t>(o) + 1] != (o + 1) * count) return 0;
  }
  return count <= 4 ? static_cast<int>(count) : 0;
}

// Every output is one input: rows are copied, so that -0 and the payload of a NaN survive.
bool copies(const ResizeTaps& taps) {
  return uniform_taps(taps) == 1 && std::all_of(taps.weight.begin(), taps.weight.end(), [](double w) { return w == 1.0; });
}

template <class T>
void copy_row(const ResizeAxes& axes, int64_t row, const T* input, T* output) {
  const ResizeTaps &d = axes[0], &h = axes[1], &w = axes[2];
  const int64_t rows = d.output * h.output;
  const int64_t id = d.index[static_cast<size_t>(row % rows / h.output)], ih = h.index[static_cast<size_t>(row % h.output)];
  const T* from = input + ((row / rows * d.input + id) * h.input + ih) * w.input;
  T* to = output + row * w.output;
  for (int64_t ow = 0; ow < w.output; ++ow) to[ow] = from[w.index[static_cast<size_t>(ow)]];
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
    parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) copy_row(axes, row, input, output);
    });
    return;
  }
  const int taps = uniform_taps(w);
  parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
    if constexpr (std::is_same_v<T, float>) {
      HWY_DYNAMIC_DISPATCH(ResizeRows32)(axes, taps, input, output, begin, end);
    } else {
      HWY_DYNAMIC_DISPATCH(ResizeRows64)(axes, taps, input, output, begin, end);
    }
  });
}

template void resize<float>(int64_t, const ResizeAxes&, const float*, float*) noexcept;
template void resize<double>(int64_t, const ResizeAxes&, const double*, double*) noexcept;

}  // namespace convoy::kernels
#endif  // HWY_ONCE
