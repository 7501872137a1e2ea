#include "convoy/nn/to_graph.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/infer.h"
#include "convoy/nn/activation.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/dropout.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/pad.h"
#include "convoy/nn/pool.h"
#include "convoy/nn/reparam/block.h"
#include "convoy/nn/reparam/bn_and_pad.h"
#include "convoy/nn/reparam/se_block.h"
#include "convoy/nn/resize.h"
#include "convoy/nn/vision_models.h"
#include "convoy/ops/reduce.h"

namespace convoy::nn {
namespace {

using graph::Attributes;
using graph::Dims;
using graph::Graph;
using graph::Node;
using graph::Type;
using graph::ValueId;

class Builder {
 public:
  Builder(const Shape& input_shape, DType dtype) : dtype_(dtype) {
    Dims dims = graph::dims_of(input_shape);
    for (size_t i = 0; i < dims.size(); ++i) {
      if (!dims[i].known()) dims[i] = {-1, i == 0 ? "N" : formatted("size_{}", i)};
    }
    graph_.name = "net";
    graph_.inputs.push_back(graph_.add_value("x", {Type::Kind::kTensor, dtype, std::move(dims)}));
    inferring_ = std::make_unique<graph::Inferring>(graph_);
  }

  Graph build(Module& net) {
    ValueId y = apply(net, graph_.inputs[0], "");
    if (y == graph_.inputs[0] || graph_.value(y).constant.defined()) y = node("Identity", {y});
    graph_.value(y).name = "y";
    graph_.outputs.push_back(y);
    std::vector<Type> types = inferring_->take();
    for (size_t i = 0; i < types.size(); ++i) graph_.values[i].type = std::move(types[i]);
    return std::move(graph_);
  }

 private:
  [[noreturn]] void refuse(const Module& layer, std::string_view reason, std::string_view fix) const {
    raise<Error>("layer '{}' ({}): {}\n{}", name_, layer.type(), reason, fix);
  }

  // ---- nodes ----

  ValueId node(const char* op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    while (!inputs.empty() && inputs.back() == graph::kNoValue) inputs.pop_back();
    const ValueId output = graph_.add_value(unique(name_.empty() ? op : formatted("{}/{}", name_, op)));
    graph_.nodes.push_back({op, graph_.value(output).name, std::move(inputs), {output}, std::move(attributes)});
    inferring_->add(graph_.nodes.back());
    return output;
  }

  std::string unique(const std::string& stem) { return stem + (used_[stem]++ == 0 ? "" : formatted("_{}", used_[stem] - 1)); }

  ValueId constant(const std::string& what, Tensor tensor) {
    return graph_.add_constant(unique(name_.empty() ? what : formatted("{}.{}", name_, what)), std::move(tensor));
  }
  ValueId constant(const std::string& what, const std::vector<int64_t>& numbers) {
    return constant(what, Tensor::from(numbers, {static_cast<int64_t>(numbers.size())}));
  }
  ValueId number(double value) { return constant("value", Tensor::scalar(value, dtype_)); }
  /// A parameter, or what stands for one that the layer does without.
  ValueId parameter(const std::string& what, const Tensor& tensor) {
    return tensor.defined() ? constant(what, tensor) : graph::kNoValue;
  }
  ValueId parameter(const std::string& what, const Tensor& tensor, int64_t channels, double otherwise) {
    return constant(what, tensor.defined() ? tensor : Tensor::full({channels}, otherwise, dtype_));
  }

  const Dims& dims(ValueId id) { return *inferring_->type(id).dims; }
  int64_t rank(ValueId id) { return static_cast<int64_t>(dims(id).size()); }
  int64_t known(const Module& layer, ValueId id, size_t axis) {
    const graph::Dim& dim = dims(id).at(axis);
    if (!dim.known()) refuse(layer, formatted("it must know size {} of its input", axis), "give that size in input_shape");
    return dim.size;
  }

  static Attributes with(std::initializer_list<std::pair<const char*, graph::Attribute>> entries) {
    Attributes attributes;
    for (const auto& [key, value] : entries) attributes.set(key, value);
    return attributes;
  }

  // ---- layers ----

