// Strides, dilations and paddings of either parity, maps of less than a block of columns, whole and partial vectors of channels,
// bands of rows, volumes, rows and columns that no tap reads.
#include "convoy/kernels/conv/conv_depthwise_channels.h"

#include <gtest/gtest.h>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

constexpr const char* kShapes[] = {
    "n2 ic16 oc16 g16 i7 k3 s4",                        // 2x2 results
    "n3 ic19 oc19 g19 i13 k2 s2 p1 d3",                 // three channels in the last vector
    "n1 ic33 oc33 g33 i14 k3 s4",                       // one channel in it, columns that nothing reads
    "n1 ic24 oc24 g24 i9 k3 p1",                        // half a vector, ends of rows
    "n2 ic5 oc5 g5 i13 k5 s3 p4 d2",                    // less than half, stride and dilation
    "n1 ic17 oc17 g17 ih5 iw11 kh2 kw4 sh3 sw2 p1",     //
    "n1 ic16 oc16 g16 ih90 iw112 k3 s3 p1",             // bands of rows
    "n1 ic18 oc18 g18 ih100 iw60 k7 s2 p3 d3",          //
    "n1 ic16 oc16 g16 ih3 iw900 k3 s2 p1",              // a row a band
    "n1 ic16 oc16 g16 i6 k3 p8",                        // results without a tap
    "n1 ic16 oc16 g16 i20 k3 p-1",                      // a crop
    "n1 ic16 oc16 g16 i20 k1 s5",                       // phases without a tap
    "n1 ic16 oc16 g16 i20 k3 s2 p0:3",                  //
    "n1 ic7 oc7 g7 i3 k7 s2 p6 d2",                     // more taps than columns
    "n2 ic16 oc16 g16 iw50 kw5 sw3 pw2",                // a sequence
    "n1 ic16 oc16 g16 id5 ih6 iw7 k3 s2 p1",            // volumes
    "n1 ic3 oc3 g3 id4 ih5 iw5 kd2 kh3 kw1 sd1 s3 p1",  //
    "n2 ic17 oc17 g17 iw700 kw4 sw2 pw3 dw2",           // a row in bands of columns
};

TEST(ConvDepthwiseChannels, MatchesTheReference) {
  for (const char* text : kShapes) {
    const auto s = shape::parse_descriptor(text);
    ASSERT_TRUE(s) << text;
    const ConvShape plain = shape::essential(*s);
    for (const ConvKernel* const kernel :
         {&kConvDepthwiseChannelsForward, &kConvDepthwiseChannelsGradInput, &kConvDepthwiseChannelsGradWeight}) {
      ASSERT_EQ(kernel->refuse(plain), nullptr) << text;
      Random random(11);
      for (int round = 0; round < 4; ++round) {  // with and without bias, residual and activation
        check_kernels(std::span(&kernel, 1), kernel->direction, plain, round % 2 == 0, random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(ConvDepthwiseChannels, RefusesTheRest) {
  const auto refuse = [](const char* text) {
    return kConvDepthwiseChannelsForward.refuse(shape::essential(*shape::parse_descriptor(text)));
  };
  EXPECT_STREQ(refuse("ic4 oc8 g4 i20 k3"), "needs one channel per group");
  EXPECT_STREQ(refuse("ic4 oc4 g4 i200 k17"), "the kernel has too many taps");
  EXPECT_STREQ(refuse("ic4 oc4 g4 id100 ih100 iw100 k3"), "the rows under one kernel do not fit the cache");
  const auto gradient = [](const char* text) {
    return kConvDepthwiseChannelsGradInput.refuse(shape::essential(*shape::parse_descriptor(text)));
  };
  EXPECT_STREQ(gradient("ic4 oc4 g4 i40 k3 s17"), "needs strides of at most 16");
}

}  // namespace
}  // namespace convoy::kernels
