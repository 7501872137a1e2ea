// Data sets: images with a class each, and the loader that deals them out in batches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/core/random.h"
#include "convoy/core/tensor.h"

namespace convoy::data {

/// Images and their classes, in memory. Shapes: images (N, C, H, W) float32, labels (N) int64.
struct Dataset {
  Tensor images;
  Tensor labels;
  std::vector<std::string> classes;  // class names by label

  int64_t size() const { return labels.defined() ? labels.numel() : 0; }
};

/// A training and a test set.
struct Split {
  Dataset train, test;
};

struct ShapesOptions {
  int64_t train = 4000;
  int64_t test = 1000;
  int64_t image_size = 28;
  uint64_t seed = 1;
};

/// Ten kinds of shapes drawn in grey, light on dark, with random place, size, angle, brightness and noise: circle,
/// ring, square, triangle, plus, star, moon, heart, arrow, bars. No two of them are turned versions of each other. Image i shows
/// kind i % 10, so every beginning of a set is balanced. Values are k / 255, k whole, so that an 8-bit PNG keeps them. The same
/// seed gives the same bits on every machine and for any number of threads (integers and IEEE + - * / sqrt only), and a longer set
/// begins with the shorter one. Shapes: images (train or test, 1, image_size, image_size). Errors: ValueError for negative counts
/// and for an image_size outside 8 to 1024.
Split drawn_shapes(const ShapesOptions& options = {});

/// MNIST's four IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; also
/// with a dot before idx, with .gz, in a subfolder raw). Values are v / 255, classes are called by their number. Shapes: images (N,
/// 1, H, W). Errors: FileError naming the file: missing, not IDX, of other dimensions, truncated, too long, or not as many labels
/// as images.
Split idx_folder(const std::string& folder);

/// One folder per class holding PNG or JPEG files; with train/ and test/ (or val/) subfolders if there are any, else every fifth
/// image of a class is for testing. Classes and images are taken in the order of their names; other files are passed over. All
/// images are brought to image_size x image_size (0: the size of the first) and to `channels` (1: grey, 3: RGB, 0: RGB if any image
/// is coloured).
/// Shapes: images (N, channels, image_size, image_size).
/// Errors: FileError that lists what was found if there are fewer than two classes, a class without images, or a class to test that
/// is not trained; FileError of the first image that cannot be read; ValueError for other sizes or channels.
Split image_folder(const std::string& folder, int64_t image_size = 0, int channels = 0);

/// Opens "shapes", "idx:DIR" or "folder:DIR". Errors: ValueError that lists the forms, and those of the functions above.
Split open_dataset(const std::string& text);

struct Batch {
  Tensor images;  // (B, C, H, W)
  Tensor labels;  // (B)
};

/// Deals a data set out in batches, each a copy of its images and labels. With shuffle every epoch has an order of its own, which
/// depends on the seed and the epoch's number alone, so that an interrupted run can be resumed. Epoch 0 is ready after
/// construction. Errors: ValueError for a batch_size below 1, for images and labels that do not belong together, for a negative
/// epoch, and for a batch that does not exist.
class Loader {
 public:
  Loader(Dataset dataset, int64_t batch_size, bool shuffle = false, uint64_t seed = 0, bool drop_last = false);

  /// Batches per epoch; the last may be smaller, or is left out with drop_last.
  int64_t batches() const;
  void start_epoch(int64_t epoch);
  Batch batch(int64_t index) const;
  const Dataset& dataset() const { return dataset_; }

 private:
  Dataset dataset_;
  int64_t batch_size_;
  bool shuffle_, drop_last_;
  uint64_t seed_;
  std::vector<int64_t> order_;  // empty: as stored
};

}  // namespace convoy::data
