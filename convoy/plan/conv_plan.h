// Which convolution algorithm, why, and what it needs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/kernels/conv/conv_kernel.h"
#include "convoy/shape/conv.h"

namespace convoy::plan {

using kernels::Direction;

/// One algorithm as the planner saw it.
struct ConvCandidate {
  const kernels::ConvKernel* kernel = nullptr;
  std::string rejected;  // the reason, empty if it can run
  double seconds = 0;    // predicted on a nominal machine, one sample and thread; 0 if rejected
};

/// The chosen algorithm for one direction of a plain (not transposed) float32 convolution.
///
/// The choice depends on the shape of one sample and on the instruction set alone, never on the batch, the thread count or a
/// measurement, so that neither can change a result's bits.
class ConvPlan {
 public:
  /// `force`: the name of the algorithm to take. Errors: ValueError if there is none of that name or it cannot run the shape.
  ConvPlan(const shape::ConvShape& shape, Direction direction, std::string_view force = {});

  const shape::ConvShape& shape() const { return shape_; }
  Direction direction() const { return direction_; }
  const char* name() const { return kernel_->name; }
  /// All algorithms of the list in its order.
  const std::vector<ConvCandidate>& candidates() const { return candidates_; }
  /// Scratch memory that run allocates, for the current thread count.
  size_t workspace_bytes() const;

  /// Runs it. The overload must fit the direction.
  void run(const kernels::ConvForward<float>& io) const;
  void run(const kernels::ConvGradInput<float>& io) const;
  void run(const kernels::ConvGradWeight<float>& io) const;

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

/// Computes without a plan's bookkeeping: float32 through the best algorithm, float64 by the reference.
void run_conv(const shape::ConvShape& plain, const kernels::ConvForward<float>& io);
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradInput<float>& io);
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradWeight<float>& io);
void run_conv(const shape::ConvShape& plain, const kernels::ConvForward<double>& io);
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradInput<double>& io);
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradWeight<double>& io);

}  // namespace convoy::plan
