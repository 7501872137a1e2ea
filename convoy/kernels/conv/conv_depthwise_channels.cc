// A vector holds one pixel of as many channels as it has lanes. Planes are turned into that order a band of rows at a time, in the
// cache, and the results back. Then no stride, dilation or phase costs anything: every tap of every result is one vector read where
// it lies. Turning takes about 0.6 cycles a value, whatever the kernel, so conv_depthwise, whose lanes are the columns of a row, is
// faster where its rows need no sorting; it sorts rows into phases where they are strided, and its tiles of 7 rows are mostly empty
// on small maps. 4096 planes of 7x7 under 3x3 taps at a stride of 4: 0.275 -> 0.04 ms.
//
// grad_weight: bands of the gradient and of the input under it, with zeros where the input has none, are turned alike. A register
// tile of up to 3 x 3 taps then sums over all results of a band: a load and a multiply-add for each.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_depthwise_channels.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise_channels.h"
#include "convoy/kernels/conv/conv_depthwise_rows-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#include <algorithm>
#include <array>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_depthwise_geometry.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_CHANNELS_PLAN
#define CONVOY_KERNELS_CONV_DEPTHWISE_CHANNELS_PLAN
namespace convoy::kernels::depthwise_channels {

using depthwise::AxisGeometry;
using depthwise::Geometry;

constexpr int64_t kMostColumnTaps = 64;
constexpr int64_t kMostRowTaps = 64;
constexpr int64_t kMostPhases = 16;
constexpr int64_t kMostRuns = 160;            // of columns with the same taps
constexpr int64_t kBandFloats = 32 << 10;     // of a band's rows, turned; 16 << 10 takes 5 % longer
constexpr int64_t kMostBandFloats = 1 << 18;  // 1 MiB

// A column tap of a phase.
struct ColumnTap {
  int64_t offset;  // of what the phase's column 0 reads
  int64_t weight;  // index of the tap
};

// Columns [begin, end) of a phase, all of which read its taps [from, to).
struct Run {
  int64_t phase, begin, end;
  int64_t from, to;  // in Plan::taps
};

// How rows of results come from rows of the source. Rows are counted through all planes of a volume.
struct Plan {
  Geometry g;
  int64_t phases = 1, step = 1;  // result column q + j phases reads from j step on
  int64_t run_count = 0;
  std::array<ColumnTap, kMostColumnTaps> taps;
  std::array<Run, kMostRuns> runs;
  int64_t result_rows, band_rows = 1, bands = 1;
  int64_t source_rows = 1;  // of a band, at most
  const char* refused = nullptr;

  Plan(const ConvShape& s, Direction direction, int64_t lanes)
      : g(depthwise::geometry(s, direction)), result_rows(g.d.output * g.h.output) {
    if (g.w.kernel > kMostColumnTaps || g.d.kernel > kMostRowTaps || g.h.kernel > kMostRowTaps ||
        g.d.kernel * g.h.kernel > kMostRowTaps || g.taps() > depthwise::kChain) {
      refused = "the kernel has too many taps";
    } else if (g.w.gradient && g.w.stride > kMostPhases) {
      refused = "needs strides of at most 16";
    } else if (!list_runs()) {
      refused = "too many columns read only some of the taps";
    } else {
      cut(lanes);
      if (double(source_rows) * double(g.w.input) + double(band_rows) * double(g.w.output) > double(kMostBandFloats / lanes))
        refused = "the rows under one kernel do not fit the cache";
    }
  }

