// convoy run MODEL IMAGE... | --input NAME=FILE | --random-input
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "cli/available_memory.h"
#include "cli/command.h"
#include "cli/guesses.h"
#include "cli/interrupt.h"
#include "cli/labels.h"
#include "cli/model_inputs.h"
#include "convoy/io/file.h"
#include "convoy/io/npy.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"

namespace convoy::cli {

namespace {

struct Options {
  std::vector<std::string> arguments, inputs;
  std::optional<std::string> output_dir, labels;
  std::optional<int64_t> top;
  std::optional<int64_t> batch, seed;
  bool random = false, external_data = false;
  ImageOptions image;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--input", options.inputs, "NAME=FILE.npy or .npz, once per input; or FILE.npz with all of them by name")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  app.add_flag("--random-input", options.random, "feed random numbers: shapes as the model says, sizes that may be any 1");
  add_integer(app, "--batch", options.batch, 1, 65536, "the batch of random inputs, where the model leaves it open (1)");
  add_integer(app, "--seed", options.seed, 0, INT64_MAX, "of random inputs (0)");
  add_text(app, "--output-dir", options.output_dir, "DIR", "save the outputs there as 0.npy, 1.npy, ... with index.json");
  add_text(app, "--labels", options.labels, "FILE", "class names, one a line");
  add_integer(app, "-k,--top", options.top, 1, 1000000, "classes to print per image (5)");
  add_image_options(app, options.image);
  app.add_flag("--external-data", options.external_data, "let the model read values from other files in its folder");
  app.add_option("MODEL IMAGE", options.arguments);
}

// The scores of each sample, if that is what an output of shape (C) or (N, C, 1, ...) may be.
std::vector<std::vector<double>> scores_of(const Tensor& output) {
  const int64_t samples = output.dim() > 1 ? output.size(0) : 1;
  const int64_t classes = output.dim() > 0 ? output.size(output.dim() > 1 ? 1 : 0) : 0;
  if (!is_floating(output.dtype()) || classes < 2 || output.numel() != samples * classes) return {};
  const std::vector<double> values = output.to(DType::kFloat64).to_vector<double>();
  if (!std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); })) return {};
  std::vector<std::vector<double>> scores;
  for (int64_t i = 0; i < samples; ++i) scores.emplace_back(values.begin() + i * classes, values.begin() + (i + 1) * classes);
  return scores;
}

// Of the finite values, and how many others there are.
struct ValueRange {
  double least = INFINITY, most = -INFINITY, mean = 0;
  int64_t count = 0, not_finite = 0;

  explicit ValueRange(const Tensor& output) : count(output.numel()) {
    constexpr int64_t kAtATime = 1 << 16;  // as float64 all of them would be several times the output
    const Tensor flat = output.reshape({count});
    for (int64_t begin = 0; begin < count; begin += kAtATime) {
      for (const double value : flat.slice(begin, std::min(begin + kAtATime, count)).to_vector<double>()) {
        if (!std::isfinite(value)) {
          ++not_finite;
          continue;
        }
        least = std::min(least, value);
        most = std::max(most, value);
        mean += value;
      }
    }
    mean /= static_cast<double>(count - not_finite);
  }

  std::string text() const {
    if (count == 0) return "empty";
    if (not_finite == count) return "not one finite value";
    const std::string text = fmt::format("{:.5g} to {:.5g}, mean {:.5g}", least, most, mean);
    return not_finite > 0 ? text + ", " + report::counted(not_finite, "value is not finite", "values are not finite") : text;
  }

  // What there is none of is null.
  report::Json json() const {
    return report::Json::object({{"min", least}, {"max", most}, {"mean", mean}, {"not_finite", not_finite}});
  }
};

// Before anything is computed that could then not be saved.
void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const bool usable = !error && std::filesystem::is_directory(folder, error);
  if (!usable || ::access(folder.c_str(), W_OK) != 0) {
    throw FileError(folder + ": cannot be written to" + (error ? ": " + error.message() : ""),
                    "give --output-dir a folder that can be written");
  }
}

