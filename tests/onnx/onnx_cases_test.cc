// Runs stored cases: folders with model.onnx and test_data_set_N/input_K.pb, output_K.pb, as the ONNX project keeps them. A folder
// with NAME.onnx and NAME_output_0.pb alone has the input x[i] = i / n (see ../shared/README.md).
//
// CONVOY_ONNX_CASES_DIR names another folder of such folders, CONVOY_ONNX_CASE one case to run alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/onnx/model.h"
#include "convoy/onnx/writer.h"
#include "tests/onnx/model_bytes.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using graph::Value;

// Results that no other program can have: they come from NumPy's random numbers.
constexpr const char* kRandom[] = {"test_training_dropout",
                                   "test_training_dropout_default",
                                   "test_training_dropout_mask",
                                   "test_training_dropout_default_mask",
                                   "test_bernoulli",
                                   "test_bernoulli_double",
                                   "test_bernoulli_seed",
                                   "test_bernoulli_expanded",
                                   "test_bernoulli_double_expanded",
                                   "test_bernoulli_seed_expanded"};

std::string difference(const Tensor& got, const Tensor& want) {
  if (got.dtype() != want.dtype()) return std::string(dtype_name(got.dtype())) + " instead of " + dtype_name(want.dtype());
  if (got.shape() != want.shape()) return "shape " + to_string(got.shape()) + " instead of " + to_string(want.shape());
  if (!is_floating(got.dtype())) {
    const Tensor a = got.to(DType::kInt64), b = want.to(DType::kInt64);
    for (int64_t i = 0; i < a.numel(); ++i) {
      if (a.data<int64_t>()[i] != b.data<int64_t>()[i]) {
        return "element " + std::to_string(i) + " is " + std::to_string(a.data<int64_t>()[i]) + " instead of " +
               std::to_string(b.data<int64_t>()[i]);
      }
    }
    return "";
  }
  const Tensor a = got.to(DType::kFloat64), b = want.to(DType::kFloat64);
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double x = a.data<double>()[i], y = b.data<double>()[i];
    const bool same = x == y || (std::isnan(x) && std::isnan(y)) || std::abs(x - y) <= 1e-7 + 1e-3 * std::abs(y);
    if (!same) return "element " + std::to_string(i) + " is " + std::to_string(x) + " instead of " + std::to_string(y);
  }
  return "";
}

std::string difference(const Value& got, const Value& want) {
  if (want.is_tensor()) return got.is_tensor() ? difference(got.tensor(), want.tensor()) : "no tensor";
  if (want.strings() != nullptr) {
    if (got.strings() == nullptr) return "no text";
    if (got.strings()->shape != want.strings()->shape) return "shape " + to_string(got.strings()->shape);
    return got.strings()->values == want.strings()->values ? "" : "other text";
  }
  if (want.sequence() != nullptr) {
    if (got.sequence() == nullptr || got.sequence()->size() != want.sequence()->size()) return "no sequence of the same length";
    for (size_t i = 0; i < want.sequence()->size(); ++i) {
      const std::string text = difference((*got.sequence())[i], (*want.sequence())[i]);
      if (!text.empty()) return "entry " + std::to_string(i) + ": " + text;
    }
    return "";
  }
  return got.present() ? "something instead of nothing" : "";
}

onnx::ValueKind kind_of(const graph::Type& type) {
  if (type.optional) return onnx::ValueKind::kOptional;
  return type.kind == graph::Type::Kind::kSequence ? onnx::ValueKind::kSequence : onnx::ValueKind::kTensor;
}

std::string compare_outputs(const Model& model, const graph::Values& inputs, const fs::path& stem) {
  const graph::Values outputs = model.run_values(inputs);
  for (size_t i = 0; i < model.graph().outputs.size(); ++i) {
    const graph::ValueInfo& info = model.graph().value(model.graph().outputs[i]);
    const std::string path = stem.string() + std::to_string(i) + ".pb";
    if (!fs::exists(path)) return "no " + path;
    const std::string text = difference(outputs.at(info.name), onnx::read_value(path, kind_of(info.type)));
    if (!text.empty()) return "output '" + info.name + "': " + text;
  }
  return "";
}

