#include "convoy/nn/activation.h"

#include <cmath>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn {

namespace {

const char* inplace_text(bool inplace) { return inplace ? ", inplace=True" : ""; }

std::string dim_text(const SoftmaxOptions& options) {
  return "dim=" + (options.dim ? std::to_string(*options.dim) : std::string("None"));
}

int64_t softmax_dim(const SoftmaxOptions& options, const Variable& input) {
  if (options.dim) return *options.dim;
  return input.dim() == 0 || input.dim() == 1 || input.dim() == 3 ? 0 : 1;
}

}  // namespace

Variable PlainActivation::forward(const Variable& input) { return activation(kind_, input); }

GELU::GELU(GELUOptions options) : options_(std::move(options)) {
  if (options_.approximate != "none" && options_.approximate != "tanh") {
    raise<ValueError>("approximate argument must be either none or tanh.\napproximate is '{}'", options_.approximate);
  }
}

Variable GELU::forward(const Variable& input) {
  if (options_.approximate == "none") return gelu(input);
  const Variable inner = std::sqrt(2 / M_PI) * (input + 0.044715 * (input * square(input)));
  return 0.5 * (input + input * tanh(inner));
}

std::string LeakyReLU::extra_repr() const {
  return formatted("negative_slope={}{}", python_text(options_.negative_slope), inplace_text(options_.inplace));
}

Variable LeakyReLU::forward(const Variable& input) { return leaky_relu(input, options_.negative_slope); }

std::string ELU::extra_repr() const { return formatted("alpha={}{}", python_text(options_.alpha), inplace_text(options_.inplace)); }

Variable ELU::forward(const Variable& input) { return elu(input, options_.alpha); }

std::string Softplus::extra_repr() const {
  return formatted("beta={}, threshold={}", python_text(options_.beta), python_text(options_.threshold));
}

Variable Softplus::forward(const Variable& input) { return softplus(input, options_.beta, options_.threshold); }

Hardtanh::Hardtanh(HardtanhOptions options) : options_(options) {
  if (!(options_.max_val.value() > options_.min_val.value())) {
    raise<ValueError>(
        "Hardtanh needs min_val < max_val\n"
        "min_val is {}, max_val is {}",
        python_text(options_.min_val), python_text(options_.max_val));
  }
}

std::string Hardtanh::extra_repr() const {
  return formatted("min_val={}, max_val={}{}", python_text(options_.min_val), python_text(options_.max_val),
                   inplace_text(options_.inplace));
}

Variable Hardtanh::forward(const Variable& input) { return hardtanh(input, options_.min_val, options_.max_val); }

std::string Softmax::extra_repr() const { return dim_text(options_); }

Variable Softmax::forward(const Variable& input) { return softmax(input, softmax_dim(options_, input)); }

std::string LogSoftmax::extra_repr() const { return dim_text(options_); }

Variable LogSoftmax::forward(const Variable& input) { return log_softmax(input, softmax_dim(options_, input)); }

}  // namespace convoy::nn
