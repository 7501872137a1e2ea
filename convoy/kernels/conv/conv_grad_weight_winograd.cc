// The gradient of Winograd's schemes with respect to the weight: with y = A^T [(G g G^T) * (B^T x B)] A over tiles, of 6x6 inputs
// and 4x4 outputs for F(4,3),
//   grad g = G^T [ sum over tiles of (A grad_y A^T) * (B^T x B) ] G,
// 36 multiplications where the direct sum has 144; F(2,5) for 5x5 kernels has 36 for 100, F(2,3) 16 for 36 where few terms leave
// F(4,3) too little room for its rounding. The error is the forward scheme's: both are the same trilinear form.
//
// A task owns at most 128 output and 64 input channels and their 36 sums (1.2 MB) for one tap of the depth, over a part of the
// batch's tiles. Of a dilated layer, outputs a dilation apart are a map of their own. A block of 32
// tiles is transformed to [point][tile][channel]: rows are transposed strip by strip, so that transforms run with channels in lanes
// and need no shuffles; then come 36 small matrix products. Tasks transform their channels each for itself: sharing that would need
// a barrier per block and more memory.
//
// Measured against conv_grad_weight on one Zen 4 core, batch 8: 2.2 to 2.8 times as fast at 56x56 and 28x28, 2.1 at 14x14, 1.6 at
// 7x7; one image: 3.1 times at 56x56, 1.7 at 14x14, 0.95 at 7x7 with 512 channels; 8 to 32 channels: 1.9 to 2.3 times. The products
// run at the peak, transforms and storing the weight take a fifth to a third. Tasks of 128 input channels transform half as often
// but move 2.4 MB of sums: no faster. Transforming a tile's columns two at a time needs no stack, whole tiles took twice as long.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_grad_weight_winograd.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_grad_weight-inl.h"
#include "convoy/kernels/conv/conv_grad_weight.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/conv/winograd_tiling.h"
#include "convoy/kernels/conv/winograd_transform-inl.h"
#include "convoy/kernels/dispatch-inl.h"

#include <algorithm>
#include <array>
#include <utility>

#include "convoy/core/parallel.h"
#include "convoy/shape/checked.h"
#include "convoy/shape/taps.h"

#ifndef CONVOY_KERNELS_CONV_GRAD_WEIGHT_WINOGRAD_CUT
#define CONVOY_KERNELS_CONV_GRAD_WEIGHT_WINOGRAD_CUT
namespace convoy::kernels::grad_weight_winograd {

constexpr int64_t kBlockPoints = 32 * 36;                // of a block's tiles
constexpr int64_t kOutChannels = 128, kInChannels = 64;  // of a task
constexpr int64_t kStrip = 8;                            // tiles whose rows are transposed together: 13 KB
constexpr int64_t kTasks = 16;                           // with fewer, the tiles are cut into parts with sums of their own
constexpr int64_t kPart = 6;                             // blocks of a part at least: adding up parts costs as much as one
constexpr int64_t kDivided = 12;                         // tiles at least of a layer that is cut in two
constexpr int64_t kPartFloats = 480 << 10;               // of all parts together
constexpr int64_t kGap = 16;                             // floats between points, or all would share cache sets

// A map of tiles: of one result plane the outputs that lie a dilation apart, and the input plane that a depth tap reads for them.
struct Map {
  int64_t image, in_depth, out_depth;
  int64_t first_h, first_w;
};

struct Cut {
  const ConvShape& s;
  int64_t tile_outputs, points, products;  // of a tile along an axis, and in the plane
  int64_t kernel, taps;                    // of the layer, the same
  int64_t step;                            // its stride: the taps of each of so many phases an axis are a kernel of the scheme's
  int64_t groups, ins, outs, depth_taps;
  int64_t dilation_h, dilation_w, out_h, out_w;  // outputs of a map
  int64_t lanes, panel, panels, panels_per_task, out_tasks, ins_per_task, in_tasks;
  int64_t tiles_h, tiles_w, all_tiles, tiles_per_block, parts;
  int64_t blocks;  // of the depth tap that has most

