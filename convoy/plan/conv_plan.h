// Which convolution algorithm, why, and what it needs.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/core/accuracy.h"
#include "convoy/core/measured_plans.h"
#include "convoy/core/workspace.h"
#include "convoy/kernels/conv/conv_kernel.h"
#include "convoy/shape/conv.h"

namespace convoy::plan {

using kernels::Direction;

/// One algorithm as the planner saw it.
struct ConvCandidate {
  const kernels::ConvKernel* kernel = nullptr;
  std::string rejected;  // the reason, empty if it can run at this accuracy
  double seconds = 0;    // predicted on a nominal machine, one sample (grad_weight: all) and thread; 0 if rejected
  double measured = 0;   // seconds of a call here, if the plan measured it
};

/// What a plan is made for.
struct ConvPlanOptions {
  std::string_view algorithm;  // the name of the algorithm to take; empty: the planner's choice
  Accuracy accuracy = convoy::accuracy();
  bool packed = true;        // weights are packed once and used again; false: the choice counts packing as part of a call
  bool training = false;     // not packed, and called with batches: packing and reading a weight is shared by several samples
  bool weights_far = false;  // the layer is one of many, whose weights together no cache holds
  bool measured = measured_plans();  // the choice is the fastest on this machine, found by running them
};

/// A weight in the order of one plan's algorithm. Cheap to copy; the memory is shared and lives as long as any copy.
class PackedWeight {
 public:
  PackedWeight() = default;
  const float* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  friend class ConvPlan;
  std::shared_ptr<void> memory_;
  const float* data_ = nullptr;
  size_t bytes_ = 0;
};

/// The chosen algorithm for one direction of a plain (not transposed) float32 convolution.
///
/// The choice depends on the shape of one sample (grad_weight, which sums over the batch: of all), the options and the instruction
/// set alone, never on the thread count or a measurement, so that neither can change a result's bits; unless options.measured asks
/// for it.
class ConvPlan {
 public:
  /// Errors: ValueError if there is no algorithm of the name asked for, or it cannot run the shape.
  ConvPlan(const shape::ConvShape& shape, Direction direction, const ConvPlanOptions& options = {});

  const shape::ConvShape& shape() const { return shape_; }
  Direction direction() const { return direction_; }
  const char* name() const { return kernel_->name; }
  const kernels::ConvKernel& kernel() const { return *kernel_; }
  /// Whether a call may ask for pooling (kernels::Epilogue).
  bool pools() const { return kernel_->pools != nullptr && kernel_->pools(shape_); }
  /// All algorithms of the list in its order.
  const std::vector<ConvCandidate>& candidates() const { return candidates_; }
  /// Size of the packed weight; 0 if the algorithm reads the weight as it is.
  size_t packed_bytes() const { return kernel_->packed_bytes != nullptr ? kernel_->packed_bytes(shape_) : 0; }
  /// Packs a weight once for any number of calls. Empty if the algorithm reads the weight as it is: then the weight must stay.
  PackedWeight pack(const float* weight) const;
  /// The same into memory of the caller's: packed_bytes(), aligned to 64 bytes.
  void pack(const float* weight, float* packed) const;
  /// Scratch memory of one call with a packed weight, for the current thread count; without one, packed_bytes() more.
  size_t workspace_bytes() const;

  /// Runs it on this plan's shape; io.packed is from pack(), or null: the weight is then packed in the call. The overload must fit
  /// the direction. `workspace`: at least workspace_bytes(), asked at the same thread count; without it memory is taken from the
  /// cache of freed blocks.
  void run(const kernels::ConvForward<float>& io) const;
  void run(const kernels::ConvGradInput<float>& io) const;
  void run(const kernels::ConvGradWeight<float>& io) const;
  void run(const kernels::ConvForward<float>& io, Workspace& workspace) const;
  void run(const kernels::ConvGradInput<float>& io, Workspace& workspace) const;
  void run(const kernels::ConvGradWeight<float>& io, Workspace& workspace) const;
  /// The call whose data are `input`, `weight` and `output` of the layer, in whichever direction.
  void run(float* input, float* weight, const float* packed, float* output, Workspace& workspace) const;

 private:
  shape::ConvShape shape_;
  Direction direction_;
  const kernels::ConvKernel* kernel_ = nullptr;
  std::vector<ConvCandidate> candidates_;
};

/// The layer's direction as a plain convolution's: a transposed layer's forward pass is the adjoint's grad_input, and so on.
Direction plain_direction(const shape::ConvShape& layer, Direction direction);
/// The layer as a plain convolution (itself unless transposed).
shape::ConvShape plain_shape(const shape::ConvShape& layer);

/// Computes without a plan's bookkeeping: float32 through the best algorithm (its weight packed in the call; `training`: as in
/// ConvPlanOptions), float64 by the reference.
void run_conv(const shape::ConvShape& plain, const kernels::ConvForward<float>& io, bool training = false);
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradInput<float>& io, bool training = false);
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradWeight<float>& io);
void run_conv(const shape::ConvShape& plain, const kernels::ConvForward<double>& io, bool training = false);
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradInput<double>& io, bool training = false);
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradWeight<double>& io);

}  // namespace convoy::plan
