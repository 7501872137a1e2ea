// Strides of one, two and three axes, rows that end behind the last value, several images at once and a rest.
#include "convoy/kernels/conv/conv_pointwise_spread.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

ConvShape parse(const char* text) { return *shape::parse_descriptor(text); }

class ConvPointwiseSpread : public NeedsVectors {};

TEST_F(ConvPointwiseSpread, MatchesTheReference) {
  const std::array kernels{&kConvPointwiseSpreadGradInput, &kConvPairedSpreadGradInput};  // the second one refuses some
  for (const char* text : {
           "n2 ic40 oc48 i14 k1 s2",
           "n1 ic64 oc33 i57 k1 s2",
           "n1 ic3 oc17 ih9 iw131 k1 s2",  // vectors, tails
           "n3 ic16 oc20 ih9 iw31 k1 sh3 sw1",
           "n1 ic5 oc9 i50 k1 s3",
           "n2 ic8 oc8 i20 k1 sh1 sw2",
           "n7 ic300 oc5 i59 k1 s2",  // chunks of images, the last one smaller
           "n4 ic24 oc36 g3 i10 k1 s2",
           "n5 ic24 oc36 i6 k1 s2",  // groups; maps that are folded
           "n2 ic10 oc40 id3 ih5 iw7 k1 s2",
           "n2 ic6 oc40 iw2000 k1 s4",
           "n1 ic6 oc7 i9 k1 s5",  // five positions behind the last value
           "n2 ic1 oc40 i13 k7 s2",
           "n3 ic3 oc17 ih9 iw50 k3 p1",
           "n2 ic17 oc9 i20 k2 s2 p1 d3",  // several taps
           "n1 ic5 oc8 ih12 iw30 kh3 kw5 sh1 sw3 p2:1",
           "n2 ic6 oc12 g3 i11 k3 s2 p1",
           "n1 ic2 oc8 i6 k3 p8",
           "n2 ic2 oc30 id5 ih6 iw7 k3 s2 p1",
           "n2 ic3 oc16 iw60 kw5 sw4 pw2 dw2",
           "n3 ic30 oc5 i34 k5",
           "n2 ic10 oc40 i12 k2 s2",  // strides of the kernel's size
           "n1 ic64 oc48 i64 k2 s2",
           "n2 ic300 oc70 i14 k2 s2",
           "n1 ic3 oc32 ih44 iw36 k4 s4",
           "n2 ic5 oc17 i33 k3 s3",
           "n1 ic2 oc9 i35 k5 s5",
           "n2 ic3 oc20 id4 ih10 iw10 kd1 kh2 kw2 sd1 sh2 sw2",
           "n2 ic4 oc6 i30 kh2 kw1 sh2 sw1",
           "n1 ic6 oc9 iw2002 kw2 sw2",
           "n1 ic6 oc9 i21 k2 s2",     // one position is left over
           "n2 ic17 oc100 i26 k2 s2",  // pairs: panels of pixels, of channels; several stripes
           "n3 ic64 oc30 i16 k2 s2",
           "n2 ic9 oc30 i84 k4 s4",
           "n1 ic40 oc200 ih40 iw22 k2 s2",
           "n2 ic2 oc33 id8 ih8 iw12 k2 s2",
           "n3 ic30 oc40 i30 k1 s2",
           "n2 ic8 oc32 i25 k1 s3",
           "n1 ic40 oc24 ih240 iw226 k2 s2",  // past the caches
       }) {
    const ConvShape s = parse(text);
    ASSERT_EQ(kConvPointwiseSpreadGradInput.refuse(s), nullptr) << text;
    Random random(3);
    for (const bool integers : {true, false}) {
      check_kernels(kernels, Direction::kGradInput, s, integers, random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(ConvPointwiseSpread, PairsKeepWhatIsNotFiniteApart) {
  for (const char* text : {"ic16 oc48 i16 k2 s2", "ic30 oc48 i24 k1 s2", "ic3 oc32 i14 k3 s2"}) {
    const ConvShape s = parse(text);
    if (kConvPairedSpreadGradInput.refuse(s) != nullptr) GTEST_SKIP() << kConvPairedSpreadGradInput.refuse(s);
    Random random(8);
    std::vector<float> x = values(random, s.output_count(), false), w = values(random, s.weight_count(), false);
    x[static_cast<size_t>(s.output_positions() * 5 + 9)] = std::nanf("");
    w[w.size() / 2 + 1] = std::numeric_limits<float>::infinity();
    std::vector<float> got(static_cast<size_t>(s.input_count())), expected(got.size());
    run_kernel(kConvPairedSpreadGradInput, s, x.data(), w.data(), nullptr, got.data());
    run_kernel(kConvPointwiseSpreadGradInput, s, x.data(), w.data(), nullptr, expected.data());
    size_t finite = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(std::isfinite(got[i]), std::isfinite(expected[i])) << text << " " << i;
      if (!std::isfinite(got[i])) continue;
      ASSERT_NEAR(got[i], expected[i], 1e-4) << text << " " << i;
      ++finite;
    }
    EXPECT_GT(finite, got.size() / 3) << text;
  }
}

TEST_F(ConvPointwiseSpread, PairsErrAsTheyDoIn1x1Layers) {
  Random random(9);
  for (const char* text : {"ic16 oc24 i32 k2 s2", "ic3 oc128 i64 k4 s4", "ic24 oc512 i28 k2 s2", "ic24 oc96 i32 k1 s2"}) {
    const ConvShape s = parse(text);
    if (kConvPairedSpreadGradInput.refuse(s) != nullptr) GTEST_SKIP() << kConvPairedSpreadGradInput.refuse(s);
    for (const bool rectified : {false, true}) EXPECT_LE(worst_error(kConvPairedSpreadGradInput, s, rectified, random), 9) << text;
  }
}

TEST_F(ConvPointwiseSpread, RefusesWhatItDoesNotSpread) {
  const auto refuse = kConvPointwiseSpreadGradInput.refuse;
  EXPECT_STREQ(refuse(parse("ic257 oc4 i20 k3 s2")),
               "needs few input channels per group, one tap, or a stride of the kernel's size");
  EXPECT_STREQ(refuse(parse("ic3 oc4 i20 k1")), "needs a stride: without one nothing is spread");
  EXPECT_STREQ(refuse(parse("ic3 oc4 i20 k1 s2 p1")), "needs no padding");
  EXPECT_STREQ(refuse(parse("ic100 oc4 i400 k1 s2")), "what an image's pixels give back takes more than 4 MB");
}

}  // namespace
}  // namespace convoy::kernels
