#include "convoy/plan/conv_plan.h"

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_reference.h"

namespace convoy::plan {

namespace {

shape::ConvShape one_sample(shape::ConvShape s) {
  s.batch = 1;
  return s;
}

// The cheapest algorithm that can run the shape. The reference closes every list, so there is one.
// shape must be essential().
const kernels::ConvKernel* choose(const shape::ConvShape& shape, Direction direction, std::vector<ConvCandidate>* candidates) {
  const shape::ConvShape sample = one_sample(shape);
  const kernels::Machine& machine = kernels::nominal_machine();
  const kernels::ConvKernel* best = nullptr;
  double best_seconds = 0;
  for (const kernels::ConvKernel* kernel : kernels::conv_kernels(direction)) {
    const char* reason = kernel->refuse(sample);
    const double seconds = reason == nullptr ? kernel->seconds(sample, machine) : 0;
    if (reason == nullptr && (best == nullptr || seconds < best_seconds)) {
      best = kernel;
      best_seconds = seconds;
    }
    if (candidates != nullptr) candidates->push_back({kernel, reason != nullptr ? reason : "", seconds});
  }
  return best;
}

template <class Io>
void run_best(const shape::ConvShape& plain, Direction direction,
              void (*kernels::ConvKernel::*run)(const kernels::ConvShape&, const Io&, Workspace&), const Io& io) {
  const shape::ConvShape shape = shape::essential(plain);
  const kernels::ConvKernel* kernel = choose(shape, direction, nullptr);
  Workspace workspace(kernel->workspace_bytes(shape, num_threads()));
  (kernel->*run)(shape, io, workspace);
}

}  // namespace

ConvPlan::ConvPlan(const shape::ConvShape& shape, Direction direction, std::string_view force)
    : shape_(shape::essential(shape)), direction_(direction) {
  kernel_ = choose(shape_, direction, &candidates_);
  if (force.empty()) return;
  std::string names;
  for (const ConvCandidate& candidate : candidates_) {
    if (candidate.kernel->name == force) {
      if (!candidate.rejected.empty()) {
        throw ValueError("algorithm '" + std::string(force) + "' cannot run this layer: " + candidate.rejected,
                         "the planner takes " + std::string(name()));
      }
      kernel_ = candidate.kernel;
      return;
    }
    names += (names.empty() ? "" : ", ") + std::string(candidate.kernel->name);
  }
  throw ValueError("there is no algorithm '" + std::string(force) + "' for " + kernels::direction_name(direction),
                   "there are " + names);
}

size_t ConvPlan::workspace_bytes() const { return kernel_->workspace_bytes(shape_, num_threads()); }

void ConvPlan::run(const kernels::ConvForward<float>& io) const {
  Workspace workspace(workspace_bytes());
  kernel_->forward(shape_, io, workspace);
}
void ConvPlan::run(const kernels::ConvGradInput<float>& io) const {
  Workspace workspace(workspace_bytes());
  kernel_->grad_input(shape_, io, workspace);
}
void ConvPlan::run(const kernels::ConvGradWeight<float>& io) const {
  Workspace workspace(workspace_bytes());
  kernel_->grad_weight(shape_, io, workspace);
}

Direction plain_direction(const shape::ConvShape& layer, Direction direction) {
  if (!layer.transposed || direction == Direction::kGradWeight) return direction;
  return direction == Direction::kForward ? Direction::kGradInput : Direction::kForward;
}

shape::ConvShape plain_shape(const shape::ConvShape& layer) { return layer.transposed ? shape::adjoint(layer) : layer; }

void run_conv(const shape::ConvShape& plain, const kernels::ConvForward<float>& io) {
  run_best(plain, Direction::kForward, &kernels::ConvKernel::forward, io);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradInput<float>& io) {
  run_best(plain, Direction::kGradInput, &kernels::ConvKernel::grad_input, io);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradWeight<float>& io) {
  run_best(plain, Direction::kGradWeight, &kernels::ConvKernel::grad_weight, io);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvForward<double>& io) {
  kernels::conv_reference(shape::essential(plain), io);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradInput<double>& io) {
  kernels::conv_reference(shape::essential(plain), io);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradWeight<double>& io) {
  kernels::conv_reference(shape::essential(plain), io);
}

}  // namespace convoy::plan
