#include "convoy/ops/reparam.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"

namespace convoy::ops {

namespace {

[[noreturn]] void refuse(std::string_view reason, std::string_view fix) { raise<ShapeMismatch>("{}\n{}", reason, fix); }

void check_weight(const Tensor& weight, const char* what) {
  if (!weight.defined() || weight.dim() < 2) {
    refuse(std::string(what) + " has no weight of the shape (out, in, *kernel)",
           weight.defined() ? formatted("its shape is {}", weight.shape()) : "it is undefined");
  }
}

void check_groups(int64_t channels, int64_t groups, const char* what) {
  if (groups >= 1 && channels % groups == 0) return;
  raise<ValueError>("{} must be divisible by groups\n{} is {}, groups is {}", what, what, channels, groups);
}

void check_affine(const ChannelAffine& affine, int64_t channels) {
  if (affine.scale.defined() && affine.shift.defined() && affine.scale.shape() == Shape{channels} &&
      affine.shift.shape() == Shape{channels}) {
    return;
  }
  refuse(formatted("batch normalisation of {} channels meets a layer with {}",
                   affine.scale.defined() ? to_string(affine.scale.shape()) : std::string("undefined"), channels),
         "num_features must be the layer's channels on that side");
}

// A copy in float64 that may be written to.
Tensor doubles(const Tensor& t) { return t.dtype() == DType::kFloat64 ? t.clone() : t.to(DType::kFloat64); }

Tensor bias_of(const ConvParameters& conv, int64_t channels) {
  if (!conv.bias.defined()) return Tensor::zeros({channels}, DType::kFloat64);
  if (conv.bias.shape() != Shape{channels}) {
    refuse(formatted("bias of size {} for {} output channels", conv.bias.shape(), channels),
           "a bias has one element per output channel");
  }
  return doubles(conv.bias);
}

// The values of one entry of the first axis times one of the second: the taps.
int64_t taps_of(const Tensor& weight) {
  int64_t taps = 1;
  for (int64_t axis = 2; axis < weight.dim(); ++axis) taps *= weight.size(axis);
  return taps;
}

Shape kernel_of(const Tensor& weight) { return {weight.shape().begin() + 2, weight.shape().end()}; }

bool all_zero(const Tensor& t) {
  const auto* values = t.data<double>();
  return std::all_of(values, values + t.numel(), [](double v) { return v == 0; });
}

std::vector<int64_t> centre(const std::vector<int64_t>& wide, const std::vector<int64_t>& narrow) {
  std::vector<int64_t> first;
  for (size_t a = 0; a < wide.size(); ++a) first.push_back(wide[a] / 2 - narrow[a] / 2);
  return first;
}

// value in the weight of c's own place in its group, at every tap or at one.
Tensor own_channel_weight(int64_t channels, const std::vector<int64_t>& kernel_size, int64_t groups, double value, int64_t tap) {
  check_groups(channels, groups, "channels");
  Shape shape{channels, channels / groups};
  shape.insert(shape.end(), kernel_size.begin(), kernel_size.end());
  Tensor weight = Tensor::zeros(shape, DType::kFloat64);
  const int64_t width = channels / groups, taps = taps_of(weight);
  auto* w = weight.data<double>();
  for (int64_t c = 0; c < channels; ++c) {
    double* own = w + (c * width + c % width) * taps;
    if (tap >= 0) {
      own[tap] = value;
    } else {
      std::fill(own, own + taps, value);
    }
  }
  return weight;
}

void check_branches(const std::vector<ConvParameters>& branches, size_t first_axis) {
  if (branches.empty()) raise<ValueError>("there are no branches\ngive at least one");
  for (const ConvParameters& branch : branches) {
    check_weight(branch.weight, "a branch");
    const Shape &a = branches[0].weight.shape(), &b = branch.weight.shape();
    if (a.size() == b.size() &&
        std::equal(a.begin() + static_cast<ptrdiff_t>(first_axis), a.end(), b.begin() + static_cast<ptrdiff_t>(first_axis))) {
      continue;
    }
    refuse(formatted("branches with weights of size {} and {}", a, b), "place_kernel() gives them one kernel size");
  }
}

void check_pointwise(const Tensor& weight) {
  if (taps_of(weight) == 1) return;
  refuse(formatted("a kernel of size {} where 1 is needed", kernel_of(weight)),
         "only a 1x1 convolution can be merged on this side");
}

void check_middle(const ConvParameters& first, const ConvParameters& second, int64_t groups) {
  check_weight(first.weight, "the first convolution");
  check_weight(second.weight, "the second convolution");
  check_groups(first.weight.size(0), groups, "out_channels of the first convolution");
  check_groups(second.weight.size(0), groups, "out_channels of the second convolution");
  if (second.weight.size(1) * groups == first.weight.size(0)) return;
  refuse(formatted("the first convolution has {} output channels, the second {} input channels", first.weight.size(0),
                   second.weight.size(1) * groups),
         formatted("both must have the same groups, here {}", groups));
}

}  // namespace

ChannelAffine batch_norm_affine(const Tensor& running_mean, const Tensor& running_var, const Tensor& weight, const Tensor& bias,
                                double eps) {
  if (!running_mean.defined() || !running_var.defined()) {
    raise<Error>(
        "running_mean must be defined in evaluation mode\n"
        "without running statistics every batch is normalised by its own: train with track_running_stats=True");
  }
  const Shape shape{running_mean.numel()};
  for (const Tensor& t : {running_mean, running_var, weight, bias}) {
    if (t.defined() && t.shape() != shape)
      refuse(formatted("batch normalisation with values of size {} and {}", t.shape(), shape), "one value per channel");
  }
  ChannelAffine affine{Tensor::empty(shape, DType::kFloat64), Tensor::empty(shape, DType::kFloat64)};
  for (int64_t c = 0; c < shape[0]; ++c) {
    const double variance = running_var.at(c) + eps;
    if (!(variance > 0)) {
      raise<ValueError>(
          "running_var + eps is {} in channel {}\n"
          "its root must be positive: the statistics are damaged, or eps is too small",
          variance, c);
    }
    const double scale = (weight.defined() ? weight.at(c) : 1.0) / std::sqrt(variance);
    affine.scale.data<double>()[c] = scale;
    affine.shift.data<double>()[c] = (bias.defined() ? bias.at(c) : 0.0) - running_mean.at(c) * scale;
  }
  return affine;
}

Tensor padding_before(const ChannelAffine& affine) {
  check_affine(affine, affine.scale.defined() ? affine.scale.numel() : 0);
  Tensor values = Tensor::empty(affine.scale.shape(), DType::kFloat64);
  for (int64_t c = 0; c < values.numel(); ++c) {
    if (affine.scale.at(c) == 0)
      raise<ValueError>("no value becomes zero in channel {}\nits scale is 0: everything becomes the shift", c);
    values.data<double>()[c] = -affine.shift.at(c) / affine.scale.at(c);
  }
  return values;
}

ConvParameters fold_after(const ConvParameters& conv, const ChannelAffine& affine, DType dtype) {
  check_weight(conv.weight, "the layer");
  const int64_t channels = conv.weight.size(0);
  check_affine(affine, channels);
  ConvParameters folded{.bias = bias_of(conv, channels)};
  auto* b = folded.bias.data<double>();
  for (int64_t o = 0; o < channels; ++o) b[o] = affine.scale.at(o) * b[o] + affine.shift.at(o);
  const int64_t values = channels == 0 ? 0 : conv.weight.numel() / channels;
  const auto scale_rows = [&]<class T>(const T* from, T* to) {  // they may be one
    parallel_ranges(channels, std::max<int64_t>(1, 16384 / std::max<int64_t>(values, 1)), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const double scale = affine.scale.at(o);
        for (int64_t i = o * values; i < (o + 1) * values; ++i) to[i] = static_cast<T>(from[i] * scale);
      }
    });
  };
  if (conv.weight.dtype() == DType::kFloat32 && dtype == DType::kFloat32) {  // a large network loads in three quarters of the time
    folded.weight = Tensor::empty(conv.weight.shape(), dtype);
    scale_rows(conv.weight.data<float>(), folded.weight.data<float>());
  } else {
    folded.weight = doubles(conv.weight);
    scale_rows(folded.weight.data<double>(), folded.weight.data<double>());
    if (dtype != DType::kFloat64) folded.weight = folded.weight.to(dtype);
  }
  return folded;
}

