// The weight gradient with few channels per group: sums over a whole plane for every tap.
//
// Lanes are output columns, and a lane's sum for a tap runs down the plane; lanes are added up at the end. A block of taps (up to
// 5 x 3) keeps its sums in registers over kRows output rows: each vector of input feeds all kernel rows that it lies under, each
// vector of the gradient all taps. Rows of a block, and the tap rows that go with them, are as far apart as lets them share input
// rows (AxisGeometry), so that no stride or dilation needs code of its own. A chain is cut after kChain sums, and those sums are
// added in double, so that no size drifts.
//
// oneDNN 2.6 has no kernel for 5x5 here (3.0 ms where its forward pass takes 0.06).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_depthwise_grad_weight.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/conv/conv_depthwise_rows-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise.h"

#include <algorithm>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_GRAD_WEIGHT_BLOCK
#define CONVOY_KERNELS_CONV_DEPTHWISE_GRAD_WEIGHT_BLOCK
namespace convoy::kernels::depthwise {

constexpr int64_t kSegment = 32;  // vectors of a row at a time: kRows of them stay below kChain

// Some output rows of one slice, the input under them, and a class of tap rows.
struct Block {
  const float* in;  // column 0 of the input row under the first tap row of the first output row
  int64_t row_step;
  int64_t row_begin, row_end;  // the input rows that exist
  int64_t width;               // input columns outside [0, width) are zero
  const float* grad;           // [output_rows][columns]
  int64_t grad_step;
  int64_t output_rows;
  int64_t begin, end;      // columns
  const int64_t* offsets;  // from an output's column to its input under tap column kw
  float* sums;             // [tap][kLanes], from the first tap row on
  int64_t tap_columns, tap_row_step;
};

// Some output rows, and a class of tap rows: the same in every plane.
struct RowBlock {
  int64_t out_row, out_rows, in_row;  // in_row: under the first tap row of the first output row
  int64_t row_begin, row_end;         // the input rows that exist, from there on
  int64_t first_tap, taps;
  int64_t scratch_row;  // where input row 0 is sorted to
};

// How planes are cut into blocks, and how rows are read: strided columns are sorted into phases first, one row of scratch memory
// for each input row under a block.
struct WeightPlan {
  Geometry g;
  int64_t rows;  // of a block; planes of one or two rows take them one by one: there is nothing to share
  int64_t phase_floats = 0, row_floats = 0;

