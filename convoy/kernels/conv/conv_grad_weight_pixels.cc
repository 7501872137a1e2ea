// The weight gradient where groups have few result channels: lanes are pixels.
//
// A task has the weights of up to eight result channels and a few input channels. It walks over all planes, a band of some dozens
// of vectors at a time. Both sides of a band are copied into lines of one pitch, wide enough for a row with its padding: the
// gradients with zeros between their rows, the input's rows sorted into the phases of the strides. So every tap is one distance
// between the two, lines make one run of pixels whatever their width, and a pass over the band is a loop over vectors that keeps
// the sums of three tap columns by eight result channels in registers: eleven loads for 24 multiply-adds. Lanes are added up at the
// end.
//
// A pass is a chain of at most kBandVectors sums; kMostBands of them are added before they are put away in double. Zeros between
// rows times what is not finite would be no zeros: a task whose sums are not finite is summed up tap by tap instead.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/conv/conv_grad_weight_pixels.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/conv/conv_depthwise_rows-inl.h"
#include "convoy/kernels/dispatch-inl.h"
#include "hwy/highway.h"

#include "convoy/kernels/conv/conv_grad_weight.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "convoy/core/parallel.h"

#ifndef CONVOY_KERNELS_CONV_GRAD_WEIGHT_PIXELS_PLAN
#define CONVOY_KERNELS_CONV_GRAD_WEIGHT_PIXELS_PLAN
namespace convoy::kernels::pixel_lanes {

using depthwise::round_up;
using shape::ceil_div;

constexpr int64_t kTapColumns = 3;     // of a pass
constexpr int64_t kBandVectors = 128;  // their gradients and input rows stay in the second cache
constexpr int64_t kMostBands = 64;
constexpr int64_t kPasses = 24;    // of a task, for its gradients to be worth copying
constexpr int64_t kFewTasks = 16;  // then tasks have fewer passes, down to kLeastPasses
constexpr int64_t kLeastPasses = 8;
constexpr int64_t kMostRowFloats = 64 << 10;                          // of a task's input rows, if it has several channels
constexpr int64_t kMostFloats = 256 << 10;                            // of one channel's
constexpr int64_t kMostBeyond = 1024;                                 // places of a line beyond its last output's
constexpr int64_t kMostLineVectors = kBandVectors + kMostBeyond / 4;  // four lanes are the fewest

// An axis of the input, sorted into the phases of its stride: tap k of output o lies in phase k dilation % stride at o + k dilation
// / stride.
struct Sorted {
  int64_t stride, phases, beyond;  // places beyond the last output's

  explicit Sorted(const shape::Axis& axis)
      : stride(axis.stride),
        phases(std::min(axis.stride, (axis.kernel_size - 1) * axis.dilation + 1)),
        beyond((axis.kernel_size - 1) * axis.dilation / axis.stride) {}
};

struct Plan {
  int64_t lanes, results, sources;       // result and input channels of a task
  int64_t result_blocks, source_blocks;  // of a group
  Sorted h, w;
  int64_t columns, pitch;               // of a band: outputs, and floats from line to line
  int64_t lines, planes;                // of a band: several planes only if they are whole
  int64_t plane_floats, band_floats;    // gradients of a plane and a band, in whole vectors
  int64_t phase_rows, phase_floats;     // input rows of a plane and a phase, and floats of all planes' in one phase
  int64_t slice_floats, source_floats;  // of all phases, and all depth taps

