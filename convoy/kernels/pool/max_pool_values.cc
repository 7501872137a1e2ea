#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/pool/max_pool_values.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/larger-inl.h"
#include "convoy/kernels/masked-inl.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/kernels/pool/pool_reference.h"
#include "convoy/kernels/pool/row_cursor.h"
#include "convoy/kernels/pool/small_planes.h"
#include "convoy/kernels/pool/strided_windows-inl.h"
#include "hwy/highway.h"

#include <algorithm>
#include <limits>

#include "convoy/core/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kLowest = -std::numeric_limits<float>::infinity();
// Columns of the rows or of a block of one: more than the largest span of a window.
constexpr int64_t kColumns = 2048;
// Rows taken at a time, at most.
constexpr int64_t kMostRows = 64;

// Outputs [begin, end) of a row, whose windows may hold NaNs: of those the last one stays, column by column.
void WindowByWindow(const PoolShape& shape, const float* input, float* output, int64_t row, int64_t begin, int64_t end) {
  const RowCursor at(row, shape.output);
  const float* plane = input + at.plane * shape.input_positions();
  for (int64_t ow = begin; ow < end; ++ow) {
    const Window window = window_at(shape, at.d, at.h, ow);
    float best = kLowest;
    for (int64_t x = 0; x < window.w.count; ++x) {
      Window column = window;
      column.w = {window.w.begin + x * window.w.step, 1, 1};
      column.for_each([&](int64_t i) {
        if (plane[i] > best || plane[i] != plane[i]) best = plane[i];
      });
    }
    output[row * shape.output[2] + ow] = best;
  }
}

#if HWY_TARGET != HWY_SCALAR

// Of numbers: columns are looked through for NaNs first.
template <class Tag>
struct MaximaOf {
  using D = Tag;
  using V = hn::Vec<D>;
  static constexpr bool kOrdered = true;
  static HWY_INLINE V Load(const float* from) { return hn::LoadU(D(), from); }
  static HWY_INLINE V Join(V left, V right) { return LargerNumber(left, right); }
  static HWY_INLINE V None() { return hn::Set(D(), kLowest); }
};
using Maxima = MaximaOf<hn::ScalableTag<float>>;
// Where neighbours are shuffled together or rows are short, 256 bits at a time: Zen 4 takes longer for 512.
using HalfMaxima = MaximaOf<hn::CappedTag<float, 8>>;

