// What moves values and does not look at them: views where the values need not move at all, else copies.
#include <array>

#include "convoy/graph/step.h"
#include "convoy/kernels/elementwise/gather.h"

namespace convoy::graph {
namespace {

int64_t product(const Shape& shape, size_t begin, size_t end) {
  int64_t count = 1;
  for (size_t i = begin; i < end; ++i) count *= shape[i];
  return count;
}

StepPlan same_bytes(const StepSite& site) {
  if (!site.has(0) || !site.wants(0) || site.outputs() > 1 || site.input(0).bytes != site.output(0).bytes ||
      site.input(0).dtype != site.output(0).dtype)
    return {};
  return {nullptr, {{0, 0, 0, 0, site.input(0).bytes}}};
}

StepPlan dropout_step(const StepSite& site) {
  const Tensor* training = site.constant(2);
  const bool off = !site.has(2) || (training != nullptr && training->numel() == 1 && training->item() == 0);
  if (!off || site.wants(1) || !site.wants(0)) return {};
  return {nullptr, {{0, 0, 0, 0, site.input(0).bytes}}};
}

std::optional<size_t> axis_of(const StepSite& site, size_t rank, int64_t otherwise) {
  const int64_t axis = site.attributes().integer("axis", otherwise), n = static_cast<int64_t>(rank);
  if (axis < -n || axis >= n) return std::nullopt;
  return static_cast<size_t>(axis < 0 ? axis + n : axis);
}

StepPlan concat_step(const StepSite& site) {
  const KnownType& out = site.output(0);
  const auto axis = axis_of(site, out.shape.size(), 0);
  if (!axis || out.bytes == 0) return {};
  const int64_t outer = product(out.shape, 0, *axis), row = out.bytes / outer;
  StepPlan plan;
  int64_t at = 0;
  std::vector<int64_t> parts;  // bytes of each input in a row
  for (size_t i = 0; i < site.inputs(); ++i) {
    const KnownType& in = site.input(i);
    if (in.dtype != out.dtype || in.shape.size() != out.shape.size() || product(in.shape, 0, *axis) != outer) return {};
    const int64_t bytes = in.bytes / outer;
    plan.views.push_back({i, 0, 0, at, bytes});
    parts.push_back(bytes);
    at += bytes;
  }
  if (at != row) return {};
  if (outer == 1) return plan;
  return {step_of([outer, parts](const StepIo& io) {
    std::vector<kernels::RowPart> rows;
    for (size_t i = 0; i < parts.size(); ++i) rows.push_back({io.input<char>(i), parts[i]});
    kernels::concat_rows(rows, io.output<char>(0), outer);
  })};
}

StepPlan split_step(const StepSite& site) {
  const KnownType& in = site.input(0);
  const auto axis = axis_of(site, in.shape.size(), 0);
  if (!axis || in.bytes == 0) return {};
  const int64_t outer = product(in.shape, 0, *axis), row = in.bytes / outer;
  StepPlan plan;
  int64_t at = 0;
  std::vector<int64_t> parts;  // bytes of each output in a row
  for (size_t i = 0; i < site.outputs(); ++i) {
    if (!site.wants(i)) return {};
    const int64_t bytes = site.output(i).bytes / outer;
    plan.views.push_back({0, i, at, 0, bytes});
    parts.push_back(bytes);
    at += bytes;
  }
  if (at != row) return {};
  if (outer == 1) return plan;
  return {step_of([outer, row, parts](const StepIo& io) {
    const auto* from = io.input<char>(0);
    for (size_t i = 0; i < parts.size(); ++i) {
      kernels::copy_rows(from, row, io.output<char>(i), parts[i], parts[i], outer);
      from += parts[i];
    }
  })};
}

// A slice along one axis with step 1.
StepPlan slice_step(const StepSite& site) {
  const KnownType &in = site.input(0), &out = site.output(0);
  const Tensor *starts = site.constant(1), *axes = site.constant(3), *steps = site.constant(4);
  if (starts == nullptr || (site.has(3) && axes == nullptr) || (site.has(4) && steps == nullptr) ||
      in.shape.size() != out.shape.size() || out.bytes == 0)
    return {};
  size_t cut = in.shape.size();
  for (size_t i = 0; i < in.shape.size(); ++i) {
    if (in.shape[i] == out.shape[i]) continue;
    if (cut != in.shape.size()) return {};
    cut = i;
  }
  const auto rank = static_cast<int64_t>(in.shape.size());
  int64_t first = 0;
  for (int64_t k = 0; k < starts->numel(); ++k) {
    if (steps != nullptr && steps->at(k) != 1) return {};
    int64_t axis = axes != nullptr ? static_cast<int64_t>(axes->at(k)) : k;
    if (axis < 0) axis += rank;
    if (axis != static_cast<int64_t>(cut)) continue;
    const int64_t n = in.shape[cut];
    const int64_t start = starts->to(DType::kInt64).to_vector<int64_t>()[static_cast<size_t>(k)];
    first = start < 0 ? std::max<int64_t>(start + n, 0) : std::min(start, n);
  }
  if (cut == in.shape.size()) return same_bytes(site);
  const int64_t outer = product(in.shape, 0, cut), row = in.bytes / outer, bytes = out.bytes / outer,
                at = first * (row / in.shape[cut]);
  if (at + bytes > row) return {};
  if (outer == 1) return {nullptr, {{0, 0, at, 0, bytes}}};
  return {step_of([outer, at, row, bytes](const StepIo& io) {
    kernels::copy_rows(io.input<char>(0) + at, row, io.output<char>(0), bytes, bytes, outer);
  })};
}

// Groups of one input's channels, or as many inputs.
StepPlan shuffle_step(const StepSite& site, int64_t groups, size_t inputs) {
  constexpr int64_t kMostSources = 64;
  const KnownType& out = site.output(0);
  if (out.shape.size() < 2 || out.bytes == 0 || groups < 1 || groups > kMostSources || out.shape[1] % groups != 0) return {};
  const int64_t batch = out.shape[0], channels = out.shape[1], plane = out.bytes / (batch * channels), each = channels / groups;
  const bool apart = inputs > 1;
  return {step_of([=](const StepIo& io) {
    std::array<const char*, kMostSources> sources;
    for (int64_t g = 0; g < groups; ++g)
      sources[static_cast<size_t>(g)] = apart ? io.input<char>(static_cast<size_t>(g)) : io.input<char>(0) + g * each * plane;
    kernels::interleave_planes({sources.data(), static_cast<size_t>(groups)}, (apart ? each : channels) * plane, io.output<char>(0),
                               {batch, channels, plane});
  })};
}

StepPlan channel_shuffle_step(const StepSite& site) { return shuffle_step(site, site.attributes().integer("groups", 1), 1); }

StepPlan interleave_step(const StepSite& site) {
  for (size_t i = 0; i < site.inputs(); ++i) {
    if (site.input(i).shape != site.input(0).shape || site.input(i).dtype != site.output(0).dtype) return {};
  }
  return shuffle_step(site, static_cast<int64_t>(site.inputs()), site.inputs());
}

}  // namespace

std::span<const StepMaker> move_steps() {
  static constexpr StepMaker kRows[] = {
      {"Reshape", same_bytes},         {"Flatten", same_bytes},
      {"Squeeze", same_bytes},         {"Unsqueeze", same_bytes},
      {"Identity", same_bytes},        {"Dropout", dropout_step},
      {"Concat", concat_step},         {"Split", split_step},
      {"Slice", slice_step},           {"ChannelShuffle", channel_shuffle_step},
      {"Interleave", interleave_step},
  };
  return kRows;
}

}  // namespace convoy::graph
