// forward:    output[oc][pixel] = dot(weight[oc], patch[pixel]), the patch being what the pixel reads, in the weight's order
//             (channel, tap); lanes run along both
// grad_input: patch[pixel] = sum over oc of weight[oc] grad_output[oc][pixel], lanes along the patch, which is then added to where
//             the pixel reads
//
// With few pixels nearly all of the time goes into reading the weight, so it is read in its own order and nothing is packed: in
// training packing took longer than all else, and packed weights of a network fill lanes with zeros. A register tile of weight rows
// and pixels has one sum a lane for each of their pairs, added up at the end.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_few_pixels.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_few_pixels.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/masked-inl.h"

#include <algorithm>
#include <array>

#include "convoy/core/parallel.h"
#include "convoy/shape/taps.h"

#ifndef CONVOY_KERNELS_CONV_FEW_PIXELS_PLAN
#define CONVOY_KERNELS_CONV_FEW_PIXELS_PLAN
namespace convoy::kernels::few_pixels {

constexpr int64_t kMostPositions = 64;       // results of a sample's channel
constexpr int64_t kDepth = 2048;             // products of a chain, 128 a lane
constexpr int64_t kChain = 256;              // and of a gradient's
constexpr int64_t kPatchFloats = 512 << 10;  // of the samples that are computed together: 2 MiB
constexpr int64_t kMostPatchFloats = 4 << 20;
constexpr int64_t kRows = 4;                 // of a register tile
constexpr int64_t kChannelFloats = 4 << 10;  // of a gradient's patch that one task sums, at least
constexpr double kTaskProducts = 200e3;      // some microseconds

// Sizes of a layer, and where its patches lie: [group][pixel][depth], depths apart by `pitch`.
struct Sizes {
  int64_t groups, ins, outs, taps, depth, pitch, positions;

  Sizes(const ConvShape& s, int64_t lanes)
      : groups(s.groups),
        ins(s.in_channels_per_group()),
        outs(s.out_channels_per_group()),
        taps(s.taps()),
        depth(ins * taps),
        pitch((depth + lanes - 1) / lanes * lanes),
        positions(s.output_positions()) {}

  int64_t sample_floats() const { return groups * positions * pitch; }
  int64_t samples(int64_t batch) const {
    return std::clamp<int64_t>(kPatchFloats / std::max<int64_t>(sample_floats(), 1), 1, std::max<int64_t>(batch, 1));
  }
};

// f(tap, input position, count) for the runs of taps through which output position `at` reads one input plane: `count` taps of a
// kernel row, whose inputs lie a dilation apart.
template <class F>
void for_each_run(const ConvShape& s, int64_t at, const F& f) {
  const int64_t ow = at % s.output[2], oh = at / s.output[2] % s.output[1], od = at / s.output[2] / s.output[1];
  const shape::Range d = shape::valid_taps(od, s.input[0], s.axes[0]), h = shape::valid_taps(oh, s.input[1], s.axes[1]),
                     w = shape::valid_taps(ow, s.input[2], s.axes[2]);
  if (w.empty()) return;
  for (int64_t kd = d.begin; kd < d.end; ++kd) {
    for (int64_t kh = h.begin; kh < h.end; ++kh) {
      const int64_t row = shape::input_index(od, kd, s.axes[0]) * s.input[1] + shape::input_index(oh, kh, s.axes[1]);
      f((kd * s.axes[1].kernel_size + kh) * s.axes[2].kernel_size + w.begin,
        row * s.input[2] + shape::input_index(ow, w.begin, s.axes[2]), w.size());
    }
  }
}

}  // namespace convoy::kernels::few_pixels
#endif  // CONVOY_KERNELS_CONV_FEW_PIXELS_PLAN

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using few_pixels::kRows;
using few_pixels::Sizes;
using Lanes = hn::ScalableTag<float>;
using Vector = hn::Vec<Lanes>;

constexpr int64_t kLanes = HWY_LANES(float);
constexpr int kMostPixels = HWY_TARGET == HWY_AVX3 ? 6 : 2;  // of a register tile
constexpr int64_t kPixelGroup = 8 * kMostPixels;             // whose sums wait for more products
constexpr int kStreamed = 4;                                 // rows of the weight that go by together
constexpr int kVectors = HWY_TARGET == HWY_AVX3 ? 4 : 3;     // of a gradient's patch in one