ConvParameters fold_after_transposed(const ConvParameters& conv, const ChannelAffine& affine, int64_t groups) {
  check_weight(conv.weight, "the layer");
  check_groups(conv.weight.size(0), groups, "in_channels");
  const int64_t inputs = conv.weight.size(0), width = conv.weight.size(1), channels = width * groups;
  check_affine(affine, channels);
  ConvParameters folded{doubles(conv.weight), bias_of(conv, channels)};
  const int64_t taps = taps_of(conv.weight), inputs_per_group = inputs / groups;
  auto* w = folded.weight.data<double>();
  for (int64_t i = 0; i < inputs; ++i) {
    for (int64_t o = 0; o < width; ++o) {
      const double scale = affine.scale.at(i / inputs_per_group * width + o);
      for (int64_t k = 0; k < taps; ++k) w[(i * width + o) * taps + k] *= scale;
    }
  }
  auto* b = folded.bias.data<double>();
  for (int64_t o = 0; o < channels; ++o) b[o] = affine.scale.at(o) * b[o] + affine.shift.at(o);
  return folded;
}

ConvParameters fold_before(const ChannelAffine& affine, const ConvParameters& conv, int64_t groups) {
  check_weight(conv.weight, "the layer");
  const int64_t channels = conv.weight.size(0), width = conv.weight.size(1), taps = taps_of(conv.weight);
  check_groups(channels, groups, "out_channels");
  check_affine(affine, width * groups);
  ConvParameters folded{doubles(conv.weight), bias_of(conv, channels)};
  auto* w = folded.weight.data<double>();
  auto* b = folded.bias.data<double>();
  for (int64_t o = 0; o < channels; ++o) {
    const int64_t first = o / (channels / groups) * width;
    for (int64_t i = 0; i < width; ++i) {
      double* kernel = w + (o * width + i) * taps;
      double sum = 0;
      for (int64_t k = 0; k < taps; ++k) {
        sum += kernel[k];
        kernel[k] *= affine.scale.at(first + i);
      }
      b[o] += sum * affine.shift.at(first + i);
    }
  }
  return folded;
}