  Cut(const winograd::Scheme& scheme, const ConvShape& conv, int64_t lanes_of_vector)
      : s(conv),
        tile_outputs(scheme.outputs),
        points(scheme.points),
        products(points * points),
        kernel(s.axes[1].kernel_size),
        taps(kernel * kernel),
        step(s.axes[1].stride),
        groups(s.groups),
        ins(s.in_channels_per_group()),
        outs(s.out_channels_per_group()),
        depth_taps(s.axes[0].kernel_size),
        dilation_h(s.axes[1].dilation),
        dilation_w(s.axes[2].dilation),
        out_h(shape::ceil_div(s.output[1], dilation_h)),
        out_w(shape::ceil_div(s.output[2], dilation_w)),
        lanes(lanes_of_vector),
        panel(2 * lanes) {
    const auto even_part = [](int64_t count, int64_t most) {
      return shape::ceil_div(count, std::max<int64_t>(shape::ceil_div(count, most), 1));
    };
    panels = shape::ceil_div(outs, panel);
    panels_per_task = std::max<int64_t>(even_part(panels, std::max<int64_t>(kOutChannels / panel, 1)), 1);
    out_tasks = shape::ceil_div(panels, panels_per_task);
    ins_per_task = std::max<int64_t>(shape::ceil_div(even_part(ins, kInChannels), lanes) * lanes, lanes);
    in_tasks = shape::ceil_div(ins, ins_per_task);
    tiles_h = shape::ceil_div(out_h, tile_outputs);
    tiles_w = shape::ceil_div(out_w, tile_outputs);
    int64_t most_tiles = 0;
    all_tiles = 0;
    for (int64_t tap = 0; tap < depth_taps; ++tap) {
      most_tiles = std::max(most_tiles, tiles(tap));
      all_tiles += tiles(tap);
    }
    // A layer of one task is two parts all the same, or one thread would have all of it.
    const int64_t fewest = tasks() == 1 && most_tiles >= kDivided ? 2 : 1;
    tiles_per_block =
        std::max<int64_t>(even_part(most_tiles, std::min(kBlockPoints / products, shape::ceil_div(most_tiles, fewest))), 1);
    blocks = shape::ceil_div(most_tiles, tiles_per_block);
    const int64_t most = std::min(kTasks / std::max<int64_t>(tasks(), 1), kPartFloats / std::max<int64_t>(part_floats(), 1));
    parts = std::clamp<int64_t>(most, 1, std::max(blocks / kPart, fewest));
    if (parts > 2 && tasks() % 2 == 1) parts = parts / 2 * 2;  // of three one thread has two
  }

  shape::Range out_depths(int64_t tap) const { return shape::valid_outputs(tap, s.input[0], s.output[0], s.axes[0]); }
  int64_t tiles(int64_t tap) const { return s.batch * out_depths(tap).size() * dilation_h * dilation_w * tiles_h * tiles_w; }
  Map map(int64_t tap, int64_t index) const {
    const shape::Range depths = out_depths(tap);
    const int64_t plane = index / dilation_w / dilation_h, depth = depths.begin + plane % depths.size();
    const shape::Axis& axis = s.axes[0];
    return {.image = plane / depths.size(),
            .in_depth = depth * axis.stride + tap * axis.dilation - axis.pad_begin,
            .out_depth = depth,
            .first_h = index / dilation_w % dilation_h,
            .first_w = index % dilation_w};
  }
  int64_t tasks() const { return groups * out_tasks * in_tasks * depth_taps; }
  int64_t depth() const { return ins * depth_taps * taps; }
  int64_t part_floats() const { return groups * panels * panel * depth(); }
  // Floats from one point to the next.
  int64_t input_step() const { return tiles_per_block * ins_per_task + kGap; }
  int64_t output_step() const { return tiles_per_block * panels_per_task * panel + kGap; }
  int64_t sums_step() const { return panels_per_task * panel * ins_per_task + kGap; }
  /// Positions of an axis under so many tiles.
  int64_t reach(int64_t count) const { return tile_outputs * (count - 1) + points; }
  int64_t strip_floats() const { return points * reach(kStrip) * lanes; }
  int64_t line_floats() const { return dilation_w * step > 1 ? reach(kStrip) * lanes : 0; }
  int64_t phases() const { return step * step; }
  /// Taps of a phase along an axis.
  int64_t phase_taps(int64_t phase) const { return shape::ceil_div(kernel - phase, step); }
  /// Whether the weight of a phase at a point of an axis is anything but zeros: one with a tap less has nothing at infinity.
  bool multiplies(int64_t phase, int64_t point) const { return phase_taps(phase) == phase_taps(0) || point + 1 < points; }
  int64_t panel_sums() const { return ins_per_task * taps * panel; }
  int64_t thread_floats() const {
    return products * (input_step() + output_step() + sums_step()) + strip_floats() + line_floats() +
           (parts > 1      ? 0
            : phases() > 1 ? panels_per_task * panel_sums()
                           : panel_sums());
  }
};

}  // namespace convoy::kernels::grad_weight_winograd
#endif  // CONVOY_KERNELS_CONV_GRAD_WEIGHT_WINOGRAD_CUT

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using namespace grad_weight_tile;
using namespace grad_weight_winograd;
namespace wt = winograd_transform;
using winograd_transform::Constant;
using winograd_transform::Floats;
using winograd_transform::Full;

HWY_INLINE int64_t GradWeightLanes() { return static_cast<int64_t>(hn::Lanes(Full())); }

