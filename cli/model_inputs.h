// What a network from a file is fed with on the command line: images, arrays from files, or random numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "convoy/onnx/model.h"

namespace convoy::cli {

/// Shows on standard error how much of a model is read, from one second on (ModelOptions::progress).
std::function<void(int64_t, int64_t)> reading_progress(const Session& session);

/// How an image becomes a network's input.
struct ImageOptions {
  std::optional<std::string> mean, std, size, crop;
};

/// Adds --mean, --std, --size and --crop.
void add_image_options(CLI::App& app, ImageOptions& options);

/// The model's first input with the sizes that may be any chosen: the batch, then 1. Errors: ShapeMismatch if not even the rank is
/// known.
Shape concrete_shape(const ModelValue& input, int64_t batch);

/// One image as (1, C, H, W) for the input: resized so that its shorter side is --size, cut to --crop (or what the model takes) in
/// the middle, less the mean, divided by the standard deviation. Defaults: ImageNet's for 3 channels, 0 and 1 otherwise.
Tensor image_input(const std::string& path, const ModelValue& input, const ImageOptions& options);

/// Random values for every input: normal for floats, 0 or 1 for bool, 0 for integers (indices that are always inside).
std::map<std::string, Tensor> random_inputs(const Model& model, int64_t batch, uint64_t seed);

/// The arrays that NAME=FILE.npy, FILE.npz (by the names inside) or FILE.npy (for a model of one input) say.
/// Errors: UsageError for a name that the model does not have, FileError for files.
std::map<std::string, Tensor> file_inputs(const Model& model, const std::vector<std::string>& arguments);

/// "x: float32 [N, 3, 224, 224]".
std::string input_text(const ModelValue& value);

}  // namespace convoy::cli
