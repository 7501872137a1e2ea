#include "convoy/onnx/writer.h"

#include <algorithm>
#include <cstdint>
#include <protozero/pbf_writer.hpp>
#include <unordered_set>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/windows.h"
#include "convoy/io/file.h"
#include "convoy/onnx/import.h"
#include "convoy/onnx/tensor_proto.h"
#include "convoy/shape/axis.h"
#include "convoy/shape/taps.h"

namespace convoy::onnx {
namespace {

using graph::Attribute;
using graph::Dim;
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::Type;
using graph::ValueId;
using protozero::pbf_writer;

constexpr int64_t kLeastOpset = 17;

// What opset 17 does not have yet: an operator, or an attribute of one.
struct Since {
  const char *op, *attribute;
  int64_t opset;
};
constexpr Since kSince[] = {{"Mish", nullptr, 18},
                            {"Col2Im", nullptr, 18},
                            {"GroupNormalization", nullptr, 21},
                            {"Gelu", nullptr, 20},
                            {"DeformConv", nullptr, 19},
                            {"RMSNormalization", nullptr, 23},
                            {"OptionalHasElement", nullptr, 18},
                            {"OptionalGetElement", nullptr, 18},
                            {"AveragePool", "dilations", 19},
                            {"LpPool", "dilations", 18},
                            {"LpPool", "ceil_mode", 18},
                            {"Resize", "antialias", 18},
                            {"Resize", "axes", 18},
                            {"Resize", "keep_aspect_ratio_policy", 18},
                            {"QuantizeLinear", "block_size", 21},
                            {"QuantizeLinear", "output_dtype", 21},
                            {"DequantizeLinear", "block_size", 21},
                            {"DequantizeLinear", "output_dtype", 23}};
// A type of an input; `op` may be the beginning of several.
struct SinceType {
  const char* op;
  size_t input;
  DType dtype;
  int64_t opset;
};
constexpr SinceType kSinceType[] = {{"Reduce", 0, DType::kBool, 20},
                                    // What runtimes have of these is made of the functions that opset 18 defines.
                                    {"Elu", 0, DType::kFloat64, 18},
                                    {"HardSigmoid", 0, DType::kFloat64, 18},
                                    {"Selu", 0, DType::kFloat64, 18},
                                    {"Softplus", 0, DType::kFloat64, 18},
                                    {"Softsign", 0, DType::kFloat64, 18},
                                    {"ThresholdedRelu", 0, DType::kFloat64, 18},
                                    {"Relu", 0, DType::kInt64, 18},
                                    {"IsInf", 0, DType::kFloat16, 20},
                                    {"QuantizeLinear", 0, DType::kFloat16, 19},
                                    {"QuantizeLinear", 1, DType::kInt32, 19},
                                    {"QuantizeLinear", 2, DType::kInt16, 21},
                                    {"QuantizeLinear", 2, DType::kUInt16, 21},
                                    {"DequantizeLinear", 0, DType::kInt16, 21},
                                    {"DequantizeLinear", 0, DType::kUInt16, 21},
                                    {"DequantizeLinear", 1, DType::kFloat16, 19},
                                    {"QLinearMatMul", 1, DType::kFloat16, 21},
                                    {"", 0, DType::kBFloat16, 22}};  // convolutions, pools and many others

// Whether ONNX counts a window that begins behind the input before opset 22; of a size that is not known, whether it may.
bool had_another_size(const Graph& graph, const Node& node) {
  const auto& dims = graph.value(node.inputs[0]).type.dims;
  if (node.attributes.integer("ceil_mode", 0) == 0 || !dims) return false;
  const std::vector<int64_t> sizes = graph::spatial_sizes(*dims);
  const auto axes = graph::windows(node.attributes, {}, sizes);
  if (!axes) return false;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const shape::Axis& axis = (*axes)[i];
    const int64_t span = *shape::effective_kernel_size(axis.kernel_size, axis.dilation);
    if (sizes[i] < 0) {
      if (axis.pad_end + axis.stride > span) return true;
      continue;
    }
    const int64_t last = *shape::pool_output_size(sizes[i], axis, true) - 1;
    if (shape::input_index(last, axis.kernel_size - 1, axis) + 1 < sizes[i] + axis.pad_end) return true;
  }
  return false;
}

// A name that no other has, like the one wanted.
std::string unlike(std::unordered_set<std::string>& taken, const std::string& wanted) {
  std::string name = wanted;
  for (int64_t k = 1; !taken.insert(name).second; ++k) name = formatted("{}_{}", wanted, k);
  return name;
}

bool reduces_by_attribute(const Node& node) { return node.op.rfind("Reduce", 0) == 0 && node.op != "ReduceSum"; }

class Writer {
 public:
  explicit Writer(const Graph& graph) : graph_(graph) { spell_out(); }

