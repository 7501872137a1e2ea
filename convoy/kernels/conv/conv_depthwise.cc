// One input channel per group: every plane is a small correlation, so memory sets the pace and arithmetic must not fall behind it.
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
// The input gradient of a stride 1 layer is the same with the kernel read backwards.
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

// One call. Output plane p is the sum of the input planes [p sources / sharers, ... + sources).
struct Job {
  Correlation c;
  const float* input;
  const float* weight;
  const float* bias;
  float* output;
  int64_t planes;    // output planes
  int64_t channels;  // of them in a sample
  int64_t sources = 1;
  int64_t sharers = 1;
};

// The rows of one tile, and where their inputs are.
struct Tile {
  const float* in;                            // column 0 of the input row under tap row 0 of output row 0
  int64_t source_step, slice_step, row_step;  // floats
  int64_t sources, slices;
  int64_t row_begin, row_end;  // the shared input rows that exist
  int64_t width;               // columns outside [0, width) are zero
  const float* weight;         // of the first slice's tap (0, 0)
  int64_t weight_source, weight_slice, weight_row, weight_column;
  float start;  // the bias
  bool clamp;
  float* out;
  const float* residual;
  int64_t out_step;
  int64_t rows, columns;  // of output
};

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
namespace hn = hwy::HWY_NAMESPACE;
using depthwise::Job;
using depthwise::kChain;
using depthwise::kInfinity;
using depthwise::kMaxTapColumns;
using depthwise::kRows;
using depthwise::kWide;
using depthwise::Tile;

// Adds kTaps rows of one kernel column to all rows of the tile; `in` is at the column of lane 0.
template <int kTaps, int kStep, bool kEdge>
HWY_INLINE void AddColumn(const Tile& t, const float* in, int64_t row_begin, int64_t row_end, const float* weight, Mask mask,
                          V (&sums)[kRows]) {
  const D d;
  V w[kTaps];
#pragma GCC unroll 8
  for (int k = 0; k < kTaps; ++k) w[k] = hn::Set(d, weight[k * t.weight_row]);
#pragma GCC unroll 32
  for (int r = 0; r < (kRows - 1) * kStep + kTaps; ++r) {
    if (!kEdge || (r >= row_begin && r < row_end)) {
      V x = kEdge ? LoadInside(mask, in) : hn::LoadU(d, in);
      KeepInRegister(x);
#pragma GCC unroll 8
      for (int k = 0; k < kTaps; ++k) {
        const int row = (r - k) / kStep;
        if (r >= k && (r - k) % kStep == 0 && row < kRows) sums[row] = hn::MulAdd(w[k], x, sums[row]);
      }
    }
    in += t.row_step;
  }
}

template <bool kEdge>
HWY_INLINE void StoreRow(const Tile& t, const SplitEpilogue& epilogue, int64_t row, int64_t w, V sum) {
  const D d;
  const int64_t at = row * t.out_step + w;
  const auto mask = hn::FirstN(d, static_cast<size_t>(std::max<int64_t>(t.columns - w, 0)));
  if (t.residual != nullptr) {
    sum = hn::Add(sum, kEdge ? LoadInside(mask, t.residual + at) : hn::LoadU(d, t.residual + at));
  }
  if (t.clamp) {  // a NaN fails both comparisons and stays
    const V low = hn::Set(d, epilogue.low), high = hn::Set(d, epilogue.high);
    sum = hn::IfThenElse(hn::Lt(sum, low), low, sum);
    sum = hn::IfThenElse(hn::Gt(sum, high), high, sum);
  }
  if (kEdge && t.columns - w < static_cast<int64_t>(hn::Lanes(d))) {
    hn::BlendedStore(sum, mask, d, t.out + at);
  } else {
    hn::StoreU(sum, d, t.out + at);
  }
}

