#include <gtest/gtest.h>
#include <hwy/targets.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/pool/pool_reference.h"

namespace convoy::kernels {
namespace {

using shape::Axis;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

// Values that end exactly where readable memory ends: reading one element too many is a crash.
class Guarded {
 public:
  explicit Guarded(const std::vector<float>& values) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = values.size() * sizeof(float);
    readable_ = (bytes + page - 1) / page * page;
    base_ = static_cast<char*>(mmap(nullptr, readable_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + readable_, page, PROT_NONE);
    data_ = reinterpret_cast<float*>(base_ + readable_ - bytes);
    if (bytes > 0) std::memcpy(data_, values.data(), bytes);
  }
  ~Guarded() { munmap(base_, readable_ + static_cast<size_t>(sysconf(_SC_PAGESIZE))); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  const float* data() const { return data_; }

 private:
  char* base_ = nullptr;
  float* data_ = nullptr;
  size_t readable_ = 0;
};

// Runs body once for every instruction set that this machine and build have, with one thread and with three.
void for_each_machine(const std::function<void()>& body) {
  for (const int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SCALAR}) {
    hwy::SetSupportedTargetsForTest(0);
    if ((hwy::SupportedTargets() & target) == 0 && target != HWY_SCALAR) continue;
    hwy::SetSupportedTargetsForTest(target | HWY_SCALAR);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    for (const int threads : {1, 3}) {
      SCOPED_TRACE(testing::Message() << hwy::TargetName(target) << ", " << threads << " threads");
      set_num_threads(threads);
      body();
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  set_num_threads(0);
}

class Random {
 public:
  explicit Random(unsigned seed) : rng_(seed) {}
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(rng_); }

  std::vector<float> integers(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& v : values) v = static_cast<float>(pick(-9, 9));
    return values;
  }
  std::vector<float> normals(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& v : values) v = std::normal_distribution<float>()(rng_);
    return values;
  }

  // At times as many as small planes need to share vectors.
  int64_t channels() { return pick(0, 2) == 0 ? pick(16, 70) : pick(1, 3); }

  // A legal shape; the width visits every tail length.
  PoolShape pool(bool dilated, int64_t width) {
    for (;;) {
      PoolShape s;
      s.rank = static_cast<int>(pick(1, 3));
      s.batch = pick(1, 2);
      s.channels = channels();
      s.ceil_mode = pick(0, 1) == 1;
      for (int a = s.first_axis(); a < 3; ++a) {
        Axis& axis = s.axes[static_cast<size_t>(a)];
        s.input[static_cast<size_t>(a)] = a == 2 ? width : pick(1, 7);
        axis.kernel_size = pick(1, 5);
        axis.stride = pick(1, 4);
        axis.dilation = dilated ? pick(1, 3) : 1;
        axis.pad_begin = axis.pad_end = pick(0, axis.kernel_size / 2);
      }
      const auto completed = shape::complete(s);
      if (completed && completed->output[0] > 0 && completed->output[1] > 0 && completed->output[2] > 0) return *completed;
      if (pick(0, 20) == 0) ++width;
    }
  }

  // Windows and strides beyond a vector's lanes, rows from a few columns to several blocks of them.
  PoolShape strided(bool dilated) {
    for (;;) {
      PoolShape s{.rank = 2, .batch = 1, .channels = pick(1, 3), .input = {1, pick(1, 9), pick(1, pick(0, 9) == 0 ? 5000 : 300)}};
      s.axes[1] = {.kernel_size = pick(1, 3), .stride = pick(1, 3)};
      const int64_t kernel_size = pick(1, pick(0, 3) == 0 ? 90 : 20), padding = pick(0, 1) * pick(0, kernel_size / 2);
      s.axes[2] = {kernel_size, pick(1, pick(0, 1) == 0 ? 6 : 40), dilated ? std::max<int64_t>(pick(-3, 3), 1) : 1, padding,
                   padding};
      s.ceil_mode = pick(0, 1) == 1;
      const auto completed = shape::complete(s);
      if (completed && completed->output[1] > 0 && completed->output[2] > 0) return *completed;
    }
  }

