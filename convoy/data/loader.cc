#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/core/random.h"
#include "convoy/data/dataset.h"
#include "convoy/data/seed.h"

namespace convoy::data {

Loader::Loader(Dataset dataset, int64_t batch_size, bool shuffle, uint64_t seed, bool drop_last)
    : dataset_(std::move(dataset)), batch_size_(batch_size), shuffle_(shuffle), drop_last_(drop_last), seed_(seed) {
  if (batch_size_ < 1)
    raise<ValueError>("batch_size should be a positive integer value, but got batch_size={}\n32, for example", batch_size_);
  const Tensor &images = dataset_.images, &labels = dataset_.labels;
  if (!images.defined() || !labels.defined()) raise<ValueError>("the data set has no images or no labels\ngive it both");
  if (images.dim() < 1 || labels.dim() != 1 || images.size(0) != labels.size(0)) {
    raise<ValueError>(
        "Size mismatch between tensors: images {}, labels {}\n"
        "the data set needs one label for each image",
        images.shape(), labels.shape());
  }
  if (labels.dtype() != DType::kInt64)
    raise<ValueError>("labels should be int64, but are {}\nlabels.to(DType::kInt64)", labels.dtype());
  start_epoch(0);
}

int64_t Loader::batches() const {
  const int64_t whole = dataset_.size() / batch_size_;
  return whole + (!drop_last_ && dataset_.size() % batch_size_ != 0);
}

void Loader::start_epoch(int64_t epoch) {
  if (epoch < 0) raise<ValueError>("epochs count from 0, but got {}\nthe first epoch is 0", epoch);
  if (!shuffle_) return;
  Generator g(stream_seed(seed_, static_cast<uint64_t>(epoch)));
  order_ = randperm(dataset_.size(), &g).to_vector<int64_t>();
}

Batch Loader::batch(int64_t index) const {
  if (index < 0 || index >= batches()) {
    raise<ValueError>("batch {} does not exist\nan epoch has {} batches, counted from 0", index, batches());
  }
  const int64_t begin = index * batch_size_;
  const int64_t count = std::min(batch_size_, dataset_.size() - begin);
  Shape shape = dataset_.images.shape();
  shape[0] = count;
  Batch batch{Tensor::empty(shape, dataset_.images.dtype()), Tensor::empty({count}, DType::kInt64)};

  const size_t bytes = batch.images.nbytes() / static_cast<size_t>(count);
  const auto* from = static_cast<const char*>(dataset_.images.raw_data());
  const int64_t* from_labels = dataset_.labels.data<int64_t>();
  auto* to = static_cast<char*>(batch.images.raw_data());
  int64_t* to_labels = batch.labels.data<int64_t>();
  constexpr size_t kBytesPerTask = size_t{1} << 18;  // some tens of microseconds
  const auto grain = static_cast<int64_t>(kBytesPerTask / std::max<size_t>(bytes, 1)) + 1;
  parallel_ranges(count, grain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t source = order_.empty() ? begin + i : order_[static_cast<size_t>(begin + i)];
      std::memcpy(to + static_cast<size_t>(i) * bytes, from + static_cast<size_t>(source) * bytes, bytes);
      to_labels[i] = from_labels[source];
    }
  });
  return batch;
}

}  // namespace convoy::data