  // f(source row, row of the kernel) for every one that result row `row` reads.
  template <class F>
  void for_each_row_tap(int64_t row, const F& f) const {
    const int64_t od = row / g.h.output, oh = row % g.h.output;
    for (int64_t kd = 0; kd < g.d.kernel; ++kd) {
      const int64_t d = g.d.input_of(od, kd);
      if (d < 0) continue;
      for (int64_t kh = 0; kh < g.h.kernel; ++kh) {
        const int64_t h = g.h.input_of(oh, kh);
        if (h >= 0) f(d * g.h.input + h, kd * g.h.kernel + kh);
      }
    }
  }
  // Source rows between those that some tap of the result rows [begin, end) reads.
  struct Rows {
    int64_t begin = 0, end = 0;
  };
  Rows rows_of(int64_t begin, int64_t end) const {
    Rows rows;
    for (int64_t row = begin; row < end; ++row) {
      for_each_row_tap(row, [&](int64_t source, int64_t) {
        rows = rows.end == 0 ? Rows{source, source + 1} : Rows{std::min(rows.begin, source), std::max(rows.end, source + 1)};
      });
    }
    return rows;
  }

 private:
  // False if there are too many.
  bool list_runs() {
    phases = std::min(g.phases(), g.w.output);
    step = g.w.gradient ? 1 : g.w.stride;
    int64_t count = 0;
    const auto tap = [this](int64_t i) -> ColumnTap& { return taps[static_cast<size_t>(i)]; };
    for (int64_t phase = 0; phase < phases; ++phase) {
      const int64_t first = count, columns = (g.w.output - phase + g.phases() - 1) / g.phases();
      for (int64_t i = 0; i < g.w.kernel; ++i) {  // offsets ascend
        const int64_t k = g.w.gradient ? g.w.kernel - 1 - i : i;
        const int64_t at = g.w.gradient ? phase + g.w.pad - k * g.w.dilation : k * g.w.dilation - g.w.pad;
        if (g.w.gradient && at % g.w.stride != 0) continue;
        tap(count++) = {g.w.gradient ? at / g.w.stride : at, k};
      }
      const auto reads = [&](int64_t i, int64_t j) {
        const int64_t at = j * step + tap(i).offset;
        return at >= 0 && at < g.w.input;
      };
      for (int64_t j = 0; j < columns;) {
        if (run_count == kMostRuns) return false;
        Run& run = runs[static_cast<size_t>(run_count++)];
        run = {phase, j, columns, first, count};
        while (run.from < run.to && !reads(run.from, j)) ++run.from;
        while (run.to > run.from && !reads(run.to - 1, j)) --run.to;
        for (int64_t i = first; i < count; ++i) {  // it ends where a tap enters or leaves
          for (const int64_t border : {-tap(i).offset, g.w.input - tap(i).offset}) {
            const int64_t at = border <= 0 ? 0 : (border + step - 1) / step;
            if (at > j && at < run.end) run.end = at;
          }
        }
        j = run.end;
      }
    }
    return true;
  }

  // Bands of rows that stay in the cache; volumes in one.
  void cut(int64_t lanes) {
    const bool plane = g.d.input == 1 && g.d.output == 1;
    const int64_t reach = (g.h.kernel - 1) * g.h.dilation;
    const auto source_of = [&](int64_t rows) {
      if (!plane) return g.d.input * g.h.input;
      return std::min(g.h.input, (g.h.gradient ? (rows - 1 + reach) / g.h.stride : (rows - 1) * g.h.stride + reach) + 1);
    };
    band_rows = result_rows;
    if (plane) {
      const int64_t all = g.h.input * g.w.input + result_rows * g.w.output, most = kBandFloats / lanes;
      bands = std::clamp<int64_t>((all + most - 1) / most, 1, result_rows);
      band_rows = (result_rows + bands - 1) / bands;
      bands = (result_rows + band_rows - 1) / band_rows;
    }
    source_rows = source_of(band_rows);
  }
};

// grad_weight: how a plane of results is cut into bands, and the input under one.
struct WeightPlan {
  static constexpr int64_t kMostTaps = 1 << 12;
  Geometry g;
  int64_t columns, rows;                // of a band
  int64_t source_rows, source_columns;  // under it, padding included

