#include <cmath>

#include "convoy/autograd/functions.h"
#include "convoy/check/op_table.h"

namespace convoy::check {
namespace {

Outputs run_pad(Call& call) {
  const Arguments& args = call.args();
  args.required("pad");
  return {{"output",
           pad(call.input("input"), args.sizes("pad"), parse_pad_mode(args.text("mode", "constant")), args.number("value", 0))}};
}

UnfoldOptions unfold_options(const Arguments& args) {
  return {.kernel_size = args.required_axes("kernel_size"),
          .dilation = args.axes("dilation", 1),
          .padding = args.axes("padding", 0),
          .stride = args.axes("stride", 1)};
}

Outputs run_unfold(Call& call) { return {{"output", unfold(call.input("input"), unfold_options(call.args()))}}; }

Outputs run_fold(Call& call) {
  const std::vector<int64_t> output_size = call.args().required_axes("output_size").expand(2);
  return {{"output", fold(call.input("input"), output_size, unfold_options(call.args()))}};
}

Outputs run_pixel_shuffle(Call& call) {
  return {{"output", pixel_shuffle(call.input("input"), call.args().integer("upscale_factor"))}};
}

Outputs run_pixel_unshuffle(Call& call) {
  return {{"output", pixel_unshuffle(call.input("input"), call.args().integer("downscale_factor"))}};
}

/// The sizes that scale factors ask for. The engine resizes by the ratio of the sizes, so a factor must be that ratio.
std::vector<int64_t> scaled_sizes(const Arguments& args, const Variable& input) {
  const Argument& factor = args.required("scale_factor");
  std::vector<int64_t> sizes;
  for (int64_t axis = 2; axis < input.dim(); ++axis) {
    const size_t i = static_cast<size_t>(axis) - 2;
    if (factor.kind == Argument::Kind::kList && i >= factor.list.size()) throw BadCall("scale_factor has too few values");
    const double scale = factor.kind == Argument::Kind::kList ? factor.list[i].number : factor.number;
    const double size = static_cast<double>(input.size(axis)) * scale;
    if (!(size >= 0 && size < 1e15) || size != std::floor(size)) {
      throw BadCall("scale_factor " + to_string(factor) + " gives a fractional size: the engine takes sizes");
    }
    sizes.push_back(static_cast<int64_t>(size));
  }
  return sizes;
}

Outputs run_interpolate(Call& call) {
  const Arguments& args = call.args();
  const std::string mode = args.text("mode", "nearest");
  InterpolateOptions options{.align_corners = args.flag("align_corners", false)};
  if (mode == "nearest") {
    options.mode = InterpolateMode::kNearest;
  } else if (mode == "bilinear") {
    options.mode = InterpolateMode::kBilinear;
  } else if (mode == "bicubic") {
    options.mode = InterpolateMode::kBicubic;
  } else {
    throw BadCall("interpolate with mode='" + mode + "' is not in the engine");
  }
  if (args.flag("antialias", false)) throw BadCall("interpolate with antialias=True is not in the engine");
  args.flag("recompute_scale_factor", false);
  const Variable& input = call.input("input");
  const int rank = static_cast<int>(input.dim()) - 2;
  options.size = args.find("size") != nullptr ? args.required_axes("size").expand(rank) : scaled_sizes(args, input);
  return {{"output", interpolate(input, options)}};
}

constexpr OpRow kRows[] = {
    {"pad", run_pad},
    {"unfold", run_unfold},
    {"fold", run_fold},
    {"pixel_shuffle", run_pixel_shuffle},
    {"pixel_unshuffle", run_pixel_unshuffle},
    {"interpolate", run_interpolate},
};

}  // namespace

std::span<const OpRow> rearrange_ops() { return kRows; }

}  // namespace convoy::check