  Plan(const ConvShape& s, int64_t vector_lanes) : lanes(vector_lanes), h(s.axes[1]), w(s.axes[2]) {
    const int64_t ocg = s.out_channels_per_group(), icg = s.in_channels_per_group();
    const int64_t depth = s.axes[0].kernel_size, most = kBandVectors * lanes;
    results = lanes == 16 && ocg > 4 ? 8 : 4;
    columns = ceil_div(s.output[2], ceil_div(s.output[2], most));
    pitch = columns + w.beyond;
    lines = std::clamp<int64_t>(most / pitch, 1, s.output[1]);
    lines = ceil_div(s.output[1], ceil_div(s.output[1], lines));
    plane_floats = round_up(lines * pitch, lanes);
    planes = lines == s.output[1] ? std::clamp<int64_t>(most / plane_floats, 1, s.batch * s.output[0]) : 1;
    band_floats = planes * plane_floats + lanes;  // results lie in other sets of the cache
    phase_rows = lines + h.beyond;
    phase_floats = planes * phase_rows * pitch + lanes;  // the last line is copied in whole vectors
    slice_floats = h.phases * w.phases * phase_floats;
    source_floats = round_up(depth * slice_floats + std::max(2 * lanes, w.beyond), lanes);  // what is read behind the last line
    const int64_t passes = depth * s.axes[1].kernel_size * ceil_div(s.axes[2].kernel_size, kTapColumns);
    result_blocks = ceil_div(ocg, results);
    sources = std::clamp<int64_t>(ceil_div(kPasses, passes), 1, icg);
    if (s.groups * result_blocks * ceil_div(icg, sources) < kFewTasks)
      sources = std::clamp<int64_t>(ceil_div(kLeastPasses, passes), 1, icg);
    sources = std::clamp<int64_t>(kMostRowFloats / source_floats, 1, sources);
    source_blocks = ceil_div(icg, sources);
    sources = ceil_div(icg, source_blocks);
    source_blocks = ceil_div(icg, sources);
  }

  int64_t sums(const ConvShape& s) const { return sources * s.taps() * results; }
  int64_t tasks(const ConvShape& s) const { return s.groups * result_blocks * source_blocks; }
  // From a line's first output to what it reads through a tap.
  int64_t distance(const ConvShape& s, int64_t kd, int64_t kh, int64_t kw) const {
    const int64_t row = kh * s.axes[1].dilation, column = kw * s.axes[2].dilation;
    return kd * slice_floats + (row % h.stride * w.phases + column % w.stride) * phase_floats + row / h.stride * pitch +
           column / w.stride;
  }
};

// The scratch memory of a thread.
struct Scratch {
  float *rows, *grad, *sums;
  double* totals;
  int64_t* distances;  // of the taps
  float* sorted;       // a row
};

}  // namespace convoy::kernels::pixel_lanes
#endif  // CONVOY_KERNELS_CONV_GRAD_WEIGHT_PIXELS_PLAN

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace {
using pixel_lanes::kTapColumns;
using pixel_lanes::Plan;
using pixel_lanes::Scratch;

constexpr int64_t kVector = HWY_LANES(float);

// A band's planes.
struct Planes {
  int64_t count, vectors;       // of each
  int64_t grad_step, row_step;  // from one to the next
  int64_t result_step;          // from a result channel's gradients to the next one's
};

// sums += over the planes, for kT tap columns at `distances` from the rows. ahead: what the next band reads, fetched a line a
// vector.
template <int kT, int kR>
HWY_NOINLINE void AddPlanes(const Planes& planes, const float* grad, const float* rows, const int64_t* distances,
                            const float* ahead, float* sums) {
  const D d;
  V acc[kT * kR];
  Unroll<kT * kR>([&](auto i) CONVOY_UNROLLED { acc[i] = hn::Zero(d); });
  for (int64_t plane = 0; plane < planes.count; ++plane, grad += planes.grad_step, rows += planes.row_step) {
    const float *g = grad, *from = rows;
    for (const float* const end = g + planes.vectors * kVector; g != end; g += kVector, from += kVector) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += kVector;
      V x[kT];
      Unroll<kT>([&](auto t) CONVOY_UNROLLED {
        x[t] = hn::LoadU(d, from + distances[t]);
        KeepInRegister(x[t]);
      });
      Unroll<kR>([&](auto r) CONVOY_UNROLLED {
        V result = hn::Load(d, g + r * planes.result_step);
        KeepInRegister(result);
        Unroll<kT>([&](auto t) CONVOY_UNROLLED { acc[t * kR + r] = hn::MulAdd(result, x[t], acc[t * kR + r]); });
      });
    }
  }
  Unroll<kT * kR>([&](auto i) CONVOY_UNROLLED {
    float* const to = sums + i * kVector;
    hn::Store(hn::Add(hn::Load(d, to), acc[i]), d, to);
  });
}

