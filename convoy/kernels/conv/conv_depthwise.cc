// A band of input rows is copied into the cache with its padding around it; after that no loop asks where the border is. Lanes are
// output columns. The input gradient is the same correlation of the output's gradient, spread out by the stride, with the kernel
// flipped.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_depthwise.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise.h"

#include <algorithm>
#include <cstdlib>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_BAND
#define CONVOY_KERNELS_CONV_DEPTHWISE_BAND
namespace convoy::kernels::depthwise {

constexpr int64_t kBandFloats = 24 << 10;  // 96 KiB of padded rows: well inside L2, rows of a band in L1
constexpr int64_t kLanes = 16;             // the most lanes of any target: slack behind every row

// A correlation over planes: out[o] = sum over k of w[k] in[o * step + k * dilation - pad], where the plane `in` is the stored one
// with spread - 1 zeros between neighbours.
struct Correlation {
  shape::Spatial stored{1, 1, 1};  // sizes of the stored plane
  shape::Spatial spread{1, 1, 1};
  shape::Spatial output{1, 1, 1};
  shape::Spatial kernel{1, 1, 1};
  shape::Spatial step{1, 1, 1};
  shape::Spatial dilation{1, 1, 1};
  shape::Spatial pad{0, 0, 0};

  int64_t span(int a) const { return (kernel[a] - 1) * dilation[a] + 1; }
  int64_t columns() const { return (output[2] - 1) * step[2] + span(2); }
  // Floats of one padded row; the slack lets whole vectors be read at the right end.
  int64_t row_floats() const { return (columns() + kLanes * step[2] + kLanes - 1) / kLanes * kLanes; }
  int64_t input_rows(int64_t output_rows) const { return (output_rows - 1) * step[1] + span(1); }
  // Output rows of a band: as many as fit, at least one.
  int64_t band_rows() const {
    const int64_t row = row_floats() * kernel[0];
    const int64_t rows = kBandFloats / std::max<int64_t>(row, 1) - span(1);
    return std::clamp<int64_t>(rows / step[1] + 1, 1, std::max<int64_t>(output[1], 1));
  }
  int64_t band_floats() const { return kernel[0] * input_rows(band_rows()) * row_floats(); }
};

inline Correlation forward(const ConvShape& s) {
  Correlation c;
  c.stored = s.input;
  c.output = s.output;
  for (int a = 0; a < 3; ++a) {
    c.kernel[a] = s.axes[a].kernel_size;
    c.step[a] = s.axes[a].stride;
    c.dilation[a] = s.axes[a].dilation;
    c.pad[a] = s.axes[a].pad_begin;
  }
  return c;
}

inline Correlation grad_input(const ConvShape& s) {
  Correlation c;
  c.stored = s.output;
  c.output = s.input;
  for (int a = 0; a < 3; ++a) {
    c.kernel[a] = s.axes[a].kernel_size;
    c.spread[a] = s.axes[a].stride;
    c.dilation[a] = s.axes[a].dilation;
    c.pad[a] = s.axes[a].dilation * (s.axes[a].kernel_size - 1) - s.axes[a].pad_begin;
  }
  return c;
}

// Fills the band for output rows [oh, oh + rows) of slice od: [kd][input row][row_floats].
inline void fill_band(const Correlation& c, const float* plane, int64_t od, int64_t oh, int64_t rows, float* band) {
  const int64_t row_floats = c.row_floats(), in_rows = c.input_rows(rows), columns = c.columns();
  for (int64_t kd = 0; kd < c.kernel[0]; ++kd) {
    const int64_t d = od * c.step[0] + kd * c.dilation[0] - c.pad[0];
    const bool inside_d = d >= 0 && d % c.spread[0] == 0 && d / c.spread[0] < c.stored[0];
    for (int64_t r = 0; r < in_rows; ++r) {
      float* to = band + (kd * in_rows + r) * row_floats;
      const int64_t h = oh * c.step[1] + r - c.pad[1];
      if (!inside_d || h < 0 || h % c.spread[1] != 0 || h / c.spread[1] >= c.stored[1]) {
        std::fill(to, to + row_floats, 0.0f);
        continue;
      }
      const float* from = plane + (d / c.spread[0] * c.stored[1] + h / c.spread[1]) * c.stored[2];
      if (c.spread[2] == 1) {
        const int64_t begin = std::clamp<int64_t>(c.pad[2], 0, columns), end = std::clamp(c.stored[2] + c.pad[2], begin, columns);
        std::fill(to, to + begin, 0.0f);
        std::copy(from + begin - c.pad[2], from + end - c.pad[2], to + begin);
        std::fill(to + end, to + row_floats, 0.0f);
      } else {
        std::fill(to, to + row_floats, 0.0f);
        for (int64_t i = 0; i < c.stored[2]; ++i) {
          const int64_t at = i * c.spread[2] + c.pad[2];
          if (at >= 0 && at < columns) to[at] = from[i];
        }
      }
    }
  }
}

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_BAND

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using depthwise::Correlation;

// `step` apart values from p.
template <class D>
HWY_INLINE hn::Vec<D> LoadStrided(D d, const float* p, int64_t step) {
  if (step == 1) return hn::LoadU(d, p);
#if HWY_TARGET != HWY_SCALAR
  if (step == 2) return hn::ConcatEven(d, hn::LoadU(d, p + hn::Lanes(d)), hn::LoadU(d, p));
#endif
  HWY_ALIGN float lanes[64];
  for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = p[static_cast<int64_t>(i) * step];
  return hn::Load(d, lanes);
}

// Taps that one chain of sums may hold; a larger kernel is summed row by row, since a long chain drifts.
constexpr int64_t kChain = 64;

// One band: out[row][ow] (+)= sum over taps.
HWY_INLINE void CorrelateBand(const Correlation& c, const float* band, int64_t rows, const float* weight, float start,
                              bool accumulate, float* out) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), row_floats = c.row_floats(), in_rows = c.input_rows(rows);
  const int64_t width = c.output[2], step = c.step[2];
  const bool row_by_row = c.kernel[0] * c.kernel[1] * c.kernel[2] > kChain;
  for (int64_t r = 0; r < rows; ++r) {
    float* to = out + r * width;
    for (int64_t w = 0; w < width; w += lanes) {
      const int64_t count = std::min(lanes, width - w);
      const auto mask = hn::FirstN(d, static_cast<size_t>(count));
      auto sum = accumulate ? hn::MaskedLoad(mask, d, to + w) : hn::Set(d, start);
      auto rows_sum = hn::Zero(d);
      const float* tap = weight;
      for (int64_t kd = 0; kd < c.kernel[0]; ++kd) {
        for (int64_t kh = 0; kh < c.kernel[1]; ++kh) {
          const float* from = band + (kd * in_rows + r * c.step[1] + kh * c.dilation[1]) * row_floats + w * step;
          for (int64_t kw = 0; kw < c.kernel[2]; ++kw) {
            sum = hn::MulAdd(hn::Set(d, *tap++), LoadStrided(d, from + kw * c.dilation[2], step), sum);
          }
          if (row_by_row) {
            rows_sum = hn::Add(rows_sum, sum);
            sum = hn::Zero(d);
          }
        }
      }
      const auto result = row_by_row ? rows_sum : sum;
      if (count == lanes) {
        hn::StoreU(result, d, to + w);
      } else {
        hn::BlendedStore(result, mask, d, to + w);
      }
    }
  }
}