// sum += the columns, in which a NaN stays, as do two infinities.
HWY_INLINE void AddColumns(const float* from, int64_t count, Maxima::V& sum) {
  const Maxima::D d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;  // one sum alone would wait for itself
  int64_t i = 0;
  for (; i + 4 * n <= count; i += 4 * n) {
    s0 = hn::Add(s0, hn::LoadU(d, from + i));
    s1 = hn::Add(s1, hn::LoadU(d, from + i + n));
    s2 = hn::Add(s2, hn::LoadU(d, from + i + 2 * n));
    s3 = hn::Add(s3, hn::LoadU(d, from + i + 3 * n));
  }
  for (; i + n <= count; i += n) s0 = hn::Add(s0, hn::LoadU(d, from + i));
  if (i < count) s1 = hn::Add(s1, LoadMasked(hn::FirstN(d, static_cast<size_t>(count - i)), d, from + i));
  sum = hn::Add(sum, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

// columns[w] = the largest value of column w over the window's rows, for `count` columns from `from`, the plane's first row; all
// are added to `sum`, as above. Writes whole vectors.
HWY_INLINE void LargestOfColumns(const Window& window, const float* from, int64_t count, float* columns, Maxima::V& sum) {
  const Maxima::D d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const float* first = from + window.first_index();
  const int64_t slice = window.d.step * window.height * window.width, row = window.h.step * window.width;
  const int64_t ahead = window.rows_ahead();
  const auto largest = [&](int64_t i, const auto& load) HWY_ATTR {
    auto best = load(first + i), all = best;
    for (int64_t z = 0; z < window.d.count; ++z) {
      const float* at = first + z * slice + i;
      for (int64_t y = z == 0 ? 1 : 0; y < window.h.count; ++y) {
        const auto v = load(at + y * row);
        __builtin_prefetch(at + y * row + ahead);
        best = Maxima::Join(best, v);
        all = hn::Add(all, v);
      }
    }
    sum = hn::Add(sum, all);
    hn::StoreU(best, d, columns + i);
  };
  int64_t i = 0;
  for (; i + n <= count; i += n) largest(i, [d](const float* at) HWY_ATTR { return hn::LoadU(d, at); });
  if (i == count) return;
  const auto rest = hn::FirstN(d, static_cast<size_t>(count - i));
  largest(i, [d, rest](const float* at) HWY_ATTR { return LoadMasked(rest, d, at); });
}

// to[i] = the largest of `taps` columns from from[i] on, `dilation` apart, for a power of two: each turn takes two windows
// together. `count` columns are there; the last ones, where windows end behind them, become anything.
HWY_INLINE void Double(const float* from, float* to, int64_t taps, int64_t dilation, int64_t count) {
  const Maxima::D d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t width = 1; width < taps; width *= 2, from = to) {
    const float* other = from + width * dilation;
    for (int64_t i = 0; i < count - (2 * width - 1) * dilation; i += n)
      hn::StoreU(Maxima::Join(hn::LoadU(d, from + i), hn::LoadU(d, other + i)), d, to + i);
  }
}

// Windows of so many columns are put together from two of a power of two, which may overlap.
constexpr int64_t kManyTaps = 10;
// Windows of so many vectors are not, where their stride is not short.
constexpr int64_t kManyVectors = 4;

// `count` outputs of each of `rows` rows, whose columns begin at lines[row]. In `work`, whose rows lie `pitch` apart and may be
// those columns, there is room for as many and a vector's pair.
struct AlongRows {
  const float* const* lines;
  float* work;
  int64_t pitch, rows;
  float* output;
  int64_t output_pitch, count;
};

// output[o] = the largest of kernel_size columns from o * stride on, `dilation` apart, of which none is a NaN. A vector's pair
// behind the columns may be read.
HWY_NOINLINE HWY_ATTR void Along(const shape::Axis& axis, const AlongRows& all) {
  const Maxima::D d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const int64_t count = all.count;
  HWY_ALIGN float parts[kColumns / 2 + HWY_MAX_BYTES / sizeof(float)];
  for (int64_t row = 0; row < all.rows; ++row) {
    const float* columns = all.lines[row];
    float* const work = all.work + row * all.pitch;
    float* const output = all.output + row * all.output_pitch;
    const auto store = [&](int64_t o, Maxima::V best) HWY_ATTR {
      if (o + n <= count) {
        hn::StoreU(best, d, output + o);
      } else {
        StoreMasked(best, hn::FirstN(d, static_cast<size_t>(count - o)), d, output + o);
      }
    };
    int64_t taps = axis.kernel_size, step = axis.dilation, stride = axis.stride, rest = 0;
    if (step == 1 && stride > 1 && stride <= 4) {  // a stride's columns are joined first
      const bool two = taps <= 2 * stride;
      if (!two) {
        rest = taps % stride;
        taps /= stride;
      }
      const int64_t groups = two ? count : count + taps - (rest == 0 ? 1 : 0);
      const auto whole = [&](int64_t i, Maxima::V best) HWY_ATTR { two ? store(i, best) : hn::StoreU(best, d, work + i); };
      const auto part = [&](int64_t i, Maxima::V best) HWY_ATTR { hn::Store(best, d, parts + i); };
      if (stride == 2) JoinGroups<Maxima, 2>(columns, two ? taps : 2, rest, groups, whole, part);
      if (stride == 3) JoinGroups<Maxima, 3>(columns, two ? taps : 3, rest, groups, whole, part);
      if (stride == 4) JoinGroups<Maxima, 4>(columns, two ? taps : 4, rest, groups, whole, part);
      if (two) continue;
      columns = work;
      stride = 1;
    }
    const auto few = static_cast<int64_t>(hn::Lanes(HalfMaxima::D()));
    if (stride > 1 && step == 1 && taps <= kManyVectors * few) {
      const bool whole = count >= few;
      for (int64_t o = 0; o < count; o += whole ? few : 1) {  // the last vector may begin in the one before it
        const int64_t at = whole ? std::min(o, count - few) : o;
        const auto best = JoinWindows<HalfMaxima>(columns + at * stride, whole ? stride : 0, taps);
        if (whole) {
          hn::StoreU(best, HalfMaxima::D(), output + at);
        } else {
          output[o] = hn::GetLane(best);
        }
      }
      continue;
    }
    if (stride > 1 && step % stride == 0) {  // windows that see the same columns at a time: only those
      const hn::RebindToSigned<Maxima::D> di;
      const auto starts = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(stride)));
      step /= stride;
      const int64_t seen = count + (taps - 1) * step;
      int64_t i = 0;
      for (; i + n <= seen; i += n) hn::StoreU(hn::GatherIndex(d, columns + i * stride, starts), d, work + i);
      for (; i < seen; ++i) work[i] = columns[i * stride];
      columns = work;
      stride = 1;
    }
    const float* const behind = parts + taps;
    if (taps >= kManyTaps) {
      int64_t half = 1;
      while (2 * half <= taps) half *= 2;
      Double(columns, work, half, step, (count - 1) * stride + (taps - 1) * step + 1);
      columns = work;
      step *= taps - half;
      taps = taps > half ? 2 : 1;
    }
    int64_t o = 0;
    for (; stride == 1 && o + 4 * n <= count; o += 4 * n) {
      const float* from = columns + o;
      auto v0 = hn::LoadU(d, from), v1 = hn::LoadU(d, from + n), v2 = hn::LoadU(d, from + 2 * n), v3 = hn::LoadU(d, from + 3 * n);
      const auto join = [&](const float* other) HWY_ATTR {
        v0 = Maxima::Join(v0, hn::LoadU(d, other));
        v1 = Maxima::Join(v1, hn::LoadU(d, other + n));
        v2 = Maxima::Join(v2, hn::LoadU(d, other + 2 * n));
        v3 = Maxima::Join(v3, hn::LoadU(d, other + 3 * n));
      };
      for (int64_t k = 1; k < taps; ++k) join(from + k * step);
      if (rest > 0) join(behind + o);
      hn::StoreU(v0, d, output + o);
      hn::StoreU(v1, d, output + o + n);
      hn::StoreU(v2, d, output + o + 2 * n);
      hn::StoreU(v3, d, output + o + 3 * n);
    }
    for (; o < count; o += n) {
      const int64_t at = stride == 1 && count >= n ? std::min(o, count - n) : o;  // the last vector may begin in the one before it
      const float* from = columns + at * stride;
      auto best = Maxima::None();
      if (stride == 1) {
        for (int64_t k = 0; k < taps; ++k) best = Maxima::Join(best, hn::LoadU(d, from + k * step));
        if (rest > 0) best = Maxima::Join(best, hn::LoadU(d, behind + at));
      } else {  // lanes too many repeat the last output
        const hn::RebindToSigned<Maxima::D> di;
        const auto lane = hn::Min(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(std::min(n, count - o) - 1)));
        const auto starts = hn::Mul(lane, hn::Set(di, static_cast<int32_t>(stride)));
        for (int64_t k = 0; k < taps; ++k) best = Maxima::Join(best, hn::GatherIndex(d, from + k * step, starts));
      }
      store(at, best);
    }
  }
}

