// forward:    output[oc][pixel]     = sum over ic of weight[oc][ic] input[ic][pixel]
// grad_input: grad_input[ic][pixel] = sum over oc of weight[oc][ic] grad_output[oc][pixel]
//
// Panels of pixels are copied, scaled (conv_pairs-inl.h); where a kernel is as large as its stride (patches), each tap is a
// channel. Lanes are pixels, 16 of a panel, where these fill vectors well, else result channels, and a panel is up to 26 pixels:
// the product is the same with its sides exchanged.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_paired.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_gather-inl.h"
#include "convoy/kernels/conv/conv_paired.h"
#include "convoy/kernels/conv/conv_pairs-inl.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#include <algorithm>
#include <cstdint>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_PAIRED_GEOMETRY
#define CONVOY_KERNELS_CONV_PAIRED_GEOMETRY
namespace convoy::kernels::paired {

constexpr int64_t kLanes = 16;
constexpr int64_t kNearFloats = 512 << 10;  // pixels that lie in the core's caches
constexpr int64_t kBlockFloats = 96 << 10;  // of panels that all rows take in turn: most of 512 KB

constexpr int64_t kAliasFloats = 1024, kMostAliasFloats = int64_t{1} << 20;
constexpr int64_t kGathered = 4;  // panels whose pixels are gathered at once, if they are alike

using conv_tile::lines;

struct Plan {
  int64_t images, groups, channels, rows, pixels;  // a channel for every tap
  int64_t source_planes, source_plane;
  bool strided, pixel_lanes;
  bool alias;  // whether the same pixel of all channels falls into a few sets of the caches, which could hold all
  int64_t weight_row, weight_channel;
  conv_pairs::Parts parts{0};  // of the side that is broadcast

  // Pixels in panels, and rows in tiles: those of the side that is broadcast as equal as can be.
  int64_t panels() const { return pixel_lanes ? (pixels + kLanes - 1) / kLanes : parts.count; }
  int64_t panel_begin(int64_t i) const { return pixel_lanes ? std::min(i * kLanes, pixels) : parts.begin(i); }
  int64_t panel_size(int64_t i) const { return panel_begin(i + 1) - panel_begin(i); }
  int64_t tiles() const { return pixel_lanes ? parts.count : (rows + kLanes - 1) / kLanes; }
  int64_t tile_begin(int64_t i) const { return pixel_lanes ? parts.begin(i) : std::min(i * kLanes, rows); }
  int64_t tile_rows(int64_t i) const { return tile_begin(i + 1) - tile_begin(i); }
  // As packed.
  int64_t tile_width(int64_t i) const { return pixel_lanes ? conv_pairs::even(tile_rows(i)) : kLanes; }
  int64_t packed_begin(int64_t i) const { return pixel_lanes ? tile_begin(i) : i * kLanes; }
  int64_t packed_rows() const { return pixel_lanes ? conv_pairs::even(rows) : tiles() * kLanes; }

