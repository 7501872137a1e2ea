#include "convoy/nn/parse.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/nn/layer_list.h"
#include "convoy/nn/pool.h"
#include "convoy/nn/resize.h"

namespace convoy::nn {
namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

// One block of testdata/printed_forms.txt, which tools/make_printed_forms.py makes with PyTorch.
struct Block {
  uint64_t seed = 0;
  std::string hash, keys, text;
};

std::vector<Block> blocks() {
  std::ifstream file(std::filesystem::path(CONVOY_NN_TESTDATA) / "printed_forms.txt");
  std::vector<Block> all;
  std::string line;
  while (std::getline(file, line)) {
    Block block;
    std::istringstream head(line);
    head >> block.seed >> block.hash >> block.keys;
    while (std::getline(file, line) && !line.empty()) block.text += (block.text.empty() ? "" : "\n") + line;
    all.push_back(block);
  }
  return all;
}

// FNV-1a over the bytes of all values.
std::string hash_of(const StateDict& state) {
  uint64_t digest = 0xCBF29CE484222325U;
  for (const auto& [name, value] : state) {
    const auto* bytes = static_cast<const unsigned char*>(value.raw_data());
    for (size_t i = 0; i < value.nbytes(); ++i) digest = (digest ^ bytes[i]) * 0x100000001B3U;
  }
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(digest));
  return text;
}

std::string keys_of(const StateDict& state) {
  std::string keys;
  for (const auto& entry : state) keys += (keys.empty() ? "" : ",") + entry.first;
  return keys;
}

