#include "convoy/kernels/conv/conv_inverted_residual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_reference.h"
#include "convoy/kernels/conv/kernel_check_test.h"
#include "convoy/shape/descriptor.h"

namespace convoy::kernels {
namespace {

using kernel_check::GuardedFloats;
using kernel_check::Random;

struct Case {
  int64_t batch, channels, expanded, results, height, width, kernel, stride, pad, squeezed = 0;
  // Of the first layer.
  int64_t first_kernel = 1, first_stride = 1, first_pad_begin = 0, first_pad_end = 0;
  bool shortcut = false;
};

InvertedResidualShape shape_of(const Case& c) {
  InvertedResidualShape s;
  s.expand.batch = s.depthwise.batch = s.project.batch = c.batch;
  s.expand.in_channels = c.channels;
  s.expand.out_channels = s.depthwise.in_channels = s.depthwise.out_channels = s.depthwise.groups = s.project.in_channels =
      c.expanded;
  s.project.out_channels = c.results;
  s.expand.input = {1, c.height, c.width};
  for (size_t a : {1, 2}) {
    s.expand.axes[a] = {
        .kernel_size = c.first_kernel, .stride = c.first_stride, .pad_begin = c.first_pad_begin, .pad_end = c.first_pad_end};
    s.depthwise.axes[a] = {.kernel_size = c.kernel, .stride = c.stride, .pad_begin = c.pad, .pad_end = c.pad};
  }
  s.expand = *shape::complete(s.expand);
  s.depthwise.input = s.expand.output;
  s.depthwise = *shape::complete(s.depthwise);
  s.project.input = s.depthwise.output;
  s.project = *shape::complete(s.project);
  s.squeezed = c.squeezed;
  s.shortcut = c.shortcut;
  s.pairs = true;  // where they are faster and the layer has the channels
  return s;
}

struct Numbers {
  std::vector<float> input, expand, depthwise, project, expand_bias, depthwise_bias, project_bias, residual, squeeze, excite,
      squeeze_bias, excite_bias;

