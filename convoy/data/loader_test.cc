#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/data/dataset.h"

namespace convoy::data {
namespace {

// Image i holds i, i + 0.25, ...; its label is i.
Dataset numbered(int64_t count, Shape image = {1, 2, 2}) {
  Dataset set;
  const int64_t area = numel(image);
  image.insert(image.begin(), count);
  set.images = Tensor::empty(image);
  for (int64_t i = 0; i < set.images.numel(); ++i) {
    set.images.data<float>()[i] = static_cast<float>(i / area) + static_cast<float>(i % area) / static_cast<float>(area);
  }
  set.labels = Tensor::arange(count, DType::kInt64);
  return set;
}

std::vector<int64_t> epoch_labels(const Loader& loader) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const auto labels = loader.batch(i).labels.to_vector<int64_t>();
    all.insert(all.end(), labels.begin(), labels.end());
  }
  return all;
}

TEST(Loader, DealsAllInOrderWithoutShuffle) {
  const Loader loader(numbered(10), 4);
  EXPECT_EQ(loader.batches(), 3);
  EXPECT_EQ(loader.batch(0).images.shape(), (Shape{4, 1, 2, 2}));
  EXPECT_EQ(loader.batch(2).images.shape(), (Shape{2, 1, 2, 2}));
  EXPECT_TRUE(identical(loader.batch(1).images, loader.dataset().images.slice(4, 8)));
  EXPECT_EQ(epoch_labels(loader), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Loader, DropLastLeavesTheIncompleteBatchOut) {
  EXPECT_EQ(Loader(numbered(10), 4, false, 0, true).batches(), 2);
  EXPECT_EQ(Loader(numbered(8), 4, false, 0, true).batches(), 2);
  EXPECT_EQ(Loader(numbered(8), 4).batches(), 2);
  EXPECT_EQ(Loader(numbered(3), 4, false, 0, true).batches(), 0);
  EXPECT_EQ(Loader(numbered(4000), 64).batches(), 63);
}

TEST(Loader, ShufflesEachEpochIntoAPermutationOfItsOwn) {
  Loader loader(numbered(100), 7, true, 5);
  std::set<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 6; ++epoch) {
    loader.start_epoch(epoch);
    std::vector<int64_t> labels = epoch_labels(loader);
    orders.insert(labels);
    std::sort(labels.begin(), labels.end());
    EXPECT_EQ(labels, Tensor::arange(100, DType::kInt64).to_vector<int64_t>());
  }
  EXPECT_EQ(orders.size(), 6U);
  EXPECT_EQ(orders.count(epoch_labels(Loader(numbered(100), 7, true, 6))), 0U) << "another seed, another order";
}

TEST(Loader, ImagesStayWithTheirLabels) {
  const Dataset set = numbered(50, {3, 5, 4});
  const Loader loader(set, 8, true, 1);
  for (int64_t b = 0; b < loader.batches(); ++b) {
    const Batch batch = loader.batch(b);
    for (int64_t i = 0; i < batch.labels.numel(); ++i) {
      EXPECT_TRUE(identical(batch.images.select(i), set.images.select(static_cast<int64_t>(batch.labels.at(i)))));
    }
  }
}

TEST(Loader, OrderDependsOnSeedAndEpochAlone) {
  Loader straight(numbered(30), 4, true, 2), resumed(numbered(30), 4, true, 2);
  for (int64_t epoch = 0; epoch < 4; ++epoch) straight.start_epoch(epoch);
  resumed.start_epoch(3);
  EXPECT_EQ(epoch_labels(straight), epoch_labels(resumed));
  Loader fresh(numbered(30), 4, true, 2);
  straight.start_epoch(0);
  EXPECT_EQ(epoch_labels(straight), epoch_labels(fresh)) << "epoch 0 is ready after construction";
}

TEST(Loader, BatchesAreCopies) {
  const Loader loader(numbered(4), 4);
  Batch batch = loader.batch(0);
  batch.images.zero_();
  EXPECT_EQ(loader.dataset().images.at(4), 1.0);
}

TEST(Loader, LargeBatchesAreTheSameForAnyNumberOfThreads) {
  const Loader loader(numbered(300, {3, 40, 40}), 256, true, 3);
  const Batch many = loader.batch(0);
  set_num_threads(1);
  EXPECT_TRUE(identical(loader.batch(0).images, many.images));
  set_num_threads(0);
}

TEST(Loader, EmptySetHasNoBatches) {
  const Loader loader(numbered(0), 4, true);
  EXPECT_EQ(loader.batches(), 0);
  EXPECT_THROW(loader.batch(0), ValueError);
}

TEST(Loader, RefusesWhatCannotWork) {
  EXPECT_THROW(Loader(numbered(4), 0), ValueError);
  EXPECT_THROW(Loader(Dataset{}, 4), ValueError);
  Dataset odd = numbered(4);
  odd.labels = Tensor::arange(3, DType::kInt64);
  EXPECT_THROW(Loader(odd, 4), ValueError);
  odd.labels = Tensor::arange(4);
  EXPECT_THROW(Loader(odd, 4), ValueError);
  Loader loader(numbered(4), 4);
  EXPECT_THROW(loader.batch(1), ValueError);
  EXPECT_THROW(loader.batch(-1), ValueError);
  EXPECT_THROW(loader.start_epoch(-1), ValueError);
}

}  // namespace
}  // namespace convoy::data
