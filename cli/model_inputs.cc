#include "cli/model_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <tuple>

#include "cli/available_memory.h"
#include "cli/interrupt.h"
#include "convoy/core/random.h"
#include "convoy/core/suggest.h"
#include "convoy/data/resize.h"
#include "convoy/io/image.h"
#include "convoy/io/npy.h"
#include "convoy/ops/slice.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

// "0.485,0.456,0.406" or one number for all channels.
std::vector<double> numbers(const std::string& option, const std::string& text) {
  std::vector<double> result;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    double value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + comma, value);
    if (error != std::errc() || end != text.data() + comma || !std::isfinite(value)) {
      throw UsageError(option + ": '" + text + "' is not a list of numbers", "for example " + option + " 0.485,0.456,0.406");
    }
    result.push_back(value);
    at = comma + 1;
  }
  return result;
}

const ModelValue& input_named(const std::vector<ModelValue>& inputs, const std::string& name, const std::string& what) {
  std::vector<std::string> names;
  for (const ModelValue& input : inputs) {
    if (input.name == name) return input;
    names.push_back(input.name);
  }
  throw UsageError(what + ": the model has no input '" + name + "'" + did_you_mean(name, names),
                   "it takes " + report::joined(names));
}

// Before the values of an array are read, which may be a thousand times what its file has.
void check_shape(const ModelValue& input, const io::ArrayInfo& array, const std::string& what) {
  bool fits = !input.has_shape || input.shape.size() == array.shape.size();
  for (size_t i = 0; fits && input.has_shape && i < array.shape.size(); ++i)
    fits = input.shape[i] < 0 || input.shape[i] == array.shape[i];
  if (!fits)
    throw ShapeMismatch(what + ": the array is " + dtype_name(array.dtype) + " " + to_string(array.shape) + ", the model takes " +
                            input_text(input),
                        "sizes given as numbers must be met, named ones may be any");
}

// Of an npz file's arrays the one for an input: with its name, or the only one.
Tensor array_named(const std::string& path, const ModelValue& input, const std::string& what) {
  std::vector<std::string> others;
  std::vector<std::pair<std::string, Tensor>> arrays = io::read_npz(path, [&](const io::ArrayInfo& array) {
    const bool meant = array.name == input.name || array.arrays == 1;
    if (meant) {
      check_shape(input, array, what);
    } else {
      others.push_back(array.name);
    }
    return meant;
  });
  if (!arrays.empty()) return std::move(arrays.front().second);
  throw UsageError(what + ": the file has no array '" + input.name + "'" + did_you_mean(input.name, others),
                   "it holds " + (others.empty() ? "none" : report::joined(others)));
}

}  // namespace

std::pair<int64_t, int64_t> height_and_width(const std::string& option, const std::string& text) {
  const auto number = [&](std::string_view part) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value < 1 || value > 16384) {
      throw UsageError(option + ": '" + text + "' is not a size",
                       "for example " + option + " 224, or 224x320 (height x width), up to 16384");
    }
    return value;
  };
  const size_t x = text.find('x');
  if (x == std::string::npos) return {number(text), number(text)};
  return {number(std::string_view(text).substr(0, x)), number(std::string_view(text).substr(x + 1))};
}

OpenSizes open_sizes(int64_t batch, const std::optional<std::string>& size) {
  OpenSizes sizes{.batch = batch};
  sizes.size_chosen = size.has_value();
  if (size) std::tie(sizes.height, sizes.width) = height_and_width("--size", *size);
  return sizes;
}

bool leaves_sizes_open(const graph::Graph& graph) {
  return std::any_of(graph.inputs.begin(), graph.inputs.end(), [&](graph::ValueId id) {
    const std::optional<graph::Dims>& dims = graph.value(id).type.dims;
    return dims && dims->size() > 2 &&
           std::any_of(dims->begin() + 2, dims->end(), [](const graph::Dim& dim) { return !dim.known(); });
  });
}