  ValueId apply(Module& layer, ValueId x, const std::string& name) {
    const std::string outer = name_;
    if (!name.empty()) name_ = outer.empty() ? name : formatted("{}.{}", outer, name);
    const ValueId y = convert(layer, x);
    name_ = outer;
    return y;
  }

  ValueId apply(const Module& parent, const char* child, ValueId x) {
    for (const auto& [name, layer] : parent.children()) {
      if (name == child) return apply(*layer, x, name);
    }
    refuse(parent, formatted("it has no layer '{}'", child), "");
  }

  ValueId convert(Module& layer, ValueId x) {
    if (auto* l = dynamic_cast<Sequential*>(&layer)) return chain(*l, x);
    if (auto* l = dynamic_cast<Conv*>(&layer)) return conv(*l, x);
    if (auto* l = dynamic_cast<ConvTranspose*>(&layer)) return conv_transpose(*l, x);
    if (auto* l = dynamic_cast<Linear*>(&layer)) return linear(*l, x);
    if (auto* l = dynamic_cast<BatchNorm*>(&layer)) return batch_norm(*l, x);
    // Zeros around its input become what it pads with.
    if (auto* l = dynamic_cast<BNAndPad*>(&layer)) return batch_norm(l->norm(), padded(x, l->padding(), "constant"));
    if (auto* l = dynamic_cast<InstanceNorm*>(&layer)) return instance_norm(*l, x);
    if (auto* l = dynamic_cast<GroupNorm*>(&layer)) return group_norm(*l, x);
    if (auto* l = dynamic_cast<LayerNorm*>(&layer)) return layer_norm(*l, x);
    if (auto* l = dynamic_cast<MaxPool*>(&layer)) return max_pool(*l, x);
    if (auto* l = dynamic_cast<AvgPool*>(&layer)) return avg_pool(*l, x);
    if (auto* l = dynamic_cast<LPPool*>(&layer)) return lp_pool(*l, x);
    if (auto* l = dynamic_cast<AdaptivePool*>(&layer)) return adaptive_pool(*l, x);
    if (auto* l = dynamic_cast<Pad*>(&layer)) return pad(*l, x);
    if (auto* l = dynamic_cast<Flatten*>(&layer)) return flatten(*l, x);
    if (auto* l = dynamic_cast<Unflatten*>(&layer)) return unflatten(*l, x);
    if (auto* l = dynamic_cast<Upsample*>(&layer)) return upsample(*l, x);
    if (auto* l = dynamic_cast<PixelShuffle*>(&layer))
      return node("DepthToSpace", {x}, with({{"blocksize", l->options().upscale_factor}, {"mode", std::string("CRD")}}));
    if (auto* l = dynamic_cast<PixelUnshuffle*>(&layer)) return pixel_unshuffle(*l, x);
    if (auto* l = dynamic_cast<ReparamBlock*>(&layer)) return reparam(*l, x);
    if (auto* l = dynamic_cast<SEBlock*>(&layer)) return squeeze_excite(*l, x);
    if (dynamic_cast<Dropout*>(&layer) != nullptr || dynamic_cast<Identity*>(&layer) != nullptr) return x;
    if (const ValueId y = activation(layer, x); y != graph::kNoValue) return y;
    if (const ValueId y = vision_block(layer, x); y != graph::kNoValue) return y;
    refuse(layer, "it has no form in ONNX",
           "graphs are made of the layers of nn, Sequential, the blocks of nn/reparam and torchvision's networks");
  }

  ValueId chain(const Module& layers, ValueId x) {
    for (const auto& [name, layer] : layers.children()) x = apply(*layer, x, name);
    return x;
  }

  ValueId reparam(ReparamBlock& block, ValueId x) {
    x = conv(*block.fused(), x);
    for (const auto& [name, layer] : block.following()) x = apply(*layer, x, name);
    return x;
  }

  ValueId squeeze_excite(const SEBlock& layer, ValueId x) {
    const ValueId down = apply(layer, "down", node("GlobalAveragePool", {x}));
    return node("Mul", {x, node("Sigmoid", {apply(layer, "up", node("Relu", {down}))})});
  }

