#include "convoy/shape/descriptor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace convoy::shape {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

ConvShape parsed(std::string_view text) {
  const Result<ConvShape> s = parse_descriptor(text);
  EXPECT_TRUE(s.ok()) << text << ": " << reason(s.error().code) << " '" << offending_word(text, s.error()) << "'";
  return s.ok() ? *s : ConvShape{};
}

std::string canonical(std::string_view text) { return std::string(descriptor(parsed(text)).view()); }

TEST(Descriptor, PrintsEveryWordInOneOrder) {
  const std::string resnet_stem = "n1 ic3 oc64 g1 ih224 iw224 kh7 kw7 sh2 sw2 ph3 pw3 dh1 dw1";
  EXPECT_EQ(canonical(resnet_stem), resnet_stem);
  EXPECT_EQ(canonical("ic3ih224iw224oc64kh7kw7sh2sw2ph3pw3"), resnet_stem);
  EXPECT_EQ(canonical("ic3 oc64 i224 k7 s2 p3"), resnet_stem);
  EXPECT_EQ(canonical(" p3\tk7 s2 oc64   i224 ic3 d1 g1\n"), resnet_stem);
  const ConvShape s = parsed(resnet_stem);
  EXPECT_EQ(s.rank, 2);
  EXPECT_EQ(s.output, (Spatial{1, 112, 112}));
  EXPECT_EQ(s.axes[0], Axis{});
}

TEST(Descriptor, TheAxisLettersGiveTheRank) {
  EXPECT_EQ(parsed("i224 k3").rank, 2);
  EXPECT_EQ(parsed("ih5 iw6 k3").rank, 2);
  EXPECT_EQ(parsed("i5 kh3 kw1").rank, 2);
  EXPECT_EQ(parsed("i5 k3 kh1").rank, 2);
  EXPECT_EQ(parsed("iw16 k3").rank, 1);
  EXPECT_EQ(parsed("i16 k3 sw1").rank, 1);
  EXPECT_EQ(parsed("id4 ih5 iw6 k3").rank, 3);
  EXPECT_EQ(parsed("i8 k3 dd2").rank, 3);
  EXPECT_EQ(parsed("i8 k3 d2").rank, 2) << "d alone is dilation, not depth";
  EXPECT_EQ(parsed("i8 k3 pd1").rank, 3);
}

TEST(Descriptor, DilationAndDepthAreToldApart) {
  const ConvShape wave = parsed("iw16000 kw2 sw1 pw512 dw512");
  EXPECT_EQ(wave.rank, 1);
  EXPECT_EQ(wave.input, (Spatial{1, 1, 16000}));
  EXPECT_EQ(wave.axes[2], (Axis{2, 1, 512, 512, 512}));
  EXPECT_EQ(wave.output[2], 16000 + 1024 - 512);

  const ConvShape volume = parsed("id9ih10iw11kd1kh2kw3sd1sh2sw3pd0ph1pw2dd1dh2dw3");
  EXPECT_EQ(volume.rank, 3);
  EXPECT_EQ(volume.input, (Spatial{9, 10, 11}));
  EXPECT_EQ(volume.axes[0], (Axis{1, 1, 1, 0, 0}));
  EXPECT_EQ(volume.axes[1], (Axis{2, 2, 2, 1, 1}));
  EXPECT_EQ(volume.axes[2], (Axis{3, 3, 3, 2, 2}));
  EXPECT_EQ(parsed("i9 k3 d2").axes[1].dilation, 2);
  EXPECT_EQ(parsed("i9 k3 dh2").axes[2].dilation, 1);
}

TEST(Descriptor, AWordWithAnAxisLetterWins) {
  const ConvShape s = parsed("i224 kw5 k3 p1 pw2");
  EXPECT_EQ(s.rank, 1);
  const ConvShape t = parsed("i224 kw5 k3 p1 pw2 sh1");
  EXPECT_EQ(t.axes[1], (Axis{3, 1, 1, 1, 1}));
  EXPECT_EQ(t.axes[2], (Axis{5, 1, 1, 2, 2}));
}

TEST(Descriptor, PaddingMayDifferBetweenTheSides) {
  const ConvShape causal = parsed("iw10 kw3 pw2:0");
  EXPECT_EQ(causal.axes[2], (Axis{3, 1, 1, 2, 0}));
  EXPECT_EQ(causal.output[2], 10);
  EXPECT_EQ(canonical("iw10kw3pw2:0sw1"), "n1 ic1 oc1 g1 iw10 kw3 sw1 pw2:0 dw1");
  EXPECT_EQ(canonical("iw10 kw3 pw-1:-2"), "n1 ic1 oc1 g1 iw10 kw3 sw1 pw-1:-2 dw1");
  EXPECT_EQ(parsed("iw10 kw3 pw-1").output[2], 6);
}