// Of kRows rows and kPixels patches over `depth` products: sums[row][pixel], a vector of partial sums each, is set or added to.
template <int kPixels>
HWY_NOINLINE void Dots(const float* const* rows, const float* patches, int64_t pitch, int64_t depth, bool set, float* sums,
                       int64_t sums_step) {
  const Lanes d;
  Vector sum[kRows][kPixels];
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(6)
    for (int p = 0; p < kPixels; ++p) sum[r][p] = hn::Zero(d);
  }
  const auto add = [&](int64_t k, const auto& load) HWY_ATTR {
    Vector x[kPixels];
    HWY_UNROLL(6)
    for (int p = 0; p < kPixels; ++p) x[p] = hn::LoadU(d, patches + p * pitch + k);
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) {
      const Vector w = load(rows[r] + k);
      HWY_UNROLL(6)
      for (int p = 0; p < kPixels; ++p) sum[r][p] = hn::MulAdd(w, x[p], sum[r][p]);
    }
  };
  int64_t k = 0;
  for (; k + kLanes <= depth; k += kLanes) add(k, [&](const float* at) HWY_ATTR { return hn::LoadU(d, at); });
  if (k < depth) {
    const auto rest = hn::FirstN(d, static_cast<size_t>(depth - k));
    add(k, [&](const float* at) HWY_ATTR { return LoadMasked(rest, d, at); });
  }
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(6)
    for (int p = 0; p < kPixels; ++p) {
      float* const to = sums + (r * sums_step + p) * kLanes;
      hn::StoreU(set ? sum[r][p] : hn::Add(hn::LoadU(d, to), sum[r][p]), d, to);
    }
  }
}

template <int... kPixels>
HWY_INLINE void DotsOf(int64_t pixels, const float* const* rows, const float* patches, int64_t pitch, int64_t depth, bool set,
                       float* sums, int64_t sums_step, std::integer_sequence<int, kPixels...>) {
  static constexpr std::array<decltype(&Dots<1>), sizeof...(kPixels)> kTiles{Dots<kPixels + 1>...};
  kTiles[static_cast<size_t>(pixels - 1)](rows, patches, pitch, depth, set, sums, sums_step);
}

// patches[pixel][k] = sum over outs of weight[out][k] gradient[out][pixel], added to what is there if `add`, for kCount vectors of
// k and kPixels pixels.
template <int kCount, int kPixels>
HWY_NOINLINE void Combine(const float* weight, int64_t weight_step, const float* gradient, int64_t gradient_step, int64_t outs,
                          int64_t last, bool add, float* patches, int64_t pitch) {
  const Lanes d;
  Vector sum[kPixels][kCount];
  HWY_UNROLL(6)
  for (int p = 0; p < kPixels; ++p) {
    HWY_UNROLL(4)
    for (int v = 0; v < kCount; ++v) sum[p][v] = hn::Zero(d);
  }
  const auto mask = hn::FirstN(d, static_cast<size_t>(last));  // lanes of the last vector
  for (int64_t o = 0; o < outs; ++o, weight += weight_step, gradient += gradient_step) {
    Vector w[kCount];
    HWY_UNROLL(4)
    for (int v = 0; v < kCount; ++v) {
      w[v] = v + 1 < kCount ? hn::LoadU(d, weight + v * kLanes) : LoadMasked(mask, d, weight + v * kLanes);
    }
    HWY_UNROLL(6)
    for (int p = 0; p < kPixels; ++p) {
      const Vector g = hn::Set(d, gradient[p]);
      HWY_UNROLL(4)
      for (int v = 0; v < kCount; ++v) sum[p][v] = hn::MulAdd(g, w[v], sum[p][v]);
    }
  }
  HWY_UNROLL(6)
  for (int p = 0; p < kPixels; ++p) {
    HWY_UNROLL(4)
    for (int v = 0; v < kCount; ++v) {
      float* const to = patches + p * pitch + v * kLanes;
      hn::StoreU(add ? hn::Add(hn::LoadU(d, to), sum[p][v]) : sum[p][v], d, to);
    }
  }
}

template <int kCount, int... kPixels>
HWY_INLINE void CombineOf(int64_t pixels, const float* weight, int64_t weight_step, const float* gradient, int64_t gradient_step,
                          int64_t outs, int64_t last, bool add, float* patches, int64_t pitch,
                          std::integer_sequence<int, kPixels...>) {
  static constexpr std::array<decltype(&Combine<kCount, 1>), sizeof...(kPixels)> kTiles{Combine<kCount, kPixels + 1>...};
  kTiles[static_cast<size_t>(pixels - 1)](weight, weight_step, gradient, gradient_step, outs, last, add, patches, pitch);
}

