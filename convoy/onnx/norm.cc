// Normalisation.
#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/formatted.h"
#include "convoy/onnx/import.h"

namespace convoy::onnx {
namespace {

// Before opset 14 a node that lists outputs which only training makes is in training mode, unless (before opset 7) `is_test` asks
// for the running statistics. It may then also list the batch's own statistics.
void convert_batch_norm(Importing& importing) {
  if (importing.attributes().integer("spatial", 1) == 0) {
    importing.refuse("attribute 'spatial' is 0: statistics per position", "export with opset 9 or later");
  }
  std::vector<graph::ValueId>& outputs = importing.node.outputs;
  const bool lists_more =
      std::count_if(outputs.begin(), outputs.end(), [](graph::ValueId id) { return id != graph::kNoValue; }) > 1;
  const bool training = importing.opset() >= 14 ? importing.attributes().integer("training_mode", 0) != 0
                                                : lists_more && importing.attributes().integer("is_test", 0) == 0;
  importing.drop({"spatial", "is_test", "consumed_inputs"});
  if (training) importing.attributes().set("training_mode", int64_t{1});
  const size_t kept = training ? 3 : 1;
  if (outputs.size() > kept) outputs.resize(kept);
}

// Before opset 21 scale and bias have a value per group.
void convert_group_norm(Importing& importing) {
  importing.drop({"stash_type"});
  if (importing.opset() >= 21) return;
  const graph::Type& input = importing.type(0);
  const int64_t groups = importing.attributes().integer("num_groups", 1);
  if (!input.dims || input.dims->size() < 2 || !(*input.dims)[1].known() || groups < 1 || (*input.dims)[1].size % groups != 0) {
    importing.refuse(formatted("opset {}'s form needs a known number of channels that num_groups divides", importing.opset()),
                     "export with opset 21 or later");
  }
  const int64_t channels = (*input.dims)[1].size;
  for (size_t i = 1; i <= 2; ++i) {
    // (groups) -> (groups, 1) -> (groups, channels / groups) -> (channels)
    const graph::ValueId column = importing.insert("Unsqueeze", {importing.node.inputs[i], importing.constant("axes", {1})});
    const graph::ValueId wide = importing.insert("Expand", {column, importing.constant("shape", {groups, channels / groups})});
    importing.node.inputs[i] = importing.insert("Reshape", {wide, importing.constant("shape", {channels})});
  }
}

void drop_stash_type(Importing& importing) { importing.drop({"stash_type"}); }
void drop_old(Importing& importing) { importing.drop({"consumed_inputs"}); }

}  // namespace

std::span<const OnnxOperator> norm_rows() {
  static constexpr OnnxOperator kRows[] = {
      {"BatchNormalization", 5, 5, 5, "epsilon:f momentum:f training_mode:i spatial:i is_test:i consumed_inputs:I",
       convert_batch_norm},
      {"InstanceNormalization", 3, 3, 1, "epsilon:f consumed_inputs:I", drop_old},
      {"GroupNormalization", 3, 3, 1, "epsilon:f num_groups:i! stash_type:i", convert_group_norm},
      {"LayerNormalization", 2, 3, 3, "axis:i epsilon:f stash_type:i", drop_stash_type},
      {"RMSNormalization", 2, 2, 1, "axis:i epsilon:f stash_type:i", drop_stash_type},
      {"MeanVarianceNormalization", 1, 1, 1, "axes:I"},
      {"LRN", 1, 1, 1, "alpha:f beta:f bias:f size:i!"},
      {"LpNormalization", 1, 1, 1, "axis:i p:i"},
  };
  return kRows;
}

}  // namespace convoy::onnx