// Columns [w, w + lanes) of a tile.
template <int kStep, bool kEdge>
HWY_INLINE void TileVector(const Correlation& c, const Tile& t, const int64_t* offsets, const SplitEpilogue& epilogue, int64_t w) {
  const D d;
  const int64_t height = c.kernel[1], width = c.kernel[2];
  const bool cut = t.sources * t.slices * height * width > kChain;
  V sums[kRows], cut_sums[kRows];
  for (int i = 0; i < kRows; ++i) sums[i] = hn::Set(d, t.start);
  if (cut) {
    for (int i = 0; i < kRows; ++i) cut_sums[i] = hn::Zero(d);
  }
  for (int64_t source = 0; source < t.sources; ++source) {
    for (int64_t slice = 0; slice < t.slices; ++slice) {
      const float* in = t.in + source * t.source_step + slice * t.slice_step + w;
      const float* weight = t.weight + source * t.weight_source + slice * t.weight_slice;
      for (int64_t kh = 0; kh < height;) {
        const auto columns = [&](auto taps) HWY_ATTR {
          for (int64_t kw = 0; kw < width; ++kw) {
            const Mask mask = kEdge ? InsideLanes(w + offsets[kw], t.width) : hn::FirstN(d, hn::Lanes(d));
            AddColumn<taps(), kStep, kEdge>(t, in + kh * t.row_step + offsets[kw], t.row_begin - kh, t.row_end - kh,
                                            weight + kh * t.weight_row + kw * t.weight_column, mask, sums);
          }
          kh += taps();
        };
        const int64_t left = height - kh;
        if (left == 3 || left == 6 || left == 4) {
          columns(std::integral_constant<int, 3>());
        } else if (left == 5 || left == 8 || left == 10) {
          columns(std::integral_constant<int, 5>());
        } else if (left >= 7) {
          columns(std::integral_constant<int, 7>());
        } else if (left == 2) {
          columns(std::integral_constant<int, 2>());
        } else {
          columns(std::integral_constant<int, 1>());
        }
        if (cut) {
          for (int i = 0; i < kRows; ++i) {
            cut_sums[i] = hn::Add(cut_sums[i], sums[i]);
            sums[i] = hn::Zero(d);
          }
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    if (!kEdge || i < t.rows) StoreRow<kEdge>(t, epilogue, i, w, cut ? cut_sums[i] : sums[i]);
  }
}

// The same for one 3x3 kernel, which fits the registers.
template <int kStep, bool kEdge>
HWY_INLINE void TileVector3x3(const Tile& t, const V (&k)[9], const int64_t* offsets, const SplitEpilogue& epilogue, int64_t w) {
  const D d;
  V sums[kRows];
  for (int i = 0; i < kRows; ++i) sums[i] = hn::Set(d, t.start);
  Mask masks[3];
  for (int i = 0; i < 3; ++i) masks[i] = InsideLanes(w + offsets[i], t.width);
  const float* in = t.in + w;
#pragma GCC unroll 32
  for (int r = 0; r < (kRows - 1) * kStep + 3; ++r) {
    if (!kEdge || (r >= t.row_begin && r < t.row_end)) {
#pragma GCC unroll 3
      for (int kw = 0; kw < 3; ++kw) {
        V x = kEdge ? LoadInside(masks[kw], in + offsets[kw]) : hn::LoadU(d, in + offsets[kw]);
        KeepInRegister(x);
#pragma GCC unroll 3
        for (int kh = 0; kh < 3; ++kh) {
          const int row = (r - kh) / kStep;
          if (r >= kh && (r - kh) % kStep == 0 && row < kRows) sums[row] = hn::MulAdd(k[kh * 3 + kw], x, sums[row]);
        }
      }
    }
    in += t.row_step;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    if (!kEdge || i < t.rows) StoreRow<kEdge>(t, epilogue, i, w, sums[i]);
  }
}

template <int kStep>
HWY_NOINLINE void RunTile(const Correlation& c, const Tile& t, const int64_t* offsets, const SplitEpilogue& epilogue) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const bool whole = t.rows == kRows && t.row_begin <= 0 && t.row_end >= (kRows - 1) * kStep + c.kernel[1];
  const int64_t first = c.sorted() ? 0 : c.pad[2], reach = c.sorted() ? 0 : (c.kernel[2] - 1) * c.dilation[2] - c.pad[2];
  const auto inner = [&](int64_t w) { return whole && w >= first && w + lanes <= t.columns && w + lanes + reach <= t.width; };
  if (HWY_TARGET == HWY_AVX3 && c.kernel[1] == 3 && c.kernel[2] == 3 && t.sources * t.slices == 1) {
    V k[9];
    for (int i = 0; i < 9; ++i) k[i] = hn::Set(d, t.weight[i / 3 * t.weight_row + i % 3 * t.weight_column]);
    for (int64_t w = 0; w < t.columns; w += lanes) {
      if (inner(w)) {
        TileVector3x3<kStep, false>(t, k, offsets, epilogue, w);
      } else {
        TileVector3x3<kStep, true>(t, k, offsets, epilogue, w);
      }
    }
    return;
  }
  for (int64_t w = 0; w < t.columns; w += lanes) {
    if (inner(w)) {
      TileVector<kStep, false>(c, t, offsets, epilogue, w);
    } else {
      TileVector<kStep, true>(c, t, offsets, epilogue, w);
    }
  }
}

// kVectors vectors of a single row.
template <int kVectors, bool kEdge>
HWY_INLINE void RowVectors(const Correlation& c, const Tile& t, const SplitEpilogue& epilogue, int64_t w) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kVectors], cut_sums[kVectors];
  for (int i = 0; i < kVectors; ++i) {
    sums[i] = hn::Set(d, t.start);
    cut_sums[i] = hn::Zero(d);
  }
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
#pragma GCC unroll 8
          for (int i = 0; i < kVectors; ++i) {
            const V x =
                kEdge ? LoadInside(InsideLanes(column + i * lanes, t.width), from + i * lanes) : hn::LoadU(d, from + i * lanes);
            sums[i] = hn::MulAdd(k, x, sums[i]);
          }
          weight += t.weight_column;
          phase += phase_of_tap;
          column += columns_of_tap;
          if (phase >= phases) {
            phase -= phases;
            ++column;
          }
          if (++chain == kChain) {
            chain = 0;
            for (int i = 0; i < kVectors; ++i) {
              cut_sums[i] = hn::Add(cut_sums[i], sums[i]);
              sums[i] = hn::Zero(d);
            }
          }
        }
      }
    }
  }
  for (int i = 0; i < kVectors; ++i) StoreRow<true>(t, epilogue, 0, w + i * lanes, hn::Add(cut_sums[i], sums[i]));
}

