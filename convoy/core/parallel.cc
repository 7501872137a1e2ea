#include "convoy/core/parallel.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/keep_num_threads.h"
#include "convoy/core/raise.h"

namespace convoy {

namespace {

constexpr int kMostThreads = 1024;

// WebAssembly has threads only where a page's server allows them (COOP and COEP): whatever count is set, one works there.
#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
constexpr bool kThreads = false;
#else
constexpr bool kThreads = true;
#endif

// The number of CPUs that the control group's quota allows, rounded up; 0 if there is no limit. cgroup v2, then v1.
int quota_cpus() {
  double quota = 0, period = 0;
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string text;
  if (v2 >> text >> period && text != "max") {
    quota = std::strtod(text.c_str(), nullptr);
  } else if (!v2.is_open()) {
    std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!(v1_quota >> quota && v1_period >> period)) return 0;
  }
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::clamp((quota + period - 1) / period, 1.0, double{kMostThreads}));
}

int affinity_cpus() {
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int default_threads() {
  if (const char* text = std::getenv("CONVOY_NUM_THREADS")) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && value >= 1 && value <= kMostThreads) return static_cast<int>(value);
  }
  return available_threads();
}

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A job is one parallel_for. Its tasks are cut into runs, one per thread: a thread works off its own, then helps with the others'.
// So the same part of a layer's channels falls to the same thread as in the layer before, whose results still lie in that
// thread's cache (dealt out one by one, half of them lay in another's: networks of small layers took a tenth longer). A task that
// throws ends the program: the caller's stack holds the job, so it may not be left before all workers are done.
struct Job {
  static constexpr int kMostRuns = 16;  // more threads share runs

  struct alignas(64) Run {
    std::atomic<int64_t> next;
    int64_t end;
  };

  detail::TaskFunction function = nullptr;
  void* context = nullptr;
  int threads = 1;
  int runs = 1;
  std::array<Run, kMostRuns> run;  // only the first `runs` are set

  Job(int64_t tasks, detail::TaskFunction f, void* c)
      : function(f),
        context(c),
        threads(static_cast<int>(std::min<int64_t>(tasks, num_threads()))),
        runs(std::min(threads, kMostRuns)) {
    const int64_t each = tasks / runs, longer = tasks % runs;
    for (int64_t r = 0; r < runs; ++r) {
      const int64_t begin = r * each + std::min(r, longer);
      run[static_cast<size_t>(r)].next.store(begin, std::memory_order_relaxed);
      run[static_cast<size_t>(r)].end = begin + each + (r < longer ? 1 : 0);
    }
  }

  void work(int thread) noexcept {
    for (int i = 0; i < runs; ++i) {
      Run& part = run[static_cast<size_t>((thread + i) % runs)];
      for (int64_t task = part.next.fetch_add(1, std::memory_order_relaxed); task < part.end;
           task = part.next.fetch_add(1, std::memory_order_relaxed)) {
        function(context, task, thread);
      }
    }
  }
};

thread_local bool inside_task = false;
thread_local int kept_threads = 0;  // what KeepNumThreads holds on to; 0: nothing

// Persistent workers. Between jobs a worker spins for some microseconds (the next layer usually follows at once), then sleeps. The
// caller never waits for a worker that has not started: on a busy machine that takes milliseconds, and a small job is done long
// before. So a job is open while tasks are left; workers enter it one by one, and the caller closes it and waits for those inside.
// What threads hand over goes by std::atomic alone, acquired and released, and ThreadSanitizer sees all of it as it is: the futex
// below generation_.wait is unknown to it, but only says when to look again. Nothing is told to it by hand, and nothing is
// suppressed. OpenMP was the alternative: it spins for milliseconds, ignores container quotas and cannot be checked by
// ThreadSanitizer (docs/adr/0001-own-thread-pool.md).
class Pool {
 public:
  ~Pool() { stop(); }

