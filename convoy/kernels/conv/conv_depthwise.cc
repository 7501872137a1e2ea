// Forward pass and input gradient with few channels per group: conv_depthwise has one input channel per group, conv_grouped a few.
// Both read the planes as they are: lanes are pixels, nothing is packed. Here stands what they refuse and what they cost; the work
// is done by tiles (planes) or lines (sequences), which know one geometry for both directions.
#include "convoy/kernels/conv/conv_depthwise.h"

#include <algorithm>
#include <utility>

#include "convoy/kernels/conv/conv_depthwise_geometry.h"
#include "convoy/kernels/conv/conv_depthwise_lines.h"
#include "convoy/kernels/conv/conv_depthwise_tiles.h"

namespace convoy::kernels {

namespace {

using depthwise::Geometry;
using depthwise::kLanes;
using depthwise::kRows;
using depthwise::round_up;

// Rows alone gain nothing from tiles unless they are short, too.
bool by_lines(const Geometry& g) {
  return depthwise::refuse_tiles(g) != nullptr || (g.h.most_outputs() <= 2 && g.phase_columns() > 2 * kLanes);
}

// Depthwise layers, or those with more channels in a group.
template <bool kGrouped, Direction kDirection>
const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (!kGrouped && s.in_channels_per_group() != 1) return "needs one input channel per group";
  if (kGrouped && s.in_channels_per_group() == 1) return "needs more than one input channel per group";
  // Beyond, conv_direct is faster.
  constexpr int64_t kMostSources = 1024, kMostResults = kDirection == Direction::kForward ? 64 : 1024;
  const auto [sources, results] = kDirection == Direction::kForward
                                      ? std::pair{s.in_channels_per_group(), s.out_channels_per_group()}
                                      : std::pair{s.out_channels_per_group(), s.in_channels_per_group()};
  if (kGrouped && (sources > kMostSources || results > kMostResults)) return "needs few channels per group";
  if (s.output_positions() == 0 || s.input_positions() == 0) return "nothing to compute";
  if (depthwise::reaches_too_far(s)) return "the kernel reaches too far";
  const Geometry g = depthwise::geometry(s, kDirection);
  return by_lines(g) ? depthwise::refuse_lines(g) : nullptr;
}

// One plane to a plane, by tiles without sorting: cycles of a vector, measured on 60 layers, memory apart. Rows outside cost
// nothing.
double plane_cycles(const Geometry& g) {
  const double taps = g.d.pairs() * g.h.pairs() / static_cast<double>(g.d.output * g.h.output) * static_cast<double>(g.w.kernel);
  if (!depthwise::has_whole_kernel(g))
    return !depthwise::parts_by_twos(g) ? 8 + 2.8 * taps : 1.5 * taps + (g.h.kernel == 1 ? 16 : 60);
  return g.w.stride == 1 || g.w.gradient ? 2 + 1.05 * taps : g.w.kernel == 3 ? 19 : 3 * taps;
}

template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  const Geometry g = depthwise::geometry(s, kDirection);
  const double planes = static_cast<double>(s.batch * (kDirection == Direction::kForward ? s.out_channels : s.in_channels));
  const bool narrow = 2 * g.phase_columns() <= kLanes, lines = by_lines(g);
  const double vectors = planes * static_cast<double>(g.d.output * g.h.output * g.phases()) *
                         static_cast<double>(narrow ? kLanes / 2 : round_up(g.phase_columns(), kLanes)) / kLanes;
  if (!lines && g.sources == 1 && g.phases() == 1 &&
      (!g.strided() || depthwise::has_whole_kernel(g) || depthwise::parts_by_twos(g))) {
    // A dilation's rows that share taps are few to a tile of eight lanes.
    const auto classes = static_cast<double>(g.w.gradient && g.h.stride > 1 ? 1 : g.h.output_classes());
    // Narrow planes of volumes, measured: those of half a vector exactly take longest.
    const double volume = g.d.kernel > 1 && narrow ? (2 * g.phase_columns() == kLanes ? 1.6 : 1.15) : 1;
    // Tap rows that no tile takes together go in turns, of which the processor foresees nothing: measured, a tile at a time.
    const bool in_turns = !g.strided() && (g.h.kernel == 4 || g.h.kernel == 6 || g.h.kernel > 7);
    const auto tiles = static_cast<double>(depthwise::tiles_of_plane(g));
    return 1e-6 + m.with_eight_lanes(0.55 + 0.45 * classes) * volume *
                      (vectors * plane_cycles(g) + planes * (50 + (in_turns ? 80 * tiles : 0))) / 3e9 * 96e9 / m.flops_per_second;
  }
  // Multiply-adds of a vector, and what it costs to read, sort, interleave and store it.
  const double adds = static_cast<double>(g.sources * g.taps()) / static_cast<double>(g.phases() * (g.h.gradient ? g.h.stride : 1));
  // Measured: 14 to 23 ns a vector of a sequence; 0.9 to 1.3 an addition where phases have one or two tap rows, some 0.7 of
  // kernels of 5 and 7 at a stride (0.5 of vectors of eight); some 20 to gather a vector of every fourth column.
  const int64_t channels = kDirection == Direction::kForward ? s.out_channels_per_group() : s.in_channels_per_group();
  const double add = lines                           ? 0.45e-9
                     : g.phases() > 1                ? 1.1e-9
                     : g.sources == 1                ? 0.6e-9
                     : g.strided() && g.w.kernel > 3 ? 0.7e-9 / m.with_eight_lanes(1.4)
                                                     : 0.3e-9;
  // Sorted rows serve the channels of a group that are computed together.
  const bool sorted = g.strided() && (lines || !depthwise::parts_by_twos(g));
  const bool one_tile =
      narrow && !sorted && !lines && g.d.kernel == 1 && g.phases() == 1;  // a plane, and its sources follow at once
  const double together = lines ? 1 : static_cast<double>(std::min(channels, depthwise::planes_of_block(g)));
  const double gathers = static_cast<double>(g.sources * g.sorted_phases() * std::min(g.h.kernel, g.h.stride + 1)) / together;
  const double store =
      (lines ? 12e-9 : 3e-9) +
      (g.strided() ? (g.w.stride > 4   ? 16e-9 * gathers
                      : g.w.stride > 2 ? 5e-9 * gathers
                                       : (g.sources > 1 ? 2e-9 * m.with_eight_lanes(2.2) : 4e-9) * static_cast<double>(g.sources))
                   : 0) +
      (g.phases() > 1 ? 5e-9 : 0) + (g.phases() > 4 ? 20e-9 : 0) +
      // What one tap reads of a source serves nothing else.
      (g.sources > 1 && !one_tile ? 1.2e-9 * std::min(adds, static_cast<double>(g.sources)) : 0) +
      // Small planes of a volume are sorted anew for every depth tap.
      (sorted && narrow && g.d.kernel > 1 ? 80e-9 * static_cast<double>(g.sources * g.d.kernel) : 0);
  // The tiles hold one or two result channels: where channels share their inputs they read those again for each, beyond half of the
  // cache (the first layer of ResNet-50 took 2.0 ms where conv_direct takes 1.0). Narrow planes of a volume leave rows of tiles
  // empty.
  constexpr int64_t kCacheFloats = 128 << 10;
  const double shared = g.sources == 1 || channels == 1                                   ? 1
                        : g.d.kernel > 1 && narrow                                        ? 2.2
                        : s.groups == 1 && g.sources * g.input_positions() > kCacheFloats ? 1.5
                                                                                          : 1;
  // Lines look up, and copy, every row of every source, and their sums come from the outer cache.
  const double rows = lines && g.sources > 1 ? planes * static_cast<double>(g.d.output * g.h.output * g.sources) *
                                                   static_cast<double>(g.d.kernel * g.h.kernel)
                                             : 0;
  const double visits =
      rows * (25e-9 * static_cast<double>(1 + g.phases()) + 2e-9 * static_cast<double>(round_up(g.w.input, kLanes) / kLanes));
  // Every plane begins anew, with each of its sources, and sorts the rows it reads.
  const double sorted_rows = sorted && !lines ? static_cast<double>(g.sources * g.d.output * g.d.kernel) *
                                                    static_cast<double>(std::min(g.h.input, g.h.output * g.h.kernel))
                                              : 0;
  const double begin = planes * (30e-9 + (g.sources > 1 ? static_cast<double>(g.sources) * (one_tile ? 3e-9 : 15e-9) : 0) +
                                 sorted_rows * 4e-9 / together);
  // Sums of several planes at a stride, measured on 110 layers.
  if (!lines && g.sources > 1 && g.phases() > 1) {
    const double vector = 0.45e-9 * adds + 8e-9 * m.with_eight_lanes(2) + 0.24e-9 * std::min(adds, static_cast<double>(g.sources));
    const auto plane_tiles = static_cast<double>(depthwise::tiles_of_plane(g) / g.d.output);
    // A tile of few rows has little to do for each source's row that it looks for.
    const double tile_rows = static_cast<double>(g.h.output) / plane_tiles;
    const double looks = 10e-9 * static_cast<double>(g.phases() * g.sources) * std::max(1 - tile_rows / kRows, 0.0);
    return 1e-6 + (shared * m.with_eight_lanes(1.25) * vectors * vector + planes * (95e-9 + plane_tiles * (17e-9 + looks))) * 96e9 /
                      m.flops_per_second;
  }
  // With eight lanes other algorithms are as good from fewer channels on, where a stride meets a dilation, and at strides whose
  // columns are gathered one by one.
  const bool one_phase = g.strided() && g.phases() == 1;
  const double gathered = one_phase && g.h.output_classes() > 1 ? 2.5 * static_cast<double>(g.h.dilation - 1)
                          : one_phase && g.h.dilation > 1       ? 2
                          : one_phase && g.w.stride > 2         ? 2.6
                          : g.phases() > 1                      ? 1.6
                                                                : 1;
  const double narrower = m.with_eight_lanes(g.sources == 1                  ? gathered
                                             : g.sources > 8                 ? 3
                                             : s.groups == 1 || channels > 8 ? 2
                                                                             : 1.5);
  // Taps of a dilation that shares nothing with a stride of 2 read both phases in turns.
  const double scattered = kDirection == Direction::kForward && g.w.stride == 2 && g.w.dilation > 1 && g.w.common == 1 ? 2 : 1;
  return 1e-6 + (narrower * shared * scattered * vectors * (adds * add + store) + visits + begin) * 96e9 / m.flops_per_second;
}

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  const Geometry g = depthwise::geometry(s, kDirection);
  const int64_t floats = by_lines(g) ? depthwise::line_scratch_floats(g) : depthwise::tile_scratch_floats(g);
  return padded_bytes(static_cast<size_t>(floats * threads) * sizeof(float));
}

