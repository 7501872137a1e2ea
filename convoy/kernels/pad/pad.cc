// Rows are copied or added as whole runs; only the few positions outside the run look their source up.
#include "convoy/kernels/pad/pad.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <complex>
#include <type_traits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/copy.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kElementsPerTask = 16384;
constexpr int64_t kShortRow = 256;   // rows of at most so many elements go through pad_rows,
constexpr int64_t kBlankRow = 40;    // and are filled as a whole if they are no longer than this,
constexpr int64_t kTogether = 4096;  // some at a time, which stay in the first-level cache

// Walks the rows (all axes but the last) of an output in order and knows which input row each one reads.
class Rows {
 public:
  Rows(std::span<const PadAxis> axes, int64_t first) : axes_(axes.first(axes.size() - 1)) {
    for (size_t a = axes_.size(); a-- > 0;) {
      at_[a] = first % axes_[a].output;
      first /= axes_[a].output;
    }
    if (!axes_.empty()) outer_ = row_of(axes_.size() - 1);
  }

  // The number of the input row, or -1 if the row lies in the padding.
  int64_t source() const { return axes_.empty() ? 0 : within(outer_, axes_.size() - 1); }

  void next() {
    for (size_t a = axes_.size(); a-- > 0;) {
      if (++at_[a] < axes_[a].output) {
        if (a + 1 < axes_.size()) outer_ = row_of(axes_.size() - 1);
        return;
      }
      at_[a] = 0;
    }
  }

 private:
  int64_t within(int64_t row, size_t axis) const {
    const PadAxis& a = axes_[axis];
    const int64_t s = a.source == nullptr ? at_[axis] : a.source[at_[axis]];
    return row < 0 || s < 0 ? -1 : row * a.input + s;
  }
  int64_t row_of(size_t axes) const {
    int64_t row = 0;
    for (size_t a = 0; a < axes; ++a) row = within(row, a);
    return row;
  }

  std::span<const PadAxis> axes_;
  std::array<int64_t, kMaxPadAxes> at_;
  int64_t outer_ = 0;  // what the axes before the last of them read
};

int64_t count_rows(std::span<const PadAxis> axes) {
  int64_t rows = 1;
  for (const PadAxis& axis : axes.first(axes.size() - 1)) rows *= axis.output;
  return rows;
}

template <class T>
void copy_row(const PadAxis& axis, const T* input, T value, T* output) {
  const auto look_up = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) output[i] = axis.source[i] < 0 ? value : input[axis.source[i]];
  };
  look_up(0, axis.run_begin);
  if (axis.run_end > axis.run_begin) {
    copy_bytes(input + axis.source[axis.run_begin], output + axis.run_begin,
               (axis.run_end - axis.run_begin) * static_cast<int64_t>(sizeof(T)));
  }
  look_up(axis.run_end, axis.output);
}

// Some rows of one plane: what they have in common is asked once, and the loops are short. `blank` says that the padding at the
// ends of a row is the constant.
template <class T>
void pad_rows(const PadAxis& rows, const PadAxis& last, bool blank, int64_t begin, int64_t end, const T* plane, T value,
              T* output) {
  const int64_t width = last.output, run = last.run_end - last.run_begin;
  const auto row_of = [&](int64_t r) { return plane == nullptr ? -1 : rows.source == nullptr ? r : rows.source[r]; };
  if (blank) std::fill_n(output, (end - begin) * width, value);
  T* to = output;
  for (int64_t r = begin; r < end; ++r, to += width) {
    const int64_t from = row_of(r);
    if (from < 0 && !blank) std::fill_n(to, width, value);
    if (from < 0 || run <= 0) continue;
    copy_bytes(plane + from * last.input + last.source[last.run_begin], to + last.run_begin, run * static_cast<int64_t>(sizeof(T)));
  }
  if (blank) return;
  for (int64_t i = 0; i < width; ++i) {
    if (i >= last.run_begin && i < last.run_end) i = last.run_end;
    if (i == width) break;
    to = output + i;
    for (int64_t r = begin; r < end; ++r, to += width) {
      const int64_t from = row_of(r);
      if (from >= 0) *to = last.source[i] < 0 ? value : plane[from * last.input + last.source[i]];
    }
  }
}

