// One pixel and several, register tiles that are not full, depths beyond a chain and with tails, patches that reach outside,
// groups, samples that are computed one after the other.
#include "convoy/kernels/conv/conv_few_pixels.h"

#include <gtest/gtest.h>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

constexpr const char* kShapes[] = {
    "n1 ic100 oc37 i3 k3",                      // one pixel
    "n3 ic17 oc5 i7 k7",                        // depth 833
    "n9 ic16 oc4 i1 k1",                        // a linear layer
    "n2 ic30 oc33 i2 k2 p1 d2",                 // taps that nothing reads
    "n2 ic19 oc12 ih4 iw6 kh3 kw5 sh2 sw3 p2",  //
    "n1 ic5 oc270 i8 k3 p1",                    // 64 pixels, more than a chain of gradients
    "n5 ic7 oc9 i5 k3",                         // more pixels in a batch than wait together
    "n2 ic12 oc18 g3 i4 k3 p1",                 //
    "n2 ic6 oc6 g6 i3 k3 p1",                   // depthwise
    "n2 ic9 oc11 id3 ih4 iw2 k3 s2 p1",         // a volume
    "n3 ic40 oc6 iw9 kw5 sw4 pw2 dw2",          // a sequence
    "n2 ic3 oc2 i3 k5 p4 s4",                   // pixels of padding alone
    "n2 ic700 oc3 i8 k27 p13",                  // 32 million patch values: refused
    "n3 ic120 oc5 i9 k8 p3",                    // one sample at a time
};

class ConvFewPixels : public NeedsVectors {};

TEST_F(ConvFewPixels, MatchesTheReference) {
  for (const char* text : kShapes) {
    const auto s = shape::parse_descriptor(text);
    ASSERT_TRUE(s) << text;
    const ConvShape plain = shape::essential(*s);
    for (const Direction direction : {Direction::kForward, Direction::kGradInput}) {
      const ConvKernel* const kernel = direction == Direction::kForward ? &kConvFewPixelsForward : &kConvFewPixelsGradInput;
      if (plain.in_channels == 700) {
        EXPECT_STREQ(kernel->refuse(plain), "what the pixels read takes more than 16 MB");
        continue;
      }
      ASSERT_EQ(kernel->refuse(plain), nullptr) << text;
      Random random(13);
      for (int round = 0; round < 4; ++round) {  // with and without bias, residual and activation
        check_kernels(std::span(&kernel, 1), direction, plain, round % 2 == 0, random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(ConvFewPixels, RefusesTheRest) {
  EXPECT_STREQ(kConvFewPixelsForward.refuse(shape::essential(*shape::parse_descriptor("ic4 oc4 i9 k1"))),
               "needs few result pixels");
}

}  // namespace
}  // namespace convoy::kernels
