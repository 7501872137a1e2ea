#include "cli/training_benchmark.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "cli/interrupt.h"
#include "convoy/autograd/functions.h"
#include "convoy/core/random.h"
#include "convoy/nn/vision_models.h"
#include "convoy/optim/optimizer.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

TrainingTimes measure_training(const TrainingBenchmark& benchmark) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kClasses = 1000;
  const std::shared_ptr<nn::Module> net = nn::make_vision_model(benchmark.model, kClasses);
  optim::SGD optimizer(net->parameters(), {.lr = 0.01, .momentum = 0.9});
  const Tensor images = randn({benchmark.batch, 3, benchmark.size, benchmark.size});
  Tensor labels = Tensor::arange(benchmark.batch, DType::kInt64);
  for (int64_t i = 0; i < benchmark.batch; ++i) labels.data<int64_t>()[i] %= kClasses;
  std::vector<double> whole, forward, backward, update;
  const auto milliseconds = [](Clock::time_point a, Clock::time_point b) {
    return std::chrono::duration<double, std::milli>(b - a).count();
  };
  const auto step = [&](bool counted) {
    const auto begin = Clock::now();
    optimizer.zero_grad();
    Variable loss = cross_entropy((*net)(images), labels);
    const auto computed = Clock::now();
    loss.backward();
    const auto differentiated = Clock::now();
    optimizer.step();
    const auto end = Clock::now();
    if (!counted) return;  // the first step asks the system for all its memory
    whole.push_back(milliseconds(begin, end));
    forward.push_back(milliseconds(begin, computed));
    backward.push_back(milliseconds(computed, differentiated));
    update.push_back(milliseconds(differentiated, end));
  };
  step(false);
  const auto start = Clock::now();
  while (whole.size() < 3 || milliseconds(start, Clock::now()) < benchmark.seconds * 1e3) {
    stop_if_asked(report::counted(static_cast<int64_t>(whole.size()), "step was measured", "steps were measured"));
    step(true);
  }
  TrainingTimes times{.steps = static_cast<int64_t>(whole.size()),
                      .min_ms = *std::min_element(whole.begin(), whole.end()),
                      .median_ms = median(whole),
                      .forward_ms = median(forward),
                      .backward_ms = median(backward),
                      .optimizer_ms = median(update)};
  for (const Variable& parameter : net->parameters()) times.parameters += parameter.numel();
  return times;
}

}  // namespace convoy::cli
