#include "convoy/plan/conv_plan.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/plan/machine.h"
#include "convoy/plan/measure.h"

namespace convoy::plan {
namespace {

shape::ConvShape layer(int64_t in, int64_t out, int64_t groups, int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
  shape::ConvShape s;
  s.in_channels = in;
  s.out_channels = out;
  s.groups = groups;
  for (size_t a = 1; a < 3; ++a) {
    s.input[a] = size;
    s.axes[a] = {kernel, stride, 1, padding, padding};
  }
  return *shape::complete(s);
}

bool runs_on(const char* simd) { return std::string_view(simd_name()) == simd; }
// Where vectors are short, a nominal core multiplies a quarter as fast beside the same memory: what multiplies less wins more
// often.
bool wide_vectors() { return runs_on("AVX-512") || runs_on("AVX2"); }

TEST(ConvPlan, ChoosesByShape) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "most algorithms need vectors";
  EXPECT_STREQ(ConvPlan(layer(64, 64, 1, 56, 3, 1, 1), Direction::kForward).name(), "conv_winograd_f4");
  EXPECT_STREQ(ConvPlan(layer(3, 64, 1, 224, 7, 2, 3), Direction::kForward).name(), "conv_winograd_stride2");
  EXPECT_STREQ(ConvPlan(layer(64, 64, 1, 56, 3, 1, 1), Direction::kGradWeight).name(), "conv_winograd_f4");
  EXPECT_STREQ(ConvPlan(layer(3, 64, 1, 224, 7, 2, 3), Direction::kGradWeight).name(), "conv_grad_weight");
  EXPECT_STREQ(ConvPlan(layer(512, 512, 1, 7, 3, 1, 1), Direction::kGradWeight).name(), "conv_winograd_f2");
  // Where a core adds beside its multiplications, pairs of products take the 1x1 layers.
  const bool pairs = kernels::nominal_machine().adds_beside;
  const char *const many_rows = pairs ? "conv_paired" : "conv_strassen", *const few_channels =
                                                                             pairs ? "conv_paired" : "conv_pointwise";
  const char* const gradient = pairs ? "conv_paired" : "conv_grad_weight";
  EXPECT_STREQ(ConvPlan(layer(24, 144, 1, 56, 1, 1, 0), Direction::kGradWeight).name(), gradient);
  EXPECT_STREQ(ConvPlan(layer(64, 256, 1, 56, 1, 1, 0), Direction::kGradWeight).name(), gradient);
  EXPECT_STREQ(ConvPlan(layer(1024, 256, 1, 14, 1, 1, 0), Direction::kGradWeight).name(), gradient);
  EXPECT_STREQ(ConvPlan(layer(256, 512, 1, 56, 1, 2, 0), Direction::kGradWeight).name(), gradient);
  EXPECT_STREQ(ConvPlan(layer(32, 16, 1, 112, 1, 1, 0), Direction::kGradWeight).name(), "conv_grad_weight");
  EXPECT_STREQ(ConvPlan(layer(512, 2048, 1, 7, 1, 1, 0), Direction::kGradWeight).name(), gradient);
  EXPECT_STREQ(ConvPlan(layer(512, 2048, 1, 5, 1, 1, 0), Direction::kGradWeight).name(), "conv_grad_weight");  // few terms
  const char* const few_rows = wide_vectors() ? few_channels : "conv_strassen";
  EXPECT_STREQ(ConvPlan(layer(256, 64, 1, 56, 1, 1, 0), Direction::kForward).name(), few_rows);
  EXPECT_STREQ(ConvPlan(layer(64, 256, 1, 56, 1, 1, 0), Direction::kGradInput).name(), few_rows);
  EXPECT_STREQ(ConvPlan(layer(64, 256, 1, 56, 1, 1, 0), Direction::kForward).name(), few_channels);
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{1024, 256}, {256, 1024}}) {
    EXPECT_STREQ(ConvPlan(layer(in, out, 1, 14, 1, 1, 0), Direction::kForward).name(), many_rows);
    const ConvPlan strict(layer(in, out, 1, 14, 1, 1, 0), Direction::kForward, {.accuracy = Accuracy::kStrict});
    EXPECT_STREQ(strict.name(), "conv_pointwise");
  }
  EXPECT_STREQ(ConvPlan(layer(128, 256, 1, 56, 1, 1, 0), Direction::kForward).name(), many_rows);
  EXPECT_STREQ(ConvPlan(layer(512, 1024, 1, 28, 1, 2, 0), Direction::kForward).name(), many_rows);
  if (pairs) {
    for (const auto& patches : {layer(3, 96, 1, 224, 4, 4, 0), layer(192, 384, 1, 28, 2, 2, 0), layer(3, 192, 1, 224, 16, 16, 0)}) {
      EXPECT_STREQ(ConvPlan(patches, Direction::kForward).name(), "conv_paired");
    }
    EXPECT_STREQ(ConvPlan(layer(512, 512, 1, 5, 1, 1, 0), Direction::kForward).name(), "conv_paired");
    for (const auto& spread : {layer(64, 128, 1, 256, 2, 2, 0), layer(256, 512, 1, 56, 2, 2, 0), layer(3, 96, 1, 224, 4, 4, 0)}) {
      EXPECT_STREQ(ConvPlan(spread, Direction::kGradInput).name(), "conv_paired_spread");
    }
  }
  EXPECT_STREQ(ConvPlan(layer(144, 144, 144, 56, 3, 1, 1), Direction::kForward).name(), "conv_depthwise");
  EXPECT_STREQ(ConvPlan(layer(96, 96, 96, 112, 3, 2, 1), Direction::kGradInput).name(),
               runs_on("AVX2") ? "conv_depthwise_channels" : "conv_depthwise_stride2");
  EXPECT_STREQ(ConvPlan(layer(256, 512, 1, 56, 1, 2, 0), Direction::kGradInput).name(),
               pairs ? "conv_paired_spread" : "conv_pointwise_spread");
  EXPECT_STREQ(ConvPlan(layer(144, 144, 144, 56, 3, 1, 1), Direction::kGradWeight).name(),
               runs_on("AVX-512") ? "conv_depthwise" : "conv_depthwise_channels");
  EXPECT_STREQ(ConvPlan(layer(960, 960, 960, 7, 3, 2, 1), Direction::kGradWeight).name(), "conv_depthwise_channels");
}

