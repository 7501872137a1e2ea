#include "convoy/plan/fastest.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <mutex>
#include <string>

#include "convoy/core/keep_num_threads.h"
#include "convoy/core/parallel.h"
#include "convoy/core/storage.h"
#include "convoy/core/tensor.h"
#include "convoy/shape/descriptor.h"

namespace convoy::plan {

namespace {

constexpr double kWorthATrial = 4;  // times the least predicted time
constexpr double kTrialSeconds = 4e-3;
constexpr int kLeastRuns = 3;

// The layer's data. Times do not depend on the numbers, as long as none is subnormal.
struct Data {
  Tensor input, weight, output;
  explicit Data(const shape::ConvShape& s)
      : input(Tensor::full({s.input_count()}, 0.5)),
        weight(Tensor::full({s.weight_count()}, 0.25)),
        output(Tensor::full({s.output_count()}, 0.125)) {}
};

// The least time of some calls behind a first one.
double time_of(const ConvPlan& plan, bool packed, Data& data) {
  using Clock = std::chrono::steady_clock;
  const PackedWeight weight = packed ? plan.pack(data.weight.data<float>()) : PackedWeight();
  Workspace workspace(plan.workspace_bytes() + (packed ? 0 : padded_bytes(plan.packed_bytes())));
  double least = std::numeric_limits<double>::infinity(), total = 0;
  for (int run = -1; run < kLeastRuns || total < kTrialSeconds; ++run) {
    const auto start = Clock::now();
    plan.run(data.input.data<float>(), data.weight.data<float>(), weight.data(), data.output.data<float>(), workspace);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    total += seconds;
    if (run >= 0) least = std::min(least, seconds);
  }
  return least;
}

std::mutex mutex;
// Seconds per algorithm of the list, 0 where there was no trial.
std::map<std::string, std::vector<double>>& results() {
  static std::map<std::string, std::vector<double>> kept;
  return kept;
}

// A child forked while another thread holds the lock would wait for it for ever. Registered when the library is loaded, since a
// fork may be under way while a first call registers; and behind the cache of storage, so that this lock is taken before that one,
// as by a trial.
[[maybe_unused]] const int registered = [] {
  release_cached_memory();  // registers that one
  return pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, [] { mutex.unlock(); });
}();

}  // namespace

const kernels::ConvKernel* fastest(const shape::ConvShape& shape, Direction direction, const ConvPlanOptions& options,
                                   std::vector<ConvCandidate>& candidates) {
  const KeepNumThreads kept;  // the count of the key is that of the trials and of their memory
  const std::string key = std::string(shape::descriptor(shape).view()) + ' ' + kernels::direction_name(direction) + ' ' +
                          accuracy_name(options.accuracy) + (options.packed ? " packed " : " ") +
                          (options.training ? "training " : "") + (options.weights_far ? "far " : "") +
                          std::to_string(num_threads());
  // One at a time: trials at the same time would slow each other.
  const std::lock_guard lock(mutex);
  std::vector<double>& seconds = results()[key];
  if (seconds.size() != candidates.size()) {
    double least = std::numeric_limits<double>::infinity();
    for (const ConvCandidate& candidate : candidates) {
      if (candidate.rejected.empty()) least = std::min(least, candidate.seconds);
    }
    Data data(shape);
    std::vector<double> measured;
    for (const ConvCandidate& candidate : candidates) {
      const bool tried = candidate.rejected.empty() && candidate.seconds <= kWorthATrial * least;
      ConvPlanOptions named = options;
      named.algorithm = candidate.kernel->name;
      measured.push_back(tried ? time_of(ConvPlan(shape, direction, named), options.packed, data) : 0.0);
    }
    seconds = std::move(measured);
  }
  const kernels::ConvKernel* best = nullptr;
  double best_seconds = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < candidates.size(); ++i) {
    candidates[i].measured = seconds[i];
    if (seconds[i] <= 0 || seconds[i] >= best_seconds) continue;
    best = candidates[i].kernel;
    best_seconds = seconds[i];
  }
  return best;
}

}  // namespace convoy::plan
