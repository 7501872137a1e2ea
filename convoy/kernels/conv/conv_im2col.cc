// forward:     output[oc][pixel]  = weight[oc][k] columns[k][pixel],                k = (ic, tap)
// grad_input:  grad[ic][pixel]    = weight'[ic][k] columns'[k][pixel],              k = (oc, tap), once per phase of the stride:
// the input
//              pixels i with the same i mod stride are read through the same taps, so no product with a stuffed zero is computed
// grad_weight: grad[oc][k]        = sum over pixels of grad_output[oc][pixel] columns[k][pixel]
//
// A tile of columns (depth block x pixels) is gathered into the cache of one core, multiplied, and forgotten.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_im2col.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_im2col.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "convoy/core/parallel.h"
#include "convoy/shape/taps.h"

#ifndef CONVOY_KERNELS_CONV_IM2COL_GEOMETRY
#define CONVOY_KERNELS_CONV_IM2COL_GEOMETRY
namespace convoy::kernels::im2col {

constexpr int64_t kDepth = 256;          // of one block of the product: kDepth x 8 floats of A stay in L1
constexpr int64_t kPixels = 192;         // of one tile: kDepth x kPixels floats are 192 KiB of L2; a multiple of every panel width
constexpr double kFarResults = 1 << 20;  // of a sample, which go to memory
constexpr int64_t kWeightPixels = 1024;  // grad_weight: pixels of a chunk
constexpr int64_t kWeightColumns = 48;   // grad_weight: columns of a task; 48 x 1024 floats are 192 KiB

// A virtual matrix columns[k][pixel] over a stack of planes: k = (channel, tap), the pixel (d, h, w) of a grid reads the source at
// grid * step + offset of the tap, zero outside.
struct Columns {
  const float* source = nullptr;
  int64_t channels = 0;
  shape::Spatial dims{1, 1, 1};
  shape::Spatial grid{1, 1, 1};
  shape::Spatial step{1, 1, 1};
  // Tap i of axis a reads at first_offset[a] + i * offset_step[a].
  shape::Spatial taps{1, 1, 1};
  shape::Spatial first_offset{0, 0, 0};
  shape::Spatial offset_step{0, 0, 0};

  int64_t depth() const { return channels * taps[0] * taps[1] * taps[2]; }
  int64_t pixels() const { return grid[0] * grid[1] * grid[2]; }
  int64_t plane() const { return dims[0] * dims[1] * dims[2]; }
};

inline Columns forward_columns(const ConvShape& s) {
  Columns c;
  c.channels = s.in_channels_per_group();
  c.dims = s.input;
  c.grid = s.output;
  bool pointwise = true;
  for (int a = 0; a < 3; ++a) {
    const shape::Axis& axis = s.axes[a];
    c.step[a] = axis.stride;
    c.taps[a] = axis.kernel_size;
    c.first_offset[a] = -axis.pad_begin;
    c.offset_step[a] = axis.dilation;
    pointwise = pointwise && axis.kernel_size == 1 && axis.stride == 1 && axis.pad_begin == 0 && s.input[a] == s.output[a];
  }
  if (pointwise) {  // the planes are one long row
    c.dims = {1, 1, s.input_positions()};
    c.grid = c.dims;
  }
  return c;
}

// One phase of grad_input: input positions first[a] + stride * j, j < grid[a], and the taps kernel_first[a] + kernel_step[a] * i
// that reach them.
struct Phase {
  Columns columns;
  shape::Spatial first{0, 0, 0};
  shape::Spatial kernel_first{0, 0, 0};
  shape::Spatial kernel_step{1, 1, 1};
};

inline int64_t gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

// Phase `index` of an axis: positions index, index + stride, ...
inline void phase_axis(const ConvShape& s, int a, int64_t index, Phase& p) {
  const shape::Axis& axis = s.axes[a];
  const int64_t n = s.input[a];
  p.first[a] = index;
  p.columns.grid[a] = index < n ? (n - index - 1) / axis.stride + 1 : 0;
  p.columns.dims[a] = s.output[a];
  p.columns.step[a] = 1;
  p.columns.taps[a] = 0;
  // Tap k reaches the phase if (index + pad - k dilation) is a multiple of the stride: one k in every stride / gcd(stride,
  // dilation).
  const int64_t period = axis.stride / gcd(axis.stride, axis.dilation);
  for (int64_t k = 0; k < std::min(axis.kernel_size, period); ++k) {
    const int64_t at = index + axis.pad_begin - k * axis.dilation;
    if (at % axis.stride != 0) continue;
    p.kernel_first[a] = k;
    p.kernel_step[a] = period;
    p.columns.taps[a] = (axis.kernel_size - k - 1) / period + 1;
    p.columns.first_offset[a] = at / axis.stride;
    p.columns.offset_step[a] = -(period * axis.dilation) / axis.stride;
    return;
  }
}

inline int64_t phase_count(const ConvShape& s, int a) { return std::min(s.axes[a].stride, std::max<int64_t>(s.input[a], 1)); }

inline Phase make_phase(const ConvShape& s, int64_t index) {
  Phase p;
  p.columns.channels = s.out_channels_per_group();
  const int64_t pw = index % phase_count(s, 2), ph = index / phase_count(s, 2) % phase_count(s, 1);
  phase_axis(s, 0, index / phase_count(s, 2) / phase_count(s, 1), p);
  phase_axis(s, 1, ph, p);
  phase_axis(s, 2, pw, p);
  return p;
}

// A run of pixels of one grid row, where it goes in the packed tile.
struct Segment {
  int64_t d, h, w, count;
  int64_t at;  // index of the first element for k = 0
};

}  // namespace convoy::kernels::im2col
#endif  // CONVOY_KERNELS_CONV_IM2COL_GEOMETRY

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using im2col::Columns;
using im2col::Segment;
using tile::RowTiles;

