#include "convoy/nn/reparam/fuse.h"

#include <algorithm>
#include <map>
#include <typeinfo>
#include <utility>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/random.h"
#include "convoy/nn/composed.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/error_context.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/pad.h"
#include "convoy/nn/reparam/block.h"
#include "convoy/nn/reparam/bn_and_pad.h"
#include "convoy/nn/reparam/se_block.h"
#include "convoy/ops/reparam.h"

namespace convoy::nn {

namespace {

using LayerPointer = std::shared_ptr<Module>;

// A layer of the network being made, with the layers of the old one that it stands for.
struct Item {
  std::string name;
  LayerPointer layer;
  std::vector<LayerPointer> before;
  std::string what;
  bool changed = false, exact = true;
  Module::Children following = {};  // of a block: they become layers of their own
};

// Only the classes themselves: a class derived from them may compute something else.
template <class... Exact>
bool is_exactly(const Module& layer) {
  return ((typeid(layer) == typeid(Exact)) || ...);
}

std::shared_ptr<Conv> as_conv(const LayerPointer& layer) {
  return is_exactly<Conv1d, Conv2d, Conv3d>(*layer) ? std::static_pointer_cast<Conv>(layer) : nullptr;
}
std::shared_ptr<ConvTranspose> as_conv_transpose(const LayerPointer& layer) {
  return is_exactly<ConvTranspose1d, ConvTranspose2d, ConvTranspose3d>(*layer) ? std::static_pointer_cast<ConvTranspose>(layer)
                                                                               : nullptr;
}
std::shared_ptr<Linear> as_linear(const LayerPointer& layer) {
  return is_exactly<Linear>(*layer) ? std::static_pointer_cast<Linear>(layer) : nullptr;
}
std::shared_ptr<BatchNorm> as_norm(const LayerPointer& layer) {
  return is_exactly<BatchNorm1d, BatchNorm2d, BatchNorm3d>(*layer) ? std::static_pointer_cast<BatchNorm>(layer) : nullptr;
}
bool foldable(const BatchNorm& norm) { return norm.options().track_running_stats; }

bool unpadded(const Conv& conv) {
  const Padding& padding = conv.options().padding;
  if (padding.named()) return padding.name() == "valid";
  for (const shape::Axis& axis : axes_of(conv.rank(), conv.options())) {
    if (axis.pad_begin != 0 || axis.pad_end != 0) return false;
  }
  return true;
}

// Layers with new values; what their constructors draw is put back.
template <class Layer>
LayerPointer filled(const std::shared_ptr<Layer>& layer, const ConvParameters& values, DType dtype) {
  layer->to(dtype);
  layer->weight().data().copy_(values.weight.to(dtype));
  layer->bias().data().copy_(values.bias.to(dtype));
  layer->eval();
  return layer;
}

LayerPointer new_conv(int rank, ConvLayerOptions options, const ConvParameters& values, DType dtype) {
  options.bias = true;
  return filled(make_conv(rank, std::move(options)), values, dtype);
}

LayerPointer new_conv_transpose(const ConvTranspose& like, const ConvParameters& values) {
  ConvTransposeLayerOptions options = like.options();
  options.bias = true;
  const DType dtype = like.weight().dtype();
  if (like.rank() == 1) return filled(std::make_shared<ConvTranspose1d>(options), values, dtype);
  if (like.rank() == 2) return filled(std::make_shared<ConvTranspose2d>(options), values, dtype);
  return filled(std::make_shared<ConvTranspose3d>(options), values, dtype);
}

LayerPointer new_linear(const Linear& like, const ConvParameters& values) {
  LinearOptions options = like.options();
  options.bias = true;
  return filled(std::make_shared<Linear>(options), values, like.weight().dtype());
}

// The layer after which `norm` may be folded into it, or nullptr.
LayerPointer fold_after(const LayerPointer& layer, const BatchNorm& norm) {
  const ChannelAffine affine = affine_of(norm);
  if (const auto conv = as_conv(layer); conv != nullptr && conv->rank() == norm.rank()) {
    return new_conv(conv->rank(), conv->options(), ops::fold_after(parameters_of(*conv), affine), conv->weight().dtype());
  }
  if (const auto conv = as_conv_transpose(layer); conv != nullptr && conv->rank() == norm.rank()) {
    return new_conv_transpose(*conv, ops::fold_after_transposed(parameters_of(*conv), affine, conv->options().groups));
  }
  if (const auto linear = as_linear(layer); linear != nullptr && norm.rank() == 1) {
    return new_linear(*linear, ops::fold_after(parameters_of(*linear), affine));
  }
  return nullptr;
}

struct FoldedBefore {
  LayerPointer layer;  // nullptr: the layer cannot absorb a normalisation at all
  bool exact = true;
};

FoldedBefore fold_before(const BatchNorm& norm, const LayerPointer& layer) {
  const ChannelAffine affine = affine_of(norm);
  if (const auto conv = as_conv(layer); conv != nullptr && conv->rank() == norm.rank()) {
    const ConvLayerOptions& o = conv->options();
    return {new_conv(conv->rank(), o, ops::fold_before(affine, parameters_of(*conv), o.groups), conv->weight().dtype()),
            ops::exact_before(affine, {.padding = o.padding, .padding_mode = o.padding_mode})};
  }
  if (const auto conv = as_conv_transpose(layer); conv != nullptr && conv->rank() == norm.rank()) {
    const ConvTransposeLayerOptions& o = conv->options();
    return {new_conv_transpose(*conv, ops::fold_before_transposed(affine, parameters_of(*conv), o.groups)),
            ops::exact_before(affine, conv->weight().shape(), {.stride = o.stride, .output_padding = o.output_padding})};
  }
  if (const auto linear = as_linear(layer); linear != nullptr && norm.rank() == 1) {
    return {new_linear(*linear, ops::fold_before(affine, parameters_of(*linear), 1))};
  }
  return {};
}

// BNAndPad and the unpadded convolution after it.
LayerPointer fold_padded(const BNAndPad& norm, const Conv& conv) {
  ConvLayerOptions options = conv.options();
  if (norm.rank() != conv.rank() || !unpadded(conv)) return nullptr;
  options.padding = padding_of(norm.padding());
  options.padding_mode = PaddingMode::kZeros;
  return new_conv(conv.rank(), options, ops::fold_before(affine_of(norm.norm()), parameters_of(conv), options.groups),
                  conv.weight().dtype());
}

// A 1x1 convolution without bias, BNAndPad, and an unpadded convolution with the same groups.
LayerPointer merge_padded(const Conv& first, const BNAndPad& norm, const Conv& second) {
  const ConvLayerOptions &a = first.options(), &b = second.options();
  if (first.rank() != norm.rank() || second.rank() != norm.rank() || a.groups != b.groups || first.bias().defined()) return nullptr;
  if (!unpadded(first) || !unpadded(second)) return nullptr;
  for (const shape::Axis& axis : axes_of(first.rank(), a)) {
    if (axis.kernel_size != 1 || axis.stride != 1) return nullptr;
  }
  ConvLayerOptions options = b;
  options.in_channels = a.in_channels;
  options.padding = padding_of(norm.padding());
  options.padding_mode = PaddingMode::kZeros;
  const ConvParameters one = ops::fold_after(parameters_of(first), affine_of(norm.norm()));
  return new_conv(second.rank(), options, ops::merge_pointwise(one, parameters_of(second), a.groups), second.weight().dtype());
}

template <class Body>
auto named(const Item& item, Body&& body) {
  return with_context(body, [&](const Error&) { return "in layer " + item.name; });
}

class Fusing {
 public:
  explicit Fusing(const FuseOptions& options) : options_(options) {}

