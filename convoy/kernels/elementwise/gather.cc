#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/elementwise/gather.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/elementwise/gather.h"

#include <algorithm>
#include <type_traits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/copy.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {

void TransposeValues(const uint32_t* in, int64_t in_step, uint32_t* out, int64_t out_step, int64_t rows, int64_t columns) {
  Transpose(in, in_step, out, out_step, rows, columns);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(TransposeValues);

namespace {

constexpr int64_t kGrain = 16384;  // elements per task
// Of rows and planes, per task. In a network half of them were written by another core, so that short copies are shared, too.
constexpr int64_t kBytes = 32 << 10;
constexpr int64_t kSquare = 32;  // a square of 32 x 32 values: two cache lines per row on either side
constexpr int64_t kNarrow = 8;   // what has fewer rows or columns goes without squares

struct Axis {
  int64_t size, stride;  // of the input
};

// Rows of the last axis, long ones in pieces; `before` are the axes outside it.
template <class T>
void gather_rows(const std::vector<Axis>& axes, const T* input, T* output) {
  const Axis last = axes.back();
  const size_t before = axes.size() - 1;
  int64_t rows = 1;
  for (size_t axis = 0; axis < before; ++axis) rows *= axes[axis].size;
  const int64_t pieces = (last.size + kGrain - 1) / kGrain;
  parallel_ranges(rows * pieces, std::max<int64_t>(1, kGrain / last.size), [&](int64_t begin, int64_t end) {
    std::vector<int64_t> index(before);
    int64_t from = 0, r = begin / pieces, piece = begin % pieces;
    for (size_t axis = before, rest = static_cast<size_t>(r); axis-- > 0;) {
      const auto size = static_cast<size_t>(axes[axis].size);
      index[axis] = static_cast<int64_t>(rest % size);
      from += index[axis] * axes[axis].stride;
      rest /= size;
    }
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t at = piece * kGrain, count = std::min(kGrain, last.size - at);
      const T* in = input + from + at * last.stride;
      T* out = output + r * last.size + at;
      if (last.stride == 1) {
        copy_bytes(in, out, count * static_cast<int64_t>(sizeof(T)));
      } else if (last.stride == 0) {
        std::fill(out, out + count, *in);
      } else {
        for (int64_t i = 0; i < count; ++i) out[i] = in[i * last.stride];
      }
      if (++piece < pieces) continue;
      piece = 0;
      ++r;
      for (size_t axis = before; axis-- > 0;) {
        from += axes[axis].stride;
        if (++index[axis] < axes[axis].size) break;
        from -= axes[axis].size * axes[axis].stride;
        index[axis] = 0;
      }
    }
  });
}

// out[a * out_step + i] = in[i * in_step + a]. Lines a power of two apart share a cache set: through a square of its own, each line
// is touched once on either side.
template <class T>
void copy_square(const T* in, int64_t in_step, T* out, int64_t out_step, int64_t rows, int64_t columns) {
  T square[kSquare][kSquare];
  for (int64_t i = 0; i < rows; ++i) std::copy(in + i * in_step, in + i * in_step + columns, square[i]);
  if constexpr (std::is_same_v<T, uint32_t>) {
    return CONVOY_DISPATCH(TransposeValues)(square[0], kSquare, out, out_step, rows, columns);
  }
  for (int64_t a = 0; a < columns; ++a) {
    T* to = out + a * out_step;
    if (rows == kSquare) {
      for (int64_t i = 0; i < kSquare; ++i) to[i] = square[i][a];
    } else {
      for (int64_t i = 0; i < rows; ++i) to[i] = square[i][a];
    }
  }
}

// The last two axes are swapped in the input (their strides are s and 1 the other way round): squares keep both sides in the cache.
template <class T>
void gather_transposed(const std::vector<Axis>& axes, const T* input, T* output) {
  const Axis across = axes[axes.size() - 2], down = axes.back();  // across.stride == 1
  const size_t before = axes.size() - 2;
  int64_t planes = 1;
  for (size_t axis = 0; axis < before; ++axis) planes *= axes[axis].size;
  const bool narrow = std::min(across.size, down.size) < kNarrow;
  const int64_t band = narrow ? kGrain / std::min(down.size, kNarrow) : kSquare, bands = (across.size + band - 1) / band;
  const int64_t unit_values = std::min(band, across.size) * down.size;
  parallel_ranges(planes * bands, std::max<int64_t>(1, kGrain / unit_values), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t plane = unit / bands, a0 = unit % bands * band, a1 = std::min(a0 + band, across.size);
      int64_t from = 0, rest = plane;
      for (size_t axis = before; axis-- > 0; rest /= axes[axis].size) from += rest % axes[axis].size * axes[axis].stride;
      const T* in = input + from;
      T* out = output + plane * across.size * down.size;
      if (narrow && down.size < kNarrow) {
        for (int64_t a = a0; a < a1; ++a) {
          for (int64_t i = 0; i < down.size; ++i) out[a * down.size + i] = in[i * down.stride + a];
        }
        continue;
      }
      for (int64_t d0 = 0; narrow && d0 < down.size; d0 += 2 * kSquare) {
        const int64_t d1 = std::min(d0 + 2 * kSquare, down.size);
        for (int64_t a = a0; a < a1; ++a) {
          const T* from_a = in + a;
          T* to = out + a * down.size;
          for (int64_t i = d0; i < d1; ++i) to[i] = from_a[i * down.stride];
        }
      }
      if (narrow) continue;
      for (int64_t d0 = 0; d0 < down.size; d0 += kSquare) {
        const int64_t d1 = std::min(d0 + kSquare, down.size);
        copy_square(in + d0 * down.stride + a0, down.stride, out + a0 * down.size + d0, down.size, d1 - d0, a1 - a0);
      }
    }
  });
}