  WeightPlan(const ConvShape& s, int64_t lanes)
      : g(depthwise::geometry(s, Direction::kForward)), columns(even(g.w.output, depthwise::kChain)) {
    const double row_floats = double(under(g.w, columns)) * double(g.h.stride) * double(lanes);
    rows = even(g.h.output, std::max<int64_t>(static_cast<int64_t>(double(kBandFloats) / row_floats), 1));
    source_rows = under(g.h, rows);
    source_columns = under(g.w, columns);
  }
  static int64_t even(int64_t size, int64_t most) {  // the largest of equal parts of at most `most`
    const int64_t parts = (size + most - 1) / most;
    return (size + parts - 1) / parts;
  }
  static int64_t under(const AxisGeometry& axis, int64_t outputs) {
    return (outputs - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
  }
  int64_t row_bands() const { return (g.h.output + rows - 1) / rows; }
  int64_t column_bands() const { return (g.w.output + columns - 1) / columns; }
  int64_t source_positions() const { return source_rows * source_columns; }
};

}  // namespace convoy::kernels::depthwise_channels
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_CHANNELS_PLAN

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using depthwise::AxisGeometry;
using depthwise::Geometry;
using depthwise_channels::ColumnTap;
using depthwise_channels::Plan;
using depthwise_channels::Run;
using depthwise_channels::WeightPlan;
using Channels = hn::ScalableTag<float>;
using Vector = hn::Vec<Channels>;

constexpr int64_t kLanes = HWY_LANES(float);
constexpr int64_t kBlock = 8;  // columns whose sums stay in registers

// One row of the kernel over one row of the source, turned.
struct RowTap {
  const float* source;
  const float* weight;
};

// kCount results from column j of a phase on.
template <int kCount>
HWY_INLINE void SumColumns(const Plan& p, const Run& run, int64_t j, const RowTap* rows, int64_t row_count, Vector bias,
                           float* to) {
  const Channels d;
  const int64_t step = p.step * kLanes;
  Vector sum[kCount];
  HWY_UNROLL(8)
  for (int i = 0; i < kCount; ++i) sum[i] = bias;
  for (int64_t r = 0; r < row_count; ++r) {
    const float* const source = rows[r].source + j * step;
    for (int64_t t = run.from; t < run.to; ++t) {
      const ColumnTap& tap = p.taps[static_cast<size_t>(t)];
      const Vector w = hn::LoadU(d, rows[r].weight + tap.weight * kLanes);
      const float* const x = source + tap.offset * kLanes;
      HWY_UNROLL(8)
      for (int i = 0; i < kCount; ++i) sum[i] = hn::MulAdd(hn::LoadU(d, x + i * step), w, sum[i]);
    }
  }
  HWY_UNROLL(8)
  for (int i = 0; i < kCount; ++i) hn::StoreU(sum[i], d, to + (run.phase + (j + i) * p.phases) * kLanes);
}

HWY_NOINLINE void TurnRows(const float* from, int64_t from_step, float* to, int64_t to_step, int64_t rows, int64_t columns) {
  Transpose(from, from_step, to, to_step, rows, columns);
}
// Transpose() for any sizes: what is left beyond whole blocks is done with some of the block before, once more.
void Turn(const float* from, int64_t from_step, float* to, int64_t to_step, int64_t rows, int64_t columns) {
  constexpr int64_t kRows = 8, kColumns = 4;
  const int64_t rest = rows < kRows ? 0 : rows % kRows, columns_left = columns < kColumns ? 0 : columns % kColumns;
  TurnRows(from, from_step, to, to_step, rows - rest, columns - columns_left);
  const int64_t row = rows - kRows, column = columns - kColumns;
  if (rest > 0) TurnRows(from + row * from_step, from_step, to + row, to_step, kRows, columns - columns_left);
  if (columns_left > 0) TurnRows(from + column, from_step, to + column * to_step, to_step, rows - rest, kColumns);
  if (rest > 0 && columns_left > 0) {
    TurnRows(from + row * from_step + column, from_step, to + column * to_step + row, to_step, kRows, kColumns);
  }
}

// A band of rows of some channels of a sample.
struct Band {
  const float* source;  // of the first channel
  const float* weight;
  const float* bias;
  float* result;
  int64_t channels;
  int64_t begin, end;  // result rows
};

struct ChannelsScratch {
  int64_t weights, source, result;  // floats
  int64_t all() const { return weights + source + result; }
};

ChannelsScratch ScratchOf(const Plan& p) {
  return {p.g.taps() * kLanes, p.source_rows * p.g.w.input * kLanes, p.band_rows * p.g.w.output * kLanes};
}

HWY_ATTR void RunBand(const Plan& p, const Band& band, float* scratch) {
  const Channels d;
  const ChannelsScratch floats = ScratchOf(p);
  const int64_t taps = p.g.taps(), source_plane = p.g.input_positions(), result_plane = p.g.output_positions();
  const int64_t source_width = p.g.w.input, result_width = p.g.w.output;
  float* const weights = scratch;
  float* const source = weights + floats.weights;
  float* const results = source + floats.source;
  const Plan::Rows rows = p.rows_of(band.begin, band.end);
  const int64_t positions = (rows.end - rows.begin) * source_width;
  HWY_ALIGN float bias[kLanes] = {};
  if (band.bias != nullptr) std::copy(band.bias, band.bias + band.channels, bias);
  const Vector start = hn::Load(d, bias);
  if (band.channels < kLanes) std::fill(weights, weights + floats.weights + positions * kLanes, 0.0f);
  Turn(band.weight, taps, weights, kLanes, band.channels, taps);
  Turn(band.source + rows.begin * source_width, source_plane, source, kLanes, band.channels, positions);
  float* to = results;
  for (int64_t row = band.begin; row < band.end; ++row, to += result_width * kLanes) {
    RowTap row_taps[depthwise_channels::kMostRowTaps];
    int64_t count = 0;
    p.for_each_row_tap(row, [&](int64_t at, int64_t kernel_row) {
      row_taps[count++] = {source + (at - rows.begin) * source_width * kLanes, weights + kernel_row * p.g.w.kernel * kLanes};
    });
    for (int64_t r = 0; r < p.run_count; ++r) {
      const Run& run = p.runs[static_cast<size_t>(r)];
      int64_t j = run.begin;
      for (; j + kBlock <= run.end; j += kBlock) SumColumns<kBlock>(p, run, j, row_taps, count, start, to);
      for (; j + 4 <= run.end; j += 4) SumColumns<4>(p, run, j, row_taps, count, start, to);
      for (; j + 2 <= run.end; j += 2) SumColumns<2>(p, run, j, row_taps, count, start, to);
      for (; j < run.end; ++j) SumColumns<1>(p, run, j, row_taps, count, start, to);
    }
  }
  Turn(results, kLanes, band.result + band.begin * result_width, result_plane, (band.end - band.begin) * result_width,
       band.channels);
}

struct ChannelsIo {
  const float *source, *weight, *bias;
  float* result;
};

HWY_ATTR void ChannelsRun(const ConvShape& s, Direction direction, const ChannelsIo& io, const Epilogue<float>& what_follows,
                          Workspace& workspace) {
  const Plan p(s, direction, kLanes);
  const SplitEpilogue epilogue(what_follows);
  const int64_t scratch_floats = ScratchOf(p).all();
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const int64_t blocks = (s.in_channels + kLanes - 1) / kLanes, source_plane = p.g.input_positions(),
                result_plane = p.g.output_positions();
  parallel_for(s.batch * blocks * p.bands, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t n = task / p.bands / blocks, channel = task / p.bands % blocks * kLanes, plane = n * s.in_channels + channel;
    const int64_t begin = task % p.bands * p.band_rows;
    const Band band{io.source + plane * source_plane,
                    io.weight + channel * p.g.taps(),
                    io.bias != nullptr ? io.bias + channel : nullptr,
                    io.result + plane * result_plane,
                    std::min(kLanes, s.in_channels - channel),
                    begin,
                    std::min(begin + p.band_rows, p.result_rows)};
    RunBand(p, band, scratch + thread * scratch_floats);
    if (epilogue.empty()) return;
    const int64_t at = plane * result_plane + band.begin * p.g.w.output, count = (band.end - band.begin) * p.g.w.output;
    if (count == result_plane) return epilogue.apply(io.result + at, band.channels * count, at);
    for (int64_t c = 0; c < band.channels; ++c) epilogue.apply(io.result + at + c * result_plane, count, at + c * result_plane);
  });
}

