#include "convoy/kernels/conv/conv_affine_pointwise.h"

#include <gtest/gtest.h>

#include "convoy/kernels/conv/conv_pointwise.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/kernels/elementwise/channel_affine.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

class AffinePointwise : public kernel_check::NeedsVectors {};

TEST_F(AffinePointwise, HasTheBitsOfBothLayers) {
  kernel_check::Random random(4);
  for (const char* const text : {"n2 ic70 oc37 i28 k1", "ic512 oc40 i14 k1", "ic600 oc128 i14 k1", "n3 ic33 oc20 i7 k1",
                                 "ic5 oc3 i3 k1", "ic64 oc40 i57 k1", "ic1030 oc70 i9 k1", "n2 ic12 oc9 id3 ih4 iw11 k1"}) {
    SCOPED_TRACE(text);
    const ConvShape s = *shape::parse_descriptor(text);
    ASSERT_EQ(refuse_affine_pointwise(s), nullptr);
    const auto drawn = [&](int64_t count) { return kernel_check::values(random, count, false); };
    const std::vector<float> input = drawn(s.input_count()), weight = drawn(s.weight_count()), scale = drawn(s.in_channels),
                             shift = drawn(s.in_channels), bias = drawn(s.out_channels);
    const ConvShape packed_shape = affine_pointwise_packed(s);
    Workspace memory(padded_bytes(kConvPointwiseForward.packed_bytes(packed_shape)));
    float* const packed =
        memory.take<float>(static_cast<int64_t>(kConvPointwiseForward.packed_bytes(packed_shape) / sizeof(float)));
    kConvPointwiseForward.pack(packed_shape, weight.data(), packed);
    for (const Activation activation : {Activation::kRelu, Activation::kSilu}) {
      Epilogue<float> between, after;
      between.activation = activation;
      after.activation = activation;
      std::vector<float> affine(input.size()), want(static_cast<size_t>(s.output_count()));
      channel_affine({s.batch, s.in_channels, s.input_positions()}, input.data(), scale.data(), shift.data(), between,
                     affine.data());
      kernel_check::run_kernel(kConvPointwiseForward, s, affine.data(), weight.data(), bias.data(), want.data(), after);
      for (const int threads : {1, 2, 5}) {
        set_num_threads(threads);
        kernel_check::GuardedFloats output(want.size(), threads != 2);
        Workspace workspace(affine_pointwise_workspace_bytes(s, threads));
        affine_pointwise(s, {input.data(), scale.data(), shift.data(), packed, bias.data(), output.data()}, between, after,
                         workspace);
        EXPECT_EQ(std::memcmp(want.data(), output.data(), want.size() * sizeof(float)), 0) << threads << " threads";
      }
      set_num_threads(0);
    }
  }
}

TEST_F(AffinePointwise, SaysWhatItCannotDo) {
  EXPECT_STREQ(refuse_affine_pointwise(*shape::parse_descriptor("ic8 oc16 i9 k3 p1")), "needs a kernel of one tap, or of the stride's size");
  EXPECT_STREQ(refuse_affine_pointwise(*shape::parse_descriptor("ic8 oc16 g2 i9 k1")), "needs a layer without groups and strides");
  EXPECT_STREQ(refuse_affine_pointwise(*shape::parse_descriptor("ic8 oc16 i9 k1 s2")), "needs a layer without groups and strides");
  EXPECT_STREQ(refuse_affine_pointwise(*shape::parse_descriptor("ic8192 oc16 i9 k1")),
               "the channels of some pixels do not fit the cache");
}

}  // namespace
}  // namespace convoy::kernels