// Gathers columns [k_begin, k_end) x pixels [p_begin, p_end) into out[panel][k][panel_width], the last panel filled up with zeros.
HWY_INLINE void Gather(const Columns& c, int64_t k_begin, int64_t k_end, int64_t p_begin, int64_t p_end, int64_t panel_width,
                       float* HWY_RESTRICT out) {
  const int64_t depth = k_end - k_begin;
  const int64_t taps_hw = c.taps[1] * c.taps[2], taps = c.taps[0] * taps_hw;
  constexpr int kMostSegments = 64;
  std::array<Segment, kMostSegments> segments;
  for (int64_t p = p_begin; p < p_end;) {
    // As many segments as fit the array, then all k for them.
    int count = 0;
    while (p < p_end && count < kMostSegments) {
      const int64_t w = p % c.grid[2], row = p / c.grid[2];
      const int64_t in_panel = (p - p_begin) % panel_width, panel = (p - p_begin) / panel_width;
      const int64_t length = std::min({c.grid[2] - w, panel_width - in_panel, p_end - p});
      segments[static_cast<size_t>(count++)] = {row / c.grid[1], row % c.grid[1], w, length,
                                                panel * depth * panel_width + in_panel};
      p += length;
    }
    // The tap as an odometer: dividing k by the extents for every row would cost as much as copying it.
    int64_t channel = k_begin / taps, td = k_begin % taps / taps_hw, th = k_begin / c.taps[2] % c.taps[1], tw = k_begin % c.taps[2];
    for (int64_t k = k_begin; k < k_end; ++k) {
      const int64_t offset_d = c.first_offset[0] + td * c.offset_step[0];
      const int64_t offset_h = c.first_offset[1] + th * c.offset_step[1];
      const int64_t offset_w = c.first_offset[2] + tw * c.offset_step[2];
      const float* plane = c.source + channel * c.plane();
      if (++tw == c.taps[2]) {
        tw = 0;
        if (++th == c.taps[1]) {
          th = 0;
          if (++td == c.taps[0]) {
            td = 0;
            ++channel;
          }
        }
      }
      float* row = out + (k - k_begin) * panel_width;
      for (int i = 0; i < count; ++i) {
        const Segment& segment = segments[static_cast<size_t>(i)];
        float* to = row + segment.at;
        const int64_t d = segment.d * c.step[0] + offset_d, h = segment.h * c.step[1] + offset_h;
        if (d < 0 || d >= c.dims[0] || h < 0 || h >= c.dims[1]) {
          std::memset(to, 0, static_cast<size_t>(segment.count) * sizeof(float));
          continue;
        }
        const float* from = plane + (d * c.dims[1] + h) * c.dims[2];
        const int64_t w = segment.w * c.step[2] + offset_w;
        if (c.step[2] == 1) {
          const int64_t begin = std::clamp<int64_t>(-w, 0, segment.count), end = std::clamp(c.dims[2] - w, begin, segment.count);
          for (int64_t j = 0; j < begin; ++j) to[j] = 0;
          if (end > begin) std::memcpy(to + begin, from + w + begin, static_cast<size_t>(end - begin) * sizeof(float));
          for (int64_t j = end; j < segment.count; ++j) to[j] = 0;
        } else {
          const int64_t step = c.step[2];
          const int64_t begin = std::clamp<int64_t>(shape::ceil_div(-w, step), 0, segment.count);
          const int64_t end = std::clamp<int64_t>(shape::ceil_div(c.dims[2] - w, step), begin, segment.count);
          for (int64_t j = 0; j < begin; ++j) to[j] = 0;
          for (int64_t j = begin; j < end; ++j) to[j] = from[w + j * step];
          for (int64_t j = end; j < segment.count; ++j) to[j] = 0;
        }
      }
    }
  }
  const int64_t used = (p_end - p_begin) % panel_width;
  if (used != 0) {
    float* last = out + (p_end - p_begin) / panel_width * depth * panel_width;
    for (int64_t k = 0; k < depth; ++k) std::fill(last + k * panel_width + used, last + (k + 1) * panel_width, 0.0f);
  }
}

