// What a network from a file is fed with on the command line: images, arrays from files, or random numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
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

/// What is chosen for sizes that a model leaves open: of an input's first axis the batch, of the axes from the third on height and
/// width (of the last axis the width), of others 1.
struct OpenSizes {
  int64_t batch = 1, height = 1, width = 1;
  bool size_chosen = false;

  int64_t at(size_t axis, size_t rank) const { return axis == 0 ? batch : axis == 1 ? 1 : axis + 1 == rank ? width : height; }
};

/// Sizes for `batch` and for a text as height_and_width() takes it (1 without one).
OpenSizes open_sizes(int64_t batch, const std::optional<std::string>& size);

/// Whether some input leaves a height or width open.
bool leaves_sizes_open(const graph::Graph& graph);

/// The batch that a network runs with: the first size of its first input, the chosen one where some input leaves that open. Warns
/// where a choice, of the batch or the size, changes nothing.
int64_t batch_of(const graph::Graph& graph, const OpenSizes& sizes, Session& session);

/// "224" or "224x320", height and width. Errors: UsageError that names the option.
std::pair<int64_t, int64_t> height_and_width(const std::string& option, const std::string& text);

/// An input's shape with what it leaves open chosen. Errors: ShapeMismatch if not even the rank is known.
Shape concrete_shape(const ModelValue& input, const OpenSizes& sizes);

/// One image as (1, C, H, W) of the input's floating type: resized so that its shorter side is --size, cut to --crop (or what the
/// model takes) in the middle, less the mean, divided by the standard deviation. Defaults: ImageNet's for 3 channels, 0 and 1
/// otherwise.
Tensor image_input(const std::string& path, const ModelValue& input, const ImageOptions& options);

/// Random values for every input: normal for floats, 0 or 1 for bool, 0 for integers (indices that are always inside).
/// Errors: OutOfMemory where a run with them needs more than there is.
std::map<std::string, Tensor> random_inputs(const Model& model, const OpenSizes& sizes, uint64_t seed);

/// The arrays that NAME=FILE.npy, NAME=FILE.npz (the array of that name, or the only one), FILE.npz (by the names inside) or
/// FILE.npy (for a model of one input) say. Arrays of other types are converted, but fractions are not cut off and no value is
/// wrapped. Errors: UsageError for a name that the model does not have, FileError for files.
std::map<std::string, Tensor> file_inputs(const Model& model, const std::vector<std::string>& arguments);

/// "x: float32 [N, 3, 224, 224]".
std::string input_text(const ModelValue& value);

/// [1, 64, 112, 112] for JSON; a size that is not known is its name or null, a shape without a rank null.
report::Json shape_json(const graph::Type& type);

/// Calls f, which runs a model. A node that refuses the values it gets, such as an index out of range, is an error of the file.
template <class F>
auto running(const std::string& path, F&& f) {
  try {
    return f();
  } catch (const FileError&) {
    throw;
  } catch (const ShapeMismatch& error) {
    throw ShapeMismatch(path + ": " + error.reason(), error.fix());
  } catch (const OutOfMemory&) {
    throw;
  } catch (const Error& error) {
    throw FileError(path + ": " + error.reason(), error.fix());
  }
}

}  // namespace convoy::cli
