// Few channels per group, one output row at a time: sequences, planes of one or two rows, and kernels of many columns.
//
// There are no rows to share inputs between, so up to 8 vectors of a row go abreast. The input rows under the output row are first
// copied with zeros around them, sorted into phases where columns are strided, and all planes of the group read that copy. The
// input gradient of a strided layer is computed phase by phase and interleaved when it is stored.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_depthwise_lines.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/conv/conv_depthwise_rows-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_depthwise_lines.h"

#include <algorithm>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_DEPTHWISE_LINES_PLAN
#define CONVOY_KERNELS_CONV_DEPTHWISE_LINES_PLAN
namespace convoy::kernels::depthwise {

constexpr int64_t kMaxLinePhases = 16;

// How rows are cut into chunks of columns, and copied: [source][slice][tap row][phase][column].
struct LinePlan {
  Geometry g;
  int64_t chunk, chunks;  // columns of an output phase at a time
  int64_t first_offset;   // of all taps: the copy begins there
  int64_t phase_floats, row_floats, rows;

  explicit LinePlan(const Geometry& geometry) : g(geometry) {
    constexpr int64_t kChunk = 2048;
    chunk = std::min(round_up(g.phase_columns(), kLanes), kChunk);
    chunks = (g.phase_columns() + chunk - 1) / chunk;
    const int64_t reach = (g.w.kernel - 1) * g.w.dilation / g.w.stride;
    // In a gradient the last tap of phase 0 or of a later one is the first to read.
    first_offset = g.w.gradient ? (g.w.pad - (g.w.kernel - 1) * g.w.dilation) / g.w.stride - 1 : g.strided() ? 0 : -g.w.pad;
    phase_floats = round_up(chunk + reach + 3, kLanes);
    row_floats = (g.strided() ? g.sorted_phases() : 1) * phase_floats;
    rows = g.sources * g.d.kernel * g.h.kernel;
  }
};

}  // namespace convoy::kernels::depthwise
#endif  // CONVOY_KERNELS_CONV_DEPTHWISE_LINES_PLAN

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
using depthwise::Geometry;
using depthwise::Job;
using depthwise::LinePlan;
using depthwise::Taps;

constexpr int64_t kVector = HWY_LANES(float);

// A chunk of an output row. Its taps along d and h that read nothing are left out.
struct Line {
  const LinePlan& plan;
  int64_t od, oh;
  int64_t weight_source;
  const float* copy;
};

// Calls f(row of the copy, source, kd, kh, input row) for all rows under an output row.
template <class F>
HWY_INLINE void EachRow(const Geometry& g, int64_t od, int64_t oh, F&& f) {
  int64_t row = 0;
  for (int64_t source = 0; source < g.sources; ++source) {
    for (int64_t kd = 0; kd < g.d.kernel; ++kd) {
      const int64_t id = g.d.input_of(od, kd);
      if (id < 0) continue;
      for (int64_t kh = 0; kh < g.h.kernel; ++kh) {
        const int64_t ih = g.h.input_of(oh, kh);
        if (ih >= 0) f(row++, source, kd, kh, (source * g.d.input + id) * g.h.input + ih);
      }
    }
  }
}

// kVectors vectors of one phase of a line, from column j of the chunk on.
template <int kVectors>
HWY_NOINLINE void LineVectors(const Line& line, const float* weight, float start, int64_t phase, int64_t j, float* to) {
  const D d;
  const LinePlan& plan = line.plan;
  const Geometry& g = plan.g;
  V sums[kVectors], cut[kVectors];
  Unroll<kVectors>([&](auto i) CONVOY_UNROLLED {
    sums[i] = hn::Set(d, start);
    cut[i] = hn::Zero(d);
  });
  int64_t chain = 0;
  EachRow(g, line.od, line.oh, [&](int64_t row, int64_t source, int64_t kd, int64_t kh, int64_t) CONVOY_UNROLLED {
    const float* const in = line.copy + row * plan.row_floats + j - plan.first_offset;
    const float* const taps_of_row = weight + source * line.weight_source + (kd * g.h.kernel + kh) * g.w.kernel;
    for (int64_t c = 0; c < g.w.tap_classes(); ++c) {
      const Taps taps = g.w.taps(phase, c);
      const float* from = in + g.first_offset(taps, plan.phase_floats);
      const float* k = taps_of_row + taps.tap;
      for (int64_t t = 0; t < taps.count; ++t) {
        const V w = hn::Set(d, *k);
        Unroll<kVectors>([&](auto i) CONVOY_UNROLLED { sums[i] = hn::MulAdd(w, hn::LoadU(d, from + i * kVector), sums[i]); });
        from += g.column_step();
        k += g.w.tap_step();
        if (++chain == depthwise::kChain) {
          chain = 0;
          Unroll<kVectors>([&](auto i) CONVOY_UNROLLED {
            cut[i] = hn::Add(cut[i], sums[i]);
            sums[i] = hn::Zero(d);
          });
        }
      }
    }
  });
  Unroll<kVectors>([&](auto i) CONVOY_UNROLLED { hn::StoreU(hn::Add(cut[i], sums[i]), d, to + i * kVector); });
}