int64_t batch_of(const graph::Graph& graph, const OpenSizes& sizes, Session& session) {
  if (sizes.size_chosen && !leaves_sizes_open(graph))
    session.warn("--size changes nothing: the file gives the sizes of every input");
  const int64_t chosen = sizes.batch;
  std::optional<int64_t> given;
  for (const graph::ValueId id : graph.inputs) {
    const std::optional<graph::Dims>& dims = graph.value(id).type.dims;
    if (!dims || dims->empty()) continue;
    if (!dims->front().known()) return chosen;
    if (!given) given = dims->front().size;
  }
  if (!given) return chosen;
  if (chosen > 1 && chosen != *given)
    session.warn(fmt::format("--batch {} changes nothing: the file gives the first size of every input", chosen));
  return *given;
}

void add_image_options(CLI::App& app, ImageOptions& options) {
  add_text(app, "--mean", options.mean, "R,G,B",
           "taken from the pixels, which are 0 to 1 (default for 3 channels: 0.485,0.456,0.406; else 0)");
  add_text(app, "--std", options.std, "R,G,B", "what they are then divided by (default for 3 channels: 0.229,0.224,0.225; else 1)");
  add_text(app, "--size", options.size, "N|HxW",
           "resize to this first: the shorter side to N, or exactly to HxW (default: to what the model takes); of random inputs: "
           "height and width where the model leaves them open (1)");
  add_text(app, "--crop", options.crop, "N|HxW", "then cut this out of the middle");
}

std::string input_text(const ModelValue& value) {
  std::string text = value.name + ": " + value.dtype;
  if (!value.has_shape) return text;
  text += " [";
  for (size_t i = 0; i < value.shape.size(); ++i) {
    text += i > 0 ? ", " : "";
    text += value.shape[i] >= 0 ? std::to_string(value.shape[i]) : value.names[i].empty() ? "?" : value.names[i];
  }
  return text + "]";
}

report::Json shape_json(const graph::Type& type) {
  if (!type.dims) return {};
  report::Json sizes = report::Json::array();
  for (const graph::Dim& dim : *type.dims)
    sizes.push(dim.known() ? report::Json(dim.size) : dim.symbol.empty() ? report::Json() : report::Json(dim.symbol.text()));
  return sizes;
}

std::function<void(int64_t, int64_t)> reading_progress(const Session& session) {
  return [progress = std::shared_ptr<report::Progress>(), options = session.progress(1)](int64_t done, int64_t total) mutable {
    constexpr int64_t kMegabyte = 1000000;
    if (progress == nullptr) {
      progress = std::make_shared<report::Progress>(options, std::max<int64_t>(total / kMegabyte, 1), "MB");
      progress->section("reading", 0, std::max<int64_t>(total / kMegabyte, 1));
    }
    progress->update(done / kMegabyte);
    if (done == total) progress->clear();
    stop_if_asked("while reading the model");
  };
}

Shape concrete_shape(const ModelValue& input, const OpenSizes& sizes) {
  if (!input.has_shape) {
    throw ShapeMismatch("the file does not say how many axes input '" + input.name + "' has",
                        "give it with --input " + input.name + "=FILE.npy");
  }
  Shape shape = input.shape;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) shape[i] = sizes.at(i, shape.size());
  }
  return shape;
}

