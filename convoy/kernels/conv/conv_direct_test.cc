// Shapes that reach every part of the direct convolution: tiles' tails, strides and phases, short and cut lines, chains of sums
// longer than a block, slabs that hold some channels at a time.
#include "convoy/kernels/conv/conv_direct.h"

#include <gtest/gtest.h>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

void check(Direction direction, const char* text) {
  const auto parsed = shape::parse_descriptor(text);
  ASSERT_TRUE(parsed) << text;
  const ConvShape plain = parsed->transposed ? shape::adjoint(*parsed) : *parsed;
  const ConvKernel* const kernel = direction == Direction::kForward ? &kConvDirectForward : &kConvDirectGradInput;
  ASSERT_EQ(kernel->refuse(plain), nullptr) << text;
  Random random(7);
  for (const bool integers : {true, false}) {
    check_kernels(std::span(&kernel, 1), direction, plain, integers, random);
    if (testing::Test::HasFatalFailure()) return;
  }
}

constexpr const char* kShapes[] = {
    "n1 ic3 oc64 i40 k7 s2 p3",     // a stem: columns by remainder
    "n1 ic3 oc17 ih9 iw61 k3 p1",   // odd channels
    "n1 ic3 oc20 ih6 iw100 k3 p1",  // lanes of pixels
    "n2 ic200 oc3 ih5 iw50 k3 p1",  // few rows, chains of sums in the result
    "n1 ic3 oc40 i37 k7 s2 p3",     // grad_input of few channels, columns of two phases
    "n1 ic2 oc70 ih7 iw90 k4 s3 p1",
    "n1 ic40 oc2 iw5000 kw9 pw4",                // and blocks of columns
    "n1 ic2 oc40 iw5001 kw5 pw2 sw2",            // the same with phases
    "n1 ic700 oc3 ih30 iw64 k3 p1",              // and a slab of some channels
    "n2 ic9 oc5 id5 ih7 iw40 k3 p1",             // in 3d, two tiles of rows
    "n1 ic10 oc7 ih9 iw40 k9 p4",                // a wide kernel, few rows
    "n1 ic20 oc5 iw400 kw3 pw100 dw100",         // few rows, cut
    "n2 ic17 oc30 i15 k3 p1",                    // a tile of 15 = 8 + 7 pixels
    "n1 ic30 oc100 ih5 iw29 k3 s2 p1",           // strided, odd
    "n3 ic20 oc33 i7 k3 p1",                     // short lines, batch 3
    "n1 ic20 oc33 ih9 iw5 k3 sh2 sw1 ph2 pw1",   // short with strided lines
    "n1 ic8 oc16 ih11 iw3 kh3 kw3 sh1 sw3 p1",   // short with strided columns
    "n1 ic24 oc16 i33 k3 p12 d12",               // lines cut where taps enter and leave
    "n1 ic70 oc40 iw1500 kw2 pw100 dw100",       // 1d, blocks of columns, cut
    "n1 ic6 oc20 iw3000 kw5 pw2 sw3",            // 1d, blocks of columns, strided
    "n2 ic33 oc30 iw700 kw9 pw4 sw3",            // 1d, strided, one line that is many tasks
    "n2 ic60 oc3 iw700 kw5 pw2",                 // the same with lanes of pixels
    "n1 ic9 oc40 i30 k5 s4 p2",                  // a long stride
    "n1 ic9 oc20 iw60 kw31 pw15",                // a kernel of several tiles
    "n1 ic30 oc20 i13 k3 s3 p1",                 // lines of 5 pixels
    "n2 ic5 oc18 id4 ih6 iw9 k3 p1",             // 3d
    "n1 ic20 oc18 i8 id8 k3 kd3 s2 sd2 p1 pd1",  // 3d, lines of 4 pixels
    "n1 ic5 oc18 id5 ih7 iw6 k3 s2 p1",          // 3d, strided
    "n1 ic700 oc20 i6 k3 p1",                    // many chains
    "n1 ic300 oc70 i34 k3 p1",                   // a slab of some channels
    "n1 ic64 oc64 g4 i10 k3 p1",                 // groups
    "n1 ic12 oc10 ih10 iw12 kh4 kw5 p2:1",       // even kernel, asymmetric padding
    "n1 ic12 oc10 i12 k3 p-1",                   // a crop
    "n2 ic40 oc20 ih9 iw59 k3 s2 p1",            // a vector and a half of channels: 14, 14 and 2 pixels
    "n1 ic24 oc24 ih7 iw43 k3 p1",               // and side by side: three times 14 and 1
    "n1 ic18 oc17 ih5 iw21 k3 p1",               // 14 and 7
    "n1 ic22 oc24 ih8 iw52 k4 s2 p1",            // backward by phases of 26: 14, 7 and 5
    "n1 ic32 oc32 g4 ih9 iw63 k3 s2 p1",         // half a vector of channels: 28 and 4 pixels
    "n2 ic24 oc24 g3 i34 k3 s2 p1",              // 17
    "n1 ic30 oc7 ih5 iw9 k5 p2",                 // seven of its channels
    "n1 ic16 oc16 g2 iw90 kw3 pw40 dw40",        // cut
    "n1 ic4 oc20 i6 k2 s5",                      // a stride beyond the kernel
    "n1 ic4 oc20 i5 k3 p4",                      // lines of padding alone
    "transposed ic32 oc24 i9 k2 s2",             // phases of one tap
    "transposed n2 ic24 oc32 i8 k4 s2 p1",
    "transposed ic16 oc17 i11 k3 s2 p1 op1",
    "transposed ic16 oc3 i5 k5 s3 p1 op2",
    "transposed ic16 oc3 i6 k1 s2",      // phases without a tap
    "transposed ic3 oc70 i14 k4 s2 p1",  // lanes of pixels, an odd number of vectors
    "transposed ic3 oc40 i17 k7 s3 p2",
    "transposed ic8 oc70 i25 k3 s3 p1",
    "transposed ic40 oc3 i19 k5 s4 p1",  // four column phases
    "n1 ic3 oc40 i77 k7 s4 p2",
    "transposed ic2 oc30 iw20 kw5 sw4",
    "transposed ic9 oc20 iw40 kw3 sw2 dw2 pw1",
    "n33 ic64 oc128 g8 i33 k3 s2 p1",  // a source that comes from memory
};

class ConvDirect : public NeedsVectors {};

TEST_F(ConvDirect, ForwardMatchesTheReference) {
  for (const char* text : kShapes) check(Direction::kForward, text);
}

TEST_F(ConvDirect, GradInputMatchesTheReference) {
  for (const char* text : kShapes) check(Direction::kGradInput, text);
}

TEST_F(ConvDirect, RefusesWhatItCannotHold) {
  const auto refused = [](const char* text) { return kConvDirectForward.refuse(*shape::parse_descriptor(text)); };
  EXPECT_STREQ(refused("ic3 oc4 iw2000 kw600"), "needs at most 512 taps");
  EXPECT_STREQ(refused("ic3 oc0 i20 k3"), "nothing to compute");
  EXPECT_STREQ(refused("ic3 oc4 iw20 kw2 dw2000000 pw2000000"), "the kernel reaches too far");
}

}  // namespace
}  // namespace convoy::kernels
