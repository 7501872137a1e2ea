// Few input channels per group: every plane is a small correlation, so memory sets the pace and arithmetic must not fall behind it.
//
// Lanes are output columns. A tile is kRows output rows of one vector's width: each input vector under it is loaded once per kernel
// column and feeds every row that it lies under, so a 3x3 kernel takes 3.9 unaligned loads a vector of output instead of 9. Rows
// are read where they lie: columns outside are masked away, rows outside left out. Where columns are strided, the rows under a tile
// are first sorted into their phases (column q, q + stride, ...), after which every tap reads neighbouring floats again. With
// dilation the rows of a tile are a dilation apart, so that they share input rows as before.
//
// Kernels of more than kMaxTapColumns columns, one or two output rows (sequences) and strides that share no rows run one row at a
// time, kWide vectors abreast.
//
// Planes of at most half a vector's width go two to a vector. Where a group has several input channels, two of its output planes
// take from each input vector; measured with 4 channels a group at 56 x 56: 0.16 ms, oneDNN 2.6 0.24, conv_direct 0.49. With 16 and
// more dense algorithms win.
//
// The input gradient of a stride 1 layer is the same with the kernel read backwards. That of a strided layer goes row by row and
// phase by phase and is the weak spot: 5 (112 x 112) to 34 times (14 x 14) oneDNN's time.
//
// This file is long because it holds the tiles, the rows and the phases of one algorithm, and GCC needs them in one unit.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_depthwise.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/conv/conv_depthwise-inl.h"
#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_JOB
#define CONVOY_KERNELS_CONV_DEPTHWISE_JOB
namespace convoy::kernels::depthwise {

constexpr int64_t kMaxStride = 16;  // of an input gradient
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// One call. The output planes of a group sum over the same c.sources input planes.
struct Job {
  Correlation c;
  const float* input;
  const float* weight;
  const float* bias;
  float* output;
  int64_t planes;                                       // output planes
  int64_t channels;                                     // of them in a sample
  int64_t group_channels;                               // and in a group
  int64_t weight_group, weight_channel, weight_source;  // steps of the weight from group to group, and so on
};

// The rows of one tile, and where their inputs are. Steps are in floats.
struct Tile {
  const float* in;  // column 0 of the input row under tap row 0 of output row 0
  int64_t source_step, slice_step, row_step;
  int64_t sources, slices;
  int64_t row_begin, row_end;  // the shared input rows that exist
  int64_t width;               // input columns outside [0, width) are zero
  const int64_t* offsets;      // from an output's column to its input under each tap column
  const float* weight;         // of the first slice's tap (0, 0)
  int64_t weight_source, weight_slice, weight_row, weight_column;
  float start;  // the bias
  float* out;
  const float* residual;
  int64_t out_step;
  int64_t rows, columns;  // of output
  bool clamp;
  float low, high;
  // From a plane to the one computed with it.
  int64_t pair_in, pair_weight, pair_out;
  float pair_start;
};

// Which vectors of a tile: inside the plane, at its border, or two narrow planes in the halves of one vector.
enum class Read { kInner, kEdge, kPair };

// Which rows under a tile may lie outside the plane: none; at most those that only its first or last rows see; any.
enum class Rows { kAll, kBorder, kAny };

// Planes that are computed two at a time: narrow ones in the halves of a vector, or two of a group from the same input vectors.
enum class Together { kNone, kNarrow, kOfGroup };

// The input gradient of a strided layer. Input position i takes from the taps k with (i + pad - k dilation) % stride == 0, so that
// positions a stride apart, a phase, take from the same ones. Along w the taps are sorted by phase: those of phase q, positions
// j stride + q, are columns[begin[q] .. begin[q + 1]) and read output j + first.
struct Phases {
  struct Column {
    int64_t tap, first;
  };
  Column columns[kMaxTapColumns];
  int64_t begin[kMaxStride + 1];

  explicit Phases(const shape::Axis& axis) {
    int64_t count = 0;
    for (int64_t q = 0; q < axis.stride; ++q) {
      begin[q] = count;
      for (int64_t k = 0; k < axis.kernel_size; ++k) {
        const int64_t at = q + axis.pad_begin - k * axis.dilation;
        if (at % axis.stride == 0) columns[count++] = {k, at / axis.stride};
      }
    }
    begin[axis.stride] = count;
  }
};

// The taps of one input position along an axis: tap, tap + tap_step, ... (count of them) read output, output - output_step, ...
struct TapsOf {
  int64_t tap = 0, output = 0, count = 0;

  TapsOf(int64_t i, int64_t outputs, const shape::Axis& axis, int64_t tap_step, int64_t output_step) {
    const int64_t at = i + axis.pad_begin;
    while (tap < std::min(tap_step, axis.kernel_size) && (at - tap * axis.dilation) % axis.stride != 0) ++tap;
    if (tap >= std::min(tap_step, axis.kernel_size)) return;
    output = (at - tap * axis.dilation) / axis.stride;
    // The taps whose outputs are in [0, outputs).
    const int64_t skipped = output < outputs ? 0 : (output - outputs) / output_step + 1;
    tap += skipped * tap_step;
    output -= skipped * output_step;
    if (output < 0 || tap >= axis.kernel_size) return;
    count = std::min(output / output_step, (axis.kernel_size - 1 - tap) / tap_step) + 1;
  }
};

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_JOB

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using depthwise::Job;
using depthwise::kChain;
using depthwise::kInfinity;
using depthwise::kMaxTapColumns;
using depthwise::kRows;
using depthwise::kWide;
using depthwise::Read;
using depthwise::Rows;
using depthwise::Tile;
using depthwise::Together;

// The sums of a tile's vector between blocks of taps.
struct TileSums {
  HWY_ALIGN float values[2 * kRows * depthwise::kLanes];
};

#if HWY_TARGET != HWY_SCALAR
using Half = hn::Half<D>;

HWY_INLINE hn::Mask<Half> InsideHalf(int64_t first, int64_t width) {
  const Half d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto below = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(-first, 0, lanes)));
  return hn::AndNot(below, hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(width - first, 0, lanes))));
}
#endif

