// Lanes are results. Rows are turned and made panels of up to 26, a chain of channels at a time, and multiplied where they wait in
// the core's caches; sums of the chains meet where the results lie.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/linear_paired.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_pairs-inl.h"
#include "convoy/kernels/conv/conv_tile-inl.h"
#include "convoy/kernels/conv/linear_paired.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/transpose-inl.h"

#include <algorithm>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/shape/checked.h"

#ifndef CONVOY_KERNELS_CONV_LINEAR_PAIRED_GEOMETRY
#define CONVOY_KERNELS_CONV_LINEAR_PAIRED_GEOMETRY
namespace convoy::kernels::paired_linear_parts {

constexpr int64_t kLanes = 16;
constexpr int64_t kChain = 768;              // channels
constexpr int64_t kBlockFloats = 112 << 10;  // of panels that all weights meet in turn: most of 512 KB

using conv_tile::lines;

// Packed: [chain][vector of results][channel][lane], the factor of each channel's inputs, and of each chain's results what their
// pairs add too much, the factors of their sums, and which of a vector should not go by pairs.
struct Plan {
  int64_t rows, channels, results, vectors, chain, chains;
  int64_t channel_factors, offsets, factors, direct, packed;

  explicit Plan(const PairedLinearShape& s)
      : rows(s.rows),
        channels(s.channels),
        results(s.results),
        vectors((s.results + kLanes - 1) / kLanes),
        chain(conv_pairs::kSix * shape::ceil_div(channels, conv_pairs::kSix * shape::ceil_div(channels, kChain))),  // of turns
        chains(shape::ceil_div(channels, chain)) {
    channel_factors = vectors * kLanes * channels;
    offsets = channel_factors + lines(channels);
    factors = offsets + chains * vectors * kLanes;
    direct = factors + chains * vectors * kLanes;
    packed = direct + lines(chains * vectors);
  }
  int64_t chain_begin(int64_t i) const { return std::min(i * chain, channels); }
  int64_t weight(int64_t i, int64_t vector) const {
    const int64_t first = chain_begin(i);
    return (first * vectors + vector * (chain_begin(i + 1) - first)) * kLanes;
  }
  int64_t of_chain(int64_t i, int64_t vector) const { return (i * vectors + vector) * kLanes; }
  int64_t panel_floats() const { return conv_pairs::kHeader + lines(std::min(chain, channels) * conv_pairs::kTile); }
  int64_t block_panels() const { return std::max<int64_t>(kBlockFloats / panel_floats(), 1); }
  int64_t scratch_floats() const { return block_panels() * panel_floats() + std::min(chain, channels) * conv_pairs::kTurned; }
};

}  // namespace convoy::kernels::paired_linear_parts
#endif  // CONVOY_KERNELS_CONV_LINEAR_PAIRED_GEOMETRY

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
using paired_linear_parts::kLanes;
using paired_linear_parts::Plan;

HWY_ATTR void PairedLinearPack([[maybe_unused]] const PairedLinearShape& s, [[maybe_unused]] const float* weight,
                               [[maybe_unused]] float* packed) {
#if HWY_TARGET == HWY_AVX3
  const Plan p(s);
  std::fill_n(packed + p.factors, p.chains * p.vectors * kLanes, 1.0F);
  for (int64_t i = 0; i < p.chains; ++i) {
    const int64_t first = p.chain_begin(i), channels = p.chain_begin(i + 1) - first;
    float* const channel_factors = packed + p.channel_factors + first;
    pairs::Balance(weight + first, p.results, p.channels, channels, 1, packed + p.factors + p.of_chain(i, 0), channel_factors);
    parallel_for(p.vectors, [&](int64_t v) HWY_ATTR {
      float* const to = packed + p.weight(i, v);
      const int64_t results = std::min(kLanes, p.results - v * kLanes), at = p.of_chain(i, v);
      if (results < kLanes) std::fill_n(to, channels * kLanes, 0.0F);
      Transpose(weight + v * kLanes * p.channels + first, p.channels, to, kLanes, results, channels);
      const uint32_t direct =
          pairs::ScaleRows(to, kLanes, kLanes, channels, channel_factors, packed + p.factors + at, packed + p.offsets + at);
      pairs::StoreBits(direct, packed + p.direct + at / kLanes);
    });
    pairs::Undo(channel_factors, channels);
  }
#endif
}