// How much behind a window's first column is read: its others and a vector, or a vector of strides.
int64_t ReadBehind(const shape::Axis& axis, int64_t lanes) {
  return (axis.kernel_size - 1) * axis.dilation + lanes * (axis.stride <= 4 ? axis.stride + 1 : 2);
}

// The outputs of a row that see no padding and whose reading ends within `columns` from the row's begin on.
shape::Range OutputsInPlace(const PoolShape& shape, int64_t columns, int64_t behind) {
  const shape::Axis& axis = shape.axes[2];
  const int64_t begin = std::min(shape::ceil_div(axis.pad_begin, axis.stride), shape.output[2]);
  const int64_t left = columns - (begin * axis.stride - axis.pad_begin) - behind;
  return {begin, begin + (left < 0 ? 0 : std::min(left / axis.stride, shape.output[2] - begin))};
}

// Windows of 3x3, which need no columns in between: of a row that lies in the caches 1.3 to 2 times as fast. The last one begins
// inside of the row, so that two vectors cover those that end behind it.
bool HasThreeByThree(const PoolShape& s) {
  const shape::Axis &d = s.axes[0], &h = s.axes[1], &w = s.axes[2];
  const bool one_plane = d.kernel_size == 1 && d.stride == 1 && d.pad_begin == 0 && s.output[0] == s.input[0];
  return one_plane && h.kernel_size == 3 && w.kernel_size == 3 && h.dilation == 1 && w.dilation == 1 && w.stride <= 2 &&
         w.pad_begin < 3 && shape::input_index(s.output[2] - 1, 0, w) < s.input[2] &&
         std::min(s.input[2], s.output[2]) >= static_cast<int64_t>(hn::Lanes(HalfMaxima::D()));
}

