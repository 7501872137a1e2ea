#include "convoy/graph/passes/merge_parallel_convs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "convoy/core/random.h"
#include "convoy/graph/executor.h"
#include "convoy/graph/infer.h"

namespace convoy::graph {
namespace {

// y = the sum of branches of x, each made by a call below.
class Sum {
 public:
  explicit Sum(int64_t channels, Shape input = {}) : channels_(channels) {
    if (input.empty()) input = {2, channels, 9, 8};
    shape_ = input;
    x_ = graph_.add_value("x", {.dtype = DType::kFloat64, .dims = dims_of(input)});
    graph_.inputs = {x_};
  }

  ValueId x() const { return x_; }
  ValueId conv(const Shape& weight, const std::vector<int64_t>& pads, std::vector<int64_t> strides = {},
               std::vector<int64_t> dilations = {}, int64_t group = 1, ValueId of = kNoValue) {
    Node node{.op = "Conv",
              .inputs = {of == kNoValue ? x_ : of, constant(randn(weight, DType::kFloat64)),
                         constant(randn({weight[0]}, DType::kFloat64))}};
    node.attributes.set("pads", pads);
    if (!strides.empty()) node.attributes.set("strides", strides);
    if (!dilations.empty()) node.attributes.set("dilations", dilations);
    if (group != 1) node.attributes.set("group", group);
    return push(std::move(node));
  }
  ValueId norm() {
    Tensor var = rand({channels_}, DType::kFloat64);
    const auto normal = [&] { return constant(randn({channels_}, DType::kFloat64)); };
    const ValueId scale = normal(), shift = normal(), mean = normal();
    return push({.op = "BatchNormalization", .inputs = {x_, scale, shift, mean, constant(var)}});
  }
  // x[..., begin : end] of an axis, as a Slice; or as a Pad by -begin and end.
  ValueId slice(int64_t axis, int64_t begin, int64_t end, bool as_pad = false, int64_t step = 1) {
    const auto list = [&](std::vector<int64_t> values) {
      return constant(Tensor::from(values, {static_cast<int64_t>(values.size())}));
    };
    if (!as_pad) return push({.op = "Slice", .inputs = {x_, list({begin}), list({end}), list({axis}), list({step})}});
    std::vector<int64_t> pads(8, 0);
    pads[static_cast<size_t>(axis)] = -begin;
    pads[static_cast<size_t>(axis) + 4] = end;
    return push({.op = "Pad", .inputs = {x_, list(pads)}});
  }
  ValueId relu(ValueId of) { return push({.op = "Relu", .inputs = {of}}); }
  ValueId add(ValueId a, ValueId b) { return push({.op = "Add", .inputs = {a, b}}); }
  void output(ValueId id) { graph_.outputs.push_back(id); }

  // Merges, and compares what the graph computes before and after. The operators that are left.
  std::string merged(int expected = 1) {
    infer(graph_);
    const std::map<std::string, Value> inputs{{"x", randn(shape_, DType::kFloat64)}};
    const Values before = Executor(graph_).run(inputs);
    EXPECT_EQ(merge_parallel_convs(graph_), expected);
    infer(graph_);
    const Values after = Executor(graph_).run(inputs);
    EXPECT_EQ(before.size(), after.size());
    for (const auto& [name, value] : before) {
      const Tensor &a = value.tensor(), &b = after.at(name).tensor();
      EXPECT_EQ(a.shape(), b.shape());
      if (a.shape() != b.shape()) continue;
      double scale = 1, difference = 0;
      for (int64_t i = 0; i < a.numel(); ++i) {
        scale = std::max(scale, std::abs(a.at(i)));
        difference = std::max(difference, std::abs(a.at(i) - b.at(i)));
      }
      EXPECT_LT(difference / scale, 1e-12) << name;
    }
    std::string ops;
    for (const Node& node : graph_.nodes) ops += (ops.empty() ? "" : " ") + node.op;
    return ops;
  }
  const Graph& graph() const { return graph_; }

 private:
  ValueId constant(Tensor t) { return graph_.add_constant(graph_.unused_name("c"), std::move(t)); }
  ValueId push(Node node) {
    const ValueId out = graph_.add_value(graph_.unused_name("v"));
    node.outputs = {out};
    graph_.nodes.push_back(std::move(node));
    return out;
  }

