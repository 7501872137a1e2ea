// The blocks against the published PyTorch code: what it prints, draws, saves and computes (tools/make_published_blocks.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/io/safetensors.h"
#include "convoy/nn/parse.h"
#include "convoy/nn/reparam/block.h"
#include "convoy/nn/reparam/fuse.h"

namespace convoy::nn {
namespace {

const io::SafeTensors& file() {
  static const io::SafeTensors contents =
      io::read_safetensors((std::filesystem::path(CONVOY_NN_TESTDATA) / "published_blocks.safetensors").string());
  return contents;
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [key, value] : file().metadata) {
    if (key.ends_with(".call")) all.push_back(key.substr(0, key.size() - 5));
  }
  return all;
}

const std::string& text(const std::string& name) { return file().metadata.at(name); }

StateDict state(const std::string& prefix) {
  StateDict entries;
  for (const auto& [key, value] : file().tensors) {
    if (key.starts_with(prefix)) entries.emplace_back(key.substr(prefix.size()), value);
  }
  return entries;
}

// FNV-1a over the bytes of all values.
std::string hash_of(const StateDict& entries) {
  uint64_t digest = 0xCBF29CE484222325U;
  for (const auto& [name, value] : entries) {
    const auto* bytes = static_cast<const unsigned char*>(value.raw_data());
    for (size_t i = 0; i < value.nbytes(); ++i) digest = (digest ^ bytes[i]) * 0x100000001B3U;
  }
  char hex[20];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(digest));
  return hex;
}

void expect_near(const Tensor& a, const Tensor& b, double limit) {
  ASSERT_EQ(a.shape(), b.shape());
  double scale = 1;
  for (int64_t i = 0; i < b.numel(); ++i) scale = std::max(scale, std::abs(b.at(i)));
  for (int64_t i = 0; i < a.numel(); ++i) ASSERT_NEAR(a.at(i), b.at(i), limit * scale) << "element " << i;
}

class Published : public testing::TestWithParam<std::string> {};

TEST_P(Published, PrintsAndDrawsAsPyTorch) {
  manual_seed(std::stoull(text(GetParam() + ".seed")));
  const std::shared_ptr<Module> block = parse(text(GetParam() + ".call"));
  EXPECT_EQ(block->repr(), text(GetParam() + ".printed"));
  EXPECT_EQ(hash_of(block->state_dict()), text(GetParam() + ".hash"));
}

TEST_P(Published, ItsCheckpointLoadsAndGivesItsNumbers) {
  const std::shared_ptr<Module> block = parse(text(GetParam() + ".printed"));
  EXPECT_EQ(block->repr(), text(GetParam() + ".printed"));
  EXPECT_EQ(parse(block->definition())->definition(), block->definition());
  const StateDict values = state(GetParam() + ".state.");
  ASSERT_EQ(values.size(), block->state_dict().size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i].first, block->state_dict()[i].first);
  block->to(DType::kFloat64);
  block->load_state_dict(values);
  block->eval();
  const Variable x(file().find(GetParam() + ".input")->to(DType::kFloat64));
  expect_near((*block)(x).data(), *file().find(GetParam() + ".output"), 1e-12);

  block->train();
  const Variable y = (*block)(x);
  expect_near(y.data(), *file().find(GetParam() + ".trained"), 1e-12);
  sum(square(y)).backward();
  for (const auto& [key, parameter] : block->named_parameters()) {
    SCOPED_TRACE(key);
    expect_near(parameter.grad(), *file().find(GetParam() + ".grad." + key), 1e-11);
  }
}