  AdaptivePoolShape adaptive(int64_t width) {
    AdaptivePoolShape s;
    s.rank = static_cast<int>(pick(1, 3));
    s.batch = pick(0, 2);
    s.channels = channels();
    const bool equal = pick(0, 2) == 0;
    for (int a = s.first_axis(); a < 3; ++a) {
      s.input[static_cast<size_t>(a)] = a == 2 ? width : pick(1, 9);
      s.output[static_cast<size_t>(a)] = pick(0, 3) == 0 ? 1 : pick(0, 12);
      const int64_t n = s.input[static_cast<size_t>(a)], windows = pick(1, n);
      if (equal && n % windows <= 1) s.output[static_cast<size_t>(a)] = windows;  // the pooling of one kernel size runs those
    }
    return s;
  }

 private:
  std::mt19937 rng_;
};

std::string describe(const PoolShape& s) {
  std::string text = "batch " + std::to_string(s.batch) + " channels " + std::to_string(s.channels) + (s.ceil_mode ? " ceil" : "");
  for (size_t a = 0; a < 3; ++a) {
    const Axis& axis = s.axes[a];
    text += " | " + std::to_string(s.input[a]) + " -> " + std::to_string(s.output[a]) + " k" + std::to_string(axis.kernel_size) +
            " s" + std::to_string(axis.stride) + " d" + std::to_string(axis.dilation) + " p" + std::to_string(axis.pad_begin);
  }
  return text;
}

// Bit for bit, a NaN equal to any NaN.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))) return false;
  }
  return true;
}

struct MaxResult {
  std::vector<float> values;
  std::vector<int64_t> indices;
  explicit MaxResult(int64_t count) : values(static_cast<size_t>(count), -77.0f), indices(static_cast<size_t>(count), -77) {}
};

// The values alone, where that is offered.
bool same_values_alone(const PoolShape& s, const float* input, const std::vector<float>& want) {
  if (!max_pool_values_fits(s)) return true;
  std::vector<float> got(want.size(), -77.0f);
  max_pool_values(s, input, got.data());
  return same(want, got);
}

// Values and indices, and values alone.
void expect_maxima_of_the_reference(const PoolShape& s, const std::vector<float>& input) {
  const Guarded guarded(input);
  MaxResult want(s.planes() * s.output_positions()), got = want;
  max_pool_reference(s, input.data(), want.values.data(), want.indices.data());
  max_pool(s, guarded.data(), got.values.data(), got.indices.data());
  ASSERT_TRUE(same(want.values, got.values)) << describe(s);
  ASSERT_EQ(want.indices, got.indices) << describe(s);
  for (size_t i = 0; i < want.values.size(); ++i)  // the sign of a zero is that of the one it names
    ASSERT_EQ(std::signbit(want.values[i]), std::signbit(got.values[i])) << describe(s);
  ASSERT_TRUE(same_values_alone(s, guarded.data(), want.values)) << describe(s);
}

