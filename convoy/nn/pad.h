// Padding layers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "convoy/nn/layer_options.h"
#include "convoy/nn/module.h"
#include "convoy/ops/pad.h"

namespace convoy::nn {

/// padding is required: one number for every side, or (left, right, top, bottom, front, back) as far as there are axes.
struct PadLayerOptions {
  IntList padding = {};
};

/// Both are required.
struct ConstantPadOptions {
  IntList padding = {};
  Number value = 0.0;
};

/// Adds rows around the input. Shapes: (N, C, *) or (C, *). Errors: a list of another length than 2 per axis; those of ops::pad.
/// Source: torch.nn.ZeroPad2d, ConstantPad2d, ReflectionPad2d, ReplicationPad2d.
class Pad : public Module {
 public:
  std::string type() const override { return type_; }
  std::string extra_repr() const override;
  Variable forward(const Variable& input) override;

  int rank() const { return rank_; }
  PadMode mode() const { return mode_; }
  /// (left, right, top, bottom, front, back).
  const std::vector<int64_t>& padding() const { return padding_; }
  const Number& value() const { return value_; }

 protected:
  Pad(std::string type, int rank, PadMode mode, const IntList& padding, Number value, bool prints_value);

 private:
  std::string type_;
  int rank_;
  PadMode mode_;
  std::vector<int64_t> padding_;
  Number value_;
  bool prints_value_;
};

class ZeroPad2d : public Pad {
 public:
  explicit ZeroPad2d(const PadLayerOptions& o) : Pad("ZeroPad2d", 2, PadMode::kConstant, o.padding, 0.0, false) {}
};
class ConstantPad1d : public Pad {
 public:
  explicit ConstantPad1d(const ConstantPadOptions& o) : Pad("ConstantPad1d", 1, PadMode::kConstant, o.padding, o.value, true) {}
};
class ConstantPad2d : public Pad {
 public:
  explicit ConstantPad2d(const ConstantPadOptions& o) : Pad("ConstantPad2d", 2, PadMode::kConstant, o.padding, o.value, true) {}
};
class ConstantPad3d : public Pad {
 public:
  explicit ConstantPad3d(const ConstantPadOptions& o) : Pad("ConstantPad3d", 3, PadMode::kConstant, o.padding, o.value, true) {}
};
class ReflectionPad1d : public Pad {
 public:
  explicit ReflectionPad1d(const PadLayerOptions& o) : Pad("ReflectionPad1d", 1, PadMode::kReflect, o.padding, 0.0, false) {}
};
class ReflectionPad2d : public Pad {
 public:
  explicit ReflectionPad2d(const PadLayerOptions& o) : Pad("ReflectionPad2d", 2, PadMode::kReflect, o.padding, 0.0, false) {}
};
class ReflectionPad3d : public Pad {
 public:
  explicit ReflectionPad3d(const PadLayerOptions& o) : Pad("ReflectionPad3d", 3, PadMode::kReflect, o.padding, 0.0, false) {}
};
class ReplicationPad1d : public Pad {
 public:
  explicit ReplicationPad1d(const PadLayerOptions& o) : Pad("ReplicationPad1d", 1, PadMode::kReplicate, o.padding, 0.0, false) {}
};
class ReplicationPad2d : public Pad {
 public:
  explicit ReplicationPad2d(const PadLayerOptions& o) : Pad("ReplicationPad2d", 2, PadMode::kReplicate, o.padding, 0.0, false) {}
};
class ReplicationPad3d : public Pad {
 public:
  explicit ReplicationPad3d(const PadLayerOptions& o) : Pad("ReplicationPad3d", 3, PadMode::kReplicate, o.padding, 0.0, false) {}
};

}  // namespace convoy::nn
