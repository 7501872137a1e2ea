// Convolutions with a plan and a weight packed once, and linear layers, which are convolutions of one position.
#include "convoy/core/error.h"
#include "convoy/graph/fused.h"
#include "convoy/graph/step.h"
#include "convoy/graph/windows.h"
#include "convoy/plan/conv_plan.h"
#include "convoy/shape/descriptor.h"

namespace convoy::graph {
namespace {

class ConvStep final : public Step {
 public:
  // `shape` is the layer's; its plan is that of the plain convolution. constant: the weight.
  ConvStep(const shape::ConvShape& shape, bool constant, const std::optional<ActivationOf>& activation, size_t inputs)
      : transposed_(shape.transposed),
        inputs_(inputs),
        plan_(plan::plain_shape(shape), plan::plain_direction(shape, plan::Direction::kForward), {.packed = constant}) {
    if (constant && plan_.packed_bytes() > 0) {
      // Not of the batch, but of everything else, until two turn out to be equal.
      shape::ConvShape sample = plan_.shape();
      sample.batch = 1;
      packing_ = {1, plan_.packed_bytes(), plan_.name()};
      packing_.form += (transposed_ ? " grad_input " : " ") + std::string(shape::descriptor(sample).view());
    }
    if (activation) {
      epilogue_.activation = activation->kind;
      epilogue_.options = activation->options;
    }
  }

  size_t workspace_bytes() const override {
    return plan_.workspace_bytes() + (packing() == nullptr ? padded_bytes(plan_.packed_bytes()) : 0);
  }
  std::string_view algorithm() const override { return plan_.name(); }
  const Packing* packing() const override { return packing_.bytes > 0 ? &packing_ : nullptr; }
  void pack(const Tensor& weight, void* packed) const override { plan_.pack(weight.data<float>(), static_cast<float*>(packed)); }
  void use_packed(const void* packed) override { packed_ = static_cast<const float*>(packed); }

  void run(const StepIo& io) const noexcept override {
    kernels::Epilogue<float> epilogue = epilogue_;
    epilogue.residual = inputs_ > 3 ? io.input<float>(3) : nullptr;
    const auto *input = io.input<float>(0), *weight = io.input<float>(1), *bias = inputs_ > 2 ? io.input<float>(2) : nullptr;
    if (transposed_) {
      plan_.run(kernels::ConvGradInput<float>{input, weight, bias, io.output<float>(0), epilogue, packed_}, io.workspace);
    } else {
      plan_.run(kernels::ConvForward<float>{input, weight, bias, io.output<float>(0), epilogue, packed_}, io.workspace);
    }
  }

 private:
  bool transposed_;
  size_t inputs_;  // of the node: bias and residual may be left out
  plan::ConvPlan plan_;
  Packing packing_{};
  const float* packed_ = nullptr;
  kernels::Epilogue<float> epilogue_;
};

// nullopt where the node is not a plain call: then Operator::run words the error, or knows more.
std::optional<shape::ConvShape> conv_shape(const StepSite& site, bool transposed) {
  const Shape &input = site.input(0).shape, &weight = site.input(1).shape, &output = site.output(0).shape;
  const auto rank = static_cast<int>(input.size()) - 2;
  if (rank < 1 || rank > shape::kMaxSpatialRank || weight.size() != input.size() || output.size() != input.size())
    return std::nullopt;
  shape::ConvShape s;
  s.rank = rank;
  s.transposed = transposed;
  s.batch = input[0];
  s.in_channels = input[1];
  s.groups = site.attributes().integer("group", 1);
  if (s.groups < 1) return std::nullopt;
  s.out_channels = transposed ? weight[1] * s.groups : weight[0];
  const std::vector<int64_t> sizes{input.begin() + 2, input.end()};
  const auto axes = windows(site.attributes(), {weight.begin() + 2, weight.end()}, sizes);
  if (!axes || axes->size() != sizes.size()) return std::nullopt;
  for (size_t a = 0; a < sizes.size(); ++a) {
    if ((*axes)[a].kernel_size != weight[2 + a]) return std::nullopt;
    s.input[static_cast<size_t>(s.first_axis()) + a] = sizes[a];
    s.axes[static_cast<size_t>(s.first_axis()) + a] = (*axes)[a];
  }
  if (transposed) {
    if (site.attributes().has("output_shape") || site.attributes().text("auto_pad", "NOTSET") != "NOTSET") return std::nullopt;
    const std::vector<int64_t> extra = site.attributes().integers("output_padding");
    if (!extra.empty() && extra.size() != static_cast<size_t>(rank)) return std::nullopt;
    for (size_t a = 0; a < extra.size(); ++a) s.output_padding[static_cast<size_t>(s.first_axis()) + a] = extra[a];
  }
  const auto complete = shape::complete(s);
  if (!complete) return std::nullopt;
  Shape expected{complete->batch, complete->out_channels};
  for (int a = complete->first_axis(); a < shape::kMaxSpatialRank; ++a)
    expected.push_back(complete->output[static_cast<size_t>(a)]);
  const bool weight_fits = transposed ? weight[0] == s.in_channels : weight[1] * s.groups == s.in_channels;
  if (expected != output || !weight_fits) return std::nullopt;
  if (site.has(2) && site.input(2).shape != Shape{complete->out_channels}) return std::nullopt;
  if (site.has(3) && site.input(3).shape != output) return std::nullopt;
  return *complete;
}

template <bool kTransposed>
StepPlan conv_step(const StepSite& site) {
  if (!site.all_float() || !site.has(0) || !site.has(1)) return {};
  const auto shape = conv_shape(site, kTransposed);
  if (!shape) return {};
  return {std::make_unique<ConvStep>(*shape, site.is_constant(1), fused_activation(site.attributes()), site.inputs())};
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
  return {std::make_unique<ConvStep>(*complete, site.is_constant(1), fused_activation(site.attributes()), site.inputs())};
}

}  // namespace

std::span<const StepMaker> conv_steps() {
  static constexpr StepMaker kRows[] = {
      {"Conv", conv_step<false>},
      {"FusedConv", conv_step<false>},
      {"ConvTranspose", conv_step<true>},
      {"FusedConvTranspose", conv_step<true>},
      {"Linear", linear_step},
  };
  return kRows;
}

}  // namespace convoy::graph
