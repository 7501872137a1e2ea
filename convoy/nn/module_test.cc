#include "convoy/nn/module.h"

#include <gtest/gtest.h>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/nn/activation.h"
#include "convoy/nn/conv.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/norm.h"
#include "tests/refusal.h"

namespace convoy::nn {
namespace {

using testing::reason;

using Names = std::vector<std::string>;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<std::string> names_of(const StateDict& state) {
  std::vector<std::string> names;
  for (const auto& entry : state) names.push_back(entry.first);
  return names;
}

Tensor value_of(const StateDict& state, const std::string& name) {
  for (const auto& entry : state) {
    if (entry.first == name) return entry.second;
  }
  return {};
}

Sequential small_network() {
  return Sequential{Linear({.in_features = 2, .out_features = 3}),
                    Sequential{BatchNorm1d({.num_features = 3}), Linear({.in_features = 3, .out_features = 1, .bias = false})}};
}

TEST(Module, CopiesShareParametersBuffersAndMode) {
  Linear a({.in_features = 2, .out_features = 1});
  Linear b = a;
  b.weight().data().fill_(3);
  EXPECT_EQ(a.weight().data().at(0), 3);
  b.to(DType::kFloat64);
  EXPECT_EQ(a.weight().dtype(), DType::kFloat64);
  b.eval();
  EXPECT_FALSE(a.is_training());

  BatchNorm1d norm({.num_features = 2});
  BatchNorm1d same = norm;
  same.running_mean().fill_(5);
  same.to(DType::kFloat64);
  EXPECT_EQ(norm.running_mean().at(1), 5);
  EXPECT_EQ(norm.running_mean().dtype(), DType::kFloat64);
  EXPECT_EQ(norm.num_batches_tracked().dtype(), DType::kInt64);
}

TEST(Module, ALayerInASequentialIsTheOneOutside) {
  Linear layer({.in_features = 2, .out_features = 2});
  Sequential net{layer, ReLU()};
  layer.weight().data().fill_(1);
  layer.bias().data().fill_(-1);
  EXPECT_EQ(net(Tensor::ones({1, 2})).data().at(0), 1);
  Sequential handle = net;
  handle.add(Identity());
  EXPECT_EQ(net.size(), 3U);
}

TEST(Module, NamesParametersAndBuffersAsPyTorch) {
  const Sequential net = small_network();
  EXPECT_EQ(names_of(net.state_dict()), (Names{"0.weight", "0.bias", "1.0.weight", "1.0.bias", "1.0.running_mean",
                                               "1.0.running_var", "1.0.num_batches_tracked", "1.1.weight"}));
  EXPECT_EQ(net.parameters().size(), 5U);
  EXPECT_EQ(net.named_buffers().size(), 3U);
  EXPECT_EQ(value_of(net.state_dict(), "1.0.num_batches_tracked").shape(), Shape{});
}

TEST(Module, ListsASharedParameterOnceButSavesItTwice) {
  Linear shared({.in_features = 2, .out_features = 2});
  const Sequential net{shared, ReLU(), shared};
  EXPECT_EQ(net.parameters().size(), 2U);
  EXPECT_EQ(names_of(net.state_dict()), (Names{"0.weight", "0.bias", "2.weight", "2.bias"}));
}

TEST(Module, StateDictHoldsHandles) {
  Linear layer({.in_features = 1, .out_features = 1});
  value_of(layer.state_dict(), "weight").fill_(7);
  EXPECT_EQ(layer.weight().data().at(0), 7);
}

TEST(Module, LoadsWhatAnotherNetworkSaved) {
  manual_seed(1);
  Sequential from = small_network();
  Sequential to = small_network();
  EXPECT_FALSE(identical(from.state_dict()[0].second, to.state_dict()[0].second));
  const LoadReport report = to.load_state_dict(from.state_dict());
  EXPECT_TRUE(report.missing_keys.empty() && report.unexpected_keys.empty());
  for (size_t i = 0; i < from.state_dict().size(); ++i) {
    EXPECT_TRUE(identical(from.state_dict()[i].second, to.state_dict()[i].second));
    EXPECT_FALSE(from.state_dict()[i].second.shares_storage(to.state_dict()[i].second));
  }
}

TEST(Module, LoadConvertsTypes) {
  Linear layer({.in_features = 1, .out_features = 1, .bias = false});
  layer.load_state_dict({{"weight", Tensor::full({1, 1}, 0.5, DType::kFloat64)}});
  EXPECT_EQ(layer.weight().dtype(), DType::kFloat32);
  EXPECT_EQ(layer.weight().data().at(0), 0.5);
}

// The words and their order are those of PyTorch 1.13 for the same dictionary.
TEST(Module, RefusesToLoadInPyTorchsWordsAndChangesNothing) {
  Sequential net = small_network();
  const Tensor before = net.state_dict()[0].second.clone();
  StateDict state;
  for (const auto& [name, value] : net.state_dict()) {
    if (name == "0.bias" || name == "1.0.num_batches_tracked" || name == "1.0.running_mean" || name == "1.1.weight") continue;
    state.emplace_back(name, Tensor::full(value.shape(), 9, value.dtype()));
  }
  state.emplace_back("1.1.bias", Tensor::ones({1}));
  state.emplace_back("2.weight", Tensor::ones({1}));
  state.emplace_back("1.1.weight", Tensor::ones({3, 1}));
  state.emplace_back("0.bias2", Tensor::ones({}));
  EXPECT_EQ(reason([&] { net.load_state_dict(state); }),
            "Error(s) in loading state_dict for Sequential:\n"
            "\tMissing key(s) in state_dict: \"0.bias\", \"1.0.running_mean\". \n"
            "\tUnexpected key(s) in state_dict: \"2.weight\", \"0.bias2\", \"1.1.bias\". \n"
            "\tsize mismatch for 1.1.weight: copying a param with shape torch.Size([3, 1]) from checkpoint, the shape in current "
            "model is "
            "torch.Size([1, 3]).");
  EXPECT_TRUE(identical(before, net.state_dict()[0].second));
  // Sizes that differ are refused even if not strict; names that differ are reported.
  EXPECT_PRED2(contains, reason([&] { net.load_state_dict(state, false); }), "size mismatch for 1.1.weight");
  state.erase(state.end() - 2);
  const LoadReport report = net.load_state_dict(state, false);
  EXPECT_EQ(report.missing_keys, (Names{"0.bias", "1.0.running_mean", "1.1.weight"}));
  EXPECT_EQ(report.unexpected_keys, (Names{"2.weight", "0.bias2", "1.1.bias"}));
  EXPECT_EQ(net.state_dict()[0].second.at(0), 9);
}

TEST(Module, LoadsAScalarFromAListOfOne) {
  BatchNorm1d norm({.num_features = 1});
  StateDict state = norm.state_dict();
  state.back().second = Tensor::full({1}, 4, DType::kInt64);
  norm.load_state_dict(state);
  EXPECT_EQ(norm.num_batches_tracked().item(), 4);
}

TEST(Module, InstanceNormRefusesStatisticsItDoesNotKeep) {
  InstanceNorm2d norm({.num_features = 3});
  EXPECT_PRED2(
      contains, reason([&] {
        norm.load_state_dict({{"running_mean", Tensor::ones({3})}, {"running_var", Tensor::ones({3})}});
      }),
      "for InstanceNorm2d:\n\tUnexpected running stats buffer(s) \"running_mean\" and \"running_var\" for InstanceNorm2d with "
      "track_running_stats=False. If state_dict is a checkpoint saved before 0.4.0");
}

TEST(Module, TrainAndEvalReachEveryChild) {
  Sequential net = small_network();
  net.eval();
  EXPECT_FALSE(net[1].children()[0].second->is_training());
  net.train();
  EXPECT_TRUE(net[1].children()[0].second->is_training());
}

TEST(Module, ZeroGradForgetsGradients) {
  Linear layer({.in_features = 2, .out_features = 1});
  sum(layer(Tensor::ones({3, 2}))).backward();
  EXPECT_EQ(layer.weight().grad().at(0), 3);
  EXPECT_EQ(layer.bias().grad().at(0), 3);
  layer.zero_grad();
  EXPECT_FALSE(layer.weight().grad().defined());
}

TEST(Module, ToConvertsOnlyToFloatingTypes) {
  Linear layer({.in_features = 2, .out_features = 1});
  EXPECT_EQ(reason([&] { layer.to(DType::kInt64); }),
            "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.int64");
  layer.to(DType::kFloat64);
  EXPECT_EQ(layer(Tensor::ones({1, 2}, DType::kFloat64)).dtype(), DType::kFloat64);
}

TEST(Sequential, SaysInWhichLayerAnErrorHappened) {
  Sequential net{ReLU(), Linear({.in_features = 4, .out_features = 2})};
  try {
    net(Tensor::ones({1, 3}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.reason(), "mat1 and mat2 shapes cannot be multiplied (1x3 and 4x2)");
    EXPECT_PRED2(contains, e.fix(), "in layer (1): Linear(in_features=4, out_features=2, bias=True)");
  }
}

TEST(Sequential, KeepsTheClassOfAnErrorInALayer) {
  Sequential net{BatchNorm2d({.num_features = 4})};
  EXPECT_THROW(net(Tensor::ones({1, 3})), ValueError);
}

TEST(Sequential, TakesNamesAndRefusesBadOnes) {
  Sequential net;
  net.add("conv", Linear({.in_features = 1, .out_features = 1}));
  net.add(ReLU());
  EXPECT_EQ(net.repr(), "Sequential(\n  (conv): Linear(in_features=1, out_features=1, bias=True)\n  (1): ReLU()\n)");
  EXPECT_EQ(reason([&] { net.add("conv", ReLU()); }), "attribute 'conv' already exists");
  EXPECT_EQ(reason([&] { net.add("a.b", ReLU()); }), "module name can't contain \".\", got: a.b");
  EXPECT_EQ(reason([&] { net.add("", ReLU()); }), "module name can't be empty string \"\"");
  EXPECT_EQ(reason([&] { net[2]; }), "index 2 is out of range");
  EXPECT_EQ(net.size(), 2U);
}

TEST(Sequential, ACopyIsNotWrapped) {
  Sequential net{ReLU(), ReLU()};
  Sequential copy(net);
  EXPECT_EQ(copy.size(), 2U);
  Sequential nested{net, ReLU()};
  EXPECT_EQ(nested.size(), 2U);
  EXPECT_EQ(nested[0].type(), "Sequential");
}

// A module of one's own, as in Python.
class Residual : public Module {
 public:
  explicit Residual(int64_t channels)
      : conv_({.in_channels = channels, .out_channels = channels, .kernel_size = 3, .padding = 1}),
        norm_({.num_features = channels}) {
    register_child("conv", conv_);
    register_child("norm", norm_);
    scale_ = register_parameter("scale", Tensor::ones({1}));
  }
  std::string type() const override { return "Residual"; }
  Variable forward(const Variable& input) override { return input + scale_ * norm_(conv_(input)); }

 private:
  Conv2d conv_;
  BatchNorm2d norm_;
  Variable scale_;
};

TEST(Module, CanBeOnesOwn) {
  Residual block(2);
  EXPECT_EQ(block.repr(),
            "Residual(\n  (conv): Conv2d(2, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
            "  (norm): BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)\n)");
  EXPECT_EQ(names_of(block.state_dict()), (Names{"scale", "conv.weight", "conv.bias", "norm.weight", "norm.bias",
                                                 "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}));
  const Variable output = block(randn({2, 2, 4, 4}));
  sum(output * output).backward();
  for (const auto& [name, parameter] : block.named_parameters()) EXPECT_TRUE(parameter.grad().defined()) << name;
  EXPECT_EQ(value_of(block.state_dict(), "norm.num_batches_tracked").item(), 1);
}

}  // namespace
}  // namespace convoy::nn
