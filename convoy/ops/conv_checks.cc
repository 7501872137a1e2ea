#include "convoy/ops/conv_checks.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::ops {

namespace {

using shape::Checked;
using shape::ConvShape;

std::string conv_name(int rank, bool transposed) { return formatted("{}{}d", transposed ? "conv_transpose" : "conv", rank); }

// "(3 x 5)" of the spatial axes; values are computed per axis.
std::string product_text(int rank, const std::function<std::string(int)>& value) {
  std::string text = "(";
  for (int i = 0; i < rank; ++i) text += (i > 0 ? " x " : "") + value(i);
  return text + ")";
}

void check_rank(int rank, const Shape& input, bool transposed) {
  const auto dims = static_cast<int>(input.size());
  if (dims == rank + 1 || dims == rank + 2) return;
  std::string fix = formatted("{} takes (channels{}{}, {}) or the same with a batch in front", conv_name(rank, transposed),
                              rank == 3 ? ", depth" : "", rank >= 2 ? ", height" : "", rank == 1 ? "length" : "width");
  if (dims == rank)
    fix += ": this input lacks the channel axis, reshape it to (1, 1" + to_string(input).replace(0, 1, dims > 0 ? ", " : "");
  if (fix.back() == ']') fix.back() = ')';
  if (dims == rank + 3 && rank < 3) fix += "; for five axes use " + conv_name(3, transposed);
  raise<ShapeMismatch>(
      "Expected {}D (unbatched) or {}D (batched) input to {}, but got input of size: {}\n"
      "{}",
      rank + 1, rank + 2, conv_name(rank, transposed), input, fix);
}

void check_groups(int64_t groups) {
  if (groups <= 0) {
    raise<ShapeMismatch>(
        "non-positive groups is not supported\n"
        "groups is {}: use 1, or in_channels for a depthwise convolution",
        groups);
  }
}

void check_weight_has_axes(const Shape& weight) {
  if (weight.size() < 3) {
    raise<ShapeMismatch>(
        "weight should have at least three dimensions\n"
        "the weight has shape {}, expected (out_channels, in_channels / groups, *kernel_size)",
        weight);
  }
}

// One value per spatial axis of the weight.
std::vector<int64_t> expand(const IntList& list, const char* name, int rank, const Shape& weight) {
  std::vector<int64_t> values = list.single() ? std::vector<int64_t>(static_cast<size_t>(rank), list.values()[0]) : list.values();
  const size_t dim = weight.size() - 2;
  if (values.size() == 1) values = std::vector(dim, values[0]);  // assign() may not be given an element
  if (values.size() != dim) {
    raise<ShapeMismatch>(
        "expected {} to be a single integer value or a list of {} values to match the convolution dimensions, but got {}={}\n"
        "the weight {} has {} spatial axes",
        name, static_cast<int64_t>(dim), name, values, weight, static_cast<int64_t>(dim));
  }
  return values;
}

bool any_below(const std::vector<int64_t>& values, int64_t limit) {
  return std::any_of(values.begin(), values.end(), [limit](int64_t v) { return v < limit; });
}

void check_weight_rank(int rank, const Shape& input, const Shape& weight, bool batched) {
  if (weight.size() == static_cast<size_t>(rank) + 2) return;
  Shape seen = input;
  if (!batched) seen.insert(seen.begin(), 1);
  const std::string dims = std::to_string(static_cast<int64_t>(weight.size()));
  raise<ShapeMismatch>(
      "Expected {}-dimensional input for {}-dimensional weight {}, but got {}-dimensional input of size {} instead\n"
      "{} takes a weight with {} axes",
      dims, dims, weight, static_cast<int64_t>(seen.size()), seen, conv_name(rank, false), rank + 2);
}

void check_groups_divide(int64_t groups, const Shape& weight) {
  if (weight[0] < groups) {
    raise<ShapeMismatch>(
        "Given groups={}, expected weight to be at least {} at dimension 0, but got weight of size {} instead\n"
        "{}",
        groups, groups, weight,
        weight[0] == 0 ? "the weight is empty: its first axis must be 1 or more"
                       : formatted("use groups of at most {}", weight[0]));
  }
  if (weight[0] % groups != 0) {
    std::string fits;
    for (int64_t g = 1; g <= std::min<int64_t>(weight[0], 4096); ++g) {
      if (weight[0] % g == 0) fits += (fits.empty() ? "" : ", ") + std::to_string(g);
    }
    raise<ShapeMismatch>(
        "Given groups={}, expected weight to be divisible by {} at dimension 0, but got weight of size [{}] instead\n"
        "{} is divisible by groups {}",
        groups, groups, weight, weight[0], fits);
  }
}

void check_bias(const Shape* bias, int64_t channels, const std::string& given, const Shape& weight) {
  if (bias == nullptr || (bias->size() == 1 && (*bias)[0] == channels)) return;
  raise<ShapeMismatch>(
      "Given {}weight of size {}, expected bias to be 1-dimensional with {} elements, but got bias of size {} instead\n"
      "a convolution has one bias per output channel: shape [{}]",
      given, weight, channels, *bias, channels);
}

void set_axes(ConvShape& s, const std::vector<int64_t>& stride, const std::vector<int64_t>& dilation, const Shape& input,
              const Shape& weight) {
  for (int i = 0; i < s.rank; ++i) {
    const auto at = static_cast<size_t>(i);
    const auto a = static_cast<size_t>(s.first_axis() + i);
    s.axes[a].stride = stride[at];
    s.axes[a].dilation = dilation[at];
    s.axes[a].kernel_size = weight[at + 2];
    s.input[a] = input[input.size() - static_cast<size_t>(s.rank) + at];
  }
}

// "[3, 0]" as PyTorch's 2-d code sees a kernel: a 1-d kernel has height 1.
std::string named_sizes(const ConvShape& s, const char* what, const std::function<int64_t(const shape::Axis&)>& value,
                        const char* separator) {
  static constexpr const char* kNames[] = {"depth", "height", "width"};
  std::string text;
  for (int a = s.rank == 3 ? 0 : 1; a < 3; ++a) {
    text += formatted("{}{}_{}: {}", text.empty() ? "" : separator, what, kNames[a], value(s.axes[static_cast<size_t>(a)]));
  }
  return text;
}

int64_t kernel_of(const shape::Axis& axis) { return axis.kernel_size; }
int64_t dilation_of(const shape::Axis& axis) { return axis.dilation; }

void check_kernel_positive(const ConvShape& s, const Shape& weight) {
  if (std::all_of(s.axes.begin(), s.axes.end(), [](const shape::Axis& axis) { return axis.kernel_size > 0; })) return;
  const std::string fix = formatted("every kernel size must be 1 or more, the weight has shape {}", weight);
  if (s.rank == 3) {
    if (s.transposed) {
      raise<ShapeMismatch>(
          "non-empty 5D (n_output_plane x n_input_plane x kernel_depth x kernel_height x kernel_width) tensor expected for weight, "
          "but got: {}\n"
          "{}",
          weight, fix);
    }
    raise<ShapeMismatch>(
        "kernel size should be greater than zero, but got: {} x {} x {} (TxHxW)\n"
        "{}",
        s.axes[0].kernel_size, s.axes[1].kernel_size, s.axes[2].kernel_size, fix);
  }
  raise<ShapeMismatch>("kernel size should be greater than zero, but got {}\n{}", named_sizes(s, "kernel", kernel_of, " "), fix);
}

void check_dilation_positive(const ConvShape& s) {
  if (std::all_of(s.axes.begin(), s.axes.end(), [](const shape::Axis& axis) { return axis.dilation > 0; })) return;
  std::string seen;
  if (s.transposed) {
    seen = named_sizes(s, "dilation", dilation_of, ", ");
  } else {
    seen = "[";
    for (int a = s.rank == 3 ? 0 : 1; a < 3; ++a)
      seen += (seen.size() > 1 ? ", " : "") + std::to_string(s.axes[static_cast<size_t>(a)].dilation);
    seen += "]";
  }
  raise<ShapeMismatch>("dilation should be greater than zero, but got {}\ndilation counts from 1: 1 means no holes", seen);
}

void check_positions(const ConvShape& s, const Shape& input) {
  if (std::all_of(s.input.begin(), s.input.end(), [](int64_t n) { return n > 0; })) return;
  if (s.batch == 0 || s.in_channels == 0) return;
  raise<ShapeMismatch>(
      "Only zero batch or zero channel inputs are supported, but got input shape: {}\n"
      "every spatial size of the input must be 1 or more",
      input);
}

[[noreturn]] void refuse_overflow(const std::string& name) {
  raise<ShapeMismatch>("{}: the sizes of this convolution overflow 64 bits\nuse smaller sizes, padding or dilation", name);
}

Shape with_batch(const Shape& input, bool batched) {
  Shape shape = input;
  if (!batched) shape.insert(shape.begin(), 1);
  return shape;
}

}  // namespace

