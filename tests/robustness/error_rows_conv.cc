// Rows of the error table: conv.h.
#include <string>

#include "convoy/ops/conv.h"
#include "convoy/ops/reparam.h"
#include "tests/robustness/error_rows.h"

namespace convoy::robustness {

Rows conv_rows() {
  const Tensor x = zeros({1, 4, 8, 8}), w = zeros({6, 4, 3, 3}), b = zeros({6});
  const Tensor t = zeros({4, 6, 3, 3});
  Rows rows;
  const auto conv = [&](const char* argument, const ConvOptions& options, const std::string& words, Kind kind = Kind::kRuntime) {
    rows.push_back({std::string("conv.") + argument, [=] { (void)ops::conv(2, x, w, b, options); }, words, kind});
    rows.push_back({std::string("conv2d.") + argument, [=] { (void)ops::conv2d(x, w, b, options); }, words, kind});
    rows.push_back({std::string("conv1d.") + argument,
                    [=] {
                      (void)ops::conv1d(zeros({1, 4, 8}), zeros({6, 4, 3}), b, options);
                    },
                    "", kind});
    rows.push_back({std::string("conv3d.") + argument,
                    [=] {
                      (void)ops::conv3d(zeros({1, 4, 8, 8, 8}), zeros({6, 4, 3, 3, 3}), b, options);
                    },
                    "", kind});
    rows.push_back(
        {std::string("conv_shape.") + argument, [=] { (void)ops::conv_shape(2, x.shape(), w.shape(), options); }, words, kind});
    rows.push_back({std::string("conv_backward.") + argument,
                    [=] {
                      (void)ops::conv_backward(2, zeros({1, 6, 6, 6}), x, w, options);
                    },
                    words, kind});
  };
  conv("stride", {.stride = 0}, "non-positive stride is not supported");
  conv("stride", {.stride = {1, 1, 1, 1}},
       "expected stride to be a single integer value or a list of 2 values to match the convolution dimensions, but got stride=[1, "
       "1, 1, 1]");
  conv("padding", {.padding = -1}, "negative padding is not supported");
  conv("padding", {.padding = "foo"}, "Invalid padding string");
  conv("padding", {.stride = 2, .padding = "same"}, "padding='same' is not supported for strided convolutions");
  conv("padding", {.padding = IntList{1, 1, 1, 1}}, "expected padding to be a single integer value or a list of 2 values");
  conv("padding", {.padding = {{1, 0}, {1, 0}, {1, 0}, {1, 0}}}, "");
  conv("padding", {.padding = {{-1, 0}}}, "");
  conv("dilation", {.dilation = 0}, "dilation should be greater than zero");
  conv("dilation", {.dilation = IntList(std::vector<int64_t>{})},
       "expected dilation to be a single integer value or a list of 2 values to match the convolution dimensions, but got "
       "dilation=[]");
  conv("groups", {.groups = 0}, "non-positive groups is not supported");
  conv("groups", {.groups = 7}, "Given groups=7, expected weight to be at least 7 at dimension 0");
  conv("groups", {.groups = 4},
       "Given groups=4, expected weight to be divisible by 4 at dimension 0, but got weight of size [[6, 4, 3, 3]] instead");

  const auto deconv = [&](const char* argument, const ConvTransposeOptions& options, const std::string& words,
                          Kind kind = Kind::kRuntime) {
    rows.push_back(
        {std::string("conv_transpose.") + argument, [=] { (void)ops::conv_transpose(2, x, t, b, options); }, words, kind});
    rows.push_back(
        {std::string("conv_transpose2d.") + argument, [=] { (void)ops::conv_transpose2d(x, t, b, options); }, words, kind});
    rows.push_back({std::string("conv_transpose1d.") + argument,
                    [=] {
                      (void)ops::conv_transpose1d(zeros({1, 4, 8}), zeros({4, 6, 3}), b, options);
                    },
                    "", kind});
    rows.push_back({std::string("conv_transpose3d.") + argument,
                    [=] {
                      (void)ops::conv_transpose3d(zeros({1, 4, 8, 8, 8}), zeros({4, 6, 3, 3, 3}), b, options);
                    },
                    "", kind});
    rows.push_back({std::string("conv_transpose_shape.") + argument,
                    [=] { (void)ops::conv_transpose_shape(2, x.shape(), t.shape(), options); }, words, kind});
    rows.push_back({std::string("conv_transpose_backward.") + argument,
                    [=] {
                      (void)ops::conv_transpose_backward(2, zeros({1, 6, 10, 10}), x, t, options);
                    },
                    words, kind});
  };
  deconv("stride", {.stride = 0}, "non-positive stride is not supported");
  deconv("padding", {.padding = -1}, "negative padding is not supported");
  deconv("padding", {.padding = 40}, "Output size is too small");
  deconv("output_padding", {.output_padding = -1}, "negative output_padding is not supported");
  deconv("output_padding", {.output_padding = 1}, "output padding must be smaller than either stride or dilation");
  deconv("output_padding", {.output_padding = {0, 0, 0, 0}},
         "expected output_padding to be a single integer value or a list of 2 values");
  deconv("groups", {.groups = 0}, "non-positive groups is not supported");
  deconv("groups", {.groups = 3}, "expected weight to be divisible by 3 at dimension 0");
  deconv("dilation", {.dilation = 0}, "dilation should be greater than zero");
  deconv("output_size", {.output_size = {99, 99}}, "", Kind::kValue);
  deconv("output_size", {.output_size = {10, 10, 10, 10, 10, 10}}, "output_size must have", Kind::kValue);

  for (int rank = 1; rank <= 3; ++rank) {
    const std::string r = std::to_string(rank) + "d",
                      two = std::to_string(rank + 1) + "D (unbatched) or " + std::to_string(rank + 2) + "D (batched)";
    Shape input{1, 4}, weight{6, 4}, transposed{4, 6};
    for (int a = 0; a < rank; ++a) {
      input.push_back(8);
      weight.push_back(3);
      transposed.push_back(3);
    }
    Shape three = input;
    three[1] = 3;
    REFUSED("conv" + r + ".input", ops::conv(rank, zeros({8}), zeros(weight)),
            "Expected " + two + " input to conv" + r + ", but got input of size: [8]");
    REFUSED("conv" + r + ".weight", ops::conv(rank, zeros(three), zeros(weight)), "to have 4 channels, but got 3 channels instead");
    REFUSED("conv" + r + ".bias", ops::conv(rank, zeros(input), zeros(weight), zeros({1})),
            "expected bias to be 1-dimensional with 6 elements, but got bias of size [1] instead");
    REFUSED("conv_transpose" + r + ".input", ops::conv_transpose(rank, zeros({8}), zeros(transposed)),
            "Expected " + two + " input to conv_transpose" + r + ", but got input of size: [8]");
    REFUSED("conv_transpose" + r + ".weight", ops::conv_transpose(rank, zeros(three), zeros(transposed)),
            "to have 4 channels, but got 3 channels instead");
    REFUSED("conv_transpose" + r + ".bias", ops::conv_transpose(rank, zeros(input), zeros(transposed), zeros({1})),
            "expected bias to be 1-dimensional with 6 elements, but got bias of size [1] instead");
  }
  REFUSED("conv.rank", ops::conv(0, x, w), "");
  REFUSED("conv.rank", ops::conv(4, x, w), "");
  REFUSED("conv.input", ops::conv(2, {}, w), "");
  REFUSED("conv.input", ops::conv(2, doubles({1, 4, 8, 8}), w), "expected scalar type Double but found Float");
  REFUSED("conv.input", ops::conv(2, indices({1, 4, 8, 8}), indices({6, 4, 3, 3})), "");
  REFUSED("conv.input", ops::conv(2, zeros({1, 4, 2, 8}), w), "Kernel size can't be greater than actual input size");
  REFUSED("conv.weight", ops::conv(2, x, {}), "");
  REFUSED("conv.weight", ops::conv(2, x, zeros({6, 4, 3, 0})),
          "kernel size should be greater than zero, but got kernel_height: 3 kernel_width: 0");
  REFUSED("conv.bias", ops::conv(2, x, w, doubles({6})), "Input type (float) and bias type (double) should be the same");
  REFUSED("conv.bias", ops::conv(2, x, w, zeros({6, 1})),
          "expected bias to be 1-dimensional with 6 elements, but got bias of size [6, 1] instead");
  REFUSED("conv_backward.rank", ops::conv_backward(0, zeros({1, 6, 6, 6}), x, w), "");
  REFUSED("conv_backward.grad_output", ops::conv_backward(2, zeros({1, 6, 6, 5}), x, w), "");
  REFUSED("conv_backward.grad_output", ops::conv_backward(2, doubles({1, 6, 6, 6}), x, w), "");
  REFUSED("conv_backward.grad_output", ops::conv_backward(2, {}, x, w), "");
  REFUSED("conv_backward.input", ops::conv_backward(2, zeros({1, 6, 6, 6}), zeros({1, 5, 8, 8}), w), "");
  REFUSED("conv_backward.weight", ops::conv_backward(2, zeros({1, 6, 6, 6}), x, zeros({6})), "");
  REFUSED("conv_shape.rank", ops::conv_shape(7, x.shape(), w.shape()), "");
  REFUSED("conv_shape.input", ops::conv_shape(2, {8}, w.shape()), "Expected 3D (unbatched) or 4D (batched) input to conv2d");
  REFUSED("conv_shape.weight", ops::conv_shape(2, x.shape(), {6, 5, 3, 3}), "to have 5 channels, but got 4 channels instead");
  REFUSED("conv_transpose.rank", ops::conv_transpose(4, x, t), "");
  REFUSED("conv_transpose.input", ops::conv_transpose(2, {}, t), "");
  REFUSED("conv_transpose.input", ops::conv_transpose(2, doubles({1, 4, 8, 8}), t), "");
  REFUSED("conv_transpose.weight", ops::conv_transpose(2, x, {}), "");
  REFUSED("conv_transpose.bias", ops::conv_transpose(2, x, t, zeros({3})),
          "Given transposed=1, weight of size [4, 6, 3, 3], expected bias to be 1-dimensional with 6 elements, but got bias of "
          "size [3] instead");
  REFUSED("conv_transpose_backward.rank", ops::conv_transpose_backward(0, zeros({1, 6, 10, 10}), x, t), "");
  REFUSED("conv_transpose_backward.grad_output", ops::conv_transpose_backward(2, zeros({1, 6, 10, 9}), x, t), "");
  REFUSED("conv_transpose_backward.input", ops::conv_transpose_backward(2, zeros({1, 6, 10, 10}), zeros({1, 5, 8, 8}), t), "");
  REFUSED("conv_transpose_backward.weight", ops::conv_transpose_backward(2, zeros({1, 6, 10, 10}), x, zeros({4})), "");
  REFUSED("conv_transpose_shape.rank", ops::conv_transpose_shape(7, x.shape(), t.shape()), "");
  REFUSED("conv_transpose_shape.input", ops::conv_transpose_shape(2, {8}, t.shape()), "");
  REFUSED("conv_transpose_shape.weight", ops::conv_transpose_shape(2, x.shape(), {5, 6, 3, 3}), "");
  const ConvTransposeOptions reach{.stride = 2, .output_size = {99, 99}};
  REFUSED_VALUE("output_padding_for.output_size", ops::output_padding_for(2, {1, 4, 8, 8}, {3, 3}, reach),
                "requested an output size of (99, 99)");
  REFUSED_VALUE("padding_before.affine", ops::padding_before({doubles({2}), doubles({2})}), "no value becomes zero in channel 0");
  REFUSED("place_kernel.weight", ops::place_kernel(zeros({1, 1, 5, 5}), {3, 3}), "");
  REFUSED("place_kernel.kernel_size", ops::place_kernel(zeros({1, 1, 3, 3}), {3}), "");
  REFUSED("place_kernel.first_tap", ops::place_kernel(zeros({1, 1, 3, 3}), {5, 5}, {3, 0}), "");
  REFUSED_VALUE("average_pool_weight.channels", ops::average_pool_weight(3, {2, 2}, 2), "must be divisible by groups");
  REFUSED_VALUE("average_pool_weight.groups", ops::average_pool_weight(4, {2, 2}, 0), "must be divisible by groups");
  REFUSED("average_pool_weight.kernel_size", ops::average_pool_weight(4, {-2, 2}), "");
  REFUSED_VALUE("identity_weight.channels", ops::identity_weight(3, {3, 3}, 2), "must be divisible by groups");
  REFUSED_VALUE("identity_weight.groups", ops::identity_weight(4, {3, 3}, 0), "must be divisible by groups");
  REFUSED("identity_weight.kernel_size", ops::identity_weight(4, {-3, 3}), "");
  REFUSED("identity_weight.first_tap", ops::identity_weight(4, {3, 3}, 1, {3, 0}), "");
  return rows;
}

}  // namespace convoy::robustness