HWY_INLINE void CorrelatePlane(const Correlation& c, const float* plane, const float* weight, float start, bool accumulate,
                               float* band, float* out) {
  const int64_t rows_per_band = c.band_rows();
  for (int64_t od = 0; od < c.output[0]; ++od) {
    for (int64_t oh = 0; oh < c.output[1]; oh += rows_per_band) {
      const int64_t rows = std::min(rows_per_band, c.output[1] - oh);
      depthwise::fill_band(c, plane, od, oh, rows, band);
      CorrelateBand(c, band, rows, weight, start, accumulate, out + (od * c.output[1] + oh) * c.output[2]);
    }
  }
}

HWY_ATTR void DepthwiseForward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  const Correlation c = depthwise::forward(s);
  const int64_t multiplier = s.out_channels_per_group(), band_floats = c.band_floats();
  float* const bands = workspace.take<float>(band_floats * num_threads());
  const SplitEpilogue epilogue(io.epilogue);
  parallel_for(s.batch * s.out_channels, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t n = task / s.out_channels, oc = task % s.out_channels;
    CorrelatePlane(c, io.input + (n * s.in_channels + oc / multiplier) * s.input_positions(), io.weight + oc * s.taps(),
                   io.bias != nullptr ? io.bias[oc] : 0.0f, false, bands + thread * band_floats,
                   io.output + task * s.output_positions());
    epilogue.apply(io.output + task * s.output_positions(), s.output_positions(), task * s.output_positions());
  });
}