  Graph graph_;
  int64_t channels_;
  Shape shape_;
  ValueId x_ = kNoValue;
};

TEST(MergeParallelConvs, RepVGG) {
  manual_seed(1);
  Sum sum(4);
  const ValueId two = sum.add(sum.conv({4, 2, 3, 3}, {1, 1, 1, 1}, {}, {}, 2), sum.conv({4, 2, 1, 1}, {0, 0, 0, 0}, {}, {}, 2));
  sum.output(sum.relu(sum.add(two, sum.norm())));
  EXPECT_EQ(sum.merged(), "Conv Relu");
}

TEST(MergeParallelConvs, ACNetWithStrideDilationAndTheInputItself) {
  manual_seed(2);
  for (const int64_t stride : {1, 2}) {
    for (const int64_t d : {1, 2}) {
      for (const int64_t p : {2, 3, 4}) {  // for d = 2, 2 is the middle of a 3x3 kernel
        Sum sum(3);
        const int64_t o = p - d;
        const std::vector<int64_t> strides{stride, stride}, dilations{d, d};
        ValueId all = sum.add(sum.conv({3, 3, 3, 3}, {p, p, p, p}, strides, dilations),
                              sum.conv({3, 3, 1, 3}, {o, p, o, p}, strides, dilations));
        all = sum.add(sum.conv({3, 3, 3, 1}, {p, o, p, o}, strides, dilations), all);
        const bool same_size = stride == 1 && p == d;
        if (same_size) all = sum.add(all, sum.x());
        sum.output(all);
        EXPECT_EQ(sum.merged(), "Conv") << "stride " << stride << " d " << d << " p " << p;
      }
    }
  }
}

TEST(MergeParallelConvs, ACNetWithCroppedBranches) {
  manual_seed(6);
  for (const bool as_pad : {false, true}) {
    for (const int64_t p : {0, 1}) {  // of a 5x5 kernel: 2 would need no cropping
      const int64_t crop = 2 - p;
      Sum sum(3);
      const ValueId square = sum.conv({4, 3, 5, 5}, {p, p, p, p});
      const ValueId hor = sum.conv({4, 3, 1, 5}, {0, p, 0, p}, {}, {}, 1, sum.slice(2, crop, -crop, as_pad));
      const ValueId ver = sum.conv({4, 3, 5, 1}, {p, 0, p, 0}, {}, {}, 1, sum.slice(3, crop, as_pad ? -crop : 8 - crop, as_pad));
      sum.output(sum.add(sum.add(square, hor), ver));
      EXPECT_EQ(sum.merged(), "Conv") << p;
    }
  }
}

TEST(MergeParallelConvs, LeavesWhatIsCroppedAndThenPaddedOrSkipped) {
  manual_seed(7);
  {
    Sum sum(3);  // the cropped rows are zeros for one branch alone
    const ValueId square = sum.conv({3, 3, 3, 3}, {0, 0, 0, 0});
    sum.output(sum.add(square, sum.conv({3, 3, 3, 3}, {1, 0, 1, 0}, {}, {}, 1, sum.slice(2, 1, -1))));
    EXPECT_EQ(sum.merged(0), "Conv Slice Conv Add");
  }
  {
    Sum sum(3);  // rows 0, 2, 4, 6, 8 of 9
    const ValueId columns = sum.conv({3, 3, 5, 1}, {0, 0, 0, 0});
    sum.output(sum.add(columns, sum.conv({3, 3, 1, 1}, {0, 0, 0, 0}, {}, {}, 1, sum.slice(2, 0, 9, false, 2))));
    EXPECT_EQ(sum.merged(0), "Conv Slice Conv Add");
  }
}

TEST(MergeParallelConvs, WhatElseIsAddedStays) {
  manual_seed(3);
  Sum sum(4);
  const ValueId other = sum.relu(sum.conv({4, 4, 1, 1}, {0, 0, 0, 0}));
  const ValueId first = sum.conv({4, 4, 3, 3}, {1, 1, 1, 1});
  const ValueId second = sum.conv({4, 4, 1, 1}, {0, 0, 0, 0});
  sum.output(sum.add(sum.add(first, other), second));
  EXPECT_EQ(sum.merged(), "Conv Relu Conv Add");
}

TEST(MergeParallelConvs, ResidualOfAConvolutionIsPartOfIt) {
  manual_seed(4);
  Sum sum(4);
  sum.output(sum.add(sum.x(), sum.conv({4, 4, 3, 3}, {1, 1, 1, 1})));
  EXPECT_EQ(sum.merged(), "Conv");
}

TEST(MergeParallelConvs, LeavesWhatIsNotOneConvolution) {
  manual_seed(5);
  {  // more taps than before
    Sum sum(2);
    sum.output(sum.add(sum.conv({2, 2, 1, 3}, {0, 1, 0, 1}), sum.conv({2, 2, 3, 1}, {1, 0, 1, 0})));
    EXPECT_EQ(sum.merged(0), "Conv Conv Add");
  }
  {  // other strides, which happen to give one size
    Sum sum(2, {1, 2, 1, 1});
    sum.output(sum.add(sum.conv({2, 2, 1, 1}, {0, 0, 0, 0}, {2, 2}), sum.conv({2, 2, 1, 1}, {0, 0, 0, 0})));
    EXPECT_EQ(sum.merged(0), "Conv Conv Add");
  }
  {  // somebody else wants the value of one
    Sum sum(2);
    const ValueId one = sum.conv({2, 2, 3, 3}, {1, 1, 1, 1});
    sum.output(sum.add(one, sum.conv({2, 2, 1, 1}, {0, 0, 0, 0})));
    sum.output(one);
    EXPECT_EQ(sum.merged(0), "Conv Conv Add");
  }
  {  // other inputs
    Sum sum(2);
    const ValueId hidden = sum.relu(sum.x());
    sum.output(sum.add(sum.conv({2, 2, 3, 3}, {1, 1, 1, 1}), sum.conv({2, 2, 1, 1}, {0, 0, 0, 0}, {}, {}, 1, hidden)));
    EXPECT_EQ(sum.merged(0), "Relu Conv Conv Add");
  }
  {  // taps between those of the dilated kernel
    Sum sum(2);
    sum.output(sum.add(sum.conv({2, 2, 3, 3}, {2, 2, 2, 2}, {}, {2, 2}), sum.conv({2, 2, 1, 1}, {1, 1, 0, 0})));
    EXPECT_EQ(sum.graph().nodes.size(), 3U);
  }
  {  // a broadcast: the input has one channel
    Sum sum(1);
    sum.output(sum.add(sum.conv({3, 1, 3, 3}, {1, 1, 1, 1}), sum.x()));
    EXPECT_EQ(sum.merged(0), "Conv Add");
  }
}

}  // namespace
}  // namespace convoy::graph
