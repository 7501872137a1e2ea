// What a model has in memory, before, in and after runs, and that it gives the same numbers whatever it has given up.
#include "convoy/onnx/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <thread>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/random.h"
#include "convoy/core/storage.h"
#include "convoy/graph/infer.h"
#include "convoy/kernels/machine.h"
#include "convoy/onnx/reader.h"
#include "convoy/onnx/writer.h"
#include "convoy/ops/linear.h"
#include "tests/mutation.h"
#include "tests/onnx/model_bytes.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the builders

constexpr int64_t kChannels = 64;
constexpr int64_t kWeightBytes = kChannels * kChannels * 9 * 4;  // of one layer

Message random_tensor(const std::string& name, const Shape& shape, Generator& generator) {
  const Tensor values = randn(shape, DType::kFloat32, &generator);
  return tensor_header(name, shape, kFloat)
      .bytes(9, std::string(static_cast<const char*>(values.raw_data()), static_cast<size_t>(values.nbytes())));
}

// Two convolutions of 64 channels, one of them depthwise behind them (its kernel reads the weight as it is), a mean, and a linear
// layer. `input`: its shape, as for value_info.
std::string layers(const Shape& input) {
  Generator generator;
  generator.manual_seed(5);
  const std::vector<Message> pads{attribute_ints("pads", {1, 1, 1, 1})};
  std::vector<Part> parts{
      {1, node("Conv", {"x", "w1"}, {"a"}, pads)},
      {1, node("Relu", {"a"}, {"b"})},
      {1, node("Conv", {"b", "w2"}, {"c"}, pads)},
      {1, node("Conv", {"c", "w3"}, {"d"}, {attribute_ints("pads", {1, 1, 1, 1}), attribute_int("group", kChannels)})},
      {1, node("GlobalAveragePool", {"d"}, {"e"})},
      {1, node("Flatten", {"e"}, {"f"})},
      {1, node("Gemm", {"f", "w4"}, {"y"}, {attribute_int("transB", 1)})},
      {5, random_tensor("w1", {kChannels, kChannels, 3, 3}, generator)},
      {5, random_tensor("w2", {kChannels, kChannels, 3, 3}, generator)},
      {5, random_tensor("w3", {kChannels, 1, 3, 3}, generator)},
      {5, random_tensor("w4", {512, kChannels}, generator)},
      {11, value_info("x", input)},
      {12, Message().bytes(1, "y")},
  };
  return model(parts);
}

Tensor input_of(const Shape& shape) {
  Generator generator;
  generator.manual_seed(7);
  return randn(shape, DType::kFloat32, &generator);
}

Tensor run(const Model& model, const Shape& shape) { return model.run({{"x", input_of(shape)}}).at("y"); }

TEST(ModelMemory, WeightsAreThereOnceWhenTheirKernelsHaveThem) {
  if (!kernels::has_vectors()) GTEST_SKIP() << "without vectors w4 stays as it is, too";
  const TemporaryFolder folder;
  const std::string path = folder.write("model.onnx", layers({1, kChannels, 14, 14}));
  const Model kept = Model::load(path, {.keep_weights = true}), model = Model::load(path);
  const auto use = model.executor().memory();
  ASSERT_TRUE(use);
  EXPECT_EQ(run(kept, {1, kChannels, 14, 14}).shape(), (Shape{1, 512}));
  // All but the depthwise weight are packed, and w4 is 128 KiB.
  EXPECT_GT(use->packed_bytes, 2 * kWeightBytes);
  EXPECT_LE(model.weight_bytes(), use->packed_bytes + 8192);
  EXPECT_TRUE(identical(run(model, {1, kChannels, 14, 14}), run(kept, {1, kChannels, 14, 14})));
}

TEST(ModelMemory, BatchesShareWhatWasPacked) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model.onnx", layers({-1, kChannels, 14, 14}));
  const Model kept = Model::load(path, {.keep_weights = true}), model = Model::load(path);
  const int64_t bytes = model.weight_bytes();
  std::filesystem::remove(path);  // so that nothing can be read again
  for (const int64_t batch : {3, 1, 2, 8}) {
    EXPECT_TRUE(identical(run(model, {batch, kChannels, 14, 14}), run(kept, {batch, kChannels, 14, 14}))) << batch;
    EXPECT_EQ(model.weight_bytes(), bytes) << batch;
  }
}

