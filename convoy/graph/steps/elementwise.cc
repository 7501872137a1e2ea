// Activations and arithmetic of float32, in place where the input is not needed again.
#include "convoy/graph/fused.h"
#include "convoy/graph/step.h"
#include "convoy/kernels/elementwise/activation.h"
#include "convoy/kernels/elementwise/arithmetic.h"
#include "convoy/kernels/elementwise/channel_affine.h"

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
  };
  return kRows;
}

}  // namespace convoy::graph
