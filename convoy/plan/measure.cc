#include "convoy/plan/measure.h"

#include <algorithm>
#include <chrono>

#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/core/tensor.h"

namespace convoy::plan {

double multiply_adds(const shape::ConvShape& layer) {
  const shape::ConvShape plain = plain_shape(layer);
  return static_cast<double>(plain.batch) * static_cast<double>(plain.out_channels) *
         static_cast<double>(plain.in_channels_per_group()) * static_cast<double>(plain.output_positions()) *
         static_cast<double>(plain.taps());
}

Measurement measure_conv(const shape::ConvShape& layer, Direction direction, std::string_view force, double seconds) {
  using Clock = std::chrono::steady_clock;
  const shape::ConvShape plain = plain_shape(layer);
  Measurement m{.plan = ConvPlan(plain, plain_direction(layer, direction), force)};
  m.threads = num_threads();
  m.workspace_bytes = m.plan.workspace_bytes();
  m.flop = 2 * multiply_adds(layer);
  Generator generator(1);
  // Rectified normal values: what layers see, and never denormal.
  Tensor input = randn({plain.input_count()}, DType::kFloat32, &generator);
  Tensor output = randn({plain.output_count()}, DType::kFloat32, &generator);
  Tensor weight = randn({plain.weight_count()}, DType::kFloat32, &generator);
  const auto run = [&] {
    switch (m.plan.direction()) {
      case Direction::kForward:
        return m.plan.run(kernels::ConvForward<float>{input.data<float>(), weight.data<float>(), nullptr, output.data<float>()});
      case Direction::kGradInput:
        return m.plan.run(kernels::ConvGradInput<float>{output.data<float>(), weight.data<float>(), nullptr, input.data<float>()});
      case Direction::kGradWeight:
        return m.plan.run(kernels::ConvGradWeight<float>{input.data<float>(), output.data<float>(), weight.data<float>()});
    }
  };
  const auto elapsed = [](Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); };
  m.peak_flops = kernels::measure_peak_flops(m.threads);
  run();
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  while (times.size() < 5 || (elapsed(begin) < seconds && times.size() < 100000)) {
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
