// Products whose rows, columns and depth lie beside those of tiles, panels and blocks, transposed or not, alone and several
// together.
#include "convoy/kernels/gemm/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/kernel_check_test.h"

namespace convoy::kernels {
namespace {

using kernel_check::GuardedFloats;
using kernel_check::Random;
using kernel_check::values;

struct Case {
  int64_t batch, rows, columns, depth;
};

std::vector<float> multiply(Gemm<float> g, int threads, bool at_end) {
  const int before = num_threads();
  set_num_threads(threads);
  const int64_t count = g.batch * g.rows * g.columns;
  GuardedFloats c(static_cast<size_t>(count), at_end);
  g.c = c.data();
  Workspace workspace(gemm_workspace_bytes(g, threads));
  gemm(g, workspace);
  set_num_threads(before);
  return {c.data(), c.data() + count};
}

void check(const Case& c, bool a_transposed, bool b_transposed, bool with_start, bool integers) {
  SCOPED_TRACE(std::to_string(c.batch) + " of " + std::to_string(c.rows) + " x " + std::to_string(c.depth) + " x " +
               std::to_string(c.columns) + (a_transposed ? " a'" : "") + (b_transposed ? " b'" : "") +
               (with_start ? " start" : ""));
  Random random(static_cast<unsigned>(c.rows * 31 + c.columns));
  const int64_t shared = std::min<int64_t>(c.batch, 2);  // matrices of b, which the products take in turn
  const auto a = values(random, c.batch * c.rows * c.depth, integers), b = values(random, shared * c.depth * c.columns, integers),
             start = values(random, c.columns, integers);
  std::vector<int64_t> a_at, b_at;
  for (int64_t i = 0; i < c.batch; ++i) {
    a_at.push_back(i * c.rows * c.depth);
    b_at.push_back(i % shared * c.depth * c.columns);
  }
  Gemm<float> g;
  g.rows = c.rows;
  g.columns = c.columns;
  g.depth = c.depth;
  g.batch = c.batch;
  g.a_at = a_at.data();
  g.b_at = b_at.data();
  g.a_row_stride = a_transposed ? 1 : c.depth;
  g.a_depth_stride = a_transposed ? c.rows : 1;
  g.b_depth_stride = b_transposed ? 1 : c.columns;
  g.b_column_stride = b_transposed ? c.depth : 1;
  std::vector<float> first;
  for (const bool at_end : {true, false}) {
    GuardedFloats guarded_a(a.size(), at_end), guarded_b(b.size(), at_end), guarded_start(start.size(), at_end);
    std::copy(a.begin(), a.end(), guarded_a.data());
    std::copy(b.begin(), b.end(), guarded_b.data());
    std::copy(start.begin(), start.end(), guarded_start.data());
    g.a = guarded_a.data();
    g.b = guarded_b.data();
    g.start = with_start ? guarded_start.data() : nullptr;
    for (const int threads : {1, 3}) {
      const std::vector<float> got = multiply(g, threads, at_end);
      if (first.empty()) first = got;
      ASSERT_EQ(std::memcmp(first.data(), got.data(), got.size() * sizeof(float)), 0) << threads << " threads";
    }
    if (c.batch > 1) {  // the last product alone
      Gemm<float> last = g;
      last.batch = 1;
      last.a_at = &a_at.back();
      last.b_at = &b_at.back();
      const std::vector<float> got = multiply(last, 1, at_end);
      ASSERT_EQ(std::memcmp(&first[first.size() - got.size()], got.data(), got.size() * sizeof(float)), 0) << "alone";
    }
  }
  for (int64_t i = 0; i < c.batch; ++i) {
    for (int64_t row = 0; row < c.rows; ++row) {
      for (int64_t column = 0; column < c.columns; ++column) {
        double sum = with_start ? start[static_cast<size_t>(column)] : 0, size = std::abs(sum);
        for (int64_t k = 0; k < c.depth; ++k) {
          const double product =
              static_cast<double>(
                  a[static_cast<size_t>(a_at[static_cast<size_t>(i)] + row * g.a_row_stride + k * g.a_depth_stride)]) *
              b[static_cast<size_t>(b_at[static_cast<size_t>(i)] + k * g.b_depth_stride + column * g.b_column_stride)];
          sum += product;
          size += std::abs(product);
        }
        const float got = first[static_cast<size_t>((i * c.rows + row) * c.columns + column)];
        if (integers) {
          ASSERT_EQ(got, static_cast<float>(sum)) << i << " " << row << " " << column;
        } else {
          ASSERT_LE(std::abs(got - sum), 16 * 0x1p-24 * size) << i << " " << row << " " << column;
        }
      }
    }
  }
}

TEST(Gemm, MatchesSumsInDouble) {
  constexpr std::array kCases = {Case{1, 1, 1, 1},      Case{1, 3, 700, 300},  Case{1, 6, 100, 20}, Case{1, 7, 95, 257},
                                 Case{1, 1, 200, 520},  Case{1, 50, 1, 600},   Case{1, 970, 17, 5}, Case{1, 250, 49, 30},
                                 Case{1, 70, 97, 1100}, Case{12, 49, 31, 32},  Case{9, 245, 20, 7}, Case{2, 120, 130, 260},
                                 Case{3, 2, 90, 9},     Case{1, 193, 300, 64}, Case{64, 1, 5, 3},   Case{5, 4, 6, 0}};
  for (const Case& c : kCases) {
    for (int i = 0; i < 8; ++i) {
      check(c, i % 2 == 1, i / 2 % 2 == 1, i / 4 == 1, true);
      if (i % 3 == 0) check(c, i % 2 == 1, i / 2 % 2 == 1, i / 4 == 1, false);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Gemm, MatricesOfBroadcastAxes) {
  using At = std::vector<int64_t>;
  EXPECT_EQ(matrices_of({}, {}, 6), (At{0}));
  EXPECT_EQ(matrices_of({2, 3}, {2, 3}, 5), (At{0, 5, 10, 15, 20, 25}));
  EXPECT_EQ(matrices_of({2, 1}, {2, 3}, 5), (At{0, 0, 0, 5, 5, 5}));
  EXPECT_EQ(matrices_of({3}, {2, 3}, 5), (At{0, 5, 10, 0, 5, 10}));
  EXPECT_EQ(matrices_of({3}, {0, 3}, 5), At{});
}

TEST(Gemm, RowsOfManyMatricesMakeATallOneWhereTheyFollowEachOther) {
  const auto problem = [](int64_t rows, int64_t depth, bool a_transposed) {
    Gemm<float> g;
    g.rows = rows;
    g.columns = 7;
    g.depth = depth;
    g.a_row_stride = a_transposed ? 1 : depth;
    g.a_depth_stride = a_transposed ? rows : 1;
    return g;
  };
  Gemm<float> g = problem(2, 4, false);
  EXPECT_TRUE(broadcast_matrices({3}, {1, 1}, {1, 3}, g).a.empty());
  EXPECT_EQ(g.rows, 6);
  EXPECT_EQ(g.batch, 1);
  g = problem(1, 4, true);  // steps as if rows followed each other, but for the row's
  const GemmMatrices apart = broadcast_matrices({3}, {}, {3}, g);
  EXPECT_EQ(g.batch, 3);
  EXPECT_EQ(apart.a, (std::vector<int64_t>{0, 4, 8}));
  EXPECT_EQ(apart.b, (std::vector<int64_t>{0, 0, 0}));
  g = problem(2, 4, false);
  EXPECT_EQ(broadcast_matrices({1}, {3}, {3}, g).b, (std::vector<int64_t>{0, 28, 56}));
  EXPECT_EQ(g.batch, 3);
}

}  // namespace
}  // namespace convoy::kernels