// Lines [begin, end), the planes of a group one after the other.
HWY_ATTR void RunLines(const Job& job, const LinePlan& plan, const SplitEpilogue& epilogue, int64_t begin, int64_t end,
                       float* scratch) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  const D d;
  const Geometry& g = plan.g;
  const Finish finish(epilogue);
  const int64_t phases = g.phases();
  Line line{plan, 0, 0, job.weight_source, scratch};
  int64_t copied = -1;
  HWY_ALIGN float sums[depthwise::kMaxLinePhases * 8 * depthwise::kLanes];
  HWY_ALIGN float values[depthwise::kMaxLinePhases * depthwise::kLanes];
  for (int64_t i = begin; i < end; ++i) {
    const int64_t member = i % job.group_channels, at = i / job.group_channels;
    const int64_t first = at % plan.chunks * plan.chunk;
    line.oh = at / plan.chunks % g.h.output;
    line.od = at / plan.chunks / g.h.output % g.d.output;
    const int64_t group = at / plan.chunks / g.h.output / g.d.output;
    const int64_t plane = group * job.group_channels + member, channel = plane % job.channels;
    const int64_t columns = std::min(plan.chunk, g.phase_columns() - first);
    if (copied != at) {
      copied = at;
      const float* const planes = job.input + group * g.sources * g.input_positions();
      EachRow(g, line.od, line.oh, [&](int64_t row, int64_t, int64_t, int64_t, int64_t from) HWY_ATTR {
        const int64_t first_input = g.strided() ? first * g.w.stride - g.w.pad : first + plan.first_offset;
        SortRow(planes + from * g.w.input, g.w.input, first_input, g.strided() ? g.w.stride : 1, g.sorted_phases(),
                plan.phase_floats, plan.phase_floats, scratch + row * plan.row_floats);
      });
    }
    const float* const weight = job.weight + channel / job.group_channels * job.weight_group + member * job.weight_channel;
    const float start = job.bias != nullptr ? job.bias[channel] : 0.0f;
    const int64_t out_at = plane * g.output_positions() + (line.od * g.h.output + line.oh) * g.w.output + first * phases;
    float* const out = job.output + out_at;
    const float* const residual = epilogue.residual != nullptr ? epilogue.residual + out_at : nullptr;
    const int64_t outputs = std::min(columns * phases, g.w.output - first * phases);
    const auto store = [&](V v, int64_t column) HWY_ATTR {
      finish.Store(d, v, FirstLanes(d, outputs - column), out + column, residual != nullptr ? residual + column : nullptr);
    };
    for (int64_t j = 0; j < columns;) {
      const int64_t left = (columns - j + kVector - 1) / kVector;
      const int64_t vectors = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      for (int64_t phase = 0; phase < phases; ++phase) {
        float* const to = sums + phase * vectors * kVector;
        switch (vectors) {
          case 8:
            LineVectors<8>(line, weight, start, phase, j, to);
            break;
          case 4:
            LineVectors<4>(line, weight, start, phase, j, to);
            break;
          case 2:
            LineVectors<2>(line, weight, start, phase, j, to);
            break;
          default:
            LineVectors<1>(line, weight, start, phase, j, to);
        }
      }
      for (int64_t v = 0; v < vectors; ++v) {
        if (phases == 1) {
          store(hn::Load(d, sums + v * kVector), j + v * kVector);
          continue;
        }
        HWY_ALIGN float rows[depthwise::kMaxLinePhases * depthwise::kLanes];
        for (int64_t phase = 0; phase < phases; ++phase) {
          hn::Store(hn::Load(d, sums + (phase * vectors + v) * kVector), d, rows + phase * kVector);
        }
        Interleave(rows, phases, values);
        for (int64_t u = 0; u < phases; ++u) {
          const int64_t column = (j + v * kVector) * phases + u * kVector;
          if (column < outputs) store(hn::Load(d, values + u * kVector), column);
        }
      }
      j += vectors * kVector;
    }
    if (epilogue.later) epilogue.finish(out, outputs);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(RunLines);

namespace depthwise {

const char* refuse_lines(const Geometry& g) {
  if (g.phases() > kMaxLinePhases) return "needs strides of at most 16";
  // In double: the counts themselves might overflow.
  constexpr double kMostFloats = 1 << 18, kChunk = 2048;
  const double reach = static_cast<double>(g.w.kernel - 1) * static_cast<double>(g.w.dilation) / static_cast<double>(g.w.stride);
  const double columns = std::min(static_cast<double>(g.phase_columns()), kChunk) + reach + 48;
  const double phases = g.strided() ? static_cast<double>(g.sorted_phases()) : 1;
  const double rows = static_cast<double>(g.sources) * static_cast<double>(g.d.kernel * g.h.kernel);
  return rows * phases * columns > kMostFloats ? "the rows under one kernel do not fit the cache" : nullptr;
}

int64_t line_scratch_floats(const Geometry& g) {
  const LinePlan plan(g);
  return plan.rows * plan.row_floats;
}

void run_lines(const Job& job, const Epilogue<float>& epilogue_of_call, Workspace& workspace) {
  const SplitEpilogue epilogue(epilogue_of_call);
  const LinePlan plan(job.g);
  const int64_t scratch_floats = plan.rows * plan.row_floats;
  float* const scratch = workspace.take<float>(scratch_floats * num_threads());
  const int64_t lines = job.planes * plan.g.d.output * plan.g.h.output * plan.chunks;
  if (lines == 0) return;              // an empty batch
  constexpr double kTaskWork = 400e3;  // multiply-adds: some microseconds
  const double work = static_cast<double>(plan.chunk * plan.g.phases()) *
                      static_cast<double>(2 * plan.rows * plan.g.w.kernel / plan.g.phases() + 8);
  const auto tasks = static_cast<int64_t>(std::clamp(static_cast<double>(lines) * work / kTaskWork, 1.0, 8.0 * num_threads()));
  const int64_t grain = (lines + tasks - 1) / tasks;  // no bit depends on it
  parallel_for((lines + grain - 1) / grain, [&](int64_t task, int thread) {
    CONVOY_DISPATCH(RunLines)
    (job, plan, epilogue, task * grain, std::min(lines, (task + 1) * grain), scratch + thread * scratch_floats);
  });
}

}  // namespace depthwise
}  // namespace convoy::kernels
#endif  // HWY_ONCE