HWY_ATTR void PairedLinear([[maybe_unused]] const PairedLinearShape& s, [[maybe_unused]] const PairedLinearArrays& io,
                           [[maybe_unused]] const Epilogue<float>& what_follows, [[maybe_unused]] Workspace& workspace) {
#if HWY_TARGET == HWY_AVX3
  const Plan p(s);
  const SplitEpilogue epilogue(what_follows);
  const conv_pairs::Parts panels(p.rows);
  const int threads = num_threads();
  const int64_t row_parts = std::clamp<int64_t>(panels.count / 2, 1, threads),
                vector_parts = std::min<int64_t>((threads + row_parts - 1) / row_parts, p.vectors);
  float* const scratch = workspace.take<float>(threads * p.scratch_floats());
  parallel_for(row_parts * vector_parts, [&](int64_t task, int thread) HWY_ATTR {
    const int64_t row_part = task / vector_parts, vector_part = task % vector_parts;
    const int64_t begin = panels.count * row_part / row_parts, end = panels.count * (row_part + 1) / row_parts;
    const int64_t first_vector = p.vectors * vector_part / vector_parts, last_vector = p.vectors * (vector_part + 1) / vector_parts;
    float* const made = scratch + thread * p.scratch_floats();
    float* const turned = made + p.block_panels() * p.panel_floats();
    for (int64_t first = begin; first < end; first += p.block_panels()) {
      const int64_t last = std::min(first + p.block_panels(), end);
      for (int64_t i = 0; i < p.chains; ++i) {
        const int64_t channel = p.chain_begin(i), channels = p.chain_begin(i + 1) - channel;
        for (int64_t j = first; j < last; ++j) {
          const int64_t row = panels.begin(j), count = panels.begin(j + 1) - row;
          Transpose(io.input + row * p.channels + channel, p.channels, turned, conv_pairs::kTurned, count, channels);
          pairs::MakePanel(turned, conv_pairs::kTurned, io.packed + p.channel_factors + channel, channels, count,
                           conv_pairs::even(count), {made + (j - first) * p.panel_floats()});
        }
        for (int64_t v = first_vector; v < last_vector; ++v) {
          const int64_t at = p.of_chain(i, v), lanes = std::min(kLanes, p.results - v * kLanes);
          HWY_ALIGN float bias[kLanes] = {};
          if (i == 0 && io.bias != nullptr) std::copy_n(io.bias + v * kLanes, lanes, bias);
          pairs::Work work{};
          work.v = io.packed + p.weight(i, v);
          work.channels = channels;
          work.vector_offsets = io.packed + p.offsets + at;
          work.vector_factors = io.packed + p.factors + at;
          work.vector_bias = bias;
          work.vector_direct = pairs::LoadBits(io.packed + p.direct + at / kLanes);
          if (i + 1 == p.chains) {
            work.low = epilogue.low;
            work.high = epilogue.high;
          }
          work.stride = p.results;
          work.lanes = lanes;
          // The next weights may come from memory.
          work.ahead = work.v + channels * kLanes;
          work.ahead_step = (kLanes + last - first - 1) / (last - first);
          for (int64_t j = first; j < last; ++j) {
            const pairs::Panel panel{made + (j - first) * p.panel_floats()};
            const int64_t row = panels.begin(j);
            work.s = panel.values();
            work.offsets = panel.offsets();
            work.factors = panel.undo();
            work.direct = pairs::LoadBits(panel.direct());
            work.count = panels.begin(j + 1) - row;
            work.to = io.output + row * p.results + v * kLanes;
            work.residual = i > 0 ? work.to : epilogue.residual != nullptr ? epilogue.residual + (work.to - io.output) : nullptr;
            pairs::Run(work);
            work.ahead += work.ahead_step * channels;
          }
        }
      }
      const int64_t row = panels.begin(first), column = first_vector * kLanes;
      epilogue.finish(io.output + row * p.results + column, std::min(last_vector * kLanes, p.results) - column,
                      panels.begin(last) - row, p.results);
    }
  });
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(PairedLinear);
CONVOY_EXPORT(PairedLinearPack);

bool prefers_paired_linear(const PairedLinearShape& s) {
  return nominal_machine().adds_beside && s.rows >= 3 * conv_pairs::kLeastTile && s.channels >= 64 && s.results >= 48;
}

int64_t paired_linear_packed_floats(const PairedLinearShape& s) { return paired_linear_parts::Plan(s).packed; }

void paired_linear_pack(const PairedLinearShape& s, const float* weight, float* packed) noexcept {
  CONVOY_DISPATCH(PairedLinearPack)(s, weight, packed);
}

size_t paired_linear_workspace_bytes(const PairedLinearShape& s, int threads) {
  return padded_bytes(static_cast<size_t>(threads * paired_linear_parts::Plan(s).scratch_floats()) * sizeof(float));
}

void paired_linear(const PairedLinearShape& s, const PairedLinearArrays& arrays, const Epilogue<float>& epilogue,
                   Workspace& workspace) noexcept {
  CONVOY_DISPATCH(PairedLinear)(s, arrays, epilogue, workspace);
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