  // Networks of torchvision, whose forward is more than a chain.
  ValueId vision_block(Module& layer, ValueId x) {
    const bool basic = dynamic_cast<BasicBlock*>(&layer) != nullptr;
    if (basic || dynamic_cast<Bottleneck*>(&layer) != nullptr) {
      ValueId y = apply(layer, "bn1", apply(layer, "conv1", x));
      y = apply(layer, "bn2", apply(layer, "conv2", apply(layer, "relu", y)));
      if (!basic) y = apply(layer, "bn3", apply(layer, "conv3", apply(layer, "relu", y)));
      const bool projects = layer.children().back().first == "downsample";
      return apply(layer, "relu", node("Add", {y, projects ? apply(layer, "downsample", x) : x}));
    }
    if (dynamic_cast<InvertedResidual*>(&layer) != nullptr) {
      const ValueId y = apply(layer, "conv", x);
      return dynamic_cast<InvertedResidual&>(layer).has_shortcut() ? node("Add", {x, y}) : y;
    }
    const bool mobile = dynamic_cast<MobileNetV2*>(&layer) != nullptr;
    if (mobile || dynamic_cast<ResNet*>(&layer) != nullptr || dynamic_cast<VGG*>(&layer) != nullptr ||
        dynamic_cast<RepVGG*>(&layer) != nullptr) {
      const auto& children = layer.children();
      for (size_t i = 0; i + 1 < children.size(); ++i) x = apply(*children[i].second, x, children[i].first);
      if (mobile) x = node("GlobalAveragePool", {x});
      x = node("Flatten", {x}, with({{"axis", int64_t{1}}}));
      return apply(*children.back().second, x, children.back().first);
    }
    return graph::kNoValue;
  }

  // ---- convolution ----

  static std::vector<int64_t> flattened(const std::vector<shape::PadPair>& pairs) {
    std::vector<int64_t> pads;
    for (const shape::PadPair& pair : pairs) pads.push_back(pair.begin);
    for (const shape::PadPair& pair : pairs) pads.push_back(pair.end);
    return pads;
  }

  std::vector<shape::PadPair> pad_pairs(const Module& layer, const Padding& padding, int rank, const std::vector<int64_t>& kernel,
                                        const std::vector<int64_t>& dilation) {
    if (padding.paired()) return padding.pairs();
    std::vector<shape::PadPair> pairs;
    const std::vector<int64_t> values = padding.values().expand(rank);
    for (size_t i = 0; i < static_cast<size_t>(rank); ++i) {
      if (padding.named() && padding.name() == "same") {
        const shape::Result<shape::PadPair> same = shape::same_padding(kernel[i], dilation[i]);
        if (!same) refuse(layer, std::string(shape::reason(same.error().code)), "use a smaller kernel");
        pairs.push_back(*same);
      } else {
        pairs.push_back(padding.named() ? shape::PadPair{} : shape::PadPair{values.at(i), values.at(i)});
      }
    }
    return pairs;
  }

  // The axes behind batch and channels.
  ValueId padded(ValueId x, const std::vector<shape::PadPair>& spatial, const char* mode, double value = 0) {
    std::vector<shape::PadPair> pairs(static_cast<size_t>(rank(x)) - spatial.size());
    pairs.insert(pairs.end(), spatial.begin(), spatial.end());
    const ValueId pads = constant("pads", flattened(pairs));
    return node("Pad", value != 0 ? std::vector<ValueId>{x, pads, number(value)} : std::vector<ValueId>{x, pads},
                with({{"mode", std::string(mode)}}));
  }

  ValueId conv(Conv& layer, ValueId x) {
    const ConvLayerOptions& o = layer.options();
    const int n = layer.rank();
    const std::vector<int64_t> kernel = o.kernel_size.expand(n), dilation = o.dilation.expand(n);
    std::vector<shape::PadPair> pads = pad_pairs(layer, o.padding, n, kernel, dilation);
    if (o.padding_mode != PaddingMode::kZeros) {
      const char* mode = o.padding_mode == PaddingMode::kReflect     ? "reflect"
                         : o.padding_mode == PaddingMode::kReplicate ? "edge"
                                                                     : "wrap";
      x = padded(x, pads, mode);
      pads.assign(pads.size(), {});
    }
    return node(
        "Conv",
        {x, constant("weight", layer.weight().data()), parameter("bias", layer.bias().defined() ? layer.bias().data() : Tensor())},
        with({{"dilations", dilation},
              {"group", o.groups},
              {"kernel_shape", kernel},
              {"pads", flattened(pads)},
              {"strides", o.stride.expand(n)}}));
  }