  explicit WeightPlan(const ConvShape& s) : g(geometry(s, Direction::kForward)), rows(g.h.most_outputs() > 2 ? kRows : 1) {
    if (!g.strided()) return;
    phase_floats = round_up(g.w.output + (g.w.kernel - 1) * g.w.dilation / g.w.stride, kLanes);
    row_floats = g.sorted_phases() * phase_floats;
  }
  int64_t class_rows() const { return kRows - 1 + g.h.most_taps(); }
  int64_t scratch_floats() const { return g.h.tap_classes() * class_rows() * row_floats; }
  int64_t most_blocks() const { return g.h.output_classes() * ((g.h.most_outputs() + rows - 1) / rows) * g.h.tap_classes(); }
  // Returns their number.
  int64_t make_blocks(RowBlock* blocks) const {
    const int64_t spacing = g.h.spacing(), step = g.h.input_step();
    int64_t count = 0;
    for (int64_t row_class = 0; row_class < g.h.output_classes(); ++row_class) {
      for (int64_t oh = row_class; oh < g.h.output; oh += rows * spacing) {
        const int64_t out_rows = std::min(rows, (g.h.output - oh + spacing - 1) / spacing);
        for (int64_t c = 0; c < g.h.tap_classes(); ++c) {
          const Taps taps = g.h.taps(oh, c);
          const int64_t under = out_rows - 1 + taps.count;
          const int64_t begin = std::clamp<int64_t>(shape::ceil_div(-taps.input, step), 0, under);
          const int64_t end = std::clamp<int64_t>(shape::ceil_div(g.h.input - taps.input, step), begin, under);
          if (begin < end) blocks[count++] = {oh, out_rows, taps.input, begin, end, taps.tap, taps.count, c * class_rows()};
        }
      }
    }
    return count;
  }
};

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_GRAD_WEIGHT_BLOCK

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
using depthwise::Block;
using depthwise::Geometry;
using depthwise::kLanes;
using depthwise::kRows;
using depthwise::RowBlock;
using depthwise::WeightPlan;

// sums += over the block, for kHeight tap rows of the class from `first` on and columns [kw, kw + kWidth).
template <int kHeight, int kWidth, int kBlockRows>
HWY_NOINLINE void AddTaps(const Block& b, int64_t first, int64_t kw) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kHeight * kWidth], grad[kBlockRows];
  float* const at = b.sums + first * b.tap_row_step * kLanes + kw * kLanes;
  const auto sum_at = [&](auto i) HWY_ATTR { return at + (i / kWidth * b.tap_row_step + i % kWidth) * kLanes; };
  Unroll<kHeight * kWidth>([&](auto i) CONVOY_UNROLLED { sums[i] = hn::Load(d, sum_at(i)); });
  const int64_t row_begin = b.row_begin - first, row_end = b.row_end - first;
  for (int64_t w = b.begin; w < b.end; w += lanes) {
    const Mask tail = hn::FirstN(d, static_cast<size_t>(std::min(lanes, b.end - w)));
    Mask masks[kWidth];
    Unroll<kWidth>([&](auto i) CONVOY_UNROLLED {
      const int64_t column = w + b.offsets[kw + i];
      masks[i] = column >= 0 && column + lanes <= b.width ? tail : hn::And(tail, InsideLanes(column, b.width));
    });
    Unroll<kBlockRows>([&](auto i) CONVOY_UNROLLED {
      grad[i] = i < b.output_rows ? LoadInside(tail, b.grad + i * b.grad_step + w) : hn::Zero(d);
    });
    const float* in = b.in + first * b.row_step + w;
    Unroll<kBlockRows - 1 + kHeight>([&](auto r) CONVOY_UNROLLED {
      if (r >= row_begin && r < row_end) {
        Unroll<kWidth>([&](auto i) CONVOY_UNROLLED {
          const V x = LoadInside(masks[i], in + b.offsets[kw + i]);
          Unroll<kHeight>([&](auto k) CONVOY_UNROLLED {
            constexpr int kRow = r - k, kSum = k * kWidth + i;
            if constexpr (kRow >= 0 && kRow < kBlockRows) sums[kSum] = hn::MulAdd(grad[kRow], x, sums[kSum]);
          });
        });
      }
      in += b.row_step;
    });
  }
  Unroll<kHeight * kWidth>([&](auto i) CONVOY_UNROLLED { hn::Store(sums[i], d, sum_at(i)); });
}

template <int kHeight, int kBlockRows>
HWY_INLINE void AddRows(const Block& b, int64_t first) {
  int64_t kw = 0;
  for (; b.tap_columns - kw >= 3; kw += 3) AddTaps<kHeight, 3, kBlockRows>(b, first, kw);
  if (b.tap_columns - kw == 2) AddTaps<kHeight, 2, kBlockRows>(b, first, kw);
  if (b.tap_columns - kw == 1) AddTaps<kHeight, 1, kBlockRows>(b, first, kw);
}

// All `taps` tap rows of the class. Plain C++ has no vectors to gain from blocks.
HWY_INLINE void AddBlock(const Block& b, int64_t taps) {
  for (int64_t first = 0; first < taps;) {
    if (b.output_rows == 1 || HWY_TARGET == HWY_SCALAR) {
      AddRows<1, HWY_TARGET == HWY_SCALAR ? kRows : 1>(b, first);
      ++first;
      continue;
    }
#if HWY_TARGET != HWY_SCALAR
    const int64_t left = taps - first;
    if (left >= 5) {
      AddRows<5, kRows>(b, first);
      first += 5;
    } else if (left >= 3) {
      AddRows<3, kRows>(b, first);
      first += 3;
    } else if (left == 2) {
      AddRows<2, kRows>(b, first);
      first += 2;
    } else {
      AddRows<1, kRows>(b, first);
      ++first;
    }
#endif
  }
}

