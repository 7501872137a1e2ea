// Shapes that reach every part of the pointwise convolution: lanes of pixels and of channels, tails, chains, gathered and folded
// maps.
#include "convoy/kernels/conv/conv_pointwise.h"

#include <gtest/gtest.h>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

void check(Direction direction, const char* text) {
  const auto shape = shape::parse_descriptor(text);
  ASSERT_TRUE(shape) << text;
  const ConvKernel* const kernel = direction == Direction::kForward ? &kConvPointwiseForward : &kConvPointwiseGradInput;
  if (kernel->refuse(*shape) != nullptr) {
    ASSERT_EQ(direction, Direction::kGradInput) << text;
    return;
  }
  Random random(11);
  for (const bool integers : {true, false}) {
    check_kernels(std::span(&kernel, 1), direction, *shape, integers, random);
    if (testing::Test::HasFatalFailure()) return;
  }
}

constexpr const char* kShapes[] = {
    "n1 ic24 oc144 i20 k1",     // lanes of pixels
    "n2 ic3 oc17 ih7 iw61 k1",  // odd channels
    "n1 ic100 oc3 i33 k1",      // few rows: wide tiles
    "n1 ic30 oc1 i19 k1",
    "n3 ic17 oc30 i9 k1",
    "n1 ic300 oc12 i16 k1",  // two chains
    "n1 ic700 oc33 i7 k1",   // lanes of channels, three chains
    "n1 ic64 oc70 i14 k1",
    "n5 ic40 oc50 i1 k1",    // a linear layer, samples make one run
    "n31 ic300 oc41 i1 k1",  // rows of a matrix, where they lie
    "n31 ic512 oc41 i1 k1",  // the same that fall into few sets of the cache
    "n19 ic24 oc36 g3 i1 k1",
    "n9 ic5 oc37 i3 k3 s3",
    "n1 ic520 oc30 i1 k1",
    "n3 ic40 oc20 ih3 iw2 k1",
    "n4 ic24 oc36 g3 i2 k1",  // groups, folded
    "n2 ic24 oc36 g3 i10 k1",
    "n1 ic40 oc48 i17 k1 s2",  // gathered
    "n2 ic40 oc48 i14 k1 s2",
    "n2 ic16 oc20 ih9 iw31 k1 sh3 sw1",
    "n1 ic5 oc9 i50 k1 s3",
    "n2 ic6 oc7 i8 k1 p-1",            // a crop
    "n1 ic6 oc40 iw2000 kw1",          // 1d
    "n2 ic10 oc40 id3 ih5 iw7 k1 s2",  // 3d
    "n1 ic2000 oc16 i9 k1 s2",         // a slab of few pixels
    "n2 ic5 oc70 ih16 iw1031 k1",      // results that go past the caches
    "n2 ic70 oc5 ih16 iw1031 k1",
    "n2 ic5 oc70 ih15 iw1031 k1",  // the same by stretches
    "n1 ic3 oc3 ih701 iw1003 k1",
    "n2 ic30 oc40 i32 k1",  // planes that fall into the same sets of the cache
    "n1 ic300 oc40 ih48 iw32 k1",
    "n2 ic40 oc48 g2 ih64 iw32 k1",
    "n2 ic3 oc40 i28 k4 s4",  // patches
    "n1 ic30 oc17 i33 k3 s3",
    "n2 ic10 oc48 g2 i24 k2 s2",
    "n3 ic5 oc9 i10 k5 s5",
    "n1 ic3 oc20 ih50 iw66 k16 s16",
    "n2 ic2 oc20 id4 ih8 iw10 kd2 kh1 kw2 sd2 sh1 sw2",
    "n1 ic300 oc12 i9 k2 s2",
    "n2 ic7 oc30 iw3001 kw3 sw3",
};

class ConvPointwise : public NeedsVectors {};

TEST_F(ConvPointwise, ForwardMatchesTheReference) {
  for (const char* text : kShapes) check(Direction::kForward, text);
}

TEST_F(ConvPointwise, GradInputMatchesTheReference) {
  for (const char* text : kShapes) check(Direction::kGradInput, text);
}

TEST_F(ConvPointwise, RefusesWhatIsNoPlainProduct) {
  const auto shape = [](const char* text) { return *shape::parse_descriptor(text); };
  EXPECT_STREQ(kConvPointwiseForward.refuse(shape("ic3 oc4 i20 k3")), "needs a kernel of one tap, or of the stride's size");
  EXPECT_STREQ(kConvPointwiseForward.refuse(shape("ic3 oc4 i20 k1 p1")), "needs no padding");
  EXPECT_STREQ(kConvPointwiseGradInput.refuse(shape("ic3 oc4 i20 k1 s2")), "needs stride 1");
  EXPECT_STREQ(kConvPointwiseForward.refuse(shape("ic3 oc0 i20 k1")), "nothing to compute");
}

}  // namespace
}  // namespace convoy::kernels
