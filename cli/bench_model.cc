#include "cli/bench_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>

#include "cli/available_memory.h"
#include "cli/brief.h"
#include "cli/interrupt.h"
#include "convoy/core/accuracy.h"
#include "convoy/core/parallel.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/summary.h"
#include "convoy/kernels/machine.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"

namespace convoy::cli {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Runs {
  std::vector<double> seconds;       // sorted
  std::vector<double> node_seconds;  // the median of each node
  double total() const { return std::accumulate(node_seconds.begin(), node_seconds.end(), 0.0); }
};

Runs timed(const Model& model, const graph::Values& inputs, double seconds, bool nodes) {
  Runs runs;
  for (int i = 0; i < 2; ++i) model.executor().run(inputs);
  const Clock::time_point begin = Clock::now();
  while (runs.seconds.size() < 5 || (since(begin) < seconds && runs.seconds.size() < 100000)) {
    if (stop_signal() != 0 && !runs.seconds.empty()) break;
    const Clock::time_point start = Clock::now();
    model.executor().run(inputs);
    runs.seconds.push_back(since(start));
  }
  std::sort(runs.seconds.begin(), runs.seconds.end());
  if (!nodes || stop_signal() != 0) return runs;
  std::vector<std::vector<double>> all(model.graph().nodes.size());
  for (int i = 0; i < 11; ++i) {
    model.executor().run(inputs, [&](size_t node, double time) { all[node].push_back(time); });
  }
  for (std::vector<double>& times : all) {
    std::sort(times.begin(), times.end());
    runs.node_seconds.push_back(times.empty() ? 0 : times[times.size() / 2]);
  }
  return runs;
}

// Slowest first; what is below a thousandth of the whole comes as one row.
report::Json print_layers(const Model& model, const std::vector<graph::Type>& inputs,
                          const std::vector<graph::LayerSummary>& summary, const Runs& runs, double peak, Session& session) {
  std::map<std::string, graph::LayerSummary> layers;
  for (const graph::LayerSummary& layer : summary) layers.emplace(layer.output_name, layer);
  std::vector<size_t> order(runs.node_seconds.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return runs.node_seconds[a] > runs.node_seconds[b]; });
  using report::Align;
  report::Table table({{.title = "layer", .least = 24},
                       {.title = "type", .least = 12, .leaves = 2},
                       {.title = "output shape", .leaves = 4, .brief = brief_shape},
                       {.title = "kernel", .leaves = 3},
                       {.title = "algorithm", .brief = brief_algorithm},
                       {.title = "time", .align = Align::kRight},
                       {.title = "share", .align = Align::kRight},
                       {.title = "GFLOP/s", .align = Align::kRight, .leaves = 1},
                       {.title = "of peak", .align = Align::kRight, .leaves = 5}});
  report::Json rows = report::Json::array();
  double rest = 0;
  int64_t small = 0;
  for (const size_t i : order) {
    const graph::Node& node = model.graph().nodes[i];
    const double seconds = runs.node_seconds[i];
    const auto found = node.output(0) == graph::kNoValue ? layers.end() : layers.find(model.graph().value(node.output(0)).name);
    const graph::LayerSummary layer = found == layers.end() ? graph::LayerSummary{.name = node.name, .op = node.op} : found->second;
    const std::string algorithm = model.executor().algorithm(i, inputs);
    const double flops = seconds > 0 ? 2 * layer.macs.value_or(0) / seconds : 0;
    rows.push(report::Json::object({{"name", layer.name},
                                    {"type", layer.op},
                                    {"output_shape", shape_json(layer.output)},
                                    {"kernel", layer.kernel},
                                    {"algorithm", algorithm},
                                    {"ms", seconds * 1e3},
                                    {"share", seconds / runs.total()},
                                    {"gflops", flops * 1e-9},
                                    {"fraction_of_peak", flops / peak}}));
    if (seconds < runs.total() * 1e-3) {
      rest += seconds;
      ++small;
      continue;
    }
    table.add_row({layer.name, layer.op, layer.output.dims ? graph::to_string(*layer.output.dims) : "?",
                   layer.kernel.empty() ? "--" : layer.kernel, algorithm.empty() ? "--" : algorithm, report::duration(seconds),
                   report::percent(seconds / runs.total()), flops > 0 ? report::fixed(flops * 1e-9, 1) : "--",
                   flops > 0 ? report::percent(flops / peak) : "--"});
  }
  if (small > 0)
    table.add_row({report::counted(small, "other"), "", "", "", "", report::duration(rest), report::percent(rest / runs.total())});
  session.print("\n" + table.text(session.style()));
  return rows;
}

}  // namespace