// Columns [0, depth) cut into blocks of equal length, at most kDepth.
HWY_INLINE int64_t DepthBlock(int64_t depth) {
  const int64_t blocks = std::max<int64_t>((depth + im2col::kDepth - 1) / im2col::kDepth, 1);
  return std::max<int64_t>((depth + blocks - 1) / blocks, 1);
}

// Packs one tile of rows, depth block by depth block: [block][tile][k in block][rows of the tile]. next() gives where the tile's
// first row has its weight for k = 0, 1, ...; the other rows follow at row_stride.
template <class Next>
HWY_INLINE void PackWeight(const RowTiles& tiles, int64_t rows, int64_t depth, int64_t tile, Next next, int64_t row_stride,
                           float* packed) {
  const int64_t block = DepthBlock(depth), row = tiles.begin(tile), height = tiles.rows(tile);
  for (int64_t k_begin = 0; k_begin < depth; k_begin += block) {
    const int64_t length = std::min(block, depth - k_begin);
    float* to = packed + k_begin * rows + row * length;
    for (int64_t k = 0; k < length; ++k, to += height) {
      const float* from = next();
      for (int64_t r = 0; r < height; ++r) to[r] = from[r * row_stride];
    }
  }
}

// result[row][pixel] = bias[row] + packed weight x columns for the pixels [p_begin, p_end) of one image and group and the tiles
// [tile_begin, tile_end) of rows. columns: scratch of kDepth x kPixels floats.
HWY_NOINLINE void MultiplyTile(const Columns& c, int64_t rows, int64_t tile_begin, int64_t tile_end, int64_t p_begin, int64_t p_end,
                               const float* packed, const float* bias, float* columns, float* result, int64_t result_stride) {
  const RowTiles tiles(rows);
  const int64_t depth = c.depth(), block = DepthBlock(depth), row_begin = tiles.begin(tile_begin);
  if (depth == 0) {
    for (int64_t row = row_begin; row < tiles.begin(tile_end); ++row, result += result_stride) {
      std::fill(result, result + (p_end - p_begin), bias != nullptr ? bias[row] : 0.0f);
    }
    return;
  }
  for (int64_t k_begin = 0; k_begin < depth; k_begin += block) {
    const int64_t length = std::min(block, depth - k_begin);
    Gather(c, k_begin, k_begin + length, p_begin, p_end, tile::PanelWidth(), columns);
    tile::RunPanels(tiles, tile_begin, tile_end, p_end - p_begin, length, packed + k_begin * rows, columns, k_begin > 0,
                    k_begin + length == depth ? bias : nullptr, result, result_stride);
  }
}

// Tiles of rows of one task: all of them, unless that leaves too few tasks for the threads; every split gathers the columns again.
// Only speed depends on it.
HWY_INLINE int64_t TilesPerTask(int64_t rows, int64_t other_tasks) {
  const int64_t wanted = other_tasks >= 4 * num_threads() ? 1 : 2 * num_threads() / std::max<int64_t>(other_tasks, 1);
  const int64_t splits = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(rows / 32, 1));
  return std::max<int64_t>((RowTiles(rows).count + splits - 1) / splits, 1);
}

HWY_ATTR void Im2colPackForward(const ConvShape& s, const float* weight, float* packed) {
  const int64_t rows = s.out_channels_per_group(), depth = s.in_channels_per_group() * s.taps();
  const RowTiles tiles(rows);
  parallel_for(s.groups * tiles.count, [&](int64_t task) HWY_ATTR {
    const int64_t group = task / tiles.count, tile = task % tiles.count;
    const float* at = weight + (group * rows + tiles.begin(tile)) * depth;
    PackWeight(
        tiles, rows, depth, tile, [&at] { return at++; }, depth, packed + group * rows * depth);
  });
}

