// forward:    output[oc][o]     = sum over ic, tap of weight[oc][ic][tap] input[ic][o * stride + tap * dilation - pad]
// grad_input: grad_input[ic][i] = the same over oc and the taps that reach i: once per phase (i mod stride), whose positions all
//             read grad_output side by side, so no product with a stuffed zero is computed. All column phases of a row are summed
//             before it is stored, hence stores are contiguous.
//
// A task is a block of the result (planes x lines x columns) and some result channels. Its tiles read the source
//   in place  if planes do not alias in the cache: taps that some pixels of a tile cannot read are summed apart, for those that can
//             (5 % faster than a slab at 56x56, 9 % at 14x14 and at a stride of 2, twice as fast for lines of 5 pixels);
//   rows      else from a slab: lines copied with zeros at the borders, columns with the same remainder by the stride side by side.
// Lines outside the source are left out, not multiplied by zero; so are taps that most columns cannot read (large dilation): the
// line is cut where taps enter and leave. Weights lie in the order of reading; the next chain's are fetched while this one is
// summed.
//
// Lanes are result channels. With few of those (about 12 of AVX-512's 16) lanes are the pixels of a line instead, 3 result channels
// x 8 vectors or 4 x 6, over slabs whose lines are filled up to whole vectors: no tails, no masks. Column phases are summed apart
// and interleaved on their way out. The first layer of a ResNet passes its gradient on 5.5 times as fast as with lanes of channels,
// 3.7 times as fast as oneDNN 2.6 blocked. Chains of at least 72 terms: of 9, storing and adding the sums took a fifth.
//
// Measured on a core with two 512-bit FMA pipes, 2 threads, against oneDNN 2.6 in its own blocked layout: 3x3 of 64 to 512 channels
// at 0.83 to 0.94 of its speed; the 7x7 stem was at 0.8 (0.9 of its NCHW) before a tile's sums were stored at once. Behind: k4 s2
// at 8x8. What lost: copying lines with memcpy (a tenth of the time); one loop over (channel, tap) without a branch; lanes of
// pixels for many result channels (a 7x7 stem takes a fifth longer, first layers of 3x3 as long; on AVX2 3 % longer).
//
// Over 600 lines: one geometry serves the blocking, the slab, the lists of taps and the tiles, for both directions.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_direct.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_direct.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <utility>

#include "convoy/core/parallel.h"
#include "convoy/shape/taps.h"

#ifndef CONVOY_KERNELS_CONV_DIRECT_GEOMETRY
#define CONVOY_KERNELS_CONV_DIRECT_GEOMETRY
namespace convoy::kernels::direct {

constexpr int64_t kMostPhases = 16;         // per axis
constexpr int64_t kMostTaps = 512;          // and the longest chain of sums
constexpr int64_t kLineTerms = 64;          // of a chain over one long line: its weights stay in L1 (a fifth faster than 512)
constexpr int64_t kFewSumsLineTerms = 128;  // the same where vectors have 8 lanes (3 to 10 % faster than 64)
constexpr int64_t kFewSumsTerms = 200;      // of a pixel's chain on AVX2: 12 sums use a weight so briefly that it must come from L1
constexpr int64_t kLeastChain = 16;         // channels of one on AVX2, if kMostTaps allows
constexpr int64_t kSlabFloats = 128 << 10;  // half of a 1 MiB L2 cache
constexpr int64_t kFewSumsSlabFloats = 64 << 10;  // of 512 KiB, as processors without AVX-512 have
constexpr int64_t kMostSlabFloats = 1 << 20;      // 4 MiB
constexpr int64_t kBlockPixels = 1024;            // of a task
constexpr int64_t kFewTasks = 8;
constexpr int64_t kLeastTaskPixels = 28;      // two register tiles
constexpr int64_t kLeastTaskColumns = 112;    // of one that does not have whole lines
constexpr double kLeastTaskProducts = 200e3;  // some microseconds
constexpr int64_t kFewRows = 4;               // about a register tile's, where they are few
constexpr int64_t kFewRowsPixels = 4096;      // of a task with few result channels: fewer lines are copied twice
constexpr int64_t kFewRowsTerms = 72;         // of a chain at least, for its sums to be worth storing
constexpr int64_t kFewRowsFloats = 8 << 10;   // of a chain's lines, to stay in L1
constexpr int64_t kAliasFloats = 4 << 10;
constexpr int64_t kFewProducts = 200;  // of a source's value, so that waiting for it counts
constexpr int64_t kReach = 1 << 20;    // of a kernel; beyond it sizes might overflow

using conv_tile::kLine;
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

