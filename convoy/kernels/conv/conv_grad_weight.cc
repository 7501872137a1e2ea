// grad_weight[oc][ic][tap] = sum over images and output pixels of grad_output[oc][pixel] input[ic][pixel * stride + tap's offset].
//
// Lanes are output channels: a block of at most kBlock pixels of grad_output is transposed once to [pixel][oc], so that one vector
// holds the channels of one pixel; the input is broadcast straight from its NCHW rows, one pointer per row of the register tile.
// kRows weights x two vectors are summed in registers over the whole block and then added to sums that stay in L2. What lies in
// the padding is not multiplied: every tap has its own list of runs (parts of rows inside the input).
//
// With fewer input channels than kRows the rows of the tile are (channel, tap) pairs, which start at different borders, so the
// rows are first copied with their padding, shared by the taps of a kernel row.
//
// Measured on an Intel core with two 512-bit FMA pipes: the tile alone, its data in L1, 82 to 85 % of the peak (8 x 3 and 6 x 4
// tiles do not gain once their panels leave L1); whole layers 65 to 80 % with 3x3 kernels, 53 to 75 % with 1x1, where transposing
// grad_output takes a fifth of 64 -> 256 channels at 56x56, and 42 to 52 % where 49 pixels meet large weights. Lanes = pixels
// (conv_im2col's) needs no transposition but loads as many vectors as it multiplies and sums its lanes at the end: 12 to 54 %.
//
// A 1x1 layer is the same with both sides exchanged, so the one whose pixels are turned less often is: lanes are input channels
// where that costs less (64 -> 256 channels, 8 samples of 56x56: 64 channels are turned instead of 256, 4.3 -> 3.9 ms).
//
// On Zen 4 the tile runs at the peak, its panels from L2; what is lost is transposing and waiting for planes (10 to 20 % of a 1x1
// layer). Tried there, and lost: copies of a strided 1x1 layer's pixels, a block at a time (runs of 28 pixels cost a third more
// than one long one, but gathering waits for memory as long, which the tile hides), and 256 output channels a task.
//
// The order of summation follows from the shape: kBlock terms in a chain, blocks in order, parts of the batch in order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_grad_weight.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_grad_weight-inl.h"
#include "convoy/kernels/conv/conv_grad_weight.h"
#include "convoy/kernels/dispatch-inl.h"

#include <algorithm>
#include <array>
#include <utility>

#include "convoy/core/parallel.h"
#include "convoy/shape/taps.h"

#ifndef CONVOY_KERNELS_CONV_GRAD_WEIGHT_GEOMETRY
#define CONVOY_KERNELS_CONV_GRAD_WEIGHT_GEOMETRY
namespace convoy::kernels::grad_weight {

constexpr int64_t kBlock = 256;      // terms of a chain; 256 pixels x 32 channels are 32 KiB
constexpr int64_t kOutBlock = 64;    // output channels of a task; twice as many of a 1x1 layer, and of copies of short rows
constexpr int64_t kSums = 48 << 10;  // floats of a task's sums: 192 KiB of L2
constexpr int64_t kMostIns = 256;    // input channels of a task
constexpr int64_t kTasks = 16;       // with fewer, the pixels are cut into parts with sums of their own
constexpr int64_t kFewestTasks = 2;  // even if parts are short, but for layers of
constexpr int64_t kShortRow = 32;    // pixels
constexpr double kSmall = 1e6;       // multiply-adds, which take 10 microseconds
constexpr int64_t kTapsPerList = 9;
constexpr int64_t kLargestScratch = 4 << 20;

// How the work is cut. All of it follows from the shape and the instruction set (rows of the tile, channels of a panel).
struct Cut {
  shape::Spatial in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, pad{0, 0, 0};
  int64_t batch = 0, groups = 1, ins = 0, outs = 0, taps = 1;
  int64_t panel = 0, panels = 0, panels_per_task = 1, out_tasks = 0;
  bool turned = false;  // lanes are input channels: `ins` are the layer's output channels, `outs` its input channels
  bool copies = false;  // rows of the tile are (channel, tap) pairs over copied rows
  int64_t ins_per_task = 0, in_tasks = 0;
  int64_t segments = 1, segment = 0;  // of an output row, and pixels of one
  int64_t units = 0, units_per_block = 1, blocks = 0, parts = 1;
  int64_t taps_per_list = 1;  // taps whose runs are listed together
  // Copies: one per kernel row, or one per tap where the taps of a row lie far apart.
  int64_t copies_per_row = 1, copy_width = 0;
  int64_t gather_step = 1, copy_step = 1;  // pixels between neighbours of a copy, and of a run in it

