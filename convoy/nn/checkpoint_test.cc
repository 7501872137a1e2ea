#include "convoy/nn/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/io/safetensors.h"
#include "convoy/nn/linear.h"
#include "convoy/nn/models.h"
#include "convoy/nn/norm.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/pool.h"

namespace convoy::nn {
namespace {

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest()
      : path_((std::filesystem::path(testing::TempDir()) / (std::to_string(getpid()) + "_checkpoint_test.safetensors")).string()) {}
  ~CheckpointTest() override { std::filesystem::remove(path_); }

  std::string path_;
};

TEST_F(CheckpointTest, BringsBackTheSameNetwork) {
  manual_seed(2);
  const std::shared_ptr<Module> net = make_model("shapes");
  const Tensor x = randn({3, 1, 12, 12});
  (*net)(x);
  save_checkpoint(path_, *net);

  const Generator before = default_generator();
  const std::shared_ptr<Module> same = load_network(path_);
  EXPECT_EQ(default_generator().state(), before.state());
  EXPECT_EQ(same->repr(), net->repr());
  EXPECT_TRUE(same->is_training());
  net->eval();
  same->eval();
  EXPECT_TRUE(identical((*same)(x).data(), (*net)(x).data()));

  const std::shared_ptr<Module> other = make_model("shapes");
  load_checkpoint(path_, *other);
  other->eval();
  EXPECT_TRUE(identical((*other)(x).data(), (*net)(x).data()));
}

TEST_F(CheckpointTest, KeepsOptionsThatAreNotPrinted) {
  const Sequential net{AvgPool2d({.kernel_size = 3, .count_include_pad = false})};
  save_checkpoint(path_, net);
  EXPECT_EQ(load_network(path_)->definition(), net.definition());
}

TEST_F(CheckpointTest, HoldsPyTorchsNamesAndNothingElse) {
  const Sequential net{BatchNorm1d({.num_features = 2})};
  save_checkpoint(path_, net);
  const io::SafeTensors file = io::read_safetensors(path_);
  EXPECT_EQ(file.tensors.size(), 5U);
  ASSERT_NE(file.find("0.num_batches_tracked"), nullptr);
  EXPECT_EQ(file.find("0.num_batches_tracked")->dtype(), DType::kInt64);
  EXPECT_EQ(file.metadata.at("format"), "pt");
}

// Written by tools/torch_weights.py after three steps of training in PyTorch, with an input and PyTorch's output for it.
TEST(Checkpoint, RunsANetworkTrainedInPyTorch) {
  const std::filesystem::path folder = CONVOY_NN_TESTDATA;
  const std::shared_ptr<Module> net = load_network((folder / "network_of_pytorch.safetensors").string());
  net->eval();
  const io::SafeTensors run = io::read_safetensors((folder / "network_of_pytorch_run.safetensors").string());
  const Tensor output = (*net)(*run.find("input")).data(), &expected = *run.find("output");
  ASSERT_EQ(output.shape(), expected.shape());
  for (int64_t i = 0; i < output.numel(); ++i) EXPECT_NEAR(output.at(i), expected.at(i), 2e-6);
}

TEST_F(CheckpointTest, CarriesTheStateOfTraining) {
  manual_seed(9);
  const Linear net({.in_features = 2, .out_features = 1});
  TrainingState training;
  training.optimizer = {{"0.momentum_buffer", Tensor::full({1, 2}, 0.25)}, {"steps", Tensor::full({}, 7, DType::kInt64)}};
  training.generator = default_generator().state();
  training.progress = {{"epoch", "3"}};
  save_checkpoint(path_, net, training);

  const TrainingState loaded = load_training_state(path_);
  ASSERT_EQ(loaded.optimizer.size(), 2U);
  EXPECT_EQ(loaded.optimizer[0].first, "0.momentum_buffer");
  EXPECT_TRUE(identical(loaded.optimizer[0].second, training.optimizer[0].second));
  EXPECT_EQ(loaded.generator, training.generator);
  EXPECT_EQ(loaded.progress, training.progress);

  Linear other({.in_features = 2, .out_features = 1});
  const LoadReport report = load_checkpoint(path_, other);
  EXPECT_TRUE(report.unexpected_keys.empty());
  EXPECT_TRUE(identical(other.weight().data(), net.weight().data()));
  EXPECT_TRUE(load_training_state(path_).progress.count("epoch") > 0);
}

TEST_F(CheckpointTest, SaysWhatDoesNotFit) {
  save_checkpoint(path_, Linear({.in_features = 2, .out_features = 1}));
  Linear larger({.in_features = 3, .out_features = 1});
  try {
    load_checkpoint(path_, larger);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.reason(),
              "Error(s) in loading state_dict for Linear:\n\tsize mismatch for weight: copying a param with shape torch.Size([1, "
              "2]) from checkpoint, "
              "the shape in current model is torch.Size([1, 3]).");
    EXPECT_NE(e.fix().find(path_), std::string::npos);
  }
  io::write_safetensors(path_, {.tensors = {{"weight", Tensor::ones({1, 3})}}, .metadata = {}});
  EXPECT_THROW(load_network(path_), FileError);
  EXPECT_EQ(load_checkpoint(path_, larger, false).missing_keys, std::vector<std::string>{"bias"});
  io::write_safetensors(path_, {.tensors = {}, .metadata = {{"convoy.network", "Linear(2"}}});
  try {
    load_network(path_);
    FAIL();
  } catch (const FileError& e) {
    EXPECT_EQ(e.reason(), path_ + ": line 1, column 9: the ')' of Linear is missing");
  }
  EXPECT_THROW(load_network(path_ + ".none"), FileError);
}