TEST(Descriptor, TransposedComesFirst) {
  const ConvShape s = parsed("transposed ic64 oc32 i16 k3 s2 p1 op1");
  EXPECT_TRUE(s.transposed);
  EXPECT_EQ(s.output, (Spatial{1, 32, 32}));
  EXPECT_EQ(std::string(descriptor(s)), "transposed n1 ic64 oc32 g1 ih16 iw16 kh3 kw3 sh2 sw2 ph1 pw1 dh1 dw1 oph1 opw1");
  EXPECT_EQ(parsed("transposedic64oc32ih16iw16kh2kw2sh2sw2").output, (Spatial{1, 32, 32}));
  EXPECT_EQ(canonical("transposed iw4 kw3"), "transposed n1 ic1 oc1 g1 iw4 kw3 sw1 pw0 dw1");
  EXPECT_EQ(parsed("transposed id4 i5 k3 s2 opd1 oph0 opw1").output, (Spatial{10, 11, 12}));
  EXPECT_FALSE(parsed("i5 k3 op0").transposed);
}

struct Refusal {
  const char* text;
  ShapeErrorCode code;
  int64_t offset;
  const char* word;
};

TEST(Descriptor, AnErrorNamesTheWordAndItsOffset) {
  const Refusal refusals[] = {
      {"i224 q7", ShapeErrorCode::kUnknownWord, 5, "q7"},
      {"i224 kx7", ShapeErrorCode::kUnknownWord, 5, "kx7"},
      {"ic3oc64ih224iw224kh7zz1 s2", ShapeErrorCode::kUnknownWord, 20, "zz1"},
      {"i224 7", ShapeErrorCode::kUnknownWord, 5, "7"},
      {"I224 k7", ShapeErrorCode::kUnknownWord, 0, "I224"},
      {"i224 k7 transposed", ShapeErrorCode::kUnknownWord, 8, "transposed"},
      {"transposed transposed i4 k3", ShapeErrorCode::kUnknownWord, 11, "transposed"},
      {"i224, k7", ShapeErrorCode::kUnknownWord, 4, ","},
      {"i224 k", ShapeErrorCode::kBadNumber, 5, "k"},
      {"i224 k s2", ShapeErrorCode::kBadNumber, 5, "k"},
      {"i224 k-3", ShapeErrorCode::kBadNumber, 5, "k-3"},
      {"i224 k3 p1:", ShapeErrorCode::kBadNumber, 8, "p1:"},
      {"i224 k3 p1:x", ShapeErrorCode::kBadNumber, 8, "p1:x"},
      {"i9223372036854775808 k3", ShapeErrorCode::kBadNumber, 0, "i9223372036854775808"},
      {"i99999999999999999999999 k3", ShapeErrorCode::kBadNumber, 0, "i99999999999999999999999"},
      {"i224 k3 k5", ShapeErrorCode::kRepeatedWord, 8, "k5"},
      {"iw9kw3iw9", ShapeErrorCode::kRepeatedWord, 6, "iw9"},
      {"n1n2 i4 k3", ShapeErrorCode::kRepeatedWord, 2, "n2"},
      {"i224 k3 s2 op1", ShapeErrorCode::kNotTransposed, 11, "op1"},
      {"i224 k3:4", ShapeErrorCode::kUnknownWord, 7, ":4"},
  };
  for (const Refusal& r : refusals) {
    const Result<ConvShape> s = parse_descriptor(r.text);
    ASSERT_FALSE(s.ok()) << r.text;
    EXPECT_EQ(s.error().code, r.code) << r.text;
    EXPECT_EQ(s.error().value, r.offset) << r.text;
    EXPECT_EQ(offending_word(r.text, s.error()), r.word) << r.text;
  }
}

