#include "convoy/graph/passes/unfolded.h"

#include <algorithm>
#include <functional>

#include "convoy/core/formatted.h"

namespace convoy::graph {

namespace {

bool is_layer(const Node& node) {
  return node.op == "Conv" || node.op == "ConvTranspose" || node.op == "Linear" || node.op == "Gemm";
}

std::string names(const Graph& graph, const std::vector<int32_t>& nodes) {
  std::string text;
  for (const int32_t at : nodes) text += (text.empty() ? "" : ", ") + describe(graph, graph.nodes[static_cast<size_t>(at)]);
  return text;
}

class Search {
 public:
  explicit Search(const Graph& graph) : graph_(graph), readers_(graph.readers()), makers_(graph.producers()) {}

  std::vector<Unfolded> run() const {
    std::vector<Unfolded> found;
    for (const Node& node : graph_.nodes) {
      if (node.op == "BatchNormalization" || node.op == "ChannelAffine") found.push_back(norm(node));
      if (node.op == "Add" && node.inputs.size() == 2) branches(node, found);
    }
    return found;
  }

 private:
  const Node* maker(ValueId id) const {
    const int32_t at = id == kNoValue ? -1 : makers_[static_cast<size_t>(id)];
    return at < 0 ? nullptr : &graph_.nodes[static_cast<size_t>(at)];
  }

  Unfolded norm(const Node& node) const {
    Node named = node;  // ChannelAffine is what the passes make of it
    named.op = "BatchNormalization";
    Unfolded result{.layer = describe(graph_, named)};
    if (node.op == "BatchNormalization") {
      if (node.attributes.integer("training_mode", 0) != 0) {
        result.reason = "it is in training mode and takes its statistics from the batch";
        result.remedy = "call eval() before exporting the network";
        return result;
      }
      const Type& type = graph_.value(node.input(0)).type;
      if (type.dtype && *type.dtype != DType::kFloat32 && *type.dtype != DType::kFloat64) {
        result.reason = formatted("it computes in {}, where folding would round twice", *type.dtype);
        result.remedy = "fold the float32 network, then convert it";
        return result;
      }
      if (!type.dims || type.dims->size() < 2 || !(*type.dims)[1].known()) {
        result.reason = "the channels of its input are not known";
        result.remedy = "export the network with the input's shape";
        return result;
      }
      const bool constant =
          std::all_of(node.inputs.begin() + 1, node.inputs.end(), [&](ValueId id) { return graph_.constant(id) != nullptr; });
      result.reason = constant ? "its numbers are of no use: a variance + epsilon that is not above 0, or sizes that do not fit"
                               : "its parameters are computed, or inputs of the network";
      result.remedy = constant ? "look at its running_var" : "export it with constant parameters";
      return result;
    }
    // What follows decides first: there the way out is known.
    const std::vector<int32_t>& readers = readers_[static_cast<size_t>(node.output(0))];
    if (readers.size() == 1 && !graph_.is_output(node.output(0))) {
      const Node& layer = graph_.nodes[static_cast<size_t>(readers[0])];
      if ((layer.op == "Conv" || layer.op == "ConvTranspose") && layer.input(0) == node.output(0)) {
        const auto fixed = [&](size_t i) { return layer.input(i) == kNoValue || graph_.constant(layer.input(i)) != nullptr; };
        if (!fixed(1) || !fixed(2)) {
          result.reason = "the weight or bias of the convolution behind it is computed";
          result.detail = describe(graph_, layer);
          result.remedy = "export it with constant parameters";
          return result;
        }
        result.detail = describe(graph_, layer);
        if (layer.op == "Conv") {
          result.reason = "the convolution behind it pads with zeros, which folding would turn into the shift";
          result.remedy =
              "pad with the value that the normalisation gives a zero (nn::BNAndPad), or pad by reflect, replicate or circular, or "
              "normalise behind the convolution";
        } else {
          result.reason = "the transposed convolution behind it adds its shift where kernels overlap, not everywhere alike";
          result.remedy = "put the normalisation behind the convolution";
        }
        return result;
      }
    }
    const Node* before = maker(node.input(0));
    if (before != nullptr && is_layer(*before)) {
      const std::vector<int32_t>& others = readers_[static_cast<size_t>(node.input(0))];
      const bool fixed = graph_.constant(before->input(1)) != nullptr &&
                         (before->input(2) == kNoValue || graph_.constant(before->input(2)) != nullptr);
      if (others.size() > 1 || graph_.is_output(node.input(0))) {
        result.reason = "others want the output of the layer in front as it is";
        result.detail = others.size() > 1 ? names(graph_, others) : "an output of the network";
        result.remedy = "give each reader its own convolution, or leave it: it costs one product and one sum a value";
      } else if (!fixed) {
        result.reason = "the weight or bias of the layer in front is computed";
        result.detail = describe(graph_, *before);
        result.remedy = "export it with constant parameters";
      } else {
        result.reason = "the layer in front has its channels on another axis";
        result.detail = describe(graph_, *before);
        result.remedy = "leave it: it costs one product and one sum a value";
      }
      return result;
    }
    result.reason = "no convolution stands directly in front of it or behind it";
    result.detail =
        formatted("{} in front, {} behind", before != nullptr ? describe(graph_, *before) : std::string("an input of the network"),
                  readers.empty() ? std::string("an output of the network") : names(graph_, readers));
    result.remedy = "leave it: it costs one product and one sum a value, and runs together with an activation behind it";
    return result;
  }

