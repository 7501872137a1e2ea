// Whole kernels of 3x3 and 5x5, stride 1 or 2, and of 7x7, under tiles of kRows output rows and one vector: what most depthwise
// layers are made of.
//
// Zen 4 does one multiply-add of 512 bits a cycle and pays one for each store, so 3x3 takes at least 70 cycles a tile; loads that
// cross a line take 1.5 and stay below that. A tile of 8 columns or less takes half a vector and half the time.
//
// Stride 2: even and odd columns are parted within blocks of 128 bits, which is the cheap shuffle, and sums are brought into order
// when they are finished. What a column of taps takes from a neighbouring column is summed apart and shifted by a lane then,
// instead of every input row. So a lane at an edge of the vector may miss its neighbour: it is left to the next strip.
//
// AVX2 has registers for the sums and the weights of one column (stride 1) or row (stride 2), and loads every second column anew.
// Masks take a register and instructions there, and a masked store 20 times as long as a whole one: strips inside of a row go
// without, the last one begins where it ends with the row, and rows of less than a vector are stored over one another.
#if defined(CONVOY_KERNELS_CONV_DEPTHWISE_KERNEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_DEPTHWISE_KERNEL_INL_H_
#undef CONVOY_KERNELS_CONV_DEPTHWISE_KERNEL_INL_H_
#else
#define CONVOY_KERNELS_CONV_DEPTHWISE_KERNEL_INL_H_
#endif

#include <algorithm>