// patches[pixel][k] = sum over outs of weight[out][k] gradient[out][pixel], added to what is there if `add`, for kPixels pixels,
// whose patches stay in the cache while kStreamed rows of the weight go by.
template <int kPixels>
HWY_NOINLINE void Stream(const float* weight, int64_t weight_step, const float* gradient, int64_t gradient_step, int64_t outs,
                         int64_t depth, bool add, float* patches, int64_t pitch) {
  const Lanes d;
  Vector g[kStreamed][kPixels];
  const float* rows[kStreamed];
  HWY_UNROLL(4)
  for (int o = 0; o < kStreamed; ++o) {
    rows[o] = weight + std::min<int64_t>(o, outs - 1) * weight_step;
    HWY_UNROLL(6)
    for (int p = 0; p < kPixels; ++p) g[o][p] = o < outs ? hn::Set(d, gradient[o * gradient_step + p]) : hn::Zero(d);
  }
  const auto step = [&](int64_t k, const auto& load) HWY_ATTR {
    Vector sum[kPixels];
    HWY_UNROLL(6)
    for (int p = 0; p < kPixels; ++p) sum[p] = hn::Zero(d);
    HWY_UNROLL(4)
    for (int o = 0; o < kStreamed; ++o) {
      const Vector w = load(rows[o] + k);
      HWY_UNROLL(6)
      for (int p = 0; p < kPixels; ++p) sum[p] = hn::MulAdd(g[o][p], w, sum[p]);
    }
    HWY_UNROLL(6)
    for (int p = 0; p < kPixels; ++p) {
      float* const to = patches + p * pitch + k;
      hn::StoreU(add ? hn::Add(hn::LoadU(d, to), sum[p]) : sum[p], d, to);
    }
  };
  int64_t k = 0;
  for (; k + kLanes <= depth; k += kLanes) step(k, [&](const float* at) HWY_ATTR { return hn::LoadU(d, at); });
  if (k < depth) {
    const auto rest = hn::FirstN(d, static_cast<size_t>(depth - k));
    step(k, [&](const float* at) HWY_ATTR { return LoadMasked(rest, d, at); });
  }
}

template <int... kPixels>
HWY_INLINE void StreamOf(int64_t pixels, const float* weight, int64_t weight_step, const float* gradient, int64_t gradient_step,
                         int64_t outs, int64_t depth, bool add, float* patches, int64_t pitch,
                         std::integer_sequence<int, kPixels...>) {
  static constexpr std::array<decltype(&Stream<1>), sizeof...(kPixels)> kTiles{Stream<kPixels + 1>...};
  kTiles[static_cast<size_t>(pixels - 1)](weight, weight_step, gradient, gradient_step, outs, depth, add, patches, pitch);
}

// Some rows of the weight of a group against all patches of some samples.
HWY_ATTR void FewPixelsRows(const ConvShape& s, const ConvForward<float>& io, const float* patches, int64_t first_sample,
                            int64_t samples, int64_t group, int64_t begin, int64_t end) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Lanes d;
  const Sizes z(s, kLanes);
  const int64_t pixels = samples * z.positions;
  const float* const weight = io.weight + group * z.outs * z.depth;
  HWY_ALIGN float sums[kRows * kPixelGroup * kLanes];
  for (int64_t row = begin; row < end; row += kRows) {
    const int64_t count = std::min(kRows, end - row);
    for (int64_t first = 0; first < pixels; first += kPixelGroup) {
      const int64_t last = std::min(first + kPixelGroup, pixels);
      for (int64_t k = 0; k < z.depth; k += few_pixels::kDepth) {
        const float* rows[kRows];
        for (int64_t r = 0; r < kRows; ++r) rows[r] = weight + (row + std::min(r, count - 1)) * z.depth + k;
        for (int64_t p = first; p < last; p += kMostPixels) {
          DotsOf(std::min<int64_t>(kMostPixels, last - p), rows, patches + (group * pixels + p) * z.pitch + k, z.pitch,
                 std::min(few_pixels::kDepth, z.depth - k), k == 0, sums + (p - first) * kLanes, kPixelGroup,
                 std::make_integer_sequence<int, kMostPixels>());
        }
      }
      for (int64_t r = 0; r < count; ++r) {
        const float bias = io.bias != nullptr ? io.bias[group * z.outs + row + r] : 0.0f;
        for (int64_t p = first; p < last; ++p) {
          const int64_t sample = first_sample + p / z.positions, at = p % z.positions;
          const Vector sum = hn::Load(d, sums + (r * kPixelGroup + p - first) * kLanes);
          io.output[((sample * z.groups + group) * z.outs + row + r) * z.positions + at] =
              hn::GetLane(hn::SumOfLanes(d, sum)) + bias;
        }
      }
    }
  }
}

