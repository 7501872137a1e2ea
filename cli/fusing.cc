#include "cli/fusing.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "cli/network.h"
#include "convoy/core/random.h"
#include "convoy/io/file.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/linear.h"
#include "convoy/report/format.h"
#include "convoy/report/table.h"
#include "convoy/shape/checked.h"

namespace convoy::cli {

namespace {

int64_t leaf_count(const nn::Module& module) {
  if (module.children().empty()) return 1;
  int64_t count = 0;
  for (const auto& [name, child] : module.children()) count += leaf_count(*child);
  return count;
}

Shape with_batch(const Shape& input_shape) {
  Shape shape{1};
  shape.insert(shape.end(), input_shape.begin(), input_shape.end());
  return shape;
}

// Every weight meets every output position (transposed: input position) of its channel.
shape::Checked macs_of(const nn::Module& layer, const Variable& input, const Variable& output) {
  const auto positions = [](const Variable& v) { return v.size(1) == 0 ? int64_t{0} : v.numel() / v.size(1); };
  if (const auto* conv = dynamic_cast<const nn::Conv*>(&layer)) return shape::Checked(positions(output)) * conv->weight().numel();
  if (const auto* conv = dynamic_cast<const nn::ConvTranspose*>(&layer))
    return shape::Checked(positions(input)) * conv->weight().numel();
  if (const auto* linear = dynamic_cast<const nn::Linear*>(&layer))
    return shape::Checked(output.numel()) * linear->options().in_features;
  return 0;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

void check_writable(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  // Whoever reads a pipe must not see it closed.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) && !std::filesystem::is_directory(status))
    return;
  io::OutputFile{path};
}

NetworkCost network_cost(nn::Module& network, const Shape& input_shape) {
  NetworkCost cost{.layers = leaf_count(network), .parameters = parameter_count(network)};
  if (input_shape.empty()) return cost;
  const NoGradGuard no_grad;
  shape::Checked macs(0);
  {
    const nn::ForwardHook count(
        [&](nn::Module& layer, const Variable& input, const Variable& output) { macs = macs + macs_of(layer, input, output); });
    network(Tensor::zeros(with_batch(input_shape)));
  }
  if (macs.ok()) cost.macs = macs.value();
  return cost;
}

void time_networks(nn::Module& before, nn::Module& after, const Shape& input_shape, double budget, NetworkCost& cost_before,
                   NetworkCost& cost_after) {
  using Clock = std::chrono::steady_clock;
  const NoGradGuard no_grad;
  Generator generator(1);
  const Variable x(randn(with_batch(input_shape), DType::kFloat32, &generator));
  const auto seconds_of = [&](nn::Module& network) {
    const auto start = Clock::now();
    network(x);
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  seconds_of(before);  // what is set up once
  seconds_of(after);
  std::vector<double> first, second;
  constexpr size_t kLeast = 3;
  for (double spent = 0; spent < budget || first.size() < kLeast;) {
    first.push_back(seconds_of(before));
    second.push_back(seconds_of(after));
    spent += first.back() + second.back();
  }
  cost_before.seconds = median(first);
  cost_after.seconds = median(second);
}

std::string cost_table(const NetworkCost& before, const NetworkCost& after, const Shape& input_shape, const report::Style& style,
                       int indent) {
  report::Table table({{""}, {"before", report::Align::kRight}, {"after", report::Align::kRight}});
  const auto number = [](const std::optional<int64_t>& n) { return n ? report::grouped(*n) : std::string("--"); };
  table.add_row({"layers", report::grouped(before.layers), report::grouped(after.layers)});
  table.add_row({"parameters", report::grouped(before.parameters), report::grouped(after.parameters)});
  if (!input_shape.empty()) {
    table.add_row({"MACs of one " + to_string(input_shape), number(before.macs), number(after.macs)});
    if (before.seconds) table.add_row({"its time", report::duration(*before.seconds), report::duration(*after.seconds)});
  }
  return table.text(style, indent);
}

report::Json cost_json(const NetworkCost& cost) {
  report::Json json = report::Json::object({{"layers", cost.layers}, {"parameters", cost.parameters}});
  json.set("macs", cost.macs ? report::Json(*cost.macs) : report::Json());
  json.set("seconds", cost.seconds ? report::Json(*cost.seconds) : report::Json());
  return json;
}

}  // namespace convoy::cli
