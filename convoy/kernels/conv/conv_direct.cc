// forward:    output[oc][o]     = sum over ic, tap of weight[oc][ic][tap] input[ic][o * stride + tap * dilation - pad]
// grad_input: grad_input[ic][i] = the same over oc and the taps that reach i: once per phase (i mod stride), whose positions all
//             read grad_output side by side, so no product with a stuffed zero is computed. All column phases of a row are summed
//             before it is stored, hence stores are contiguous.
//
// A task is a block of the result (planes x lines x columns) and some result channels. Per task the source rows that the block
// reads are copied into a slab in the cache, so arranged that the pixels of a tile lie side by side for every tap, whatever the
// stride:
//   rows  columns with the same remainder by the stride side by side, borders zero, rows outside the source left out (their taps
//   are
//         skipped, not multiplied by zero);
//   flat  for short rows: one copy per column tap without borders, so that lines follow each other without a gap and tiles are
//   full.
// Taps that most columns of a line cannot read (large dilation) are skipped too: the line is cut where taps enter and leave.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_direct.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_direct.h"
#include "convoy/kernels/conv/conv_tile-inl.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "convoy/core/parallel.h"
#include "convoy/shape/taps.h"

#ifndef CONVOY_KERNELS_CONV_DIRECT_GEOMETRY
#define CONVOY_KERNELS_CONV_DIRECT_GEOMETRY
namespace convoy::kernels::direct {

constexpr int64_t kMostPhases = 16;           // per axis
constexpr int64_t kMostTaps = 512;            // and the longest chain of sums
constexpr int64_t kSlabFloats = 128 << 10;    // half of a 1 MiB L2 cache
constexpr int64_t kMostSlabFloats = 1 << 20;  // 4 MiB
constexpr int64_t kBlockPixels = 1024;        // of a task
constexpr int64_t kAliasFloats = 4 << 10;
constexpr int64_t kReach = 1 << 20;  // of a kernel; beyond it sizes might overflow

using shape::Range;
using shape::Spatial;

// The result positions first + j * result_step, 0 <= j < count, of one axis: position j reads the source at
// j * source_step + offset + t * offset_step through tap t < taps, which is the kernel's index kernel_first + t * kernel_step.
struct Phase {
  int64_t first = 0, count = 0;
  int64_t taps = 0, offset = 0, offset_step = 0;
  int64_t kernel_first = 0, kernel_step = 1;

  int64_t offset_of(int64_t tap) const { return offset + tap * offset_step; }
};

// One axis of the computation.
struct Axis {
  int64_t source = 1, result = 1;
  int64_t source_step = 1, result_step = 1;
  int64_t phases = 1;
  std::array<Phase, kMostPhases> phase;

  // Grid positions of phase r whose result positions lie in [begin, end).
  Range grid(int64_t r, int64_t begin, int64_t end) const {
    const int64_t first = phase[static_cast<size_t>(r)].first;
    return {begin <= first ? 0 : shape::ceil_div(begin - first, result_step),
            end <= first ? 0 : shape::ceil_div(end - first, result_step)};
  }

  // Source positions that results [begin, end) read, padding included; empty if there is no tap.
  Range hull(int64_t begin, int64_t end) const {
    Range h{0, 0};
    bool any = false;
    for (int64_t r = 0; r < phases; ++r) {
      const Phase& p = phase[static_cast<size_t>(r)];
      const Range g = grid(r, begin, end);
      if (p.taps == 0 || g.empty()) continue;
      const int64_t a = p.offset, b = p.offset_of(p.taps - 1);
      const int64_t low = g.begin * source_step + std::min(a, b), high = (g.end - 1) * source_step + std::max(a, b) + 1;
      h = any ? Range{std::min(h.begin, low), std::max(h.end, high)} : Range{low, high};
      any = true;
    }
    return h;
  }

  Range clipped_hull(int64_t begin, int64_t end) const {
    const Range h = hull(begin, end);
    const int64_t low = std::clamp<int64_t>(h.begin, 0, source);
    return {low, std::clamp(h.end, low, source)};
  }

  // The largest size of a (clipped) hull of `length` results from a multiple of result_step on.
  int64_t hull_size(int64_t length, bool clip) const {
    const int64_t size = hull(0, std::min(length, result)).size();
    return std::max<int64_t>(clip ? std::min(size, source) : size, 1);
  }

  bool reads(const Phase& p, int64_t j, int64_t tap) const {
    const int64_t at = j * source_step + p.offset_of(tap);
    return at >= 0 && at < source;
  }

