// Changes to a graph that keep track of who makes and who reads each value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/graph/graph.h"

namespace convoy::graph {

/// One pass' hold on a graph. While it lives the graph changes through it alone; then remove_unused() clears up.
class Editor {
 public:
  explicit Editor(Graph& graph);

  const Graph& graph() const { return graph_; }
  size_t size() const { return graph_.nodes.size(); }
  const Node& node(int32_t i) const { return graph_.nodes[static_cast<size_t>(i)]; }
  const Type& type(ValueId id) const { return graph_.value(id).type; }
  /// The node that makes a value, or -1.
  int32_t maker(ValueId id) const { return id == kNoValue ? -1 : maker_[static_cast<size_t>(id)]; }
  /// The maker if its operator has this name and nobody else wants the value, or -1.
  int32_t maker_alone(ValueId id, std::string_view op) const;
  /// One node reads it, once, and it is no output of the graph.
  bool read_once(ValueId id) const { return id != kNoValue && readers_[static_cast<size_t>(id)].size() == 1 && !is_output(id); }
  /// The nodes that read it, once per input.
  const std::vector<int32_t>& readers(ValueId id) const { return readers_[static_cast<size_t>(id)]; }
  bool is_output(ValueId id) const { return output_[static_cast<size_t>(id)] != 0; }
  bool is_input(ValueId id) const { return input_[static_cast<size_t>(id)] != 0; }
  /// A constant that no caller can replace, or nullptr.
  const Tensor* constant(ValueId id) const { return id == kNoValue || is_input(id) ? nullptr : graph_.constant(id); }
  /// The one number that a floating constant holds.
  std::optional<double> number(ValueId id) const;
  /// A floating constant as one number per entry of `axis` of tensors with `rank` axes and `size` entries there (float64);
  /// undefined if it varies along other axes, is none, or there is no room for so many.
  Tensor numbers_along(ValueId id, int64_t rank, int64_t axis, int64_t size) const;
  /// The other input of a node of two.
  static ValueId other(const Node& node, ValueId id) { return node.inputs[0] == id ? node.inputs[1] : node.inputs[0]; }

  /// Whether constants of so many bytes may still be made; where not, passes leave nodes as they are. A small file can apply one
  /// weight in thousands of places, each of which would make it anew.
  bool has_room(int64_t bytes) const { return bytes <= graph_.constant_room; }
  ValueId add_constant(std::string_view stem, Tensor tensor);
  ValueId add_value(std::string_view stem, Type type);
  /// Puts another node in the place of node i.
  void set(int32_t i, Node node);
  /// Takes node i away; what it made must have no readers left, or another maker.
  void remove(int32_t i) { set(i, Node{}); }
  /// Lets everybody who reads `from` read `to`. False, and nothing done, if that would change the name or the owner of an output.
  bool replace(ValueId from, ValueId to);
  /// Frees a constant that nobody reads any longer, before the pass ends: large ones would be in memory twice.
  void drop_unread(ValueId id);
  /// Makes a value constant that node i computed.
  void set_constant(ValueId id, Tensor tensor);

 private:
  void grow();

  Graph& graph_;
  std::vector<int32_t> maker_;
  std::vector<std::vector<int32_t>> readers_;
  std::vector<char> output_, input_;
  int64_t added_ = 0;
};

/// The shape of one sample of a float32 value (N, C, *); nullopt if more than the batch is open.
std::optional<Shape> sample_shape(const Type& type);

}  // namespace convoy::graph
