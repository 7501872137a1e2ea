// output[oc] = sum over blocks of ic of scale[block][oc] * (sum over the block of weight24[oc][ic] input[ic])
//
// With one pixel every weight is used once, and reading it is all that takes time: 16 MB in MobileNetV3, 494 in VGG-16. A weight is
// rounded to 2^-22 of the power of two below the largest of its row's 256 (so that small integers stay exact), by at most 2u of
// that largest, u = 2^-24: docs/accuracy.md has what comes of it. Lanes are results. Of several pixels, a batch's or a
// transformer's, multiplying takes the time: a block of weights becomes floats once, for all of them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_weight24.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_weight24.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#ifndef CONVOY_KERNELS_CONV_WEIGHT24_LAYOUT
#define CONVOY_KERNELS_CONV_WEIGHT24_LAYOUT
namespace convoy::kernels::weight24 {

constexpr int64_t kRows = 32;       // results of a tile
constexpr int64_t kDepth = 256;     // products of a chain, and weights of a row that share a scale
constexpr int64_t kTogether = 252;  // inputs that meet a block of weights in the cache; a multiple of a register tile's
constexpr int64_t kFew = 8;         // at most: weights are made in registers

// Packed: [tile][block] of kRows scales, then for every input channel of the block kRows upper halves and kRows lowest bytes.
constexpr int64_t kColumnBytes = kRows * 3, kScaleBytes = kRows * 4;

// Inputs are scaled down and the weights' scales up, so that products of inputs up to 1e35 stay finite.
constexpr float kDown = 0x1p-12F, kUp = 0x1p12F;

constexpr int64_t tiles(int64_t rows) { return (rows + kRows - 1) / kRows; }
constexpr int64_t tile_bytes(int64_t channels) { return channels * kColumnBytes + (channels + kDepth - 1) / kDepth * kScaleBytes; }

}  // namespace convoy::kernels::weight24
#endif  // CONVOY_KERNELS_CONV_WEIGHT24_LAYOUT

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using weight24::kColumnBytes;
using weight24::kDepth;
using weight24::kRows;
using weight24::kScaleBytes;
using Lanes = hn::ScalableTag<float>;
using Vector = hn::Vec<Lanes>;

constexpr int64_t kLanes = HWY_LANES(float);
constexpr int64_t kTileRows = 2 * kLanes;                // of a register tile of a panel of inputs
constexpr int kInputs = HWY_TARGET == HWY_AVX3 ? 8 : 4;  // of a register tile of few inputs
// And its vectors. A single input takes all rows at once where it can, so that the weights come without a pause.
constexpr int vectors(int inputs) { return inputs > 1 || kLanes * 2 == kRows ? 2 : 4; }

// Weights of one input channel as whole numbers, from row `row` of a tile.
HWY_INLINE Vector Weights(const uint8_t* column, int64_t row) {
  const Lanes d;
  const hn::RebindToSigned<Lanes> d32;
  const hn::Rebind<int16_t, Lanes> d16;
  const hn::Rebind<uint8_t, Lanes> d8;
  const auto upper = hn::PromoteTo(d32, hn::LoadU(d16, reinterpret_cast<const int16_t*>(column) + row));
  const auto lowest = hn::PromoteTo(d32, hn::LoadU(d8, column + 2 * kRows + row));
  return hn::ConvertTo(d, hn::Or(hn::ShiftLeft<8>(upper), lowest));
}

// One chain of sums of kCount inputs over `depth` channels, for kVectors vectors of rows from `row` of a tile on, scaled and
// added to totals[input][kRows].
template <int kCount, int kVectors>
HWY_INLINE void Chain(const std::array<const float*, kCount>& inputs, const uint8_t* columns, int64_t row, int64_t depth,
                      const float* scale, float* totals) {
  constexpr int64_t kAhead = 4096;  // whose lines are asked for: beyond a page, where the processor stops by itself
  const Lanes d;
  Vector sum[kCount][kVectors];
  HWY_UNROLL(8)
  for (int p = 0; p < kCount; ++p) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) sum[p][v] = hn::Zero(d);
  }
  for (int64_t k = 0; k < depth; ++k, columns += kColumnBytes) {
    __builtin_prefetch(columns + kAhead);
    __builtin_prefetch(columns + kAhead + 64);
    Vector w[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) w[v] = Weights(columns, row + v * kLanes);
    HWY_UNROLL(8)
    for (int p = 0; p < kCount; ++p) {
      const Vector x = hn::Set(d, inputs[static_cast<size_t>(p)][k]);
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sum[p][v] = hn::MulAdd(w[v], x, sum[p][v]);
    }
  }
  HWY_UNROLL(8)
  for (int p = 0; p < kCount; ++p) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      float* const to = totals + p * kRows + row + v * kLanes;
      hn::StoreU(hn::MulAdd(sum[p][v], hn::LoadU(d, scale + row + v * kLanes), hn::LoadU(d, to)), d, to);
    }
  }
}

