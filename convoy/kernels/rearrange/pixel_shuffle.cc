#include "convoy/kernels/rearrange/pixel_shuffle.h"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "convoy/core/parallel.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kValuesPerTask = 16384;

// Calls row(wide, narrow, stride) for every row of the wide image: wide[w * r + j] belongs to narrow[j * stride + w] for j < r, w <
// width (offsets in values).
template <class Row>
void for_each_row(const PixelShuffleShape& s, Row&& row) {
  const int64_t r = s.factor, rows = s.planes * s.height * r, wide_width = s.width * r;
  parallel_ranges(rows, std::max<int64_t>(1, kValuesPerTask / std::max<int64_t>(wide_width, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t i = k % r, h = k / r % s.height, plane = k / r / s.height;
      row(k * wide_width, ((plane * r + i) * r * s.height + h) * s.width, s.height * s.width);
    }
  });
}

// Unsigned integers of so many bytes: values are moved, whatever they are.
template <int Size>
using Bits = std::conditional_t<Size == 1, uint8_t,
                                std::conditional_t<Size == 2, uint16_t, std::conditional_t<Size == 4, uint32_t, uint64_t>>>;

// A row: kFactor is the factor, or 0 for any. With the usual ones GCC makes vector code of it, a third to twice as fast.
template <bool kShuffle, int kFactor, class T>
void move_row(const T* __restrict from, T* __restrict to, int64_t any_factor, int64_t stride, int64_t width) {
  const int64_t factor = kFactor > 0 ? kFactor : any_factor;
  for (int64_t w = 0; w < width; ++w) {
    for (int64_t j = 0; j < factor; ++j) {
      if constexpr (kShuffle) {
        to[w * factor + j] = from[j * stride + w];
      } else {
        to[j * stride + w] = from[w * factor + j];
      }
    }
  }
}

template <bool kShuffle, class T>
auto row_mover(int64_t factor) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (factor == 2) return &move_row<kShuffle, 2, T>;
    if (factor == 3) return &move_row<kShuffle, 3, T>;
    if (factor == 4) return &move_row<kShuffle, 4, T>;
  }
  return &move_row<kShuffle, 0, T>;
}

}  // namespace

template <int Size>
void pixel_shuffle(const PixelShuffleShape& s, const void* input, void* output) noexcept {
  const auto* from = static_cast<const Bits<Size>*>(input);
  auto* to = static_cast<Bits<Size>*>(output);
  const auto move = row_mover<true, Bits<Size>>(s.factor);
  for_each_row(s, [&](int64_t wide, int64_t narrow, int64_t stride) { move(from + narrow, to + wide, s.factor, stride, s.width); });
}

template <int Size>
void pixel_unshuffle(const PixelShuffleShape& s, const void* input, void* output) noexcept {
  const auto* from = static_cast<const Bits<Size>*>(input);
  auto* to = static_cast<Bits<Size>*>(output);
  const auto move = row_mover<false, Bits<Size>>(s.factor);
  for_each_row(s, [&](int64_t wide, int64_t narrow, int64_t stride) { move(from + wide, to + narrow, s.factor, stride, s.width); });
}

template void pixel_shuffle<1>(const PixelShuffleShape&, const void*, void*) noexcept;
template void pixel_shuffle<2>(const PixelShuffleShape&, const void*, void*) noexcept;
template void pixel_shuffle<4>(const PixelShuffleShape&, const void*, void*) noexcept;
template void pixel_shuffle<8>(const PixelShuffleShape&, const void*, void*) noexcept;
template void pixel_unshuffle<1>(const PixelShuffleShape&, const void*, void*) noexcept;
template void pixel_unshuffle<2>(const PixelShuffleShape&, const void*, void*) noexcept;
template void pixel_unshuffle<4>(const PixelShuffleShape&, const void*, void*) noexcept;
template void pixel_unshuffle<8>(const PixelShuffleShape&, const void*, void*) noexcept;

}  // namespace convoy::kernels