// Reads rows at one tap column, whose column for lane 0 is `first`. kStep 2: every other column.
template <Read kRead, int kStep>
struct RowReader {
  Mask low, high;

  HWY_INLINE RowReader(const Tile& t, int64_t first) {
    if constexpr (kRead == Read::kInner) return;
    low = InsideLanes(first, t.width);
    if constexpr (kRead == Read::kEdge && kStep == 2) high = InsideLanes(first + static_cast<int64_t>(hn::Lanes(D())), t.width);
  }
  HWY_INLINE V operator()(const Tile& t, const float* row) const {
    const D d;
    V x;
#if HWY_TARGET != HWY_SCALAR
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    if constexpr (kRead == Read::kPair) {
      x = hn::ConcatEven(d, LoadInside(low, row + t.pair_in), LoadInside(low, row));
    } else if constexpr (kStep == 2 && kRead == Read::kInner) {
      x = hn::ConcatEven(d, hn::LoadU(d, row + lanes), hn::LoadU(d, row));
    } else if constexpr (kStep == 2) {
      x = hn::ConcatEven(d, LoadInside(high, row + lanes), LoadInside(low, row));
    } else
#endif
      x = kRead == Read::kInner ? hn::LoadU(d, row) : LoadInside(low, row);
    KeepInRegister(x);
    return x;
  }
};

#if HWY_TARGET != HWY_SCALAR
template <>
struct RowReader<Read::kPair, 1> {
  hn::Mask<Half> mask;

  HWY_INLINE RowReader(const Tile& t, int64_t first) : mask(InsideHalf(first, t.width)) {}
  HWY_INLINE V operator()(const Tile& t, const float* row) const {
    V x = hn::Combine(D(), hn::MaskedLoad(mask, Half(), row + t.pair_in), hn::MaskedLoad(mask, Half(), row));
    KeepInRegister(x);
    return x;
  }
};
#endif

// A value of the tile's plane in all lanes, or of both planes of a pair in their halves.
template <Read kRead>
HWY_INLINE V SetPlanes(float value, float pair_value) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kRead == Read::kPair) return hn::Combine(D(), hn::Set(Half(), pair_value), hn::Set(Half(), value));
#endif
  return hn::Set(D(), value);
}

HWY_INLINE V Clamped(const Tile& t, V v) {  // a NaN fails both comparisons and stays
  const D d;
  const V low = hn::Set(d, t.low), high = hn::Set(d, t.high);
  v = hn::IfThenElse(hn::Lt(v, low), low, v);
  return hn::IfThenElse(hn::Gt(v, high), high, v);
}

// The lanes of a vector at column w that are in the plane.
template <Read kRead>
struct RowWriter {
  Mask mask;

  HWY_INLINE RowWriter(const Tile& t, int64_t w) {
    if constexpr (kRead == Read::kEdge) mask = hn::FirstN(D(), static_cast<size_t>(t.columns - w));
  }
  HWY_INLINE void operator()(const Tile& t, int64_t at, V sum) const;
};

template <Read kRead>
HWY_INLINE void RowWriter<kRead>::operator()(const Tile& t, int64_t at, V sum) const {
  const D d;
  if constexpr (kRead == Read::kInner) {
    if (t.residual != nullptr) sum = hn::Add(sum, hn::LoadU(d, t.residual + at));
    if (t.clamp) sum = Clamped(t, sum);
    hn::StoreU(sum, d, t.out + at);
  } else if constexpr (kRead == Read::kEdge) {
    if (t.residual != nullptr) sum = hn::Add(sum, LoadInside(mask, t.residual + at));
    if (t.clamp) sum = Clamped(t, sum);
    hn::BlendedStore(sum, mask, d, t.out + at);
#if HWY_TARGET != HWY_SCALAR
  } else {
    const Half half;
    const auto mask = hn::FirstN(half, static_cast<size_t>(t.columns));
    if (t.residual != nullptr) {
      sum = hn::Add(sum, hn::Combine(d, hn::MaskedLoad(mask, half, t.residual + at + t.pair_out),
                                     hn::MaskedLoad(mask, half, t.residual + at)));
    }
    if (t.clamp) sum = Clamped(t, sum);
    hn::BlendedStore(hn::LowerHalf(half, sum), mask, half, t.out + at);
    auto upper = hn::UpperHalf(half, sum);
    KeepInRegister(upper);  // GCC 12 would merge extraction and store into an instruction that faults on lanes it does not store
    hn::BlendedStore(upper, mask, half, t.out + at + t.pair_out);
#endif
  }
}

