// Resizing.
#include "convoy/ops/resize.h"

#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/graph/operator.h"
#include "convoy/graph/rules.h"

namespace convoy::graph {
namespace {

template <class T>
T choice(const Attributes& attributes, const char* name, const char* otherwise,
         std::initializer_list<std::pair<const char*, T>> choices) {
  const std::string text = attributes.text(name, otherwise);
  std::string all;
  for (const auto& [word, value] : choices) {
    if (text == word) return value;
    all += (all.empty() ? "" : ", ") + std::string(word);
  }
  raise<Error>("attribute '{}' is '{}'\nuse one of {}", name, text, all);
}

ResizeOptions rules(const Attributes& attributes) {
  ResizeOptions options;
  options.rule.mode =
      choice<ResizeMode>(attributes, "mode", "nearest",
                         {{"nearest", ResizeMode::kNearest}, {"linear", ResizeMode::kLinear}, {"cubic", ResizeMode::kCubic}});
  options.rule.coordinates = choice<ResizeCoordinates>(attributes, "coordinate_transformation_mode", "half_pixel",
                                                       {{"half_pixel", ResizeCoordinates::kHalfPixel},
                                                        {"pytorch_half_pixel", ResizeCoordinates::kPytorchHalfPixel},
                                                        {"half_pixel_symmetric", ResizeCoordinates::kHalfPixelSymmetric},
                                                        {"align_corners", ResizeCoordinates::kAlignCorners},
                                                        {"asymmetric", ResizeCoordinates::kAsymmetric},
                                                        {"tf_crop_and_resize", ResizeCoordinates::kTfCropAndResize}});
  options.rule.nearest = choice<ResizeNearest>(attributes, "nearest_mode", "round_prefer_floor",
                                               {{"round_prefer_floor", ResizeNearest::kRoundPreferFloor},
                                                {"round_prefer_ceil", ResizeNearest::kRoundPreferCeil},
                                                {"floor", ResizeNearest::kFloor},
                                                {"ceil", ResizeNearest::kCeil}});
  options.aspect = choice<AspectPolicy>(
      attributes, "keep_aspect_ratio_policy", "stretch",
      {{"stretch", AspectPolicy::kStretch}, {"not_larger", AspectPolicy::kNotLarger}, {"not_smaller", AspectPolicy::kNotSmaller}});
  options.rule.cubic_coeff_a = attributes.number("cubic_coeff_a", -0.75);
  options.rule.exclude_outside = attributes.integer("exclude_outside", 0) != 0;
  options.rule.antialias = attributes.integer("antialias", 0) != 0;
  options.extrapolation_value = attributes.number("extrapolation_value", 0);
  options.axes = attributes.integers("axes");
  return options;
}

bool empty(const Tensor* tensor) { return tensor == nullptr || !tensor->defined() || tensor->numel() == 0; }

// Inputs: X, roi, scales, sizes; of the last two one is there and not empty.
ResizeOptions options_of(const Attributes& attributes, const Tensor* roi, const Tensor* scales, const Tensor* sizes) {
  ResizeOptions options = rules(attributes);
  if (!empty(roi) && options.rule.coordinates == ResizeCoordinates::kTfCropAndResize) {
    options.roi = roi->to(DType::kFloat64).to_vector<double>();
  }
  if (!empty(sizes)) {
    options.sizes = sizes->to(DType::kInt64).to_vector<int64_t>();
  } else if (!empty(scales)) {
    options.scales = scales->to(DType::kFloat64).to_vector<double>();
  } else {
    raise<Error>("neither scales nor sizes are given\ngive one of them");
  }
  return options;
}

void infer_resize(Inference& inference) {
  need_rank(inference, 0, 1, 64);
  const std::optional<Dims>& dims = inference.dims(0);
  if (!dims) return inference.set(0, inference.dtype(0), std::nullopt);
  const Tensor *scales = inference.constant(2), *sizes = inference.constant(3);
  const std::optional<Shape> shape = inference.type(0).shape();
  if (shape && (!empty(scales) || !empty(sizes))) {
    ResizeOptions options = options_of(inference.attributes(), nullptr, scales, sizes);
    options.rule.coordinates =
        ResizeCoordinates::kHalfPixel;  // what is read where moves no size, and a crop's place may not be known
    return inference.set(0, inference.dtype(0), dims_of(ops::resized_shape(*shape, options)));
  }
  // A scale of 1 keeps a size that is not known; sizes that are computed may be known all the same.
  Dims result(dims->size());
  const std::vector<int64_t> axes = inference.attributes().integers("axes");
  if (axes.empty() && !empty(scales) && static_cast<size_t>(scales->numel()) == dims->size()) {
    const std::vector<double> factors = scales->to(DType::kFloat64).to_vector<double>();
    for (size_t i = 0; i < result.size(); ++i) {
      if (factors[i] == 1.0) result[i] = (*dims)[i];
    }
  } else if (axes.empty() && inference.has(3)) {
    if (const auto contents = inference.contents(3); contents && contents->size() == dims->size()) result = *contents;
  }
  inference.set(0, inference.dtype(0), std::move(result));
}

std::vector<Value> run_resize(Call& call) {
  const auto input = [&](size_t i) { return call.has(i) ? &call.tensor(i) : nullptr; };
  return {ops::resize(call.tensor(0), options_of(call.attributes(), input(1), input(2), input(3)))};
}

}  // namespace

std::span<const Operator> resize_operators() {
  static constexpr Operator kRows[] = {{"Resize", infer_resize, run_resize}};
  return kRows;
}

}  // namespace convoy::graph