#include "convoy/kernels/conv/conv_depthwise_rows-inl.h"
#include "convoy/kernels/conv/conv_depthwise_tiles.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_KERNEL_STRIP
#define CONVOY_KERNELS_CONV_DEPTHWISE_KERNEL_STRIP
namespace convoy::kernels::depthwise {

// A vector's width of output columns.
struct Strip {
  int64_t out_column, in_column;  // of lane 0; the first may be left of the outputs, the second left of the row
  uint16_t outputs;               // lanes that are stored
  uint16_t inside[7];             // lanes of a load in the row: stride 1 has one for every column of taps, stride 2 has two loads
  bool whole;                     // all lanes are inside (AVX2)
};

// kRows output rows. At the end of a plane the first of them may be another tile's.
struct KernelTile {
  int64_t in, out;   // from the plane's first float to column 0 of the row
  uint32_t in_rows;  // bit r: input row r exists
  int64_t first_row;
};

struct KernelTiles {
  const KernelTile* tiles;
  int64_t count;
  const Strip* strip;
  int64_t strips;
  int64_t column_step, row_step, out_step;
  int64_t output_columns;
  int64_t ahead, lines;  // floats from a tile's first to those that are fetched meanwhile, and lines of them for every strip
  bool flipped;          // the taps are read backwards
};

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_KERNEL_STRIP

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
using depthwise::Geometry;
using depthwise::Job;
using depthwise::KernelTile;
using depthwise::KernelTiles;
using depthwise::kRows;
using depthwise::PlaneOfTile;
using depthwise::Strip;
using depthwise::TileRange;

template <class DV>
HWY_INLINE hn::Mask<DV> LanesOf(DV d, uint16_t bits) {
#if HWY_TARGET == HWY_AVX3
  (void)d;
  return hn::Mask<DV>{static_cast<decltype(hn::Mask<DV>::raw)>(bits)};
#else
  const hn::RebindToSigned<DV> di;
  return hn::RebindMask(d, hn::TestBit(hn::Set(di, bits), hn::Shl(hn::Set(di, 1), hn::Iota(di, 0))));
#endif
}

// Even and odd columns of x and y, in the order that UnshuffledFrom knows.
#if HWY_TARGET == HWY_AVX3
HWY_INLINE __m512 Evens(__m512 x, __m512 y) { return _mm512_shuffle_ps(x, y, 0x88); }
HWY_INLINE __m512 Odds(__m512 x, __m512 y) { return _mm512_shuffle_ps(x, y, 0xDD); }
#endif
HWY_INLINE __m256 Evens(__m256 x, __m256 y) { return _mm256_shuffle_ps(x, y, 0x88); }
HWY_INLINE __m256 Odds(__m256 x, __m256 y) { return _mm256_shuffle_ps(x, y, 0xDD); }
template <int kVector>
constexpr int UnshuffledFrom(int column) {
  constexpr int kHalf = kVector / 2;
  return column % kHalf / 2 * 4 + column / kHalf * 2 + column % 2;
}
// A table, not a loop in the function: GCC 12 ran that loop anew for every row (5x5 at a stride of 2 took twice as long).
template <int kVector, int kShift>
struct UnshuffledOrder {
  alignas(4 * kVector) int32_t from[kVector];
  constexpr UnshuffledOrder() : from() {
    for (int i = 0; i < kVector; ++i) from[i] = UnshuffledFrom<kVector>(std::clamp(i - kShift, 0, kVector - 1));
  }
};

// Sums in the order of columns, those of another column `kShift` lanes on. Lanes at the edges that have no neighbour repeat one.
template <int kShift, class DV>
HWY_INLINE hn::Vec<DV> InOrder(DV d, hn::Vec<DV> v) {
  static constexpr UnshuffledOrder<static_cast<int>(hn::MaxLanes(DV())), kShift> kOrder;
  return hn::TableLookupLanes(v, hn::SetTableIndices(d, kOrder.from));
}

constexpr int64_t kLine = 16;  // floats
constexpr bool kFewRegisters = HWY_TARGET == HWY_AVX2;

// Input rows under a tile of which a border leaves out half a kernel.
constexpr bool ExistsAlways(int size, int stride, int row) {
  return row >= size / 2 && row < (kRows - 1) * stride + size - size / 2;
}

// The sums of a strip in 16 registers. kMasked: some lanes lie outside of the row.
template <class DV, int kK, int kStride, bool kInner, bool kMasked>
HWY_INLINE void SumStrip(DV d, const KernelTiles& k, const Strip& strip, uint32_t rows, const float* in, const float* weight,
                         hn::Vec<DV> (&sums)[kRows]) {
  using Vector = hn::Vec<DV>;
  constexpr auto kVector = static_cast<int64_t>(hn::MaxLanes(DV()));
  const int64_t column_step = k.column_step, row_step = k.row_step;
  const auto load = [&](int which, const float* from) CONVOY_UNROLLED {
    Vector x = kMasked ? LoadMasked(LanesOf(d, strip.inside[which]), d, from) : hn::LoadU(d, from);
    KeepInRegister(x);
    return x;
  };
  const auto exists = [&](auto r) CONVOY_UNROLLED { return (kInner && ExistsAlways(kK, kStride, r)) || (rows >> r & 1) != 0; };
  if constexpr (kStride == 1) {
    Unroll<kK>([&](auto column) CONVOY_UNROLLED {
      Vector w[kK];
      Unroll<kK>([&](auto row) CONVOY_UNROLLED { w[row] = hn::Set(d, weight[row * kK + column]); });
      const float* at = in + column * column_step;
      Unroll<kRows - 1 + kK>([&](auto r) CONVOY_UNROLLED {
        if (exists(r)) {
          const Vector x = load(column, at);
          Unroll<kK>([&](auto tap) CONVOY_UNROLLED {
            constexpr int kRow = r - tap;
            if constexpr (kRow >= 0 && kRow < kRows) Accumulate(w[tap], x, sums[kRow]);
          });
        }
        at += row_step;
      });
    });
  } else {
    // Tap rows i and i + 2 read the same rows: together if there are registers for the weights of both, else one by one.
    Unroll<kK == 3 ? 2 : kK>([&](auto i) CONVOY_UNROLLED {
      constexpr int kTaps = kK == 3 && i == 0 ? 2 : 1;
      Vector w[kTaps * kK];
      Unroll<kTaps * kK>([&](auto j) CONVOY_UNROLLED { w[j] = hn::Set(d, weight[(i + j / kK * 2) * kK + j % kK]); });
      const float* at = in + i * row_step;
      Unroll<kRows - 1 + kTaps>([&](auto row) CONVOY_UNROLLED {
        const auto add = [&](auto column, Vector x) CONVOY_UNROLLED {
          Unroll<kTaps>([&](auto tap) CONVOY_UNROLLED {
            constexpr int kRow = row - tap;
            if constexpr (kRow >= 0 && kRow < kRows) Accumulate(w[tap * kK + column], x, sums[kRow]);
          });
        };
        if (exists(std::integral_constant<int, 2 * row + i>())) {
          Unroll<(kK + 1) / 2>([&](auto pair) CONVOY_UNROLLED {
            // The last column is the second of its pair, too: so nothing is read beyond it.
            constexpr bool kLast = 2 * pair + 1 == kK;
            constexpr int kFirst = kLast ? kK - 2 : 2 * pair;
            const Vector x = load(2 * pair, at + kFirst), y = load(2 * pair + 1, at + kFirst + kVector);
            if constexpr (!kLast) add(std::integral_constant<int, kFirst>(), Vector{Evens(x.raw, y.raw)});
            add(std::integral_constant<int, kFirst + 1>(), Vector{Odds(x.raw, y.raw)});
          });
        }
        at += 2 * row_step;
      });
      KeepOrder();
    });
    Unroll<kRows>([&](auto i) CONVOY_UNROLLED { sums[i] = InOrder<0>(d, sums[i]); });
  }
}

// kInner: a border leaves out no more than half a kernel of any tile.
template <class DV, int kK, int kStride, bool kInner>
HWY_NOINLINE void RunKernel(const KernelTiles& k, const Finish& finish, const PlaneOfTile* planes, int64_t count) {
  using Vector = hn::Vec<DV>;
  const DV d;
  constexpr auto kVector = static_cast<int64_t>(hn::MaxLanes(DV()));
  const int64_t column_step = k.column_step, row_step = k.row_step, out_step = k.out_step, lines = k.lines;
  const bool clamp = finish.clamp;
  const Strip* const last = k.strip + k.strips;
  const Vector low = hn::Set(d, finish.low), high = hn::Set(d, finish.high);
  for (int64_t p = 0; p < count; ++p) {
    const PlaneOfTile& plane = planes[p];
    const float* weight = plane.weight;
    float backwards[kK * kK];
    if (k.flipped) {
      for (int i = 0; i < kK * kK; ++i) backwards[i] = weight[kK * kK - 1 - i];
      weight = backwards;
    }
    [[maybe_unused]] Vector all[kK * kK];
    if constexpr (kStride == 1 && kK == 3 && !kFewRegisters)
      Unroll<kK * kK>([&](auto i) CONVOY_UNROLLED { all[i] = hn::Set(d, weight[i]); });
    for (int64_t i_tile = 0; i_tile < k.count; ++i_tile) {
      const KernelTile& tile = k.tiles[i_tile];
      const int64_t first_row = tile.first_row;
      const uint32_t rows = tile.in_rows;
      const float* next = plane.in + tile.in + k.ahead;
      for (const Strip* strip = k.strip; strip != last; ++strip) {
        const float* const in = plane.in + tile.in + strip->in_column;
        Vector sums[kRows];
        Unroll<kRows>([&](auto i) CONVOY_UNROLLED { sums[i] = hn::Set(d, plane.start); });
        if constexpr (kFewRegisters) {
          if (strip->whole) {
            SumStrip<DV, kK, kStride, kInner, false>(d, k, *strip, rows, in, weight, sums);
          } else {
            SumStrip<DV, kK, kStride, kInner, true>(d, k, *strip, rows, in, weight, sums);
          }
        } else if constexpr (kStride == 1 && kK == 3) {  // all weights stay in registers
          const hn::Mask<DV> inside[kK] = {LanesOf(d, strip->inside[0]), LanesOf(d, strip->inside[1]),
                                           LanesOf(d, strip->inside[2])};
          // A column is a row behind the one before, so that a sum rarely waits for its last product.
          constexpr int kBehind = 1;
          const float* at[kK] = {in, in + column_step, in + 2 * column_step};
          Unroll<kRows - 1 + kK + kBehind*(kK - 1)>([&](auto step) CONVOY_UNROLLED {
            Unroll<kK>([&](auto column) CONVOY_UNROLLED {
              constexpr int kInRow = step - kBehind * column;
              if constexpr (kInRow >= 0 && kInRow < kRows - 1 + kK) {
                if ((kInner && ExistsAlways(kK, 1, kInRow)) || (rows >> kInRow & 1) != 0) {
                  Vector x = LoadMasked(inside[column], d, at[column]);
                  KeepInRegister(x);
                  Unroll<kK>([&](auto i) CONVOY_UNROLLED {
                    constexpr int kRow = kInRow - i;
                    if constexpr (kRow >= 0 && kRow < kRows) sums[kRow] = hn::MulAdd(all[i * kK + column], x, sums[kRow]);
                  });
                }
                at[column] += row_step;
              }
            });
          });
        } else if constexpr (kStride == 1) {
          Unroll<kK>([&](auto column) CONVOY_UNROLLED {
            const auto inside = LanesOf(d, strip->inside[column]);
            Vector w[kK];
            Unroll<kK>([&](auto i) CONVOY_UNROLLED { w[i] = hn::Set(d, weight[i * kK + column]); });
            const float* at = in + column * column_step;
            Unroll<kRows - 1 + kK>([&](auto r) CONVOY_UNROLLED {
              if ((kInner && ExistsAlways(kK, 1, r)) || (rows >> r & 1) != 0) {
                Vector x = LoadMasked(inside, d, at);
                KeepInRegister(x);
                Unroll<kK>([&](auto i) CONVOY_UNROLLED {
                  constexpr int kRow = r - i;
                  if constexpr (kRow >= 0 && kRow < kRows) sums[kRow] = hn::MulAdd(w[i], x, sums[kRow]);
                });
              }
              at += row_step;
            });
          });
        } else {
          const auto inside = LanesOf(d, strip->inside[0]), inside_second = LanesOf(d, strip->inside[1]);
          Vector before[kRows], behind[kRows];  // sums that belong to the next output column, and to the last
          Unroll<kRows>([&](auto i) CONVOY_UNROLLED { before[i] = behind[i] = hn::Zero(d); });
          // An input row for tap row i of output row `row`.
          const auto add = [&](auto row, const Vector* w, Vector even, Vector odd) CONVOY_UNROLLED {
            constexpr int kMiddle = kK / 2;
            sums[row] = hn::MulAdd(w[kMiddle], even, sums[row]);
            before[row] = hn::MulAdd(w[kMiddle - 1], odd, before[row]);
            sums[row] = hn::MulAdd(w[kMiddle + 1], odd, sums[row]);
            if constexpr (kK == 5) {
              before[row] = hn::MulAdd(w[0], even, before[row]);
              behind[row] = hn::MulAdd(w[4], even, behind[row]);
            }
          };
          const auto for_row = [&](auto r, const float* from, const auto& add_row) CONVOY_UNROLLED {
            if ((kInner && ExistsAlways(kK, 2, r)) || (rows >> r & 1) != 0) {
              const Vector x = LoadMasked(inside, d, from), y = LoadMasked(inside_second, d, from + kVector);
              Vector even{Evens(x.raw, y.raw)}, odd{Odds(x.raw, y.raw)};
              KeepInRegister(even);
              KeepInRegister(odd);
              add_row(even, odd);
            }
          };
          Vector w[kK == 3 ? kK * kK : kK];
          if constexpr (kK == 3) {  // all weights stay in registers, and every row is read once
            Unroll<kK * kK>([&](auto i) CONVOY_UNROLLED { w[i] = hn::Set(d, weight[i]); });
            const float* from = in;
            Unroll<2 * kRows - 2 + kK>([&](auto r) CONVOY_UNROLLED {
              for_row(r, from, [&](Vector even, Vector odd) CONVOY_UNROLLED {
                Unroll<kK>([&](auto i) CONVOY_UNROLLED {
                  constexpr int kDown = r - i, kRow = kDown / 2;
                  if constexpr (kDown >= 0 && kDown % 2 == 0 && kRow < kRows)
                    add(std::integral_constant<int, kRow>(), w + i * kK, even, odd);
                });
              });
              from += row_step;
            });
          } else {
            Unroll<kK>([&](auto i) CONVOY_UNROLLED {
              Unroll<kK>([&](auto column) CONVOY_UNROLLED { w[column] = hn::Set(d, weight[i * kK + column]); });
              const float* from = in + i * row_step;
              Unroll<kRows>([&](auto row) CONVOY_UNROLLED {
                for_row(std::integral_constant<int, 2 * row + i>(), from,
                        [&](Vector even, Vector odd) CONVOY_UNROLLED { add(row, w, even, odd); });
                from += 2 * row_step;
              });
            });
          }
          const auto but_first = hn::Not(hn::FirstN(d, 1));
          Unroll<kRows>([&](auto i) CONVOY_UNROLLED {
            sums[i] = hn::Add(InOrder<0>(d, sums[i]), hn::IfThenElseZero(but_first, InOrder<1>(d, before[i])));
            if constexpr (kK == 5) sums[i] = hn::Add(sums[i], InOrder<-1>(d, behind[i]));
          });
        }
        for (int64_t i = 0; i < lines; ++i, next += kLine) hwy::Prefetch(next);
        const auto outputs = LanesOf(d, strip->outputs);
        const int64_t out_at = tile.out + strip->out_column;
        if (plane.residual != nullptr) {
          const float* from = plane.residual + out_at;
          Unroll<kRows>([&](auto i) CONVOY_UNROLLED {
            if (i >= first_row) sums[i] = hn::Add(sums[i], LoadMasked(outputs, d, from));
            from += out_step;
          });
        }
        if (clamp) {
          Unroll<kRows>([&](auto i) CONVOY_UNROLLED { sums[i] = Limited(sums[i], low, high); });
        }
        float* to = plane.out + out_at;
        // Rows that are stored whole: all of them, or those of whose rest the next ones lie over.
        const int64_t whole_rows = !kFewRegisters                         ? 0
                                   : strip->outputs == (1 << kVector) - 1 ? kRows
                                   : out_step < kVector && out_step == k.output_columns
                                       ? kRows - (kVector + out_step - 1) / out_step + 1
                                       : 0;
        Unroll<kRows>([&](auto i) CONVOY_UNROLLED {
          if (i >= first_row) {
            if (i < whole_rows) {
              hn::StoreU(sums[i], d, to);
            } else {
              StoreMasked(sums[i], outputs, d, to);
            }
          }
          to += out_step;
        });
      }
    }
  }
}

class KernelRunner {
 public:
  KernelRunner(const Job& job, const SplitEpilogue& epilogue)
      : job_(job), g_(job.g), epilogue_(epilogue), finish_(epilogue), size_(g_.w.kernel), stride_(g_.w.gradient ? 1 : g_.w.stride) {
    k_.column_step = g_.w.input_step();
    k_.row_step = step_ * g_.w.input;
    k_.out_step = spacing_ * g_.w.output;
    k_.output_columns = g_.w.output;
    k_.flipped = g_.w.gradient;
    k_.ahead = ((kRows - 1) * stride_ + size_) * k_.row_step;
  }

