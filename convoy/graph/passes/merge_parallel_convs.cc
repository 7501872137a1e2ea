#include "convoy/graph/passes/merge_parallel_convs.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "convoy/core/formatted.h"
#include "convoy/ops/reparam.h"
#include "convoy/shape/checked.h"

namespace convoy::graph {

namespace {

// One axis of a branch: its taps read input positions o stride + first, + dilation, ..., + last; `reach` = pads - last + first is
// the same for branches with outputs of the same size.
struct BranchAxis {
  int64_t first = 0, taps = 1, reach = 0;
};

// Something added: a convolution of `source`, or what acts on its channels alone (the identity, a batch normalisation).
struct Branch {
  ValueId source = kNoValue;
  ConvParameters parameters;  // undefined weight: the identity, as soon as channels and groups are known
  std::optional<ChannelAffine> affine;
  bool conv = false;
  Tensor weight_like;  // gives the type
  std::vector<int64_t> strides, dilations;
  int64_t groups = 1;
  std::vector<BranchAxis> axes;
};

// More than any kernel is wide: larger numbers in a Slice mean "to the end".
constexpr int64_t kLargestCrop = 1 << 20;

// Of one sum: blocks have a handful, and finding which go together takes their number cubed.
constexpr size_t kMostTerms = 32;

std::vector<int64_t> or_ones(std::vector<int64_t> values, size_t rank) {
  return values.empty() ? std::vector<int64_t>(rank, 1) : std::move(values);
}

class Merging {
 public:
  explicit Merging(Graph& graph) : graph_(graph), readers_(graph.readers()), producers_(graph.producers()) {}

  int run() {
    std::vector<Node> nodes;
    int changed = 0;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (node.op != "Add" || node.inputs.size() != 2 || inner(node.output(0))) {
        nodes.push_back(node);
        continue;
      }
      std::vector<ValueId> terms;
      collect(node, terms, 0);
      std::vector<Node> one;
      if (terms.size() <= kMostTerms) one = merged(node, terms);
      if (!one.empty()) {
        ++changed;
        nodes.insert(nodes.end(), one.begin(), one.end());
      } else {
        nodes.push_back(node);
      }
    }
    if (changed == 0) return 0;
    graph_.nodes = std::move(nodes);
    graph_.remove_unused();
    return changed;
  }

 private:
  bool read_once(ValueId id) const {
    return id != kNoValue && readers_[static_cast<size_t>(id)].size() == 1 && !graph_.is_output(id);
  }
  const Node* maker(ValueId id) const {
    const int32_t at = id == kNoValue ? -1 : producers_[static_cast<size_t>(id)];
    return at < 0 ? nullptr : &graph_.nodes[static_cast<size_t>(at)];
  }
  // A constant that no caller can replace.
  const Tensor* constant(ValueId id) const {
    const Tensor* tensor = graph_.constant(id);
    if (tensor == nullptr || std::find(graph_.inputs.begin(), graph_.inputs.end(), id) != graph_.inputs.end()) return nullptr;
    return is_float_or_double(tensor->dtype()) ? tensor : nullptr;
  }
  // A sum that is only part of a larger one.
  bool inner(ValueId id) const {
    if (!read_once(id)) return false;
    const Node& reader = graph_.nodes[static_cast<size_t>(readers_[static_cast<size_t>(id)][0])];
    return reader.op == "Add" && reader.inputs.size() == 2;
  }
  void collect(const Node& sum, std::vector<ValueId>& terms, size_t depth) const {
    for (const ValueId id : sum.inputs) {
      if (terms.size() > kMostTerms) return;
      const Node* node = maker(id);
      if (depth < kMostTerms && node != nullptr && node->op == "Add" && node->inputs.size() == 2 && inner(id)) {
        collect(*node, terms, depth + 1);
      } else {
        terms.push_back(id);
      }
    }
  }

