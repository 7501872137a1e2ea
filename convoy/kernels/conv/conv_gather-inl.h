// Copies of pixels that do not lie as tiles want them, compiled once per instruction set: those of a strided layer, of patches
// (kernels as large as their stride), of a batch's small maps.

// Per-target include guard, as Highway asks for.
#if defined(CONVOY_KERNELS_CONV_GATHER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVOY_KERNELS_CONV_GATHER_INL_H_
#undef CONVOY_KERNELS_CONV_GATHER_INL_H_
#else
#define CONVOY_KERNELS_CONV_GATHER_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"
#include "convoy/kernels/machine.h"
#include "convoy/shape/conv.h"
#include "hwy/highway.h"

#ifndef CONVOY_KERNELS_CONV_GATHER_SEGMENT
#define CONVOY_KERNELS_CONV_GATHER_SEGMENT
namespace convoy::kernels::gather {

constexpr int64_t kAheadPlanes = 8;  // whose lines are asked for before they are copied

// Pixels of a row of results: where the first one's first tap lies in its plane, and in the copy.
struct Segment {
  int64_t source, count, at;
};

/// To copy all pixels of a strided layer or of patches once, on one thread.
inline double seconds(const shape::ConvShape& s, const Machine& m) {
  if (s.input == s.output) return 0;
  const int64_t columns = s.axes[2].kernel_size;
  const bool takes_apart = columns >= 2 && columns <= 4;
  double value = columns == 1 && s.axes[2].stride == 2 ? 0.35e-9 : takes_apart ? 0.6e-9 : columns > 4 ? 0.8e-9 : 1.2e-9;
  double row = 14e-9;
  if (m.lanes == 16) {  // rows end with masks
    if (columns > 1) value = takes_apart ? 0.4e-9 : 0.3e-9;
    if (columns > 1 || s.axes[2].stride == 2) row = 6e-9;
  }
  row /= static_cast<double>(std::max<int64_t>(s.output[2] * columns, 1));
  return static_cast<double>(s.batch * s.in_channels * s.taps() * s.output_positions()) * (value + row);
}

/// Why a layer's results are not each a sum over one pixel, or over what one patch holds, as a channel for each tap; null if they
/// are.
inline const char* refuse(const shape::ConvShape& s, bool forward, bool patches) {
  for (const shape::Axis& axis : s.axes) {
    if (axis.kernel_size == 1) continue;
    if (!forward || !patches) return "needs a kernel of one tap";
    if (axis.kernel_size != axis.stride || axis.dilation != 1) return "needs a kernel of one tap, or of the stride's size";
  }
  for (size_t a = 0; a < 3; ++a) {
    // A crop, or padding behind, can make maps of the input's size as well.
    const shape::Axis& axis = s.axes[a];
    if (axis.pad_begin > 0 || (s.output[a] - 1) * axis.stride - axis.pad_begin + axis.kernel_size > s.input[a])
      return "needs no padding";
  }
  return !forward && s.input != s.output ? "needs stride 1" : nullptr;
}

}  // namespace convoy::kernels::gather
#endif  // CONVOY_KERNELS_CONV_GATHER_SEGMENT

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace gather {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::gather::Segment;

// The pixels [begin, end) of samples that lie `sample` floats apart, cut into panels of `panel_width`, which lie `panel_floats`
// apart. Returns the number of segments, at most one for each pixel.
inline HWY_NOINLINE HWY_ATTR int64_t FindSegments(const shape::ConvShape& s, int64_t sample, int64_t begin, int64_t end,
                                                  int64_t panel_width, int64_t panel_floats, Segment* segments) {
  const int64_t map = s.output_positions();
  int64_t count = 0;
  for (int64_t pixel = begin; pixel < end;) {
    const int64_t n = pixel / map, in_map = pixel % map, in_panel = (pixel - begin) % panel_width;
    int64_t at = in_map, length = map - in_map;
    if (s.input != s.output) {
      const int64_t w = in_map % s.output[2], h = in_map / s.output[2] % s.output[1], d = in_map / s.output[2] / s.output[1];
      const auto place = [&](size_t a, int64_t o) { return o * s.axes[a].stride - s.axes[a].pad_begin; };
      at = (place(0, d) * s.input[1] + place(1, h)) * s.input[2] + place(2, w);
      length = s.output[2] - w;
    }
    length = std::min({length, panel_width - in_panel, end - pixel});
    segments[count++] = {n * sample + at, length, (pixel - begin) / panel_width * panel_floats + in_panel};
    pixel += length;
  }
  return count;
}

// to[k * pitch + i] = from[i * kStep + k].
template <int kStep>
HWY_INLINE void TakeApart(const float* HWY_RESTRICT from, int64_t count, float* HWY_RESTRICT to, int64_t pitch) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const tile::Full d;
  const int64_t lanes = tile::Lanes();
  const auto take = [&](const float* HWY_RESTRICT line, const auto& store) HWY_ATTR {
    tile::Floats v[kStep];
    if constexpr (kStep == 2) {
      hn::LoadInterleaved2(d, line, v[0], v[1]);
    } else if constexpr (kStep == 3) {
      hn::LoadInterleaved3(d, line, v[0], v[1], v[2]);
    } else {
      hn::LoadInterleaved4(d, line, v[0], v[1], v[2], v[3]);
    }
    HWY_UNROLL(4)
    for (int k = 0; k < kStep; ++k) store(v[k], to + k * pitch + i);
  };
  for (; i + lanes <= count; i += lanes) {
    take(from + i * kStep, [&](tile::Floats v, float* at) HWY_ATTR { hn::StoreU(v, d, at); });
  }
#if HWY_TARGET == HWY_AVX3  // rows of a panel are hardly longer than a vector
  if (i < count) {
    HWY_ALIGN float rest[kStep * hn::MaxLanes(tile::Full())];
    for (int64_t k = 0; k < kStep; ++k) {
      const int64_t left = std::clamp<int64_t>(kStep * (count - i) - k * lanes, 0, lanes);
      hn::Store(hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(left)), d, from + i * kStep + k * lanes), d, rest + k * lanes);
    }
    const auto mask = hn::FirstN(d, static_cast<size_t>(count - i));
    take(rest, [&](tile::Floats v, float* at) HWY_ATTR { hn::BlendedStore(v, mask, d, at); });
    return;
  }
