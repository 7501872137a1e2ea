// convoy summary MODEL
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "cli/brief.h"
#include "cli/command.h"
#include "cli/model_inputs.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/summary.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"

namespace convoy::cli {

namespace {

struct Options {
  std::string model;
  std::optional<std::string> size;
  int64_t batch = 1;
  bool time = false, external_data = false, flops = false;
};

void declare(CLI::App& app, Options& options) {
  add_integer(app, "--batch", options.batch, 1, 65536, "the batch to count for, where the model leaves it open (1)");
  add_text(app, "--size", options.size, "N|HxW", "height and width to count for, where the model leaves them open (1)");
  app.add_flag("--time", options.time,
               "run it on random numbers and show each layer's time; \"in next\": it runs inside a layer further down");
  app.add_flag("--flops", options.flops, "count FLOPs, 2 per multiply-add");
  app.add_flag("--external-data", options.external_data, "let the model read values from other files in its folder");
  app.add_option("MODEL", options.model);
}

// The graph's inputs with open sizes chosen.
std::vector<graph::Type> input_types(const graph::Graph& graph, const OpenSizes& sizes) {
  std::vector<graph::Type> types;
  for (const graph::ValueId id : graph.inputs) {
    graph::Type type = graph.value(id).type;
    if (type.dims) {
      for (size_t i = 0; i < type.dims->size(); ++i) {
        if (!(*type.dims)[i].known()) (*type.dims)[i] = {sizes.at(i, type.dims->size())};
      }
    }
    types.push_back(std::move(type));
  }
  return types;
}

std::string shape_text(const graph::Type& type) { return type.dims ? graph::to_string(*type.dims) : "?"; }

std::string count_text(double count) {
  if (count <= 0) return "--";
  return count < 9e18 ? report::grouped(static_cast<int64_t>(count)) : report::scientific(count);
}

struct Totals {
  int64_t parameters = 0, parameter_bytes = 0;
  double macs = 0;
  bool all_counted = true;
};

// Seconds per name of a first output, as the network runs after its passes, the least of three runs after a first one.
std::map<std::string, double> node_seconds(const Model& model, const OpenSizes& sizes) {
  const std::map<std::string, Tensor> tensors = random_inputs(model, sizes, 0);
  graph::Values inputs;
  for (const auto& [name, tensor] : tensors) inputs.emplace(name, tensor);
  const graph::Graph& graph = model.graph();
  std::vector<double> least(graph.nodes.size(), 1e9);
  model.executor().run(inputs);
  for (int i = 0; i < 3; ++i) {
    model.executor().run(inputs, [&](size_t node, double seconds) { least[node] = std::min(least[node], seconds); });
  }
  std::map<std::string, double> result;
  for (size_t i = 0; i < least.size(); ++i) {
    if (graph.nodes[i].output(0) != graph::kNoValue) result[graph.value(graph.nodes[i].output(0)).name] = least[i];
  }
  return result;
}

// What is there, row by row; the totals in `totals`.
report::Json print_layers(const graph::Graph& graph, const std::vector<graph::Type>& types,
                          const std::map<std::string, double>& seconds, bool flops, Totals& totals, Session& session) {
  using report::Align;
  std::vector<report::Column> columns{
      {.title = "layer", .least = 24},
      {.title = "type", .least = 12, .leaves = 4},
      {.title = "output shape", .brief = brief_shape},
      {.title = "kernel", .leaves = 3},
      {.title = "parameters", .align = Align::kRight, .leaves = 2, .brief = report::large_of_grouped, .brief_title = "params"},
      {.title = flops ? "FLOPs" : "MACs", .align = Align::kRight, .brief = report::large_of_grouped},
      {.title = "sees", .align = Align::kRight, .leaves = 1}};
  if (!seconds.empty()) columns.push_back({"time", report::Align::kRight});
  report::Table table(columns);
  report::Json rows = report::Json::array();
  const double per_mac = flops ? 2 : 1;
  for (const graph::LayerSummary& layer : graph::summarize(graph, types)) {
    totals.parameters += layer.parameters;
    totals.parameter_bytes += layer.parameter_bytes;
    totals.macs += layer.macs.value_or(0);
    totals.all_counted = totals.all_counted && layer.macs.has_value();
    std::vector<std::string> cells{layer.name,
                                   layer.op,
                                   shape_text(layer.output),
                                   layer.kernel.empty() ? "--" : layer.kernel,
                                   layer.parameters == 0 ? "--" : report::grouped(layer.parameters),
                                   layer.macs ? count_text(*layer.macs * per_mac) : "?",
                                   layer.receptive_field > 0 ? std::to_string(layer.receptive_field) : "--"};
    report::Json row = report::Json::object(
        {{"name", layer.name}, {"type", layer.op}, {"output_shape", shape_json(layer.output)}, {"kernel", layer.kernel}});
    row.set("parameters", layer.parameters);
    row.set("macs", layer.macs ? report::Json(*layer.macs) : report::Json());
    row.set("receptive_field", layer.receptive_field > 0 ? report::Json(layer.receptive_field) : report::Json());
    if (!seconds.empty()) {
      const auto found = seconds.find(layer.output_name);
      cells.push_back(found == seconds.end() ? "in next" : report::duration(found->second));
      if (found != seconds.end()) row.set("seconds", found->second);
    }
    table.add_row(std::move(cells));
    rows.push(std::move(row));
  }
  session.print(table.text(session.style()));
  return rows;
}

// The types of all values; where a node refuses the sizes, those before it, and the graph ends with that node.
void infer(graph::Graph& graph, const std::vector<graph::Type>& inputs, std::vector<graph::Type>& types) {
  graph::Inferring inferring(graph, inputs);
  size_t i = 0;
  try {
    for (; i < graph.nodes.size(); ++i) inferring.add(graph.nodes[i]);
    types = inferring.take();
  } catch (const Error&) {
    types = inferring.take();
    for (const graph::ValueId id : graph.nodes[i].outputs) {
      if (id != graph::kNoValue) types[static_cast<size_t>(id)] = {};
    }
    graph.nodes.resize(i + 1);
    throw;
  }
}

int run(const Options& options, Session& session) {
  if (options.model.empty()) throw UsageError("'convoy summary' needs a model", "for example convoy summary model.onnx");
  const OpenSizes sizes = open_sizes(options.batch, options.size);
  graph::Graph graph;
  std::vector<graph::Type> types;
  try {
    graph::Graph partial;
    try {
      graph = onnx::read(options.model,
                         {.external_data = options.external_data, .partial = &partial, .progress = reading_progress(session)});
    } catch (const Error&) {
      graph = std::move(partial);
      throw;
    }
    const int64_t batch = batch_of(graph, sizes, session);
    running(options.model, [&] { infer(graph, input_types(graph, sizes), types); });
    std::map<std::string, double> seconds;
    if (options.time) seconds = running(options.model, [&] { return node_seconds(Model::of(graph), sizes); });
    Totals totals;
    report::Json document = report::Json::object({{"schema", "convoy.summary/1"}, {"model", options.model}});
    document.set("layers", print_layers(graph, types, seconds, options.flops, totals, session));
    const std::string least = totals.all_counted ? "" : "at least ";
    session.print(fmt::format("\n{}{} parameters ({})\n{}{} {} for one input of batch {}{}\n", "",
                              report::grouped(totals.parameters), report::bytes(totals.parameter_bytes), least,
                              report::large(totals.macs * (options.flops ? 2 : 1)), options.flops ? "FLOPs" : "MACs", batch,
                              options.flops ? " (2 per multiply-add)" : " (1 MAC is 1 multiplication and 1 addition)"));
    for (const auto& [what, ids] : {std::pair("input", &graph.inputs), std::pair("output", &graph.outputs)}) {
      report::Json ends = report::Json::array();
      for (const graph::ValueId id : *ids) {
        const graph::ValueInfo& value = graph.value(id);
        session.print(fmt::format("{:<6} {}: {}\n", what, value.name, graph::to_string(value.type)));
        ends.push(report::Json::object({{"name", value.name},
                                        {"dtype", value.type.dtype ? report::Json(dtype_name(*value.type.dtype)) : report::Json()},
                                        {"shape", shape_json(value.type)}}));
      }
      document.set(what + std::string("s"), ends);
    }
    if (!options.size && leaves_sizes_open(graph))
      session.print("heights and widths that the file leaves open count as 1: --size 224 chooses others\n");
    document.set("parameters", totals.parameters)
        .set("parameter_bytes", totals.parameter_bytes)
        .set("macs", totals.macs)
        .set("all_counted", totals.all_counted)
        .set("batch", batch);
    session.document(document);
    return kOk;
  } catch (const Error&) {
    // As far as it goes, then the reason.
    if (!graph.nodes.empty()) {
      for (size_t i = types.size(); i < graph.values.size(); ++i) types.push_back(graph.values[i].type);
      Totals totals;
      session.keep_for_error("layers", print_layers(graph, types, {}, options.flops, totals, session));
    }
    throw;
  }
}

}  // namespace

Command summary_command() {
  return make_command<Options>(
      {.name = "summary",
       .arguments = "MODEL.onnx",
       .summary = "list a network's layers: shapes, parameters, work, what each one sees",
       .examples = {"convoy summary model.onnx", "convoy summary model.onnx --time", "convoy summary model.onnx --batch 8 --json"}},
      declare, run);
}

}  // namespace convoy::cli