  // Integers that no caller can replace, and that the graph knows.
  std::optional<std::vector<int64_t>> integers(ValueId id) const {
    const Tensor* tensor = graph_.constant(id);
    if (tensor == nullptr || std::find(graph_.inputs.begin(), graph_.inputs.end(), id) != graph_.inputs.end()) return std::nullopt;
    if (tensor->dtype() != DType::kInt64 && tensor->dtype() != DType::kInt32) return std::nullopt;
    return tensor->to(DType::kInt64).to_vector<int64_t>();
  }

  // What a node takes away at both ends of the spatial axes of its input, and does nothing else: a Slice with steps of 1, or a Pad
  // by negative amounts. Begins, then ends.
  std::optional<std::vector<int64_t>> crop_of(const Node& node, size_t rank) const {
    const auto& dims = graph_.value(node.input(0)).type.dims;
    if (!dims || dims->size() != rank + 2) return std::nullopt;
    const auto whole = static_cast<int64_t>(rank + 2);
    std::vector<int64_t> begins(rank + 2, 0), ends(rank + 2, 0);
    const auto axes_of = [&](size_t input, size_t count) -> std::optional<std::vector<int64_t>> {
      std::vector<int64_t> axes;
      if (node.input(input) == kNoValue) {
        for (size_t i = 0; i < count; ++i) axes.push_back(static_cast<int64_t>(i));
        return axes;
      }
      return integers(node.input(input));
    };
    if (node.op == "Slice") {
      const auto first = integers(node.input(1)), last = integers(node.input(2));
      if (!first || !last || first->size() != last->size()) return std::nullopt;
      const auto axes = axes_of(3, first->size());
      if (!axes || axes->size() != first->size()) return std::nullopt;
      if (node.input(4) != kNoValue) {
        const auto steps = integers(node.input(4));
        if (!steps || !std::all_of(steps->begin(), steps->end(), [](int64_t step) { return step == 1; })) return std::nullopt;
      }
      for (size_t i = 0; i < axes->size(); ++i) {
        const int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + whole : (*axes)[i];
        if (axis < 0 || axis >= whole) return std::nullopt;
        const Dim& dim = (*dims)[static_cast<size_t>(axis)];
        const int64_t from = (*first)[i], to = (*last)[i];
        if (from < 0 || to < -kLargestCrop || (to >= 0 && !dim.known())) return std::nullopt;
        begins[static_cast<size_t>(axis)] = from;
        ends[static_cast<size_t>(axis)] = to < 0 ? -to : std::max<int64_t>(dim.size - to, 0);
      }
    } else if (node.op == "Pad" && node.attributes.text("mode", "constant") == "constant") {
      const auto pads = integers(node.input(1));
      if (!pads || pads->size() % 2 != 0) return std::nullopt;
      const size_t count = pads->size() / 2;
      const auto axes = axes_of(3, count);
      if (!axes || axes->size() != count) return std::nullopt;
      for (size_t i = 0; i < count; ++i) {
        const int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + whole : (*axes)[i];
        if (axis < 0 || axis >= whole || (*pads)[i] > 0 || (*pads)[i + count] > 0) return std::nullopt;
        if ((*pads)[i] < -kLargestCrop || (*pads)[i + count] < -kLargestCrop) return std::nullopt;
        begins[static_cast<size_t>(axis)] = -(*pads)[i];
        ends[static_cast<size_t>(axis)] = -(*pads)[i + count];
      }
    } else {
      return std::nullopt;
    }
    if (begins[0] != 0 || begins[1] != 0 || ends[0] != 0 || ends[1] != 0) return std::nullopt;
    begins.erase(begins.begin(), begins.begin() + 2);
    begins.insert(begins.end(), ends.begin() + 2, ends.end());
    for (size_t i = 0; i < 2 * rank; ++i) {
      const Dim& dim = (*dims)[2 + i % rank];
      if (begins[i] < 0 || begins[i] > kLargestCrop || (dim.known() && begins[i] > dim.size)) return std::nullopt;
    }
    return begins;
  }