  Item layer(const std::string& name, const LayerPointer& layer) {
    if (is_exactly<Sequential>(*layer)) return {name, sequence(name + ".", *layer), {layer}, ""};
    if (const auto* parts = dynamic_cast<const Composed*>(layer.get())) return {name, composed(name + ".", *parts), {layer}, ""};
    Item item{name, layer, {layer}, layer->type()};
    if (const auto block = std::dynamic_pointer_cast<ReparamBlock>(layer)) {
      item.layer = block->fused();
      item.changed = true;
      item.following = block->following();
    }
    return item;
  }

  // `prefix` ends with a dot unless the sequence is the whole network.
  LayerPointer sequence(const std::string& prefix, const Module& sequence) {
    std::vector<Item> items;
    bool numbered = true;
    for (const auto& entry : sequence.children()) {
      numbered = numbered && entry.first == std::to_string(items.size());
      items.push_back(child(prefix, entry));
    }
    merge(items);
    auto result = std::make_shared<Sequential>(sequence.type());
    for (Item& item : items) {
      const auto own = [&](const std::string& name) { return numbered ? std::to_string(result->size()) : name; };
      const std::string name = own(item.name.substr(prefix.size()));
      if (item.changed) record(item, prefix + name);
      result->add(name, item.layer);
      for (const auto& [what, layer] : item.following)
        result->add(own(formatted("{}_{}", item.name.substr(prefix.size()), what)), layer);
      remark(item, &item == &items.back() ? nullptr : &item + 1);
    }
    result->eval();
    return result;
  }

