#include "tests/robustness/problems.h"

#include <cmath>
#include <limits>
#include <sstream>

#include "convoy/ops/conv.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/rearrange.h"
#include "convoy/ops/reduce.h"

namespace convoy::robustness {
namespace {

/// Draws arguments, biased to edges: mostly legal ones, now and then anything.
class Draw {
 public:
  explicit Draw(Generator& generator) : generator_(generator) {}

  int64_t range(int64_t low, int64_t high) { return low + generator_.below(high - low + 1); }
  bool chance(int percent) { return range(1, 100) <= percent; }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[generator_.below(static_cast<int64_t>(values.size()))];
  }
  /// A size of at least `least`: often tiny, sometimes around a vector's length.
  int64_t size(int64_t least, int64_t most) {
    const int64_t n = pick<int64_t>({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33});
    return std::min(most, std::max(least, n));
  }
  /// A legal value from `usual`, or once in a while a wrong or extreme one.
  int64_t argument(std::initializer_list<int64_t> usual) {
    if (!chance(2)) return pick(usual);
    return pick<int64_t>({-1, 0, 7, 40, INT64_MIN, INT64_MAX, INT64_MAX - 1, int64_t{1} << 62});
  }
  IntList arguments(int rank, std::initializer_list<int64_t> usual) {
    if (chance(30)) return argument(usual);
    std::vector<int64_t> values;
    const int length = chance(2) ? static_cast<int>(range(0, 4)) : rank;
    for (int i = 0; i < length; ++i) values.push_back(argument(usual));
    return values;
  }
  Tensor integers(Shape shape) {
    Tensor t = Tensor::empty(std::move(shape));
    for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(generator_.below(9) - 4);
    return t;
  }
  Shape spatial(int rank, int64_t least = 1) {
    Shape shape;
    for (int i = 0; i < rank; ++i) shape.push_back(size(least, rank == 1 ? 40 : rank == 2 ? 17 : 7));
    return shape;
  }