// A: gradients of a tile's outputs to its points. Those but 0 and infinity come in pairs +-p.
template <class Scheme>
HWY_INLINE void Spread(const Floats* y, Floats* v) {
  constexpr int kOutputs = Scheme::kScheme.outputs, kLast = Scheme::kPoints - 1;
  v[0] = y[0];
  HWY_UNROLL(2)
  for (int i = 1; i < kLast; i += 2) {
    const double point = Scheme::kAt[static_cast<size_t>(i)];
    Floats even = y[0], odd = y[1];
    const Floats square = Constant(point * point);
    if constexpr (kOutputs > 2) even = hn::MulAdd(square, y[2], even);
    if constexpr (kOutputs > 3) odd = hn::MulAdd(square, y[3], odd);
    v[i] = hn::MulAdd(Constant(point), odd, even);
    v[i + 1] = hn::NegMulAdd(Constant(point), odd, even);
  }
  v[kLast] = y[kOutputs - 1];
}

// G^T: points to taps. The rows of G for +p and -p differ in the sign of the odd ones alone.
template <class Scheme>
HWY_INLINE void Collect(const Floats* m, Floats* g) {
  constexpr int kTaps = Scheme::kScheme.taps, kLast = Scheme::kPoints - 1;
  constexpr auto& kG = Scheme::kScheme.g;
  HWY_UNROLL(8)
  for (int k = 0; k < kTaps; ++k) {
    const auto tap = static_cast<size_t>(k);
    Floats sum;
    HWY_UNROLL(2)
    for (int i = kLast - 2; i > 0; i -= 2) {
      const Floats factor = Constant(kG[static_cast<size_t>(i)][tap]);
      const Floats pair = k % 2 == 0 ? hn::Add(m[i], m[i + 1]) : hn::Sub(m[i], m[i + 1]);
      const bool first = i == kLast - 2;
      sum = first && k + 1 < kTaps ? hn::Mul(factor, pair) : hn::MulAdd(factor, pair, first ? m[kLast] : sum);
    }
    g[k] = k == 0 ? hn::MulAdd(Constant(kG[0][0]), m[0], sum) : sum;
  }
}

// Positions of an axis of `size`: `count` of them, `step` apart.
struct Positions {
  int64_t size, first, step, count;
};

// Those of `channels` planes `plane` apart to strip[row][column][lane]; zero outside the plane. lines: for a row of each plane.
HWY_NOINLINE void TransposeStrip(const float* planes, int64_t plane, int64_t channels, const Positions& h, const Positions& w,
                                 float* lines, float* strip) {
  const int64_t lanes = GradWeightLanes();
  const int64_t first = std::clamp<int64_t>(shape::ceil_div(-w.first, w.step), 0, w.count),
                last = std::clamp<int64_t>(shape::ceil_div(w.size - w.first, w.step), first, w.count);
  for (int64_t r = 0; r < h.count; ++r, strip += w.count * lanes) {
    const int64_t row = h.first + r * h.step;
    if (row < 0 || row >= h.size || first == last) {
      std::fill(strip, strip + w.count * lanes, 0.0f);
      continue;
    }
    const float* const from = planes + row * w.size;
    if (w.step > 1) {
      for (int64_t l = 0; l < channels; ++l) tile::CopyRow(from + l * plane, w.size, w.first, w.step, lines + l * w.count, w.count);
      TransposeColumns(lines, w.count, channels, w.count, strip, lanes);
      continue;
    }
    std::fill(strip, strip + first * lanes, 0.0f);
    TransposeColumns(from + w.first + first, plane, channels, last - first, strip + first * lanes, lanes);
    std::fill(strip + last * lanes, strip + w.count * lanes, 0.0f);
  }
}

using Places = winograd::TilePlaces<float>;

// Two columns of a tile's points: along the rows, of which only the two are computed, then down.
template <int kIn, int kPoints, void (*kTransform)(const Floats*, Floats*), int kFirst, int kSecond>
HWY_INLINE void TransformColumns(const float* strip, int64_t row, const Places& out, int64_t point_step) {
  const Full d;
  const int64_t lanes = GradWeightLanes();
  Floats first[kIn], second[kIn], points[kPoints];
  HWY_UNROLL(8)
  for (int r = 0; r < kIn; ++r) {
    Floats x[kIn];
    HWY_UNROLL(8)
    for (int c = 0; c < kIn; ++c) x[c] = hn::Load(d, strip + r * row + c * lanes);
    kTransform(x, points);
    first[r] = points[kFirst];
    second[r] = points[kSecond];
  }
  kTransform(first, points);
  HWY_UNROLL(8)
  for (int r = 0; r < kPoints; ++r)
    hn::Store(points[r], d, out.at[r + 1 == kPoints][kFirst + 1 == kPoints] + (r * kPoints + kFirst) * point_step);
  kTransform(second, points);
  HWY_UNROLL(8)
  for (int r = 0; r < kPoints; ++r)
    hn::Store(points[r], d, out.at[r + 1 == kPoints][kSecond + 1 == kPoints] + (r * kPoints + kSecond) * point_step);
}

