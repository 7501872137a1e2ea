#include "convoy/shape/conv.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "convoy/shape/pool.h"

namespace convoy::shape {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

ConvShape resnet_stem() {
  ConvShape s;
  s.batch = 2;
  s.in_channels = 3;
  s.out_channels = 64;
  s.input = {1, 224, 224};
  s.axes[1] = s.axes[2] = {7, 2, 1, 3, 3};
  return s;
}

TEST(ConvShape, CompleteFillsInTheOutput) {
  const Result<ConvShape> s = complete(resnet_stem());
  ASSERT_TRUE(s.ok());
  EXPECT_EQ(s->output, (Spatial{1, 112, 112}));
  EXPECT_EQ(s->input_count(), 2 * 3 * 224 * 224);
  EXPECT_EQ(s->output_count(), 2 * 64 * 112 * 112);
  EXPECT_EQ(s->weight_count(), 64 * 3 * 49);
  EXPECT_EQ(s->taps(), 49);
  EXPECT_EQ(s->first_axis(), 1);
  EXPECT_FALSE(s->depthwise());
}

TEST(ConvShape, UnusedAxesBecomeOne) {
  ConvShape s = resnet_stem();
  s.rank = 1;
  s.axes[0] = {9, 9, 9, 9, 9};
  s.output_padding[0] = 5;
  s.output = {7, 7, 7};
  const Result<ConvShape> one = complete(s);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->input, (Spatial{1, 1, 224}));
  EXPECT_EQ(one->output, (Spatial{1, 1, 112}));
  EXPECT_EQ(one->axes[0], Axis{});
  EXPECT_EQ(one->axes[1], Axis{});
  EXPECT_EQ(one->output_padding, (Spatial{0, 0, 0}));
  EXPECT_EQ(one->taps(), 7);
}

TEST(ConvShape, TransposedWeightsAreTurnedRound) {
  ConvShape s;
  s.transposed = true;
  s.in_channels = 64;
  s.out_channels = 32;
  s.groups = 4;
  s.input = {1, 4, 4};
  s.axes[1] = s.axes[2] = {3, 2, 1, 1, 1};
  s.output_padding = {0, 1, 1};
  const Result<ConvShape> t = complete(s);
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(t->output, (Spatial{1, 8, 8}));
  EXPECT_EQ(t->weight_count(), 64 * 8 * 9);
  const ConvShape plain = adjoint(*t);
  EXPECT_FALSE(plain.transposed);
  EXPECT_EQ(plain.in_channels, 32);
  EXPECT_EQ(plain.out_channels, 64);
  EXPECT_EQ(plain.input, t->output);
  EXPECT_EQ(plain.output, t->input);
  EXPECT_EQ(plain.weight_count(), t->weight_count());
  EXPECT_EQ(complete(plain)->output, t->input) << "with output padding below the stride the formula agrees";
}

TEST(ConvShape, Depthwise) {
  ConvShape s = resnet_stem();
  s.in_channels = s.groups = 3;
  s.out_channels = 6;
  EXPECT_TRUE(complete(s)->depthwise());
  s.in_channels = s.out_channels = s.groups = 1;
  EXPECT_FALSE(complete(s)->depthwise()) << "one channel is a plain convolution";
}

TEST(ConvShape, EmptyBatchesAndChannelsAreLegal) {
  ConvShape s = resnet_stem();
  s.batch = 0;
  EXPECT_EQ(complete(s)->output, (Spatial{1, 112, 112}));
  s.in_channels = 0;
  EXPECT_TRUE(complete(s).ok());
  s.out_channels = 0;
  EXPECT_TRUE(complete(s).ok());
}