// Adds kTaps rows of one kernel column to all rows of the tile; k: their weights, row: the first input row at the column.
template <int kTaps, int kStep, Read kRead, Rows kInside, int kPlanes>
HWY_INLINE void AddTapColumn(const Tile& t, const float* row, int64_t row_begin, int64_t row_end, const V (&k)[kPlanes * kTaps],
                             const RowReader<kRead, kStep>& read, V (&sums)[kPlanes * kRows]) {
  Unroll<(kRows - 1) * kStep + kTaps>([&](auto r) CONVOY_UNROLLED {
    constexpr bool kMayBegin = kInside == Rows::kAny || (kInside == Rows::kBorder && r < kTaps - 1);
    constexpr bool kMayEnd = kInside == Rows::kAny || (kInside == Rows::kBorder && r > (kRows - 1) * kStep);
    if ((!kMayBegin || r >= row_begin) && (!kMayEnd || r < row_end)) {
      const V x = read(t, row);
      Unroll<kTaps>([&](auto i) CONVOY_UNROLLED {
        constexpr int kDown = r - i, kRow = kDown / kStep;
        if constexpr (kDown >= 0 && kDown % kStep == 0 && kRow < kRows) {
          sums[kRow] = hn::MulAdd(k[i], x, sums[kRow]);
          if constexpr (kPlanes == 2) sums[kRows + kRow] = hn::MulAdd(k[kTaps + i], x, sums[kRows + kRow]);
        }
      });
    }
    row += t.row_step;
  });
}

// Adds kTaps rows of a kernel slice over some sources at columns [w, w + lanes); `in` and `weight` are at the first of them. Two
// planes of a group may take from each input vector. Not inlined: GCC 12 keeps all sums in registers only if it sees nothing else.
template <int kTaps, int kStep, Read kRead, Rows kInside, int kPlanes>
HWY_NOINLINE void AddTapRows(const Tile& tile, int64_t sources, const float* in, int64_t kh, const float* weight,
                             int64_t tap_columns, int64_t w, TileSums& between) {
  const D d;
  const Tile t = tile;
  constexpr int kSums = kPlanes * kRows;
  V sums[kSums];
  Unroll<kSums>([&](auto i) CONVOY_UNROLLED { sums[i] = hn::Load(d, between.values + i * depthwise::kLanes); });
  for (int64_t source = 0; source < sources; ++source) {
    for (int64_t kw = 0; kw < tap_columns; ++kw) {
      const RowReader<kRead, kStep> read(t, w * kStep + t.offsets[kw]);
      const float* column = weight + kw * t.weight_column;
      V k[kPlanes * kTaps];
      Unroll<kTaps>([&](auto i) CONVOY_UNROLLED {
        const float* at = column + i * t.weight_row;
        k[i] = SetPlanes<kRead>(*at, at[kRead == Read::kPair ? t.pair_weight : 0]);
        if constexpr (kPlanes == 2) k[kTaps + i] = hn::Set(d, at[t.pair_weight]);
      });
      AddTapColumn<kTaps, kStep, kRead, kInside, kPlanes>(t, in + t.offsets[kw], t.row_begin - kh, t.row_end - kh, k, read, sums);
    }
    in += t.source_step;
    weight += t.weight_source;
  }
  Unroll<kSums>([&](auto i) CONVOY_UNROLLED { hn::Store(sums[i], d, between.values + i * depthwise::kLanes); });
}

// Columns [w, w + lanes) of a tile.
template <int kStep, Read kRead, Rows kInside, int kPlanes>
HWY_NOINLINE void TileVector(const Correlation& c, const Tile& t, int64_t w) {
  const D d;
  constexpr int kSums = kPlanes * kRows;
  const int64_t height = c.kernel[1], width = c.kernel[2], taps = t.slices * height * width;
  const bool cut = t.sources * taps > kChain;
  const int64_t together = cut ? std::clamp<int64_t>(kChain / std::max<int64_t>(taps, 1), 1, t.sources) : t.sources;
  TileSums sums, earlier;
  for (int i = 0; i < kSums; ++i) {
    hn::Store(i < kRows ? SetPlanes<kRead>(t.start, t.pair_start) : hn::Set(d, t.pair_start), d,
              sums.values + i * depthwise::kLanes);
    if (cut) hn::Store(hn::Zero(d), d, earlier.values + i * depthwise::kLanes);
  }
  for (int64_t source = 0; source < t.sources; source += together) {
    const int64_t sources = std::min(together, t.sources - source);
    int64_t chain = 0;
    const auto put_away = [&]() HWY_ATTR {
      chain = 0;
      for (int i = 0; i < kSums; ++i) {
        float* const at = earlier.values + i * depthwise::kLanes;
        hn::Store(hn::Add(hn::Load(d, at), hn::Load(d, sums.values + i * depthwise::kLanes)), d, at);
        hn::Store(hn::Zero(d), d, sums.values + i * depthwise::kLanes);
      }
    };
    for (int64_t slice = 0; slice < t.slices; ++slice) {
      const float* in = t.in + source * t.source_step + slice * t.slice_step + w * kStep;
      const float* weight = t.weight + source * t.weight_source + slice * t.weight_slice;
      for (int64_t kh = 0; kh < height;) {
        const auto add = [&](auto rows) HWY_ATTR {
          if (cut && chain + sources * rows() * width > kChain) put_away();
          chain += sources * rows() * width;
          AddTapRows<rows(), kStep, kRead, kInside, kPlanes>(t, sources, in + kh * t.row_step, kh, weight + kh * t.weight_row,
                                                             width, w, sums);
          kh += rows();
        };
        const int64_t left = height - kh;
        if (left == 3 || left == 6 || left == 4 || kPlanes == 2) {
          add(std::integral_constant<int, 3>());
        } else if constexpr (kPlanes == 1) {
          if (left == 5 || left == 8 || left == 10) {
            add(std::integral_constant<int, 5>());
          } else if (left >= 7) {
            add(std::integral_constant<int, 7>());
          } else {
            add(std::integral_constant<int, 1>());
          }
        }
      }
    }
    if (cut) put_away();
  }
  const RowWriter<kRead> write(t, w);
  for (int64_t i = 0; i < t.rows; ++i) {
    for (int64_t plane = 0; plane < kPlanes; ++plane) {
      const float* at = (cut ? earlier : sums).values + (plane * kRows + i) * depthwise::kLanes;
      write(t, plane * t.pair_out + i * t.out_step + w, hn::Load(d, at));
    }
  }
}

