// Nodes that run through their operators within a schedule.
#include "convoy/graph/schedule.h"

#include <gtest/gtest.h>

#include "convoy/core/random.h"
#include "convoy/core/storage.h"
#include "convoy/graph/executor.h"
#include "convoy/graph/infer.h"

namespace convoy::graph {
namespace {

Tensor only(const Values& values) { return values.begin()->second.tensor(); }

// Nothing but the graph's output is allocated in a run, and no operator takes a place within the run's memory for its argument's:
// the first result lies where that memory begins.
TEST(Schedule, OperatorsMakeTheirResultsWhereTheyAreWanted) {
  Graph graph;
  const ValueId x = graph.add_value("x", {Type::Kind::kTensor, DType::kFloat32, dims_of({1, 8, 32, 32})});
  graph.inputs = {x};
  const auto add = [&](const char* op, std::vector<ValueId> inputs, const Shape& shape, const char* attribute, Attribute value) {
    const ValueId out =
        graph.add_value("v" + std::to_string(graph.values.size()), {Type::Kind::kTensor, DType::kFloat32, dims_of(shape)});
    Node node{op, "", std::move(inputs), {out}};
    node.attributes.set(attribute, std::move(value));
    graph.nodes.push_back(std::move(node));
    return out;
  };
  const auto sizes = [&](const char* name, const std::vector<int64_t>& values) {
    return graph.add_constant(name, Tensor::from(values, {4}));
  };
  const std::string linear = "linear";
  const ValueId larger = add("Resize", {x, kNoValue, kNoValue, sizes("a", {1, 8, 64, 48})}, {1, 8, 64, 48}, "mode", linear);
  const ValueId shares = add("Softmax", {larger}, {1, 8, 64, 48}, "axis", int64_t{1});
  const ValueId smaller = add("Resize", {shares, kNoValue, kNoValue, sizes("b", {1, 8, 40, 40})}, {1, 8, 40, 40}, "mode", linear);
  graph.outputs = {add("Softmax", {smaller}, {1, 8, 40, 40}, "axis", int64_t{3})};
  infer(graph);

  const Tensor input = randn({1, 8, 32, 32});
  const Executor planned(graph), by_node(graph, {.planned = false});
  const Tensor expected = only(by_node.run({{"x", input}}));
  for (int round = 0; round < 2; ++round) {
    const MemoryBudget counter(int64_t{1} << 40);
    const Tensor got = only(planned.run({{"x", input}}));
    EXPECT_EQ(got.to_vector<float>(), expected.to_vector<float>());
    if (round > 0) {
      EXPECT_EQ(counter.peak_bytes(), static_cast<int64_t>(block_bytes(got.nbytes())));
    }
  }
}

}  // namespace
}  // namespace convoy::graph