  std::string write() {
    name_values();
    opset_ = kLeastOpset;
    for (const Node& node : graph_.nodes) opset_ = std::max(opset_, least_opset(node));
    std::string bytes;
    pbf_writer model(bytes);
    model.add_int64(1, opset_ <= 18 ? 8 : opset_ <= 20 ? 9 : opset_ <= 22 ? 10 : 11);  // ir_version
    model.add_string(2, "convoy");
    {
      pbf_writer graph(model, 7);
      write_graph(graph);
    }
    pbf_writer opset(model, 8);
    opset.add_string(1, "");
    opset.add_int64(2, opset_);
    opset.commit();
    return bytes;
  }

 private:
  [[noreturn]] void refuse(const Node& node, std::string_view reason, std::string_view fix) const {
    raise<Error>("{}: {}\n{}", describe(graph_, node), reason, fix);
  }

  // Brings nodes to forms that ONNX's checker and runtimes read in one way.
  void spell_out() {
    std::vector<Node> nodes;
    nodes.reserve(graph_.nodes.size());
    for (Node& node : graph_.nodes) {
      if (node.attributes.has("auto_pad") || node.attributes.has("output_shape"))
        node.attributes = graph::explicit_padding(graph_, node);
      // The checker reads the operator as a function, which lacks the default.
      if (node.op == "MeanVarianceNormalization" && !node.attributes.has("axes"))
        node.attributes.set("axes", std::vector<int64_t>{0, 2, 3});
      // The checker reads nothing else, though the operator may have int32.
      if (const Tensor* axes = fixed(node.input(3)); node.op == "Pad" && axes != nullptr && axes->dtype() == DType::kInt32)
        node.inputs[3] = graph_.add_constant("axes", axes->to(DType::kInt64));
      if (node.op == "HardSwish" && type(node, 0).dtype == DType::kFloat64) {
        spell_out_hard_swish(node, nodes);
      } else {
        nodes.push_back(std::move(node));
      }
    }
    graph_.nodes = std::move(nodes);
  }

  // x clip(x + 3, 0, 6) / 6: runtimes have it as x HardSigmoid(x), and that for float32 alone.
  void spell_out_hard_swish(const Node& node, std::vector<Node>& nodes) {
    const auto number = [&](double value) { return graph_.add_constant("number", Tensor::scalar(value, DType::kFloat64)); };
    const auto add = [&](const char* op, std::vector<ValueId> inputs) {
      const ValueId output = graph_.add_value(node.op, graph_.value(node.inputs[0]).type);
      nodes.push_back({op, node.name, std::move(inputs), {output}});
      return output;
    };
    const ValueId x = node.inputs[0], six = number(6);
    const ValueId gate = add("Clip", {add("Add", {x, number(3)}), number(0), six});
    nodes.push_back({"Div", node.name, {add("Mul", {x, gate}), six}, node.outputs});
  }

  // A constant that no caller can replace, or nullptr.
  const Tensor* fixed(ValueId id) const {
    const bool input = std::find(graph_.inputs.begin(), graph_.inputs.end(), id) != graph_.inputs.end();
    return input ? nullptr : graph_.constant(id);
  }