ConvParameters fold_before_transposed(const ChannelAffine& affine, const ConvParameters& conv, int64_t groups) {
  check_weight(conv.weight, "the layer");
  const int64_t inputs = conv.weight.size(0), width = conv.weight.size(1), taps = taps_of(conv.weight);
  check_groups(inputs, groups, "in_channels");
  check_affine(affine, inputs);
  ConvParameters folded{doubles(conv.weight), bias_of(conv, width * groups)};
  auto* w = folded.weight.data<double>();
  auto* b = folded.bias.data<double>();
  for (int64_t i = 0; i < inputs; ++i) {
    for (int64_t o = 0; o < width; ++o) {
      double* kernel = w + (i * width + o) * taps;
      double sum = 0;
      for (int64_t k = 0; k < taps; ++k) {
        sum += kernel[k];
        kernel[k] *= affine.scale.at(i);
      }
      b[i / (inputs / groups) * width + o] += sum * affine.shift.at(i);
    }
  }
  return folded;
}

bool exact_before(const ChannelAffine& affine, const ConvOptions& options) {
  if (options.padding_mode != PaddingMode::kZeros || all_zero(affine.shift)) return true;
  if (options.padding.named()) return options.padding.name() == "valid";
  if (options.padding.paired()) {
    const auto& pairs = options.padding.pairs();
    return std::all_of(pairs.begin(), pairs.end(), [](const shape::PadPair& p) { return p == shape::PadPair{}; });
  }
  const auto& values = options.padding.values().values();
  return std::all_of(values.begin(), values.end(), [](int64_t p) { return p == 0; });
}