  // The first grid position after j, at most `end`, where a tap enters or leaves the source.
  int64_t next_cut(const Phase& p, int64_t j, int64_t end) const {
    for (int64_t tap = 0; tap < p.taps; ++tap) {
      for (const int64_t border : {int64_t{0}, source}) {
        const int64_t at = shape::ceil_div(border - p.offset_of(tap), source_step);
        if (at > j && at < end) end = at;
      }
    }
    return end;
  }
};

inline int64_t gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

inline Axis forward_axis(const ConvShape& s, size_t a) {
  const shape::Axis& axis = s.axes[a];
  Axis x;
  x.source = s.input[a];
  x.result = s.output[a];
  x.source_step = axis.stride;
  x.phase[0] = {.count = x.result, .taps = axis.kernel_size, .offset = -axis.pad_begin, .offset_step = axis.dilation};
  return x;
}

inline Axis grad_input_axis(const ConvShape& s, size_t a) {
  const shape::Axis& axis = s.axes[a];
  Axis x;
  x.source = s.output[a];
  x.result = s.input[a];
  x.result_step = axis.stride;
  x.phases = std::min({axis.stride, x.result, kMostPhases});
  // Tap k reaches phase r if (r + pad - k dilation) is a multiple of the stride: one k in every stride / gcd(stride, dilation).
  const int64_t period = axis.stride / gcd(axis.stride, axis.dilation);
  for (int64_t r = 0; r < x.phases; ++r) {
    Phase& p = x.phase[static_cast<size_t>(r)];
    p.first = r;
    p.count = (x.result - r - 1) / axis.stride + 1;
    for (int64_t k = 0; k < std::min(axis.kernel_size, period); ++k) {
      const int64_t at = r + axis.pad_begin - k * axis.dilation;
      if (at % axis.stride != 0) continue;
      p.kernel_first = k;
      p.kernel_step = period;
      p.taps = (axis.kernel_size - k - 1) / period + 1;
      p.offset = at / axis.stride;
      p.offset_step = -(period * axis.dilation) / axis.stride;
      break;
    }
  }
  return x;
}

// A convolution in the direction of its result, and how it is cut.
struct Plan {
  int64_t batch, groups, channels, rows, taps;
  std::array<Axis, 3> axes;
  Spatial kernel;
  // Weight of (row, channel, tap) at row * weight_row + channel * weight_channel + tap, a group's at weight_group.
  int64_t weight_row, weight_channel, weight_group;

  bool in_place = false, flat = false;  // otherwise a slab of rows
  bool cut = false;                     // lines at the columns where taps enter and leave
  Spatial block{1, 1, 1};               // result positions of a task
  Spatial blocks{1, 1, 1};
  int64_t chain = 1;                                         // channels of one chain of sums
  int64_t slab_channels = 1;                                 // channels in the slab at a time, a multiple of chain
  int64_t slab_depth, slab_lines, slab_pitch, slab_channel;  // its shape: planes, lines of a plane, floats of a line and a channel
  int64_t columns = 1;  // of a line of the slab with one remainder (rows) or for one column tap (flat)

