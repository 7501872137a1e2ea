#include "convoy/nn/reparam/verify.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/reparam/block.h"
#include "convoy/nn/reparam/bn_and_pad.h"

namespace convoy::nn {

using convoy::to_string;  // of shapes

namespace {

// The convolution of a place, which may be followed by an activation.
const Conv* conv_of(const Module& after) {
  const Module* layer = &after;
  if (const auto* both = dynamic_cast<const Sequential*>(layer); both != nullptr && both->size() > 0) layer = &(*both)[0];
  return dynamic_cast<const Conv*>(layer);
}

// Per output position whether a tap reads padding; empty if the layer has no padding to read.
std::vector<bool> border_of(const Module& after, const Shape& input, const Shape& output) {
  const Conv* conv = conv_of(after);
  if (conv == nullptr || static_cast<int>(output.size()) != conv->rank() + 2) return {};
  return ops::border_positions(axes_of(conv->rank(), conv->options()), input, output);
}

double finite(double difference) { return std::isnan(difference) ? INFINITY : difference; }

void compare(const Tensor& a, const Tensor& b, const std::vector<bool>& border, PlaceAgreement& place) {
  if (a.shape() != b.shape()) {
    raise<ShapeMismatch>(
        "{}: {} gives {}, the layer in its place {}\n"
        "its stride, padding or dilation differs",
        place.name, place.what, a.shape(), b.shape());
  }
  const auto positions = static_cast<int64_t>(border.size());
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double d = finite(std::abs(a.at(i) - b.at(i)));
    double& largest = positions > 0 && border[static_cast<size_t>(i % positions)] ? place.border : place.interior;
    largest = std::max(largest, d);
    place.scale = std::max(place.scale, std::abs(a.at(i)));
  }
  place.outputs = positions;
  place.border_outputs = std::count(border.begin(), border.end(), true);
}

// Largest difference over largest value.
double relative(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return INFINITY;
  double difference = 0, largest = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    difference = std::max(difference, finite(std::abs(a.at(i) - b.at(i))));
    largest = std::max(largest, std::abs(a.at(i)));
  }
  return largest == 0 ? difference : difference / largest;
}

struct Explanation {
  std::string cause, remedy;
};

constexpr double kSameWeights = 1e-4;  // float32 arithmetic of another program, far below a tap's difference

// Where a branch would have to lie, or be missing, for the block to be this convolution.
std::optional<Explanation> other_place(const ReparamBlock& block, const Conv& conv) {
  const std::vector<FoldedBranch> branches = block.folded_branches();
  const std::vector<int64_t> wide = block.convolution().kernel_size.expand(block.rank());
  const Tensor weight = conv.weight().data().to(DType::kFloat64);
  const auto sum = [&](size_t changed, const std::vector<int64_t>* tap) {
    std::vector<ConvParameters> placed;
    for (size_t b = 0; b < branches.size(); ++b) {
      if (b == changed && tap == nullptr) continue;
      const ConvParameters& p = branches[b].parameters;
      placed.push_back({ops::place_kernel(p.weight, wide, b == changed ? *tap : branches[b].first_tap), p.bias});
    }
    return ops::add_branches(placed);
  };
  for (size_t b = 0; b < branches.size() && branches.size() > 1; ++b) {
    if (relative(sum(b, nullptr).weight, weight) < kSameWeights) {
      return Explanation{formatted("branch {} is missing in the convolution's weights", branches[b].name),
                         "add every branch before the block is replaced"};
    }
    // Every other place in the block's kernel.
    const Shape narrow(branches[b].parameters.weight.shape().begin() + 2, branches[b].parameters.weight.shape().end());
    std::vector<int64_t> tap(wide.size(), 0);
    for (bool more = true; more;) {
      if (tap != branches[b].first_tap && relative(sum(b, &tap).weight, weight) < kSameWeights) {
        return Explanation{formatted("misaligned branches: {} was added at tap {} of the kernel instead of {}", branches[b].name,
                                     Shape(tap), Shape(branches[b].first_tap)),
                           "put the branch's kernel where its windows lie, K / 2 - k / 2 on every axis (ops::place_kernel)"};
      }
      more = false;
      for (size_t a = tap.size(); a-- > 0 && !more;) {
        more = ++tap[a] <= wide[a] - narrow[a];
        if (!more) tap[a] = 0;
      }
    }
  }
  return std::nullopt;
}

std::shared_ptr<Module> in_float64(const Module& layer) {
  std::shared_ptr<Module> made = parse(layer.definition());
  made->to(DType::kFloat64);
  made->load_state_dict(layer.state_dict());
  made->eval();
  return made;
}

// The largest difference of a place where nobody rounds; nothing if its layers cannot be built from their printed form.
std::optional<double> exact_difference(const FusedPlace& place, const Tensor& input) {
  const Generator before = default_generator();
  std::optional<double> difference;
  try {
    const Variable x(input.to(DType::kFloat64));
    Variable wanted = x;
    for (const auto& layer : place.before) wanted = (*in_float64(*layer))(wanted);
    PlaceAgreement exact{{}, place.name, place.what};
    compare(wanted.data(), (*in_float64(*place.after))(x).data(), {}, exact);
    difference = exact.interior;
  } catch (const Error&) {
    difference.reset();
  }
  default_generator() = before;
  return difference;
}