std::string run_sets(const Model& model, const fs::path& folder) {
  int sets = 0;
  for (;; ++sets) {
    const fs::path set = folder / ("test_data_set_" + std::to_string(sets));
    if (!fs::exists(set)) break;
    graph::Values inputs;
    for (size_t i = 0; i < model.graph().inputs.size(); ++i) {
      const fs::path path = set / ("input_" + std::to_string(i) + ".pb");
      const graph::ValueInfo& info = model.graph().value(model.graph().inputs[i]);
      if (fs::exists(path)) inputs[info.name] = onnx::read_value(path.string(), kind_of(info.type));
    }
    const std::string text = compare_outputs(model, inputs, set / "output_");
    if (!text.empty()) return text;
  }
  return sets == 0 ? "no test data" : "";
}

std::string run_case(const fs::path& folder, const ModelOptions& options) try {
  const std::string name = folder.filename().string();
  if (!fs::exists(folder / "model.onnx")) {
    const Model model = Model::load((folder / (name + ".onnx")).string(), options);
    graph::Values inputs;
    for (const ModelValue& input : model.inputs()) {
      Tensor x = Tensor::empty(input.shape);
      for (int64_t i = 0; i < x.numel(); ++i)
        x.data<float>()[i] = static_cast<float>(static_cast<double>(i) / static_cast<double>(x.numel()));
      inputs[input.name] = x;
    }
    return compare_outputs(model, inputs, folder / (name + "_output_"));
  }
  return run_sets(Model::load((folder / "model.onnx").string(), options), folder);
} catch (const Error& e) {
  return e.what();
}

// The same after writing and reading again.
std::string run_written(const fs::path& folder) try {
  const std::string bytes = onnx::write_bytes(onnx::read((folder / "model.onnx").string()));
  return run_sets(Model::load_bytes(bytes), folder);
} catch (const Error& e) {
  return e.what();
}

bool expect_cases(const fs::path& group) {
  if (!fs::is_directory(group)) return false;
  const char* only = std::getenv("CONVOY_ONNX_CASE");
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(group)) {
    if (entry.is_directory() && (only == nullptr || entry.path().filename() == only)) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  int passed = 0;
  for (const fs::path& folder : folders) {
    const std::string name = folder.filename().string();
    if (std::find(std::begin(kRandom), std::end(kRandom), name) != std::end(kRandom)) continue;
    std::string text = run_case(folder, {});
    if (text.empty() && !(text = run_case(folder, {.optimise = false})).empty()) text = "not optimised: " + text;
    if (text.empty()) {
      ++passed;
    } else {
      ADD_FAILURE() << name << ": " << text;
    }
  }
  std::printf("%d of %zu passed\n", passed, folders.size());
  return true;
}

TEST(OnnxWriter, WritesWhatReadsTheSame) {
  const char* keep = std::getenv("CONVOY_ONNX_WRITTEN");  // where to leave the files, for ONNX's checker
  for (const auto& entry : fs::directory_iterator(CONVOY_ONNX_CASES)) {
    EXPECT_EQ(run_written(entry.path()), "") << entry.path();
    if (keep != nullptr)
      onnx::save(onnx::read((entry.path() / "model.onnx").string()),
                 std::string(keep) + "/" + entry.path().filename().string() + ".onnx");
  }
}

// Where one node of an older form becomes several, they have names of their own: ONNX Runtime loads no others. And attributes that
// came later need the opset that has them.
TEST(OnnxWriter, NodesOfOldFormsHaveNamesOfTheirOwn) {
  using namespace testing;  // NOLINT(google-build-using-namespace): the builders
  const std::string file = model_of({node("Softmax", {"x"}, {"s"}, {attribute_int("axis", 1)}, "both"),
                                     node("ReduceMax", {"s"}, {"y"}, {attribute_int("noop_with_empty_axes", 0)}, "both")},
                                    {2, 3, 4}, {}, 12);
  const graph::Graph graph = onnx::read_bytes(file);
  ASSERT_GT(graph.nodes.size(), 2u);
  const std::string bytes = onnx::write_bytes(graph);
  std::set<std::string> names;
  for (const graph::Node& written : onnx::read_bytes(bytes).nodes) EXPECT_TRUE(names.insert(written.name).second) << written.name;
  EXPECT_TRUE(bytes.ends_with(std::string("\n\0\x10\x12", 4))) << "opset_import: domain '', version 18";
  if (const char* keep = std::getenv("CONVOY_ONNX_WRITTEN")) onnx::save(graph, std::string(keep) + "/old_forms.onnx");
}