// Vectors of columns [begin, end) of a tile with one 3x3 kernel, which fits the registers.
template <int kStep, Read kRead, Rows kInside>
HWY_NOINLINE void Vectors3x3(const Tile& tile, int64_t begin, int64_t end) {
  const Tile t = tile;
  V k[3][3];
  Unroll<9>([&](auto i) CONVOY_UNROLLED {
    const float* weight = t.weight + i / 3 * t.weight_row + i % 3 * t.weight_column;
    k[i % 3][i / 3] = SetPlanes<kRead>(*weight, weight[kRead == Read::kPair ? t.pair_weight : 0]);
  });
  for (int64_t w = begin; w < end; w += static_cast<int64_t>(hn::Lanes(D()))) {
    V sums[kRows];
    Unroll<kRows>([&](auto i) CONVOY_UNROLLED { sums[i] = SetPlanes<kRead>(t.start, t.pair_start); });
    Unroll<3>([&](auto kw) CONVOY_UNROLLED {
      const RowReader<kRead, kStep> read(t, w * kStep + t.offsets[kw]);
      AddTapColumn<3, kStep, kRead, kInside, 1>(t, t.in + w * kStep + t.offsets[kw], t.row_begin, t.row_end, k[kw], read, sums);
    });
    const RowWriter<kRead> write(t, w);
    Unroll<kRows>([&](auto i) CONVOY_UNROLLED {
      if (kInside != Rows::kAny || i < t.rows) write(t, i * t.out_step + w, sums[i]);
    });
  }
}

template <int kStep, Read kRead, Rows kInside>
HWY_INLINE void RunVectors(const Correlation& c, const Tile& t, Together together, int64_t begin, int64_t end) {
  if (begin >= end) return;
  if (HWY_TARGET == HWY_AVX3 && c.kernel[1] == 3 && c.kernel[2] == 3 && t.sources * t.slices == 1) {
    Vectors3x3<kStep, kRead, kInside>(t, begin, end);
    return;
  }
  for (int64_t w = begin; w < end; w += static_cast<int64_t>(hn::Lanes(D()))) {
    if (kRead != Read::kPair && together == Together::kOfGroup) {
      TileVector<kStep, kRead == Read::kPair ? Read::kEdge : kRead, kInside, 2>(c, t, w);
    } else {
      TileVector<kStep, kRead, kInside, 1>(c, t, w);
    }
  }
}

template <int kStep, Rows kInside>
HWY_INLINE void RunEdges(const Correlation& c, const Tile& t, Together together, int64_t begin, int64_t end) {
#if HWY_TARGET != HWY_SCALAR
  if (together == Together::kNarrow) return RunVectors<kStep, Read::kPair, kInside>(c, t, together, begin, end);
#endif
  RunVectors<kStep, Read::kEdge, kInside>(c, t, together, begin, end);
}

template <int kStep>
HWY_INLINE void RunTile(const Correlation& c, const Tile& t, Together together) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  constexpr int64_t kLast = (kRows - 1) * kStep;  // the first input row under the last output row
  const bool border = t.rows == kRows && c.kernel[1] % 2 == 1 && c.kernel[1] <= 7 && t.row_begin < c.kernel[1] && t.row_end > kLast;
  if (!border) return RunEdges<kStep, Rows::kAny>(c, t, together, 0, t.columns);
  // Vectors that touch neither border.
  int64_t begin = 0, end = 0;
  if (together != Together::kNarrow && t.row_begin == 0 && t.row_end == kLast + c.kernel[1]) {
    const int64_t pad = c.sorted() ? 0 : c.pad[2], reach = c.sorted() ? 0 : (c.kernel[2] - 1) * c.dilation[2] - pad;
    if (pad > 0) begin = (pad + kStep * lanes - 1) / (kStep * lanes) * lanes;
    end = std::max(begin, std::min(t.columns, (t.width - reach) / kStep) & -lanes);
    if (end > t.columns) begin = end = 0;
  }
  RunEdges<kStep, Rows::kBorder>(c, t, together, 0, begin);
  RunVectors<kStep, Read::kInner, Rows::kAll>(c, t, together, begin, end);
  RunEdges<kStep, Rows::kBorder>(c, t, together, end, t.columns);
}