Explanation explain(const FusedPlace& place, const PlaceAgreement& found, double limit) {
  bool norm_first = false;
  for (size_t i = 0; i + 1 < place.before.size(); ++i) {
    norm_first = norm_first || dynamic_cast<const BatchNorm*>(place.before[i].get()) != nullptr;
  }
  const Conv* conv = conv_of(*place.after);
  if (found.interior <= limit && norm_first) {
    return {
        "only the border differs: the convolution pads with zeros after the batch normalisation; folded, its padding stands for "
        "what "
        "the normalisation makes of zero",
        "either train with BNAndPad, which pads with that value, and a convolution without padding: they fold exactly; or fold a "
        "convolution without padding"};
  }
  if (found.interior <= limit) {
    return {"only the border differs: the one convolution pads otherwise than the layers it stands for",
            "give it the padding and padding_mode of the block"};
  }
  if (place.before.size() == 1 && conv != nullptr) {
    if (const auto* block = dynamic_cast<const ReparamBlock*>(place.before[0].get()); block != nullptr && !block->deployed()) {
      const ConvParameters one = block->equivalent_kernel_bias();
      if (relative(one.weight, conv->weight().data()) < kSameWeights) {
        return {"the weights agree, the bias does not: a shift of a batch normalisation was left out or added twice",
                "the bias is the sum of every branch's bias - running_mean weight / sqrt(running_var + eps)"};
      }
      if (const auto found_place = other_place(*block, *conv)) return *found_place;
    }
  }
  return {
      "the weights are not those that these layers fold into",
      "fold again in evaluation mode from the same checkpoint: in training mode the statistics, and so the weights, keep moving"};
}

std::string training_layer(const Module& module, const std::string& name) {
  if (module.children().empty() && module.is_training() && dynamic_cast<const BatchNorm*>(&module) != nullptr) return name;
  for (const auto& [child_name, child] : module.children()) {
    const std::string found = training_layer(*child, name.empty() ? child_name : formatted("{}.{}", name, child_name));
    if (!found.empty()) return found;
  }
  return "";
}

}  // namespace

Agreement verify(Module& original, const Fused& fused, const Shape& input_shape, int64_t inputs, Generator* generator) {
  const NoGradGuard no_grad;
  Agreement agreement;
  agreement.inputs = inputs;
  DType dtype = DType::kFloat32;
  if (const std::vector<Variable> parameters = original.parameters(); !parameters.empty()) dtype = parameters[0].dtype();
  agreement.limit = dtype == DType::kFloat64 ? 1e-12 : 5e-6;
  for (const FusedPlace& place : fused.places) agreement.places.push_back({{}, place.name, place.what});

  // Running statistics as they are now, for a network in training mode.
  std::vector<std::pair<Tensor, Tensor>> kept;
  for (auto& [name, value] : original.named_buffers()) kept.emplace_back(value, value.clone());
  const auto put_back = [&] {
    for (auto& [value, before] : kept) value.copy_(before);
  };

  std::map<size_t, Tensor> differs;  // by place: an input on which it does
  std::map<const Module*, std::vector<size_t>> first_of;
  for (size_t p = 0; p < fused.places.size(); ++p) first_of[fused.places[p].before[0].get()].push_back(p);
  const ForwardHook::Function see = [&](Module& module, const Variable& input, const Variable& output) {
    const auto places = first_of.find(&module);
    if (places == first_of.end()) return;
    for (const size_t p : places->second) {
      const FusedPlace& place = fused.places[p];
      Variable wanted = output;
      for (size_t i = 1; i < place.before.size(); ++i) wanted = (*place.before[i])(wanted);
      const Variable given = (*place.after)(input);
      PlaceAgreement& found = agreement.places[p];
      compare(wanted.data(), given.data(), border_of(*place.after, input.shape(), given.shape()), found);
      if (std::max(found.interior, found.border) > agreement.limit * std::max(found.scale, 1.0)) differs[p] = input.data();
    }
  };

  constexpr int64_t kBatch = 16;
  try {
    for (int64_t done = 0; done < inputs; done += kBatch) {
      Shape shape{std::min(kBatch, inputs - done)};
      shape.insert(shape.end(), input_shape.begin(), input_shape.end());
      const Variable x(randn(shape, dtype, generator));
      Variable wanted;
      {
        const ForwardHook hook(see);
        wanted = original(x);
      }
      const Variable given = (*fused.module)(x);
      PlaceAgreement whole{{}, "the network", original.type()};
      compare(wanted.data(), given.data(), {}, whole);
      agreement.difference = std::max(agreement.difference, whole.interior);
      agreement.scale = std::max(agreement.scale, whole.scale);
      put_back();
    }
  } catch (...) {
    put_back();
    throw;
  }

  const std::string training = training_layer(original, "");
  bool rounded = false;
  for (size_t p = 0; p < fused.places.size(); ++p) {
    PlaceAgreement& place = agreement.places[p];
    const double limit = agreement.limit * std::max(place.scale, 1.0);
    place.agrees = place.interior <= limit && place.border <= limit;
    if (place.agrees || !training.empty()) continue;
    if (dtype == DType::kFloat32) {
      if (const auto exact = exact_difference(fused.places[p], differs.at(p)); exact && *exact <= limit) {
        place.agrees = rounded = true;
        place.note =
            "the difference is rounding: in float64 the layers agree, but unfolded they add and take away numbers far larger "
            "than their outputs";
        continue;
      }
    }
    const Explanation why = explain(fused.places[p], place, limit);
    place.cause = why.cause;
    place.remedy = why.remedy;
  }
  agreement.agrees =
      (rounded || agreement.difference <= 20 * agreement.limit * std::max(agreement.scale, 1.0)) &&
      std::all_of(agreement.places.begin(), agreement.places.end(), [](const PlaceAgreement& p) { return p.agrees; });
  if (!agreement.agrees && !training.empty()) {
    agreement.cause = formatted(
        "layer {} is in training mode: it normalises with the statistics of the batch, the fused network with the running ones",
        training);
    agreement.remedy = "call eval() on the network before comparing it, and before folding it";
  }
  return agreement;
}

}  // namespace convoy::nn
