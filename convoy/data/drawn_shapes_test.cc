#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/data/dataset.h"

namespace convoy::data {
namespace {

uint64_t fingerprint(const Tensor& t) {
  uint64_t hash = 14695981039346656037ull;
  for (int64_t i = 0; i < t.numel(); ++i) hash = (hash ^ static_cast<uint64_t>(std::lround(t.at(i) * 255))) * 1099511628211ull;
  return hash;
}

TEST(DrawnShapes, ShapesLabelsAndNames) {
  const Split split = drawn_shapes({.train = 25, .test = 12});
  EXPECT_EQ(split.train.images.shape(), (Shape{25, 1, 28, 28}));
  EXPECT_EQ(split.test.images.shape(), (Shape{12, 1, 28, 28}));
  EXPECT_EQ(split.train.size(), 25);
  EXPECT_EQ(split.test.size(), 12);
  for (int64_t i = 0; i < 25; ++i) EXPECT_EQ(split.train.labels.at(i), i % 10);
  EXPECT_EQ(split.train.classes.size(), 10U);
  EXPECT_EQ(split.train.classes, split.test.classes);
  EXPECT_EQ(std::set<std::string>(split.train.classes.begin(), split.train.classes.end()).size(), 10U);
}

TEST(DrawnShapes, ValuesAreWholeLevelsOf255) {
  const Tensor images = drawn_shapes({.train = 40, .test = 0}).train.images;
  for (int64_t i = 0; i < images.numel(); ++i) {
    const float v = images.data<float>()[i];
    const auto level = static_cast<float>(std::lround(v * 255));
    ASSERT_GE(v, 0.0f);
    ASSERT_LE(v, 1.0f);
    ASSERT_EQ(v, level / 255.0f);
  }
}

// The bits are part of what the data set promises: results of training runs are compared between machines.
TEST(DrawnShapes, BitsAreFixed) {
  const Split split = drawn_shapes({.train = 100, .test = 50});
  EXPECT_EQ(fingerprint(split.train.images), 4686980433845899729u);
  EXPECT_EQ(fingerprint(split.test.images), 8397729329023286610u);
  EXPECT_EQ(fingerprint(drawn_shapes({.train = 10, .test = 0, .image_size = 40, .seed = 9}).train.images), 7707149952985844637u);
}

TEST(DrawnShapes, DoNotDependOnThreadsAndALongerSetBeginsWithTheShorter) {
  const Split two = drawn_shapes({.train = 60, .test = 20});
  set_num_threads(1);
  const Split one = drawn_shapes({.train = 90, .test = 20});
  set_num_threads(0);
  EXPECT_TRUE(identical(one.train.images.slice(0, 60), two.train.images));
  EXPECT_TRUE(identical(one.test.images, two.test.images));
}

TEST(DrawnShapes, SeedsAndSetsDiffer) {
  std::set<uint64_t> seen;
  for (const uint64_t seed : {0ull, 1ull, 2ull, 1ull << 32, ~0ull}) {
    const Split split = drawn_shapes({.train = 1, .test = 1, .seed = seed});
    seen.insert(fingerprint(split.train.images));
    seen.insert(fingerprint(split.test.images));
  }
  EXPECT_EQ(seen.size(), 10U);
}

// A mean image per class tells little about an image: place, size, angle and brightness are random. Networks have to look at form.
TEST(DrawnShapes, MeanImagesDoNotSolveIt) {
  const Split split = drawn_shapes({.train = 1000, .test = 300});
  const int64_t area = 28 * 28;
  std::vector<double> mean(static_cast<size_t>(10 * area));
  for (int64_t i = 0; i < 1000 * area; ++i)
    mean[static_cast<size_t>(i / area % 10 * area + i % area)] += split.train.images.data<float>()[i] / 100;
  int correct = 0;
  for (int64_t i = 0; i < 300; ++i) {
    double best = INFINITY;
    int64_t guess = -1;
    for (int64_t k = 0; k < 10; ++k) {
      double distance = 0;
      for (int64_t p = 0; p < area; ++p) {
        const double d = split.test.images.data<float>()[i * area + p] - mean[static_cast<size_t>(k * area + p)];
        distance += d * d;
      }
      if (distance < best) {
        best = distance;
        guess = k;
      }
    }
    correct += guess == i % 10;
  }
  EXPECT_LT(correct, 120);
}

TEST(DrawnShapes, OtherSizesAndEmptySets) {
  EXPECT_EQ(drawn_shapes({.train = 3, .test = 0, .image_size = 8}).train.images.shape(), (Shape{3, 1, 8, 8}));
  EXPECT_EQ(drawn_shapes({.train = 0, .test = 0}).test.images.shape(), (Shape{0, 1, 28, 28}));
}

TEST(DrawnShapes, RefusesWrongOptions) {
  EXPECT_THROW(drawn_shapes({.train = -1}), ValueError);
  EXPECT_THROW(drawn_shapes({.test = -1}), ValueError);
  EXPECT_THROW(drawn_shapes({.image_size = 7}), ValueError);
  EXPECT_THROW(drawn_shapes({.image_size = 1025}), ValueError);
}

}  // namespace
}  // namespace convoy::data
