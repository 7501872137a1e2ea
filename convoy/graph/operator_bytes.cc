// How much memory nodes without a step take in a run beside inputs and results.
#include <algorithm>
#include <array>

#include "convoy/core/parallel.h"
#include "convoy/core/storage.h"
#include "convoy/graph/step.h"
#include "convoy/graph/windows.h"
#include "convoy/kernels/gemm/gemm.h"
#include "convoy/ops/einsum.h"
#include "convoy/plan/conv_plan.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {
namespace {

using shape::Checked;

// Scratch memory of a product of matrices, of `batch` pairs or of one whose rows are those of all.
Checked product(int64_t batch, int64_t rows, int64_t columns, int64_t depth) {
  const auto bytes = [&](int64_t pairs, Checked all_rows) {
    return kernels::gemm_workspace_bytes({.rows = all_rows.value(), .columns = columns, .depth = depth, .batch = pairs},
                                         num_threads());
  };
  return static_cast<int64_t>(std::max(bytes(batch, rows), bytes(1, Checked(batch) * rows)));
}

Checked planned(const shape::ConvShape& layer) {
  const plan::ConvPlan plan(plan::plain_shape(layer), plan::plain_direction(layer, plan::Direction::kForward), {.packed = false});
  return static_cast<int64_t>(plan.workspace_bytes() + padded_bytes(plan.packed_bytes()));
}

// The kernel's own for float32, which 16-bit floats are computed in; float64 takes none.
Checked conv(const StepSite& site) {
  const auto layer = conv_shape(site.attributes(), site.input(0).shape, site.input(1).shape, false);
  return layer && site.input(0).dtype != DType::kFloat64 ? planned(*layer) : 0;
}

// Where PyTorch has no word for the padding everything is computed, then cut.
Checked conv_transpose(const StepSite& site) {
  Attributes whole = site.attributes();
  for (const char* name : {"pads", "auto_pad", "output_padding", "output_shape"}) whole.erase(name);
  const auto layer = conv_shape(whole, site.input(0).shape, site.input(1).shape, true);
  if (!layer) return 0;
  const Checked result = Checked(layer->batch) * layer->out_channels * layer->output_positions() + site.output(0).count;
  return result * 8 + (site.input(0).dtype != DType::kFloat64 ? planned(*layer) : 0);
}

// A column for each place of one sample's map.
Checked deform_conv(const StepSite& site) {
  const Shape &weight = site.input(1).shape, &output = site.output(0).shape;
  const int64_t depth = numel(weight) / std::max<int64_t>(weight[0], 1), places = output[2] * output[3];
  return Checked(depth) * site.attributes().integer("group", 1) * places * 8 + product(1, output[1], places, depth);
}

// Integers are multiplied with each matrix beside its partner.
Checked matmul(const StepSite& site) {
  const Shape &a = site.input(0).shape, &b = site.input(1).shape;
  const int64_t depth = a.back(), rows = a.size() > 1 ? a[a.size() - 2] : 1, columns = b.size() > 1 ? b.back() : 1;
  const int64_t batch = rows * columns > 0 ? site.output(0).count / (rows * columns) : 0;
  return is_floating(site.input(0).dtype) ? product(batch, rows, columns, depth) : (Checked(rows) + columns) * batch * depth * 8;
}

// The product times alpha, C times beta, and both together.
Checked gemm(const StepSite& site) {
  const Shape& output = site.output(0).shape;
  return product(1, output[0], output[1], site.input(0).count / std::max<int64_t>(output[0], 1)) +
         Checked(site.output(0).count) * 24;
}

Checked linear(const StepSite& site) {
  const Shape& weight = site.input(1).shape;
  return product(1, site.output(0).count / std::max<int64_t>(weight[0], 1), weight[0], weight[1]);
}

// Operands are combined from left to right. Of each pair: the operands as long as each other, arranged, widened and packed, their
// product, and what a product of integers makes of them.
Checked einsum(const StepSite& site) {
  constexpr int64_t kCopies = 5;
  constexpr int kFirst = -64;  // of "...", counted from its end
  struct Label {
    int64_t size = 1;
    size_t first = SIZE_MAX, last = 0;
  };
  std::array<Label, 'z' - kFirst + 1> labels;
  const auto label = [&](int name) -> Label& { return labels[static_cast<size_t>(name - kFirst)]; };
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < site.inputs(); ++i) ranks.push_back(static_cast<int64_t>(site.input(i).shape.size()));
  const ops::EinsumLabels names = ops::einsum_labels(site.attributes().text("equation", ""), ranks);
  for (size_t i = 0; i < ranks.size(); ++i) {
    for (size_t axis = 0; axis < names.operands[i].size(); ++axis) {
      Label& own = label(names.operands[i][axis]);
      own.size = own.size == 1 ? site.input(i).shape[axis] : own.size;
      own.first = std::min(own.first, i);
      own.last = i;
    }
  }
  for (const int name : names.output) label(name).last = SIZE_MAX;
  Checked all = 0, joined = 0, most = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    Checked right = 1, result = 1;
    for (const int name : names.operands[i]) right = right * label(name).size;
    for (const Label& each : labels) {
      if (each.first <= i && each.last > i) result = result * each.size;
    }
    const Checked pair = (joined + right + result) * kCopies;
    if (!pair.ok()) return pair;
    most = std::max(most.value(), pair.value());
    all = all + right;
    joined = result;
  }
  const DType dtype = site.input(0).dtype;
  const bool packs = is_floating(dtype) && dtype != DType::kFloat64;  // computed in float32
  const size_t blocks =
      packs ? kernels::gemm_workspace_bytes({.rows = INT32_MAX, .depth = INT32_MAX, .batch = INT32_MAX}, num_threads()) : 0;
  return (most + all) * (dtype == DType::kFloat32 ? 4 : 8) + static_cast<int64_t>(blocks);
}