TEST(ConvPlan, LinearLayersTakeWhatMultipliesManySamplesTogether) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "most algorithms need vectors";
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{96, 384}, {384, 96}, {512, 1000}, {64, 10}, {384, 1536}, {768, 3072}}) {
    const std::string name = ConvPlan(layer(in, out, 1, 1, 1, 1, 0), Direction::kForward).name();
    EXPECT_EQ(name, in * out < (512 << 10) ? "conv_pointwise" : "conv_weight24") << in << " to " << out;
  }
}

TEST(ConvPlan, ChoosesAmongFewAlgorithmsWithoutVectors) {
  if (kernels::has_vectors()) GTEST_SKIP() << "there are vectors";
  for (const Direction direction : {Direction::kForward, Direction::kGradInput, Direction::kGradWeight}) {
    for (const auto& s : {layer(64, 64, 1, 56, 3, 1, 1), layer(256, 64, 1, 56, 1, 1, 0), layer(64, 64, 8, 56, 3, 1, 1)}) {
      EXPECT_STREQ(ConvPlan(s, direction).name(), "conv_im2col");
    }
    EXPECT_STREQ(ConvPlan(layer(144, 144, 144, 56, 3, 1, 1), direction).name(), "conv_depthwise_channels");
    const ConvPlan plan(layer(64, 64, 1, 56, 3, 1, 1), direction);
    for (const ConvCandidate& candidate : plan.candidates()) {
      const std::string_view name = candidate.kernel->name;
      if (name.starts_with("conv_winograd") || name == "conv_direct" || name == "conv_grad_weight") {
        EXPECT_EQ(candidate.rejected, "needs vectors");
      }
    }
  }
}