  int64_t source_positions() const { return axes[0].source * axes[1].source * axes[2].source; }
  int64_t result_positions() const { return axes[0].result * axes[1].result * axes[2].result; }
  int64_t block_pixels() const { return block[0] * block[1] * block[2]; }
  int64_t block_count() const { return blocks[0] * blocks[1] * blocks[2]; }
};

// How many register tiles' worth of columns a line takes, in pixels x column taps; a tile narrower than 4 pixels costs as much
// as 4.
inline int64_t column_cost(const Axis& axis, bool cut) {
  int64_t cost = 0;
  for (int64_t r = 0; r < axis.phases; ++r) {
    const Phase& p = axis.phase[static_cast<size_t>(r)];
    for (int64_t j = 0; j < p.count;) {
      const int64_t end = cut ? axis.next_cut(p, j, p.count) : p.count;
      int64_t taps = p.taps;
      if (cut) {
        taps = 0;
        for (int64_t t = 0; t < p.taps; ++t) taps += axis.reads(p, j, t) ? 1 : 0;
      }
      cost += std::max<int64_t>(end - j, 4) * taps;
      j = end;
    }
  }
  return cost;
}

inline Plan make_plan(const ConvShape& s, Direction direction) {
  const bool forward = direction == Direction::kForward;
  Plan p;
  p.batch = s.batch;
  p.groups = s.groups;
  p.taps = s.taps();
  p.channels = forward ? s.in_channels_per_group() : s.out_channels_per_group();
  p.rows = forward ? s.out_channels_per_group() : s.in_channels_per_group();
  p.weight_group = s.out_channels_per_group() * s.in_channels_per_group() * p.taps;
  p.weight_row = forward ? s.in_channels_per_group() * p.taps : p.taps;
  p.weight_channel = forward ? p.taps : s.in_channels_per_group() * p.taps;
  for (size_t a = 0; a < 3; ++a) {
    p.axes[a] = forward ? forward_axis(s, a) : grad_input_axis(s, a);
    p.kernel[a] = s.axes[a].kernel_size;
  }
  const Axis &d = p.axes[0], &h = p.axes[1], &w = p.axes[2];
  p.cut = column_cost(w, true) * 10 < column_cost(w, false) * 9;
  p.flat = !p.cut && h.result_step == 1 && w.result_step == 1 && w.result <= 5 && h.result > 1;
  // Planes a large power of two apart share few sets of the cache: their lines would drive each other out.
  const int64_t volume = p.source_positions();
  p.in_place = !p.flat && w.source_step <= 2 && (p.kernel[2] <= 7 || p.cut) && (volume % kAliasFloats != 0 || p.channels < 8);

  const auto even = [](int64_t size, int64_t most, int64_t step) {  // size cut into equal parts of at most `most`
    most = std::max<int64_t>(most, 1);
    const int64_t parts = (size + most - 1) / most, part = (size + parts - 1) / parts;
    return std::min((part + step - 1) / step * step, size);
  };
  p.block[0] = std::min(d.result_step, d.result);
  p.block[2] = w.result <= 2 * kBlockPixels ? w.result : even(w.result, kBlockPixels, w.result_step);
  p.block[1] = even(h.result, kBlockPixels / p.block[2], h.result_step);
  const auto measure = [&] {
    if (p.in_place) {
      p.slab_depth = d.source;
      p.slab_lines = h.source;
      p.slab_pitch = w.source;
      p.slab_channel = volume;
      return;
    }
    p.slab_depth = d.hull_size(p.block[0], true);
    if (p.flat) {
      p.columns = w.result;
      p.slab_pitch = w.result;
      p.slab_lines = (h.hull_size(p.block[1], false) + h.source_step - 1) / h.source_step * h.source_step * p.kernel[2];
    } else {
      p.columns = (w.hull_size(p.block[2], p.cut) + w.source_step - 1) / w.source_step;
      p.slab_pitch = p.columns * w.source_step;
      p.slab_lines = h.hull_size(p.block[1], true);
    }
    p.slab_channel = p.slab_depth * p.slab_lines * p.slab_pitch;
  };
  p.chain = std::max<int64_t>(kMostTaps / p.taps, 1);
  p.chain = std::max<int64_t>(p.channels + (p.channels + p.chain - 1) / p.chain - 1, 1) /
            std::max<int64_t>((p.channels + p.chain - 1) / p.chain, 1);
  measure();
  // Fewer lines where that lets the slab hold all channels without reading much more around them.
  while (!p.in_place && p.slab_channel * p.channels > kSlabFloats && p.block[1] > h.result_step && p.block[1] * p.block[2] >= 256) {
    const Spatial before = p.block;
    p.block[1] = even(h.result, p.block[1] / 2, h.result_step);
    if (p.block[1] >= before[1] || h.hull_size(p.block[1], true) * h.result_step * 10 > p.block[1] * h.source_step * 15) {
      p.block = before;
      break;
    }
    measure();
  }
  // In place, a slab is what stays in the cache while all result channels pass.
  const int64_t block_channel =
      p.in_place ? d.hull_size(p.block[0], true) * h.hull_size(p.block[1], true) * w.hull_size(p.block[2], true) : p.slab_channel;
  const int64_t chains = (p.channels + p.chain - 1) / p.chain;
  p.slab_channels = p.in_place && block_channel * p.channels <= 2 * kSlabFloats
                        ? p.channels
                        : std::clamp<int64_t>(kSlabFloats / block_channel / p.chain, 1, chains) * p.chain;
  for (size_t a = 0; a < 3; ++a) p.blocks[a] = (p.axes[a].result + p.block[a] - 1) / p.block[a];
  return p;
}

}  // namespace convoy::kernels::direct
#endif  // CONVOY_KERNELS_CONV_DIRECT_GEOMETRY

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using conv_tile::Tap;
using direct::Axis;
using direct::Phase;
using direct::Plan;
using shape::Range;
using shape::Spatial;

// Result channels of a tile.
HWY_INLINE int64_t TileRows() { return 2 * tile::Lanes(); }
HWY_INLINE int64_t DirectTiles(const Plan& p) { return (p.rows + TileRows() - 1) / TileRows(); }
// Lanes of tile o: one vector may be enough for the last.
HWY_INLINE int64_t TileLanes(const Plan& p, int64_t o) {
  return p.rows - o * TileRows() <= tile::Lanes() ? tile::Lanes() : TileRows();
}
HWY_INLINE int64_t PackedGroup(const Plan& p) {
  return DirectTiles(p) == 0 ? 0 : ((DirectTiles(p) - 1) * TileRows() + TileLanes(p, DirectTiles(p) - 1)) * p.channels * p.taps;
}

// The block of the result that a task computes and where its source lies in the slab.
struct DirectBlock {
  Spatial begin, end;
  Spatial low;  // source position of the slab's first plane, line and column
  Range planes, lines;
};

