#include "convoy/kernels/rearrange/unfold.h"

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/shape/taps.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kEntriesPerTask = 16384;

struct Tap {
  int64_t kd, kh, kw;
};

Tap tap_at(const UnfoldShape& s, int64_t tap) {
  const int64_t kh = s.axes[1].kernel_size, kw = s.axes[2].kernel_size;
  return {tap / kw / kh, tap / kw % kh, tap % kw};
}

int64_t tap_count(const UnfoldShape& s) { return s.axes[0].kernel_size * s.axes[1].kernel_size * s.axes[2].kernel_size; }

// Calls row(od, oh, input offset of the row that the tap reads there) for all rows of outputs; the offset is -1 in the padding.
template <class Row>
void for_each_tap_row(const UnfoldShape& s, const Tap& tap, const Row& row) {
  const shape::Range slices = shape::valid_outputs(tap.kd, s.input[0], s.output[0], s.axes[0]);
  const shape::Range rows = shape::valid_outputs(tap.kh, s.input[1], s.output[1], s.axes[1]);
  for (int64_t od = 0; od < s.output[0]; ++od) {
    for (int64_t oh = 0; oh < s.output[1]; ++oh) {
      const bool inside = od >= slices.begin && od < slices.end && oh >= rows.begin && oh < rows.end;
      const int64_t from =
          inside ? (shape::input_index(od, tap.kd, s.axes[0]) * s.input[1] + shape::input_index(oh, tap.kh, s.axes[1])) * s.input[2]
                 : -1;
      row(od * s.output[1] + oh, from);
    }
  }
}

// One kernel tap of one plane: OD x OH x OW entries.
template <class T>
void unfold_tap(const UnfoldShape& s, const Tap& tap, const T* plane, T* columns) {
  const shape::Axis& w = s.axes[2];
  const shape::Range inside = shape::valid_outputs(tap.kw, s.input[2], s.output[2], w);
  for_each_tap_row(s, tap, [&](int64_t r, int64_t at) {
    T* to = columns + r * s.output[2];
    if (at < 0 || inside.empty()) {
      std::fill_n(to, s.output[2], T(0));
      return;
    }
    const T* from = plane + at + shape::input_index(inside.begin, tap.kw, w);
    std::fill_n(to, inside.begin, T(0));
    if (w.stride == 1) {
      std::copy_n(from, inside.size(), to + inside.begin);
    } else {
      for (int64_t i = 0; i < inside.size(); ++i) to[inside.begin + i] = from[i * w.stride];
    }
    std::fill_n(to + inside.end, s.output[2] - inside.end, T(0));
  });
}

template <class T>
void fold_tap(const UnfoldShape& s, const Tap& tap, const T* columns, T* plane) {
  const shape::Axis& w = s.axes[2];
  const shape::Range inside = shape::valid_outputs(tap.kw, s.input[2], s.output[2], w);
  if (inside.empty()) return;
  for_each_tap_row(s, tap, [&](int64_t r, int64_t at) {
    if (at < 0) return;
    const T* from = columns + r * s.output[2] + inside.begin;
    T* to = plane + at + shape::input_index(inside.begin, tap.kw, w);
    for (int64_t i = 0; i < inside.size(); ++i) to[i * w.stride] += from[i];
  });
}

// Maps of a few pixels, whose rows are over before they have begun: where every entry of a plane's columns comes from, looked up
// once. Place 0 is the padding, i + 1 position i.
class SmallPlane {
 public:
  SmallPlane(const UnfoldShape& s, int64_t short_row) : positions_(s.input_positions()) {
    const int64_t taps = tap_count(s), entries = s.output_positions();
    if (s.output[2] > short_row || s.planes() < kFewPlanes || positions_ >= kMostPositions || entries > kMostEntries / taps) return;
    int16_t numbered[kMostPositions];
    for (int64_t i = 0; i < positions_; ++i) numbered[i] = static_cast<int16_t>(i + 1);
    for (int64_t tap = 0; tap < taps; ++tap) unfold_tap(s, tap_at(s, tap), numbered, places_ + tap * entries);
    count_ = taps * entries;
  }
  bool fits() const { return count_ > 0; }

  template <class T>
  void unfold(const T* plane, T* columns) const {
    T values[kMostPositions];
    values[0] = T(0);
    std::copy_n(plane, positions_, values + 1);
    for (int64_t i = 0; i < count_; ++i) columns[i] = values[places_[i]];
  }
  template <class T>
  void fold(const T* columns, T* plane) const {
    T sums[kMostPositions];
    std::fill_n(sums, positions_ + 1, T(0));
    for (int64_t i = 0; i < count_; ++i) sums[places_[i]] += columns[i];
    std::copy_n(sums + 1, positions_, plane);
  }

 private:
  static constexpr int64_t kFewPlanes = 8, kMostPositions = 512, kMostEntries = 2304;

  int64_t positions_, count_ = 0;
  int16_t places_[kMostEntries];
};

}  // namespace

template <class T>
void unfold(const UnfoldShape& s, const T* input, T* columns) noexcept {
  const int64_t taps = tap_count(s), entries = s.output_positions();
  if (const SmallPlane small(s, 16); small.fits()) {
    return parallel_ranges(s.planes(), kEntriesPerTask / (taps * entries), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) small.unfold(input + p * s.input_positions(), columns + p * taps * entries);
    });
  }
  parallel_ranges(s.planes() * taps, std::max<int64_t>(1, kEntriesPerTask / std::max<int64_t>(entries, 1)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) {
                      unfold_tap(s, tap_at(s, i % taps), input + i / taps * s.input_positions(), columns + i * entries);
                    }
                  });
}

template <class T>
void fold(const UnfoldShape& s, const T* columns, T* image) noexcept {
  const int64_t taps = tap_count(s), entries = s.output_positions();
  if (const SmallPlane small(s, 8); small.fits()) {
    return parallel_ranges(s.planes(), kEntriesPerTask / (taps * entries), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) small.fold(columns + p * taps * entries, image + p * s.input_positions());
    });
  }
  parallel_ranges(s.planes(), std::max<int64_t>(1, kEntriesPerTask / std::max<int64_t>(taps * entries, 1)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t plane = begin; plane < end; ++plane) {
                      T* to = image + plane * s.input_positions();
                      std::fill_n(to, s.input_positions(), T(0));
                      for (int64_t tap = 0; tap < taps; ++tap) {
                        fold_tap(s, tap_at(s, tap), columns + (plane * taps + tap) * entries, to);
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