std::string message_of(const std::string& text, const ParseLimits& limits = {}) {
  try {
    parse(text, limits);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Parse, BuildsPrintsAndInitialisesAsPyTorchBitForBit) {
  const std::vector<Block> all = blocks();
  ASSERT_GT(all.size(), 100U);
  for (const Block& block : all) {
    manual_seed(block.seed);
    const std::shared_ptr<Module> module = parse(block.text);
    EXPECT_EQ(module->repr(), block.text);
    EXPECT_EQ(keys_of(module->state_dict()), block.keys) << block.text;
    EXPECT_EQ(hash_of(module->state_dict()), block.hash) << block.text;
  }
}

TEST(Parse, EveryLayerOfTheListIsInTheData) {
  std::string text;
  for (const Block& block : blocks()) text += "\n" + block.text;
  for (const std::string& type : layer_types()) {
    const LayerRow* row = find_layer(type);
    if (row != nullptr && row->options_of_layers != nullptr) continue;  // not PyTorch's own: reparam/published_test.cc
    EXPECT_TRUE(contains(text, type + "(")) << type;
  }
}

TEST(Parse, DefinitionSaysWhatThePrintedFormLeavesOut) {
  const Sequential net{AvgPool2d({.kernel_size = 3, .ceil_mode = true, .count_include_pad = false, .divisor_override = 4}),
                       Upsample({.scale_factor = 2, .mode = InterpolateMode::kBilinear, .align_corners = true}),
                       UpsamplingBilinear2d({.size = {2, 3}})};
  EXPECT_EQ(net.definition(),
            "Sequential(\n  (0): AvgPool2d(kernel_size=3, stride=3, padding=0, ceil_mode=True, count_include_pad=False, "
            "divisor_override=4)\n"
            "  (1): Upsample(scale_factor=2.0, mode=bilinear, align_corners=True)\n"
            "  (2): UpsamplingBilinear2d(size=(2, 3), mode=bilinear)\n)");
  EXPECT_EQ(parse(net.definition())->definition(), net.definition());
}

TEST(Parse, AcceptsWhatPeopleWrite) {
  const std::string expected =
      "Sequential(\n  (0): Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n  (1): ReLU(inplace=True)\n)";
  EXPECT_EQ(parse("Sequential(Conv2d(1, 8, 3, padding=1), ReLU(True))")->repr(), expected);
  EXPECT_EQ(parse("nn.Sequential(\n  nn.Conv2d(1, 8, 3, padding=1),\n  torch.nn.ReLU(inplace=True),\n)\n")->repr(), expected);
  EXPECT_EQ(
      parse("# a network\r\n\r\nSequential(  # two layers\r\n\r\n (0): Conv2d(1, 8, (3, 3), padding=[1, 1])\r\n# the end )\r\n(1): "
            "ReLU(inplace=True)\r\n)\r\n")
          ->repr(),
      expected);
  EXPECT_EQ(parse("\xEF\xBB\xBF" + expected)->repr(), expected);
  EXPECT_EQ(parse("Upsample(scale_factor=2.0, mode='nearest')")->repr(), "Upsample(scale_factor=2.0, mode=nearest)");
  EXPECT_EQ(parse("Conv1d(1, 1, kernel_size=(2,), padding=((1, 0),))")->repr(),
            "Conv1d(1, 1, kernel_size=(2,), stride=(1,), padding=((1, 0),))");
  EXPECT_EQ(parse("Unflatten(dim=1, unflattened_size=torch.Size([2, 3]))")->repr(), "Unflatten(dim=1, unflattened_size=(2, 3))");
}

TEST(Parse, TakesAnOutermostClassAsASequenceAndKeepsItsName) {
  const std::string text = "LeNet(\n  (conv1): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))\n  (act): ReLU()\n)";
  const std::shared_ptr<Module> net = parse(text);
  EXPECT_EQ(net->repr(), text);
  EXPECT_EQ(keys_of(net->state_dict()), "conv1.weight,conv1.bias");
  EXPECT_EQ((*net)(Tensor::ones({1, 1, 5, 5})).shape(), (Shape{1, 6, 1, 1}));
  EXPECT_PRED2(
      starts_with, message_of("Sequential(\n  (0): BasicBlock(\n    (conv): ReLU()\n  )\n)"),
      "line 2, column 8: \"BasicBlock\" is not a layer that Convoy knows, and its printed form does not say how its layers are "
      "connected\n");
}

TEST(Parse, NamesPlaceLayerAndWhatIsAccepted) {
  EXPECT_PRED2(starts_with, message_of("Sequential(\n  (0): Conv2D(1, 2, 3)\n)"),
               "line 2, column 8: unknown layer \"Conv2D\"; did you mean 'Conv2d'?\nknown layers: Sequential, Conv1d, ");
  EXPECT_EQ(message_of("Conv2d(1, 2, kernel_size=3, pading=1)"),
            "line 1, column 29: Conv2d has no option \"pading\"; did you mean 'padding'?\n"
            "its options are: in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode");
  EXPECT_EQ(message_of("Conv2d(1, 2)"),
            "line 1, column 1: Conv2d.__init__() missing 1 required positional argument: 'kernel_size'\n"
            "its options are: in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode");
  EXPECT_EQ(message_of("Linear(in_features=x, out_features=2)"),
            "line 1, column 20: Linear: in_features is \"x\"\nin_features takes an integer");
  EXPECT_EQ(message_of("Linear(2, 2, bias=1)"), "line 1, column 19: Linear: bias is \"1\"\nbias takes True or False");
  EXPECT_EQ(message_of("Linear(2, 2, in_features=1)"),
            "line 1, column 14: Linear got \"in_features\" twice\nleave one of them out");
  EXPECT_EQ(message_of("Linear(in_features=2, 2)"),
            "line 1, column 23: Linear: a value without a name follows one with a name\nname this one too: in_features, "
            "out_features, bias");
  EXPECT_EQ(message_of("Tanh(1)"),
            "line 1, column 6: Tanh takes at most 0 options, but got another one: \"1\"\nits options are: none");
  EXPECT_EQ(message_of("Conv2d(1, 2, kernel_size=(3, 'a'))"),
            "line 1, column 26: Conv2d: kernel_size is \"(3, 'a')\"\nkernel_size takes an integer or a tuple of integers");
  EXPECT_PRED2(starts_with, message_of("ReLU(\n  (0): ReLU()\n)"), "line 2, column 8: ReLU holds no layers, but got \"ReLU\"");
  EXPECT_PRED2(starts_with, message_of("Sequential(1)"), "line 1, column 12: Sequential holds layers, but got \"1\"");
}

TEST(Parse, KeepsTheWordsOfConstructors) {
  try {
    parse("Sequential(\n  (0): Conv2d(30, 8, kernel_size=(3, 3), groups=4)\n)");
    FAIL();
  } catch (const ValueError& e) {
    EXPECT_EQ(e.reason(), "in_channels must be divisible by groups");
    EXPECT_EQ(e.fix(), "in_channels is 30, groups is 4: use groups 1, 2, 3, 5, 6, 10, 15 or 30\nat line 2, column 8: Conv2d");
  }
  EXPECT_PRED2(starts_with, message_of("Conv2d(1, 1, 3, padding_mode=mirror)"), "padding_mode must be one of {");
  EXPECT_PRED2(starts_with, message_of("ConvTranspose2d(1, 1, 3, padding=same)"),
               "padding='same' is not supported for ConvTranspose2d\n");
  EXPECT_PRED2(starts_with, message_of("Sequential(\n(a): ReLU()\n(a): ReLU()\n)"), "attribute 'a' already exists");
}

TEST(Parse, NamesPlacesOfSyntaxErrors) {
  EXPECT_PRED2(starts_with, message_of(""), "line 1, column 1: there is no layer\n");
  EXPECT_PRED2(starts_with, message_of("  # nothing\n"), "line 2, column 1: there is no layer");
  EXPECT_EQ(message_of("Sequential(\n  (0): ReLU()\n"),
            "line 3, column 1: the ')' of Sequential is missing\nSequential starts at line 1, column 1");
  EXPECT_PRED2(starts_with, message_of("ReLU() ReLU()"), "line 1, column 8: expected the end of the text, but found \"ReLU\"");
  EXPECT_PRED2(starts_with, message_of("ReLU"), "line 1, column 5: expected '(' after \"ReLU\", but found the end of the text");
  EXPECT_PRED2(starts_with, message_of("Linear(2 2)"), "line 1, column 10: expected ',' or ')' in Linear, but found \"2\"");
  EXPECT_PRED2(starts_with, message_of("Linear(2, @)"), "line 1, column 11: expected a value, but found \"@\"");
  EXPECT_PRED2(starts_with, message_of("Linear(1e999, 2)"), "line 1, column 8: \"1e999\" is outside the range of float64");
  EXPECT_PRED2(starts_with, message_of("Linear(99999999999999999999, 2)"),
               "line 1, column 8: \"99999999999999999999\" is too large");
  EXPECT_PRED2(starts_with, message_of("Linear(12abc, 2)"), "line 1, column 8: \"12abc\" is not a number");
  EXPECT_PRED2(starts_with, message_of("Upsample(mode='nearest)"), "line 1, column 15: the closing ' is missing");
  EXPECT_PRED2(contains, message_of("Sequential(\n  (a.b): ReLU()\n)"), "line 2, column 3: the name \"a.b\" of a layer");
  EXPECT_PRED2(starts_with, message_of("\xC3\xA9"), "line 1, column 1: expected the name of a layer");
}

TEST(Parse, RefusesHostileTextBeforeItAllocates) {
  std::string nested;
  for (int i = 0; i < 90'000; ++i) nested += "Sequential(";
  EXPECT_PRED2(contains, message_of(nested), "layers are nested more than 32 deep");
  EXPECT_PRED2(contains, message_of("ZeroPad2d(" + std::string(100'000, '(')), "parentheses are nested more than 4 deep");
  std::string wide = "ZeroPad2d((";
  for (int i = 0; i < 100'000; ++i) wide += "1,";
  EXPECT_PRED2(contains, message_of(wide), "more than 64 values");
  std::string many = "Sequential(";
  for (int i = 0; i < 20'000; ++i) many += "ReLU(),";
  EXPECT_PRED2(contains, message_of(many + ")"), "there are more than 10000 layers");
  EXPECT_PRED2(contains, message_of(std::string((1 << 20) + 1, ' ')), "bytes, more than 1048576");
  EXPECT_PRED2(contains, message_of("Linear(1000000000, 1000000000)"),
               "the network has 1000000001000000000 parameters, more than 268435456");
  EXPECT_PRED2(contains, message_of("Linear(9223372036854775807, 9223372036854775807)"),
               "the network has more than 2^63 parameters");
  EXPECT_PRED2(contains, message_of("Conv3d(1, 1, 9223372036854775807)"), "more than 2^63 parameters");
  EXPECT_PRED2(contains, message_of("Sequential(Linear(100000, 100000), Linear(-100000, 100000))"), "parameters, more than");
  EXPECT_PRED2(starts_with, message_of("Linear(-5, 3)"), "Trying to create tensor with negative dimension -5: [3, -5]");
  EXPECT_PRED2(contains, message_of("Sequential(Linear(20, 20), Linear(20, 20))", {.parameters = 500}),
               "the network has 840 parameters");
  EXPECT_EQ(message_of(std::string((1 << 20) - 6, '\n') + "ReLU()"), "accepted");
}

// Damaged text is refused or understood, never worse; run under the sanitizers too.
TEST(Parse, SurvivesDamage) {
  std::vector<std::string> texts;
  for (const Block& block : blocks()) texts.push_back(block.text);
  ASSERT_FALSE(texts.empty());
  std::mt19937 random(7);
  const std::string pieces = "()[]=,:#'\"\n .-0123456789eTNxConv\\\0\x80";
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = texts[random() % texts.size()];
    for (unsigned edits = 1 + random() % 3; edits > 0 && !text.empty(); --edits) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(at, 1 + random() % 5);
          break;
        case 1:
          text.insert(at, 1, pieces[random() % pieces.size()]);
          break;
        case 2:
          text[at] = pieces[random() % pieces.size()];
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 20));
          break;
      }
    }
    try {
      const std::shared_ptr<Module> module = parse(text, {.parameters = 100'000});
      EXPECT_EQ(parse(module->definition())->definition(), module->definition()) << text;
      ++accepted;
    } catch (const Error& e) {
      EXPECT_FALSE(e.reason().empty());
    }
  }
  EXPECT_GT(accepted, 30);
  EXPECT_LT(accepted, 2900);
}

TEST(Parse, FilesNameThemselvesInErrors) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / (std::to_string(getpid()) + "_parse_test_network.txt");
  std::ofstream(path) << "Sequential(\n  (0): ReLu()\n)\n";
  try {
    parse_file(path.string());
    FAIL();
  } catch (const FileError& e) {
    EXPECT_EQ(e.reason(), path.string() + ": line 2, column 8: unknown layer \"ReLu\"; did you mean 'ReLU'?");
  }
  std::ofstream(path) << "Sequential(\n  (0): ReLU()\n)\n";
  EXPECT_EQ(parse_file(path.string())->repr(), "Sequential(\n  (0): ReLU()\n)");
  std::filesystem::remove(path);
  EXPECT_THROW(parse_file(path.string()), FileError);
}

}  // namespace
}  // namespace convoy::nn
