// The weight gradient with one input channel per group: sums over a whole plane for every tap.
//
// Lanes are output columns, and a lane's sum for a tap runs down the plane; lanes are added up at the end. A block of taps (up to
// 7 x 3) keeps its sums in registers over kRows output rows: each vector of input feeds all kernel rows that it lies under, each
// vector of the gradient all taps. A chain is cut after kChain sums, and those sums are added in double, so that no size drifts.
//
// oneDNN 2.6 has no kernel for 5x5 here (3.0 ms where its forward pass takes 0.06).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_depthwise_grad_weight.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/conv/conv_depthwise-inl.h"
#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise.h"

#include <algorithm>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_GRAD_WEIGHT_BLOCK
#define CONVOY_KERNELS_CONV_DEPTHWISE_GRAD_WEIGHT_BLOCK
namespace convoy::kernels::depthwise {

constexpr int64_t kSegment = 32;  // vectors of a row at a time: kRows of them stay below kChain

// Some output rows of one slice, and the input under them.
struct Block {
  const float* in;  // column 0 of the input row under tap row 0 of output row 0
  int64_t row_step;
  int64_t row_begin, row_end;  // the shared input rows that exist
  int64_t width;               // input columns outside [0, width) are zero
  const float* grad;           // [rows][columns]
  int64_t grad_step;
  int64_t begin, end;      // columns
  const int64_t* offsets;  // from an output's column to its input under tap column kw
  float* sums;             // [tap][kLanes]
  int64_t tap_columns;
};

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_GRAD_WEIGHT_BLOCK

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
using depthwise::Block;
using depthwise::kLanes;

// sums += over the block, for taps [kh, kh + kHeight) x [kw, kw + kWidth).
template <int kHeight, int kWidth, int kBlockRows, int kStep>
HWY_NOINLINE void AddTaps(const Block& b, int64_t kh, int64_t kw) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kHeight * kWidth], grad[kBlockRows];
  float* const at = b.sums + (kh * b.tap_columns + kw) * kLanes;
  Unroll<kHeight * kWidth>([&](auto i)
                               CONVOY_UNROLLED { sums[i] = hn::Load(d, at + (i / kWidth * b.tap_columns + i % kWidth) * kLanes); });
  const int64_t row_begin = b.row_begin - kh, row_end = b.row_end - kh;
  for (int64_t w = b.begin; w < b.end; w += lanes) {
    const Mask tail = hn::FirstN(d, static_cast<size_t>(std::min(lanes, b.end - w)));
    Mask masks[kWidth];
    Unroll<kWidth>([&](auto i) CONVOY_UNROLLED { masks[i] = hn::And(tail, InsideLanes(w + b.offsets[kw + i], b.width)); });
    Unroll<kBlockRows>([&](auto i) CONVOY_UNROLLED { grad[i] = LoadInside(tail, b.grad + i * b.grad_step + w); });
    const float* in = b.in + kh * b.row_step + w;
    Unroll<(kBlockRows - 1) * kStep + kHeight>([&](auto r) CONVOY_UNROLLED {
      if (r >= row_begin && r < row_end) {
        Unroll<kWidth>([&](auto i) CONVOY_UNROLLED {
          const V x = LoadInside(masks[i], in + b.offsets[kw + i]);
          Unroll<kHeight>([&](auto k) CONVOY_UNROLLED {
            constexpr int kDown = r - k, kRow = kDown / kStep, kSum = k * kWidth + i;
            if constexpr (kDown >= 0 && kDown % kStep == 0 && kRow < kBlockRows) sums[kSum] = hn::MulAdd(grad[kRow], x, sums[kSum]);
          });
        });
      }
      in += b.row_step;
    });
  }
  Unroll<kHeight * kWidth>([&](auto i)
                               CONVOY_UNROLLED { hn::Store(sums[i], d, at + (i / kWidth * b.tap_columns + i % kWidth) * kLanes); });
}