  int64_t most_taps() const {  // of a phase
    int64_t most = 0;
    for (int64_t r = 0; r < phases; ++r) most = std::max(most, phase[static_cast<size_t>(r)].taps);
    return most;
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

  bool pixel_lanes = false;  // else lanes are result channels
  bool in_place = false;     // otherwise a slab of rows
  bool cut = false;          // lines at the columns where taps enter and leave
  Spatial block{1, 1, 1};    // result positions of a task
  Spatial blocks{1, 1, 1};
  int64_t chain = 1;                                         // channels of one chain of sums
  int64_t slab_channels = 1;                                 // channels in the slab at a time, a multiple of chain
  int64_t slab_depth, slab_lines, slab_pitch, slab_channel;  // its shape: planes, lines of a plane, floats of a line and a channel
  int64_t columns = 1;                                       // of a line of the slab with one remainder by the stride

  int64_t source_positions() const { return axes[0].source * axes[1].source * axes[2].source; }
  int64_t result_positions() const { return axes[0].result * axes[1].result * axes[2].result; }
  int64_t block_count() const { return blocks[0] * blocks[1] * blocks[2]; }
  double phases() const { return static_cast<double>(axes[0].phases * axes[1].phases * axes[2].phases); }
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

// Sums that the lanes compute per channel and tap, those beyond the result included. lanes: floats of a vector.
inline double terms_of_a_sum(const Plan& p) {
  // Phases without taps have no sums: of 17 channels through one tap at a stride of 2 a sum has 17 terms.
  return static_cast<double>(p.channels) * std::max(static_cast<double>(p.taps) / p.phases(), 1.0);
}
inline double channel_lane_work(const Plan& p, int64_t lanes) {
  double columns = 0;
  for (int64_t r = 0; r < p.axes[2].phases; ++r) {
    columns += static_cast<double>(std::max<int64_t>(p.axes[2].phase[static_cast<size_t>(r)].count, 4));
  }
  const double vectors = conv_tile::half(p.rows, lanes) ? 0.5
                         : p.cut                        ? static_cast<double>((p.rows + lanes - 1) / lanes)
                                                        : conv_tile::vectors_of(p.rows, lanes);
  // Transposing and storing cost as much as some 24 more terms.
  return columns * vectors * static_cast<double>(lanes) * (1 + 24 / terms_of_a_sum(p));
}
inline double pixel_lane_work(const Plan& p, int64_t lanes) {
  double columns = 0;
  for (int64_t r = 0; r < p.axes[2].phases; ++r) {
    columns += static_cast<double>((p.axes[2].phase[static_cast<size_t>(r)].count + lanes - 1) / lanes * lanes);
  }
  // Lines are copied for all rows, beyond a step of 2 almost one value after the other (17 channels of kernels of 4 at a stride of
  // 4: as long as all the rest), and once more where a block's few lines reach into the next one's.
  const int64_t step = p.axes[2].source_step, lines = (p.axes[1].result + 7) / 8;
  const double again = static_cast<double>(p.axes[1].hull(0, lines).size()) / static_cast<double>(lines * p.axes[1].source_step);
  const auto taps = static_cast<double>(p.axes[0].most_taps() * p.axes[1].most_taps() * p.axes[2].most_taps());
  const double copies_of_a_line = static_cast<double>(p.axes[0].source_step * p.axes[1].source_step * step) * std::max(again, 1.0);
  const double copied = copies_of_a_line * static_cast<double>(lanes) * (step <= 2 ? 0.05 : step == 3 ? 0.3 : 1) / taps;
  // On AVX2 the copy of a short strided line takes its time to begin (3 of 256 channels, 17x17x17 at a stride of 2: as lanes of
  // channels a third).
  const double begun = lanes == 8 && step > 1 ? copies_of_a_line * 100 / taps : 0;
  // Loads cross lines, those of AVX2 half as often; a tile's beginning and end cost as much as some 8 more terms.
  return columns * (static_cast<double>(std::max<int64_t>(p.rows, 2)) * (lanes == 8 ? 1.05 : 1.15) * (1 + 8 / terms_of_a_sum(p)) +
                    copied) +
         begun;
}

inline Plan make_plan(const ConvShape& s, Direction direction, int64_t lanes) {
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
  const int64_t slab_floats = lanes == 8 ? kFewSumsSlabFloats : kSlabFloats;
  p.cut = column_cost(w, true) * 10 < column_cost(w, false) * 9;
  // Lines of less than a vector leave tiles with few chains of sums: 14 columns take 0.4 of the time with 3 result channels, as
  // long with 17.
  const bool wide = w.result >= lanes || (4 * w.result >= 3 * lanes && p.rows <= kFewRows);
  p.pixel_lanes = !p.cut && wide && pixel_lane_work(p, lanes) < (w.result_step > 1 ? 0.65 : 0.8) * channel_lane_work(p, lanes);
  // Lanes of channels read in place even where planes lie a large power of two apart and share few sets of the cache: copying them
  // into a slab takes longer (128 channels at 64x64: 12.9 against 9.8 ms), but for lines that are read by phases.
  const int64_t volume = p.source_positions();
  p.in_place = !p.pixel_lanes && (p.channels < 8 || w.result_step == 1 || volume % kAliasFloats != 0);
  const bool one_line = d.result * h.result == 1;
  const int64_t phases = d.phases * h.phases * w.phases;
  // A sum of one phase has a channel's taps of that phase only. A slab holds what a chain reads.
  // A vector of weights a term takes half of the cache that two do.
  const int64_t few_sums_terms = p.rows <= lanes && !p.pixel_lanes ? 2 * kFewSumsTerms : kFewSumsTerms;
  const int64_t terms = one_line ? (lanes == 8 ? kFewSumsLineTerms : kLineTerms) : lanes == 8 ? few_sums_terms : kMostTaps;
  const int64_t phase_taps = p.pixel_lanes || p.in_place ? d.most_taps() * h.most_taps() * w.most_taps() : p.taps;
  p.chain = std::max<int64_t>(terms / std::max<int64_t>(phase_taps, 1), 1);
  // Taps at a line's ends are summed apart, few a channel: chains of few channels would mostly begin and end (5x5 on 5x5 maps takes
  // 0.75 of the time so, 3x3x3 at a stride of 2 on 7x7x7 0.8).
  if (lanes == 8 && !one_line && !p.pixel_lanes) {
    p.chain = std::max(p.chain, std::min(kLeastChain, kMostTaps / std::max<int64_t>(phase_taps, 1)));
  }
  p.chain = std::max<int64_t>(p.channels + (p.channels + p.chain - 1) / p.chain - 1, 1) /
            std::max<int64_t>((p.channels + p.chain - 1) / p.chain, 1);

  const auto even = [](int64_t size, int64_t most, int64_t step) {  // size cut into equal parts of at most `most`
    most = std::max<int64_t>(most, 1);
    const int64_t parts = (size + most - 1) / most, part = (size + parts - 1) / parts;
    return std::min((part + step - 1) / step * step, size);
  };
  p.block[0] = std::min(d.result_step, d.result);
  p.block[2] = w.result <= 2 * kBlockPixels ? w.result : even(w.result, kBlockPixels, w.result_step);
  p.block[1] = p.pixel_lanes ? even(h.result, std::min(kFewRowsPixels / p.block[2], (h.result + 7) / 8), h.result_step)
                             : even(h.result, kBlockPixels / p.block[2], h.result_step);
  // Few bands are of about equal height, and as many for each thread: of 13 a thread of two had the 112 lines of a stem for 58.
  if (const int64_t bands = (h.result + p.block[1] - 1) / p.block[1]; bands > 4 && bands < 32) {
    const int64_t wanted = (bands + 3) / 4 * 4;
    p.block[1] = even(h.result, (h.result + wanted - 1) / wanted, h.result_step);
  }
  // A layer of few tasks is cut into bands of lines, for the threads to be busy: 256 -> 24 channels at 32x32 was one task.
  const int64_t most_rows = p.pixel_lanes ? kFewRows : 2 * lanes, tiles = (p.rows + most_rows - 1) / most_rows;
  const double all =
      static_cast<double>(p.rows) * static_cast<double>(p.channels * p.taps) * static_cast<double>(p.result_positions());
  const auto worth = static_cast<int64_t>(std::min(all / kLeastTaskProducts, static_cast<double>(kFewTasks)));
  const auto parts = [&p](size_t a) { return (p.axes[a].result + p.block[a] - 1) / p.block[a]; };
  const int64_t others = p.batch * p.groups * tiles * parts(0) * parts(2);
  if (!p.pixel_lanes && others > 0 && others < worth) {
    const int64_t lines = std::max((h.result * others + worth - 1) / worth, (kLeastTaskPixels + p.block[2] - 1) / p.block[2]);
    p.block[1] = even(h.result, std::min(p.block[1], lines), h.result_step);
  }
  // Long lines are cut, too. Not so in a batch and otherwise alone: taps at a line's ends are summed apart for whole tiles.
  const int64_t in_a_sample = p.groups * tiles * parts(0) * parts(1) * parts(2);
  if (in_a_sample > 0 && in_a_sample < worth) {
    const int64_t columns = std::max(p.block[2] * in_a_sample / worth, kLeastTaskColumns);
    int64_t pieces = (w.result + columns - 1) / columns;
    if (pieces > 2) pieces = (pieces + 2) / 4 * 4;  // as many for each thread: of five one of two threads had three
    p.block[2] = std::min(p.block[2], even(w.result, (w.result + pieces - 1) / pieces, w.result_step));
  }
  const auto measure = [&] {
    if (p.in_place) {
      p.slab_depth = d.source;
      p.slab_lines = h.source;
      p.slab_pitch = w.source;
      p.slab_channel = volume;
      return;
    }
    p.slab_depth = d.hull_size(p.block[0], true);
    p.slab_lines = h.hull_size(p.block[1], true);
    p.columns = (w.hull_size(p.block[2], p.cut) + w.source_step - 1) / w.source_step;
    p.slab_pitch = p.columns * w.source_step;
    p.slab_channel = p.slab_depth * p.slab_lines * p.slab_pitch;
    if (p.channels > 1) p.slab_channel = ((p.slab_channel + kLine - 1) / kLine | 1) * kLine;  // channels in different sets
  };
  measure();
  if (p.pixel_lanes) {
    p.chain = std::clamp<int64_t>(kFewRowsFloats / p.slab_channel,
                                  std::min(p.chain, (kFewRowsTerms * phases + p.taps - 1) / p.taps), p.chain);
  }
  // Fewer lines where that lets the slab hold all channels without reading much more around them.
  while (!p.in_place && !p.pixel_lanes && p.slab_channel * p.channels > slab_floats && p.block[1] > h.result_step &&
         p.block[1] * p.block[2] >= 256) {
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
  p.slab_channels = p.in_place && block_channel * p.channels <= 2 * slab_floats
                        ? p.channels
                        : std::clamp<int64_t>(slab_floats / block_channel / p.chain, 1, chains) * p.chain;
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

HWY_INLINE Plan MakePlan(const ConvShape& s, Direction direction) { return direct::make_plan(s, direction, tile::Lanes()); }

// Lanes of pixels: rows x vectors of a register tile, at most 3 x 8 or 4 x 6 (12 sums in 16 registers). The lines of a slab
// and the sums are filled up to whole vectors, so there are no tails.
constexpr int kMostRows = 4;
constexpr int MostVectors(int rows) {
  if (HWY_TARGET == HWY_SCALAR) return 4 / rows;
  return HWY_TARGET == HWY_AVX3 ? (rows <= 3 ? 8 : 6) : (rows == 1 ? 8 : 12 / rows);
}

// Where the sums of a register tile go once they are complete: null while channels follow, or if phases are to be interleaved.
struct RowStore {
  float* result = nullptr;
  int64_t stride = 0;  // distance of result channels
  int64_t pixels = 0;
  const conv_tile::Finish* finish = nullptr;
};

template <int kR, int kV>
HWY_ATTR void RowTile(const conv_tile::Work& t, const RowStore& store) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = tile::Lanes();
  tile::Floats sum[kR][kV];
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) sum[r][v] = hn::Zero(d);
  }
  const auto none = hn::FirstN(d, 0);
  const float* x = t.source;
  const float* w = t.weight;
  for (int64_t c = 0; c < t.channels; ++c) {
    for (const Tap *tap = t.taps, *end = tap + t.tap_count; tap != end; ++tap) {
      tile::AddPixels<false, kR, kV>(x + tap->source, w + tap->weight, none, sum);
      KeepOrder();
    }
    x += t.source_channel;
    w += t.weight_channel;
  }
  if (t.add) {
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) sum[r][v] = hn::Add(hn::LoadU(d, t.sums + r * t.sums_stride + v * lanes), sum[r][v]);
    }
  }
  if (store.result == nullptr) {
    HWY_UNROLL(8)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kV; ++v) hn::StoreU(sum[r][v], d, t.sums + r * t.sums_stride + v * lanes);
    }
    return;
  }
  const conv_tile::Finish& finish = *store.finish;
  const auto low = hn::Set(d, finish.low), high = hn::Set(d, finish.high);
  const auto mask = hn::FirstN(d, static_cast<size_t>(store.pixels - (kV - 1) * lanes));
  const auto all = hn::FirstN(d, static_cast<size_t>(lanes));
  const bool whole = store.pixels == kV * lanes;
  HWY_UNROLL(8)
  for (int r = 0; r < kR; ++r) {
    float* const to = store.result + r * store.stride;
    const auto bias = hn::Set(d, finish.bias != nullptr ? finish.bias[r] : 0.0f);
    HWY_UNROLL(8)
    for (int v = 0; v < kV; ++v) {
      tile::Floats y = hn::Add(sum[r][v], bias);
      if (finish.residual != nullptr) {
        y = hn::Add(y, LoadMasked(v + 1 < kV ? all : mask, d, finish.residual + (to - finish.result) + v * lanes));
      }
      if (finish.clamp) y = tile::Clamped(y, low, high);
      if (v + 1 < kV || (HWY_TARGET != HWY_AVX3 && whole)) {  // AVX2 stores some lanes slowly
        hn::StoreU(y, d, to + v * lanes);
      } else {
        StoreMasked(y, mask, d, to + v * lanes);
      }
    }
  }
}

