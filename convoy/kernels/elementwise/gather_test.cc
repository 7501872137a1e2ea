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

TEST(Gather, InterleavesPlanes) {
  for (const int64_t bytes : {1, 7, 196, 40000}) {
    for (const int64_t count : {1, 2, 3}) {
      const BytePlanes planes{2, 6, bytes};
      const int64_t each = planes.channels / count;
      std::vector<std::vector<char>> inputs;
      std::vector<const char*> starts;
      for (int64_t i = 0; i < count; ++i) {
        inputs.emplace_back(static_cast<size_t>(planes.batch * each * bytes));
        for (size_t k = 0; k < inputs.back().size(); ++k) inputs.back()[k] = static_cast<char>(k * 7 + static_cast<size_t>(i));
        starts.push_back(inputs.back().data());
      }
      for (const int threads : {1, 3}) {
        set_num_threads(threads);
        std::vector<char> out(static_cast<size_t>(planes.batch * planes.channels * bytes));
        interleave_planes(starts, each * bytes, out.data(), planes);
        for (int64_t at = 0; at < static_cast<int64_t>(out.size()); ++at) {
          const int64_t plane = at / bytes, sample = plane / planes.channels, c = plane % planes.channels;
          const auto from = static_cast<size_t>((sample * each + c / count) * bytes + at % bytes);
          ASSERT_EQ(out[static_cast<size_t>(at)], inputs[static_cast<size_t>(c % count)][from]) << at;
        }
      }
    }
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace convoy::kernels