void run(const depthwise::Job& job, const Epilogue<float>& epilogue, Workspace& workspace) {
  if (by_lines(job.g)) {
    depthwise::run_lines(job, epilogue, workspace);
  } else {
    depthwise::run_tiles(job, epilogue, workspace);
  }
}

void forward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  const int64_t icg = s.in_channels_per_group(), ocg = s.out_channels_per_group(), taps = s.taps();
  run({.g = depthwise::geometry(s, Direction::kForward),
       .input = io.input,
       .weight = io.weight,
       .bias = io.bias,
       .output = io.output,
       .planes = s.batch * s.out_channels,
       .channels = s.out_channels,
       .group_channels = ocg,
       .weight_group = ocg * icg * taps,
       .weight_channel = icg * taps,
       .weight_source = taps},
      io.epilogue, workspace);
}

void grad_input(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  const int64_t icg = s.in_channels_per_group(), ocg = s.out_channels_per_group(), taps = s.taps();
  run({.g = depthwise::geometry(s, Direction::kGradInput),
       .input = io.grad_output,
       .weight = io.weight,
       .bias = io.bias,
       .output = io.grad_input,
       .planes = s.batch * s.in_channels,
       .channels = s.in_channels,
       .group_channels = icg,
       .weight_group = ocg * icg * taps,
       .weight_channel = taps,
       .weight_source = icg * taps},
      io.epilogue, workspace);
}

}  // namespace