// One block of `count` inputs, kCount at a time while more than half as many are left. totals[input][kRows] has room for kCount
// inputs at every step.
template <int kCount>
HWY_NOINLINE void Block(const uint8_t* columns, int64_t depth, const float* scale, const float* input, int64_t stride,
                        int64_t count, float* totals) {
  constexpr int kVectors = vectors(kCount);
  int64_t at = 0;
  for (; count - at > kCount / 2; at += kCount) {
    std::array<const float*, kCount> inputs;  // the last stands for those that are missing
    for (int64_t p = 0; p < kCount; ++p) inputs[static_cast<size_t>(p)] = input + std::min(at + p, count - 1) * stride;
    for (int64_t row = 0; row < kRows; row += kVectors * kLanes) {
      Chain<kCount, kVectors>(inputs, columns, row, depth, scale, totals + at * kRows);
    }
  }
  if constexpr (kCount > 1) {
    if (at < count) Block<kCount / 2>(columns, depth, scale, input + at * stride, stride, count - at, totals + at * kRows);
  }
}

// Inputs that meet a block of weights together, in panels: one of a single input would take as long as of five.
HWY_INLINE tile::EvenParts PanelsOf(int64_t inputs) { return {inputs, tile::kPixels}; }

// The same for panels of inputs, with weights [kRows / kTileRows][depth][kTileRows]: half of every line pair would leave half of
// the first cache empty.
HWY_INLINE void PanelBlock(const float* weights, int64_t depth, const float* scale, const float* panels, int64_t panel_floats,
                           const tile::EvenParts& all, const conv_tile::Tap* taps, const float* next, float* totals) {
  const Lanes d;
  using conv_tile::kLine;
  HWY_ALIGN float sums[tile::kPixels * kTileRows];
  conv_tile::Work work;
  work.source_channel = tile::kPixels;
  work.weight_channel = kTileRows;
  work.channels = tile::kLinearLanes ? depth : 1;
  work.taps = taps;
  work.tap_count = depth;
  work.sums = sums;
  work.sums_stride = kTileRows;
  for (int64_t row = 0; row < kRows; row += kTileRows) {
    work.weight = weights + row * depth;
    for (int64_t panel = 0; panel < all.count; ++panel) {
      const int64_t at = all.begin(panel), inputs = all.size(panel);
      work.source = panels + panel * panel_floats;
      // Meanwhile the next block's bytes are asked for, a line a channel.
      const int64_t asked = panel * depth * kLine;
      work.ahead = row == 0 && asked * static_cast<int64_t>(sizeof(float)) < depth * kColumnBytes ? next + asked : nullptr;
      work.ahead_step = kLine;
      tile::RunChannelTile<tile::kLinearLanes>(work, inputs, 4);
      for (int64_t p = 0; p < inputs; ++p) {
        for (int64_t v = 0; v < kTileRows; v += kLanes) {
          float* const to = totals + (at + p) * kRows + row + v;
          hn::StoreU(hn::MulAdd(hn::LoadU(d, sums + p * kTileRows + v), hn::LoadU(d, scale + row + v), hn::LoadU(d, to)), d, to);
        }
      }
    }
  }
}

HWY_ATTR int64_t Weight24InputFloats(int64_t batch, int64_t channels) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return 0;  // refused: has_vectors()
  return (batch <= weight24::kFew ? batch : (batch + tile::kPixels - 1) / tile::kPixels * tile::kPixels) * channels;
}

