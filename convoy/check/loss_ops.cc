#include "convoy/autograd/functions.h"
#include "convoy/check/op_table.h"

namespace convoy::check {
namespace {

Reduction reduction(const Arguments& args) {
  const std::string name = args.text("reduction", "mean");
  if (name == "mean") return Reduction::kMean;
  if (name == "sum") return Reduction::kSum;
  if (name == "none") return Reduction::kNone;
  throw BadCall("argument 'reduction' is '" + name + "', not 'mean', 'sum' or 'none'");
}

ClassLossOptions class_loss_options(const Arguments& args) {
  return {.reduction = reduction(args), .ignore_index = args.integer("ignore_index", -100)};
}

Outputs run_nll_loss(Call& call) {
  return {{"output", nll_loss(call.input("input"), call.constant("target"), class_loss_options(call.args()))}};
}

Outputs run_cross_entropy(Call& call) {
  ClassLossOptions options = class_loss_options(call.args());
  options.label_smoothing = call.args().number("label_smoothing", 0);
  return {{"output", cross_entropy(call.input("input"), call.constant("target"), options)}};
}

/// A loss between two tensors with no argument but its reduction.
template <Variable (*function)(const Variable&, const Tensor&, Reduction)>
Outputs run_pair(Call& call) {
  return {{"output", function(call.input("input"), call.constant("target"), reduction(call.args()))}};
}

Outputs run_smooth_l1_loss(Call& call) {
  return {{"output",
           smooth_l1_loss(call.input("input"), call.constant("target"), reduction(call.args()), call.args().number("beta", 1.0))}};
}

constexpr OpRow kRows[] = {
    {"nll_loss", run_nll_loss},
    {"cross_entropy", run_cross_entropy},
    {"mse_loss", run_pair<mse_loss>},
    {"l1_loss", run_pair<l1_loss>},
    {"smooth_l1_loss", run_smooth_l1_loss},
    {"binary_cross_entropy_with_logits", run_pair<binary_cross_entropy_with_logits>},
};

}  // namespace

std::span<const OpRow> loss_ops() { return kRows; }

}  // namespace convoy::check