  std::optional<Branch> conv_branch(const Node& node) const {
    const Tensor *weight = constant(node.input(1)), *bias = constant(node.input(2));
    if (weight == nullptr || weight->dim() < 3 || (node.input(2) != kNoValue && bias == nullptr) || node.inputs.size() > 3)
      return std::nullopt;
    const auto rank = static_cast<size_t>(weight->dim() - 2);
    const Attributes& a = node.attributes;
    for (const auto& [name, value] : a.all()) {
      const bool known = name == "strides" || name == "dilations" || name == "pads" || name == "group" || name == "kernel_shape" ||
                         name == "auto_pad";
      if (!known) return std::nullopt;  // something fused into it
    }
    if (a.text("auto_pad", "NOTSET") != "NOTSET") return std::nullopt;
    Branch branch{.source = node.input(0),
                  .parameters = {*weight, bias != nullptr ? *bias : Tensor()},
                  .conv = true,
                  .weight_like = *weight,
                  .strides = or_ones(a.integers("strides"), rank),
                  .dilations = or_ones(a.integers("dilations"), rank),
                  .groups = a.integer("group", 1)};
    std::vector<int64_t> pads = a.integers("pads");
    if (pads.empty()) pads.assign(2 * rank, 0);
    if (branch.strides.size() != rank || branch.dilations.size() != rank || pads.size() != 2 * rank || branch.groups < 1)
      return std::nullopt;
    for (size_t i = 0; i < 2 * rank; ++i) {
      if (pads[i] < 0 || pads[i] > kLargestCrop || branch.strides[i % rank] < 1 || branch.dilations[i % rank] < 1)
        return std::nullopt;
    }
    // ACNet's branches read a cropped input where the padding is less than half the kernel: padding by less than nothing.
    for (int crops = 0; crops < 4; ++crops) {
      const Node* source = maker(branch.source);
      if (source == nullptr) break;
      const std::optional<std::vector<int64_t>> crop = crop_of(*source, rank);
      if (!crop) break;
      bool apart = true;  // zeros beside what was cropped are no values of the input
      for (size_t i = 0; i < 2 * rank; ++i) apart = apart && ((*crop)[i] == 0 || pads[i] <= 0);
      if (!apart) break;
      for (size_t i = 0; i < 2 * rank; ++i) pads[i] -= (*crop)[i];
      branch.source = source->input(0);
    }
    for (size_t i = 0; i < rank; ++i) {
      const int64_t taps = weight->size(static_cast<int64_t>(i) + 2);
      const shape::Checked reach = shape::Checked(pads[i]) + pads[i + rank] - shape::Checked(branch.dilations[i]) * (taps - 1);
      if (taps < 1 || !reach.ok()) return std::nullopt;
      branch.axes.push_back({-pads[i], taps, reach.value()});
    }
    return branch;
  }

  Branch branch_of(ValueId term) const {
    const Node* node = maker(term);
    if (node != nullptr && node->op == "Conv" && read_once(term)) {
      if (std::optional<Branch> conv = conv_branch(*node)) return *conv;
    }
    if (node != nullptr && node->op == "BatchNormalization" && read_once(term) &&
        node->attributes.integer("training_mode", 0) == 0) {
      const Tensor *scale = constant(node->input(1)), *shift = constant(node->input(2)), *mean = constant(node->input(3)),
                   *var = constant(node->input(4));
      const bool known = scale != nullptr && shift != nullptr && mean != nullptr && var != nullptr;
      if (known) {
        const double eps = node->attributes.number("epsilon", 1e-5);
        bool sound = true;
        for (int64_t c = 0; c < var->numel(); ++c) sound = sound && var->at(c) + eps > 0;
        if (sound && mean->shape() == var->shape() && scale->shape() == var->shape() && shift->shape() == var->shape() &&
            var->dim() == 1) {
          return {.source = node->input(0), .affine = ops::batch_norm_affine(*mean, *var, *scale, *shift, eps)};
        }
      }
    }
    if (node != nullptr && node->op == "ChannelAffine" && read_once(term) && !node->attributes.has("activation")) {
      const Tensor *scale = constant(node->input(1)), *shift = constant(node->input(2));
      if (scale != nullptr && shift != nullptr) return {.source = node->input(0), .affine = ChannelAffine{*scale, *shift}};
    }
    return {.source = term};
  }

