// Shapes that reach every part of the kernels for few channels per group: tiles' tails, planes two to a vector, two planes of a
// group together, classes of rows and taps, sorted rows, interleaved phases, lines and their chunks, chains of sums that are cut.
#include "convoy/kernels/conv/conv_depthwise.h"

#include <gtest/gtest.h>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

void check(Direction direction, const char* text) {
  const auto parsed = shape::parse_descriptor(text);
  ASSERT_TRUE(parsed) << text;
  const ConvShape plain = shape::essential(parsed->transposed ? shape::adjoint(*parsed) : *parsed);
  const bool grouped = plain.in_channels_per_group() > 1;
  const ConvKernel* kernel = grouped ? &kConvGroupedGradWeight : &kConvDepthwiseGradWeight;
  if (direction == Direction::kForward) kernel = grouped ? &kConvGroupedForward : &kConvDepthwiseForward;
  if (direction == Direction::kGradInput) kernel = grouped ? &kConvGroupedGradInput : &kConvDepthwiseGradInput;
  ASSERT_EQ(kernel->refuse(plain), nullptr) << text;
  Random random(7);
  for (int round = 0; round < 4; ++round) {  // with and without bias, residual and activation
    check_kernels(std::span(&kernel, 1), direction, plain, round % 2 == 0, random);
    if (testing::Test::HasFatalFailure()) return;
  }
}

constexpr const char* kShapes[] = {
    // Planes.
    "n2 ic17 oc17 g17 i14 k3 p1",                    // a vector to a row, an odd number of planes
    "n1 ic100 oc100 g100 i7 k3 p1",                  // two planes to a vector
    "n3 ic3 oc3 g3 i7 k7 p3",                        // more taps than rows; an odd plane left over
    "n1 ic30 oc30 g30 ih5 iw8 k5 p2",                // half a vector exactly
    "n1 ic5 oc5 g5 ih13 iw9 k3 p1",                  // one column more; a tile of 6 rows
    "n1 ic3 oc3 g3 ih23 iw49 k5 p2",                 // tails along both axes
    "n1 ic2 oc2 g2 ih3 iw300 k3 p1",                 // one tile of 3 rows
    "n1 ic2 oc2 g2 ih500 iw11 k3 p1",                // more tiles than are worked out at a time
    "n1 ic2 oc2 g2 ih4 iw3000 k3 p1",                // chunks of columns
    "n1 ic2 oc2 g2 ih20 iw3000 kh3 kw5 sh2 sw2 p1",  // chunks of sorted columns
    "n1 ic3 oc3 g3 i30 k4 p1:2",                     // even kernel, asymmetric padding
    "n1 ic3 oc3 g3 i30 k9 p4",                       // rows of taps that go 7 + 2
    "n1 ic2 oc2 g2 i32 k11 p5",                      // 5 + 3 + 3, a cut chain in 3d only
    "n1 ic2 oc2 g2 i34 k17 p8",                      // more than 256 taps
    "n1 ic2 oc2 g2 i33 k31 p15",                     //
    "n1 ic3 oc3 g3 i20 k3 p-1",                      // a crop
    "n1 ic3 oc3 g3 i6 k3 p8",                        // rows of padding alone
    "n1 ic4 oc12 g4 i15 k3 p1",                      // channel multiplier
    "n2 ic4 oc8 g4 i7 k3 p1",                        //
    "n1 ic3 oc3 g3 ih16 iw3 k3 p1",                  // rows of less than a vector, stored over one another
    "n1 ic3 oc3 g3 ih15 iw1 k5 p2",                  //
    "n1 ic3 oc3 g3 ih17 iw4 k7 p3",                  //
    "n1 ic3 oc3 g3 ih16 iw11 k3 s2 p1",              //
    "n1 ic2 oc2 g2 ih9 iw516 k3 p1",                 // the last strip of the next chunk of strips
    "n1 ic2 oc2 g2 ih20 iw1030 k5 s2 p2",            //
    // Strides and dilations.
    "n2 ic17 oc17 g17 i14 k3 s2 p1",                    // sorted, two to a vector
    "n1 ic17 oc17 g17 i29 k5 s2 p2",                    //
    "n1 ic5 oc5 g5 i57 k3 s2 p1",                       //
    "n1 ic5 oc5 g5 i40 k3 s3 p1",                       //
    "n1 ic5 oc5 g5 i50 k5 s4 p2",                       //
    "n1 ic3 oc3 g3 i61 k7 s5 p3",                       //
    "n1 ic3 oc3 g3 i40 k2 s3",                          // a stride beyond the kernel
    "n1 ic3 oc3 g3 i20 k1 s2",                          // phases without a tap
    "n1 ic5 oc5 g5 i33 k3 p2 d2",                       // classes of rows
    "n1 ic5 oc5 g5 i33 k3 p12 d12",                     //
    "n1 ic5 oc5 g5 i31 k3 s2 p2 d2",                    // stride and dilation that share a factor
    "n1 ic5 oc5 g5 i31 k3 s2 p3 d3",                    // and that do not
    "n1 ic5 oc5 g5 i37 k4 sh3 sw2 ph2 pw3 dh2 dw3",     //
    "n1 ic5 oc5 g5 ih30 iw41 kh5 kw3 sh1 sw2 ph2 pw1",  // sorted columns only
    "n1 ic5 oc5 g5 ih30 iw41 kh5 kw3 sh2 sw1 ph2 pw1",  // strided rows only
    "n1 ic5 oc5 g5 ih18 iw16 kh3 kw3 sh2 sw2 ph1 pw1",  //
    "n1 ic2 oc2 g2 ih40 iw90 kh3 kw7 s4 p3 d2",         //
    // Lines.
    "n2 ic6 oc6 g6 iw1000 kw3 pw1",               //
    "n1 ic3 oc3 g3 iw5000 kw31 pw15",             // chunks
    "n1 ic3 oc3 g3 iw300 kw101 pw50",             // more kernel columns than a tile takes
    "n1 ic3 oc3 g3 iw1700 kw9 sw2 pw4",           //
    "n1 ic3 oc3 g3 iw1700 kw5 sw3 pw4 dw2",       //
    "n1 ic3 oc3 g3 iw700 kw3 sw5 pw1",            //
    "n1 ic3 oc3 g3 iw900 kw3 pw64 dw64",          //
    "n1 ic4 oc8 g4 iw130 kw600 pw300",            // a chain of 600
    "n1 ic3 oc3 g3 ih2 iw200 k3 p1",              // two rows
    "n1 ic8 oc12 g4 iw150 kw3 sw2 pw1",           // groups
    "n1 ic3 oc3 g3 ih6 iw200 kh3 kw70 ph1 pw35",  // rows with many columns
    "n2 ic9 oc9 g9 iw20 kw3 pw1",                 // a short sequence: a tile
    // Volumes.
    "n2 ic5 oc5 g5 id5 ih9 iw11 k3 p1",                  //
    "n1 ic5 oc5 g5 id6 ih9 iw20 k3 s2 p1",               //
    "n1 ic3 oc3 g3 id6 ih12 iw12 k7 p3",                 // a chain of 343
    "n1 ic3 oc3 g3 id7 ih10 iw6 k3 sd3 sh1 sw2 p2 dd2",  //
    // A few channels per group.
    "n1 ic32 oc32 g8 i20 k3 p1",             //
    "n2 ic12 oc12 g4 i14 k3 p1",             // an odd number of result channels in a group
    "n1 ic12 oc30 g6 i13 k3 p1",             //
    "n1 ic24 oc24 g6 i7 k3 p1",              // two planes to a vector
    "n1 ic16 oc16 g4 i21 k4 p1",             //
    "n1 ic16 oc16 g4 i21 k5 s2 p2",          // sorted rows that planes share
    "n1 ic16 oc8 g4 i15 k3 s2 p2 d2",        //
    "n1 ic68 oc34 g2 i16 k3 p1",             // 34 sources: a cut chain
    "n1 ic8 oc16 g4 id4 ih9 iw17 k3 s2 p1",  //
    "n8 ic64 oc8 g4 i65 k3 p1",              // sources that come from memory
    "n2 ic8 oc2 g2 ih2 iw66000 k3 p1",       // and chunks of columns
    // The forward pass of transposed layers.
    "transposed n2 ic9 oc9 g9 i8 k4 s2 p1",           //
    "transposed n1 ic9 oc9 g9 i13 k3 s2 p1 op1",      //
    "transposed n1 ic6 oc12 g3 i9 k5 s3 p1 op2",      //
    "transposed n1 ic3 oc3 g3 iw40 kw3 sw2 dw2 pw1",  //
};

