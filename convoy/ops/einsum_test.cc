#include "convoy/ops/einsum.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "convoy/core/random.h"
#include "tests/refusal.h"

namespace convoy::ops {
namespace {

using testing::reason;

// The definition: over all values of all labels, the product of the operands' elements is added to the output's.
Tensor by_definition(const EinsumLabels& labels, const std::vector<Tensor>& operands) {
  std::map<int, int64_t> sizes;
  for (size_t i = 0; i < operands.size(); ++i) {
    for (size_t axis = 0; axis < labels.operands[i].size(); ++axis) {
      int64_t& size = sizes[labels.operands[i][axis]];
      size = std::max(size, operands[i].shape()[axis]);
    }
  }
  Shape shape;
  for (const int label : labels.output) shape.push_back(sizes[label]);
  Tensor result = Tensor::zeros(shape, DType::kFloat64);
  for (const auto& [label, size] : sizes) {
    if (size == 0) return result;
  }
  std::map<int, int64_t> at;
  for (const auto& [label, size] : sizes) at[label] = 0;
  const auto offset = [&](const Tensor& x, const std::vector<int>& names) {
    int64_t place = 0;
    for (size_t axis = 0; axis < names.size(); ++axis) {
      const int64_t n = x.shape()[axis];
      place = place * n + (n == 1 ? 0 : at[names[axis]]);
    }
    return place;
  };
  for (bool more = true; more;) {
    double product = 1;
    for (size_t i = 0; i < operands.size(); ++i) product *= operands[i].data<double>()[offset(operands[i], labels.operands[i])];
    result.data<double>()[offset(result, labels.output)] += product;
    more = false;
    for (auto& [label, index] : at) {
      if (++index < sizes[label]) {
        more = true;
        break;
      }
      index = 0;
    }
  }
  return result;
}

TEST(Einsum, IsItsDefinition) {
  manual_seed(3);
  const struct {
    const char* equation;
    std::vector<Shape> shapes;
  } rows[] = {{"ij,jk->ik", {{3, 4}, {4, 5}}},
              {"ij,jk", {{3, 4}, {4, 5}}},
              {"ba", {{3, 4}}},
              {" i j , j -> i", {{3, 4}, {4}}},
              {"i,j->ij", {{3}, {4}}},
              {"i,i", {{5}, {5}}},
              {"ij->", {{3, 4}}},
              {"ii", {{4, 4}}},
              {"ii->i", {{4, 4}}},
              {"iji->j", {{3, 2, 3}}},
              {"iij,jk->ik", {{3, 3, 2}, {2, 4}}},
              {"...ii->...i", {{2, 3, 4, 4}}},
              {"bhid,bhjd->bhij", {{2, 3, 4, 5}, {2, 3, 6, 5}}},
              {"b h i d, b h d j -> b i h j", {{2, 3, 4, 5}, {2, 3, 5, 2}}},
              {"...ij,...jk->...ik", {{7, 1, 2, 3}, {4, 3, 5}}},
              {"i...,...j", {{3, 2}, {2, 4}}},
              {"ab,bc,cd->ad", {{2, 3}, {3, 4}, {4, 5}}},
              {"ab,ab,b->b", {{2, 3}, {2, 3}, {3}}},
              {"ab,cb,b->ca", {{2, 3}, {4, 3}, {3}}},
              {"ai,bi->a", {{2, 3}, {4, 3}}},
              {"ij,jk->ik", {{3, 1}, {4, 5}}},
              {"ij,jk->ik", {{3, 0}, {0, 5}}},
              {",i->i", {{}, {3}}},
              {"->", {{}}}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.equation);
    std::vector<Tensor> operands;
    std::vector<int64_t> ranks;
    for (const Shape& shape : row.shapes) {
      operands.push_back(randn(shape, DType::kFloat64));
      ranks.push_back(static_cast<int64_t>(shape.size()));
    }
    const Tensor want = by_definition(einsum_labels(row.equation, ranks), operands), got = einsum(row.equation, operands);
    ASSERT_EQ(got.shape(), want.shape());
    for (int64_t i = 0; i < want.numel(); ++i) EXPECT_NEAR(got.at(i), want.at(i), 1e-12);
    EXPECT_FALSE(got.shares_storage(operands[0]));
  }
}

TEST(Einsum, RefusesWhatIsNoEquation) {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({3, 4});
  EXPECT_EQ(reason([&] { einsum("ij,jk->il", {a, b}); }), "einsum: the equation 'ij,jk->il' has 'l' in the output alone");
  EXPECT_EQ(reason([&] { einsum("ij->ii", {a}); }), "einsum: the equation 'ij->ii' has 'i' twice in the output");
  EXPECT_EQ(reason([&] { einsum("ij,jk", {a}); }), "einsum: the equation 'ij,jk' has more terms than operands, 1");
  EXPECT_EQ(reason([&] { einsum("ij", {a, b}); }), "einsum: the equation 'ij' has 1 terms for 2 operands");
  EXPECT_EQ(reason([&] { einsum("i,jk", {a, b}); }), "einsum: term 0 of 'i,jk' names 1 axes, the operand has 2");
  EXPECT_EQ(reason([&] { einsum("ij,jk", {b, b}); }), "einsum: axes of one label in 'ij,jk' have the sizes 4 and 3");
  EXPECT_EQ(reason([&] { einsum("i1", {a}); }), "einsum: the equation 'i1' has a character that is no letter");
  EXPECT_EQ(reason([&] { einsum("......", {a}); }), "einsum: the equation '......' has '...' twice in one term");
  EXPECT_EQ(reason([&] { einsum("..", {a}); }), "einsum: the equation '..' has a character that is no letter");
}

}  // namespace
}  // namespace convoy::ops