  int64_t depth() const { return ins * taps; }
  int64_t in_positions() const { return in[0] * in[1] * in[2]; }
  int64_t out_positions() const { return out[0] * out[1] * out[2]; }
  int64_t tasks() const { return groups * out_tasks * in_tasks; }
  int64_t sums_floats() const { return panels_per_task * panel * ins_per_task * taps; }
  int64_t copy_rows() const { return ins * kernel[0] * kernel[1] * copies_per_row; }
  int64_t block_pixels() const { return units_per_block * segment; }
  int64_t copy_floats() const { return copies ? copy_rows() * copy_width * units_per_block : 0; }
  int64_t packed_floats() const { return panels_per_task * panel * block_pixels(); }
  // Pixels before unit u, images counted through.
  int64_t position(int64_t u) const { return u / segments * out[2] + u % segments * segment; }
  int64_t list_runs() const { return taps_per_list * units_per_block; }
  int64_t part_floats() const { return groups * panels * panel * depth(); }
};

inline int64_t even_part(int64_t count, int64_t most) {
  const int64_t parts = std::max<int64_t>(shape::ceil_div(count, std::max<int64_t>(most, 1)), 1);
  return shape::ceil_div(count, parts);
}

inline Cut make_cut(const ConvShape& s, int64_t rows, int64_t panel) {
  Cut c;
  c.batch = s.batch;
  c.groups = s.groups;
  c.ins = s.in_channels_per_group();
  c.outs = s.out_channels_per_group();
  c.taps = s.taps();
  bool pointwise = true;
  for (size_t a = 0; a < 3; ++a) {
    const shape::Axis& axis = s.axes[a];
    c.kernel[a] = axis.kernel_size;
    c.stride[a] = axis.stride;
    c.dilation[a] = axis.dilation;
    c.pad[a] = axis.pad_begin;
    pointwise = pointwise && axis.kernel_size == 1 && axis.stride == 1 && axis.pad_begin == 0 && s.input[a] == s.output[a];
  }
  const auto turns = [](int64_t lanes, int64_t broadcast) { return lanes * shape::ceil_div(broadcast, kMostIns); };
  c.turned = pointwise && s.groups == 1 && c.ins % panel == 0 && c.ins > 0 && 2 * turns(c.ins, c.outs) <= turns(c.outs, c.ins);
  if (c.turned) std::swap(c.ins, c.outs);
  c.in = pointwise ? shape::Spatial{1, 1, s.input_positions()} : s.input;
  c.out = pointwise ? c.in : s.output;
  c.panel = panel;
  c.panels = shape::ceil_div(c.outs, panel);
  c.copies = c.ins < rows;
  const double products = static_cast<double>(s.batch * s.output_positions()) * static_cast<double>(c.depth() * s.out_channels);
  const bool many = pointwise || (c.copies && c.out[2] <= kShortRow && products > 4 * kSmall);
  c.panels_per_task = even_part(c.panels, std::max<int64_t>(kOutBlock * (many ? 2 : 1) / panel, 1));
  c.out_tasks = shape::ceil_div(c.panels, std::max<int64_t>(c.panels_per_task, 1));
  if (c.copies) {
    c.ins_per_task = c.ins;
    c.in_tasks = std::min<int64_t>(c.ins, 1);
  } else {
    const int64_t most = std::clamp<int64_t>(kSums / (c.panels_per_task * panel * c.taps), rows, kMostIns);
    c.ins_per_task = shape::ceil_div(even_part(c.ins, most), rows) * rows;
    c.in_tasks = shape::ceil_div(c.ins, c.ins_per_task);
  }
  c.segment = std::max<int64_t>(even_part(c.out[2], kBlock), 1);
  c.segments = shape::ceil_div(c.out[2], c.segment);
  c.units = c.batch * c.out[0] * c.out[1] * c.segments;
  // A layer must not become one task for one thread: then blocks are smaller, and a part may be a single one.
  const int64_t fewest = products < kSmall ? 1 : kFewestTasks / std::max<int64_t>(c.tasks(), 1);
  const int64_t most_units = std::min(kBlock / c.segment, shape::ceil_div(c.units, std::max<int64_t>(fewest, 1)));
  c.units_per_block = c.segments > 1 ? 1 : std::max<int64_t>(even_part(c.units, most_units), 1);
  c.blocks = shape::ceil_div(c.units, c.units_per_block);
  const int64_t most_parts = std::max(c.blocks / 2, std::min(c.blocks, fewest));
  c.parts = std::clamp<int64_t>(kTasks / std::max<int64_t>(c.tasks(), 1), 1, std::max<int64_t>(most_parts, 1));
  if (!c.copies) c.taps_per_list = std::min(kTapsPerList, std::max<int64_t>(c.taps, 1));
  if (c.copies) {
    const int64_t reach = (c.kernel[2] - 1) * c.dilation[2];
    const bool shared = c.stride[2] <= 4 && reach <= 64;
    c.copies_per_row = shared ? 1 : c.kernel[2];
    c.copy_step = shared ? c.stride[2] : 1;
    c.gather_step = shared ? 1 : c.stride[2];
    c.copy_width = (c.segment - 1) * c.copy_step + 1 + (shared ? reach : 0);
  }
  return c;
}

// Where the runs of one tap lie, for the units [begin, end). Returns their number.
inline int64_t find_runs(const Cut& c, int64_t channels, int64_t tap_index, int64_t begin, int64_t end,
                         grad_weight_tile::Run* runs) {
  const shape::Spatial tap{tap_index / c.kernel[2] / c.kernel[1], tap_index / c.kernel[2] % c.kernel[1], tap_index % c.kernel[2]};
  int64_t count = 0, y = 0;
  int64_t segment = begin % c.segments, row = begin / c.segments;
  int64_t h = row % c.out[1], d = row / c.out[1] % c.out[0], n = row / c.out[1] / c.out[0];
  for (int64_t u = begin; u < end; ++u) {
    const int64_t w = segment * c.segment, length = std::min(c.segment, c.out[2] - w);
    const int64_t id = d * c.stride[0] + tap[0] * c.dilation[0] - c.pad[0],
                  ih = h * c.stride[1] + tap[1] * c.dilation[1] - c.pad[1];
    if (id >= 0 && id < c.in[0] && ih >= 0 && ih < c.in[1]) {
      const int64_t iw = w * c.stride[2] + tap[2] * c.dilation[2] - c.pad[2];
      const int64_t first = iw < 0 ? std::min(shape::ceil_div(-iw, c.stride[2]), length) : 0;
      const int64_t last = iw < c.in[2] ? std::min(shape::ceil_div(c.in[2] - iw, c.stride[2]), length) : 0;
      if (last > first) {
        runs[count++] = {(n * channels * c.in[0] + id) * c.in[1] * c.in[2] + ih * c.in[2] + iw + first * c.stride[2], y + first,
                         last - first};
      }
    }
    y += length;
    if (++segment == c.segments) {
      segment = 0;
      if (++h == c.out[1]) {
        h = 0;
        if (++d == c.out[0]) {
          d = 0;
          ++n;
        }
      }
    }
  }
  return count;
}

}  // namespace convoy::kernels::grad_weight
#endif  // CONVOY_KERNELS_CONV_GRAD_WEIGHT_GEOMETRY

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using namespace grad_weight_tile;
using grad_weight::Cut;

