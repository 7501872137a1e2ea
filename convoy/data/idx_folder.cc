#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/data/dataset.h"
#include "convoy/data/folder.h"
#include "convoy/data/idx.h"

namespace convoy::data {

namespace {

namespace fs = std::filesystem;

// The file with this name, or as other tools store it: with a dot, packed, in a folder "raw".
std::string find_file(const std::string& folder, const std::string& stem, const std::string& ending) {
  const fs::path places[] = {folder, fs::path(folder) / "raw"};
  for (const fs::path& place : places) {
    for (const char* separator : {"-", "."}) {
      for (const char* packed : {"", ".gz"}) {
        const fs::path path = place / (stem + separator + ending + packed);
        std::error_code ignored;
        if (fs::is_regular_file(path, ignored)) return path.string();
      }
    }
  }
  raise<FileError>(
      "{}: the file {}-{} is missing\n"
      "it holds {}; train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte are "
      "needed, each also as .gz",
      folder, stem, ending, io::listed(list_folder(folder)));
}

Dataset read_set(const std::string& folder, const std::string& prefix) {
  const std::string image_path = find_file(folder, prefix + "-images", "idx3-ubyte");
  const std::string label_path = find_file(folder, prefix + "-labels", "idx1-ubyte");
  const IdxArray images = read_idx(io::ByteSource::open(image_path), 3);
  const IdxArray labels = read_idx(io::ByteSource::open(label_path), 1);
  const int64_t count = images.shape[0], height = images.shape[1], width = images.shape[2];
  if (labels.shape[0] != count) {
    raise<FileError>(
        "{}: has {} labels for the {} images of {}\n"
        "the two files must come from one data set",
        label_path, labels.shape[0], count, image_path);
  }
  if (count == 0 || height == 0 || width == 0)
    raise<FileError>(
        "{}: has no images: dimensions {}\n"
        "the file should hold (count, height, width) with sizes above 0",
        image_path, images.shape);

  Dataset set;
  set.images = Tensor::empty({count, 1, height, width});
  set.labels = Tensor::empty({count}, DType::kInt64);
  std::transform(images.values.begin(), images.values.end(), set.images.data<float>(),
                 [](uint8_t v) { return static_cast<float>(v) / 255.0f; });
  std::copy(labels.values.begin(), labels.values.end(), set.labels.data<int64_t>());
  return set;
}

}  // namespace

Split idx_folder(const std::string& folder) {
  check_folder(folder);
  Split split{read_set(folder, "train"), read_set(folder, "t10k")};
  const Shape &train = split.train.images.shape(), &test = split.test.images.shape();
  if (train[2] != test[2] || train[3] != test[3]) {
    raise<FileError>(
        "{}: the images to train on are {} x {}, those to test on {} x {}\n"
        "both parts must have images of one size",
        folder, train[2], train[3], test[2], test[3]);
  }
  int64_t largest = 0;
  for (const Dataset* set : {&split.train, &split.test}) {
    const int64_t* labels = set->labels.data<int64_t>();
    largest = std::max(largest, *std::max_element(labels, labels + set->size()));
  }
  for (int64_t i = 0; i <= largest; ++i) split.train.classes.push_back(std::to_string(i));
  split.test.classes = split.train.classes;
  return split;
}

}  // namespace convoy::data
