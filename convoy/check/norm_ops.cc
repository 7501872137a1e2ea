#include "convoy/autograd/functions.h"
#include "convoy/check/op_table.h"

namespace convoy::check {
namespace {

Outputs run_batch_norm(Call& call) {
  const Arguments& args = call.args();
  const BatchNormOptions options{
      .training = args.flag("training", false), .momentum = args.number("momentum", 0.1), .eps = args.number("eps", 1e-5)};
  const Tensor running_mean = call.optional_constant("running_mean"), running_var = call.optional_constant("running_var");
  Outputs outputs{{"output", batch_norm(call.input("input"), running_mean, running_var, call.optional_input("weight"),
                                        call.optional_input("bias"), options)}};
  if (running_mean.defined()) outputs.emplace_back("running_mean", running_mean);
  if (running_var.defined()) outputs.emplace_back("running_var", running_var);
  return outputs;
}

Outputs run_group_norm(Call& call) {
  return {{"output", group_norm(call.input("input"), call.args().integer("num_groups"), call.optional_input("weight"),
                                call.optional_input("bias"), call.args().number("eps", 1e-5))}};
}

Outputs run_layer_norm(Call& call) {
  call.args().required("normalized_shape");
  return {{"output", layer_norm(call.input("input"), call.args().sizes("normalized_shape"), call.optional_input("weight"),
                                call.optional_input("bias"), call.args().number("eps", 1e-5))}};
}

Outputs run_instance_norm(Call& call) {
  const Arguments& args = call.args();
  if (!args.flag("use_input_stats", true)) throw BadCall("instance_norm with use_input_stats=False is not in the engine");
  args.number("momentum", 0.1);  // without running statistics it changes nothing
  return {{"output", instance_norm(call.input("input"), call.optional_input("weight"), call.optional_input("bias"),
                                   args.number("eps", 1e-5))}};
}

Outputs run_softmax(Call& call) { return {{"output", softmax(call.input("input"), call.args().integer("dim"))}}; }
Outputs run_log_softmax(Call& call) { return {{"output", log_softmax(call.input("input"), call.args().integer("dim"))}}; }

constexpr OpRow kRows[] = {
    {"batch_norm", run_batch_norm},       {"group_norm", run_group_norm}, {"layer_norm", run_layer_norm},
    {"instance_norm", run_instance_norm}, {"softmax", run_softmax},       {"log_softmax", run_log_softmax},
};

}  // namespace

std::span<const OpRow> norm_ops() { return kRows; }

}  // namespace convoy::check
