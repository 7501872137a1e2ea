// What passes make (graph/fused.h): the operators that each stands for, one after the other.
#include "convoy/graph/fused.h"

#include "convoy/core/error.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"
#include "convoy/graph/windows.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/reduce.h"
#include "convoy/ops/slice.h"

namespace convoy::graph {
namespace {

Tensor activated(const Call& call, const Tensor& values, std::string_view which = kActivation) {
  const auto activation = fused_activation(call.attributes(), which);
  return activation ? ops::activation(activation->kind, values, activation->options) : values;
}

template <bool kTransposed>
void infer_conv(Inference& inference) {
  find_operator(kTransposed ? "ConvTranspose" : "Conv")->infer(inference);
}

template <bool kTransposed>
std::vector<Value> run_conv(Call& call) {
  Tensor sum = find_operator(kTransposed ? "ConvTranspose" : "Conv")->run(call)[0].tensor();
  if (call.has(3)) sum = ops::add(sum, call.tensor(3));
  return {activated(call, sum)};
}

// What windows of `kernel` over a value make of its batch and its sizes, with so many channels, for passes that know all sizes but
// the batch.
Dims windowed(const Attributes& attributes, const Dims& input, Dim channels, const std::vector<int64_t>& kernel) {
  Dims output{input[0], std::move(channels)};
  const std::vector<int64_t> sizes = spatial_sizes(input);
  const auto axes = windows(attributes, kernel, sizes);
  for (size_t a = 0; a < sizes.size(); ++a) {
    Dim size;
    if (axes && sizes[a] >= 0) {
      if (const auto known = shape::output_size(sizes[a], (*axes)[a])) size.size = *known;
    }
    output.push_back(size);
  }
  return output;
}

// What a convolution of input 0 by this weight makes.
std::optional<Dims> convolved(const Inference& inference, size_t weight_input) {
  const std::optional<Dims>&input = inference.dims(0), &weight = inference.dims(weight_input);
  const std::optional<Shape> taps = inference.type(weight_input).shape();
  if (!input || !weight || !taps || input->size() != taps->size() || taps->size() < 3) return std::nullopt;
  return windowed(inference.attributes(), *input, (*weight)[0], {taps->begin() + 2, taps->end()});
}

void infer_expand_depthwise(Inference& inference) { inference.set(0, inference.dtype(0), convolved(inference, 3)); }

void infer_pooled_conv(Inference& inference) {
  std::optional<Dims> dims = convolved(inference, 1);
  if (inference.outputs() > 1) inference.set(1, inference.dtype(0), dims);
  for (size_t i = 2; dims && i < dims->size(); ++i) {
    if ((*dims)[i].known()) (*dims)[i].size = *shape::pool_output_size((*dims)[i].size, windows_of_two().axes[1], false);
  }
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_pooled_conv(Call& call) {
  const Tensor map = run_conv<false>(call)[0].tensor();
  const bool largest = call.attributes().text("pool", "") == "max";
  const Tensor pooled = largest ? ops::max_pool(map, windows_of_two()).output : ops::avg_pool(map, windows_of_two(), false);
  if (call.outputs() < 2) return {pooled};
  return {pooled, map};
}

// Inputs 0 to 2 of a call through the convolution with these attributes.
Tensor run_expansion(const Call& call, const Value& weight, const Attributes& attributes) {
  Node expand{"Conv", call.node().name, {}, {kNoValue}, attributes};
  Call conv(expand, {call.value(0), weight, call.has(2) ? call.value(2) : Value()});
  return activated(call, find_operator("Conv")->run(conv)[0].tensor(), kExpandActivation);
}

// The depthwise layer behind it, its bias being input `bias`.
Tensor run_depthwise(const Call& call, const Tensor& expanded, const Value& weight, size_t bias) {
  Call conv(call.node(), {Value(expanded), weight, call.has(bias) ? call.value(bias) : Value()});
  return activated(call, find_operator("Conv")->run(conv)[0].tensor());
}

std::vector<Value> run_expand_depthwise(Call& call) {
  return {run_depthwise(call, run_expansion(call, call.value(1), {}), call.value(3), 4)};
}

// The pass that makes the node knows all sizes but the batch.
void infer_inverted_residual(Inference& inference) {
  const std::optional<Dims>& input = inference.dims(0);
  const std::optional<Shape> weights = inference.type(1).shape();
  const Attributes expand = expand_attributes(inference.attributes());
  const std::vector<int64_t> kernel = inference.attributes().integers("kernel_shape"), first = expand.integers("kernel_shape");
  if (!input || !weights || input->size() != 4 || weights->size() != 2 || kernel.size() != 2 || first.size() != 2 ||
      !(*input)[1].known())
    return inference.set(0, inference.dtype(0), std::nullopt);
  const int64_t results = (*weights)[1] - (*input)[1].size * first[0] * first[1] - kernel[0] * kernel[1] -
                          2 * inference.attributes().integer("squeezed", 0);
  const Dims expanded = windowed(expand, *input, Dim{.size = (*weights)[0]}, first);
  inference.set(0, inference.dtype(0), windowed(inference.attributes(), expanded, Dim{.size = results}, kernel));
}

std::vector<Value> run_squeeze_excite(Call& call) {
  const Tensor& input = call.tensor(0);
  const int64_t channels = input.size(1), squeezed = call.tensor(1).size(1) / channels;
  const auto weight = [&](int64_t row, const Shape& shape) {
    return ops::slice(call.tensor(1), {{0, row, row + 1}}).reshape(shape);
  };
  const Tensor squeeze = weight(0, {squeezed, channels}), excite = weight(1, {channels, squeezed});
  std::vector<int64_t> positions;
  for (int64_t i = 2; i < input.dim(); ++i) positions.push_back(i);
  const auto bias = [&](size_t i) { return call.has(i) ? call.tensor(i) : Tensor(); };
  const Tensor narrow = activated(call, ops::linear(ops::mean(input, positions, false), squeeze, bias(2)), kSqueezeActivation);
  Shape shape(static_cast<size_t>(input.dim()), 1);
  shape[0] = input.size(0);
  shape[1] = channels;
  return {ops::mul(input, activated(call, ops::linear(narrow, excite, bias(3))).reshape(shape))};
}

std::vector<Value> run_inverted_residual(Call& call) {
  const Tensor& table = call.tensor(1);
  const Attributes expand = expand_attributes(call.attributes());
  const std::vector<int64_t> kernel = call.attributes().integers("kernel_shape"), first = expand.integers("kernel_shape");
  const int64_t expanded = table.size(0), channels = call.tensor(0).size(1), terms = channels * first[0] * first[1],
                taps = kernel[0] * kernel[1], squeezed = call.attributes().integer("squeezed", 0),
                results = table.size(1) - terms - taps - 2 * squeezed;
  const auto columns = [&](int64_t begin, int64_t count, const Shape& shape) {
    return ops::slice(table, {{1, begin, begin + count}}).reshape(shape);
  };
  const auto argument = [&](size_t i) { return call.has(i) ? call.value(i) : Value(); };
  const Tensor wide = run_expansion(call, Value(columns(0, terms, {expanded, channels, first[0], first[1]})), expand);
  Tensor middle = run_depthwise(call, wide, Value(columns(terms, taps, {expanded, 1, kernel[0], kernel[1]})), 3);
  if (squeezed > 0) {
    const int64_t at = terms + taps + results, all = expanded * squeezed;
    const Tensor squeeze = ops::permute(columns(at, squeezed, {expanded, squeezed}), {1, 0}).reshape({1, all});
    Node excite{"SqueezeExcite", call.node().name, {}, {kNoValue}};
    if (const auto kind = fused_activation(call.attributes(), kSqueezeActivation))
      set_fused_activation(excite.attributes, *kind, kSqueezeActivation);
    if (const auto kind = fused_activation(call.attributes(), kGateActivation)) set_fused_activation(excite.attributes, *kind);
    Call gated(excite, {Value(middle), Value(ops::concat({squeeze, columns(at + squeezed, squeezed, {1, all})}, 0)), argument(6),
                        argument(7)});
    middle = run_squeeze_excite(gated)[0].tensor();
  }
  const Tensor weight = ops::permute(columns(terms + taps, results, {expanded, results}), {1, 0});
  Node project{"Conv", call.node().name, {}, {kNoValue}};
  Call last(project, {Value(middle), Value(weight.reshape({results, expanded, 1, 1})), argument(4)});
  Tensor sum = find_operator("Conv")->run(last)[0].tensor();
  if (call.has(5)) sum = ops::add(sum, call.tensor(5));
  if (call.attributes().integer("shortcut", 0) != 0) sum = ops::add(sum, wide);
  return {activated(call, sum, kProjectActivation)};
}

void infer_linear(Inference& inference) {
  std::optional<Dims> dims = inference.dims(0);
  if (dims && !dims->empty() && inference.dims(1) && inference.dims(1)->size() == 2) dims->back() = (*inference.dims(1))[0];
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_linear(Call& call) {
  return {activated(call, ops::linear(call.tensor(0), call.tensor(1), call.has(2) ? call.tensor(2) : Tensor()))};
}

std::vector<Value> run_activation(Call& call) { return {activated(call, call.tensor(0))}; }

// (C) as (C, 1, ..., 1), to be broadcast over (N, C, *).
Tensor per_channel(const Tensor& numbers, const Tensor& input) {
  Shape shape(static_cast<size_t>(input.dim()) - 1, 1);
  shape[0] = numbers.numel();
  return numbers.to(input.dtype()).reshape(shape);
}

std::vector<Value> run_channel_affine(Call& call) {
  const Tensor& input = call.tensor(0);
  return {activated(call, ops::add(ops::mul(input, per_channel(call.tensor(1), input)), per_channel(call.tensor(2), input)))};
}

std::vector<Value> run_affine_conv(Call& call) {
  const Tensor& input = call.tensor(0);
  const Tensor affine = ops::add(ops::mul(input, per_channel(call.tensor(3), input)), per_channel(call.tensor(4), input));
  const auto argument = [&](size_t i) { return call.has(i) ? call.value(i) : Value(); };
  Call conv(call.node(), {Value(activated(call, affine, kInputActivation)), argument(1), argument(2)});
  return run_conv<false>(conv);
}

std::vector<Value> run_channel_layer_norm(Call& call) {
  const Tensor& input = call.tensor(0);
  std::vector<int64_t> last{0}, back{0};
  for (int64_t i = 2; i < input.dim(); ++i) last.push_back(i);
  last.push_back(1);
  back.push_back(input.dim() - 1);
  for (int64_t i = 1; i + 1 < input.dim(); ++i) back.push_back(i);
  const Tensor rows = ops::permute(input, last);
  return {ops::permute(ops::layer_norm(rows, {input.size(1)}, call.tensor(1), call.has(2) ? call.tensor(2) : Tensor(),
                                       call.attributes().number("epsilon", 1e-5))
                           .output,
                       back)};
}

Tensor shuffled(const Tensor& input, int64_t groups) {
  int64_t positions = 1;
  for (int64_t i = 2; i < input.dim(); ++i) positions *= input.size(i);
  return ops::permute(input.reshape({input.size(0), groups, input.size(1) / groups, positions}), {0, 2, 1, 3})
      .reshape(input.shape());
}

std::vector<Value> run_channel_shuffle(Call& call) { return {shuffled(call.tensor(0), call.attributes().integer("groups", 1))}; }

void infer_interleave(Inference& inference) {
  std::optional<Dims> dims = inference.dims(0);
  if (dims && dims->size() > 1 && (*dims)[1].known()) (*dims)[1].size *= static_cast<int64_t>(inference.inputs());
  inference.set(0, inference.dtype(0), std::move(dims));
}

std::vector<Value> run_interleave(Call& call) {
  std::vector<Tensor> parts;
  for (size_t i = 0; i < call.inputs(); ++i) parts.push_back(call.tensor(i));
  return {shuffled(ops::concat(parts, 1), static_cast<int64_t>(parts.size()))};
}

}  // namespace

std::span<const Operator> fused_operators() {
  static constexpr Operator kRows[] = {
      {"FusedConv", infer_conv<false>, run_conv<false>, false, 2},
      {"AffineConv", infer_conv<false>, run_affine_conv, false, 2},
      {"PooledConv", infer_pooled_conv, run_pooled_conv, false, 4},
      {"FusedConvTranspose", infer_conv<true>, run_conv<true>, false, 2},
      {"ExpandDepthwise", infer_expand_depthwise, run_expand_depthwise, false, 2},
      {"InvertedResidual", infer_inverted_residual, run_inverted_residual, false, 4},
      {"SqueezeExcite", same_as_first, run_squeeze_excite, false, 2},
      {"Linear", infer_linear, run_linear, false, 1},
      {"Activation", same_as_first, run_activation, false, 2},
      {"ChannelAffine", same_as_first, run_channel_affine, false, 2},
      {"ChannelLayerNorm", same_as_first, run_channel_layer_norm, false, 2},
      {"ChannelShuffle", same_as_first, run_channel_shuffle, false, 2},
      {"Interleave", infer_interleave, run_interleave, false, 2},
  };
  return kRows;
}

}  // namespace convoy::graph