TEST(OnnxWriter, TypesAskForTheOpsetThatHasThem) {
  using namespace testing;  // NOLINT(google-build-using-namespace): the builders
  constexpr int64_t kInt64 = 7, kBool = 9, kHalf = 10, kDouble = 11, kBFloat16 = 16;
  for (const auto& [type, op, opset] :
       {std::tuple(kBool, "ReduceMax", 20), std::tuple(kHalf, "IsInf", 20), std::tuple(kBFloat16, "MaxPool", 22),
        std::tuple(kHalf, "MaxPool", 17), std::tuple(kDouble, "Softplus", 18), std::tuple(kInt64, "Relu", 18)}) {
    std::vector<Message> attributes;
    if (std::string(op) == "MaxPool") attributes = {attribute_ints("kernel_shape", {1, 1})};
    const graph::Graph graph = onnx::read_bytes(model_of(
        {node("Cast", {"x"}, {"c"}, {attribute_int("to", type)}), node(op, {"c"}, {"y"}, attributes)}, {1, 1, 2, 2}, {}, 22));
    EXPECT_EQ(onnx::write_bytes(graph).back(), static_cast<char>(opset)) << op << " of type " << type;
    if (const char* keep = std::getenv("CONVOY_ONNX_WRITTEN"))
      onnx::save(graph, std::string(keep) + "/" + op + std::to_string(type) + ".onnx");
  }
}

// An opset that says another size than the graph has makes a file that ONNX's checker refuses.
TEST(OnnxWriter, WindowsThatBeganInThePaddingAskForOpset22) {
  using namespace testing;  // NOLINT(google-build-using-namespace): the builders
  // Where a size is open (-2), a larger kernel leaves no window there.
  int number = 0;
  for (const auto& [height, width, kernel, opset] : {std::tuple(2, 2, 1, 22), std::tuple(3, 3, 1, 17), std::tuple(-2, 2, 1, 22),
                                                     std::tuple(-2, 3, 1, 22), std::tuple(-2, 3, 2, 17)}) {
    const graph::Graph graph = onnx::read_bytes(model_of({node("MaxPool", {"x"}, {"y"},
                                                               {attribute_ints("kernel_shape", {kernel, kernel}),
                                                                attribute_ints("strides", {2, 2}), attribute_int("ceil_mode", 1)})},
                                                         {1, 1, height, width}, {}, 22));
    EXPECT_EQ(onnx::write_bytes(graph).back(), static_cast<char>(opset)) << height << " " << width;
    if (const char* keep = std::getenv("CONVOY_ONNX_WRITTEN"))
      onnx::save(graph, std::string(keep) + "/ceil" + std::to_string(number++) + ".onnx");
  }
}

TEST(OnnxWriter, QuantizedTypesAskForTheOpsetThatHasThem) {
  using namespace testing;  // NOLINT(google-build-using-namespace): the builders
  constexpr int64_t kUInt8 = 2, kInt16 = 5, kHalf = 10;
  for (const auto& [type, scale, opset] :
       {std::tuple(kUInt8, int64_t{1}, 17), std::tuple(kInt16, int64_t{1}, 21), std::tuple(kUInt8, kHalf, 19)}) {
    const graph::Graph graph = onnx::read_bytes(
        model_of({node("Cast", {"x"}, {"c"}, {attribute_int("to", type)}), node("Cast", {"s"}, {"h"}, {attribute_int("to", scale)}),
                  node("DequantizeLinear", {"c", "h"}, {"y"})},
                 {1, 1, 2, 2}, {float_tensor("s", {})}, 22));
    EXPECT_EQ(onnx::write_bytes(graph).back(), static_cast<char>(opset)) << type << " " << scale;
    if (const char* keep = std::getenv("CONVOY_ONNX_WRITTEN"))
      onnx::save(graph, std::string(keep) + "/quantized" + std::to_string(opset) + ".onnx");
  }
}