TEST(ModelMemory, OtherSizesReadTheFileAgain) {
  const TemporaryFolder folder;
  const std::string bytes = layers({-1, kChannels, -2, -3}), path = folder.write("model.onnx", bytes);
  const Model kept = Model::load(path, {.keep_weights = true}), model = Model::load(path), from_bytes = Model::load_bytes(bytes);
  for (const Shape& shape :
       {Shape{1, kChannels, 14, 14}, Shape{2, kChannels, 56, 56}, Shape{1, kChannels, 1, 3}, Shape{1, kChannels, 7, 7}}) {
    EXPECT_TRUE(identical(run(model, shape), run(kept, shape)));
    EXPECT_TRUE(identical(run(from_bytes, shape), run(kept, shape)));
  }
}

TEST(ModelMemory, SaysThatTheFileHasChanged) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model.onnx", layers({-1, kChannels, -2, -3}));
  const Model model = Model::load(path);
  run(model, {1, kChannels, 14, 14});
  folder.write("model.onnx", "another");
  EXPECT_NO_THROW(run(model, {1, kChannels, 14, 14}));
  EXPECT_NO_THROW(run(model, {2, kChannels, 14, 14}));
  try {
    run(model, {1, kChannels, 56, 56});
    FAIL();
  } catch (const FileError& e) {
    EXPECT_NE(e.reason().find("the file has changed since it was loaded"), std::string::npos) << e.what();
    EXPECT_NE(e.fix().find("keep_weights"), std::string::npos);
  }
  EXPECT_NO_THROW(run(model, {1, kChannels, 14, 14}));
}

TEST(ModelMemory, GraphsWithoutWeightsAreNotWritten) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model.onnx", layers({1, kChannels, 14, 14}));
  EXPECT_THROW(onnx::write_bytes(Model::load(path, {.passes_off = {"linear", "activation"}}).graph()), Error);
  EXPECT_NO_THROW(onnx::write_bytes(Model::load(path, {.keep_weights = true, .passes_off = {"linear", "activation"}}).graph()));
}

TEST(ModelMemory, AWeightOfManyLayersIsNotPackedWithoutBound) {
  // 200 convolutions of one weight of 1 MiB, each of a size of its own.
  Generator generator;
  std::vector<Part> parts{{5, random_tensor("w", {128, 128, 4, 4}, generator)},
                          {11, value_info("x", {1, 128, 204, 4})},
                          {12, Message().bytes(1, "y200")}};
  for (int i = 1; i <= 200; ++i) {
    parts.push_back({1, node("Conv", {i == 1 ? "x" : "y" + std::to_string(i - 1), "w"}, {"y" + std::to_string(i)},
                             {attribute_ints("pads", {1, 2, 1, 1})})});
  }
  const Model model = Model::load_bytes(testing::model(parts));
  const auto use = model.executor().memory();
  ASSERT_TRUE(use);
  EXPECT_LE(use->packed_bytes, (64 << 20) + 8 * (1 << 20));
  EXPECT_LE(model.weight_bytes(), (64 << 20) + 9 * (1 << 20));
}

// Runs a model for the first time with these inputs and counts what is allocated, packed weights left out.
int64_t measured(const Model& model, const std::map<std::string, Tensor>& inputs) {
  const MemoryBudget counter(int64_t{1} << 40);
  model.run(inputs);
  std::vector<graph::Type> types;
  for (const auto& [name, tensor] : inputs) types.push_back(graph::Type::of(tensor));
  int64_t bytes =
      counter.peak_bytes() - static_cast<int64_t>(block_bytes(static_cast<size_t>(model.executor().memory(types)->packed_bytes)));
  for (const auto& [name, tensor] : inputs) bytes += static_cast<int64_t>(block_bytes(tensor.nbytes()));
  return bytes;
}

TEST(ModelMemory, PeakBytesIsWhatARunTakes) {
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    for (const Shape& shape : {Shape{1, kChannels, 14, 14}, Shape{4, kChannels, 31, 17}}) {
      const Model model = Model::load_bytes(layers({-1, kChannels, -2, -3}));
      const int64_t told = model.peak_bytes({{"x", shape}});
      EXPECT_EQ(measured(model, {{"x", input_of(shape)}}), told);
      const Model tight = Model::load_bytes(layers({-1, kChannels, -2, -3}), {.memory_budget = told});
      EXPECT_NO_THROW(run(tight, shape));
      const Model short_of = Model::load_bytes(layers({-1, kChannels, -2, -3}), {.memory_budget = told - 1});
      EXPECT_THROW(run(short_of, shape), Error);
    }
  }
  set_num_threads(0);
}

