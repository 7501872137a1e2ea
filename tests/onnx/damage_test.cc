// Files damaged everywhere, one place at a time; and small files that ask for much when they are loaded.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <set>

#include "convoy/core/error.h"
#include "convoy/onnx/model.h"
#include "tests/fuzz/model_fuzz.h"
#include "tests/onnx/model_bytes.h"
#include "tests/onnx/used.h"
#include "tests/sanitized.h"

namespace convoy {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the builders

// A bit of everything that the reader knows: functions, attributes of all types, initializers in three forms, sizes with names.
const std::string& model_of_everything() {
  static const std::string kModel = [] {
    Message scaled = Message().bytes(1, "scaled").bytes(4, "a").bytes(5, "b").bytes(6, "slope").bytes(10, "local");
    scaled.message(7, node("LeakyRelu", {"a"}, {"b"}, {Message().bytes(1, "alpha").bytes(21, "slope").integer(20, 1)}));
    scaled.message(9, Message().bytes(1, "").integer(2, 17));
    Message sparse = Message()
                         .message(1, tensor_header("s", {2}, kFloat).real32(4, 1).real32(4, 2))
                         .message(2, tensor_header("", {2}, kInt64).bytes(7, std::string("\0\3", 2)))
                         .integer(3, 4);
    return model({{1, node("Conv", {"x", "w", "b"}, {"h"},
                           {attribute_ints("pads", {1, 1, 1, 1}), attribute_text("auto_pad", "NOTSET")}, "conv1")},
                  {1, node("scaled", {"h"}, {"l"}, {attribute_float("slope", 0.25f)}, "", "local")},
                  {1, node("Constant", {}, {"c"}, {attribute_tensor("value", int64_tensor("", {1, 3, -1}))})},
                  {1, node("Reshape", {"l", "c"}, {"r"})},
                  {1, node("Softmax", {"r"}, {"p"}, {attribute_int("axis", 1)})},
                  {1, node("ReduceSum", {"s"}, {"t"}, {attribute_int("keepdims", 0)})},
                  {1, node("Mul", {"p", "t"}, {"y"})},
                  {5, float_tensor("w", {3, 2, 2, 2})},
                  {5, tensor_header("b", {3}, kFloat).real32(4, 1).real32(4, 2).real32(4, 3)},
                  {15, sparse},
                  {11, value_info("x", {-1, 2, 3, 3})},
                  {12, value_info("y", {-1, 3, 16})},
                  {13, value_info("h", {-1, 3, 4, 4})}},
                 17, {scaled});
  }();
  return kModel;
}

int result_of(const std::string& bytes) { return load_and_run(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()); }

TEST(OnnxDamage, CutAtEveryByteItIsRefused) {
  const std::string& whole = model_of_everything();
  ASSERT_EQ(result_of(whole), 3);
  // What stands last, the opsets of the functions' domain, is all that may go.
  const size_t needed = whole.rfind("local") - 4;
  for (size_t size = 0; size < needed; ++size) {
    try {
      Model::load_bytes(whole.substr(0, size));
      ADD_FAILURE() << "the first " << size << " of " << whole.size() << " bytes were loaded";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    }
  }
}

TEST(OnnxDamage, AnyBitFlippedItIsRefusedOrRuns) {
  const std::string& whole = model_of_everything();
  std::set<int> results;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ 1u << bit);
      ASSERT_NO_THROW(results.insert(result_of(bytes))) << "bit " << bit << " of byte " << at;
    }
  }
  EXPECT_TRUE(results.contains(0));
  EXPECT_TRUE(results.contains(3));
}

TEST(OnnxDamage, AnyByteOfAnyValueItIsRefusedOrRuns) {
  const std::string& whole = model_of_everything();
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char value : {'\0', '\1', '\x7f', '\x80', '\xff'}) {
      std::string bytes = whole;
      bytes[at] = value;
      ASSERT_NO_THROW(result_of(bytes)) << int{value} << " in byte " << at;
      bytes.insert(at, 1, value);
      ASSERT_NO_THROW(result_of(bytes)) << int{value} << " before byte " << at;
    }
    ASSERT_NO_THROW(result_of(whole.substr(0, at) + whole.substr(at + 1))) << "without byte " << at;
  }
}