// strip[kIn][width] of `tiles` tiles, `outputs` apart, to out[point][tile * tile_step], the points `point_step` apart. All columns
// at once would not fit the registers.
template <int kIn, int kPoints, void (*kTransform)(const Floats*, Floats*)>
HWY_ATTR void TransformStrip(const float* strip, int64_t width, int64_t outputs, int64_t tiles, Places out, int64_t tile_step,
                             int64_t point_step) {
  const int64_t lanes = GradWeightLanes(), row = width * lanes;
  constexpr winograd::TileCounts one{{{{1, 1}, {1, 1}}}};
  for (int64_t t = 0; t < tiles; ++t, strip += outputs * lanes, out.move(one, tile_step)) {
    TransformColumns<kIn, kPoints, kTransform, 0, kPoints - 1>(strip, row, out, point_step);
    TransformColumns<kIn, kPoints, kTransform, 1, 2>(strip, row, out, point_step);
    if constexpr (kPoints == 6) TransformColumns<kIn, kPoints, kTransform, 3, 4>(strip, row, out, point_step);
  }
}

// The layer's taps that a phase's scheme gives.
struct TapPlaces {
  int64_t rows, columns, row_step, column_step;
};

// The products of a vector of weights, `point_step` apart, to their taps.
template <class Scheme>
HWY_ATTR void CollectTaps(const float* from, int64_t point_step, float* to, const TapPlaces& places) {
  const Full d;
  constexpr int kPoints = Scheme::kPoints, kTaps = Scheme::kScheme.taps;
  Floats half[kTaps][kPoints];
  HWY_UNROLL(8)
  for (int column = 0; column < kPoints; ++column) {
    Floats points[kPoints], taps[kTaps];
    HWY_UNROLL(8)
    for (int row = 0; row < kPoints; ++row) points[row] = hn::Load(d, from + (row * kPoints + column) * point_step);
    Collect<Scheme>(points, taps);
    HWY_UNROLL(8)
    for (int kh = 0; kh < kTaps; ++kh) half[kh][column] = taps[kh];
  }
  HWY_UNROLL(8)
  for (int kh = 0; kh < kTaps; ++kh) {
    if (kh == places.rows) break;
    Floats taps[kTaps];
    Collect<Scheme>(half[kh], taps);
    float* const row = to + kh * places.row_step;
    HWY_UNROLL(8)
    for (int kw = 0; kw < kTaps; ++kw) {
      if (kw < places.columns) hn::Store(taps[kw], d, row + kw * places.column_step);
    }
  }
}

struct GradWeightTransforms {
  using Strip = void (*)(const float*, int64_t, int64_t, int64_t, Places, int64_t, int64_t);
  Strip inputs, gradients;
  void (*taps)(const float*, int64_t, float*, const TapPlaces&);
};

template <class Scheme>
constexpr GradWeightTransforms MakeGradWeightTransforms() {
  constexpr int kPoints = Scheme::kPoints;
  return {TransformStrip<kPoints, kPoints, Scheme::Input>, TransformStrip<Scheme::kScheme.outputs, kPoints, Spread<Scheme>>,
          CollectTaps<Scheme>};
}

HWY_INLINE GradWeightTransforms ChooseGradWeightTransforms(const winograd::Scheme& scheme) {
  if (scheme.points == 4) return scheme.taps == 2 ? MakeGradWeightTransforms<wt::F32>() : MakeGradWeightTransforms<wt::F23>();
  return scheme.taps == 5 ? MakeGradWeightTransforms<wt::F25>() : MakeGradWeightTransforms<wt::F43>();
}

// sums[row][lane] (+)= sum over tiles of x[tile * x_step + row] y[tile * panel][lane], for kR input channels and kV vectors of
// output channels, and half a one.
template <int kR, int kV, bool kHalf = false>
HWY_NOINLINE void ProductTile(int64_t tiles, const float* HWY_RESTRICT x, int64_t x_step, const float* HWY_RESTRICT y,
                              int64_t panel, float* sums, bool first) {
  const Full d;
  const int64_t lanes = GradWeightLanes();
  const tile::HalfTag narrow;
  Floats acc[kR][kV];
  [[maybe_unused]] tile::Half half[kR];
  HWY_UNROLL(16)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) acc[r][v] = hn::Zero(d);
    if constexpr (kHalf) half[r] = hn::Zero(narrow);
  }
  const float* ahead = sums + kR * panel;  // the next tile's sums
  for (const float* const end = y + tiles * panel; y != end; y += panel, x += x_step) {
    Floats channels[kV];
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) {
      channels[v] = hn::Load(d, y + v * lanes);
      tile::Pin(channels[v]);
    }
    [[maybe_unused]] tile::Half last;
    if constexpr (kHalf) {
      last = hn::Load(narrow, y + kV * lanes);
      tile::Pin(last);
    }
    __builtin_prefetch(ahead, 1, 2);
    ahead += lanes;
    HWY_UNROLL(16)
    for (int r = 0; r < kR; ++r) {
      Floats value = hn::Set(d, x[r]);
      if (kV > 1 || kHalf) tile::Pin(value);
      HWY_UNROLL(2)
      for (int v = 0; v < kV; ++v) Accumulate(value, channels[v], acc[r][v]);
      if constexpr (kHalf) Accumulate(tile::LowerHalf(value), last, half[r]);
    }
  }
  if (!first) {
    HWY_UNROLL(16)
    for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(2)
      for (int v = 0; v < kV; ++v) acc[r][v] = hn::Add(hn::Load(d, sums + r * panel + v * lanes), acc[r][v]);
      if constexpr (kHalf) half[r] = hn::Add(hn::Load(narrow, sums + r * panel + kV * lanes), half[r]);
    }
  }
  HWY_UNROLL(16)
  for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kV; ++v) hn::Store(acc[r][v], d, sums + r * panel + v * lanes);
    if constexpr (kHalf) hn::Store(half[r], narrow, sums + r * panel + kV * lanes);
  }
}