// Asked to measure, a plan takes the fastest of what it ran, and the process keeps to that.
TEST(ConvPlan, MeasuresIfAsked) {
  const auto s = layer(24, 8, 1, 20, 3, 1, 1);
  for (const Direction direction : {Direction::kForward, Direction::kGradInput, Direction::kGradWeight}) {
    ConvPlanOptions options;
    options.measured = true;
    const ConvPlan plan(s, direction, options), again(s, direction, options);
    double least = 1;
    const char* fastest = "";
    size_t measured = 0;
    for (size_t i = 0; i < plan.candidates().size(); ++i) {
      const ConvCandidate& candidate = plan.candidates()[i];
      EXPECT_EQ(candidate.measured, again.candidates()[i].measured);
      if (candidate.measured == 0) continue;
      EXPECT_EQ(candidate.rejected, "");
      ++measured;
      if (candidate.measured >= least) continue;
      least = candidate.measured;
      fastest = candidate.kernel->name;
    }
    EXPECT_GT(measured, runs_on("scalar") ? 0u : 1u);
    EXPECT_STREQ(plan.name(), fastest);
    const ConvPlan by_rule(s, direction);
    for (const ConvCandidate& candidate : by_rule.candidates()) EXPECT_EQ(candidate.measured, 0);
    options.algorithm = "conv_reference";
    EXPECT_STREQ(ConvPlan(s, direction, options).name(), "conv_reference");
    options.accuracy = Accuracy::kStrict;
    options.algorithm = "";
    EXPECT_EQ(std::string(ConvPlan(s, direction, options).name()).find("winograd"), std::string::npos);
  }
}

TEST(ConvPlan, AForkedChildMayMeasure) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    ConvPlanOptions options;
    options.measured = true;
    for (int64_t size = 4; !stop && size < 64; ++size) (void)ConvPlan(layer(8, 8, 1, size, 3, 1, 1), Direction::kForward, options);
  });
  for (int64_t i = 0; i < 5; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      ConvPlanOptions options;
      options.measured = true;
      (void)ConvPlan(layer(4, 4, 1, 4 + i, 1, 1, 0), Direction::kForward, options);
      _exit(0);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  stop = true;
  busy.join();
}

// Small maps of many channels read more weight than they multiply: F(2,3)'s is less than half of F(4,3)'s.
TEST(ConvPlan, ChoosesTheWinogradSchemeByMapAndKernel) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "most algorithms need vectors";
  for (const Direction direction : {Direction::kForward, Direction::kGradInput}) {
    EXPECT_STREQ(ConvPlan(layer(128, 128, 1, 28, 3, 1, 1), direction).name(), "conv_winograd_f4");
    EXPECT_STREQ(ConvPlan(layer(512, 512, 1, 28, 3, 1, 1), direction).name(), "conv_winograd_f4");
    EXPECT_STREQ(ConvPlan(layer(512, 512, 1, 7, 3, 1, 1), direction).name(),
                 wide_vectors() ? "conv_winograd_f2" : "conv_winograd_f4");
    EXPECT_STREQ(ConvPlan(layer(64, 64, 1, 28, 5, 1, 2), direction).name(), "conv_winograd_f5");
    EXPECT_STREQ(ConvPlan(layer(64, 128, 1, 32, 4, 2, 1), direction).name(), "conv_winograd_stride2");
    EXPECT_STREQ(ConvPlan(layer(192, 192, 1, 32, 5, 2, 2), direction).name(), "conv_winograd_stride2");
    EXPECT_STREQ(ConvPlan(layer(256, 512, 1, 16, 4, 2, 1), direction).name(), "conv_winograd_stride2");
    EXPECT_STREQ(ConvPlan(layer(512, 1024, 1, 8, 4, 2, 1), direction).name(), "conv_direct");  // its weight is a quarter
    EXPECT_STREQ(ConvPlan(layer(64, 64, 1, 56, 2, 1, 0), direction).name(), "conv_winograd_f3");
    shape::ConvShape dilated;
    dilated.rank = 1;
    dilated.in_channels = dilated.out_channels = 128;
    dilated.input[2] = 16000;
    dilated.axes[2] = {2, 1, 512, 512, 512};
    EXPECT_STREQ(ConvPlan(*shape::complete(dilated), direction).name(), "conv_winograd_f3");
    const ConvPlan strict(layer(128, 128, 1, 28, 3, 1, 1), direction, {.accuracy = Accuracy::kStrict});
    EXPECT_EQ(std::string(strict.name()).find("winograd"), std::string::npos);
  }
}