HWY_ATTR void ChannelsForward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  ChannelsRun(s, Direction::kForward, {io.input, io.weight, io.bias, io.output}, io.epilogue, workspace);
}

HWY_ATTR void ChannelsGradInput(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  ChannelsRun(s, Direction::kGradInput, {io.grad_output, io.weight, io.bias, io.grad_input}, io.epilogue, workspace);
}

size_t ChannelsWorkspace(const ConvShape& s, Direction direction, int threads) {
  return padded_bytes(static_cast<size_t>(ScratchOf(Plan(s, direction, kLanes)).all() * threads) * sizeof(float));
}

const char* ChannelsRefuse(const ConvShape& s, Direction direction) { return Plan(s, direction, kLanes).refused; }

// A band of the gradient and the input under it, turned.
struct WeightBand {
  const float* source;
  int64_t source_row, source_column;  // from a result's input to that of the next row and column
  int64_t tap_row, tap_column;        // and to that of the next tap
  const float* grad;
  int64_t grad_row;
  int64_t rows, columns;
};

// totals += sums over a band for kRows x kColumns taps from one on; totals of tap rows lie totals_row apart.
template <int kRows, int kColumns>
HWY_NOINLINE void WeightTile(const WeightBand& b, const float* source, double* totals, int64_t totals_row) {
  const Channels d;
  constexpr int kTaps = kRows * kColumns;
  Vector sum[kTaps];
  Unroll<kTaps>([&](auto i) CONVOY_UNROLLED { sum[i] = hn::Zero(d); });
  for (int64_t row = 0; row < b.rows; ++row) {
    const float* x = source + row * b.source_row;
    const float* g = b.grad + row * b.grad_row;
    for (const float* const end = g + b.columns * kLanes; g < end; g += kLanes, x += b.source_column) {
      const Vector of_result = hn::Load(d, g);
      Unroll<kTaps>([&](auto i) CONVOY_UNROLLED {
        sum[i] = hn::MulAdd(of_result, hn::Load(d, x + i / kColumns * b.tap_row + i % kColumns * b.tap_column), sum[i]);
      });
    }
  }
  HWY_ALIGN float lanes[kTaps * kLanes];
  Unroll<kTaps>([&](auto i) CONVOY_UNROLLED { hn::Store(sum[i], d, lanes + i * kLanes); });
  for (int i = 0; i < kTaps; ++i) {
    double* const to = totals + i / kColumns * totals_row + i % kColumns * kLanes;
    for (int64_t lane = 0; lane < kLanes; ++lane) to[lane] += static_cast<double>(lanes[i * kLanes + lane]);
  }
}