// Copies lines of `count` values from row[first] on, zeros where a row of `size` has none, and up to a vector more.
class LineCopier {
 public:
  LineCopier() {}  // the implicit one is made outside of the target's namespace, where NEON masks have no constructor

  void Make(int64_t size, int64_t first, int64_t count) {
    first_ = first;
    vectors_ = shape::ceil_div(count, kVector);
    for (int64_t v = 0; v < vectors_; ++v) inside_[v] = InsideLanes(first + v * kVector, size);
  }
  HWY_INLINE void Copy(const float* row, float* to) const {
    row += first_;
    for (int64_t v = 0; v < vectors_; ++v) hn::StoreU(LoadInside(inside_[v], row + v * kVector), D(), to + v * kVector);
  }
  HWY_INLINE void Clear(float* to) const {
    for (int64_t v = 0; v < vectors_; ++v) hn::StoreU(hn::Zero(D()), D(), to + v * kVector);
  }

 private:
  int64_t first_, vectors_;
  Mask inside_[pixel_lanes::kMostLineVectors];
};

// One task: some result channels and input channels of a group.
class PixelLanes {
 public:
  PixelLanes(const ConvShape& s, const ConvGradWeight<float>& io, const Plan& plan, const Scratch& scratch, int64_t task)
      : s_(s),
        io_(io),
        p_(plan),
        scratch_(scratch),
        group_(task / plan.source_blocks / plan.result_blocks),
        own_result_(task / plan.source_blocks % plan.result_blocks * plan.results),
        own_source_(task % plan.source_blocks * plan.sources),
        first_result_(group_ * s.out_channels_per_group() + own_result_),
        first_source_(group_ * s.in_channels_per_group() + own_source_),
        results_(std::min(plan.results, s.out_channels_per_group() - own_result_)),
        sources_(std::min(plan.sources, s.in_channels_per_group() - own_source_)) {}

  HWY_INLINE void Run() {
    const int64_t kernel_h = s_.axes[1].kernel_size, kernel_w = s_.axes[2].kernel_size, depth = s_.output[0];
    for (int64_t tap = 0; tap < s_.taps(); ++tap)
      scratch_.distances[tap] = p_.distance(s_, tap / kernel_w / kernel_h, tap / kernel_w % kernel_h, tap % kernel_w);
    std::fill(scratch_.rows, scratch_.rows + p_.sources * p_.source_floats, 0.0f);
    std::fill(scratch_.grad, scratch_.grad + p_.results * p_.band_floats, 0.0f);
    std::fill(scratch_.sums, scratch_.sums + p_.sums(s_) * kVector, 0.0f);
    std::fill(scratch_.totals, scratch_.totals + p_.sums(s_), 0.0);
    int64_t bands = 0;
    for (int64_t column = 0; column < s_.output[2]; column += p_.columns) {
      columns_ = std::min(p_.columns, s_.output[2] - column);
      gradients_.Make(columns_, 0, p_.pitch);
      if (p_.w.stride == 1) {
        inputs_.Make(s_.input[2], column - s_.axes[2].pad_begin, p_.pitch);
      } else {
        inputs_.Make(p_.pitch, 0, p_.pitch);
        sorter_.Make(column * p_.w.stride - s_.axes[2].pad_begin, p_.w.stride, s_.input[2], depthwise::round_up(p_.pitch, kVector));
      }
      for (int64_t plane = 0; plane < s_.batch * depth; plane += p_.planes) {
        const int64_t planes = std::min(p_.planes, s_.batch * depth - plane);
        for (int64_t line = 0; line < s_.output[1]; line += p_.lines) {
          const int64_t lines = std::min(p_.lines, s_.output[1] - line);
          for (int64_t i = 0; i < planes; ++i) CopyPlane(plane + i, i, line, lines, column);
          const bool below = line + p_.lines < s_.output[1];
          const int64_t next = std::min(below ? plane : plane + planes, s_.batch * depth - 1);
          AddBand(planes, lines, next, below ? line + p_.lines : 0);
          if (++bands % pixel_lanes::kMostBands == 0) PutAway();
        }
      }
    }
    PutAway();
    Store();
  }

