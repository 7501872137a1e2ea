// What every result pixel gives back through every tap is conv_pointwise's gradient, with a channel for each tap of an input
// channel: some images at a time into memory that stays in the cache, then every value is added to where its tap reads. With one
// tap and a stride values have a place each. Batch 8, 256 -> 512 channels on 56x56, stride 2: 9 ms, by phases of the stride
// (conv_im2col, conv_direct) 14. With more taps it is for few input channels, which leave conv_direct's lanes empty, and for
// strides beyond the kernel: 1 -> 128 channels, 3x3x3 at a stride of 2 on 8x8x8, 8 samples: 0.36 -> 0.05 ms.
// Where the stride is the kernel's size (2x2 at 2 of a U-Net, patches) every value has a place of its own, too: each task computes
// a stripe of pixels for all taps into its core's cache and interleaves them, whatever the size of the image.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_pointwise_spread.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_pointwise_spread.h"

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_paired.h"
#include "convoy/kernels/conv/conv_pointwise.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/shape/taps.h"

#ifndef CONVOY_KERNELS_CONV_POINTWISE_SPREAD_STRIPE
#define CONVOY_KERNELS_CONV_POINTWISE_SPREAD_STRIPE
namespace convoy::kernels::spread {

// Where a stripe's values go: result pixels [begin, end) of a sample, values[row][pixel - begin], rows `pitch` apart.
struct Stripe {
  const float* values;
  int64_t pitch, begin, end;
  const float* bias;  // null: none
  float* result;
  int64_t sample;  // the first float of the sample's results
  float* row;      // memory for a line of results that go past the caches; null: they do not
};

}  // namespace convoy::kernels::spread
#endif  // CONVOY_KERNELS_CONV_POINTWISE_SPREAD_STRIPE

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using spread::Stripe;

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

// to[i * step + k] = from[k][i] + bias, the lines of `from` `pitch` apart.
HWY_INLINE void InterleaveRow(const float* HWY_RESTRICT from, int64_t pitch, int64_t count, int64_t step, float bias,
                              float* HWY_RESTRICT to) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto add = hn::Set(d, bias);
  const auto interleave = [&](const auto& line, float* HWY_RESTRICT at) HWY_ATTR {
    if (step == 1) hn::StoreU(line(0), d, at);
    if (step == 2) hn::StoreInterleaved2(line(0), line(1), d, at);
    if (step == 3) hn::StoreInterleaved3(line(0), line(1), line(2), d, at);
    if (step == 4) hn::StoreInterleaved4(line(0), line(1), line(2), line(3), d, at);
  };
  for (; step <= 4 && count >= lanes && i < count; i += lanes) {
    i = std::min(i, count - lanes);  // some of the last ones once more
    interleave([&](int64_t k) HWY_ATTR { return hn::Add(hn::LoadU(d, from + k * pitch + i), add); }, to + i * step);
  }
#if HWY_TARGET == HWY_AVX3
  if (step <= 4 && i < count) {
    const auto first_of = [&](int64_t n) HWY_ATTR { return hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(n, 0, lanes))); };
    const auto mask = first_of(count);
    HWY_ALIGN float whole[4 * hn::MaxLanes(hn::ScalableTag<float>())];
    interleave([&](int64_t k) HWY_ATTR { return hn::Add(hn::MaskedLoad(mask, d, from + k * pitch), add); }, whole);
    for (int64_t at = 0; at < step * count; at += lanes) {
      hn::BlendedStore(hn::Load(d, whole + at), first_of(step * count - at), d, to + at);
    }
    return;
  }
#endif
#endif
  for (; i < count; ++i) {  // a short row, or a large step
    for (int64_t k = 0; k < step; ++k) to[i * step + k] = from[k * pitch + i] + bias;
  }
}