HWY_INLINE DirectBlock MakeBlock(const Plan& p, int64_t index) {
  DirectBlock b;
  const Spatial at{index / p.blocks[2] / p.blocks[1], index / p.blocks[2] % p.blocks[1], index % p.blocks[2]};
  for (size_t a = 0; a < 3; ++a) {
    b.begin[a] = at[a] * p.block[a];
    b.end[a] = std::min(b.begin[a] + p.block[a], p.axes[a].result);
  }
  b.planes = p.axes[0].clipped_hull(b.begin[0], b.end[0]);
  b.lines = p.flat ? p.axes[1].hull(b.begin[1], b.end[1]) : p.axes[1].clipped_hull(b.begin[1], b.end[1]);
  const Range columns = p.cut ? p.axes[2].clipped_hull(b.begin[2], b.end[2]) : p.axes[2].hull(b.begin[2], b.end[2]);
  b.low = p.in_place ? Spatial{0, 0, 0} : Spatial{b.planes.begin, b.lines.begin, columns.begin};
  return b;
}

HWY_ATTR void FillSlab(const Plan& p, const DirectBlock& b, const float* source, int64_t channels, float* slab) {
  const Axis &h = p.axes[1], &w = p.axes[2];
  const int64_t plane = h.source * w.source, volume = p.source_positions();
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t d = b.planes.begin; d < b.planes.end; ++d) {
      float* to = slab + c * p.slab_channel + (d - b.low[0]) * p.slab_lines * p.slab_pitch;
      const float* from = source + c * volume + d * plane;
      if (!p.flat) {
        for (int64_t line = b.lines.begin; line < b.lines.end; ++line) {
          for (int64_t r = 0; r < w.source_step; ++r) {
            tile::CopyRow(from + line * w.source, w.source, b.low[2] + r, w.source_step, to, p.columns);
            to += p.columns;
          }
        }
        continue;
      }
      const Phase& phase = w.phase[0];
      const int64_t lines_per_remainder = p.slab_lines / p.kernel[2] / h.source_step;
      for (int64_t tap = 0; tap < phase.taps; ++tap) {
        for (int64_t r = 0; r < h.source_step; ++r) {
          for (int64_t q = 0; q < lines_per_remainder; ++q, to += p.slab_pitch) {
            const int64_t line = b.low[1] + q * h.source_step + r;
            if (line < 0 || line >= h.source) {
              std::fill(to, to + p.slab_pitch, 0.0f);
            } else {
              tile::CopyRow(from + line * w.source, w.source, phase.offset_of(tap), w.source_step, to, p.slab_pitch);
            }
          }
        }
      }
    }
  }
}

// Calls the source lines of a block into the cache: tiles would meet them one at a time, too far apart to be foreseen.
HWY_INLINE void FetchSource(const Plan& p, const DirectBlock& b, const float* source, int64_t channels) {
  const Axis &h = p.axes[1], &w = p.axes[2];
  const Range columns = w.clipped_hull(b.begin[2], b.end[2]);
  const bool whole = columns.begin == 0 && columns.end == w.source;  // then lines make one run
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t d = b.planes.begin; d < b.planes.end; ++d) {
      const float* const plane = source + (c * p.axes[0].source + d) * h.source * w.source;
      for (int64_t line = b.lines.begin; line < b.lines.end; line += whole ? b.lines.size() : 1) {
        const float* const from = plane + line * w.source + columns.begin;
        const float* const to = from + (whole ? b.lines.size() * w.source : columns.size());
        for (const float* at = from; at < to; at += 16) hwy::Prefetch(at);
      }
    }
  }
}

// Pixels of a line that one register tile sums through the column taps [from, to). Where some of a tile's pixels cannot read a tap,
// the taps that all can read come first, then the others for the pixels that can.
struct Pass {
  int64_t phase, begin, pixels;
  int64_t from, to;
  bool first;
  int64_t taps_at, tap_count;  // in the thread's list of taps; passes through the same column taps share it
};

// Column taps that the grid positions [begin, end) all read.
HWY_INLINE Range CommonTaps(const Axis& w, const Phase& phase, int64_t begin, int64_t end) {
  Range taps{0, phase.taps};
  const auto common = [&](int64_t tap) { return w.reads(phase, begin, tap) && w.reads(phase, end - 1, tap); };
  while (taps.begin < taps.end && !common(taps.begin)) ++taps.begin;
  while (taps.end > taps.begin && !common(taps.end - 1)) --taps.end;
  return taps;
}

HWY_INLINE int64_t MostPasses(const Plan& p) { return p.block[2] / tile::kPixels + 2 * p.axes[2].phases + 6 * p.kernel[2] + 2; }
HWY_INLINE int64_t MostTaps(const Plan& p) { return (p.in_place || p.cut ? 4 * p.kernel[2] + 2 : 1) * p.taps; }