// Inputs scaled down: few as they are, more in panels [panel][channel][tile::kPixels].
HWY_INLINE void TakeInputs(const float* from, int64_t batch, int64_t channels, float* to) {
  const Lanes d;
  const auto down = hn::Set(d, weight24::kDown);
  const bool few = batch <= weight24::kFew;
  const int64_t width = few ? batch : tile::kPixels, most = weight24::kTogether / tile::kPixels;  // panels that meet together
  parallel_for((batch + width - 1) / width, [&](int64_t panel) HWY_ATTR {
    const int64_t group = few ? 0 : panel / most * weight24::kTogether;
    const tile::EvenParts all = PanelsOf(std::min(weight24::kTogether, batch - group));
    const int64_t first = few ? 0 : group + all.begin(panel % most), inputs = few ? batch : all.size(panel % most),
                  count = width * channels;
    float* const at = to + panel * count;
    if (!few) Transpose(from + first * channels, channels, at, width, inputs, channels);
    const float* const source = few ? from : at;
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, source + i), down), d, at + i);
    for (; i < count; ++i) at[i] = source[i] * weight24::kDown;
  });
}

// One tile of a weight's rows, all inputs.
HWY_INLINE void RunTile(const ConvShape& s, const ConvForward<float>& io, const SplitEpilogue& epilogue, const float* input,
                        int64_t index) {
  const int64_t channels = s.in_channels, row = index * kRows, rows = std::min(kRows, s.out_channels - row);
  const bool few = s.batch <= weight24::kFew;
  const Lanes d;
  HWY_ALIGN float weights[kRows * kDepth], totals[weight24::kTogether * kRows];
  conv_tile::Tap taps[kDepth];
  for (int64_t k = 0; k < kDepth && !few && !tile::kLinearLanes; ++k) taps[k] = {k * tile::kPixels, k * kTileRows};
  conv_tile::Finish finish(epilogue, io.output);
  if (io.bias != nullptr) finish.bias = io.bias + row;
  for (int64_t first = 0; first < s.batch; first += weight24::kTogether) {
    const int64_t count = std::min(weight24::kTogether, s.batch - first);
    std::fill(totals, totals + std::max(count, weight24::kFew) * kRows, 0.0f);
    const uint8_t* tile = reinterpret_cast<const uint8_t*>(io.packed) + index * weight24::tile_bytes(channels);
    for (int64_t k = 0; k < channels; k += kDepth) {
      const int64_t depth = std::min(kDepth, channels - k);
      const auto* const scale = reinterpret_cast<const float*>(tile);
      const uint8_t* const columns = tile + kScaleBytes;
      tile = columns + depth * kColumnBytes;
      if (few) {
        Block<kInputs>(columns, depth, scale, input + k, channels, count, totals);
        continue;
      }
      for (int64_t c = 0; c < depth; ++c) {
        for (int64_t r = 0; r < kRows; r += kLanes) {
          hn::Store(Weights(columns + c * kColumnBytes, r), d, weights + (r / kTileRows * depth + c) * kTileRows + r % kTileRows);
        }
      }
      PanelBlock(weights, depth, scale, input + first * channels + k * tile::kPixels, channels * tile::kPixels, PanelsOf(count),
                 taps, reinterpret_cast<const float*>(tile), totals);
    }
    float* const to = io.output + first * s.out_channels + row;
    tile::StorePixels(totals, kRows, count, rows, finish, to, s.out_channels);
    epilogue.finish(to, rows, count, s.out_channels);
  }
}

HWY_ATTR void Weight24Forward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const SplitEpilogue epilogue(io.epilogue);
  float* const input = workspace.take<float>(Weight24InputFloats(s.batch, s.in_channels));
  TakeInputs(io.input, s.batch, s.in_channels, input);
  parallel_for(weight24::tiles(s.out_channels), [&](int64_t index) HWY_ATTR { RunTile(s, io, epilogue, input, index); });
}

