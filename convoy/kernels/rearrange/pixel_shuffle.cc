#include "convoy/kernels/rearrange/pixel_shuffle.h"

#include <algorithm>
#include <cstring>

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

}  // namespace

template <int Size>
void pixel_shuffle(const PixelShuffleShape& s, const void* input, void* output) noexcept {
  const auto* from = static_cast<const char*>(input);
  auto* to = static_cast<char*>(output);
  for_each_row(s, [&](int64_t wide, int64_t narrow, int64_t stride) {
    for (int64_t w = 0; w < s.width; ++w) {
      for (int64_t j = 0; j < s.factor; ++j)
        std::memcpy(to + (wide + w * s.factor + j) * Size, from + (narrow + j * stride + w) * Size, Size);
    }
  });
}

template <int Size>
void pixel_unshuffle(const PixelShuffleShape& s, const void* input, void* output) noexcept {
  const auto* from = static_cast<const char*>(input);
  auto* to = static_cast<char*>(output);
  for_each_row(s, [&](int64_t wide, int64_t narrow, int64_t stride) {
    for (int64_t j = 0; j < s.factor; ++j) {
      for (int64_t w = 0; w < s.width; ++w)
        std::memcpy(to + (narrow + j * stride + w) * Size, from + (wide + w * s.factor + j) * Size, Size);
    }
  });
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
