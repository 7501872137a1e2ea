// The way of values along the indices of max pooling, in parallel over planes.
#include <algorithm>
#include <atomic>
#include <cstdint>

#include "convoy/core/parallel.h"
#include "convoy/kernels/pool/pool.h"

namespace convoy::kernels {

namespace {

constexpr int64_t kValuesPerTask = 16384;

template <class Body>
void for_each_plane(const IndexedPlanes& s, Body&& body) {
  const int64_t grain = std::max<int64_t>(1, kValuesPerTask / std::max<int64_t>(1, s.values + s.positions));
  parallel_ranges(s.planes, grain, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) body(plane);
  });
}

}  // namespace

int64_t find_invalid_index(const IndexedPlanes& s, const int64_t* indices) noexcept {
  constexpr int64_t kIndicesPerTask = 65536;
  const int64_t count = s.planes * s.values;
  const auto invalid = [&](int64_t i) { return indices[i] < 0 || indices[i] >= s.positions; };
  // One flag for all: which task sees a bad index first does not matter, the search below finds the last.
  std::atomic<bool> found{false};
  parallel_ranges(count, kIndicesPerTask, [&](int64_t begin, int64_t end) {
    bool any = false;
    for (int64_t i = begin; i < end; ++i) any |= invalid(i);
    if (any) found.store(true, std::memory_order_relaxed);
  });
  if (!found.load()) return -1;
  int64_t i = count - 1;
  while (!invalid(i)) --i;
  return i;
}

// Two planes at a time: neighbouring windows often share their largest value, and then each addition waits for the one before it.
// An index is looked at where it is used: to look at all of them first takes as long as half of the additions.
template <class T>
bool scatter_add(const IndexedPlanes& s, const T* small, const int64_t* indices, T* large) noexcept {
  const int64_t pairs = (s.planes + 1) / 2;
  const int64_t grain = std::max<int64_t>(1, kValuesPerTask / std::max<int64_t>(1, 2 * (s.values + s.positions)));
  std::atomic<bool> valid{true};
  parallel_ranges(pairs, grain, [&](int64_t begin, int64_t end) {
    const int64_t last = std::min(2 * end, s.planes);
    std::fill_n(large + 2 * begin * s.positions, (last - 2 * begin) * s.positions, T(0));
    const auto positions = static_cast<uint64_t>(s.positions);
    bool inside = true;
    const auto add = [&](T* to, int64_t at, T value) {
      if (static_cast<uint64_t>(at) < positions) {
        to[at] += value;
      } else {
        inside = false;
      }
    };
    int64_t plane = 2 * begin;
    for (; plane + 2 <= last; plane += 2) {
      T *to0 = large + plane * s.positions, *to1 = to0 + s.positions;
      const T *from0 = small + plane * s.values, *from1 = from0 + s.values;
      const int64_t *at0 = indices + plane * s.values, *at1 = at0 + s.values;
      for (int64_t i = 0; i < s.values; ++i) {
        add(to0, at0[i], from0[i]);
        add(to1, at1[i], from1[i]);
      }
    }
    for (int64_t i = plane * s.values; i < last * s.values; ++i) add(large + plane * s.positions, indices[i], small[i]);
    if (!inside) valid.store(false, std::memory_order_relaxed);
  });
  return valid.load();
}

template <class T>
void scatter(const IndexedPlanes& s, const T* small, const int64_t* indices, T* large) noexcept {
  for_each_plane(s, [&](int64_t plane) {
    T* to = large + plane * s.positions;
    std::fill_n(to, s.positions, T(0));
    for (int64_t i = plane * s.values; i < (plane + 1) * s.values; ++i) to[indices[i]] = small[i];
  });
}

template <class T>
void gather(const IndexedPlanes& s, const T* large, const int64_t* indices, T* small) noexcept {
  for_each_plane(s, [&](int64_t plane) {
    const T* from = large + plane * s.positions;
    for (int64_t i = plane * s.values; i < (plane + 1) * s.values; ++i) small[i] = from[indices[i]];
  });
}

#define CONVOY_POOL(T)                                                                       \
  template bool scatter_add<T>(const IndexedPlanes&, const T*, const int64_t*, T*) noexcept; \
  template void scatter<T>(const IndexedPlanes&, const T*, const int64_t*, T*) noexcept;     \
  template void gather<T>(const IndexedPlanes&, const T*, const int64_t*, T*) noexcept;
CONVOY_POOL(float)
CONVOY_POOL(double)
#undef CONVOY_POOL

}  // namespace convoy::kernels
