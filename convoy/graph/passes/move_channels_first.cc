#include <algorithm>
#include <map>
#include <optional>

#include "convoy/graph/fused.h"
#include "convoy/graph/passes/editor.h"
#include "convoy/graph/passes/rewrites.h"

// Channels-last parts of a network (ConvNeXt: transpose, layer norm, two linear layers, transpose) are computed with the channels
// where they were: a linear layer of the last axis is a 1x1 convolution, and so on. A node takes part if everything it reads has
// the channels moved and everything that reads it takes part too, or moves them back.
namespace convoy::graph {
namespace {

// Of three axes one permutation does both: it moves channels back where they have been moved.
bool moves_channels(const Node& node, bool back) {
  if (node.op != "Transpose") return false;
  const std::vector<int64_t> perm = node.attributes.integers("perm");
  const auto rank = static_cast<int64_t>(perm.size());
  if (rank < 3) return false;
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t to_last = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1, to_first = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
    if (perm[static_cast<size_t>(i)] != (back ? to_first : to_last)) return false;
  }
  return true;
}

class Region {
 public:
  explicit Region(Editor& editor) : editor_(editor), part_(editor.size(), 0) {}

  int convert() {
    if (!find()) return 0;
    int count = 0;
    for (int32_t i = 0; i < size(); ++i) {
      const Node& node = editor_.node(i);
      if (part_[static_cast<size_t>(i)] != 0) {
        convert_node(i);
        ++count;
      } else if (moves_channels(node, true) && moved_.count(node.inputs[0]) != 0) {
        const ValueId out = node.outputs[0], first = moved_[node.inputs[0]];
        if (editor_.replace(out, first)) {
          editor_.remove(i);
        } else {
          editor_.set(i, Node{"Identity", node.name, {first}, {out}});
        }
        ++count;
      } else if (moves_channels(node, false)) {
        moved_[node.outputs[0]] = node.inputs[0];
      }
    }
    return count;
  }

 private:
  int32_t size() const { return static_cast<int32_t>(editor_.size()); }

  int64_t rank(ValueId id) const { return editor_.type(id).dims ? static_cast<int64_t>(editor_.type(id).dims->size()) : 0; }

  // A constant of a node, per entry of the last axis of its output.
  Tensor last_axis(const Node& node, ValueId id) const {
    const Type& type = editor_.type(node.outputs[0]);
    if (!type.dims || !type.dims->back().known()) return {};
    return editor_.numbers_along(id, rank(node.outputs[0]), rank(node.outputs[0]) - 1, type.dims->back().size);
  }

  bool can(const Node& node) const {
    if (node.outputs.size() != 1 || node.outputs[0] == kNoValue || rank(node.outputs[0]) < 3 ||
        editor_.type(node.outputs[0]).dtype != DType::kFloat32) {
      return false;
    }
    const Dims& dims = *editor_.type(node.outputs[0]).dims;
    if (std::any_of(dims.begin() + 1, dims.end(), [](const Dim& dim) { return dim.size == 0; })) return false;  // no convolution's
    if (node.op == "LayerNormalization") {
      const int64_t axis = node.attributes.integer("axis", -1);
      const Dim channels = editor_.type(node.outputs[0]).dims->back();
      const auto per_channel = [&](const Tensor* values) {
        return values != nullptr && channels.known() && values->shape() == Shape{channels.size};
      };
      return per_channel(editor_.constant(node.input(1))) &&
             (node.input(2) == kNoValue || per_channel(editor_.constant(node.inputs[2]))) &&
             (axis == -1 || axis == rank(node.outputs[0]) - 1);
    }
    if (node.op == "Linear") return editor_.constant(node.inputs[1]) != nullptr;
    if (node.op == "Add" || node.op == "Mul" || node.op == "Sub" || node.op == "Div") {
      for (const ValueId id : node.inputs) {
        if (editor_.constant(id) != nullptr ? !last_axis(node, id).defined() : rank(id) != rank(node.outputs[0])) return false;
      }
      return true;
    }
    return activation_of(editor_.graph(), node).has_value();
  }