// All input channels against one panel, in tiles of about equal height, or by a vector and a half where that has a form. Heights
// are even, so that there are half as many forms: behind an odd last channel lies a place without one.
template <int kV, int... kPairs>
HWY_INLINE void ProductTiles(int64_t tiles, const float* x, int64_t ins, int64_t x_step, const float* y, int64_t panel, float* sums,
                             bool first, bool one_and_a_half, std::integer_sequence<int, kPairs...>) {
  using Tile = void (*)(int64_t, const float*, int64_t, const float*, int64_t, float*, bool);
  static constexpr std::array<Tile, sizeof...(kPairs)> kTiles{ProductTile<2 * kPairs + 2, kV>...};
  const int64_t pairs = shape::ceil_div(ins, 2), parts = shape::ceil_div(pairs, tile::kPixels / 2);
  for (int64_t i = 0, row = 0, height = 0; row < ins; ++i, row += height) {
    height = one_and_a_half ? tile::HalfTilePixels(ins - row) : 2 * (pairs * (i + 1) / parts) - row;
    Tile run = kTiles[static_cast<size_t>((height - 1) / 2)];
    if constexpr (tile::kHalves && kV == 2) {
      if (one_and_a_half && height == tile::kPixels) run = ProductTile<tile::kPixels, 1, true>;
      if (one_and_a_half && height == tile::kHalfPixels) run = ProductTile<tile::kHalfPixels, 1, true>;
    }
    run(tiles, x + row, x_step, y, panel, sums + row * panel, first);
  }
}

// Calls f(map, tile row, first tile of the row, tiles, tiles before in the block) for strips that cover the tiles [begin, end).
// Returns the tiles.
template <class F>
HWY_INLINE winograd::TileCounts ForStrips(const Cut& c, int64_t begin, int64_t end, const F& f) {
  winograd::TileCounts before{};
  for (int64_t t = begin; t < end;) {
    const int64_t tw = t % c.tiles_w, row = t / c.tiles_w, count = std::min({c.tiles_w - tw, end - t, kStrip});
    f(row / c.tiles_h, row % c.tiles_h, tw, count, before);
    t += count;
    before += winograd::TileCounts::of_run(count, c.out_h % c.tile_outputs != 0 && (row + 1) % c.tiles_h == 0,
                                           c.out_w % c.tile_outputs != 0 && tw + count == c.tiles_w);
  }
  return before;
}

// The channels of a task.
struct Channels {
  int64_t first_panel, panels;  // of the outputs
  int64_t ic_begin, ins;
};

// The taps that one of the layer's phases has.
struct Phase {
  int64_t h, w;
};

// Adds up the products of a block's tiles, but for points where a phase has none.
HWY_INLINE void MultiplyBlock(const Cut& c, const Channels& own, const Phase& phase, const winograd::TileCounts& counts,
                              const float* inputs, const float* outputs, float* products, bool first) {
  constexpr auto kHeights = std::make_integer_sequence<int, tile::kPixels / 2>();
  for (int64_t point = 0; point < c.products; ++point) {
    if (!c.multiplies(phase.h, point / c.points) || !c.multiplies(phase.w, point % c.points)) continue;
    const int64_t tiles = counts.at_point(point, c.points, c.points);
    const float* x = inputs + point * c.input_step();
    for (int64_t p = 0; p < own.panels; ++p) {
      const float* y = outputs + point * c.output_step() + p * c.tiles_per_block * c.panel;
      float* const to = products + point * c.sums_step() + p * c.ins_per_task * c.panel;
      if (c.outs - (own.first_panel + p) * c.panel > c.lanes) {
        ProductTiles<2>(tiles, x, own.ins, c.ins_per_task, y, c.panel, to, first, tile::IsOneAndAHalf(c.outs), kHeights);
      } else {
        ProductTiles<1>(tiles, x, own.ins, c.ins_per_task, y, c.panel, to, first, false, kHeights);
      }
    }
  }
}