HWY_ATTR void Im2colForward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  const Columns base = im2col::forward_columns(s);
  const int64_t rows = s.out_channels_per_group(), depth = base.depth(), pixels = base.pixels();
  const RowTiles row_tiles(rows);
  const SplitEpilogue epilogue(io.epilogue);
  const int64_t scratch_floats = im2col::kDepth * im2col::kPixels;
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const int64_t tiles = (pixels + im2col::kPixels - 1) / im2col::kPixels;
  const int64_t tiles_per_task = TilesPerTask(rows, s.batch * s.groups * tiles);
  const int64_t row_tasks = (row_tiles.count + tiles_per_task - 1) / tiles_per_task;
  parallel_for(s.batch * s.groups * tiles * row_tasks, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t tile_begin = task % row_tasks * tiles_per_task, tile = task / row_tasks % tiles, image = task / row_tasks / tiles;
    const int64_t tile_end = std::min(row_tiles.count, tile_begin + tiles_per_task), row = row_tiles.begin(tile_begin);
    const int64_t n = image / s.groups, group = image % s.groups;
    Columns c = base;
    c.source = io.input + (n * s.in_channels + group * c.channels) * s.input_positions();
    const int64_t p_begin = tile * im2col::kPixels, p_end = std::min(pixels, p_begin + im2col::kPixels);
    float* output = io.output + (n * s.out_channels + group * rows + row) * pixels + p_begin;
    MultiplyTile(c, rows, tile_begin, tile_end, p_begin, p_end, io.packed + group * rows * depth,
                 io.bias != nullptr ? io.bias + group * rows : nullptr, scratch + thread * scratch_floats, output, pixels);
    if (epilogue.empty()) return;
    for (int64_t r = 0; r < row_tiles.begin(tile_end) - row; ++r) {
      epilogue.apply(output + r * pixels, p_end - p_begin, output + r * pixels - io.output);
    }
  });
}

// Packs the weight for every phase, one behind the other.
HWY_ATTR void Im2colPackGradInput(const ConvShape& s, const float* weight, float* packed) {
  const int64_t rows = s.in_channels_per_group(), outs = s.out_channels_per_group();
  const RowTiles tiles(rows);
  const int64_t phases = im2col::phase_count(s, 0) * im2col::phase_count(s, 1) * im2col::phase_count(s, 2);
  for (int64_t index = 0; index < phases; ++index) {
    const im2col::Phase phase = im2col::make_phase(s, index);
    const Columns& base = phase.columns;
    const int64_t depth = base.depth();
    if (base.pixels() == 0) continue;
    parallel_for(depth > 0 ? s.groups * tiles.count : 0, [&](int64_t task) HWY_ATTR {
      const int64_t group = task / tiles.count, tile = task % tiles.count, row = tiles.begin(tile);
      const shape::Spatial step{phase.kernel_step[0] * s.axes[1].kernel_size * s.axes[2].kernel_size,
                                phase.kernel_step[1] * s.axes[2].kernel_size, phase.kernel_step[2]};
      const float* channel = weight + (group * outs * rows + row) * s.taps() +
                             (phase.kernel_first[0] * s.axes[1].kernel_size + phase.kernel_first[1]) * s.axes[2].kernel_size +
                             phase.kernel_first[2];
      shape::Spatial tap{0, 0, 0};
      const auto next = [&] {
        const float* at = channel + tap[0] * step[0] + tap[1] * step[1] + tap[2] * step[2];
        if (++tap[2] == base.taps[2]) {
          tap[2] = 0;
          if (++tap[1] == base.taps[1]) {
            tap[1] = 0;
            if (++tap[0] == base.taps[0]) {
              tap[0] = 0;
              channel += rows * s.taps();
            }
          }
        }
        return at;
      };
      PackWeight(tiles, rows, depth, tile, next, s.taps(), packed + group * rows * depth);
    });
    packed += s.groups * rows * depth;
  }
}