// Where only a run tells an output's rank, the file that was read has the last word: ONNX wants a shape.
TEST(OnnxWriter, OutputsKeepTheShapeThatTheirFileStates) {
  using namespace testing;  // NOLINT(google-build-using-namespace): the builders
  const graph::Graph graph =
      onnx::read_bytes(model({{1, node("Squeeze", {"x"}, {"y"})}, {11, value_info("x", {-1, 3})}, {12, value_info("y", {3})}}));
  ASSERT_FALSE(graph.value(graph.outputs[0]).type.dims) << "nothing rests on what the file states";
  const std::string bytes = onnx::write_bytes(graph);
  EXPECT_NE(bytes.find(value_info("y", {3}).str()), std::string::npos);
  if (const char* keep = std::getenv("CONVOY_ONNX_WRITTEN")) onnx::save(graph, std::string(keep) + "/stated.onnx");
}

class SharedOnnxCases : public ::testing::TestWithParam<const char*> {};

TEST_P(SharedOnnxCases, Pass) {
  if (!expect_cases(fs::path(CONVOY_SHARED_ONNX_CASES) / GetParam())) GTEST_SKIP() << "there is no " << CONVOY_SHARED_ONNX_CASES;
}

INSTANTIATE_TEST_SUITE_P(Groups, SharedOnnxCases,
                         ::testing::Values("light", "node", "pytorch-converted", "pytorch-operator", "simple"),
                         [](const auto& entry) {
                           std::string name = entry.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(OnnxCases, Pass) {
  const char* other = std::getenv("CONVOY_ONNX_CASES_DIR");
  const std::string folder = other != nullptr ? other : CONVOY_ONNX_CASES;
  EXPECT_TRUE(expect_cases(folder)) << "there is no " << folder;
}

// Before opset 14 the outputs that a batch normalisation lists say whether it is in training mode.
TEST(OldForms, BatchNormalizationThatListsWhatTrainingMakes) {
  const auto answer = [](const std::vector<std::string>& outputs, uint64_t opset, const std::vector<testing::Message>& attributes) {
    const std::vector<testing::Message> nodes = {
        testing::node("BatchNormalization", {"x", "v", "v", "v", "v"}, outputs, attributes, "bn")};
    const std::string file = testing::model_of(nodes, {2, 1, 1, 1}, {testing::float_tensor("v", {1})}, opset);
    const Model model = Model::load_bytes(file, {.optimise = false});
    const Tensor x = Tensor::from(std::vector<float>{-1, 3}, {2, 1, 1, 1}), y = model.run({{"x", x}}).at("y");
    EXPECT_TRUE(identical(Model::load_bytes(onnx::write_bytes(model.graph()), {.optimise = false}).run({{"x", x}}).at("y"), y));
    return y.at(1);
  };
  const double batch = 0.5 * (3 - 1) / std::sqrt(4 + 1e-5) + 0.5, running = 0.5 * (3 - 0.5) / std::sqrt(0.5 + 1e-5) + 0.5;
  const std::vector<std::string> training = {"y", "mean", "var", "saved_mean", "saved_var"};
  EXPECT_NEAR(answer(training, 9, {}), batch, 1e-6);
  EXPECT_NEAR(answer({"y"}, 9, {}), running, 1e-6);
  EXPECT_NEAR(answer({"y", "", ""}, 13, {}), running, 1e-6);
  EXPECT_NEAR(answer(training, 6, {testing::attribute_int("is_test", 1)}), running, 1e-6);
  EXPECT_NEAR(answer({"y", "mean", "var"}, 15, {testing::attribute_int("training_mode", 1)}), batch, 1e-6);
  EXPECT_NEAR(answer({"y"}, 15, {}), running, 1e-6);
}

}  // namespace
}  // namespace convoy