HWY_INLINE int64_t MakePasses(const Plan& p, const DirectBlock& b, Pass* passes) {
  const Axis& w = p.axes[2];
  int64_t count = 0, taps_at = 0;
  const auto add = [&](int64_t r, int64_t begin, int64_t end, Range taps, bool first) {
    Pass& pass = passes[count++];
    pass = {r, begin, end - begin, taps.begin, taps.end, first, taps_at, 0};
    for (const Pass* other = passes; other != &pass; ++other) {
      if (other->phase == r && other->from == pass.from && other->to == pass.to) {
        pass.taps_at = other->taps_at;
        return;
      }
    }
    taps_at += taps.size() * p.kernel[0] * p.kernel[1];
  };
  for (int64_t r = 0; r < w.phases; ++r) {
    const Phase& phase = w.phase[static_cast<size_t>(r)];
    const Range grid = w.grid(r, b.begin[2], b.end[2]);
    for (int64_t from = grid.begin, to = 0; from < grid.end; from = to) {
      to = p.cut ? w.next_cut(phase, from, grid.end) : grid.end;
      const int64_t tiles = (to - from + tile::kPixels - 1) / tile::kPixels;
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t begin = from + (to - from) * i / tiles, end = from + (to - from) * (i + 1) / tiles;
        const Range common = p.cut || p.in_place ? CommonTaps(w, phase, begin, end) : Range{0, phase.taps};
        add(r, begin, end, common, true);
        if (!p.in_place || p.cut) continue;
        const auto reached = [&](int64_t tap) {
          Range range{begin, end};
          while (range.begin < end && !w.reads(phase, range.begin, tap)) ++range.begin;
          while (range.end > range.begin && !w.reads(phase, range.end - 1, tap)) --range.end;
          return range;
        };
        for (int64_t tap = 0; tap < phase.taps; ++tap) {
          if (tap >= common.begin && tap < common.end) continue;
          const Range range = reached(tap);
          if (range.empty()) continue;
          const int64_t first = tap;
          while (tap + 1 < phase.taps && tap + 1 != common.begin && reached(tap + 1) == range) ++tap;
          add(r, range.begin, range.end, {first, tap + 1}, false);
        }
      }
    }
  }
  return count;
}

// The taps [from, to) of an axis phase that grid position j reads.
HWY_INLINE Range ReadTaps(const Axis& axis, const Phase& phase, int64_t j, bool all) {
  return all ? Range{0, phase.taps} : CommonTaps(axis, phase, j, j + 1);
}

// Taps relative to a pixel's place in the slab (SourceOf).
HWY_INLINE int64_t MakeTaps(const Plan& p, const DirectBlock& b, const Phase& pd, Range td, const Phase& ph, Range th,
                            const Phase& pw, Range tw, int64_t lanes, Tap* taps) {
  const int64_t sh = p.axes[1].source_step, sw = p.axes[2].source_step;
  int64_t count = 0;
  for (int64_t d = td.begin; d < td.end; ++d) {
    const int64_t plane = (pd.offset_of(d) - b.low[0]) * p.slab_lines;
    for (int64_t h = th.begin; h < th.end; ++h) {
      const int64_t line = ph.offset_of(h) - b.low[1];
      const int64_t kernel = (pd.kernel_first + d * pd.kernel_step) * p.kernel[1] + ph.kernel_first + h * ph.kernel_step;
      for (int64_t w = tw.begin; w < tw.end; ++w) {
        const int64_t column = pw.offset_of(w) - b.low[2];
        int64_t at = 0;
        if (p.flat) {
          const int64_t q = shape::floor_div(line, sh), per_remainder = p.slab_lines / p.kernel[2] / sh;
          at = (plane + (w * sh + line - q * sh) * per_remainder + q) * p.slab_pitch;
        } else if (p.in_place) {
          at = (plane + line) * p.slab_pitch + column;
        } else {
          const int64_t q = shape::floor_div(column, sw);
          at = (plane + line) * p.slab_pitch + (column - q * sw) * p.columns + q;
        }
        taps[count++] = {at, (kernel * p.kernel[2] + pw.kernel_first + w * pw.kernel_step) * lanes};
      }
    }
  }
  return count;
}

struct DirectLists {
  Pass* passes;
  int64_t pass_count;
  Tap* taps;
};