HWY_ATTR void Im2colGradInput(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  const int64_t rows = s.in_channels_per_group(), outs = s.out_channels_per_group();
  const int64_t phases = im2col::phase_count(s, 0) * im2col::phase_count(s, 1) * im2col::phase_count(s, 2);
  const RowTiles row_tiles(rows);
  const float* packed = io.packed;
  const SplitEpilogue epilogue(io.epilogue);
  const int64_t scratch_floats = im2col::kDepth * im2col::kPixels, result_floats = rows * im2col::kPixels;
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const bool strided = phases > 1;
  float* const results = strided ? workspace.take<float>(result_floats * num_threads()) : nullptr;
  for (int64_t index = 0; index < phases; ++index) {
    const im2col::Phase phase = im2col::make_phase(s, index);
    const Columns& base = phase.columns;
    const int64_t pixels = base.pixels(), depth = base.depth();
    if (pixels == 0) continue;
    const int64_t tiles = (pixels + im2col::kPixels - 1) / im2col::kPixels;
    const int64_t tiles_per_task = TilesPerTask(rows, s.batch * s.groups * tiles);
    const int64_t row_tasks = (row_tiles.count + tiles_per_task - 1) / tiles_per_task;
    parallel_for(s.batch * s.groups * tiles * row_tasks, [&](int64_t task, int thread) HWY_ATTR {
      const int64_t tile_begin = task % row_tasks * tiles_per_task, tile = task / row_tasks % tiles,
                    image = task / row_tasks / tiles;
      const int64_t tile_end = std::min(row_tiles.count, tile_begin + tiles_per_task), row = row_tiles.begin(tile_begin);
      const int64_t n = image / s.groups, group = image % s.groups, count = row_tiles.begin(tile_end) - row;
      Columns c = base;
      c.source = io.grad_output + (n * s.out_channels + group * outs) * s.output_positions();
      const int64_t p_begin = tile * im2col::kPixels, p_end = std::min(pixels, p_begin + im2col::kPixels);
      float* planes = io.grad_input + (n * s.in_channels + group * rows + row) * s.input_positions();
      const float* bias = io.bias != nullptr ? io.bias + group * rows : nullptr;
      if (!strided) {
        MultiplyTile(c, rows, tile_begin, tile_end, p_begin, p_end, packed + group * rows * depth, bias,
                     scratch + thread * scratch_floats, planes + p_begin, s.input_positions());
        for (int64_t r = 0; r < count && !epilogue.empty(); ++r) {
          float* values = planes + r * s.input_positions() + p_begin;
          epilogue.apply(values, p_end - p_begin, values - io.grad_input);
        }
        return;
      }
      float* result = results + thread * result_floats;
      MultiplyTile(c, rows, tile_begin, tile_end, p_begin, p_end, packed + group * rows * depth, bias,
                   scratch + thread * scratch_floats, result, im2col::kPixels);
      for (int64_t r = 0; r < count; ++r) {
        float* plane = planes + r * s.input_positions();
        const float* from = result + r * im2col::kPixels;
        for (int64_t p = p_begin; p < p_end;) {
          const int64_t w = p % c.grid[2], line = p / c.grid[2];
          const int64_t length = std::min(c.grid[2] - w, p_end - p);
          const int64_t d = phase.first[0] + line / c.grid[1] * s.axes[0].stride,
                        h = phase.first[1] + line % c.grid[1] * s.axes[1].stride;
          float* to = plane + (d * s.input[1] + h) * s.input[2] + phase.first[2] + w * s.axes[2].stride;
          for (int64_t j = 0; j < length; ++j) to[j * s.axes[2].stride] = *from++;
          p += length;
        }
      }
    });
    packed += s.groups * rows * depth;
  }
  if (!strided || epilogue.empty()) return;
  parallel_for(s.batch * s.in_channels, [&](int64_t plane) {
    const int64_t at = plane * s.input_positions();
    epilogue.apply(io.grad_input + at, s.input_positions(), at);
  });
}

// grad_weight: a register tile of kDotRows x kDotColumns sums of products along the pixels, one partial sum per lane.
#if HWY_TARGET == HWY_AVX3
constexpr int kDotRows = 4, kDotColumns = 6;
#else
constexpr int kDotRows = 2, kDotColumns = 4;
#endif

