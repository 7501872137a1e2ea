#include "convoy/autograd/functions.h"
#include "convoy/check/op_table.h"

namespace convoy::check {
namespace {

MaxPoolOptions max_pool_options(const Arguments& args) {
  return {.kernel_size = args.required_axes("kernel_size"),
          .stride = args.axes("stride", {}),
          .padding = args.axes("padding", 0),
          .dilation = args.axes("dilation", 1),
          .ceil_mode = args.flag("ceil_mode", false)};
}

Outputs with_indices(std::pair<Variable, Tensor> result) {
  return {{"output", std::move(result.first)}, {"indices", Variable(std::move(result.second))}};
}

template <int rank>
Outputs run_max_pool(Call& call) {
  const MaxPoolOptions options = max_pool_options(call.args());
  if (call.args().flag("return_indices", false)) return with_indices(max_pool_with_indices(rank, call.input("input"), options));
  return {{"output", max_pool(rank, call.input("input"), options)}};
}

template <int rank>
Outputs run_max_pool_with_indices(Call& call) {
  call.args().flag("return_indices", true);
  return with_indices(max_pool_with_indices(rank, call.input("input"), max_pool_options(call.args())));
}

template <int rank>
Outputs run_avg_pool(Call& call) {
  const Arguments& args = call.args();
  AvgPoolOptions options{.kernel_size = args.required_axes("kernel_size"),
                         .stride = args.axes("stride", {}),
                         .padding = args.axes("padding", 0),
                         .ceil_mode = args.flag("ceil_mode", false),
                         .count_include_pad = args.flag("count_include_pad", true)};
  if (rank > 1 && args.find("divisor_override") != nullptr) options.divisor_override = args.integer("divisor_override");
  return {{"output", avg_pool(rank, call.input("input"), options)}};
}

template <int rank>
Outputs run_adaptive_avg_pool(Call& call) {
  return {{"output", adaptive_avg_pool(rank, call.input("input"), call.args().adaptive_size("output_size", rank))}};
}

template <int rank>
Outputs run_adaptive_max_pool(Call& call) {
  const AdaptiveSize size = call.args().adaptive_size("output_size", rank);
  if (call.args().flag("return_indices", false))
    return with_indices(adaptive_max_pool_with_indices(rank, call.input("input"), size));
  return {{"output", adaptive_max_pool(rank, call.input("input"), size)}};
}

template <int rank>
Outputs run_max_unpool(Call& call) {
  const Arguments& args = call.args();
  const MaxPoolOptions options{
      .kernel_size = args.required_axes("kernel_size"), .stride = args.axes("stride", {}), .padding = args.axes("padding", 0)};
  return {{"output", max_unpool(rank, call.input("input"), call.constant("indices"), options, args.sizes("output_size"))}};
}

template <int rank>
Outputs run_lp_pool(Call& call) {
  const Arguments& args = call.args();
  args.required("norm_type");
  return {{"output", lp_pool(rank, call.input("input"), args.number("norm_type", 2), args.required_axes("kernel_size"),
                             args.axes("stride", {}), args.flag("ceil_mode", false))}};
}

constexpr OpRow kRows[] = {
    {"max_pool1d", run_max_pool<1>},
    {"max_pool2d", run_max_pool<2>},
    {"max_pool3d", run_max_pool<3>},
    {"max_pool1d_with_indices", run_max_pool_with_indices<1>},
    {"max_pool2d_with_indices", run_max_pool_with_indices<2>},
    {"max_pool3d_with_indices", run_max_pool_with_indices<3>},
    {"avg_pool1d", run_avg_pool<1>},
    {"avg_pool2d", run_avg_pool<2>},
    {"avg_pool3d", run_avg_pool<3>},
    {"adaptive_avg_pool1d", run_adaptive_avg_pool<1>},
    {"adaptive_avg_pool2d", run_adaptive_avg_pool<2>},
    {"adaptive_avg_pool3d", run_adaptive_avg_pool<3>},
    {"adaptive_max_pool1d", run_adaptive_max_pool<1>},
    {"adaptive_max_pool2d", run_adaptive_max_pool<2>},
    {"adaptive_max_pool3d", run_adaptive_max_pool<3>},
    {"max_unpool1d", run_max_unpool<1>},
    {"max_unpool2d", run_max_unpool<2>},
    {"max_unpool3d", run_max_unpool<3>},
    {"lp_pool1d", run_lp_pool<1>},
    {"lp_pool2d", run_lp_pool<2>},
};

}  // namespace

std::span<const OpRow> pool_ops() { return kRows; }

}  // namespace convoy::check
