// Folding of networks from ONNX files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.h"

namespace convoy::cli {

/// Folds batch normalisation and parallel convolutions of an ONNX file, prints what that saves, compares both on `verify` random
/// inputs and writes the result if they agree. Returns kCheckFailed if they do not.
int fuse_model(const std::string& path, const std::optional<std::string>& out, std::optional<int64_t> verify, Session& session);

}  // namespace convoy::cli