// kVectors vectors of a single row.
template <int kVectors, bool kEdge>
HWY_NOINLINE void RowVectors(const Correlation& c, const Tile& t, int64_t w) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kVectors], cut_sums[kVectors];
  Unroll<kVectors>([&](auto i) CONVOY_UNROLLED {
    sums[i] = hn::Set(d, t.start);
    cut_sums[i] = hn::Zero(d);
  });
  const int64_t phase_floats = c.phase_floats(), phases = c.sorted() ? c.step[2] : 1;
  const int64_t phase_of_tap = c.dilation[2] % phases, columns_of_tap = c.dilation[2] / phases;
  int64_t chain = 0;
  for (int64_t source = 0; source < t.sources; ++source) {
    for (int64_t slice = 0; slice < t.slices; ++slice) {
      for (int64_t kh = std::max<int64_t>(t.row_begin, 0); kh < std::min(t.row_end, c.kernel[1]); ++kh) {
        const float* in = t.in + source * t.source_step + slice * t.slice_step + kh * t.row_step;
        const float* weight = t.weight + source * t.weight_source + slice * t.weight_slice + kh * t.weight_row;
        int64_t phase = 0, column = c.sorted() ? w : w - c.pad[2];
        for (int64_t kw = 0; kw < c.kernel[2]; ++kw) {
          const V k = hn::Set(d, *weight);
          const float* from = in + phase * phase_floats + column;
          Unroll<kVectors>([&](auto i) CONVOY_UNROLLED {
            const V x =
                kEdge ? LoadInside(InsideLanes(column + i * lanes, t.width), from + i * lanes) : hn::LoadU(d, from + i * lanes);
            sums[i] = hn::MulAdd(k, x, sums[i]);
          });
          weight += t.weight_column;
          phase += phase_of_tap;
          column += columns_of_tap;
          if (phase >= phases) {
            phase -= phases;
            ++column;
          }
          if (++chain == kChain) {
            chain = 0;
            Unroll<kVectors>([&](auto i) CONVOY_UNROLLED {
              cut_sums[i] = hn::Add(cut_sums[i], sums[i]);
              sums[i] = hn::Zero(d);
            });
          }
        }
      }
    }
  }
  const RowWriter<kEdge ? Read::kEdge : Read::kInner> write(t, w);
  Unroll<kVectors>([&](auto i) CONVOY_UNROLLED { write(t, w + i * lanes, hn::Add(cut_sums[i], sums[i])); });
}

HWY_INLINE void RunRow(const Correlation& c, const Tile& t) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  const int64_t first = c.sorted() ? 0 : c.pad[2], reach = c.sorted() ? 0 : (c.kernel[2] - 1) * c.dilation[2] - c.pad[2];
  for (int64_t w = 0; w < t.columns;) {
    if (w >= first && w + kWide * lanes <= t.columns && w + kWide * lanes + reach <= t.width) {
      RowVectors<kWide, false>(c, t, w);
      w += kWide * lanes;
    } else {
      RowVectors<1, true>(c, t, w);
      w += lanes;
    }
  }
}

// ceil(a / b) of a b that is nearly always 1.
HWY_INLINE int64_t CeilDiv(int64_t a, int64_t b) { return b == 1 ? a : shape::ceil_div(a, b); }

// Tiles [begin, end) of all planes, or of all pairs of planes, counted through.
HWY_ATTR void RunTiles(const Job& job, const SplitEpilogue& epilogue, Together together, int64_t begin, int64_t end,
                       float* scratch) {
  const Correlation& c = job.c;
  const int64_t class_tiles = c.class_tiles(), spacing = c.row_spacing(), tile_rows = c.tile_rows(), taps = c.taps();
  const int64_t height = c.input[1], width = c.input[2], sign = c.flipped ? -1 : 1, in_positions = c.input_positions(),
                out_positions = c.output_positions();
  const int64_t row_step = c.tiled() ? c.step[1] : 1, in_spacing = c.tiled() ? spacing : c.dilation[1];
  const bool tiled = c.tiled(), sorted = c.sorted(), pair = together != Together::kNone;
  const int64_t row_floats = c.sorted_row_floats(), slice_floats = c.sorted_rows() * row_floats;
  if (sorted) std::fill(scratch, scratch + c.scratch_floats(), 0.0f);
  int64_t offsets[kMaxTapColumns];
  for (int64_t kw = 0; kw < std::min(c.kernel[2], kMaxTapColumns); ++kw) {
    const int64_t column = kw * c.dilation[2];
    offsets[kw] = sorted ? column % c.step[2] * c.phase_floats() + column / c.step[2] : column - c.pad[2];
  }
  const RowSorter sorter(c);
  Tile t;
  t.offsets = offsets;
  t.sources = c.sources;
  t.columns = c.output[2];
  t.source_step = sorted ? c.kernel[0] * slice_floats : in_positions;
  t.weight_source = job.weight_source;
  t.weight_slice = sign * c.kernel[1] * c.kernel[2];
  t.weight_row = sign * c.kernel[2];
  t.weight_column = sign;
  t.out_step = spacing * c.output[2];
  t.width = sorted ? int64_t{1} << 40 : width;
  t.row_step = sorted ? row_floats : in_spacing * width;
  t.slice_step = sorted ? slice_floats : c.dilation[0] * height * width;
  t.clamp = epilogue.low > -kInfinity || epilogue.high < kInfinity;
  t.low = epilogue.low;
  t.high = epilogue.high;
  const auto input_of = [&](int64_t plane) { return plane / job.group_channels * c.sources * in_positions; };
  const auto weight_of = [&](int64_t plane) {
    const int64_t channel = plane % job.channels;
    return channel / job.group_channels * job.weight_group + channel % job.group_channels * job.weight_channel;
  };
  const auto bias_of = [&](int64_t plane) { return job.bias != nullptr ? job.bias[plane % job.channels] : 0.0f; };

  int64_t group = begin / c.plane_tiles(), tile = begin % class_tiles, row_class = begin / class_tiles % spacing,
          od = begin / class_tiles / spacing % c.output[0];
  for (int64_t i = begin; i < end;) {
    const int64_t plane = pair ? 2 * group : group, other = std::min(plane + 1, job.planes - 1);
    const float* const input = job.input + input_of(plane);
    const float* const weight = job.weight + weight_of(plane) + (c.flipped ? taps - 1 : 0);
    t.start = bias_of(plane);
    if (pair) {
      t.pair_in = input_of(other) - input_of(plane);
      t.pair_weight = weight_of(other) - weight_of(plane);
      t.pair_out = (other - plane) * out_positions;
      t.pair_start = bias_of(other);
    }
    for (; od < c.output[0] && i < end; ++od) {
      const int64_t id = od * c.step[0] - c.pad[0];
      const int64_t slice = std::clamp<int64_t>(CeilDiv(-id, c.dilation[0]), 0, c.kernel[0]);
      t.slices = std::clamp<int64_t>(CeilDiv(c.input[0] - id, c.dilation[0]), slice, c.kernel[0]) - slice;
      t.weight = weight + slice * t.weight_slice;
      for (; row_class < spacing && i < end; ++row_class) {
        for (; tile < class_tiles && i < end; ++tile, ++i) {
          const int64_t oh = row_class + tile * tile_rows * spacing, ih = oh * c.step[1] - c.pad[1];
          if (oh >= c.output[1]) continue;
          t.rows = std::min(tile_rows, CeilDiv(c.output[1] - oh, spacing));
          const int64_t out_at = plane * out_positions + (od * c.output[1] + oh) * c.output[2];
          t.out = job.output + out_at;
          t.residual = epilogue.residual != nullptr ? epilogue.residual + out_at : nullptr;
          t.row_begin = std::max<int64_t>(CeilDiv(-ih, in_spacing), 0);
          t.row_end = std::min(CeilDiv(height - ih, in_spacing), (t.rows - 1) * row_step + c.kernel[1]);
          t.in = input + ((id + slice * c.dilation[0]) * height + ih) * width;
          if (sorted) {
            for (int64_t source = 0; source < t.sources; ++source) {
              for (int64_t z = 0; z < t.slices; ++z) {
                const float* from = t.in + source * in_positions + z * c.dilation[0] * height * width;
                float* to = scratch + source * t.source_step + z * slice_floats;
                for (int64_t r = t.row_begin; r < t.row_end; ++r) sorter.Sort(from + r * in_spacing * width, to + r * row_floats);
              }
            }
            t.in = scratch;
          }
          if (!tiled) {
            RunRow(c, t);
          } else if (row_step == 1) {
            RunTile<1>(c, t, together);
          } else {
            RunTile<2>(c, t, together);
          }
          if (!epilogue.later) continue;
          for (int64_t r = 0; r < t.rows; ++r) {
            epilogue.finish(t.out + r * t.out_step, t.columns);
            if (pair && other != plane) epilogue.finish(t.out + r * t.out_step + t.pair_out, t.columns);
          }
        }
        tile = 0;
      }
      row_class = 0;
    }
    od = 0;
    ++group;
  }
}