template <int kR, int... kV>
HWY_INLINE void RunRowTile(const conv_tile::Work& t, int64_t vectors, const RowStore& store, std::integer_sequence<int, kV...>) {
  static constexpr std::array<void (*)(const conv_tile::Work&, const RowStore&), sizeof...(kV)> kTiles{RowTile<kR, kV + 1>...};
  kTiles[static_cast<size_t>(vectors - 1)](t, store);
}

HWY_INLINE void RunRowTile(const conv_tile::Work& t, int64_t rows, int64_t vectors, const RowStore& store) {
  switch (rows) {
    case 1:
      return RunRowTile<1>(t, vectors, store, std::make_integer_sequence<int, MostVectors(1)>());
    case 2:
      return RunRowTile<2>(t, vectors, store, std::make_integer_sequence<int, MostVectors(2)>());
    case 3:
      return RunRowTile<3>(t, vectors, store, std::make_integer_sequence<int, MostVectors(3)>());
    default:
      return RunRowTile<4>(t, vectors, store, std::make_integer_sequence<int, MostVectors(4)>());
  }
}

// Result channels of a tile at most.
HWY_INLINE int64_t TileRows(const Plan& p) { return p.pixel_lanes ? kMostRows : 2 * tile::Lanes(); }
HWY_INLINE int64_t DirectTiles(const Plan& p) { return (p.rows + TileRows(p) - 1) / TileRows(p); }
// Tiles of pixel lanes are of about equal height.
HWY_INLINE int64_t TileBegin(const Plan& p, int64_t o) {
  return p.pixel_lanes ? p.rows * o / DirectTiles(p) : std::min(o * TileRows(p), p.rows);
}
// Weights of tile o per channel and tap: one vector may be enough for the last.
HWY_INLINE int64_t TileWeights(const Plan& p, int64_t o) {
  if (p.pixel_lanes) return TileBegin(p, o + 1) - TileBegin(p, o);
  return p.rows - o * TileRows(p) <= tile::Lanes() ? tile::Lanes() : TileRows(p);
}
HWY_INLINE int64_t PackedGroup(const Plan& p) {
  const int64_t last = DirectTiles(p) - 1;
  return (TileBegin(p, last) + TileWeights(p, last)) * p.channels * p.taps;
}
// Columns of a register tile. Where one vector holds all result channels AVX2 has room for the sums of twice as many pixels: 8
// channels in 16 groups, gradients at a stride of 2, take a fifth less.
constexpr int kVectorPixels = HWY_TARGET == HWY_AVX2 ? 2 * tile::kPixels : tile::kPixels;
HWY_INLINE int64_t TileColumns(const Plan& p) {
  if (p.pixel_lanes) return MostVectors(static_cast<int>((p.rows + DirectTiles(p) - 1) / DirectTiles(p))) * tile::Lanes();
  if (conv_tile::half(p.rows, tile::Lanes())) return 2 * tile::kPixels;
  return p.rows <= tile::Lanes() ? kVectorPixels : tile::kPixels;
}

