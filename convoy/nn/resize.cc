#include "convoy/nn/resize.h"

#include <cmath>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn {

namespace {

std::string scale_text(const ScaleFactor& factor) {
  if (factor.single()) return python_text(factor.values()[0]);
  std::string text;
  for (const double f : factor.values()) text += (text.empty() ? "" : ", ") + python_text(f);
  return formatted("({}{}", text, factor.values().size() == 1 ? ",)" : ")");
}

std::vector<int64_t> spatial_sizes(const Variable& input) {
  return {input.shape().begin() + std::min<int64_t>(2, input.dim()), input.shape().end()};
}

}  // namespace

PixelShuffle::PixelShuffle(PixelShuffleOptions options) : options_(options) {
  require(options_.upscale_factor != kRequired, type(), "upscale_factor");
  if (options_.upscale_factor <= 0) {
    raise<Error>(
        "pixel_shuffle expects a positive upscale_factor, but got {}\n"
        "2 turns (4 C, H, W) into (C, 2 H, 2 W)",
        options_.upscale_factor);
  }
}

Variable PixelShuffle::forward(const Variable& input) { return pixel_shuffle(input, options_.upscale_factor); }

PixelUnshuffle::PixelUnshuffle(PixelUnshuffleOptions options) : options_(options) {
  require(options_.downscale_factor != kRequired, type(), "downscale_factor");
  if (options_.downscale_factor <= 0) {
    raise<Error>(
        "pixel_unshuffle expects a positive downscale_factor, but got {}\n"
        "2 turns (C, 2 H, 2 W) into (4 C, H, W)",
        options_.downscale_factor);
  }
}

Variable PixelUnshuffle::forward(const Variable& input) { return pixel_unshuffle(input, options_.downscale_factor); }

Upsample::Upsample(const char* type, UpsampleOptions options, bool chooses_mode)
    : type_(type), options_(std::move(options)), chooses_mode_(chooses_mode) {
  const UpsampleOptions& o = options_;
  if (!o.size.empty() && !o.scale_factor.empty())
    raise<ValueError>("only one of size or scale_factor should be defined\nleave one of them out");
  if (o.size.empty() && o.scale_factor.empty()) {
    raise<ValueError>("either size or scale_factor should be defined\nscale_factor 2 doubles every spatial axis");
  }
  if (o.mode == InterpolateMode::kNearest && o.align_corners) {
    raise<ValueError>(
        "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear\n"
        "the mode is nearest: leave align_corners out");
  }
  for (const int64_t n : o.size.values()) {
    if (n <= 0) raise<Error>("Input and output sizes should be greater than 0, but got output size {}\nuse 1 or more", n);
  }
  for (const double f : o.scale_factor.values()) {
    if (!(f > 0) || std::isinf(f))
      raise<ValueError>("scale_factor should be greater than 0, but got {}\n2.0 doubles every spatial axis", python_text(f));
  }
}

std::string Upsample::extra_repr() const {
  const std::string what =
      options_.scale_factor.empty() ? "size=" + python_text(options_.size) : "scale_factor=" + scale_text(options_.scale_factor);
  return formatted("{}, mode={}", what, interpolate_mode_name(options_.mode));
}

std::string Upsample::unprinted() const {
  return chooses_mode_ && options_.align_corners ? "align_corners=" + python_bool(*options_.align_corners) : "";
}

Variable Upsample::forward(const Variable& input) {
  const UpsampleOptions& o = options_;
  const std::vector<int64_t> sizes = spatial_sizes(input);
  // What ops would print as lists is printed as it was given here.
  const auto refuse = [&](const std::string& what, const std::string& given, const std::string& format) {
    raise<ValueError>(
        "Input and {} must have the same number of spatial dimensions, but got input with spatial dimensions of {} and {}. Please "
        "provide input tensor in (N, C, d1, d2, ...,dK) format and {}\n"
        "the input has {} spatial axes",
        what, sizes, given, format, sizes.size());
  };
  InterpolateOptions options{
      .mode = o.mode, .align_corners = o.align_corners.value_or(false), .scale_factor = o.scale_factor.values()};
  if (o.scale_factor.empty()) {
    options.size = o.size.single() ? std::vector<int64_t>(sizes.size(), o.size.values()[0]) : o.size.values();
    if (options.size.size() != sizes.size()) {
      refuse("output", "output size of " + python_tuple(options.size), "output size in (o1, o2, ...,oK) format.");
    }
  } else if (!o.scale_factor.single() && o.scale_factor.values().size() != sizes.size()) {
    refuse("scale_factor", "scale_factor of shape " + scale_text(o.scale_factor), "scale_factor in (s1, s2, ...,sK) format.");
  }
  return interpolate(input, options);
}

}  // namespace convoy::nn
