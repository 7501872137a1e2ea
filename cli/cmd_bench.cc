// convoy bench MODEL | --layer DESCRIPTOR | --problems FILE | --training NETWORK
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "cli/bench_model.h"
#include "cli/brief.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/training_benchmark.h"
#include "convoy/core/measured_plans.h"
#include "convoy/core/parallel.h"
#include "convoy/io/file.h"
#include "convoy/kernels/machine.h"
#include "convoy/nn/vision_models.h"
#include "convoy/plan/measure.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"
#include "convoy/shape/descriptor.h"

namespace convoy::cli {

namespace {

using plan::Direction;

struct Options {
  std::optional<std::string> layer, problems, training, size, direction, algorithm, accuracy;
  std::optional<int64_t> batch;
  std::optional<double> seconds;
  bool explain = false, cold = false, repack = false, measure = false;
  std::string model;
  ModelBench model_bench;
};

void declare(CLI::App& app, Options& options) {
  add_text(app, "--layer", options.layer, "DESCRIPTOR",
           "the layer: \"n1 ic64 oc64 i56 k3 p1\" (s d g op; an axis letter h, w or d narrows a word)");
  add_text(app, "--problems", options.problems, "FILE",
           "a file with one descriptor a line, optionally behind a name and a colon; # begins a comment");
  add_choice(app, "--training", options.training, nn::vision_model_names(),
             "a training step of this network instead: forward, backward, SGD with momentum");
  add_integer(app, "--batch", options.batch, 1, 4096,
              "images of a training step (8), or a model's batch where it leaves that open (1)");
  add_text(app, "--size", options.size, "N|HxW",
           "height and width of a training step's images (224), or where a model leaves them open (1)");
  add_choice(app, "--direction", options.direction, {"forward", "grad_input", "grad_weight"}, "what to compute (forward)");
  add_text(app, "--algorithm", options.algorithm, "NAME", "run this algorithm instead of the planner's choice");
  add_choice(app, "--accuracy", options.accuracy, {"strict", "default", "fast"}, "how much rounding error may buy speed (default)");
  app.add_flag("--measure", options.measure, "choose each algorithm by timing those that could be best, instead of by rule");
  app.add_flag("--cold", options.cold, "take the weight from memory in every call, as in a large network");
  app.add_flag("--repack", options.repack, "pack the weight in every call, as in training");
  add_number(app, "--seconds", options.seconds, 0, 600, true,
             "how long to measure: a model (2), each layer (0.5), the training steps (5)");
  app.add_flag("--layers", options.model_bench.layers, "of a model: every layer's time, slowest first");
  app.add_flag("--external-data", options.model_bench.external_data, "let the model read values from other files in its folder");
  app.add_option("MODEL", options.model);
  app.add_flag("--explain", options.explain, "list every algorithm, its predicted time, or why it was refused");
}

struct Problem {
  std::string name;
  shape::ConvShape layer;
};

// What is wrong with a descriptor, in words.
[[noreturn]] void refuse(const std::string& text, const shape::ShapeError& error, const std::string& where) {
  using Code = shape::ShapeErrorCode;
  const std::string word(shape::offending_word(text, error));
  const std::string fix = "a layer reads like \"n1 ic3 oc64 i224 k7 s2 p3\" (convoy help bench)";
  static constexpr const char* kAxes[] = {"depth", "height", "width"};
  const std::string axis = error.axis >= 0 && error.axis < 3 ? std::string(" (") + kAxes[error.axis] + ")" : "";
  switch (error.code) {
    case Code::kUnknownWord:
      throw UsageError(where + ": unknown word '" + word + "' in '" + text + "'", fix);
    case Code::kBadNumber:
      throw UsageError(where + ": '" + word + "' in '" + text + "' is not a number that fits", fix);
    case Code::kRepeatedWord:
      throw UsageError(where + ": '" + word + "' in '" + text + "' says something twice", fix);
    case Code::kNotTransposed:
      throw UsageError(where + ": '" + word + "' is for transposed layers", "begin the descriptor with the word transposed");
    case Code::kMissingInputSize:
      throw UsageError(where + ": no input size in '" + text + "'" + axis, "give i56, or ih and iw");
    case Code::kMissingKernelSize:
      throw UsageError(where + ": no kernel size in '" + text + "'" + axis, "give k3, or kh and kw");
    case Code::kKernelTooLarge:
      throw ShapeMismatch(where + ": the kernel spans " + std::to_string(error.value) + ", more than the padded input of " +
                              std::to_string(error.limit) + axis,
                          "use more padding, a larger input or a smaller kernel or dilation");
    case Code::kNonPositiveKernel:
      throw ShapeMismatch(where + ": kernel size " + std::to_string(error.value) + axis, "it must be 1 or more");
    case Code::kNonPositiveStride:
      throw ShapeMismatch(where + ": stride " + std::to_string(error.value) + axis, "it must be 1 or more");
    case Code::kNonPositiveDilation:
      throw ShapeMismatch(where + ": dilation " + std::to_string(error.value) + axis, "it counts from 1: 1 means no holes");
    case Code::kNonPositiveGroups:
      throw ShapeMismatch(where + ": groups " + std::to_string(error.value), "it must be 1 or more");
    case Code::kChannelsNotDivisible:
      throw ShapeMismatch(where + ": in_channels must be divisible by groups",
                          "ic is " + std::to_string(error.value) + ", g is " + std::to_string(error.limit));
    case Code::kOutChannelsNotDivisible:
      throw ShapeMismatch(where + ": out_channels must be divisible by groups",
                          "oc is " + std::to_string(error.value) + ", g is " + std::to_string(error.limit));
    case Code::kOutputTooSmall:
      throw ShapeMismatch(where + ": the output would have size " + std::to_string(error.value) + axis,
                          "use less padding or a larger input");
    case Code::kOutputPaddingTooLarge:
      throw ShapeMismatch(where + ": output padding " + std::to_string(error.value) + axis,
                          "the largest here is " + std::to_string(error.limit));
    case Code::kOverflow:
      throw ShapeMismatch(where + ": the sizes of '" + text + "' overflow 64 bits", "use smaller sizes");
    default:
      throw ShapeMismatch(where + ": '" + text + "' is not a layer that works" + axis, fix);
  }
}

Problem parse(const std::string& name, const std::string& text, const std::string& where) {
  const shape::Result<shape::ConvShape> layer = shape::parse_descriptor(text);
  if (!layer) refuse(text, layer.error(), where);
  const shape::ConvShape& s = *layer;
  const double bytes =
      4.0 * (static_cast<double>(s.input_count()) + static_cast<double>(s.output_count()) + static_cast<double>(s.weight_count()));
  constexpr double kMostBytes = 16e9;
  if (s.input_count() == 0 || s.output_count() == 0 || s.weight_count() == 0)
    throw ShapeMismatch(where + ": '" + text + "' has nothing to compute", "use sizes of 1 or more");
  if (bytes > kMostBytes) {
    throw ShapeMismatch(where + ": '" + text + "' takes " + report::bytes(static_cast<int64_t>(std::min(bytes, 9e18))) +
                            " of input, weight and output",
                        "bench runs layers of up to " + report::bytes(static_cast<int64_t>(kMostBytes)));
  }
  return {name, s};
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::vector<Problem> read_problems(const std::string& path) {
  constexpr uint64_t kMostBytes = uint64_t{1} << 26;
  const std::vector<uint8_t> bytes = io::ByteSource::open(path).read_all(kMostBytes);
  std::istringstream file(std::string(bytes.begin(), bytes.end()));
  std::vector<Problem> problems;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const size_t colon = line.find(": ");
    const std::string name = colon == std::string::npos ? "" : trimmed(line.substr(0, colon));
    problems.push_back(
        parse(name, trimmed(colon == std::string::npos ? line : line.substr(colon + 1)), path + ":" + std::to_string(number)));
  }
  if (problems.empty()) throw FileError(path + ": there is no layer in it", "one descriptor a line, like n1 ic64 oc64 i56 k3 p1");
  return problems;
}

report::Json describe(const Problem& problem, Direction direction, const plan::Measurement& m, report::Json json) {
  if (!problem.name.empty()) json.set("name", problem.name);
  json.set("layer", shape::descriptor(problem.layer).view());
  json.set("direction", kernels::direction_name(direction));
  json.set("algorithm", m.plan.name()).set("min_ms", m.min_seconds * 1e3).set("median_ms", m.median_seconds * 1e3);
  json.set("runs", m.runs).set("threads", m.threads).set("simd", kernels::simd_name());
  json.set("gflops", m.gflops()).set("peak_gflops", m.peak_flops * 1e-9).set("fraction_of_peak", m.fraction_of_peak());
  json.set("workspace_bytes", static_cast<int64_t>(m.workspace_bytes));
  json.set("packed_bytes", static_cast<int64_t>(m.packed_bytes)).set("pack_ms", m.pack_seconds * 1e3);
  report::Json candidates = report::Json::array();
  for (const plan::ConvCandidate& candidate : m.plan.candidates()) {
    report::Json row = report::Json::object({{"algorithm", candidate.kernel->name}});
    if (candidate.rejected.empty()) {
      row.set("predicted_ms", candidate.seconds * 1e3);
      if (candidate.measured > 0) row.set("measured_ms", candidate.measured * 1e3);
    } else {
      row.set("rejected", candidate.rejected);
    }
    candidates.push(row);
  }
  return json.set("candidates", candidates);
}

std::string explanation(const plan::Measurement& m, const report::Style& style) {
  const std::vector<plan::ConvCandidate>& candidates = m.plan.candidates();
  const bool measured = std::any_of(candidates.begin(), candidates.end(), [](const auto& c) { return c.measured > 0; });
  std::vector<report::Column> columns{{""}, {"algorithm"}, {"predicted", report::Align::kRight}};
  if (measured) columns.push_back({"measured", report::Align::kRight});
  columns.push_back({""});
  report::Table table(columns);
  const std::string_view chosen = m.plan.name();
  for (const plan::ConvCandidate& candidate : candidates) {
    const bool taken = chosen == candidate.kernel->name, runs = candidate.rejected.empty();
    std::vector<std::string> cells{taken ? "*" : "", candidate.kernel->name, runs ? report::duration(candidate.seconds) : "--"};
    if (measured) cells.push_back(candidate.measured > 0 ? report::duration(candidate.measured) : "--");
    cells.push_back(runs ? (taken ? "taken" : "slower") : "refused: " + candidate.rejected);
    table.add_row(cells);
  }
  return table.text(style, 2) + style.dim("  predicted for one sample on one nominal core") + "\n";
}

int run_training(const Options& options, Session& session) {
  if (options.layer || options.problems || options.direction || options.algorithm || options.cold || options.repack ||
      options.explain) {
    throw UsageError("--training excludes the options of single layers", "for example convoy bench --training resnet18 --batch 8");
  }
  const auto [height, width] = height_and_width("--size", options.size.value_or("224"));
  if (height != width || height < 32 || height > 4096)
    throw UsageError("--size: training steps take square images of 32 to 4096 pixels", "for example --size 224");
  const TrainingBenchmark benchmark{
      .model = *options.training, .batch = options.batch.value_or(8), .size = height, .seconds = options.seconds.value_or(5)};
  const TrainingTimes times = measure_training(benchmark);
  const int threads = num_threads();
  session.print(fmt::format("{} · {} parameters · batch {} · {} x {} · {} · {} thread{} · {} steps\n", benchmark.model,
                            times.parameters, benchmark.batch, benchmark.size, benchmark.size, kernels::simd_name(), threads,
                            threads == 1 ? "" : "s", times.steps));
  report::Table table({{"step"},
                       {"min", report::Align::kRight},
                       {"median", report::Align::kRight},
                       {"forward", report::Align::kRight},
                       {"backward", report::Align::kRight},
                       {"update", report::Align::kRight},
                       {"images/s", report::Align::kRight}});
  const auto cell = [](double ms) { return report::duration(ms * 1e-3); };
  const double images_per_second = static_cast<double>(benchmark.batch) / times.median_ms * 1e3;
  table.add_row({"training", cell(times.min_ms), cell(times.median_ms), cell(times.forward_ms), cell(times.backward_ms),
                 cell(times.optimizer_ms), report::fixed(images_per_second, 1)});
  session.print(table.text(session.style()));
  session.document(report::Json::object({{"schema", "convoy.bench-training/1"}})
                       .set("model", benchmark.model)
                       .set("parameters", times.parameters)
                       .set("batch", benchmark.batch)
                       .set("size", benchmark.size)
                       .set("threads", threads)
                       .set("simd", kernels::simd_name())
                       .set("steps", times.steps)
                       .set("min_ms", times.min_ms)
                       .set("median_ms", times.median_ms)
                       .set("forward_ms", times.forward_ms)
                       .set("backward_ms", times.backward_ms)
                       .set("optimizer_ms", times.optimizer_ms));
  return kOk;
}

int run(const Options& options, Session& session) {
  if (options.measure) set_measured_plans(true);
  if (!options.model.empty()) {
    if (options.layer || options.problems || options.training || options.direction || options.algorithm || options.explain ||
        options.cold || options.repack)
      throw UsageError("a model is timed whole: it takes no option of single layers or training",
                       "for example convoy bench model.onnx --layers");
    if (options.accuracy) set_accuracy(*parse_accuracy(*options.accuracy));
    ModelBench bench = options.model_bench;
    bench.sizes = open_sizes(options.batch.value_or(1), options.size);
    bench.seconds = options.seconds.value_or(2);
    return bench_model(options.model, bench, session);
  }
  if (options.training) return run_training(options, session);
  if (options.batch || options.size)
    throw UsageError("--batch and --size go with a model or --training", "a layer's batch is its word n: \"n8 ic64 ...\"");
  if (options.layer.has_value() == options.problems.has_value()) {
    throw UsageError(options.layer ? "--layer and --problems exclude each other" : "'convoy bench' needs a model or a layer",
                     "for example convoy bench --layer \"ic64 oc64 i56 k3 p1\"");
  }
  const std::vector<Problem> problems =
      options.layer ? std::vector<Problem>{parse("", *options.layer, "--layer")} : read_problems(*options.problems);
  const std::string direction_text = options.direction.value_or("forward");
  const Direction direction = direction_text == "grad_input"    ? Direction::kGradInput
                              : direction_text == "grad_weight" ? Direction::kGradWeight
                                                                : Direction::kForward;
  const std::string algorithm = options.algorithm.value_or("");
  const Accuracy accuracy = parse_accuracy(options.accuracy.value_or("")).value_or(convoy::accuracy());
  report::Json document = report::Json::object({{"schema", "convoy.bench/1"}}), layers = report::Json::array();
  using report::Align;
  report::Table table({{.title = "layer", .least = 36, .brief = brief_layer},
                       {.title = "algorithm", .brief = brief_algorithm},
                       {.title = "min", .align = Align::kRight},
                       {.title = "median", .align = Align::kRight, .leaves = 2},
                       {.title = "GFLOP/s", .align = Align::kRight, .leaves = 3},
                       {.title = "of peak", .align = Align::kRight},
                       {.title = "workspace", .align = Align::kRight, .leaves = 1}});
  std::string explanations;
  size_t done = 0;
  for (const Problem& problem : problems) {
    if (stop_signal() != 0) break;
    const plan::Measurement m = plan::measure_conv(
        problem.layer, direction,
        {.plan = {.algorithm = algorithm, .accuracy = accuracy, .packed = !options.repack, .training = options.repack},
         .seconds = options.seconds.value_or(0.5),
         .stop = [] { return stop_signal() != 0; },
         .cold = options.cold});
    const std::string name = problem.name.empty() ? std::string(shape::descriptor(problem.layer).view()) : problem.name;
    table.add_row({name, m.plan.name(), report::duration(m.min_seconds), report::duration(m.median_seconds),
                   report::fixed(m.gflops(), 1), report::percent(m.fraction_of_peak()),
                   report::bytes(static_cast<int64_t>(m.workspace_bytes))});
    if (options.explain) explanations += (problems.size() > 1 ? name + "\n" : "") + explanation(m, session.style());
    if (options.layer) {
      session.print(fmt::format("{} · {} · {} thread{} · peak {:.0f} GFLOP/s (register-only FMA loop, same run)\n",
                                kernels::direction_name(direction), kernels::simd_name(), m.threads, m.threads == 1 ? "" : "s",
                                m.peak_flops * 1e-9));
      document = describe(problem, direction, m, document);
    } else {
      layers.push(describe(problem, direction, m, report::Json::object()));
    }
    ++done;
  }
  session.print(table.text(session.style()));
  if (options.explain) session.print("\n" + explanations);
  if (!options.layer) document.set("layers", layers);
  session.document(document);
  stop_if_asked(fmt::format("{} of {} layers were measured", done, problems.size()));
  return kOk;
}

}  // namespace

Command bench_command() {
  return make_command<Options>(
      {.name = "bench",
       .arguments = "[MODEL.onnx]",
       .summary = "time a network, a convolution or a training step, and explain the choice",
       .examples = {"convoy bench model.onnx --layers", "convoy bench --layer \"ic64 oc64 i56 k3 p1\" --explain",
                    "convoy bench --layer \"transposed ic128 oc64 i128 k2 s2\" --direction grad_weight --json",
                    "convoy bench --training resnet18 --batch 8"}},
      declare, run);
}

}  // namespace convoy::cli
