// What every result pixel gives back through every tap is conv_pointwise's gradient, with a channel for each tap of an input
// channel: some images at a time into memory that stays in the cache, then every value is added to where its tap reads. With one
// tap and a stride values have a place each. Batch 8, 256 -> 512 channels on 56x56, stride 2: 9 ms, by phases of the stride
// (conv_im2col, conv_direct) 14. With more taps it is for few input channels, which leave conv_direct's lanes empty, and for
// strides beyond the kernel: 1 -> 128 channels, 3x3x3 at a stride of 2 on 8x8x8, 8 samples: 0.36 -> 0.05 ms.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_pointwise_spread.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_pointwise_spread.h"

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_pointwise.h"
#include "convoy/shape/taps.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// to[i * step] = from[i] + bias, bias between and behind up to `size`.
HWY_ATTR void SpreadRow(const float* HWY_RESTRICT from, int64_t count, int64_t step, float bias, float* HWY_RESTRICT to,
                        int64_t size) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto between = hn::Set(d, bias);
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  if (step == 2) {
    for (; i + lanes <= count && 2 * (i + lanes) <= size; i += lanes) {
      hn::StoreInterleaved2(hn::Add(hn::LoadU(d, from + i), between), between, d, to + 2 * i);
    }
  }
#endif
  int64_t at = i * step;
  const int64_t begin = at;
  for (; at + lanes <= size; at += lanes) hn::StoreU(between, d, to + at);
  for (; at < size; ++at) to[at] = bias;
  for (at = begin; i < count; ++i, at += step) to[at] = from[i] + bias;
}

// to[i * step] += from[i].
HWY_INLINE void AddRow(const float* HWY_RESTRICT from, int64_t count, int64_t step, float* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  if (step == 1) {
    for (; i + lanes <= count; i += lanes) hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
  }
  for (; i < count; ++i) to[i * step] += from[i];
}