// The columns of a vector of outputs: kLoads vectors of them, and of each the lanes inside of the row.
template <int kStride>
struct ColumnsOfVector {
  static constexpr int kLoads = kStride == 1 ? 3 : 4;
  int64_t first;  // may lie left of the row
  bool whole = true;
  hn::Mask<HalfMaxima::D> inside[kLoads];

  HWY_ATTR ColumnsOfVector(int64_t column, int64_t width) : first(column) {
    const HalfMaxima::D d;
    const auto n = static_cast<int64_t>(hn::Lanes(d));
    for (int i = 0; i < kLoads; ++i) {
      const int64_t at = column + (kStride == 1 ? i : i % 2 * n + i / 2 * 2);
      const int64_t left = std::clamp<int64_t>(-at, 0, n), right = std::clamp<int64_t>(width - at, 0, n);
      whole = whole && left == 0 && right == n;
      inside[i] = hn::AndNot(hn::FirstN(d, static_cast<size_t>(left)), hn::FirstN(d, static_cast<size_t>(right)));
    }
  }
};

template <int kStride>
HWY_ATTR void ThreeByThreeRows(const PoolShape& shape, const float* input, float* output, int64_t begin, int64_t end) {
  using Columns = ColumnsOfVector<kStride>;
  const HalfMaxima::D d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const int64_t height = shape.input[1], width = shape.input[2], count = shape.output[2], pad = shape.axes[2].pad_begin;
  const Columns left(-pad, width), right((count - n) * kStride - pad, width);
  // The vectors whose columns are all inside, up to `until`; behind them at most one more that begins before the row's last.
  const int64_t from = left.whole ? 0 : n, whole = (width + pad - kStride * n - 2) / kStride + 1;
  const int64_t until = from + (std::max<int64_t>(std::min(whole, count - n + 1) - from, 0) + n - 1) / n * n;
  const Columns behind(until * kStride - pad, width);
  const Columns* end_columns[3];
  int64_t ends = 0;
  if (from > 0) end_columns[ends++] = &left;
  if (until < count - n) end_columns[ends++] = &behind;
  if (until < count) end_columns[ends++] = &right;
  const int64_t tail = std::min((count - 1) * kStride - pad + 3, width) - n;  // the last vector of columns
  RowCursor at(begin, shape.output);
  for (int64_t r = begin; r < end; ++r, at.next()) {
    const WindowAxis rows = window_axis(at.h, height, shape.axes[1]);
    if (rows.count == 0) {
      WindowByWindow(shape, input, output, r, 0, count);
      continue;
    }
    // Of fewer rows than three one counts twice.
    const float* const first = input + (at.plane * shape.input[0] + at.d) * height * width + rows.begin * width;
    const float *const second = first + (rows.count > 2 ? width : 0), *const last = first + (rows.count - 1) * width;
    auto s0 = hn::LoadU(d, first + tail), s1 = hn::LoadU(d, second + tail), s2 = hn::LoadU(d, last + tail);
    // The largest of three columns each. load(row's column, number of the vector). A NaN stays in the sums.
    const auto column = [&](int64_t k, int i, const auto& load) HWY_ATTR {
      const auto a = load(first + k, i), b = load(second + k, i), e = load(last + k, i);
      if (i < kStride) {  // the others are read a second time
        s0 = hn::Add(s0, a);
        s1 = hn::Add(s1, b);
        s2 = hn::Add(s2, e);
      }
      return HalfMaxima::Join(HalfMaxima::Join(a, b), e);
    };
    const auto windows = [&](int64_t c, const auto& load) HWY_ATTR {
      if constexpr (kStride == 1) {
        return HalfMaxima::Join(HalfMaxima::Join(column(c, 0, load), column(c + 1, 1, load)), column(c + 2, 2, load));
      } else {
        const auto low = column(c, 0, load), high = column(c + n, 1, load), low2 = column(c + 2, 2, load),
                   high2 = column(c + n + 2, 3, load);
        return HalfMaxima::Join(HalfMaxima::Join(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low)),
                                hn::ConcatEven(d, high2, low2));
      }
    };
    float* const to = output + r * count;
    for (int64_t o = from; o < until; o += n) {
      hn::StoreU(windows(o * kStride - pad, [d](const float* p, int) HWY_ATTR { return hn::LoadU(d, p); }), d, to + o);
    }
    for (int64_t e = 0; e < ends; ++e) {
      const Columns& columns = *end_columns[e];
      const auto load = [d, &columns](const float* p, int i) HWY_ATTR {
        return hn::IfThenElse(columns.inside[i], LoadMasked(columns.inside[i], d, p), HalfMaxima::None());
      };
      hn::StoreU(windows(columns.first, load), d, to + (columns.first + pad) / kStride);
    }
    if (!hn::AllFalse(d, hn::IsNaN(hn::Add(hn::Add(s0, s1), s2)))) WindowByWindow(shape, input, output, r, 0, count);
  }
}