  int64_t panel_floats() const {
    return conv_pairs::kHeader + lines(channels * (pixel_lanes ? kLanes : conv_pairs::even(panel_size(0))));
  }
  int64_t gathered_width() const { return pixel_lanes ? kLanes : conv_pairs::kTurned; }
  int64_t gathered_panels() const { return pixel_lanes ? kGathered : 1; }  // at once
  int64_t block_panels() const { return std::clamp<int64_t>(kBlockFloats / panel_floats(), 1, panels()); }
};

inline Plan make_plan(const ConvShape& s, Direction direction) {
  const bool forward = direction == Direction::kForward;
  Plan p{};
  p.groups = s.groups;
  p.images = s.batch * s.groups;
  p.source_planes = forward ? s.in_channels_per_group() : s.out_channels_per_group();
  p.channels = p.source_planes * s.taps();
  p.rows = forward ? s.out_channels_per_group() : s.in_channels_per_group();
  p.pixels = s.output_positions();
  p.source_plane = forward ? s.input_positions() : p.pixels;
  p.strided = s.input != s.output;
  p.alias = !p.strided && p.source_plane >= kAliasFloats && p.source_plane % (kAliasFloats / 2) == 0 &&
            p.source_planes * p.source_plane <= kMostAliasFloats;
  p.weight_row = forward ? p.channels : 1;
  p.weight_channel = forward ? 1 : p.rows;
  const auto up = [](int64_t size) {
    return static_cast<double>((size + kLanes - 1) / kLanes * kLanes) / static_cast<double>(std::max<int64_t>(size, 1));
  };
  p.pixel_lanes = up(p.pixels) <= up(p.rows) * (1 + 6.0 / static_cast<double>(std::max<int64_t>(p.channels, 1)));
  p.parts = conv_pairs::Parts(p.pixel_lanes ? p.rows : p.pixels);
  return p;
}

// A packed group: [tile of rows][channel][rows of the tile], then for each channel the factor of its pixels, for each row what its
// pairs add too much and the factor of its sums, and for each tile which rows should not go by pairs.
struct Packed {
  int64_t channel_factors, offsets, row_factors, direct, all;
};
inline Packed packed_of(const Plan& p) {
  Packed at{};
  at.channel_factors = lines(p.packed_rows() * p.channels);
  at.offsets = at.channel_factors + lines(p.channels);
  at.row_factors = at.offsets + lines(p.packed_rows());
  at.direct = at.row_factors + lines(p.packed_rows());
  at.all = at.direct + lines(p.tiles());
  return at;
}

struct Scratch {
  int64_t panels, sums, gathered, segments;
  int64_t all() const { return panels + sums + gathered + segments; }
};
inline Scratch scratch_of(const Plan& p) {
  return {.panels = p.block_panels() * p.panel_floats(),
          .sums = p.pixel_lanes ? 0 : (conv_pairs::kTile + kLanes) * kLanes,  // turned by whole vectors of pixels
          .gathered = p.strided ? p.gathered_panels() * p.channels * p.gathered_width() : 0,
          .segments = p.strided ? lines(static_cast<int64_t>(kGathered * kLanes * sizeof(gather::Segment) / sizeof(float))) : 0};
}

/// Tasks of an image: parts of the tiles of rows and of the panels. Every part of the rows makes all panels again.
struct Split {
  int64_t row_parts, panel_parts;
};
inline Split split_of(const Plan& p, int threads) {
  Split best{1, 1};
  double least = 0;
  for (int64_t r = 1; r <= std::min<int64_t>(p.tiles(), threads); ++r) {
    for (int64_t f = 1; f <= 3; ++f) {
      const int64_t q = std::min<int64_t>((f * threads + r - 1) / r, p.panels());
      const auto rounds = static_cast<double>((p.images * r * q + threads - 1) / threads);
      const auto tiles = static_cast<double>((p.tiles() + r - 1) / r), panels = static_cast<double>((p.panels() + q - 1) / q);
      // In cycles for a channel: a tile takes 17, a panel's copy 5 a vector, from a stride 20, a weight from the outer cache 0.1.
      const double each = p.pixel_lanes ? 17 : 0.68 * static_cast<double>(p.panel_size(0));
      const double time = rounds * (panels * (tiles * each + (p.strided ? 24 : 8)) + tiles * 1.6);
      if (least == 0 || time < least) {
        least = time;
        best = {r, q};
      }
    }
  }
  return best;
}

}  // namespace convoy::kernels::paired
#endif  // CONVOY_KERNELS_CONV_PAIRED_GEOMETRY

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using paired::kLanes;
using paired::Packed;
using paired::Plan;
using paired::Scratch;
using paired::Split;

#if HWY_TARGET == HWY_AVX3

// What a task works on: an image, and its thread's scratch memory.
struct PairedTask {
  const Plan& p;
  const ConvShape& shape;
  const Packed at;
  const float *source, *packed, *bias;
  float* result;  // of the pixel `first_pixel`
  int64_t result_plane, first_pixel;
  const SplitEpilogue& epilogue;
  conv_tile::Finish finish;
  float *panels, *sums, *gathered;
  gather::Segment* segments;
  bool streams;  // results go past the caches