template <int kRows>
HWY_INLINE void AddTapRows(const WeightBand& b, const float* source, int64_t columns, double* totals) {
  const int64_t totals_row = columns * kLanes;
  for (; columns >= 3; columns -= 3, source += 3 * b.tap_column, totals += 3 * kLanes)
    WeightTile<kRows, 3>(b, source, totals, totals_row);
  if (columns == 2) WeightTile<kRows, 2>(b, source, totals, totals_row);
  if (columns == 1) WeightTile<kRows, 1>(b, source, totals, totals_row);
}

struct WeightScratch {
  int64_t source, grad, totals, weights;  // floats
  int64_t all() const { return source + grad + totals + weights; }
};

WeightScratch WeightScratchOf(const WeightPlan& p) {
  return {p.source_positions() * kLanes, p.rows * p.columns * kLanes, 2 * p.g.taps() * kLanes, p.g.taps() * kLanes};
}

// Rows [begin, end) and columns [from, to) of the input plane at `from_plane`, turned, with zeros where it has none.
HWY_ATTR void TurnPadded(const AxisGeometry& h, const AxisGeometry& w, int64_t first_row, int64_t rows, int64_t first_column,
                         int64_t columns, const float* plane, int64_t planes_apart, int64_t channels, float* to) {
  const int64_t begin = std::clamp<int64_t>(-first_column, 0, columns), end = std::clamp(w.input - first_column, begin, columns);
  for (int64_t r = 0; r < rows; ++r, to += columns * kLanes) {
    const int64_t row = first_row + r;
    const bool inside = row >= 0 && row < h.input && begin < end;
    std::fill(to, to + (inside ? begin : columns) * kLanes, 0.0f);
    if (!inside) continue;
    std::fill(to + end * kLanes, to + columns * kLanes, 0.0f);
    Turn(plane + row * w.input + first_column + begin, planes_apart, to + begin * kLanes, kLanes, channels, end - begin);
  }
}

