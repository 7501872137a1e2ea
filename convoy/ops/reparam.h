// Layers that are one convolution: the arithmetic of re-parameterisation. Everything is computed in float64, whatever the type of
// the arguments; round once, at the end, with Tensor::to().
#pragma once

#include <cstdint>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/options.h"

namespace convoy {

/// Weight and bias of a convolution, transposed convolution or linear layer. Arguments may lack the bias (undefined: zeros);
/// results are float64 and have one.
struct ConvParameters {
  Tensor weight, bias;
};

/// x -> scale[c] x + shift[c] for every channel c. Shapes: (C) each, float64.
struct ChannelAffine {
  Tensor scale, shift;
};

namespace ops {

/// What batch normalisation in evaluation mode does to a channel: scale = weight / sqrt(running_var + eps),
/// shift = bias - running_mean scale. The shift is also what it makes of zero: the value that BNAndPad pads with.
///
/// Shapes: (C) each; weight and bias may be undefined (1 and 0).
/// Errors: ShapeMismatch for other shapes; ValueError for a variance with running_var + eps < 0, or 0.
ChannelAffine batch_norm_affine(const Tensor& running_mean, const Tensor& running_var, const Tensor& weight, const Tensor& bias,
                                double eps);

/// The values that batch normalisation turns into zero, -shift / scale: a convolution that absorbed the normalisation before it is
/// exact with zero padding if its input is padded with these instead of zeros. Errors: ValueError for a scale of 0.
Tensor padding_before(const ChannelAffine& affine);

/// Convolution or linear layer, then batch normalisation (transform I of Ding et al., Diverse Branch Block, 2021):
///   W'[o, i, k] = scale[o] W[o, i, k],   b'[o] = scale[o] b[o] + shift[o].
/// Exact for any padding. `dtype`: of the weight, rounded once. Shapes: weight (O, I / groups, *) or (O, I), affine (O). Errors:
/// ShapeMismatch.
ConvParameters fold_after(const ConvParameters& conv, const ChannelAffine& affine, DType dtype = DType::kFloat64);

/// Transposed convolution, then batch normalisation: the output channel is the weight's axis 1, within the group.
///   W'[i, o, k] = scale[g(i) O / groups + o] W[i, o, k],   b' as above.
/// Shapes: weight (I, O / groups, *), affine (O). Errors: ShapeMismatch.
ConvParameters fold_after_transposed(const ConvParameters& conv, const ChannelAffine& affine, int64_t groups);

/// Batch normalisation, then convolution or linear layer:
///   W'[o, i, k] = W[o, i, k] scale[c],   b'[o] = b[o] + sum over i, k of W[o, i, k] shift[c],   c = g(o) I / groups + i.
/// Exact where the convolution reads no zeros from outside (see exact_before). Shapes: weight (O, I / groups, *), affine (I).
/// Errors: ShapeMismatch.
ConvParameters fold_before(const ChannelAffine& affine, const ConvParameters& conv, int64_t groups);

/// Batch normalisation, then transposed convolution: W'[i, o, k] = W[i, o, k] scale[i]; the shifts reach every output alike only
/// where exact_before says so, and are then added as in fold_before. Errors: ShapeMismatch.
ConvParameters fold_before_transposed(const ChannelAffine& affine, const ConvParameters& conv, int64_t groups);

/// Whether fold_before is exact: no shift (normalisation keeps zero), no padding, or a padding that copies values of the input
/// (reflect, replicate, circular).
bool exact_before(const ChannelAffine& affine, const ConvOptions& options);
/// Whether fold_before_transposed is exact: no shift, or every output reads exactly one input (kernel 1, stride 1, no
/// output_padding).
bool exact_before(const ChannelAffine& affine, const Shape& weight, const ConvTransposeOptions& options);

/// Convolutions of one input that are added (transform II): W' = sum of W, b' = sum of b.
/// Errors: ShapeMismatch for weights of different shapes; place_kernel makes them equal. ValueError for none.
ConvParameters add_branches(const std::vector<ConvParameters>& branches);

/// Convolutions of one input whose outputs are concatenated along the channels (transform IV), without groups: the weights stacked
/// along axis 0. Errors: as add_branches, axis 0 aside.
ConvParameters concat_branches(const std::vector<ConvParameters>& branches);

/// 1x1 convolution, then K x K convolution, both with the same groups (transform III):
///   W'[o, i, k] = sum over m of W2[o, m, k] W1[m, i],   b'[o] = b2[o] + sum over m, k of W2[o, m, k] b1[m],
/// m running over the middle channels of o's group. The result has the second's stride and dilation, and its padding if b1 is zero;
/// otherwise exact only without padding, or if what lies between is padded with b1 (BNAndPad). The first must have stride 1 and no
/// padding. Shapes: W1 (M, I / groups, 1...), W2 (O, M / groups, *). Errors: ShapeMismatch.
ConvParameters merge_pointwise(const ConvParameters& first, const ConvParameters& second, int64_t groups);

/// K x K convolution, then 1x1 convolution (stride 1, no padding), both with the same groups:
///   W'[o, i, k] = sum over m of W2[o, m] W1[m, i, k],   b'[o] = b2[o] + sum over m of W2[o, m] b1[m].
/// Exact for any padding of the first. Errors: ShapeMismatch.
ConvParameters merge_before_pointwise(const ConvParameters& first, const ConvParameters& second, int64_t groups);

/// A kernel inside a larger one, zeros around it (transform VI): tap j becomes tap first_tap + j. Two convolutions with these
/// weights agree if the smaller one is padded with shape::branch_padding. Without first_tap the kernel is centred: K / 2 - k / 2,
/// which puts a 1 into the middle of an odd kernel and after the middle of an even one, as PyTorch's ACNet does.
///
/// Shapes: weight (O, I, *k) to (O, I, *kernel_size). Errors: ShapeMismatch if it does not fit there.
Tensor place_kernel(const Tensor& weight, const std::vector<int64_t>& kernel_size, std::vector<int64_t> first_tap = {});

/// Average pooling that counts its padding as a convolution (transform V): W[c, i, k] = 1 / prod(K) if i is c's place in its group,
/// else 0. Shapes: (channels, channels / groups, *kernel_size). Errors: ValueError if groups do not divide channels.
Tensor average_pool_weight(int64_t channels, const std::vector<int64_t>& kernel_size, int64_t groups = 1);

/// The identity as a convolution: W[c, i, k] = 1 if i is c's place in its group and k is first_tap (default: K / 2), else 0. With
/// padding d first_tap in front and d (K - 1 - first_tap) behind it returns its input. Errors: as average_pool_weight.
Tensor identity_weight(int64_t channels, const std::vector<int64_t>& kernel_size, int64_t groups = 1,
                       const std::vector<int64_t>& first_tap = {});

}  // namespace ops
}  // namespace convoy
