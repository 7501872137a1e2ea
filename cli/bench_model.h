// Timing of whole networks.
#pragma once

#include <string>

#include "cli/model_inputs.h"
#include "cli/session.h"

namespace convoy::cli {

struct ModelBench {
  OpenSizes sizes = {};
  double seconds = 2;
  bool layers = false;
  bool external_data = false;
};

/// Loads the model, runs it on random numbers for about `seconds` (at least 5 times) and prints least and median time; with layers
/// the time of each and what fraction of the FMA peak its multiply-adds reach.
int bench_model(const std::string& path, const ModelBench& options, Session& session);

}  // namespace convoy::cli