// grad_output of the pixels [begin, begin + count) (images counted through) and the channels from `out` on to
// [panel][pixel][channel].
HWY_INLINE void PackGradOutput(const Cut& c, const float* grad_output, int64_t channels, int64_t group, int64_t first_panel,
                               int64_t panels, int64_t begin, int64_t count, float* packed) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>())), positions = c.out_positions();
  for (int64_t p = 0; p < panels; ++p) {
    float* panel = packed + p * c.panel * count;
    for (int64_t done = 0; done < count;) {
      const int64_t n = (begin + done) / positions, at = (begin + done) % positions,
                    length = std::min(positions - at, count - done);
      for (int64_t v = 0; v < c.panel; v += lanes) {
        const int64_t out = (first_panel + p) * c.panel + v;
        if (out >= c.outs) break;
        TransposeColumns(grad_output + (n * channels + group * c.outs + out) * positions + at, positions,
                         std::min(lanes, c.outs - out), length, panel + done * c.panel + v, c.panel);
      }
      done += length;
    }
  }
}

// Rows of the input with their padding, for the units [begin, end): [unit][copy][copy_width].
HWY_INLINE void CopyInput(const Cut& c, const float* input, int64_t channels, int64_t group, int64_t begin, int64_t end,
                          float* copies) {
  for (int64_t u = begin; u < end; ++u) {
    const int64_t row = u / c.segments, w = u % c.segments * c.segment;
    const int64_t h = row % c.out[1], d = row / c.out[1] % c.out[0], n = row / c.out[1] / c.out[0];
    const float* image = input + (n * channels + group * c.ins) * c.in_positions();
    for (int64_t ic = 0; ic < c.ins; ++ic) {
      for (int64_t kd = 0; kd < c.kernel[0]; ++kd) {
        const int64_t id = d * c.stride[0] + kd * c.dilation[0] - c.pad[0];
        for (int64_t kh = 0; kh < c.kernel[1]; ++kh) {
          const int64_t ih = h * c.stride[1] + kh * c.dilation[1] - c.pad[1];
          const bool inside = id >= 0 && id < c.in[0] && ih >= 0 && ih < c.in[1];
          const float* from = inside ? image + ((ic * c.in[0] + id) * c.in[1] + ih) * c.in[2] : nullptr;
          for (int64_t k = 0; k < c.copies_per_row; ++k, copies += c.copy_width) {
            if (inside) {
              tile::CopyRow(from, c.in[2], w * c.stride[2] + k * c.dilation[2] - c.pad[2], c.gather_step, copies, c.copy_width);
            } else {
              std::fill_n(copies, c.copy_width, 0.0f);
            }
          }
        }
      }
    }
  }
}