Tensor image_input(const std::string& path, const ModelValue& input, const ImageOptions& options) {
  const std::optional<DType> dtype = dtype_named(input.dtype);
  if (!input.has_shape || input.shape.size() != 4 || !dtype || !is_floating(*dtype)) {
    throw UsageError("the model takes no image: its first input is " + input_text(input),
                     "give its inputs with --input NAME=FILE.npy");
  }
  const int64_t channels = input.shape[1] < 0 ? 3 : input.shape[1];
  if (channels != 1 && channels != 3) {
    throw UsageError(fmt::format("the model takes no image: input '{}' has {} channels", input.name, channels),
                     "give its inputs with --input NAME=FILE.npy");
  }
  Tensor image = io::read_image(path, static_cast<int>(channels));
  const int64_t height = image.size(1), width = image.size(2);
  std::optional<std::pair<int64_t, int64_t>> wanted;
  if (input.shape[2] > 0 && input.shape[3] > 0) wanted = {input.shape[2], input.shape[3]};
  if (options.crop) wanted = height_and_width("--crop", *options.crop);
  // The shorter side first, so that nothing is distorted; then the middle.
  std::pair<int64_t, int64_t> size = {height, width};
  if (options.size && options.size->find('x') != std::string::npos) {
    size = height_and_width("--size", *options.size);
  } else if (options.size || wanted) {
    double factor = 0;
    if (options.size) {
      factor = static_cast<double>(height_and_width("--size", *options.size).first) / static_cast<double>(std::min(height, width));
    } else {
      factor = std::max(static_cast<double>(wanted->first) / static_cast<double>(height),
                        static_cast<double>(wanted->second) / static_cast<double>(width));
    }
    const auto scaled = [factor](int64_t n) { return std::max<int64_t>(1, std::llround(static_cast<double>(n) * factor)); };
    size = {scaled(height), scaled(width)};
  }
  if (size.first > 16384 || size.second > 16384) {
    throw ShapeMismatch(
        fmt::format("{}: {}x{} pixels (height x width) would become {}x{}", path, height, width, size.first, size.second),
        "give --size HxW, up to 16384 each");
  }
  if (size != std::pair(height, width)) image = data::resize_image(image, size.first, size.second);
  if (wanted && *wanted != size) {
    if (wanted->first > size.first || wanted->second > size.second) {
      throw ShapeMismatch(fmt::format("{}: {}x{} pixels (height x width) cannot be cut out of {}x{}", path, wanted->first,
                                      wanted->second, size.first, size.second),
                          "use a larger --size or a smaller --crop");
    }
    const int64_t top = (size.first - wanted->first) / 2, left = (size.second - wanted->second) / 2;
    image = ops::slice(
        image, {{.axis = 1, .start = top, .end = top + wanted->first}, {.axis = 2, .start = left, .end = left + wanted->second}});
  }
  const bool colour = channels == 3;
  const std::vector<double> mean = options.mean ? numbers("--mean", *options.mean)
                                   : colour     ? std::vector<double>{0.485, 0.456, 0.406}
                                                : std::vector<double>{0.0};
  const std::vector<double> deviation = options.std ? numbers("--std", *options.std)
                                        : colour    ? std::vector<double>{0.229, 0.224, 0.225}
                                                    : std::vector<double>{1.0};
  for (const auto& [name, list] : {std::pair("--mean", &mean), std::pair("--std", &deviation)}) {
    if (list->size() != 1 && static_cast<int64_t>(list->size()) != channels) {
      throw UsageError(
          fmt::format("{}: {} for {} channels", name, report::counted(static_cast<int64_t>(list->size()), "number"), channels),
          "give one number, or one for each channel");
    }
  }
  for (const double value : deviation) {
    if (value == 0) throw UsageError("--std: 0 cannot divide", "use numbers above 0");
  }
  Tensor result = image.reshape({1, channels, image.size(1), image.size(2)});
  const int64_t plane = image.size(1) * image.size(2);
  for (int64_t c = 0; c < channels; ++c) {
    const auto at = static_cast<size_t>(c);
    const double m = mean[std::min(at, mean.size() - 1)], d = deviation[std::min(at, deviation.size() - 1)];
    float* const values = result.data<float>() + c * plane;
    for (int64_t i = 0; i < plane; ++i) values[i] = static_cast<float>((static_cast<double>(values[i]) - m) / d);
  }
  return result.to(*dtype);
}

