// Kernels, paddings of either parity, odd and even planes, vectors and tails, one row or column.
#include "convoy/kernels/conv/conv_depthwise_stride2.h"

#include <gtest/gtest.h>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

class ConvDepthwiseStride2 : public NeedsVectors {};

TEST_F(ConvDepthwiseStride2, MatchesTheReference) {
  const ConvKernel* const kernel = &kConvDepthwiseStride2GradInput;
  for (const char* kernel_size : {"k3", "k5", "k7"}) {
    for (const char* padding : {"p0", "p1", "p2", "p3", "p4", "ph1 pw2", "p1:2", "p2:0"}) {
      for (const char* size : {"i7", "i8", "ih9 iw66", "ih12 iw67", "ih31 iw130"}) {
        const std::string text = std::string("n2 ic3 oc3 g3 s2 ") + size + " " + kernel_size + " " + padding;
        const auto s = shape::parse_descriptor(text);
        ASSERT_TRUE(s) << text;
        ASSERT_EQ(kernel->refuse(*s), nullptr) << text;
        Random random(5);
        for (const bool integers : {true, false}) {
          check_kernels(std::span(&kernel, 1), Direction::kGradInput, *s, integers, random);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_F(ConvDepthwiseStride2, RefusesTheRest) {
  const auto refuse = [](const char* text) { return kConvDepthwiseStride2GradInput.refuse(*shape::parse_descriptor(text)); };
  EXPECT_STREQ(refuse("ic4 oc4 g2 i20 k3 s2 p1"), "needs one channel per group");
  EXPECT_STREQ(refuse("ic4 oc4 g4 i20 k3 p1"), "needs stride 2 and dilation 1");
  EXPECT_STREQ(refuse("ic4 oc4 g4 i20 kh3 kw5 s2 p1"), "needs a kernel of 3x3, 5x5 or 7x7");
  EXPECT_STREQ(refuse("ic4 oc4 g4 i20 k3 s2 p-1"), "needs no crop");
}

}  // namespace
}  // namespace convoy::kernels
