#include <algorithm>
#include <cctype>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/core/storage.h"
#include "convoy/data/dataset.h"
#include "convoy/data/folder.h"
#include "convoy/data/resize.h"
#include "convoy/io/image.h"

namespace convoy::data {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kLargestSide = 4096;

struct Picture {
  std::string path;
  int64_t label;
};

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_picture(const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

std::vector<std::string> class_folders(const std::string& folder) {
  const std::vector<std::string> names = list_folder(folder);
  std::vector<std::string> classes;
  for (const std::string& name : names) {
    if (is_folder(formatted("{}/{}", folder, name))) classes.push_back(name);
  }
  if (classes.size() < 2) {
    raise<FileError>(
        "{}{}\n"
        "it holds {}; put the images of each class into a folder of its own, for example {}/cat/1.png",
        folder, classes.empty() ? ": has no class folders" : ": has only one class folder, " + io::quote(classes[0]),
        io::listed(names), folder);
  }
  return classes;
}

std::vector<Picture> pictures_of(const std::string& folder, int64_t label) {
  const std::vector<std::string> names = list_folder(folder);
  std::vector<Picture> pictures;
  for (const std::string& name : names) {
    if (is_picture(name)) pictures.push_back({formatted("{}/{}", folder, name), label});
  }
  if (pictures.empty()) raise<FileError>("{}: has no PNG or JPEG files\nit holds {}", folder, io::listed(names));
  return pictures;
}

// All pictures in memory. The threads cannot throw: the first error in the order of the list is thrown when all are done.
std::vector<Tensor> read_pictures(const std::vector<Picture>& pictures, int64_t height, int64_t width, int channels) {
  std::vector<Tensor> images(pictures.size());
  std::vector<std::exception_ptr> errors(pictures.size());
  const int64_t room = memory_room() / num_threads();
  parallel_for(static_cast<int64_t>(pictures.size()), [&](int64_t task) {
    const auto i = static_cast<size_t>(task);
    try {
      const MemoryBudget share(room);  // budgets are of one thread
      images[i] = resize_image(io::read_image(pictures[i].path, channels), height, width);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return images;
}

// Moves the images into one tensor; grey ones are repeated where there are more channels.
Dataset joined(const std::vector<Picture>& pictures, std::vector<Tensor> images, const Shape& image_shape,
               const std::vector<std::string>& classes) {
  Dataset set;
  set.classes = classes;
  const auto count = static_cast<int64_t>(pictures.size());
  set.images = Tensor::empty({count, image_shape[0], image_shape[1], image_shape[2]});
  set.labels = Tensor::empty({count}, DType::kInt64);
  const int64_t area = image_shape[1] * image_shape[2];
  float* to = set.images.data<float>();
  for (size_t i = 0; i < pictures.size(); ++i) {
    set.labels.data<int64_t>()[i] = pictures[i].label;
    for (int64_t c = 0; c < image_shape[0]; ++c) {
      const float* from = images[i].data<float>() + (images[i].size(0) > 1 ? c * area : 0);
      std::memcpy(to, from, static_cast<size_t>(area) * sizeof(float));
      to += area;
    }
    images[i] = Tensor();
  }
  return set;
}

}  // namespace

Split image_folder(const std::string& folder, int64_t image_size, int channels) {
  if (image_size < 0 || image_size > kLargestSide) {
    raise<ValueError>(
        "image_folder expects image_size from 1 to {}, or 0 for that of the first image, but got {}\n"
        "28 or 224, for example",
        kLargestSide, image_size);
  }
  if (channels != 0 && channels != 1 && channels != 3) {
    raise<ValueError>(
        "image_folder expects channels 1 (grey), 3 (RGB) or 0 (what the images have), but got {}\n"
        "0 takes what the first image has",
        channels);
  }
  check_folder(folder);
  const bool has_train = is_folder(folder + "/train");
  const std::string train_folder = has_train ? folder + "/train" : folder;
  std::string test_folder;
  for (const char* name : {"test", "val", "valid", "validation"}) {
    if (has_train && test_folder.empty() && is_folder(formatted("{}/{}", folder, name)))
      test_folder = formatted("{}/{}", folder, name);
  }

  const std::vector<std::string> classes = class_folders(train_folder);
  std::vector<Picture> train, test;
  for (size_t label = 0; label < classes.size(); ++label) {
    const std::vector<Picture> pictures =
        pictures_of(formatted("{}/{}", train_folder, classes[label]), static_cast<int64_t>(label));
    for (size_t i = 0; i < pictures.size(); ++i) (test_folder.empty() && i % 5 == 4 ? test : train).push_back(pictures[i]);
  }
  if (!test_folder.empty()) {
    for (const std::string& name : class_folders(test_folder)) {
      const auto at = std::find(classes.begin(), classes.end(), name);
      if (at == classes.end()) {
        raise<FileError>(
            "{}: has the class {}, which {} does not have\n"
            "the classes there are {}",
            test_folder, io::quote(name), train_folder, io::listed(classes, 20));
      }
      const std::vector<Picture> pictures = pictures_of(formatted("{}/{}", test_folder, name), at - classes.begin());
      test.insert(test.end(), pictures.begin(), pictures.end());
    }
  }

  int64_t height = image_size, width = image_size;
  if (image_size == 0) {
    const Tensor first = io::read_image(train.front().path);
    height = first.size(1);
    width = first.size(2);
    if (height > kLargestSide || width > kLargestSide) {
      raise<FileError>(
          "{}: the first image is {} x {} pixels, more than a data set should have\n"
          "choose the image size, for example 224",
          train.front().path, width, height);
    }
  }
  std::vector<Tensor> train_images = read_pictures(train, height, width, channels);
  std::vector<Tensor> test_images = read_pictures(test, height, width, channels);
  if (channels == 0) {
    const auto coloured = [](const Tensor& image) { return image.size(0) == 3; };
    const bool any = std::any_of(train_images.begin(), train_images.end(), coloured) ||
                     std::any_of(test_images.begin(), test_images.end(), coloured);
    channels = any ? 3 : 1;
  }
  const Shape shape = {channels, height, width};
  return {joined(train, std::move(train_images), shape, classes), joined(test, std::move(test_images), shape, classes)};
}

}  // namespace convoy::data