CheckedConv check_conv(int rank, const Shape& input, const Shape& weight, const Shape* bias, const ConvOptions& options) {
  const std::string name = conv_name(rank, false);
  check_rank(rank, input, false);
  const bool batched = input.size() == static_cast<size_t>(rank) + 2;
  const Shape seen = with_batch(input, batched);
  const bool same = options.padding.name() == "same";
  if (options.padding.named() && !same && options.padding.name() != "valid") {
    raise<Error>("Invalid padding string: '{}'\nuse 'same', 'valid', numbers, or begin/end pairs", options.padding.name());
  }
  check_groups(options.groups);
  check_weight_has_axes(weight);
  const std::vector<int64_t> stride = expand(options.stride, "stride", rank, weight);
  std::vector<int64_t> padding(weight.size() - 2, 0);
  if (!options.padding.named() && !options.padding.paired()) padding = expand(options.padding.values(), "padding", rank, weight);
  const std::vector<int64_t> dilation = expand(options.dilation, "dilation", rank, weight);
  if (options.padding.paired() && options.padding.pairs().size() != static_cast<size_t>(rank)) {
    raise<ShapeMismatch>(
        "expected {} begin/end pairs of padding, but got {}\n"
        "give one pair per spatial axis, outermost first",
        rank, static_cast<int64_t>(options.padding.pairs().size()));
  }
  if (same && std::any_of(stride.begin(), stride.end(), [](int64_t s) { return s != 1; })) {
    raise<Error>(
        "padding='same' is not supported for strided convolutions\n"
        "stride is {}: use stride 1, or numbers (k // 2 halves the size for stride 2)",
        stride);
  }
  const bool negative_pair = std::any_of(options.padding.pairs().begin(), options.padding.pairs().end(),
                                         [](const shape::PadPair& p) { return p.begin < 0 || p.end < 0; });
  if (any_below(padding, 0) || negative_pair) {
    raise<ShapeMismatch>("negative padding is not supported\npadding must be 0 or more; pad() with negative values crops");
  }
  if (any_below(stride, 1)) {
    raise<ShapeMismatch>("non-positive stride is not supported\nstride is {}, it must be 1 or more", stride);
  }
  check_weight_rank(rank, input, weight, batched);
  check_groups_divide(options.groups, weight);
  Checked channels = Checked(weight[1]) * options.groups;
  if (!channels.ok() || seen[1] != channels.value()) {
    if (!channels.ok()) refuse_overflow(name);
    std::string fix = formatted("the channels are axis 1 of {}", seen);
    if (weight[1] > 0 && seen[1] % weight[1] == 0 && seen[1] > 0 && weight[0] % (seen[1] / weight[1]) == 0) {
      fix += formatted("; groups={} fits this weight", seen[1] / weight[1]);
    } else if (seen[1] % options.groups == 0) {
      fix += formatted("; a layer for it has in_channels={}", seen[1]);
    }
    raise<ShapeMismatch>(
        "Given groups={}, weight of size {}, expected input{} to have {} channels, but got {} channels instead\n"
        "{}",
        options.groups, weight, seen, channels.value(), seen[1], fix);
  }
  check_bias(bias, weight[0], "", weight);

  ConvShape s;
  s.rank = rank;
  s.batch = seen[0];
  s.in_channels = seen[1];
  s.out_channels = weight[0];
  s.groups = options.groups;
  set_axes(s, stride, dilation, seen, weight);
  // The sizes as PyTorch compares them: with any dilation and kernel, zero included, whose own checks come last.
  const auto span = [&](int a) {
    return Checked(s.axes[static_cast<size_t>(a)].dilation) * (Checked(s.axes[static_cast<size_t>(a)].kernel_size) - 1) + 1;
  };
  bool too_large = false;
  for (int i = 0; i < rank; ++i) {
    const auto at = static_cast<size_t>(i);
    shape::Axis& axis = s.axes[static_cast<size_t>(s.first_axis() + i)];
    if (options.padding.paired()) {
      axis.pad_begin = options.padding.pairs()[at].begin;
      axis.pad_end = options.padding.pairs()[at].end;
    } else if (!same) {
      axis.pad_begin = axis.pad_end = padding[at];
    } else if (axis.kernel_size > 0 && axis.dilation > 0) {
      const shape::Result<shape::PadPair> pads = shape::same_padding(axis.kernel_size, axis.dilation);
      if (!pads) refuse_overflow(name);
      axis.pad_begin = pads->begin;
      axis.pad_end = pads->end;
    }
    const Checked padded = Checked(s.input[static_cast<size_t>(s.first_axis() + i)]) + axis.pad_begin + axis.pad_end;
    if (!padded.ok() || !span(s.first_axis() + i).ok()) refuse_overflow(name);
    too_large = too_large || padded.value() < span(s.first_axis() + i).value();
  }
  if (too_large) {
    const auto padded = [&](int i) {
      const auto a = static_cast<size_t>(s.first_axis() + i);
      return s.input[a] + s.axes[a].pad_begin + s.axes[a].pad_end;
    };
    std::string fix;
    for (int i = 0; i < rank; ++i) {
      if (span(s.first_axis() + i).value() <= padded(i)) continue;
      const Checked short_by = span(s.first_axis() + i) - padded(i) + 1;
      if (!short_by.ok()) continue;  // no size would do
      const int64_t missing = short_by.value() - 1;
      const char* axis_name = rank == 1 ? "length" : (rank == 3 && i == 0) ? "depth" : i == rank - 1 ? "width" : "height";
      const auto a = static_cast<size_t>(s.first_axis() + i);
      fix += formatted("{}{} is {} short: padding={} or an input of at least {}", fix.empty() ? "" : "; ", axis_name, missing,
                       s.axes[a].pad_begin + (missing + 1) / 2, s.input[a] + missing);
      if (s.axes[a].dilation > 1)
        fix += formatted(" (kernel {} spans {} with dilation {})", s.axes[a].kernel_size, span(static_cast<int>(a)).value(),
                         s.axes[a].dilation);
    }
    raise<ShapeMismatch>(
        "Calculated padded input size per channel: {}. Kernel size: {}. Kernel size can't be greater than actual input size\n"
        "{}",
        product_text(rank, [&](int i) { return std::to_string(padded(i)); }),
        product_text(rank, [&](int i) { return std::to_string(span(s.first_axis() + i).value()); }), fix);
  }
  check_positions(s, seen);
  check_kernel_positive(s, weight);
  check_dilation_positive(s);
  const shape::Result<ConvShape> complete = shape::complete(s);
  if (!complete) refuse_overflow(name);
  return {*complete, batched};
}