  void Run(const TileRange& range) {
    constexpr int64_t kCacheFloats = 6144;  // half of the L1 cache
    const int64_t in = g_.input_positions(), out = g_.output_positions();
    const int64_t block = std::clamp<int64_t>(kCacheFloats / (in + out), 1, kMostPlanes), last = range.first_tile + range.tiles;
    // Beyond the caches of some cores the processor's own guesses come late.
    constexpr int64_t kFarFloats = 3 << 18;
    const bool far = job_.planes * (in + out) > kFarFloats;
    for (int64_t column = 0, next_column; column < g_.w.output; column = next_column) {
      next_column = MakeStrips(column);
      k_.lines = far ? kRows * stride_ * k_.row_step / kLine / (whole_ + halves_) + 1 : 0;
      for (int64_t tile = range.first_tile, next; tile < last; tile = next) {
        next = MakeTiles(tile, last);
        for (int64_t p = 0; p < range.planes; p += block) {
          const int64_t count = std::min(block, range.planes - p);
          MakePlanes(range.first_plane + p, count);
          RunPlanes(count);
          if (epilogue_.later) FinishPlanes(count, column, next_column - column);
        }
      }
    }
  }

 private:
  static constexpr int64_t kVector = HWY_LANES(float), kMostPlanes = 32, kMostTiles = 64, kMostStrips = 64;

