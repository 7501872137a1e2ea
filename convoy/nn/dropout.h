// Dropout layers.
#pragma once

#include <string>

#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"

namespace convoy::nn {

struct DropoutOptions {
  Number p = 0.5;
  bool inplace = false;
};

/// In training, sets each value to 0 with probability p and scales the others by 1 / (1 - p); in evaluation, nothing.
/// The numbers come from default_generator() and are PyTorch's for the same seed (its build without MKL).
/// Errors: ValueError "dropout probability has to be between 0 and 1, but got 1.5". Source: torch.nn.Dropout.
class Dropout : public Module {
 public:
  explicit Dropout(DropoutOptions options = {}) : Dropout("Dropout", options, false) {}
  std::string type() const override { return type_; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  const DropoutOptions& options() const { return options_; }

 protected:
  Dropout(const char* type, DropoutOptions options, bool whole_channels);

 private:
  const char* type_;
  DropoutOptions options_;
  bool whole_channels_;
};

/// Dropout of whole channels. Shapes: (N, C, *). Source: torch.nn.Dropout2d.
class Dropout2d : public Dropout {
 public:
  explicit Dropout2d(DropoutOptions options = {}) : Dropout("Dropout2d", options, true) {}
};

}  // namespace convoy::nn
