// Files that are wrong, each in one way: every one is refused with words of its own, that name the node, the attribute and the
// value, and a second line that says what would work; quickly and with little memory. R124 to R150 are numbers of known failures of
// other programs.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

#include "convoy/core/error.h"
#include "convoy/graph/operator.h"
#include "convoy/onnx/import.h"
#include "convoy/onnx/model.h"
#include "tests/onnx/model_bytes.h"
#include "tests/onnx/used.h"
#include "tests/refusal.h"
#include "tests/sanitized.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the builders

struct Refusal {
  const char* name;
  std::string bytes;
  std::string pattern;  // of what()
};

const std::string& small_model() {
  static const std::string kModel = model_of({node("Conv", {"x", "w"}, {"y"}, {attribute_ints("pads", {1, 1, 1, 1})}, "conv1")},
                                             {1, 2, 4, 4}, {float_tensor("w", {3, 2, 3, 3})});
  return kModel;
}

std::string with_initializer(const Message& tensor) { return model_of({node("Add", {"x", "w"}, {"y"})}, {1, 2, 4, 4}, {tensor}); }

std::string with_type(uint64_t type) {
  return model({{1, node("Relu", {"x"}, {"y"})}, {11, value_info("x", {2}, type)}, {12, Message().bytes(1, "y")}});
}

std::string with_sparse(const std::vector<int64_t>& indices, const std::vector<int64_t>& dims = {2, 3}) {
  Message sparse = Message().message(1, float_tensor("w", {2})).message(2, int64_tensor("", indices));
  for (const int64_t size : dims) sparse.integer(3, static_cast<uint64_t>(size));
  return model({{1, node("Add", {"x", "w"}, {"y"})}, {15, sparse}, {11, value_info("x", {2, 3})}, {12, Message().bytes(1, "y")}});
}

Message function(const std::string& name, const std::string& calls, int times = 1) {
  Message result = Message()
                       .bytes(1, name)
                       .bytes(4, "a")
                       .bytes(5, "b" + std::to_string(times))
                       .bytes(10, "local")
                       .message(9, Message().bytes(1, "").integer(2, 17));
  for (int i = 1; i <= times; ++i) {
    result.message(7, node(calls, {i == 1 ? "a" : "b" + std::to_string(i - 1)}, {"b" + std::to_string(i)}, {}, "",
                           calls == "Relu" ? "" : "local"));
  }
  return result;
}

std::string with_functions(const std::string& first, const std::vector<Message>& functions) {
  return model({{1, node(first, {"x"}, {"y"}, {}, "", "local")}, {11, value_info("x", {2})}, {12, Message().bytes(1, "y")}}, 17,
               functions);
}