TEST(MaxPool, EqualsTheReferenceOnEveryMachine) {
  for_each_machine([] {
    Random random(11);
    for (int round = 0; round < 800; ++round) {
      const PoolShape s = random.pool(true, 1 + round % 45);
      std::vector<float> input = random.integers(s.planes() * s.input_positions());
      for (int i = 0; i < round % 4; ++i) {
        const float specials[] = {kNan, -kInf, kInf};
        input[static_cast<size_t>(random.pick(0, static_cast<int64_t>(input.size()) - 1))] = specials[random.pick(0, 2)];
      }
      expect_maxima_of_the_reference(s, input);
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

// Large windows, rows wider than a block, and windows too wide for one.
TEST(MaxPool, LargeWindowsEqualTheReference) {
  for_each_machine([] {
    Random random(21);
    struct Row {
      int64_t width, kernel_size, stride, dilation;
    };
    for (const Row& c : {Row{19, 13, 1, 1},
                         {50, 9, 2, 1},
                         {50, 9, 3, 2},
                         {70, 21, 2, 3},
                         {5000, 7, 1, 1},
                         {5000, 5, 2, 1},
                         {5000, 6, 3, 4},
                         {3000, 900, 7, 1},
                         {3000, 1500, 300, 1},
                         {3000, 3, 1, 1200},
                         {4100, 4, 4000, 1}}) {
      for (const bool special : {false, true}) {
        PoolShape s{.rank = 2, .batch = 1, .channels = 2, .input = {1, 7, c.width}};
        s.axes[1] = {.kernel_size = 5, .stride = 2, .pad_begin = 2, .pad_end = 2};
        s.axes[2] = {c.kernel_size, c.stride, c.dilation, c.kernel_size / 2, c.kernel_size / 2};
        s = *shape::complete(s);
        if (s.output[2] < 1) continue;
        std::vector<float> input = random.integers(s.planes() * s.input_positions());
        for (size_t i = 0; special && i < input.size() / 5; ++i) {
          const float specials[] = {kNan, -kInf, kInf, 9};
          input[static_cast<size_t>(random.pick(0, static_cast<int64_t>(input.size()) - 1))] = specials[random.pick(0, 3)];
        }
        expect_maxima_of_the_reference(s, input);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  });
}

TEST(MaxPool, StridesOfEveryLengthEqualTheReference) {
  for_each_machine([] {
    Random random(22);
    for (int round = 0; round < 1000; ++round) {
      const PoolShape s = random.strided(round % 5 == 0);
      std::vector<float> input = random.normals(s.planes() * s.input_positions());
      if (round % 4 == 3) {  // equal ones, of which the first is named and the sign stays
        for (float& v : input) v = v > 1 ? 0.0f : v > 0 ? -0.0f : -1.0f;
      }
      for (int i = 0; i < round % 3; ++i) {
        const float specials[] = {kNan, -kInf, kInf};
        input[static_cast<size_t>(random.pick(0, static_cast<int64_t>(input.size()) - 1))] = specials[random.pick(0, 2)];
      }
      expect_maxima_of_the_reference(s, input);
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

TEST(MaxPool, NanReachesEveryLaneAndTheLastOneIsNamed) {
  for_each_machine([] {
    for (int64_t width = 2; width < 40; ++width) {
      PoolShape s{.rank = 1, .batch = 1, .channels = 1, .input = {1, 1, width}};
      s.axes[2] = {.kernel_size = 3, .stride = 1, .pad_begin = 1, .pad_end = 1};
      s = *shape::complete(s);
      const std::vector<float> input(static_cast<size_t>(width), kNan);
      MaxResult got(s.output_positions());
      max_pool(s, input.data(), got.values.data(), got.indices.data());
      for (int64_t o = 0; o < width; ++o) {
        ASSERT_TRUE(std::isnan(got.values[static_cast<size_t>(o)])) << width << ' ' << o;
        ASSERT_EQ(got.indices[static_cast<size_t>(o)], std::min(o + 1, width - 1)) << width;
      }
    }
  });
}

// Wherever it is, at the row's ends above all, where vectors of windows overlap and read columns that no window sees.
TEST(MaxPool, NanInAnyColumnOfThreeByThree) {
  for_each_machine([] {
    Random random(13);
    for (const int64_t width : {7, 8, 9, 10, 11, 15, 16, 17, 18, 19, 24, 35}) {
      for (const int64_t stride : {1, 2}) {
        for (const int64_t pad : {0, 1, 2}) {
          PoolShape s;
          s.rank = 2;
          s.channels = 2;
          s.ceil_mode = pad == 1;
          s.input = {1, 5, width};
          for (size_t a = 1; a < 3; ++a) s.axes[a] = {.kernel_size = 3, .stride = stride, .pad_begin = pad, .pad_end = pad};
          s = *shape::complete(s);
          for (int64_t column = 0; column < width; ++column) {
            std::vector<float> input = random.integers(s.planes() * s.input_positions());
            input[static_cast<size_t>((5 + column % 5) * width + column)] = column % 3 == 2 ? kInf : kNan;
            expect_maxima_of_the_reference(s, input);
            if (testing::Test::HasFatalFailure()) return;
          }
        }
      }
    }
  });
}

// Values alone are asked for by networks, whose padding may be wider than the kernel.
TEST(MaxPool, WindowsThatSeeNothingAreMinusInfinity) {
  for_each_machine([] {
    Random random(14);
    for (const int64_t width : {8, 17, 40}) {
      for (const int64_t stride : {1, 2}) {
        PoolShape s;
        s.rank = 2;
        s.input = {1, 6, width};
        for (size_t a = 1; a < 3; ++a) s.axes[a] = {.kernel_size = 3, .stride = stride, .pad_begin = 1, .pad_end = 40};
        s = *shape::complete(s);
        const std::vector<float> input = random.integers(s.input_positions());
        MaxResult want(s.output_positions());
        max_pool_reference(s, input.data(), want.values.data(), want.indices.data());
        ASSERT_TRUE(same_values_alone(s, Guarded(input).data(), want.values)) << describe(s);
      }
    }
  });
}

TEST(MaxPool, AllMinusInfinityNamesTheFirstInput) {
  PoolShape s{.rank = 2, .input = {1, 20, 20}};
  s.axes[1] = s.axes[2] = {.kernel_size = 3, .stride = 2, .pad_begin = 1, .pad_end = 1};
  s = *shape::complete(s);
  const std::vector<float> input(400, -kInf);
  MaxResult got(s.output_positions());
  max_pool(s, input.data(), got.values.data(), got.indices.data());
  EXPECT_EQ(got.indices[0], 0);
  EXPECT_EQ(got.indices[1], 1);
  EXPECT_EQ(got.indices[10], 20);
  EXPECT_EQ(got.indices[11], 21);
  EXPECT_EQ(got.values[11], -kInf);
}

TEST(MaxPool, AdaptiveEqualsTheReference) {
  for_each_machine([] {
    Random random(12);
    for (int round = 0; round < 300; ++round) {
      const AdaptivePoolShape s = random.adaptive(round >= 297 ? 2500 : 1 + round % 40);
      std::vector<float> input = random.integers(s.planes() * s.input_positions());
      for (size_t i = 0; round % 3 == 0 && i < input.size() / 5; ++i) {
        const float specials[] = {kNan, -kInf, kInf, 9};
        input[static_cast<size_t>(random.pick(0, static_cast<int64_t>(input.size()) - 1))] = specials[random.pick(0, 3)];
      }
      const Guarded guarded(input);
      MaxResult want(s.planes() * s.output_positions()), got = want;
      max_pool_reference(s, input.data(), want.values.data(), want.indices.data());
      adaptive_max_pool(s, guarded.data(), got.values.data(), got.indices.data());
      ASSERT_TRUE(same(want.values, got.values)) << round;
      ASSERT_EQ(want.indices, got.indices) << round;
    }
  });
}

TEST(IndexedPlanes, AddsInTheOrderOfTheValuesForAnyNumberOfPlanes) {
  Random random(13);
  for (const int64_t count : {0, 1, 2, 3, 5, 8}) {
    const IndexedPlanes planes{count, 200, 7};
    const std::vector<float> small = random.normals(count * planes.values);
    std::vector<int64_t> indices(small.size());
    std::vector<float> want(static_cast<size_t>(count * planes.positions)), got(want.size(), -77.0f);
    for (size_t i = 0; i < indices.size(); ++i) {
      indices[i] = random.pick(0, planes.positions - 1);
      want[static_cast<size_t>(static_cast<int64_t>(i) / planes.values * planes.positions + indices[i])] += small[i];
    }
    scatter_add(planes, small.data(), indices.data(), got.data());
    ASSERT_EQ(got, want) << count;
  }
}

TEST(IndexedPlanes, ScatterAndGather) {
  const IndexedPlanes planes{2, 3, 4};
  const std::vector<float> small{1, 2, 4, 8, 16, 32};
  const std::vector<int64_t> indices{3, 0, 3, 1, 1, 1};
  std::vector<float> large(8, -1);
  scatter_add(planes, small.data(), indices.data(), large.data());
  EXPECT_EQ(large, (std::vector<float>{2, 0, 0, 5, 0, 56, 0, 0}));
  scatter(planes, small.data(), indices.data(), large.data());
  EXPECT_EQ(large, (std::vector<float>{2, 0, 0, 4, 0, 32, 0, 0}));
  std::vector<float> back(6);
  gather(planes, large.data(), indices.data(), back.data());
  EXPECT_EQ(back, (std::vector<float>{4, 2, 4, 32, 32, 32}));
}

TEST(IndexedPlanes, AddsNothingForAnIndexOutside) {
  for (const int64_t wrong : {int64_t{-1}, int64_t{4}, (int64_t{1} << 32) + 3}) {
    for (size_t place = 0; place < 9; ++place) {  // of three planes: in either of a pair, and in the last one
      std::vector<int64_t> indices{3, 0, 3, 1, 1, 1, 2, 2, 0};
      const std::vector<float> small(9, 1.0f);
      std::vector<float> large(12, -1);
      EXPECT_TRUE(scatter_add({3, 3, 4}, small.data(), indices.data(), large.data()));
      std::vector<float> want = large;
      want[place / 3 * 4 + static_cast<size_t>(indices[place])] -= 1;
      indices[place] = wrong;
      EXPECT_FALSE(scatter_add({3, 3, 4}, small.data(), indices.data(), large.data())) << place;
      EXPECT_EQ(large, want) << place;
    }
  }
}

TEST(IndexedPlanes, FindsAnInvalidIndexAmongMany) {
  const IndexedPlanes planes{1000, 400, 16};
  std::vector<int64_t> indices(400000, 15);
  EXPECT_EQ(find_invalid_index(planes, indices.data()), -1);
  indices[7] = (int64_t{1} << 32) + 3;  // 3 after narrowing to 32 bits
  EXPECT_EQ(find_invalid_index(planes, indices.data()), 7);
  indices[399999] = -1;
  EXPECT_EQ(find_invalid_index(planes, indices.data()), 399999);
  indices[399999] = 16;
  EXPECT_EQ(find_invalid_index(planes, indices.data()), 399999);
  EXPECT_EQ(find_invalid_index({0, 0, 0}, nullptr), -1);
}

// The reference in double, rounded once: what a float32 kernel that sums in double should give.
std::vector<float> rounded(const std::vector<double>& values) { return {values.begin(), values.end()}; }

AvgDivisor pick_divisor(Random& random) { return {random.pick(0, 1) == 1, random.pick(0, 3) == 0 ? random.pick(-3, 7) : 0}; }

TEST(AvgPool, IntegersAreExactOnEveryMachine) {
  for_each_machine([] {
    Random random(13);
    for (int round = 0; round < 800; ++round) {
      const PoolShape s = random.pool(false, 1 + round % 45);
      const AvgDivisor divisor = pick_divisor(random);
      const std::vector<float> input = random.integers(s.planes() * s.input_positions());
      const std::vector<double> wide(input.begin(), input.end());
      std::vector<double> want(static_cast<size_t>(s.planes() * s.output_positions()));
      std::vector<float> got(want.size(), -77.0f);
      avg_pool_reference(s, divisor, wide.data(), want.data());
      const Guarded guarded(input);
      avg_pool(s, divisor, guarded.data(), got.data());
      ASSERT_EQ(rounded(want), got) << describe(s);
    }
  });
}

TEST(AvgPool, StridesOfEveryLengthAreExact) {
  for_each_machine([] {
    Random random(23);
    for (int round = 0; round < 1000; ++round) {
      const PoolShape s = random.strided(false);
      const AvgDivisor divisor = pick_divisor(random);
      const std::vector<float> input = random.integers(s.planes() * s.input_positions());
      const std::vector<double> wide(input.begin(), input.end());
      std::vector<double> want(static_cast<size_t>(s.planes() * s.output_positions()));
      std::vector<float> got(want.size(), -77.0f);
      avg_pool_reference(s, divisor, wide.data(), want.data());
      const Guarded guarded(input);
      avg_pool(s, divisor, guarded.data(), got.data());
      ASSERT_EQ(rounded(want), got) << describe(s);
    }
  });
}

// Sums that cancel keep every bit of float32, as do rows wider than a block and windows too wide for one.
TEST(AvgPool, SumsInDouble) {
  for_each_machine([] {
    Random random(14);
    for (const auto& [width, kernel_size, stride] : {std::array<int64_t, 3>{50, 5, 1},
                                                     {5000, 7, 2},
                                                     {5000, 3, 1},
                                                     {9000, 1500, 3},
                                                     {9000, 8000, 500},
                                                     {50, 9, 1},
                                                     {37, 8, 2},
                                                     {90, 31, 1},
                                                     {90, 32, 2},
                                                     {300, 25, 5},
                                                     {300, 101, 1},
                                                     {6000, 1000, 1},
                                                     {6000, 1023, 4},
                                                     {6000, 1025, 1},
                                                     {6000, 2048, 3},
                                                     {4100, 511, 512},
                                                     {7000, 3, 5000}}) {
      PoolShape s{.rank = 2, .batch = 1, .channels = 2, .input = {1, 3, width}};
      s.axes[1] = {.kernel_size = 3, .stride = 1, .pad_begin = 1, .pad_end = 1};
      s.axes[2] = {.kernel_size = kernel_size, .stride = stride, .pad_begin = kernel_size / 2, .pad_end = kernel_size / 2};
      s = *shape::complete(s);
      const std::vector<float> input = random.normals(s.planes() * s.input_positions());
      const std::vector<double> wide(input.begin(), input.end());
      std::vector<double> want(static_cast<size_t>(s.planes() * s.output_positions()));
      std::vector<float> got(want.size());
      avg_pool_reference(s, {}, wide.data(), want.data());
      avg_pool(s, {}, input.data(), got.data());
      for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], std::abs(want[i]) * 6.1e-8 + 1e-13) << width << ' ' << i;

      const std::vector<float> grad_output = random.integers(s.planes() * s.output_positions());
      const std::vector<double> wide_grad(grad_output.begin(), grad_output.end());
      std::vector<double> want_grad(input.size());
      std::vector<float> got_grad(input.size(), -77.0f);
      avg_pool_backward_reference(s, {}, wide_grad.data(), want_grad.data());
      avg_pool_backward(s, {}, grad_output.data(), got_grad.data());
      for (size_t i = 0; i < input.size(); ++i) ASSERT_NEAR(got_grad[i], want_grad[i], 1e-5) << width << ' ' << i;
    }
  });
}

// What a window does not hold has no part in it, however its sum is put together.
TEST(AvgPool, AnInfinityStaysInItsWindows) {
  for_each_machine([] {
    for (const int64_t kernel_size : {3, 9, 16, 31}) {
      PoolShape s{.rank = 1, .batch = 1, .channels = 1, .input = {1, 1, 100}};
      s.axes[2] = {.kernel_size = kernel_size, .stride = 1};
      s = *shape::complete(s);
      std::vector<float> input(100, 1.0f), got(static_cast<size_t>(s.output_positions()));
      input[50] = kInf;
      avg_pool(s, {}, input.data(), got.data());
      for (int64_t o = 0; o < s.output_positions(); ++o) {
        ASSERT_EQ(got[static_cast<size_t>(o)], o <= 50 && 50 < o + kernel_size ? kInf : 1.0f) << kernel_size << ' ' << o;
      }
    }
  });
}

TEST(AvgPool, BackwardEqualsTheReferenceOnEveryMachine) {
  for_each_machine([] {
    Random random(15);
    for (int round = 0; round < 500; ++round) {
      const PoolShape s = random.pool(false, 1 + round % 45);
      // A divisor that is a power of two leaves integers exact.
      const AvgDivisor divisor{true, int64_t{1} << random.pick(0, 3)};
      const std::vector<float> grad_output = random.integers(s.planes() * s.output_positions());
      const size_t inputs = static_cast<size_t>(s.planes() * s.input_positions());
      std::vector<float> want(inputs), got(inputs, -77.0f);
      avg_pool_backward_reference(s, divisor, grad_output.data(), want.data());
      const Guarded guarded(grad_output);
      avg_pool_backward(s, divisor, guarded.data(), got.data());
      ASSERT_EQ(want, got) << describe(s);
    }
  });
}

TEST(AdaptiveAvgPool, EqualsTheReferenceOnEveryMachine) {
  for_each_machine([] {
    Random random(16);
    for (int round = 0; round < 400; ++round) {
      const AdaptivePoolShape s = random.adaptive(round % 50 == 49 ? 2500 : 1 + round % 45);
      const std::vector<float> input = random.integers(s.planes() * s.input_positions());
      const std::vector<double> wide(input.begin(), input.end());
      std::vector<double> want(static_cast<size_t>(s.planes() * s.output_positions()));
      std::vector<float> got(want.size(), -77.0f);
      adaptive_avg_pool_reference(s, wide.data(), want.data());
      const Guarded guarded(input);
      adaptive_avg_pool(s, guarded.data(), got.data());
      ASSERT_EQ(rounded(want), got);

      const std::vector<float> grad_output = random.integers(s.planes() * s.output_positions());
      const std::vector<double> wide_grad(grad_output.begin(), grad_output.end());
      std::vector<double> want_grad(input.size());
      std::vector<float> got_grad(input.size(), -77.0f);
      adaptive_avg_pool_backward_reference(s, wide_grad.data(), want_grad.data());
      adaptive_avg_pool_backward(s, grad_output.data(), got_grad.data());
      for (size_t i = 0; i < input.size(); ++i) ASSERT_NEAR(got_grad[i], want_grad[i], 2e-5);
    }
  });
}

// d/dx sum(g * f(x)) by complex step, F'(x) = Im F(x + ih) / h, against the backward kernels in double.
TEST(Gradients, EqualTheComplexStep) {
  using Complex = std::complex<double>;
  constexpr double kStep = 1e-50;
  Random random(17);
  const auto check = [&](const auto& s, const auto& forward, const auto& backward) {
    const std::vector<float> x = random.normals(s.planes() * s.input_positions()),
                             g = random.normals(s.planes() * s.output_positions());
    std::vector<Complex> input(x.begin(), x.end()), output(g.size());
    const std::vector<double> grad_output(g.begin(), g.end());
    std::vector<double> grad_input(x.size());
    backward(std::vector<double>(x.begin(), x.end()), grad_output, grad_input);
    for (size_t i = 0; i < x.size(); ++i) {
      input[i] += Complex(0, kStep);
      forward(input.data(), output.data());
      input[i] = input[i].real();
      double want = 0;
      for (size_t o = 0; o < output.size(); ++o) want += output[o].imag() / kStep * grad_output[o];
      ASSERT_NEAR(grad_input[i], want, 1e-12);
    }
  };
  for (int round = 0; round < 20; ++round) {
    const PoolShape s = random.pool(false, 1 + round % 6);
    const AvgDivisor divisor = pick_divisor(random);
    check(
        s, [&](const Complex* in, Complex* out) { avg_pool_reference(s, divisor, in, out); },
        [&](const auto&, const auto& g, auto& dx) { avg_pool_backward(s, divisor, g.data(), dx.data()); });
    const AdaptivePoolShape a = random.adaptive(1 + round % 6);
    check(
        a, [&](const Complex* in, Complex* out) { adaptive_avg_pool_reference(a, in, out); },
        [&](const auto&, const auto& g, auto& dx) { adaptive_avg_pool_backward(a, g.data(), dx.data()); });
    const PoolShape m = [&] {
      PoolShape dilated = random.pool(true, 1 + round % 6);
      while (dilated.axes[2].dilation > dilated.input[2] || dilated.axes[1].dilation > dilated.input[1] ||
             dilated.axes[0].dilation > dilated.input[0]) {
        dilated = random.pool(true, 6);  // windows that see no input have no gradient
      }
      return dilated;
    }();
    std::vector<int64_t> indices(static_cast<size_t>(m.planes() * m.output_positions()));
    check(
        m, [&](const Complex* in, Complex* out) { max_pool_reference(m, in, out, indices.data()); },
        [&](const std::vector<double>& x, const auto& g, auto& dx) {
          std::vector<double> y(g.size());
          max_pool(m, x.data(), y.data(), indices.data());
          scatter_add({m.planes(), m.output_positions(), m.input_positions()}, g.data(), indices.data(), dx.data());
        });
  }
}

// A sample alone gives the bits it gives in a batch.
TEST(Pooling, DoesNotDependOnTheBatch) {
  Random random(18);
  PoolShape many{.rank = 2, .batch = 5, .channels = 3, .input = {1, 13, 29}};
  many.axes[1] = many.axes[2] = {.kernel_size = 3, .stride = 2, .pad_begin = 1, .pad_end = 1};
  many = *shape::complete(many);
  PoolShape one = many;
  one.batch = 1;
  const std::vector<float> input = random.normals(many.planes() * many.input_positions());
  const auto outputs = static_cast<size_t>(many.planes() * many.output_positions());
  const auto sample_inputs = static_cast<size_t>(one.planes() * one.input_positions());
  const auto sample_outputs = static_cast<size_t>(one.planes() * one.output_positions());
  std::vector<float> together(outputs), alone(sample_outputs);
  avg_pool(many, {}, input.data(), together.data());
  for (size_t n = 0; n < 5; ++n) {
    avg_pool(one, {}, input.data() + n * sample_inputs, alone.data());
    EXPECT_EQ(0, std::memcmp(alone.data(), together.data() + n * sample_outputs, sample_outputs * sizeof(float)));
  }
}

}  // namespace
}  // namespace convoy::kernels
