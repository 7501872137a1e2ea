// Pooling of float32.
#include "convoy/kernels/pool/pool.h"
#include "convoy/graph/step.h"
#include "convoy/graph/windows.h"
#include "convoy/kernels/conv/conv_depthwise.h"
#include "convoy/plan/conv_plan.h"
#include "convoy/shape/taps.h"

namespace convoy::graph {
namespace {

std::optional<shape::PoolShape> pool_shape(const StepSite& site) {
  const KnownType &input = site.input(0), &output = site.output(0);
  const auto rank = static_cast<int>(input.shape.size()) - 2;
  if (rank < 1 || rank > shape::kMaxSpatialRank || input.dtype != DType::kFloat32 || output.shape.size() != input.shape.size())
    return std::nullopt;
  shape::PoolShape s;
  s.rank = rank;
  s.batch = input.shape[0];
  s.channels = input.shape[1];
  s.ceil_mode = site.attributes().integer("ceil_mode", 0) != 0;
  const std::vector<int64_t> sizes{input.shape.begin() + 2, input.shape.end()};
  const auto axes = windows(site.attributes(), {}, sizes);
  if (!axes) return std::nullopt;
  for (size_t a = 0; a < sizes.size(); ++a) {
    s.input[static_cast<size_t>(s.first_axis()) + a] = sizes[a];
    s.axes[static_cast<size_t>(s.first_axis()) + a] = (*axes)[a];
  }
  const auto complete = shape::complete(s);
  if (!complete) return std::nullopt;
  Shape expected{complete->batch, complete->channels};
  for (int a = complete->first_axis(); a < shape::kMaxSpatialRank; ++a)
    expected.push_back(complete->output[static_cast<size_t>(a)]);
  return expected == output.shape ? std::optional(*complete) : std::nullopt;
}

StepPlan max_pool_step(const StepSite& site) {
  if (site.wants(1)) return {};
  const auto shape = pool_shape(site);
  if (!shape || !kernels::max_pool_values_fits(*shape)) return {};
  return {step_of([s = *shape](const StepIo& io) { kernels::max_pool_values(s, io.input<float>(0), io.output<float>(0)); })};
}

// Small windows that overlap, all of as many values: a depthwise convolution, which keeps rows in registers. Its sums are
// float32's.
class WindowMeanStep final : public Step {
 public:
  explicit WindowMeanStep(const shape::ConvShape& planes)
      : plan_(planes, plan::Direction::kForward, {.algorithm = "conv_depthwise"}),
        weight_(static_cast<size_t>(planes.taps()), 1.0F / static_cast<float>(planes.taps())) {}

  size_t workspace_bytes() const override { return plan_.workspace_bytes(); }
  std::string_view algorithm() const override { return plan_.name(); }

  void run(const StepIo& io) const noexcept override {
    plan_.run(kernels::ConvForward<float>{io.input<float>(0), weight_.data(), nullptr, io.output<float>(0)}, io.workspace);
  }

 private:
  plan::ConvPlan plan_;
  std::vector<float> weight_;
};

// The convolution of every plane by one weight that a pool's means are; nullopt where they are not, or are made as fast otherwise.
std::optional<shape::ConvShape> window_means(const shape::PoolShape& pool, bool count_include_pad) {
  constexpr int64_t kMostTaps = 5;  // of an axis
  shape::ConvShape s;
  s.rank = pool.rank;
  s.batch = pool.planes();
  s.in_channels = s.out_channels = 1;
  s.input = pool.input;
  s.axes = pool.axes;
  bool overlap = false;
  for (size_t a = 0; a < s.axes.size(); ++a) {
    const shape::Axis& axis = s.axes[a];
    const int64_t last = shape::input_index(pool.output[a] - 1, axis.kernel_size - 1, axis);
    // Beyond the padding windows have fewer values.
    if (axis.kernel_size > kMostTaps || axis.dilation != 1 || last >= pool.input[a] + axis.pad_end) return std::nullopt;
    if (!count_include_pad && (axis.pad_begin != 0 || axis.pad_end != 0)) return std::nullopt;
    overlap = overlap || axis.kernel_size > axis.stride;
  }
  const auto complete = shape::complete(s);
  if (!overlap || !complete || complete->output != pool.output) return std::nullopt;
  return kernels::kConvDepthwiseForward.refuse(shape::essential(*complete)) == nullptr ? std::optional(*complete) : std::nullopt;
}

StepPlan average_pool_step(const StepSite& site) {
  const auto shape = pool_shape(site);
  if (!shape) return {};
  for (const shape::Axis& axis : shape->axes) {
    if (axis.dilation != 1 || axis.pad_begin >= axis.kernel_size || axis.pad_end >= axis.kernel_size)
      return {};  // windows that see nothing
  }
  const kernels::AvgDivisor divisor{site.attributes().integer("count_include_pad", 0) != 0};
  if (const auto means = window_means(*shape, divisor.count_include_pad)) return {std::make_unique<WindowMeanStep>(*means)};
  return {
      step_of([s = *shape, divisor](const StepIo& io) { kernels::avg_pool(s, divisor, io.input<float>(0), io.output<float>(0)); })};
}

StepPlan planes_mean(const KnownType& input) {
  shape::AdaptivePoolShape s;
  s.rank = 1;
  s.batch = input.shape[0];
  s.channels = input.shape[1];
  for (size_t i = 2; i < input.shape.size(); ++i) s.input[2] *= input.shape[i];
  const auto complete = shape::complete(s);
  if (!complete || s.input[2] == 0) return {};
  return {step_of(
      [shape = *complete](const StepIo& io) { kernels::adaptive_avg_pool(shape, io.input<float>(0), io.output<float>(0)); })};
}

StepPlan global_average_pool_step(const StepSite& site) {
  if (site.input(0).shape.size() < 3 || site.input(0).dtype != DType::kFloat32) return {};
  return planes_mean(site.input(0));
}

// The mean over all axes behind the channels is global pooling.
StepPlan reduce_mean_step(const StepSite& site) {
  const KnownType& input = site.input(0);
  const auto rank = static_cast<int64_t>(input.shape.size());
  const Tensor* axes = site.constant(1);
  if (rank < 3 || input.dtype != DType::kFloat32 || axes == nullptr || !are_spatial(*axes, rank)) return {};
  return planes_mean(input);
}

}  // namespace

std::span<const StepMaker> pool_steps() {
  static constexpr StepMaker kRows[] = {
      {"MaxPool", max_pool_step},
      {"AveragePool", average_pool_step},
      {"GlobalAveragePool", global_average_pool_step},
      {"ReduceMean", reduce_mean_step},
  };
  return kRows;
}

}  // namespace convoy::graph