std::vector<Refusal> refusals() {
  const Message w = float_tensor("w", {3, 2, 3, 3});
  const auto conv = [&](const std::vector<Message>& attributes, const Message& weight) {
    return model_of({node("Conv", {"x", "w"}, {"y"}, attributes, "conv1")}, {1, 2, 4, 4}, {weight});
  };
  const auto unary = [&](const std::string& op, const std::vector<Message>& attributes, uint64_t opset = 17) {
    return model_of({node(op, {"x"}, {"y"}, attributes, "n1")}, {1, 2, 4, 4}, {}, opset);
  };
  const auto with_list = [&](const std::string& op, const std::vector<int64_t>& list,
                             const std::vector<int64_t>& shape = {1, 2, 4, 4}, uint64_t opset = 17) {
    return model_of({node(op, {"x", "list"}, {"y"}, {}, "n1")}, shape, {int64_tensor("list", list)}, opset);
  };
  // Constants of a megabyte each, all of them wanted; and one that grows by four each time.
  std::vector<Message> many_constants, growing{node("ConstantOfShape", {"s"}, {"g0"}, {}, "g")};
  for (int i = 0; i < 60; ++i) {
    const std::string number = std::to_string(i);
    many_constants.push_back(node("ConstantOfShape", {"s"}, {"c" + number}, {}, "m" + number));
    many_constants.push_back(
        node("Add", {i == 0 ? "x" : "v" + std::to_string(i - 1), "c" + number}, {i == 59 ? "y" : "v" + number}));
  }
  for (int i = 1; i < 12; ++i)
    growing.push_back(node("Tile", {"g" + std::to_string(i - 1), "four"}, {"g" + std::to_string(i)}, {}, "t" + std::to_string(i)));
  growing.push_back(node("Add", {"x", "g11"}, {"y"}));
  Message deep = Message().message(1, Message().integer(1, kFloat));
  for (int i = 0; i < 60; ++i) deep = Message().message(4, Message().message(1, deep));
  std::vector<Message> chain;
  for (int i = 0; i < 60; ++i) chain.push_back(function("f" + std::to_string(i), i == 59 ? "Relu" : "f" + std::to_string(i + 1)));
  std::vector<Message> doubling;
  for (int i = 0; i < 20; ++i)
    doubling.push_back(function("f" + std::to_string(i), i == 19 ? "Relu" : "f" + std::to_string(i + 1), 2));

  return {
      // R142: no model at all.
      {"Empty", "", "the file is empty\n"},
      {"Text", "<html><body>404 not found</body></html>", "not an ONNX model: .*\n"},
      {"Truncated", small_model().substr(0, small_model().size() - 40),
       "not an ONNX model: damaged or cut off at byte \\d+ of \\d+\n"},
      {"NoGraph", Message().integer(1, 8).str(), "not an ONNX model: it holds no graph\n"},
      {"IrVersion", Message().integer(1, 0).message(7, Message()).str(), "ir_version is 0\n"},
      // R143: lengths and numbers that no file can have.
      {"VarintTooLong", std::string("\x08") + std::string(10, '\xff') + "\x01", "damaged or cut off at byte 0 of 12\n"},
      {"LengthNegative", std::string("\x08\x08\x3a") + std::string(9, '\xff') + "\x01", "damaged or cut off at byte 2 of 13\n"},
      {"LengthBeyond", "\x08\x08\x3a\xff\xff\xff\xff\x07", "damaged or cut off at byte 2 of 8\n"},
      {"Group", "\x08\x08\x08\x08\x3b\x3c", "damaged or cut off at byte 4 of 6\n"},
      {"FieldZero", std::string("\x08\x08\x00\x00", 4), "damaged or cut off at byte 2 of 4\n"},
      {"WireType", Message().integer(1, 8).integer(7, 5).str(), "field 7 .* has another wire type than onnx.proto says\n"},
      // R141: versions, types and names that are not there.
      {"Opset999", unary("Relu", {}, 999), "opset_import is 999\n.*opsets 1 to 25"},
      {"Opset0", unary("Relu", {}, 0), "opset_import is 0\n.*opsets 1 to 25"},
      {"Opset1sReshape", unary("Reshape", {attribute_ints("shape", {2, 16})}, 1), "node 'n1' \\(Reshape\\) has 1 inputs"},
      {"DataType999", with_initializer(tensor_header("w", {1}, 999)),
       "initializer \"w\": data_type is 999, which is no type of ONNX\n"},
      {"Complex", with_initializer(tensor_header("w", {1}, 14)), "data_type is COMPLEX64\n"},
      // R140: numbers of types are looked up within bounds.
      {"InputTypeNegative", with_type(uint64_t(-1)), "the element type of input \"x\" is -1, which is no type of ONNX\n"},
      {"InputTypeMost", with_type(uint64_t{1} << 32 | 1), "the element type of input \"x\" is 4294967297, which is no type"},
      {"InputType", with_type(17), "the element type of input \"x\" is FLOAT8E4M3FN\n"},
      {"UnknownOperator", unary("Frobnicate", {}), "node 'n1' \\(Frobnicate\\): Convoy has no operator \"Frobnicate\"\n"},
      {"NearOperator", unary("Rellu", {}), "no operator \"Rellu\"; did you mean 'Relu'\\?\n"},
      {"Domain", model_of({node("FusedConv", {"x"}, {"y"}, {}, "n1", "com.microsoft")}),
       "node 'n1' \\(FusedConv\\): the domain \"com.microsoft\" is not supported\n"},
      // R132, R133: values that do not fit.
      {"RawTooShort", with_initializer(tensor_header("w", {2, 72}, kFloat).bytes(9, std::string(100, 0))),
       "initializer \"w\": raw_data has 100 bytes, dims \\[2, 72\\] of float32 need 576\n"},
      {"RawOdd", with_initializer(tensor_header("w", {1}, kFloat).bytes(9, std::string(5, 0))),
       "raw_data has 5 bytes, dims \\[1\\] of float32 need 4\n"},
      {"RawMissing", with_initializer(tensor_header("w", {3}, kFloat)), "float_data has 0 elements, dims \\[3\\] need 3\n"},
      {"TypedTooMany", with_initializer(tensor_header("w", {2}, kInt64).bytes(7, std::string("\1\2\3"))),
       "int64_data has 3 elements, dims \\[2\\] need 2\n"},
      {"DimsOverflow", with_initializer(tensor_header("w", {int64_t{1} << 39, int64_t{1} << 39}, kFloat)),
       "dims .* need more than \\d+ bytes\n"},
      {"ConvTypes", conv({}, tensor_header("w", {3, 2, 3, 3}, 11).bytes(9, std::string(54 * 8, '\0'))),
       "node 'conv1' \\(Conv\\): input 1 is float64, input 0 float32\n"},
      {"PadMode",
       model_of({node("Pad", {"x", "p"}, {"z"}, {attribute_text("mode", "zeros")}, "pad"), node("Conv", {"z", "w"}, {"y"})},
                {1, 2, 4, 4}, {int64_tensor("p", {0, 0, 1, 1, 0, 0, 1, 1}), w}),
       "node 'pad' \\(Pad\\): attribute 'mode' is 'zeros'\n.*reflect"},
      {"DimsOverflowBesideZero", with_initializer(tensor_header("w", {int64_t{1} << 39, int64_t{1} << 39, 0}, kFloat)),
       "initializer \"w\": dims \\[549755813888, 549755813888, 0\\] need more than"},
      {"DimsHuge", with_initializer(tensor_header("w", {int64_t{1} << 62}, kFloat)),
       "initializer \"w\": dims has a size of 4611686018427387904\n"},
      {"DimsNegative", with_initializer(tensor_header("w", {-1, 4}, kFloat)), "initializer \"w\": dims has a negative size: -1\n"},
      {"DimsMany", with_initializer(tensor_header("w", std::vector<int64_t>(17, 1), kFloat)),
       "initializer \"w\": dims has more than 16 sizes\n"},
      {"ShapeNegative",
       model({{1, node("Relu", {"x"}, {"y"})},
              {11, Message().bytes(1, "x").message(
                       2, Message().message(
                              1, Message().integer(1, 1).message(2, Message().message(1, Message().integer(1, uint64_t(-5))))))},
              {12, Message().bytes(1, "y")}}),
       "the shape of input \"x\" has a size of -5\n"},
      {"Nesting",
       model({{1, node("Relu", {"x"}, {"y"})}, {11, Message().bytes(1, "x").message(2, deep)}, {12, Message().bytes(1, "y")}}),
       "nested more than 32 deep\n"},
      {"SparseOutside", with_sparse({0, 6}), "sparse_initializer: a sparse tensor has an index outside its shape \\[2, 3\\]\n"},
      {"SparseNegative", with_sparse({-1, 0}, {2, 4}), "a sparse tensor has an index outside its shape \\[2, 4\\]\n"},
      {"SparseTwice", with_sparse({4, 4}), "the indices of a sparse tensor do not ascend\n"},
      {"SparseCount", with_sparse({0, 1, 2}), "a sparse tensor has \\[2\\] values and \\[3\\] indices\n"},
      {"SparseHuge", with_sparse({0, 1}, {1 << 20, 1 << 20}), "would need more than 16777216 bytes\n"},
      {"Segment", with_initializer(float_tensor("w", {1}).message(3, Message().integer(1, 0))),
       "it is a segment of a larger tensor\n"},
      // R124 to R130: values in other files.
      {"External",
       with_initializer(
           tensor_header("w", {4}, kFloat).message(13, Message().bytes(1, "location").bytes(2, "w.bin")).integer(14, 1)),
       "initializer \"w\": its values lie in another file, \"w.bin\"\n.*ModelOptions::external_data"},
      // R136: functions in a ring, too deep, too often.
      {"FunctionCycle", with_functions("foo", {function("foo", "bar"), function("bar", "foo")}),
       "function cycle: local:foo -> local:bar -> local:foo\n"},
      {"FunctionItself", with_functions("foo", {function("foo", "foo")}), "function cycle: local:foo -> local:foo\n"},
      {"FunctionDepth", with_functions("f0", chain), "functions call functions more than 32 deep\n"},
      {"FunctionBomb", with_functions("f0", doubling), "more than 16384 nodes\n"},
      {"FunctionTwice", with_functions("foo", {function("foo", "Relu"), function("foo", "Relu")}),
       "the function \"local:foo\" is defined twice\n"},
      // R137 to R139: the graph.
      {"Cycle",
       model_of(
           {node("Add", {"x", "b"}, {"a"}, {}, "n1"), node("Relu", {"a"}, {"b"}, {}, "n2"), node("Relu", {"b"}, {"y"}, {}, "n3")}),
       "the graph goes in a ring: node 'n[12]' .* -> node 'n[12]' .* -> node 'n[12]'"},
      {"UndefinedInput", model_of({node("Conv", {"x", "nope"}, {"y"}, {}, "conv1")}),
       "node 'conv1' \\(Conv\\) input \"nope\" is not defined\n"},
      {"NearInput", model_of({node("Relu", {"x"}, {"hidden"}), node("Relu", {"hiden"}, {"y"}, {}, "n2")}),
       "input \"hiden\" is not defined; did you mean 'hidden'\\?\n"},
      {"Duplicate", model_of({node("Relu", {"x"}, {"y"}, {}, "n1"), node("Neg", {"x"}, {"y"}, {}, "n2")}),
       "duplicate definition of \"y\": node 'n2' \\(Neg\\) makes it again\n"},
      {"DuplicateInitializer", model_of({node("Add", {"x", "w"}, {"y"})}, {1}, {float_tensor("w", {1}), float_tensor("w", {1})}),
       "duplicate definition of \"w\": two initializers\n"},
      {"DuplicateInput",
       model({{1, node("Relu", {"x"}, {"y"})},
              {11, value_info("x", {2})},
              {11, value_info("x", {2})},
              {12, Message().bytes(1, "y")}}),
       "duplicate definition of \"x\": two inputs\n"},
      {"OutputMissing", model_of({node("Relu", {"x"}, {"z"})}), "output \"y\" is not defined: no node makes it\n"},
      {"NoOutputs", model({{1, node("Relu", {"x"}, {"y"})}, {11, value_info("x", {2})}}), "the graph has no outputs\n"},
      {"InputNameless", model({{1, node("Relu", {"x"}, {"y"})}, {11, value_info("", {2})}, {12, Message().bytes(1, "y")}}),
       "input has no name\n"},
      {"ControlName", model_of({node("Relu", {"x"}, {"y"}, {}, "a\x1b[2Jb")}), "the name of a node has control characters: .*\n"},
      {"TurnedName",
       model_of({node("Relu", {"x"}, {"y"}, {},
                      "gnp.\xe2\x80\xae"
                      "exe")}),
       "the name of a node has control characters: \"gnp.\\\\xe2\\\\x80\\\\xaeexe\"\n"},
      {"NoUtf8Name", model_of({node("Relu", {"x"}, {"y\xff"})}), "the name of a value is not UTF-8 at its byte 1: \"y\\\\xff\"\n"},
      {"AttributeControl", conv({attribute_text("auto_pad", "\x1b[2J")}, w), "attribute 'auto_pad' is \"\\\\x1b\\[2J\"\n"},
      {"AttributeLong", conv({attribute_text("auto_pad", std::string(100000, 'S'))}, w),
       "attribute 'auto_pad' is \"S{120}\\.\\.\\.\"\n"},
      {"LongName", model_of({node("Relu", {"x"}, {"y"}, {}, std::string(5000, 'n'))}), "the name of a node has 5000 bytes: .*\n"},
      {"OutputType", model({{1, node("Relu", {"x"}, {"y"})}, {11, value_info("x", {2})}, {12, value_info("y", {2}, kInt64)}}),
       "output \"y\" is float32 \\[2\\], the file says int64 \\[2\\]\n"},
      {"InputAndInitializer",
       model({{1, node("Add", {"x", "w"}, {"y"})},
              {5, float_tensor("w", {3})},
              {11, value_info("x", {2})},
              {11, value_info("w", {4})},
              {12, Message().bytes(1, "y")}}),
       "initializer \"w\" is float32 \\[3\\], the input of that name float32 \\[4\\]\n"},
      // Nodes.
      {"TooFewInputs", model_of({node("Conv", {"x"}, {"y"}, {}, "conv1")}),
       "node 'conv1' \\(Conv\\) has 1 inputs\nit takes 2 to 3"},
      {"LeftOutInput", model_of({node("Conv", {"x", ""}, {"y"}, {}, "conv1")}),
       "node 'conv1' \\(Conv\\) has 2 inputs, one of them left out\n"},
      {"TooManyInputs", model_of({node("Relu", {"x", "x"}, {"y"}, {}, "n1")}), "node 'n1' \\(Relu\\) has 2 inputs\nit takes 1"},
      {"TooManyOutputs", model_of({node("Relu", {"x"}, {"y", "z"}, {}, "n1")}),
       "node 'n1' \\(Relu\\) has 2 outputs\nit makes up to 1"},
      {"UnknownAttribute", conv({attribute_ints("pad", {1, 1})}, w),
       "node 'conv1' \\(Conv\\): unknown attribute \"pad\"; did you mean 'pads'\\?\nit takes "},
      {"AttributeType", conv({attribute_text("strides", "2")}, w),
       "node 'conv1' \\(Conv\\): attribute 'strides' is a string\nit must be a list of integers"},
      {"AttributeTypeNumber", conv({Message().bytes(1, "group").integer(3, 1).integer(20, 99)}, w),
       "attribute 'group' has the type 99\n"},
      {"TextConstant",
       model_of({node("Constant", {}, {"c"}, {Message().bytes(1, "value_string").bytes(4, "text").integer(20, 3)}),
                 node("Relu", {"x"}, {"y"})}),
       "a node \\(Constant\\) without a name: its value is text\n"},
      {"AttributeTwice", conv({attribute_int("group", 1), attribute_int("group", 1)}, w), "attribute 'group' is given twice\n"},
      {"AttributeMissing", unary("MaxPool", {}),
       "node 'n1' \\(MaxPool\\): attribute 'kernel_shape' is missing\nit must be a list of integers"},
      {"AttributeGraph",
       model_of({node("If", {"x"}, {"y"}, {Message().bytes(1, "then_branch").message(6, Message()).integer(20, 5)}, "n1")}),
       "node 'n1' \\(If\\): control flow \\(If, Loop, Scan\\) is not supported\nexport a model without it"},
      {"Loop", unary("Loop", {}), "node 'n1' \\(Loop\\): control flow"},
      {"Scan", unary("Scan", {}), "node 'n1' \\(Scan\\): control flow"},
      {"AttributeReference", conv({Message().bytes(1, "group").bytes(21, "g").integer(20, 2)}, w),
       "attribute 'group' refers to \"g\" outside a function\n"},
      // Windows: R017 to R020, R047.
      {"Stride0", conv({attribute_ints("strides", {0, 1})}, w), "node 'conv1' \\(Conv\\): attribute 'strides' is \\[0, 1\\]\n"},
      {"Dilation0", conv({attribute_ints("dilations", {1, 0})}, w), "attribute 'dilations' is \\[1, 0\\]\n"},
      {"DilationOfUnknownInput",
       model({{1, node("Conv", {"x", "w"}, {"a"}, {attribute_ints("dilations", {0, 0})}, "conv1")},
              {1, node("Conv", {"x", "w"}, {"b"}, {attribute_ints("dilations", {0, 0})}, "conv2")},
              {1, node("Add", {"a", "b"}, {"y"})},
              {5, w},
              {11, Message().bytes(1, "x").message(2, Message().message(1, Message().integer(1, kFloat)))},
              {12, Message().bytes(1, "y")}}),
       "node 'conv1' \\(Conv\\): attribute 'dilations' is \\[0, 0\\]\n"},
      {"BiasCount", model_of({node("Conv", {"x", "w", "b"}, {"y"}, {}, "conv1")}, {1, 2, 4, 4}, {w, float_tensor("b", {5})}),
       "node 'conv1' \\(Conv\\): the bias has shape \\[5\\] for \\[3\\] output channels\nit needs one number for each"},
      {"StridesLength", conv({attribute_ints("strides", {1})}, w), "attribute 'strides' is \\[1\\]\n"},
      {"PadsLength", conv({attribute_ints("pads", {1, 1})}, w), "attribute 'pads' is \\[1, 1\\]\n"},
      {"PadsNegative", conv({attribute_ints("pads", {-1, 1, 1, 1})}, w), "attribute 'pads' is \\[-1, 1, 1, 1\\]\n"},
      {"Group0", conv({attribute_int("group", 0)}, w), "attribute 'group' is 0\n"},
      {"GroupMost", conv({attribute_int("group", INT64_MIN)}, w), "attribute 'group' is -9223372036854775808\n"},
      {"Channels", conv({}, float_tensor("w", {3, 5, 3, 3})),
       "the input has 2 channels, the weight \\[3, 5, 3, 3\\] in 1 groups\n"},
      {"KernelShape", conv({attribute_ints("kernel_shape", {5, 5})}, w),
       "attribute 'kernel_shape' is \\[5, 5\\]\nthe weight's kernel is \\[3, 3\\]"},
      {"KernelLarger", conv({}, float_tensor("w", {3, 2, 5, 5})), "spatial axis 0: .*\nsize 4, kernel 5"},
      {"DilationOverflow", conv({attribute_ints("dilations", {INT64_MAX, 1})}, w),
       "node 'conv1' \\(Conv\\): .*(dilation|overflow|64 bits)"},
      {"AutoPad", conv({attribute_text("auto_pad", "SOMETIMES")}, w),
       "attribute 'auto_pad' is 'SOMETIMES'\nuse NOTSET, SAME_UPPER, SAME_LOWER or VALID"},
      {"WeightRank", conv({}, float_tensor("w", {3, 2})), "the input is \\[1, 2, 4, 4\\], the weight \\[3, 2\\]\n"},
      {"PoolKernel0", unary("MaxPool", {attribute_ints("kernel_shape", {0, 1})}), "attribute 'kernel_shape' is \\[0, 1\\]\n"},
      {"PoolRank", unary("AveragePool", {attribute_ints("kernel_shape", {2})}), "attribute 'kernel_shape' is \\[2\\]\n"},
      {"BlockSize0", unary("DepthToSpace", {attribute_int("blocksize", 0)}), "attribute 'blocksize' is 0\n"},
      {"BlockSizeHuge", unary("SpaceToDepth", {attribute_int("blocksize", int64_t{1} << 32)}),
       "attribute 'blocksize' is 4294967296\n"},
      {"BlockSize", unary("DepthToSpace", {attribute_int("blocksize", 2)}),
       "attribute 'blocksize' is 2\nits square must divide the 2 channels"},
      // R135: constants that loading makes.
      {"ManyConstants", model_of(many_constants, {1 << 18}, {int64_tensor("s", {1 << 18})}),
       "model: node 'm32' \\(ConstantOfShape\\): value 'c32' of 1048576 bytes makes the network's constants "
       "larger.*\n.*memory_budget"},
      {"GrowingConstants", model_of(growing, {1}, {int64_tensor("s", {1 << 18}), int64_tensor("four", {4})}),
       "model: node 't3' \\(Tile\\): value 'g3' of 67108864 bytes makes the network's constants larger"},
      // Shapes: R144.
      {"ReshapeCount", with_list("Reshape", {3, -1}, {256}),
       "an input of shape \\[256\\] cannot be reshaped to \\[3, -1\\]\nit has 256 elements"},
      {"ReshapeTwo", with_list("Reshape", {-1, -1}, {256}), "input 'shape' is \\[-1, -1\\]\nonly one size may be -1"},
      {"ReshapeNegative", with_list("Reshape", {-2, 4}), "input 'shape' is \\[-2, 4\\]\n"},
      {"ReshapeOverflow", with_list("Reshape", {int64_t{1} << 62, int64_t{1} << 62, 4}),
       "node 'n1' \\(Reshape\\): input 'shape' is .*\nits sizes do not fit 64 bits together"},
      {"SoftmaxAxis", unary("Softmax", {attribute_int("axis", 9)}), "node 'n1' \\(Softmax\\): axis 9 is outside \\[-4, 3\\]\n"},
      {"OldSoftmaxAxisMost", unary("Softmax", {attribute_int("axis", INT64_MAX)}, 9),
       "axis 9223372036854775807 is outside \\[-4, 3\\]\n"},
      {"GatherIndex",
       model_of({node("Shape", {"x"}, {"s"}), node("Gather", {"s", "i"}, {"y"}, {}, "n1")}, {1, 2, 4, 4}, {int64_tensor("i", {4})}),
       "node 'n1' \\(Gather\\): indices has 4\nthe axis has 4 entries"},
      {"BatchNormVectors",
       model_of({node("BatchNormalization", {"x", "v", "v", "v", "v"}, {"y"}, {}, "bn")}, {1, 4, 2, 2}, {float_tensor("v", {3})}),
       "node 'bn' \\(BatchNormalization\\): scale has shape \\[3\\]\nthe input has 4 channels"},
      {"TransposePerm", unary("Transpose", {attribute_ints("perm", {0, 1, 1, 2})}), "attribute 'perm' is \\[0, 1, 1, 2\\]\n"},
      {"TransposeLong", unary("Transpose", {attribute_ints("perm", std::vector<int64_t>(3000, 7))}),
       "attribute 'perm' is \\[(7, ){64}\\.\\.\\. 3000 numbers\\]\n"},
      {"SqueezeSize", with_list("Squeeze", {1}), "axis 1 has size 2\n"},
      {"UnsqueezeTwice", with_list("Unsqueeze", {0, 0}), "axes name axis 0 twice\n"},
      {"ConcatSizes",
       model_of({node("Concat", {"x", "w"}, {"y"}, {attribute_int("axis", 0)}, "n1")}, {1, 2}, {float_tensor("w", {1, 3})}),
       "input 1 is \\[1, 3\\], input 0 \\[1, 2\\]\n"},
      {"SplitSizes",
       model_of({node("Split", {"x", "s"}, {"y", "z"}, {attribute_int("axis", 1)}, "n1")}, {1, 4}, {int64_tensor("s", {1, 2})}),
       "split is \\[1, 2\\]\n.* add up to 4"},
      {"PadCrop", with_list("Pad", {0, 0, 0, -9, 0, 0, 0, 0}), "pads has -9 and 0 for axis 3\n"},
      {"PadOverflow", with_list("Pad", {0, 0, 0, INT64_MAX, 0, 0, 0, INT64_MAX}),
       "node 'n1' \\(Pad\\): pads has 9223372036854775807 and 9223372036854775807 for axis 3\n"},
      {"PadCount", with_list("Pad", {1, 1}), "pads has 2 numbers\n"},
      {"TileOverflow", with_list("Tile", {1, 1, 1, INT64_MAX}), "input 'repeats' has 9223372036854775807\n"},
      {"ExpandShape", with_list("Expand", {3, 3}), "shapes \\[1, 2, 4, 4\\] and \\[3, 3\\] cannot be broadcast together\n"},
      {"AddShapes", with_initializer(float_tensor("w", {3})), "shapes \\[1, 2, 4, 4\\] and \\[3\\] cannot be broadcast together\n"},
      // R111
      {"GemmRank", model_of({node("Gemm", {"x", "w"}, {"y"}, {}, "n1")}, {3}, {float_tensor("w", {3, 4})}),
       "node 'n1' \\(Gemm\\): input 0 has 1 axes: \\[3\\]\n"},
      {"MatMulShapes", model_of({node("MatMul", {"x", "w"}, {"y"}, {}, "n1")}, {2, 3}, {float_tensor("w", {4, 5})}),
       "shapes \\[2, 3\\] and \\[4, 5\\] cannot be multiplied\n"},
      {"SliceStep0",
       model_of({node("Slice", {"x", "a", "b", "c", "d"}, {"y"}, {}, "n1")}, {4},
                {int64_tensor("a", {0}), int64_tensor("b", {4}), int64_tensor("c", {0}), int64_tensor("d", {0})}),
       "steps has a 0\n"},
      {"CastType", unary("Cast", {attribute_int("to", 99)}), "attribute 'to' is 99, which is no type of ONNX\n"},
      {"ConstantOfShapeNegative", model_of({node("ConstantOfShape", {"s"}, {"y"}, {}, "n1")}, {1}, {int64_tensor("s", {-4})}),
       "the shape is \\[-4\\]\n"},
      {"UnsqueezeMany",
       with_list("Unsqueeze",
                 [] {
                   std::vector<int64_t> axes;
                   for (int64_t i = 0; i < 3000; ++i) axes.push_back(i);
                   return axes;
                 }()),
       "axes\n"},
  };
}