// Rows are taken several at a time: first the columns of all, then along each, since a vector that reads what two vectors have just
// written waits for both to reach the cache. Rows whose windows do not overlap lie a stride behind each other, and are gone along
// as one. Windows of one row are read where they lie.
HWY_ATTR void MaxValueRows(const PoolShape& shape, const float* input, float* output, int64_t begin, int64_t end) {
  if (HasThreeByThree(shape)) {
    return shape.axes[2].stride == 1 ? ThreeByThreeRows<1>(shape, input, output, begin, end)
                                     : ThreeByThreeRows<2>(shape, input, output, begin, end);
  }
  const auto n = static_cast<int64_t>(hn::Lanes(Maxima::D()));
  HWY_ALIGN float columns[kColumns + 5 * HWY_MAX_BYTES / sizeof(float)];
  const shape::Axis& axis = shape.axes[2];
  const int64_t height = shape.input[1], width = shape.input[2], span = (axis.kernel_size - 1) * axis.dilation + 1;
  const int64_t most = std::min((kColumns - span) / axis.stride + 1, shape.output[2]);
  const bool as_one = span <= axis.stride && most == shape.output[2] && most * axis.stride <= kColumns;
  const int64_t pitch = as_one ? most * axis.stride : ((most - 1) * axis.stride + span + 3 * n) / n * n;
  const int64_t batch = std::clamp<int64_t>(kColumns / pitch, 1, kMostRows);
  const bool one_row = shape.axes[0].kernel_size == 1 && shape.axes[1].kernel_size == 1 && shape.axes[0].pad_begin == 0 &&
                       shape.axes[1].pad_begin == 0;
  // Where more rows follow, what is read behind one does no harm: those outputs are left out.
  const int64_t behind = ReadBehind(axis, n), total = shape.planes() * shape.input_positions();
  shape::Range within = OutputsInPlace(shape, width, behind), all = OutputsInPlace(shape, width + axis.stride, span);
  if (axis.stride <= 4) within.end = within.begin + (within.end - within.begin) / n * n;
  const auto window_of = [&](int64_t od, int64_t oh) {
    return Window{window_axis(od, shape.input[0], shape.axes[0]), window_axis(oh, height, shape.axes[1]), {}, height, width};
  };
  const RowsOfPlane known(shape.output, end - begin, window_of);
  const float* lines[kMostRows];
  for (int64_t row = begin; row < end; row += batch) {
    const int64_t rows = std::min(batch, end - row);
    const RowCursor bottom(row + rows - 1, shape.output);
    const int64_t last_row = bottom.plane * shape.input_positions() + known(bottom).first_index();
    const shape::Range in_place = !one_row ? shape::Range{} : last_row + width + behind <= total ? all : within;
    for (int64_t ow = 0, count; ow < shape.output[2]; ow += count) {
      const bool reads = ow >= in_place.begin && ow < in_place.end;
      const int64_t until = ow < in_place.begin ? in_place.begin : reads ? in_place.end : shape.output[2];
      count = std::min(most, until - ow);
      const int64_t first = ow * axis.stride - axis.pad_begin, last = first + (count - 1) * axis.stride + span;
      const int64_t from = std::clamp<int64_t>(first, 0, width), to = std::clamp<int64_t>(last, from, width);
      RowCursor at(row, shape.output);
      auto sum = hn::Zero(Maxima::D());
      for (int64_t r = 0; r < rows; ++r, at.next()) {
        float* const line = columns + r * pitch;
        const Window window = known(at);
        const float* source = input + at.plane * shape.input_positions() + from;
        lines[r] = reads ? source + window.first_index() : line;
        if (window.d.count == 0 || window.h.count == 0) {
          std::fill(line, line + (last - first), kLowest);
          continue;
        }
        if (reads) {
          AddColumns(lines[r], to - from, sum);
          continue;
        }
        LargestOfColumns(window, source, to - from, line + (from - first), sum);
        std::fill(line, line + (from - first), kLowest);
        std::fill(line + (to - first), line + (last - first), kLowest);
      }
      float* const results = output + row * shape.output[2] + ow;
      if (hn::AllFalse(Maxima::D(), hn::IsNaN(sum))) {
        const bool one = as_one && count == most && (!reads || lines[rows - 1] - lines[0] == (rows - 1) * pitch);
        Along(axis, {lines, columns, pitch, one ? 1 : rows, results, shape.output[2], one ? rows * count : count});
      } else {
        for (int64_t r = 0; r < rows; ++r) WindowByWindow(shape, input, output, row + r, ow, ow + count);
      }
    }
  }
}
#else
HWY_ATTR void MaxValueRows(const PoolShape& shape, const float* input, float* output, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) WindowByWindow(shape, input, output, row, 0, shape.output[2]);
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(MaxValueRows);

namespace {
constexpr int64_t kInputsPerTask = 16384;
}

bool max_pool_values_fits(const PoolShape& s) noexcept {
  const shape::Axis& axis = s.axes[2];
  return axis.kernel_size <= 512 && axis.dilation <= 512 && (axis.kernel_size - 1) * axis.dilation < 512 && axis.stride <= 512 &&
         axis.pad_begin <= 512;
}

void max_pool_values(const PoolShape& s, const float* input, float* output) noexcept {
  if (max_pool_small_planes(s, input, output, nullptr)) return;
  const int64_t rows = s.output[0] * s.output[1];
  const int64_t inputs = std::max<int64_t>(1, s.output[2] * s.axes[2].stride * s.axes[1].kernel_size);
  parallel_ranges(s.planes() * rows, std::max<int64_t>(1, kInputsPerTask / inputs), [&](int64_t begin, int64_t end) {
    CONVOY_DISPATCH(MaxValueRows)(s, input, output, begin, end);
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