TEST(ModelMemory, BudgetBoundsRunsThatAreNotPlanned) {
  // How many values NonZero finds only a run can tell: a matrix of up to 1 MiB times 8 bytes comes of it.
  const std::string bytes =
      model_of({node("NonZero", {"x"}, {"places"}), node("Transpose", {"places"}, {"turned"}),
                node("Cast", {"turned"}, {"numbers"}, {attribute_int("to", 1)}), node("Exp", {"numbers"}, {"y"})},
               {512, 256});
  const std::map<std::string, Tensor> full{{"x", Tensor::ones({512, 256})}}, empty{{"x", Tensor::zeros({512, 256})}};
  for (const bool optimise : {true, false}) {
    const Model roomy = Model::load_bytes(bytes, {.memory_budget = 8 << 20, .optimise = optimise});
    EXPECT_EQ(roomy.run(full).at("y").shape(), (Shape{512 * 256, 2}));
    const Model tight = Model::load_bytes(bytes, {.memory_budget = 2 << 20, .optimise = optimise});
    EXPECT_NO_THROW(tight.run(empty));
    EXPECT_THROW(tight.run(full), Error);
    EXPECT_NO_THROW(tight.run(empty));
  }
}

TEST(ModelMemory, BudgetCountsOutputs) {
  const std::string bytes = model_of({node("Expand", {"x", "shape"}, {"y"})}, {1, 1}, {int64_tensor("shape", {1024, 1024})});
  const Model model = Model::load_bytes(bytes, {.memory_budget = 4 << 20});
  EXPECT_THROW(model.run({{"x", Tensor::ones({1, 1})}}), Error);
  EXPECT_NO_THROW(Model::load_bytes(bytes, {.memory_budget = 9 << 20}).run({{"x", Tensor::ones({1, 1})}}));
}

TEST(ModelMemory, WritingIntoAnOutputChangesNoConstant) {
  const std::string bytes = model({{1, node("Relu", {"x"}, {"y"})},
                                   {1, node("Identity", {"w"}, {"v"})},
                                   {1, node("Reshape", {"w", "s"}, {"u"})},
                                   {5, float_tensor("w", {4})},
                                   {5, int64_tensor("s", {2, 2})},
                                   {11, value_info("x", {-1})},
                                   {12, Message().bytes(1, "y")},
                                   {12, Message().bytes(1, "w")},
                                   {12, Message().bytes(1, "v")},
                                   {12, Message().bytes(1, "u")}});
  for (const bool optimise : {false, true}) {
    const Model network = Model::load_bytes(bytes, {.optimise = optimise});
    const auto run = [&] { return network.run({{"x", Tensor::ones({4})}}); };
    const std::vector<float> before = run().at("w").to_vector<float>();
    for (auto& [name, output] : run()) std::memset(Tensor(output).raw_data(), 0x5a, output.nbytes());
    for (const char* name : {"w", "v", "u"}) EXPECT_EQ(run().at(name).to_vector<float>(), before) << name;
  }
}

TEST(ModelMemory, ManyThreadsMayRunAndPlanAtOnce) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model.onnx", layers({-1, kChannels, -2, -3}));
  const Model kept = Model::load(path, {.keep_weights = true}), model = Model::load(path);
  const std::vector<Shape> shapes{{1, kChannels, 14, 14}, {2, kChannels, 14, 14}, {1, kChannels, 20, 9}, {1, kChannels, 3, 3}};
  std::vector<Tensor> expected;
  for (const Shape& shape : shapes) expected.push_back(run(kept, shape));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 8; ++i) {
        const size_t which = (t + i) % shapes.size();
        if (!identical(run(model, shapes[which]), expected[which])) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// The two largest sums of bytes of what nodes have made and others are still to read, counted from the graph alone.
int64_t largest_live_sets(graph::Graph graph, int64_t batch) {
  for (const graph::ValueId id : graph.inputs) (*graph.value(id).type.dims)[0] = {batch};
  graph::infer(graph);
  std::vector<int64_t> live(graph.nodes.size() + 1, 0);  // by node: by how much the sum changes there
  const auto readers = graph.readers();
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const graph::ValueId id : graph.nodes[i].outputs) {
      if (id == graph::kNoValue || std::count(graph.outputs.begin(), graph.outputs.end(), id) > 0) continue;
      const std::vector<int32_t>& of = readers[static_cast<size_t>(id)];
      const size_t last = of.empty() ? i : static_cast<size_t>(*std::max_element(of.begin(), of.end()));
      const int64_t bytes = numel(*graph.value(id).type.shape()) * 4;
      live[i] += bytes;
      live[last + 1] -= bytes;
    }
  }
  std::partial_sum(live.begin(), live.end(), live.begin());
  std::sort(live.rbegin(), live.rend());
  return live[0] + live[1];
}

