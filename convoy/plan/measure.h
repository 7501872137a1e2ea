// Timing of single convolutions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "convoy/plan/conv_plan.h"

namespace convoy::plan {

/// Times of one layer in one direction, and what they are a fraction of.
struct Measurement {
  ConvPlan plan;
  int threads = 1;
  int64_t runs = 0;
  double min_seconds = 0;
  double median_seconds = 0;
  double flop = 0;        // of the direct algorithm: 2 per multiply-add, padded taps included
  double peak_flops = 0;  // of a register-only FMA loop on as many threads, measured before and after: the larger
  size_t workspace_bytes = 0;
  size_t packed_bytes = 0;  // of the packed weight
  double pack_seconds = 0;  // what packing it took, measured; 0 if nothing is packed

  double gflops() const { return flop / min_seconds * 1e-9; }
  double fraction_of_peak() const { return flop / min_seconds / peak_flops; }
};

/// The multiply-adds of a layer: over the output of a convolution, the input of a transposed one; the same in every direction.
double multiply_adds(const shape::ConvShape& layer);

struct MeasureOptions {
  ConvPlanOptions plan;  // plan.packed false: the weight is packed in every call
  double seconds = 0.5;
  std::function<bool()> stop = {};  // asked after each call from the fifth on: whether they are enough
  bool cold =
      false;  // calls rotate over copies of the packed weight of 2 last-level caches together (at most 64), as in a large network
};

/// Runs a layer on random data again and again for about `seconds` (at least 5 times) after a warm-up. `layer` is complete. The
/// direction is the layer's own: a transposed layer's forward pass is measured as such.
Measurement measure_conv(const shape::ConvShape& layer, Direction direction, const MeasureOptions& options = {});

}  // namespace convoy::plan