HWY_ATTR void GradWeight(const ConvShape& s, const ConvGradWeight<float>& io, Workspace& workspace) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Cut c = grad_weight::make_cut(s, kWeightRows, WeightPanel());
  if (s.weight_count() == 0) return;
  if (c.units == 0 || c.segment == 0 || c.out_positions() == 0) {
    std::fill(io.grad_weight, io.grad_weight + s.weight_count(), 0.0f);
    return;
  }
  const float *const x = c.turned ? io.grad_output : io.input, *const y = c.turned ? io.input : io.grad_output;
  const int64_t x_channels = c.ins * c.groups, y_channels = c.outs * c.groups;
  const int64_t lanes = c.panel / 2, threads = num_threads();
  const int64_t part_floats = c.part_floats();
  float* const part_sums = workspace.take<float>(c.parts > 1 ? c.parts * part_floats : threads * c.sums_floats());
  float* const packed_floats = workspace.take<float>(threads * c.packed_floats());
  float* const copied_floats = workspace.take<float>(threads * c.copy_floats());
  Run* const run_lists = workspace.take<Run>(threads * c.list_runs());
  const int64_t copy_unit = c.copy_rows() * c.copy_width;
  const bool one_and_a_half = tile::IsOneAndAHalf(c.outs);
  const auto height_of = [one_and_a_half](int64_t left) {
    return one_and_a_half ? std::min<int64_t>(left, kWeightRows) : grad_weight::even_part(left, kWeightRows);
  };
  parallel_for(c.tasks() * c.parts, [&](int64_t task, int thread) HWY_ATTR {
    // All tasks of a part follow each other: they read the same pixels.
    const int64_t part = task / c.tasks(), in_task = task % c.in_tasks, out_task = task / c.in_tasks % c.out_tasks,
                  group = task / c.in_tasks / c.out_tasks % c.groups;
    const int64_t first_panel = out_task * c.panels_per_task, panels = std::min(c.panels_per_task, c.panels - first_panel);
    const int64_t ic_begin = in_task * c.ins_per_task, ic_end = std::min(c.ins, ic_begin + c.ins_per_task);
    const int64_t k_count = (ic_end - ic_begin) * c.taps;
    // Sums of one panel follow each other, [k][panel]; a task's panels lie a whole depth apart where all parts are kept.
    const int64_t panel_sums = (c.parts > 1 ? c.depth() : k_count) * c.panel;
    float* const sums =
        c.parts > 1 ? part_sums + part * part_floats + (group * c.panels + first_panel) * panel_sums + ic_begin * c.taps * c.panel
                    : part_sums + thread * c.sums_floats();
    float* const packed = packed_floats + thread * c.packed_floats();
    float* const copied = copied_floats + thread * c.copy_floats();
    Run* const runs = run_lists + thread * c.list_runs();
    int64_t run_counts[grad_weight::kTapsPerList];
    const int64_t block_begin = c.blocks * part / c.parts, block_end = c.blocks * (part + 1) / c.parts;
    for (int64_t block = block_begin; block < block_end; ++block) {
      const bool first = block == block_begin;
      const int64_t unit = block * c.units_per_block, unit_end = std::min(c.units, unit + c.units_per_block);
      const int64_t position = c.position(unit), pixels = c.position(unit_end) - position;
      PackGradOutput(c, y, y_channels, group, first_panel, panels, position, pixels, packed);
      const auto add_tile = [&](int64_t p, int64_t height, const Run* list, int64_t count, const float* const* rows, int64_t step,
                                float* to, int64_t to_stride) HWY_ATTR {
        const float* panel = packed + p * c.panel * pixels;
        if (one_and_a_half && height == kWeightRows) {
          WeightTile<kWeightRows, 1, tile::kHalves>(list, count, rows, step, panel, c.panel, to, to_stride, first);
        } else if (c.outs - (first_panel + p) * c.panel > lanes) {
          WeightTileOfRows<2>(height, list, count, rows, step, panel, c.panel, to, to_stride, first);
        } else {
          WeightTileOfRows<1>(height, list, count, rows, step, panel, c.panel, to, to_stride, first);
        }
      };
      if (c.copies) {
        CopyInput(c, x, x_channels, group, unit, unit_end, copied);
        int64_t at = 0;
        for (int64_t u = unit; u < unit_end; ++u) {
          const int64_t length = std::min(c.segment, c.out[2] - u % c.segments * c.segment);
          runs[u - unit] = {(u - unit) * copy_unit, at, length};
          at += length;
        }
        for (int64_t p = 0; p < panels; ++p) {
          for (int64_t k = 0; k < k_count;) {
            const int64_t height = height_of(k_count - k);
            const float* rows[kWeightRows];
            for (int64_t r = 0; r < height; ++r) {
              const int64_t row = (k + r) / c.kernel[2], kw = (k + r) % c.kernel[2];
              rows[r] = copied +
                        (c.copies_per_row > 1 ? (row * c.kernel[2] + kw) * c.copy_width : row * c.copy_width + kw * c.dilation[2]);
            }
            add_tile(p, height, runs, unit_end - unit, rows, c.copy_step, sums + p * panel_sums + k * c.panel, c.panel);
            k += height;
          }
        }
      }
      for (int64_t tap = 0; !c.copies && tap < c.taps; tap += c.taps_per_list) {
        const int64_t tap_end = std::min(c.taps, tap + c.taps_per_list);
        for (int64_t t = tap; t < tap_end; ++t) {
          run_counts[t - tap] = grad_weight::find_runs(c, x_channels, t, unit, unit_end, runs + (t - tap) * c.units_per_block);
        }
        for (int64_t p = 0; p < panels; ++p) {
          for (int64_t ic = ic_begin; ic < ic_end;) {
            const int64_t height = height_of(ic_end - ic);
            const float* rows[kWeightRows];
            for (int64_t r = 0; r < height; ++r) rows[r] = x + (group * c.ins + ic + r) * c.in_positions();
            for (int64_t t = tap; t < tap_end; ++t) {
              const int64_t count = run_counts[t - tap];
              if (count == 0 && !first) continue;
              add_tile(p, height, runs + (t - tap) * c.units_per_block, count, rows, c.stride[2],
                       sums + p * panel_sums + ((ic - ic_begin) * c.taps + t) * c.panel, c.taps * c.panel);
            }
            ic += height;
          }
        }
      }
    }
    if (c.parts > 1) return;
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t out = (first_panel + p) * c.panel;
      const int64_t width = std::min(c.panel, c.outs - out);
      if (c.turned) {
        StoreTurnedSums(sums + p * panel_sums, k_count, width, io.grad_weight + ic_begin * c.outs + out, c.outs);
      } else {
        StoreSums(sums + p * panel_sums, k_count, width, io.grad_weight + (group * c.outs + out) * c.depth() + ic_begin * c.taps,
                  c.depth());
      }
    }
  });
  if (c.parts > 1) AddParts(part_sums, c.parts, c.groups, c.outs, c.depth(), io.grad_weight, c.turned);
}