  // Whether the first output of a strip at `column` takes from a lane to the left, and the last from one to the right.
  bool NeedsLeft(int64_t column) const { return !kFewRegisters && stride_ == 2 && (column > 0 || g_.w.pad < size_ / 2); }
  bool NeedsRight() const { return !kFewRegisters && stride_ == 2 && size_ == 5; }

  // From an output column on, as many as fit; returns the column behind.
  int64_t MakeStrips(int64_t column) {
    whole_ = halves_ = 0;
    while (column < g_.w.output && whole_ + halves_ < kMostStrips) {
      const int64_t edges = (NeedsLeft(column) ? 1 : 0) + (NeedsRight() ? 1 : 0), left = g_.w.output - column;
      const int64_t lanes = kHalves && left <= kVector / 2 - edges ? kVector / 2 : kVector, count = std::min(left, lanes - edges);
      // A residual may lie where the outputs do: they are computed once.
      const bool again = kFewRegisters && left < kVector && whole_ > 0 && epilogue_.residual == nullptr;
      strips_[whole_ + halves_] = again ? MakeStrip(column + left - kVector, kVector, lanes) : MakeStrip(column, count, lanes);
      ++(lanes == kVector ? whole_ : halves_);
      column += count;
    }
    return column;
  }
  Strip MakeStrip(int64_t column, int64_t count, int64_t lanes) const {
    const auto bits = [&](int64_t begin, int64_t end) {  // of lanes [begin, end)
      const auto below = [&](int64_t lane) { return (uint32_t{1} << std::clamp<int64_t>(lane, 0, lanes)) - 1; };
      return static_cast<uint16_t>(below(end) & ~below(begin));
    };
    const auto inside = [&](int64_t first) { return bits(-first, g_.w.input - first); };
    const int64_t first = NeedsLeft(column) ? 1 : 0;
    Strip strip{column - first, 0, bits(first, first + count), {}, true};
    if (kFewRegisters) {
      strip.in_column = column * stride_ + first_input_column_;
      const int64_t loads = stride_ == 1 ? size_ : size_ + 1;
      for (int64_t i = 0; i < loads; ++i) {
        const int64_t pair = std::min(i / 2 * 2, size_ - 2);
        strip.inside[i] = inside(strip.in_column + (stride_ == 1 ? i * k_.column_step : pair + i % 2 * lanes));
        strip.whole = strip.whole && strip.inside[i] == bits(0, lanes);
      }
    } else if (stride_ == 1) {
      strip.in_column = column + first_input_column_;
      for (int64_t i = 0; i < size_; ++i) strip.inside[i] = inside(strip.in_column + i * k_.column_step);
    } else {
      strip.in_column = 2 * strip.out_column + size_ / 2 - g_.w.pad;
      strip.inside[0] = inside(strip.in_column);
      strip.inside[1] = inside(strip.in_column + lanes);
    }
    return strip;
  }