  pairs::Panel panel(int64_t i) const { return {panels + i * p.panel_floats(), p.alias}; }
};

// Panel i of those up to `end`, which are made in turns: of a stride their pixels are gathered some panels at a time.
HWY_INLINE void Make(const PairedTask& t, int64_t i, int64_t begin, int64_t end, const pairs::Panel& panel) {
  const Plan& p = t.p;
  const int64_t first = p.panel_begin(i), pixels = p.panel_size(i), width = p.pixel_lanes ? kLanes : conv_pairs::even(pixels);
  const float* from = t.source + first;
  int64_t step = p.source_plane;
  if (p.strided) {
    const int64_t pitch = p.gathered_width(), at_once = p.gathered_panels(), k = (i - begin) % at_once;
    if (k == 0) {
      const int64_t last = p.panel_begin(std::min(i + at_once, end));
      const int64_t count = gather::FindSegments(t.shape, 0, first, last, pitch, p.channels * pitch, t.segments);
      gather::CopyPixels(t.shape, t.segments, count, t.source, p.source_plane, p.source_planes, pitch, t.gathered);
    }
    from = t.gathered + k * p.channels * pitch;
    step = pitch;
  }
  pairs::MakePanel(from, step, t.packed + t.at.channel_factors, p.channels, pixels, width, panel);
}

// The results of a tile of rows for a panel of `pixels` pixels from `at` on.
HWY_INLINE void Multiply(const PairedTask& t, int64_t tile, int64_t at, int64_t pixels, const pairs::Panel& panel,
                         const float* ahead, int64_t ahead_step) {
  const Plan& p = t.p;
  const int64_t row = p.tile_begin(tile), rows = p.tile_rows(tile), packed = p.packed_begin(tile);
  const float *const weight = t.packed + packed * p.channels, *const offsets = t.packed + t.at.offsets + packed,
                     *const factors = t.packed + t.at.row_factors + packed;
  float* const to = t.result + row * t.result_plane + at - t.first_pixel;
  const uint32_t pixels_direct = pairs::LoadBits(panel.direct()), rows_direct = pairs::LoadBits(t.packed + t.at.direct + tile);
  if (p.pixel_lanes) {
    pairs::Run({.v = panel.values(),
                .s = weight,
                .channels = p.channels,
                .vector_offsets = panel.offsets(),
                .vector_factors = panel.undo(),
                .offsets = offsets,
                .factors = factors,
                .bias = t.bias != nullptr ? t.bias + row : nullptr,
                .residual = t.finish.residual != nullptr ? t.finish.residual + (to - t.finish.result) : nullptr,
                .low = t.finish.low,
                .high = t.finish.high,
                .to = to,
                .stride = t.result_plane,
                .lanes = pixels,
                .count = rows,
                .streamed = t.streams,
                .vector_direct = pixels_direct,
                .direct = rows_direct,
                .whole = true,
                .ahead = ahead,
                .ahead_step = ahead_step});
  } else {
    pairs::Run({.v = weight,
                .s = panel.values(),
                .channels = p.channels,
                .vector_offsets = offsets,
                .vector_factors = factors,
                .offsets = panel.offsets(),
                .factors = panel.undo(),
                .to = t.sums,
                .stride = kLanes,
                .lanes = kLanes,
                .count = pixels,
                .vector_direct = rows_direct,
                .direct = pixels_direct,
                .whole = true,
                .ahead = ahead,
                .ahead_step = ahead_step});
    conv_tile::Finish finish = t.finish;
    finish.bias = t.bias != nullptr ? t.bias + row : nullptr;
    tile::StoreChannels<1>(t.sums, pixels, rows, finish, to, t.result_plane);
  }
  t.epilogue.finish(to, pixels, rows, t.result_plane);
}