// Pairs [begin, end) of an output channel and one of its group's input channels.
class WeightGradient {
 public:
  // scratch: sorted rows; sums: taps x kLanes; totals: taps; offsets: kernel columns.
  WeightGradient(const WeightPlan& plan, const RowBlock* blocks, int64_t count, float* scratch, float* sums, double* totals,
                 int64_t* offsets)
      : plan_(plan), g_(plan.g), blocks_(blocks), count_(count), scratch_(scratch), sums_(sums), totals_(totals) {
    for (int64_t kw = 0; kw < g_.w.kernel; ++kw) {
      const int64_t column = kw * g_.w.dilation;
      offsets[kw] = g_.strided() ? column % g_.w.stride * plan.phase_floats + column / g_.w.stride : column - g_.w.pad;
    }
    if (g_.strided()) sorter_.Make(-g_.w.pad, g_.w.stride, g_.w.input, plan.phase_floats);
    block_.row_step = g_.strided() ? plan.row_floats : g_.h.input_step() * g_.w.input;
    block_.width = g_.strided() ? int64_t{1} << 40 : g_.w.input;
    block_.grad_step = g_.h.spacing() * g_.w.output;
    block_.offsets = offsets;
    block_.tap_columns = g_.w.kernel;
    block_.tap_row_step = g_.h.tap_step() * g_.w.kernel;
  }

  HWY_ATTR void Run(const ConvShape& s, const ConvGradWeight<float>& io, int64_t begin, int64_t end) {
    const int64_t icg = s.in_channels_per_group(), ocg = s.out_channels_per_group(), taps = g_.taps();
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t oc = pair / icg, ic = oc / ocg * icg + pair % icg;
      chain_ = 0;
      std::fill(sums_, sums_ + taps * kLanes, 0.0f);
      std::fill(totals_, totals_ + taps, 0.0);
      for (int64_t n = 0; n < s.batch; ++n) {
        AddPlane(io.input + (n * s.in_channels + ic) * g_.input_positions(),
                 io.grad_output + (n * s.out_channels + oc) * g_.output_positions());
      }
      PutAway();
      for (int64_t tap = 0; tap < taps; ++tap) io.grad_weight[pair * taps + tap] = static_cast<float>(totals_[tap]);
    }
  }

 private:
  HWY_INLINE void AddPlane(const float* input, const float* grad) {
    for (int64_t od = 0; od < g_.d.output; ++od) {
      for (int64_t kd = 0; kd < g_.d.kernel; ++kd) {
        const int64_t id = g_.d.input_of(od, kd);
        if (id < 0) continue;
        const float* const slice = input + id * g_.h.input * g_.w.input;
        for (int64_t i = 0; i < count_; ++i) {
          const RowBlock& rows = blocks_[i];
          if (g_.strided() && (i == 0 || rows.out_row != blocks_[i - 1].out_row)) SortRows(i, slice);
          block_.in = g_.strided() ? scratch_ + rows.scratch_row * plan_.row_floats : slice + rows.in_row * g_.w.input;
          block_.grad = grad + (od * g_.h.output + rows.out_row) * g_.w.output;
          block_.sums = sums_ + (kd * g_.h.kernel + rows.first_tap) * g_.w.kernel * kLanes;
          AddRowBlock(rows);
        }
      }
    }
  }

  // For all blocks with the output rows of block i: what has just been stored loads slowly. In the order of memory.
  HWY_INLINE void SortRows(int64_t i, const float* slice) {
    const int64_t phases = g_.sorted_phases(), step = g_.h.input_step() * g_.w.input;
    int64_t end = i, last = 0;
    for (; end < count_ && blocks_[end].out_row == blocks_[i].out_row; ++end) last = std::max(last, blocks_[end].row_end);
    for (int64_t r = 0; r < last; ++r) {
      for (int64_t j = i; j < end; ++j) {
        const RowBlock& rows = blocks_[j];
        if (r < rows.row_begin || r >= rows.row_end) continue;
        sorter_.Sort(slice + rows.in_row * g_.w.input + r * step, phases, plan_.phase_floats,
                     scratch_ + (rows.scratch_row + r) * plan_.row_floats);
      }
    }
  }

  HWY_INLINE void AddRowBlock(const RowBlock& rows) {
    block_.output_rows = rows.out_rows;
    block_.row_begin = rows.row_begin;
    block_.row_end = rows.row_end;
    constexpr auto kVector = static_cast<int64_t>(HWY_LANES(float));
    for (block_.begin = 0; block_.begin < g_.w.output; block_.begin = block_.end) {
      block_.end = std::min(block_.begin + depthwise::kSegment * kVector, g_.w.output);
      const int64_t steps = rows.out_rows * ((block_.end - block_.begin + kVector - 1) / kVector);
      if (chain_ + steps > depthwise::kChain) PutAway();
      chain_ += steps;
      AddBlock(block_, rows.taps);
    }
  }

  HWY_INLINE void PutAway() {
    const D d;
    for (int64_t tap = 0; tap < g_.taps(); ++tap) {
      totals_[tap] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sums_ + tap * kLanes))));
      hn::Store(hn::Zero(d), d, sums_ + tap * kLanes);
    }
    chain_ = 0;
  }

  const WeightPlan& plan_;
  const Geometry& g_;
  const RowBlock* const blocks_;
  const int64_t count_;
  float* const scratch_;
  float* const sums_;
  double* const totals_;
  int64_t chain_ = 0;
  RowSorter sorter_;
  Block block_;
};