// Patches of some samples for input channels [begin, end) of a group: patches[pixel][k - begin taps].
HWY_ATTR void FewPixelsCombine(const ConvShape& s, const float* weight, const float* gradient, int64_t samples, int64_t group,
                               int64_t begin, int64_t end, int64_t pitch, float* patches) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const Sizes z(s, kLanes);
  const int64_t pixels = samples * z.positions, depth = (end - begin) * z.taps;
  const float* const from = weight + group * z.outs * z.depth + begin * z.taps;
  if (z.positions <= kMostPixels) {  // whatever the batch: the order of summation must not depend on it
    for (int64_t o = 0; o < z.outs; o += kStreamed) {
      for (int64_t p = 0; p < pixels; p += kMostPixels) {
        StreamOf(std::min<int64_t>(kMostPixels, pixels - p), from + o * z.depth, z.depth,
                 gradient + (group * z.outs + o) * pixels + p, pixels, std::min<int64_t>(kStreamed, z.outs - o), depth, o > 0,
                 patches + p * pitch, pitch, std::make_integer_sequence<int, kMostPixels>());
      }
    }
    return;
  }
  for (int64_t k = 0; k < depth; k += kVectors * kLanes) {
    const int64_t lanes = std::min(kVectors * kLanes, depth - k), vectors = (lanes + kLanes - 1) / kLanes;
    const int64_t last = lanes - (vectors - 1) * kLanes;
    const auto run = [&](int64_t first, int64_t outs, int64_t p) HWY_ATTR {
      const int64_t width = std::min<int64_t>(kMostPixels, pixels - p);
      const float* const w = from + first * z.depth + k;
      const float* const g = gradient + (group * z.outs + first) * pixels + p;
      float* const to = patches + p * pitch + k;
      constexpr auto kWidths = std::make_integer_sequence<int, kMostPixels>();
      if (vectors == kVectors) return CombineOf<kVectors>(width, w, z.depth, g, pixels, outs, last, first > 0, to, pitch, kWidths);
      for (int64_t v = 0; v < vectors; ++v) {
        CombineOf<1>(width, w + v * kLanes, z.depth, g, pixels, outs, v + 1 == vectors ? last : kLanes, first > 0, to + v * kLanes,
                     pitch, kWidths);
      }
    };
    for (int64_t first = 0; first < z.outs; first += few_pixels::kChain) {
      for (int64_t p = 0; p < pixels; p += kMostPixels) run(first, std::min(few_pixels::kChain, z.outs - first), p);
    }
  }
}