TEST(ConvShape, RefusalsNameTheAxisAndTheNumbers) {
  const auto refuse = [](auto change) {
    ConvShape s = resnet_stem();
    change(s);
    const Result<ConvShape> r = complete(s);
    EXPECT_FALSE(r.ok());
    return r.error();
  };
  EXPECT_EQ(refuse([](ConvShape& s) { s.rank = 0; }).code, ShapeErrorCode::kBadRank);
  EXPECT_EQ(refuse([](ConvShape& s) { s.rank = 4; }).code, ShapeErrorCode::kBadRank);
  for (const int64_t groups : {int64_t{0}, int64_t{-1}, kMin}) {
    EXPECT_EQ(refuse([=](ConvShape& s) { s.groups = groups; }).code, ShapeErrorCode::kNonPositiveGroups);
  }
  EXPECT_EQ(refuse([](ConvShape& s) { s.groups = 2; }).code, ShapeErrorCode::kChannelsNotDivisible);
  EXPECT_EQ(refuse([](ConvShape& s) { s.groups = 3; }).code, ShapeErrorCode::kOutChannelsNotDivisible);
  EXPECT_EQ(refuse([](ConvShape& s) { s.batch = -1; }).code, ShapeErrorCode::kNegativeInput);
  EXPECT_EQ(refuse([](ConvShape& s) { s.in_channels = -3; }).code, ShapeErrorCode::kNegativeChannels);
  EXPECT_EQ(refuse([](ConvShape& s) { s.out_channels = kMin; }).code, ShapeErrorCode::kNegativeChannels);
  const ShapeError narrow = refuse([](ConvShape& s) { s.input[2] = 0; });
  EXPECT_EQ(narrow.code, ShapeErrorCode::kKernelTooLarge);
  EXPECT_EQ(narrow.axis, 2);
  EXPECT_EQ(narrow.value, 7);
  EXPECT_EQ(narrow.limit, 6);
  const ShapeError flat = refuse([](ConvShape& s) { s.axes[1].stride = 0; });
  EXPECT_EQ(flat.code, ShapeErrorCode::kNonPositiveStride);
  EXPECT_EQ(flat.axis, 1);
}

TEST(ConvShape, TransposedOutputsBelowOneAreTooSmall) {
  ConvShape s;
  s.rank = 1;
  s.transposed = true;
  s.input = {1, 1, 2};
  for (int64_t size = 0; size >= -1; --size) {
    s.axes[2] = {1, 1, 1, 1 - size, 1};
    const Result<ConvShape> r = complete(s);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, ShapeErrorCode::kOutputTooSmall);
    EXPECT_EQ(r.error().axis, 2);
    EXPECT_EQ(r.error().value, size);
    EXPECT_EQ(r.error().limit, 1);
  }
  s.axes[2] = {1, 1, 1, 1, 0};
  EXPECT_EQ(complete(s)->output[2], 1);
}

TEST(ConvShape, CountsAndBytesMustFit) {
  const auto overflows = [](auto change) {
    ConvShape s;
    s.input = {1, 4, 4};
    change(s);
    const Result<ConvShape> r = complete(s);
    return !r.ok() && r.error().code == ShapeErrorCode::kOverflow;
  };
  EXPECT_FALSE(overflows([](ConvShape&) {}));
  EXPECT_TRUE(overflows([](ConvShape& s) { s.input = {1, kMax, 1}; }));
  EXPECT_TRUE(overflows([](ConvShape& s) { s.input = {1, int64_t{1} << 30, int64_t{1} << 30}; }));
  EXPECT_TRUE(overflows([](ConvShape& s) { s.batch = kMax; }));
  EXPECT_TRUE(overflows([](ConvShape& s) { s.in_channels = s.out_channels = int64_t{1} << 31; })) << "the weight alone";
  EXPECT_FALSE(overflows([](ConvShape& s) { s.in_channels = s.out_channels = s.groups = int64_t{1} << 31; }))
      << "depthwise is small";
  EXPECT_TRUE(overflows([](ConvShape& s) { s.batch = 0, s.input = {1, kMax / 2, 4}; })) << "an empty batch hides nothing";
  EXPECT_TRUE(overflows([](ConvShape& s) { s.axes[1] = {kMax, 1, 1, kMax / 2, kMax / 2}; }));
  EXPECT_TRUE(overflows([](ConvShape& s) { s.transposed = true, s.axes[1].stride = int64_t{1} << 60; }));
  // 1 x 64 x 1167 x 1167 with a 5x5 kernel: more columns than 32 bits count, legal here.
  EXPECT_FALSE(overflows([](ConvShape& s) {
    s.in_channels = s.out_channels = 64;
    s.input = {1, 1167, 1167};
    s.axes[1] = s.axes[2] = {5, 1, 2, 0, 0};
  }));
}