// The weight gradient of some channels.
HWY_ATTR void ChannelsGradWeightBlock(const ConvShape& s, const WeightPlan& p, const ConvGradWeight<float>& io, int64_t channel,
                                      int64_t channels, float* scratch) {
  const Geometry& g = p.g;
  const WeightScratch floats = WeightScratchOf(p);
  float* const source = scratch;
  float* const grad = source + floats.source;
  auto* const totals = reinterpret_cast<double*>(grad + floats.grad);
  float* const weights = grad + floats.grad + floats.totals;
  std::fill(scratch, scratch + floats.source + floats.grad, 0.0f);  // lanes beyond the channels
  std::fill(totals, totals + g.taps() * kLanes, 0.0);
  const int64_t source_slice = g.h.input * g.w.input, grad_slice = g.h.output * g.w.output;
  WeightBand b;
  b.source_column = g.w.stride * kLanes;
  b.tap_column = g.w.dilation * kLanes;
  b.source_row = g.h.stride * p.source_columns * kLanes;
  b.tap_row = g.h.dilation * p.source_columns * kLanes;
  for (int64_t n = 0; n < s.batch; ++n) {
    const float* const sample = io.input + (n * s.in_channels + channel) * g.input_positions();
    const float* const sample_grad = io.grad_output + (n * s.in_channels + channel) * g.output_positions();
    for (int64_t band = 0; band < g.d.output * p.row_bands() * p.column_bands(); ++band) {
      const int64_t od = band / p.column_bands() / p.row_bands(), row = band / p.column_bands() % p.row_bands() * p.rows,
                    column = band % p.column_bands() * p.columns;
      const int64_t rows = std::min(p.rows, g.h.output - row);
      b.columns = std::min(p.columns, g.w.output - column);
      b.grad_row = b.columns * kLanes;
      const float* const from = sample_grad + od * grad_slice + row * g.w.output + column;
      const bool whole = b.columns == g.w.output;
      for (int64_t r = 0; r < (whole ? 1 : rows); ++r) {
        Turn(from + r * g.w.output, g.output_positions(), grad + r * b.grad_row, kLanes, channels,
             whole ? rows * b.columns : b.columns);
      }
      for (int64_t kd = 0; kd < g.d.kernel; ++kd) {
        const int64_t id = g.d.input_of(od, kd);
        if (id < 0) continue;
        TurnPadded(g.h, g.w, row * g.h.stride - g.h.pad, WeightPlan::under(g.h, rows), column * g.w.stride - g.w.pad,
                   p.source_columns, sample + id * source_slice, g.input_positions(), channels, source);
        const int64_t chain = std::max<int64_t>(depthwise::kChain / b.columns, 1);  // rows
        for (int64_t r = 0; r < rows; r += chain) {
          b.grad = grad + r * b.grad_row;
          b.rows = std::min(chain, rows - r);
          double* to = totals + kd * g.h.kernel * g.w.kernel * kLanes;
          const float* tap = source + r * b.source_row;
          int64_t left = g.h.kernel;
          for (; left >= 3; left -= 3, tap += 3 * b.tap_row, to += 3 * g.w.kernel * kLanes) AddTapRows<3>(b, tap, g.w.kernel, to);
          if (left == 2) AddTapRows<2>(b, tap, g.w.kernel, to);
          if (left == 1) AddTapRows<1>(b, tap, g.w.kernel, to);
        }
      }
    }
  }
  for (int64_t i = 0; i < g.taps() * kLanes; ++i) weights[i] = static_cast<float>(totals[i]);
  Turn(weights, kLanes, io.grad_weight + channel * g.taps(), g.taps(), g.taps(), channels);
}

