// The register tile of conv_depthwise and conv_grouped: kRows output rows of one vector's width, or half of it, in a dense
// correlation of stride 1 or 2.
//
// Each input vector under the tile is loaded once per kernel column and feeds every row that it lies under, so a 3x3 kernel takes
// 3.9 loads a vector of output instead of 9. Every load is masked, with masks made once for all rows and planes: on AVX-512 that
// costs nothing, and one function serves inner and border columns. Rows outside the plane are left out one by one (a test and a
// jump that the processor always foresees); a function for each kind of border took more code and gained nothing.
#if defined(CONVOY_KERNELS_CONV_DEPTHWISE_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_DEPTHWISE_TILE_INL_H_
#undef CONVOY_KERNELS_CONV_DEPTHWISE_TILE_INL_H_
#else
#define CONVOY_KERNELS_CONV_DEPTHWISE_TILE_INL_H_
#endif

#include <algorithm>

#include "convoy/kernels/conv/conv_depthwise_rows-inl.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_TILE_SEGMENT
#define CONVOY_KERNELS_CONV_DEPTHWISE_TILE_SEGMENT
namespace convoy::kernels::depthwise {

constexpr int64_t kMaxColumnTaps = 64;
constexpr int64_t kMaxPhases = 16;
constexpr int64_t kMaxSegments = 256;

// Up to 7 tap rows over some sources: what one call adds to a tile's sums.
struct Segment {
  int64_t in;         // from the plane's first float to the input row under tap row 0 of output row 0; may lie outside
  int64_t sort_from;  // the same in the plane, where `in` is among sorted rows
  int64_t weight;     // from the plane's weight to tap (0, 0)
  int64_t sources;
  int tap_rows;
  uint32_t rows;       // bit r: input row r exists and is needed
  uint32_t sort_rows;  // and no segment before has sorted it
  bool first, last;    // of the tile's segments
  bool cut;            // the tile's chains of sums are cut
  bool chain_begins;   // here: the sums before are put away
};

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_TILE_SEGMENT

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
using depthwise::kRows;
using depthwise::PlaneOfTile;
using depthwise::Segment;

constexpr int64_t kTileColumns = 8192;  // column taps times the columns of a chunk: bounds the masks
constexpr int64_t kMasks = kTileColumns / HWY_LANES(float);

// What all tiles of a chunk of columns have in common. Steps are in floats.
struct TileColumns {
  // The column taps of the phase at hand.
  int64_t taps;
  const int64_t* offsets;  // from an output's column to its input
  const int64_t* weights;  // of the tap, from that of column 0
  const Mask* masks;       // [vector][mask_step]
  int64_t mask_step;
  const hn::Mask<Half>* half_masks;  // [mask_step]
  int64_t vectors;                   // whole ones; the rest may take half a one
  int64_t source_step, row_step;
  int64_t weight_source, weight_row;
  int64_t columns;  // of output, in the chunk
  int64_t out_at;   // of the tile, in its plane
  int64_t out_step;
  int64_t rows;  // of output
  // Null: finished vectors go to the plane. Else to temporary[plane of two][row][phase][lane].
  float* temporary;
  int64_t temporary_step;
};

// The sums of a vector of a tile between segments, and what was put away when a chain was cut.
struct TileSums {
  HWY_ALIGN float values[2 * kRows * depthwise::kLanes];
  HWY_ALIGN float put_away[2 * kRows * depthwise::kLanes];
};

// Vectors [begin, end) of one segment of a tile, in all planes or, with kPair, in two planes of a group that take from the same
// input vectors. With kStride 2 columns of taps go two together: of the 32 columns under 16 outputs one takes the even and the
// other the odd ones.
template <class DV, int kTaps, int kStride, bool kPair>
HWY_NOINLINE void AddSegment(const TileColumns& tile, const hn::Mask<DV>* masks_of_begin, const Finish& finish,
                             const Segment& segment, const PlaneOfTile* planes, int64_t count, int64_t begin, int64_t end,
                             TileSums& between) {
  using Vector = hn::Vec<DV>;
  const DV d;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(DV()));
  constexpr int kPlanes = kPair ? 2 : 1, kSums = kPlanes * kRows, kWeights = kPlanes * kTaps;
  using Weights = Vector[kWeights];
  const TileColumns t = tile;
  const uint32_t rows = segment.rows;
  for (int64_t p = 0; p < count; p += kPlanes) {
    const PlaneOfTile& a = planes[p];
    const PlaneOfTile& b = planes[p + kPlanes - 1];
    const int64_t other_weight = b.weight - a.weight;
    const auto weights = [&](const float* at, Weights& k) CONVOY_UNROLLED {
      Unroll<kTaps>([&](auto i) CONVOY_UNROLLED {
        k[i] = hn::Set(d, at[i * t.weight_row]);
        if constexpr (kPair) k[kTaps + i] = hn::Set(d, at[i * t.weight_row + other_weight]);
      });
    };
    Vector sums[kSums];
    const auto add = [&](auto r, Vector x, const Weights& k) CONVOY_UNROLLED {
      KeepInRegister(x);
      Unroll<kTaps>([&](auto i) CONVOY_UNROLLED {
        constexpr int kDown = r - i, kRow = kDown / kStride;
        if constexpr (kDown >= 0 && kDown % kStride == 0 && kRow < kRows) {
          sums[kRow] = hn::MulAdd(k[i], x, sums[kRow]);
          if constexpr (kPair) sums[kRows + kRow] = hn::MulAdd(k[kTaps + i], x, sums[kRows + kRow]);
        }
      });
    };
    // One kernel column, or two: every input row is loaded once and added to all output rows that it lies under.
    const auto add_column = [&](const float* row, const hn::Mask<DV>* mask, const Weights& k, const Weights* odd) CONVOY_UNROLLED {
      const hn::Mask<DV> inside = mask[0];
      hn::Mask<DV> inside_second;
      if constexpr (kStride == 2) inside_second = mask[1];
      Unroll<(kRows - 1) * kStride + kTaps>([&](auto r) CONVOY_UNROLLED {
        const float* const at = tile::ByThrees(row, r, t.row_step);
        if ((rows >> r & 1) != 0) {
          Vector x = LoadInside(d, inside, at);
          if constexpr (kStride == 2) {
            Vector y = LoadInside(d, inside_second, at + kLanes);
            KeepInRegister(x);
            KeepInRegister(y);
#if HWY_TARGET == HWY_SCALAR
            if (odd != nullptr) add(r, y, *odd);
#else
            if (odd != nullptr) add(r, hn::ConcatOdd(d, y, x), *odd);
            x = hn::ConcatEven(d, y, x);
#endif
          }
          add(r, x, k);
        }
      });
    };
    const hn::Mask<DV>* masks = masks_of_begin;
    for (int64_t v = begin; v < end; ++v, masks += t.mask_step) {
      if (segment.cut && segment.first) {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED { hn::Store(hn::Zero(d), d, between.put_away + i * depthwise::kLanes); });
      }
      if (segment.first) {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED { sums[i] = hn::Set(d, i < kRows ? a.start : b.start); });
      } else if (segment.chain_begins) {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED {
          float* const at = between.put_away + i * depthwise::kLanes;
          hn::Store(hn::Add(hn::Load(d, at), hn::Load(d, between.values + i * depthwise::kLanes)), d, at);
          sums[i] = hn::Zero(d);
        });
      } else {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED { sums[i] = hn::Load(d, between.values + i * depthwise::kLanes); });
      }
      const float* in = a.in + segment.in + v * kLanes * kStride;
      const float* weight = a.weight + segment.weight;
      for (int64_t source = 0; source < segment.sources; ++source) {
        Vector k[kWeights];
        int64_t i = 0;
        if constexpr (kStride == 2) {
          for (; 2 * i + 1 < t.taps; ++i) {
            Vector odd[kWeights];
            weights(weight + t.weights[2 * i], k);
            weights(weight + t.weights[2 * i + 1], odd);
            add_column(in + t.offsets[i], masks + 2 * i, k, &odd);
          }
        }
        for (; i * kStride < t.taps; ++i) {
          weights(weight + t.weights[i * kStride], k);
          add_column(in + t.offsets[i], masks + kStride * i, k, nullptr);
        }
        in += t.source_step;
        weight += t.weight_source;
      }
      if (!segment.last) {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED { hn::Store(sums[i], d, between.values + i * depthwise::kLanes); });
        continue;
      }
      if (segment.cut) {
        Unroll<kSums>([&](auto i)
                          CONVOY_UNROLLED { sums[i] = hn::Add(sums[i], hn::Load(d, between.put_away + i * depthwise::kLanes)); });
      }
      if (t.temporary != nullptr) {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED { hn::Store(sums[i], d, t.temporary + i * t.temporary_step); });
        continue;
      }
      const int64_t at = t.out_at + v * kLanes;
      const FirstLanes inside(d, t.columns - v * kLanes);
      Unroll<kRows>([&](auto i) CONVOY_UNROLLED {
        if (i < t.rows) {
          const int64_t to = at + i * t.out_step;
          finish.Store(d, sums[i], inside, a.out + to, a.residual != nullptr ? a.residual + to : nullptr);
          if constexpr (kPair)
            finish.Store(d, sums[kRows + i], inside, b.out + to, b.residual != nullptr ? b.residual + to : nullptr);
        }
      });
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
