#include "convoy/autograd/functions.h"
#include "convoy/check/op_table.h"

namespace convoy::check {
namespace {

/// An activation without arguments; PyTorch's `inplace` does not change the result.
template <Variable (*function)(const Variable&)>
Outputs run_plain(Call& call) {
  call.args().flag("inplace", false);
  return {{"output", function(call.input("input"))}};
}

Outputs run_leaky_relu(Call& call) {
  call.args().flag("inplace", false);
  return {{"output", leaky_relu(call.input("input"), call.args().number("negative_slope", 0.01))}};
}

Outputs run_elu(Call& call) {
  call.args().flag("inplace", false);
  return {{"output", elu(call.input("input"), call.args().number("alpha", 1.0))}};
}

Outputs run_gelu(Call& call) {
  const std::string approximate = call.args().text("approximate", "none");
  if (approximate != "none") throw BadCall("gelu with approximate='" + approximate + "' is not in the engine");
  return {{"output", gelu(call.input("input"))}};
}

Outputs run_softplus(Call& call) {
  return {{"output", softplus(call.input("input"), call.args().number("beta", 1.0), call.args().number("threshold", 20.0))}};
}

Outputs run_hardtanh(Call& call) {
  call.args().flag("inplace", false);
  return {{"output", hardtanh(call.input("input"), call.args().number("min_val", -1.0), call.args().number("max_val", 1.0))}};
}

constexpr OpRow kRows[] = {
    {"relu", run_plain<relu>},           {"relu6", run_plain<relu6>},
    {"leaky_relu", run_leaky_relu},      {"elu", run_elu},
    {"silu", run_plain<silu>},           {"gelu", run_gelu},
    {"hardswish", run_plain<hardswish>}, {"hardsigmoid", run_plain<hardsigmoid>},
    {"sigmoid", run_plain<sigmoid>},     {"tanh", run_plain<tanh>},
    {"softplus", run_softplus},          {"mish", run_plain<mish>},
    {"hardtanh", run_hardtanh},
};

}  // namespace

std::span<const OpRow> elementwise_ops() { return kRows; }

}  // namespace convoy::check