// Lanes of columns [j, j + lanes) of one phase of a row of the input gradient.
template <bool kEdge>
HWY_INLINE V PhaseVector(const ConvShape& s, const ConvGradInput<float>& io, const depthwise::Phases& phases, int64_t q,
                         const depthwise::TapsOf& d_taps, const depthwise::TapsOf& h_taps, const shape::Spatial& tap_step,
                         const shape::Spatial& output_step, int64_t plane, int64_t j) {
  const D d;
  const int64_t sources = s.out_channels_per_group(), group_channels = s.in_channels_per_group(), width = s.output[2];
  const int64_t channel = plane % s.in_channels;
  V sum = hn::Set(d, io.bias != nullptr ? io.bias[channel] : 0.0f), cut = hn::Zero(d);
  int64_t chain = 0;
  for (int64_t m = 0; m < sources; ++m) {
    const int64_t pair = (channel / group_channels * sources + m) * group_channels + channel % group_channels;
    for (int64_t z = 0; z < d_taps.count; ++z) {
      const int64_t slice = (plane / group_channels * sources + m) * s.output[0] + d_taps.output - z * output_step[0];
      const float* weights =
          io.weight + (pair * s.axes[0].kernel_size + d_taps.tap + z * tap_step[0]) * s.axes[1].kernel_size * s.axes[2].kernel_size;
      for (int64_t y = 0; y < h_taps.count; ++y) {
        const float* row = io.grad_output + (slice * s.output[1] + h_taps.output - y * output_step[1]) * width;
        const float* weight = weights + (h_taps.tap + y * tap_step[1]) * s.axes[2].kernel_size;
        for (int64_t i = phases.begin[q]; i < phases.begin[q + 1]; ++i) {
          const auto [tap, first] = phases.columns[i];
          const V x = kEdge ? LoadInside(InsideLanes(j + first, width), row + j + first) : hn::LoadU(d, row + j + first);
          sum = hn::MulAdd(hn::Set(d, weight[tap]), x, sum);
        }
        chain += kMaxTapColumns;
        if (chain >= kChain) {
          chain = 0;
          cut = hn::Add(cut, sum);
          sum = hn::Zero(d);
        }
      }
    }
  }
  return hn::Add(cut, sum);
}