int64_t FewPixelsLanes() { return kLanes; }
int64_t FewPixelsTile() { return kMostPixels; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(FewPixelsRows);
CONVOY_EXPORT(FewPixelsCombine);
CONVOY_EXPORT(FewPixelsLanes);
CONVOY_EXPORT(FewPixelsTile);

namespace {

using few_pixels::Sizes;

Sizes sizes(const ConvShape& s) { return Sizes(s, CONVOY_DISPATCH(FewPixelsLanes)()); }

const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (s.output_positions() == 0 || s.input_positions() == 0 || s.in_channels == 0 || s.out_channels == 0)
    return "nothing to compute";
  if (s.output_positions() > few_pixels::kMostPositions) return "needs few result pixels";
  const double patches =
      static_cast<double>(s.output_positions()) * static_cast<double>(s.in_channels) * static_cast<double>(s.taps());
  if (patches > static_cast<double>(few_pixels::kMostPatchFloats)) return "what the pixels read takes more than 16 MB";
  return nullptr;
}

// A task's share of `count` things, so that it has some microseconds of work.
int64_t share(int64_t count, double products, int64_t step, int threads) {
  const auto tasks = static_cast<int64_t>(std::clamp(products / few_pixels::kTaskProducts, 1.0, 4.0 * threads));
  return std::max<int64_t>(((count + tasks - 1) / tasks + step - 1) / step * step, 1);
}

double products(const ConvShape& s, const Sizes& z, int64_t samples) {
  return static_cast<double>(samples * z.positions) * static_cast<double>(s.weight_count());
}

void forward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  const Sizes z = sizes(s);
  const SplitEpilogue epilogue(io.epilogue);
  const int64_t together = z.samples(s.batch), plane = s.input_positions();
  float* const patches = workspace.take<float>(together * z.sample_floats());
  for (int64_t first = 0; first < s.batch; first += together) {
    const int64_t samples = std::min(together, s.batch - first), pixels = samples * z.positions;
    const int64_t grain = share(z.groups * pixels, 4.0 * static_cast<double>(samples * z.sample_floats()), 1, num_threads());
    parallel_ranges(z.groups * pixels, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t group = i / pixels, sample = first + i % pixels / z.positions;
        const float* const from = io.input + (sample * s.in_channels + group * z.ins) * plane;
        float* const to = patches + i * z.pitch;
        std::fill(to, to + z.pitch, 0.0f);
        few_pixels::for_each_run(s, i % z.positions, [&](int64_t tap, int64_t at, int64_t count) {
          const int64_t step = s.axes[2].dilation;
          for (int64_t c = 0; c < z.ins; ++c) {
            for (int64_t t = 0; t < count; ++t) to[c * z.taps + tap + t] = from[c * plane + at + t * step];
          }
        });
      }
    });
    const int64_t rows = share(z.outs, products(s, z, samples) / static_cast<double>(z.groups), few_pixels::kRows, num_threads());
    const int64_t tasks = (z.outs + rows - 1) / rows;
    parallel_for(z.groups * tasks, [&](int64_t task) {
      const int64_t group = task / tasks, begin = task % tasks * rows, end = std::min(begin + rows, z.outs);
      CONVOY_DISPATCH(FewPixelsRows)(s, io, patches, first, samples, group, begin, end);
      if (epilogue.empty()) return;
      for (int64_t n = first; n < first + samples; ++n) {
        const int64_t at = ((n * z.groups + group) * z.outs + begin) * z.positions;
        epilogue.apply(io.output + at, (end - begin) * z.positions, at);
      }
    });
  }
}

// Input channels of a task of the gradient.
int64_t channels_of_task(const ConvShape& s, const Sizes& z, int64_t samples, int threads) {
  const int64_t least = std::max<int64_t>(few_pixels::kChannelFloats / (16 * z.taps), 1);
  return std::max(share(z.ins, products(s, z, samples) / static_cast<double>(z.groups), 1, threads), std::min(least, z.ins));
}

int64_t task_floats(const ConvShape& s, const Sizes& z, int64_t samples, int threads) {
  const int64_t lanes = CONVOY_DISPATCH(FewPixelsLanes)();
  return samples * z.positions * ((channels_of_task(s, z, samples, threads) * z.taps + lanes - 1) / lanes * lanes);
}

void grad_input(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  const Sizes z = sizes(s);
  const SplitEpilogue epilogue(io.epilogue);
  const int64_t together = z.samples(s.batch), plane = s.input_positions(), lanes = CONVOY_DISPATCH(FewPixelsLanes)();
  float* const gradients = workspace.take<float>(together * z.positions * s.out_channels);  // [out][pixel]
  const size_t taken = workspace.taken();
  for (int64_t first = 0; first < s.batch; first += together) {
    const int64_t samples = std::min(together, s.batch - first), pixels = samples * z.positions;
    workspace.rewind(taken);
    for (int64_t n = 0; n < samples; ++n) {
      const float* const from = io.grad_output + (first + n) * s.out_channels * z.positions;
      for (int64_t o = 0; o < s.out_channels; ++o) {
        for (int64_t i = 0; i < z.positions; ++i) gradients[o * pixels + n * z.positions + i] = from[o * z.positions + i];
      }
    }
    const int64_t channels = channels_of_task(s, z, samples, num_threads()), tasks = (z.ins + channels - 1) / channels;
    const int64_t floats = task_floats(s, z, samples, num_threads()), pitch = (channels * z.taps + lanes - 1) / lanes * lanes;
    float* const scratch = workspace.take<float>(floats * num_threads());
    parallel_for(z.groups * tasks, [&](int64_t task, int thread) {
      const int64_t group = task / tasks, begin = task % tasks * channels, end = std::min(begin + channels, z.ins);
      float* const patches = scratch + thread * floats;
      CONVOY_DISPATCH(FewPixelsCombine)(s, io.weight, gradients, samples, group, begin, end, pitch, patches);
      for (int64_t n = 0; n < samples; ++n) {
        const int64_t channel = group * z.ins + begin, at = ((first + n) * s.in_channels + channel) * plane;
        float* const to = io.grad_input + at;
        for (int64_t c = 0; c < end - begin; ++c) {
          std::fill(to + c * plane, to + (c + 1) * plane, io.bias != nullptr ? io.bias[channel + c] : 0.0f);
        }
        for (int64_t i = 0; i < z.positions; ++i) {
          const float* const patch = patches + (n * z.positions + i) * pitch;
          few_pixels::for_each_run(s, i, [&](int64_t tap, int64_t position, int64_t count) {
            const int64_t step = s.axes[2].dilation;
            for (int64_t c = 0; c < end - begin; ++c) {
              for (int64_t t = 0; t < count; ++t) to[c * plane + position + t * step] += patch[c * z.taps + tap + t];
            }
          });
        }
        epilogue.apply(to, (end - begin) * plane, at);
      }
    });
  }
}