  ValueId conv_transpose(ConvTranspose& layer, ValueId x) {
    const ConvTransposeLayerOptions& o = layer.options();
    const int n = layer.rank();
    const std::vector<int64_t> kernel = o.kernel_size.expand(n), dilation = o.dilation.expand(n);
    return node(
        "ConvTranspose",
        {x, constant("weight", layer.weight().data()), parameter("bias", layer.bias().defined() ? layer.bias().data() : Tensor())},
        with({{"dilations", dilation},
              {"group", o.groups},
              {"kernel_shape", kernel},
              {"output_padding", o.output_padding.expand(n)},
              {"pads", flattened(pad_pairs(layer, o.padding, n, kernel, dilation))},
              {"strides", o.stride.expand(n)}}));
  }

  ValueId linear(Linear& layer, ValueId x) {
    const Tensor bias = layer.bias().defined() ? layer.bias().data() : Tensor();
    if (rank(x) == 2)
      return node("Gemm", {x, constant("weight", layer.weight().data()), parameter("bias", bias)}, with({{"transB", int64_t{1}}}));
    const ValueId y = node("MatMul", {x, constant("weight", ops::permute(layer.weight().data(), {1, 0}))});
    return bias.defined() ? node("Add", {y, constant("bias", bias)}) : y;
  }

  // ---- normalisation ----

  static Tensor data_of(const Variable& variable) { return variable.defined() ? variable.data() : Tensor(); }

  ValueId batch_norm_node(ValueId x, const Tensor& weight, const Tensor& bias, const Tensor& mean, const Tensor& var, double eps) {
    const int64_t channels = mean.numel();
    return node("BatchNormalization",
                {x, parameter("weight", weight, channels, 1), parameter("bias", bias, channels, 0), constant("running_mean", mean),
                 constant("running_var", var)},
                with({{"epsilon", eps}}));
  }

  ValueId batch_norm(const BatchNorm& layer, ValueId x) {
    if (!layer.options().track_running_stats)
      refuse(layer, "it has no running statistics", "export layers with track_running_stats");
    return batch_norm_node(x, data_of(layer.weight()), data_of(layer.bias()), layer.running_mean(), layer.running_var(),
                           layer.options().eps);
  }

  ValueId instance_norm(InstanceNorm& layer, ValueId x) {
    const Tensor weight = data_of(layer.weight()), bias = data_of(layer.bias());
    if (layer.options().track_running_stats)
      return batch_norm_node(x, weight, bias, layer.running_mean(), layer.running_var(), layer.options().eps);
    const int64_t channels = layer.options().num_features;
    return node("InstanceNormalization", {x, parameter("weight", weight, channels, 1), parameter("bias", bias, channels, 0)},
                with({{"epsilon", layer.options().eps.value()}}));
  }

  // As PyTorch writes it: each group is one channel of an InstanceNormalization.
  ValueId group_norm(GroupNorm& layer, ValueId x) {
    const GroupNormOptions& o = layer.options();
    const ValueId grouped = node("Reshape", {x, constant("shape", std::vector<int64_t>{0, o.num_groups, -1})});
    const ValueId ones = constant("ones", Tensor::ones({o.num_groups}, dtype_)),
                  zeros = constant("zeros", Tensor::zeros({o.num_groups}, dtype_));
    const ValueId normal = node("InstanceNormalization", {grouped, ones, zeros}, with({{"epsilon", o.eps.value()}}));
    ValueId y = node("Reshape", {normal, node("Shape", {x})});
    if (!o.affine) return y;
    Shape per_channel(static_cast<size_t>(rank(x)) - 1, 1);
    per_channel[0] = o.num_channels;
    y = node("Mul", {y, constant("weight", data_of(layer.weight()).reshape(per_channel))});
    return node("Add", {y, constant("bias", data_of(layer.bias()).reshape(per_channel))});
  }