std::string message_of(const std::string& bytes) {
  try {
    Model::load_bytes(bytes);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(OnnxRefusals, EachHasWordsOfItsOwn) {
  ASSERT_EQ(message_of(small_model()), "");
  std::map<std::string, std::string> seen;
  for (const Refusal& row : refusals()) {
    const std::string message = message_of(row.bytes);
    EXPECT_TRUE(std::regex_search(message, std::regex(row.pattern))) << row.name << ": " << message;
    EXPECT_NE(message.find('\n'), std::string::npos) << row.name << " says nothing about what would work: " << message;
    EXPECT_TRUE(seen.emplace(message, row.name).second) << row.name << " has the words of " << seen[message];
    EXPECT_EQ(message.rfind("model: ", 0), 0u) << row.name << " does not begin with the file: " << message;
  }
}

// ---- little time, little memory ----

std::string bomb(const std::string& unit, uint32_t number = 1, size_t size = 1 << 20) {
  std::string graph;
  Message part = Message().bytes(number, unit);
  while (graph.size() + part.str().size() < size - 64) graph += part.str();
  return Message().integer(1, 8).bytes(7, graph).message(8, Message().bytes(1, "").integer(2, 17)).str();
}

std::vector<Refusal> bombs() {
  const auto in_node = [](const std::string& unit, uint32_t number) {
    std::string inside = Message().bytes(4, "Relu").str();
    const std::string part = Message().bytes(number, unit).str();
    while (inside.size() < 1000000) inside += part;
    return Message().integer(1, 8).message(7, Message().bytes(1, inside)).message(8, Message().bytes(1, "").integer(2, 17)).str();
  };
  std::string numbers(1000000, '\1');
  Message strings = Message().bytes(1, "stopwords");
  while (strings.str().size() < 1000000) strings.bytes(9, "");
  std::vector<Message> ring;
  for (int i = 0; i < 16000; ++i) ring.push_back(node("Relu", {"v" + std::to_string((i + 1) % 16000)}, {"v" + std::to_string(i)}));
  std::vector<Message> unnamed;
  for (int i = 0; i < 240; ++i)
    unnamed.push_back(node("Relu", {"x"}, {std::string(4000, static_cast<char>('a' + i % 26)) + std::to_string(i)}));
  unnamed.push_back(node("Relu", {std::string(4000, 'b')}, {"y"}));
  std::vector<Message> many;
  for (int i = 0; i < 16000; ++i)
    many.push_back(node("Relu", {i == 0 ? "x" : "v" + std::to_string(i - 1)}, {"v" + std::to_string(i)}));
  std::string values;
  while (values.size() < 900000)
    values += Message().message(5, tensor_header("w" + std::to_string(values.size()), {0}, kFloat).bytes(9, "")).str();
  // Everything right, at every limit, and an unknown operator at the end.
  const auto chain = [](const std::string& op, int count, const std::vector<std::string>& more = {},
                        const std::vector<Message>& attributes = {}) {
    std::vector<Part> parts;
    for (int i = 0; i < count; ++i) {
      std::vector<std::string> inputs{i == 0 ? "x" : "v" + std::to_string(i - 1)};
      inputs.insert(inputs.end(), more.begin(), more.end());
      parts.push_back({1, node(op, inputs, {"v" + std::to_string(i)}, attributes)});
    }
    return parts;
  };
  const auto ended = [](std::vector<Part> parts, const Message& input, uint64_t opset = 17,
                        const std::vector<Message>& functions = {}) {
    parts.push_back({1, node("Frobnicate", {"x"}, {"y"})});
    parts.push_back({11, input});
    parts.push_back({12, Message().bytes(1, "y")});
    return model(parts, opset, functions);
  };
  const std::vector<int64_t> sixteen(16, 2);
  Message long_sizes;
  for (int i = 0; i < 16; ++i) long_sizes.message(1, Message().bytes(2, std::string(4000, static_cast<char>('a' + i))));
  const Message long_input =
      Message().bytes(1, "x").message(2, Message().message(1, Message().integer(1, kFloat).message(2, long_sizes)));
  std::vector<Part> contents = chain("Identity", 15000, {}, {});
  contents[0] = {1, node("Shape", {"x"}, {"v0"})};
  std::vector<Part> calls, splits, tiny, constants;
  for (int i = 0; i < 8000; ++i) calls.push_back({1, node("f", {"x"}, {"c" + std::to_string(i)}, {}, "", "local")});
  for (int k = 0; k < 7; ++k) {
    std::vector<std::string> names;
    for (int i = 0; i < 4096; ++i) names.push_back("o" + std::to_string(k) + "_" + std::to_string(i));
    splits.push_back({1, node("Split", {"x"}, names)});
  }
  for (int i = 0; i < 16000; ++i) tiny.push_back({5, Message().integer(1, 0).integer(2, 1).bytes(8, "w" + std::to_string(i))});
  for (int i = 0; i < 16000; ++i)
    constants.push_back({1, node("Constant", {}, {"c" + std::to_string(i)}, {attribute_float("value_float", 1)})});
  const auto wide_function = [](uint32_t field) {
    Message f = Message().bytes(1, "f").bytes(4, "a").bytes(5, "b").bytes(10, "local").message(7, node("Relu", {"a"}, {"b"}));
    f.message(9, Message().bytes(1, "").integer(2, 17));
    for (int i = 0; i < 30000; ++i) {
      const std::string name = "i" + std::to_string(i);
      if (field == 9) f.message(9, Message().bytes(1, name).integer(2, 1));
      if (field != 9) f.bytes(field, name);
    }
    return f;
  };
  std::vector<Part> gradients = chain("Mul", 6000, {"x"});
  for (int i = 0; i < 6000; ++i) {
    gradients.push_back({1, node("Gradient", {"x"}, {"g" + std::to_string(i)},
                                 {Message().bytes(1, "xs").bytes(9, "x").integer(20, 8), attribute_text("y", "v0")}, "",
                                 "ai.onnx.preview.training")});
  }
  const auto last = [&](std::vector<Part> parts, const Message& tensor) {
    parts.push_back({5, tensor});
    return parts;
  };
  return {
      {"ChainOfShapes", ended(chain("Transpose", 16000), value_info("x", sixteen)), "Frobnicate"},
      {"ChainOfCasts", ended(chain("Cast", 16000, {}, {attribute_int("to", 1)}), value_info("x", sixteen)), "Frobnicate"},
      {"ChainOfLongSizes", ended(chain("Relu", 16000), long_input), "Frobnicate"},
      {"ContentsOfLongSizes", ended(contents, long_input), "Frobnicate"},
      {"OldSoftmax", ended(chain("Softmax", 16000), value_info("x", sixteen), 9), "more than 16384 nodes|Frobnicate"},
      {"GroupNorms",
       ended(last(chain("GroupNormalization", 12000, {"w", "w"}, {attribute_int("num_groups", 1)}), float_tensor("w", {1})),
             value_info("x", {1, 4, 2, 2}), 18),
       "more than 16384 nodes|Frobnicate"},
      {"Gradients", ended(gradients, value_info("x", {2})), "more than 256 nodes of training"},
      {"Splits", ended(splits, value_info("x", {4096, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2})), "Frobnicate"},
      {"TinyInitializers", ended(tiny, value_info("x", {2})), "Frobnicate"},
      {"TinyConstants", ended(constants, value_info("x", {2})), "Frobnicate"},
      {"FunctionInputs", ended(calls, value_info("x", {2}), 17, {wide_function(4)}), "make much more than the file holds"},
      {"FunctionOutputs", ended(calls, value_info("x", {2}), 17, {wide_function(5)}), "Frobnicate|make much more"},
      {"FunctionOpsets", ended(calls, value_info("x", {2}), 17, {wide_function(9)}), "Frobnicate"},
      {"ReshapeOfManyAxes",
       ended({{1, node("Reshape", {"x", "s"}, {"a"})}, {5, int64_tensor("s", std::vector<int64_t>(100000, 1))}},
             value_info("x", {1})),
       "input 'shape' has 100000 numbers"},
      {"EmptyNodes", bomb(""), "nodes"},
      {"EmptyInitializers", bomb("", 5), "initializers"},
      {"EmptyInputs", bomb("", 11), "inputs"},
      {"Inputs", in_node("", 1), "inputs"},
      {"Attributes", in_node("", 5), "attributes"},
      {"Numbers", model_of({node("Softmax", {"x"}, {"y"}, {Message().bytes(1, "axis").bytes(8, numbers).integer(20, 7)})}), ""},
      {"Strings", model_of({node("StringNormalizer", {"x"}, {"y"}, {strings.integer(20, 8)})}), "too many entries"},
      {"Ring", model_of(ring), "ring"},
      {"LongNames", model_of(unnamed), "not defined"},
      {"Chain", model_of(many), "output \"y\" is not defined"},
      {"Initializers", Message().integer(1, 8).bytes(7, values).message(8, Message().bytes(1, "").integer(2, 17)).str(),
       "initializers"},
      {"Noise", std::string(1 << 20, '\xff'), "not an ONNX model"},
  };
}

TEST(OnnxRefusals, Within100MillisecondsAnd64MiB) {
#ifdef CONVOY_SANITIZED
  GTEST_SKIP() << "sanitizers take memory and time of their own";
#endif
  const std::vector<Refusal> rows = [] {
    std::vector<Refusal> all = refusals();
    for (Refusal& row : bombs()) all.push_back(std::move(row));
    return all;
  }();
  for (const Refusal& row : rows) {
    ASSERT_LE(row.bytes.size(), size_t{1} << 21) << row.name;
    int status = 0;
    // The host may take the processor away meanwhile: three times in a row it does not.
    for (int attempt = 0; attempt == 0 || (attempt < 3 && WIFEXITED(status) && WEXITSTATUS(status) == 4); ++attempt) {
      std::fflush(nullptr);
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        // What is mapped now and 64 MiB more.
        std::ifstream statm("/proc/self/statm");
        size_t pages = 0;
        statm >> pages;
        const rlim_t most = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + (rlim_t{64} << 20);
        const rlimit limit{most, most};
        ::setrlimit(RLIMIT_AS, &limit);
        std::string message;
        try {
          message = message_of(row.bytes);
        } catch (const std::bad_alloc&) {
          ::_exit(2);
        }
        const double seconds = testing::used_so_far().seconds;
        std::fprintf(stderr, "%-24s %.1f ms %s\n", row.name, seconds * 1e3, message.substr(0, 90).c_str());
        if (message.empty() || message.find(row.pattern) == std::string::npos) {
          if (!std::regex_search(message, std::regex(row.pattern)) || message.empty()) ::_exit(3);
        }
        // Beside others even that grows; the promise is that of a machine at rest.
        ::_exit(seconds < 0.1 * 3 ? 0 : 4);
      }
      ASSERT_EQ(::waitpid(child, &status, 0), child);
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << row.name << ": " << (WIFEXITED(status) ? WEXITSTATUS(status) : -1) << " (2: memory, 3: not refused, 4: time)";
  }
}

// ---- R124 to R130: values in other files, when they are allowed ----

Message external(const std::vector<std::pair<std::string, std::string>>& entries) {
  Message tensor = tensor_header("w", {2}, kFloat).integer(14, 1);
  for (const auto& [key, value] : entries) tensor.message(13, Message().bytes(1, key).bytes(2, value));
  return tensor;
}

std::string external_message(const TemporaryFolder& folder, const std::vector<std::pair<std::string, std::string>>& entries) {
  folder.write("models/m.onnx", model_of({node("Add", {"x", "w"}, {"y"})}, {2}, {external(entries)}));
  try {
    const Model model = Model::load(folder.path("models/m.onnx"), {.external_data = true});
    const Tensor y = model.run({{"x", Tensor::zeros({2})}}).at("y");
    EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{1, 2}));
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(OnnxExternalData, OnlyFromTheModelsFolderAndOnlyWhatIsThere) {
  const TemporaryFolder folder;
  const float values[] = {1, 2};
  const std::string bytes(reinterpret_cast<const char*>(values), 8);
  folder.write("models/w.bin", bytes);
  folder.write("models/inside/w.bin", "1234" + bytes);
  const std::string secret = folder.write("secret.bin", bytes);
  namespace fs = std::filesystem;
  fs::create_symlink(secret, folder.path("models/link.bin"));
  fs::create_directory_symlink(folder.path("models/inside"), folder.path("models/linked"));
  fs::create_hard_link(secret, folder.path("models/hard.bin"));

  EXPECT_EQ(external_message(folder, {{"location", "w.bin"}}), "");
  EXPECT_EQ(external_message(folder, {{"location", "./inside//w.bin"}, {"offset", "4"}, {"length", "8"}, {"checksum", "x"}}), "");
  const std::vector<std::pair<std::vector<std::pair<std::string, std::string>>, std::string>> rows = {
      {{{"location", "../secret.bin"}}, "external data \"../secret.bin\" leaves the model's folder"},
      {{{"location", "inside/../../secret.bin"}}, "leaves the model's folder"},
      {{{"location", secret}}, "is not a path inside the model's folder"},
      {{{"location", "link.bin"}}, "cannot be opened without following links"},
      {{{"location", "linked/w.bin"}}, "cannot be opened without following links"},
      {{{"location", "hard.bin"}}, "has more than one name"},
      {{{"location", "inside"}}, "is no plain file"},
      {{{"location", "none.bin"}}, "cannot be opened: No such file or directory"},
      {{{"location", "\xe2\x80\xa5/secret.bin"}}, "cannot be opened"},  // U+2025 looks like ..
      {{{"location", "..\\secret.bin"}}, "is not a path inside the model's folder"},
      {{{"location", "inside/.."}}, "leaves the model's folder"},
      {{{"location", "."}}, "names no file"},
      {{{"location", std::string("w.bin\0/../x", 11)}}, "has a name with a zero byte"},
      {{{"location", ""}}, "has no location"},
      {{{"location", "w.bin"}, {"offset", "-1"}}, "external data has offset \"-1\""},
      {{{"location", "w.bin"}, {"length", "-1"}}, "external data has length \"-1\""},
      {{{"location", "w.bin"}, {"length", "4503599627370496"}}, "length of its external data is 4503599627370496"},
      {{{"location", "w.bin"}, {"offset", "9223372036854775807"}}, "has 8 bytes; 8 from offset 9223372036854775807 are asked for"},
      {{{"location", "w.bin"}, {"offset", "18446744073709551608"}}, "external data has offset"},
      {{{"location", "w.bin"}, {"offset", "4"}}, "has 8 bytes; 8 from offset 4 are asked for"},
  };
  for (const auto& [entries, text] : rows) {
    const std::string message = external_message(folder, entries);
    EXPECT_NE(message.find(text), std::string::npos) << message;
    EXPECT_NE(message.find("initializer \"w\""), std::string::npos) << message;
  }
}

TEST(OnnxExternalData, ASmallModelDoesNotMakeMuchOfAFile) {
  const TemporaryFolder folder;
  folder.write("w.bin", std::string(8, 0));
  const auto load = [&](int tensors) {
    std::vector<Message> initializers;
    for (int i = 0; i < tensors; ++i) {
      initializers.push_back(tensor_header("w" + std::to_string(i), {2}, kFloat).integer(14, 1));
      initializers.back().message(13, Message().bytes(1, "location").bytes(2, i % 2 == 0 ? "w.bin" : "./w.bin"));
    }
    const std::string path = folder.write("m.onnx", model_of({node("Relu", {"x"}, {"y"})}, {2}, initializers));
    return testing::message([&] { Model::load(path, {.external_data = true}); });
  };
  EXPECT_EQ(load(8), "accepted");
  EXPECT_NE(load(9).find("initializer \"w8\": external data \"w.bin\" is asked for more than 8 times\n"), std::string::npos);
}

// ---- what is unusual and right ----

TEST(OnnxUnusual, IsAccepted) {
  // R146: a dimension of 0. R145: Expand of nothing.
  EXPECT_EQ(
      Model::load_bytes(model_of({node("Concat", {"x", "w"}, {"y"}, {attribute_int("axis", 0)})}, {2}, {float_tensor("w", {0})}))
          .run({{"x", Tensor::ones({2})}})
          .at("y")
          .shape(),
      (Shape{2}));
  EXPECT_EQ(Model::load_bytes(model_of({node("Expand", {"x", "s"}, {"y"})}, {0, 1}, {int64_tensor("s", {0, 3})}))
                .run({{"x", Tensor::zeros({0, 1})}})
                .at("y")
                .shape(),
            (Shape{0, 3}));
  // R140: values without a type, domains that nobody uses.
  EXPECT_EQ(Model::load_bytes(model({{1, node("Relu", {"x"}, {"h"})},
                                     {1, node("Neg", {"h"}, {"y"})},
                                     {11, Message().bytes(1, "x")},
                                     {12, Message().bytes(1, "y")},
                                     {13, Message().bytes(1, "h")}},
                                    17, {}))
                .run({{"x", Tensor::from({-1, 2}, {2})}})
                .at("y")
                .to_vector<float>(),
            (std::vector<float>{0, -2}));
  // R137: nodes in any order.
  const std::string unsorted = model_of({node("Neg", {"h"}, {"y"}), node("Relu", {"x"}, {"h"})}, {2});
  EXPECT_EQ(Model::load_bytes(unsorted).run({{"x", Tensor::from({-1, 2}, {2})}}).at("y").to_vector<float>(),
            (std::vector<float>{0, -2}));
}

TEST(OnnxRun, RefusesInputsThatDoNotFit) {
  const Model model = Model::load_bytes(model_of({node("Relu", {"x"}, {"y"}, {}, "n1")}, {-1, 3}));
  ASSERT_EQ(model.inputs().size(), 1u);
  EXPECT_EQ(model.inputs()[0].name, "x");
  EXPECT_EQ(model.inputs()[0].dtype, "float32");
  EXPECT_EQ(model.inputs()[0].shape, (std::vector<int64_t>{-1, 3}));
  EXPECT_EQ(model.inputs()[0].names, (std::vector<std::string>{"N", ""}));
  EXPECT_EQ(model.outputs()[0].shape, (std::vector<int64_t>{-1, 3}));
  const auto message = [&](const std::map<std::string, Tensor>& inputs) -> std::string {
    try {
      model.run(inputs);
      return "";
    } catch (const Error& e) {
      return e.what();
    }
  };
  EXPECT_EQ(message({{"x", Tensor::zeros({2, 3})}}), "");
  EXPECT_EQ(message({}), "input 'x' is missing\nit is float32 [N, 3]");
  EXPECT_EQ(message({{"x", Tensor::zeros({2, 3})}, {"z", Tensor::zeros({1})}}), "the model has no input 'z'\nits inputs: 'x'");
  EXPECT_EQ(message({{"x", Tensor::zeros({2, 4})}}).substr(0, 63),
            "input 'x' is float32 [2, 4], the model takes float32 [N, 3]\nsiz");
  EXPECT_EQ(message({{"x", Tensor::zeros({2, 3}, DType::kFloat64)}}),
            "input 'x' is float64 [2, 3], the model takes float32 [N, 3]\nTensor::to converts it");
  EXPECT_EQ(message({{"x", Tensor()}}), "input 'x' is undefined, the model takes float32 [N, 3]\ngive it a value of that kind");
  EXPECT_THROW(model.run_values({{"x", graph::Sequence{Tensor::zeros({2, 3})}}}), Error);
  EXPECT_GT(model.peak_bytes({{"x", {2, 3}}}), 0);
  EXPECT_THROW(model.peak_bytes({{"z", {2, 3}}}), Error);
  EXPECT_THROW(model.peak_bytes({{"x", {-2, 3}}}), ShapeMismatch);
}

TEST(OnnxRun, OutputsThatAreNoTensorsAreNamed) {
  const Model model = Model::load_bytes(model_of({node("SequenceConstruct", {"x"}, {"y"}, {}, "n1")}, {-1, 3}));
  try {
    model.run({{"x", Tensor::zeros({2, 3})}});
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "output 'y' is a sequence\nModel::run_values gives text and sequences");
  }
  EXPECT_EQ(model.run_values({{"x", Tensor::zeros({2, 3})}}).at("y").sequence()->size(), 1u);
}

TEST(OnnxOperators, AreListedInTheDocumentationAndRun) {
  std::ifstream file(CONVOY_ONNX_PAGE);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(page.empty());
  for (const std::string& name : onnx::onnx_operator_names()) {
    EXPECT_TRUE(std::regex_search(page, std::regex("[ |]" + name + "[ ,|]"))) << "docs/onnx.md does not list " << name;
    // Those that the reader turns into others have no row of their own.
    const bool rewritten = name == "Constant" || name == "Gradient" || name == "Scatter" || name == "Swish" || name == "Upsample";
    EXPECT_EQ(graph::find_operator(name) == nullptr, rewritten) << name;
  }
}

}  // namespace
}  // namespace convoy