// A phase's taps of a panel's weights, of which `width` lanes are output channels, to sums[channel][tap][lane].
HWY_INLINE void CollectPhase(const Cut& c, const GradWeightTransforms& transforms, const Phase& phase, const float* products,
                             int64_t ins, int64_t width, int64_t channel_taps, float* sums) {
  const TapPlaces places{c.phase_taps(phase.h), c.phase_taps(phase.w), c.step * c.kernel * c.panel, c.step * c.panel};
  const int64_t first_tap = phase.h * c.kernel + phase.w;
  for (int64_t i = 0; i < ins * c.panel; i += c.lanes) {
    if (i % c.panel >= width) continue;
    transforms.taps(products + i, c.sums_step(), sums + (i / c.panel * channel_taps + first_tap) * c.panel + i % c.panel, places);
  }
}

HWY_ATTR void WinogradGradWeight(const winograd::Scheme& scheme, const ConvShape& s, const ConvGradWeight<float>& io,
                                 Workspace& workspace) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Cut c(scheme, s, GradWeightLanes());
  const GradWeightTransforms transforms = ChooseGradWeightTransforms(scheme);
  if (s.weight_count() == 0) return;
  if (c.all_tiles == 0) {
    std::fill(io.grad_weight, io.grad_weight + s.weight_count(), 0.0f);
    return;
  }
  const int64_t in_plane = s.input[1] * s.input[2], out_plane = s.output[1] * s.output[2], part_floats = c.part_floats();
  const int64_t in_volume = s.input[0] * in_plane, out_volume = s.output[0] * out_plane;
  float* const part_sums = c.parts > 1 ? workspace.take<float>(c.parts * part_floats) : nullptr;
  float* const scratch = workspace.take<float>(c.thread_floats() * num_threads());
  parallel_for(c.tasks() * c.parts, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t part = task % c.parts, tap = task / c.parts % c.depth_taps, place = task / c.parts / c.depth_taps;
    const int64_t in_task = place % c.in_tasks, out_task = place / c.in_tasks % c.out_tasks,
                  group = place / c.in_tasks / c.out_tasks;
    const int64_t first_panel = out_task * c.panels_per_task, ic_begin = in_task * c.ins_per_task;
    const Channels own{first_panel, std::min(c.panels_per_task, c.panels - first_panel), ic_begin,
                       std::min(c.ins_per_task, c.ins - ic_begin)};
    float* const products = scratch + thread * c.thread_floats();
    float* const inputs = products + c.products * c.sums_step();
    float* const outputs = inputs + c.products * c.input_step();
    float* const strip = outputs + c.products * c.output_step();
    float* const lines = strip + c.strip_floats();
    float* const own_sums = lines + c.line_floats();
    const int64_t tap_tiles = c.tiles(tap), blocks = shape::ceil_div(tap_tiles, c.tiles_per_block);
    const int64_t block_begin = blocks * part / c.parts, block_end = blocks * (part + 1) / c.parts;
    // An outer depth tap may have fewer blocks than there are parts.
    if (block_begin == block_end) std::fill(products, products + c.products * c.sums_step(), 0.0f);
    for (int64_t i = 0; i < c.phases(); ++i) {
      const Phase phase{i / c.step, i % c.step};
      const bool first_phase = i == 0, last_phase = i + 1 == c.phases();
      for (int64_t block = block_begin; block < block_end; ++block) {
        const int64_t begin = block * c.tiles_per_block, end = std::min(tap_tiles, begin + c.tiles_per_block);
        const winograd::TileCounts counts = ForStrips(
            c, begin, end, [&](int64_t index, int64_t row, int64_t column, int64_t count, const winograd::TileCounts& at) HWY_ATTR {
              const Map map = c.map(tap, index);
              const int64_t h = map.first_h + row * c.tile_outputs * c.dilation_h,
                            w = map.first_w + column * c.tile_outputs * c.dilation_w;
              const Positions in_rows{s.input[1], h * c.step + phase.h - s.axes[1].pad_begin, c.dilation_h * c.step, c.points},
                  in_columns{s.input[2], w * c.step + phase.w - s.axes[2].pad_begin, c.dilation_w * c.step, c.reach(count)};
              const float* const input =
                  io.input + (map.image * s.in_channels + group * c.ins + own.ic_begin) * in_volume + map.in_depth * in_plane;
              for (int64_t ic = 0; ic < own.ins; ic += c.lanes) {
                TransposeStrip(input + ic * in_volume, in_volume, std::min(c.lanes, own.ins - ic), in_rows, in_columns, lines,
                               strip);
                transforms.inputs(strip, in_columns.count, c.tile_outputs, count, Places(inputs + ic, at, c.ins_per_task),
                                  c.ins_per_task, c.input_step());
              }
              if (!first_phase && block_end - block_begin == 1) return;  // the gradients' points are there
              const Positions out_rows{s.output[1], h, c.dilation_h, c.tile_outputs},
                  out_columns{s.output[2], w, c.dilation_w, c.tile_outputs * count};
              const float* const grad_output =
                  io.grad_output + (map.image * s.out_channels + group * c.outs) * out_volume + map.out_depth * out_plane;
              for (int64_t lane = 0; lane < own.panels * c.panel; lane += c.lanes) {
                const int64_t out = own.first_panel * c.panel + lane;
                if (out >= c.outs) break;
                TransposeStrip(grad_output + out * out_volume, out_volume, std::min(c.lanes, c.outs - out), out_rows, out_columns,
                               lines, strip);
                float* const to = outputs + lane / c.panel * c.tiles_per_block * c.panel + lane % c.panel;
                transforms.gradients(strip, out_columns.count, c.tile_outputs, count, Places(to, at, c.panel), c.panel,
                                     c.output_step());
              }
            });
        MultiplyBlock(c, own, phase, counts, inputs, outputs, products, block == block_begin);
      }
      for (int64_t p = 0; p < own.panels; ++p) {
        const int64_t out = (own.first_panel + p) * c.panel, width = std::min(c.panel, c.outs - out);
        // A channel's taps: of all depth taps in the parts' sums.
        const int64_t channel_taps = c.parts > 1 ? c.depth_taps * c.taps : c.taps;
        const int64_t first_row =
            (group * c.panels + own.first_panel + p) * c.depth() + (own.ic_begin * c.depth_taps + tap) * c.taps;
        float* const sums = c.parts > 1      ? part_sums + part * part_floats + first_row * c.panel
                            : c.phases() > 1 ? own_sums + p * c.panel_sums()
                                             : own_sums;
        CollectPhase(c, transforms, phase, products + p * c.ins_per_task * c.panel, own.ins, width, channel_taps, sums);
        if (c.parts > 1 || !last_phase) continue;
        const int64_t runs = c.depth_taps > 1 ? own.ins : 1,
                      rows = own.ins / runs * c.taps;  // of rows that lie side by side in the weight
        for (int64_t run = 0; run < runs; ++run) {
          StoreSums(sums + run * rows * c.panel, rows, width,
                    io.grad_weight + (group * c.outs + out) * c.depth() + ((own.ic_begin + run) * c.depth_taps + tap) * c.taps,
                    c.depth());
        }
      }
    }
  });
  if (c.parts > 1) AddParts(part_sums, c.parts, c.groups, c.outs, c.depth(), io.grad_weight);
}

