// Each task takes some pixels of a sample: their values of all channels, scaled and clamped, lie in L2 while they are multiplied.
// On its own the sweep before the convolution writes as much as it reads to the outer cache, from where half of it is fetched by
// another core.
#include "convoy/kernels/conv/conv_affine_pointwise.h"

#include <algorithm>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_pointwise.h"
#include "convoy/kernels/elementwise/channel_affine.h"

namespace convoy::kernels {
namespace {

constexpr int64_t kMostFloats = 100 << 10;  // of a task: 400 KiB of a 1 MiB L2
constexpr int64_t kLeastPixels = 24;        // of a task: each reads the whole weight

constexpr int64_t round_up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

// Tasks of a sample: an even number of equal ones, for two threads or four. (On maps of few pixels, where each task reads more
// weights than values, parts of the result channels take as long.)
int64_t parts_of(const ConvShape& s) {
  const int64_t map = s.output_positions();
  const int64_t parts = round_up((s.in_channels * map + kMostFloats - 1) / kMostFloats, 2);
  return std::clamp<int64_t>(parts, 1, std::max<int64_t>(map / kLeastPixels, 1));
}

int64_t pixels_of(const ConvShape& s) {
  const int64_t parts = parts_of(s);
  return (s.output_positions() + parts - 1) / parts;
}

int64_t values_of(const ConvShape& s) { return round_up(s.in_channels * pixels_of(s), 16); }

}  // namespace

ConvShape affine_pointwise_packed(const ConvShape& shape) {
  ConvShape s = shape;
  s.batch = 1;
  return s;
}

const char* refuse_affine_pointwise(const ConvShape& s) {
  if (s.groups != 1 || s.input != s.output) return "needs a layer without groups and strides";
  if (const char* why = kConvPointwiseForward.refuse(s)) return why;
  return s.in_channels * kLeastPixels > kMostFloats ? "the channels of some pixels do not fit the cache" : nullptr;
}

size_t affine_pointwise_workspace_bytes(const ConvShape& s, int threads) {
  const int64_t own = values_of(s) + round_up(pointwise::piece_scratch_floats(affine_pointwise_packed(s), pixels_of(s)), 16);
  return padded_bytes(static_cast<size_t>(own * threads) * sizeof(float));
}

void affine_pointwise(const ConvShape& s, const AffinePointwiseArrays& io, const Epilogue<float>& between,
                      const Epilogue<float>& after, Workspace& workspace) noexcept {
  const SplitEpilogue affine(between), epilogue(after);
  const ConvShape sample = affine_pointwise_packed(s);
  const pointwise::Pieces pieces = pointwise::pieces(sample);
  const int64_t map = s.output_positions(), pixels = pixels_of(s), parts = (map + pixels - 1) / pixels, values = values_of(s);
  const int64_t own = values + round_up(pointwise::piece_scratch_floats(sample, pixels), 16);
  float* const scratch = workspace.take<float>(own * num_threads());
  parallel_for(s.batch * parts, [&](int64_t task, int thread) {
    const int64_t n = task / parts, begin = task % parts * pixels, count = std::min(pixels, map - begin);
    float* const to = scratch + thread * own;
    channel_affine_rows(io.input + n * s.in_channels * map + begin, map, s.in_channels, count, io.scale, io.shift, affine, to,
                        pixels);
    const pointwise::Arrays arrays{to, io.bias, io.packed, io.output + n * s.out_channels * map + begin, map, pixels};
    pointwise::run_piece(sample, arrays, epilogue, {0, 0, pieces.tiles, 0, count}, to + values);
  });
}

}  // namespace convoy::kernels
