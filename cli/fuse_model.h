// Folding an ONNX file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.h"
#include "convoy/core/tensor.h"

namespace convoy::cli {

struct FuseModelOptions {
  std::string model;
  std::optional<std::string> out, against;  // against: compare this file instead of folding
  std::optional<int64_t> verify;
  bool external_data = false;
  Shape input;  // of one sample, for a first input whose sizes may be any; empty: as the file says
};

/// convoy fuse MODEL.onnx: folds batch normalisations into convolutions and merges parallel ones, compares both on `verify` random
/// inputs and writes `out`. Nothing is written if they differ. Returns the exit code.
int fuse_model(const FuseModelOptions& options, Session& session);

}  // namespace convoy::cli