bool exact_before(const ChannelAffine& affine, const Shape& weight, const ConvTransposeOptions& options) {
  if (all_zero(affine.shift)) return true;
  const auto all = [](const std::vector<int64_t>& values, int64_t wanted) {
    return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == wanted; });
  };
  return std::all_of(weight.begin() + 2, weight.end(), [](int64_t k) { return k == 1; }) && all(options.stride.values(), 1) &&
         all(options.output_padding.values(), 0) && options.output_size.empty();
}

ConvParameters add_branches(const std::vector<ConvParameters>& branches) {
  check_branches(branches, 0);
  const int64_t channels = branches[0].weight.size(0);
  ConvParameters sum{doubles(branches[0].weight), bias_of(branches[0], channels)};
  for (size_t n = 1; n < branches.size(); ++n) {
    const ConvParameters branch{branches[n].weight.to(DType::kFloat64), bias_of(branches[n], channels)};
    for (int64_t i = 0; i < sum.weight.numel(); ++i) sum.weight.data<double>()[i] += branch.weight.data<double>()[i];
    for (int64_t o = 0; o < channels; ++o) sum.bias.data<double>()[o] += branch.bias.data<double>()[o];
  }
  return sum;
}

ConvParameters concat_branches(const std::vector<ConvParameters>& branches) {
  check_branches(branches, 1);
  Shape shape = branches[0].weight.shape();
  shape[0] = 0;
  for (const ConvParameters& branch : branches) shape[0] += branch.weight.size(0);
  ConvParameters whole{Tensor::empty(shape, DType::kFloat64), Tensor::empty({shape[0]}, DType::kFloat64)};
  int64_t begin = 0;
  for (const ConvParameters& branch : branches) {
    const int64_t end = begin + branch.weight.size(0);
    whole.weight.slice(begin, end).copy_(branch.weight.to(DType::kFloat64));
    whole.bias.slice(begin, end).copy_(bias_of(branch, end - begin));
    begin = end;
  }
  return whole;
}

ConvParameters merge_pointwise(const ConvParameters& first, const ConvParameters& second, int64_t groups) {
  check_middle(first, second, groups);
  check_pointwise(first.weight);
  const Tensor w1 = first.weight.to(DType::kFloat64), b1 = bias_of(first, first.weight.size(0)),
               w2 = second.weight.to(DType::kFloat64);
  const int64_t channels = w2.size(0), middle = w2.size(1), inputs = w1.size(1), taps = taps_of(w2);
  Shape shape = w2.shape();
  shape[1] = inputs;
  ConvParameters merged{Tensor::zeros(shape, DType::kFloat64), bias_of(second, channels)};
  auto* w = merged.weight.data<double>();
  for (int64_t o = 0; o < channels; ++o) {
    const int64_t first_middle = o / (channels / groups) * middle;
    for (int64_t m = 0; m < middle; ++m) {
      const double* kernel = w2.data<double>() + (o * middle + m) * taps;
      const double* row = w1.data<double>() + (first_middle + m) * inputs;
      double sum = 0;
      for (int64_t k = 0; k < taps; ++k) sum += kernel[k];
      merged.bias.data<double>()[o] += sum * b1.data<double>()[first_middle + m];
      for (int64_t i = 0; i < inputs; ++i) {
        for (int64_t k = 0; k < taps; ++k) w[(o * inputs + i) * taps + k] += kernel[k] * row[i];
      }
    }
  }
  return merged;
}