// Line by line, of a tiled layer.
HWY_ATTR void InterleaveStripe(const ConvShape& s, const Stripe& stripe, const SplitEpilogue& epilogue) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const int64_t step = s.axes[2].stride, plane = s.input_positions(), width = s.output[2], height = s.output[1];
  const float* from = stripe.values;
  for (int64_t c = 0; c < s.in_channels; ++c) {
    const float bias = stripe.bias != nullptr ? stripe.bias[c] : 0.0F;
    for (int64_t kd = 0; kd < s.axes[0].stride; ++kd) {
      for (int64_t kh = 0; kh < s.axes[1].stride; ++kh, from += step * stripe.pitch) {
        int64_t column = stripe.begin % width, h = stripe.begin / width % height, d = stripe.begin / width / height;
        for (int64_t at = stripe.begin; at < stripe.end;) {
          const int64_t count = std::min(width - column, stripe.end - at);
          const int64_t line = (d * s.axes[0].stride + kd) * s.input[1] + h * s.axes[1].stride + kh;
          const int64_t place = stripe.sample + c * plane + line * s.input[2] + column * step;
          float* const to = stripe.row != nullptr ? stripe.row : stripe.result + place;
          InterleaveRow(from + at - stripe.begin, stripe.pitch, count, step, bias, to);
          epilogue.apply(to, count * step, place);
          if (stripe.row != nullptr) tile::StreamRow(stripe.row, count * step, stripe.result + place);
          at += count;
          column = 0;
          if (++h == height) {
            h = 0;
            ++d;
          }
        }
      }
    }
  }
  if (stripe.row != nullptr) hwy::FlushStream();
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

CONVOY_EXPORT(SpreadRow);
CONVOY_EXPORT(InterleaveStripe);
CONVOY_EXPORT(AddTaps);

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

// Whether every tap of every result pixel has a place of its own, and there are no others.
bool tiled(const ConvShape& s) {
  for (size_t a = 0; a < 3; ++a) {
    const shape::Axis& axis = s.axes[a];
    if (axis.pad_begin != 0 || axis.kernel_size != axis.stride || axis.dilation != 1 || s.input[a] != s.output[a] * axis.stride)
      return false;
  }
  return s.groups == 1 && s.taps() > 1;
}

// What computes the values of the compact layer: conv_pointwise, or conv_paired.
using Products = const ConvKernel&;

bool by_pairs(Products products) { return products.accuracy != Accuracy::kStrict; }

// What a task computes at once if the layer is tiled.
constexpr int64_t kStripeFloats = 48 << 10;  // of values, or of the source
constexpr int64_t kTilePixels = 48, kStripePixels = 192;

int64_t stripe_pixels(const ConvShape& s) {
  // Each stripe reads the whole weight, so there are as few as the cache allows, but two for two threads.
  const int64_t least = std::clamp(kStripeFloats / s.out_channels, kTilePixels, kStripePixels);
  const int64_t most = std::max(kStripeFloats / (s.in_channels * s.taps()), least), map = s.output_positions();
  const int64_t stripes = std::max<int64_t>((map + most - 1) / most, map >= 2 * kTilePixels ? 2 : 1);
  const int64_t pixels = (map + stripes - 1) / stripes;
  return std::min((pixels + kTilePixels - 1) / kTilePixels * kTilePixels, map);
}

int64_t stripes_of(const ConvShape& s) {
  const int64_t pixels = stripe_pixels(s);
  return (s.output_positions() + pixels - 1) / pixels;
}

// Small maps have fewer stripes than there are threads, which then share the channels and add as if nothing were tiled: the same
// bits.
bool by_stripes(const ConvShape& s, int threads) {
  return tiled(s) && (s.batch * stripes_of(s) >= threads || image_floats(s) * static_cast<int64_t>(sizeof(float)) > kMostBytes);
}

// The sample's stripes; those of pairs begin with a panel.
class Stripes {
 public:
  Stripes(const ConvShape& s, Products products)
      : layer_(compact(s)),
        count_(stripes_of(s)),
        pixels_(stripe_pixels(s)),
        map_(s.output_positions()),
        panels_(by_pairs(products) ? paired::panels(layer_) : 0) {
    layer_.batch = 1;
    // conv_pointwise's gradient as a forward pass, whose pieces can be run.
    if (panels_ == 0) std::swap(layer_.in_channels, layer_.out_channels);
  }
  int64_t count() const { return count_; }
  int64_t begin(int64_t i) const { return panels_ > 0 ? paired::panel_begin(layer_, panel(i)) : std::min(i * pixels_, map_); }
  /// Pixels of the largest.
  int64_t most() const { return panels_ > 0 ? (panels_ + count_ - 1) / count_ * paired::panel_begin(layer_, 1) : pixels_; }
  int64_t scratch_floats() const {
    return panels_ > 0 ? paired::piece_scratch_floats(layer_) : pointwise::piece_scratch_floats(layer_, pixels_, true);
  }
  /// One's values for all rows, each most() behind the one before.
  void run(int64_t i, const float* source, const float* packed, float* values, float* scratch) const {
    if (panels_ > 0) return paired::run_piece(layer_, source, packed, panel(i), panel(i + 1), values, most(), scratch);
    pointwise::run_piece(layer_, {source + begin(i), nullptr, packed, values, most(), 0, true}, SplitEpilogue({}),
                         {0, 0, pointwise::pieces(layer_).tiles, 0, begin(i + 1) - begin(i)}, scratch);
  }

