// Timing of whole networks.
#pragma once

#include <cstdint>
#include <string>

#include "cli/session.h"

namespace convoy::cli {

struct ModelBench {
  int64_t batch = 1;
  double seconds = 2;
  bool layers = false;
  bool external_data = false;
};

/// Loads the model, runs it on random numbers for about `seconds` (at least 5 times) and prints least and median time; with layers
/// the time of each and what fraction of the FMA peak its multiply-adds reach.
int bench_model(const std::string& path, const ModelBench& options, Session& session);

}  // namespace convoy::cli