HWY_ATTR size_t WinogradGradWeightWorkspace(const winograd::Scheme& scheme, const ConvShape& s, int threads) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Cut c(scheme, s, GradWeightLanes());
  const auto floats = [](int64_t count) { return padded_bytes(static_cast<size_t>(count) * sizeof(float)); };
  return (c.parts > 1 ? floats(c.parts * c.part_floats()) : 0) + floats(c.thread_floats() * threads);
}

// The products at 90 % of the peak, the transforms of a tile (3 and 2 ns a point for the channels of a 512-bit vector), reading and
// writing the sums once a block, and the last transform with storing the weight.
HWY_ATTR double WinogradGradWeightSeconds(const winograd::Scheme& scheme, const ConvShape& s, const Machine& m) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  const Cut c(scheme, s, GradWeightLanes());
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const double tiles = number(c.groups * c.all_tiles), vector = number(c.lanes) / 16;
  const double in_vectors = number(shape::ceil_div(c.ins, c.lanes)), out_vectors = number(shape::ceil_div(c.outs, c.lanes));
  const auto left = [&c](int64_t size, int64_t along) {
    return winograd::products_left(size % c.tile_outputs != 0, c.points, along);
  };
  const double axis_points = number(c.step * c.points - (c.kernel % c.step));  // of all phases
  const double multiply = 2 * tiles * left(c.out_h, c.tiles_h) * left(c.out_w, c.tiles_w) * axis_points * axis_points *
                          number(c.ins) * conv_tile::vectors_of(c.outs, c.lanes) * number(c.lanes) / (0.9 * m.flops_per_second);
  // Positions that lie apart are read one by one.
  const double transforms = (c.dilation_w > 1 ? 3.0
                             : c.step > 1     ? 2.0
                                              : 1.0) *
                            tiles * number(c.phases()) *
                            (in_vectors * number(c.out_tasks) * 3e-9 + out_vectors * number(c.in_tasks) * 2e-9) *
                            number(c.products) * vector;
  const double sums =
      number(c.groups * c.depth_taps * c.phases() * c.products * c.ins) * out_vectors * vector * 0.5e-9 * number(c.blocks);
  const double weights = number(c.groups * c.depth_taps * c.ins) * out_vectors * vector *
                         (number(c.phases() * c.products) * 2e-9 + number(c.taps) * 7e-9);
  return 2e-6 + multiply + transforms + sums + weights;
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(WinogradGradWeight);
CONVOY_EXPORT(WinogradGradWeightWorkspace);
CONVOY_EXPORT(WinogradGradWeightSeconds);