 private:
  int64_t panel(int64_t i) const { return panels_ * i / count_; }

  ConvShape layer_;
  int64_t count_, pixels_, map_, panels_;
};

int64_t lines_of(int64_t floats) { return (floats + conv_tile::kLine - 1) / conv_tile::kLine * conv_tile::kLine; }

int64_t stripe_floats(const ConvShape& s, const Stripes& stripes) {
  return lines_of(s.in_channels * s.taps() * stripes.most() + stripes.scratch_floats()) + lines_of(s.input[2]);
}

const char* refuse(const ConvShape& s, Products products) {
  if (s.output_positions() == 0 || s.input_positions() == 0 || s.in_channels == 0 || s.out_channels == 0)
    return "nothing to compute";
  if (s.taps() == 1) {
    if (s.input == s.output) return "needs a stride: without one nothing is spread";
    for (size_t a = 0; a < 3; ++a) {
      if (s.axes[a].pad_begin != 0 || (s.output[a] - 1) * s.axes[a].stride >= s.input[a]) return "needs no padding";
    }
  } else if (tiled(s)) {
    return products.refuse(compact(s));
  } else if (s.in_channels_per_group() > kMostChannels) {
    return "needs few input channels per group, one tap, or a stride of the kernel's size";
  }
  // In double: the count might overflow.
  const double floats =
      static_cast<double>(s.in_channels) * static_cast<double>(s.taps()) * static_cast<double>(s.output_positions());
  if (floats * sizeof(float) > static_cast<double>(kMostBytes)) return "what an image's pixels give back takes more than 4 MB";
  return products.refuse(compact(s));
}

double seconds(const ConvShape& s, const Machine& m, Products products) {
  const double values = static_cast<double>(s.input_count()), rows = values / static_cast<double>(s.input[2]);
  const double computed = static_cast<double>(s.batch * image_floats(s)), product = products.seconds(compact(s), m);
  if (s.taps() == 1) {
    const double slower = by_pairs(products) ? 1.08 : 1.0;
    return 2e-6 + (slower * product + (values * 0.08e-9 + rows * 18e-9 + computed * 0.3e-9) / m.threads) / 1.5;
  }
  const double runs = computed / static_cast<double>(s.output[2]);
  if (tiled(s)) {
    const double lines = runs / static_cast<double>(s.axes[2].stride);
    // With sixteen lanes conv_direct, which interleaves nothing, is as fast from some 32 channels on.
    const double slower = by_pairs(products) ? 1.0 : 1.1 * m.with_eight_lanes(1 / 1.1);
    return 2e-6 + slower * product + (computed * 0.25e-9 + lines * (m.lanes == 16 ? 13e-9 : 20e-9)) / m.threads;
  }
  const double added = computed * (s.axes[2].stride == 1 ? 0.7e-9 : 1.0e-9) + runs * 4e-9 + values * 0.08e-9;
  // With sixteen lanes a product of few pixels takes as long as one of ten.
  const double few = m.lanes == 16 ? std::max(10.0 / static_cast<double>(s.output_positions()), 1.0) : 1;
  const double slower = m.lanes == 8 ? (s.input[0] == 1 ? 0.85 : 1.2) : 1.15;
  return 2e-6 + slower * (few * product + added / m.threads);
}

// Of the chunks, the last one may be smaller: what its cut needs can be more or less.
size_t inner_bytes(const ConvShape& s, int threads, Products products) {
  const int64_t images = images_at_once(s), rest = s.batch % images;
  const size_t whole = products.workspace_bytes(chunk_of(s, images), threads);
  return rest == 0 ? whole : std::max(whole, products.workspace_bytes(chunk_of(s, rest), threads));
}

size_t workspace_bytes(const ConvShape& s, int threads, Products products) {
  if (by_stripes(s, threads))
    return padded_bytes(static_cast<size_t>(stripe_floats(s, Stripes(s, products)) * threads) * sizeof(float));
  return padded_bytes(static_cast<size_t>(images_at_once(s) * image_floats(s)) * sizeof(float)) + inner_bytes(s, threads, products);
}

