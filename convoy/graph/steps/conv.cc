// Convolutions with a plan and a weight packed once, and linear layers, which are convolutions of one position.
#include "convoy/core/formatted.h"
#include "convoy/core/parallel.h"
#include "convoy/graph/fused.h"
#include "convoy/graph/steps/packed_step.h"
#include "convoy/graph/windows.h"
#include "convoy/kernels/conv/conv_affine_pointwise.h"
#include "convoy/kernels/conv/conv_expand_depthwise.h"
#include "convoy/kernels/conv/conv_inverted_residual.h"
#include "convoy/kernels/conv/linear_paired.h"
#include "convoy/kernels/pool/pool.h"
#include "convoy/plan/conv_plan.h"
#include "convoy/shape/descriptor.h"

namespace convoy::graph {
namespace {

// Layers that differ in the batch alone want the same bytes of a weight.
shape::ConvShape sample_of(shape::ConvShape shape) {
  shape.batch = 1;
  return shape;
}

std::string packing_form(const plan::ConvPlan& plan, bool transposed) {
  return std::string(plan.name()) + (transposed ? " grad_input " : " ") +
         std::string(shape::descriptor(sample_of(plan.shape())).view());
}

void set_activation(kernels::Epilogue<float>& epilogue, const std::optional<ActivationOf>& activation) {
  if (!activation) return;
  epilogue.activation = activation->kind;
  epilogue.options = activation->options;
}

// Input i is left out, or holds a number per channel.
bool holds_channels(const StepSite& site, size_t i, int64_t channels) {
  return !site.has(i) || site.input(i).shape == Shape{channels};
}

// A step whose weight, input 1, is packed as a plan reads it. packed: once, for all runs; else the plan does it.
class PlannedStep : public PackedStep {
 protected:
  explicit PlannedStep(plan::ConvPlan plan, bool transposed = false, bool packed = true)
      : PackedStep({1, packed ? plan.packed_bytes() : 0, packing_form(plan, transposed)}), plan_(std::move(plan)) {}

  const plan::ConvPlan& plan() const { return plan_; }

 private:
  void pack_values(const float* weight, float* packed) const noexcept override { plan_.pack(weight, packed); }

  plan::ConvPlan plan_;
};

class ConvStep final : public PlannedStep {
 public:
  // `shape` is the layer's; its plan is that of the plain convolution.
  ConvStep(const shape::ConvShape& shape, const StepSite& site)
      : PlannedStep(plan::ConvPlan(plan::plain_shape(shape), plan::plain_direction(shape, plan::Direction::kForward),
                                   {.packed = site.is_constant(1), .weights_far = site.weights_far()}),
                    shape.transposed, site.is_constant(1)),
        transposed_(shape.transposed) {
    set_activation(epilogue_, fused_activation(site.attributes()));
  }

  size_t workspace_bytes() const override {
    return plan().workspace_bytes() + (packing() == nullptr ? padded_bytes(plan().packed_bytes()) : 0);
  }
  std::string_view algorithm() const override { return plan().name(); }
  /// Input 3 may lie where output 0 does.
  bool residual_in_place() const {
    const auto may = plan().kernel().residual_in_place;
    return may != nullptr && may(plan().shape());
  }

  void run(const StepIo& io) const noexcept override {
    kernels::Epilogue<float> epilogue = epilogue_;
    epilogue.residual = io.input<float>(3);
    const auto *input = io.input<float>(0), *weight = io.input<float>(1), *bias = io.input<float>(2);
    if (transposed_) {
      plan().run(kernels::ConvGradInput<float>{input, weight, bias, io.output<float>(0), epilogue, packed(io)}, io.workspace);
    } else {
      plan().run(kernels::ConvForward<float>{input, weight, bias, io.output<float>(0), epilogue, packed(io)}, io.workspace);
    }
  }

 private:
  bool transposed_;
  kernels::Epilogue<float> epilogue_;
};

class AffineConvStep final : public PlannedStep {
 public:
  AffineConvStep(const shape::ConvShape& shape, const std::optional<ActivationOf>& between,
                 const std::optional<ActivationOf>& activation)
      : PlannedStep(
            plan::ConvPlan(kernels::affine_pointwise_packed(shape), plan::Direction::kForward, {.algorithm = "conv_pointwise"})),
        shape_(shape) {
    set_activation(between_, between);
    set_activation(epilogue_, activation);
  }

  size_t workspace_bytes() const override { return kernels::affine_pointwise_workspace_bytes(shape_, num_threads()); }
  std::string_view algorithm() const override { return "conv_affine_pointwise"; }

