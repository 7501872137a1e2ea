// One step of training with the installed library: the loss of the same batch must fall.
#include <cstdio>

#include <convoy/convoy.h>

int main() {
  convoy::manual_seed(0);
  convoy::nn::Sequential net{
      convoy::nn::Conv2d({.in_channels = 1, .out_channels = 8, .kernel_size = 3, .padding = 1}),
      convoy::nn::ReLU(),
      convoy::nn::MaxPool2d({.kernel_size = 2}),
      convoy::nn::Flatten(),
      convoy::nn::Linear({.in_features = 8 * 4 * 4, .out_features = 3}),
  };
  convoy::optim::SGD sgd(net.parameters(), {.lr = 0.1});
  const convoy::Tensor images = convoy::rand({6, 1, 8, 8});
  const convoy::Tensor labels = convoy::Tensor::from(std::vector<int64_t>{0, 1, 2, 0, 1, 2}, {6});

  convoy::Variable before = convoy::cross_entropy(net(images), labels);
  before.backward();
  sgd.step();
  const convoy::Variable after = convoy::cross_entropy(net(images), labels);
  std::printf("loss %.4f, then %.4f\n%s\n", before.item(), after.item(), net.repr().c_str());
  return after.item() < before.item() ? 0 : 1;
}
