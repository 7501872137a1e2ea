#include "convoy/plan/conv_plan.h"

#include <cmath>
#include <cstdint>

#include "convoy/core/error.h"
#include "convoy/core/keep_num_threads.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/core/storage.h"
#include "convoy/kernels/conv/conv_reference.h"
#include "convoy/plan/fastest.h"

namespace convoy::plan {

namespace {

// A weight packed in the call is shared by the samples of a batch, and so is reading it. The choice must not depend on the batch:
// so many are assumed. (Small maps with many channels: F(4,3) is half as fast as F(2,3) with one sample, and nearly twice with 8.)
constexpr double kSamplesPerPacking = 2;
constexpr int64_t kTrainingSamples = 8;
// In training a single sample counts, too: packing for it can take ten times as long as another algorithm. With a third of the
// weight 512 channels at 7x7 would leave Winograd, which is an eighth faster with 8 samples.
constexpr double kSingleSample = 1.0 / 6;

// The cheapest algorithm that can run the shape, or the fastest one if it is to be measured. The reference closes every list, so
// there is one. shape must be essential().
const kernels::ConvKernel* choose(const shape::ConvShape& shape, Direction direction, const ConvPlanOptions& options,
                                  std::vector<ConvCandidate>* candidates) {
  // A sample's results must not depend on the batch it is in; a weight gradient is the batch's.
  shape::ConvShape sample = shape, samples = shape;
  if (direction != Direction::kGradWeight) {
    sample.batch = 1;
    samples.batch = options.training ? kTrainingSamples : 1;
  }
  const double share = direction == Direction::kGradWeight ? 1 : static_cast<double>(samples.batch);
  const double packings = options.training ? 1 : options.packed ? 0 : 1 / kSamplesPerPacking;
  kernels::Machine machine = kernels::nominal_machine();
  machine.weights_far = options.weights_far;
  // Sizes in memory must not wrap around where addresses have 32 bits: Winograd packs a weight into up to 6 times its bytes (F(4,3)
  // for 5x5 at a stride of 2), and padding adds some.
  constexpr uint64_t kMostPacked = 16;
  const bool too_large = shape.taps() > 1 && static_cast<uint64_t>(shape.weight_count()) * sizeof(float) > SIZE_MAX / kMostPacked;
  const bool measure = options.measured && options.algorithm.empty();
  std::vector<ConvCandidate> own;
  if (measure && candidates == nullptr) candidates = &own;
  const kernels::ConvKernel* best = nullptr;
  double best_seconds = 0;
  for (const kernels::ConvKernel* kernel : kernels::conv_kernels(direction)) {
    const char* reason = kernel->refuse(sample);
    if (too_large && reason == nullptr && kernel->pack != nullptr)
      reason = "needs a smaller weight: packed it may pass what addresses reach";
    double seconds = 0;
    if (reason == nullptr) {
      seconds = kernel->seconds(samples, machine);
      const double pack = packings > 0 && kernel->pack_seconds != nullptr ? kernel->pack_seconds(sample, machine) * packings : 0;
      seconds = (seconds + pack) / share;
      if (options.training && direction != Direction::kGradWeight) {
        seconds = std::pow(kernel->seconds(sample, machine) + pack, kSingleSample) * std::pow(seconds, 1 - kSingleSample);
      }
      const bool accurate = kernel->accuracy <= options.accuracy;
      if (accurate && (best == nullptr || seconds < best_seconds)) {
        best = kernel;
        best_seconds = seconds;
      }
      if (!accurate) reason = kernel->accuracy == Accuracy::kFast ? "needs accuracy fast" : "needs accuracy default";
    }
    if (candidates != nullptr) candidates->push_back({kernel, reason != nullptr ? reason : "", seconds});
  }
  return measure ? fastest(shape, direction, options, *candidates) : best;
}

// A weight packed into the front of the memory of one call.
template <class Io>
void run_packing(const kernels::ConvKernel& kernel, const shape::ConvShape& shape,
                 void (*kernels::ConvKernel::*run)(const kernels::ConvShape&, const Io&, Workspace&), const Io& io,
                 Workspace& workspace) {
  const KeepNumThreads kept;  // kernels ask for the count more than once
  if constexpr (requires { io.packed; }) {
    if (kernel.pack != nullptr && io.packed == nullptr) {
      Io with_packed = io;
      auto* packed = workspace.take<float>(static_cast<int64_t>(kernel.packed_bytes(shape) / sizeof(float)));
      kernel.pack(shape, io.weight, packed);
      with_packed.packed = packed;
      (kernel.*run)(shape, with_packed, workspace);
      return;
    }
  }
  (kernel.*run)(shape, io, workspace);
}

template <class Io>
size_t call_bytes(const kernels::ConvKernel& kernel, const shape::ConvShape& shape, const Io& io) {
  size_t bytes = kernel.workspace_bytes(shape, num_threads());
  if constexpr (requires { io.packed; }) {
    if (kernel.pack != nullptr && io.packed == nullptr) bytes += padded_bytes(kernel.packed_bytes(shape));
  }
  return bytes;
}

template <class Io>
void run_once(const kernels::ConvKernel& kernel, const shape::ConvShape& shape,
              void (*kernels::ConvKernel::*run)(const kernels::ConvShape&, const Io&, Workspace&), const Io& io) {
  const KeepNumThreads kept;
  Workspace workspace(call_bytes(kernel, shape, io));
  run_packing(kernel, shape, run, io, workspace);
}

template <class Io>
void run_best(const shape::ConvShape& plain, Direction direction,
              void (*kernels::ConvKernel::*run)(const kernels::ConvShape&, const Io&, Workspace&), const Io& io, bool training) {
  const shape::ConvShape shape = shape::essential(plain);
  ConvPlanOptions options;
  options.packed = false;
  options.training = training;
  run_once(*choose(shape, direction, options, nullptr), shape, run, io);
}

}  // namespace

ConvPlan::ConvPlan(const shape::ConvShape& shape, Direction direction, const ConvPlanOptions& options)
    : shape_(shape::essential(shape)), direction_(direction) {
  kernel_ = choose(shape_, direction, options, &candidates_);
  if (options.algorithm.empty()) return;
  std::string names;
  for (const ConvCandidate& candidate : candidates_) {
    if (candidate.kernel->name == options.algorithm) {
      if (!candidate.rejected.empty()) {
        raise<ValueError>(
            "algorithm '{}' cannot run this layer: {}\n"
            "the planner takes {}",
            options.algorithm, candidate.rejected, name());
      }
      kernel_ = candidate.kernel;
      return;
    }
    names += (names.empty() ? "" : ", ") + std::string(candidate.kernel->name);
  }
  raise<ValueError>(
      "there is no algorithm '{}' for {}\n"
      "there are {}",
      options.algorithm, kernels::direction_name(direction), names);
}

size_t ConvPlan::workspace_bytes() const { return kernel_->workspace_bytes(shape_, num_threads()); }

PackedWeight ConvPlan::pack(const float* weight) const {
  PackedWeight packed;
  if (kernel_->pack == nullptr) return packed;
  packed.bytes_ = packed_bytes();
  packed.memory_ = allocate(packed.bytes_);
  auto* data = static_cast<float*>(packed.memory_.get());
  pack(weight, data);
  packed.data_ = data;
  return packed;
}

void ConvPlan::pack(const float* weight, float* packed) const {
  if (kernel_->pack != nullptr) kernel_->pack(shape_, weight, packed);
}

void ConvPlan::run(const kernels::ConvForward<float>& io) const { run_once(*kernel_, shape_, &kernels::ConvKernel::forward, io); }
void ConvPlan::run(const kernels::ConvGradInput<float>& io) const {
  run_once(*kernel_, shape_, &kernels::ConvKernel::grad_input, io);
}
void ConvPlan::run(const kernels::ConvGradWeight<float>& io) const {
  run_once(*kernel_, shape_, &kernels::ConvKernel::grad_weight, io);
}
void ConvPlan::run(const kernels::ConvForward<float>& io, Workspace& workspace) const {
  workspace.clear();
  run_packing(*kernel_, shape_, &kernels::ConvKernel::forward, io, workspace);
}
void ConvPlan::run(const kernels::ConvGradInput<float>& io, Workspace& workspace) const {
  workspace.clear();
  run_packing(*kernel_, shape_, &kernels::ConvKernel::grad_input, io, workspace);
}
void ConvPlan::run(const kernels::ConvGradWeight<float>& io, Workspace& workspace) const {
  workspace.clear();
  run_packing(*kernel_, shape_, &kernels::ConvKernel::grad_weight, io, workspace);
}

void ConvPlan::run(float* input, float* weight, const float* packed, float* output, Workspace& workspace) const {
  switch (direction_) {
    case Direction::kForward:
      return run(kernels::ConvForward<float>{input, weight, nullptr, output, {}, packed}, workspace);
    case Direction::kGradInput:
      return run(kernels::ConvGradInput<float>{output, weight, nullptr, input, {}, packed}, workspace);
    case Direction::kGradWeight:
      return run(kernels::ConvGradWeight<float>{input, output, weight}, workspace);
  }
}

Direction plain_direction(const shape::ConvShape& layer, Direction direction) {
  if (!layer.transposed || direction == Direction::kGradWeight) return direction;
  return direction == Direction::kForward ? Direction::kGradInput : Direction::kForward;
}

shape::ConvShape plain_shape(const shape::ConvShape& layer) { return layer.transposed ? shape::adjoint(layer) : layer; }

void run_conv(const shape::ConvShape& plain, const kernels::ConvForward<float>& io, bool training) {
  run_best(plain, Direction::kForward, &kernels::ConvKernel::forward, io, training);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradInput<float>& io, bool training) {
  run_best(plain, Direction::kGradInput, &kernels::ConvKernel::grad_input, io, training);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradWeight<float>& io) {
  run_best(plain, Direction::kGradWeight, &kernels::ConvKernel::grad_weight, io, true);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvForward<double>& io, bool) {
  kernels::conv_reference(shape::essential(plain), io);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradInput<double>& io, bool) {
  kernels::conv_reference(shape::essential(plain), io);
}
void run_conv(const shape::ConvShape& plain, const kernels::ConvGradWeight<double>& io) {
  kernels::conv_reference(shape::essential(plain), io);
}

}  // namespace convoy::plan
