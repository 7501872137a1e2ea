// Timing of training steps: forward, loss, backward, update.
#pragma once

#include <cstdint>
#include <string>

namespace convoy::cli {

struct TrainingBenchmark {
  std::string model;
  int64_t batch = 8, size = 224;
  double seconds = 5;  // about; at least three steps after the first
};

/// Of one step each: the least and the median of the whole, the medians of its parts. Milliseconds.
struct TrainingTimes {
  int64_t steps = 0;
  double min_ms = 0, median_ms = 0;
  double forward_ms = 0, backward_ms = 0, optimizer_ms = 0;
  int64_t parameters = 0;
};

/// Trains a network of nn/vision_models.h on random images of size x size with SGD (momentum 0.9) and cross entropy.
/// Errors: those of the network.
TrainingTimes measure_training(const TrainingBenchmark& benchmark);

}  // namespace convoy::cli
