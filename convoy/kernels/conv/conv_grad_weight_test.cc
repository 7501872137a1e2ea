// Shapes that reach every way conv_grad_weight cuts its work: tails of tiles and panels, runs cut by padding, blocks over several
// images, parts of the batch, tasks of input channels, copied rows.
#include "convoy/kernels/conv/conv_grad_weight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

constexpr std::array<const ConvKernel*, 1> kList{&kConvGradWeight};

ConvShape parse(const char* descriptor) { return *shape::complete(*shape::parse_descriptor(descriptor)); }

constexpr std::array<const ConvKernel*, 4> kWinograd{&kConvWinogradF2GradWeight, &kConvWinogradF4GradWeight,
                                                     &kConvWinogradF5GradWeight, &kConvWinogradStride2GradWeight};

class GradWeight : public NeedsVectors, public testing::WithParamInterface<const char*> {
 protected:
  void TearDown() override { set_num_threads(0); }
};

TEST_P(GradWeight, MatchesTheReference) {
  const ConvShape s = parse(GetParam());
  ASSERT_EQ(kConvGradWeight.refuse(s), nullptr);
  Random random(7);
  for (const bool integers : {true, false}) {
    check_kernels(kList, Direction::kGradWeight, s, integers, random);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GradWeight,
                         testing::Values("n1 ic64 oc64 i7 k3 p1",              // one block
                                         "n2 ic32 oc100 i9 k1",                // lanes of input channels, parts
                                         "n1 ic64 oc600 i5 k1",                // the same, one part
                                         "n3 ic17 oc30 i13 k3 p1",             // blocks across images, tails of rows and panels
                                         "n2 ic100 oc17 ih9 iw31 k3 s2 p1",    // strided, one vector of a panel used
                                         "n5 ic30 oc100 i14 k1",               // pointwise: positions are one row
                                         "n2 ic33 oc65 i15 k1 s2",             // strided pointwise
                                         "n1 ic9 oc3 i40 k3 p1",               // parts
                                         "n2 ic16 oc33 ih3 iw600 kh3 kw3 p1",  // rows in segments
                                         "n1 ic300 oc40 i5 k3 p1",             // tasks of input channels
                                         "n2 ic12 oc20 i11 k3 p4 d4",          // taps that miss whole rows
                                         "n1 ic8 oc16 i6 k5 p4",               // padding wider than the kernel's half
                                         "n2 g2 ic40 oc70 i9 k3 p1",           // groups
                                         "n2 ic3 oc64 i30 k7 s2 p3",           // copied rows, shared by the taps
                                         "n1 ic1 oc33 i40 k5 p2",              //
                                         "n2 ic3 oc17 ih5 iw300 kh1 kw3 pw40 dw40",  // copied rows, one per tap
                                         "n2 ic2 oc40 ih9 iw90 kh3 kw3 sh1 sw7 p1",  // and gathered with their stride
                                         "n2 ic5 oc20 i33 k1 s6",                    //
                                         "n2 ic20 oc24 id5 ih6 iw7 k3 p1",           // 3D
                                         "n1 ic3 oc20 id6 ih7 iw9 k3 s2 p1",         //
                                         "n3 ic24 oc48 iw700 kw2 pw5 dw5",           // 1D
                                         "n40 ic20 oc24 i1 k1"));                    // one pixel an image

class GradWeightWinograd : public GradWeight {};

TEST_P(GradWeightWinograd, StaysWithinTheBoundOfItsSetting) {
  const ConvShape s = parse(GetParam());
  ASSERT_TRUE(std::any_of(kWinograd.begin(), kWinograd.end(), [&](const ConvKernel* k) { return k->refuse(s) == nullptr; }));
  Random random(7);
  for (const bool integers : {true, false}) {
    check_kernels(kWinograd, Direction::kGradWeight, s, integers, random);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, GradWeightWinograd,
    testing::Values("n1 ic64 oc64 i16 k3 p1",           // whole tiles, one block
                    "n3 ic17 oc30 i13 k3 p1",           // cut tiles, blocks across images
                    "n2 ic100 oc17 ih9 iw31 k3 p0",     // tasks of input channels, one vector of a panel used
                    "n1 ic8 oc100 ih3 iw200 k3 p1",     // a row of many tiles in strips
                    "n9 ic16 oc33 i28 k3 p1",           // parts
                    "n5 ic24 oc16 ih5 iw6 k3 ph4 pw3",  // tiles outside the input
                    "n2 g2 ic40 oc70 i9 k3 p1",         // groups
                    "n30 ic20 oc24 i5 k3 p0",           // nine outputs an image
                    "n2 ic20 oc40 i17 k3 p2 d2",        // dilated: maps of different sizes
                    "n1 ic17 oc33 ih41 iw35 kh3 kw3 ph3 pw5 dh3 dw5", "n2 ic16 oc16 ih9 iw20 kh3 kw3 ph1 pw0 dh1 dw2",
                    "n2 ic20 oc40 id5 ih9 iw10 k3 p1",  // 3D
                    "n1 ic70 oc130 id9 ih7 iw12 kd5 kh3 kw3 sd2 pd2 ph1 pw1",
                    "n3 ic17 oc20 id4 ih8 iw9 kd3 kh3 kw3 dd2 pd2 ph1 pw1",  // an outer depth tap sees half of the planes
                    "n1 ic40 oc50 i7 k3 p1",                                 // F(2,3) alone: few terms
                    "n9 ic17 oc30 i4 k3 p0",
                    "n3 ic20 oc33 i15 k5 p2",  // F(2,5)
                    "n4 ic100 oc17 ih9 iw31 k5 p0", "n4 g2 ic40 oc70 ih18 iw21 kh5 kw5 ph4 pw2 dh2 dw3",
                    "n6 ic17 oc20 id4 ih8 iw9 kd2 kh5 kw5 ph2 pw2", "n4 g2 ic40 oc32 id3 ih12 iw6 kd2 kh3 kw3 pd0 ph1 pw2 dw2"));

class GradWeightWinogradError : public NeedsVectors {};

// The rounding error against the direct sum's, both measured in double: root of the mean square over all weights.
TEST_F(GradWeightWinogradError, IsAtMostThreeAndAHalfTimesDirects) {
  Random random(5);
  for (const char* text : {"n4 ic32 oc32 i28 k3 p1", "n8 ic64 oc32 i7 k3 p1", "n1 ic32 oc32 i56 k3 p1", "n1 ic64 oc32 i7 k3 p1",
                           "n4 ic32 oc32 i14 k5 p2", "n1 ic32 oc32 i28 k5 p2", "n1 ic32 oc32 i28 k6 s2 p2",
                           "n4 ic32 oc32 i16 k4 s2 p1", "n2 ic32 oc32 i28 k5 s2 p2"}) {
    const ConvShape s = parse(text);
    const std::vector<float> x = values(random, s.input_count(), false), y = values(random, s.output_count(), false);
    std::vector<double> exact(static_cast<size_t>(s.weight_count()));
    conv_reference(s, ConvGradWeight<double>{std::vector<double>(x.begin(), x.end()).data(),
                                             std::vector<double>(y.begin(), y.end()).data(), exact.data()});
    const auto error = [&](const ConvKernel& kernel) {
      std::vector<float> got(exact.size());
      run_kernel(kernel, s, x.data(), y.data(), nullptr, got.data());
      double squares = 0;
      for (size_t i = 0; i < got.size(); ++i) squares += (got[i] - exact[i]) * (got[i] - exact[i]);
      return std::sqrt(squares);
    };
    for (const ConvKernel* const kernel : kWinograd) {
      if (kernel->refuse(s) != nullptr) continue;
      const double ratio = error(*kernel) / error(kConvGradWeight);
      EXPECT_LT(ratio, 3.5) << kernel->name << " " << text;
      std::printf("  %s %s: %.2f times direct's error\n", kernel->name, text, ratio);
    }
  }
}

// With few terms in a tap's sum the rounding of others weighs most: small maps, few images, padding.
TEST_F(GradWeightWinogradError, IsBelowSixteenWhateverTheMap) {
  int ran = 0;
  for (const char* text : {"n3 ic32 oc32 i4 k3 p1",     "n1 ic64 oc32 i7 k3 p1",          "n2 ic64 oc32 i7 k3 p1",
                           "n1 ic64 oc64 i9 k3 p1",     "n1 ic32 oc32 ih3 iw20 k3 p1",    "n1 ic32 oc32 i8 k3 p0",
                           "n32 ic32 oc32 i3 k3 p1",    "n15 ic32 oc32 i4 k3 p1",         "n6 ic32 oc32 i5 k3 p0:1",
                           "n1 ic32 oc32 i16 k3 p2 d2", "n1 ic32 oc32 id4 ih8 iw8 k3 p1", "n1 ic32 oc32 i6 k3 p1",
                           "n1 ic32 oc32 i13 k5 p2",    "n2 ic32 oc32 i10 k5 p2",         "n1 ic32 oc32 i16 k5 p4",
                           "n4 ic32 oc32 i6 k5 p0:2",   "n4 ic32 oc32 i7 k3 p1",          "n1 ic32 oc32 i13 k3 p1",
                           "n2 ic32 oc32 i8 k3 p3",     "n1 ic32 oc32 id5 ih8 iw8 k3 p1"}) {
    const ConvShape s = parse(text);
    for (const ConvKernel* const kernel : kWinograd) {
      if (kernel->refuse(s) != nullptr) continue;
      ++ran;
      double worst = 0;
      for (unsigned seed = 0; seed < 8; ++seed) {
        Random random(seed);
        worst = std::max(worst, worst_error(*kernel, s, true, random));
      }
      EXPECT_LE(worst, 16) << kernel->name << " " << text;
      std::printf("  %s %s: E %.2f\n", kernel->name, text, worst);
    }
  }
  EXPECT_GE(ran, 15);
}

class GradWeightSums : public NeedsVectors {};

// Long sums: equal terms are rounded to the same side every time, about u / 4 a term of a chain. One chain of 40000 would be 40
// times as wrong.
TEST_F(GradWeightSums, AreCutIntoBlocks) {
  Random random(11);
  ConvShape s = parse("n1 ic8 oc16 i200 k1");
  check_kernels(kList, Direction::kGradWeight, s, true, random);
  const std::vector<float> x(static_cast<size_t>(s.input_count()), 0.1f), y(static_cast<size_t>(s.output_count()), 0.3f);
  std::vector<float> w(static_cast<size_t>(s.weight_count()));
  run_kernel(kConvGradWeight, s, x.data(), y.data(), nullptr, w.data());
  const double exact = 40000.0 * static_cast<double>(0.1f) * static_cast<double>(0.3f);
  for (const float value : w) ASSERT_NEAR(value, exact, 64 * 0x1p-24 * exact);
}

class GradWeightRefusal : public NeedsVectors {};

TEST_F(GradWeightRefusal, NamesTheMemory) {
  EXPECT_EQ(kConvGradWeight.refuse(parse("n1 ic64 oc64 i30 k9 p4")), nullptr);
  EXPECT_NE(kConvGradWeight.refuse(parse("n1 ic64 oc64 i200 k100")), nullptr);
}

TEST_F(GradWeightRefusal, OfWinogradNamesTapsThatSeePaddingAlone) {
  // The last tap of a row of 2 columns, padded by 3 at its end, meets none of them: its weights' gradients are 0.
  EXPECT_STREQ(kConvWinogradF4GradWeight.refuse(parse("n3 ic16 oc2 i2 k3 ph4:3 pw0:3")),
               "needs 128 terms (WebAssembly 192, F(2,3) 36, F(2,5) 400) of every tap that are not padding, for rounding errors to "
               "average out");
  EXPECT_EQ(kConvWinogradF4GradWeight.refuse(parse("n48 ic16 oc16 i3 k3 p1")), nullptr);
}

}  // namespace
}  // namespace convoy::kernels