  // Gives an identity or normalisation the geometry of a convolution of the same value. False if it has none there.
  static bool adopt(Branch& branch, const Branch& conv) {
    const int64_t channels = conv.parameters.weight.size(0);
    if (conv.parameters.weight.size(1) * conv.groups != channels) return false;
    if (branch.affine && branch.affine->scale.numel() != channels) return false;
    for (const int64_t stride : conv.strides) {
      if (stride != 1) return false;
    }
    for (const BranchAxis& axis : conv.axes) {
      if (axis.reach != 0) return false;  // the sizes differ: that sum broadcasts or fails
      branch.axes.push_back({0, 1, 0});
    }
    branch.strides = conv.strides;
    branch.dilations = conv.dilations;
    branch.groups = conv.groups;
    branch.parameters = {ops::identity_weight(channels, std::vector<int64_t>(conv.axes.size(), 1), conv.groups), {}};
    if (branch.affine) branch.parameters = ops::fold_after(branch.parameters, *branch.affine);
    return true;
  }

  // Whether both may become part of one kernel.
  static bool compatible(const Branch& a, const Branch& b) {
    if (a.source != b.source || a.strides != b.strides || a.groups != b.groups || a.axes.size() != b.axes.size()) return false;
    if (a.parameters.weight.size(0) != b.parameters.weight.size(0) || a.parameters.weight.size(1) != b.parameters.weight.size(1))
      return false;
    for (size_t i = 0; i < a.axes.size(); ++i) {
      const bool one_tap = a.axes[i].taps == 1 || b.axes[i].taps == 1;
      if (!one_tap && a.dilations[i] != b.dilations[i]) return false;
      const int64_t dilation = a.axes[i].taps == 1 ? b.dilations[i] : a.dilations[i];
      if (a.axes[i].reach != b.axes[i].reach || (a.axes[i].first - b.axes[i].first) % dilation != 0) return false;
    }
    return true;
  }

  // The kernel around the given ones; empty if it does not pay.
  struct Wide {
    std::vector<int64_t> kernel, dilations, pads;
    std::vector<std::vector<int64_t>> first_taps;
  };
  static std::optional<Wide> around(const std::vector<Branch>& branches) {
    const size_t rank = branches[0].axes.size();
    Wide wide;
    wide.first_taps.resize(branches.size());
    std::vector<int64_t> ends;
    shape::Checked taps(1), together(0);
    for (size_t i = 0; i < rank; ++i) {
      int64_t dilation = 1, first = branches[0].axes[i].first;
      for (const Branch& b : branches) {
        if (b.axes[i].taps > 1) dilation = b.dilations[i];
        first = std::min(first, b.axes[i].first);
      }
      int64_t kernel = 1;
      for (size_t n = 0; n < branches.size(); ++n) {
        const BranchAxis& axis = branches[n].axes[i];
        wide.first_taps[n].push_back((axis.first - first) / dilation);
        kernel = std::max(kernel, wide.first_taps[n].back() + axis.taps);
      }
      const shape::Checked end = shape::Checked(branches[0].axes[i].reach) + first + shape::Checked(dilation) * (kernel - 1);
      if (!end.ok() || end.value() < 0 || first > 0) return std::nullopt;
      wide.kernel.push_back(kernel);
      wide.dilations.push_back(dilation);
      wide.pads.push_back(-first);
      ends.push_back(end.value());
      taps = taps * kernel;
    }
    for (const Branch& b : branches) {
      shape::Checked own(1);
      for (const BranchAxis& axis : b.axes) own = own * axis.taps;
      together = together + own;
    }
    if (!taps.ok() || !together.ok() || taps.value() > together.value()) return std::nullopt;
    wide.pads.insert(wide.pads.end(), ends.begin(), ends.end());
    return wide;
  }

