// Activations, arithmetic and squeeze-and-excitation of float32, in place where the input is not needed again.
#include "convoy/core/formatted.h"
#include "convoy/core/parallel.h"
#include "convoy/graph/fused.h"
#include "convoy/graph/steps/packed_step.h"
#include "convoy/kernels/elementwise/activation.h"
#include "convoy/kernels/elementwise/arithmetic.h"
#include "convoy/kernels/elementwise/channel_affine.h"
#include "convoy/kernels/elementwise/squeeze_excite.h"

namespace convoy::graph {
namespace {

StepPlan activation_step(const StepSite& site) {
  const auto activation = activation_of(site.graph(), site.node());
  if (!activation || !site.has(0) || site.input(0).dtype != DType::kFloat32) return {};
  return {step_of([a = *activation, count = site.input(0).count](const StepIo& io) {
            kernels::activation(a.kind, a.options, io.input<float>(0), io.output<float>(0), count);
          }),
          {},
          {0}};
}

template <Arithmetic kKind>
StepPlan arithmetic_step(const StepSite& site) {
  if (!site.all_float() || site.inputs() != 2 || !site.has(0) || !site.has(1)) return {};
  const Shape &a = site.input(0).shape, &b = site.input(1).shape;
  return {step_of([loop = kernels::make_broadcast<2>({&a, &b})](const StepIo& io) {
            kernels::arithmetic(kKind, loop, io.input<float>(0), io.input<float>(1), io.output<float>(0));
          }),
          {},
          {0, 1}};
}

StepPlan channel_affine_step(const StepSite& site) {
  const KnownType& input = site.input(0);
  const Tensor *scale = site.constant(1), *shift = site.constant(2);
  if (input.dtype != DType::kFloat32 || input.shape.size() < 2 || scale == nullptr || shift == nullptr) return {};
  if (scale->numel() != input.shape[1] || shift->numel() != input.shape[1]) return {};
  kernels::ChannelPlanes planes{input.shape[0], input.shape[1], 1};
  for (size_t i = 2; i < input.shape.size(); ++i) planes.positions *= input.shape[i];
  kernels::Epilogue<float> epilogue;
  if (const auto activation = fused_activation(site.attributes())) {
    epilogue.activation = activation->kind;
    epilogue.options = activation->options;
  }
  return {step_of([planes, epilogue, factors = scale->to(DType::kFloat32), terms = shift->to(DType::kFloat32)](const StepIo& io) {
            kernels::channel_affine(planes, io.input<float>(0), factors.data<float>(), terms.data<float>(), epilogue,
                                    io.output<float>(0));
          }),
          {},
          {0}};
}

class SqueezeExciteStep final : public PackedStep {
 public:
  SqueezeExciteStep(const kernels::SqueezeExciteShape& shape, const StepSite& site)
      : PackedStep({1, static_cast<size_t>(kernels::squeeze_excite_packed_floats(shape)) * sizeof(float),
                    formatted("squeeze_excite {}", shape.channels)}),
        shape_(shape) {
    if (const auto activation = fused_activation(site.attributes(), kSqueezeActivation)) {
      activations_.squeeze = activation->kind;
      activations_.squeeze_options = activation->options;
    }
    if (const auto activation = fused_activation(site.attributes())) {
      activations_.gate = activation->kind;
      activations_.gate_options = activation->options;
    }
  }

  size_t workspace_bytes() const override { return kernels::squeeze_excite_workspace_bytes(shape_, num_threads()); }
  std::string_view algorithm() const override { return "squeeze_excite"; }

  void run(const StepIo& io) const noexcept override {
    kernels::squeeze_excite(shape_, activations_, io.input<float>(0), packed(io), io.input<float>(2), io.input<float>(3),
                            io.output<float>(0), io.workspace);
  }

 private:
  void pack_values(const float* weights, float* packed) const noexcept override {
    kernels::squeeze_excite_pack(shape_, weights, weights + shape_.squeezed * shape_.channels, packed);
  }

  kernels::SqueezeExciteShape shape_;
  kernels::SqueezeExciteActivations activations_;
};

StepPlan squeeze_excite_step(const StepSite& site) {
  const KnownType &input = site.input(0), &weights = site.input(1);
  if (!site.all_float() || input.shape.size() < 3 || weights.shape.size() != 2 || weights.shape[0] != 2) return {};
  kernels::SqueezeExciteShape s{input.shape[0], input.shape[1], 1, 0};
  for (size_t i = 2; i < input.shape.size(); ++i) s.positions *= input.shape[i];
  if (s.channels == 0 || s.positions == 0 || weights.shape[1] % s.channels != 0) return {};
  s.squeezed = weights.shape[1] / s.channels;
  if ((site.has(2) && site.input(2).shape != Shape{s.squeezed}) || (site.has(3) && site.input(3).shape != Shape{s.channels}))
    return {};
  return {std::make_unique<SqueezeExciteStep>(s, site), {}, {0}};
}

}  // namespace

std::span<const StepMaker> elementwise_steps() {
  static constexpr StepMaker kRows[] = {
      {"Activation", activation_step},
      {"Relu", activation_step},
      {"LeakyRelu", activation_step},
      {"Elu", activation_step},
      {"Sigmoid", activation_step},
      {"Tanh", activation_step},
      {"Mish", activation_step},
      {"HardSwish", activation_step},
      {"HardSigmoid", activation_step},
      {"Gelu", activation_step},
      {"Clip", activation_step},
      {"Add", arithmetic_step<Arithmetic::kAdd>},
      {"Sub", arithmetic_step<Arithmetic::kSub>},
      {"Mul", arithmetic_step<Arithmetic::kMul>},
      {"Div", arithmetic_step<Arithmetic::kDiv>},
      {"ChannelAffine", channel_affine_step},
      {"SqueezeExcite", squeeze_excite_step},
  };
  return kRows;
}

}  // namespace convoy::graph