  // The layers keep their names; one that went into another leaves an Identity, as torch.quantization.fuse_modules does.
  LayerPointer composed(const std::string& prefix, const Composed& network) {
    Module::Children children = network.children();
    std::vector<std::vector<size_t>> chains = network.chains();
    std::vector<bool> chained(children.size(), false);
    for (const std::vector<size_t>& chain : chains) {
      for (const size_t place : chain) chained.at(place) = true;
    }
    for (size_t place = 0; place < children.size(); ++place) {
      if (!chained[place]) chains.push_back({place});
    }
    std::sort(chains.begin(), chains.end());
    for (const std::vector<size_t>& chain : chains) {
      std::vector<Item> items;
      for (const size_t place : chain) items.push_back(child(prefix, children[place]));
      merge(items);
      for (size_t i = 0, next = 0; next < chain.size(); ++next) {
        auto& [name, layer] = children[chain[next]];
        if (i == items.size() || items[i].name != prefix + name) {
          layer = std::make_shared<Identity>();
          layer->eval();
          continue;
        }
        if (items[i].changed) record(items[i], items[i].name);
        layer = after(items[i]);
        remark(items[i], i + 1 < items.size() ? &items[i + 1] : nullptr);
        ++i;
      }
    }
    const std::shared_ptr<Composed> result = network.with_children(std::move(children));
    result->eval();
    return result;
  }

  LayerPointer whole(const LayerPointer& module) {
    if (is_exactly<Sequential>(*module)) return sequence("", *module);
    if (const auto* parts = dynamic_cast<const Composed*>(module.get())) return composed("", *parts);
    const Item item = layer("", module);
    if (item.changed) record(item, "");
    remark(item, nullptr);
    return after(item);
  }

  std::vector<FusedPlace> places;
  std::vector<KeptPlace> kept;

 private:
  Item child(const std::string& prefix, const std::pair<std::string, LayerPointer>& entry) {
    const std::string name = prefix + entry.first;
    return with_context([&] { return layer(name, entry.second); }, [&](const Error&) { return "in layer " + name; });
  }

  static LayerPointer after(const Item& item) {
    if (item.following.empty()) return item.layer;
    auto all = std::make_shared<Sequential>();
    all->add(item.layer);
    for (const auto& [name, layer] : item.following) all->add(layer);
    all->eval();
    return all;
  }

  void record(const Item& item, const std::string& fused_name) {
    places.push_back({item.name, fused_name, item.what, item.before, after(item), item.exact});
  }

  // Puts one layer in place of `count` items from `i`.
  static void replace(std::vector<Item>& items, size_t i, size_t count, LayerPointer layer, bool exact) {
    Item& first = items[i];
    first.layer = std::move(layer);
    first.changed = true;
    first.exact = first.exact && exact;
    for (size_t n = i + 1; n < i + count; ++n) {
      first.before.insert(first.before.end(), items[n].before.begin(), items[n].before.end());
      first.what += " + " + items[n].what;
      first.exact = first.exact && items[n].exact;
    }
    first.following = items[i + count - 1].following;
    items.erase(items.begin() + static_cast<ptrdiff_t>(i) + 1, items.begin() + static_cast<ptrdiff_t>(i + count));
  }

  // Whether the items from i to i + count - 1 follow one another directly.
  static bool adjacent(const std::vector<Item>& items, size_t i, size_t count) {
    if (i + count > items.size()) return false;
    return std::all_of(items.begin() + static_cast<ptrdiff_t>(i), items.begin() + static_cast<ptrdiff_t>(i + count) - 1,
                       [](const Item& item) { return item.following.empty(); });
  }

  void merge(std::vector<Item>& items) {
    // What follows a layer first: that is always exact.
    for (size_t i = 0; i < items.size();) {
      const auto norm = adjacent(items, i, 2) ? as_norm(items[i + 1].layer) : nullptr;
      const LayerPointer one =
          norm != nullptr && foldable(*norm) ? named(items[i + 1], [&] { return fold_after(items[i].layer, *norm); }) : nullptr;
      if (one != nullptr) {
        replace(items, i, 2, one, true);
      } else {
        ++i;
      }
    }
    for (size_t i = 0; i + 1 < items.size(); ++i) {
      const auto padded = std::dynamic_pointer_cast<BNAndPad>(items[i].layer);
      if (padded == nullptr || !adjacent(items, i, 2)) continue;
      const auto conv = as_conv(items[i + 1].layer),
                 first = i > 0 && adjacent(items, i - 1, 2) ? as_conv(items[i - 1].layer) : nullptr;
      if (conv == nullptr) continue;
      LayerPointer one = first == nullptr ? nullptr : named(items[i], [&] { return merge_padded(*first, *padded, *conv); });
      if (one != nullptr) {
        replace(items, --i, 3, one, true);
      } else if (one = named(items[i], [&] { return fold_padded(*padded, *conv); }); one != nullptr) {
        replace(items, i, 2, one, true);
      }
    }
    // From the back: a second normalisation in front finds the convolution that took up the first.
    for (size_t i = items.size(); i-- > 0;) {
      const auto norm = as_norm(items[i].layer);
      if (norm == nullptr || !foldable(*norm) || !adjacent(items, i, 2)) continue;
      const FoldedBefore one = named(items[i], [&] { return fold_before(*norm, items[i + 1].layer); });
      if (one.layer != nullptr && (one.exact || options_.inexact)) replace(items, i, 2, one.layer, one.exact);
    }
  }

