#include "convoy/ops/pad.h"

#include <algorithm>
#include <concepts>
#include <cstring>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/pad/pad.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/slice.h"
#include "convoy/shape/axis.h"
#include "convoy/shape/checked.h"

namespace convoy {

const char* pad_mode_name(PadMode mode) {
  switch (mode) {
    case PadMode::kConstant:
      return "constant";
    case PadMode::kReflect:
      return "reflect";
    case PadMode::kReplicate:
      return "replicate";
    case PadMode::kCircular:
      return "circular";
  }
  return "?";
}

PadMode pad_mode(PaddingMode mode) {
  switch (mode) {
    case PaddingMode::kReflect:
      return PadMode::kReflect;
    case PaddingMode::kReplicate:
      return PadMode::kReplicate;
    case PaddingMode::kCircular:
      return PadMode::kCircular;
    case PaddingMode::kZeros:
      break;
  }
  return PadMode::kConstant;
}

PadMode parse_pad_mode(std::string_view name) {
  for (const PadMode mode : {PadMode::kConstant, PadMode::kReflect, PadMode::kReplicate, PadMode::kCircular}) {
    if (name == pad_mode_name(mode)) return mode;
  }
  raise<Error>("Unrecognised padding mode {}\nthe modes are constant, reflect, replicate and circular", name);
}

namespace ops {

namespace {

using shape::Checked;
using shape::PadPair;

// "height 4 takes at most 3": sizes are named from the end, as people say them.
std::string axis_name(int64_t axes_behind) {
  constexpr const char* kNames[] = {"width", "height", "depth"};
  return axes_behind < 3 ? kNames[axes_behind] : formatted("axis -{}", axes_behind + 1);
}

// What is padded: the begin and end of every axis of the tensor, outermost first, and the output's shape.
struct Plan {
  std::vector<PadPair> pads;
  Shape output;
};

// n + begin + end; an overflow is refused in PyTorch's words for a size too large.
int64_t padded_size(int64_t n, PadPair pad) {
  const Checked size = Checked(n) + pad.begin + pad.end;
  const Checked positions = size - pad.begin;
  if (!size.ok() || !positions.ok()) {
    raise<Error>(
        "numel: integer multiplication overflow\n"
        "the padded size {} + {} + {} does not fit 64 bits",
        n, pad.begin, pad.end);
  }
  return size.value();
}

// constant_pad_nd: crops first, axis by axis, then refuses what has nothing left.
void check_constant(const Shape& shape, const Plan& plan, size_t padded_axes) {
  bool crops_only = true;
  for (size_t a = 0; a < shape.size(); ++a) {
    const auto [begin, end] = plan.pads[a];
    crops_only = crops_only && begin <= 0 && end <= 0;
    const std::string fix = formatted("{} is {}: negative padding may crop at most that much (got {} and {})",
                                      axis_name(static_cast<int64_t>(shape.size() - 1 - a)), shape[a], begin, end);
    int64_t size = shape[a];
    if (begin < 0) {
      if (begin < -size) {
        const int64_t limit = std::max<int64_t>(size, 1);
        raise<Error>(
            "Dimension out of range (expected to be in range of [{}, {}], but got {})\n"
            "{}",
            -limit, limit - 1, begin == INT64_MIN ? "9223372036854775808" : std::to_string(-begin), fix);
      }
      size += begin;
    }
    if (end < 0 && end < -size) {
      raise<Error>("start (0) + length ({}) exceeds dimension size ({}).\n{}", (Checked(size) + end).value(), size, fix);
    }
  }
  if (crops_only) return;
  for (size_t a = shape.size() - padded_axes; a < shape.size(); ++a) {
    const auto [begin, end] = plan.pads[a];
    if (plan.output[a] > 0) continue;
    raise<Error>(
        "The input size {}, plus negative padding {} and {} resulted in a negative output size, which is invalid. Check dimension "
        "{} of your input.\n"
        "the {} would be {}: where another axis grows, every axis must keep at least 1",
        shape[a], begin, end, a, axis_name(static_cast<int64_t>(shape.size() - 1 - a)), plan.output[a]);
  }
}

// The checks that reflection and replication share: the number of axes, non-empty ones, and the output's size.
void check_dims(PadMode mode, const Shape& shape, DType dtype, int rank) {
  const bool batched = static_cast<int>(shape.size()) == rank + 2;
  // Reflection of rank 1 and 2 lets an unbatched input have no channels.
  const bool channels_may_be_empty = mode == PadMode::kReflect && rank < 3 && !batched;
  bool valid = true;
  for (size_t a = batched ? 1 : 0; a < shape.size(); ++a) valid = valid && (shape[a] != 0 || (a == 0 && channels_may_be_empty));
  if (valid) return;
  const std::string ranks = formatted("{}D or {}D (batch mode) tensor ", rank + 1, rank + 2);
  const std::string fix = formatted("only the batch may be empty, this input is {}", shape);
  if (mode == PadMode::kReflect && rank < 3) {
    std::string sizes;
    for (const int64_t n : shape) sizes += (sizes.empty() ? "" : ",") + std::to_string(n);
    raise<Error>("{}expected for input, but got: [ torch.{}Tensor{{}} ]\n{}", ranks, type_word(dtype), sizes, fix);
  }
  raise<Error>("Expected {}with possibly 0 batch size and other non-zero dimensions for input, but got: {}\n{}", ranks, shape, fix);
}

// Reflection does not repeat the border, so it has only n - 1 positions to give.
void check_reflection(const Shape& shape, const std::vector<PadPair>& pads, int rank) {
  for (int back = 0; back < rank; ++back) {
    const size_t a = shape.size() - 1 - static_cast<size_t>(back);
    if (pads[a].begin < shape[a] && pads[a].end < shape[a]) continue;
    raise<Error>(
        "Argument #{}: Padding size should be less than the corresponding input dimension, but got: padding ({}, {}) at dimension "
        "{} of input {}\n"
        "reflection leaves out the border: {} {} takes at most {} per side; circular takes {}, replicate any number",
        4 + 2 * back, pads[a].begin, pads[a].end, a, rank == 2 ? std::to_string(shape.size()) : to_string(shape), axis_name(back),
        shape[a], shape[a] - 1, shape[a]);
  }
}

// PyTorch refuses an empty result only if it is empty on every axis.
void check_output(PadMode mode, const Shape& shape, const Shape& output, int rank) {
  const size_t first = shape.size() - static_cast<size_t>(rank);
  bool some = false;
  for (size_t a = first; a < shape.size(); ++a) some = some || output[a] >= 1;
  if (some) return;
  const std::string w = std::to_string(shape.back()), ow = std::to_string(output.back());
  std::string reason;
  if (rank == 1) {
    reason = formatted("{} too small. Calculated output W: {}",
                       mode == PadMode::kReflect ? formatted("2input (W: {})is", w) : formatted("input (W: {}) is", w), ow);
  } else {
    const std::string h = std::to_string(shape[shape.size() - 2]), oh = std::to_string(output[shape.size() - 2]);
    if (rank == 2) {
      reason = formatted("input (H: {}, W: {}{} too small. Calculated output H: {} W: {}", h, w,
                         mode == PadMode::kReflect ? ")is" : " ) is", oh, ow);
    } else {
      reason = formatted("input (D: {} H: {}, W: {}) is too small. Calculated output D: {} H: {} W: {}", shape[first], h, w,
                         output[first], oh, ow);
    }
  }
  raise<Error>("{}\nthe negative padding crops everything: keep at least 1", reason);
}

void check_circular(const Shape& shape, const Plan& plan, int rank) {
  for (size_t a = shape.size() - static_cast<size_t>(rank); a < shape.size(); ++a) {
    const auto [begin, end] = plan.pads[a];
    const std::string name = axis_name(static_cast<int64_t>(shape.size() - 1 - a));
    if (begin > shape[a] || end > shape[a]) {
      raise<Error>(
          "Padding value causes wrapping around more than once.\n"
          "{} {} takes at most {} per side, got {} and {}",
          name, shape[a], shape[a], begin, end);
    }
    const int64_t cropped = shape[a] + std::min<int64_t>(begin, 0) + std::min<int64_t>(end, 0);
    if (plan.output[a] < 0 || (plan.output[a] > 0 && cropped <= 0)) {
      raise<Error>(
          "Negative padding value is resulting in an empty dimension\n"
          "{} {} with padding {} and {} has nothing left to repeat",
          name, shape[a], begin, end);
    }
  }
}

// PyTorch 1.13's checks in its order; what remains is legal.
Plan make_plan(const Shape& shape, DType dtype, const std::vector<int64_t>& padding, PadMode mode, double value) {
  const auto dim = static_cast<int64_t>(shape.size());
  const auto entries = static_cast<int64_t>(padding.size());
  if (entries % 2 != 0) {
    raise<Error>(
        "Padding length must be divisible by 2\n"
        "padding lists begin and end of each axis, last axis first: (left, right, top, bottom); got {}{}",
        entries, entries == 1 ? " number" : " numbers");
  }
  if (entries > 2 * dim) {
    raise<Error>("Padding length too large\nan input of {} axes takes at most {} numbers, got {}", dim, 2 * dim, entries);
  }
  if (mode != PadMode::kConstant && value != 0) {
    raise<Error>("Padding mode \"{}\" doesn't take in value argument\nleave value out, or use mode constant", pad_mode_name(mode));
  }
  const int rank = static_cast<int>(entries / 2);
  if (mode != PadMode::kConstant && (rank < 1 || rank > 3 || (dim != rank + 1 && dim != rank + 2))) {
    std::string fix = formatted("mode {} pads the spatial axes of (N, C, *) or (C, *), * being 1 to 3 axes: ", pad_mode_name(mode));
    if (dim < 2 || dim > 5) {
      fix += formatted("an input of {}{} is neither; mode constant pads any axis", dim, dim == 1 ? " axis" : " axes");
    } else {
      const int64_t most = std::min<int64_t>(dim - 1, 3), least = std::max<int64_t>(dim - 2, 1);
      fix += formatted("an input of {} axes takes {}{} numbers, got {}", dim, 2 * most,
                       least == most ? "" : formatted(" or {}", 2 * least), entries);
    }
    raise<Error>("Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now\n{}", fix);
  }
  Plan plan{std::vector<PadPair>(shape.size()), shape};
  for (size_t i = 0; i < padding.size() / 2; ++i) plan.pads[shape.size() - 1 - i] = {padding[2 * i], padding[2 * i + 1]};
  const auto fill_output = [&] {
    for (size_t a = 0; a < shape.size(); ++a) plan.output[a] = padded_size(shape[a], plan.pads[a]);
  };
  switch (mode) {
    case PadMode::kConstant:
      fill_output();
      check_constant(shape, plan, padding.size() / 2);
      break;
    case PadMode::kReflect:
      check_dims(mode, shape, dtype, rank);
      check_reflection(shape, plan.pads, rank);
      fill_output();
      check_output(mode, shape, plan.output, rank);
      break;
    case PadMode::kReplicate:
      check_dims(mode, shape, dtype, rank);
      fill_output();
      check_output(mode, shape, plan.output, rank);
      break;
    case PadMode::kCircular:
      for (size_t a = 0; a < shape.size(); ++a) {
        if (plan.pads[a].begin <= shape[a] && plan.pads[a].end <= shape[a]) plan.output[a] = padded_size(shape[a], plan.pads[a]);
      }
      check_circular(shape, plan, rank);
      break;
  }
  if (mode != PadMode::kConstant && mode != PadMode::kCircular && !is_float_or_double(dtype)) {
    refuse_type(dtype, formatted("{}{}d{}", mode == PadMode::kReflect ? "reflection_pad" : "replication_pad", rank,
                                 mode == PadMode::kReflect && rank < 3 ? "" : "_cpu"));
  }
  return plan;
}

// Reflection at 0 and n - 1, again and again: a zigzag of period 2 (n - 1).
int64_t reflected(int64_t at, int64_t n) {
  const int64_t period = 2 * (n - 1), wrapped = (at % period + period) % period;
  return std::min(wrapped, period - wrapped);
}

// The input position that padded position i of an axis of size n shows, -1 for the constant. Checked paddings keep it in [0, n).
int64_t source_index(int64_t i, int64_t n, PadPair pad, PadMode mode) {
  const int64_t at = i - pad.begin;
  switch (mode) {
    case PadMode::kConstant:
      return at >= 0 && at < n ? at : -1;
    case PadMode::kReflect:
      if (at >= 0 && at < n) return at;
      return n == 1 ? 0 : reflected(at, n);
    case PadMode::kReplicate:
      return std::clamp<int64_t>(at, 0, n - 1);
    case PadMode::kCircular:
      break;
  }
  // Circular padding crops first and repeats what is left.
  const int64_t begin = std::max<int64_t>(-pad.begin, 0);
  const int64_t left = n - begin - std::max<int64_t>(-pad.end, 0);
  const int64_t wrapped = (at - begin) % left;
  return begin + (wrapped < 0 ? wrapped + left : wrapped);
}

// Axes for the kernel; unpadded neighbours are merged, and the first axis is never padded.
struct KernelAxes {
  std::vector<kernels::PadAxis> axes;
  std::vector<std::vector<int64_t>> sources;
};

KernelAxes kernel_axes(const Shape& shape, const Plan& plan, PadMode mode) {
  KernelAxes result;
  std::vector<kernels::PadAxis>& axes = result.axes;
  std::vector<PadPair> pads(1);
  axes.push_back({.input = 1, .output = 1});
  for (size_t a = 0; a < shape.size(); ++a) {
    if (plan.pads[a] == PadPair{} && pads.back() == PadPair{}) {
      axes.back().input *= shape[a];
      axes.back().output *= shape[a];
    } else {
      axes.push_back({.input = shape[a], .output = plan.output[a]});
      pads.push_back(plan.pads[a]);
    }
  }
  if (axes.size() > kernels::kMaxPadAxes) {
    raise<Error>("pad supports tensors of up to {} padded axes\nthis one has {} axes", kernels::kMaxPadAxes - 1, shape.size());
  }
  result.sources.resize(axes.size());
  for (size_t a = 1; a < axes.size(); ++a) {
    kernels::PadAxis& axis = axes[a];
    std::vector<int64_t>& source = result.sources[a];
    source.resize(static_cast<size_t>(axis.output));
    for (int64_t i = 0; i < axis.output; ++i) source[static_cast<size_t>(i)] = source_index(i, axis.input, pads[a], mode);
    axis.source = source.data();
    axis.run_begin = std::clamp<int64_t>(pads[a].begin, 0, axis.output);
    axis.run_end = axis.run_begin;
    while (axis.run_end < axis.output && source[static_cast<size_t>(axis.run_end)] >= 0 &&
           axis.source[axis.run_end] == axis.source[axis.run_begin] + axis.run_end - axis.run_begin) {
      ++axis.run_end;
    }
  }
  return result;
}

bool pads_nothing(const Plan& plan) {
  return std::all_of(plan.pads.begin(), plan.pads.end(), [](PadPair p) { return p == PadPair{}; });
}

void run(const KernelAxes& axes, const Tensor& input, const Tensor& filling, Tensor& output) {
  with_element_size(input.dtype(), [&](auto bits) {
    using T = decltype(bits);
    std::memcpy(&bits, filling.raw_data(), sizeof bits);
    kernels::pad<T>(axes.axes, static_cast<const T*>(input.raw_data()), bits, static_cast<T*>(output.raw_data()));
  });
}

template <class T>
void run_backward(const KernelAxes& axes, const Tensor& grad_output, Tensor& grad_input) {
  kernels::pad_backward<T>(axes.axes, grad_output.data<T>(), grad_input.data<T>());
}

}  // namespace

Tensor pad(const Tensor& input, const std::vector<int64_t>& padding, PadMode mode, double value) {
  const Plan plan = make_plan(input.shape(), input.dtype(), padding, mode, value);
  if (pads_nothing(plan)) return input.clone();
  Tensor output = Tensor::empty(plan.output, input.dtype());
  if (output.numel() == 0) return output;
  const KernelAxes axes = kernel_axes(input.shape(), plan, mode);
  run(axes, input, Tensor::scalar(value, input.dtype()), output);
  return output;
}

Tensor pad_axes(const Tensor& input, const std::vector<shape::PadPair>& pads, PadMode mode, const Tensor& value) {
  check_defined(input, "pad", "input");
  if (pads.size() != input.shape().size()) {
    raise<ShapeMismatch>(
        "pad: {} pairs for an input of {} axes\n"
        "give one pair per axis, of zeros where an axis stays",
        pads.size(), input.dim());
  }
  if (value.defined()) {
    check_type(value, input.dtype());
    if (value.numel() != 1) raise<ShapeMismatch>("pad: the value must be one, but has shape {}\n0, for example", value.shape());
  }
  Plan plan{pads, input.shape()};
  std::vector<AxisSlice> crops;
  for (size_t a = 0; a < pads.size(); ++a) {
    const int64_t n = input.shape()[a];
    const shape::Checked left = shape::Checked(n) + std::min<int64_t>(pads[a].begin, 0) + std::min<int64_t>(pads[a].end, 0);
    if (!left.ok() || left.value() < 0) {
      raise<ShapeMismatch>(
          "pad: axis {} of size {} cannot be cropped by {} and {}\n"
          "crop less than the axis has",
          a, n, pads[a].begin, pads[a].end);
    }
    plan.pads[a] = {std::max<int64_t>(pads[a].begin, 0), std::max<int64_t>(pads[a].end, 0)};
    if (left.value() != n) {
      const int64_t first = std::max<int64_t>(-pads[a].begin, 0);
      crops.push_back({static_cast<int64_t>(a), first, first + left.value(), 1});
    }
    const shape::Checked size = left + plan.pads[a].begin + plan.pads[a].end;
    if (!size.ok()) raise<Error>("numel: integer multiplication overflow\nthe padded axis {} does not fit 64 bits", a);
    plan.output[a] = size.value();
    if (mode != PadMode::kConstant && left.value() == 0 && plan.output[a] > 0) {
      raise<ShapeMismatch>("pad: axis {} has nothing to {}\nmode constant fills an empty axis", a, pad_mode_name(mode));
    }
  }
  const Tensor source = crops.empty() ? input : slice(input, crops);
  if (pads_nothing(plan)) return crops.empty() ? source.clone() : source;
  Tensor output = Tensor::empty(plan.output, input.dtype());
  if (output.numel() == 0) return output;
  run(kernel_axes(source.shape(), plan, mode), source, value.defined() ? value : Tensor::scalar(0, input.dtype()), output);
  return output;
}

Tensor pad_backward(const Tensor& grad_output, const Shape& input_shape, const std::vector<int64_t>& padding, PadMode mode) {
  const Plan plan = make_plan(input_shape, grad_output.dtype(), padding, mode, 0);
  if (grad_output.shape() != plan.output) {
    raise<ShapeMismatch>(
        "grad_output has shape {}, the padded input has shape {}\n"
        "an input of shape {} with this padding gives {}",
        grad_output.shape(), plan.output, input_shape, plan.output);
  }
  if (pads_nothing(plan)) return grad_output.clone();
  if (grad_output.numel() == 0 || numel(input_shape) == 0) return Tensor::zeros(input_shape, grad_output.dtype());
  // The gradient of a constant padding is the opposite padding with zeros.
  if (mode == PadMode::kConstant) {
    std::vector<int64_t> opposite(padding.size());
    std::transform(padding.begin(), padding.end(), opposite.begin(), [](int64_t p) { return -p; });
    return pad(grad_output, opposite);
  }
  Tensor grad_input = Tensor::empty(input_shape, grad_output.dtype());
  const KernelAxes axes = kernel_axes(input_shape, plan, mode);
  switch (grad_output.dtype()) {
    case DType::kFloat32:
      run_backward<float>(axes, grad_output, grad_input);
      break;
    case DType::kFloat64:
      run_backward<double>(axes, grad_output, grad_input);
      break;
    case DType::kInt64:
      run_backward<int64_t>(axes, grad_output, grad_input);
      break;
    default:
      refuse_type(grad_output.dtype(), "pad_backward");
  }
  return grad_input;
}

}  // namespace ops
}  // namespace convoy