template <int kR, int kC>
HWY_INLINE void DotTile(int64_t pixels, const float* HWY_RESTRICT a, int64_t a_stride, const float* HWY_RESTRICT b,
                        int64_t b_stride, float* HWY_RESTRICT sums, int64_t sums_stride) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[kR][kC];
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(8)
    for (int i = 0; i < kC; ++i) acc[r][i] = hn::Zero(d);
  }
  int64_t p = 0;
  for (; p + lanes <= pixels; p += lanes) {
    V column[kC];
    HWY_UNROLL(8)
    for (int i = 0; i < kC; ++i) column[i] = hn::LoadU(d, b + i * b_stride + p);
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      const V row = hn::LoadU(d, a + r * a_stride + p);
      HWY_UNROLL(8)
      for (int i = 0; i < kC; ++i) acc[r][i] = hn::MulAdd(row, column[i], acc[r][i]);
    }
  }
  if (p < pixels) {
    const auto mask = hn::FirstN(d, static_cast<size_t>(pixels - p));
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      const V row = LoadMasked(mask, d, a + r * a_stride + p);
      HWY_UNROLL(8)
      for (int i = 0; i < kC; ++i) acc[r][i] = hn::MulAdd(row, LoadMasked(mask, d, b + i * b_stride + p), acc[r][i]);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(8)
    for (int i = 0; i < kC; ++i) sums[r * sums_stride + i] += hn::GetLane(hn::SumOfLanes(d, acc[r][i]));
  }
}

template <int kR>
HWY_INLINE void DotRows(int64_t columns, int64_t pixels, const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                        float* sums, int64_t sums_stride) {
  int64_t i = 0;
  for (; i + kDotColumns <= columns; i += kDotColumns) {
    DotTile<kR, kDotColumns>(pixels, a, a_stride, b + i * b_stride, b_stride, sums + i, sums_stride);
  }
  for (; i < columns; ++i) DotTile<kR, 1>(pixels, a, a_stride, b + i * b_stride, b_stride, sums + i, sums_stride);
}

HWY_INLINE void DotBlock(int64_t rows, int64_t columns, int64_t pixels, const float* a, int64_t a_stride, const float* b,
                         int64_t b_stride, float* sums, int64_t sums_stride) {
  int64_t r = 0;
  for (; r + kDotRows <= rows; r += kDotRows) {
    DotRows<kDotRows>(columns, pixels, a + r * a_stride, a_stride, b, b_stride, sums + r * sums_stride, sums_stride);
  }
  for (; r < rows; ++r) DotRows<1>(columns, pixels, a + r * a_stride, a_stride, b, b_stride, sums + r * sums_stride, sums_stride);
}

// How many parts the sum over images and pixels is cut into: a function of the shape alone, so that the order of summation is too.
HWY_INLINE int64_t WeightParts(const ConvShape& s) {
  const int64_t chunks = s.batch * ((s.output_positions() + im2col::kWeightPixels - 1) / im2col::kWeightPixels);
  const int64_t depth = s.in_channels_per_group() * s.taps();
  const int64_t tasks = s.groups * ((depth + im2col::kWeightColumns - 1) / im2col::kWeightColumns);
  return std::clamp<int64_t>(16 / std::max<int64_t>(tasks, 1), 1, std::max<int64_t>(chunks, 1));
}

HWY_ATTR void Im2colGradWeight(const ConvShape& s, const ConvGradWeight<float>& io, Workspace& workspace) {
  const Columns base = im2col::forward_columns(s);
  const int64_t rows = s.out_channels_per_group(), depth = base.depth(), pixels = base.pixels();
  const int64_t parts = WeightParts(s), column_tasks = (depth + im2col::kWeightColumns - 1) / im2col::kWeightColumns;
  const int64_t chunks_per_image = (pixels + im2col::kWeightPixels - 1) / im2col::kWeightPixels;
  const int64_t chunks = s.batch * chunks_per_image;
  const int64_t weights = s.weight_count();
  const int64_t scratch_floats = im2col::kWeightColumns * im2col::kWeightPixels;
  float* const partial = parts > 1 ? workspace.take<float>((parts - 1) * weights) : nullptr;
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  parallel_for(s.groups * column_tasks * parts, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t part = task % parts, block = task / parts % column_tasks, group = task / parts / column_tasks;
    const int64_t k_begin = block * im2col::kWeightColumns, k_end = std::min(depth, k_begin + im2col::kWeightColumns);
    float* sums = (part == 0 ? io.grad_weight : partial + (part - 1) * weights) + group * rows * depth + k_begin;
    for (int64_t row = 0; row < rows; ++row) std::fill(sums + row * depth, sums + row * depth + (k_end - k_begin), 0.0f);
    float* columns = scratch + thread * scratch_floats;
    for (int64_t chunk = chunks * part / parts; chunk < chunks * (part + 1) / parts; ++chunk) {
      const int64_t n = chunk / chunks_per_image;
      const int64_t p_begin = chunk % chunks_per_image * im2col::kWeightPixels,
                    p_end = std::min(pixels, p_begin + im2col::kWeightPixels);
      Columns c = base;
      c.source = io.input + (n * s.in_channels + group * c.channels) * s.input_positions();
      const int64_t width = (p_end - p_begin + 15) / 16 * 16;
      Gather(c, k_begin, k_end, p_begin, p_end, width, columns);
      const float* grad_output = io.grad_output + (n * s.out_channels + group * rows) * pixels + p_begin;
      DotBlock(rows, k_end - k_begin, p_end - p_begin, grad_output, pixels, columns, width, sums, depth);
    }
  });
  if (parts == 1) return;
  parallel_ranges(weights, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t part = 0; part + 1 < parts; ++part) {
      const float* from = partial + part * weights;
      for (int64_t i = begin; i < end; ++i) io.grad_weight[i] += from[i];
    }
  });
}

