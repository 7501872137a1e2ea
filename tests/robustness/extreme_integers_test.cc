// Every integer argument of every function at the ends of int64_t: the call is refused with one of the engine's errors or, where
// the value is legal, answered; at once, without a trap, a wrapped number or a huge allocation.
#include <gtest/gtest.h>

#include <ctime>
#include <functional>
#include <limits>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/pool.h"
#include "convoy/ops/conv.h"
#include "convoy/ops/loss.h"
#include "convoy/ops/norm.h"
#include "convoy/ops/pad.h"
#include "convoy/ops/pool.h"
#include "convoy/ops/rearrange.h"
#include "convoy/ops/reduce.h"
#include "tests/robustness/refusal.h"

namespace convoy::robustness {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kExtremes[] = {kMin, kMin + 1, -(int64_t{1} << 62), -1, 0, int64_t{1} << 62, kMax - 1, kMax};

using Values = std::vector<int64_t>;

struct Row {
  const char* call;
  Values legal;
  std::function<void(const Values&)> run;
};

/// A list whose first entry is the value, as the others are 1.
IntList list(int64_t value) { return {value, 1}; }

std::vector<Row> rows() {
  const Tensor x = ones({1, 4, 6, 6}), w = ones({4, 4, 2, 2}), columns = ones({1, 16, 25}), y = ones({1, 4, 3, 3});
  const Tensor at = indices({1, 4, 3, 3});
  return {
      {"conv2d stride padding dilation groups",
       {1, 0, 1, 1},
       [=](const Values& v) {
         ops::conv2d(x, w, {}, {.stride = list(v[0]), .padding = IntList{v[1], 0}, .dilation = list(v[2]), .groups = v[3]});
       }},
      {"conv2d pad_begin pad_end",
       {0, 0},
       [=](const Values& v) {
         ops::conv2d(x, w, {}, {.padding = {{v[0], v[1]}, {0, 0}}});
       }},
      {"conv rank", {2}, [=](const Values& v) { ops::conv(static_cast<int>(v[0]), x, w); }},
      {"conv_shape sizes",
       {1, 4, 6, 6, 4, 4, 2, 2},
       [=](const Values& v) {
         ops::conv_shape(2, {v[0], v[1], v[2], v[3]}, {v[4], v[5], v[6], v[7]});
       }},
      {"conv_transpose2d stride padding output_padding groups dilation",
       {1, 0, 0, 1, 1},
       [=](const Values& v) {
         ops::conv_transpose2d(x, w, {},
                               {.stride = list(v[0]),
                                .padding = IntList{v[1], 0},
                                .output_padding = IntList{v[2], 0},
                                .groups = v[3],
                                .dilation = list(v[4])});
       }},
      {"conv_transpose2d output_size",
       {7, 7},
       [=](const Values& v) {
         ops::conv_transpose2d(x, w, {}, {.output_size = {v[0], v[1]}});
       }},
      {"conv_transpose_shape sizes",
       {1, 4, 6, 6, 4, 4, 2, 2},
       [=](const Values& v) {
         ops::conv_transpose_shape(2, {v[0], v[1], v[2], v[3]}, {v[4], v[5], v[6], v[7]});
       }},
      {"max_pool kernel_size stride padding dilation",
       {2, 1, 0, 1},
       [=](const Values& v) {
         ops::max_pool(2, x, {.kernel_size = list(v[0]), .stride = list(v[1]), .padding = {v[2], 0}, .dilation = list(v[3])});
       }},
      {"max_pool ceil_mode",
       {2, 1, 0, 1},
       [=](const Values& v) {
         ops::max_pool(
             2, x,
             {.kernel_size = list(v[0]), .stride = list(v[1]), .padding = {v[2], 0}, .dilation = list(v[3]), .ceil_mode = true});
       }},
      {"max_pool1d",
       {2, 1, 0, 1},
       [=](const Values& v) {
         ops::max_pool(1, ones({1, 4, 6}),
                       {.kernel_size = v[0], .stride = v[1], .padding = v[2], .dilation = v[3], .ceil_mode = true});
       }},
      {"avg_pool kernel_size stride padding divisor_override",
       {2, 1, 0, 1},
       [=](const Values& v) {
         ops::avg_pool(
             2, x,
             {.kernel_size = list(v[0]), .stride = list(v[1]), .padding = {v[2], 0}, .ceil_mode = true, .divisor_override = v[3]});
       }},
      {"avg_pool3d",
       {2, 1, 0},
       [=](const Values& v) {
         ops::avg_pool(3, ones({1, 4, 4, 4, 4}), {.kernel_size = v[0], .stride = v[1], .padding = v[2], .ceil_mode = true});
       }},
      {"adaptive_avg_pool",
       {2, 2},
       [=](const Values& v) {
         ops::adaptive_avg_pool(2, x, {v[0], v[1]});
       }},
      {"adaptive_max_pool",
       {2, 2},
       [=](const Values& v) {
         ops::adaptive_max_pool(2, x, {v[0], v[1]});
       }},
      {"max_unpool",
       {2, 2, 0},
       [=](const Values& v) {
         ops::max_unpool(2, y, at, {.kernel_size = list(v[0]), .stride = list(v[1]), .padding = {v[2], 0}});
       }},
      {"max_unpool output_size",
       {6, 6},
       [=](const Values& v) {
         ops::max_unpool(2, y, at, {.kernel_size = 2}, {v[0], v[1]});
       }},
      {"lp_pool", {2, 2}, [=](const Values& v) { ops::lp_pool(2, x, 2, list(v[0]), list(v[1]), true); }},
      {"max_pool_backward input_shape",
       {1, 4, 6, 6},
       [=](const Values& v) {
         ops::max_pool_backward(2, y, at, {v[0], v[1], v[2], v[3]});
       }},
      {"avg_pool_backward input_shape",
       {1, 4, 6, 6},
       [=](const Values& v) {
         ops::avg_pool_backward(2, y, {v[0], v[1], v[2], v[3]}, {.kernel_size = 2});
       }},
      {"adaptive_avg_pool_backward input_shape",
       {1, 4, 6, 6},
       [=](const Values& v) {
         ops::adaptive_avg_pool_backward(2, y, {v[0], v[1], v[2], v[3]});
       }},
      {"pad constant", {0, 1, 1, 0}, [=](const Values& v) { ops::pad(x, v); }},
      {"pad reflect", {0, 1, 1, 0}, [=](const Values& v) { ops::pad(x, v, PadMode::kReflect); }},
      {"pad replicate", {0, 1, 1, 0}, [=](const Values& v) { ops::pad(x, v, PadMode::kReplicate); }},
      {"pad circular", {0, 1, 1, 0}, [=](const Values& v) { ops::pad(x, v, PadMode::kCircular); }},
      {"pad_backward",
       {1, 4, 6, 6, 0, 0},
       [=](const Values& v) {
         ops::pad_backward(x, {v[0], v[1], v[2], v[3]}, {v[4], v[5]});
       }},
      {"unfold",
       {2, 1, 0, 1},
       [=](const Values& v) {
         ops::unfold(x, {.kernel_size = list(v[0]), .dilation = list(v[1]), .padding = {v[2], 0}, .stride = list(v[3])});
       }},
      {"fold",
       {6, 6, 2, 1, 0, 1},
       [=](const Values& v) {
         ops::fold(columns, {v[0], v[1]},
                   {.kernel_size = {v[2], 2}, .dilation = list(v[3]), .padding = {v[4], 0}, .stride = list(v[5])});
       }},
      {"pixel_shuffle", {2}, [=](const Values& v) { ops::pixel_shuffle(x, v[0]); }},
      {"pixel_unshuffle", {2}, [=](const Values& v) { ops::pixel_unshuffle(x, v[0]); }},
      {"interpolate nearest", {3, 3}, [=](const Values& v) { ops::interpolate(x, {.size = v}); }},
      {"interpolate bicubic",
       {3, 3},
       [=](const Values& v) { ops::interpolate(x, {.size = v, .mode = InterpolateMode::kBicubic, .align_corners = true}); }},
      {"interpolate_backward",
       {1, 4, 6, 6, 3, 3},
       [=](const Values& v) {
         ops::interpolate_backward(y, {v[0], v[1], v[2], v[3]}, {.size = {v[4], v[5]}, .mode = InterpolateMode::kBilinear});
       }},
      {"group_norm", {2}, [=](const Values& v) { ops::group_norm(x, v[0], {}, {}); }},
      {"layer_norm", {6, 6}, [=](const Values& v) { ops::layer_norm(x, v, {}, {}); }},
      {"softmax", {1}, [=](const Values& v) { ops::softmax(x, v[0]); }},
      {"log_softmax", {1}, [=](const Values& v) { ops::log_softmax(x, v[0]); }},
      {"sum", {1}, [=](const Values& v) { ops::sum(x, v); }},
      {"mean", {1, 2}, [=](const Values& v) { ops::mean(x, v, true); }},
      {"argmax", {1}, [=](const Values& v) { ops::argmax(x, v[0]); }},
      {"concat",
       {1},
       [=](const Values& v) {
         ops::concat({x, x}, v[0]);
       }},
      {"narrow", {1, 0, 2}, [=](const Values& v) { ops::narrow(x, v[0], v[1], v[2]); }},
      {"flatten", {1, 2}, [=](const Values& v) { ops::flatten(x, v[0], v[1]); }},
      {"permute", {0, 1, 2, 3}, [=](const Values& v) { ops::permute(x, v); }},
      {"expand", {2, 4, 6, 6}, [=](const Values& v) { ops::expand(x, v); }},
      {"nll_loss ignore_index",
       {0},
       [=](const Values& v) {
         ops::nll_loss(ones({3, 4}), indices({3}, 1), {.ignore_index = v[0]});
       }},
      {"Tensor::zeros", {2, 3}, [=](const Values& v) { Tensor::zeros(v); }},
      {"Tensor::reshape", {2, 72}, [=](const Values& v) { (void)x.reshape(v); }},
      {"Tensor::slice", {0, 1}, [=](const Values& v) { (void)x.slice(v[0], v[1]); }},
      {"Tensor::select", {0}, [=](const Values& v) { (void)x.select(v[0]); }},
      {"Tensor::size", {0}, [=](const Values& v) { (void)x.size(v[0]); }},
      {"set_num_threads", {1}, [=](const Values& v) { set_num_threads(static_cast<int>(v[0])); }},
      {"nn::Conv2d",
       {2, 2, 3, 1, 0, 1, 1},
       [=](const Values& v) {
         nn::Conv2d({.in_channels = v[0],
                     .out_channels = v[1],
                     .kernel_size = {v[2], 1},
                     .stride = list(v[3]),
                     .padding = IntList{v[4], 0},
                     .dilation = list(v[5]),
                     .groups = v[6]});
       }},
      {"nn::ConvTranspose2d",
       {2, 2, 3, 1},
       [=](const Values& v) {
         nn::ConvTranspose2d({.in_channels = v[0], .out_channels = v[1], .kernel_size = {v[2], 1}, .groups = v[3]});
       }},
      {"nn::Linear", {2, 3}, [=](const Values& v) { nn::Linear({.in_features = v[0], .out_features = v[1]}); }},
      {"nn::BatchNorm2d", {2}, [=](const Values& v) { nn::BatchNorm2d({.num_features = v[0]}); }},
      {"nn::GroupNorm", {2, 4}, [=](const Values& v) { nn::GroupNorm({.num_groups = v[0], .num_channels = v[1]}); }},
      {"nn::LayerNorm", {4}, [=](const Values& v) { nn::LayerNorm({.normalized_shape = v}); }},
      {"nn::MaxPool2d",
       {2, 2, 0, 1},
       [=](const Values& v) { nn::MaxPool2d({.kernel_size = v[0], .stride = v[1], .padding = v[2], .dilation = v[3]})(x); }},
  };
}

TEST(ExtremeIntegers, AreRefusedOrAnswered) {
  for (const Row& row : rows()) {
    const Refusal legal = refusal([&] {
      row.run(row.legal);
      return 0;
    });
    EXPECT_FALSE(legal.refused) << row.call << " with legal values: " << legal.reason;
    for (size_t position = 0; position < row.legal.size(); ++position) {
      for (const int64_t extreme : kExtremes) {
        SCOPED_TRACE(testing::Message() << row.call << ", argument " << position << " is " << extreme);
        Values values = row.legal;
        values[position] = extreme;
        const std::clock_t start = std::clock();
        const Refusal said = refusal([&] {
          row.run(values);
          return 0;
        });
        EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 1.0);
        if (said.refused) {
          EXPECT_FALSE(said.reason.empty());
        }
      }
    }
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace convoy::robustness
