// The one seam to threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace convoy {

/// Threads that parallel_for uses: as many as the process may run on (affinity and the container's CPU quota), or what
/// set_num_threads said, or the environment variable CONVOY_NUM_THREADS. Always 1 in WebAssembly.
int num_threads();

/// Sets the thread count; 0 returns to the default. Throws ValueError below 0 or above 1024.
void set_num_threads(int threads);

/// What the process may use: min(CPUs in the affinity mask, cgroup quota rounded up), at least 1.
int available_threads();

namespace detail {
using TaskFunction = void (*)(void* context, int64_t task, int thread);
void run_tasks(int64_t tasks, TaskFunction function, void* context);
}  // namespace detail

/// Runs body(task) or body(task, thread) for task = 0 .. tasks - 1, each exactly once, thread in [0, num_threads()), and returns
/// when all are done. Tasks are dealt out one at a time: make them about equally long and at least some microseconds each.
///
/// Results do not depend on the thread count if a task's output depends on its number alone: never let tasks accumulate into
/// shared values, and derive the split from the problem, not from num_threads().
/// A body must not throw. A parallel_for inside a body runs on the calling thread.
template <class Body>
void parallel_for(int64_t tasks, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  if (tasks <= 0) return;
  detail::run_tasks(
      tasks,
      [](void* context, int64_t task, int thread) {
        Plain& f = *static_cast<Plain*>(context);
        if constexpr (std::is_invocable_v<Plain&, int64_t, int>) {
          f(task, thread);
        } else {
          f(task);
        }
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

/// Splits [0, count) into as few ranges of at most `grain` as there can be, about equally long, and runs body(begin, end) for each.
/// Equally long, so that a thread gets the same part of one layer's values as of the next one's, whatever their grains. Long ranges
/// begin at multiples of 64.
template <class Body>
void parallel_ranges(int64_t count, int64_t grain, Body&& body) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  const int64_t most = count / grain + (count % grain != 0);
  int64_t each = count / most + (count % most != 0);
  if (grain % 64 == 0) each = (each + 63) / 64 * 64;
  parallel_for(count / each + (count % each != 0), [&](int64_t task) {
    const int64_t begin = task * each;
    body(begin, begin + (count - begin < each ? count - begin : each));
  });
}

}  // namespace convoy