// Whether result channels take a vector and a half. Tiles that have a form for it come first in a line.
HWY_INLINE bool OneAndAHalf(const Plan& p) { return !p.pixel_lanes && !p.cut && tile::IsOneAndAHalf(p.rows); }

// Halves of a vector that a tile's sums take, of so many weights per channel and tap.
HWY_INLINE int64_t Halves(const Plan& p, int64_t weights) {
  if (OneAndAHalf(p)) return 3;
  return conv_tile::half(p.rows, tile::Lanes()) ? 1 : 2 * weights / tile::Lanes();
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
  b.lines = p.axes[1].clipped_hull(b.begin[1], b.end[1]);
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
      for (int64_t line = b.lines.begin; line < b.lines.end; ++line) {
        for (int64_t r = 0; r < w.source_step; ++r) {
          tile::CopyRow(from + line * w.source, w.source, b.low[2] + r, w.source_step, to, p.columns);
          to += p.columns;
        }
      }
    }
  }
}

// Whether a block's lines had better be read than asked for. On Zen 3 always (8 images, 100 channels of 56x56 at a stride of 3: 3.9
// instead of 8.6 ms), on Zen 4 from memory (8 images, 4 groups of 16 channels of 112x112 at a stride of 2: 2.8 instead of 4.0 ms).
HWY_INLINE bool ReadsLines(const Plan& p) {
  if (HWY_TARGET == HWY_AVX2) return true;
  const int64_t source = p.source_positions(), phases = p.axes[0].phases * p.axes[1].phases * p.axes[2].phases;
  return p.batch * p.groups * p.channels * source > conv_tile::kFarFloats &&
         p.rows * p.taps / phases * p.result_positions() < direct::kFewProducts * source;
}

