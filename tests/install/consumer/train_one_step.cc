// What a program does with the installed library: one step of training lowers the loss of the same batch, the network written as
// ONNX gives the same answers, and an error is caught by its type.
#include <cmath>
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
  if (after.item() >= before.item()) return 1;

  convoy::onnx::save(convoy::nn::to_graph(net, {1, 1, 8, 8}), "net.onnx");
  const convoy::Model model = convoy::Model::load("net.onnx");
  const convoy::Tensor image = convoy::rand({1, 1, 8, 8});
  const std::vector<float> expected = net(image).data().to_vector<float>();
  const std::vector<float> found =
      model.run({{model.inputs().front().name, image}}).at(model.outputs().front().name).to_vector<float>();
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::abs(found[i] - expected[i]) > 1e-5f) return 1;
  }

  try {
    net(convoy::rand({6, 2, 8, 8}));
  } catch (const convoy::Error& error) {
    std::printf("refused: %s\n", error.what());
    return 0;
  }
  return 1;
}
