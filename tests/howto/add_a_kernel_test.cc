// The example of docs/howto/add_a_kernel.md, and proof that it works.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/kernels/conv/conv_kernel.h"
#include "convoy/kernels/conv/conv_reference.h"

namespace convoy::kernels {
namespace {

// [refuse]
const char* refuse(const ConvShape& s) {
  if (s.groups != 1) return "needs one group";
  if (s.taps() != 1) return "needs a 1x1 kernel";
  if (s.input != s.output) return "needs stride 1 and no padding";
  return nullptr;
}
// [/refuse]

// [forward]
void forward(const ConvShape& s, const ConvForward<float>& io, Workspace&) {
  const int64_t pixels = s.output_positions();
  const SplitEpilogue epilogue(io.epilogue);
  parallel_for(s.batch * s.out_channels, [&](int64_t plane) {
    const int64_t n = plane / s.out_channels, oc = plane % s.out_channels;
    float* output = io.output + plane * pixels;
    std::fill(output, output + pixels, io.bias != nullptr ? io.bias[oc] : 0.0f);
    for (int64_t ic = 0; ic < s.in_channels; ++ic) {
      const float weight = io.weight[oc * s.in_channels + ic];
      const float* input = io.input + (n * s.in_channels + ic) * pixels;
      for (int64_t p = 0; p < pixels; ++p) output[p] += weight * input[p];
    }
    epilogue.apply(output, pixels, plane * pixels);
  });
}
// [/forward]

// [cost]
size_t workspace_bytes(const ConvShape&, int) { return 0; }

double seconds(const ConvShape& s, const Machine& m) {
  const double flop = 2.0 * static_cast<double>(s.output_count()) * static_cast<double>(s.in_channels);
  return flop / (0.1 * m.flops_per_second);
}
// [/cost]

// [row]
const ConvKernel kConvPlane{.name = "conv_plane",
                            .direction = Direction::kForward,
                            .refuse = refuse,
                            .seconds = seconds,
                            .workspace_bytes = workspace_bytes,
                            .forward = forward};
// [/row]

ConvShape pointwise(int64_t stride) {
  ConvShape s;
  s.batch = 2;
  s.in_channels = 5;
  s.out_channels = 7;
  for (size_t a = 1; a < 3; ++a) {
    s.input[a] = 6;
    s.axes[a].stride = stride;
  }
  return *shape::complete(s);
}

TEST(AddAKernel, TheExampleMatchesTheReference) {
  const ConvShape s = pointwise(1);
  ASSERT_EQ(kConvPlane.refuse(s), nullptr);
  const Tensor x = randn({s.input_count()}), w = randn({s.weight_count()}), b = randn({s.out_channels});
  Tensor y = Tensor::empty({s.output_count()}), expected = Tensor::empty({s.output_count()});
  Workspace workspace(kConvPlane.workspace_bytes(s, num_threads()));
  kConvPlane.forward(s, {x.data<float>(), w.data<float>(), b.data<float>(), y.data<float>()}, workspace);
  conv_reference(s, ConvForward<float>{x.data<float>(), w.data<float>(), b.data<float>(), expected.data<float>()});
  for (int64_t i = 0; i < y.numel(); ++i) ASSERT_NEAR(y.at(i), expected.at(i), 1e-5);
}

TEST(AddAKernel, TheExampleRefusesInWords) { EXPECT_STREQ(kConvPlane.refuse(pointwise(2)), "needs stride 1 and no padding"); }

}  // namespace
}  // namespace convoy::kernels