// Axes are resized one after another: what is between has the larger size of each at most. Two at a time.
Checked resize(const StepSite& site) {
  const size_t width = element_size(site.input(0).dtype);
  Checked between = width <= 2 || site.input(0).dtype == DType::kFloat32 ? 8 : 16;
  for (size_t i = 0; i < site.input(0).shape.size(); ++i)
    between = between * std::max(site.input(0).shape[i], site.output(0).shape[i]);
  return between;
}

// The map between the expansion, whose channels are the first size of input 1, and the depthwise layer, a few times.
Checked expanded(const StepSite& site) {
  constexpr int64_t kCopies = 4;
  return Checked(site.input(0).bytes / std::max<int64_t>(site.input(0).shape[1], 1)) * site.input(1).shape[0] * kCopies;
}

// Sums and the like, before they are the result.
Checked results_twice(const StepSite& site) { return Checked(site.output(0).count) * 16; }

// For what follows from more than the sizes of inputs and results.
struct Row {
  std::string_view op;
  Checked (*bytes)(const StepSite& site);
};
constexpr Row kRows[] = {{"Conv", conv},
                         {"FusedConv", conv},
                         {"AffineConv", conv},
                         {"PooledConv", conv},
                         {"ConvTranspose", conv_transpose},
                         {"FusedConvTranspose", conv_transpose},
                         {"DeformConv", deform_conv},
                         {"MatMul", matmul},
                         {"Gemm", gemm},
                         {"Linear", linear},
                         {"Einsum", einsum},
                         {"Resize", resize},
                         {"GlobalMaxPool", results_twice},
                         {"GlobalAveragePool", results_twice},
                         {"ExpandDepthwise", expanded},
                         {"InvertedResidual", expanded}};

}  // namespace

int64_t operator_bytes(const Operator& op, const StepSite& site) {
  constexpr int64_t kSmall = 4096;  // scalars, lists of axes and the like that operators make
  constexpr int64_t kMost = INT64_MAX / 4;
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& each) { return each.op == op.name; });
  Checked bytes = row != std::end(kRows) ? row->bytes(site) : 0;
  bytes = bytes + bytes.value() / 8 + kSmall;  // and what blocks are rounded up by
  const Node& node = site.node();
  // Truth values and int64 beside others choose; alone they may be computed with as other numbers.
  bool converted = false;
  for (const auto* ids : {&node.inputs, &node.outputs}) {
    for (const ValueId id : *ids) {
      const DType dtype = id != kNoValue ? site.type(id).dtype : DType::kInt64;
      const bool choice = (dtype == DType::kBool || dtype == DType::kInt64) && id != node.inputs.front();
      converted = converted || !(choice || is_float_or_double(dtype));
    }
  }
  const int64_t copies = converted ? op.copies_if_converted : op.copies;
  for (const auto* ids : {&node.inputs, &node.outputs}) {
    for (const ValueId id : *ids) {
      if (id == kNoValue) continue;
      const Checked one = converted ? Checked(site.type(id).count) * 8 : Checked(site.type(id).bytes);
      if (!one.ok() || one.value() > kMost) return kMost;
      bytes = bytes + Checked(static_cast<int64_t>(block_bytes(static_cast<size_t>(one.value())))) * copies;
    }
  }
  return bytes.ok() ? std::min(bytes.value(), kMost) : kMost;
}

}  // namespace convoy::graph