 private:
  // Of the first result channel: a line of a plane, counted over the batch.
  HWY_INLINE const float* Gradients(int64_t plane, int64_t line) const {
    const int64_t n = plane / s_.output[0], od = plane % s_.output[0];
    return io_.grad_output + (n * s_.out_channels + first_result_) * s_.output_positions() +
           (od * s_.output[1] + line) * s_.output[2];
  }

  // Lines of plane number `plane` as the band's number `place`.
  HWY_INLINE void CopyPlane(int64_t plane, int64_t place, int64_t line, int64_t lines, int64_t column) const {
    const float* const grad = Gradients(plane, line) + column;
    for (int64_t r = 0; r < results_; ++r) {
      const float* from = grad + r * s_.output_positions();
      float* to = scratch_.grad + r * p_.band_floats + place * p_.plane_floats;
      for (int64_t l = 0; l < lines; ++l, from += s_.output[2], to += p_.pitch) gradients_.Copy(from, to);
      hn::StoreU(hn::Zero(D()), D(), to);
    }
    const shape::Axis& d = s_.axes[0];
    const int64_t n = plane / s_.output[0], in_plane = s_.input[1] * s_.input[2];
    for (int64_t kd = 0; kd < d.kernel_size; ++kd) {
      const int64_t id = plane % s_.output[0] * d.stride + kd * d.dilation - d.pad_begin;
      const bool exists = id >= 0 && id < s_.input[0];
      for (int64_t c = 0; c < sources_; ++c) {
        const float* const from =
            exists ? io_.input + ((n * s_.in_channels + first_source_ + c) * s_.input[0] + id) * in_plane : nullptr;
        CopyInputs(from, line, lines,
                   scratch_.rows + c * p_.source_floats + kd * p_.slice_floats + place * p_.phase_rows * p_.pitch);
      }
    }
  }

  // The rows that some lines read of an input plane (null: none), phase by phase.
  HWY_INLINE void CopyInputs(const float* plane, int64_t line, int64_t lines, float* to) const {
    const shape::Axis& h = s_.axes[1];
    for (int64_t phase = 0; phase < p_.h.phases; ++phase, to += p_.w.phases * p_.phase_floats) {
      for (int64_t row = 0; row < lines + p_.h.beyond; ++row) {
        const int64_t ih = (line + row) * h.stride + phase - h.pad_begin;
        const bool inside = plane != nullptr && ih >= 0 && ih < s_.input[1];
        CopyRow(inside ? plane + ih * s_.input[2] : nullptr, to + row * p_.pitch);
      }
    }
  }

  // An input row (null: zeros) to its place in every phase of the columns.
  HWY_INLINE void CopyRow(const float* row, float* to) const {
    const int64_t sorted = depthwise::round_up(p_.pitch, kVector);
    if (row != nullptr && p_.w.stride > 1) sorter_.Sort(row, p_.w.phases, sorted, scratch_.sorted);
    for (int64_t q = 0; q < p_.w.phases; ++q, to += p_.phase_floats) {
      if (row == nullptr) {
        inputs_.Clear(to);
      } else {
        inputs_.Copy(p_.w.stride > 1 ? scratch_.sorted + q * sorted : row, to);
      }
    }
  }