// All taps of one kernel slice.
template <int kBlockRows, int kStep>
HWY_INLINE void AddBlock(const Block& b, int64_t height) {
  int64_t kh = 0;
  while (kh < height) {
    const auto columns = [&](auto taps) HWY_ATTR {
      int64_t kw = 0;
      for (; b.tap_columns - kw >= 3; kw += 3) AddTaps<taps(), 3, kBlockRows, kStep>(b, kh, kw);
      if (b.tap_columns - kw == 2) AddTaps<taps(), 2, kBlockRows, kStep>(b, kh, kw);
      if (b.tap_columns - kw == 1) AddTaps<taps(), 1, kBlockRows, kStep>(b, kh, kw);
      kh += taps();
    };
    const int64_t left = height - kh;
    if (left >= 7) {
      columns(std::integral_constant<int, 7>());
    } else if (left >= 5) {
      columns(std::integral_constant<int, 5>());
    } else if (left >= 3) {
      columns(std::integral_constant<int, 3>());
    } else {
      columns(std::integral_constant<int, 1>());
    }
  }
}

// Pairs [begin, end) of an output channel and one of its group's input channels. scratch: sorted rows; sums: taps x kLanes; totals:
// taps; offsets: kernel columns.
HWY_ATTR void GradWeight(const ConvShape& s, const ConvGradWeight<float>& io, int64_t begin, int64_t end, float* scratch,
                         float* sums, double* totals, int64_t* offsets) {
  const D d;
  const Correlation c = depthwise::sorted_forward(s);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t taps = c.taps(), height = c.input[1], width = c.input[2], icg = s.in_channels_per_group(),
                ocg = s.out_channels_per_group();
  const int64_t spacing = c.row_spacing(), in_spacing = c.tiled() ? spacing : c.dilation[1], row_floats = c.sorted_row_floats();
  for (int64_t kw = 0; kw < c.kernel[2]; ++kw) {
    const int64_t column = kw * c.dilation[2];
    offsets[kw] = c.sorted() ? column % c.step[2] * c.phase_floats() + column / c.step[2] : column - c.pad[2];
  }
  const RowSorter sorter(c);
  std::fill(scratch, scratch + c.scratch_floats(), 0.0f);
  Block b;
  b.row_step = c.sorted() ? row_floats : in_spacing * width;
  b.width = c.sorted() ? int64_t{1} << 40 : width;
  b.grad_step = spacing * c.output[2];
  b.offsets = offsets;
  b.tap_columns = c.kernel[2];
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t oc = pair / icg, ic = oc / ocg * icg + pair % icg;
    int64_t chain = 0;
    std::fill(sums, sums + taps * kLanes, 0.0f);
    std::fill(totals, totals + taps, 0.0);
    const auto flush = [&]() HWY_ATTR {
      for (int64_t tap = 0; tap < taps; ++tap) {
        totals[tap] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sums + tap * kLanes))));
        hn::Store(hn::Zero(d), d, sums + tap * kLanes);
      }
      chain = 0;
    };
    for (int64_t n = 0; n < s.batch; ++n) {
      const float* input = io.input + (n * s.in_channels + ic) * c.input_positions();
      const float* grad = io.grad_output + (n * s.out_channels + oc) * c.output_positions();
      for (int64_t od = 0; od < c.output[0]; ++od) {
        for (int64_t row_class = 0; row_class < spacing; ++row_class) {
          int64_t rows = c.tile_rows();
          for (int64_t oh = row_class; oh < c.output[1]; oh += rows * spacing) {
            if (c.output[1] - oh <= (rows - 1) * spacing) rows = 1;  // the rows left over go one by one
            const int64_t ih = oh * c.step[1] - c.pad[1];
            const int64_t rows_under = (rows - 1) * (c.tiled() ? c.step[1] : 1) + c.kernel[1];
            b.row_begin = std::max<int64_t>(shape::ceil_div(-ih, in_spacing), 0);
            b.row_end =
                std::clamp<int64_t>(shape::ceil_div(height - ih, in_spacing), b.row_begin, std::max(rows_under, b.row_begin));
            b.grad = grad + (od * c.output[1] + oh) * c.output[2];
            for (int64_t kd = 0; kd < c.kernel[0]; ++kd) {
              const int64_t id = od * c.step[0] - c.pad[0] + kd * c.dilation[0];
              if (id < 0 || id >= c.input[0]) continue;
              b.in = input + (id * height + ih) * width;
              b.sums = sums + kd * c.kernel[1] * c.kernel[2] * kLanes;
              if (c.sorted()) {
                for (int64_t r = b.row_begin; r < b.row_end; ++r)
                  sorter.Sort(b.in + r * in_spacing * width, scratch + r * row_floats);
                b.in = scratch;
              }
              for (b.begin = 0; b.begin < c.output[2]; b.begin = b.end) {
                b.end = std::min(b.begin + depthwise::kSegment * lanes, c.output[2]);
                const int64_t steps = rows * ((b.end - b.begin + lanes - 1) / lanes);
                if (chain + steps > depthwise::kChain) flush();
                chain += steps;
                if (rows == 1) {
                  AddBlock<1, 1>(b, c.kernel[1]);
                } else if (c.step[1] == 1) {
                  AddBlock<depthwise::kRows, 1>(b, c.kernel[1]);
                } else {
                  AddBlock<depthwise::kRows, 2>(b, c.kernel[1]);
                }
              }
            }
          }
        }
      }
    }
    flush();
    for (int64_t tap = 0; tap < taps; ++tap) io.grad_weight[pair * taps + tap] = static_cast<float>(totals[tap]);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(GradWeight);