// In the graph's order.
report::Json save_outputs(const std::string& folder, const Model& model, const std::map<std::string, Tensor>& outputs) {
  report::Json index = report::Json::array();
  int64_t number = 0;
  for (const ModelValue& value : model.outputs()) {
    const Tensor& output = outputs.at(value.name);
    const std::string file = std::to_string(number++) + ".npy";
    io::write_npy(folder + "/" + file, output);
    index.push(report::Json::object({{"name", value.name},
                                     {"file", file},
                                     {"dtype", dtype_name(output.dtype())},
                                     {"shape", report::Json::array_of(output.shape())}}));
  }
  const std::string text = report::Json::object({{"schema", "convoy.outputs/1"}, {"outputs", index}}).text() + "\n";
  io::OutputFile file(folder + "/index.json");
  file.write(text.data(), text.size());
  file.commit();
  return index;
}

std::map<std::string, Tensor> timed_run(const Model& model, const std::string& path, const std::map<std::string, Tensor>& inputs,
                                        double& seconds) {
  std::map<std::string, Shape> shapes;
  int64_t held = 0;
  for (const auto& [name, tensor] : inputs) {
    shapes[name] = tensor.shape();
    held += static_cast<int64_t>(tensor.nbytes());
  }
  need_memory(model, shapes, -held);
  const auto start = std::chrono::steady_clock::now();
  std::map<std::string, Tensor> outputs = running(path, [&] { return model.run(inputs); });
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outputs;
}

// The classes of one sample, below its heading if it has one.
report::Json show_classes(const std::vector<Guess>& best, const std::string& heading, Session& session) {
  report::Json classes = report::Json::array();
  int width = 0;
  for (const Guess& guess : best) width = std::max(width, report::display_width(guess.label));
  if (!heading.empty()) session.print(session.style().bold(heading) + "\n");
  for (const Guess& guess : best) {
    session.print((heading.empty() ? "" : "  ") + report::pad_right(guess.label, width) + "  " +
                  report::percent(guess.probability) + "\n");
    classes.push(report::Json::object({{"index", guess.index}, {"class", guess.label}, {"probability", guess.probability}}));
  }
  return classes;
}

// What a run's outputs are shown with: where they come from, and how.
struct Showing {
  std::string file;     // the image; empty for arrays
  bool headed = false;  // whether there are several
  bool classify = false;
  std::vector<std::string> labels;
  int64_t top = 5;
};

// The classes of each sample if the only output is scores, else what the outputs are; into `results`.
void show(const Model& model, const std::map<std::string, Tensor>& outputs, const Showing& showing, report::Json& results,
          Session& session) {
  const std::vector<ModelValue> values = model.outputs();
  const report::Json file = showing.file.empty() ? report::Json() : report::Json(showing.file);
  if (showing.classify && values.size() == 1) {
    const std::vector<std::vector<double>> scores = scores_of(outputs.at(values[0].name));
    if (!scores.empty() && !showing.labels.empty() && showing.labels.size() != scores[0].size()) {
      session.warn(fmt::format("the labels file has {}, the model {} classes",
                               report::counted(static_cast<int64_t>(showing.labels.size()), "name"), scores[0].size()));
    }
    for (size_t i = 0; i < scores.size(); ++i) {
      const std::string heading = scores.size() > 1 ? fmt::format("sample {}", i) : showing.headed ? shown_name(showing.file) : "";
      const report::Json classes =
          show_classes(best_guesses(probabilities_of(scores[i]), showing.labels, showing.top), heading, session);
      results.push(report::Json::object({{"file", file}, {"sample", static_cast<int64_t>(i)}, {"classes", classes}}));
    }
    if (!scores.empty()) return;
  }
  report::Json rows = report::Json::array();
  report::Table table({{"output"}, {"type"}, {"shape"}, {"values"}});
  for (const ModelValue& value : values) {
    const Tensor& output = outputs.at(value.name);
    const ValueRange range(output);
    table.add_row({value.name, dtype_name(output.dtype()), to_string(output.shape()), range.text()});
    rows.push(report::Json::object({{"name", value.name},
                                    {"dtype", dtype_name(output.dtype())},
                                    {"shape", report::Json::array_of(output.shape())},
                                    {"values", range.json()}}));
  }
  if (showing.headed) session.print(session.style().bold(shown_name(showing.file)) + "\n");
  session.print(table.text(session.style()));
  results.push(report::Json::object({{"file", file}, {"outputs", rows}}));
}