  // As Graph::unused_name, which looks at all names in each call.
  std::string unused_name(const std::string& stem) {
    if (names_.empty()) {
      for (const ValueInfo& info : graph_.values) names_.insert(info.name);
    }
    int64_t& used = used_[stem];
    std::string name = used == 0 ? stem : formatted("{}_{}", stem, used);
    while (!names_.insert(name).second) name = formatted("{}_{}", stem, ++used);
    return name;
  }

  // The nodes that compute the sum with fewer convolutions; empty if there are none to merge.
  std::vector<Node> merged(const Node& sum, const std::vector<ValueId>& terms) {
    std::vector<Branch> branches;
    for (const ValueId term : terms) branches.push_back(branch_of(term));
    std::vector<char> taken(terms.size(), 0);
    std::vector<Node> nodes;
    std::vector<ValueId> left;
    for (size_t c = 0; c < terms.size(); ++c) {
      if (!branches[c].conv || taken[c] != 0) continue;
      std::vector<size_t> members{c};
      std::vector<Branch> group{branches[c]};
      for (size_t n = 0; n < terms.size(); ++n) {
        if (n == c || taken[n] != 0 || branches[n].source != branches[c].source) continue;
        Branch other = branches[n];
        if (!other.conv && !adopt(other, branches[c])) continue;
        const bool fits = std::all_of(group.begin(), group.end(), [&](const Branch& b) { return compatible(b, other); });
        if (!fits) continue;
        members.push_back(n);
        group.push_back(std::move(other));
      }
      if (group.size() < 2) continue;
      const std::optional<Wide> wide = around(group);
      if (!wide) continue;
      int64_t bytes = 0;
      for (const Branch& b : group) bytes += static_cast<int64_t>(b.parameters.weight.nbytes());
      if (bytes > graph_.constant_room) continue;
      graph_.constant_room -= bytes;
      std::vector<ConvParameters> placed;
      for (size_t n = 0; n < group.size(); ++n) {
        placed.push_back(
            {ops::place_kernel(group[n].parameters.weight, wide->kernel, wide->first_taps[n]), group[n].parameters.bias});
      }
      const ConvParameters one = ops::add_branches(placed);
      const DType dtype = branches[c].weight_like.dtype();
      Node conv{.op = "Conv", .name = maker(terms[c])->name};
      conv.inputs = {branches[c].source, graph_.add_constant(unused_name("merged_weight"), one.weight.to(dtype)),
                     graph_.add_constant(unused_name("merged_bias"), one.bias.to(dtype))};
      conv.attributes.set("strides", branches[c].strides);
      conv.attributes.set("dilations", wide->dilations);
      conv.attributes.set("pads", wide->pads);
      conv.attributes.set("kernel_shape", wide->kernel);
      conv.attributes.set("group", branches[c].groups);
      const ValueId out = graph_.add_value(unused_name("merged_output"), graph_.value(sum.output(0)).type);
      conv.outputs = {out};
      left.push_back(out);
      nodes.push_back(std::move(conv));
      for (const size_t n : members) taken[n] = 1;
    }
    if (nodes.empty()) return {};
    for (size_t n = 0; n < terms.size(); ++n) {
      if (taken[n] == 0) left.push_back(terms[n]);
    }
    if (left.size() == 1) {
      nodes.back().outputs = {sum.output(0)};
      return nodes;
    }
    ValueId total = left[0];
    for (size_t n = 1; n < left.size(); ++n) {
      const bool last = n + 1 == left.size();
      const ValueId out = last ? sum.output(0) : graph_.add_value(unused_name("merged_sum"), graph_.value(sum.output(0)).type);
      nodes.push_back({.op = "Add", .name = last ? sum.name : "", .inputs = {total, left[n]}, .outputs = {out}});
      total = out;
    }
    return nodes;
  }

  Graph& graph_;
  std::vector<std::vector<int32_t>> readers_;
  std::vector<int32_t> producers_;
  std::unordered_set<std::string> names_;          // of all values, once one is to be made
  std::unordered_map<std::string, int64_t> used_;  // by stem: the last number that was tried
};

}  // namespace

int merge_parallel_convs(Graph& graph) { return Merging(graph).run(); }

}  // namespace convoy::graph