HWY_NOINLINE void RunRow(const Correlation& c, const Tile& t, const SplitEpilogue& epilogue) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  const int64_t first = c.sorted() ? 0 : c.pad[2], reach = c.sorted() ? 0 : (c.kernel[2] - 1) * c.dilation[2] - c.pad[2];
  for (int64_t w = 0; w < t.columns;) {
    if (w >= first && w + kWide * lanes <= t.columns && w + kWide * lanes + reach <= t.width) {
      RowVectors<kWide, false>(c, t, epilogue, w);
      w += kWide * lanes;
    } else {
      RowVectors<1, true>(c, t, epilogue, w);
      w += lanes;
    }
  }
}

// Tiles [begin, end) of all planes, counted through.
HWY_ATTR void RunTiles(const Job& job, const SplitEpilogue& epilogue, int64_t begin, int64_t end, float* scratch) {
  const Correlation& c = job.c;
  const int64_t plane_tiles = c.plane_tiles(), class_tiles = c.class_tiles(), spacing = c.row_spacing(), tile_rows = c.tile_rows();
  const int64_t taps = c.taps(), height = c.input[1], width = c.input[2], sign = c.flipped ? -1 : 1;
  const int64_t in_spacing = c.tiled() ? spacing : c.dilation[1];
  const int64_t row_floats = c.sorted_row_floats(), slice_floats = c.sorted_rows() * row_floats;
  int64_t offsets[kMaxTapColumns];
  for (int64_t kw = 0; kw < std::min(c.kernel[2], kMaxTapColumns); ++kw) {
    const int64_t column = kw * c.dilation[2];
    offsets[kw] = c.sorted() ? column % c.step[2] * c.phase_floats() + column / c.step[2] : column - c.pad[2];
  }
  Tile t;
  t.sources = job.sources;
  t.clamp = epilogue.low > -kInfinity || epilogue.high < kInfinity;
  t.columns = c.output[2];
  t.source_step = c.input_positions();
  t.weight_source = taps;
  t.weight_slice = sign * c.kernel[1] * c.kernel[2];
  t.weight_row = sign * c.kernel[2];
  t.weight_column = sign;
  t.out_step = spacing * c.output[2];
  t.width = c.sorted() ? int64_t{1} << 40 : width;
  t.row_step = c.sorted() ? row_floats : in_spacing * width;
  t.slice_step = c.sorted() ? slice_floats : c.dilation[0] * height * width;

  int64_t plane = begin / plane_tiles, tile = begin % class_tiles, row_class = begin / class_tiles % spacing,
          od = begin / class_tiles / spacing % c.output[0];
  for (int64_t i = begin; i < end; ++i) {
    const int64_t oh = row_class + tile * tile_rows * spacing;
    if (oh < c.output[1]) {
      const int64_t channel = plane % job.channels;
      t.rows = std::min(tile_rows, (c.output[1] - oh + spacing - 1) / spacing);
      t.start = job.bias != nullptr ? job.bias[channel] : 0.0f;
      const int64_t out_at = plane * c.output_positions() + (od * c.output[1] + oh) * c.output[2];
      t.out = job.output + out_at;
      t.residual = epilogue.residual != nullptr ? epilogue.residual + out_at : nullptr;
      // Slices and rows under the tile, and those of them that exist.
      const int64_t id = od * c.step[0] - c.pad[0], ih = oh * c.step[1] - c.pad[1];
      const int64_t slice = std::clamp<int64_t>(shape::ceil_div(-id, c.dilation[0]), 0, c.kernel[0]);
      t.slices = std::clamp<int64_t>(shape::ceil_div(c.input[0] - id, c.dilation[0]), slice, c.kernel[0]) - slice;
      const int64_t rows_under = (t.rows - 1) * (c.tiled() ? c.step[1] : 1) + c.kernel[1];
      t.row_begin = std::max<int64_t>(shape::ceil_div(-ih, in_spacing), 0);
      t.row_end = std::clamp<int64_t>(shape::ceil_div(height - ih, in_spacing), t.row_begin, std::max(rows_under, t.row_begin));
      t.weight = job.weight + channel * job.sources * taps + (c.flipped ? taps - 1 : 0) + slice * t.weight_slice;
      const float* in = job.input + plane * job.sources / job.sharers * c.input_positions() +
                        ((id + slice * c.dilation[0]) * height + ih) * width;
      if (c.sorted()) {
        for (int64_t z = 0; z < t.slices; ++z) {
          for (int64_t r = t.row_begin; r < t.row_end; ++r) {
            SortRow(c, in + (z * c.dilation[0] * height + r * in_spacing) * width, scratch + z * slice_floats + r * row_floats);
          }
        }
        in = scratch;
      }
      t.in = in;
      if (!c.tiled()) {
        RunRow(c, t, epilogue);
      } else if (c.step[1] == 1) {
        RunTile<1>(c, t, offsets, epilogue);
      } else {
        RunTile<2>(c, t, offsets, epilogue);
      }
      if (epilogue.later) {
        for (int64_t r = 0; r < t.rows; ++r) epilogue.finish(t.out + r * t.out_step, t.columns);
      }
    }
    if (++tile == class_tiles) {
      tile = 0;
      if (++row_class == spacing) {
        row_class = 0;
        if (++od == c.output[0]) {
          od = 0;
          ++plane;
        }
      }
    }
  }
}

