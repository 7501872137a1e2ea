// Normalisation of float32.
#include "convoy/graph/step.h"
#include "convoy/kernels/norm/channel_layer_norm.h"

namespace convoy::graph {
namespace {

StepPlan channel_layer_norm_step(const StepSite& site) {
  const Shape& shape = site.input(0).shape;
  if (!site.all_float() || shape.size() < 2 || !site.has(1) || site.input(1).count != shape[1] ||
      (site.has(2) && site.input(2).count != shape[1]))
    return {};
  int64_t positions = 1;
  for (size_t i = 2; i < shape.size(); ++i) positions *= shape[i];
  const double eps = site.attributes().number("epsilon", 1e-5);
  return {step_of([=, batch = shape[0], channels = shape[1]](const StepIo& io) {
    kernels::channel_layer_norm(batch, channels, positions, eps, io.input<float>(0), io.input<float>(1), io.input<float>(2),
                                io.output<float>(0));
  })};
}

}  // namespace

std::span<const StepMaker> norm_steps() {
  static constexpr StepMaker kRows[] = {
      {"ChannelLayerNorm", channel_layer_norm_step},
  };
  return kRows;
}

}  // namespace convoy::graph
