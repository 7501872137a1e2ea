#include "convoy/nn/dropout.h"

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/random.h"

namespace convoy::nn {

Dropout::Dropout(const char* type, DropoutOptions options, bool whole_channels)
    : type_(type), options_(options), whole_channels_(whole_channels) {
  const double p = options_.p;
  if (!(p >= 0 && p <= 1)) {
    raise<ValueError>(
        "dropout probability has to be between 0 and 1, but got {}\n"
        "0.5 drops half of the values",
        python_text(options_.p));
  }
}

std::string Dropout::extra_repr() const {
  return formatted("p={}, inplace={}", python_text(options_.p), python_bool(options_.inplace));
}

Variable Dropout::forward(const Variable& input) {
  if (whole_channels_ && input.dim() < 2) {
    raise<Error>("Feature dropout requires at least 2 dimensions in the input\nthe input has shape {}", input.shape());
  }
  const double keep = 1 - options_.p.value();
  if (!is_training() || keep == 1 || input.numel() == 0) return input;
  Shape shape = input.shape();
  if (whole_channels_) std::fill(shape.begin() + 2, shape.end(), 1);
  Tensor scale = Tensor::zeros(shape, input.dtype());
  if (keep > 0) {
    Generator& generator = default_generator();
    const auto draw = [&](auto* values, auto kept) {
      for (int64_t i = 0; i < scale.numel(); ++i) values[i] = generator.uniform_double() < keep ? kept : 0;
    };
    if (input.dtype() == DType::kFloat64)
      draw(scale.data<double>(), 1 / keep);
    else
      draw(scale.data<float>(), 1 / static_cast<float>(keep));
  }
  return input * Variable(scale);
}

}  // namespace convoy::nn