// Sums of some channels for one tile of result channels over a block, into sums[pixel][TileRows]. work: all but taps, their count
// and the sums.
HWY_INLINE void SumBlock(const Plan& p, const DirectBlock& b, conv_tile::Work work, int64_t lanes, const DirectLists& lists,
                         float* sums, const float* ahead_end) {
  const Axis &ad = p.axes[0], &ah = p.axes[1], &w = p.axes[2];
  const int64_t width = b.end[2] - b.begin[2], stride = TileRows(), vectors = lanes / tile::Lanes();
  const float* const slab = work.source;
  const bool add = work.add;
  const auto advance = [&work, ahead_end] {
    if (work.ahead == nullptr) return;
    work.ahead += work.channels * work.ahead_step;
    if (work.ahead >= ahead_end) work.ahead = nullptr;
  };
  Range last_d{-1, -1}, last_h{-1, -1};  // what the lists hold: taps and phase of planes and lines
  int64_t last_phases = -1;
  for (int64_t d = b.begin[0]; d < b.end[0]; ++d) {
    const int64_t rd = d % ad.result_step, jd = d / ad.result_step;
    const Phase& pd = ad.phase[static_cast<size_t>(rd)];
    const Range td = ReadTaps(ad, pd, jd, false);
    for (int64_t h = b.begin[1]; h < b.end[1]; ++h) {
      const int64_t rh = h % ah.result_step, jh = h / ah.result_step;
      const Phase& ph = ah.phase[static_cast<size_t>(rh)];
      const Range th = ReadTaps(ah, ph, jh, p.flat);
      if (td != last_d || th != last_h || rd * direct::kMostPhases + rh != last_phases) {
        for (int64_t i = 0; i < lists.pass_count; ++i) {
          Pass& pass = lists.passes[i];
          pass.tap_count = MakeTaps(p, b, pd, td, ph, th, w.phase[static_cast<size_t>(pass.phase)], {pass.from, pass.to}, lanes,
                                    lists.taps + pass.taps_at);
        }
        last_d = td;
        last_h = th;
        last_phases = rd * direct::kMostPhases + rh;
      }
      work.sums_stride = w.result_step * stride;
      if (p.flat) {  // lines follow each other
        const int64_t pixels = (b.end[1] - b.begin[1]) * width, tiles = (pixels + tile::kPixels - 1) / tile::kPixels;
        work.taps = lists.taps;
        work.tap_count = lists.passes[0].tap_count;
        for (int64_t i = 0; i < tiles; ++i) {
          const int64_t at = pixels * i / tiles;
          work.source = slab + jd * ad.source_step * p.slab_lines * p.slab_pitch + jh * p.slab_pitch + at;
          work.sums = sums + at * stride;
          tile::RunChannelTile<false>(work, pixels * (i + 1) / tiles - at, vectors, 1);
          advance();
        }
        sums += pixels * stride;
        break;
      }
      const float* const line = slab + (jd * ad.source_step * p.slab_lines + jh * ah.source_step) * p.slab_pitch;
      const int64_t step = p.in_place ? w.source_step : 1;
      for (int64_t i = 0; i < lists.pass_count; ++i) {
        const Pass& pass = lists.passes[i];
        work.source = line + pass.begin * step;
        work.taps = lists.taps + pass.taps_at;
        work.tap_count = pass.tap_count;
        work.sums = sums + (w.phase[static_cast<size_t>(pass.phase)].first + pass.begin * w.result_step - b.begin[2]) * stride;
        work.add = add || !pass.first;
        if (work.tap_count == 0 && work.add) continue;
        tile::RunChannelTile<false>(work, pass.pixels, vectors, step);
        advance();
      }
      sums += width * stride;
    }
  }
}

// The tiles of result channels are dealt out in this many parts. Only speed depends on it: every part copies its own slab.
HWY_INLINE int64_t DirectParts(const Plan& p, int threads) {
  const int64_t others = p.batch * p.groups * p.block_count(), tiles = std::max<int64_t>(DirectTiles(p), 1);
  if (others >= 4 * threads || others % threads == 0) return 1;
  return std::min<int64_t>(tiles, (2 * threads + others - 1) / others);
}

struct DirectScratch {
  int64_t slab, sums, taps, passes;  // floats
  int64_t all() const { return slab + sums + taps + passes; }
};

HWY_INLINE DirectScratch ScratchOf(const Plan& p, int threads) {
  const int64_t parts = DirectParts(p, threads), tiles = p.slab_channels < p.channels ? (DirectTiles(p) + parts - 1) / parts : 1;
  const auto whole_lines = [](int64_t floats) { return (floats + 15) / 16 * 16; };
  return {p.in_place ? 0 : whole_lines(p.slab_channel * std::min(p.slab_channels, p.channels)),
          whole_lines(((tiles * p.block_pixels()) + tile::Lanes()) * TileRows()),
          whole_lines(MostTaps(p) * static_cast<int64_t>(sizeof(Tap) / sizeof(float))),
          whole_lines(MostPasses(p) * static_cast<int64_t>(sizeof(Pass) / sizeof(float)))};
}

struct DirectIo {
  const float *source, *bias, *packed;
  float* result;
};

