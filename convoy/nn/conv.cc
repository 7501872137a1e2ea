#include "convoy/nn/conv.h"

#include <algorithm>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/nn/init.h"

namespace convoy::nn {

namespace {

std::string list_text(const std::vector<int64_t>& values) { return to_string(Shape(values)); }

// What Python stores for an option: a number becomes a tuple, a list stays what it was given as.
std::vector<int64_t> stored(const IntList& list, int rank) { return list.single() ? list.expand(rank) : list.values(); }

bool all_equal(const std::vector<int64_t>& values, int64_t value) {
  return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == value; });
}

bool any_below(const std::vector<int64_t>& values, int64_t limit) {
  return std::any_of(values.begin(), values.end(), [&](int64_t v) { return v < limit; });
}

std::string divisors_fix(const char* what, int64_t channels, int64_t groups) {
  std::string text = formatted("{} is {}, groups is {}", what, channels, groups);
  if (channels <= 0) return text + ": use groups 1";
  text += ": use groups ";
  std::vector<int64_t> divisors;
  constexpr int64_t kSearched = 1 << 20;
  for (int64_t d = 1; d <= std::min(channels, kSearched) && divisors.size() < 12; ++d) {
    if (channels % d == 0) divisors.push_back(d);
  }
  for (size_t i = 0; i < divisors.size(); ++i)
    text += (i == 0 ? "" : i + 1 == divisors.size() ? " or " : ", ") + std::to_string(divisors[i]);
  return text;
}

// PyTorch's checks of _ConvNd.__init__, in its order; then what PyTorch notices only when the layer runs, in the words it uses
// there.
struct ConvCheck {
  std::string type;
  int rank;
  int64_t in_channels, out_channels, groups;
  const IntList &kernel_size, &stride, &dilation;
  const Padding& padding;
  bool transposed;

  void groups_and_padding() const {
    require(in_channels != kRequired, type, "in_channels");
    require(out_channels != kRequired, type, "out_channels");
    require(!kernel_size.empty(), type, "kernel_size");
    if (groups <= 0) raise<ValueError>("groups must be a positive integer\ngroups is {}: 1 connects all channels", groups);
    if (in_channels % groups != 0) {
      raise<ValueError>("in_channels must be divisible by groups\n{}", divisors_fix("in_channels", in_channels, groups));
    }
    if (out_channels % groups != 0) {
      raise<ValueError>("out_channels must be divisible by groups\n{}", divisors_fix("out_channels", out_channels, groups));
    }
    if (!padding.named()) return;
    if (transposed) {
      raise<ValueError>(
          "padding='{}' is not supported for {}\n"
          "the padding of a transposed convolution removes rows: give a number, or an output_size to forward",
          padding.name(), type);
    }
    if (padding.name() != "same" && padding.name() != "valid") {
      raise<ValueError>(
          "Invalid padding string '{}', should be one of {'same', 'valid'}\n"
          "or give a number, one number per axis, or begin/end pairs",
          padding.name());
    }
    if (padding.name() == "same" && !all_equal(stride.values(), 1)) {
      raise<ValueError>(
          "padding='same' is not supported for strided convolutions\n"
          "stride is {}: use stride 1, or give the padding as numbers",
          list_text(stride.values()));
    }
  }

  void list(const IntList& values, const char* name) const {
    const size_t n = values.values().size();
    if (n == static_cast<size_t>(rank) || n == 1) return;
    raise<Error>(
        "expected {} to be a single integer value or a list of {} values to match the convolution dimensions, but got {}={}\n"
        "{} has {}{}",
        name, rank, name, list_text(values.values()), type, rank, rank == 1 ? " spatial axis" : " spatial axes");
  }