template <class T>
void gather_typed(const std::vector<Axis>& axes, const T* input, T* output) {
  if (axes.size() >= 2 && axes[axes.size() - 2].stride == 1 && axes.back().stride > 1) {
    gather_transposed(axes, input, output);
  } else {
    gather_rows(axes, input, output);
  }
}

}  // namespace

void gather(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, size_t element_size, const void* input,
            void* output) {
  std::vector<Axis> axes;
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] == 0) return;
    if (sizes[axis] == 1) continue;
    if (!axes.empty() && axes.back().stride == strides[axis] * sizes[axis]) {
      axes.back() = {axes.back().size * sizes[axis], strides[axis]};
    } else {
      axes.push_back({sizes[axis], strides[axis]});
    }
  }
  if (axes.empty()) axes.push_back({1, 1});
  const auto run = [&](auto bits) {
    gather_typed(axes, static_cast<const decltype(bits)*>(input), static_cast<decltype(bits)*>(output));
  };
  switch (element_size) {
    case 1:
      return run(uint8_t{});
    case 2:
      return run(uint16_t{});
    case 4:
      return run(uint32_t{});
    default:
      return run(uint64_t{});
  }
}

void copy_rows(const void* input, int64_t input_step, void* output, int64_t output_step, int64_t bytes, int64_t rows) noexcept {
  if (bytes <= 0) return;
  const auto* in = static_cast<const char*>(input);
  auto* out = static_cast<char*>(output);
  const int64_t pieces = (bytes + kBytes - 1) / kBytes;
  parallel_ranges(rows * pieces, std::max<int64_t>(1, kBytes / bytes), [&](int64_t begin, int64_t end) {
    if (pieces == 1) {
      for (int64_t row = begin; row < end; ++row) copy_bytes(in + row * input_step, out + row * output_step, bytes);
      return;
    }
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t row = unit / pieces, from = unit % pieces * kBytes;
      copy_bytes(in + row * input_step + from, out + row * output_step + from, std::min(kBytes, bytes - from));
    }
  });
}

void concat_rows(std::span<const RowPart> parts, void* output, int64_t rows) noexcept {
  int64_t step = 0;
  for (const RowPart& part : parts) step += part.bytes;
  if (step <= 0) return;
  auto* out = static_cast<char*>(output);
  if (step > kBytes) {
    for (const RowPart& part : parts) {
      copy_rows(part.from, part.bytes, out, step, part.bytes, rows);
      out += part.bytes;
    }
    return;
  }
  parallel_ranges(rows, kBytes / step, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      char* to = out + row * step;
      for (const RowPart& part : parts) {
        copy_bytes(static_cast<const char*>(part.from) + row * part.bytes, to, part.bytes);
        to += part.bytes;
      }
    }
  });
}

void interleave_planes(std::span<const char* const> inputs, int64_t input_step, char* output, const BytePlanes& planes) noexcept {
  if (planes.bytes <= 0) return;
  const auto count = static_cast<int64_t>(inputs.size());
  parallel_ranges(planes.batch * planes.channels, std::max<int64_t>(1, kBytes / planes.bytes), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t sample = r / planes.channels, c = r % planes.channels;
      const char* const from = inputs[static_cast<size_t>(c % count)] + sample * input_step + c / count * planes.bytes;
      copy_bytes(from, output + r * planes.bytes, planes.bytes);
    }
  });
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