HWY_ATTR void DepthwiseGradInput(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  const Correlation c = depthwise::grad_input(s);
  const int64_t multiplier = s.out_channels_per_group(), band_floats = c.band_floats(), taps = s.taps();
  float* const flipped = workspace.take<float>(s.weight_count());
  float* const bands = workspace.take<float>(band_floats * num_threads());
  for (int64_t oc = 0; oc < s.out_channels; ++oc) {
    std::reverse_copy(io.weight + oc * taps, io.weight + (oc + 1) * taps, flipped + oc * taps);
  }
  const SplitEpilogue epilogue(io.epilogue);
  parallel_for(s.batch * s.in_channels, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t n = task / s.in_channels, ic = task % s.in_channels;
    for (int64_t m = 0; m < multiplier; ++m) {
      const int64_t oc = ic * multiplier + m;
      CorrelatePlane(c, io.grad_output + (n * s.out_channels + oc) * s.output_positions(), flipped + oc * taps,
                     io.bias != nullptr ? io.bias[ic] : 0.0f, m > 0, bands + thread * band_floats,
                     io.grad_input + task * s.input_positions());
    }
    epilogue.apply(io.grad_input + task * s.input_positions(), s.input_positions(), task * s.input_positions());
  });
}

// Sums of products of the band with rows of grad_output for kC neighbouring taps of one kernel row.
template <int kC>
HWY_INLINE void WeightTaps(const Correlation& c, const float* from, int64_t rows, const float* grad_output, float* sums) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = c.output[2];
  V acc[kC];
  for (int i = 0; i < kC; ++i) acc[i] = hn::Zero(d);
  for (int64_t r = 0; r < rows; ++r) {
    const float* line = from + r * c.step[1] * c.row_floats();
    const float* g = grad_output + r * width;
    for (int64_t w = 0; w < width; w += lanes) {
      const int64_t count = std::min(lanes, width - w);
      const V grad = count == lanes ? hn::LoadU(d, g + w) : hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, g + w);
      for (int i = 0; i < kC; ++i) {
        acc[i] = hn::MulAdd(grad, LoadStrided(d, line + w * c.step[2] + i * c.dilation[2], c.step[2]), acc[i]);
      }
    }
  }
  for (int i = 0; i < kC; ++i) sums[i] += hn::GetLane(hn::SumOfLanes(d, acc[i]));
}