namespace {

template <bool kGrouped>
const char* refuse(const ConvShape& s) {
  if (!kGrouped && s.in_channels_per_group() != 1) return "needs one input channel per group";
  if (kGrouped && s.in_channels_per_group() == 1) return "needs more than one input channel per group";
  if (kGrouped && s.in_channels_per_group() > 64) return "needs few channels per group";
  if (s.output_positions() == 0 || s.input_positions() == 0) return "nothing to compute";
  constexpr int64_t kMostTaps = 1 << 14;
  if (depthwise::reaches_too_far(s) || s.taps() > kMostTaps) return "the kernel reaches too far";
  return depthwise::sorted_rows_fit(depthwise::sorted_forward(s)) ? nullptr : "the rows under one kernel do not fit the cache";
}

size_t workspace_bytes(const ConvShape& s, int threads) {
  const auto bytes = [&](int64_t count, size_t size) { return padded_bytes(static_cast<size_t>(count * threads) * size); };
  const int64_t taps = s.taps();
  return bytes(depthwise::sorted_forward(s).scratch_floats(), sizeof(float)) + bytes(taps * depthwise::kLanes, sizeof(float)) +
         bytes(taps, sizeof(double)) + bytes(s.axes[2].kernel_size, sizeof(int64_t));
}

// Vectors of output, each with a multiply-add for every tap; blocks of taps read the gradient again; sums are put away per block.
double seconds(const ConvShape& s, const Machine& m) {
  const depthwise::Correlation c = depthwise::sorted_forward(s);
  const double vectors = static_cast<double>(s.batch * s.out_channels * s.in_channels_per_group()) *
                         static_cast<double>(c.output[0] * c.output[1]) * static_cast<double>((c.output[2] + 15) / 16);
  const double sorted = c.sorted() ? 2.0 * static_cast<double>(c.step[1]) : 0;
  const double tap = c.tiled() ? 0.5e-9 : 1.2e-9;
  return 1e-6 + vectors * (static_cast<double>(c.taps()) * tap + 3e-9 + sorted * 4e-9) * 96e9 / m.flops_per_second +
         static_cast<double>(s.weight_count()) * 20e-9;
}

void grad_weight(const ConvShape& s, const ConvGradWeight<float>& io, Workspace& workspace) {
  const int threads = num_threads();
  const int64_t scratch_floats = depthwise::sorted_forward(s).scratch_floats(), taps = s.taps(), columns = s.axes[2].kernel_size;
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
    HWY_DYNAMIC_DISPATCH(GradWeight)
    (s, io, task * grain, std::min(pairs, (task + 1) * grain), scratch + thread * scratch_floats,
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