// The weight's rows [row, row + kRows), zeros beyond the last.
HWY_ATTR void Weight24PackTile(const float* weight, int64_t channels, int64_t rows, uint8_t* tile) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> d32;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN int32_t whole[kRows * kDepth];
  std::fill(whole, whole + kRows * kDepth, 0);
  for (int64_t k = 0; k < channels; k += kDepth) {
    const int64_t depth = std::min(kDepth, channels - k);
    auto* const scale = reinterpret_cast<float*>(tile);
    for (int64_t r = 0; r < kRows; ++r) {
      if (r >= rows) {
        scale[r] = 0;
        continue;
      }
      const float* const from = weight + r * channels + k;
      float largest = 0;
      bool finite = true;
      for (int64_t c = 0; c < depth; ++c) {
        largest = std::max(largest, std::abs(from[c]));
        finite = finite && std::isfinite(from[c]);
      }
      // The largest becomes less than 2^23 = 1 << 23, and no scale is subnormal.
      const int exponent = largest > 0 && finite ? std::max(std::ilogb(largest) - 22, -126) : 0;
      scale[r] = finite ? std::ldexp(weight24::kUp, exponent) : std::nanf("");
      const auto up = hn::Set(d, std::ldexp(1.0f, -exponent));
      int32_t* const to = whole + r * kDepth;
      const auto most = hn::Set(d, 0x1p23F - 1);
      int64_t c = 0;
      for (; c + lanes <= depth; c += lanes) {
        hn::StoreU(hn::NearestInt(hn::Min(hn::Mul(hn::LoadU(d, from + c), up), most)), d32, to + c);
      }
      for (; c < depth; ++c) to[c] = static_cast<int32_t>(std::lrint(std::min(from[c] * hn::GetLane(up), 0x1p23F - 1)));
      if (!finite) std::fill(to, to + depth, 0);
    }
    tile += kScaleBytes;
    for (int64_t c = 0; c < depth; ++c, tile += kColumnBytes) {
      auto* const upper = reinterpret_cast<int16_t*>(tile);
      for (int64_t r = 0; r < kRows; ++r) {
        upper[r] = static_cast<int16_t>(whole[r * kDepth + c] >> 8);
        tile[2 * kRows + r] = static_cast<uint8_t>(whole[r * kDepth + c] & 0xFF);
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(Weight24InputFloats);
CONVOY_EXPORT(Weight24Forward);
CONVOY_EXPORT(Weight24PackTile);

namespace {

// Below, a weight may stay in a core's cache, where multiplying takes the time.
constexpr int64_t kLeastWeight = 512 << 10;

const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (s.output_positions() == 0 || s.input_positions() == 0 || s.in_channels == 0 || s.out_channels == 0)
    return "nothing to compute";
  if (s.input_positions() != 1 || s.output_positions() != 1 || s.taps() != 1 || s.groups != 1)
    return "needs one pixel and one group";
  for (const shape::Axis& axis : s.axes) {
    if (axis.pad_begin != 0) return "needs no padding";  // a crop would leave padding to read
  }
  if (s.in_channels < weight24::kDepth) return "needs at least 256 input channels";
  if (s.weight_count() < kLeastWeight) return "needs a weight of 2 MB";
  return nullptr;
}

size_t packed_bytes(const ConvShape& s) {
  return static_cast<size_t>(weight24::tiles(s.out_channels) * weight24::tile_bytes(s.in_channels));
}

void pack(const ConvShape& s, const float* weight, float* packed) {
  auto* const bytes = reinterpret_cast<uint8_t*>(packed);
  parallel_for(weight24::tiles(s.out_channels), [&](int64_t tile) {
    const int64_t row = tile * weight24::kRows;
    CONVOY_DISPATCH(Weight24PackTile)
    (weight + row * s.in_channels, s.in_channels, std::min(weight24::kRows, s.out_channels - row),
     bytes + tile * weight24::tile_bytes(s.in_channels));
  });
}

}  // namespace

const ConvKernel kConvWeight24Forward{
    .name = "conv_weight24",
    .direction = Direction::kForward,
    .accuracy = Accuracy::kDefault,
    .refuse = refuse,
    .seconds =
        [](const ConvShape& s, const Machine& m) {
          // As conv_pointwise counts, for three quarters of the bytes, until a batch's products take longer than they.
          const double products = static_cast<double>(s.weight_count()) * std::max(0.75, 0.6 + 0.4 * static_cast<double>(s.batch));
          return 1e-6 + products * 2 / (0.95 * m.flops_per_second) / m.threads;
        },
    .workspace_bytes =
        [](const ConvShape& s, int) {
          return padded_bytes(static_cast<size_t>(CONVOY_DISPATCH(Weight24InputFloats)(s.batch, s.in_channels)) * sizeof(float));
        },
    .packed_bytes = packed_bytes,
    .pack = pack,
    .pack_seconds = [](const ConvShape& s,
                       const Machine& m) { return 1e-6 + static_cast<double>(s.weight_count()) * 1.5e-9 / m.threads; },
    .forward =
        [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) {
          CONVOY_DISPATCH(Weight24Forward)
          (s, io, w);
        }};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
