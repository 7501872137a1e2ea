// Saved networks: what nn/checkpoint.h writes, with what is needed to use and to resume them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/nn/checkpoint.h"

namespace convoy::cli {

/// What the images have to look like and what the answers mean.
struct ModelInfo {
  std::string net;    // the name or file it was made from
  Shape image_shape;  // (C, H, W)
  std::vector<std::string> classes;
};

/// How far a training run is: everything that the rest of it depends on besides the network's values.
struct Checkpoint {
  std::map<std::string, std::string> settings;  // option and value, "--lr" and "0.05"
  std::string data_fingerprint;
  nn::StateDict optimizer;
  std::vector<int64_t> generator;
  int64_t epoch = 0, batch = 0, images_seen = 0;
  double loss_sum = 0;
  std::vector<double> results;  // four numbers per finished epoch
};

/// What a file says besides the values. Both are empty for files that 'convoy train' did not write.
struct ModelFile {
  std::optional<ModelInfo> info;
  std::optional<Checkpoint> checkpoint;  // only while the run is unfinished
};

/// Writes atomically.
void save_model(const std::string& path, const nn::Module& network, const ModelFile& file);

/// "net.safetensors (1.2 MB)"; the name alone of what has no size, such as a pipe.
std::string with_size(const std::string& path);

/// Errors: FileError.
ModelFile load_model(const std::string& path);

}  // namespace convoy::cli