  // Names are unique in files. Inputs and outputs keep theirs.
  void name_values() {
    names_.resize(graph_.values.size());
    const auto keep = [&](ValueId id) {
      names_[static_cast<size_t>(id)] = graph_.value(id).name;
      taken_.insert(graph_.value(id).name);
    };
    for (const ValueId id : graph_.inputs) keep(id);
    for (const ValueId id : graph_.outputs) keep(id);
    for (size_t i = 0; i < names_.size(); ++i) {
      if (!names_[i].empty()) continue;
      names_[i] = unlike(taken_, graph_.values[i].name.empty() ? "value" : graph_.values[i].name);
    }
  }

  // Those up to the last that somebody reads, and those that must be there.
  static size_t written_outputs(const Node& node) {
    if (node.op == "Split") return node.outputs.size();
    if (node.op == "TopK") return 2;
    if (node.op == "DynamicQuantizeLinear") return 3;
    if (node.op == "BatchNormalization" && node.attributes.integer("training_mode", 0) != 0) return 3;
    size_t count = node.outputs.size();
    while (count > 0 && node.outputs[count - 1] == kNoValue) --count;
    return count;
  }

  // A name for output i that nobody reads, made from one that somebody does.
  std::string spare_name(const Node& node, size_t i) const {
    const auto read = std::find_if(node.outputs.begin(), node.outputs.end(), [](ValueId id) { return id != kNoValue; });
    std::string spare = formatted("{}_{}", read == node.outputs.end() ? node.op : name(*read), i);
    while (taken_.count(spare) > 0) spare += "_";
    return spare;
  }

  const std::string& name(ValueId id) const {
    static const std::string kNone;
    return id == kNoValue ? kNone : names_[static_cast<size_t>(id)];
  }

  // What a node needs; also whether it can be written at all.
  int64_t least_opset(const Node& node) const {
    if (find_onnx_operator(node.op) == nullptr) {
      refuse(node, "ONNX has no such operator", "load the model with optimise = false, or write the graph before its passes");
    }
    int64_t opset = kLeastOpset;
    for (const Since& row : kSince) {
      if (node.op == row.op && (row.attribute == nullptr || node.attributes.has(row.attribute))) opset = std::max(opset, row.opset);
    }
    for (const SinceType& row : kSinceType) {
      if (type(node, row.input).dtype == row.dtype && node.op.starts_with(row.op)) opset = std::max(opset, row.opset);
    }
    if (node.op == "Equal" && type(node, 0).kind == Type::Kind::kStrings) opset = std::max<int64_t>(opset, 19);
    if (had_another_size(graph_, node)) opset = std::max<int64_t>(opset, 22);
    if (node.op == "Resize" && node.attributes.text("coordinate_transformation_mode", "") == "half_pixel_symmetric")
      opset = std::max<int64_t>(opset, 19);
    if (node.op == "Pad" && node.inputs.size() > 3) opset = std::max<int64_t>(opset, 18);
    if (node.op == "Pad" && node.attributes.text("mode", "") == "wrap") opset = std::max<int64_t>(opset, 19);
    if (reduces_by_attribute(node) &&
        (node.attributes.has("noop_with_empty_axes") || (node.input(1) != kNoValue && fixed(node.input(1)) == nullptr)))
      opset = std::max<int64_t>(opset, 18);
    if (node.op == "Split" && node.input(1) == kNoValue && !splits_evenly(node)) opset = std::max<int64_t>(opset, 18);
    if (node.op == "ScatterND" || node.op == "ScatterElements") {
      const std::string reduction = node.attributes.text("reduction", "none");
      if (reduction == "min" || reduction == "max") opset = std::max<int64_t>(opset, 18);
    }
    return opset;
  }

  const Type& type(const Node& node, size_t input) const {
    static const Type kNone;
    return node.input(input) == kNoValue ? kNone : graph_.value(node.input(input)).type;
  }