CheckedConv check_conv_transpose(int rank, const Shape& input, const Shape& weight, const Shape* bias,
                                 const ConvTransposeOptions& options) {
  const std::string name = conv_name(rank, true);
  check_rank(rank, input, true);
  const bool batched = input.size() == static_cast<size_t>(rank) + 2;
  const Shape seen = with_batch(input, batched);
  check_groups(options.groups);
  check_weight_has_axes(weight);
  const std::vector<int64_t> stride = expand(options.stride, "stride", rank, weight);
  const std::vector<int64_t> padding = expand(options.padding, "padding", rank, weight);
  const std::vector<int64_t> dilation = expand(options.dilation, "dilation", rank, weight);
  std::vector<int64_t> output_padding = expand(options.output_padding, "output_padding", rank, weight);
  if (any_below(padding, 0))
    raise<ShapeMismatch>("negative padding is not supported\npadding is {}, it must be 0 or more", padding);
  if (any_below(output_padding, 0)) {
    raise<ShapeMismatch>("negative output_padding is not supported\noutput_padding is {}, it must be 0 or more", output_padding);
  }
  if (any_below(stride, 1)) {
    raise<ShapeMismatch>("non-positive stride is not supported\nstride is {}, it must be 1 or more", stride);
  }
  check_weight_rank(rank, input, weight, batched);
  check_groups_divide(options.groups, weight);
  const std::string given = "transposed=1, ";
  if (seen[1] != weight[0]) {
    raise<ShapeMismatch>(
        "Given {}weight of size {}, expected input{} to have {} channels, but got {} channels instead\n"
        "a transposed convolution's weight is (in_channels, out_channels / groups, *kernel_size)",
        given, weight, seen, weight[0], seen[1]);
  }
  const Checked out_channels = Checked(weight[1]) * options.groups;
  if (!out_channels.ok()) refuse_overflow(name);
  check_bias(bias, out_channels.value(), given, weight);

  ConvShape s;
  s.rank = rank;
  s.transposed = true;
  s.batch = seen[0];
  s.in_channels = seen[1];
  s.out_channels = out_channels.value();
  s.groups = options.groups;
  set_axes(s, stride, dilation, seen, weight);
  if (!options.output_size.empty())
    output_padding = output_padding_for(rank, input, Shape(weight.begin() + 2, weight.end()), options);
  for (int i = 0; i < rank; ++i) {
    const auto at = static_cast<size_t>(i);
    const auto a = static_cast<size_t>(s.first_axis() + i);
    s.axes[a].pad_begin = s.axes[a].pad_end = padding[at];
    s.output_padding[a] = output_padding[at];
  }
  check_positions(s, seen);
  if (weight[1] == 0) {
    raise<ShapeMismatch>("non-empty 2D or 4D weight tensor expected, but got: {}\nout_channels must be 1 or more", weight);
  }
  check_kernel_positive(s, weight);
  check_dilation_positive(s);
  for (size_t a = 0; a < 3; ++a) {
    if (s.output_padding[a] < s.axes[a].stride || s.output_padding[a] < s.axes[a].dilation) continue;
    std::string text;
    static constexpr const char* kNames[] = {"depth", "height", "width"};
    const auto list = [&](const char* what, const std::function<int64_t(size_t)>& value) {
      for (size_t b = rank == 3 ? 0 : 1; b < 3; ++b) text += formatted(" {}_{}: {}", what, kNames[b], value(b));
    };
    list("output_padding", [&](size_t b) { return s.output_padding[b]; });
    list("stride", [&](size_t b) { return s.axes[b].stride; });
    list("dilation", [&](size_t b) { return s.axes[b].dilation; });
    raise<ShapeMismatch>(
        "output padding must be smaller than either stride or dilation, but got{}\n"
        "the largest output_padding here is {}",
        text, std::max(s.axes[a].stride, s.axes[a].dilation) - 1);
  }
  const shape::Result<ConvShape> complete = shape::complete(s);
  if (!complete && complete.error().code != shape::ShapeErrorCode::kOutputTooSmall) refuse_overflow(name);
  // PyTorch refuses an empty output too.
  bool too_small = false;
  std::vector<std::string> in, out;
  std::string fix;
  for (int a = rank == 3 ? 0 : 1; a < 3; ++a) {
    const auto at = static_cast<size_t>(a);
    const shape::Result<int64_t> size = shape::transposed_output_size(s.input[at], s.axes[at], s.output_padding[at]);
    if (!size) refuse_overflow(name);
    in.push_back(std::to_string(s.input[at]));
    out.push_back(std::to_string(*size));
    if (*size >= 1) continue;
    too_small = true;
    const int64_t excess = (1 - *size + 1) / 2;
    if (fix.empty())
      fix = formatted("padding removes border here: use padding of at most {}, or a larger input",
                      std::max<int64_t>(s.axes[at].pad_begin - excess, 0));
  }
  if (too_small) {
    const auto join = [](const std::vector<std::string>& sizes) {
      std::string text;
      for (const std::string& size : sizes) text += (text.empty() ? "" : " x ") + size;
      return text;
    };
    raise<ShapeMismatch>(
        "Given input size per channel: ({}). Calculated output size per channel: ({}). Output size is too small\n"
        "{}",
        join(in), join(out), fix);
  }
  return {*complete, batched};
}