HWY_ATTR void DirectRun(const Plan& p, const DirectIo& io, const Epilogue<float>& what_follows, Workspace& workspace) {
  const SplitEpilogue epilogue(what_follows);
  const DirectScratch floats = ScratchOf(p, num_threads());
  const int64_t scratch_floats = floats.all();
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const int64_t parts = DirectParts(p, num_threads()), tiles = DirectTiles(p), packed_group = PackedGroup(p);
  const int64_t positions = p.result_positions(), blocks = p.block_count();
  parallel_for(p.batch * p.groups * blocks * parts, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t part = task % parts, image = task / parts / blocks;
    const int64_t tile_begin = tiles * part / parts, tile_end = tiles * (part + 1) / parts;
    const int64_t n = image / p.groups, group = image % p.groups;
    const DirectBlock b = MakeBlock(p, task / parts % blocks);
    float* const slab = scratch + thread * scratch_floats;
    float* const sums = slab + floats.slab;
    DirectLists lists{reinterpret_cast<Pass*>(sums + floats.sums), 0, reinterpret_cast<Tap*>(sums + floats.sums + floats.passes)};
    lists.pass_count = MakePasses(p, b, lists.passes);
    const bool keep = p.slab_channels < p.channels;  // sums of all tiles wait for the next channels
    for (int64_t slab_begin = 0; slab_begin < p.channels; slab_begin += p.slab_channels) {
      const int64_t slab_end = std::min(p.channels, slab_begin + p.slab_channels);
      const float* source = io.source + (image * p.channels + slab_begin) * p.source_positions();
      if (p.in_place) {
        FetchSource(p, b, source, slab_end - slab_begin);
      } else {
        FillSlab(p, b, source, slab_end - slab_begin, slab);
        source = slab;
      }
      for (int64_t o = tile_begin; o < tile_end; ++o) {
        const int64_t lanes = TileLanes(p, o);
        float* const tile_sums = keep ? sums + (o - tile_begin) * p.block_pixels() * TileRows() : sums;
        for (int64_t c = slab_begin; c < slab_end; c += p.chain) {
          conv_tile::Work work;
          work.source = source + (c - slab_begin) * p.slab_channel;
          work.source_channel = p.slab_channel;
          work.weight = io.packed + group * packed_group + (o * TileRows() * p.channels + c * lanes) * p.taps;
          work.weight_channel = p.taps * lanes;
          work.channels = std::min(p.chain, slab_end - c);
          work.add = c > 0;
          // The next chain's weights may lie beyond the cache: their lines are fetched by the way, spread over the tiles.
          const float* const next = work.weight + work.channels * work.weight_channel;
          const int64_t next_lines = work.channels * p.taps * lanes / 16;
          const int64_t turns =
              (b.end[0] - b.begin[0]) * (b.end[1] - b.begin[1]) * std::max<int64_t>(lists.pass_count, 1) * work.channels;
          work.ahead = c + p.chain < p.channels || o + 1 < tile_end ? next : nullptr;
          work.ahead_step = (next_lines + turns - 1) / turns * 16;
          const float* const ahead_end = next + next_lines * 16;
          SumBlock(p, b, work, lanes, lists, tile_sums, ahead_end);
        }
        if (slab_end < p.channels) continue;
        // Whole lines of one plane follow each other in the result as in the sums.
        const int64_t row = o * TileRows(), count = std::min(TileRows(), p.rows - row);
        const bool whole = b.end[2] - b.begin[2] == p.axes[2].result;
        const int64_t run = whole ? (b.end[1] - b.begin[1]) * p.axes[2].result : b.end[2] - b.begin[2];
        conv_tile::Finish finish(epilogue, io.result);
        finish.bias = io.bias != nullptr ? io.bias + group * p.rows + row : nullptr;
        int64_t done = 0;
        for (int64_t d = b.begin[0]; d < b.end[0]; ++d) {
          for (int64_t h = b.begin[1]; h < b.end[1]; h += whole ? b.end[1] - b.begin[1] : 1, done += run) {
            float* const to = io.result + ((n * p.groups + group) * p.rows + row) * positions +
                              (d * p.axes[1].result + h) * p.axes[2].result + b.begin[2];
            tile::StoreChannels(tile_sums + done * TileRows(), TileRows(), run, count, finish, to, positions);
            for (int64_t r = 0; r < count && epilogue.later; ++r) epilogue.finish(to + r * positions, run);
          }
        }
      }
    }
  });
}

HWY_ATTR void DirectForward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  DirectRun(direct::make_plan(s, Direction::kForward), {io.input, io.bias, io.packed, io.output}, io.epilogue, workspace);
}

HWY_ATTR void DirectGradInput(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  DirectRun(direct::make_plan(s, Direction::kGradInput), {io.grad_output, io.bias, io.packed, io.grad_input}, io.epilogue,
            workspace);
}

// [group][tile of rows][channel][tap][lanes]: in the order of reading.
HWY_ATTR void DirectPack(const ConvShape& s, Direction direction, const float* weight, float* packed) {
  const Plan p = direct::make_plan(s, direction);
  const int64_t tiles = DirectTiles(p), packed_group = PackedGroup(p);
  parallel_for(p.groups * tiles, [&](int64_t task) HWY_ATTR {
    const int64_t group = task / tiles, o = task % tiles, row = o * TileRows(), lanes = TileLanes(p, o);
    const int64_t rows = std::min(lanes, p.rows - row);
    const float* from = weight + group * p.weight_group + row * p.weight_row;
    float* to = packed + group * packed_group + row * p.channels * p.taps;
    for (int64_t c = 0; c < p.channels; ++c) {
      for (int64_t tap = 0; tap < p.taps; ++tap, to += lanes) {
        const float* at = from + c * p.weight_channel + tap;
        for (int64_t r = 0; r < rows; ++r) to[r] = at[r * p.weight_row];
        for (int64_t r = rows; r < lanes; ++r) to[r] = 0;
      }
    }
  });
}

