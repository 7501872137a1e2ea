// The program of README.md, compiled and run.
// [tour]
#include <convoy/convoy.h>

using namespace convoy;

double train_a_little() {
  manual_seed(0);
  nn::Sequential net{nn::Conv2d({.in_channels = 1, .out_channels = 8, .kernel_size = 3, .padding = 1}),
                     nn::BatchNorm2d({.num_features = 8}),
                     nn::ReLU(),
                     nn::AdaptiveAvgPool2d({.output_size = 1}),
                     nn::Flatten(),
                     nn::Linear({.in_features = 8, .out_features = 10})};
  optim::SGD sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  data::Loader loader(data::drawn_shapes({.train = 256, .test = 10}).train, 64);
  double last = 0;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const data::Batch batch = loader.batch(i);
    Variable loss = cross_entropy(net(batch.images), batch.labels);
    sgd.zero_grad();
    loss.backward();
    sgd.step();
    last = loss.item();
  }
  nn::save_checkpoint("net.safetensors", net);  // Python reads it, and load_state_dict takes it
  return last;
}
// [/tour]

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

TEST(Readme, TheProgramTrainsAndSaves) {
  const std::filesystem::path before = std::filesystem::current_path();
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("convoy_readme_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::filesystem::current_path(folder);
  const double loss = train_a_little();
  EXPECT_TRUE(std::isfinite(loss));
  EXPECT_TRUE(std::filesystem::exists("net.safetensors"));
  EXPECT_EQ(nn::load_network("net.safetensors")->children().size(), 6u);
  std::filesystem::current_path(before);
  std::filesystem::remove_all(folder);
}
