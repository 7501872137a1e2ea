// Pooling layers.
#pragma once

#include <string>
#include <utility>

#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"
#include "convoy/ops/pool.h"

namespace convoy::nn {

/// The largest value of each window. Shapes: (N, C, *) or (C, *).
/// Errors: the constructor refuses what can be known there, in the words that PyTorch uses when the layer runs; forward as
/// ops::max_pool. Source: torch.nn.MaxPool2d.
class MaxPool : public Module {
 public:
  std::string type() const override { return ranked("MaxPool", rank_); }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;
  /// PyTorch's return_indices: also where each value came from, for max_unpool.
  std::pair<Variable, Tensor> forward_with_indices(const Variable& input);

  const MaxPoolOptions& options() const { return options_; }
  int rank() const { return rank_; }

 protected:
  MaxPool(int rank, MaxPoolOptions options);

 private:
  int rank_;
  MaxPoolOptions options_;
};

class MaxPool1d : public MaxPool {
 public:
  explicit MaxPool1d(MaxPoolOptions options) : MaxPool(1, std::move(options)) {}
};
class MaxPool2d : public MaxPool {
 public:
  explicit MaxPool2d(MaxPoolOptions options) : MaxPool(2, std::move(options)) {}
};
class MaxPool3d : public MaxPool {
 public:
  explicit MaxPool3d(MaxPoolOptions options) : MaxPool(3, std::move(options)) {}
};

/// The average of each window. Shapes and errors as MaxPool. Source: torch.nn.AvgPool2d.
class AvgPool : public Module {
 public:
  std::string type() const override { return ranked("AvgPool", rank_); }
  std::string extra_repr() const override;
  std::string unprinted() const override;
  Variable forward(const Variable& input) override;

  const AvgPoolOptions& options() const { return options_; }
  int rank() const { return rank_; }

 protected:
  AvgPool(int rank, AvgPoolOptions options);

 private:
  int rank_;
  AvgPoolOptions options_;
};

class AvgPool1d : public AvgPool {
 public:
  explicit AvgPool1d(AvgPoolOptions options) : AvgPool(1, std::move(options)) {}
};
class AvgPool2d : public AvgPool {
 public:
  explicit AvgPool2d(AvgPoolOptions options) : AvgPool(2, std::move(options)) {}
};
class AvgPool3d : public AvgPool {
 public:
  explicit AvgPool3d(AvgPoolOptions options) : AvgPool(3, std::move(options)) {}
};

/// Arguments of LPPool1d and LPPool2d. norm_type and kernel_size are required; a stride that is not given is the kernel_size.
struct LPPoolOptions {
  Number norm_type = 0;
  IntList kernel_size = {};
  IntList stride = {};
  bool ceil_mode = false;
};

/// (sum over the window of x^p)^(1/p). Errors: as MaxPool, and a norm_type of 0. Source: torch.nn.LPPool2d.
class LPPool : public Module {
 public:
  std::string type() const override { return ranked("LPPool", rank_); }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;

  const LPPoolOptions& options() const { return options_; }
  int rank() const { return rank_; }

 protected:
  LPPool(int rank, LPPoolOptions options);

 private:
  int rank_;
  LPPoolOptions options_;
};

class LPPool1d : public LPPool {
 public:
  explicit LPPool1d(LPPoolOptions options) : LPPool(1, std::move(options)) {}
};
class LPPool2d : public LPPool {
 public:
  explicit LPPool2d(LPPoolOptions options) : LPPool(2, std::move(options)) {}
};

/// Argument of the adaptive layers; required.
struct AdaptivePoolOptions {
  OutputSize output_size = {};
};

/// Pools any input to the same output size: window i is [floor(i n / o), ceil((i + 1) n / o)).
/// Source: torch.nn.AdaptiveAvgPool2d, AdaptiveMaxPool2d.
class AdaptivePool : public Module {
 public:
  std::string type() const override { return ranked(maximum_ ? "AdaptiveMaxPool" : "AdaptiveAvgPool", rank_); }
  std::string extra_repr() const override { return "output_size=" + python_text(options_.output_size); }
  Variable forward(const Variable& input) override;

  const AdaptivePoolOptions& options() const { return options_; }
  int rank() const { return rank_; }

 protected:
  AdaptivePool(bool maximum, int rank, AdaptivePoolOptions options);

 private:
  bool maximum_;
  int rank_;
  AdaptivePoolOptions options_;
};

class AdaptiveAvgPool1d : public AdaptivePool {
 public:
  explicit AdaptiveAvgPool1d(AdaptivePoolOptions options) : AdaptivePool(false, 1, std::move(options)) {}
};
class AdaptiveAvgPool2d : public AdaptivePool {
 public:
  explicit AdaptiveAvgPool2d(AdaptivePoolOptions options) : AdaptivePool(false, 2, std::move(options)) {}
};
class AdaptiveAvgPool3d : public AdaptivePool {
 public:
  explicit AdaptiveAvgPool3d(AdaptivePoolOptions options) : AdaptivePool(false, 3, std::move(options)) {}
};
class AdaptiveMaxPool1d : public AdaptivePool {
 public:
  explicit AdaptiveMaxPool1d(AdaptivePoolOptions options) : AdaptivePool(true, 1, std::move(options)) {}
};
class AdaptiveMaxPool2d : public AdaptivePool {
 public:
  explicit AdaptiveMaxPool2d(AdaptivePoolOptions options) : AdaptivePool(true, 2, std::move(options)) {}
};
class AdaptiveMaxPool3d : public AdaptivePool {
 public:
  explicit AdaptiveMaxPool3d(AdaptivePoolOptions options) : AdaptivePool(true, 3, std::move(options)) {}
};

}  // namespace convoy::nn