// Rows [begin, end) of the input gradient of a strided layer, counted through all planes.
HWY_ATTR void RunPhases(const ConvShape& s, const ConvGradInput<float>& io, const SplitEpilogue& epilogue, int64_t begin,
                        int64_t end) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const depthwise::Phases phases(s.axes[2]);
  shape::Spatial tap_step, output_step;
  for (int a = 0; a < 3; ++a) {
    const int64_t common = std::gcd(s.axes[a].stride, s.axes[a].dilation);
    tap_step[a] = s.axes[a].stride / common;
    output_step[a] = s.axes[a].dilation / common;
  }
  const int64_t stride = s.axes[2].stride, width = s.input[2];
  int64_t low = 0, high = s.output[2];  // vectors that begin at j in [low, high - lanes] read inside the rows
  for (int64_t i = 0; i < phases.begin[stride]; ++i) {
    low = std::max(low, -phases.columns[i].first);
    high = std::min(high, s.output[2] - phases.columns[i].first);
  }
  for (int64_t row = begin; row < end; ++row) {
    const int64_t ih = row % s.input[1], id = row / s.input[1] % s.input[0], plane = row / s.input[1] / s.input[0];
    const depthwise::TapsOf d_taps(id, s.output[0], s.axes[0], tap_step[0], output_step[0]);
    const depthwise::TapsOf h_taps(ih, s.output[1], s.axes[1], tap_step[1], output_step[1]);
    float* out = io.grad_input + row * width;
    for (int64_t j = 0; j * stride < width; j += lanes) {
      const bool inner = j >= low && j + lanes <= high;
      const auto phase = [&](int64_t q) HWY_ATTR {
        return inner ? PhaseVector<false>(s, io, phases, q, d_taps, h_taps, tap_step, output_step, plane, j)
                     : PhaseVector<true>(s, io, phases, q, d_taps, h_taps, tap_step, output_step, plane, j);
      };
      const int64_t left = width - j * stride;
      if (stride == 1) {
        const V v = phase(0);
        if (left >= lanes) {
          hn::StoreU(v, d, out + j);
        } else {
          hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(left)), d, out + j);
        }
      } else if (stride == 2 && left >= 2 * lanes) {
        hn::StoreInterleaved2(phase(0), phase(1), d, out + 2 * j);
      } else if (stride == 2) {
        HWY_ALIGN float values[2 * depthwise::kLanes];
        hn::StoreInterleaved2(phase(0), phase(1), d, values);
        std::copy(values, values + left, out + 2 * j);
      } else {
        HWY_ALIGN float values[depthwise::kLanes];
        for (int64_t q = 0; q < stride; ++q) {
          hn::Store(phase(q), d, values);
          for (int64_t i = 0; i < lanes && i * stride + q < left; ++i) out[(j + i) * stride + q] = values[i];
        }
      }
    }
    epilogue.apply(out, width, row * width);
  }
}

