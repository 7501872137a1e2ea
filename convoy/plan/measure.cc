#include "convoy/plan/measure.h"

#include <algorithm>
#include <chrono>

#include "convoy/core/keep_num_threads.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/core/tensor.h"

namespace convoy::plan {

namespace {
// More than the last-level cache share of a core on the machines we know, so that a weight comes from memory when its turn comes.
constexpr size_t kColdBytes = size_t{256} << 20;
}  // namespace

double multiply_adds(const shape::ConvShape& layer) {
  const shape::ConvShape plain = plain_shape(layer);
  return static_cast<double>(plain.batch) * static_cast<double>(plain.out_channels) *
         static_cast<double>(plain.in_channels_per_group()) * static_cast<double>(plain.output_positions()) *
         static_cast<double>(plain.taps());
}

Measurement measure_conv(const shape::ConvShape& layer, Direction direction, const MeasureOptions& options) {
  using Clock = std::chrono::steady_clock;
  const shape::ConvShape plain = plain_shape(layer);
  Measurement m{.plan = ConvPlan(plain, plain_direction(layer, direction), options.plan)};
  const KeepNumThreads kept;
  m.threads = num_threads();
  m.workspace_bytes = m.plan.workspace_bytes();
  m.packed_bytes = m.plan.packed_bytes();
  m.flop = 2 * multiply_adds(layer);
  Generator generator(1);
  Tensor input = randn({plain.input_count()}, DType::kFloat32, &generator);
  Tensor output = randn({plain.output_count()}, DType::kFloat32, &generator);
  Tensor weight = randn({plain.weight_count()}, DType::kFloat32, &generator);
  std::vector<PackedWeight> copies;
  if (options.plan.packed && m.packed_bytes > 0) {
    const auto start = Clock::now();
    copies.push_back(m.plan.pack(weight.data<float>()));
    m.pack_seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const size_t wanted = options.cold ? std::min<size_t>(64, kColdBytes / m.packed_bytes + 2) : 1;
    while (copies.size() < wanted) copies.push_back(m.plan.pack(weight.data<float>()));
  }
  Workspace workspace(m.workspace_bytes + (copies.empty() ? padded_bytes(m.packed_bytes) : 0));
  size_t calls = 0;
  const auto run = [&] {
    const float* packed = copies.empty() ? nullptr : copies[calls++ % copies.size()].data();
    m.plan.run(input.data<float>(), weight.data<float>(), packed, output.data<float>(), workspace);
  };
  const auto elapsed = [](Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); };
  m.peak_flops = kernels::measure_peak_flops(m.threads);
  run();
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  while (times.size() < 5 || (elapsed(begin) < options.seconds && times.size() < 100000 && !(options.stop && options.stop()))) {
    const Clock::time_point start = Clock::now();
    run();
    times.push_back(elapsed(start));
  }
  m.peak_flops = std::max(m.peak_flops, kernels::measure_peak_flops(m.threads));
  std::sort(times.begin(), times.end());
  m.runs = static_cast<int64_t>(times.size());
  m.min_seconds = times.front();
  m.median_seconds = times[times.size() / 2];
  return m;
}

}  // namespace convoy::plan