  void run(const StepIo& io) const noexcept override {
    kernels::affine_pointwise(
        shape_, {io.input<float>(0), io.input<float>(3), io.input<float>(4), packed(io), io.input<float>(2), io.output<float>(0)},
        between_, epilogue_, io.workspace);
  }

 private:
  shape::ConvShape shape_;
  kernels::Epilogue<float> between_, epilogue_;
};

// Pools in the kernel, or, where the plan has become another than the pass saw (accuracy, measured plans), behind it.
class PooledConvStep final : public PlannedStep {
 public:
  // both: the map that is pooled is wanted, too.
  PooledConvStep(const shape::ConvShape& shape, const shape::PoolShape& pool, kernels::Pool2x2 how, bool both,
                 const std::optional<ActivationOf>& activation)
      : PlannedStep(plan::ConvPlan(shape, plan::Direction::kForward)),
        pool_(pool),
        how_(how),
        behind_(!plan().pools()),
        both_(both),
        own_map_(behind_ && !both ? shape.output_count() : 0) {
    set_activation(epilogue_, activation);
  }

  size_t workspace_bytes() const override {
    return plan().workspace_bytes() + padded_bytes(static_cast<size_t>(own_map_) * sizeof(float));
  }
  std::string_view algorithm() const override { return plan().name(); }

  void run(const StepIo& io) const noexcept override {
    const float* const weight = packed(io);
    auto *const pooled = io.output<float>(0), *map = both_ ? io.output<float>(1) : nullptr;
    if (own_map_ > 0) map = io.workspace.take<float>(own_map_);
    kernels::Epilogue<float> epilogue = epilogue_;
    if (!behind_) {
      epilogue.pool = how_;
      epilogue.pooled = pooled;
    }
    plan().kernel().forward(plan().shape(), {io.input<float>(0), io.input<float>(1), io.input<float>(2), map, epilogue, weight},
                            io.workspace);
    if (!behind_) return;
    how_ == kernels::Pool2x2::kMax ? kernels::max_pool_values(pool_, map, pooled) : kernels::avg_pool(pool_, {}, map, pooled);
  }

 private:
  shape::PoolShape pool_;
  kernels::Pool2x2 how_;
  bool behind_, both_;
  int64_t own_map_;  // floats of a map that nobody else wants
  kernels::Epilogue<float> epilogue_;
};

class ExpandDepthwiseStep final : public PlannedStep {
 public:
  ExpandDepthwiseStep(const kernels::ExpandDepthwiseShape& shape, const std::optional<ActivationOf>& expand_activation,
                      const std::optional<ActivationOf>& activation)
      : PlannedStep(plan::ConvPlan(sample_of(shape.expand), plan::Direction::kForward, {.algorithm = "conv_pointwise"})),
        shape_(shape) {
    set_activation(expand_epilogue_, expand_activation);
    set_activation(epilogue_, activation);
  }

  size_t workspace_bytes() const override { return kernels::expand_depthwise_workspace_bytes(shape_, num_threads()); }
  std::string_view algorithm() const override { return "conv_expand_depthwise"; }

  void run(const StepIo& io) const noexcept override {
    kernels::expand_depthwise(
        shape_, {io.input<float>(0), packed(io), io.input<float>(2), io.input<float>(3), io.input<float>(4), io.output<float>(0)},
        expand_epilogue_, epilogue_, io.workspace);
  }

 private:
  kernels::ExpandDepthwiseShape shape_;
  kernels::Epilogue<float> expand_epilogue_, epilogue_;
};

StepPlan expand_depthwise_step(const StepSite& site) {
  if (!site.all_float() || !site.has(0) || !site.has(1) || !site.has(3)) return {};
  const auto expand = conv_shape({}, site.input(0).shape, site.input(1).shape, false);
  if (!expand || !holds_channels(site, 2, expand->out_channels)) return {};
  const auto depthwise = conv_shape(site.attributes(), output_shape(*expand), site.input(3).shape, false);
  if (!depthwise || output_shape(*depthwise) != site.output(0).shape || !holds_channels(site, 4, depthwise->out_channels))
    return {};
  const kernels::ExpandDepthwiseShape shape{*expand, *depthwise};
  if (kernels::refuse_expand_depthwise(shape) != nullptr) return {};
  return {std::make_unique<ExpandDepthwiseStep>(shape, fused_activation(site.attributes(), kExpandActivation),
                                                fused_activation(site.attributes()))};
}

class InvertedResidualStep final : public PackedStep {
 public:
  InvertedResidualStep(const kernels::InvertedResidualShape& shape, const StepSite& site)
      : PackedStep({1, static_cast<size_t>(kernels::inverted_residual_packed_floats(shape)) * sizeof(float),
                    formatted("inverted_residual {} {} {}", shape::descriptor(sample_of(shape.expand)).view(),
                              shape::descriptor(sample_of(shape.depthwise)).view(), shape.pairs ? "by pairs" : "")}),
        shape_(shape) {
    set_activation(epilogues_.expand, fused_activation(site.attributes(), kExpandActivation));
    set_activation(epilogues_.depthwise, fused_activation(site.attributes()));
    set_activation(epilogues_.project, fused_activation(site.attributes(), kProjectActivation));
    set_activation(epilogues_.squeeze, fused_activation(site.attributes(), kSqueezeActivation));
    set_activation(epilogues_.gate, fused_activation(site.attributes(), kGateActivation));
  }