  // Of the first input channel: what a line of a plane begins to read.
  HWY_INLINE const float* Inputs(int64_t plane, int64_t line) const {
    const shape::Axis &d = s_.axes[0], &h = s_.axes[1];
    const int64_t n = plane / s_.output[0],
                  id = std::clamp<int64_t>(plane % s_.output[0] * d.stride - d.pad_begin, 0, s_.input[0] - 1);
    const int64_t ih = std::clamp<int64_t>(line * h.stride - h.pad_begin, 0, s_.input[1] - 1);
    return io_.input + (((n * s_.in_channels + first_source_) * s_.input[0] + id) * s_.input[1] + ih) * s_.input[2];
  }

  // next_plane, next_line: where the next band begins. Each of its channels is fetched in one of the passes.
  HWY_INLINE void AddBand(int64_t planes, int64_t lines, int64_t next_plane, int64_t next_line) const {
    const Planes band{planes, shape::ceil_div(lines * p_.pitch, kVector), p_.plane_floats, p_.phase_rows * p_.pitch,
                      p_.band_floats};
    const int64_t kernel = s_.axes[2].kernel_size, tap_rows = s_.taps() / kernel;
    const int64_t passes = sources_ * tap_rows * shape::ceil_div(kernel, kTapColumns);
    const int64_t passes_each = std::max<int64_t>(passes / (results_ + sources_), 1);
    const float *const gradients = Gradients(next_plane, next_line), *const inputs = Inputs(next_plane, next_line);
    int64_t pass = 0;
    float* sums = scratch_.sums;
    for (int64_t c = 0; c < sources_; ++c) {
      const float* const rows = scratch_.rows + c * p_.source_floats;
      for (int64_t tap = 0; tap < tap_rows * kernel; ++pass) {
        const int64_t taps = std::min(kTapColumns, kernel - tap % kernel), channel = pass / passes_each;
        const bool fetches = pass % passes_each == 0 && channel < results_ + sources_;
        const float* const ahead = !fetches             ? scratch_.grad
                                   : channel < results_ ? gradients + channel * s_.output_positions()
                                                        : inputs + (channel - results_) * s_.input_positions();
        Add(taps, band, rows, scratch_.distances + tap, ahead, sums);
        tap += taps;
        sums += taps * p_.results * kVector;
      }
    }
  }

  HWY_INLINE void Add(int64_t taps, const Planes& band, const float* rows, const int64_t* distances, const float* ahead,
                      float* sums) const {
    const auto add = [&](auto results) HWY_ATTR {
      if (taps == 3) return AddPlanes<3, results>(band, scratch_.grad, rows, distances, ahead, sums);
      if (taps == 2) return AddPlanes<2, results>(band, scratch_.grad, rows, distances, ahead, sums);
      AddPlanes<1, results>(band, scratch_.grad, rows, distances, ahead, sums);
    };
    if (p_.results == 8) {
      add(std::integral_constant < int, HWY_TARGET == HWY_AVX3 ? 8 : 4 > ());
    } else {
      add(std::integral_constant<int, 4>());
    }
  }