// Calls the source lines of a block into the cache: tiles would meet them one at a time, too far apart to be foreseen.
HWY_INLINE void FetchSource(const Plan& p, const DirectBlock& b, const float* source, int64_t channels) {
  const Axis &h = p.axes[1], &w = p.axes[2];
  const Range columns = w.clipped_hull(b.begin[2], b.end[2]);
  const bool whole = columns.begin == 0 && columns.end == w.source;  // then lines make one run
  const bool reads = ReadsLines(p);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t d = b.planes.begin; d < b.planes.end; ++d) {
      const float* const plane = source + (c * p.axes[0].source + d) * h.source * w.source;
      for (int64_t line = b.lines.begin; line < b.lines.end; line += whole ? b.lines.size() : 1) {
        const float* const from = plane + line * w.source + columns.begin;
        const int64_t floats = whole ? b.lines.size() * w.source : columns.size();
        if (reads) {
          tile::ReadLines(from, floats);
        } else {
          for (int64_t i = 0; i < floats; i += direct::kLine) hwy::Prefetch(from + i);
        }
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
  int64_t taps_at, tap_count;  // in the thread's list of taps
  const Pass* like;            // the first pass through the same column taps, whose list this one shares; null: it has its own
};

// Column taps that the grid positions [begin, end) all read.
HWY_INLINE Range CommonTaps(const Axis& w, const Phase& phase, int64_t begin, int64_t end) {
  Range taps{0, phase.taps};
  const auto common = [&](int64_t tap) { return w.reads(phase, begin, tap) && w.reads(phase, end - 1, tap); };
  while (taps.begin < taps.end && !common(taps.begin)) ++taps.begin;
  while (taps.end > taps.begin && !common(taps.end - 1)) --taps.end;
  return taps;
}

HWY_INLINE int64_t MostPasses(const Plan& p) {
  return p.block[2] / std::min<int64_t>(TileColumns(p), tile::kPixels) + 3 * p.axes[2].phases + 6 * p.kernel[2] + 2;
}
// Tiles share their lists of column taps but at a line's ends, or where it is cut; there taps are listed once more each.
HWY_INLINE int64_t MostTaps(const Plan& p) {
  if (!p.in_place && !p.cut) return p.taps;
  const int64_t most = 2 * p.kernel[2] + 1, tiles = p.block[2] / tile::kPixels + 3;
  return ((p.cut ? most : std::min(most, tiles)) + 2) * p.taps;
}

HWY_INLINE int64_t MakePasses(const Plan& p, const DirectBlock& b, Pass* passes) {
  const Axis& w = p.axes[2];
  const int64_t tile_columns = TileColumns(p);
  const bool one_and_a_half = OneAndAHalf(p);
  int64_t count = 0, taps_at = 0;
  const auto add = [&](int64_t r, int64_t begin, int64_t end, Range taps, bool first) {
    assert(count < MostPasses(p));
    Pass& pass = passes[count++];
    pass = {r, begin, end - begin, taps.begin, taps.end, first, taps_at, 0, nullptr};
    for (const Pass* other = passes; other != &pass; ++other) {
      if (other->phase == r && other->from == pass.from && other->to == pass.to) {
        pass.taps_at = other->taps_at;
        pass.like = other;
        return;
      }
    }
    taps_at += taps.size() * p.kernel[0] * p.kernel[1];
    assert(taps_at <= MostTaps(p));
  };
  for (int64_t r = 0; r < w.phases; ++r) {
    const Phase& phase = w.phase[static_cast<size_t>(r)];
    const Range grid = w.grid(r, b.begin[2], b.end[2]);
    for (int64_t from = grid.begin, to = 0; from < grid.end; from = to) {
      to = p.cut ? w.next_cut(phase, from, grid.end) : grid.end;
      const int64_t tiles = (to - from + tile_columns - 1) / tile_columns, grain = p.pixel_lanes ? tile::Lanes() : 1;
      const int64_t grains = (to - from + grain - 1) / grain;
      for (int64_t i = 0, begin = from, end = from; begin < to; ++i, begin = end) {
        end = one_and_a_half ? begin + tile::HalfTilePixels(to - begin) : std::min(from + grains * (i + 1) / tiles * grain, to);
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
HWY_INLINE Range ReadTaps(const Axis& axis, const Phase& phase, int64_t j) { return CommonTaps(axis, phase, j, j + 1); }

// Taps relative to a pixel's place in the slab (SourceOf).
HWY_INLINE int64_t MakeTaps(const Plan& p, const DirectBlock& b, const Phase& pd, Range td, const Phase& ph, Range th,
                            const Phase& pw, Range tw, int64_t lanes, Tap* taps) {
  const int64_t sw = p.axes[2].source_step;
  int64_t count = 0;
  for (int64_t d = td.begin; d < td.end; ++d) {
    const int64_t plane = (pd.offset_of(d) - b.low[0]) * p.slab_lines;
    for (int64_t h = th.begin; h < th.end; ++h) {
      const int64_t line = ph.offset_of(h) - b.low[1];
      const int64_t kernel = (pd.kernel_first + d * pd.kernel_step) * p.kernel[1] + ph.kernel_first + h * ph.kernel_step;
      for (int64_t w = tw.begin; w < tw.end; ++w) {
        const int64_t column = pw.offset_of(w) - b.low[2];
        int64_t at = 0;
        if (p.in_place) {
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

HWY_INLINE int64_t WholeVectors(int64_t columns) { return (columns + tile::Lanes() - 1) / tile::Lanes() * tile::Lanes(); }

// Floats of a line of sums of one result channel. Lanes of pixels: phase by phase, each filled up.
HWY_INLINE int64_t SumsWidth(const Plan& p) {
  return p.pixel_lanes ? p.axes[2].phases * WholeVectors(shape::ceil_div(p.block[2], p.axes[2].result_step)) : p.block[2];
}

// From lines of sums, one phase behind the other, to lines of the result.
HWY_INLINE void StorePhases(const Plan& p, const DirectBlock& b, const float* sums, int64_t pitch, int64_t rows, const float* bias,
                            const SplitEpilogue& epilogue, float* result, const float* result_begin) {
  const hn::ScalableTag<float> v;
  const Axis& w = p.axes[2];
  const int64_t width = b.end[2] - b.begin[2], lanes = tile::Lanes(), phase_width = SumsWidth(p) / w.phases;
  const bool finish = !epilogue.empty();
  HWY_ALIGN float mixed[4 * hn::MaxLanes(hn::ScalableTag<float>())];
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = sums + row * pitch;
    const float single = bias != nullptr ? bias[row] : 0.0f;
    const auto add = hn::Set(v, single);
    for (int64_t d = b.begin[0]; d < b.end[0]; ++d) {
      for (int64_t h = b.begin[1]; h < b.end[1]; ++h, from += w.phases * phase_width) {
        float* const to = result + row * p.result_positions() + (d * p.axes[1].result + h) * w.result + b.begin[2];
        if (w.phases == w.result_step && w.phases >= 2 && w.phases <= 4) {
          for (int64_t at = 0; at * w.phases < width; at += lanes) {
            const int64_t left = width - at * w.phases;
            const bool fits = left >= w.phases * lanes;
            float* const out = fits ? to + at * w.phases : mixed;
            const auto phase = [&](int64_t r) HWY_ATTR { return hn::Add(hn::LoadU(v, from + r * phase_width + at), add); };
            if (w.phases == 2) {
              hn::StoreInterleaved2(phase(0), phase(1), v, out);
            } else if (w.phases == 3) {
              hn::StoreInterleaved3(phase(0), phase(1), phase(2), v, out);
            } else {
              hn::StoreInterleaved4(phase(0), phase(1), phase(2), phase(3), v, out);
            }
            if (!fits) std::copy(mixed, mixed + left, to + at * w.phases);
          }
        } else {
          for (int64_t r = 0; r < w.phases; ++r) {
            for (int64_t at = r, i = r * phase_width; at < width; at += w.result_step, ++i) to[at] = from[i] + single;
          }
        }
        if (finish) epilogue.apply(to, width, to - result_begin);
      }
    }
  }
}

// Whether a register tile's sums are stored as soon as they are complete: then the result's lines come from the outer cache while
// others are summed (the 7x7 stem takes 9 % less, 3x3 of 3 channels 15 to 20 %). Else when a block is complete.
HWY_INLINE bool StoresAtOnce(const Plan& p, const SplitEpilogue& epilogue) {
  if (p.pixel_lanes) return p.axes[2].result_step == 1;
  return p.axes[1].result_step == 1 && p.axes[2].result_step == 1 && !epilogue.later;
}

// Sums of some channels for one tile of result channels over a block, into sums[pixel][TileRows]. work: all but taps, their count
// and the sums.
HWY_INLINE void SumBlock(const Plan& p, const DirectBlock& b, conv_tile::Work work, int64_t lanes, const DirectLists& lists,
                         float* sums, const float* ahead_end, int64_t count, RowStore store) {
  const Axis &ad = p.axes[0], &ah = p.axes[1], &w = p.axes[2];
  const int64_t width = b.end[2] - b.begin[2], stride = TileRows(p), halves = Halves(p, lanes);
  const int64_t line_floats = p.pixel_lanes ? SumsWidth(p) : width * stride, phase_width = SumsWidth(p) / w.phases;
  const float* const slab = work.source;
  float* const all_sums = sums;
  float* const result = store.result;
  store.result = nullptr;
  const bool in_order = store.finish != nullptr && !p.pixel_lanes, whole = width == w.result;
  const bool add = work.add;
  const int64_t channels = work.channels;
  // Turns have more or fewer taps, and a line is asked for once.
  const int64_t ahead_floats = work.ahead_step;
  const auto spread = [&work, ahead_floats] {
    work.ahead_step = std::min((ahead_floats + work.tap_count - 1) / std::max<int64_t>(work.tap_count, 1), direct::kLine);
  };
  const auto advance = [&work, ahead_end] {
    if (work.ahead == nullptr) return;
    work.ahead += work.channels * work.tap_count * work.ahead_step;
    if (work.ahead >= ahead_end) work.ahead = nullptr;
  };
  // Lines of one phase behind one another: they share lists of taps, and weights.
  Range last_d{-1, -1}, last_h{-1, -1};  // what the lists hold: taps and phase of planes and lines
  int64_t last_phases = -1;
  for (int64_t turn = 0; turn < (b.end[0] - b.begin[0]) * ah.phases; ++turn) {
    const int64_t d = b.begin[0] + turn / ah.phases, rd = d % ad.result_step, jd = d / ad.result_step, rh = turn % ah.phases;
    const Phase& pd = ad.phase[static_cast<size_t>(rd)];
    const Range td = ReadTaps(ad, pd, jd), grid = ah.grid(rh, b.begin[1], b.end[1]);
    const Phase& ph = ah.phase[static_cast<size_t>(rh)];
    int64_t stored = 0, tile_end = 0;  // pixels of this plane's lines
    for (int64_t jh = grid.begin; jh < grid.end; ++jh) {
      const int64_t h = ph.first + jh * ah.result_step;
      const Range th = ReadTaps(ah, ph, jh);
      if (td != last_d || th != last_h || rd * direct::kMostPhases + rh != last_phases) {
        for (int64_t i = 0; i < lists.pass_count; ++i) {
          Pass& pass = lists.passes[i];
          pass.tap_count = pass.like != nullptr ? pass.like->tap_count
                                                : MakeTaps(p, b, pd, td, ph, th, w.phase[static_cast<size_t>(pass.phase)],
                                                           {pass.from, pass.to}, lanes, lists.taps + pass.taps_at);
        }
        last_d = td;
        last_h = th;
        last_phases = rd * direct::kMostPhases + rh;
      }
      sums = all_sums + ((d - b.begin[0]) * (b.end[1] - b.begin[1]) + h - b.begin[1]) * line_floats;
      work.sums_stride = w.result_step * stride;
      const float* const line = slab + (jd * ad.source_step * p.slab_lines + jh * ah.source_step) * p.slab_pitch;
      const int64_t step = p.in_place ? w.source_step : 1;
      work.pixel_step = step;
      if (p.pixel_lanes) {
        for (int64_t i = 0; i < lists.pass_count; ++i) {
          const Pass& pass = lists.passes[i];
          work.source = line + pass.begin;
          work.taps = lists.taps + pass.taps_at;
          work.tap_count = pass.tap_count;
          work.sums = sums + pass.phase * phase_width + pass.begin - w.grid(pass.phase, b.begin[2], b.end[2]).begin;
          work.sums_stride = SumsWidth(p) * p.block[0] * p.block[1];
          if (store.finish != nullptr) {
            store.result = result + (d * ah.result + h) * w.result + pass.begin;
            store.pixels = pass.pixels;
          }
          RunRowTile(work, lanes, (pass.pixels + tile::Lanes() - 1) / tile::Lanes(), store);
        }
        continue;
      }
      for (int64_t i = 0; i < lists.pass_count; ++i) {
        const Pass& pass = lists.passes[i];
        work.source = line + pass.begin * step;
        work.taps = lists.taps + pass.taps_at;
        work.tap_count = pass.tap_count;
        work.sums = sums + (w.phase[static_cast<size_t>(pass.phase)].first + pass.begin * w.result_step - b.begin[2]) * stride;
        work.add = add || !pass.first;
        if (work.tap_count > 0 || !work.add) {
          work.channels = work.tap_count > 0 ? channels : 0;
          spread();
          tile::RunChannelTile<false, kVectorPixels>(work, pass.pixels, halves);
          advance();
        }
        if (pass.first) tile_end = pass.begin + pass.pixels;
        if (!in_order || (i + 1 < lists.pass_count && !lists.passes[i + 1].first)) continue;
        // Whole vectors of pixels are stored while the next tile is summed.
        const bool line_ends = i + 1 == lists.pass_count;
        const int64_t first = (h - b.begin[1]) * width, done = first + tile_end - b.begin[2];
        int64_t run = done - stored;
        if (!(whole ? line_ends && h + 1 == b.end[1] : line_ends)) run = run / tile::Lanes() * tile::Lanes();
        if (run == 0) continue;
        float* const to = result + (d * ah.result + h) * w.result + b.begin[2] + stored - first;
        tile::StoreChannels<2>(all_sums + ((d - b.begin[0]) * (b.end[1] - b.begin[1]) * width + stored) * stride, run, count,
                               *store.finish, to, store.stride);
        stored += run;
      }
    }
  }
}

// Whether a part of the weight serves all samples before the next does: more than the caches keep would come from memory for each.
HWY_INLINE bool PartByPart(const Plan& p) { return p.batch > 1 && p.groups == 1 && PackedGroup(p) > conv_tile::kFarFloats; }

// The tiles of result channels are dealt out in this many parts. Only speed depends on it: every part copies its own slab.
HWY_INLINE int64_t DirectParts(const Plan& p, int threads) {
  const int64_t others = p.batch * p.groups * p.block_count(), tiles = std::max<int64_t>(DirectTiles(p), 1);
  if (PartByPart(p)) return std::min(tiles, PackedGroup(p) / (conv_tile::kFarFloats / 2));
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
  return {
      p.in_place ? 0 : whole_lines(p.slab_channel * std::min(p.slab_channels, p.channels) + (p.pixel_lanes ? tile::Lanes() : 0)),
      whole_lines((tiles * p.block[0] * p.block[1] * SumsWidth(p) + tile::Lanes()) * TileRows(p)),
      whole_lines(MostTaps(p) * static_cast<int64_t>(sizeof(Tap) / sizeof(float))),
      whole_lines(MostPasses(p) * static_cast<int64_t>(sizeof(Pass) / sizeof(float)))};
}

struct DirectIo {
  const float *source, *bias, *packed;
  float* result;
};

HWY_ATTR void DirectRun(const Plan& p, const DirectIo& io, const Epilogue<float>& what_follows, Workspace& workspace) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const SplitEpilogue epilogue(what_follows);
  const DirectScratch floats = ScratchOf(p, num_threads());
  const int64_t scratch_floats = floats.all();
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const int64_t parts = DirectParts(p, num_threads()), tiles = DirectTiles(p), packed_group = PackedGroup(p);
  const int64_t positions = p.result_positions(), blocks = p.block_count();
  const int64_t images_blocks = p.batch * p.groups * blocks;
  const bool part_by_part = PartByPart(p);
  parallel_for(images_blocks * parts, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t part = part_by_part ? task / images_blocks : task % parts;
    const int64_t image_block = part_by_part ? task % images_blocks : task / parts, image = image_block / blocks;
    const int64_t tile_begin = tiles * part / parts, tile_end = tiles * (part + 1) / parts;
    const int64_t n = image / p.groups, group = image % p.groups;
    const DirectBlock b = MakeBlock(p, image_block % blocks);
    float* const slab = scratch + thread * scratch_floats;
    float* const sums = slab + floats.slab;
    float* const list = sums + floats.sums;
    DirectLists lists{reinterpret_cast<Pass*>(list), 0, reinterpret_cast<Tap*>(list + floats.passes)};
    lists.pass_count = MakePasses(p, b, lists.passes);
    const bool keep = p.slab_channels < p.channels;  // sums of all tiles wait for the next channels
    // The thread's next task is the next group, whose weights follow.
    const bool group_follows = group + 1 < p.groups && part + 1 == parts && image_block % blocks + 1 == blocks;
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
        const int64_t lanes = TileWeights(p, o), row = TileBegin(p, o), count = TileBegin(p, o + 1) - row;
        float* const tile_sums = keep ? sums + (o - tile_begin) * p.block[0] * p.block[1] * SumsWidth(p) * TileRows(p) : sums;
        float* const rows = io.result + ((n * p.groups + group) * p.rows + row) * positions;
        conv_tile::Finish finish(epilogue, io.result);
        finish.bias = io.bias != nullptr ? io.bias + group * p.rows + row : nullptr;
        const bool at_once = StoresAtOnce(p, epilogue);
        for (int64_t c = slab_begin; c < slab_end; c += p.chain) {
          conv_tile::Work work;
          work.source = source + (c - slab_begin) * p.slab_channel;
          work.source_channel = p.slab_channel;
          work.weight = io.packed + group * packed_group + (row * p.channels + c * lanes) * p.taps;
          work.weight_channel = p.taps * lanes;
          work.channels = std::min(p.chain, slab_end - c);
          work.add = c > 0;
          // The next chain's weights may lie beyond the cache: their lines are fetched by the way, spread over the tiles.
          const float* const next = work.weight + work.channels * work.weight_channel;
          const int64_t next_floats = work.channels * p.taps * lanes;
          const int64_t turns = (b.end[0] - b.begin[0]) * (b.end[1] - b.begin[1]) * std::max<int64_t>(lists.pass_count, 1);
          work.ahead = c + p.chain < p.channels || o + 1 < tile_end || group_follows ? next : nullptr;
          work.ahead_step = (next_floats + turns * work.channels - 1) / (turns * work.channels);  // a channel and turn
          const float* const ahead_end = next + next_floats;
          SumBlock(p, b, work, lanes, lists, tile_sums, ahead_end, count,
                   {rows, positions, 0, at_once && c + p.chain >= p.channels ? &finish : nullptr});
        }
        if (slab_end < p.channels) continue;
        if (p.pixel_lanes && !at_once) {
          StorePhases(p, b, tile_sums, SumsWidth(p) * p.block[0] * p.block[1], count, finish.bias, epilogue, rows, io.result);
          continue;
        }
        // Whole lines of one plane follow each other in the result as in the sums.
        const bool whole = b.end[2] - b.begin[2] == p.axes[2].result;
        const int64_t run = whole ? (b.end[1] - b.begin[1]) * p.axes[2].result : b.end[2] - b.begin[2];
        int64_t done = 0;
        for (int64_t d = b.begin[0]; d < b.end[0]; ++d) {
          for (int64_t h = b.begin[1]; h < b.end[1]; h += whole ? b.end[1] - b.begin[1] : 1, done += run) {
            float* const to = rows + (d * p.axes[1].result + h) * p.axes[2].result + b.begin[2];
            if (!at_once) tile::StoreChannels<2>(tile_sums + done * TileRows(p), run, count, finish, to, positions);
            for (int64_t r = 0; r < count && epilogue.later; ++r) epilogue.finish(to + r * positions, run);
          }
        }
      }
    }
  });
}

HWY_ATTR void DirectForward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  DirectRun(MakePlan(s, Direction::kForward), {io.input, io.bias, io.packed, io.output}, io.epilogue, workspace);
}

HWY_ATTR void DirectGradInput(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  DirectRun(MakePlan(s, Direction::kGradInput), {io.grad_output, io.bias, io.packed, io.grad_input}, io.epilogue, workspace);
}

// [group][tile of rows][channel][tap][lanes]: in the order of reading.
HWY_ATTR void DirectPack(const ConvShape& s, Direction direction, const float* weight, float* packed) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Plan p = MakePlan(s, direction);
  const int64_t tiles = DirectTiles(p), packed_group = PackedGroup(p);
  parallel_for(p.groups * tiles, [&](int64_t task) HWY_ATTR {
    const int64_t group = task / tiles, o = task % tiles, row = TileBegin(p, o), lanes = TileWeights(p, o);
    const int64_t rows = std::min(lanes, p.rows - row);
    const float* from = weight + group * p.weight_group + row * p.weight_row;
    float* to = packed + group * packed_group + row * p.channels * p.taps;
    const int64_t columns = p.weight_channel == p.taps ? p.channels * p.taps : p.taps;  // that follow each other
    // Channels of an input gradient lie pages apart, beyond what the processor foresees.
    constexpr int64_t kAhead = 4, kMostFloats = 512;
    const bool apart = columns == p.taps && rows * p.weight_row <= kMostFloats;
    for (int64_t c = 0; c < p.channels * p.taps; c += columns) {
      const float* const channel = from + c / p.taps * p.weight_channel;
      if (apart && c + kAhead * columns < p.channels * p.taps) {
        const float* const next = channel + kAhead * p.weight_channel;
        for (int64_t i = 0; i < rows * p.weight_row; i += direct::kLine) hwy::Prefetch(next + i);
      }
      Transpose(channel, p.weight_row, to + c * lanes, lanes, rows, columns);
    }
    for (int64_t c = 0; rows < lanes && c < p.channels * p.taps; ++c) std::fill(to + c * lanes + rows, to + (c + 1) * lanes, 0.0f);
  });
}

HWY_ATTR size_t DirectPackedBytes(const ConvShape& s, Direction direction) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Plan p = MakePlan(s, direction);
  return static_cast<size_t>(p.groups * PackedGroup(p)) * sizeof(float);
}

HWY_ATTR size_t DirectWorkspace(const ConvShape& s, Direction direction, int threads) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const DirectScratch floats = ScratchOf(MakePlan(s, direction), threads);
  return static_cast<size_t>(floats.all() * threads) * sizeof(float);
}

constexpr int64_t kFewPixels = 16;  // in a result: tiles of eight lanes have too few sums

// Multiply-adds, with those of lanes beyond the result, in units of what a register tile does at full speed. Tiles of AVX2 are
// small, and what is done between them shows (factors beside im2col's time, in 210 drawn layers).
HWY_ATTR double DirectProducts(const ConvShape& s, Direction direction) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Plan p = MakePlan(s, direction);
  const int64_t lanes = tile::Lanes();
  // Beyond a step of 2 results that no tap reaches take some time, too.
  const double phases_of_a_tap = p.phases() / static_cast<double>(p.taps);
  const double unreached = p.axes[2].result_step > 2 ? std::max(phases_of_a_tap, 1.0) - 1 : 0;
  const double all = (p.pixel_lanes ? direct::pixel_lane_work(p, lanes) : direct::channel_lane_work(p, lanes)) *
                     (1 + 0.2 * unreached * 24 / (direct::terms_of_a_sum(p) + 24)) *
                     (lanes == 8 && phases_of_a_tap > 1 ? 1.5 : 1.0);
  const double exact = static_cast<double>(p.axes[2].result) * static_cast<double>(p.rows);
  const double cut =
      p.cut ? static_cast<double>(direct::column_cost(p.axes[2], true)) / static_cast<double>(direct::column_cost(p.axes[2], false))
            : 1.0;
  double lines = 1;  // of those that taps read, the share inside the source
  for (size_t a = 0; a < 2; ++a) {
    lines *= static_cast<double>(shape::taps_inside(s.input[a], s.output[a], s.axes[a])) /
             static_cast<double>(s.output[a] * s.axes[a].kernel_size);
  }
  return static_cast<double>(s.batch * s.out_channels * s.in_channels_per_group()) *
         static_cast<double>(s.output_positions() * s.taps()) * lines * all / exact * cut *
         (lanes != 8                           ? 1.0
          : p.pixel_lanes                      ? 1.4
          : s.output_positions() <= kFewPixels ? 1.55
                                               : 1.3);
}