// Lanes of columns [j, j + lanes) of one phase of a row of the input gradient.
template <bool kEdge>
HWY_INLINE V PhaseVector(const ConvShape& s, const ConvGradInput<float>& io, const depthwise::Phases& phases, int64_t q,
                         const depthwise::TapsOf& d_taps, const depthwise::TapsOf& h_taps, const shape::Spatial& tap_step,
                         const shape::Spatial& output_step, int64_t plane, int64_t j) {
  const D d;
  const int64_t multiplier = s.out_channels_per_group(), channel = plane % s.in_channels, width = s.output[2];
  V sum = hn::Set(d, io.bias != nullptr ? io.bias[channel] : 0.0f), cut = hn::Zero(d);
  int64_t chain = 0;
  for (int64_t m = 0; m < multiplier; ++m) {
    for (int64_t z = 0; z < d_taps.count; ++z) {
      const int64_t slice = (plane * multiplier + m) * s.output[0] + d_taps.output - z * output_step[0];
      const float* weights = io.weight + ((channel * multiplier + m) * s.axes[0].kernel_size + d_taps.tap + z * tap_step[0]) *
                                             s.axes[1].kernel_size * s.axes[2].kernel_size;
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

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(RunTiles);
HWY_EXPORT(RunPhases);

namespace {

using depthwise::Correlation;
using depthwise::Job;

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
  const double work = static_cast<double>(job.c.tile_rows() * (job.c.output[2] + 15) / 16 * 16) *
                      static_cast<double>(job.sources * job.c.taps() + 8);
  share(job.planes * job.c.plane_tiles(), work, [&](int64_t begin, int64_t end, int thread) {
    HWY_DYNAMIC_DISPATCH(RunTiles)(job, epilogue, begin, end, scratch + thread * scratch_floats);
  });
}

bool strided(const ConvShape& s) { return s.axes[0].stride * s.axes[1].stride * s.axes[2].stride > 1; }

const char* refuse(const ConvShape& s) {
  if (s.in_channels_per_group() != 1) return "needs one input channel per group";
  if (s.output_positions() == 0 || s.input_positions() == 0) return "nothing to compute";
  return depthwise::reaches_too_far(s) ? "the kernel reaches too far" : nullptr;
}

const char* refuse_forward(const ConvShape& s) {
  if (const char* reason = refuse(s)) return reason;
  return depthwise::sorted_rows_fit(depthwise::forward(s)) ? nullptr : "the rows under one kernel do not fit the cache";
}

const char* refuse_grad_input(const ConvShape& s) {
  if (const char* reason = refuse(s)) return reason;
  if (strided(s) && s.axes[2].kernel_size > depthwise::kMaxTapColumns) return "needs stride 1 or at most 64 kernel columns";
  for (const shape::Axis& axis : s.axes) {
    if (axis.stride > depthwise::kMaxStride) return "needs strides of at most 16";
  }
  return nullptr;
}

// Vectors of output, each at two multiply-adds a nanosecond and a constant for its store; two vectors of input to sort where
// columns are strided; and a tile's arrangements.
double tile_seconds(const Correlation& c, int64_t planes, int64_t sources, const Machine& m) {
  const double vectors = static_cast<double>(planes * c.output[0] * c.output[1]) * static_cast<double>((c.output[2] + 15) / 16);
  const double sorted = c.sorted() ? 2.0 * static_cast<double>(c.step[1]) : 0;
  const double tap = c.tiled() ? 0.18e-9 : 0.35e-9;
  const double peak = m.flops_per_second / 96e9;
  return 1e-6 + vectors * (static_cast<double>(sources * c.taps()) * tap + 1e-9 + sorted * 1e-9) / peak +
         static_cast<double>(planes * c.plane_tiles()) * 20e-9;
}

double forward_seconds(const ConvShape& s, const Machine& m) {
  return tile_seconds(depthwise::forward(s), s.batch * s.out_channels, 1, m);
}

double grad_input_seconds(const ConvShape& s, const Machine& m) {
  if (!strided(s)) return tile_seconds(depthwise::grad_input(s), s.batch * s.in_channels, s.out_channels_per_group(), m);
  const double vectors =
      static_cast<double>(s.batch * s.in_channels * s.input[0] * s.input[1]) * static_cast<double>((s.input[2] + 15) / 16);
  const double multiply_adds = static_cast<double>(s.output_count()) * static_cast<double>(s.taps());
  const double store = s.axes[2].stride <= 2 ? 4e-9 : 30e-9;
  return 1e-6 + vectors * store + multiply_adds * 1.2e-9 / 16 * 96e9 / m.flops_per_second;
}

}  // namespace

const ConvKernel kConvDepthwiseForward{
    .name = "conv_depthwise",
    .direction = Direction::kForward,
    .refuse = refuse_forward,
    .seconds = forward_seconds,
    .workspace_bytes =
        [](const ConvShape& s, int threads) {
          return padded_bytes(static_cast<size_t>(depthwise::forward(s).scratch_floats() * threads) * sizeof(float));
        },
    .forward =
        [](const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
          run({.c = depthwise::forward(s),
               .input = io.input,
               .weight = io.weight,
               .bias = io.bias,
               .output = io.output,
               .planes = s.batch * s.out_channels,
               .channels = s.out_channels,
               .sharers = s.out_channels_per_group()},
              io.epilogue, workspace);
        }};

const ConvKernel kConvDepthwiseGradInput{
    .name = "conv_depthwise",
    .direction = Direction::kGradInput,
    .refuse = refuse_grad_input,
    .seconds = grad_input_seconds,
    .workspace_bytes = [](const ConvShape&, int) { return size_t{0}; },
    .grad_input =
        [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
          if (!strided(s)) {
            run({.c = depthwise::grad_input(s),
                 .input = io.grad_output,
                 .weight = io.weight,
                 .bias = io.bias,
                 .output = io.grad_input,
                 .planes = s.batch * s.in_channels,
                 .channels = s.in_channels,
                 .sources = s.out_channels_per_group()},
                io.epilogue, workspace);
            return;
          }
          const SplitEpilogue epilogue(io.epilogue);
          const double work = static_cast<double>(s.input[2] + 64) *
                              static_cast<double>(s.out_channels_per_group() * s.taps() / s.axes[2].stride / s.axes[1].stride + 8);
          share(s.batch * s.in_channels * s.input[0] * s.input[1], work, [&](int64_t begin, int64_t end, int) {
            HWY_DYNAMIC_DISPATCH(RunPhases)(s, io, epilogue, begin, end);
          });
        }};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