  // From `tile` on, as many as fit; returns the tile behind.
  int64_t MakeTiles(int64_t tile, int64_t end) {
    const int64_t spacing = spacing_, step = step_;
    const int64_t class_tiles = (g_.h.output + spacing * kRows - 1) / (spacing * kRows);
    int64_t od = tile / (class_tiles * spacing), row_class = tile / class_tiles % spacing, at = tile % class_tiles;
    k_.count = 0;
    inner_ = true;
    for (; tile < end && k_.count < kMostTiles; ++tile, ++at) {
      if (at == class_tiles) {
        at = 0;
        if (++row_class == spacing) {
          row_class = 0;
          ++od;
        }
      }
      int64_t from = row_class + at * kRows * spacing, first_row = 0;
      if (from >= g_.h.output) continue;
      for (; from + (kRows - 1) * spacing >= g_.h.output; ++first_row) from -= spacing;
      const int64_t ih = first_input_row_ + from * stride_;
      KernelTile& made = tiles_[k_.count++];
      made = {(od * g_.h.input + ih) * g_.w.input, (od * g_.h.output + from) * g_.w.output, 0, first_row};
      for (int64_t r = 0; r < (kRows - 1) * stride_ + size_; ++r) {
        const bool exists = ih + r * step >= 0 && ih + r * step < g_.h.input;
        if (exists) made.in_rows |= uint32_t{1} << r;
        inner_ = inner_ && (exists || !ExistsAlways(static_cast<int>(size_), static_cast<int>(stride_), static_cast<int>(r)));
      }
    }
    return tile;
  }