const ConvKernel kConvDepthwiseForward{.name = "conv_depthwise",
                                       .direction = Direction::kForward,
                                       .refuse = refuse<false, Direction::kForward>,
                                       .seconds = seconds<Direction::kForward>,
                                       .workspace_bytes = workspace_bytes<Direction::kForward>,
                                       .forward = forward};

const ConvKernel kConvDepthwiseGradInput{.name = "conv_depthwise",
                                         .direction = Direction::kGradInput,
                                         .refuse = refuse<false, Direction::kGradInput>,
                                         .seconds = seconds<Direction::kGradInput>,
                                         .workspace_bytes = workspace_bytes<Direction::kGradInput>,
                                         .grad_input = grad_input};

const ConvKernel kConvGroupedForward{.name = "conv_grouped",
                                     .direction = Direction::kForward,
                                     .refuse = refuse<true, Direction::kForward>,
                                     .seconds = seconds<Direction::kForward>,
                                     .workspace_bytes = workspace_bytes<Direction::kForward>,
                                     .forward = forward};

const ConvKernel kConvGroupedGradInput{.name = "conv_grouped",
                                       .direction = Direction::kGradInput,
                                       .refuse = refuse<true, Direction::kGradInput>,
                                       .seconds = seconds<Direction::kGradInput>,
                                       .workspace_bytes = workspace_bytes<Direction::kGradInput>,
                                       .grad_input = grad_input};

}  // namespace convoy::kernels