ConvParameters merge_before_pointwise(const ConvParameters& first, const ConvParameters& second, int64_t groups) {
  check_middle(first, second, groups);
  check_pointwise(second.weight);
  const Tensor w1 = first.weight.to(DType::kFloat64), b1 = bias_of(first, first.weight.size(0)),
               w2 = second.weight.to(DType::kFloat64);
  const int64_t channels = w2.size(0), middle = w2.size(1), values = w1.size(1) * taps_of(w1);
  Shape shape = w1.shape();
  shape[0] = channels;
  ConvParameters merged{Tensor::zeros(shape, DType::kFloat64), bias_of(second, channels)};
  auto* w = merged.weight.data<double>();
  for (int64_t o = 0; o < channels; ++o) {
    const int64_t first_middle = o / (channels / groups) * middle;
    for (int64_t m = 0; m < middle; ++m) {
      const double factor = w2.data<double>()[o * middle + m];
      const double* kernels = w1.data<double>() + (first_middle + m) * values;
      merged.bias.data<double>()[o] += factor * b1.data<double>()[first_middle + m];
      for (int64_t i = 0; i < values; ++i) w[o * values + i] += factor * kernels[i];
    }
  }
  return merged;
}

Tensor place_kernel(const Tensor& weight, const std::vector<int64_t>& kernel_size, std::vector<int64_t> first_tap) {
  check_weight(weight, "the layer");
  const Shape narrow = kernel_of(weight);
  const std::string fix = formatted("a kernel of size {} goes into one of the same number of axes that is not smaller", narrow);
  if (kernel_size.size() != narrow.size()) refuse(formatted("kernel_size has {} axes", kernel_size.size()), fix);
  if (first_tap.empty()) first_tap = centre(kernel_size, narrow);
  bool fits = first_tap.size() == narrow.size();
  for (size_t a = 0; fits && a < narrow.size(); ++a) fits = first_tap[a] >= 0 && first_tap[a] <= kernel_size[a] - narrow[a];
  if (!fits) refuse(formatted("no place for it in a kernel of size {} at tap {}", kernel_size, first_tap), fix);
  Shape shape{weight.size(0), weight.size(1)};
  shape.insert(shape.end(), kernel_size.begin(), kernel_size.end());
  Tensor placed = Tensor::zeros(shape, DType::kFloat64);
  const Tensor from = weight.to(DType::kFloat64);
  const int64_t taps = taps_of(from), wide_taps = taps_of(placed), kernels = taps == 0 ? 0 : from.numel() / taps;
  for (int64_t tap = 0; tap < taps; ++tap) {
    int64_t at = 0, rest = tap, step = 1;
    for (size_t a = narrow.size(); a-- > 0;) {
      at += (first_tap[a] + rest % narrow[a]) * step;
      rest /= narrow[a];
      step *= kernel_size[a];
    }
    for (int64_t n = 0; n < kernels; ++n) placed.data<double>()[n * wide_taps + at] = from.data<double>()[n * taps + tap];
  }
  return placed;
}

Tensor average_pool_weight(int64_t channels, const std::vector<int64_t>& kernel_size, int64_t groups) {
  return own_channel_weight(channels, kernel_size, groups, 1.0 / static_cast<double>(numel(kernel_size)), -1);
}

Tensor identity_weight(int64_t channels, const std::vector<int64_t>& kernel_size, int64_t groups,
                       const std::vector<int64_t>& first_tap) {
  const std::vector<int64_t> at = first_tap.empty() ? centre(kernel_size, std::vector<int64_t>(kernel_size.size(), 1)) : first_tap;
  int64_t tap = 0;
  bool fits = at.size() == kernel_size.size();
  for (size_t a = 0; fits && a < kernel_size.size(); ++a) {
    fits = at[a] >= 0 && at[a] < kernel_size[a];
    tap = tap * kernel_size[a] + at[a];
  }
  if (!fits) refuse(formatted("a kernel of size {} has no tap {}", kernel_size, at), "taps count from 0");
  return own_channel_weight(channels, kernel_size, groups, 1.0, tap);
}

}  // namespace convoy::ops