  ValueId layer_norm(LayerNorm& layer, ValueId x) {
    const std::vector<int64_t> normalized = layer.options().normalized_shape.values();
    const Tensor weight = data_of(layer.weight());
    return node("LayerNormalization",
                {x, constant("weight", weight.defined() ? weight : Tensor::ones(normalized, dtype_)),
                 parameter("bias", data_of(layer.bias()))},
                with({{"axis", -static_cast<int64_t>(normalized.size())}, {"epsilon", layer.options().eps.value()}}));
  }

  // ---- pooling ----

  static std::vector<int64_t> twice(const std::vector<int64_t>& padding) {
    std::vector<int64_t> pads = padding;
    pads.insert(pads.end(), padding.begin(), padding.end());
    return pads;
  }

  ValueId max_pool(MaxPool& layer, ValueId x) {
    const MaxPoolOptions& o = layer.options();
    const int n = layer.rank();
    return node("MaxPool", {x},
                with({{"ceil_mode", int64_t{o.ceil_mode}},
                      {"dilations", o.dilation.expand(n)},
                      {"kernel_shape", o.kernel_size.expand(n)},
                      {"pads", twice(o.padding.expand(n))},
                      {"strides", (o.stride.empty() ? o.kernel_size : o.stride).expand(n)}}));
  }

  ValueId avg_pool(AvgPool& layer, ValueId x) {
    const AvgPoolOptions& o = layer.options();
    const int n = layer.rank();
    const std::vector<int64_t> kernel = o.kernel_size.expand(n);
    if (o.divisor_override && o.ceil_mode) refuse(layer, "ONNX has no divisor_override with ceil_mode", "leave one of them out");
    const ValueId y = node("AveragePool", {x},
                           with({{"ceil_mode", int64_t{o.ceil_mode}},
                                 {"count_include_pad", int64_t{o.count_include_pad || o.divisor_override}},
                                 {"kernel_shape", kernel},
                                 {"pads", twice(o.padding.expand(n))},
                                 {"strides", (o.stride.empty() ? o.kernel_size : o.stride).expand(n)}}));
    if (!o.divisor_override) return y;
    double positions = 1;
    for (const int64_t size : kernel) positions *= static_cast<double>(size);
    return node("Mul", {y, number(positions / static_cast<double>(*o.divisor_override))});
  }

  ValueId lp_pool(LPPool& layer, ValueId x) {
    const LPPoolOptions& o = layer.options();
    const double p = o.norm_type;
    if (p < 2 || p != std::floor(p) || std::fmod(p, 2) != 0 || o.ceil_mode) {
      refuse(layer, "ONNX pools absolute values and whole windows", "use an even norm_type without ceil_mode");
    }
    const int n = layer.rank();
    return node("LpPool", {x},
                with({{"kernel_shape", o.kernel_size.expand(n)},
                      {"p", p},
                      {"strides", (o.stride.empty() ? o.kernel_size : o.stride).expand(n)}}));
  }

  ValueId adaptive_pool(AdaptivePool& layer, ValueId x) {
    const bool maximum = layer.type().rfind("AdaptiveMax", 0) == 0;
    const int n = layer.rank();
    AdaptiveSize sizes = layer.options().output_size.sizes();
    if (sizes.size() == 1 && n > 1) sizes = AdaptiveSize(static_cast<size_t>(n), sizes[0]);
    if (std::all_of(sizes.begin(), sizes.end(), [](const auto& size) { return size == 1; }))
      return node(maximum ? "GlobalMaxPool" : "GlobalAveragePool", {x});
    std::vector<int64_t> kernel;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (!sizes[i]) {
        kernel.push_back(1);
        continue;
      }
      const int64_t in = known(layer, x, dims(x).size() - sizes.size() + i);
      if (*sizes[i] < 1 || in % *sizes[i] != 0) {
        refuse(layer, "ONNX has no windows of different sizes",
               formatted("the {} positions must be a multiple of the output's {}", in, *sizes[i]));
      }
      kernel.push_back(in / *sizes[i]);
    }
    return node(maximum ? "MaxPool" : "AveragePool", {x}, with({{"kernel_shape", kernel}, {"strides", kernel}}));
  }