  size_t workspace_bytes() const override { return kernels::inverted_residual_workspace_bytes(shape_, num_threads()); }
  std::string_view algorithm() const override { return "conv_inverted_residual"; }

  void run(const StepIo& io) const noexcept override {
    kernels::InvertedResidualEpilogues epilogues = epilogues_;
    epilogues.project.residual = io.input<float>(5);
    kernels::inverted_residual(shape_,
                               {io.input<float>(0), packed(io), io.input<float>(2), io.input<float>(3), io.input<float>(4),
                                io.output<float>(0), io.input<float>(6), io.input<float>(7)},
                               epilogues, io.workspace);
  }

 private:
  void pack_values(const float* weights, float* packed) const noexcept override {
    kernels::inverted_residual_pack(shape_, weights, packed);
  }

  kernels::InvertedResidualShape shape_;
  kernels::InvertedResidualEpilogues epilogues_;
};

StepPlan inverted_residual_step(const StepSite& site) {
  if (!site.all_float() || !site.has(0) || !site.has(1)) return {};
  const Shape &input = site.input(0).shape, &weights = site.input(1).shape;
  const Attributes attributes = expand_attributes(site.attributes());
  const std::vector<int64_t> kernel = site.attributes().integers("kernel_shape"), first = attributes.integers("kernel_shape");
  if (input.size() != 4 || weights.size() != 2 || kernel.size() != 2 || first.size() != 2) return {};
  const int64_t squeezed = site.attributes().integer("squeezed", 0), expanded = weights[0],
                results = weights[1] - input[1] * first[0] * first[1] - kernel[0] * kernel[1] - 2 * squeezed;
  if (site.inputs() != (squeezed > 0 ? 8 : 6)) return {};
  if (squeezed > 0 && (!holds_channels(site, 6, squeezed) || !holds_channels(site, 7, expanded))) return {};
  const auto expand = conv_shape(attributes, input, {expanded, input[1], first[0], first[1]}, false);
  if (!expand) return {};
  const auto depthwise = conv_shape(site.attributes(), output_shape(*expand), {expanded, 1, kernel[0], kernel[1]}, false);
  if (!depthwise) return {};
  const auto project = conv_shape({}, output_shape(*depthwise), {results, expanded, 1, 1}, false);
  if (!project || output_shape(*project) != site.output(0).shape) return {};
  if (!holds_channels(site, 2, expanded) || !holds_channels(site, 3, expanded) || !holds_channels(site, 4, results)) return {};
  if (site.has(5) && site.input(5).shape != site.output(0).shape) return {};
  const kernels::InvertedResidualShape shape{*expand,
                                             *depthwise,
                                             *project,
                                             squeezed,
                                             site.attributes().integer("shortcut", 0) != 0,
                                             accuracy() != Accuracy::kStrict && kernels::nominal_machine().adds_beside};
  if (kernels::refuse_inverted_residual(shape) != nullptr) return {};
  return {std::make_unique<InvertedResidualStep>(shape, site)};
}

class PairedLinearStep final : public PackedStep {
 public:
  PairedLinearStep(const kernels::PairedLinearShape& shape, const StepSite& site)
      : PackedStep({1, static_cast<size_t>(kernels::paired_linear_packed_floats(shape)) * sizeof(float),
                    formatted("linear by pairs {} {}", shape.channels, shape.results)}),
        shape_(shape) {
    set_activation(epilogue_, fused_activation(site.attributes()));
  }

  size_t workspace_bytes() const override { return kernels::paired_linear_workspace_bytes(shape_, num_threads()); }
  std::string_view algorithm() const override { return "linear_paired"; }

  void run(const StepIo& io) const noexcept override {
    kernels::Epilogue<float> epilogue = epilogue_;
    epilogue.residual = io.input<float>(3);
    kernels::paired_linear(shape_, {io.input<float>(0), packed(io), io.input<float>(2), io.output<float>(0)}, epilogue,
                           io.workspace);
  }