  void sizes() const {
    if (kernel_size.values().size() != static_cast<size_t>(rank) && !kernel_size.single()) {
      raise<Error>(
          "expected kernel_size to be a single integer value or a list of {} values to match the convolution dimensions, but got "
          "kernel_size={}\n"
          "Conv1d, Conv2d and Conv3d differ in the number of spatial axes",
          rank, list_text(kernel_size.values()));
    }
    list(stride, "stride");
    if (!padding.named() && !padding.paired()) list(padding.values(), "padding");
    if (padding.paired() && padding.pairs().size() != static_cast<size_t>(rank)) {
      raise<Error>(
          "expected padding to be a single integer value or a list of {} values to match the convolution dimensions, but got {} "
          "begin/end pairs\n"
          "give one pair per spatial axis",
          rank, padding.pairs().size());
    }
    list(dilation, "dilation");
    check_dimensions(weight_shape(), type);
    const bool negative_pair = std::any_of(padding.pairs().begin(), padding.pairs().end(),
                                           [](const shape::PadPair& p) { return p.begin < 0 || p.end < 0; });
    if (negative_pair || (!padding.named() && !padding.paired() && any_below(padding.values().values(), 0))) {
      raise<Error>("negative padding is not supported\nuse 0 or more; narrow() cuts rows off");
    }
  }

  void positive() const {
    if (any_below(stride.values(), 1)) {
      raise<Error>("non-positive stride is not supported\nstride is {}: use 1 or more", list_text(stride.values()));
    }
    if (any_below(dilation.values(), 1)) {
      raise<Error>(
          "dilation should be greater than zero, but got {}\n"
          "dilation 1 means neighbouring positions",
          list_text(dilation.expand(rank)));
    }
    const std::vector<int64_t> kernel = kernel_size.expand(rank);
    if (any_below(kernel, 1)) {
      const std::vector<const char*> names = rank == 1 ? std::vector<const char*>{"kernel_width"}
                                             : rank == 2
                                                 ? std::vector<const char*>{"kernel_height", "kernel_width"}
                                                 : std::vector<const char*>{"kernel_depth", "kernel_height", "kernel_width"};
      std::string text = "kernel size should be greater than zero, but got";
      for (size_t i = 0; i < kernel.size(); ++i) text += formatted(" {}: {}", names[i], kernel[i]);
      raise<Error>("{}\na kernel of size 1 looks at one position", text);
    }
    const int64_t first = weight_shape()[0];
    if (first < groups) {
      raise<Error>(
          "Given groups={}, expected weight to be at least {} at dimension 0, but got weight of size {} instead\n"
          "{} needs at least one channel per group",
          groups, groups, weight_shape(), type);
    }
  }

  Shape weight_shape() const {
    Shape shape = transposed ? Shape{in_channels, out_channels / groups} : Shape{out_channels, in_channels / groups};
    for (const int64_t k : kernel_size.expand(rank)) shape.push_back(k);
    return shape;
  }
};

// "padding=(1, 2)", "padding=same", "padding=((0, 1), (2, 2))"; nothing for zeros.
std::string padding_text(const Padding& padding, int rank) {
  if (padding.named()) return ", padding=" + padding.name();
  if (padding.paired()) {
    std::string text;
    for (const shape::PadPair& p : padding.pairs()) text += (text.empty() ? "" : ", ") + python_tuple({p.begin, p.end});
    return formatted(", padding=({}{}", text, padding.pairs().size() == 1 ? ",)" : ")");
  }
  const std::vector<int64_t> values = stored(padding.values(), rank);
  return all_equal(values, 0) ? "" : ", padding=" + python_tuple(values);
}

}  // namespace

Conv::Conv(int rank, ConvLayerOptions options) : rank_(rank), options_(std::move(options)) {
  const ConvLayerOptions& o = options_;
  const ConvCheck check{ranked("Conv", rank), rank,     o.in_channels, o.out_channels, o.groups,
                        o.kernel_size,        o.stride, o.dilation,    o.padding,      false};
  check.groups_and_padding();
  check.sizes();
  check.positive();
  Tensor weight = Tensor::empty(check.weight_shape());
  Tensor bias = o.bias ? Tensor::empty({o.out_channels}) : Tensor();
  init::default_weight_and_bias(weight, bias);
  register_parameter("weight", weight);
  register_parameter("bias", bias);
}

std::string Conv::extra_repr() const {
  const ConvLayerOptions& o = options_;
  std::string text =
      formatted("{}, {}, kernel_size={}, stride={}{}", o.in_channels, o.out_channels, python_tuple(stored(o.kernel_size, rank_)),
                python_tuple(stored(o.stride, rank_)), padding_text(o.padding, rank_));
  if (const std::vector<int64_t> d = stored(o.dilation, rank_); !all_equal(d, 1)) text += ", dilation=" + python_tuple(d);
  if (o.groups != 1) text += formatted(", groups={}", o.groups);
  if (!bias().defined()) text += ", bias=False";
  if (o.padding_mode != PaddingMode::kZeros) text += std::string(", padding_mode=") + padding_mode_name(o.padding_mode);
  return text;
}

