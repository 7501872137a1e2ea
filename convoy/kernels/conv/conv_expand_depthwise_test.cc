#include "convoy/kernels/conv/conv_expand_depthwise.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_depthwise.h"
#include "convoy/kernels/conv/conv_pointwise.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

std::vector<float> numbers(int64_t count, unsigned seed) {
  std::mt19937 rng(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = std::normal_distribution<float>()(rng);
  return values;
}

struct Aligned {
  explicit Aligned(int64_t count)
      : workspace(static_cast<size_t>(count + 16) * sizeof(float)), data(workspace.take<float>(count)) {}
  Workspace workspace;
  float* data;
};

// One after the other, with what lies between in memory.
std::vector<float> separately(const ExpandDepthwiseShape& s, const ExpandDepthwiseArrays& io, const Epilogue<float>& between,
                              const Epilogue<float>& after) {
  std::vector<float> expanded(static_cast<size_t>(s.expand.output_count())),
      output(static_cast<size_t>(s.depthwise.output_count()));
  Workspace first(kConvPointwiseForward.workspace_bytes(s.expand, num_threads()) + 64);
  kConvPointwiseForward.forward(s.expand, {io.input, nullptr, io.bias, expanded.data(), between, io.packed}, first);
  Workspace second(kConvDepthwiseForward.workspace_bytes(s.depthwise, num_threads()) + 64);
  kConvDepthwiseForward.forward(s.depthwise, {expanded.data(), io.depthwise_weight, io.depthwise_bias, output.data(), after},
                                second);
  return output;
}

class ExpandDepthwise : public kernel_check::NeedsVectors {};

TEST_F(ExpandDepthwise, HasTheBitsOfBothLayers) {
  struct Case {
    int64_t batch, channels, expanded, height, width, kernel, stride, pad, dilation;
  };
  for (const Case& c : {Case{1, 16, 96, 30, 31, 3, 2, 1, 1},
                        {2, 24, 40, 14, 14, 3, 1, 1, 1},
                        {1, 9, 70, 7, 7, 5, 1, 2, 1},
                        {3, 300, 33, 7, 7, 3, 2, 1, 1},
                        {1, 3, 17, 112, 112, 3, 1, 0, 1},
                        {1, 12, 24, 1, 20, 3, 1, 1, 1},
                        {2, 16, 50, 85, 90, 3, 2, 1, 1},  // by rows, as are the next three
                        {1, 40, 21, 50, 60, 5, 3, 2, 1},
                        {1, 12, 30, 99, 101, 2, 2, 0, 1},
                        {1, 30, 17, 150, 29, 3, 3, 3, 1},
                        {1, 8, 8, 45, 9, 7, 3, 3, 1},
                        {2, 5, 6, 3, 5, 5, 1, 4, 1},
                        {1, 20, 30, 40, 40, 3, 1, 2, 2},
                        {1, 16, 64, 128, 128, 3, 2, 1, 1},  // planes that fall into the same sets of the cache
                        {2, 40, 120, 32, 32, 5, 2, 1, 2}}) {
    SCOPED_TRACE(testing::Message() << c.channels << " -> " << c.expanded << " at " << c.height << "x" << c.width << " k"
                                    << c.kernel << " s" << c.stride);
    ExpandDepthwiseShape s;
    s.expand.batch = s.depthwise.batch = c.batch;
    s.expand.in_channels = c.channels;
    s.expand.out_channels = s.depthwise.in_channels = s.depthwise.out_channels = s.depthwise.groups = c.expanded;
    s.expand.input = s.depthwise.input = {1, c.height, c.width};
    for (size_t a : {1, 2}) {
      s.depthwise.axes[a] = {
          .kernel_size = c.kernel, .stride = c.stride, .dilation = c.dilation, .pad_begin = c.pad, .pad_end = c.pad};
    }
    s.expand = *shape::complete(s.expand);
    s.depthwise = *shape::complete(s.depthwise);
    if (const char* why = refuse_expand_depthwise(s)) {
      EXPECT_GT(c.dilation, 1) << why;
      continue;
    }
    const auto input = numbers(s.expand.input_count(), 1), weight = numbers(s.expand.weight_count(), 2),
               bias = numbers(c.expanded, 3), depthwise = numbers(s.depthwise.weight_count(), 4),
               depthwise_bias = numbers(c.expanded, 5);
    Aligned packed(static_cast<int64_t>(kConvPointwiseForward.packed_bytes(s.expand) / sizeof(float)));
    kConvPointwiseForward.pack(s.expand, weight.data(), packed.data);
    for (const bool biased : {true, false}) {
      for (const Activation activation : {Activation::kRelu6, Activation::kHardswish}) {
        std::vector<float> output(static_cast<size_t>(s.depthwise.output_count()));
        const ExpandDepthwiseArrays io{
            input.data(), packed.data, biased ? bias.data() : nullptr, depthwise.data(), biased ? depthwise_bias.data() : nullptr,
            output.data()};
        Epilogue<float> between, after;
        between.activation = activation;
        if (biased) after.activation = activation;
        for (const int threads : {1, 2, 5}) {
          set_num_threads(threads);
          const std::vector<float> want = separately(s, io, between, after);
          std::fill(output.begin(), output.end(), -77.0f);
          Workspace workspace(expand_depthwise_workspace_bytes(s, threads));
          expand_depthwise(s, io, between, after, workspace);
          ASSERT_EQ(0, std::memcmp(want.data(), output.data(), want.size() * sizeof(float))) << threads << " threads";
        }
        set_num_threads(0);
      }
    }
  }
}

TEST_F(ExpandDepthwise, SaysWhatItCannotDo) {
  ExpandDepthwiseShape s;
  s.expand = *shape::parse_descriptor("ic8 oc16 i9 k1");
  s.depthwise = *shape::parse_descriptor("ic16 oc16 g8 i9 k3 p1");
  EXPECT_STREQ(refuse_expand_depthwise(s), "needs one input and one result channel per group");
  s.depthwise = *shape::parse_descriptor("ic16 oc16 g16 i9 k3 p1");
  EXPECT_EQ(refuse_expand_depthwise(s), nullptr);
  s.expand = *shape::parse_descriptor("ic8 oc16 i9 k3 p1");
  EXPECT_STREQ(refuse_expand_depthwise(s), "needs a kernel of one tap, or of the stride's size");
  s.expand = *shape::parse_descriptor("ic1 oc16 i880 k1");
  s.depthwise = *shape::parse_descriptor("ic16 oc16 g16 i880 k3 p1");
  EXPECT_STREQ(refuse_expand_depthwise(s), "the planes of a tile are too large");
}

}  // namespace
}  // namespace convoy::kernels
