// How dense arrays are walked together when their shapes are broadcast.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "convoy/core/parallel.h"

namespace convoy::kernels {

/// The output's axes, outermost first, as few as possible, and the strides of each operand along them; a stride of 0 repeats an
/// operand along the axis. There is always at least one axis, and the strides of the last are 0 or 1.
template <size_t N>
struct Broadcast {
  std::vector<int64_t> sizes;
  std::array<std::vector<int64_t>, N> strides;
};

/// For shapes that broadcast: aligned at the last axis, the sizes of an axis are equal or 1.
template <size_t N>
Broadcast<N> make_broadcast(const std::array<const std::vector<int64_t>*, N>& shapes) {
  size_t rank = 0;
  for (const auto* shape : shapes) rank = std::max(rank, shape->size());
  Broadcast<N> loop;
  std::array<int64_t, N> step;
  step.fill(1);
  for (size_t back = 1; back <= rank; ++back) {  // from the last axis; the lists are built in reverse
    std::array<int64_t, N> size;
    int64_t n = 1;
    for (size_t k = 0; k < N; ++k) {
      size[k] = back <= shapes[k]->size() ? (*shapes[k])[shapes[k]->size() - back] : 1;
      if (size[k] != 1) n = size[k];
    }
    if (n == 1) continue;
    std::array<int64_t, N> stride;
    bool joins = !loop.sizes.empty();
    for (size_t k = 0; k < N; ++k) {
      stride[k] = size[k] == 1 ? 0 : step[k];
      step[k] *= size[k];
      joins = joins && stride[k] == loop.strides[k].back() * loop.sizes.back();
    }
    if (joins) {
      loop.sizes.back() *= n;
      continue;
    }
    loop.sizes.push_back(n);
    for (size_t k = 0; k < N; ++k) loop.strides[k].push_back(stride[k]);
  }
  if (loop.sizes.empty()) {
    loop.sizes.push_back(1);
    for (auto& strides : loop.strides) strides.push_back(1);
  }
  std::reverse(loop.sizes.begin(), loop.sizes.end());
  for (auto& strides : loop.strides) std::reverse(strides.begin(), strides.end());
  return loop;
}

/// Calls row(at, to, n) in parallel for runs of the last axis that together cover the output: n values from offset `to` of the
/// output on, which meet those from offset at[k] on of operand k.
template <size_t N, class Row>
void for_each_row(const Broadcast<N>& loop, const Row& row) noexcept {
  constexpr int64_t kGrain = 16384;  // values per task
  const size_t last = loop.sizes.size() - 1;
  const int64_t inner = loop.sizes[last];
  int64_t rows = 1;
  for (size_t axis = 0; axis < last; ++axis) rows *= loop.sizes[axis];
  if (rows == 0 || inner == 0) return;
  const int64_t pieces = (inner + kGrain - 1) / kGrain;  // per row
  parallel_ranges(rows * pieces, std::max<int64_t>(1, kGrain / inner), [&](int64_t begin, int64_t end) {
    // Axis by axis forwards, without a division a row.
    std::vector<int64_t> index(last);
    std::array<int64_t, N> at{};
    int64_t r = begin / pieces, part = begin % pieces;
    for (size_t axis = last, rest = static_cast<size_t>(r); axis-- > 0; rest /= static_cast<size_t>(loop.sizes[axis])) {
      index[axis] = static_cast<int64_t>(rest % static_cast<size_t>(loop.sizes[axis]));
      for (size_t k = 0; k < N; ++k) at[k] += index[axis] * loop.strides[k][axis];
    }
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t from = part * kGrain;
      std::array<int64_t, N> here = at;
      for (size_t k = 0; k < N; ++k) here[k] += from * loop.strides[k][last];
      row(here, r * inner + from, std::min(kGrain, inner - from));
      if (++part < pieces) continue;
      part = 0;
      ++r;
      for (size_t axis = last; axis-- > 0;) {
        for (size_t k = 0; k < N; ++k) at[k] += loop.strides[k][axis];
        if (++index[axis] < loop.sizes[axis]) break;
        for (size_t k = 0; k < N; ++k) at[k] -= loop.sizes[axis] * loop.strides[k][axis];
        index[axis] = 0;
      }
    }
  });
}

}  // namespace convoy::kernels