// Branches that join in every way: a concatenation, a residual, a map at half the size, something kept to the end.
std::string branches() {
  Generator generator;
  generator.manual_seed(9);
  const auto conv = [](const char* from, const char* weight, const char* to, int64_t stride = 1) {
    return Part{
        1, node("Conv", {from, weight}, {to}, {attribute_ints("pads", {1, 1, 1, 1}), attribute_ints("strides", {stride, stride})})};
  };
  return model({conv("x", "w1", "a"),
                {1, node("Relu", {"a"}, {"b"})},
                conv("b", "w2", "c"),
                conv("b", "w3", "d"),
                {1, node("Concat", {"c", "b", "d"}, {"e"}, {attribute_int("axis", 1)})},
                conv("e", "w4", "f"),
                {1, node("Add", {"f", "b"}, {"g"})},
                conv("g", "w2", "h", 2),
                {1, node("Sigmoid", {"h"}, {"i"})},
                {1, node("Mul", {"h", "i"}, {"j"})},
                {1, node("Resize", {"j", "", "twice"}, {"k"}, {attribute_text("mode", "linear")})},
                {1, node("Concat", {"k", "a"}, {"l"}, {attribute_int("axis", 1)})},
                {1, node("GlobalAveragePool", {"l"}, {"m"})},
                {1, node("Flatten", {"m"}, {"y"})},
                {5, random_tensor("w1", {16, 3, 3, 3}, generator)},
                {5, random_tensor("w2", {8, 16, 3, 3}, generator)},
                {5, random_tensor("w3", {4, 16, 3, 3}, generator)},
                {5, random_tensor("w4", {16, 28, 3, 3}, generator)},
                {5, tensor_header("twice", {4}, kFloat).bytes(9, std::string("\0\0\x80\x3f\0\0\x80\x3f\0\0\0\x40\0\0\0\x40", 16))},
                {11, value_info("x", {-1, 3, 20, 22})},
                {12, Message().bytes(1, "y")}});
}

TEST(ModelMemory, TheArenaIsWithinTheTwoLargestLiveSets) {
  for (const std::string& bytes : {branches(), layers({-1, kChannels, 14, 14})}) {
    for (const std::vector<std::string>& off : {std::vector<std::string>{}, {"residual", "activation", "channel_affine"}}) {
      const Model network = Model::load_bytes(bytes, {.passes_off = off});
      for (const int64_t batch : {1, 3, 8}) {
        std::vector<graph::Type> types{network.graph().value(network.graph().inputs[0]).type};
        (*types[0].dims)[0] = {batch};
        const auto use = network.executor().memory(types);
        ASSERT_TRUE(use);
        EXPECT_GT(use->arena_bytes, 0);
        EXPECT_LE(use->arena_bytes * 10, largest_live_sets(network.graph(), batch) * 11) << "batch " << batch;
      }
    }
  }
  // Large networks of the ONNX project, with the batch that they have.
  if (!std::filesystem::is_directory(CONVOY_LIGHT_NETWORKS)) return;
  for (const auto& entry : std::filesystem::directory_iterator(CONVOY_LIGHT_NETWORKS)) {
    const auto file = entry.path() / (entry.path().filename().string() + ".onnx");
    if (!std::filesystem::exists(file)) continue;
    const Model network = Model::load(file.string());
    const auto use = network.executor().memory();
    ASSERT_TRUE(use) << file;
    EXPECT_LE(use->arena_bytes * 10, largest_live_sets(network.graph(), 1) * 11) << file;
  }
}

// Scratch memory is made for as many threads as there are: they stay as many until it is given back.
TEST(ModelMemory, TheThreadCountMayChangeInARun) {
  const Model model = Model::load_bytes(layers({-1, kChannels, -2, -3}), {.keep_weights = true});
  const Shape shape{2, kChannels, 21, 13};
  const Tensor expected = run(model, shape);
  set_num_threads(2);
  int nodes = 0;
  const auto change = [&](size_t, double) {
    set_num_threads(31);
    EXPECT_EQ(num_threads(), 2) << "behind node " << nodes;
    ++nodes;
  };
  const graph::Values outputs = model.executor().run({{"x", input_of(shape)}}, change);
  EXPECT_GT(nodes, 3);
  EXPECT_TRUE(identical(outputs.at("y").tensor(), expected));
  EXPECT_EQ(num_threads(), 31);
  set_num_threads(0);
}

