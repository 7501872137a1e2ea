#include "convoy/autograd/functions.h"
#include "convoy/check/op_table.h"

namespace convoy::check {
namespace {

template <int rank>
Outputs run_conv(Call& call) {
  const Arguments& args = call.args();
  const ConvOptions options{.stride = args.axes("stride", 1),
                            .padding = args.padding("padding"),
                            .dilation = args.axes("dilation", 1),
                            .groups = args.integer("groups", 1),
                            .padding_mode = parse_padding_mode(args.text("padding_mode", "zeros"))};
  return {{"output", conv(rank, call.input("input"), call.input("weight"), call.optional_input("bias"), options)}};
}

template <int rank>
Outputs run_conv_transpose(Call& call) {
  const Arguments& args = call.args();
  const ConvTransposeOptions options{.stride = args.axes("stride", 1),
                                     .padding = args.axes("padding", 0),
                                     .output_padding = args.axes("output_padding", 0),
                                     .groups = args.integer("groups", 1),
                                     .dilation = args.axes("dilation", 1),
                                     .output_size = args.sizes("output_size")};
  return {{"output", conv_transpose(rank, call.input("input"), call.input("weight"), call.optional_input("bias"), options)}};
}

Outputs run_linear(Call& call) {
  return {{"output", linear(call.input("input"), call.input("weight"), call.optional_input("bias"))}};
}

constexpr OpRow kRows[] = {
    {"conv1d", run_conv<1>},
    {"conv2d", run_conv<2>},
    {"conv3d", run_conv<3>},
    {"conv_transpose1d", run_conv_transpose<1>},
    {"conv_transpose2d", run_conv_transpose<2>},
    {"conv_transpose3d", run_conv_transpose<3>},
    {"linear", run_linear},
};

}  // namespace

std::span<const OpRow> conv_ops() { return kRows; }

}  // namespace convoy::check