HWY_ATTR bool DirectPixelLanes(const ConvShape& s, Direction direction) { return MakePlan(s, direction).pixel_lanes; }

// What every task and every register tile costs beside its products: lists of passes and taps; beginning, adding to and storing
// sums.
HWY_ATTR double DirectTurns(const ConvShape& s, Direction direction) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;                                 // refused: has_vectors()
  constexpr double kTask = 0.5e-6, kTurn = HWY_TARGET == HWY_AVX2 ? 10e-9 : 20e-9;  // 12 sums instead of 28
  const Plan p = MakePlan(s, direction);
  const int64_t columns = TileColumns(p), chains = shape::ceil_div(p.channels, p.chain);
  int64_t passes = 0;
  for (int64_t r = 0; r < p.axes[2].phases; ++r) {
    const Phase& phase = p.axes[2].phase[static_cast<size_t>(r)];
    passes += shape::ceil_div(phase.count, columns);
    if (p.in_place || p.cut) passes += phase.taps > 1 ? 2 : 0;
  }
  const auto lines = static_cast<double>(p.axes[0].result * p.axes[1].result * passes);
  const auto images = static_cast<double>(p.batch * p.groups);
  return images * (static_cast<double>(p.block_count()) * kTask + lines * static_cast<double>(DirectTiles(p) * chains) * kTurn);
}

