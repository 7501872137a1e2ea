// Does a fused network give the answers of the one it was made from, and if not, why?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/core/random.h"
#include "convoy/nn/reparam/fuse.h"
#include "convoy/ops/differences.h"

namespace convoy::nn {

/// One place of a fused network: the largest differences of its outputs, for the inputs that the place gets inside the network.
struct PlaceAgreement : ops::Differences {
  std::string name, what;
};

struct Agreement {
  std::vector<PlaceAgreement> places;
  double difference = 0, scale = 0;  // of the networks' outputs
  int64_t inputs = 0;
  double limit = 0;  // of a place's difference over its scale or 1: 5e-6 for float32, 1e-12 for float64
  bool agrees = true;
  std::string cause, remedy;  // of what concerns the whole network
};

/// Runs both networks on `inputs` standard normal inputs of one shape (without the batch axis). A difference is explained, as far
/// as that can be found out: a layer in training mode, zero padding after a batch normalisation (the border alone differs), a
/// branch added at another tap of the kernel, a branch or a shift left out. Where the layers agree in float64, the difference is
/// what the unfolded ones lost by rounding, and the place agrees. The networks are left as they are; running statistics that
/// training mode would move are put back.
///
/// The fused network is `fused.module`; its layers `fused.places[i].after` may hold other weights than fuse() gave them, for
/// example from another program. Errors: those of the layers.
Agreement verify(Module& original, const Fused& fused, const Shape& input_shape, int64_t inputs, Generator* generator = nullptr);

}  // namespace convoy::nn