  // Marks what takes part. False if nothing does, or if that is not settled after a few looks.
  bool find() {
    std::vector<char> moved(editor_.graph().values.size(), 0);
    for (int32_t i = 0; i < size(); ++i) part_[static_cast<size_t>(i)] = can(editor_.node(i)) ? 1 : 0;
    for (int look = 0; look < 16; ++look) {
      bool changed = false, any = false;
      std::fill(moved.begin(), moved.end(), 0);
      for (int32_t i = 0; i < size(); ++i) {
        const Node& node = editor_.node(i);
        const bool back = moves_channels(node, true) && moved[static_cast<size_t>(node.inputs[0])] != 0;
        if (!back && moves_channels(node, false)) moved[static_cast<size_t>(node.outputs[0])] = 1;
        if (part_[static_cast<size_t>(i)] == 0) continue;
        bool fits = false;
        for (const ValueId id : node.inputs) fits = fits || (id != kNoValue && moved[static_cast<size_t>(id)] != 0);
        for (const ValueId id : node.inputs)
          fits = fits && (id == kNoValue || moved[static_cast<size_t>(id)] != 0 || editor_.constant(id) != nullptr);
        if (fits) moved[static_cast<size_t>(node.outputs[0])] = 1;
        if (!fits) part_[static_cast<size_t>(i)] = 0;
        changed = changed || !fits;
      }
      for (int32_t i = size(); i-- > 0;) {
        if (part_[static_cast<size_t>(i)] == 0) continue;
        const ValueId out = editor_.node(i).outputs[0];
        bool fits = !editor_.is_output(out) && !editor_.readers(out).empty();
        for (const int32_t reader : editor_.readers(out)) {
          fits = fits && (part_[static_cast<size_t>(reader)] != 0 || moves_channels(editor_.node(reader), true));
        }
        if (!fits) part_[static_cast<size_t>(i)] = 0;
        changed = changed || !fits;
        any = any || fits;
      }
      if (!changed) return any;
    }
    return false;
  }

  // Numbers per channel as (C, 1, ..., 1), which broadcasts along the first axis but one.
  ValueId per_channel(const Tensor& numbers, int64_t rank) {
    Shape shape(static_cast<size_t>(rank) - 1, 1);
    shape[0] = numbers.numel();
    return editor_.add_constant("numbers", numbers.to(DType::kFloat32).reshape(shape));
  }

  void convert_node(int32_t i) {
    Node node = editor_.node(i);
    const ValueId last = node.outputs[0];
    const int64_t axes = rank(last);
    Type type = editor_.type(last);
    std::rotate(type.dims->begin() + 1, type.dims->end() - 1, type.dims->end());
    const ValueId first = editor_.add_value("channels_first", type);
    if (node.op == "LayerNormalization") {
      node.op = "ChannelLayerNorm";
      node.inputs[0] = moved_[node.inputs[0]];
    } else if (node.op == "Linear") {
      node.op = fused_activation(node.attributes) ? "FusedConv" : "Conv";
      node.inputs[0] = moved_[node.inputs[0]];
      Shape shape = editor_.constant(node.inputs[1])->shape();
      shape.resize(static_cast<size_t>(axes), 1);
      node.inputs[1] = editor_.add_constant("weight", editor_.constant(node.inputs[1])->reshape(shape));
    } else {
      const Node original = node;
      for (ValueId& id : node.inputs) {
        if (id == kNoValue) continue;
        const auto found = moved_.find(id);
        if (found != moved_.end()) {
          id = found->second;
        } else if (node.inputs.size() == 2 && node.op != "Clip") {
          id = per_channel(last_axis(original, id), axes);
        }
      }
    }
    node.outputs[0] = first;
    moved_[last] = first;
    editor_.set(i, std::move(node));
  }

  Editor& editor_;
  std::vector<char> part_;            // by node
  std::map<ValueId, ValueId> moved_;  // channels last -> first
};

}  // namespace

int move_channels_first(Graph& graph) {
  Editor editor(graph);
  return Region(editor).convert();
}

}  // namespace convoy::graph