TEST(ModelMemory, TheThreadCountMayChangeWhileOthersRun) {
  const Model model = Model::load_bytes(layers({-1, kChannels, -2, -3}), {.keep_weights = true});
  const std::vector<Shape> shapes{{1, kChannels, 14, 14}, {2, kChannels, 21, 13}, {1, kChannels, 3, 3}};
  std::vector<Tensor> expected;
  for (const Shape& shape : shapes) expected.push_back(run(model, shape));
  const Tensor x = input_of({30, 400}), product = ops::linear(x, x, {});  // what plans nothing ahead
  std::atomic<int> wrong{0}, running{3};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 30; ++i) {
        const size_t which = (t + i) % shapes.size();
        if (!identical(run(model, shapes[which]), expected[which])) ++wrong;
        if (!identical(ops::linear(x, x, {}), product)) ++wrong;
      }
      --running;
    });
  }
  for (int count = 0; running > 0; ++count) set_num_threads(count % 2 == 0 ? 1 : 31);
  for (std::thread& thread : threads) thread.join();
  set_num_threads(0);
  EXPECT_EQ(wrong, 0);
}

// All steps' needs are counted for one thread count, whenever it changes.
TEST(ModelMemory, TheThreadCountMayChangeWhileMemoryIsCounted) {
  const Model model = Model::load_bytes(layers({1, kChannels, 21, 13}), {.keep_weights = true});
  const auto counted = [&] { return model.executor().memory()->workspace_bytes; };
  set_num_threads(1);
  const int64_t least = counted();
  set_num_threads(31);
  const int64_t most = counted();
  ASSERT_LT(least, most);
  std::atomic<bool> done{false};
  std::thread changes([&] {
    for (int count = 0; !done; ++count) set_num_threads(count % 2 == 0 ? 1 : 31);
  });
  int wrong = 0;
  for (int i = 0; i < 5000; ++i) {
    const int64_t bytes = counted();
    wrong += bytes != least && bytes != most;
    std::this_thread::yield();
  }
  done = true;
  changes.join();
  // What was noted last is what a run takes.
  for (const int threads : {1, 31}) {
    set_num_threads(threads);
    EXPECT_EQ(counted(), threads == 1 ? least : most);
  }
  set_num_threads(0);
  EXPECT_EQ(wrong, 0);
}

// The graph's constants, or what was refused.
std::string read_as(const std::function<graph::Graph()>& read, std::vector<Tensor>& constants) {
  constants.clear();
  try {
    for (const graph::ValueInfo& info : read().values) constants.push_back(info.constant);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(FileBytes, FilesReadAsTheirBytesDo) {
  const TemporaryFolder folder;
  Generator generator;
  const Tensor numbers = randn({130, 130}, DType::kFloat32, &generator);
  Message typed = tensor_header("v", {130, 130}, kFloat);
  typed.bytes(4, std::string(static_cast<const char*>(numbers.raw_data()), static_cast<size_t>(numbers.nbytes())));
  const std::string whole = model_of({node("Conv", {"x", "w"}, {"a"}), node("Add", {"a", "v"}, {"y"})}, {1, kChannels, 132, 132},
                                     {random_tensor("w", {kChannels, kChannels, 3, 3}, generator), typed});
  Mutator mutator(11);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole;
    if (i % 3 == 1) bytes.resize(mutator.below(whole.size()));
    if (i % 3 == 2) {
      for (int k = 0; k < 3; ++k) bytes[mutator.below(k == 0 ? bytes.size() : 400)] = static_cast<char>(mutator.below(256));
    }
    const std::string path = folder.write("model.onnx", bytes);
    std::vector<Tensor> from_file, from_bytes;
    ASSERT_EQ(read_as([&] { return onnx::read(path); }, from_file),
              read_as([&] { return onnx::read_bytes(bytes, path); }, from_bytes));
    ASSERT_EQ(from_file.size(), from_bytes.size());
    for (size_t k = 0; k < from_file.size(); ++k) {
      ASSERT_EQ(from_file[k].defined(), from_bytes[k].defined());
      if (from_file[k].defined()) {
        ASSERT_TRUE(identical(from_file[k], from_bytes[k])) << i;
      }
    }
  }
}

}  // namespace
}  // namespace convoy