HWY_ATTR size_t GradWeightWorkspace(const ConvShape& s, int threads) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Cut c = grad_weight::make_cut(s, kWeightRows, WeightPanel());
  const auto floats = [](int64_t count) { return padded_bytes(static_cast<size_t>(count) * sizeof(float)); };
  return floats(c.parts > 1 ? c.parts * c.part_floats() : threads * c.sums_floats()) + floats(threads * c.packed_floats()) +
         floats(threads * c.copy_floats()) + padded_bytes(static_cast<size_t>(threads * c.list_runs()) * sizeof(Run));
}

HWY_ATTR int64_t GradWeightScratch(const ConvShape& s) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Cut c = grad_weight::make_cut(s, kWeightRows, WeightPanel());
  return static_cast<int64_t>(sizeof(float)) * (c.sums_floats() + c.packed_floats() + c.copy_floats());
}

// Multiply-adds of whole tiles at 85 % of the peak, the turn of a run (about 6 ns a tile), the transposition of grad_output for
// every task of input channels, and the weights themselves.
HWY_ATTR double GradWeightSeconds(const ConvShape& s, const Machine& m) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Cut c = grad_weight::make_cut(s, kWeightRows, WeightPanel());
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const int64_t lanes = c.panel / 2;
  const double positions = number(s.batch * c.out_positions() * c.groups), rows = number(c.depth()),
               out_vectors = conv_tile::vectors_of(c.outs, lanes);
  const double height = number(std::min<int64_t>(kWeightRows, c.copies ? c.depth() : c.ins));
  const double latency = std::max(1.0, 8.0 / (height * std::min(2.0, out_vectors)));  // too few chains to fill the pipes
  double inside = 1;  // the share of the products that reads inside the input, where taps have runs of their own
  for (size_t a = 0; a < 3 && !c.copies; ++a) {
    const double all = std::max(number(s.output[a] * s.axes[a].kernel_size), 1.0);
    inside *= number(shape::taps_inside(s.input[a], s.output[a], s.axes[a])) / all;
  }
  const double multiply = 2 * positions * inside * rows * out_vectors * number(lanes) * latency / (0.85 * m.flops_per_second);
  const double tiles = rows / height * number(c.panels);
  const double turns = number(s.batch * c.groups * c.out[0] * c.out[1] * c.segments) * tiles * 5e-9;
  const double packing = positions * (number(c.panels * c.panel * c.in_tasks) * 0.12e-9 +
                                      (c.copies ? number(c.copy_rows() * c.out_tasks) * 0.1e-9 * number(c.copy_step) : 0));
  const double one_tap = s.taps() == 1 && s.groups > 1 ? 0.7 : 1;  // of groups: measured
  return 2e-6 + number(c.groups) * 0.2e-6 + one_tap * (multiply + turns + packing) + number(s.weight_count()) * 0.3e-9;
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(GradWeight);
CONVOY_EXPORT(GradWeightWorkspace);
CONVOY_EXPORT(GradWeightScratch);
CONVOY_EXPORT(GradWeightSeconds);

const ConvKernel kConvGradWeight{
    .name = "conv_grad_weight",
    .direction = Direction::kGradWeight,
    .refuse = [](const ConvShape& s) -> const char* {
      if (!has_vectors()) return "needs vectors";
      if (s.taps() > 4096 || CONVOY_DISPATCH(GradWeightScratch)(s) > grad_weight::kLargestScratch) {
        return "the sums of its taps would take more than 4 MB a thread";
      }
      return nullptr;
    },
    .seconds = [](const ConvShape& s, const Machine& m) { return CONVOY_DISPATCH(GradWeightSeconds)(s, m); },
    .workspace_bytes = [](const ConvShape& s, int threads) { return CONVOY_DISPATCH(GradWeightWorkspace)(s, threads); },
    .grad_weight =
        [](const ConvShape& s, const ConvGradWeight<float>& io, Workspace& w) {
          CONVOY_DISPATCH(GradWeight)
          (s, io, w);
        }};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