  void MakePlanes(int64_t first, int64_t count) {
    const int64_t in_positions = g_.input_positions(), out_positions = g_.output_positions();
    int64_t channel = first % job_.channels, member = first % job_.group_channels;
    const float* in = job_.input + first / job_.group_channels * in_positions;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t out_at = (first + i) * out_positions;
      planes_[i] = {in, job_.weight + channel * size_ * size_, job_.output + out_at,
                    epilogue_.residual != nullptr ? epilogue_.residual + out_at : nullptr,
                    job_.bias != nullptr ? job_.bias[channel] : 0.0f};
      if (++member == job_.group_channels) {
        member = 0;
        in += in_positions;
      }
      if (++channel == job_.channels) channel = 0;
    }
  }

  HWY_INLINE void RunPlanes(int64_t count) {
    k_.tiles = tiles_;
    k_.strip = strips_;
    k_.strips = whole_;
    if (whole_ > 0) RunKernels<D>(count);
    k_.strip = strips_ + whole_;
    k_.strips = halves_;
    if (halves_ > 0) RunKernels<Half>(count);
  }
  template <class DV>
  HWY_INLINE void RunKernels(int64_t count) const {
    if (size_ == 7) return RunKernel<DV, 7, 1, false>(k_, finish_, planes_, count);
    if (size_ == 5) {
      if (stride_ == 1) return RunKernel<DV, 5, 1, false>(k_, finish_, planes_, count);
      if constexpr (!kFewRegisters) return RunKernel<DV, 5, 2, false>(k_, finish_, planes_, count);
    }
    if (inner_) {  // the tests take 8 % here
      return stride_ == 1 ? RunKernel<DV, 3, 1, true>(k_, finish_, planes_, count)
                          : RunKernel<DV, 3, 2, true>(k_, finish_, planes_, count);
    }
    stride_ == 1 ? RunKernel<DV, 3, 1, false>(k_, finish_, planes_, count)
                 : RunKernel<DV, 3, 2, false>(k_, finish_, planes_, count);
  }

