// The size formulas read backwards: which parameter gives a wanted size, what a layer leaves unread, and the smallest change that
// makes an impossible layer possible.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string_view>

#include "convoy/shape/axis.h"
#include "convoy/shape/checked.h"
#include "convoy/shape/result.h"
#include "convoy/shape/taps.h"

namespace convoy::shape {

/// The end of a range of sizes that has no upper limit.
inline constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

namespace detail {
/// A range given by its first and last value; kNoSolution if it is empty.
constexpr Result<Range> range_of(int64_t first, int64_t last) {
  if (last < first) return ShapeError{ShapeErrorCode::kNoSolution};
  return Range{first, last == kUnlimited ? kUnlimited : last + 1};
}

/// Padded input minus span = (output - 1) s + unread: the room that the window has to move in, for the sizes that must be legal.
constexpr Result<int64_t> room(int64_t n, const Axis& axis) {
  const Result<int64_t> o = output_size(n, axis);
  if (!o) return o.error();
  return n + (axis.pad_begin + axis.pad_end) - *effective_kernel_size(axis.kernel_size, axis.dilation);
}
}  // namespace detail

// ---- The inputs of an output --------------------------------------------------------------------------------------------------

/// The input sizes that a convolution maps to `output`: s of them, (o - 1) s + d (k - 1) + 1 - pads up to s - 1 more, none
/// negative. Errors: kNoSolution, those of output_size.
constexpr Result<Range> inputs_for_output(int64_t output, const Axis& axis) {
  if (axis.stride < 1) return ShapeError{ShapeErrorCode::kNonPositiveStride, -1, axis.stride, 1};
  const Result<int64_t> span = effective_kernel_size(axis.kernel_size, axis.dilation);
  if (!span) return span.error();
  if (output < 1) return ShapeError{ShapeErrorCode::kNoSolution};
  const Checked first = (Checked(output) - 1) * axis.stride + *span - (Checked(axis.pad_begin) + axis.pad_end);
  const Checked last = first + (axis.stride - 1);
  if (!first.ok() || !last.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return detail::range_of(std::max<int64_t>(first.value(), 0), last.value());
}

/// The input sizes that a pooling layer maps to `output` >= 1. With ceil_mode the last window may hang over the end but must start
/// before n + pad_begin, so they need not be s in number. Padding must be at most the span, as pooling layers demand.
/// Errors: kNoSolution, those of pool_output_size.
constexpr Result<Range> pool_inputs_for_output(int64_t output, const Axis& axis, bool ceil_mode) {
  if (!ceil_mode) return inputs_for_output(output, axis);
  if (axis.stride < 1) return ShapeError{ShapeErrorCode::kNonPositiveStride, -1, axis.stride, 1};
  const Result<int64_t> span = effective_kernel_size(axis.kernel_size, axis.dilation);
  if (!span) return span.error();
  if (output < 1) return ShapeError{ShapeErrorCode::kNoSolution};
  // The output is the smaller of two rising steps: it is at least o once n > (o - 2) s + span - pads and n > (o - 1) s - pad_begin.
  const auto first_with = [&](Checked o) {
    const Checked window = (o - 2) * axis.stride + *span - (Checked(axis.pad_begin) + axis.pad_end);
    const Checked start = (o - 1) * axis.stride - axis.pad_begin;
    return !window.ok() || !start.ok() ? Checked(kUnlimited) + 1 : Checked(std::max(window.value(), start.value())) + 1;
  };
  const Checked first = first_with(output);
  const Checked end = first_with(Checked(output) + 1);
  if (!first.ok() || !end.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return detail::range_of(std::max<int64_t>(first.value(), 0), end.value() - 1);
}

/// The one input size that a transposed convolution maps to `output`. Errors: kNoSolution, those of transposed_output_size.
constexpr Result<int64_t> transposed_input_for_output(int64_t output, const Axis& axis, int64_t output_padding) {
  const Result<int64_t> smallest = transposed_output_size(1, axis, output_padding);
  if (!smallest) return smallest.error();
  const Checked more = Checked(output) - *smallest;
  if (!more.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  if (more.value() < 0 || more.value() % axis.stride != 0) return ShapeError{ShapeErrorCode::kNoSolution};
  const Checked n = Checked(more.value() / axis.stride) + 1;
  if (!n.ok()) return ShapeError{ShapeErrorCode::kOverflow};
  return n.value();
}

// ---- The parameters that give an output ---------------------------------------------------------------------------------------
// Each takes the axis with its other parameters; the one it looks for is ignored. Ranges are half-open.

/// The total padding (front and back together, 0 or more) with which n gives `output`. Errors: kNoSolution, those of output_size.
constexpr Result<Range> total_padding_for_output(int64_t n, int64_t output, Axis axis) {
  if (n < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, n, 0};
  axis.pad_begin = axis.pad_end = 0;
  const Result<Range> inputs = inputs_for_output(output, axis);
  if (!inputs) return inputs.error();
  return detail::range_of(std::max<int64_t>(inputs->begin - n, 0), inputs->end - 1 - n);
}

/// The padding per side, the same on both, with which n gives `output`. Errors: kNoSolution (the total that is needed may be odd),
/// those of output_size.
constexpr Result<Range> padding_for_output(int64_t n, int64_t output, const Axis& axis) {
  const Result<Range> total = total_padding_for_output(n, output, axis);
  if (!total) return total.error();
  return detail::range_of(ceil_div(total->begin, 2), (total->end - 1) / 2);
}

/// The padding that keeps the size: n -> n for stride 1 whatever n is (total d (k - 1)), for other strides as n asks. An odd total
/// has its extra cell at the end, as padding="same". Errors: kNoSolution, those of output_size.
constexpr Result<PadPair> size_keeping_padding(int64_t n, const Axis& axis) {
  const Result<Range> total = total_padding_for_output(n, n, axis);
  if (!total) return total.error();
  return PadPair{total->begin / 2, total->begin - total->begin / 2};
}

/// The kernel sizes with which n gives `output`. Errors: kNoSolution, those of output_size.
constexpr Result<Range> kernel_size_for_output(int64_t n, int64_t output, Axis axis) {
  axis.kernel_size = 1;
  const Result<int64_t> room = detail::room(n, axis);
  if (!room) return room.error();
  if (output < 1) return ShapeError{ShapeErrorCode::kNoSolution};
  const Checked used = (Checked(output) - 1) * axis.stride;
  if (!used.ok() || used.value() > *room) return ShapeError{ShapeErrorCode::kNoSolution};
  const int64_t most = *room - used.value();  // of d (k - 1)
  const int64_t least = std::max<int64_t>(most - (axis.stride - 1), 0);
  return detail::range_of(ceil_div(least, axis.dilation) + 1, most / axis.dilation + 1);
}

/// The strides with which n gives `output`; for output 1 there is no largest (end is kUnlimited). Errors: kNoSolution, those of
/// output_size.
constexpr Result<Range> stride_for_output(int64_t n, int64_t output, Axis axis) {
  axis.stride = 1;
  const Result<int64_t> room = detail::room(n, axis);
  if (!room) return room.error();
  if (output < 1) return ShapeError{ShapeErrorCode::kNoSolution};
  const int64_t first = *room / output + 1;
  return output == 1 ? detail::range_of(first, kUnlimited) : detail::range_of(first, *room / (output - 1));
}

/// The dilations with which n gives `output`; a kernel of 1 takes any (end is kUnlimited). Errors: kNoSolution, those of
/// output_size.
constexpr Result<Range> dilation_for_output(int64_t n, int64_t output, Axis axis) {
  axis.dilation = 1;
  const int64_t kernel_size = axis.kernel_size;
  if (kernel_size < 1) return ShapeError{ShapeErrorCode::kNonPositiveKernel, -1, kernel_size, 1};
  const Result<Range> spans = kernel_size_for_output(n, output, axis);  // with dilation 1 the kernel is the span
  if (!spans) return spans.error();
  if (kernel_size == 1) return spans->begin == 1 ? detail::range_of(1, kUnlimited) : ShapeError{ShapeErrorCode::kNoSolution};
  return detail::range_of(std::max<int64_t>(ceil_div(spans->begin - 1, kernel_size - 1), 1), (spans->end - 2) / (kernel_size - 1));
}

/// The output padding with which a transposed convolution maps n to `output`. Errors: kNoSolution (it would be negative or not
/// below max(stride, dilation)), those of transposed_output_size.
constexpr Result<int64_t> output_padding_for_output(int64_t n, int64_t output, const Axis& axis) {
  const Result<int64_t> smallest = transposed_output_size(n, axis, 0);
  if (!smallest) return smallest.error();
  const Checked more = Checked(output) - *smallest;
  if (!more.ok() || more.value() < 0 || more.value() >= std::max(axis.stride, axis.dilation)) {
    return ShapeError{ShapeErrorCode::kNoSolution};
  }
  return more.value();
}

// ---- What a convolution leaves behind -----------------------------------------------------------------------------------------

/// The output padding with which the transposed convolution of the same settings leads back to n: (n + pads - d (k - 1) - 1) mod s.
/// Source: conv_arithmetic relationship 14. Errors: those of output_size.
constexpr Result<int64_t> returning_output_padding(int64_t n, const Axis& axis) {
  const Result<int64_t> room = detail::room(n, axis);
  if (!room) return room.error();
  return *room % axis.stride;
}

/// The padded cells behind the last window, which nothing reads: the same number. n = 6, k = 3, s = 2 leaves 1.
constexpr Result<int64_t> unread_padded_tail(int64_t n, const Axis& axis) { return returning_output_padding(n, axis); }

/// The input cells behind the last window (padding behind the input is left unread first).
constexpr Result<int64_t> unread_tail(int64_t n, const Axis& axis) {
  const Result<int64_t> padded = unread_padded_tail(n, axis);
  if (!padded) return padded.error();
  return std::clamp<int64_t>(*padded - std::max<int64_t>(axis.pad_end, 0), 0, n);
}

/// Of every s neighbouring cells between the windows' first and last, the number that no window reads: s - min(k, s / gcd(s, d)).
/// 0 unless the stride is larger than the kernel or shares a factor with the dilation. k = 1, s = 2 skips 1 of 2.
constexpr Result<int64_t> unread_per_stride(const Axis& axis) {
  if (axis.stride < 1) return ShapeError{ShapeErrorCode::kNonPositiveStride, -1, axis.stride, 1};
  const Result<int64_t> span = effective_kernel_size(axis.kernel_size, axis.dilation);
  if (!span) return span.error();
  return axis.stride - std::min(axis.kernel_size, axis.stride / std::gcd(axis.stride, axis.dilation));
}

// ---- Stacks of one layer ------------------------------------------------------------------------------------------------------

/// A number of equal layers and the size after the last of them.
struct LayerCount {
  int64_t layers = 0;
  int64_t size = 0;

  friend constexpr bool operator==(const LayerCount&, const LayerCount&) = default;
};

/// The fewest equal convolutions, one after the other, that bring n down to at most `size`: 224 -> 4 takes 55 layers of kernel 5.
/// Errors: kNoSolution if the size stops falling above `size`, or falls below what the kernel needs; those of output_size.
constexpr Result<LayerCount> layers_to_shrink(int64_t n, int64_t size, const Axis& axis) {
  LayerCount count{0, n};
  if (n < 0) return ShapeError{ShapeErrorCode::kNegativeInput, -1, n, 0};
  while (count.size > size) {
    const Result<int64_t> next = output_size(count.size, axis);
    if (!next) {
      if (next.error().code == ShapeErrorCode::kKernelTooLarge) return ShapeError{ShapeErrorCode::kNoSolution};
      return next.error();
    }
    const int64_t loss = count.size - *next;
    if (loss <= 0) return ShapeError{ShapeErrorCode::kNoSolution};
    // With stride 1 every layer takes the same, so the long way is one division; larger strides are done in a few steps.
    const int64_t steps = axis.stride == 1 ? std::max<int64_t>((count.size - std::max<int64_t>(size, 0) - 1) / loss, 1) : 1;
    count.layers += steps;
    count.size -= steps * loss;
  }
  return count;
}

// ---- The smallest change that works -------------------------------------------------------------------------------------------

enum class Parameter : uint8_t { kInput, kKernelSize, kStride, kPadding, kDilation, kOutputPadding };

/// "kernel_size": PyTorch's name of the argument; "input" for the size.
constexpr std::string_view parameter_name(Parameter parameter) {
  switch (parameter) {
    case Parameter::kInput:
      return "input";
    case Parameter::kKernelSize:
      return "kernel_size";
    case Parameter::kStride:
      return "stride";
    case Parameter::kPadding:
      return "padding";
    case Parameter::kDilation:
      return "dilation";
    case Parameter::kOutputPadding:
      return "output_padding";
  }
  return "?";
}

/// One parameter, the nearest value that makes the layer legal, and the size it gives. A padding is that of each side; where the
/// two differ, that of the front, and the back changes by as much.
struct Remedy {
  Parameter parameter = Parameter::kInput;
  int64_t value = 0;
  int64_t output = 0;

  friend constexpr bool operator==(const Remedy&, const Remedy&) = default;
};

/// Up to six changes, each of which is enough by itself, in the order in which a reader would try them.
class Remedies {
 public:
  constexpr void add(const Remedy& remedy) {
    if (size_ < items_.size()) items_[size_++] = remedy;
  }
  constexpr const Remedy* begin() const { return items_.data(); }
  constexpr const Remedy* end() const { return items_.data() + size_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr const Remedy& operator[](size_t i) const { return items_[i]; }

 private:
  std::array<Remedy, 6> items_;
  size_t size_ = 0;
};

namespace detail {
// The value nearest to `from`, on the way to `to`, that is legal; legal values must reach up to `to`. False if `to` is not legal.
template <class Legal>
constexpr bool nearest_legal(int64_t from, int64_t to, Legal&& legal, int64_t* value) {
  if (from == to || !legal(to)) return false;
  const int64_t direction = to > from ? 1 : -1;
  int64_t illegal = 0;  // distances from `from`
  int64_t good = (to - from) * direction;
  while (good - illegal > 1) {
    const int64_t middle = illegal + (good - illegal) / 2;
    (legal(from + middle * direction) ? good : illegal) = middle;
  }
  *value = from + good * direction;
  return true;
}

constexpr Axis with(Axis axis, Parameter parameter, int64_t value) {
  switch (parameter) {
    case Parameter::kKernelSize:
      axis.kernel_size = value;
      break;
    case Parameter::kStride:
      axis.stride = value;
      break;
    case Parameter::kDilation:
      axis.dilation = value;
      break;
    case Parameter::kPadding: {
      const Checked end = Checked(value) + axis.pad_end - axis.pad_begin;
      axis.pad_begin = value;
      axis.pad_end = end.ok() ? end.value() : -1;
      break;
    }
    case Parameter::kInput:
    case Parameter::kOutputPadding:
      break;
  }
  return axis;
}

// Adds the nearest legal value of one parameter between `from` and `to`. output(n, axis, output_padding) is the layer's size, below
// 1 if it is not legal.
template <class Output>
constexpr void try_parameter(Remedies& remedies, Parameter parameter, int64_t from, int64_t to, int64_t n, const Axis& axis,
                             int64_t output_padding, Output&& output) {
  const auto size = [&](int64_t v) {
    return output(parameter == Parameter::kInput ? v : n, with(axis, parameter, v),
                  parameter == Parameter::kOutputPadding ? v : output_padding);
  };
  int64_t value = 0;
  if (nearest_legal(
          from, to, [&](int64_t v) { return size(v) >= 1; }, &value))
    remedies.add({parameter, value, size(value)});
}

// Parameters that are out of range whatever the others are: the nearest value in range is the first.
template <class Output>
constexpr void try_ranges(Remedies& remedies, int64_t n, const Axis& axis, int64_t output_padding, Output&& output) {
  const auto raise = [&](Parameter parameter, int64_t from, int64_t to) {
    if (from >= to) return;
    const int64_t size = output(n, with(axis, parameter, to), parameter == Parameter::kOutputPadding ? to : output_padding);
    if (size >= 1) remedies.add({parameter, to, size});
  };
  raise(Parameter::kKernelSize, axis.kernel_size, 1);
  raise(Parameter::kStride, axis.stride, 1);
  raise(Parameter::kDilation, axis.dilation, 1);
  raise(Parameter::kPadding, axis.pad_begin, 0);
  raise(Parameter::kOutputPadding, output_padding, 0);
}

// Larger than anything a window of these settings needs, and far from overflow; 0 if there is no such number.
constexpr int64_t enough(int64_t n, const Axis& axis) {
  const Result<int64_t> span = effective_kernel_size(axis.kernel_size, axis.dilation);
  if (!span || n < 0 || axis.pad_begin < 0 || axis.pad_end < 0 || axis.stride < 1) return 0;
  const Checked sum = (Checked(n) + *span + axis.pad_begin + axis.pad_end + axis.stride) * 4;
  return sum.ok() ? sum.value() / 4 : 0;
}
}  // namespace detail

/// What to change in a convolution that output_size refuses; empty if it is legal or one change is not enough. Input 2 and kernel 3
/// need padding 1, input 3 or kernel 2.
constexpr Remedies conv_remedies(int64_t n, const Axis& axis) {
  const auto output = [](int64_t size, const Axis& a, int64_t) {
    const Result<int64_t> o =
        a.pad_begin < 0 || a.pad_end < 0 ? ShapeError{ShapeErrorCode::kNegativePadding} : output_size(size, a);
    return o ? *o : -1;
  };
  Remedies remedies;
  if (output(n, axis, 0) >= 1) return remedies;
  detail::try_ranges(remedies, n, axis, 0, output);
  const int64_t enough = detail::enough(n, axis);
  if (enough == 0 || !remedies.empty()) return remedies;
  detail::try_parameter(remedies, Parameter::kPadding, axis.pad_begin, enough, n, axis, 0, output);
  detail::try_parameter(remedies, Parameter::kInput, n, enough, n, axis, 0, output);
  detail::try_parameter(remedies, Parameter::kKernelSize, axis.kernel_size, 1, n, axis, 0, output);
  detail::try_parameter(remedies, Parameter::kDilation, axis.dilation, 1, n, axis, 0, output);
  return remedies;
}

/// What to change in a pooling layer whose padding is above pool_padding_limit or whose output is below 1.
constexpr Remedies pool_remedies(int64_t n, const Axis& axis, bool ceil_mode) {
  const auto output = [ceil_mode](int64_t size, const Axis& a, int64_t) {
    const int64_t limit = pool_padding_limit(a.kernel_size);
    if (a.pad_begin < 0 || a.pad_end < 0 || a.pad_begin > limit || a.pad_end > limit) return int64_t{-1};
    const Result<int64_t> o = pool_output_size(size, a, ceil_mode);
    return o ? *o : -1;
  };
  Remedies remedies;
  if (output(n, axis, 0) >= 1) return remedies;
  detail::try_ranges(remedies, n, axis, 0, output);
  const int64_t enough = detail::enough(n, axis);
  if (enough == 0 || !remedies.empty()) return remedies;
  const int64_t most = std::max(axis.pad_begin, axis.pad_end);
  const int64_t limit = pool_padding_limit(axis.kernel_size);
  // Towards the limit, from either side, so that the larger of the two paddings ends there at most.
  detail::try_parameter(remedies, Parameter::kPadding, axis.pad_begin, axis.pad_begin + (limit - most), n, axis, 0, output);
  if (most > limit) {
    detail::try_parameter(remedies, Parameter::kKernelSize, axis.kernel_size, 2 * most, n, axis, 0, output);
  } else {
    detail::try_parameter(remedies, Parameter::kInput, n, enough, n, axis, 0, output);
    detail::try_parameter(remedies, Parameter::kKernelSize, axis.kernel_size, std::max<int64_t>(2 * most, 1), n, axis, 0, output);
    detail::try_parameter(remedies, Parameter::kDilation, axis.dilation, 1, n, axis, 0, output);
  }
  return remedies;
}

/// What to change in a transposed convolution whose output padding is too large or whose output is below 1.
constexpr Remedies transposed_remedies(int64_t n, const Axis& axis, int64_t output_padding) {
  const auto output = [](int64_t size, const Axis& a, int64_t op) {
    if (a.pad_begin < 0 || a.pad_end < 0) return int64_t{-1};
    const Result<int64_t> o = transposed_output_size(size, a, op);
    return o ? *o : -1;
  };
  Remedies remedies;
  if (output(n, axis, output_padding) >= 1) return remedies;
  detail::try_ranges(remedies, n, axis, output_padding, output);
  const int64_t enough = detail::enough(n, axis);
  if (enough == 0 || !remedies.empty() || output_padding < 0) return remedies;
  const int64_t limit = std::max(axis.stride, axis.dilation) - 1;
  if (output_padding > limit) {
    detail::try_parameter(remedies, Parameter::kOutputPadding, output_padding, limit, n, axis, output_padding, output);
    if (output_padding < kUnlimited) {
      detail::try_parameter(remedies, Parameter::kStride, axis.stride, output_padding + 1, n, axis, output_padding, output);
      detail::try_parameter(remedies, Parameter::kDilation, axis.dilation, output_padding + 1, n, axis, output_padding, output);
    }
    return remedies;
  }
  const int64_t least = std::min(axis.pad_begin, axis.pad_end);
  detail::try_parameter(remedies, Parameter::kPadding, axis.pad_begin, axis.pad_begin - least, n, axis, output_padding, output);
  detail::try_parameter(remedies, Parameter::kInput, n, enough, n, axis, output_padding, output);
  detail::try_parameter(remedies, Parameter::kKernelSize, axis.kernel_size, enough, n, axis, output_padding, output);
  detail::try_parameter(remedies, Parameter::kOutputPadding, output_padding, limit, n, axis, output_padding, output);
  return remedies;
}

}  // namespace convoy::shape