  Numbers(const InvertedResidualShape& s, bool integers) {
    Random random(7);
    const auto draw = [&](int64_t count) { return kernel_check::values(random, count, integers); };
    input = draw(s.expand.input_count());
    expand = draw(s.expand.weight_count());
    depthwise = draw(s.depthwise.weight_count());
    project = draw(s.project.weight_count());
    expand_bias = draw(s.expand.out_channels);
    depthwise_bias = draw(s.expand.out_channels);
    project_bias = draw(s.project.out_channels);
    residual = draw(s.project.output_count());
    squeeze = draw(s.squeezed * s.expand.out_channels);
    excite = draw(s.squeezed * s.expand.out_channels);
    squeeze_bias = draw(s.squeezed);
    excite_bias = draw(s.expand.out_channels);
  }
  // A row for each expanded channel.
  std::vector<float> table(const InvertedResidualShape& s) const {
    const int64_t terms = s.expand.in_channels * s.expand.taps(), expanded = s.expand.out_channels, taps = s.depthwise.taps();
    std::vector<float> rows;
    for (int64_t e = 0; e < expanded; ++e) {
      rows.insert(rows.end(), expand.begin() + e * terms, expand.begin() + (e + 1) * terms);
      rows.insert(rows.end(), depthwise.begin() + e * taps, depthwise.begin() + (e + 1) * taps);
      for (int64_t o = 0; o < s.project.out_channels; ++o) rows.push_back(project[static_cast<size_t>(o * expanded + e)]);
      for (int64_t i = 0; i < s.squeezed; ++i) rows.push_back(squeeze[static_cast<size_t>(i * expanded + e)]);
      for (int64_t i = 0; i < s.squeezed; ++i) rows.push_back(excite[static_cast<size_t>(e * s.squeezed + i)]);
    }
    return rows;
  }
};

struct Follows {
  Activation expand, depthwise;
  bool biased, residual;
};

// In double, layer by layer.
std::vector<double> reference(const InvertedResidualShape& s, const Numbers& n, const Follows& f) {
  const auto wide = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
  const auto layer = [&](const ConvShape& shape, const std::vector<double>& input, const std::vector<float>& weight,
                         const std::vector<float>& bias, const Epilogue<double>& epilogue) {
    const std::vector<double> w = wide(weight), b = wide(bias);
    std::vector<double> output(static_cast<size_t>(shape.output_count()));
    conv_reference(shape, ConvForward<double>{input.data(), w.data(), f.biased ? b.data() : nullptr, output.data()});
    apply_epilogue(epilogue, output.data(), shape.output_count(), 0);
    return output;
  };
  Epilogue<double> expand, depthwise, project;
  expand.activation = f.expand;
  depthwise.activation = f.depthwise;
  const std::vector<double> residual = wide(n.residual);
  if (f.residual) project.residual = residual.data();
  const auto expanded = layer(s.expand, wide(n.input), n.expand, n.expand_bias, expand);
  if (s.shortcut) project.residual = expanded.data();
  std::vector<double> middle = layer(s.depthwise, expanded, n.depthwise, n.depthwise_bias, depthwise);
  const int64_t channels = s.expand.out_channels, map = s.depthwise.output_positions();
  for (int64_t sample = 0; sample < s.expand.batch && s.squeezed > 0; ++sample) {
    double* const planes = middle.data() + sample * channels * map;
    std::vector<double> squeezed(static_cast<size_t>(s.squeezed));
    for (int64_t i = 0; i < s.squeezed; ++i) {
      double& sum = squeezed[static_cast<size_t>(i)] = f.biased ? n.squeeze_bias[static_cast<size_t>(i)] : 0.0;
      for (int64_t c = 0; c < channels; ++c) {
        const double mean = std::accumulate(planes + c * map, planes + (c + 1) * map, 0.0) / static_cast<double>(map);
        sum += mean * n.squeeze[static_cast<size_t>(i * channels + c)];
      }
      sum = std::max(sum, 0.0);
    }
    for (int64_t c = 0; c < channels; ++c) {
      double gate = f.biased ? n.excite_bias[static_cast<size_t>(c)] : 0.0;
      for (int64_t i = 0; i < s.squeezed; ++i) {
        gate += squeezed[static_cast<size_t>(i)] * n.excite[static_cast<size_t>(c * s.squeezed + i)];
      }
      for (int64_t i = 0; i < map; ++i) planes[c * map + i] *= std::clamp(gate / 6 + 0.5, 0.0, 1.0);
    }
  }
  return layer(s.project, middle, n.project, n.project_bias, project);
}

std::vector<float> run(const InvertedResidualShape& s, const Numbers& n, const Follows& f, int threads, bool at_end) {
  set_num_threads(threads);
  const auto guarded = [&](const std::vector<float>& from) {
    auto to = std::make_unique<GuardedFloats>(from.size(), at_end);
    std::copy(from.begin(), from.end(), to->data());
    return to;
  };
  const auto input = guarded(n.input), residual = guarded(n.residual), expand_bias = guarded(n.expand_bias),
             depthwise_bias = guarded(n.depthwise_bias), project_bias = guarded(n.project_bias),
             squeeze_bias = guarded(n.squeeze_bias), excite_bias = guarded(n.excite_bias);
  const int64_t packed_floats = inverted_residual_packed_floats(s);
  Workspace packed_memory(static_cast<size_t>(packed_floats) * sizeof(float) + 64);
  auto* const packed = packed_memory.take<float>(packed_floats);
  inverted_residual_pack(s, n.table(s).data(), packed);
  GuardedFloats output(static_cast<size_t>(s.project.output_count()), at_end);
  std::fill_n(output.data(), s.project.output_count(), -77.0f);
  Workspace workspace(inverted_residual_workspace_bytes(s, threads));
  std::memset(workspace.take<float>(static_cast<int64_t>(workspace.bytes() / sizeof(float))), 0xff, workspace.bytes());  // NaNs
  workspace.clear();
  InvertedResidualEpilogues epilogues;
  epilogues.expand.activation = f.expand;
  epilogues.depthwise.activation = f.depthwise;
  if (f.residual && !s.shortcut) epilogues.project.residual = residual->data();
  epilogues.squeeze.activation = Activation::kRelu;
  epilogues.gate.activation = Activation::kHardsigmoid;
  const auto bias = [&](const auto& of) { return f.biased ? of->data() : nullptr; };
  inverted_residual(s,
                    {input->data(), packed, bias(expand_bias), bias(depthwise_bias), bias(project_bias), output.data(),
                     bias(squeeze_bias), bias(excite_bias)},
                    epilogues, workspace);
  set_num_threads(0);
  return {output.data(), output.data() + s.project.output_count()};
}

const Case kCases[] = {
    {1, 16, 64, 24, 14, 14, 3, 1, 1},
    {2, 9, 70, 37, 15, 17, 3, 2, 1},
    {1, 20, 300, 8, 7, 7, 5, 1, 2},
    {3, 5, 24, 40, 9, 7, 3, 1, 1},
    {1, 3, 17, 1, 21, 30, 5, 2, 2},
    {1, 4, 550, 72, 8, 9, 3, 1, 0},
    {2, 3, 1100, 16, 7, 7, 3, 1, 1},
    {1, 1, 1, 1, 5, 16, 3, 2, 1},
    {1, 5, 66, 6, 2, 9, 5, 1, 2},
    {1, 16, 64, 24, 14, 14, 3, 1, 1, 10},
    {2, 9, 70, 37, 15, 17, 3, 2, 1, 5},
    {1, 20, 300, 8, 7, 7, 5, 1, 2, 1},
    {2, 3, 1100, 16, 7, 7, 3, 1, 1, 33},
    {1, 2, 20, 3, 40, 30, 3, 1, 1, 2},
    {1, 4, 200, 24, 66, 64, 3, 2, 1},  // from here on by rows
    {2, 4, 136, 25, 39, 38, 3, 1, 1},
    {1, 4, 200, 40, 33, 31, 5, 1, 2},
    {1, 3, 40, 9, 146, 144, 5, 2, 1},
    {1, 5, 300, 33, 25, 27, 3, 1, 2},
    // wide rows, in blocks of one vector
    {1, 3, 50, 9, 20, 60, 3, 1, 1, 4},
    {2, 5, 90, 33, 12, 58, 5, 2, 2},
    // windows in the first layer
    {1, 3, 32, 16, 36, 70, 3, 1, 1, 0, 3, 2, 1, 1},
    {2, 3, 20, 11, 25, 39, 3, 2, 1, 0, 3, 2, 0, 2},
    {1, 2, 70, 9, 19, 17, 5, 1, 2, 0, 3, 1, 2, 0},
    {1, 4, 37, 40, 22, 33, 3, 1, 1, 6, 5, 2, 4, 1},
    {1, 1, 5, 3, 30, 31, 3, 1, 0, 0, 2, 2, 0, 0},
    {1, 3, 12, 7, 15, 16, 3, 1, 1, 0, 1, 2, 0, 0},
    {1, 3, 40, 16, 200, 150, 3, 1, 1, 0, 3, 2, 1, 1},
    {2, 3, 8, 8, 21, 33, 3, 1, 1, 0, 3, 2, 1, 1, true},
    {1, 3, 16, 16, 36, 70, 5, 1, 2, 0, 3, 2, 1, 1, true},
    {1, 9, 13, 13, 9, 11, 3, 1, 1, 0, 1, 1, 0, 0, true},
    {1, 2, 16, 16, 180, 150, 3, 1, 1, 0, 3, 1, 1, 1, true},
    // By pairs: rows in panels, two rows a panel, and one left over.
    {1, 30, 70, 20, 7, 7, 3, 1, 1},
    {2, 24, 100, 26, 14, 14, 5, 1, 2},
    {1, 40, 96, 24, 9, 13, 3, 2, 1, 10},
    {1, 26, 40, 9, 57, 56, 3, 1, 1},
    {2, 32, 200, 70, 28, 28, 3, 1, 1},
    {1, 64, 200, 64, 11, 7, 5, 1, 2, 16},
    {1, 25, 600, 12, 28, 29, 3, 1, 1},
    {1, 35, 120, 40, 15, 15, 5, 2, 2},
    // The projection, too: of one and several chains, with rest of blocks, in rows, with gates.
    {1, 8, 600, 64, 7, 7, 3, 1, 1},
    {2, 32, 104, 70, 14, 15, 5, 1, 2},
    {1, 9, 120, 80, 14, 14, 3, 2, 1, 6},
    {1, 20, 530, 90, 30, 29, 3, 1, 1},
    {1, 40, 1100, 130, 9, 7, 5, 1, 2, 12},
};

// Plain C++ runs one layer after the other.
bool runs() { return refuse_inverted_residual(shape_of(kCases[0])) == nullptr; }

TEST(InvertedResidual, IsCloseToTheReferenceAndTheSameForAnyThreads) {
  if (!runs()) GTEST_SKIP() << refuse_inverted_residual(shape_of(kCases[0]));
  for (const Case& c : kCases) {
    const InvertedResidualShape s = shape_of(c);
    SCOPED_TRACE(kernel_check::describe(s.expand) + " -> " + kernel_check::describe(s.depthwise));
    if (s.shortcut && refuse_inverted_residual(s) != nullptr) continue;  // short vectors
    ASSERT_EQ(refuse_inverted_residual(s), nullptr);
    for (const bool integers : {true, false}) {
      if (integers && c.squeezed > 0) continue;  // means are none
      const Numbers n(s, integers);
      for (const Follows& f : {Follows{Activation::kRelu, Activation::kRelu6, true, true},
                               Follows{Activation::kRelu6, Activation::kRelu, false, false},
                               Follows{Activation::kHardswish, Activation::kSilu, true, false}}) {
        if (integers == (f.expand == Activation::kHardswish) || (integers && f.biased != (c.batch == 1))) continue;
        const std::vector<double> want = reference(s, n, f);
        const std::vector<float> got = run(s, n, f, 1, true);
        double largest = 0;
        for (const double v : want) largest = std::max(largest, std::abs(v));
        for (size_t i = 0; i < want.size(); ++i) {
          if (integers) {
            ASSERT_EQ(got[i], static_cast<float>(want[i])) << i;
          } else {
            ASSERT_NEAR(got[i], want[i], 4e-6 * largest) << i;
          }
        }
        for (const int threads : {2, 3, 8}) {
          const std::vector<float> other = run(s, n, f, threads, threads == 2);
          ASSERT_EQ(0, std::memcmp(got.data(), other.data(), got.size() * sizeof(float))) << threads << " threads";
        }
      }
    }
  }
}

TEST(InvertedResidual, ASampleHasTheSameBitsAloneAndInABatch) {
  if (!runs()) GTEST_SKIP() << refuse_inverted_residual(shape_of(kCases[0]));
  for (const Case& c : kCases) {
    if (c.batch == 1) continue;
    const InvertedResidualShape s = shape_of(c);
    if (s.shortcut && refuse_inverted_residual(s) != nullptr) continue;
    Case alone = c;
    alone.batch = 1;
    const InvertedResidualShape one = shape_of(alone);
    const Numbers n(s, false);
    const Follows f{Activation::kRelu6, Activation::kHardswish, true, false};
    const std::vector<float> all = run(s, n, f, 2, true);
    for (int64_t i = 0; i < c.batch; ++i) {
      Numbers sample = n;
      const auto count = one.expand.input_count();
      sample.input.assign(n.input.begin() + i * count, n.input.begin() + (i + 1) * count);
      const std::vector<float> single = run(one, sample, f, 1, false);
      ASSERT_EQ(0, std::memcmp(single.data(), all.data() + static_cast<size_t>(i) * single.size(), single.size() * sizeof(float)));
    }
  }
}

TEST(InvertedResidual, SaysWhatItCannotDo) {
  const InvertedResidualShape good = shape_of({1, 8, 16, 8, 9, 9, 3, 1, 1});
  InvertedResidualShape s = good;
  s.expand.groups = 2;
  const char* const first = "needs a layer without groups and dilation and of a stride of 1 or 2 in front of the depthwise layer";
  EXPECT_STREQ(refuse_inverted_residual(s), first);
  EXPECT_STREQ(refuse_inverted_residual(shape_of({1, 3, 16, 8, 40, 40, 3, 1, 1, 0, 3, 3, 1, 1})), first);
  EXPECT_STREQ(refuse_inverted_residual(shape_of({1, 3, 16, 8, 40, 40, 3, 1, 1, 0, 3, 1, 3, 1})), first);
  s = good;
  s.project.groups = 2;
  EXPECT_STREQ(refuse_inverted_residual(s), "needs a 1x1 layer of stride 1 behind the depthwise layer");
  s = good;
  s.depthwise.groups = 8;
  EXPECT_STREQ(refuse_inverted_residual(s), "needs one input and one result channel per group");
  s = good;
  s.project.in_channels = 15;
  EXPECT_STREQ(refuse_inverted_residual(s), "needs layers that fit");
  EXPECT_STREQ(refuse_inverted_residual(shape_of({1, 8, 16, 8, 9, 9, 7, 1, 3})), "needs kernels of 3x3 or 5x5");
  EXPECT_STREQ(refuse_inverted_residual(shape_of({1, 8, 16, 8, 30, 30, 3, 3, 1})), "needs a stride of 1 or 2 and no dilation");
  EXPECT_STREQ(refuse_inverted_residual(shape_of({1, 8, 16, 8, 9, 6, 3, 1, 1})), "the rows are too short");
  const char* const shortcut =
      "needs as many channels and positions in front of a shortcut as behind it, and no squeeze-and-excitation";
  EXPECT_STREQ(refuse_inverted_residual(shape_of({1, 8, 4, 3, 9, 9, 3, 1, 1, 0, 1, 1, 0, 0, true})), shortcut);
  EXPECT_STREQ(refuse_inverted_residual(shape_of({1, 8, 4, 4, 9, 9, 3, 1, 0, 0, 1, 1, 0, 0, true})), shortcut);
  EXPECT_STREQ(refuse_inverted_residual(shape_of({1, 8, 4, 4, 9, 9, 3, 1, 1, 2, 1, 1, 0, 0, true})), shortcut);
  if (!runs()) return;
  EXPECT_NE(refuse_inverted_residual(shape_of({1, 8, 99, 99, 9, 9, 3, 1, 1, 0, 1, 1, 0, 0, true})), nullptr);
}

}  // namespace
}  // namespace convoy::kernels
