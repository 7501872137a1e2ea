#include "convoy/kernels/rearrange/unfold.h"

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/shape/taps.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kEntriesPerTask = 16384;

// One kernel tap of one plane: OH x OW entries.
template <class T>
void unfold_tap(const UnfoldShape& s, int64_t kh, int64_t kw, const T* plane, T* columns) {
  const shape::Axis &h = s.axes[1], &w = s.axes[2];
  const shape::Range rows = shape::valid_outputs(kh, s.input[1], s.output[1], h);
  const shape::Range inside = shape::valid_outputs(kw, s.input[2], s.output[2], w);
  for (int64_t oh = 0; oh < s.output[1]; ++oh) {
    T* to = columns + oh * s.output[2];
    if (oh < rows.begin || oh >= rows.end || inside.empty()) {
      std::fill_n(to, s.output[2], T(0));
      continue;
    }
    const T* from = plane + shape::input_index(oh, kh, h) * s.input[2] + shape::input_index(inside.begin, kw, w);
    std::fill_n(to, inside.begin, T(0));
    if (w.stride == 1) {
      std::copy_n(from, inside.size(), to + inside.begin);
    } else {
      for (int64_t i = 0; i < inside.size(); ++i) to[inside.begin + i] = from[i * w.stride];
    }
    std::fill_n(to + inside.end, s.output[2] - inside.end, T(0));
  }
}

template <class T>
void fold_tap(const UnfoldShape& s, int64_t kh, int64_t kw, const T* columns, T* plane) {
  const shape::Axis &h = s.axes[1], &w = s.axes[2];
  const shape::Range rows = shape::valid_outputs(kh, s.input[1], s.output[1], h);
  const shape::Range inside = shape::valid_outputs(kw, s.input[2], s.output[2], w);
  if (inside.empty()) return;
  for (int64_t oh = rows.begin; oh < rows.end; ++oh) {
    const T* from = columns + oh * s.output[2] + inside.begin;
    T* to = plane + shape::input_index(oh, kh, h) * s.input[2] + shape::input_index(inside.begin, kw, w);
    for (int64_t i = 0; i < inside.size(); ++i) to[i * w.stride] += from[i];
  }
}

}  // namespace

template <class T>
void unfold(const UnfoldShape& s, const T* input, T* columns) noexcept {
  const int64_t taps = s.axes[1].kernel_size * s.axes[2].kernel_size, entries = s.output_positions();
  parallel_ranges(s.planes() * taps, std::max<int64_t>(1, kEntriesPerTask / std::max<int64_t>(entries, 1)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) {
                      const int64_t tap = i % taps;
                      unfold_tap(s, tap / s.axes[2].kernel_size, tap % s.axes[2].kernel_size,
                                 input + i / taps * s.input_positions(), columns + i * entries);
                    }
                  });
}

template <class T>
void fold(const UnfoldShape& s, const T* columns, T* image) noexcept {
  const int64_t taps = s.axes[1].kernel_size * s.axes[2].kernel_size, entries = s.output_positions();
  parallel_ranges(
      s.planes(), std::max<int64_t>(1, kEntriesPerTask / std::max<int64_t>(taps * entries, 1)), [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
          T* to = image + plane * s.input_positions();
          std::fill_n(to, s.input_positions(), T(0));
          for (int64_t tap = 0; tap < taps; ++tap) {
            fold_tap(s, tap / s.axes[2].kernel_size, tap % s.axes[2].kernel_size, columns + (plane * taps + tap) * entries, to);
          }
        }
      });
}

#define CONVOY_UNFOLD(T)                                              \
  template void unfold<T>(const UnfoldShape&, const T*, T*) noexcept; \
  template void fold<T>(const UnfoldShape&, const T*, T*) noexcept;
CONVOY_UNFOLD(float)
CONVOY_UNFOLD(double)
#undef CONVOY_UNFOLD

}  // namespace convoy::kernels
