// Values are those of PyTorch 1.13 for the same seeds (OMP_NUM_THREADS=1 python3 -c "import torch; torch.manual_seed(0); ...").
#include "convoy/core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "convoy/core/error.h"

namespace convoy {
namespace {

void expect_bits(const Tensor& t, const std::vector<float>& expected) {
  ASSERT_EQ(t.numel(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(t.data<float>()[i], expected[i]) << i;
}

// PyTorch's vectorised logarithm, cosine and sine differ from the C library's in their last bits.
void expect_near(const Tensor& t, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(t.numel(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(t.at(static_cast<int64_t>(i)), expected[i], tolerance) << i;
}

double dot_self(const Tensor& t) {
  double sum = 0;
  for (int64_t i = 0; i < t.numel(); ++i) sum += t.at(i) * t.at(i);
  return sum;
}

double sum_of(const Tensor& t) {
  double sum = 0;
  for (int64_t i = 0; i < t.numel(); ++i) sum += t.at(i);
  return sum;
}

TEST(Random, RandIsPyTorchsToTheBit) {
  manual_seed(0);
  expect_bits(rand({8}),
              {0.49625659f, 0.768221796f, 0.0884774327f, 0.132030487f, 0.307422817f, 0.634078681f, 0.49009341f, 0.896444738f});
  manual_seed(42);
  expect_bits(rand({4, 5}), {0.882269263f, 0.915003955f, 0.38286376f,  0.959305644f, 0.390448213f, 0.600895345f, 0.256572485f,
                             0.793641329f, 0.940771461f, 0.133185923f, 0.934598088f, 0.59357965f,  0.869404435f, 0.567715287f,
                             0.741094053f, 0.429404497f, 0.885442913f, 0.573904455f, 0.266580045f, 0.627449155f});
  manual_seed(0);
  const Tensor d = rand({4}, DType::kFloat64);
  const double expected[] = {0.97005300180655307, 0.70781986439978795, 0.45938294312745087, 0.92074768412196029};
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(d.at(i), expected[i]);
}

TEST(Random, LongSequencesStayEqual) {
  manual_seed(3);
  const Tensor t = rand({100000});
  EXPECT_EQ(t.at(99999), double{0.8044906854629517f});
  EXPECT_NEAR(sum_of(t), 49817.36300611496, 1e-7);
}

TEST(Random, SeedsBeyond32BitsAreCutAsPyTorchCutsThem) {
  manual_seed(static_cast<uint64_t>(-1));
  expect_bits(rand({2}), {0.993799388f, 0.571306348f});
  manual_seed((uint64_t{1} << 40) + 5);
  expect_bits(rand({2}), {0.830251873f, 0.126110911f});
  manual_seed(5);
  expect_bits(rand({2}), {0.830251873f, 0.126110911f});
  EXPECT_EQ(default_generator().seed(), 5u);
}

TEST(Random, UniformUsesAFusedMultiplyAdd) {
  manual_seed(0);
  Tensor t = Tensor::empty({6});
  uniform_(t, -2, 3);
  expect_bits(t, {0.481282949f, 1.84110904f, -1.5576129f, -1.33984756f, -0.462885916f, 1.17039347f});
  Tensor d = Tensor::empty({3}, DType::kFloat64);
  uniform_(d, -2, 3);
  expect_near(d, {2.6037384206098015, 1.225120600613824, 1.9557394609015184}, 5e-16);
  manual_seed(0);
  Tensor weight = Tensor::empty({8});
  const double bound = 0.19245008972987526;  // 1 / sqrt(27): a Conv2d of 3 channels and kernel 3
  uniform_(weight, -bound, bound);
  expect_bits(weight, {-0.00144083926f, 0.10323862f, -0.158395112f, -0.141631529f, -0.0741229951f, 0.0516069084f, -0.00381304836f,
                       0.152591646f});
}

TEST(Random, ShortNormalsAreDrawnInPairs) {
  manual_seed(0);
  expect_bits(randn({7}), {1.54099607f, -0.293428898f, -2.17878938f, 0.568431258f, -1.08452237f, -1.39859545f, 0.403346837f});
  // The eighth was drawn with the seventh and waits.
  expect_bits(randn({4}), {0.838026345f, -0.719257593f, -0.403343529f, -0.596635342f});
  expect_bits(rand({1}), {0.419408321f});
  manual_seed(0);
  expect_near(randn({5}, DType::kFloat64),
              {1.5409961082440433, -0.29342890576094638, -2.1787893820745574, 0.56843127728066778, -1.0845223424240209}, 1e-15);
  expect_near(randn({3}, DType::kFloat64), {-1.3985953953708767, 0.40334684762929929, 0.83802633299765983}, 1e-15);
  manual_seed(0);
  Tensor shifted = Tensor::empty({5});
  normal_(shifted, 2, 0.5);
  expect_bits(shifted, {2.77049804f, 1.85328555f, 0.910605311f, 2.28421569f, 1.45773888f});
}

TEST(Random, LongNormalsAreBoxMullerOverSixteen) {
  manual_seed(0);
  expect_near(randn({16}),
              {-1.12583983, -1.1523602, -0.250578582, -0.433878809, 0.848710358, 0.692009151, -0.31601277, -2.11521935, 0.322274923,
               -1.26333475, 0.349983186, 0.30813393, 0.119841509, 1.2376579, 1.11677718, -0.247278154},
              2e-6);
  manual_seed(0);  // 21: the last sixteen are drawn again over the first
  expect_near(randn({3, 7}), {-1.12583983, -1.1523602,   -0.250578582, -0.433878809, 0.848710358, -1.55509508,  -0.34136039,
                              1.85300612,  0.468096405,  -0.157712445, 1.44366014,   0.266049415, 0.166455343,  1.58633423,
                              0.946298361, -0.843676746, 0.931826591,  1.25900924,   2.00498056,  0.0537369028, 0.618056655},
              2e-6);
  manual_seed(0);
  expect_near(randn({18}, DType::kFloat64),
              {-2.310411800234176, -0.3732508612577643, -1.2609246557194385, -0.72695106206541105, -0.019964750907762653,
               0.2102998901016947, 0.17718935139366584, -0.83051005100844899, 0.23871805816817063, 0.73352836852728409,
               -0.77301127729581809, -1.5951814880783068, -0.68700369404354633, 1.4880743158106724, -0.44841580471145109,
               -0.89100303517073753, 0.67485754359400385, 1.0468653769814655},
              1e-14);
  manual_seed(0);
  Tensor shifted = Tensor::empty({16});
  normal_(shifted, 2, 0.5);
  EXPECT_NEAR(shifted.at(0), 1.43708014, 2e-6);
  EXPECT_NEAR(shifted.at(15), 1.87636089, 2e-6);
  manual_seed(3);
  const Tensor many = randn({100000});
  EXPECT_NEAR(many.at(50000), 1.385810375213623, 2e-6);
  EXPECT_NEAR(many.at(99999), -0.49974724650382996, 2e-6);
  EXPECT_NEAR(sum_of(many), 590.9893466952926, 0.01);
  EXPECT_NEAR(dot_self(many), 99507.40976650215, 0.01);
}

TEST(Random, RandpermIsPyTorchs) {
  manual_seed(0);
  EXPECT_EQ(randperm(10).to_vector<int64_t>(), (std::vector<int64_t>{4, 1, 7, 5, 3, 9, 0, 8, 6, 2}));
  expect_bits(rand({2}), {0.632306278f, 0.348893464f});
  manual_seed(123);
  EXPECT_EQ(randperm(1).to_vector<int64_t>(), (std::vector<int64_t>{0}));
  expect_bits(rand({2}), {0.296111941f, 0.516562283f});
  manual_seed(7);
  const std::vector<int64_t> p = randperm(1000).to_vector<int64_t>();
  EXPECT_EQ(std::vector<int64_t>(p.begin(), p.begin() + 8), (std::vector<int64_t>{615, 284, 599, 580, 347, 92, 383, 891}));
  int64_t weighted = 0;
  for (size_t i = 0; i < p.size(); ++i) weighted += p[i] * static_cast<int64_t>(i);
  EXPECT_EQ(weighted, 251046965);
  EXPECT_EQ(randperm(0).numel(), 0);
  EXPECT_THROW(randperm(-1), Error);
}

TEST(Random, BelowDrawsAsRandintDoes) {
  manual_seed(0);
  for (const int64_t expected : {4, 9, 3, 0, 3, 9, 7, 3}) EXPECT_EQ(default_generator().below(10), expected);
  for (const int64_t expected : {1, 0, 2, 2, 0}) EXPECT_EQ(default_generator().below(3), expected);
  EXPECT_EQ(default_generator().below(1), 0);
  EXPECT_LT(default_generator().below(int64_t{1} << 50), int64_t{1} << 50);
  EXPECT_THROW((void)default_generator().below(0), ValueError);
}

TEST(Random, AGeneratorOfItsOwnLeavesTheDefaultAlone) {
  manual_seed(0);
  Generator other(0);
  expect_bits(rand({1}, DType::kFloat32, &other), {0.49625659f});
  expect_bits(rand({1}), {0.49625659f});
  Generator copy = other;
  EXPECT_TRUE(identical(randn({3}, DType::kFloat32, &copy), randn({3}, DType::kFloat32, &other)));
}

TEST(Random, StateGoesOnWhereItWasTaken) {
  Generator g(11);
  (void)rand({700}, DType::kFloat32, &g);
  (void)randn({3}, DType::kFloat32, &g);  // an odd count: one value waits
  const std::vector<int64_t> state = g.state();
  const Tensor expected = randn({5}, DType::kFloat64, &g);
  Generator fresh(0);
  fresh.set_state(state);
  EXPECT_TRUE(identical(randn({5}, DType::kFloat64, &fresh), expected));
  EXPECT_EQ(fresh.state(), g.state());
  EXPECT_EQ(fresh.seed(), 11u);
}

TEST(Random, ForeignStatesAreRefused) {
  Generator g(1);
  std::vector<int64_t> state = g.state();
  EXPECT_THROW(g.set_state({}), ValueError);
  const auto refuses = [&](size_t at, int64_t value) {
    std::vector<int64_t> changed = state;
    changed[at] = value;
    EXPECT_THROW(g.set_state(changed), ValueError) << at << " " << value;
  };
  refuses(0, -1);
  refuses(623, int64_t{1} << 32);
  refuses(624, 625);
  refuses(624, -1);
  refuses(626, 2);
  EXPECT_EQ(g.state(), state) << "nothing is written on error";
}

TEST(Random, Refusals) {
  const auto reason_of = [](auto f) -> std::string {
    try {
      f();
    } catch (const Error& error) {
      return error.reason();
    }
    return "";
  };
  Tensor t = Tensor::zeros({3});
  EXPECT_EQ(reason_of([&] { uniform_(t, 3, 1); }), "uniform_ expects to return a [from, to) range, but found from=3 > to=1");
  EXPECT_EQ(reason_of([&] { normal_(t, 0, -1); }), "normal expects std >= 0.0, but found std -1");
  EXPECT_EQ(t.at(0), 0);
  Tensor whole = Tensor::zeros({3}, DType::kInt64);
  EXPECT_NE(reason_of([&] { uniform_(whole, 0, 1); }), "");
  EXPECT_NE(reason_of([&] { (void)rand({2, -1}); }), "");
  manual_seed(0);
  EXPECT_EQ(rand({0}).numel(), 0);
  expect_bits(rand({1}), {0.49625659f});
}

}  // namespace
}  // namespace convoy