HWY_ATTR bool DirectFits(const ConvShape& s, Direction direction) {
  const Plan p = MakePlan(s, direction);
  return p.in_place || p.slab_channel <= direct::kMostSlabFloats;
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(DirectForward);
CONVOY_EXPORT(DirectGradInput);
CONVOY_EXPORT(DirectPack);
CONVOY_EXPORT(DirectPackedBytes);
CONVOY_EXPORT(DirectWorkspace);
CONVOY_EXPORT(DirectProducts);
CONVOY_EXPORT(DirectFits);
CONVOY_EXPORT(DirectPixelLanes);
CONVOY_EXPORT(DirectTurns);

namespace {

template <Direction kDirection>
const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (s.output_positions() == 0 || s.input_positions() == 0 || s.in_channels == 0 || s.out_channels == 0)
    return "nothing to compute";
  if (s.taps() > direct::kMostTaps) return "needs at most 512 taps";
  for (const shape::Axis& axis : s.axes) {
    if (axis.stride > direct::kReach || axis.dilation > direct::kReach || std::abs(axis.pad_begin) > direct::kReach)
      return "the kernel reaches too far";
    if (kDirection == Direction::kGradInput && axis.stride > direct::kMostPhases) return "needs strides of at most 16";
  }
  if (!CONVOY_DISPATCH(DirectFits)(s, kDirection)) return "the rows under one kernel do not fit the cache";
  return nullptr;
}

template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  // Of the peak. One tap, or with eight lanes few that are as many as the stride: nothing read is used twice.
  bool patches = s.taps() <= 4;
  for (const shape::Axis& axis : s.axes) patches = patches && axis.kernel_size == axis.stride;
  const bool one_line = s.output[0] * s.output[1] == 1 && s.input[0] * s.input[1] == 1;
  const double fraction = s.taps() == 1 ? 0.6 : patches ? 0.91 * m.with_eight_lanes(0.71) : one_line ? 0.93 : 0.91;
  double copied = 0;  // values
  if (CONVOY_DISPATCH(DirectPixelLanes)(s, kDirection)) {
    copied = static_cast<double>(kDirection == Direction::kForward ? s.input_count() : s.output_count());
    // Interleaving phases: of one channel's gradient for 128 at a stride of 2 it is all there is to do.
    if (kDirection == Direction::kGradInput && s.axes[2].stride > 1) copied += 1.1 * static_cast<double>(s.input_count());
  }
  // Where pixels are few the weight comes from the outer cache: that of the taps that read something.
  double weights = static_cast<double>(s.weight_count());
  for (size_t a = 0; a < 3; ++a) {
    int64_t used = 0;
    for (int64_t k = 0; k < s.axes[a].kernel_size; ++k) {
      used += shape::valid_outputs(k, s.input[a], s.output[a], s.axes[a]).empty() ? 0 : 1;
    }
    weights *= static_cast<double>(used) / static_cast<double>(s.axes[a].kernel_size);
  }
  const double streamed = std::max(4 * weights - 512.0 * 1024.0, 0.0) / (2 * m.bytes_per_second);
  const double products = std::max(2 * CONVOY_DISPATCH(DirectProducts)(s, kDirection) / (fraction * m.flops_per_second), streamed);
  const double begun = m.weights_far && s.groups > 1 ? static_cast<double>(s.groups) * 1.4e-6 : 0;  // as Winograd's
  return 2e-6 + (products + begun + copied * 0.22e-9 + CONVOY_DISPATCH(DirectTurns)(s, kDirection)) / m.threads;
}

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  return CONVOY_DISPATCH(DirectWorkspace)(s, kDirection, threads);
}