  bool splits_evenly(const Node& node) const {
    const auto& dims = graph_.value(node.inputs[0]).type.dims;
    int64_t axis = node.attributes.integer("axis", 0);
    if (!dims) return false;
    if (axis < 0) axis += static_cast<int64_t>(dims->size());
    if (axis < 0 || axis >= static_cast<int64_t>(dims->size())) return false;
    const Dim& dim = (*dims)[static_cast<size_t>(axis)];
    return dim.known() && dim.size % static_cast<int64_t>(node.outputs.size()) == 0;
  }

  void write_graph(pbf_writer& graph) const {
    std::unordered_set<std::string> taken;  // what one node of an older form became has its name several times
    for (const Node& node : graph_.nodes) {
      pbf_writer message(graph, 1);
      write_node(message, node, node.name.empty() ? "" : unlike(taken, node.name));
    }
    graph.add_string(2, graph_.name.empty() ? "graph" : graph_.name);
    for (const ValueId id : used_constants()) {
      pbf_writer message(graph, 5);
      write_tensor(message, graph_.value(id).constant, name(id));
    }
    for (const ValueId id : graph_.inputs) {
      pbf_writer message(graph, 11);
      write_info(message, id, nullptr);
    }
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      pbf_writer message(graph, 12);
      write_info(message, graph_.outputs[i], i < graph_.stated.size() ? &graph_.stated[i] : nullptr);
    }
  }