HWY_ATTR void ChannelsGradWeight(const ConvShape& s, const ConvGradWeight<float>& io, Workspace& workspace) {
  const WeightPlan p(s, kLanes);
  const int64_t scratch_floats = WeightScratchOf(p).all(), blocks = (s.in_channels + kLanes - 1) / kLanes;
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  parallel_for(blocks, [&](int64_t block, int thread) HWY_ATTR {
    const int64_t channel = block * kLanes;
    ChannelsGradWeightBlock(s, p, io, channel, std::min(kLanes, s.in_channels - channel), scratch + thread * scratch_floats);
  });
}

size_t ChannelsWeightWorkspace(const ConvShape& s, int threads) {
  return padded_bytes(static_cast<size_t>(WeightScratchOf(WeightPlan(s, kLanes)).all() * threads) * sizeof(float));
}

int64_t ChannelsLanes() { return kLanes; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(ChannelsForward);
CONVOY_EXPORT(ChannelsGradInput);
CONVOY_EXPORT(ChannelsWorkspace);
CONVOY_EXPORT(ChannelsRefuse);
CONVOY_EXPORT(ChannelsGradWeight);
CONVOY_EXPORT(ChannelsWeightWorkspace);
CONVOY_EXPORT(ChannelsLanes);

namespace {

const char* refuse_any(const ConvShape& s) {
  if (s.in_channels_per_group() != 1 || s.out_channels_per_group() != 1) return "needs one channel per group";
  if (s.output_positions() == 0 || s.input_positions() == 0) return "nothing to compute";
  return depthwise::reaches_too_far(s) ? "the kernel reaches too far" : nullptr;
}

template <Direction kDirection>
const char* refuse(const ConvShape& s) {
  const char* const reason = refuse_any(s);
  return reason != nullptr ? reason : CONVOY_DISPATCH(ChannelsRefuse)(s, kDirection);
}

const char* refuse_grad_weight(const ConvShape& s) {
  if (const char* const reason = refuse_any(s); reason != nullptr) return reason;
  if (s.taps() > depthwise_channels::WeightPlan::kMostTaps) return "the kernel has too many taps";
  const depthwise_channels::WeightPlan p(s, CONVOY_DISPATCH(ChannelsLanes)());
  const bool fit = double(p.source_rows) * double(p.source_columns) * 16 < double(depthwise_channels::kMostBandFloats);
  return fit ? nullptr : "the rows under one kernel do not fit the cache";
}

// Without vectors a number takes the cycles of a vector.
double seconds_of(double cycles, const Machine& m) { return cycles / 3e9 * (has_vectors() ? 96e9 / m.flops_per_second : 1.0); }

// Turning gradient and input, what a band's rows begin with, and a load and a multiply-add for every tap of every result.
double seconds_grad_weight(const ConvShape& s, const Machine& m) {
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const int64_t lanes = CONVOY_DISPATCH(ChannelsLanes)(), blocks = (s.in_channels + lanes - 1) / lanes;
  const depthwise_channels::WeightPlan p(s, lanes);
  const depthwise::Geometry& g = p.g;
  const double planes = g.d.pairs(), bands = number(p.row_bands() * p.column_bands());
  const double turned = number(g.output_positions()) +
                        planes * bands * number(std::min(p.source_rows, g.h.input) * std::min(p.source_columns, g.w.input));
  const double vector = lanes > 8 ? 1.1 : 0.6;  // a load and a multiply-add
  const double cycles = turned * number(lanes) * 0.6 + planes * bands * number(p.source_rows) * 20 +
                        planes * number(g.h.output * g.w.output * g.h.kernel) * (number(g.w.kernel) * vector + 0.5) +
                        planes * bands * number(g.h.kernel * g.w.kernel) * 12;
  return 1e-6 + number(blocks) * seconds_of(number(s.batch) * cycles + number(g.taps()) * 20, m);
}

// Turning, and a load and a multiply-add for every tap of every result; what begins with every row, run of columns and task.
template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const int64_t lanes = CONVOY_DISPATCH(ChannelsLanes)(), blocks = s.batch * ((s.in_channels + lanes - 1) / lanes);
  const depthwise::Geometry g = depthwise::geometry(s, kDirection);
  const double turned = number(g.input_positions() + g.output_positions() + g.taps());
  const double row_taps = g.d.pairs() * g.h.pairs(), rows = number(g.d.output * g.h.output);
  double runs = number(g.phases());  // of columns with the same taps: they are short at the borders, and wait for their own sums
  for (int64_t k = 0; k < s.axes[2].kernel_size; ++k) {
    const shape::Range inside = shape::valid_outputs(k, s.input[2], s.output[2], s.axes[2]);
    runs += (inside.begin > 0 ? 1 : 0) + (inside.end < s.output[2] ? 1 : 0);
  }
  const double cycles = turned * number(lanes) * 0.6 + row_taps * (g.w.pairs() * 1.5 + 8) + rows * runs * 40 + 350;
  // Fewer channels than lanes are turned one by one.
  const double share = s.in_channels < lanes ? 1.2 : s.axes[2].stride > 1 ? 0.6 : 0.7;
  return 1e-6 + number(blocks) * m.with_eight_lanes(share) * seconds_of(cycles, m) / m.threads;
}

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  return CONVOY_DISPATCH(ChannelsWorkspace)(s, kDirection, threads);
}

}  // namespace