void check_conv_types(int rank, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  if (bias.defined() && bias.dtype() != input.dtype()) {
    raise<Error>(
        "Input type ({}) and bias type ({}) should be the same\n"
        "convert one of them with to()",
        scalar_type_name(input.dtype()), scalar_type_name(bias.dtype()));
  }
}

std::vector<int64_t> output_padding_for(int rank, const Shape& input_shape, const Shape& kernel_size,
                                        const ConvTransposeOptions& options) {
  const auto dims = static_cast<int64_t>(input_shape.size());
  const bool batched = dims == rank + 2;
  const int64_t non_spatial = batched ? 2 : 1;
  std::vector<int64_t> sizes = options.output_size;
  if (static_cast<int64_t>(sizes.size()) == non_spatial + rank) sizes.erase(sizes.begin(), sizes.begin() + non_spatial);
  if (static_cast<int64_t>(sizes.size()) != rank) {
    raise<ValueError>(
        "ConvTranspose{}D: for {}D input, output_size must have {} or {} elements (got {})\n"
        "give the spatial sizes, with or without batch and channels in front",
        rank, dims, rank, non_spatial + rank, static_cast<int64_t>(options.output_size.size()));
  }
  const auto value = [rank](const IntList& list, int i) { return list.expand(rank).at(static_cast<size_t>(i)); };
  std::vector<int64_t> least, most;
  for (int i = 0; i < rank; ++i) {
    const int64_t p = value(options.padding, i);
    const shape::Axis axis{kernel_size[static_cast<size_t>(i)], value(options.stride, i), value(options.dilation, i), p, p};
    const shape::Result<int64_t> size = shape::transposed_output_size(input_shape[static_cast<size_t>(non_spatial + i)], axis, 0);
    if (!size)
      raise<ShapeMismatch>(
          "output_size cannot be computed for kernel {}, stride {}, dilation {}\n"
          "smaller numbers work",
          axis.kernel_size, axis.stride, axis.dilation);
    least.push_back(*size);
    most.push_back(*size + axis.stride - 1);
  }
  const auto tuple = [](const std::vector<int64_t>& values) {
    std::string text = to_string(values);
    text.front() = '(';
    text.back() = ')';
    if (values.size() == 1) text.insert(text.size() - 1, ",");
    return text;
  };
  std::vector<int64_t> output_padding;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < least[i] || sizes[i] > most[i]) {
      raise<ValueError>(
          "requested an output size of {}, but valid sizes range from {} to {} (for an input of torch.Size({}))\n"
          "each size may exceed the smallest by up to stride - 1",
          tuple(sizes), least, most, Shape(input_shape.begin() + non_spatial, input_shape.end()));
    }
    output_padding.push_back(sizes[i] - least[i]);
  }
  return output_padding;
}

}  // namespace convoy::ops