 private:
  void pack_values(const float* weight, float* packed) const noexcept override {
    kernels::paired_linear_pack(shape_, weight, packed);
  }

  kernels::PairedLinearShape shape_;
  kernels::Epilogue<float> epilogue_;
};

template <bool kTransposed>
StepPlan conv_step(const StepSite& site) {
  if (!site.all_float() || !site.has(0) || !site.has(1)) return {};
  const auto shape = conv_shape(site.attributes(), site.input(0).shape, site.input(1).shape, kTransposed);
  if (!shape || output_shape(*shape) != site.output(0).shape || !holds_channels(site, 2, shape->out_channels)) return {};
  if (site.has(3) && site.input(3).shape != site.output(0).shape) return {};
  auto step = std::make_unique<ConvStep>(*shape, site);
  std::vector<uint8_t> in_place;
  if (site.has(3) && step->residual_in_place()) in_place.push_back(3);
  return {std::move(step), {}, std::move(in_place)};
}

StepPlan affine_conv_step(const StepSite& site) {
  if (!site.all_float() || !site.has(0) || !site.has(1) || !site.has(3) || !site.has(4)) return {};
  const auto shape = conv_shape(site.attributes(), site.input(0).shape, site.input(1).shape, false);
  if (!shape || output_shape(*shape) != site.output(0).shape || !holds_channels(site, 2, shape->out_channels)) return {};
  if (!holds_channels(site, 3, shape->in_channels) || !holds_channels(site, 4, shape->in_channels)) return {};
  if (kernels::refuse_affine_pointwise(*shape) != nullptr) return {};
  return {std::make_unique<AffineConvStep>(*shape, fused_activation(site.attributes(), kInputActivation),
                                           fused_activation(site.attributes()))};
}

StepPlan pooled_conv_step(const StepSite& site) {
  if (!site.all_float() || !site.has(0) || !site.has(1) || !site.is_constant(1)) return {};
  const auto shape = conv_shape(site.attributes(), site.input(0).shape, site.input(1).shape, false);
  if (!shape || !holds_channels(site, 2, shape->out_channels)) return {};
  shape::PoolShape pool = windows_of_two();
  pool.batch = shape->batch;
  pool.channels = shape->out_channels;
  pool.input = shape->output;
  const auto complete = shape::complete(pool);
  if (!complete || site.output(0).shape != Shape{pool.batch, pool.channels, complete->output[1], complete->output[2]}) return {};
  const bool both = site.wants(1);
  if (both && site.output(1).shape != output_shape(*shape)) return {};
  const auto how = site.attributes().text("pool", "") == "max" ? kernels::Pool2x2::kMax : kernels::Pool2x2::kAverage;
  return {std::make_unique<PooledConvStep>(*shape, *complete, how, both, fused_activation(site.attributes()))};
}

// Rows are samples of one position: the weight streams past each of a few rows, as the planner's pointwise algorithms do it best.
StepPlan linear_step(const StepSite& site) {
  const Shape &input = site.input(0).shape, &weight = site.input(1).shape;
  if (!site.all_float() || weight.size() != 2 || input.empty() || input.back() != weight[1]) return {};
  if (site.has(2) && site.input(2).shape != Shape{weight[0]}) return {};
  shape::ConvShape s;
  s.rank = 1;
  s.batch = weight[1] == 0 ? 0 : site.input(0).count / weight[1];
  s.in_channels = weight[1];
  s.out_channels = weight[0];
  const auto complete = shape::complete(s);
  if (!complete || s.batch == 0) return {};
  // The rows of one sample decide, so that its bits are the same alone and in a batch.
  const int64_t samples = input.size() > 2 ? input[0] : s.batch;
  const bool may = site.is_constant(1) && accuracy() != Accuracy::kStrict;
  if (may && kernels::prefers_paired_linear({s.batch / samples, s.in_channels, s.out_channels})) {
    return {std::make_unique<PairedLinearStep>(kernels::PairedLinearShape{s.batch, s.in_channels, s.out_channels}, site)};
  }
  return {std::make_unique<ConvStep>(*complete, site)};
}

}  // namespace

std::span<const StepMaker> conv_steps() {
  static constexpr StepMaker kRows[] = {
      {"Conv", conv_step<false>},
      {"FusedConv", conv_step<false>},
      {"AffineConv", affine_conv_step},
      {"PooledConv", pooled_conv_step},
      {"ConvTranspose", conv_step<true>},
      {"FusedConvTranspose", conv_step<true>},
      {"ExpandDepthwise", expand_depthwise_step},
      {"InvertedResidual", inverted_residual_step},
      {"Linear", linear_step},
  };
  return kRows;
}

}  // namespace convoy::graph