TEST(Descriptor, EveryAxisNeedsItsSizeAndKernel) {
  const auto expect = [](std::string_view text, ShapeErrorCode code, int axis) {
    const Result<ConvShape> s = parse_descriptor(text);
    ASSERT_FALSE(s.ok()) << text;
    EXPECT_EQ(s.error().code, code) << text;
    EXPECT_EQ(s.error().axis, axis) << text;
    EXPECT_EQ(offending_word(text, s.error()), "");
  };
  expect("", ShapeErrorCode::kMissingInputSize, 1);
  expect("ih224 kh3 kw3", ShapeErrorCode::kMissingInputSize, 2);
  expect("i224", ShapeErrorCode::kMissingKernelSize, 1);
  expect("i224 kh3", ShapeErrorCode::kMissingKernelSize, 2);
  expect("id1 ih2 iw3 kh1 kw1", ShapeErrorCode::kMissingKernelSize, 0);
  expect("kw3", ShapeErrorCode::kMissingInputSize, 2);
}

TEST(Descriptor, ImpossibleShapesKeepTheirOwnErrors) {
  EXPECT_EQ(parse_descriptor("i2 k3").error().code, ShapeErrorCode::kKernelTooLarge);
  EXPECT_EQ(parse_descriptor("ih4 iw2 k3").error().axis, 2);
  EXPECT_EQ(parse_descriptor("i4 k3 s0").error().code, ShapeErrorCode::kNonPositiveStride);
  EXPECT_EQ(parse_descriptor("i4 k3 dh0").error().code, ShapeErrorCode::kNonPositiveDilation);
  EXPECT_EQ(parse_descriptor("ic3 g2 i4 k3").error().code, ShapeErrorCode::kChannelsNotDivisible);
  EXPECT_EQ(parse_descriptor("transposed i4 k3 op1").error().code, ShapeErrorCode::kOutputPaddingTooLarge);
  EXPECT_EQ(parse_descriptor("i9223372036854775807 k1").error().code, ShapeErrorCode::kOverflow);
}

TEST(Descriptor, RandomShapesRoundTrip) {
  std::mt19937 random(20240607);
  const auto below = [&random](int n) { return static_cast<int64_t>(random() % static_cast<unsigned>(n)); };
  int round_trips = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    ConvShape s;
    s.rank = 1 + static_cast<int>(below(3));
    s.transposed = below(2) == 1;
    s.batch = below(4);
    s.groups = 1 + below(3);
    s.in_channels = s.groups * below(4);
    s.out_channels = s.groups * below(4);
    for (int a = s.first_axis(); a < kMaxSpatialRank; ++a) {
      const auto axis = static_cast<size_t>(a);
      s.input[axis] = below(20);
      s.axes[axis] = {1 + below(5), 1 + below(4), 1 + below(4), below(5) - 1, below(5) - 1};
      s.output_padding[axis] = s.transposed ? below(3) : 0;
    }
    const Result<ConvShape> whole = complete(s);
    if (!whole) continue;
    const DescriptorText text = descriptor(*whole);
    const Result<ConvShape> back = parse_descriptor(text);
    ASSERT_TRUE(back.ok()) << text.view();
    ASSERT_EQ(*back, *whole) << text.view();
    std::string joined;
    for (const char c : text.view()) {
      if (c != ' ') joined += c;
    }
    const Result<ConvShape> tight = parse_descriptor(joined);
    ASSERT_TRUE(tight.ok()) << joined;
    ASSERT_EQ(*tight, *whole) << joined;
    ++round_trips;
  }
  EXPECT_GT(round_trips, 5000);
}

TEST(Descriptor, RandomTextNeverCrashes) {
  std::mt19937 random(7);
  constexpr std::string_view kAlphabet = "transpoedinckghw0123456789 :-\t,x";
  for (int trial = 0; trial < 200000; ++trial) {
    std::string text;
    const size_t length = random() % 24;
    for (size_t i = 0; i < length; ++i) text += kAlphabet[random() % kAlphabet.size()];
    const Result<ConvShape> s = parse_descriptor(text);
    if (s.ok()) {
      EXPECT_EQ(*parse_descriptor(descriptor(*s)), *s) << text;
    } else {
      EXPECT_LE(offending_word(text, s.error()).size(), text.size());
    }
  }
}

TEST(Descriptor, TheLongestTextFits) {
  ConvShape s;
  s.rank = 3;
  s.transposed = true;
  s.batch = s.in_channels = s.out_channels = s.groups = -kMax;
  s.input = {-kMax, -kMax, -kMax};
  for (Axis& axis : s.axes) axis = {-kMax, -kMax, -kMax, -kMax, -kMax + 1};
  s.output_padding = {-kMax, -kMax, -kMax};
  const std::string text(descriptor(s).view());
  EXPECT_TRUE(text.ends_with("opw-9223372036854775807")) << text;
}

}  // namespace
}  // namespace convoy::shape