 private:
  Generator& generator_;
};

Shape join(Shape front, const Shape& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

std::string text(const IntList& list) { return list.single() ? std::to_string(list.values()[0]) : to_string(list.values()); }

/// The output's shape for a gradient, or a guess where the call is refused.
template <class Call>
Tensor gradient_like(Draw& draw, Call&& call) {
  try {
    return draw.integers(call().shape());
  } catch (const std::exception&) {
    return draw.integers({1, 1, 1});
  }
}

struct ConvDraw {
  int rank = 2;
  int64_t groups = 1;
  Tensor input, weight, bias;
};

ConvDraw draw_conv(Draw& draw, bool transposed) {
  ConvDraw c;
  c.rank = static_cast<int>(draw.range(1, 3));
  c.groups = draw.pick<int64_t>({1, 1, 1, 2, 3});
  int64_t in = draw.pick<int64_t>({1, 2, 3, 5, 16}), out = draw.pick<int64_t>({1, 2, 4, 17});
  if (draw.chance(15)) {  // depthwise
    c.groups = draw.pick<int64_t>({3, 8, 19});
    in = 1;
    out = draw.pick<int64_t>({1, 2});
  }
  Shape kernel;
  for (int i = 0; i < c.rank; ++i) kernel.push_back(draw.pick<int64_t>({1, 1, 2, 3, 3, 4, 5, 7}));
  const int64_t batch = draw.pick<int64_t>({0, 1, 2, 3});
  c.input = draw.integers(join({batch, c.groups * in}, draw.spatial(c.rank)));
  c.weight = draw.integers(join(transposed ? Shape{c.groups * in, out} : Shape{c.groups * out, in}, kernel));
  c.bias = draw.integers({c.groups * out});
  return c;
}

Problem conv_problem(Generator& generator) {
  Draw draw(generator);
  const ConvDraw c = draw_conv(draw, false);
  ConvOptions options{.stride = draw.arguments(c.rank, {1, 1, 2, 3, 5}),
                      .padding = draw.arguments(c.rank, {0, 0, 1, 2, 3, 6}),
                      .dilation = draw.arguments(c.rank, {1, 1, 2, 3}),
                      .groups = draw.chance(2) ? draw.argument({0}) : c.groups};
  if (draw.chance(10)) options.padding_mode = draw.pick({PaddingMode::kReflect, PaddingMode::kReplicate, PaddingMode::kCircular});
  std::string padding = text(options.padding.values());
  if (draw.chance(8)) {
    padding = draw.pick<const char*>({"same", "valid", "foo"});
    options.padding = padding;
  } else if (draw.chance(8)) {
    std::vector<shape::PadPair> pairs;
    padding.clear();
    for (int i = 0; i < c.rank; ++i) {
      pairs.push_back({draw.argument({0, 1, 2, 4}), draw.argument({0, 1, 3})});
      padding += "(" + std::to_string(pairs.back().begin) + ", " + std::to_string(pairs.back().end) + ") ";
    }
    options.padding = pairs;
  }
  const Tensor g = gradient_like(draw, [&] { return ops::conv(c.rank, c.input, c.weight, c.bias, options); });
  return {.text = "conv" + std::to_string(c.rank) + "d input " + to_string(c.input.shape()) + " weight " +
                  to_string(c.weight.shape()) + " stride " + text(options.stride) + " padding " + padding + " dilation " +
                  text(options.dilation) + " groups " + std::to_string(options.groups) + " " +
                  padding_mode_name(options.padding_mode),
          .inputs = {c.input, g, c.weight, c.bias},
          .call =
              [rank = c.rank, options](const Tensors& t) {
                const ConvGradients d = ops::conv_backward(rank, t[1], t[0], t[2], options);
                return Tensors{ops::conv(rank, t[0], t[2], t[3], options), d.input, d.weight, d.bias};
              },
          .batched_inputs = {true, true, false, false},
          .batched_outputs = {true, true, false, false}};
}

Problem conv_transpose_problem(Generator& generator) {
  Draw draw(generator);
  const ConvDraw c = draw_conv(draw, true);
  ConvTransposeOptions options{.stride = draw.arguments(c.rank, {1, 1, 2, 3}),
                               .padding = draw.arguments(c.rank, {0, 0, 1, 2}),
                               .output_padding = draw.arguments(c.rank, {0, 0, 0, 1, 2}),
                               .groups = draw.chance(2) ? draw.argument({0}) : c.groups,
                               .dilation = draw.arguments(c.rank, {1, 1, 2, 3})};
  const Tensor g = gradient_like(draw, [&] { return ops::conv_transpose(c.rank, c.input, c.weight, c.bias, options); });
  return {.text = "conv_transpose" + std::to_string(c.rank) + "d input " + to_string(c.input.shape()) + " weight " +
                  to_string(c.weight.shape()) + " stride " + text(options.stride) + " padding " + text(options.padding) +
                  " output_padding " + text(options.output_padding) + " dilation " + text(options.dilation) + " groups " +
                  std::to_string(options.groups),
          .inputs = {c.input, g, c.weight, c.bias},
          .call =
              [rank = c.rank, options](const Tensors& t) {
                const ConvGradients d = ops::conv_transpose_backward(rank, t[1], t[0], t[2], options);
                return Tensors{ops::conv_transpose(rank, t[0], t[2], t[3], options), d.input, d.weight, d.bias};
              },
          .batched_inputs = {true, true, false, false},
          .batched_outputs = {true, true, false, false}};
}

Problem max_pool_problem(Generator& generator) {
  Draw draw(generator);
  const int rank = static_cast<int>(draw.range(1, 3));
  const Tensor x = draw.integers(join({draw.range(0, 3), draw.size(1, 17)}, draw.spatial(rank)));
  if (draw.chance(30)) {
    for (int64_t i = 0; i < x.numel(); i += 7) Tensor(x).data<float>()[i] = draw.pick({NAN, -INFINITY, INFINITY});
  }
  const MaxPoolOptions options{.kernel_size = draw.arguments(rank, {1, 2, 2, 3, 3, 5}),
                               .stride = draw.chance(30) ? IntList() : draw.arguments(rank, {1, 2, 2, 3, 5}),
                               .padding = draw.arguments(rank, {0, 0, 0, 1, 1, 2}),
                               .dilation = draw.arguments(rank, {1, 1, 1, 2, 3}),
                               .ceil_mode = draw.chance(40)};
  const Tensor g = gradient_like(draw, [&] { return ops::max_pool(rank, x, options).output; });
  return {.text = "max_pool" + std::to_string(rank) + "d input " + to_string(x.shape()) + " kernel_size " +
                  text(options.kernel_size) + " stride " + text(options.stride) + " padding " + text(options.padding) +
                  " dilation " + text(options.dilation) + (options.ceil_mode ? " ceil_mode" : ""),
          .inputs = {x, g},
          .call =
              [rank, options](const Tensors& t) {
                const MaxPoolResult y = ops::max_pool(rank, t[0], options);
                return Tensors{y.output, y.indices, ops::max_pool_backward(rank, t[1], y.indices, t[0].shape())};
              },
          .batched_inputs = {true, true},
          .batched_outputs = {true, true, true}};
}

Problem avg_pool_problem(Generator& generator) {
  Draw draw(generator);
  const int rank = static_cast<int>(draw.range(1, 3));
  const Tensor x = draw.integers(join({draw.range(0, 3), draw.size(1, 17)}, draw.spatial(rank)));
  AvgPoolOptions options{.kernel_size = draw.arguments(rank, {1, 2, 2, 3, 3, 5}),
                         .stride = draw.chance(30) ? IntList() : draw.arguments(rank, {1, 2, 2, 3, 5}),
                         .padding = draw.arguments(rank, {0, 0, 0, 1, 1, 2}),
                         .ceil_mode = draw.chance(40),
                         .count_include_pad = draw.chance(50)};
  if (draw.chance(20)) options.divisor_override = draw.argument({1, 3, 7, -2});
  const Tensor g = gradient_like(draw, [&] { return ops::avg_pool(rank, x, options); });
  return {.text = "avg_pool" + std::to_string(rank) + "d input " + to_string(x.shape()) + " kernel_size " +
                  text(options.kernel_size) + " stride " + text(options.stride) + " padding " + text(options.padding) +
                  (options.ceil_mode ? " ceil_mode" : "") + (options.count_include_pad ? " count_include_pad" : "") + " divisor " +
                  std::to_string(options.divisor_override.value_or(0)),
          .inputs = {x, g},
          .call =
              [rank, options](const Tensors& t) {
                return Tensors{ops::avg_pool(rank, t[0], options), ops::avg_pool_backward(rank, t[1], t[0].shape(), options)};
              },
          .batched_inputs = {true, true},
          .batched_outputs = {true, true},
          .tolerance = 1e-6};
}

Problem adaptive_pool_problem(Generator& generator) {
  Draw draw(generator);
  const int rank = static_cast<int>(draw.range(1, 3));
  const Tensor x = draw.integers(join({draw.range(0, 3), draw.size(1, 17)}, draw.spatial(rank)));
  AdaptiveSize size;
  for (int i = 0; i < rank; ++i) {
    size.push_back(draw.chance(10) ? std::nullopt : std::optional<int64_t>(draw.argument({0, 1, 1, 2, 3, 5, 7, 11})));
  }
  std::string sizes;
  for (const auto& s : size) sizes += " " + (s ? std::to_string(*s) : "None");
  const Tensor g = gradient_like(draw, [&] { return ops::adaptive_avg_pool(rank, x, size); });
  return {.text = "adaptive_pool" + std::to_string(rank) + "d input " + to_string(x.shape()) + " output_size" + sizes,
          .inputs = {x, g},
          .call =
              [rank, size](const Tensors& t) {
                const MaxPoolResult y = ops::adaptive_max_pool(rank, t[0], size);
                return Tensors{y.output, y.indices, ops::max_pool_backward(rank, t[1], y.indices, t[0].shape()),
                               ops::adaptive_avg_pool(rank, t[0], size), ops::adaptive_avg_pool_backward(rank, t[1], t[0].shape())};
              },
          .batched_inputs = {true, true},
          .batched_outputs = {true, true, true, true, true},
          .tolerance = 1e-6};
}

Problem unpool_problem(Generator& generator) {
  Draw draw(generator);
  const int rank = static_cast<int>(draw.range(1, 3));
  const int64_t k = draw.range(2, 3);
  const Tensor x = draw.integers(join({draw.range(1, 3), 3}, draw.spatial(rank, k)));
  const MaxPoolOptions options{.kernel_size = k};
  const MaxPoolResult pooled = ops::max_pool(rank, x, options);
  if (draw.chance(20) && pooled.indices.numel() > 0) {
    Tensor(pooled.indices).data<int64_t>()[draw.range(0, pooled.indices.numel() - 1)] =
        draw.pick<int64_t>({-1, INT64_MIN, INT64_MAX, 1 << 20});
  }
  const std::vector<int64_t> size = draw.chance(50) ? Shape(x.shape().begin() + 2, x.shape().end()) : Shape{};
  return {.text = "max_unpool" + std::to_string(rank) + "d input " + to_string(x.shape()) + " kernel_size " + std::to_string(k),
          .inputs = {pooled.output, pooled.indices},
          .call = [rank, options, size](const Tensors& t) { return Tensors{ops::max_unpool(rank, t[0], t[1], options, size)}; },
          .batched_inputs = {true, true},
          .batched_outputs = {true}};
}

Problem lp_pool_problem(Generator& generator) {
  Draw draw(generator);
  const int rank = static_cast<int>(draw.range(1, 2));
  const Tensor x = ops::affine(draw.integers(join({draw.range(1, 3), 3}, draw.spatial(rank, 3))), 1, 5);
  const double p = draw.pick({1.0, 2.0, 3.0});
  const IntList k = draw.arguments(rank, {1, 2, 3}), s = draw.arguments(rank, {1, 2, 3});
  const bool ceil_mode = draw.chance(30);
  const Tensor g = gradient_like(draw, [&] { return ops::lp_pool(rank, x, p, k, s, ceil_mode); });
  return {.text = "lp_pool" + std::to_string(rank) + "d input " + to_string(x.shape()) + " norm_type " + std::to_string(p) +
                  " kernel_size " + text(k) + " stride " + text(s) + (ceil_mode ? " ceil_mode" : ""),
          .inputs = {x, g},
          .call =
              [=](const Tensors& t) {
                return Tensors{ops::lp_pool(rank, t[0], p, k, s, ceil_mode),
                               ops::lp_pool_backward(rank, t[1], t[0], p, k, s, ceil_mode)};
              },
          .batched_inputs = {true, true},
          .batched_outputs = {true, true},
          .tolerance = 4e-6};
}

Problem pad_problem(Generator& generator) {
  Draw draw(generator);
  const int rank = static_cast<int>(draw.range(1, 3));
  const Tensor x = draw.integers(join({draw.range(0, 3), draw.size(1, 5)}, draw.spatial(rank, 2)));
  const PadMode mode = draw.pick({PadMode::kConstant, PadMode::kReflect, PadMode::kReplicate, PadMode::kCircular});
  std::vector<int64_t> padding;
  for (int i = 0; i < 2 * rank; ++i)
    padding.push_back(mode == PadMode::kConstant && draw.chance(20) ? -1 : draw.argument({0, 0, 1, 2, 3}));
  const double value = draw.pick({0.0, 0.5, -3.0});
  const Tensor g = gradient_like(draw, [&] { return ops::pad(x, padding, mode, value); });
  return {.text = std::string("pad ") + pad_mode_name(mode) + " input " + to_string(x.shape()) + " padding " + to_string(padding),
          .inputs = {x, g},
          .call =
              [=](const Tensors& t) {
                return Tensors{ops::pad(t[0], padding, mode, value), ops::pad_backward(t[1], t[0].shape(), padding, mode)};
              },
          .batched_inputs = {true, true},
          .batched_outputs = {true, true}};
}

Problem unfold_problem(Generator& generator) {
  Draw draw(generator);
  const Tensor x = draw.integers(join({draw.range(0, 2), draw.size(1, 5)}, draw.spatial(2, 3)));
  const UnfoldOptions options{.kernel_size = draw.arguments(2, {1, 2, 3}),
                              .dilation = draw.arguments(2, {1, 1, 2}),
                              .padding = draw.arguments(2, {0, 1, 2}),
                              .stride = draw.arguments(2, {1, 2, 3})};
  const Tensor columns = gradient_like(draw, [&] { return ops::unfold(x, options); });
  const Shape size(x.shape().begin() + 2, x.shape().end());
  return {.text = "unfold input " + to_string(x.shape()) + " kernel_size " + text(options.kernel_size) + " dilation " +
                  text(options.dilation) + " padding " + text(options.padding) + " stride " + text(options.stride),
          .inputs = {x, columns},
          .call =
              [options, size](const Tensors& t) {
                return Tensors{ops::unfold(t[0], options), ops::fold(t[1], size, options)};
              },
          .batched_inputs = {true, true},
          .batched_outputs = {true, true}};
}

Problem pixel_shuffle_problem(Generator& generator) {
  Draw draw(generator);
  const int64_t r = draw.argument({1, 2, 3});
  const int64_t legal = r >= 1 && r <= 3 ? r : 1;
  const Tensor x = draw.integers({draw.range(0, 2), 3 * legal * legal, draw.range(0, 5), draw.size(1, 17)});
  const Tensor y = draw.integers({draw.range(0, 2), 3, legal * draw.range(0, 5), legal * draw.size(1, 17)});
  return {.text = "pixel_shuffle input " + to_string(x.shape()) + " factor " + std::to_string(r),
          .inputs = {x, y},
          .call =
              [r](const Tensors& t) {
                return Tensors{ops::pixel_shuffle(t[0], r), ops::pixel_unshuffle(t[1], r)};
              },
          .batched_inputs = {},
          .batched_outputs = {}};
}

Problem interpolate_problem(Generator& generator) {
  Draw draw(generator);
  const InterpolateMode mode = draw.pick({InterpolateMode::kNearest, InterpolateMode::kBilinear, InterpolateMode::kBicubic});
  const int rank = mode == InterpolateMode::kNearest ? static_cast<int>(draw.range(1, 3)) : 2;
  const Tensor x = draw.integers(join({draw.range(0, 2), 2}, draw.spatial(rank)));
  InterpolateOptions options{.mode = mode, .align_corners = mode != InterpolateMode::kNearest && draw.chance(50)};
  for (int i = 0; i < rank; ++i) options.size.push_back(draw.argument({1, 2, 3, 7, 16, 19}));
  const Tensor g = gradient_like(draw, [&] { return ops::interpolate(x, options); });
  return {.text = "interpolate mode " + std::to_string(static_cast<int>(mode)) + " input " + to_string(x.shape()) + " size " +
                  to_string(options.size) + (options.align_corners ? " align_corners" : ""),
          .inputs = {x, g},
          .call =
              [options](const Tensors& t) {
                return Tensors{ops::interpolate(t[0], options), ops::interpolate_backward(t[1], t[0].shape(), options)};
              },
          .batched_inputs = {true, true},
          .batched_outputs = {true, true},
          .tolerance = mode == InterpolateMode::kNearest ? 0.0 : 1e-5};
}

Problem linear_problem(Generator& generator) {
  Draw draw(generator);
  const int64_t in = draw.size(1, 33) + draw.range(0, 40), out = draw.size(1, 33), rows = draw.range(0, 5);
  const Tensor x = draw.integers({rows, in}), w = draw.integers({out, draw.chance(5) ? in + 1 : in}), b = draw.integers({out});
  const Tensor g = draw.integers({rows, out});
  return {.text = "linear input " + to_string(x.shape()) + " weight " + to_string(w.shape()),
          .inputs = {x, g, w, b},
          .call =
              [](const Tensors& t) {
                const LinearGradients d = ops::linear_backward(t[1], t[0], t[2]);
                return Tensors{ops::linear(t[0], t[2], t[3]), d.input, d.weight, d.bias};
              },
          .batched_inputs = {true, true, false, false},
          .batched_outputs = {true, true, false, false}};
}

Problem batch_norm_problem(Generator& generator) {
  Draw draw(generator);
  const int64_t channels = draw.pick<int64_t>({1, 4, 6, 18});
  const bool training = draw.chance(50);
  const Tensor x = draw.integers(join({draw.range(1, 3), channels}, draw.spatial(static_cast<int>(draw.range(0, 3)), 2)));
  const Tensor g = draw.integers(x.shape()), w = draw.integers({channels}),
               b = draw.integers({draw.chance(3) ? channels + 1 : channels});
  const Tensor mean = draw.integers({channels}), var = ops::affine(ops::square(draw.integers({channels})), 1, 1);
  return {.text = "batch_norm " + to_string(x.shape()) + (training ? " training" : ""),
          .inputs = {x, g, w, b, mean, var},
          .call =
              [training](const Tensors& t) {
                const Tensor m = t[4].clone(), v = t[5].clone();
                const NormResult y = ops::batch_norm(t[0], m, v, t[2], t[3], {.training = training});
                const NormGradients d = ops::batch_norm_backward(t[1], t[0], t[2], y, training);
                return Tensors{y.output, m, v, d.input, d.weight, d.bias};
              },
          .batched_inputs = {},
          .batched_outputs = {},
          .tolerance = 2e-5};
}

Problem group_norm_problem(Generator& generator) {
  Draw draw(generator);
  const int64_t channels = draw.pick<int64_t>({2, 4, 6, 18});
  const int64_t groups = draw.argument({1, 2, 2, channels});
  const Tensor x = draw.integers(join({draw.range(0, 3), channels}, draw.spatial(static_cast<int>(draw.range(1, 3)), 2)));
  const Shape normalized(x.shape().begin() + 1, x.shape().end());
  const Tensor g = draw.integers(x.shape()), w = draw.integers({channels}), b = draw.integers({channels});
  const Tensor lw = draw.integers(normalized), lb = draw.integers(normalized);
  return {.text = "group_norm and layer_norm " + to_string(x.shape()) + " groups " + std::to_string(groups),
          .inputs = {x, g, w, b, lw, lb},
          .call =
              [groups, normalized](const Tensors& t) {
                const NormResult y = ops::group_norm(t[0], groups, t[2], t[3]);
                const NormGradients d = ops::group_norm_backward(t[1], t[0], groups, t[2], y);
                const NormResult l = ops::layer_norm(t[0], normalized, t[4], t[5]);
                const NormGradients e = ops::layer_norm_backward(t[1], t[0], normalized, t[4], l);
                return Tensors{y.output, d.input, l.output, e.input, d.weight, d.bias, e.weight, e.bias};
              },
          .batched_inputs = {true, true, false, false, false, false},
          .batched_outputs = {true, true, true, true, false, false, false, false},
          .tolerance = 2e-5};
}

Problem activation_problem(Generator& generator) {
  Draw draw(generator);
  const auto kind = static_cast<Activation>(draw.range(0, static_cast<int64_t>(Activation::kHardtanh)));
  ActivationOptions options;
  if (kind == Activation::kLeakyRelu) options = {.a = 0.125};
  if (kind == Activation::kElu) options = {.a = 1.5};
  if (kind == Activation::kSoftplus) options = {.a = 1, .b = 20};
  if (kind == Activation::kHardtanh) options = {.a = -0.5, .b = 0.75};
  const Tensor x = draw.integers({draw.range(0, 3), draw.size(1, 33) + draw.range(0, 70)}), g = draw.integers(x.shape());
  return {.text = "activation " + std::to_string(static_cast<int>(kind)) + " input " + to_string(x.shape()),
          .inputs = {x, g},
          .call =
              [=](const Tensors& t) {
                return Tensors{ops::activation(kind, t[0], options), ops::activation_backward(kind, t[1], t[0], options)};
              },
          .batched_inputs = {true, true},
          .batched_outputs = {true, true},
          .tolerance = 2e-6};
}

Problem softmax_problem(Generator& generator) {
  Draw draw(generator);
  const Tensor x = draw.integers(join({draw.range(0, 3)}, draw.spatial(static_cast<int>(draw.range(1, 3)))));
  const int64_t dim = draw.argument({1, -1}), length = x.dim() > 2 ? 2 : 1;
  const Tensor g = draw.integers(x.shape());
  return {.text = "softmax input " + to_string(x.shape()) + " dim " + std::to_string(dim),
          .inputs = {x, g},
          .call =
              [dim, length](const Tensors& t) {
                const Tensor y = ops::softmax(t[0], dim), l = ops::log_softmax(t[0], dim);
                return Tensors{y,
                               ops::softmax_backward(t[1], y, dim),
                               l,
                               ops::log_softmax_backward(t[1], l, dim),
                               ops::sum(t[0], {dim}),
                               ops::narrow(t[0], length - 1, 0, t[0].size(length - 1)),
                               ops::add(t[0], t[1]),
                               ops::mul(t[0], t[1])};
              },
          .batched_inputs = dim == 0 ? std::vector<bool>{} : std::vector<bool>{true, true},
          .batched_outputs = std::vector<bool>(8, true),
          .tolerance = 4e-6};
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> all{
      {"conv", conv_problem},
      {"conv_transpose", conv_transpose_problem},
      {"max_pool", max_pool_problem},
      {"avg_pool", avg_pool_problem},
      {"adaptive_pool", adaptive_pool_problem},
      {"max_unpool", unpool_problem},
      {"lp_pool", lp_pool_problem},
      {"pad", pad_problem},
      {"unfold", unfold_problem},
      {"pixel_shuffle", pixel_shuffle_problem},
      {"interpolate", interpolate_problem},
      {"linear", linear_problem},
      {"batch_norm", batch_norm_problem},
      {"group_norm", group_norm_problem},
      {"activation", activation_problem},
      {"softmax", softmax_problem},
  };
  return all;
}

}  // namespace convoy::robustness