Variable Conv::forward(const Variable& input) {
  const ConvLayerOptions& o = options_;
  return conv(
      rank_, input, weight(), bias(),
      {.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups, .padding_mode = o.padding_mode});
}

ConvTranspose::ConvTranspose(int rank, ConvTransposeLayerOptions options) : rank_(rank), options_(std::move(options)) {
  const ConvTransposeLayerOptions& o = options_;
  const std::string name = ranked("ConvTranspose", rank);
  if (o.padding_mode != PaddingMode::kZeros) {
    raise<ValueError>(
        "Only \"zeros\" padding mode is supported for {}\n"
        "padding_mode is {}: pad the output of the layer instead",
        name, padding_mode_name(o.padding_mode));
  }
  const ConvCheck check{name, rank, o.in_channels, o.out_channels, o.groups, o.kernel_size, o.stride, o.dilation, o.padding, true};
  check.groups_and_padding();
  if (o.padding.paired()) {
    raise<ValueError>(
        "begin/end pairs are not supported for the padding of {}\n"
        "give one number per axis, and narrow() the output",
        name);
  }
  check.sizes();
  check.list(o.output_padding, "output_padding");
  if (any_below(o.output_padding.values(), 0)) {
    raise<Error>(
        "negative output_padding is not supported\n"
        "output_padding is {}: use 0 or more, padding removes rows",
        list_text(o.output_padding.values()));
  }
  check.positive();
  const std::vector<int64_t> out = o.output_padding.expand(rank), stride = o.stride.expand(rank),
                             dilation = o.dilation.expand(rank);
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] < stride[i] || out[i] < dilation[i]) continue;
    // PyTorch reports a one-dimensional layer as a two-dimensional one of height 1.
    std::vector<std::string> axes = {"depth", "height", "width"};
    axes.erase(axes.begin(), axes.begin() + (rank == 3 ? 0 : 1));
    const auto named = [&](const char* what, std::vector<int64_t> values, int64_t unused) {
      if (rank == 1) values.insert(values.begin(), unused);
      std::string text;
      for (size_t a = 0; a < axes.size(); ++a) text += formatted(" {}: {}", what + axes[a], values[a]);
      return text;
    };
    raise<Error>(
        "output padding must be smaller than either stride or dilation, but got{}{}{}\n"
        "output_padding can be at most {} here",
        named("output_padding_", out, 0), named("stride_", stride, 1), named("dilation_", dilation, 1),
        std::max(stride[i], dilation[i]) - 1);
  }
  Tensor weight = Tensor::empty(check.weight_shape());
  Tensor bias = o.bias ? Tensor::empty({o.out_channels}) : Tensor();
  init::default_weight_and_bias(weight, bias);
  register_parameter("weight", weight);
  register_parameter("bias", bias);
}

std::string ConvTranspose::extra_repr() const {
  const ConvTransposeLayerOptions& o = options_;
  std::string text =
      formatted("{}, {}, kernel_size={}, stride={}{}", o.in_channels, o.out_channels, python_tuple(stored(o.kernel_size, rank_)),
                python_tuple(stored(o.stride, rank_)), padding_text(o.padding, rank_));
  if (const std::vector<int64_t> d = stored(o.dilation, rank_); !all_equal(d, 1)) text += ", dilation=" + python_tuple(d);
  if (const std::vector<int64_t> p = stored(o.output_padding, rank_); !all_equal(p, 0))
    text += ", output_padding=" + python_tuple(p);
  if (o.groups != 1) text += formatted(", groups={}", o.groups);
  if (!bias().defined()) text += ", bias=False";
  return text;
}

Variable ConvTranspose::forward(const Variable& input) { return forward(input, {}); }

Variable ConvTranspose::forward(const Variable& input, const std::vector<int64_t>& output_size) {
  const ConvTransposeLayerOptions& o = options_;
  return conv_transpose(rank_, input, weight(), bias(),
                        {.stride = o.stride,
                         .padding = o.padding.values(),
                         .output_padding = o.output_padding,
                         .groups = o.groups,
                         .dilation = o.dilation,
                         .output_size = output_size});
}

}  // namespace convoy::nn