  // ---- shapes ----

  ValueId pad(Pad& layer, ValueId x) {
    const std::vector<int64_t>& padding = layer.padding();
    std::vector<shape::PadPair> pairs;
    for (size_t i = padding.size(); i >= 2; i -= 2) pairs.push_back({padding[i - 2], padding[i - 1]});
    const char* mode = layer.mode() == PadMode::kReflect     ? "reflect"
                       : layer.mode() == PadMode::kReplicate ? "edge"
                       : layer.mode() == PadMode::kCircular  ? "wrap"
                                                             : "constant";
    return padded(x, pairs, mode, layer.value());
  }

  // Sizes in front of the axis stay; those behind it must be known.
  ValueId reshaped(const Module& layer, ValueId x, int64_t axis, const std::vector<int64_t>& sizes, int64_t behind) {
    std::vector<int64_t> shape(static_cast<size_t>(axis), 0);
    shape.insert(shape.end(), sizes.begin(), sizes.end());
    for (int64_t i = behind; i < rank(x); ++i) shape.push_back(known(layer, x, static_cast<size_t>(i)));
    return node("Reshape", {x, constant("shape", shape)});
  }

  int64_t wrapped(const Module& layer, int64_t dim, int64_t n) const {
    if (dim < -n || dim >= n)
      refuse(layer, formatted("dimension {} is outside its input's {}", dim, n), "count from 0, or from the end with -1");
    return dim < 0 ? dim + n : dim;
  }

  ValueId flatten(Flatten& layer, ValueId x) {
    const int64_t n = rank(x), start = wrapped(layer, layer.options().start_dim, n),
                  end = wrapped(layer, layer.options().end_dim, n);
    if (start == 1 && end == n - 1) return node("Flatten", {x}, with({{"axis", int64_t{1}}}));
    return reshaped(layer, x, start, {-1}, end + 1);
  }

  ValueId unflatten(Unflatten& layer, ValueId x) {
    const int64_t dim = wrapped(layer, layer.options().dim, rank(x));
    return reshaped(layer, x, dim, layer.options().unflattened_size, dim + 1);
  }

  // (C, H r, W r) -> (C r^2, H, W), the place inside a block counting fastest.
  ValueId pixel_unshuffle(PixelUnshuffle& layer, ValueId x) {
    const int64_t r = layer.options().downscale_factor, n = rank(x);
    if (n != 4) refuse(layer, formatted("its input has {} axes", n), "use (N, C, H, W)");
    const int64_t c = known(layer, x, 1), h = known(layer, x, 2), w = known(layer, x, 3);
    if (h % r != 0 || w % r != 0)
      refuse(layer, "its factor does not divide the input's size", formatted("use a multiple of {}", r));
    const ValueId blocks = node("Reshape", {x, constant("shape", std::vector<int64_t>{0, c, h / r, r, w / r, r})});
    const ValueId sorted = node("Transpose", {blocks}, with({{"perm", std::vector<int64_t>{0, 1, 3, 5, 2, 4}}}));
    return node("Reshape", {sorted, constant("shape", std::vector<int64_t>{0, c * r * r, h / r, w / r})});
  }

  ValueId upsample(Upsample& layer, ValueId x) {
    const UpsampleOptions& o = layer.options();
    const auto spatial = static_cast<int>(rank(x)) - 2;
    const char* mode = o.mode == InterpolateMode::kNearest ? "nearest" : o.mode == InterpolateMode::kBilinear ? "linear" : "cubic";
    const char* where = o.mode == InterpolateMode::kNearest ? "asymmetric"
                        : o.align_corners.value_or(false)   ? "align_corners"
                                                            : "half_pixel";
    Attributes attributes = with({{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(where)}});
    if (o.mode == InterpolateMode::kNearest) attributes.set("nearest_mode", std::string("floor"));
    if (o.mode == InterpolateMode::kBicubic) attributes.set("cubic_coeff_a", -0.75);
    if (!o.scale_factor.empty()) {
      std::vector<double> scales{1, 1};
      for (int i = 0; i < spatial; ++i)
        scales.push_back(o.scale_factor.values().at(o.scale_factor.values().size() == 1 ? 0 : static_cast<size_t>(i)));
      return node(
          "Resize",
          {x, graph::kNoValue, constant("scales", Tensor::from(scales, {static_cast<int64_t>(scales.size())}).to(DType::kFloat32))},
          std::move(attributes));
    }
    const ValueId front = node("Shape", {x}, with({{"end", int64_t{2}}}));
    const ValueId sizes = node("Concat", {front, constant("size", o.size.expand(spatial))}, with({{"axis", int64_t{0}}}));
    return node("Resize", {x, graph::kNoValue, graph::kNoValue, sizes}, std::move(attributes));
  }