template <Direction kDirection>
size_t packed_bytes(const ConvShape& s) {
  return CONVOY_DISPATCH(DirectPackedBytes)(s, kDirection);
}

template <Direction kDirection>
void pack(const ConvShape& s, const float* weight, float* packed) {
  CONVOY_DISPATCH(DirectPack)(s, kDirection, weight, packed);
}

double pack_seconds(const ConvShape& s, const Machine& m) {
  return 1e-6 + static_cast<double>(s.weight_count()) * 0.85e-9 / m.threads;
}

template <Direction kDirection>
constexpr ConvKernel kernel() {
  ConvKernel made{.name = "conv_direct",
                  .direction = kDirection,
                  .refuse = refuse<kDirection>,
                  .seconds = seconds<kDirection>,
                  .workspace_bytes = workspace_bytes<kDirection>,
                  .packed_bytes = packed_bytes<kDirection>,
                  .pack = pack<kDirection>,
                  .pack_seconds = pack_seconds};
  if constexpr (kDirection == Direction::kForward) {
    made.forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) { CONVOY_DISPATCH(DirectForward)(s, io, w); };
  } else {
    made.grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
      CONVOY_DISPATCH(DirectGradInput)(s, io, w);
    };
  }
  return made;
}

}  // namespace

const ConvKernel kConvDirectForward = kernel<Direction::kForward>();
const ConvKernel kConvDirectGradInput = kernel<Direction::kGradInput>();

}  // namespace convoy::kernels
#endif  // HWY_ONCE