HWY_ATTR void RunPanels(const PairedTask& t, int64_t panel_begin, int64_t panel_end, int64_t tile_begin, int64_t tile_end) {
  const Plan& p = t.p;
  const int64_t block = p.block_panels();
  for (int64_t first = panel_begin; first < panel_end; first += block) {
    const int64_t last = std::min(first + block, panel_end);
    // What comes next may lie beyond the caches, and is asked for meanwhile: at the first tile the next panel's pixels, of which a
    // line of each channel is new, then the next tile's weights.
    for (int64_t j = first; j < last; ++j) {
      Make(t, j, first, last, t.panel(j - first));
      const bool more = !p.strided && j + 1 < panel_end;
      Multiply(t, tile_begin, p.panel_begin(j), p.panel_size(j), t.panel(j - first),
               more ? t.source + p.panel_begin(j + 2) - 1 : nullptr, p.source_plane);
    }
    for (int64_t i = tile_begin + 1; i < tile_end; ++i) {
      const int64_t next = i + 1 < tile_end ? i + 1 : tile_begin, step = (p.tile_width(next) + last - first - 1) / (last - first);
      const float* ahead = i + 1 < tile_end || last < panel_end ? t.packed + p.packed_begin(next) * p.channels : nullptr;
      for (int64_t j = first; j < last; ++j) {
        Multiply(t, i, p.panel_begin(j), p.panel_size(j), t.panel(j - first), ahead, step);
        if (ahead != nullptr) ahead += step * p.channels;
      }
    }
  }
}

#endif  // HWY_AVX3

HWY_ATTR void PairedRun(const ConvShape& s, Direction direction, const float* source, const float* bias, const float* packed,
                        float* result, const Epilogue<float>& what_follows, Workspace& workspace) {
#if HWY_TARGET == HWY_AVX3
  const Plan p = paired::make_plan(s, direction);
  const SplitEpilogue epilogue(what_follows);
  const Split split = paired::split_of(p, num_threads());
  const Scratch floats = paired::scratch_of(p);
  const int64_t parts = split.row_parts * split.panel_parts;
  const bool streams = p.pixel_lanes && !epilogue.later && p.images * p.rows * p.pixels >= conv_tile::kStreamedFloats &&
                       p.pixels % kLanes == 0 && reinterpret_cast<uintptr_t>(result) % (kLanes * sizeof(float)) == 0;
  float* const scratch = workspace.take<float>(floats.all() * num_threads());
  parallel_for(p.images * parts, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t image = task / parts, group = image % p.groups, row_part = task % split.row_parts,
                  panel_part = task % parts / split.row_parts;
    const Packed at = paired::packed_of(p);
    float* const own = scratch + thread * floats.all();
    const PairedTask t{p,
                       s,
                       at,
                       source + image * p.source_planes * p.source_plane,
                       packed + group * at.all,
                       bias != nullptr ? bias + group * p.rows : nullptr,
                       result + image * p.rows * p.pixels,
                       p.pixels,
                       0,
                       epilogue,
                       conv_tile::Finish(epilogue, result),
                       own,
                       own + floats.panels,
                       own + floats.panels + floats.sums,
                       reinterpret_cast<gather::Segment*>(own + floats.panels + floats.sums + floats.gathered),
                       streams};
    RunPanels(t, p.panels() * panel_part / split.panel_parts, p.panels() * (panel_part + 1) / split.panel_parts,
              p.tiles() * row_part / split.row_parts, p.tiles() * (row_part + 1) / split.row_parts);
    if (streams) hwy::FlushStream();
  });
#endif
}