HWY_ATTR size_t Im2colWorkspace(const ConvShape& s, Direction direction, int threads) {
  const auto floats = [](int64_t count) { return padded_bytes(static_cast<size_t>(count) * sizeof(float)); };
  const int64_t scratch = im2col::kDepth * im2col::kPixels;
  switch (direction) {
    case Direction::kForward:
      return floats(scratch * threads);
    case Direction::kGradInput: {
      const int64_t rows = s.in_channels_per_group();
      const bool strided = im2col::phase_count(s, 0) * im2col::phase_count(s, 1) * im2col::phase_count(s, 2) > 1;
      return floats(scratch * threads) + (strided ? floats(rows * im2col::kPixels * threads) : 0);
    }
    case Direction::kGradWeight:
      break;
  }
  const int64_t parts = WeightParts(s);
  return (parts > 1 ? floats((parts - 1) * s.weight_count()) : 0) +
         floats(im2col::kWeightColumns * im2col::kWeightPixels * threads);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(Im2colForward);
CONVOY_EXPORT(Im2colGradInput);
CONVOY_EXPORT(Im2colGradWeight);
CONVOY_EXPORT(Im2colWorkspace);
CONVOY_EXPORT(Im2colPackForward);
CONVOY_EXPORT(Im2colPackGradInput);

namespace {

const char* refuse_nothing(const ConvShape&) { return nullptr; }

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  return CONVOY_DISPATCH(Im2colWorkspace)(s, kDirection, threads);
}

size_t packed_bytes(const ConvShape& s) { return static_cast<size_t>(s.weight_count()) * sizeof(float); }

template <Direction kDirection>
double pack_seconds(const ConvShape& s, const Machine& m) {
  return 1e-6 + static_cast<double>(s.weight_count()) * (kDirection == Direction::kForward ? 0.6e-9 : 1.4e-9) / m.threads;
}

// Phases of an input gradient that have taps; each is a product of its own.
double phases_with_taps(const ConvShape& s) {
  double count = 1;
  for (const shape::Axis& axis : s.axes) count *= static_cast<double>(std::min(axis.stride, axis.kernel_size));
  return count;
}

// Multiply-adds at 80 % of the peak with the rows rounded up to the tile, plus gathering: about 0.6 ns an element and thread, 1.8
// ns at a stride (on a nominal core; measured with 1 to 4 channels, where it is a third to two thirds of the time). Phases are
// interleaved on their way out, 0.9 ns a value. Sums along the
// pixels load as many vectors as they multiply, 60 %, and add up their lanes for every weight and chunk, 2.5 ns.
template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  const auto up = [](int64_t n) { return static_cast<double>((n + 7) / 8 * 8); };
  const auto vectors = [](int64_t n) { return static_cast<double>((n + 15) / 16 * 16); };
  const double positions = static_cast<double>(s.batch) * vectors(s.output_positions()) * static_cast<double>(s.taps());
  const double in = static_cast<double>(s.in_channels_per_group()), out = static_cast<double>(s.out_channels_per_group());
  const double groups = static_cast<double>(s.groups);
  const double flops = 2 * positions * groups *
                       (kDirection == Direction::kGradInput ? up(s.in_channels_per_group()) * out
                        : kDirection == Direction::kGradWeight
                            ? static_cast<double>(s.out_channels_per_group() / 4 * 4 + s.out_channels_per_group() % 4 * 2) * in
                            : up(s.out_channels_per_group()) * in);
  const double gathered = positions * groups * (kDirection == Direction::kGradInput ? out : in);
  const bool whole = kDirection == Direction::kGradWeight && s.taps() == 1 && s.input == s.output;  // planes lie as they are
  const double segments = gathered / static_cast<double>(std::max<int64_t>(whole ? s.output_positions() : s.output[2], 1));
  const bool strided = kDirection == Direction::kForward && s.axes[2].stride > 1;
  const bool phases = kDirection == Direction::kGradInput && s.axes[0].stride * s.axes[1].stride * s.axes[2].stride > 1;
  const double runs = static_cast<double>(s.axes[2].stride) / static_cast<double>(std::max<int64_t>(s.input[2], 1));
  const double interleaved = phases ? static_cast<double>(s.input_count()) * (0.9e-9 + runs * 10e-9) : 0;
  const double turns = phases ? phases_with_taps(s) * (1.5e-6 + static_cast<double>(s.batch * s.groups) * 0.7e-6) : 0;
  double lane_sums = 0;
  if constexpr (kDirection == Direction::kGradWeight) {
    const int64_t chunks = s.batch * ((s.output_positions() + im2col::kWeightPixels - 1) / im2col::kWeightPixels);
    lane_sums = static_cast<double>(s.weight_count()) * static_cast<double>(chunks) * 2.5e-9;
  }
  // With few terms a sum storing takes most of the time, and where no cache holds the results.
  const bool few_terms = kDirection == Direction::kForward && m.lanes == 8 && s.taps() == 1;
  const double results = static_cast<double>(kDirection == Direction::kGradInput ? s.input_count() : s.output_count());
  const bool far = kDirection != Direction::kGradWeight && results > im2col::kFarResults * static_cast<double>(s.batch);
  const double stored = far ? results * 0.45e-9 : few_terms ? results * 0.5e-9 : 0;
  // A tile of one vector waits for its own sums.
  const double pixels = kDirection == Direction::kGradInput ? static_cast<double>(s.input_positions()) / phases_with_taps(s)
                                                            : static_cast<double>(s.output_positions());
  // With sixteen lanes, lines that lie as they are read cost less than the 60 % say.
  const bool lines = m.lanes == 16 && s.taps() > 1 && s.axes[0].stride * s.axes[1].stride * s.axes[2].stride == 1;
  const double efficiency = kDirection == Direction::kGradWeight ? (lines ? 0.92 : 0.6) : pixels <= 16 ? 0.45 : 0.75;
  return 2e-6 + turns + flops / (efficiency * m.flops_per_second) +
         (gathered * (kDirection == Direction::kGradWeight ? (s.taps() == 1 && !whole ? 0.75e-9 : 0.25e-9)
                      : strided                            ? 1.8e-9
                                                           : 0.6e-9) +
          segments * 8e-9 + interleaved + lane_sums + stored) /
             m.threads;
}

}  // namespace

