#include <gtest/gtest.h>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/data/dataset.h"
#include "convoy/data/resize.h"
#include "convoy/io/image.h"
#include "tests/refusal.h"
#include "tests/temporary_folder.h"

namespace convoy::data {
namespace {

using testing::message;
using testing::TemporaryFolder;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void picture(const TemporaryFolder& folder, const std::string& name, int level, Shape shape = {1, 4, 6}) {
  io::write_png(folder.path(name), Tensor::full(std::move(shape), level / 255.0));
}

std::vector<int64_t> levels(const Dataset& set) {
  std::vector<int64_t> all;
  const int64_t per_image = set.images.numel() / std::max<int64_t>(set.size(), 1);
  for (int64_t i = 0; i < set.size(); ++i) all.push_back(static_cast<int64_t>(set.images.at(i * per_image) * 255 + 0.5));
  return all;
}

TEST(ImageFolder, TakesEveryFifthImageOfAClassForTesting) {
  const TemporaryFolder folder;
  for (int i = 0; i < 11; ++i) picture(folder, "dog/" + std::string(1, static_cast<char>('a' + i)) + ".png", 100 + i);
  for (int i = 0; i < 4; ++i) picture(folder, "cat/" + std::to_string(i) + (i == 1 ? ".PNG" : ".png"), i);
  folder.write("cat/readme.txt", "not a picture");
  folder.write("readme.txt", "not a class");
  folder.write(".hidden/x.png", "");
  const Split split = open_dataset("folder:" + folder.path());
  EXPECT_EQ(split.train.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(split.train.images.shape(), (Shape{13, 1, 4, 6}));
  EXPECT_EQ(levels(split.train), (std::vector<int64_t>{0, 1, 2, 3, 100, 101, 102, 103, 105, 106, 107, 108, 110}));
  EXPECT_EQ(split.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(levels(split.test), (std::vector<int64_t>{104, 109}));
  EXPECT_EQ(split.test.labels.to_vector<int64_t>(), (std::vector<int64_t>{1, 1}));
}

TEST(ImageFolder, UsesTrainAndTestFolders) {
  for (const std::string test : {"test", "val"}) {
    const TemporaryFolder folder;
    for (int i = 0; i < 6; ++i) {
      picture(folder, "train/a/" + std::to_string(i) + ".png", i);
      picture(folder, "train/b/" + std::to_string(i) + ".png", 50 + i);
      picture(folder, "train/c/" + std::to_string(i) + ".png", 90 + i);
    }
    picture(folder, test + "/a/0.png", 200);
    picture(folder, test + "/c/0.png", 201);
    const Split split = image_folder(folder.path());
    EXPECT_EQ(split.train.size(), 18);
    EXPECT_EQ(levels(split.test), (std::vector<int64_t>{200, 201}));
    EXPECT_EQ(split.test.labels.to_vector<int64_t>(), (std::vector<int64_t>{0, 2}));
    EXPECT_EQ(split.test.classes, (std::vector<std::string>{"a", "b", "c"}));
  }
}

TEST(ImageFolder, BringsImagesToOneSizeAndTheSameChannels) {
  const TemporaryFolder folder;
  picture(folder, "a/0.png", 10, {1, 4, 6});
  picture(folder, "a/1.png", 20, {3, 9, 5});
  picture(folder, "b/0.png", 30, {1, 2, 2});
  EXPECT_EQ(image_folder(folder.path()).train.images.shape(), (Shape{3, 3, 4, 6})) << "one is coloured";
  EXPECT_EQ(image_folder(folder.path(), 8).train.images.shape(), (Shape{3, 3, 8, 8}));
  const Split grey = image_folder(folder.path(), 8, 1);
  EXPECT_EQ(grey.train.images.shape(), (Shape{3, 1, 8, 8}));
  EXPECT_EQ(levels(grey.train), (std::vector<int64_t>{10, 20, 30}));
  EXPECT_EQ(grey.test.images.shape(), (Shape{0, 1, 8, 8}));
  const Tensor images = image_folder(folder.path(), 8, 3).train.images;
  for (int64_t i = 0; i < 3 * 64; ++i) EXPECT_NEAR(images.at(i) * 255, 10, 1e-3);
}

TEST(ImageFolder, IsTheSameForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  Generator g(1);
  for (int i = 0; i < 12; ++i)
    io::write_png(folder.path((i % 2 == 0 ? "a/" : "b/") + std::to_string(i) + ".png"), rand({3, 20 + i, 17}, DType::kFloat32, &g));
  const Split many = image_folder(folder.path(), 10);
  set_num_threads(1);
  const Split one = image_folder(folder.path(), 10);
  set_num_threads(0);
  EXPECT_TRUE(identical(many.train.images, one.train.images));
}

TEST(ImageFolder, SaysWhatItFound) {
  const TemporaryFolder folder;
  const auto error = [&] { return message([&] { image_folder(folder.path()); }); };
  EXPECT_TRUE(contains(
      error(), folder.path() + ": has no class folders\nit holds nothing; put the images of each class into a folder of its own"));
  picture(folder, "1.png", 0);
  EXPECT_TRUE(contains(error(), "has no class folders\nit holds 1.png; "));
  picture(folder, "cat/1.png", 0);
  EXPECT_TRUE(contains(error(), "has only one class folder, \"cat\"\nit holds 1.png, cat; "));
  folder.write("dog/1.gif", "GIF89a");
  EXPECT_TRUE(contains(error(), "/dog: has no PNG or JPEG files\nit holds 1.gif"));
  folder.write("dog/2.png", "GIF89a");
  folder.write("dog/3.png", "broken");
  EXPECT_TRUE(contains(error(), "/dog/2.png: is neither PNG nor JPEG")) << "the first in order, whatever the threads do";
  EXPECT_TRUE(contains(message([&] { image_folder(folder.path() + "/no"); }), "/no: no such folder"));
  EXPECT_TRUE(contains(message([&] { image_folder(folder.path() + "/1.png"); }), "/1.png: is not a folder"));
  EXPECT_TRUE(contains(message([&] { image_folder(folder.path(), -1); }), "image_size from 1 to 4096"));
  EXPECT_TRUE(contains(message([&] { image_folder(folder.path(), 0, 2); }), "channels 1 (grey), 3 (RGB) or 0"));
}

TEST(ImageFolder, RefusesTestClassesThatAreNotTrained) {
  const TemporaryFolder folder;
  for (const char* name : {"train/a/0.png", "train/b/0.png", "test/a/0.png", "test/x/0.png"}) picture(folder, name, 1);
  EXPECT_TRUE(contains(message([&] { image_folder(folder.path()); }),
                       "/test: has the class \"x\", which " + folder.path() + "/train does not have\nthe classes there are a, b"));
}

TEST(OpenDataset, KnowsItsForms) {
  EXPECT_EQ(open_dataset("shapes").train.size(), 4000);
  for (const char* text : {"", "shapez", "shapes:", "idx:", "folder:", "mnist", "idx"}) {
    const std::string error = message([&] { open_dataset(text); });
    EXPECT_TRUE(contains(error, "unknown data set \"" + std::string(text) + "\"\nthe forms are shapes, idx:DIR")) << error;
  }
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(message([&] { open_dataset(folder.path()); }), "folder:" + folder.path()));
  EXPECT_TRUE(contains(message([&] { open_dataset("folder:/no:where"); }), "/no:where: no such folder"));
}

TEST(ResizeImage, KeepsConstantsAndMeans) {
  for (const int64_t size : {1, 2, 7, 20}) {
    const Tensor out = resize_image(Tensor::full({2, 5, 9}, 0.3), size, size + 1);
    ASSERT_EQ(out.shape(), (Shape{2, size, size + 1}));
    for (int64_t i = 0; i < out.numel(); ++i) EXPECT_NEAR(out.at(i), 0.3, 1e-6);
  }
}

// Values of PIL.Image.resize(BILINEAR) in mode F, Pillow 9.4.
TEST(ResizeImage, GivesPillowsValues) {
  std::vector<float> values;
  for (int i = 0; i < 30; ++i) values.push_back(static_cast<float>(i * i % 17));
  const Tensor image = Tensor::from(values, {1, 5, 6});
  const auto near = [&](const Tensor& got, const std::vector<float>& expected) {
    ASSERT_EQ(got.numel(), static_cast<int64_t>(expected.size()));
    for (int64_t i = 0; i < got.numel(); ++i) EXPECT_NEAR(got.at(i), expected[static_cast<size_t>(i)], 2e-6 * 17) << i;
  };
  near(resize_image(image, 2, 3), {6.84415579f, 9.83522701f, 7.94805193f, 8.85714245f, 10.590909f, 5.37662363f});
  near(resize_image(image, 7, 4), {0.375f,      3.55555558f, 10.7777777f, 11,          4.08928585f, 9.33333397f, 12.4285717f,
                                   8.64285755f, 8.0535717f,  12.8412704f, 10.7777777f, 5.01785707f, 11,          10.7777777f,
                                   3.55555558f, 0.375f,      4.66071415f, 8.8730154f,  9.98412704f, 3.14285707f, 7.32142878f,
                                   10.3015871f, 11.650794f,  4.89285707f, 14.25f,      13.2222223f, 10.4444447f, 5.75f});
}

}  // namespace
}  // namespace convoy::data