HWY_ATTR void DepthwiseGradWeight(const ConvShape& s, const ConvGradWeight<float>& io, Workspace& workspace) {
  const Correlation c = depthwise::forward(s);
  const int64_t multiplier = s.out_channels_per_group(), band_floats = c.band_floats(), rows_per_band = c.band_rows(),
                taps = s.taps();
  float* const bands = workspace.take<float>(band_floats * num_threads());
  parallel_for(s.out_channels, [&](int64_t oc, int thread) HWY_ATTR {
    float* const band = bands + thread * band_floats;
    float* const sums = io.grad_weight + oc * taps;
    std::fill(sums, sums + taps, 0.0f);
    for (int64_t n = 0; n < s.batch; ++n) {
      const float* plane = io.input + (n * s.in_channels + oc / multiplier) * s.input_positions();
      const float* grad_output = io.grad_output + (n * s.out_channels + oc) * s.output_positions();
      for (int64_t od = 0; od < c.output[0]; ++od) {
        for (int64_t oh = 0; oh < c.output[1]; oh += rows_per_band) {
          const int64_t rows = std::min(rows_per_band, c.output[1] - oh);
          depthwise::fill_band(c, plane, od, oh, rows, band);
          const float* g = grad_output + (od * c.output[1] + oh) * c.output[2];
          for (int64_t k = 0; k < c.kernel[0] * c.kernel[1]; ++k) {
            const int64_t kd = k / c.kernel[1], kh = k % c.kernel[1];
            const float* from = band + (kd * c.input_rows(rows) + kh * c.dilation[1]) * c.row_floats();
            float* at = sums + k * c.kernel[2];
            int64_t kw = 0;
            for (; kw + 5 <= c.kernel[2]; kw += 5) WeightTaps<5>(c, from + kw * c.dilation[2], rows, g, at + kw);
            if (kw + 3 <= c.kernel[2]) {
              WeightTaps<3>(c, from + kw * c.dilation[2], rows, g, at + kw);
              kw += 3;
            }
            for (; kw < c.kernel[2]; ++kw) WeightTaps<1>(c, from + kw * c.dilation[2], rows, g, at + kw);
          }
        }
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(DepthwiseForward);
HWY_EXPORT(DepthwiseGradInput);
HWY_EXPORT(DepthwiseGradWeight);

namespace {

depthwise::Correlation correlation(const ConvShape& s, Direction direction) {
  return direction == Direction::kGradInput ? depthwise::grad_input(s) : depthwise::forward(s);
}

template <Direction kDirection>
const char* refuse(const ConvShape& s) {
  if (s.in_channels_per_group() != 1) return "needs one input channel per group";
  if (s.output_positions() == 0 || s.input_positions() == 0) return "nothing to compute";
  constexpr int64_t kReach = 1 << 20;  // beyond it the sizes of a band might overflow
  for (const shape::Axis& axis : s.axes) {
    if (axis.kernel_size > kReach || axis.stride > kReach || axis.dilation > kReach || std::abs(axis.pad_begin) > kReach)
      return "the kernel reaches too far";
  }
  const depthwise::Correlation c = correlation(s, kDirection);
  if (c.columns() > kReach || c.band_floats() > 16 * depthwise::kBandFloats)
    return "the rows under one kernel do not fit the cache";
  if (kDirection == Direction::kGradInput && s.axes[0].stride * s.axes[1].stride * s.axes[2].stride > 8)
    return "the stride would spread the gradient too thin";
  return nullptr;
}

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  const auto floats = [](int64_t count) { return padded_bytes(static_cast<size_t>(count) * sizeof(float)); };
  return floats(correlation(s, kDirection).band_floats() * threads) +
         (kDirection == Direction::kGradInput ? floats(s.weight_count()) : 0);
}

// One multiply-add on eight lanes a nanosecond, and the copy of the band.
template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  const depthwise::Correlation c = correlation(s, kDirection);
  const double vectors = static_cast<double>(s.batch * s.out_channels) * static_cast<double>(c.output[0] * c.output[1]) *
                         static_cast<double>((c.output[2] + 15) / 16) * static_cast<double>(s.taps());
  const double copied =
      static_cast<double>(s.batch * s.out_channels) * static_cast<double>(c.row_floats() * c.output[0] * c.output[1]);
  return 2e-6 + (vectors * 0.6e-9 * static_cast<double>(std::min<int64_t>(c.step[2], 3)) + copied * 0.1e-9) / m.threads;
}

}  // namespace

const ConvKernel kConvDepthwiseForward{.name = "conv_depthwise",
                                       .direction = Direction::kForward,
                                       .refuse = refuse<Direction::kForward>,
                                       .seconds = seconds<Direction::kForward>,
                                       .workspace_bytes = workspace_bytes<Direction::kForward>,
                                       .forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) {
                                         HWY_DYNAMIC_DISPATCH(DepthwiseForward)(s, io, w);
                                       }};

const ConvKernel kConvDepthwiseGradInput{.name = "conv_depthwise",
                                         .direction = Direction::kGradInput,
                                         .refuse = refuse<Direction::kGradInput>,
                                         .seconds = seconds<Direction::kGradInput>,
                                         .workspace_bytes = workspace_bytes<Direction::kGradInput>,
                                         .grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
                                           HWY_DYNAMIC_DISPATCH(DepthwiseGradInput)(s, io, w);
                                         }};

const ConvKernel kConvDepthwiseGradWeight{.name = "conv_depthwise",
                                          .direction = Direction::kGradWeight,
                                          .refuse = refuse<Direction::kGradWeight>,
                                          .seconds = seconds<Direction::kGradWeight>,
                                          .workspace_bytes = workspace_bytes<Direction::kGradWeight>,
                                          .grad_weight = [](const ConvShape& s, const ConvGradWeight<float>& io, Workspace& w) {
                                            HWY_DYNAMIC_DISPATCH(DepthwiseGradWeight)(s, io, w);
                                          }};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