namespace {

// The scheme of a variant's layers, or null.
using ChooseScheme = const winograd::Scheme* (*)(const ConvShape& s);
constexpr const winograd::Scheme* scheme_f2(const ConvShape& s) { return s.axes[1].kernel_size == 3 ? &winograd::kF23 : nullptr; }
constexpr const winograd::Scheme* scheme_f4(const ConvShape& s) { return s.axes[1].kernel_size == 3 ? &winograd::kF43 : nullptr; }
constexpr const winograd::Scheme* scheme_f5(const ConvShape& s) { return s.axes[1].kernel_size == 5 ? &winograd::kF25 : nullptr; }
constexpr const winograd::Scheme* scheme_stride2(const ConvShape& s) {
  const int64_t kernel = s.axes[1].kernel_size;
  return kernel == 4 ? &winograd::kF32 : kernel == 5 || kernel == 6 ? &winograd::kF43 : nullptr;
}

const char* refuse(const winograd::Scheme* scheme, int64_t stride, const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (scheme == nullptr || s.axes[1].kernel_size != s.axes[2].kernel_size)
    return stride > 1 ? "needs a kernel of 4x4 to 6x6 (3x3 takes as long as its direct sum)" : "needs a kernel of 3x3 (F(2,5) 5x5)";
  const bool four = scheme->outputs == winograd::kF43.outputs;
  for (size_t a = 1; a < 3; ++a) {
    if (s.axes[a].stride != stride) return stride > 1 ? "needs a stride of 2" : "needs stride 1";
    if (stride > 1 && s.axes[a].dilation > 1) return "needs dilation 1";
    if (s.output[a] < std::min<int64_t>(scheme->outputs, 3) * s.axes[a].dilation)
      return "needs 3x3 outputs a dilation apart (F(2,3) and F(2,5) 2x2): smaller ones leave most of a tile empty";
  }
  // Of the tap that sees the fewest; one that sees padding alone is exactly 0. Behind rectified inputs F(4,3)'s E passes 16 in half
  // of all layers of 32 terms, in 2 % of 64 to 95 (27) and in one of 1,500 of 96 to 127 (19); from 128 on it stays below 15.
  // WebAssembly's sums round twice a step: of 147 terms 3 of 48 layers pass 16 there (19), of 192 none (14).
  constexpr int64_t kTermsOfF43 = HWY_STATIC_TARGET == HWY_WASM ? 192 : 128;
  int64_t terms = s.batch;
  for (size_t a = 0; a < 3; ++a) {
    int64_t least = s.output[a];
    for (int64_t k = 0; k < s.axes[a].kernel_size; ++k) {
      const shape::Range seen = shape::valid_outputs(k, s.input[a], s.output[a], s.axes[a]);
      least = std::min(least, seen.size());
    }
    terms *= least;
  }
  if (terms < (scheme->points == 4 ? 36 : four ? kTermsOfF43 : 400))
    return "needs 128 terms (WebAssembly 192, F(2,3) 36, F(2,5) 400) of every tap that are not padding, for rounding errors to "
           "average out";
  if (s.in_channels_per_group() < 8) return "needs 8 input channels: with fewer the transforms cost more than they save";
  if (s.groups > 1 && (s.in_channels_per_group() < 16 || s.out_channels_per_group() < 16)) return "needs 16 channels per group";
  return nullptr;
}

template <ChooseScheme kChoose, int64_t kStride = 1>
constexpr ConvKernel kernel(const char* name) {
  return {
      .name = name,
      .direction = Direction::kGradWeight,
      .accuracy = Accuracy::kDefault,
      .refuse = [](const ConvShape& s) { return refuse(kChoose(s), kStride, s); },
      .seconds = [](const ConvShape& s, const Machine& m) { return CONVOY_DISPATCH(WinogradGradWeightSeconds)(*kChoose(s), s, m); },
      .workspace_bytes = [](const ConvShape& s,
                            int threads) { return CONVOY_DISPATCH(WinogradGradWeightWorkspace)(*kChoose(s), s, threads); },
      .grad_weight =
          [](const ConvShape& s, const ConvGradWeight<float>& io, Workspace& w) {
            CONVOY_DISPATCH(WinogradGradWeight)
            (*kChoose(s), s, io, w);
          }};
}

}  // namespace

const ConvKernel kConvWinogradF2GradWeight = kernel<scheme_f2>("conv_winograd_f2");
const ConvKernel kConvWinogradF4GradWeight = kernel<scheme_f4>("conv_winograd_f4");
const ConvKernel kConvWinogradF5GradWeight = kernel<scheme_f5>("conv_winograd_f5");
const ConvKernel kConvWinogradStride2GradWeight = kernel<scheme_stride2, 2>("conv_winograd_stride2");

}  // namespace convoy::kernels
#endif  // HWY_ONCE