HWY_ATTR void PairedPiece(const ConvShape& s, const float* source, const float* packed, int64_t begin, int64_t end, float* result,
                          int64_t result_plane, float* scratch) {
#if HWY_TARGET == HWY_AVX3
  const Plan p = paired::make_plan(s, Direction::kGradInput);
  const SplitEpilogue none({});
  const Packed at = paired::packed_of(p);
  const Scratch floats = paired::scratch_of(p);
  const PairedTask t{p,
                     s,
                     at,
                     source,
                     packed,
                     nullptr,
                     result,
                     result_plane,
                     p.panel_begin(begin),
                     none,
                     conv_tile::Finish(none, result),
                     scratch,
                     scratch + floats.panels,
                     nullptr,
                     nullptr,
                     false};
  RunPanels(t, begin, end, 0, p.tiles());
#endif
}

HWY_ATTR void PairedPack(const ConvShape& s, Direction direction, const float* weight, float* packed) {
#if HWY_TARGET == HWY_AVX3
  const Plan p = paired::make_plan(s, direction);
  const Packed at = paired::packed_of(p);
  for (int64_t group = 0; group < p.groups; ++group, packed += at.all, weight += p.rows * p.channels) {
    float *const channel_factors = packed + at.channel_factors, *const row_factors = packed + at.row_factors;
    std::fill_n(row_factors, p.packed_rows(), 1.0F);
    pairs::Balance(weight, p.rows, p.weight_row, p.channels, p.weight_channel, row_factors, channel_factors);
    parallel_for(p.tiles(), [&](int64_t i) HWY_ATTR {
      const int64_t begin = p.tile_begin(i), rows = p.tile_rows(i), width = p.tile_width(i), packed_begin = p.packed_begin(i);
      float* const to = packed + packed_begin * p.channels;
      const float* const from = weight + begin * p.weight_row;
      if (rows < width) std::fill_n(to, p.channels * width, 0.0F);
      if (p.weight_channel == 1) {
        Transpose(from, p.weight_row, to, width, rows, p.channels);
      } else {
        for (int64_t c = 0; c < p.channels; ++c) std::copy_n(from + c * p.weight_channel, rows, to + c * width);
      }
      uint32_t direct = 0;
      for (int64_t r = 0; r < width; r += kLanes) {
        const int64_t row = packed_begin + r;
        direct |= pairs::ScaleRows(to + r, width, std::min(width - r, kLanes), p.channels, channel_factors, row_factors + row,
                                   packed + at.offsets + row)
                  << r;
      }
      pairs::StoreBits(direct, packed + at.direct + i);
    });
    pairs::Undo(channel_factors, p.channels);
  }
#endif
}

HWY_ATTR void PairedForward(const ConvShape& s, const ConvForward<float>& io, Workspace& workspace) {
  PairedRun(s, Direction::kForward, io.input, io.bias, io.packed, io.output, io.epilogue, workspace);
}