const ConvKernel kConvDepthwiseChannelsForward{.name = "conv_depthwise_channels",
                                               .direction = Direction::kForward,
                                               .refuse = refuse<Direction::kForward>,
                                               .seconds = seconds<Direction::kForward>,
                                               .workspace_bytes = workspace_bytes<Direction::kForward>,
                                               .forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) {
                                                 CONVOY_DISPATCH(ChannelsForward)(s, io, w);
                                               }};

const ConvKernel kConvDepthwiseChannelsGradInput{
    .name = "conv_depthwise_channels",
    .direction = Direction::kGradInput,
    .refuse = refuse<Direction::kGradInput>,
    .seconds = seconds<Direction::kGradInput>,
    .workspace_bytes = workspace_bytes<Direction::kGradInput>,
    .grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
      CONVOY_DISPATCH(ChannelsGradInput)
      (s, io, w);
    }};

const ConvKernel kConvDepthwiseChannelsGradWeight{
    .name = "conv_depthwise_channels",
    .direction = Direction::kGradWeight,
    .refuse = refuse_grad_weight,
    .seconds = seconds_grad_weight,
    .workspace_bytes = [](const ConvShape& s, int threads) { return CONVOY_DISPATCH(ChannelsWeightWorkspace)(s, threads); },
    .grad_weight =
        [](const ConvShape& s, const ConvGradWeight<float>& io, Workspace& w) {
          CONVOY_DISPATCH(ChannelsGradWeight)
          (s, io, w);
        }};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