TEST_P(Published, FoldsIntoItsDeployedConvolution) {
  const std::shared_ptr<Module> block = parse(text(GetParam() + ".printed"));
  block->to(DType::kFloat64);
  block->load_state_dict(state(GetParam() + ".state."));
  block->eval();
  const StateDict wanted = state(GetParam() + ".deploy.");
  const ConvParameters one = std::dynamic_pointer_cast<ReparamBlock>(block)->equivalent_kernel_bias();
  for (const auto& [key, value] : wanted) {
    if (key.starts_with("se.")) continue;  // stays as it is
    expect_near(key.ends_with("weight") ? one.weight : one.bias, value, 1e-12);
  }

  // The checkpoint of the deployed block loads too.
  const std::shared_ptr<Module> deployed = parse(text(GetParam() + ".deployed"));
  EXPECT_EQ(deployed->repr(), text(GetParam() + ".deployed"));
  deployed->to(DType::kFloat64);
  deployed->load_state_dict(wanted);
  deployed->eval();
  const Variable x(file().find(GetParam() + ".input")->to(DType::kFloat64));
  expect_near((*deployed)(x).data(), *file().find(GetParam() + ".output"), 1e-12);
  expect_near((*fuse(block).module)(x).data(), (*fuse(deployed).module)(x).data(), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Blocks, Published, testing::ValuesIn(names()), [](const auto& named) { return named.param; });

std::string refusal(const std::string& printed) {
  try {
    parse(printed);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(PublishedBlocks, ABlockOfAnotherFormIsRefused) {
  const auto with = [](std::string printed, const std::string& from, const std::string& to) {
    printed.replace(printed.find(from), from.size(), to);
    return refusal(printed);
  };
  const std::string ac = text("ac_k3_p1.printed");
  EXPECT_NE(with(ac, "kernel_size=(3, 1)", "kernel_size=(5, 1)").find("a layer of ACBlock is"), std::string::npos);
  EXPECT_NE(with(ac, "(hor_bn)", "(hor_norm)").find("hor_norm"), std::string::npos);
  EXPECT_NE(with(ac, "(square_conv)", "(square)").find("has no layer (square_conv)"), std::string::npos);
  EXPECT_NE(with(ac, "(square_conv): Conv2d", "(square_conv): ReLU").find("ReLU"), std::string::npos);
  EXPECT_NE(with(text("repvgg_identity.printed"), "(se): Identity()", "(se): ReLU()").find("should be Identity"),
            std::string::npos);
  EXPECT_NE(with(text("repvgg_se.printed"), "(up): Conv2d(1, 16", "(up): Conv2d(2, 16").find("a layer of RepVGGBlock is"),
            std::string::npos);
  EXPECT_NE(with(text("repvgg_se.printed"), "(down)", "(squeeze)").find("squeeze"), std::string::npos);
  EXPECT_NE(refusal("RepVGGBlock(3, 8, 3, padding=1, use_se=True)").find("16 channels or more"), std::string::npos);
  EXPECT_NE(refusal("SEBlock(9000000000, 9000000000)").find("parameters, more than"), std::string::npos);
  EXPECT_EQ(parse("SEBlock(\n  (down): Conv2d(4, 2, 1)\n  (up): Conv2d(2, 4, 1)\n)")->definition(),
            parse("SEBlock(4, 2)")->definition());
  EXPECT_NE(with(text("dbb_k3.printed"), "IdentityBasedConv1x1(2, 2, kernel_size=(", "IdentityBasedConv1x1(2, 2, kernel_size(")
                .find("a layer of"),
            std::string::npos);
  EXPECT_NE(refusal("ACBlock(1000000000, 1000000000, kernel_size=3)").find("parameters, more than"), std::string::npos);
  EXPECT_NE(refusal("DiverseBranchBlock(8, 8, 3, 1, 1, internal_channels_1x1_3x3=9000000000)").find("parameters, more than"),
            std::string::npos);
  EXPECT_NE(refusal("ACBlock(4, 4, kernel_size=3, paddin=1)").find("padding"), std::string::npos);
  EXPECT_NE(refusal("ACBlock(4, 6, 3, groups=4)").find("out_channels must be divisible by groups"), std::string::npos);
  EXPECT_NE(refusal("ACBlock(4, 4, 3, padding=-1)").find("negative padding"), std::string::npos);
  EXPECT_NE(refusal("ACBlock(4, 4, 0)").find("line 1"), std::string::npos);
  EXPECT_NE(refusal("ACBlock(4, 4, 3, 1, 1, 0)").find("line 1"), std::string::npos);
  EXPECT_NE(refusal("RepVGGBlock(4, 4, (3, 3, 3))").find("kernel_size"), std::string::npos);
  EXPECT_NE(refusal("BNAndPadLayer(\n  (bn): BatchNorm2d(4)\n)").find("pad_pixels"), std::string::npos);
  EXPECT_EQ(parse("BNAndPadLayer(\n  pad_pixels=2\n  (bn): BatchNorm2d(4)\n)")->definition(),
            parse("BNAndPadLayer(2, 4)")->definition());
}

}  // namespace
}  // namespace convoy::nn