size_t FloatLanes() { return hn::Lanes(D()); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(RunTiles);
HWY_EXPORT(RunPhases);
HWY_EXPORT(FloatLanes);

namespace {

using depthwise::Correlation;
using depthwise::Job;
using depthwise::Together;

// Multiply-adds of a task: some microseconds.
constexpr double kTaskWork = 400e3;

// Divides `count` units of `work` multiply-adds each into tasks. No bit depends on where they are cut.
template <class Body>
void share(int64_t count, double work, Body&& body) {
  if (count == 0) return;  // an empty batch
  const auto tasks = static_cast<int64_t>(std::clamp(static_cast<double>(count) * work / kTaskWork, 1.0, 8.0 * num_threads()));
  const int64_t grain = (count + tasks - 1) / tasks;
  parallel_for((count + grain - 1) / grain,
               [&](int64_t task, int thread) { body(task * grain, std::min(count, (task + 1) * grain), thread); });
}

void run(const Job& job, const Epilogue<float>& epilogue_of_call, Workspace& workspace) {
  const SplitEpilogue epilogue(epilogue_of_call);
  const int64_t scratch_floats = job.c.scratch_floats();
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const Correlation& c = job.c;
  Together together = Together::kNone;
  if (c.tiled() && c.step[2] == c.step[1] && 2 * c.output[2] <= static_cast<int64_t>(HWY_DYNAMIC_DISPATCH(FloatLanes)())) {
    together = Together::kNarrow;
  } else if (c.tiled() && c.sources > 1 && c.kernel[1] == 3 && job.group_channels % 2 == 0) {
    together = Together::kOfGroup;
  }
  const bool pair = together != Together::kNone;
  const double work =
      static_cast<double>(c.tile_rows() * (c.output[2] + 15) / 16 * 16) * static_cast<double>(c.sources * c.taps() + 8);
  share((pair ? (job.planes + 1) / 2 : job.planes) * c.plane_tiles(), work, [&](int64_t begin, int64_t end, int thread) {
    HWY_DYNAMIC_DISPATCH(RunTiles)(job, epilogue, together, begin, end, scratch + thread * scratch_floats);
  });
}

bool strided(const ConvShape& s) { return s.axes[0].stride * s.axes[1].stride * s.axes[2].stride > 1; }

// Depthwise layers, or those with more channels in a group.
template <bool kGrouped>
const char* refuse(const ConvShape& s) {
  if (!kGrouped && s.in_channels_per_group() != 1) return "needs one input channel per group";
  if (kGrouped && s.in_channels_per_group() == 1) return "needs more than one input channel per group";
  if (kGrouped && std::max(s.in_channels_per_group(), s.out_channels_per_group()) > 64) return "needs few channels per group";
  if (s.output_positions() == 0 || s.input_positions() == 0) return "nothing to compute";
  return depthwise::reaches_too_far(s) ? "the kernel reaches too far" : nullptr;
}

template <bool kGrouped>
const char* refuse_forward(const ConvShape& s) {
  if (const char* reason = refuse<kGrouped>(s)) return reason;
  return depthwise::sorted_rows_fit(depthwise::forward(s)) ? nullptr : "the rows under one kernel do not fit the cache";
}

template <bool kGrouped>
const char* refuse_grad_input(const ConvShape& s) {
  if (const char* reason = refuse<kGrouped>(s)) return reason;
  if (strided(s) && s.axes[2].kernel_size > depthwise::kMaxTapColumns) return "needs stride 1 or at most 64 kernel columns";
  for (const shape::Axis& axis : s.axes) {
    if (axis.stride > depthwise::kMaxStride) return "needs strides of at most 16";
  }
  return nullptr;
}

// Vectors of output with their taps, which cost more to read where columns are strided and half as much where two planes share a
// vector, and a tile's arrangements. Fitted to measured times of the layers of MobileNetV2, EfficientNet and ResNeXt.
double tile_seconds(const Correlation& c, int64_t planes, const Machine& m) {
  const double vectors = static_cast<double>(planes * c.output[0] * c.output[1]) * static_cast<double>((c.output[2] + 15) / 16);
  const bool narrow = c.output[2] <= 8;
  const double tap = !c.tiled() ? 0.9e-9 : c.step[2] == 1 ? (narrow ? 0.38e-9 : 0.45e-9) : (narrow ? 0.66e-9 : 1.7e-9);
  return 1e-6 + vectors * (static_cast<double>(c.sources * c.taps()) * tap + 1.5e-9) * 96e9 / m.flops_per_second +
         static_cast<double>(planes * c.plane_tiles()) * 20e-9;
}

double forward_seconds(const ConvShape& s, const Machine& m) {
  return tile_seconds(depthwise::forward(s), s.batch * s.out_channels, m);
}

double grad_input_seconds(const ConvShape& s, const Machine& m) {
  if (!strided(s)) return tile_seconds(depthwise::grad_input(s), s.batch * s.in_channels, m);
  const double vectors =
      static_cast<double>(s.batch * s.in_channels * s.input[0] * s.input[1]) * static_cast<double>((s.input[2] + 15) / 16);
  const double multiply_adds =
      static_cast<double>(s.output_count()) * static_cast<double>(s.in_channels_per_group()) * static_cast<double>(s.taps());
  // Nothing is shared between the planes of a group here, which dense algorithms do: measured 2.4 ms against 0.44 of conv_direct
  // for 256 channels in 32 groups at 56 x 56. With one channel there is nothing to share.
  const double multiply_add = s.in_channels_per_group() == 1 ? 1.2e-9 : 4.5e-9;
  const double store = s.axes[2].stride <= 2 ? 4e-9 : 30e-9;
  return 1e-6 + vectors * store + multiply_adds * multiply_add / 16 * 96e9 / m.flops_per_second;
}

size_t forward_workspace_bytes(const ConvShape& s, int threads) {
  return padded_bytes(static_cast<size_t>(depthwise::forward(s).scratch_floats() * threads) * sizeof(float));
}

void forward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  const int64_t icg = s.in_channels_per_group(), ocg = s.out_channels_per_group(), taps = s.taps();
  run({.c = depthwise::forward(s),
       .input = io.input,
       .weight = io.weight,
       .bias = io.bias,
       .output = io.output,
       .planes = s.batch * s.out_channels,
       .channels = s.out_channels,
       .group_channels = ocg,
       .weight_group = ocg * icg * taps,
       .weight_channel = icg * taps,
       .weight_source = taps},
      io.epilogue, workspace);
}

void grad_input(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  const int64_t icg = s.in_channels_per_group(), ocg = s.out_channels_per_group(), taps = s.taps();
  if (!strided(s)) {
    run({.c = depthwise::grad_input(s),
         .input = io.grad_output,
         .weight = io.weight,
         .bias = io.bias,
         .output = io.grad_input,
         .planes = s.batch * s.in_channels,
         .channels = s.in_channels,
         .group_channels = icg,
         .weight_group = ocg * icg * taps,
         .weight_channel = taps,
         .weight_source = icg * taps},
        io.epilogue, workspace);
    return;
  }
  const SplitEpilogue epilogue(io.epilogue);
  const double work =
      static_cast<double>(s.input[2] + 64) * static_cast<double>(ocg * taps / s.axes[2].stride / s.axes[1].stride + 8);
  share(s.batch * s.in_channels * s.input[0] * s.input[1], work, [&](int64_t begin, int64_t end, int) {
    HWY_DYNAMIC_DISPATCH(RunPhases)(s, io, epilogue, begin, end);
  });
}

size_t no_workspace(const ConvShape&, int) { return 0; }

}  // namespace

const ConvKernel kConvDepthwiseForward{.name = "conv_depthwise",
                                       .direction = Direction::kForward,
                                       .refuse = refuse_forward<false>,
                                       .seconds = forward_seconds,
                                       .workspace_bytes = forward_workspace_bytes,
                                       .forward = forward};

const ConvKernel kConvDepthwiseGradInput{.name = "conv_depthwise",
                                         .direction = Direction::kGradInput,
                                         .refuse = refuse_grad_input<false>,
                                         .seconds = grad_input_seconds,
                                         .workspace_bytes = no_workspace,
                                         .grad_input = grad_input};

const ConvKernel kConvGroupedForward{.name = "conv_grouped",
                                     .direction = Direction::kForward,
                                     .refuse = refuse_forward<true>,
                                     .seconds = forward_seconds,
                                     .workspace_bytes = forward_workspace_bytes,
                                     .forward = forward};

const ConvKernel kConvGroupedGradInput{.name = "conv_grouped",
                                       .direction = Direction::kGradInput,
                                       .refuse = refuse_grad_input<true>,
                                       .seconds = grad_input_seconds,
                                       .workspace_bytes = no_workspace,
                                       .grad_input = grad_input};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