int bench_model(const std::string& path, const ModelBench& options, Session& session) {
  const Clock::time_point start = Clock::now();
  const Model model = Model::load(
      path, {.external_data = options.external_data, .memory_budget = memory_budget(), .progress = reading_progress(session)});
  const double load = since(start);
  graph::Values inputs;
  std::vector<graph::Type> types;
  const std::map<std::string, Tensor> tensors = random_inputs(model, options.sizes, 0);
  for (const graph::ValueId id : model.graph().inputs) {
    const Tensor& tensor = tensors.at(model.graph().value(id).name);
    inputs.emplace(model.graph().value(id).name, tensor);
    types.push_back(graph::Type::of(tensor));
  }
  const int64_t batch = batch_of(model.graph(), options.sizes, session);
  double peak = kernels::measure_peak_flops(num_threads());
  const Runs runs = running(path, [&] { return timed(model, inputs, options.seconds, options.layers); });
  peak = std::max(peak, kernels::measure_peak_flops(num_threads()));
  const std::vector<graph::LayerSummary> summary = graph::summarize(model.graph(), graph::infer_types(model.graph(), types));
  double macs = 0;
  for (const graph::LayerSummary& layer : summary) macs += layer.macs.value_or(0);
  const double least = runs.seconds.front(), median = runs.seconds[runs.seconds.size() / 2], flops = 2 * macs / least;
  session.print(fmt::format("{} · batch {} · {} · {} · peak {:.0f} GFLOP/s (register-only FMA loop, same run)\n",
                            session.style().bold(path), batch, kernels::simd_name(), report::counted(num_threads(), "thread"),
                            peak * 1e-9));
  report::Table table({{"min", report::Align::kRight},
                       {"median", report::Align::kRight},
                       {.title = "runs", .align = report::Align::kRight, .leaves = 1},
                       {"GFLOP/s", report::Align::kRight},
                       {"of peak", report::Align::kRight},
                       {"load", report::Align::kRight},
                       {"weights", report::Align::kRight},
                       {"memory", report::Align::kRight}});
  const int64_t memory = model.executor().peak_bytes(types);
  table.add_row({report::duration(least), report::duration(median), report::grouped(static_cast<int64_t>(runs.seconds.size())),
                 report::fixed(flops * 1e-9, 1), report::percent(flops / peak), report::duration(load),
                 report::bytes(model.weight_bytes()), report::bytes(memory)});
  session.print(table.text(session.style()));
  report::Json passes = report::Json::object({});
  std::string done;
  for (const graph::PassResult& pass : model.passes()) {
    passes.set(std::string(pass.name), pass.count);
    if (pass.count > 0) done += fmt::format("{}{} {}", done.empty() ? "" : " · ", pass.name, pass.count);
  }
  if (!done.empty()) session.print("rewritten on loading: " + done + "\n");
  report::Json document =
      report::Json::object({{"schema", "convoy.bench_model/1"}, {"model", path}, {"batch", batch}, {"threads", num_threads()}});
  document.set("min_ms", least * 1e3).set("median_ms", median * 1e3).set("runs", static_cast<int64_t>(runs.seconds.size()));
  document.set("load_ms", load * 1e3)
      .set("memory_bytes", memory)
      .set("weight_bytes", model.weight_bytes())
      .set("macs", macs)
      .set("gflops", flops * 1e-9);
  document.set("peak_gflops", peak * 1e-9).set("fraction_of_peak", flops / peak).set("simd", kernels::simd_name());
  document.set("accuracy", accuracy_name(accuracy())).set("passes", passes);
  if (options.layers && runs.node_seconds.size() == model.graph().nodes.size())
    document.set("layers", print_layers(model, types, summary, runs, peak, session));
  session.document(document);
  stop_if_asked(report::counted(static_cast<int64_t>(runs.seconds.size()), "run was measured", "runs were measured"));
  return kOk;
}

}  // namespace convoy::cli