// A stranger's file of a few bytes takes neither memory nor time, and what it says is shown as what it is.
TEST_F(CheckpointTest, SmallFilesMakeNoLargeNetworks) {
  const auto refusal = [&](const std::string& network, const std::string& name) {
    io::write_safetensors(path_, {.tensors = {{name, Tensor::ones({2, 2})}}, .metadata = {{"convoy.network", network}}});
    try {
      load_network(path_);
    } catch (const Error& e) {
      return e.reason();
    }
    return std::string();
  };
  EXPECT_EQ(refusal("Linear(30000, 8000)", "weight"), path_ + ": the network has 240008000 parameters, more than 1048584");
  EXPECT_NE(refusal("Linear(1000, 1000)", "weight").find("Missing key(s) in state_dict: \"bias\""), std::string::npos);
  EXPECT_NE(refusal("ReLU()", "a\033[2J").find("Unexpected key(s) in state_dict: \"a\\x1b[2J\""), std::string::npos);
  EXPECT_NE(refusal("Sequential((a\033[2J): Linear(2, 2))", "weight").find("\"a\\x1b[2J\""), std::string::npos);
}

TEST(Models, CountTheirParameters) {
  const auto count = [](const char* name) {
    int64_t n = 0;
    for (const Variable& p : make_model(name)->parameters()) n += p.numel();
    return n;
  };
  EXPECT_EQ(count("shapes"), 24058);
  EXPECT_EQ(count("lenet"), 61706);
  EXPECT_EQ(count("acnet"), 39962);
  for (const NamedModel& model : named_models()) {
    // Blocks may be written as calls, which a printed form shows with their layers.
    const std::string printed = make_model(model.name)->repr();
    EXPECT_EQ(printed, model.name == "acnet" ? parse(printed)->repr() : std::string(model.text));
    EXPECT_EQ((*make_model(model.name))(Tensor::ones({2, 1, 28, 28})).shape(), (Shape{2, 10}));
  }
  try {
    make_model("shape");
    FAIL();
  } catch (const ValueError& e) {
    EXPECT_EQ(e.reason(), "there is no model 'shape'; did you mean 'shapes'?");
    EXPECT_EQ(e.fix(), "known models: lenet, shapes, acnet");
  }
}

// Values of PyTorch 1.13 for the same seed, input and labels.
TEST(Models, ShapesComputesWhatPyTorchComputes) {
  manual_seed(3);
  const std::shared_ptr<Module> net = make_model("shapes");
  Tensor x = Tensor::empty({2, 1, 12, 12});
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
  const Variable y = (*net)(x);
  const std::vector<double> expected = {-0.0783754587, -0.40073961,   0.231558353, -0.564702332, 0.251806796,
                                        0.0890820324,  -0.0122555122, 0.237049878, -0.517497361, -0.0519400015,
                                        0.0282685161,  -0.377293408,  0.374079466, -0.577684879, 0.133570313,
                                        0.289052188,   -0.070666112,  0.277525842, -0.420892417, -0.0834840387};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(y.data().at(static_cast<int64_t>(i)), expected[i], 2e-6);
  Variable loss = cross_entropy(y, Tensor::from(std::vector<int64_t>{3, 7}, {2}));
  EXPECT_NEAR(loss.item(), 2.42772055, 1e-6);
  loss.backward();
  const std::vector<double> first = {0.0643591806, -0.02968169, -0.0200695321, -0.0336781666, -0.0229296014};
  const std::vector<double> last = {0.0993909165, 0.0690381378, 0.138055503,  -0.442439616, 0.123915046,
                                    0.123436861,  0.0978534892, -0.368249178, 0.063737601,  0.0952612758};
  const std::vector<Variable> parameters = net->parameters();
  for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(parameters.front().grad().at(static_cast<int64_t>(i)), first[i], 2e-6);
  for (size_t i = 0; i < last.size(); ++i) EXPECT_NEAR(parameters.back().grad().at(static_cast<int64_t>(i)), last[i], 2e-6);
  net->eval();
  const std::vector<double> evaluated = {0.0904661044, 0.00810889713, 0.0314630568, -0.114435926, -0.0180251319,
                                         0.120789699,  -0.0969810188, 0.131021604,  -0.101830274, 0.0369656533};
  const Variable z = (*net)(x);
  for (size_t i = 0; i < evaluated.size(); ++i) EXPECT_NEAR(z.data().at(static_cast<int64_t>(i)), evaluated[i], 2e-6);
}

}  // namespace
}  // namespace convoy::nn