  // Convolutions of one value whose sum stayed a sum.
  void branches(const Node& sum, std::vector<Unfolded>& found) const {
    const Node *a = maker(sum.inputs[0]), *b = maker(sum.inputs[1]);
    if (a == nullptr || b == nullptr || a == b || a->op != "Conv" || b->op != "Conv" || a->input(0) != b->input(0)) return;
    Unfolded result{.layer = formatted("{} and {}", describe(graph_, *a), describe(graph_, *b)),
                    .detail = describe(graph_, sum),
                    .norm = false};
    const auto equal = [&](const char* name) { return a->attributes.integers(name) == b->attributes.integers(name); };
    const Tensor *wa = graph_.constant(a->input(1)), *wb = graph_.constant(b->input(1));
    if (wa == nullptr || wb == nullptr) {
      result.reason = "their weights are no constants";
      result.remedy = "export them with constant parameters";
    } else if (readers_[static_cast<size_t>(sum.inputs[0])].size() + readers_[static_cast<size_t>(sum.inputs[1])].size() > 2) {
      result.reason = "somebody else reads one of them";
      result.remedy = "let the sum be the one reader of its branches";
    } else if (a->attributes.integer("group", 1) != b->attributes.integer("group", 1)) {
      result.reason = "they have different groups";
      result.remedy = "give the branches the same groups";
    } else if (!equal("strides")) {
      result.reason = "they have different strides";
      result.remedy = "give the branches the same stride";
    } else if (!equal("dilations") && wa->shape() == wb->shape()) {
      result.reason = "they have different dilations";
      result.remedy = "give the branches the same dilation";
    } else {
      const auto inside = [](const Tensor& small, const Tensor& large) {
        return std::equal(small.shape().begin() + 2, small.shape().end(), large.shape().begin() + 2, large.shape().end(),
                          std::less_equal<>());
      };
      const bool misaligned = inside(*wa, *wb) || inside(*wb, *wa);
      result.reason = misaligned ? "misaligned branches: the smaller kernel does not lie inside the larger one"
                                 : "one kernel that covers both would have more taps than they have together";
      result.remedy =
          misaligned
              ? "centre it: beside a KxK kernel with padding p one of size k needs the padding p + d (k // 2 - K // 2), d the "
                "dilation"
              : "leave them: together they are cheaper";
    }
    found.push_back(std::move(result));
  }

  const Graph& graph_;
  std::vector<std::vector<int32_t>> readers_;
  std::vector<int32_t> makers_;
};

}  // namespace

std::vector<Unfolded> unfolded(const Graph& graph) { return Search(graph).run(); }

}  // namespace convoy::graph
