#include "cli/fuse_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "cli/exit_code.h"
#include "cli/fusing.h"
#include "cli/interrupt.h"
#include "cli/model_inputs.h"
#include "convoy/core/random.h"
#include "convoy/graph/agreement.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/passes/passes.h"
#include "convoy/graph/passes/unfolded.h"
#include "convoy/graph/summary.h"
#include "convoy/io/file.h"
#include "convoy/onnx/writer.h"
#include "convoy/ops/reduce.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"

namespace convoy::cli {

namespace {

// What folding means; the other passes make operators that only Convoy has. Linear layers are put back below.
constexpr std::string_view kFolding[] = {"constants", "no_ops", "pad", "batch_norm", "channel_affine", "parallel_convs", "linear"};

// What could not be folded is written as the normalisation it was: mean 0, variance 1.
void restore_norms(graph::Graph& graph) {
  for (graph::Node& node : graph.nodes) {
    if (node.op != "ChannelAffine") continue;
    const DType dtype = graph.value(node.inputs[0]).type.dtype.value_or(DType::kFloat32);
    const auto constant = [&](const char* name, const Tensor& values) {
      return graph.add_constant(graph.unused_name(name), values.to(dtype));
    };
    const Tensor scale = *graph.constant(node.inputs[1]), shift = *graph.constant(node.inputs[2]);
    node.inputs = {node.inputs[0], constant("scale", scale), constant("shift", shift),
                   constant("mean", Tensor::zeros(scale.shape())), constant("var", Tensor::ones(scale.shape()))};
    node.op = "BatchNormalization";
    node.attributes.set("epsilon", 0.0);
  }
}

// Linear layers as the matrix products of ONNX.
void restore_linear(graph::Graph& graph) {
  std::vector<graph::Node> nodes;
  for (graph::Node& node : graph.nodes) {
    if (node.op != "Linear") {
      nodes.push_back(std::move(node));
      continue;
    }
    const auto& dims = graph.value(node.inputs[0]).type.dims;
    if (dims && dims->size() == 2) {
      node.op = "Gemm";
      node.attributes.set("transB", int64_t{1});
      nodes.push_back(std::move(node));
      continue;
    }
    const Tensor rows = ops::permute(*graph.constant(node.inputs[1]), {1, 0});
    const graph::ValueId weight = graph.add_constant(graph.unused_name("weight"), rows), bias = node.input(2),
                         output = node.outputs[0];
    const graph::ValueId product =
        bias == graph::kNoValue ? output : graph.add_value(graph.unused_name("product"), graph.value(output).type);
    nodes.push_back({"MatMul", node.name, {node.inputs[0], weight}, {product}});
    if (product != output) nodes.push_back({"Add", "", {product, bias}, {output}});
  }
  graph.nodes = std::move(nodes);
}

struct Cost {
  int64_t layers = 0, parameters = 0;
  std::optional<double> macs;  // nullopt: a size is not known even after a run
  double seconds = 0;
};

using Inputs = std::map<std::string, Tensor>;

// Types of all values in a run with these inputs: inferred, and where that depends on values, taken from the run.
std::vector<graph::Type> types_of(const graph::Graph& graph, const Inputs& inputs) {
  std::vector<graph::Type> given;
  for (const graph::ValueId id : graph.inputs) given.push_back(graph::Type::of(inputs.at(graph.value(id).name)));
  std::vector<graph::Type> types = graph::infer_types(graph, given);
  graph::Graph asked = graph;
  for (const graph::Node& node : graph.nodes) {
    for (const graph::ValueId id : node.outputs) {
      if (id != graph::kNoValue && !types[static_cast<size_t>(id)].shape() && !asked.is_output(id)) asked.outputs.push_back(id);
    }
  }
  if (asked.outputs.size() == graph.outputs.size()) return types;
  graph::Values values;
  for (const auto& [name, tensor] : inputs) values.emplace(name, tensor);
  const graph::Values found = graph::Executor(asked, {.planned = false}).run(values);
  for (const graph::ValueId id : asked.outputs) {
    const graph::Value& value = found.at(graph.value(id).name);
    if (value.is_tensor()) types[static_cast<size_t>(id)] = graph::Type::of(value.tensor());
  }
  return types;
}

Cost cost_of(const graph::Graph& graph, const Inputs& inputs) {
  Cost cost{.macs = 0};
  for (const graph::LayerSummary& layer : graph::summarize(graph, types_of(graph, inputs))) {
    ++cost.layers;
    cost.parameters += layer.parameters;
    if (cost.macs && layer.macs) {
      *cost.macs += *layer.macs;
    } else {
      cost.macs.reset();
    }
  }
  return cost;
}

// Both by turns, so that what else the machine does reaches both; the medians.
void time_both(const Model& before, const Model& after, const Inputs& inputs, Cost& was, Cost& is) {
  using Clock = std::chrono::steady_clock;
  constexpr double kBudget = 0.6;
  constexpr size_t kLeast = 3;
  const auto seconds_of = [&](const Model& model) {
    const auto start = Clock::now();
    model.run(inputs);
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  seconds_of(before);  // what is set up once
  seconds_of(after);
  std::vector<double> first, second;
  for (double spent = 0; spent < kBudget || first.size() < kLeast;) {
    first.push_back(seconds_of(before));
    second.push_back(seconds_of(after));
    spent += first.back() + second.back();
  }
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  was.seconds = first[first.size() / 2];
  is.seconds = second[second.size() / 2];
}

// Each layer that stayed, below the reason they share; of many with one reason the first few.
report::Json print_unfolded(const std::vector<graph::Unfolded>& left, Session& session) {
  constexpr size_t kShown = 4;
  std::vector<std::string> reasons;
  report::Json rows = report::Json::array();
  for (const graph::Unfolded& layer : left) {
    if (std::find(reasons.begin(), reasons.end(), layer.reason) == reasons.end()) reasons.push_back(layer.reason);
    rows.push(report::Json::object({{"layer", layer.layer},
                                    {"kind", layer.norm ? "batch_norm" : "parallel_convs"},
                                    {"reason", layer.reason},
                                    {"detail", layer.detail},
                                    {"remedy", layer.remedy}}));
  }
  for (const std::string& reason : reasons) {
    std::vector<const graph::Unfolded*> same;
    for (const graph::Unfolded& layer : left) {
      if (layer.reason == reason) same.push_back(&layer);
    }
    session.print(fmt::format("{} stayed: {}\n",
                              same[0]->norm ? report::counted(static_cast<int64_t>(same.size()), "batch normalisation")
                                            : report::counted(static_cast<int64_t>(same.size()), "pair of parallel convolutions",
                                                              "pairs of parallel convolutions"),
                              reason));
    for (size_t i = 0; i < std::min(same.size(), kShown); ++i) {
      session.print(fmt::format("  {}{}{}\n", same[i]->layer, same[i]->detail.empty() ? "" : ": ", same[i]->detail));
    }
    if (same.size() > kShown) session.print(fmt::format("  and {} more (--json names them all)\n", same.size() - kShown));
    session.print(fmt::format("  way out: {}\n", same[0]->remedy));
  }
  return rows;
}

report::Json agreement_json(const graph::GraphAgreement& agreement) {
  report::Json layers = report::Json::array();
  for (const graph::LayerAgreement& l : agreement.layers) {
    layers.push(report::Json::object({{"layer", l.layer},
                                      {"interior", l.interior},
                                      {"border", l.border},
                                      {"largest_output", l.scale},
                                      {"border_outputs", l.border_outputs},
                                      {"outputs", l.outputs},
                                      {"agrees", l.agrees},
                                      {"cause", l.cause},
                                      {"remedy", l.remedy},
                                      {"note", l.note}}));
  }
  return report::Json::object({{"agrees", agreement.agrees},
                               {"largest_difference", agreement.difference},
                               {"largest_output", agreement.scale},
                               {"relative_limit", agreement.limit},
                               {"layers", layers}});
}

void print_agreement(const graph::GraphAgreement& agreement, int64_t inputs, Session& session) {
  constexpr size_t kShown = 8;
  const report::Style& style = session.style();
  std::vector<const graph::LayerAgreement*> layers;
  double interior = 0, border = 0;
  for (const graph::LayerAgreement& layer : agreement.layers) {
    layers.push_back(&layer);
    interior = std::max(interior, layer.interior);
    border = std::max(border, layer.border);
  }
  const auto relative = [](const graph::LayerAgreement* l) { return std::max(l->interior, l->border) / std::max(l->scale, 1e-30); };
  if (layers.size() > kShown) {
    std::stable_sort(layers.begin(), layers.end(), [&](const auto* a, const auto* b) { return relative(a) > relative(b); });
    session.print(fmt::format("\nthe {} of {} folded layers that differ most (--json has them all)\n", kShown, layers.size()));
  } else if (!layers.empty()) {
    session.print("\n");
  }
  report::Table table({{"layer"},
                       {"", report::Align::kLeft},
                       {"interior", report::Align::kRight},
                       {"border", report::Align::kRight},
                       {.title = "largest output", .align = report::Align::kRight, .leaves = 2},
                       {.title = "positions that read padding", .align = report::Align::kRight, .leaves = 1}});
  for (size_t i = 0; i < std::min(layers.size(), kShown); ++i) {
    const graph::LayerAgreement& l = *layers[i];
    table.add_row({l.layer, style.mark(l.agrees), report::scientific(l.interior),
                   l.border_outputs > 0 ? report::scientific(l.border) : "--", fmt::format("{:.3g}", l.scale),
                   l.outputs > 0 ? fmt::format("{} of {}", report::grouped(l.border_outputs), report::grouped(l.outputs)) : "--"});
  }
  if (table.rows() > 0) session.print(table.text(style) + "\n");
  for (const graph::LayerAgreement& l : agreement.layers) {
    if (!l.note.empty()) session.print("note   " + l.layer + ": " + l.note + "\n");
    if (!l.agrees) session.print(style.red("cause") + "  " + l.layer + ": " + l.cause + "\n" + "remedy " + l.remedy + "\n");
  }
  session.print(fmt::format("{} {} on {}: largest difference {} of outputs up to {:.3g}", style.mark(agreement.agrees),
                            agreement.agrees ? "the same answers" : "other answers", report::counted(inputs, "random input"),
                            report::scientific(agreement.difference), agreement.scale));
  if (!layers.empty())
    session.print(
        fmt::format("; in folded layers {} inside, {} at the border", report::scientific(interior), report::scientific(border)));
  session.print("\n");
}

// One sample of random numbers, of the sizes that the user chose for the first input.
Inputs sample_of(const Model& model, const Shape& input, uint64_t seed) {
  Inputs inputs = random_inputs(model, OpenSizes{}, seed);
  const ModelValue first = model.inputs().at(0);
  if (input.empty()) {
    for (size_t i = 1; i < first.shape.size(); ++i) {
      if (first.shape[i] < 0) {
        throw UsageError("the sizes of the model's input may be any: " + input_text(first),
                         "choose them, without the batch: --input 3x224x224");
      }
    }
    return inputs;
  }
  Shape shape{1};
  shape.insert(shape.end(), input.begin(), input.end());
  Generator generator(seed);
  Tensor& x = inputs.at(first.name);
  x = is_floating(x.dtype()) ? randn(shape, DType::kFloat32, &generator).to(x.dtype()) : Tensor::zeros(shape, x.dtype());
  return inputs;
}

}  // namespace

int fuse_model(const FuseModelOptions& options, Session& session) {
  graph::Graph graph = onnx::read(options.model, {.external_data = options.external_data, .progress = reading_progress(session)});
  const Model before = Model::of(graph, {.optimise = false});
  if (before.inputs().empty()) throw UsageError(options.model + ": the network has no inputs", "there is nothing to compare");
  const Inputs inputs = sample_of(before, options.input, 0);
  if (options.out) check_writable(*options.out);
  report::Json document = report::Json::object({{"schema", "convoy.fuse_model/1"}, {"model", options.model}});

  std::string bytes;
  if (!options.against) {
    std::vector<std::string> off;
    for (const graph::Pass& pass : graph::passes()) {
      if (std::find(std::begin(kFolding), std::end(kFolding), pass.name) == std::end(kFolding)) off.emplace_back(pass.name);
    }
    int64_t norms = 0, kept = 0, merged = 0;
    for (const graph::Node& node : graph.nodes) norms += node.op == "BatchNormalization";
    for (const graph::PassResult& result : graph::run_passes(graph, off))
      merged += result.name == "parallel_convs" ? result.count : 0;
    for (const graph::Node& node : graph.nodes) kept += node.op == "ChannelAffine" || node.op == "BatchNormalization";
    const std::vector<graph::Unfolded> left = graph::unfolded(graph);
    restore_norms(graph);
    restore_linear(graph);
    graph.remove_unused();
    bytes = onnx::write_bytes(graph);
    session.print(fmt::format("{} of {} folded, {} merged\n", norms - kept, report::counted(norms, "batch normalisation"),
                              report::counted(merged, "group of parallel convolutions", "groups of parallel convolutions")));
    const report::Json rows = print_unfolded(left, session);
    document.set("batch_norms", norms).set("kept", kept).set("unfolded", rows).set("merged", merged);
  }
  const Model after = options.against ? Model::load(*options.against, {.external_data = options.external_data, .optimise = false})
                                      : Model::load_bytes(bytes, {.optimise = false}, "the folded network");

  Cost was = cost_of(before.graph(), inputs), is = cost_of(after.graph(), inputs);
  time_both(before, after, inputs, was, is);
  report::Table table({{""}, {"before", report::Align::kRight}, {"after", report::Align::kRight}});
  const auto macs = [](const Cost& cost) {
    return cost.macs ? report::grouped(static_cast<int64_t>(*cost.macs)) : std::string("--");
  };
  table.add_row({"layers", report::grouped(was.layers), report::grouped(is.layers)});
  table.add_row({"parameters", report::grouped(was.parameters), report::grouped(is.parameters)});
  table.add_row({"MACs of one " + to_string(inputs.at(before.inputs()[0].name).shape()), macs(was), macs(is)});
  table.add_row({"its time, layer by layer", report::duration(was.seconds), report::duration(is.seconds)});
  session.print(table.text(session.style()));
  const auto cost_json = [](const Cost& cost) {
    return report::Json::object({{"layers", cost.layers},
                                 {"parameters", cost.parameters},
                                 {"macs", cost.macs ? report::Json(*cost.macs) : report::Json()},
                                 {"seconds", cost.seconds}});
  };
  document.set("before", cost_json(was)).set("after", cost_json(is));

  bool agrees = true;
  if (options.verify) {
    graph::Comparison comparison(before.graph(), after.graph());
    for (int64_t i = 0; i < *options.verify; ++i) {
      stop_if_asked("while comparing; nothing was written");
      graph::Values values;
      for (auto& [name, tensor] : sample_of(before, options.input, static_cast<uint64_t>(i) + 1)) values.emplace(name, tensor);
      comparison.run(values);
    }
    const graph::GraphAgreement agreement = comparison.result();
    agrees = agreement.agrees;
    print_agreement(agreement, *options.verify, session);
    document.set("verified", agreement_json(agreement));
  }
  if (options.out && agrees) {
    io::OutputFile file(*options.out);  // what was verified, to the byte
    file.write(bytes.data(), bytes.size());
    file.commit();
    session.print(fmt::format("wrote {} ({})\n", *options.out, report::bytes(static_cast<int64_t>(bytes.size()))));
  } else if (options.out) {
    session.print("nothing was written: the folded network differs\n");
  }
  session.document(document.set("written", options.out && agrees ? report::Json(*options.out) : report::Json()));
  return agrees ? kOk : kCheckFailed;
}

}  // namespace convoy::cli