  void FinishPlanes(int64_t planes, int64_t column, int64_t columns) const {
    const bool rows_follow = columns == k_.out_step;
    int64_t rows = 0;
    for (int64_t i = 0; i < k_.count; ++i) rows += kRows - tiles_[i].first_row;
    if (rows_follow && rows * columns == g_.output_positions()) return epilogue_.finish(planes_[0].out, planes * rows * columns);
    for (int64_t p = 0; p < planes; ++p) {
      for (int64_t i = 0; i < k_.count; ++i) {
        float* const out = planes_[p].out + tiles_[i].out + column;
        for (int64_t row = tiles_[i].first_row; row < kRows; ++row) {
          const int64_t together = rows_follow ? kRows - row : 1;
          epilogue_.finish(out + row * k_.out_step, together * columns);
          row += together - 1;
        }
      }
    }
  }

  const Job& job_;
  const Geometry& g_;
  const SplitEpilogue& epilogue_;
  const Finish finish_;
  const int64_t size_, stride_;
  const int64_t step_ = stride_ == 2 ? 1 : g_.h.input_step(), spacing_ = g_.h.spacing();
  const int64_t first_input_row_ = g_.h.taps(0, 0).input, first_input_column_ = g_.w.taps(0, 0).input;
  int64_t whole_ = 0, halves_ = 0;
  bool inner_ = false;
  KernelTiles k_{};
  KernelTile tiles_[kMostTiles];
  Strip strips_[kMostStrips];
  PlaneOfTile planes_[kMostPlanes];
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();
#endif

#endif  // per-target include guard
