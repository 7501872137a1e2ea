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
  if (args.flag("recompute_scale_factor", false))
    throw BadCall("interpolate with recompute_scale_factor=True is not in the engine");
  const Variable& input = call.input("input");
  if (args.find("size") != nullptr) options.size = args.required_axes("size").expand(static_cast<int>(input.dim()) - 2);
  if (args.find("scale_factor") != nullptr) options.scale_factor = args.numbers("scale_factor");
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