  std::vector<ValueId> used_constants() const {
    std::vector<char> used(graph_.values.size(), 0);
    for (const Node& node : graph_.nodes) {
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const bool becomes_attribute = i == 1 && opset_ < 18 && reduces_by_attribute(node);
        if (node.inputs[i] != kNoValue && !becomes_attribute) used[static_cast<size_t>(node.inputs[i])] = 1;
      }
    }
    for (const ValueId id : graph_.outputs) used[static_cast<size_t>(id)] = 1;
    std::vector<ValueId> ids;
    for (size_t i = 0; i < used.size(); ++i) {
      if (used[i] != 0 && graph_.values[i].taken) {
        raise<Error>(
            "the values of '{}' are no longer in the graph: a model has packed them for its kernels\n"
            "write what onnx::read gives, or load with ModelOptions::keep_weights",
            graph_.values[i].name);
      }
      if (used[i] != 0 && graph_.values[i].constant.defined()) ids.push_back(static_cast<ValueId>(i));
    }
    return ids;
  }

  void write_node(pbf_writer& message, const Node& node, const std::string& node_name) const {
    std::vector<ValueId> inputs = node.inputs;
    graph::Attributes attributes = node.attributes;
    if (opset_ < 18 && reduces_by_attribute(node) && node.input(1) != kNoValue) {
      attributes.set("axes", graph_.constant(node.input(1))->to(DType::kInt64).to_vector<int64_t>());
      inputs.resize(1);
    }
    if (node.op == "Split" && node.input(1) == kNoValue) {
      attributes.erase("num_outputs");
      if (opset_ >= 18) attributes.set("num_outputs", static_cast<int64_t>(node.outputs.size()));
    }
    for (const char* key : {"to", "dtype", "output_dtype"}) {
      if (const int64_t* dtype = attributes.get<int64_t>(key)) {
        const int64_t number = onnx_of_dtype(static_cast<DType>(*dtype));
        attributes.set(key, number);
      }
    }
    if (node.op == "LpPool" || node.op == "GlobalLpPool") {
      if (const double* p = attributes.has("p") ? attributes.get<double>("p") : nullptr) {
        const auto whole = static_cast<int64_t>(*p);
        attributes.set("p", whole);
      }
    }
    while (!inputs.empty() && inputs.back() == kNoValue) inputs.pop_back();
    for (const ValueId id : inputs) message.add_string(1, name(id));
    // ONNX Runtime falls over an empty name where the operator's outputs are not optional.
    for (size_t i = 0; i < written_outputs(node); ++i)
      message.add_string(2, node.output(i) == kNoValue ? spare_name(node, i) : name(node.output(i)));
    if (!node_name.empty()) message.add_string(3, node_name);
    message.add_string(4, node.op);
    for (const auto& [key, value] : attributes.all()) {
      pbf_writer attribute(message, 5);
      write_attribute(attribute, key, value);
    }
  }

  void write_attribute(pbf_writer& message, const std::string& key, const Attribute& value) const {
    message.add_string(1, key);
    // AttributeProto.AttributeType by the variant's alternatives.
    constexpr int32_t kTypes[] = {2, 1, 3, 7, 6, 8, 4};
    message.add_int32(20, kTypes[value.index()]);
    if (const auto* integer = std::get_if<int64_t>(&value)) message.add_int64(3, *integer);
    if (const auto* number = std::get_if<double>(&value)) message.add_float(2, static_cast<float>(*number));
    if (const auto* text = std::get_if<std::string>(&value)) message.add_bytes(4, *text);
    if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
      for (const int64_t integer : *integers) message.add_int64(8, integer);
    }
    if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
      for (const double number : *numbers) message.add_float(7, static_cast<float>(number));
    }
    if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
      for (const std::string& text : *texts) message.add_bytes(9, text);
    }
    if (const auto* tensor = std::get_if<Tensor>(&value)) {
      pbf_writer nested(message, 5);
      write_tensor(nested, *tensor, "");
    }
  }

  static void write_tensor(pbf_writer& message, const Tensor& tensor, const std::string& tensor_name) {
    for (const int64_t size : tensor.shape()) message.add_int64(1, size);
    message.add_int32(2, static_cast<int32_t>(onnx_of_dtype(tensor.dtype())));
    if (!tensor_name.empty()) message.add_string(8, tensor_name);
    message.add_bytes(9, static_cast<const char*>(tensor.raw_data()), tensor.nbytes());
  }

  // `stated`: says the shape where the graph does not.
  void write_info(pbf_writer& message, ValueId id, const Type* stated) const {
    const Type& type = graph_.value(id).type;
    message.add_string(1, name(id));
    if (type.kind == Type::Kind::kSequence || type.optional || (type.kind == Type::Kind::kTensor && !type.dtype)) {
      raise<Error>("value '{}' is {}\ninputs and outputs that are written must be tensors of a known type", name(id), type);
    }
    pbf_writer holder(message, 2);
    pbf_writer tensor(holder, 1);
    constexpr int32_t kString = 8;
    tensor.add_int32(1, type.kind == Type::Kind::kStrings ? kString : static_cast<int32_t>(onnx_of_dtype(*type.dtype)));
    if (type.dims || stated == nullptr) stated = &type;
    if (!stated->dims) return;
    // Written as bytes: an empty message says something here (no axes, an unknown size), and pbf_writer leaves it out.
    std::string shape;
    pbf_writer dims(shape);
    for (const Dim& dim : *stated->dims) {
      std::string bytes;
      pbf_writer entry(bytes);
      if (dim.known()) {
        entry.add_int64(1, dim.size);
      } else if (!dim.symbol.empty()) {
        entry.add_string(2, dim.symbol.text());
      }
      dims.add_message(1, bytes);
    }
    tensor.add_message(2, shape);
  }

  Graph graph_;
  std::vector<std::string> names_;
  std::unordered_set<std::string> taken_;  // names_
  int64_t opset_ = kLeastOpset;
};

}  // namespace

std::string write_bytes(const graph::Graph& graph) { return Writer(graph).write(); }

void save(const graph::Graph& graph, const std::string& path) {
  const auto too_large = [&](size_t bytes) {
    if (bytes >= size_t{INT32_MAX}) {
      raise<FileError>(
          "{}: the model would have {} bytes\n"
          "ONNX files have up to 2 GiB: store smaller numbers (float16)",
          path, bytes);
    }
  };
  size_t constants = 0;
  for (const graph::ValueInfo& info : graph.values) constants += info.constant.nbytes();
  too_large(constants);
  const std::string bytes = write_bytes(graph);
  too_large(bytes.size());
  io::OutputFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace convoy::onnx