// Products of whole tiles, the weight's way from memory, patches, and for every sum of a tile its lanes.
template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  const Sizes z = sizes(s);
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const int64_t pixels = s.batch * z.positions, tile = CONVOY_DISPATCH(FewPixelsTile)(), lanes = CONVOY_DISPATCH(FewPixelsLanes)();
  const double tiles = number((pixels + tile - 1) / tile);
  const bool forward = kDirection == Direction::kForward;
  // A vector of weights takes a cycle to read, and one for each pixel.
  const double vectors =
      number(s.groups * (forward ? (z.outs + few_pixels::kRows - 1) / few_pixels::kRows * few_pixels::kRows : z.outs)) *
      number((z.depth + lanes - 1) / lanes);
  const double sums =
      forward ? number(s.out_channels * pixels) * number((z.depth + few_pixels::kDepth - 1) / few_pixels::kDepth) : 0;
  const double patches = number(pixels * s.groups * z.depth);
  const double rows = forward ? number((z.outs + few_pixels::kRows - 1) / few_pixels::kRows) : number(z.outs) / 4;
  const double calls = number(s.groups) * (rows * tiles * 80 + number(pixels) * 60);
  // A patch's values follow each other along a kernel row; in a gradient they are added to planes that were filled before.
  const double copied = (forward ? 1.5 : 2.0) + (forward ? 4.0 : 16.0) / number(s.axes[2].kernel_size);
  const double cycles = vectors * (number(pixels) * 1.15 + tiles * 1.2) + sums * 14 + patches * copied + calls +
                        (forward ? 0.0 : 0.5 * number(s.input_count()));
  const double streamed = std::max(4 * number(s.weight_count()) - 512.0 * 1024.0, 0.0);
  return 2e-6 +
         std::max(m.with_eight_lanes(0.45) * cycles / 3e9 * 96e9 / m.flops_per_second, streamed / (2.5 * m.bytes_per_second)) /
             m.threads;
}

}  // namespace

const ConvKernel kConvFewPixelsForward{
    .name = "conv_few_pixels",
    .direction = Direction::kForward,
    .refuse = refuse,
    .seconds = seconds<Direction::kForward>,
    .workspace_bytes =
        [](const ConvShape& s, int) {
          const Sizes z = sizes(s);
          return padded_bytes(static_cast<size_t>(z.samples(s.batch) * z.sample_floats()) * sizeof(float));
        },
    .forward = forward};

const ConvKernel kConvFewPixelsGradInput{
    .name = "conv_few_pixels",
    .direction = Direction::kGradInput,
    .refuse = refuse,
    .seconds = seconds<Direction::kGradInput>,
    .workspace_bytes =
        [](const ConvShape& s, int threads) {
          const Sizes z = sizes(s);
          const int64_t together = z.samples(s.batch), rest = s.batch % together;
          const int64_t floats = std::max(task_floats(s, z, together, threads), rest > 0 ? task_floats(s, z, rest, threads) : 0);
          return padded_bytes(static_cast<size_t>(together * z.positions * s.out_channels) * sizeof(float)) +
                 padded_bytes(static_cast<size_t>(floats * threads) * sizeof(float));
        },
    .grad_input = grad_input};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