  // Says of a normalisation that stays why it does.
  void remark(const Item& item, const Item* next) {
    const auto add = [&](std::string reason, std::string remedy) {
      kept.push_back({item.name, item.layer->type(), std::move(reason), std::move(remedy)});
    };
    if (const auto norm = as_norm(item.layer)) {
      if (!foldable(*norm)) {
        add("it keeps no running statistics: every batch is normalised by its own",
            "train with track_running_stats=True; nothing can replace the statistics of a batch");
        return;
      }
      const std::string follower = next == nullptr ? "" : next->layer->type();
      if (next != nullptr && fold_before(*norm, next->layer).layer != nullptr) {
        if (as_conv_transpose(next->layer) != nullptr) {
          add(formatted("the {} that follows adds its shift where kernels overlap, not everywhere alike", follower),
              "put the normalisation after the convolution");
        } else {
          add(formatted("the {} that follows pads with zeros, where the normalisation would put its shift: folded, the outputs "
                        "near the border would change",
                        follower),
              "train with BNAndPad and a convolution without padding in their place, which fold exactly; or use the convolution "
              "without padding");
        }
        return;
      }
      const auto* pad = next == nullptr ? nullptr : dynamic_cast<const Pad*>(next->layer.get());
      if (pad != nullptr && pad->mode() == PadMode::kConstant) {
        add(formatted("the {} that follows puts numbers beside what is normalised, which the normalisation would have to turn into "
                      "others",
                      follower),
            "train with BNAndPad and a convolution without padding in their place, which fold exactly; or use the convolution "
            "without padding");
        return;
      }
      add("no layer beside it can take it up", "a convolution or linear layer directly before it can");
    } else if (std::dynamic_pointer_cast<BNAndPad>(item.layer) != nullptr) {
      add("no convolution without padding follows it", "it pads for the convolution after it: give that one padding=0");
    } else if (!item.layer->children().empty() && !is_exactly<Sequential>(*item.layer) &&
               dynamic_cast<const Composed*>(item.layer.get()) == nullptr &&
               dynamic_cast<const SEBlock*>(item.layer.get()) == nullptr) {
      add("how its layers are connected is not known",
          "derive the class from nn::Composed, which says so (nn/composed.h), or fold the exported graph");
    }
  }

  FuseOptions options_;
};

void number_layers(const Module& module, const std::string& name, std::map<std::string, size_t>& order) {
  order.emplace(name, order.size());
  for (const auto& [child_name, child] : module.children())
    number_layers(*child, name.empty() ? child_name : formatted("{}.{}", name, child_name), order);
}

void check_evaluation(const Module& module, const std::string& name) {
  if (module.is_training()) {
    raise<Error>(
        "Fusion only for eval!\n"
        "{}, is in training mode, in which batches are normalised by their own statistics: call eval() first",
        name.empty() ? module.type() : formatted("layer {}, {}", name, module.type()));
  }
  for (const auto& [child_name, child] : module.children())
    check_evaluation(*child, name.empty() ? child_name : formatted("{}.{}", name, child_name));
}

}  // namespace

Fused fuse(const std::shared_ptr<Module>& module, const FuseOptions& options) {
  check_evaluation(*module, "");
  const Generator before = default_generator();
  Fusing fusing(options);
  Fused fused;
  try {
    fused.module = fusing.whole(module);
  } catch (...) {
    default_generator() = before;
    throw;
  }
  default_generator() = before;
  fused.places = std::move(fusing.places);
  fused.kept = std::move(fusing.kept);
  // In the order of the network: those inside others were found first.
  std::map<std::string, size_t> order;
  number_layers(*module, "", order);
  const auto earlier = [&](const auto& a, const auto& b) { return order[a.name] < order[b.name]; };
  std::stable_sort(fused.places.begin(), fused.places.end(), earlier);
  std::stable_sort(fused.kept.begin(), fused.kept.end(), earlier);
  return fused;
}

}  // namespace convoy::nn
