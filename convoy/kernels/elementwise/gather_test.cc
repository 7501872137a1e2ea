#include "convoy/kernels/elementwise/gather.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "convoy/core/parallel.h"

namespace convoy::kernels {
namespace {

// Every tail of the squares and of the vectors in them, values of every width, any thread count; what lies behind stays.
template <class T>
void expect_transposed(int64_t rows, int64_t columns) {
  std::vector<T> in(static_cast<size_t>(rows * columns)), out(in.size() + 8, T(77));
  std::iota(in.begin(), in.end(), T(1));
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    std::fill(out.begin(), out.end(), T(77));
    gather({columns, rows}, {1, columns}, sizeof(T), in.data(), out.data());
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t r = 0; r < rows; ++r) {
        ASSERT_EQ(out[static_cast<size_t>(c * rows + r)], in[static_cast<size_t>(r * columns + c)]) << rows << " x " << columns;
      }
    }
    for (size_t i = in.size(); i < out.size(); ++i) ASSERT_EQ(out[i], T(77));
  }
  set_num_threads(0);
}

TEST(Gather, TransposesEveryTail) {
  for (int64_t rows = 1; rows < 45; rows += rows < 20 ? 1 : 6) {
    for (int64_t columns = 1; columns < 45; columns += columns < 20 ? 1 : 6) {
      expect_transposed<uint32_t>(rows, columns);
      expect_transposed<uint64_t>(rows, columns);
      expect_transposed<uint16_t>(rows, columns);
    }
  }
  expect_transposed<uint32_t>(1024, 96);
  expect_transposed<uint32_t>(97, 2048);
}

}  // namespace
}  // namespace convoy::kernels
