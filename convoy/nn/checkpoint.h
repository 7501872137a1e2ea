// Values of networks in files that Python's safetensors library reads and writes, and everything a training run needs to go on.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "convoy/nn/module.h"

namespace convoy::nn {

/// What a training run needs besides the network.
struct TrainingState {
  StateDict optimizer;                          // Optimizer::state()
  std::vector<int64_t> generator;               // Generator::state()
  std::map<std::string, std::string> progress;  // anything else: epoch, options, accuracy so far
};

/// Writes the values of `module` under PyTorch's names, and its definition() beside them, so that in Python
/// `model.load_state_dict(safetensors.torch.load_file(path))` works and load_network() needs nothing else. A file that was there
/// before is replaced whole or not at all.
///
/// With `training`, its tensors are added under "convoy.training.", which the functions below do not take for values of the
/// network. Errors: FileError if the file cannot be written; ValueError if a name of the network begins with "convoy.training.".
void save_checkpoint(const std::string& path, const Module& module, const TrainingState& training = {});

/// Copies the values of a file into `module`, as Module::load_state_dict. Nothing is changed on an error.
/// Errors: FileError for a file that is not a safetensors file; Error in PyTorch's words if names or sizes differ.
LoadReport load_checkpoint(const std::string& path, Module& module, bool strict = true);

/// The network that save_checkpoint wrote, built and filled; in training mode, as a new one. default_generator() is left
/// as it was. Errors: FileError, also if the file does not say which network its values belong to.
std::shared_ptr<Module> load_network(const std::string& path);

/// What save_checkpoint was given; empty if it was given nothing. Errors: FileError.
TrainingState load_training_state(const std::string& path);

}  // namespace convoy::nn