// A plane of the gradient: the bias, and every tap's values[tap][result pixel].
HWY_ATTR void AddTaps(const ConvShape& s, const float* values, float bias, float* plane) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const int64_t positions = s.input_positions();
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t at = 0;
  for (; at + lanes <= positions; at += lanes) hn::StoreU(hn::Set(d, bias), d, plane + at);
  for (; at < positions; ++at) plane[at] = bias;
  const auto outputs = [&](size_t a, int64_t k) { return shape::valid_outputs(k, s.input[a], s.output[a], s.axes[a]); };
  const int64_t pixels = s.output_positions();
  for (int64_t kd = 0; kd < s.axes[0].kernel_size; ++kd) {
    for (int64_t kh = 0; kh < s.axes[1].kernel_size; ++kh) {
      for (int64_t kw = 0; kw < s.axes[2].kernel_size; ++kw, values += pixels) {
        const shape::Range od = outputs(0, kd), oh = outputs(1, kh), ow = outputs(2, kw);
        for (int64_t o = od.begin; o < od.end; ++o) {
          for (int64_t h = oh.begin; h < oh.end; ++h) {
            const int64_t row = shape::input_index(o, kd, s.axes[0]) * s.input[1] + shape::input_index(h, kh, s.axes[1]);
            AddRow(values + (o * s.output[1] + h) * s.output[2] + ow.begin, ow.size(), s.axes[2].stride,
                   plane + row * s.input[2] + shape::input_index(ow.begin, kw, s.axes[2]));
          }
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(SpreadRow);
HWY_EXPORT(AddTaps);

namespace {

constexpr int64_t kCompactBytes = int64_t{2} << 20;  // of the images that are computed before they are spread
constexpr int64_t kMostChannels = 256;               // with several taps
constexpr int64_t kMostBytes = int64_t{4} << 20;     // of a single one

// The layer on result pixels, with an input channel for every tap.
ConvShape compact(const ConvShape& s) {
  ConvShape c = s;
  c.in_channels = s.in_channels * s.taps();
  c.input = s.output;
  for (shape::Axis& axis : c.axes) axis = shape::Axis{};
  return c;
}

int64_t image_floats(const ConvShape& s) { return s.in_channels * s.taps() * s.output_positions(); }

int64_t images_at_once(const ConvShape& s) {
  const int64_t most = kCompactBytes / static_cast<int64_t>(sizeof(float)) / std::max<int64_t>(image_floats(s), 1);
  return std::clamp<int64_t>(most, 1, std::max<int64_t>(s.batch, 1));
}

ConvShape chunk_of(const ConvShape& s, int64_t images) {
  ConvShape c = compact(s);
  c.batch = images;
  return c;
}

const char* refuse(const ConvShape& s) {
  if (s.output_positions() == 0 || s.input_positions() == 0 || s.in_channels == 0 || s.out_channels == 0)
    return "nothing to compute";
  if (s.taps() == 1) {
    if (s.input == s.output) return "needs a stride: without one nothing is spread";
    for (size_t a = 0; a < 3; ++a) {
      if (s.axes[a].pad_begin != 0 || (s.output[a] - 1) * s.axes[a].stride >= s.input[a]) return "needs no padding";
    }
  } else if (s.in_channels_per_group() > kMostChannels) {
    return "needs few input channels per group, or one tap";
  }
  // In double: the count might overflow.
  const double floats =
      static_cast<double>(s.in_channels) * static_cast<double>(s.taps()) * static_cast<double>(s.output_positions());
  if (floats * sizeof(float) > static_cast<double>(kMostBytes)) return "what an image's pixels give back takes more than 4 MB";
  return kConvPointwiseGradInput.refuse(compact(s));
}

double seconds(const ConvShape& s, const Machine& m) {
  const double values = static_cast<double>(s.input_count()), rows = values / static_cast<double>(s.input[2]);
  const double computed = static_cast<double>(s.batch * image_floats(s));
  if (s.taps() == 1) {
    return 2e-6 + kConvPointwiseGradInput.seconds(compact(s), m) + (values * 0.08e-9 + rows * 8e-9 + computed * 0.3e-9) / m.threads;
  }
  const double runs = computed / static_cast<double>(s.output[2]);
  const double added = computed * (s.axes[2].stride == 1 ? 0.7e-9 : 1.0e-9) + runs * 4e-9 + values * 0.08e-9;
  return 2e-6 + kConvPointwiseGradInput.seconds(compact(s), m) + added / m.threads;
}

// Of the chunks, the last one may be smaller: what its cut needs can be more or less.
size_t inner_bytes(const ConvShape& s, int threads) {
  const int64_t images = images_at_once(s), rest = s.batch % images;
  const size_t whole = kConvPointwiseGradInput.workspace_bytes(chunk_of(s, images), threads);
  return rest == 0 ? whole : std::max(whole, kConvPointwiseGradInput.workspace_bytes(chunk_of(s, rest), threads));
}

size_t workspace_bytes(const ConvShape& s, int threads) {
  return padded_bytes(static_cast<size_t>(images_at_once(s) * image_floats(s)) * sizeof(float)) + inner_bytes(s, threads);
}

void grad_input(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  const SplitEpilogue epilogue(io.epilogue);
  const int64_t images = images_at_once(s), map = s.output_positions(), plane = s.input_positions();
  float* const values = workspace.take<float>(images * image_floats(s));
  const size_t taken = workspace.taken();
  for (int64_t first = 0; first < s.batch; first += images) {
    const ConvShape chunk = chunk_of(s, std::min(images, s.batch - first));
    workspace.rewind(taken);
    kConvPointwiseGradInput.grad_input(
        chunk, {io.grad_output + first * s.out_channels * map, io.weight, nullptr, values, {}, io.packed}, workspace);
    parallel_for(chunk.batch * s.in_channels, [&](int64_t task) {
      const float bias = io.bias != nullptr ? io.bias[task % s.in_channels] : 0.0f;
      const int64_t at = (first * s.in_channels + task) * plane;
      const float* from = values + task * s.taps() * map;
      float* to = io.grad_input + at;
      if (s.taps() > 1) {
        HWY_DYNAMIC_DISPATCH(AddTaps)(s, from, bias, to);
        return epilogue.apply(to, plane, at);
      }
      for (int64_t d = 0; d < s.input[0]; ++d) {
        const bool slice = d % s.axes[0].stride == 0 && d / s.axes[0].stride < s.output[0];
        for (int64_t h = 0; h < s.input[1]; ++h, to += s.input[2]) {
          const bool row = slice && h % s.axes[1].stride == 0 && h / s.axes[1].stride < s.output[1];
          HWY_DYNAMIC_DISPATCH(SpreadRow)(from, row ? s.output[2] : 0, s.axes[2].stride, bias, to, s.input[2]);
          if (row) from += s.output[2];
        }
      }
      epilogue.apply(io.grad_input + at, plane, at);
    });
  }
}

}  // namespace

const ConvKernel kConvPointwiseSpreadGradInput{
    .name = "conv_pointwise_spread",
    .direction = Direction::kGradInput,
    .refuse = refuse,
    .seconds = seconds,
    .workspace_bytes = workspace_bytes,
    .packed_bytes = [](const ConvShape& s) { return kConvPointwiseGradInput.packed_bytes(compact(s)); },
    .pack = [](const ConvShape& s, const float* weight,
               float* packed) { kConvPointwiseGradInput.pack(compact(s), weight, packed); },
    .pack_seconds = [](const ConvShape& s, const Machine& m) { return kConvPointwiseGradInput.pack_seconds(compact(s), m); },
    .grad_input = grad_input};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