TEST(ConvShape, EdgesOfEveryFieldNeverOverflow) {
  const int64_t edges[] = {kMin, -1, 0, 1, 3, int64_t{1} << 32, kMax};
  int completed = 0;
  for (const int64_t batch : edges) {
    for (const int64_t channels : edges) {
      for (const int64_t groups : edges) {
        for (const int64_t n : edges) {
          for (const int64_t k : edges) {
            for (const int64_t op : edges) {
              for (const bool transposed : {false, true}) {
                ConvShape s;
                s.transposed = transposed;
                s.batch = batch;
                s.in_channels = s.out_channels = channels;
                s.groups = groups;
                s.input = {1, n, 3};
                s.axes[1] = {k, 1, 1, k, k};
                s.output_padding = {0, op, 0};
                const Result<ConvShape> r = complete(s);
                if (!r) continue;
                ++completed;
                EXPECT_GE(r->input_count(), 0);
                EXPECT_GE(r->output_count(), 0);
                EXPECT_GE(r->weight_count(), 0);
              }
            }
          }
        }
      }
    }
  }
  EXPECT_GT(completed, 50);
}

TEST(Product, IsChecked) {
  EXPECT_EQ(*product({2, 3, 4}), 24);
  EXPECT_EQ(product({kMax, 2, 1}).error().code, ShapeErrorCode::kOverflow);
}

TEST(PoolShape, CompleteFillsInTheOutput) {
  PoolShape s;
  s.channels = 3;
  s.input = {9, 5, 6};
  s.axes[0] = {4, 4, 4, 4, 4};
  s.axes[1] = {1, 3, 1, 0, 0};
  s.axes[2] = {2, 2, 1, 1, 1};
  s.ceil_mode = true;
  const Result<PoolShape> r = complete(s);
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r->output, (Spatial{1, 2, 4}));
  EXPECT_EQ(r->input_positions(), 30);
  EXPECT_EQ(r->planes(), 3);
}

TEST(PoolShape, TooSmallIsForTheLayerToSay) {
  PoolShape s;
  s.rank = 1;
  s.input = {1, 1, 1};
  s.axes[2] = {3, 1, 1, 0, 0};
  EXPECT_EQ(complete(s)->output[2], -1);
  s.axes[2].stride = 0;
  EXPECT_EQ(complete(s).error().code, ShapeErrorCode::kNonPositiveStride);
  EXPECT_EQ(complete(s).error().axis, 2);
  s.axes[2] = {};
  s.channels = -1;
  EXPECT_EQ(complete(s).error().code, ShapeErrorCode::kNegativeChannels);
  s.channels = kMax;
  EXPECT_EQ(complete(s).error().code, ShapeErrorCode::kOverflow);
}

TEST(AdaptivePoolShape, RefusesWhatCannotBeCounted) {
  AdaptivePoolShape s;
  s.input = {1, 4, 4};
  s.output = {1, 0, 9};
  EXPECT_TRUE(complete(s).ok());
  s.output = {1, int64_t{1} << 59, -(int64_t{1} << 38)};
  EXPECT_FALSE(complete(s).ok());
  s.output = {1, 4799942556533499770, 1};
  EXPECT_EQ(complete(s).error().code, ShapeErrorCode::kOverflow);
  s.output = {1, -1, 2};
  EXPECT_EQ(complete(s).error().code, ShapeErrorCode::kOutputTooSmall);
  EXPECT_EQ(complete(s).error().axis, 1);
}

}  // namespace
}  // namespace convoy::shape