// What prepares one kind of input says nothing about another.
void check_kinds(const Options& options, bool images) {
  const auto needs = [](bool given, const char* option, bool fits, const char* kind) {
    if (given && !fits) throw UsageError(fmt::format("{} is for {}", option, kind), fmt::format("leave it out, or give {}", kind));
  };
  needs(options.image.mean.has_value(), "--mean", images, "images");
  needs(options.image.std.has_value(), "--std", images, "images");
  needs(options.image.crop.has_value(), "--crop", images, "images");
  needs(options.image.size.has_value(), "--size", images || options.random, "images or --random-input");
  needs(options.batch.has_value(), "--batch", options.random, "--random-input");
  needs(options.seed.has_value(), "--seed", options.random, "--random-input");
}

int run(const Options& options, Session& session) {
  if (options.arguments.empty()) throw UsageError("'convoy run' needs a model", "for example convoy run model.onnx photo.jpg");
  const std::string& path = options.arguments[0];
  const std::vector<std::string> images(options.arguments.begin() + 1, options.arguments.end());
  if (static_cast<int>(!images.empty()) + static_cast<int>(!options.inputs.empty()) + static_cast<int>(options.random) != 1) {
    throw UsageError(images.empty() && options.inputs.empty() && !options.random
                         ? "nothing to run it on"
                         : "images, --input and --random-input exclude each other",
                     "give images, or --input NAME=FILE.npy for each input, or --random-input");
  }
  check_kinds(options, !images.empty());
  if (options.output_dir && images.size() > 1) throw UsageError("--output-dir takes the outputs of one run", "give one image");
  for (const std::string& image : images) {
    if (image.ends_with(".npy") || image.ends_with(".npz"))
      throw UsageError(image + " is an array, not an image", "give it with --input " + image);
  }
  if (options.output_dir) make_folder(*options.output_dir);
  Showing showing{.headed = images.size() > 1,
                  .classify = !images.empty() || options.labels || options.top,
                  .labels = options.labels ? read_labels(*options.labels) : std::vector<std::string>{},
                  .top = options.top.value_or(5)};
  const OpenSizes sizes = open_sizes(options.batch.value_or(1), options.random ? options.image.size : std::nullopt);
  const Model model = Model::load(
      path, {.external_data = options.external_data, .memory_budget = memory_budget(), .progress = reading_progress(session)});
  report::Json results = report::Json::array();
  report::Json document = report::Json::object({{"schema", "convoy.run/1"}, {"model", path}});
  double seconds = 0, total = 0;
  int exit_code = kOk;
  if (images.empty()) {
    const std::map<std::string, Tensor> inputs = options.random
                                                     ? random_inputs(model, sizes, static_cast<uint64_t>(options.seed.value_or(0)))
                                                     : file_inputs(model, options.inputs);
    if (options.random) batch_of(model.graph(), sizes, session);
    const std::map<std::string, Tensor> outputs = timed_run(model, path, inputs, seconds);
    total = seconds;
    show(model, outputs, showing, results, session);
    if (options.output_dir) document.set("saved", save_outputs(*options.output_dir, model, outputs));
  }
  for (const std::string& image : images) {
    stop_if_asked("not all images were done");
    try {
      const std::vector<ModelValue> inputs = model.inputs();
      if (inputs.size() != 1)
        throw UsageError("the model takes " + std::to_string(inputs.size()) + " inputs, not one image",
                         "give them with --input NAME=FILE.npy");
      const std::map<std::string, Tensor> outputs =
          timed_run(model, path, {{inputs[0].name, image_input(image, inputs[0], options.image)}}, seconds);
      total += seconds;
      showing.file = image;
      show(model, outputs, showing, results, session);
      if (options.output_dir) document.set("saved", save_outputs(*options.output_dir, model, outputs));
    } catch (const FileError& error) {
      if (images.size() == 1) throw;
      session.complain(error);
      exit_code = kBadFile;
    }
  }
  if (options.output_dir) session.print(fmt::format("saved in {}\n", *options.output_dir));
  session.print(session.style().dim("computed in " + report::duration(total)) + "\n");
  document.set("seconds", total).set("results", results);
  session.document(document);
  return exit_code;
}

}  // namespace

Command run_command() {
  return make_command<Options>(
      {.name = "run",
       .arguments = "MODEL.onnx [IMAGE...]",
       .summary = "run a network from an ONNX file on images or arrays",
       .examples = {"convoy run model.onnx photo.jpg --labels names.txt", "convoy run model.onnx --input x=x.npy --output-dir out",
                    "convoy run model.onnx --random-input --json"}},
      declare, run);
}

}  // namespace convoy::cli