HWY_ATTR void PairedGradInput(const ConvShape& s, const ConvGradInput<float>& io, Workspace& workspace) {
  PairedRun(s, Direction::kGradInput, io.grad_output, io.bias, io.packed, io.grad_input, io.epilogue, workspace);
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(PairedForward);
CONVOY_EXPORT(PairedGradInput);
CONVOY_EXPORT(PairedPack);
CONVOY_EXPORT(PairedPiece);

namespace {

// More would take panels of more than 4 MB.
constexpr int64_t kLeastChannels = conv_pairs::kLeastTerms, kMostChannels = 16 << 10, kLeastRows = 8, kLeastPixels = 8;

template <Direction kDirection>
const char* refuse(const ConvShape& s) {
  if (nominal_machine().lanes != paired::kLanes) return "needs vectors of 512 bits";
  if (const char* const reason = gather::refuse(s, kDirection == Direction::kForward, true)) return reason;
  const paired::Plan p = paired::make_plan(s, kDirection);
  if (p.channels < kLeastChannels || p.channels > kMostChannels) return "needs 24 to 16384 channels, taps counted";
  if (p.rows < kLeastRows) return "needs 8 result channels";
  if (p.pixels < kLeastPixels) return "needs maps of at least 8 pixels";
  return nullptr;
}

template <Direction kDirection>
double seconds(const ConvShape& s, const Machine& m) {
  const paired::Plan p = paired::make_plan(s, kDirection);
  const auto turns = static_cast<double>(p.channels / conv_pairs::kSix), channels = static_cast<double>(p.channels);
  const double cycle = 2.0 * paired::kLanes / m.flops_per_second;
  const double multiplied = m.adds_beside ? turns * 4.1 + (channels - turns * conv_pairs::kSix) : turns * 9 + channels;
  const auto images = static_cast<double>(p.images), panels = static_cast<double>(p.panels()),
             tiles = static_cast<double>(p.tiles());
  const double each =
      p.pixel_lanes ? static_cast<double>(p.rows) * panels : static_cast<double>(p.pixels) * tiles;  // vectors of results
  // A vector of pixels takes some cycles to be made part of a panel, and more from beyond the core's caches.
  const bool far = p.source_planes * p.source_plane > paired::kNearFloats;
  const double copied = panels * channels * ((p.pixel_lanes ? 11 : 18) + (p.strided ? 4 : 0)) * (far ? 1.6 : 1);
  return 1.5e-6 + (images * (each * (multiplied + (p.pixel_lanes ? 5 : 9)) + copied) * cycle + gather::seconds(s, m)) / m.threads;
}

template <Direction kDirection>
size_t workspace_bytes(const ConvShape& s, int threads) {
  return static_cast<size_t>(paired::scratch_of(paired::make_plan(s, kDirection)).all() * threads) * sizeof(float);
}

template <Direction kDirection>
size_t packed_bytes(const ConvShape& s) {
  const paired::Plan p = paired::make_plan(s, kDirection);
  return static_cast<size_t>(p.groups * paired::packed_of(p).all) * sizeof(float);
}

template <Direction kDirection>
void pack(const ConvShape& s, const float* weight, float* packed) {
  CONVOY_DISPATCH(PairedPack)(s, kDirection, weight, packed);
}

double pack_seconds(const ConvShape& s, const Machine& m) {
  return 4e-6 + static_cast<double>(s.weight_count()) * 2e-9 / m.threads;
}

template <Direction kDirection>
constexpr ConvKernel kernel() {
  ConvKernel made{.name = "conv_paired",
                  .direction = kDirection,
                  .accuracy = Accuracy::kDefault,
                  .refuse = refuse<kDirection>,
                  .seconds = seconds<kDirection>,
                  .workspace_bytes = workspace_bytes<kDirection>,
                  .packed_bytes = packed_bytes<kDirection>,
                  .pack = pack<kDirection>,
                  .pack_seconds = pack_seconds};
  made.residual_in_place = [](const ConvShape&) { return true; };
  if constexpr (kDirection == Direction::kForward) {
    made.forward = [](const ConvShape& s, const ConvForward<float>& io, Workspace& w) { CONVOY_DISPATCH(PairedForward)(s, io, w); };
  } else {
    made.grad_input = [](const ConvShape& s, const ConvGradInput<float>& io, Workspace& w) {
      CONVOY_DISPATCH(PairedGradInput)(s, io, w);
    };
  }
  return made;
}

}  // namespace

const ConvKernel kConvPairedForward = kernel<Direction::kForward>();
const ConvKernel kConvPairedGradInput = kernel<Direction::kGradInput>();

namespace paired {

int64_t panels(const ConvShape& s) { return make_plan(s, Direction::kGradInput).panels(); }
int64_t panel_begin(const ConvShape& s, int64_t panel) { return make_plan(s, Direction::kGradInput).panel_begin(panel); }
int64_t piece_scratch_floats(const ConvShape& s) { return scratch_of(make_plan(s, Direction::kGradInput)).all(); }

void run_piece(const ConvShape& s, const float* source, const float* packed, int64_t begin, int64_t end, float* result,
               int64_t result_plane, float* scratch) {
  CONVOY_DISPATCH(PairedPiece)(s, source, packed, begin, end, result, result_plane, scratch);
}

}  // namespace paired

}  // namespace convoy::kernels
#endif  // HWY_ONCE