  // ---- activations ----

  ValueId clip(ValueId x, double least, double most) { return node("Clip", {x, number(least), number(most)}); }

  ValueId activation(Module& layer, ValueId x) {
    const std::string type = layer.type();
    if (type == "ReLU") return node("Relu", {x});
    if (type == "ReLU6") return clip(x, 0, 6);
    if (type == "Sigmoid") return node("Sigmoid", {x});
    if (type == "Tanh") return node("Tanh", {x});
    if (type == "SiLU") return node("Mul", {x, node("Sigmoid", {x})});
    if (type == "Mish") return node("Mul", {x, node("Tanh", {node("Softplus", {x})})});
    if (type == "Hardswish") return node("HardSwish", {x});
    if (type == "Hardsigmoid") return node("HardSigmoid", {x}, with({{"alpha", 1.0 / 6}, {"beta", 0.5}}));
    if (auto* l = dynamic_cast<Hardtanh*>(&layer)) return clip(x, l->options().min_val, l->options().max_val);
    if (auto* l = dynamic_cast<LeakyReLU*>(&layer))
      return node("LeakyRelu", {x}, with({{"alpha", l->options().negative_slope.value()}}));
    if (auto* l = dynamic_cast<ELU*>(&layer)) return node("Elu", {x}, with({{"alpha", l->options().alpha.value()}}));
    if (auto* l = dynamic_cast<GELU*>(&layer)) return gelu(*l, x);
    if (auto* l = dynamic_cast<Softplus*>(&layer)) {
      const double beta = l->options().beta;
      if (beta == 1) return node("Softplus", {x});
      return node("Div", {node("Softplus", {node("Mul", {x, number(beta)})}), number(beta)});
    }
    if (auto* l = dynamic_cast<Softmax*>(&layer)) return node("Softmax", {x}, with({{"axis", softmax_axis(l->options().dim, x)}}));
    if (auto* l = dynamic_cast<LogSoftmax*>(&layer))
      return node("LogSoftmax", {x}, with({{"axis", softmax_axis(l->options().dim, x)}}));
    return graph::kNoValue;
  }

  // PyTorch's choice where dim is left out.
  int64_t softmax_axis(const std::optional<int64_t>& dim, ValueId x) {
    if (dim) return *dim;
    const int64_t n = rank(x);
    return n == 0 || n == 1 || n == 3 ? 0 : 1;
  }

  // Written out, since Gelu is younger than opset 17.
  ValueId gelu(GELU& layer, ValueId x) {
    ValueId inner = graph::kNoValue;
    if (layer.options().approximate == "tanh") {
      const ValueId cube = node("Mul", {node("Mul", {x, x}), x});
      inner = node("Tanh", {node("Mul", {node("Add", {x, node("Mul", {cube, number(0.044715)})}), number(std::sqrt(2 / M_PI))})});
    } else {
      inner = node("Erf", {node("Div", {x, number(std::sqrt(2.0))})});
    }
    return node("Mul", {node("Mul", {x, node("Add", {inner, number(1)})}), number(0.5)});
  }

  DType dtype_;
  Graph graph_;
  std::unique_ptr<graph::Inferring> inferring_;
  std::string name_;  // of the layer being converted
  std::map<std::string, int> used_;
};

}  // namespace

graph::Graph to_graph(Module& net, const Shape& input_shape, DType dtype) { return Builder(input_shape, dtype).build(net); }

}  // namespace convoy::nn