  // True if this call ran the job; false if another thread is using the pool.
  bool run(Job& job) {
    const std::unique_lock lock(use_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    if (pid_ != getpid()) forget_workers();  // a forked child has none of its parent's threads
    grow(job.threads - 1);
    job_ = &job;
    inside_.store(0, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    job.work(0);
    inside_.fetch_or(kClosed, std::memory_order_acq_rel);
    for (int spin = 0; inside_.load(std::memory_order_acquire) != kClosed;) {
      if (++spin < kSpins) {
        pause_cpu();
      } else {
        std::this_thread::yield();
      }
    }
    return true;
  }

 private:
  static constexpr int kSpins = 20000;  // about 0.3 ms on a 3 GHz machine
  static constexpr uint32_t kClosed = uint32_t{1} << 31;

  // Counts this worker in, unless the job is closed. Only then may job_ be read.
  bool enter() {
    uint32_t inside = inside_.load(std::memory_order_acquire);
    while ((inside & kClosed) == 0) {
      if (inside_.compare_exchange_weak(inside, inside + 1, std::memory_order_acq_rel, std::memory_order_acquire)) return true;
    }
    return false;
  }

  void grow(int count) {
    while (static_cast<int>(workers_.size()) < count) {
      const int thread = static_cast<int>(workers_.size()) + 1;
      try {
        workers_.emplace_back([this, thread, seen = generation_.load()] { serve(thread, seen); });
      } catch (const std::exception&) {
        return;  // no more threads or no memory for one: the ones there are do the work
      }
    }
  }

  void serve(int thread, uint32_t seen) {
    inside_task = true;
    for (;;) {
      uint32_t now = generation_.load(std::memory_order_acquire);
      for (int spin = 0; now == seen && spin < kSpins; ++spin) {
        pause_cpu();
        now = generation_.load(std::memory_order_acquire);
      }
      while (now == seen) {
        generation_.wait(seen, std::memory_order_acquire);
        now = generation_.load(std::memory_order_acquire);
      }
      seen = now;
      if (stopping_.load(std::memory_order_acquire)) return;
      if (!enter()) continue;
      if (thread < job_->threads) job_->work(thread);
      inside_.fetch_sub(1, std::memory_order_release);
    }
  }

  void stop() {
    if (pid_ != getpid()) {
      forget_workers();
      return;
    }
    stopping_ = true;
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  // The handles of threads that did not come along into a forked child name nothing: they can be neither joined nor detached, and
  // destroying them ends the program. So they are kept for good.
  void forget_workers() {
    static auto* const lost = new std::vector<std::thread>;
    for (std::thread& worker : workers_) lost->push_back(std::move(worker));
    workers_.clear();
    pid_ = getpid();
  }

  std::mutex use_;
  std::vector<std::thread> workers_;
  Job* job_ = nullptr;
  std::atomic<uint32_t> generation_{0};
  std::atomic<uint32_t> inside_{kClosed};  // workers inside the job, and kClosed
  std::atomic<bool> stopping_{false};
  pid_t pid_ = getpid();
};

Pool& pool() {
  static Pool instance;
  return instance;
}

std::atomic<int>& thread_setting() {
  static std::atomic<int> setting{default_threads()};
  return setting;
}

}  // namespace

int available_threads() {
  static const int count = [] {
    if (!kThreads) return 1;
    const int cpus = affinity_cpus();
    const int quota = quota_cpus();
    return quota > 0 ? std::min(cpus, quota) : cpus;
  }();
  return count;
}

int num_threads() {
  if (!kThreads) return 1;
  return kept_threads > 0 ? kept_threads : thread_setting().load(std::memory_order_relaxed);
}

KeepNumThreads::KeepNumThreads() : before_(kept_threads) { kept_threads = num_threads(); }
KeepNumThreads::~KeepNumThreads() { kept_threads = before_; }

void set_num_threads(int threads) {
  if (threads < 0 || threads > kMostThreads) {
    raise<ValueError>(
        "set_num_threads expects a positive integer\n"
        "the thread count is {}, use 1 to {}, or 0 for the default",
        threads, kMostThreads);
  }
  thread_setting() = threads == 0 ? default_threads() : threads;
}

namespace detail {

void run_tasks(int64_t tasks, TaskFunction function, void* context) {
  const bool nested = inside_task;
  if (kThreads && !nested && tasks > 1 && num_threads() > 1) {
    Job job(tasks, function, context);
    inside_task = true;
    const bool done = pool().run(job);
    inside_task = false;
    if (done) return;
  }
  inside_task = true;
  for (int64_t task = 0; task < tasks; ++task) function(context, task, 0);
  inside_task = nested;
}

}  // namespace detail

}  // namespace convoy