#endif
#endif
  for (; i < count; ++i) {
    for (int64_t k = 0; k < kStep; ++k) to[k * pitch + i] = from[i * kStep + k];
  }
}

// Copies the segments' pixels of `channels` planes, which lie `plane` floats apart: a row of `pitch` floats for each tap.
inline HWY_NOINLINE HWY_ATTR void CopyPixels(const shape::ConvShape& s, const Segment* segments, int64_t count, const float* source,
                                             int64_t plane, int64_t channels, int64_t pitch, float* to) {
  const int64_t columns = s.axes[2].kernel_size, rows = s.taps() / columns, step = s.input != s.output ? s.axes[2].stride : 1;
  for (int64_t c = 0; c < channels; ++c, source += plane) {
    for (int64_t row = 0; row < rows; ++row, to += columns * pitch) {
      const float* const line = source + (row / s.axes[1].kernel_size * s.input[1] + row % s.axes[1].kernel_size) * s.input[2];
      for (int64_t i = 0; i < count; ++i) {
        const Segment& segment = segments[i];
        const float* const from = line + segment.source;
        float* const at = to + segment.at;
        for (int64_t j = 0; j < segment.count * step; j += conv_tile::kLine) {
          __builtin_prefetch(from + kernels::gather::kAheadPlanes * plane + j);
        }
        if (step == 1 && segment.count % tile::Lanes() == 0) {  // copies without masks: most
          const tile::Full d;
          for (int64_t j = 0; j < segment.count; j += tile::Lanes()) hn::StoreU(hn::LoadU(d, from + j), d, at + j);
        } else if (columns == 2) {
          TakeApart<2>(from, segment.count, at, pitch);
        } else if (columns == 3) {
          TakeApart<3>(from, segment.count, at, pitch);
        } else if (columns == 4) {
          TakeApart<4>(from, segment.count, at, pitch);
#if HWY_TARGET == HWY_AVX3
        } else if (columns == 1 && step == 2) {
          tile::EveryOther(from, segment.count, segment.count, at);
#endif
        } else if (columns > 4) {
          Transpose(from, step, at, pitch, segment.count, columns);
        } else {
          for (int64_t kw = 0; kw < columns; ++kw) {
            tile::CopyRow(from, kw + (segment.count - 1) * step + 1, kw, step, at + kw * pitch, segment.count);
          }
        }
      }
    }
  }
}

}  // namespace gather
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
