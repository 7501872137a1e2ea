// Numbers kept as small integers, and products of them.
#pragma once

#include <tuple>

#include "convoy/core/tensor.h"
#include "convoy/ops/conv.h"

namespace convoy::ops {

/// How numbers are kept: x = (q - zero_point) * scale. Both hold one value, or one per entry of an axis; an undefined zero_point is
/// 0 of uint8. The scale is float32 (or what x is), the zero point has the type of q: uint8, int8, uint16, int16 or int32.
struct Quantization {
  Tensor scale;
  Tensor zero_point = {};
};

/// saturate(round(x / scale) + zero_point), halves to even. dim is the axis that several scales belong to; block_size, above 0,
/// gives one scale per block of that many entries of it. Source: ONNX QuantizeLinear.
Tensor quantize(const Tensor& input, const Quantization& to, int64_t dim = 1, int64_t block_size = 0);
/// (q - zero_point) * scale, in the scale's type. Source: ONNX DequantizeLinear.
Tensor dequantize(const Tensor& input, const Quantization& from, int64_t dim = 1, int64_t block_size = 0);
/// To uint8 by the smallest and the largest value, 0 among them: values, scale, zero point. Source: ONNX DynamicQuantizeLinear.
std::tuple<Tensor, Tensor, Tensor> dynamic_quantize(const Tensor& input);

/// Exact products of uint8 or int8 less their zero points (undefined: 0), in int32: of matrices as matmul, and convolutions. a_zero
/// is one value, or one per row of a; b_zero one value, or one per column of b; weight_zero one value, or one per output channel.
/// Source: ONNX MatMulInteger, ConvInteger.
Tensor matmul_integer(const Tensor& a, const Tensor& b, const Tensor& a_zero = {}, const Tensor& b_zero = {});
Tensor conv_integer(int rank, const Tensor& input, const Tensor& weight, const Tensor& input_zero = {},
                    const Tensor& weight_zero = {}, const ConvOptions& options = {});

/// The same with scales, quantized again: saturate(round(sum * a.scale * b.scale / output.scale) + output.zero_point). The bias is
/// int32 in units of input.scale * weight.scale. Source: ONNX QLinearMatMul, QLinearConv.
Tensor quantized_matmul(const Tensor& a, const Quantization& a_kept, const Tensor& b, const Quantization& b_kept,
                        const Quantization& output);
Tensor quantized_conv(int rank, const Tensor& input, const Quantization& input_kept, const Tensor& weight,
                      const Quantization& weight_kept, const Quantization& output, const Tensor& bias = {},
                      const ConvOptions& options = {});

}  // namespace convoy::ops
