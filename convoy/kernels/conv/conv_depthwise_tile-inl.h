// The register tile of conv_depthwise and conv_grouped: kRows output rows of one vector's width, in a dense correlation of
// stride 1.
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
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_TILE_SEGMENT
#define CONVOY_KERNELS_CONV_DEPTHWISE_TILE_SEGMENT
namespace convoy::kernels::depthwise {

constexpr int64_t kMaxColumnTaps = 64;
constexpr int64_t kMaxPhases = 16;
constexpr int64_t kMaxSegments = 256;

// Output planes that a tile computes together: two narrow ones in the halves of each vector, or two of a group that take from the
// same input vectors.
enum class Together { kNone, kNarrow, kOfGroup };

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

struct PlaneOfTile {
  const float* in;
  const float* weight;
  float* out;
  const float* residual;
  float start;  // the bias
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
using depthwise::Together;

constexpr int64_t kTileColumns = 8192;  // column taps times the columns of a chunk: bounds the masks
constexpr int64_t kMasks = 3 * kTileColumns / (2 * HWY_LANES(float));

// What all tiles of a chunk of columns have in common. Steps are in floats.
struct TileColumns {
  // The column taps of the phase at hand.
  int64_t taps;
  const int64_t* offsets;  // from an output's column to its input
  const int64_t* weights;  // of the tap, from that of column 0
  const Mask* masks;       // [vector][mask_step]; two for each tap where planes are narrow
  int64_t mask_step;
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

// GCC would fold the load into each of the multiply-adds that use it, and unaligned loads are what limits us.
template <class Vector>
HWY_INLINE void KeepInRegister(Vector& v) {
#if HWY_TARGET == HWY_AVX3
  asm volatile("" : "+v"(v.raw));
#elif HWY_TARGET == HWY_AVX2
  asm volatile("" : "+x"(v.raw));
#else
  (void)v;
#endif
}

HWY_INLINE Mask UpperLanes() { return hn::Not(hn::FirstN(D(), hn::Lanes(D()) / 2)); }

// A value of plane a in all lanes, or of planes a and b in their halves.
template <Together kTogether>
HWY_INLINE V SetPlanes(float a, float b) {
  const D d;
  if constexpr (kTogether == Together::kNarrow) return hn::IfThenElse(UpperLanes(), hn::Set(d, b), hn::Set(d, a));
  return hn::Set(d, a);
}

// Input rows under a full tile that only a wide border would leave out.
constexpr uint32_t InnerRows(int taps, int stride) { return ((uint32_t{1} << ((kRows - 1) * stride + taps % 2)) - 1) << taps / 2; }

// Vectors [begin, end) of one segment of a tile in each of `count` planes. kInner: all of InnerRows exist.
// With kStride 2 columns of taps go two together: of the 32 columns under 16 outputs one takes the even and the other the odd ones.
template <int kTaps, int kStride, Together kTogether, bool kInner>
HWY_NOINLINE void AddSegment(const TileColumns& tile, const Finish& finish, const Segment& segment, const PlaneOfTile* planes,
                             int64_t count, int64_t begin, int64_t end, TileSums& between) {
  const D d;
  constexpr auto kLanes = static_cast<int64_t>(HWY_LANES(float));
  constexpr bool kNarrow = kTogether == Together::kNarrow, kPair = kTogether == Together::kOfGroup;
  constexpr int kPlanes = kPair ? 2 : 1, kStep = kTogether == Together::kNone ? 1 : 2, kSums = kPlanes * kRows;
  constexpr int kWeights = kPlanes * kTaps;
  constexpr int kTapMasks = kNarrow || kStride == 2 ? 2 : 1;
  using Weights = V[kWeights];
  const TileColumns t = tile;
  const uint32_t rows = segment.rows;
  for (int64_t p = 0; p < count; p += kStep) {
    const PlaneOfTile& a = planes[p];
    const PlaneOfTile& b = planes[p + kStep - 1];
    const int64_t other_weight = b.weight - a.weight;
    const int64_t second = kStride == 1 ? b.in - a.in - kLanes / 2 : kNarrow ? b.in - a.in : kLanes;
    const auto weights = [&](const float* at, Weights& k) CONVOY_UNROLLED {
      Unroll<kTaps>([&](auto i) CONVOY_UNROLLED {
        k[i] = SetPlanes<kTogether>(at[i * t.weight_row], at[i * t.weight_row + (kNarrow ? other_weight : 0)]);
        if constexpr (kPair) k[kTaps + i] = hn::Set(d, at[i * t.weight_row + other_weight]);
      });
    };
    V sums[kSums];
    const auto add = [&](auto r, V x, const Weights& k) CONVOY_UNROLLED {
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
    const auto add_column = [&](const float* row, const Mask* mask, const Weights& k, const Weights* odd) CONVOY_UNROLLED {
      const Mask inside = mask[0];
      Mask inside_second;
      if constexpr (kTapMasks == 2) inside_second = mask[1];
      Unroll<(kRows - 1) * kStride + kTaps>([&](auto r) CONVOY_UNROLLED {
        if (((kInner ? InnerRows(kTaps, kStride) : 0) >> r & 1) != 0 || (rows >> r & 1) != 0) {
          const float* const at = row + r * t.row_step;
          V x = LoadInside(inside, at);
          if constexpr (kTapMasks == 2) {
            V y = LoadInside(inside_second, at + second);
            if constexpr (kStride == 2) {
              KeepInRegister(x);
              KeepInRegister(y);
#if HWY_TARGET == HWY_SCALAR
              if (odd != nullptr) add(r, y, *odd);
#else
              if (odd != nullptr) add(r, hn::ConcatOdd(d, y, x), *odd);
              x = hn::ConcatEven(d, y, x);
#endif
            } else {
              x = hn::Or(x, y);
            }
          }
          add(r, x, k);
        }
      });
    };
    for (int64_t v = begin; v < end; ++v) {
      if (segment.cut && segment.first) {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED { hn::Store(hn::Zero(d), d, between.put_away + i * depthwise::kLanes); });
      }
      if (segment.first) {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED { sums[i] = SetPlanes<kTogether>(i < kRows ? a.start : b.start, b.start); });
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
      const Mask* const masks = t.masks + v * t.mask_step;
      const float* weight = a.weight + segment.weight;
      for (int64_t source = 0; source < segment.sources; ++source) {
        V k[kWeights];
        int64_t i = 0;
        if constexpr (kStride == 2) {
          for (; 2 * i + 1 < t.taps; ++i) {
            V odd[kWeights];
            weights(weight + t.weights[2 * i], k);
            weights(weight + t.weights[2 * i + 1], odd);
            add_column(in + t.offsets[i], masks + i * kTapMasks, k, &odd);
          }
        }
        for (; i * kStride < t.taps; ++i) {
          weights(weight + t.weights[i * kStride], k);
          add_column(in + t.offsets[i], masks + i * kTapMasks, k, nullptr);
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
      const Mask inside = hn::FirstN(d, static_cast<size_t>(t.columns - v * kLanes));
      const auto store = [&](const PlaneOfTile& plane, Mask mask, int64_t to, V sum) CONVOY_UNROLLED {
        finish.Store(sum, mask, plane.out + to, plane.residual != nullptr ? plane.residual + to : nullptr);
      };
      if (!kNarrow && t.rows == kRows && !finish.clamp && a.residual == nullptr) {
        Unroll<kSums>([&](auto i) CONVOY_UNROLLED {
          hn::BlendedStore(sums[i], inside, d, (i < kRows ? a : b).out + at + i % kRows * t.out_step);
        });
        continue;
      }
      Unroll<kRows>([&](auto i) CONVOY_UNROLLED {
        if (i < t.rows) {
          store(a, inside, at + i * t.out_step, sums[i]);
          if constexpr (kPair) store(b, inside, at + i * t.out_step, sums[kRows + i]);
          if constexpr (kNarrow) store(b, InsideLanes(-kLanes / 2, t.columns), at + i * t.out_step - kLanes / 2, sums[i]);
        }
      });
    }
  }
}

#if HWY_TARGET == HWY_AVX3
// Whether a segment is a whole 3x3 kernel under a whole tile, for AddKernel.
HWY_INLINE bool IsKernel(const TileColumns& t, const Segment& s, int stride) {
  const uint32_t inner = InnerRows(3, stride);
  return s.tap_rows == 3 && t.taps == 3 && s.sources == 1 && s.first && s.last && t.rows == kRows && t.temporary == nullptr &&
         (s.rows & inner) == inner;
}

// AddSegment for what most depthwise layers are made of: a 3x3 kernel, all weights in registers, no row missing but the first and
// the last, nothing between the sums and the epilogue. AddSegment with the kernel's width as a constant spills: it took a third
// longer. With kStride 2 the first column of taps is the third one's, a lane further, so two loads and a value do.
template <int kStride, Together kTogether>
HWY_NOINLINE void AddKernel(const TileColumns& tile, const Finish& finish, const Segment& segment, const PlaneOfTile* planes,
                            int64_t count, int64_t vectors) {
  const D d;
  constexpr auto kLanes = static_cast<int64_t>(HWY_LANES(float));
  constexpr bool kNarrow = kTogether == Together::kNarrow;
  constexpr int kInputs = (kRows - 1) * kStride + 3, kStep = kNarrow ? 2 : 1;
  const TileColumns t = tile;
  const bool top = (segment.rows & 1) != 0, bottom = (segment.rows >> (kInputs - 1) & 1) != 0;
  const V low = hn::Set(d, finish.low), high = hn::Set(d, finish.high);
  for (int64_t p = 0; p < count; p += kStep) {
    const PlaneOfTile& a = planes[p];
    const PlaneOfTile& b = planes[p + kStep - 1];
    const int64_t second = kStride == 1 ? b.in - a.in - kLanes / 2 : kNarrow ? b.in - a.in : kLanes;
    V k[9];
    Unroll<9>([&](auto i) CONVOY_UNROLLED {
      const int64_t at = segment.weight + i / 3 * t.weight_row + t.weights[i % 3];
      k[i] = SetPlanes<kTogether>(a.weight[at], b.weight[at]);
      KeepInRegister(k[i]);
    });
    const V start = SetPlanes<kTogether>(a.start, b.start);
    for (int64_t v = 0; v < vectors; ++v) {
      V sums[kRows];
      Unroll<kRows>([&](auto i) CONVOY_UNROLLED { sums[i] = start; });
      const auto add = [&](auto r, auto column, V x) CONVOY_UNROLLED {
        Unroll<3>([&](auto i) CONVOY_UNROLLED {
          constexpr int kDown = r - i, kRow = kDown / kStride;
          if constexpr (kDown >= 0 && kDown % kStride == 0 && kRow < kRows) {
            sums[kRow] = hn::MulAdd(k[3 * i + column], x, sums[kRow]);
          }
        });
      };
      const auto each_row = [&](const auto& add_row) CONVOY_UNROLLED {
        if (top) add_row(std::integral_constant<int, 0>());
        Unroll<kInputs - 2>([&](auto r) CONVOY_UNROLLED { add_row(std::integral_constant<int, r + 1>()); });
        if (bottom) add_row(std::integral_constant<int, kInputs - 1>());
      };
      const float* const in = a.in + segment.in + v * kLanes * kStride;
      const Mask* const masks = t.masks + v * t.mask_step;
      if constexpr (kStride == 1) {
        Unroll<3>([&](auto column) CONVOY_UNROLLED {
          const float* const from = in + t.offsets[column];
          const Mask inside = masks[kNarrow ? 2 * column : column], inside_second = masks[kNarrow ? 2 * column + 1 : column];
          each_row([&](auto r) CONVOY_UNROLLED {
            V x = LoadInside(inside, from + r * t.row_step);
            if constexpr (kNarrow) x = hn::Or(x, LoadInside(inside_second, from + r * t.row_step + second));
            KeepInRegister(x);
            add(r, column, x);
          });
        });
      } else if constexpr (kNarrow) {
        Unroll<2>([&](auto pair) CONVOY_UNROLLED {
          const float* const from = in + t.offsets[pair];
          const Mask inside = masks[2 * pair], inside_second = masks[2 * pair + 1];
          each_row([&](auto r) CONVOY_UNROLLED {
            V x = LoadInside(inside, from + r * t.row_step), y = LoadInside(inside_second, from + r * t.row_step + second);
            KeepInRegister(x);
            KeepInRegister(y);
            add(r, std::integral_constant<int, 2 * pair>(), hn::ConcatEven(d, y, x));
            if constexpr (pair == 0) add(r, std::integral_constant<int, 1>(), hn::ConcatOdd(d, y, x));
          });
        });
      } else {
        const float* const from = in + t.offsets[0] + 1;
        const Mask* const shifted = masks + 4;
        const Mask inside = shifted[0], inside_second = shifted[1], left = shifted[2];
        each_row([&](auto r) CONVOY_UNROLLED {
          const float* const at = from + r * t.row_step;
          V x = LoadInside(inside, at), y = LoadInside(inside_second, at + kLanes), before = LoadInside(left, at - kLanes);
          KeepInRegister(x);
          KeepInRegister(y);
          const V odd = hn::ConcatOdd(d, y, x);
          add(r, std::integral_constant<int, 0>(),
              V{_mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(odd.raw), _mm512_castps_si512(before.raw), 15))});
          add(r, std::integral_constant<int, 1>(), hn::ConcatEven(d, y, x));
          add(r, std::integral_constant<int, 2>(), odd);
        });
      }
      const int64_t at = t.out_at + v * kLanes;
      const auto store = [&](const PlaneOfTile& plane, Mask inside, int64_t to) CONVOY_UNROLLED {
        V results[kRows];
        Unroll<kRows>([&](auto i) CONVOY_UNROLLED { results[i] = sums[i]; });
        if (plane.residual != nullptr) {
          Unroll<kRows>([&](auto i) CONVOY_UNROLLED {
            results[i] = hn::Add(results[i], LoadInside(inside, plane.residual + to + i * t.out_step));
          });
        }
        if (finish.clamp) {
          Unroll<kRows>([&](auto i) CONVOY_UNROLLED { results[i] = hn::Min(high, hn::Max(low, results[i])); });
        }
        Unroll<kRows>([&](auto i) CONVOY_UNROLLED { hn::BlendedStore(results[i], inside, d, plane.out + to + i * t.out_step); });
      };
      store(a, hn::FirstN(d, static_cast<size_t>(t.columns - v * kLanes)), at);
      if constexpr (kNarrow) store(b, InsideLanes(-kLanes / 2, t.columns), at - kLanes / 2);
    }
  }
}
#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