// Of a strided 3x3 kernel half of F(3,2)'s products are left, unless the map is small or the weight large.
TEST(ConvPlan, TakesWinogradForStridedKernelsOfThree) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "most algorithms need vectors";
  const auto name = [](const shape::ConvShape& s, Direction direction) { return std::string(ConvPlan(s, direction).name()); };
  EXPECT_EQ(name(layer(128, 128, 1, 56, 3, 2, 1), Direction::kForward), "conv_winograd_stride2");
  EXPECT_EQ(name(layer(128, 256, 1, 28, 3, 2, 1), Direction::kForward), "conv_winograd_stride2");
  if (wide_vectors()) {
    EXPECT_EQ(name(layer(512, 512, 1, 28, 3, 2, 1), Direction::kForward),
              runs_on("AVX2") ? "conv_direct" : "conv_winograd_stride2");
    EXPECT_EQ(name(layer(512, 512, 1, 14, 3, 2, 1), Direction::kForward), "conv_direct");
  }
  EXPECT_EQ(name(layer(128, 128, 1, 14, 3, 2, 1), Direction::kForward), "conv_direct");
  EXPECT_EQ(name(layer(128, 128, 1, 56, 3, 2, 1), Direction::kGradInput), "conv_winograd_stride2");
  EXPECT_NE(name(layer(128, 64, 1, 56, 3, 2, 1), Direction::kGradInput), "conv_winograd_stride2");  // rounding errors
}

// A training step packs its weights in every call, and shares that between the samples of a batch.
TEST(ConvPlan, ChoosesForTraining) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "most algorithms need vectors";
  const auto name = [](const shape::ConvShape& s, bool training) {
    return std::string(ConvPlan(s, Direction::kForward, {.packed = false, .training = training}).name());
  };
  for (const auto& s : {layer(512, 512, 1, 7, 3, 1, 1), layer(256, 256, 1, 14, 3, 1, 1)}) {
    EXPECT_EQ(name(s, true), "conv_winograd_f4");
    shape::ConvShape batch = s;
    batch.batch = 64;
    EXPECT_EQ(name(batch, true), name(s, true));
    EXPECT_EQ(name(batch, false), name(s, false));
  }
  EXPECT_NE(name(layer(512, 512, 1, 7, 3, 1, 1), false), "conv_winograd_f4");
}

TEST(ConvPlan, SaysWhyAnAlgorithmWasRejected) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "most algorithms need vectors";
  const ConvPlan plan(layer(64, 64, 1, 56, 3, 1, 1), Direction::kForward);
  ASSERT_GE(plan.candidates().size(), 3u);
  bool found = false;
  for (const ConvCandidate& candidate : plan.candidates()) {
    if (std::string_view(candidate.kernel->name) != "conv_depthwise") continue;
    found = true;
    EXPECT_EQ(candidate.rejected, "needs one input channel per group");
  }
  EXPECT_TRUE(found);
}

TEST(ConvPlan, IgnoresBatchAndThreads) {
  for (const Direction direction : {Direction::kForward, Direction::kGradInput}) {
    shape::ConvShape s = layer(8, 8, 8, 20, 3, 1, 1);
    const std::string alone = ConvPlan(s, direction).name();
    s.batch = 64;
    set_num_threads(7);
    EXPECT_EQ(alone, ConvPlan(s, direction).name());
    set_num_threads(0);
  }
}

TEST(ConvPlan, TakesTheAlgorithmAskedFor) {
  const shape::ConvShape s = layer(3, 8, 1, 9, 3, 1, 1);
  EXPECT_STREQ(ConvPlan(s, Direction::kForward, {.algorithm = "conv_reference"}).name(), "conv_reference");
  EXPECT_THROW(ConvPlan(s, Direction::kForward, {.algorithm = "conv_depthwise"}), ValueError);
  EXPECT_THROW(ConvPlan(s, Direction::kForward, {.algorithm = "nothing"}), ValueError);
}

TEST(Measure, CountsTransposedLayersByTheirInput) {
  shape::ConvShape s = layer(3, 8, 1, 5, 2, 2, 0);
  s.transposed = true;
  s = *shape::complete(s);
  EXPECT_EQ(multiply_adds(s), 3 * 8 * 25 * 4);
  const Measurement m = measure_conv(s, Direction::kForward, {.seconds = 0.001});
  EXPECT_EQ(m.plan.direction(), Direction::kGradInput);
  EXPECT_GE(m.runs, 5);
  EXPECT_GT(m.min_seconds, 0);
  EXPECT_LE(m.min_seconds, m.median_seconds);
  EXPECT_GT(m.peak_flops, 0);
}

}  // namespace
}  // namespace convoy::plan