  HWY_INLINE void PutAway() const {
    const D d;
    for (int64_t i = 0; i < p_.sums(s_); ++i) {
      float* const sum = scratch_.sums + i * kVector;
      scratch_.totals[i] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sum))));
      hn::Store(hn::Zero(d), d, sum);
    }
  }

  // totals: [input channel][tap row][up to three tap columns, side by side][result channel]
  HWY_INLINE void Store() const {
    const int64_t taps = s_.taps();
    bool finite = true;
    for (int64_t i = 0; i < p_.sums(s_); ++i) finite = finite && std::isfinite(scratch_.totals[i]);
    const double* total = scratch_.totals;
    for (int64_t c = 0; c < sources_; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap, total += p_.results) {
        for (int64_t r = 0; r < results_; ++r) {
          const int64_t at = ((first_result_ + r) * s_.in_channels_per_group() + own_source_ + c) * taps + tap;
          io_.grad_weight[at] = static_cast<float>(finite ? total[r] : Sum(c, tap, r));
        }
      }
    }
  }

  // One weight's gradient from what its tap reads, and nothing else.
  HWY_NOINLINE double Sum(int64_t c, int64_t tap, int64_t r) const {
    shape::Spatial k{tap / s_.axes[2].kernel_size / s_.axes[1].kernel_size, tap / s_.axes[2].kernel_size % s_.axes[1].kernel_size,
                     tap % s_.axes[2].kernel_size};
    std::array<shape::Range, 3> seen;
    for (size_t a = 0; a < 3; ++a) seen[a] = shape::valid_outputs(k[a], s_.input[a], s_.output[a], s_.axes[a]);
    const auto read = [&](size_t a, int64_t o) {
      return o * s_.axes[a].stride + k[a] * s_.axes[a].dilation - s_.axes[a].pad_begin;
    };
    double sum = 0;
    for (int64_t n = 0; n < s_.batch; ++n) {
      const float* const x = io_.input + (n * s_.in_channels + first_source_ + c) * s_.input_positions();
      const float* const y = io_.grad_output + (n * s_.out_channels + first_result_ + r) * s_.output_positions();
      for (int64_t od = seen[0].begin; od < seen[0].end; ++od) {
        for (int64_t oh = seen[1].begin; oh < seen[1].end; ++oh) {
          for (int64_t ow = seen[2].begin; ow < seen[2].end; ++ow) {
            sum += static_cast<double>(x[(read(0, od) * s_.input[1] + read(1, oh)) * s_.input[2] + read(2, ow)]) *
                   static_cast<double>(y[(od * s_.output[1] + oh) * s_.output[2] + ow]);
          }
        }
      }
    }
    return sum;
  }

  const ConvShape& s_;
  const ConvGradWeight<float>& io_;
  const Plan& p_;
  const Scratch scratch_;
  const int64_t group_, own_result_, own_source_;  // the channels counted in the group
  const int64_t first_result_, first_source_, results_, sources_;
  int64_t columns_ = 0;
  LineCopier gradients_, inputs_;
  RowSorter sorter_;
};

HWY_ATTR void PixelLanesTask(const ConvShape& s, const ConvGradWeight<float>& io, const Plan& plan, const Scratch& scratch,
                             int64_t task) {
  if constexpr (HWY_TARGET == HWY_SCALAR) return;  // refused: has_vectors()
  PixelLanes(s, io, plan, scratch, task).Run();
}

