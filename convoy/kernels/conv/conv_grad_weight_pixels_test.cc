// Shapes that reach every way conv_pixel_lanes cuts its work: lines that end within vectors, bands of several planes and of parts
// of one, wide rows in pieces, phases of strides, tails of channels and of tap columns; and what is not finite.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "convoy/kernels/conv/conv_grad_weight.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using namespace kernel_check;

constexpr std::array<const ConvKernel*, 1> kList{&kConvPixelLanesGradWeight};

ConvShape parse(const char* descriptor) { return *shape::complete(*shape::parse_descriptor(descriptor)); }

class PixelLanesShapes : public NeedsVectors, public testing::WithParamInterface<const char*> {
 protected:
  void TearDown() override { set_num_threads(0); }
};

TEST_P(PixelLanesShapes, MatchesTheReference) {
  const ConvShape s = parse(GetParam());
  ASSERT_EQ(kConvPixelLanesGradWeight.refuse(s), nullptr);
  Random random(7);
  for (const bool integers : {true, false}) {
    check_kernels(kList, Direction::kGradWeight, s, integers, random);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, PixelLanesShapes,
                         testing::Values("n3 ic16 oc16 g2 i28 k3 p1",                      // parts of planes
                                         "n9 ic16 oc16 g2 i7 k3 p1",                       // several planes
                                         "n5 ic8 oc24 g4 i16 k3 p1",                       // lines that are vectors
                                         "n2 ic3 oc17 ih70 iw71 k5 p2",                    // tails of results and tap columns
                                         "n1 ic2 oc4 iw5000 kw3 pw1",                      // rows in pieces
                                         "n2 ic2 oc9 ih3 iw4001 kh3 kw7 ph1 sh1 sw2 pw3",  // strided, too
                                         "n2 ic6 oc10 g2 i57 k7 s4 p3",                    // phases
                                         "n2 ic6 oc10 g2 i57 k3 s2 p4 d3",                 // phases that a dilation leaves out
                                         "n2 ic5 oc3 i40 k2 s5",                           // and a short kernel
                                         "n2 ic4 oc8 id6 ih9 iw11 k3 p1",                  // volumes
                                         "n2 ic4 oc8 id7 ih9 iw11 k3 s2 p2 d2",            //
                                         "n300 ic2 oc3 i9 k3 p1",                          // sums that are put away
                                         "n2 ic40 oc5 i12 k1"));

using PixelLanes = NeedsVectors;

// Between the rows stand zeros: what is not finite there reaches no weight.
TEST_F(PixelLanes, WhatIsNotFiniteGoesWhereItBelongs) {
  const ConvShape s = parse("n2 ic3 oc5 ih9 iw20 k3 s1");
  Random random(3);
  std::vector<float> x(static_cast<size_t>(s.input_count())), y(static_cast<size_t>(s.output_count()));
  std::vector<float> got(static_cast<size_t>(s.weight_count()));
  for (float& v : x) v = static_cast<float>(static_cast<int>(random() % 9) - 4);
  for (float& v : y) v = static_cast<float>(static_cast<int>(random() % 9) - 4);
  x[19] = std::numeric_limits<float>::infinity();  // the last of a row, which the last tap column alone reads
  y[0] = 1;
  std::vector<double> expected(got.size());
  const std::vector<double> wide_x(x.begin(), x.end()), wide_y(y.begin(), y.end());
  run_reference<double>(s, Direction::kGradWeight, wide_x.data(), wide_y.data(), nullptr, expected.data());
  run_kernel(kConvPixelLanesGradWeight, s, x.data(), y.data(), nullptr, got.data());
  int64_t finite = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isfinite(expected[i])) {
      ASSERT_EQ(got[i], static_cast<float>(expected[i])) << i;
      ++finite;
    } else {
      ASSERT_FALSE(std::isfinite(got[i])) << i;
    }
  }
  EXPECT_GT(finite, static_cast<int64_t>(got.size()) / 2);
  EXPECT_LT(finite, static_cast<int64_t>(got.size()));
}

// Tall kernels over many small planes would sort 62 MB a thread.
TEST_F(PixelLanes, RefusesWhatWouldNotFit) {
  const auto refused = [](const char* text) { return kConvPixelLanesGradWeight.refuse(parse(text)); };
  const char* const fit = "the rows under one kernel do not fit the cache";
  EXPECT_STREQ(refused("n200 ic1 oc1 id8 kd8 pd4 ih1 kh60 dh16 ph472 iw16 kw1"), fit);
  EXPECT_STREQ(refused("ic1 oc1 i20 k3 s900000 d900000 p900000"), fit);
  EXPECT_STREQ(refused("ic1 oc1 iw4000 kw3 dw600"), "the kernel reaches too far");
  EXPECT_STREQ(refused("ic1 oc1 iw40 kw2 dw2000000 pw2000000"), "the kernel reaches too far");
  EXPECT_STREQ(refused("ic1 oc1 i30 k23"), "needs at most 512 taps");
  for (const char* text : {"n1 ic3 oc64 i224 k7 s2 p3", "n4 ic8 oc8 id9 ih33 iw65 k5 s2 p2", "ic2 oc4 iw20000 kw7 dw100"}) {
    ASSERT_EQ(refused(text), nullptr) << text;
    EXPECT_LT(kConvPixelLanesGradWeight.workspace_bytes(parse(text), 1), size_t{2} << 20) << text;
  }
}

// Behind the last row a wide kernel reads on, times zeros: what lies there is the task's own, not what another thread leaves.
TEST_F(PixelLanes, WideKernelsReadTheirOwnRows) {
  const ConvShape s = parse("n1 ic1 oc1 iw300 kw61 pw30");
  Random random(5);
  const std::vector<float> x = values(random, s.input_count(), false), y = values(random, s.output_count(), false);
  std::vector<float> once;
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Workspace workspace(kConvPixelLanesGradWeight.workspace_bytes(s, threads));
    const auto count = static_cast<int64_t>(workspace.bytes() / sizeof(float));
    std::fill_n(workspace.take<float>(count), count, std::nanf(""));
    workspace.clear();
    std::vector<float> got(static_cast<size_t>(s.weight_count()));
    kConvPixelLanesGradWeight.grad_weight(s, {x.data(), y.data(), got.data()}, workspace);
    if (threads == 1) once = got;
    EXPECT_EQ(got, once);
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace convoy::kernels