void grad_input_tiled(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace, Products products) {
  const SplitEpilogue epilogue(io.epilogue);
  const Stripes stripes(s, products);
  const int64_t map = s.output_positions(), pixels = stripes.most(), each = stripe_floats(s, stripes);
  // Results that no cache holds go past them, line by line.
  const bool streamed = s.input_count() >= conv_tile::kStreamedFloats;
  float* const scratch = workspace.take<float>(each * num_threads());
  parallel_for(s.batch * stripes.count(), [&](int64_t task, int thread) {
    const int64_t n = task / stripes.count(), i = task % stripes.count();
    float* const values = scratch + thread * each;
    stripes.run(i, io.grad_output + n * s.out_channels * map, io.packed, values, values + s.in_channels * s.taps() * pixels);
    CONVOY_DISPATCH(InterleaveStripe)
    (s,
     {values, pixels, stripes.begin(i), stripes.begin(i + 1), io.bias, io.grad_input, n * s.in_channels * s.input_positions(),
      streamed ? values + each - lines_of(s.input[2]) : nullptr},
     epilogue);
  });
}

void grad_input(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace, Products products) {
  if (by_stripes(s, num_threads())) return grad_input_tiled(s, io, workspace, products);
  const SplitEpilogue epilogue(io.epilogue);
  const int64_t images = images_at_once(s), map = s.output_positions(), plane = s.input_positions();
  float* const values = workspace.take<float>(images * image_floats(s));
  const size_t taken = workspace.taken();
  for (int64_t first = 0; first < s.batch; first += images) {
    const ConvShape chunk = chunk_of(s, std::min(images, s.batch - first));
    workspace.rewind(taken);
    products.grad_input(chunk, {io.grad_output + first * s.out_channels * map, io.weight, nullptr, values, {}, io.packed},
                        workspace);
    parallel_for(chunk.batch * s.in_channels, [&](int64_t task) {
      const float bias = io.bias != nullptr ? io.bias[task % s.in_channels] : 0.0f;
      const int64_t at = (first * s.in_channels + task) * plane;
      const float* from = values + task * s.taps() * map;
      float* to = io.grad_input + at;
      if (s.taps() > 1) {
        CONVOY_DISPATCH(AddTaps)(s, from, bias, to);
        return epilogue.apply(to, plane, at);
      }
      for (int64_t d = 0; d < s.input[0]; ++d) {
        const bool slice = d % s.axes[0].stride == 0 && d / s.axes[0].stride < s.output[0];
        for (int64_t h = 0; h < s.input[1]; ++h, to += s.input[2]) {
          const bool row = slice && h % s.axes[1].stride == 0 && h / s.axes[1].stride < s.output[1];
          CONVOY_DISPATCH(SpreadRow)(from, row ? s.output[2] : 0, s.axes[2].stride, bias, to, s.input[2]);
          if (row) from += s.output[2];
        }
      }
      epilogue.apply(io.grad_input + at, plane, at);
    });
  }
}

template <Products kProducts>
constexpr ConvKernel kernel(const char* name, Accuracy accuracy) {
  return {.name = name,
          .direction = Direction::kGradInput,
          .accuracy = accuracy,
          .refuse = [](const ConvShape& s) { return refuse(s, kProducts); },
          .seconds = [](const ConvShape& s, const Machine& m) { return seconds(s, m, kProducts); },
          .workspace_bytes = [](const ConvShape& s, int threads) { return workspace_bytes(s, threads, kProducts); },
          .packed_bytes = [](const ConvShape& s) { return kProducts.packed_bytes(compact(s)); },
          .pack = [](const ConvShape& s, const float* weight, float* packed) { kProducts.pack(compact(s), weight, packed); },
          .pack_seconds = [](const ConvShape& s, const Machine& m) { return kProducts.pack_seconds(compact(s), m); },
          .grad_input = [](const ConvShape& s, const ConvGradInput<float>& io,
                           Workspace& workspace) { grad_input(s, io, workspace, kProducts); }};
}

}  // namespace

const ConvKernel kConvPointwiseSpreadGradInput = kernel<kConvPointwiseGradInput>("conv_pointwise_spread", Accuracy::kStrict);
const ConvKernel kConvPairedSpreadGradInput = kernel<kConvPairedGradInput>("conv_paired_spread", Accuracy::kDefault);

}  // namespace convoy::kernels
#endif  // HWY_ONCE