const ConvKernel kConvIm2colForward{.name = "conv_im2col",
                                    .direction = Direction::kForward,
                                    .refuse = refuse_nothing,
                                    .seconds = seconds<Direction::kForward>,
                                    .workspace_bytes = workspace_bytes<Direction::kForward>,
                                    .packed_bytes = packed_bytes,
                                    .pack =
                                        [](const ConvShape& s, const float* weight, float* packed) {
                                          CONVOY_DISPATCH(Im2colPackForward)
                                          (s, weight, packed);
                                        },
                                    .pack_seconds = pack_seconds<Direction::kForward>,
                                    .forward =
                                        [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) {
                                          CONVOY_DISPATCH(Im2colForward)
                                          (s, io, w);
                                        }};

const ConvKernel kConvIm2colGradInput{.name = "conv_im2col",
                                      .direction = Direction::kGradInput,
                                      .refuse = refuse_nothing,
                                      .seconds = seconds<Direction::kGradInput>,
                                      .workspace_bytes = workspace_bytes<Direction::kGradInput>,
                                      .packed_bytes = packed_bytes,
                                      .pack =
                                          [](const ConvShape& s, const float* weight, float* packed) {
                                            CONVOY_DISPATCH(Im2colPackGradInput)
                                            (s, weight, packed);
                                          },
                                      .pack_seconds = pack_seconds<Direction::kGradInput>,
                                      .grad_input =
                                          [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
                                            CONVOY_DISPATCH(Im2colGradInput)
                                            (s, io, w);
                                          }};

const ConvKernel kConvIm2colGradWeight{.name = "conv_im2col",
                                       .direction = Direction::kGradWeight,
                                       .refuse = refuse_nothing,
                                       .seconds = seconds<Direction::kGradWeight>,
                                       .workspace_bytes = workspace_bytes<Direction::kGradWeight>,
                                       .grad_weight = [](const ConvShape& s, const ConvGradWeight<float>& io, Workspace& w) {
                                         CONVOY_DISPATCH(Im2colGradWeight)(s, io, w);
                                       }};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