HWY_ATTR size_t DirectPackedBytes(const ConvShape& s, Direction direction) {
  const Plan p = direct::make_plan(s, direction);
  return static_cast<size_t>(p.groups * PackedGroup(p)) * sizeof(float);
}

HWY_ATTR size_t DirectWorkspace(const ConvShape& s, Direction direction, int threads) {
  const DirectScratch floats = ScratchOf(direct::make_plan(s, direction), threads);
  return static_cast<size_t>(floats.all() * threads) * sizeof(float);
}

// Register tile steps (two vectors of FMAs per pixel) of one sample.
HWY_ATTR double DirectSteps(const ConvShape& s, Direction direction) {
  const Plan p = direct::make_plan(s, direction);
  double lanes = 0;
  for (int64_t o = 0; o < DirectTiles(p); ++o) lanes += static_cast<double>(TileLanes(p, o));
  return lanes;
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(DirectForward);
HWY_EXPORT(DirectGradInput);
HWY_EXPORT(DirectPack);
HWY_EXPORT(DirectPackedBytes);
HWY_EXPORT(DirectWorkspace);
HWY_EXPORT(DirectSteps);

namespace {

template <Direction kDirection>
const char* refuse(const ConvShape& s) {
  if (s.output_positions() == 0 || s.input_positions() == 0 || s.in_channels == 0 || s.out_channels == 0)
    return "nothing to compute";
  if (s.taps() > direct::kMostTaps) return "needs at most 512 taps";
  for (const shape::Axis& axis : s.axes) {
    if (axis.stride > direct::kReach || axis.dilation > direct::kReach || std::abs(axis.pad_begin) > direct::kReach)
      return "the kernel reaches too far";
    if (kDirection == Direction::kGradInput && axis.stride > direct::kMostPhases) return "needs strides of at most 16";
  }
  if (direct::make_plan(s, kDirection).slab_channel > direct::kMostSlabFloats)
    return "the rows under one kernel do not fit the cache";
  return nullptr;
}

template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  const direct::Plan p = direct::make_plan(s, kDirection);
  const double positions =
      static_cast<double>(s.batch * s.groups * s.output_positions() * p.taps) * static_cast<double>(p.channels);
  const double stored = static_cast<double>(s.batch * s.groups * p.rows * p.result_positions());
  // With one tap nothing of the slab is used twice.
  const double fraction = p.taps == 1 ? 0.6 : 0.9;
  return 2e-6 +
         (2 * positions * HWY_DYNAMIC_DISPATCH(DirectSteps)(s, kDirection) / (fraction * m.flops_per_second) + stored * 0.5e-9) /
             m.threads;
}

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  return HWY_DYNAMIC_DISPATCH(DirectWorkspace)(s, kDirection, threads);
}

template <Direction kDirection>
size_t packed_bytes(const ConvShape& s) {
  return HWY_DYNAMIC_DISPATCH(DirectPackedBytes)(s, kDirection);
}

template <Direction kDirection>
void pack(const ConvShape& s, const float* weight, float* packed) {
  HWY_DYNAMIC_DISPATCH(DirectPack)(s, kDirection, weight, packed);
}

double pack_seconds(const ConvShape& s, const Machine& m) {
  return 1e-6 + static_cast<double>(s.weight_count()) * 0.7e-9 / m.threads;
}

}  // namespace

const ConvKernel kConvDirectForward{.name = "conv_direct",
                                    .direction = Direction::kForward,
                                    .refuse = refuse<Direction::kForward>,
                                    .seconds = seconds<Direction::kForward>,
                                    .workspace_bytes = workspace_bytes<Direction::kForward>,
                                    .packed_bytes = packed_bytes<Direction::kForward>,
                                    .pack = pack<Direction::kForward>,
                                    .pack_seconds = pack_seconds,
                                    .forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) {
                                      HWY_DYNAMIC_DISPATCH(DirectForward)(s, io, w);
                                    }};

const ConvKernel kConvDirectGradInput{.name = "conv_direct",
                                      .direction = Direction::kGradInput,
                                      .refuse = refuse<Direction::kGradInput>,
                                      .seconds = seconds<Direction::kGradInput>,
                                      .workspace_bytes = workspace_bytes<Direction::kGradInput>,
                                      .packed_bytes = packed_bytes<Direction::kGradInput>,
                                      .pack = pack<Direction::kGradInput>,
                                      .pack_seconds = pack_seconds,
                                      .grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
                                        HWY_DYNAMIC_DISPATCH(DirectGradInput)(s, io, w);
                                      }};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