std::map<std::string, Tensor> random_inputs(const Model& model, const OpenSizes& sizes, uint64_t seed) {
  std::map<std::string, Shape> shapes;
  int64_t largest = 0;  // of those that are float32 first
  for (const ModelValue& input : model.inputs()) {
    const Shape& shape = shapes[input.name] = concrete_shape(input, sizes);
    const std::optional<DType> dtype = dtype_named(input.dtype);
    if (dtype && is_floating(*dtype) && *dtype != DType::kFloat32) largest = std::max(largest, numel(shape));
  }
  need_memory(model, shapes, 4 * largest);
  Generator generator(seed);
  std::map<std::string, Tensor> inputs;
  for (const ModelValue& input : model.inputs()) {
    const Shape& shape = shapes.at(input.name);
    const std::optional<DType> dtype = dtype_named(input.dtype);
    if (!dtype) {
      throw UsageError(
          "input '" + input.name + "' is " + (input.dtype.empty() ? "of unknown type" : input.dtype) + ": no random values for it",
          "only inputs of numbers can be random");
    }
    inputs[input.name] = is_floating(*dtype) ? randn(shape, DType::kFloat32, &generator).to(*dtype) : Tensor::zeros(shape, *dtype);
  }
  return inputs;
}

std::map<std::string, Tensor> file_inputs(const Model& model, const std::vector<std::string>& arguments) {
  std::map<std::string, Tensor> inputs;
  const std::vector<ModelValue> known = model.inputs();
  const auto put = [&](const ModelValue& input, Tensor tensor, const std::string& what) {
    if (const std::optional<DType> dtype = dtype_named(input.dtype); dtype && tensor.dtype() != *dtype) {
      if (is_floating(tensor.dtype()) && !is_floating(*dtype)) {
        throw UsageError(what + ": " + dtype_name(tensor.dtype()) + " for input " + input_text(input),
                         fmt::format("save it with whole numbers: numpy.save(FILE, x.astype(\"{}\"))", input.dtype));
      }
      Tensor converted = tensor.to(*dtype);
      if (!is_floating(*dtype) && *dtype != DType::kBool && !identical(converted.to(tensor.dtype()), tensor)) {
        throw UsageError(what + ": " + dtype_name(tensor.dtype()) + " values that input " + input_text(input) + " cannot hold",
                         "give values that " + input.dtype + " has");
      }
      tensor = std::move(converted);
    }
    if (!inputs.emplace(input.name, std::move(tensor)).second)
      throw UsageError(what + ": input '" + input.name + "' is given twice", "give each input once");
  };
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    const std::string path = equals == std::string::npos ? argument : argument.substr(equals + 1);
    const std::string what = "--input " + argument;
    const auto named = [&](const std::string& name) -> const ModelValue& { return input_named(known, name, what); };
    const bool archive = path.ends_with(".npz");
    if (equals == std::string::npos && archive) {
      const auto fits = [&](const io::ArrayInfo& array) { return check_shape(named(array.name), array, what), true; };
      for (auto& [name, tensor] : io::read_npz(path, fits)) put(named(name), std::move(tensor), what);
    } else if (equals != std::string::npos || known.size() == 1) {
      const ModelValue& input = equals != std::string::npos ? named(argument.substr(0, equals)) : known[0];
      const auto fits = [&](const io::ArrayInfo& array) { return check_shape(input, array, what), true; };
      put(input, archive ? array_named(path, input, what) : io::read_npy(path, fits), what);
    } else {
      throw UsageError(what + ": which of the model's " + std::to_string(known.size()) + " inputs?", "write --input NAME=" + path);
    }
  }
  for (const ModelValue& input : known) {
    if (inputs.count(input.name) == 0)
      throw UsageError("input " + input_text(input) + " is missing", "give it with --input " + input.name + "=FILE.npy");
  }
  return inputs;
}

}  // namespace convoy::cli