// ---- what a small file may make ----

struct SmallFile {
  const char* name;
  std::string bytes;
};

std::vector<SmallFile> small_files() {
  constexpr int kTimes = 2000;
  // One weight in many layers, each of which would have it in a form of its own.
  const auto many = [](const std::function<void(std::vector<Part>&, const std::string& number)>& add, const std::vector<int64_t>& x,
                       const std::vector<Message>& initializers) {
    std::vector<Part> parts;
    for (int i = 0; i < kTimes; ++i) {
      add(parts, std::to_string(i));
      parts.push_back({12, Message().bytes(1, "y" + std::to_string(i))});
    }
    for (const Message& tensor : initializers) parts.push_back({5, tensor});
    parts.push_back({11, value_info("x", x)});
    return model(parts);
  };
  const Message matrix = float_tensor("w", {250, 1000}), kernel = float_tensor("w", {64, 64, 7, 7});
  const Message ones = float_tensor("ones", {64}), millions = int64_tensor("shape", {1 << 18});
  const auto conv = [](const std::string& number) { return node("Conv", {"x", "w"}, {"h" + number}); };
  // A layer normalisation as exporters spell it, of an input that is said to be long.
  const auto layer_norm = [](int64_t size) {
    return model_of({node("ReduceMean", {"x"}, {"m"}, {attribute_ints("axes", {-1})}), node("Sub", {"x", "m"}, {"d"}),
                     node("Mul", {"d", "d"}, {"q"}), node("ReduceMean", {"q"}, {"v"}, {attribute_ints("axes", {-1})}),
                     node("Add", {"v", "e"}, {"ve"}), node("Sqrt", {"ve"}, {"s"}), node("Div", {"d", "s"}, {"n"}),
                     node("Mul", {"n", "two"}, {"nn"}), node("Add", {"nn", "two"}, {"y"})},
                    {1, size}, {float_tensor("e", {}, 1e-5f), float_tensor("two", {}, 2)});
  };
  // Each sum becomes one convolution.
  std::vector<Message> residuals;
  for (int i = 0; i < kTimes * 2; ++i) {
    const std::string from = i == 0 ? "x" : "r" + std::to_string(i), branch = "b" + std::to_string(i);
    residuals.push_back(node("Conv", {from, "w"}, {branch}));
    residuals.push_back(node("Add", {branch, from}, {i + 1 < kTimes * 2 ? "r" + std::to_string(i + 1) : "y"}));
  }
  std::vector<Message> folding{node("ConstantOfShape", {"shape"}, {"c0"})};
  for (int i = 1; i < kTimes * 4; ++i) folding.push_back(node("Neg", {"c" + std::to_string(i - 1)}, {"c" + std::to_string(i)}));
  folding.push_back(node("Add", {"x", "c" + std::to_string(kTimes * 4 - 1)}, {"y"}));
  // Each holds all before it.
  std::vector<Message> concatenations;
  for (int i = 0; i < 15000; ++i) {
    concatenations.push_back(node("Concat", {i == 0 ? "x" : "c" + std::to_string(i - 1), "x"},
                                  {i + 1 < 15000 ? "c" + std::to_string(i) : "y"}, {attribute_int("axis", 0)}));
  }
  // Two numbers ask for seconds of convolution, each time.
  std::vector<Message> hours{node("ConstantOfShape", {"shape"}, {"c"})};
  for (int i = 0; i < 50; ++i) {
    const std::string n = std::to_string(i);
    hours.push_back(node("Conv", {"c", "c"}, {"h" + n}, {attribute_ints("pads", {500, 500, 500, 500})}));
    hours.push_back(node("Mul", {i == 0 ? "x" : "m" + std::to_string(i - 1), "h" + n}, {i < 49 ? "m" + n : "y"}));
  }
  // No two of one size, so that no memory is used again.
  std::vector<Message> growing{node("ConstantOfShape", {"shape"}, {"p0"})};
  for (int i = 1; i < 80; ++i) {
    growing.push_back(node("Pad", {"p" + std::to_string(i - 1), "pads"}, {"p" + std::to_string(i)}));
  }
  growing.push_back(node("Add", {"x", "p79"}, {"y"}));
  return {
      {"Concatenations", model_of(concatenations, {4})},
      {"Hours", model_of(hours, {1}, {int64_tensor("shape", {1, 1, 501, 501})})},
      {"GrowingConstants", model_of(growing, {1}, {int64_tensor("shape", {1 << 18}), int64_tensor("pads", {0, 1 << 16})})},
      {"Products", many(
                       [](auto& parts, const auto& n) {
                         parts.push_back({1, node("MatMul", {"x", "w"}, {"y" + n})});
                       },
                       {1, 250}, {matrix})},
      {"ScaledProducts",
       many(
           [](auto& parts, const auto& n) {
             parts.push_back({1, node("Gemm", {"x", "w"}, {"y" + n}, {attribute_float("alpha", 1 + std::stof(n))})});
           },
           {1, 250}, {matrix})},
      {"BatchNorms", many(
                         [&](auto& parts, const auto& n) {
                           parts.push_back({1, conv(n)});
                           parts.push_back({1, node("BatchNormalization", {"h" + n, "ones", "ones", "ones", "ones"}, {"y" + n})});
                         },
                         {1, 64, 8, 8}, {kernel, ones})},
      {"Branches", many(
                       [&](auto& parts, const auto& n) {
                         parts.push_back({1, conv(n)});
                         parts.push_back({1, node("Conv", {"x", "w"}, {"g" + n})});
                         parts.push_back({1, node("Add", {"h" + n, "g" + n}, {"y" + n})});
                       },
                       {1, 64, 8, 8}, {kernel})},
      {"Geometries",
       many(
           [&](auto& parts, const auto& n) {
             const int64_t pad = std::stoi(n) % 40;
             parts.push_back({1, node("Conv", {"x", "w"}, {"y" + n}, {attribute_ints("pads", {pad, pad, pad, pad})})});
           },
           {1, 64, 8, 8}, {kernel})},
      {"Parameters", many(
                         [&](auto& parts, const auto& n) {
                           parts.push_back({1, node("BatchNormalization", {"x", "c", "c", "c", "c"}, {"y" + n})});
                           if (n == "0") parts.push_back({1, node("ConstantOfShape", {"shape"}, {"c"})});
                         },
                         {1, 1 << 18, 1, 1}, {millions})},
      {"Residuals", model_of(residuals, {1, 4, 6, 6}, {float_tensor("w", {4, 4, 1, 1}, 0.25f)})},
      {"LongLayerNorm", layer_norm(int64_t{1} << 30)},
      {"LongestLayerNorm", layer_norm(int64_t{1} << 40)},
      {"Folding", model_of(folding, {1 << 18}, {millions})},
  };
}

TEST(OnnxLoading, SmallFilesMakeLittle) {
#ifdef CONVOY_SANITIZED
  GTEST_SKIP() << "sanitizers take memory and time of their own";
#endif
  for (const SmallFile& file : small_files()) {
    ASSERT_LE(file.bytes.size(), size_t{1} << 21) << file.name;
    std::fflush(nullptr);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        Model::load_bytes(file.bytes);
      } catch (const Error& e) {
        std::fprintf(stderr, "%s", e.what());
        ::_exit(3);
      } catch (const std::bad_alloc&) {
        ::_exit(2);
      }
      const testing::Used used = testing::used_so_far();
      std::fprintf(stderr, "%-20s %8zu bytes: %4ld MiB, %.2f s\n", file.name, file.bytes.size(), used.mebibytes, used.seconds);
      ::_exit(used.mebibytes > 256 ? 4 : used.seconds > 5 ? 5 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << file.name << ": " << (WIFEXITED(status) ? WEXITSTATUS(status) : -1) << " (2, 4: memory, 3: refused, 5: time)";
  }
}

}  // namespace
}  // namespace convoy
