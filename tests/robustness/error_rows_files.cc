// Rows of the error table: what networks from files need beside PyTorch's functions - math.h, slice.h, index.h, resize.h,
// quantize.h, deform_conv.h and the younger parts of reduce.h, linear.h, pool.h, pad.h, norm.h and rearrange.h.
#include <string>

#include "convoy/ops/deform_conv.h"
#include "convoy/ops/index.h"
#include "convoy/ops/linear.h"
#include "convoy/ops/math.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/quantize.h"
#include "convoy/ops/rearrange.h"
#include "convoy/ops/reduce.h"
#include "convoy/ops/resize.h"
#include "convoy/ops/slice.h"
#include "tests/robustness/error_rows.h"

namespace convoy::robustness {

namespace {

shape::PoolShape window(const shape::Axis& axis) {
  shape::PoolShape s;
  s.rank = 2;
  s.axes[1] = s.axes[2] = axis;
  return s;
}

Tensor bytes(Shape shape) { return Tensor::ones(std::move(shape), DType::kUInt8); }

void add_elementwise(Rows& rows) {
  const Tensor x = zeros({2, 3}), wrong = zeros({4}), yes = Tensor::ones({2, 3}, DType::kBool);
  REFUSED("unary.input", ops::unary(Unary::kAbs, yes), "\"abs_cpu\" not implemented for 'Bool'");
  REFUSED("clamp.input", ops::clamp(yes, {}, {}), "\"clamp_cpu\" not implemented for 'Bool'");
  REFUSED("clamp.min", ops::clamp(x, wrong, {}), "clamp(): min must hold one value, but has shape [4]");
  REFUSED("clamp.max", ops::clamp(x, {}, doubles({})), "expected scalar type Float but found Double");
  REFUSED("isnan.input", ops::isnan({}), "isnan(): argument 'input' must be Tensor, not None");
  REFUSED("isinf.input", ops::isinf({}), "isinf(): argument 'input' must be Tensor, not None");
  REFUSED("logical_not.input", ops::logical_not({}), "logical_not(): argument 'input' must be Tensor, not None");
  REFUSED("compare.a", ops::compare(Comparison::kLess, {}, x), "compare(): argument 'input' must be Tensor, not None");
  REFUSED("compare.b", ops::compare(Comparison::kLess, x, doubles({2, 3})), "expected scalar type Float but found Double");
  REFUSED("logical.a", ops::logical(Logical::kAnd, wrong, yes),
          "The size of tensor a (4) must match the size of tensor b (3) at non-singleton dimension 1");
  REFUSED("logical.b", ops::logical(Logical::kAnd, yes, {}), "logical(): argument 'other' must be Tensor, not None");
  REFUSED("where.condition", ops::where(x, x, x),
          "where expected condition to be a boolean tensor, but got a tensor with dtype Float");
  REFUSED("where.a", ops::where(yes, wrong, x), "must match the size of tensor b (3)");
  REFUSED("where.b", ops::where(yes, x, doubles({})), "expected scalar type Float but found Double");
  REFUSED("prelu.input", ops::prelu(yes, yes), "\"prelu_cpu\" not implemented for 'Bool'");
  REFUSED("prelu.weight", ops::prelu(x, wrong), "must match the size of tensor b (4)");
}

void add_slices(Rows& rows) {
  const Tensor x = zeros({2, 3});
  REFUSED("slice.input", ops::slice(zeros({}), {{0, 0, 1, 1}}), "slice() cannot be applied to a 0-dim tensor.");
  REFUSED_VALUE("slice.slices", ops::slice(x, {{0, 0, 1, 0}}), "slice step cannot be zero");
  REFUSED("tile.input", ops::tile({}, {2}), "tile(): argument 'input' must be Tensor, not None");
  REFUSED("tile.repeats", ops::tile(x, {-1, 1}), "Trying to create tensor with negative dimension -1: [-1, 1]");
  REFUSED("triu.input", ops::triu(zeros({3})), "triu: input tensor must have at least 2 dimensions");
  REFUSED("tril.input", ops::tril(zeros({3})), "tril: input tensor must have at least 2 dimensions");
  REFUSED("depth_to_space.input", ops::depth_to_space(x, 2), "depth_to_space expects (N, C, H, W), but got [2, 3]");
  REFUSED("depth_to_space.block_size", ops::depth_to_space(zeros({1, 6, 1, 1}), 2), "6 is not divisible by 4");
  REFUSED("space_to_depth.input", ops::space_to_depth(zeros({1, 1, 3, 2}), 2),
          "space_to_depth expects height and width to be divisible by the block size 2, but got [1, 1, 3, 2]");
  REFUSED_VALUE("space_to_depth.block_size", ops::space_to_depth(zeros({1, 1, 2, 2}), 0),
                "space_to_depth expects a block size of 1 or more, but got 0");
  REFUSED("pad_axes.input", ops::pad_axes({}, {}, PadMode::kConstant), "pad(): argument 'input' must be Tensor, not None");
  REFUSED("pad_axes.pads", ops::pad_axes(x, {{0, 0}}, PadMode::kConstant), "pad: 1 pairs for an input of 2 axes");
  REFUSED("pad_axes.value", ops::pad_axes(x, {{0, 0}, {1, 1}}, PadMode::kConstant, x), "pad: the value must be one");
  REFUSED("resize.input", ops::resize(zeros({0}), {.sizes = {2}}), "resize: axis 0 is empty and cannot become 2");
  REFUSED_VALUE("resize.options", ops::resize(x, {.scales = {1, -1}}), "resize: scales must be above 0, but one is -1");
  REFUSED_VALUE("resized_shape.options", ops::resized_shape({2, 3}, {}), "only one of scales and sizes should be given");
}

void add_indices(Rows& rows) {
  const Tensor x = zeros({2, 3}), i = indices({2}), far = indices({1, 1}, 9);
  REFUSED("take.input", ops::take(zeros({}), i, 0), "take(): the input needs at least one axis");
  REFUSED("take.indices", ops::take(x, indices({1}, 3), 1), "index 3 is out of bounds for dimension 1 with size 3");
  REFUSED("take.dim", ops::take(x, i, 2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("gather.input", ops::gather(zeros({2}), 0, far), "Index tensor must have the same number of dimensions as input tensor");
  REFUSED("gather.dim", ops::gather(x, 2, far), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("gather.index", ops::gather(x, 1, far), "index 9 is out of bounds for dimension 1 with size 3");
  REFUSED("scatter.input", ops::scatter({}, 0, i, x), "scatter(): argument 'input' must be Tensor, not None");
  REFUSED("scatter.dim", ops::scatter(x, -3, indices({1, 1}), zeros({1, 1})), "Dimension out of range");
  REFUSED("scatter.index", ops::scatter(x, 1, far, zeros({1, 1})), "index 9 is out of bounds for dimension 1 with size 3");
  REFUSED("scatter.source", ops::scatter(x, 1, indices({1, 1}), zeros({1, 2})),
          "Expected index [1, 1] to be no larger than src [1, 2]");
  REFUSED("gather_nd.input", ops::gather_nd(zeros({}), far), "names more axes than an input of shape [] has");
  REFUSED("gather_nd.indices", ops::gather_nd(x, far), "index 9 is out of bounds for dimension 0 with size 2");
  REFUSED_VALUE("gather_nd.batch_dims", ops::gather_nd(x, far, -1), "gather_nd: batch_dims is -1");
  REFUSED("scatter_nd.input", ops::scatter_nd({}, far, x), "scatter_nd(): argument 'input' must be Tensor, not None");
  REFUSED("scatter_nd.indices", ops::scatter_nd(x, far, zeros({1, 3})), "index 9 is out of bounds for dimension 0 with size 2");
  REFUSED("scatter_nd.updates", ops::scatter_nd(x, indices({1, 1}), zeros({1, 2})),
          "scatter_nd: updates have shape [1, 2], expected [1, 3]");
  REFUSED("one_hot.indices", ops::one_hot({}, 2, zeros({2})), "one_hot(): argument 'indices' must be Tensor, not None");
  REFUSED_VALUE("one_hot.depth", ops::one_hot(i, -1, zeros({2})), "one_hot: the depth must be 0 or more, but is -1");
  REFUSED("one_hot.off_on", ops::one_hot(i, 2, zeros({3})), "one_hot: values must hold two, for off and on, but have shape [3]");
  REFUSED("one_hot.dim", ops::one_hot(i, 2, zeros({2}), 3), "Dimension out of range");
  REFUSED("nonzero.input", ops::nonzero({}), "nonzero(): argument 'input' must be Tensor, not None");
  const Tensor one = ones({}), two = zeros({2});
  REFUSED("range.start", ops::range(two, one, one), "range: start, end and step hold one value each, not [2]");
  REFUSED("range.end", ops::range(one, doubles({}), one), "expected scalar type Float but found Double");
  REFUSED("range.step", ops::range(one, one, zeros({})), "step must be nonzero");
  REFUSED("eye.rows", ops::eye(-1, 2), "Trying to create tensor with negative dimension -1");
  REFUSED("eye.columns", ops::eye(2, -1), "Trying to create tensor with negative dimension -1");
  REFUSED("cumsum.input", ops::cumsum(Tensor::ones({2}, DType::kBool), 0), "\"cumsum_out_cpu\" not implemented for 'Bool'");
  REFUSED("cumsum.dim", ops::cumsum(x, 2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("topk.input", ops::topk(Tensor::ones({2}, DType::kBool), 1), "\"topk_cpu\" not implemented for 'Bool'");
  REFUSED("topk.k", ops::topk(x, 4), "selected index k out of range");
  REFUSED("topk.dim", ops::topk(x, 1, 2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
}

void add_reductions(Rows& rows) {
  const Tensor x = zeros({2, 3}), image = zeros({1, 2, 4, 4});
  REFUSED("argmin.input", ops::argmin(zeros({2, 0}), 1), "argmin(): Expected reduction dim 1 to have non-zero size.");
  REFUSED("argmin.dim", ops::argmin(x, 2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED("reduce.input", ops::reduce(ReduceKind::kProd, Tensor::ones({2}, DType::kBool), {}),
          "\"prod_cpu\" not implemented for 'Bool'");
  REFUSED("reduce.dims", ops::reduce(ReduceKind::kMax, x, {0, -2}), "dim 0 appears multiple times in the list of dims");
  REFUSED("gemm.a", ops::gemm(zeros({2}), x), "gemm: both matrices must have 2 axes, but have shapes [2] and [2, 3]");
  REFUSED("gemm.b", ops::gemm(x, x), "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
  REFUSED("gemm.c", ops::gemm(x, zeros({3, 2}), zeros({3, 2})), "must match the size of tensor b (3)");
  REFUSED_VALUE("local_response_norm.input", ops::local_response_norm(x, 3), "Expected 3D or higher dimensionality");
  REFUSED_VALUE("local_response_norm.size", ops::local_response_norm(image, 0), "size must be at least 1, but is 0");
  REFUSED("rms_norm.input", ops::rms_norm({}, {3}, {}), "rms_norm(): argument 'input' must be Tensor, not None");
  REFUSED("rms_norm.normalized_shape", ops::rms_norm(x, {2}, {}),
          "Given normalized_shape=[2], expected input with shape [*, 2], but got input of size[2, 3]");
  REFUSED("rms_norm.weight", ops::rms_norm(x, {3}, zeros({4})), "must match the size of tensor b (4)");
  REFUSED("max_pool.windows", ops::max_pool(image, window({9, 1, 1, 0, 0})), "Output size is too small");
  REFUSED_VALUE("avg_pool.windows", ops::avg_pool(image, window({2, 1, 1, -1, 0}), true),
                "pad must be non-negative, but got pad: -1");
  REFUSED_VALUE("lp_pool.norm_type", ops::lp_pool(image, window({2, 1, 1, 0, 0}), 0), "lp_pool: norm_type must not be 0");
  REFUSED("lp_pool.windows", ops::lp_pool(image, window({2, 0, 1, 0, 0}), 2), "pooling: ");
  REFUSED("flat_indices.indices", ops::flat_indices(image, image.shape()), "expected scalar type Long but found Float");
  REFUSED("flat_indices.input_shape", ops::flat_indices(indices({1, 2, 2, 2}), {1, 3, 4, 4}),
          "indices of shape [1, 2, 2, 2] do not come from an input of shape [1, 3, 4, 4]");
  REFUSED("max_unpool_flat.input", ops::max_unpool_flat({}, indices({1}), {4}),
          "max_unpool(): argument 'input' must be Tensor, not None");
  REFUSED("max_unpool_flat.indices", ops::max_unpool_flat(zeros({1}), indices({1}, 4), {4}), "Found an invalid max index: 4");
  REFUSED("max_unpool_flat.output_shape", ops::max_unpool_flat(zeros({1}), indices({1}), {-4}), "negative dimension -4");
  REFUSED("col2im.columns", ops::col2im(zeros({1, 4}), window({2, 1, 1, 0, 0})),
          "col2im expects columns (N, C k, L), but got [1, 4]");
  REFUSED("col2im.image", ops::col2im(zeros({1, 3, 4}), window({2, 1, 1, 0, 0})), "col2im: 3 rows are not a multiple");
}

void add_quantized(Rows& rows) {
  const Tensor x = zeros({2, 3}), q = bytes({2, 3}), image = bytes({1, 2, 4, 4}), weight = bytes({3, 2, 2, 2});
  const ops::Quantization kept{ones({}), bytes({})}, wrong{ones({4}), bytes({4})}, none{};
  REFUSED("quantize.input", ops::quantize(q, kept), "\"quantize_per_tensor\" not implemented for 'Byte'");
  REFUSED("quantize.to", ops::quantize(x, none), "quantize(): argument 'scale' must be Tensor, not None");
  REFUSED("quantize.dim", ops::quantize(x, wrong, 2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
  REFUSED_VALUE("quantize.block_size", ops::quantize(x, kept, 1, -1), "quantize: block_size must not be negative");
  REFUSED("dequantize.input", ops::dequantize(x, kept), "\"dequantize\" not implemented for 'Float'");
  REFUSED("dequantize.from", ops::dequantize(q, wrong), "dequantize: a scale of shape [4] does not fit axis 1");
  REFUSED("dequantize.dim", ops::dequantize(q, wrong, -3),
          "Dimension out of range (expected to be in range of [-2, 1], but got -3)");
  REFUSED_VALUE("dequantize.block_size", ops::dequantize(q, kept, 1, -1), "dequantize: block_size must not be negative");
  REFUSED("matmul_integer.a", ops::matmul_integer(x, q), "\"matmul_integer\" not implemented for 'Float'");
  REFUSED("matmul_integer.b", ops::matmul_integer(q, q), "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
  REFUSED("matmul_integer.a_zero", ops::matmul_integer(q, bytes({3, 2}), bytes({5})),
          "a zero point of shape [5] does not fit axis 0");
  REFUSED("matmul_integer.b_zero", ops::matmul_integer(q, bytes({3, 2}), {}, x), "expected scalar type Byte but found Float");
  REFUSED("conv_integer.rank", ops::conv_integer(1, image, weight), "");
  REFUSED("conv_integer.input", ops::conv_integer(2, zeros({1, 2, 4, 4}), weight), "\"conv_integer\" not implemented for 'Float'");
  REFUSED("conv_integer.weight", ops::conv_integer(2, image, bytes({3, 1, 2, 2})), "expected input");
  REFUSED("conv_integer.input_zero", ops::conv_integer(2, image, weight, bytes({2})), "a zero point of shape [2] does not fit");
  REFUSED("conv_integer.weight_zero", ops::conv_integer(2, image, weight, {}, bytes({2})),
          "a zero point of shape [2] does not fit");
  REFUSED("quantized_conv.rank", ops::quantized_conv(1, image, kept, weight, kept, kept), "");
  REFUSED("quantized_conv.input", ops::quantized_conv(2, zeros({1, 2, 4, 4}), kept, weight, kept, kept),
          "not implemented for 'Float'");
  REFUSED("quantized_conv.input_kept", ops::quantized_conv(2, image, none, weight, kept, kept), "argument 'scale' must be Tensor");
  REFUSED("quantized_conv.weight", ops::quantized_conv(2, image, kept, {}, kept, kept),
          "argument 'input' must be Tensor, not None");
  REFUSED("quantized_conv.weight_kept", ops::quantized_conv(2, image, kept, weight, wrong, kept), "does not fit");
  REFUSED("quantized_conv.output", ops::quantized_conv(2, image, kept, weight, kept, wrong),
          "quantized_conv: the output has one scale");
  REFUSED("quantized_conv.bias", ops::quantized_conv(2, image, kept, weight, kept, kept, zeros({3})),
          "expected scalar type Int but found Float");
  const auto conv = [&](const char* argument, const ConvOptions& options) {
    REFUSED(std::string("conv_integer.") + argument, ops::conv_integer(2, image, weight, {}, {}, options), "");
    REFUSED(std::string("quantized_conv.") + argument, ops::quantized_conv(2, image, kept, weight, kept, kept, {}, options), "");
  };
  conv("stride", {.stride = 0});
  conv("padding", {.padding = -1});
  conv("dilation", {.dilation = 0});
  conv("groups", {.groups = 0});
  REFUSED("quantized_matmul.a", ops::quantized_matmul(x, kept, q, kept, kept), "\"quantized_matmul\" not implemented for 'Float'");
  REFUSED("quantized_matmul.a_kept", ops::quantized_matmul(q, none, q, kept, kept), "argument 'scale' must be Tensor, not None");
  REFUSED("quantized_matmul.b", ops::quantized_matmul(q, kept, q, kept, kept), "mat1 and mat2 shapes cannot be multiplied");
  REFUSED("quantized_matmul.b_kept", ops::quantized_matmul(q, kept, bytes({3, 2}), wrong, kept), "does not fit");
  REFUSED("quantized_matmul.output", ops::quantized_matmul(q, kept, bytes({3, 2}), kept, wrong), "the output has one scale");
}

void add_deformed(Rows& rows) {
  const Tensor x = zeros({1, 2, 3, 3}), w = zeros({1, 2, 2, 2}), offset = zeros({1, 8, 2, 2});
  REFUSED("deform_conv2d.input", ops::deform_conv2d(zeros({2, 3, 3}), offset, w), "deform_conv2d expects an input (N, C, H, W)");
  REFUSED("deform_conv2d.offset", ops::deform_conv2d(x, zeros({1, 8, 3, 3}), w),
          "offset has shape [1, 8, 3, 3], expected [1, 8, 2, 2]");
  REFUSED("deform_conv2d.weight", ops::deform_conv2d(x, offset, zeros({1, 3, 2, 2})), "");
  REFUSED("deform_conv2d.bias", ops::deform_conv2d(x, offset, w, zeros({2})), "bias has shape [2], expected [1]");
  REFUSED("deform_conv2d.mask", ops::deform_conv2d(x, offset, w, {}, offset), "mask has shape [1, 8, 2, 2], expected [1, 4, 2, 2]");
  REFUSED("deform_conv2d.stride", ops::deform_conv2d(x, offset, w, {}, {}, {.stride = 0}), "");
  REFUSED("deform_conv2d.padding", ops::deform_conv2d(x, offset, w, {}, {}, {.padding = -1}), "");
  REFUSED("deform_conv2d.dilation", ops::deform_conv2d(x, offset, w, {}, {}, {.dilation = 0}), "");
  REFUSED("deform_conv2d.groups", ops::deform_conv2d(x, offset, w, {}, {}, {.groups = 0}), "");
  REFUSED("deform_conv2d.offset_groups", ops::deform_conv2d(x, offset, w, {}, {}, {.offset_groups = 3}),
          "2 channels cannot be shared by 3 offset groups");
}

}  // namespace

Rows file_rows() {
  Rows rows;
  add_elementwise(rows);
  add_slices(rows);
  add_indices(rows);
  add_reductions(rows);
  add_quantized(rows);
  add_deformed(rows);
  return rows;
}

}  // namespace convoy::robustness