template <class T>
void add_row(const PadAxis& axis, const T* grad_output, T* grad_input) {
  const auto look_up = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (axis.source[i] >= 0) grad_input[axis.source[i]] += grad_output[i];
    }
  };
  look_up(0, axis.run_begin);
  if (axis.run_end > axis.run_begin) {
    T* to = grad_input + axis.source[axis.run_begin];
    const T* from = grad_output + axis.run_begin;
    const int64_t count = axis.run_end - axis.run_begin;
    for (int64_t i = 0; i < count; ++i) to[i] += from[i];
  }
  look_up(axis.run_end, axis.output);
}

}  // namespace

template <class T>
void pad(std::span<const PadAxis> axes, const T* input, T value, T* output) noexcept {
  assert(!axes.empty() && axes.size() <= kMaxPadAxes);
  const PadAxis& last = axes.back();
  const int64_t rows = count_rows(axes);
  if (rows == 0 || last.output == 0) return;
  if (axes.size() > 1 && last.output <= kShortRow) {
    // Longer rows are not written twice.
    bool blank = last.output <= kBlankRow && last.run_end - last.run_begin < last.output;
    for (int64_t i = 0; i < last.output; ++i) blank = blank && (last.source[i] < 0 || (i >= last.run_begin && i < last.run_end));
    const PadAxis& middle = axes[axes.size() - 2];
    const auto outer = axes.first(axes.size() - 1);  // whose last is `middle`
    const int64_t together = std::min(kTogether / last.output, middle.output), pieces = (middle.output + together - 1) / together;
    const int64_t units = rows / middle.output * pieces, unit_values = together * last.output;
    return parallel_ranges(units, std::max<int64_t>(1, kElementsPerTask / unit_values), [&](int64_t begin, int64_t end) {
      Rows plane(outer, begin / pieces);
      for (int64_t unit = begin, piece = begin % pieces; unit < end; ++unit) {
        const int64_t from = plane.source(), first = piece * together, r = unit / pieces * middle.output + first;
        pad_rows(middle, last, blank, first, std::min(first + together, middle.output),
                 from < 0 ? nullptr : input + from * middle.input * last.input, value, output + r * last.output);
        if (++piece == pieces) piece = 0, plane.next();
      }
    });
  }
  parallel_ranges(rows, std::max<int64_t>(1, kElementsPerTask / last.output), [&](int64_t begin, int64_t end) {
    Rows row(axes, begin);
    for (int64_t r = begin; r < end; ++r, row.next()) {
      const int64_t from = row.source();
      if (from < 0) {
        std::fill_n(output + r * last.output, last.output, value);
      } else {
        copy_row(last, input + from * last.input, value, output + r * last.output);
      }
    }
  });
}

template <class T>
void pad_backward(std::span<const PadAxis> axes, const T* grad_output, T* grad_input) noexcept {
  assert(axes.size() >= 2 && axes.size() <= kMaxPadAxes && axes[0].input == axes[0].output);
  const std::span<const PadAxis> plane_axes = axes.subspan(1);
  const PadAxis& last = axes.back();
  const int64_t rows = count_rows(plane_axes);
  int64_t inputs = 1;
  for (const PadAxis& axis : plane_axes) inputs *= axis.input;
  const int64_t grain = std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, std::max(inputs, rows * last.output)));
  parallel_ranges(axes[0].output, grain, [&](int64_t begin, int64_t end) {
    std::fill_n(grad_input + begin * inputs, (end - begin) * inputs, T(0));
    if (rows == 0 || last.output == 0) return;
    for (int64_t plane = begin; plane < end; ++plane) {
      Rows row(plane_axes, 0);
      for (int64_t r = 0; r < rows; ++r, row.next()) {
        const int64_t to = row.source();
        if (to >= 0) add_row(last, grad_output + (plane * rows + r) * last.output, grad_input + plane * inputs + to * last.input);
      }
    }
  });
}

template void pad<uint8_t>(std::span<const PadAxis>, const uint8_t*, uint8_t, uint8_t*) noexcept;
template void pad<uint16_t>(std::span<const PadAxis>, const uint16_t*, uint16_t, uint16_t*) noexcept;
template void pad<uint32_t>(std::span<const PadAxis>, const uint32_t*, uint32_t, uint32_t*) noexcept;
template void pad<uint64_t>(std::span<const PadAxis>, const uint64_t*, uint64_t, uint64_t*) noexcept;
template void pad_backward<float>(std::span<const PadAxis>, const float*, float*) noexcept;
template void pad_backward<double>(std::span<const PadAxis>, const double*, double*) noexcept;
template void pad_backward<int64_t>(std::span<const PadAxis>, const int64_t*, int64_t*) noexcept;

}  // namespace convoy::kernels
