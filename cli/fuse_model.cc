#include "cli/fuse_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "cli/exit_code.h"
#include "cli/model_inputs.h"
#include "convoy/graph/infer.h"
#include "convoy/graph/passes/passes.h"
#include "convoy/graph/passes/unfolded.h"
#include "convoy/graph/summary.h"
#include "convoy/io/file.h"
#include "convoy/onnx/writer.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"

namespace convoy::cli {

namespace {

// What folding means; the other passes make operators that only Convoy has.
constexpr std::string_view kFolding[] = {"constants", "no_ops", "batch_norm", "channel_affine", "parallel_convs"};

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
  graph.remove_unused();
}

struct Cost {
  int64_t layers = 0, parameters = 0;
  double macs = 0, seconds = 0;
};

Cost cost_of(const Model& model, const std::map<std::string, Tensor>& inputs) {
  Cost cost;
  std::vector<graph::Type> types;
  for (const graph::ValueId id : model.graph().inputs) types.push_back(graph::Type::of(inputs.at(model.graph().value(id).name)));
  for (const graph::LayerSummary& layer : graph::summarize(model.graph(), graph::infer_types(model.graph(), types))) {
    ++cost.layers;
    cost.parameters += layer.parameters;
    cost.macs += layer.macs.value_or(0);
  }
  cost.seconds = 1e9;
  for (int i = 0; i < 6; ++i) {
    const auto start = std::chrono::steady_clock::now();
    model.run(inputs);
    cost.seconds = std::min(cost.seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return cost;
}

// The largest difference of an output, the outermost row and column of its maps apart.
struct Difference {
  double border = 0, interior = 0, largest = 0;
};

void compare(const Tensor& a, const Tensor& b, Difference& difference) {
  const Tensor x = a.to(DType::kFloat64), y = b.to(DType::kFloat64);
  const int64_t rank = x.dim(), w = rank >= 3 ? x.size(rank - 1) : 1, h = rank >= 4 ? x.size(rank - 2) : 1;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double d = std::abs(x.data<double>()[i] - y.data<double>()[i]);
    const int64_t column = i % w, row = i / w % h;
    const bool border = rank >= 3 && (column == 0 || column == w - 1 || (h > 1 && (row == 0 || row == h - 1)));
    double& most = border ? difference.border : difference.interior;
    most = std::isnan(d) ? INFINITY : std::max(most, d);
    difference.largest = std::max(difference.largest, std::abs(x.data<double>()[i]));
  }
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

}  // namespace

int fuse_model(const std::string& path, const std::optional<std::string>& out, std::optional<int64_t> verify, Session& session) {
  graph::Graph graph = onnx::read(path, {.progress = reading_progress(session)});
  const Model before = Model::of(graph, {.optimise = false});
  std::vector<std::string> off;
  for (const graph::Pass& pass : graph::passes()) {
    if (std::find(std::begin(kFolding), std::end(kFolding), pass.name) == std::end(kFolding)) off.emplace_back(pass.name);
  }
  int64_t norms = 0, kept = 0;
  for (const graph::Node& node : graph.nodes) norms += node.op == "BatchNormalization";
  int64_t merged = 0;
  for (const graph::PassResult& result : graph::run_passes(graph, off))
    merged += result.name == "parallel_convs" ? result.count : 0;
  for (const graph::Node& node : graph.nodes) kept += node.op == "ChannelAffine" || node.op == "BatchNormalization";
  const std::vector<graph::Unfolded> left = graph::unfolded(graph);
  restore_norms(graph);
  const std::string bytes = onnx::write_bytes(graph);

  const Model after = Model::load_bytes(bytes, {.optimise = false}, "the folded network");
  const std::map<std::string, Tensor> inputs = random_inputs(before, 1, 0);
  const Cost was = cost_of(before, inputs), is = cost_of(after, inputs);
  session.print(fmt::format("{} of {} folded, {} merged\n", norms - kept, report::counted(norms, "batch normalisation"),
                            report::counted(merged, "group of parallel convolutions", "groups of parallel convolutions")));
  const report::Json rows = print_unfolded(left, session);
  report::Table table({{""}, {"before", report::Align::kRight}, {"after", report::Align::kRight}});
  table.add_row({"layers", report::grouped(was.layers), report::grouped(is.layers)});
  table.add_row({"parameters", report::grouped(was.parameters), report::grouped(is.parameters)});
  table.add_row({"MACs", report::grouped(static_cast<int64_t>(was.macs)), report::grouped(static_cast<int64_t>(is.macs))});
  table.add_row({"one run, layer by layer", report::duration(was.seconds), report::duration(is.seconds)});
  session.print(table.text(session.style()));
  const auto cost_json = [](const Cost& cost) {
    return report::Json::object(
        {{"layers", cost.layers}, {"parameters", cost.parameters}, {"macs", cost.macs}, {"seconds", cost.seconds}});
  };
  report::Json document = report::Json::object({{"schema", "convoy.fuse_model/1"}, {"model", path}});
  document.set("batch_norms", norms)
      .set("kept", kept)
      .set("unfolded", rows)
      .set("merged", merged)
      .set("before", cost_json(was))
      .set("after", cost_json(is));

  bool agrees = true;
  if (verify) {
    Difference difference;
    for (int64_t i = 0; i < *verify; ++i) {
      const std::map<std::string, Tensor> sample = random_inputs(before, 1, static_cast<uint64_t>(i) + 1);
      const std::map<std::string, Tensor> x = before.run(sample), y = after.run(sample);
      for (const auto& [name, tensor] : x) compare(tensor, y.at(name), difference);
    }
    // Rounding: some units in the last place per layer.
    const double bound = 1e-4 * std::max(difference.largest, 1e-30);
    agrees = std::max(difference.border, difference.interior) <= bound;
    session.print(
        fmt::format("{} the same answers on {}: largest difference {} at the border, {} inside, of outputs up to {:.3g}\n",
                    agrees ? "✓" : "✗ not", report::counted(*verify, "random input"), report::scientific(difference.border),
                    report::scientific(difference.interior), difference.largest));
    document.set("agrees", agrees).set("border_difference", difference.border).set("interior_difference", difference.interior);
  }
  if (out && agrees) {
    io::OutputFile file(*out);  // what was verified, to the byte
    file.write(bytes.data(), bytes.size());
    file.commit();
    session.print(fmt::format("wrote {} ({})\n", *out, report::bytes(static_cast<int64_t>(std::filesystem::file_size(*out)))));
  } else if (out) {
    session.print("nothing was written: the folded network differs\n");
  }
  session.document(document.set("written", out && agrees ? report::Json(*out) : report::Json()));
  return agrees ? kOk : kCheckFailed;
}

}  // namespace convoy::cli