class ConvDepthwise : public NeedsVectors {};

TEST_F(ConvDepthwise, ForwardMatchesTheReference) {
  for (const char* text : kShapes) check(Direction::kForward, text);
}

TEST_F(ConvDepthwise, GradInputMatchesTheReference) {
  for (const char* text : kShapes) check(Direction::kGradInput, text);
}

TEST_F(ConvDepthwise, GradWeightMatchesTheReference) {
  for (const char* text : kShapes) check(Direction::kGradWeight, text);
}

// More source channels than make one chain.
TEST_F(ConvDepthwise, SumsManyChannels) {
  for (const char* text : {"n1 ic130 oc1 i9 k3 p1", "n2 ic150 oc2 ih20 iw17 k4 s2 p1", "n1 ic70 oc1 iw90 kw7 pw3"}) {
    check(Direction::kForward, text);
  }
  for (const char* text : {"n1 ic2 oc130 i9 k3 p1", "n2 ic3 oc150 ih20 iw17 k4 s2 p1", "n1 ic2 oc70 iw90 kw7 pw3"}) {
    check(Direction::kGradInput, text);
  }
}

TEST_F(ConvDepthwise, RefusesWhatItCannotHold) {
  const auto refused = [](const char* text) { return kConvDepthwiseForward.refuse(*shape::parse_descriptor(text)); };
  EXPECT_STREQ(refused("ic4 oc4 g2 i20 k3"), "needs one input channel per group");
  EXPECT_STREQ(refused("ic4 oc4 g4 iw20 kw2 dw2000000 pw2000000"), "the kernel reaches too far");
  EXPECT_STREQ(refused("ic4 oc4 g4 iw400000 kw300000 dw1"), "the rows under one kernel do not fit the cache");
  EXPECT_STREQ(kConvGroupedForward.refuse(*shape::parse_descriptor("ic4 oc4 g4 i20 k3")),
               "needs more than one input channel per group");
  EXPECT_STREQ(kConvGroupedForward.refuse(*shape::parse_descriptor("ic4 oc65 i20 k3")), "needs few channels per group");
  EXPECT_STREQ(kConvGroupedForward.refuse(*shape::parse_descriptor("ic1025 oc1 i20 k3")), "needs few channels per group");
}

}  // namespace
}  // namespace convoy::kernels
