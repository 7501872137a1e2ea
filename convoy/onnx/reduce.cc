// Reductions: their axes are attributes before opset 18 (of ReduceSum before 13), an input from then on.
#include "convoy/onnx/import.h"

namespace convoy::onnx {
namespace {

void convert_reduce(Importing& importing) { importing.attribute_to_input("axes", 1); }

}  // namespace

std::span<const OnnxOperator> reduce_rows() {
  static constexpr std::string_view kReduce = "axes:I keepdims:i noop_with_empty_axes:i";
  static constexpr std::string_view kArg = "axis:i keepdims:i select_last_index:i";
  static constexpr OnnxOperator kRows[] = {
      {"ReduceSum", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceMean", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceMax", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceMin", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceProd", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceL1", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceL2", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceLogSum", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceLogSumExp", 1, 2, 1, kReduce, convert_reduce},
      {"ReduceSumSquare", 1, 2, 1, kReduce, convert_reduce},
      {"ArgMax", 1, 1, 1, kArg},
      {"ArgMin", 1, 1, 1, kArg},
  };
  return kRows;
}

}  // namespace convoy::onnx
