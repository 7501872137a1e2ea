// The choice by measuring, for plans that ask for it.
#pragma once

#include <vector>

#include "convoy/plan/conv_plan.h"

namespace convoy::plan {

/// Runs the candidates that are predicted to take at most four times as long as the best, and returns the fastest; `measured` of
/// each is filled in. Timed once per shape, direction, options and thread count: the process then keeps to the choice.
const kernels::ConvKernel* fastest(const shape::ConvShape& shape, Direction direction, const ConvPlanOptions& options,
                                   std::vector<ConvCandidate>& candidates);

}  // namespace convoy::plan