int64_t PixelLanesWidth() { return kVector; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(PixelLanesTask);
CONVOY_EXPORT(PixelLanesWidth);

namespace {

using pixel_lanes::Plan;

Plan plan_of(const ConvShape& s) { return {s, CONVOY_DISPATCH(PixelLanesWidth)()}; }

const char* refuse(const ConvShape& s) {
  if (!has_vectors()) return "needs vectors";
  if (s.output_positions() == 0 || s.input_positions() == 0 || s.batch == 0 || s.in_channels == 0 || s.out_channels == 0)
    return "nothing to compute";
  constexpr int64_t kMostTaps = 512;
  if (s.taps() > kMostTaps) return "needs at most 512 taps";
  if (depthwise::reaches_too_far(s)) return "the kernel reaches too far";
  const pixel_lanes::Sorted h(s.axes[1]), w(s.axes[2]);
  if (w.beyond > pixel_lanes::kMostBeyond) return "the kernel reaches too far";
  // A plan's sizes might overflow where not even its phases fit; these in double.
  const double phases = static_cast<double>(s.axes[0].kernel_size * h.phases) * static_cast<double>(w.phases);
  const bool fits = phases * static_cast<double>(h.beyond + 1) < static_cast<double>(pixel_lanes::kMostFloats);
  return fits && plan_of(s).source_floats <= pixel_lanes::kMostFloats ? nullptr : "the rows under one kernel do not fit the cache";
}

struct Sizes {
  int64_t rows, grad, sums, totals, distances, sorted;

  Sizes(const ConvShape& s, const Plan& p)
      : rows(p.sources * p.source_floats),
        grad(p.results * p.band_floats + p.lanes),
        sums(p.sums(s) * p.lanes),
        totals(p.sums(s)),
        distances(s.taps()),
        sorted(p.w.stride > 1 ? p.w.phases * depthwise::round_up(p.pitch, p.lanes) : 0) {}
};

size_t workspace_bytes(const ConvShape& s, int threads) {
  const Sizes z(s, plan_of(s));
  const auto bytes = [&](int64_t count, size_t size) { return padded_bytes(static_cast<size_t>(count * threads) * size); };
  return bytes(z.rows, sizeof(float)) + bytes(z.grad, sizeof(float)) + bytes(z.sums, sizeof(float)) +
         bytes(z.totals, sizeof(double)) + bytes(z.distances, sizeof(int64_t)) + bytes(z.sorted, sizeof(float));
}

// Multiply-adds of vectors, vectors and rows that are copied or sorted, and what is added up at the end: fitted to 110 layers.
double seconds(const ConvShape& s, const Machine& m) {
  const Plan p = plan_of(s);
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  const double bands =
      number(s.batch * s.output[0] * shape::ceil_div(s.output[1], p.lines) * shape::ceil_div(s.output[2], p.columns));
  const double sums = number(p.sums(s)), line = number(shape::ceil_div(p.pitch, p.lanes));
  const double rows = bands * number(p.sources * s.axes[0].kernel_size * p.h.phases * p.phase_rows);
  const double row = p.w.stride == 1 ? 0.95e-9 * line
                                     : number(p.w.phases) * line * m.with_eight_lanes(0.6) *
                                           (p.w.stride == 2 ? 4e-9 : 1.7e-9 * number(p.w.stride));
  const double multiply = 0.343e-9 * m.with_eight_lanes(0.4) * bands * number(p.plane_floats / p.lanes) * sums;
  const double copied = m.with_eight_lanes(0.4) * 3e-9 * bands * number(p.results * p.lines) * line + rows * (row + 8.5e-9);
  const double skipped = s.taps() == 1 && p.w.stride > 1 ? 1.7 : 1;  // what lies between the pixels of one tap
  return 1e-6 + number(p.tasks(s)) * skipped * (multiply + copied + sums * 7.5e-9) * 96e9 / m.flops_per_second / m.threads;
}

void grad_weight(const ConvShape& s, const ConvGradWeight<float>& io, Workspace& workspace) {
  const Plan plan = plan_of(s);
  const Sizes z(s, plan);
  const int threads = num_threads();
  float* const rows = workspace.take<float>(z.rows * threads);
  float* const grad = workspace.take<float>(z.grad * threads);
  float* const sums = workspace.take<float>(z.sums * threads);
  double* const totals = workspace.take<double>(z.totals * threads);
  int64_t* const distances = workspace.take<int64_t>(z.distances * threads);
  float* const sorted = workspace.take<float>(z.sorted * threads);
  parallel_for(plan.tasks(s), [&](int64_t task, int thread) {
    CONVOY_DISPATCH(PixelLanesTask)
    (s, io, plan,
     {rows + thread * z.rows, grad + thread * z.grad, sums + thread * z.sums, totals + thread * z.totals,
      distances + thread * z.distances, sorted + thread * z.sorted},
     task);
  });
}

}  // namespace

const ConvKernel kConvPixelLanesGradWeight{.name = "conv_pixel_lanes",
                                           .direction = Direction::kGradWeight,
                                           .refuse = refuse,
                                           .seconds = seconds,
                                           .workspace_bytes = workspace_bytes,
                                           .grad_weight = grad_weight};

}  // namespace convoy::kernels
#endif  // HWY_ONCE
