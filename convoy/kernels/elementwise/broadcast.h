// How two dense arrays are walked together when their shapes are broadcast.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace convoy::kernels {

/// The output's axes, outermost first, as few as possible; a stride of 0 repeats an operand along the axis. There is always at
/// least one axis, and the strides of the last are 0 or 1.
struct Broadcast {
  std::vector<int64_t> sizes, a_strides, b_strides;
};

/// For shapes that broadcast: aligned at the last axis, each pair of sizes is equal or has a 1.
inline Broadcast make_broadcast(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  const size_t rank = a.size() > b.size() ? a.size() : b.size();
  Broadcast loop;
  int64_t a_step = 1, b_step = 1;
  for (size_t back = 1; back <= rank; ++back) {  // from the last axis; the lists are built in reverse
    const int64_t an = back <= a.size() ? a[a.size() - back] : 1;
    const int64_t bn = back <= b.size() ? b[b.size() - back] : 1;
    const int64_t n = an == 1 ? bn : an;
    if (n == 1) continue;
    const int64_t a_stride = an == 1 ? 0 : a_step, b_stride = bn == 1 ? 0 : b_step;
    a_step *= an;
    b_step *= bn;
    if (!loop.sizes.empty()) {
      const int64_t inner = loop.sizes.back();
      if (a_stride == loop.a_strides.back() * inner && b_stride == loop.b_strides.back() * inner) {
        loop.sizes.back() *= n;
        continue;
      }
    }
    loop.sizes.push_back(n);
    loop.a_strides.push_back(a_stride);
    loop.b_strides.push_back(b_stride);
  }
  if (loop.sizes.empty()) loop = {{1}, {1}, {1}};
  return {{loop.sizes.rbegin(), loop.sizes.rend()},
          {loop.a_strides.rbegin(), loop.a_strides.rend()},
          {loop.b_strides.rbegin(), loop.b_strides.rend()}};
}

}  // namespace convoy::kernels