HWY_ATTR void GradWeight(const ConvShape& s, const ConvGradWeight<float>& io, const WeightPlan& plan, const RowBlock* blocks,
                         int64_t count, int64_t begin, int64_t end, float* scratch, float* sums, double* totals, int64_t* offsets) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  WeightGradient(plan, blocks, count, scratch, sums, totals, offsets).Run(s, io, begin, end);
}

int64_t GradWeightLanes() { return HWY_LANES(float); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(GradWeight);
CONVOY_EXPORT(GradWeightLanes);

namespace {

template <bool kGrouped>
const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (!kGrouped && s.in_channels_per_group() != 1) return "needs one input channel per group";
  if (kGrouped && s.in_channels_per_group() == 1) return "needs more than one input channel per group";
  if (kGrouped && s.in_channels_per_group() > 64 && s.out_channels_per_group() > 16) return "needs few channels per group";
  if (s.output_positions() == 0 || s.input_positions() == 0) return "nothing to compute";
  constexpr int64_t kMostTaps = 1 << 14;
  if (depthwise::reaches_too_far(s) || s.taps() > kMostTaps) return "the kernel reaches too far";
  const depthwise::Geometry g = depthwise::geometry(s, Direction::kForward);
  // In double: the counts themselves might overflow.
  constexpr double kMostFloats = 1 << 18;
  const double reach = static_cast<double>(g.w.kernel - 1) * static_cast<double>(g.w.dilation) / static_cast<double>(g.w.stride);
  const double row = static_cast<double>(g.sorted_phases()) * (static_cast<double>(g.w.output) + reach + 2 * depthwise::kLanes);
  const bool fit =
      !g.strided() || static_cast<double>(g.h.tap_classes() * (depthwise::kRows - 1 + g.h.most_taps())) * row < kMostFloats;
  return fit ? nullptr : "the rows under one kernel do not fit the cache";
}

size_t workspace_bytes(const ConvShape& s, int threads) {
  const auto bytes = [&](int64_t count, size_t size) { return padded_bytes(static_cast<size_t>(count * threads) * size); };
  const int64_t taps = s.taps();
  const depthwise::WeightPlan plan(s);
  return padded_bytes(static_cast<size_t>(plan.most_blocks()) * sizeof(depthwise::RowBlock)) +
         bytes(plan.scratch_floats(), sizeof(float)) + bytes(taps * depthwise::kLanes, sizeof(float)) +
         bytes(taps, sizeof(double)) + bytes(s.axes[2].kernel_size, sizeof(int64_t));
}

// Vectors of output, each with a multiply-add for every tap; blocks of taps read the gradient again; sums are put away per block.
double seconds(const ConvShape& s, const Machine& m) {
  const depthwise::WeightPlan plan(s);
  const depthwise::Geometry& g = plan.g;
  const int64_t lanes = CONVOY_DISPATCH(GradWeightLanes)();
  const double vectors = static_cast<double>(s.batch * s.out_channels * s.in_channels_per_group()) *
                         static_cast<double>(g.d.output * g.h.output) * static_cast<double>((g.w.output + lanes - 1) / lanes);
  // Rows are sorted, for every depth tap anew; columns of every third or fourth value one by one.
  const double sorting = (g.w.stride > 2 ? 2.2 : 1.0) * (g.d.kernel > 1 ? 2.5 : 1.0) * (2 * g.w.output <= lanes ? 1.6 : 1.0);
  const double sorted = g.strided() ? 2.0 * static_cast<double>(g.h.stride) * sorting : 0;
  // Channels that share the gradient of a plane find it in the first cache.
  const bool shared = s.in_channels_per_group() > 1 && plan.rows > 1 && g.d.kernel == 1 && g.w.output >= lanes;
  const double tap = shared ? 0.38e-9 : plan.rows > 1 ? 0.5e-9 : 1.2e-9, begin = shared ? (g.taps() == 1 ? 2.1e-9 : 1.5e-9) : 3e-9;
  return 1e-6 + vectors * (static_cast<double>(g.taps()) * tap + begin + sorted * 4e-9) * 96e9 / m.flops_per_second +
         static_cast<double>(s.weight_count()) * 10e-9;
}

void grad_weight(const ConvShape& s, const ConvGradWeight<float>& io, Workspace& workspace) {
  const int threads = num_threads();
  const depthwise::WeightPlan plan(s);
  const int64_t scratch_floats = plan.scratch_floats(), taps = s.taps(), columns = s.axes[2].kernel_size;
  auto* const blocks = workspace.take<depthwise::RowBlock>(plan.most_blocks());
  const int64_t count = plan.make_blocks(blocks);
  float* const scratch = workspace.take<float>(scratch_floats * threads);
  float* const sums = workspace.take<float>(taps * depthwise::kLanes * threads);
  double* const totals = workspace.take<double>(taps * threads);
  int64_t* const offsets = workspace.take<int64_t>(columns * threads);
  const double work = static_cast<double>(s.batch * s.output_positions() + 100) * static_cast<double>(taps);
  constexpr double kTaskWork = 400e3;  // multiply-adds
  const int64_t pairs = s.out_channels * s.in_channels_per_group();
  if (pairs == 0) return;
  const int64_t grain = std::clamp<int64_t>(static_cast<int64_t>(kTaskWork / work), 1, (pairs + 3) / 4);
  parallel_for((pairs + grain - 1) / grain, [&](int64_t task, int thread) {
    CONVOY_DISPATCH(GradWeight)
    (s, io, plan, blocks, count, task * grain, std::min(pairs, (task + 1) * grain), scratch + thread * scratch_floats,
     sums + thread * taps * depthwise::kLanes, totals + thread * taps, offsets + thread * columns);
  });
}

}  // namespace

const ConvKernel kConvDepthwiseGradWeight{.name = "conv_depthwise",
                                          .direction = Direction::kGradWeight,
                                          .refuse = refuse<false>,
                                          .seconds = seconds,
                                          .workspace_bytes = workspace_bytes,
                                          .grad_weight = grad_weight};

const ConvKernel kConvGroupedGradWeight{.name = "conv_grouped",
                                        .direction = Direction::kGradWeight,
                                        .refuse = refuse<true>,
                                        .seconds = seconds,
                                        .workspace_bytes = workspace_bytes,
                                        .grad_weight = grad_weight};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
